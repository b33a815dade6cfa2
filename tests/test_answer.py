"""The findings of the book: they hold on the records, and a record that contradicts one stops the page."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from snnpaper import ledger
from snnpaper.attacks.standard import TRAIN
from snnpaper.report import answer, findings, standing, tables
from snnpaper.report.attacks import stronger
from snnpaper.report.attacks import tables as attacked
from snnpaper.report.design import matrix
from snnpaper.report.findings import attacks, cause, gradients, length, pools, reports, together
from snnpaper.report.trail import densities

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def acc() -> pd.DataFrame:
    return tables.accuracies()


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return attacked.curves()


def test_a_false_finding_is_not_printed():
    true, false = findings.Finding("a < b", True), findings.Finding("b < a", False)
    assert findings.say(true) == "<ul><li>a &lt; b</li></ul>"
    with pytest.raises(AssertionError, match="b < a"):
        findings.say(true, false)


def test_the_readme_and_the_citation_say_what_the_index_computes(acc, curves):
    said = answer.sentences(acc, curves)
    for name in ("README.md", "CITATION.cff"):
        text = re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))
        for sentence in said:
            assert sentence in text, f"{name} does not say: {sentence}"
    assert len(said) == 3 and "±" not in said[0] and "we saw its abstract" in said[2]


def test_the_index_opens_with_the_answer_and_types_no_number():
    page = (ROOT / "book" / "index.py").read_text(encoding="utf-8")
    headings = re.findall(r"^# (#+ .*)$", page, re.MULTILINE)
    assert headings[0].startswith("# ") and headings[1].startswith("## The answer:")
    first_cell = page.split("# %%")[1]
    assert not re.search(r"\d", first_cell), "the first cell holds a number that no cell computes"
    claim = page[page.index("## The claim") : page.index("## What could not be read")]
    assert not re.search(r"\d[\d.]* ?(?:%|points)", claim)
    for name in ("README.md", "CITATION.cff"):
        text = re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))
        assert headings[1].removeprefix("## ") in text


def test_a_lead_that_the_records_lose_stops_the_index(acc, curves):
    worse = acc.copy()  # the published attack fools the networks with max pooling altogether
    hit = (worse["pool"] == "max") & (worse["protocol"] == TRAIN)
    worse["correct"] = [c & ~h for c, h in zip(worse["correct"], hit, strict=True)]
    with pytest.raises(AssertionError, match="as published"):
        answer.sentences(worse, curves)


def test_a_lead_under_the_stronger_attack_stops_the_index(acc, curves):
    better = curves.copy()
    kept = (better["pool"] == "max") & (better["threat"] == pools.SPIKE)
    better["correct"] = [c | k for c, k in zip(better["correct"], kept, strict=True)]
    with pytest.raises(AssertionError, match="cannot be told from zero"):
        answer.sentences(acc, better)


def test_a_ledger_without_the_cell_says_so(acc):
    assert pools.measured(acc) and not pools.measured(acc.iloc[:0])
    assert not pools.measured(acc[acc["seed"] != 4])


def test_the_order_of_the_pools_under_relu_is_read_off_the_records(acc):
    assert pools.reversed_by_relu(acc).holds
    swapped = acc.assign(pool=acc["pool"].replace({"max": "avg", "avg": "max"}))
    assert not pools.reversed_by_relu(swapped).holds
    assert not pools.clean(swapped, answer.AGAIN.epochs).holds


def test_the_radius_half_survive_is_interpolated_and_ignores_clean_accuracy():
    left = {"max": (0.8, 0.6, 0.2), "avg": (0.4, 0.3, 0.1)}  # the same shares of what is right without an attack
    rows = [(pool, 0, r, a) for pool, row in left.items() for r, a in zip((0, 1, 3), row, strict=True)]
    frame = pd.DataFrame(rows, columns=["pool", "seed", "radius", "accuracy"]).assign(threat="t")
    assert pools.half_radii(frame, "t").set_index("pool")["radius"].to_dict() == pytest.approx({"avg": 2, "max": 2})


def test_a_smaller_gradient_is_asserted_seed_by_seed(monkeypatch):
    true = gradients.gradients()
    assert gradients.smaller().holds and gradients.concentrated().holds and true["seed"].nunique() == 5
    one = true.copy()
    one.loc[(one["pool"] == "max") & (one["seed"] == 2), "l1"] = one["l1"].max()
    monkeypatch.setattr(gradients, "gradients", lambda: one)
    assert not gradients.smaller().holds


def test_where_the_gradient_is_smaller_depends_on_the_network():
    found = densities.frame()
    assert gradients.other_networks(found).holds
    for label in ("SEW-ResNet-18", "SEW-ResNet-18 (ReLU twin)"):  # pools exchanged
        there = found["label"] == label
        assert not gradients.other_networks(
            found.assign(pool=found["pool"].where(~there, found["pool"].replace({"max": "avg", "avg": "max"})))
        ).holds
    with pytest.raises(ledger.LedgerError, match="lacks sparsity records"):
        gradients.other_networks(found[~found["label"].str.contains("ReLU")])


def test_what_the_regression_says_needs_its_interval():
    rows = {"predictor": ["log l1", "log effective"], "together": [-0.7, 0.2], "low": [-0.8, 0.1], "high": [-0.6, 0.3]}
    fit = pd.DataFrame(rows).assign(**{"base": 0.6, "gain": 0.01, "gain high": 0.015})
    assert gradients.explained(fit).holds and gradients.denser_is_more_robust(fit).holds
    assert not gradients.denser_is_more_robust(fit.assign(low=-0.1)).holds
    assert not gradients.explained(fit.assign(**{"gain high": 0.1})).holds


def test_noise_must_beat_one_step_to_be_a_finding():
    rows = attacked.rows()
    assert attacks.noise(rows).holds
    better = rows.assign(accuracy=np.where(rows["attack"] == "FGSM, weighted BPDA", 0.1, rows["accuracy"]))
    assert not attacks.noise(better).holds


def test_all_attacks_together_must_leave_less_than_half():
    rows = attacked.rows()
    assert attacks.battery(rows).holds
    assert not attacks.battery(rows.assign(accuracy=0.2)).holds


def test_a_lead_under_all_attacks_together_is_of_spike_space_and_partly_of_the_gradient():
    rows = attacked.rows((*matrix.TRAINED, "avg"), answer.LONG)
    assert together.leads(rows).holds and together.in_part(rows).holds
    both = {e: attacked.rows(like=answer.LONG.but(epochs=e)) for e in (30, 15)}
    assert together.without_gradient(both).holds and together.leads(both[15], 15).holds
    told = together.without_gradient(both)
    assert "After 15 epochs, where most seeds were attacked, neither can be told from zero" in told.text
    for pool in ("max", "avg"):  # noise that fools every image of one pool tells the pools apart
        noise = (both[15]["attack"] == "random noise") & (both[15]["pool"] == pool)
        fooled = [c & ~b for c, b in zip(both[15]["correct"], noise, strict=True)]
        assert not together.without_gradient(both | {15: both[15].assign(correct=fooled)}).holds
    half = both[30][(both[30]["pool"] == "max")].assign(seed=98)  # a seed of one pool does not count
    again = pd.concat([both[30], both[30].assign(seed=99), half])
    assert "(200 images, 2 seeds)" in together.without_gradient({30: again}).text
    with pytest.raises(ledger.LedgerError, match="lacks attacks records"):
        together.without_gradient({30: rows[rows["attack"] != "random noise"]})
    for one, other, finding in (("max", "avg", together.leads), ("max", "max/avg", together.in_part)):
        swapped = rows.assign(pool=rows["pool"].replace({one: other, other: one}))
        assert not finding(swapped).holds
    pixel = rows["space"] == "pixel"
    left = [c | p for c, p in zip(rows["correct"], pixel, strict=True)]
    assert not together.leads(rows.assign(correct=left)).holds
    for finding in (together.leads, together.in_part):
        with pytest.raises(ledger.LedgerError, match="lacks attacks records"):
            finding(rows[rows["eps"] == 8])


def test_a_lead_under_a_stronger_attacker_is_of_his_last_budget():
    left = stronger.left(answer.LONG)
    assert together.still(left).holds
    assert not together.still(left.assign(pool=left["pool"].replace({"max": "avg", "avg": "max"}))).holds
    assert not together.still(left.assign(twice=left["after"])).holds  # then it would be the worst case
    with pytest.raises(ledger.LedgerError, match="lacks stronger records"):
        together.still(left[left["pool"] == "max"])


def test_after_fifteen_epochs_the_seeds_differ_until_another_surrogate_is_tried():
    stand = standing.standing(matrix.attacks(answer.AGAIN))
    assert length.differ(stand, 15).holds and length.hidden(stand, 15).holds
    agreed = stand[stand["seed"].isin([1, 2])]
    with pytest.raises(ledger.LedgerError, match="lacks backwards records"):
        length.differ(agreed, 15)
    same = agreed.assign(seed=agreed["seed"].replace({1: 5, 2: 6}))
    assert not length.differ(pd.concat([agreed, same]), 15).holds
    swapped = stand.assign(training=stand["training"].replace({"max": "avg", "avg": "max"}))
    assert not length.hidden(swapped, 15).holds


def test_a_comparison_of_three_trainings_is_of_the_seeds_that_have_all():
    stand = standing.standing(matrix.attacks(answer.AGAIN))
    found = cause.whole(stand)
    three = found[found["training"] != "max/ties"]  # beside the three, where it is there
    assert set(three["training"]) == {"max", "max/avg", "avg"}
    assert three.groupby("seed")["training"].nunique().eq(3).all()
    lost = sorted(set(found["seed"]))[0]
    less = stand[(stand["seed"] != lost) | (stand["training"] != "max/avg")]
    assert set(cause.whole(less)["seed"]) == set(found["seed"]) - {lost}


def test_zeros_do_not_protect_where_shared_ties_do_as_well():
    stand = standing.standing(matrix.attacks(answer.AGAIN))
    assert cause.zeros(stand, 15).holds
    for one, other in (("max/ties", "max/avg"), ("max", "max/avg")):  # they would; it would not be the pool's own
        swapped = stand["training"].replace({one: other, other: one})
        assert not cause.zeros(stand.assign(training=swapped), 15).holds
    better = stand.copy()  # the sparse gradient would protect beside being the pool's own
    better["stands"] = [s | (t == "max") for s, t in zip(stand["stands"], stand["training"], strict=True)]
    assert not cause.zeros(better, 15).holds
    with pytest.raises(ledger.LedgerError, match="lacks backwards records.* max and max/ties and"):
        cause.zeros(stand[stand["training"] != "max/ties"], 15)


def test_accuracy_would_be_a_price_if_the_pool_s_own_gradient_had_less_of_it(acc):
    assert cause.no_price(acc, 15).holds
    for one, other in (("max/avg", "max"), ("max/avg", "max/ties"), ("avg", "max")):
        swapped = acc.assign(pool=acc["pool"].replace({one: other, other: one}))
        assert not cause.no_price(swapped, 15).holds
    as_dense = acc[acc["pool"] == "max/avg"].assign(pool="max/ties")  # shared ties would gain nothing
    assert not cause.no_price(pd.concat([acc[acc["pool"] != "max/ties"], as_dense]), 15).holds
    with pytest.raises(ledger.LedgerError, match="lacks robustness records.* max and max/ties and"):
        cause.no_price(acc[acc["pool"] != "max/ties"], 15)


def test_zeros_must_grow_with_the_training():
    found = densities.frame()
    assert length.thinner(found).holds
    reversed_ = found["epochs"].map({4: 30, 8: 15, 15: 8, 30: 4}).fillna(found["epochs"]).astype(int)
    assert not length.thinner(found.assign(epochs=reversed_)).holds
    with pytest.raises(ledger.LedgerError, match="sparsity"):
        length.thinner(found[found["epochs"] == 4])


def test_the_odd_measurements_are_named(acc):
    clean = {r["name"]: r["results"]["clean_accuracy"] for r in ledger.records("robustness")}
    assert attacks.odd(acc, clean).holds
    helped = acc.assign(accuracy=np.where(acc["method"] == "pgd", 1.0, acc["accuracy"]))
    assert not attacks.odd(helped, clean).holds


def test_the_report_says_so_when_something_is_decided():
    rows = pd.DataFrame({"verdict": ["indicative, no verdict", ""], "ours": ["1.0", "not measured"]})
    assert reports.undecided(rows).holds
    assert not reports.undecided(rows.assign(verdict=["held", ""])).holds
    assert reports.verdicts_only(rows["verdict"]) == ["", ""]


def test_directions_are_counted_of_the_paper_s_claims_alone():
    words = ["as claimed", "opposite", "not resolved", "opposite", "opposite"]
    asked = ["Max pooling is better", "Max pooling is better", "Depth", "Our question: skips", "Theorem 4.1"]
    said = pd.DataFrame({"claim": asked, "direction here": words, "quantity": "accuracy", "where": "here"})
    text = reports.directions(said).text
    assert "1 come out as claimed, 1 the other way (accuracy, here), and 1 cannot" in text
    assert not reports.directions(said[said["direction here"] == "as claimed"]).holds


def test_longer_training_is_compared_within_the_same_seeds(acc):
    found = length.longer(acc)
    assert found.holds and "(the same 1 seed at each length)" in found.text
    swapped = acc.assign(pool=acc["pool"].replace({"max": "avg", "avg": "max"}))
    assert not length.longer(swapped).holds
    with pytest.raises(ledger.LedgerError, match="lacks robustness records"):
        length.longer(acc[acc["epochs"] <= 4])


def test_a_lead_that_repeats_is_in_every_seed(acc):
    there = acc[acc["epochs"] == 15].groupby("seed")["pool"].nunique() > 1
    assert length.again(acc).holds and f"{there.sum()} seeds" in length.again(acc).text
    second = (acc["epochs"] == 15) & (acc["seed"] == 1)
    swapped = acc["pool"].where(~second, acc["pool"].replace({"max": "avg", "avg": "max"}))
    assert not length.again(acc.assign(pool=swapped)).holds
    with pytest.raises(ledger.LedgerError, match="lacks robustness records"):
        length.again(acc[~(acc["epochs"] == 15) | (acc["seed"] == 0)])


def test_a_lead_after_longer_training_must_stand_and_be_its_own_gradient_s():
    stand = standing.standing(matrix.attacks(answer.LONG))
    assert length.stands(stand).holds and cause.through(stand).holds
    assert "interval over the images" in length.stands(stand).text
    assert not length.stands(standing.standing(matrix.attacks(answer.AGAIN))).holds

    def renamed(**names):
        return stand.assign(training=stand["training"].replace(names))

    assert not length.stands(renamed(max="avg", avg="max")).holds
    assert not cause.through(stand.replace({"training": {"max": "max/avg", "max/avg": "max"}})).holds
