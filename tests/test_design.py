"""Chapter 9: attacks through each backward pass, and what rules 11 and 12 make of records whose truth is known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from snnpaper import ledger, measure, zoo
from snnpaper.attacks.gradients import Backward, backward
from snnpaper.config import Run
from snnpaper.measure import backwards, curve
from snnpaper.nets import data, pools
from snnpaper.nets.coded import CodedNet
from snnpaper.report import standing, tables
from snnpaper.report.design import dial, figures, matrix, size
from snnpaper.report.findings import cause
from snnpaper.train import train

N = 400
TINY = Run.make("demo", width=4, T=2, epochs=1, train_images=640, pool="max/avg")
SMALL = {"radii": (0.25, 0.5, 64), "levels": (8,), "steps": 2}


# ---- the measurement --------------------------------------------------------------------------------


def test_halving_finds_what_the_search_from_below_finds():
    """Where standing within a radius means standing within every smaller one, both say the same."""
    rng, radii = np.random.default_rng(0), (0.25, 0.5, 1, 2, 4, 8, 16, 32)
    true, seen = torch.from_numpy(2 ** rng.uniform(-4, 7, 60)), []

    def withstand(i, k):
        seen.append((k, len(i)))
        return true[i] > k

    below = curve.least(60, radii, withstand)
    work, seen[:] = sum(n for _, n in seen), []
    found = backwards.halving(60, radii, withstand)
    assert found.tolist() == below.tolist() and {-1, 0, 7} <= set(found.tolist())
    assert seen[0] == (4, 60)  # everyone at the radius of rule 11
    assert sum(n for _, n in seen) < work
    assert backwards.halving(0, radii, withstand).tolist() == []


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with one small trained network whose forward pass is max and whose gradient average."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNPAPER_HOME", str(root))
        net = zoo.round_(train(TINY, data.load("digits"), checkpoint=False, progress=False).coded.net)
        zoo.save(TINY, net)
        ledger.append("train", TINY, {"test_accuracy": 1.0, "test_n": 1}, 1.0, live_sha256=zoo.sha256(net))
        measure.make("backwards", TINY, images=30, **SMALL)
        yield root


def test_every_pass_is_recorded_and_the_adaptive_attack_sees_what_they_leave(home):
    r = ledger.read("backwards", TINY.name)["results"]
    assert r["n"] == 30 and r["own"] == "avg" and len(r["gradient"]["l0_pool"]) == 30
    pgd = {a["backward"]: a for a in r["attacks"] if a["algorithm"] == "PGD"}
    assert set(pgd) == set(backwards.PASSES) and all(a["steps"] == 2 for a in r["attacks"])
    assert len({tuple(i for i, f in enumerate(a["first"]) if f == -2) for a in pgd.values()}) == 1  # the same are clean
    (assg,) = (a for a in r["attacks"] if a["surrogate"] == "ASSG")
    assert assg["radii"] == [0.5] and assg["backward"] == "avg"
    left = [all(a["first"][i] in (2, -1) for a in pgd.values()) for i in range(30)]
    assert left == [f != -2 for f in assg["first"]] and any(left)
    assert [a["backward"] for a in r["attacks"] if a["space"] == "pixel"] == ["avg", "max"]
    assert not measure.make("backwards", TINY)  # a record that exists is left alone


def test_an_attack_goes_through_the_pass_it_is_named_after(home, monkeypatch):
    """With the pool's gradient cut in one pass alone, that pass alone takes its steps in no direction."""
    nothing = pools.Entry("nothing", "#000000", "x", backward=lambda x, grad, *_: torch.zeros_like(x))
    monkeypatch.setitem(pools.TABLE, "ties", nothing)
    _, coded = zoo.load(TINY.name)
    moves, images = {}, data.load("digits")["test"].first(6)

    def seen(model, x, y, eps, *_, **__):
        x = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(model(x).sum(), x)
        moves[len(moves)] = float(grad.abs().sum())
        return torch.ones(len(x), dtype=torch.bool), x.detach()

    monkeypatch.setattr(backwards, "pgd_any_iterate", seen)
    backwards.backwards(coded, images, radii=(64,), levels=(1,), steps=1, passes=("max", "ties"))
    own, first, ties = moves.values()
    assert ties == 0 < min(own, first) and own != first


def test_every_sharpness_is_tried_and_the_network_s_own_first(home):
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(12)
    r = backwards.sharpness(coded, images, radii=(1, 64), alphas=(0.5, 2, 8), steps=1)
    named = [(a["algorithm"], a["surrogate"], a["alpha"]) for a in r["attacks"]]
    assert named == [("PGD", "atan", a) for a in (2, 0.5, 8)] + [("SA-PGD", "ASSG", None)]
    assert len({str(a["first"]) for a in r["attacks"]}) > 1 and r["own"]["surrogate"] == "atan"
    with backward(coded, Backward("sigmoid", 4.0)):
        r = backwards.sharpness(coded, images, radii=(1, 64), alphas=(0.5,), steps=1)
    named = [(a["surrogate"], a["alpha"]) for a in r["attacks"]]
    assert named == [("sigmoid", 4.0), ("sigmoid", 0.5), ("atan", 0.5), ("ASSG", None)]
    with pytest.raises(ValueError, match="no spiking neurons"):
        backwards.sharpness(CodedNet(torch.nn.Flatten(), "phase", 2, 10), images, (1,), (2,), 1)


def test_wrong_settings_and_networks_are_refused(home):
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(2)
    with pytest.raises(ValueError, match="pool is 'maxx'; allowed: max, avg, ties, silent"):
        backwards.backwards(coded, images, passes=("maxx",), **SMALL)
    with pytest.raises(ValueError, match="no pool"):
        backwards.backwards(CodedNet(torch.nn.Flatten(), "phase", 2, 10), images, **SMALL)


# ---- the report, on records whose truth is known ----------------------------------------------------


def written(root: Path, pool: str, seed: int, density: float, radius, hides: float = 0.0, n: int = N) -> None:
    """A record in which image i has the least radius radius(i) by every foreign pass, 2^hides times it by its own."""
    same, rng = np.random.default_rng(seed), np.random.default_rng([seed, *pool.encode()])  # images; networks
    run, radii = matrix.SETTING.but(pool=pool, seed=seed), list(measure.TABLE["backwards"].settings["radii"])
    own = pools.find(run.pooling).back.name
    l1, margin = 2 ** same.normal(7, 1, n), np.clip(2 ** same.normal(-2, 1, n), None, 1)
    wrong, true = same.random(n) < 0.4, radius(l1, margin, density, rng)
    shares = np.clip(density + rng.normal(0, 0.02, n), 0, 1)

    def first(value) -> list[int]:
        place = np.searchsorted(radii, value)
        return np.where(wrong, -2, np.where(place == len(radii), -1, place)).tolist()

    how = {"space": "spike", "algorithm": "PGD", "iterate": "any", "steps": 20, "surrogate": None, "radii": radii}
    found = [how | {"backward": p, "first": first(true * 2 ** (hides * (p == own)))} for p in backwards.PASSES]
    stands = [all(a["first"][i] in (-1, 5, 6, 7) for a in found) for i in range(n)]
    assg = how | {"algorithm": "SA-PGD", "surrogate": "ASSG", "backward": own, "radii": [4]}
    found.append(assg | {"first": [(0 if i % 10 == 0 else -1) if s else -2 for i, s in enumerate(stands)]})
    gradient = {"l0": [1.0] * n, "l0_pool": shares.tolist(), "l1": l1.tolist(), "margin": margin.tolist()}
    gradient["effective"] = [4.0] * n
    record = {"kind": "backwards", "name": run.name, "config": run.to_dict(), "scale": run.scale, "provenance": {}}
    record["results"] = {"n": n, "own": own, "attacks": found, "gradient": gradient}
    file = root / "results" / "backwards" / f"{run.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record))


def of_size(l1, margin, density, rng):
    """Density says nothing: margin over norm decides."""
    return 2 ** (2 + np.log2(margin / l1) + 9 + rng.normal(0, 0.3, len(l1)))


def of_density(l1, margin, density, rng):
    return of_size(l1, margin, density, rng) * 2 ** (2 * (0.5 - density))


DENSITIES = {"max": 0.24, "max/ties": 0.9, "max/silent": 0.05, "max/avg": 1.0, "avg": 1.0, "avg/max": 0.25}


def world(root: Path, monkeypatch, radius, hides: float, seeds: int = 5) -> pd.DataFrame:
    monkeypatch.setenv("SNNPAPER_HOME", str(root))
    for pool, density in DENSITIES.items():
        for seed in range(seeds):
            written(root, pool, seed, density, radius, hides * (1 - density))
    return standing.standing(matrix.attacks())


def word(stand: pd.DataFrame) -> str:
    return matrix.verdict(*(standing.difference(stand, a, matrix.TRAINED) for a in (standing.OWN, standing.WORST)))


def test_where_density_matters_the_worst_case_shows_it(tmp_path, monkeypatch):
    stand = world(tmp_path, monkeypatch, of_density, hides=0.0)
    assert word(stand) == matrix.DENSITY
    monkeypatch.setattr("snnpaper.report.attacks.mechanism.DRAWS", 60)
    frame = size.images()
    said = size.left(size.fit(frame), frame["run"].nunique())
    assert said.startswith("By rule 12: something is left for density (denser goes with smaller radii)")


def test_where_it_masks_the_own_pass_shows_it_and_the_worst_case_does_not(tmp_path, monkeypatch):
    stand = world(tmp_path, monkeypatch, of_size, hides=3.0)
    own, worst = (standing.difference(stand, a, matrix.TRAINED) for a in (standing.OWN, standing.WORST))
    assert own.above and own.mean > 0.1 and worst.zero
    assert word(stand) == matrix.MASKING
    monkeypatch.setattr("snnpaper.report.attacks.mechanism.DRAWS", 60)
    frame = size.images()
    assert "nothing that can be told from zero is left for density" in size.left(size.fit(frame), 30)


def test_the_finding_says_so_where_it_masks_and_not_where_it_protects(tmp_path, monkeypatch):
    assert cause.misled(world(tmp_path / "masks", monkeypatch, of_size, hides=3.0)).holds
    assert not cause.misled(world(tmp_path / "protects", monkeypatch, of_density, hides=0.0)).holds
    few = world(tmp_path / "few", monkeypatch, of_size, hides=3.0, seeds=3)
    assert not cause.misled(few).holds
    with pytest.raises(ledger.LedgerError, match="lacks backwards records.* max and avg and"):
        cause.misled(few[few["training"] != "avg"])


def test_the_findings_on_training_and_on_the_attack_s_pass(tmp_path, monkeypatch):
    monkeypatch.setattr("snnpaper.report.attacks.mechanism.DRAWS", 60)
    masked = world(tmp_path / "masks", monkeypatch, of_size, hides=3.0)
    frame = size.images()
    assert cause.nothing_left(size.fit(frame), frame["run"].nunique()).holds
    assert not cause.trained(masked).holds  # with so clear a lead through its own pass it is masking, not unresolved
    protects = world(tmp_path / "protects", monkeypatch, of_density, hides=0.0)
    frame = size.images()
    assert not cause.nothing_left(size.fit(frame), frame["run"].nunique()).holds
    assert not cause.trained(protects).holds and not cause.sparser(protects).holds
    assgs = (neither := world(tmp_path / "neither", monkeypatch, of_size, hides=0.0))["attack"] == standing.WITH_ASSG
    taken = [s & ~(a and t == "max/avg") for s, a, t in zip(neither["stands"], assgs, neither["training"], strict=True)]
    assert not cause.trained(neither.assign(stands=taken)).holds  # another surrogate's gradient finds a protection
    said = cause.trained(neither)
    assert said.holds and "By rule 11 this is not resolved" in said.text and not cause.sparser(neither).holds
    with pytest.raises(ledger.LedgerError, match="lacks backwards records.* max and max/avg and"):
        cause.trained(neither[neither["training"] != "max/avg"])
    with pytest.raises(ledger.LedgerError, match="lacks backwards records"):
        cause.sparser(neither[neither["training"] != "max"])


def test_the_rule_s_words():
    def d(mean, half):
        return standing.Difference(mean, half, dict.fromkeys(range(5), mean))

    assert matrix.verdict(d(0.0, 0.1), d(0.2, 0.1)) == matrix.DENSITY
    assert matrix.verdict(d(0.2, 0.1), d(0.02, 0.1)) == matrix.MASKING
    assert matrix.verdict(d(0.2, 0.1), d(0.02, 0.11)) == matrix.UNRESOLVED  # wider: it could hide what the first shows
    assert matrix.verdict(d(0.05, 0.1), d(0.02, 0.1)) == matrix.UNRESOLVED
    assert matrix.verdict(d(0.2, 0.1), d(-0.2, 0.1)) == matrix.UNRESOLVED
    assert matrix.of_zeros(d(0.2, 0.1), d(0.05, 0.1)) == "the zeros protect"
    assert matrix.of_zeros(d(0.05, 0.1), d(0.2, 0.1)) == "being the pool's own does"
    assert matrix.of_zeros(d(0.2, 0.1), d(0.2, 0.1)) == "both do"
    assert matrix.of_zeros(d(-0.2, 0.1), d(0.05, 0.1)) == matrix.UNRESOLVED


def test_few_seeds_and_few_networks_get_no_verdict(tmp_path, monkeypatch):
    stand = world(tmp_path, monkeypatch, of_density, hides=0.0, seeds=1)
    assert word(stand) == matrix.DENSITY and "(1 seed)" in (said := cause.trained(stand)).text and not said.holds
    shares = standing.shares(stand)
    printed = standing.table(shares, *matrix.named(shares))
    assert set(printed["seeds"]) == {"1 (over images alone)"}
    monkeypatch.setattr("snnpaper.report.attacks.mechanism.DRAWS", 20)
    frame = size.images()
    assert size.left(size.fit(frame), 6).startswith("No verdict with 6 of 24 networks; so far: ")


def test_the_matrix_is_the_records(tmp_path, monkeypatch):
    stand = world(tmp_path, monkeypatch, of_size, hides=3.0, seeds=3)
    found = standing.shares(stand)
    one = matrix.attacks()
    one = one[(one["training"] == "max") & (one["algorithm"] == "PGD")]
    for name, column in (("ties", "ties"), ("max", standing.OWN)):
        rate = [(r["place"] > 4).sum() / (r["place"] >= 0).sum() for _, r in one[one["through"] == name].iterrows()]
        row = found[(found["training"] == "max") & (found["attack"] == column)].iloc[0]
        assert row["share"] == pytest.approx(np.mean(rate)) and row["seeds"] == 3
    by = found.pivot(index="training", columns="attack", values="share")
    hidden = standing.between(stand, "max", standing.OWN, "ties")
    assert hidden.mean == pytest.approx(by.loc["max", standing.OWN] - by.loc["max", "ties"]) and hidden.above
    assert (
        standing.between(stand, "max", "avg", "ties").mean == 0
        and standing.between(stand, "topk:3", "avg", "ties") is None
    )
    pair = matrix.TRAINED
    one, other = (standing.difference(stand, a, pair) for a in (standing.OWN, standing.WORST))
    change = standing.difference(stand, standing.OWN, pair, instead=standing.WORST)
    assert change.mean == pytest.approx(one.mean - other.mean) and change.seeds == 3
    assert standing.difference(stand, standing.OWN, ("max", "topk:3")) is None
    passes = list(backwards.PASSES)
    assert (by[standing.WORST] <= by[passes].min(axis=1) + 1e-12).all()
    assert (by[standing.WITH_ASSG] < by[standing.WORST]).all()
    printed = standing.table(found, *matrix.named(found))
    assert list(printed["training"]) == pools.ordered(DENSITIES) and list(printed.columns)[-2:] == [
        standing.WORST,
        standing.WITH_ASSG,
    ]
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", printed["silent"].iloc[0])
    figure = standing.heat_map(found, *matrix.named(found), "training", "the attack")
    (drawn,) = {len(ax.patches) for ax in figure.axes if ax.get_xlabel().startswith("the attack")}
    assert drawn == len(DENSITIES)  # each training's own backward pass is framed
    assert len(figures.diagonal(found).axes[0].containers) == 2 * len(DENSITIES)
    networks = size.by_network(size.images())
    assert len(networks) == 18 and len(figures.norms(networks).axes[1].lines) == len(DENSITIES)
    assert np.allclose(networks["log l1"] - networks["log l2"], 1)  # (L1/L2)^2 is 4


def test_a_share_of_the_right_images_has_the_interval_of_a_ratio():
    rng = np.random.default_rng(0)
    right = rng.random((2000, N)) < 0.5
    stands = right & (rng.random((2000, N)) < 0.3)
    shares = (stands.sum(1) / right.sum(1)).std()
    spread = np.std(standing.influence(right[0], stands[0])) / np.sqrt(N)
    assert standing.influence(right[0], stands[0]).mean() == pytest.approx(stands[0].sum() / right[0].sum())
    assert spread == pytest.approx(shares, rel=0.15)
    everyone = np.ones(N, bool)
    assert np.allclose(standing.influence(everyone, stands[0]), stands[0])


def test_without_records_and_with_another_radius(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    stand = standing.standing(matrix.attacks())
    shares = standing.shares(stand)
    assert stand.empty and shares.empty and standing.table(shares, *matrix.named(shares)).empty
    assert size.images().empty and "nothing can be regressed" in size.left(size.fit(size.images()), 0)
    written(tmp_path, "max", 0, 0.2, of_size)
    with pytest.raises(ValueError, match="eps is 5; allowed: 0.25, 0.5, 1, 2, 4"):
        standing.standing(matrix.attacks(), 5)
    other = json.loads(next((tmp_path / "results" / "backwards").glob("*")).read_text())
    run = matrix.SETTING.but(width=4)
    (tmp_path / "results" / "backwards" / f"{run.name}.json").write_text(
        json.dumps(other | {"config": run.to_dict(), "name": run.name})
    )
    assert set(matrix.attacks()["run"]) == {matrix.SETTING.but(pool="max", seed=0).name}  # one cell, no other


# ---- the dial (rule 13) -----------------------------------------------------------------------------


def on_the_dial(share, seeds=(0, 1, 2), n=N):
    """`standing.standing` of networks of which so many per cent stand in the worst case, all images right."""
    rng = np.random.default_rng(0)
    rows = []
    for pool, level in share.items():
        for seed in seeds:
            stands = np.arange(n) < round(n * (level + 0.002 * rng.standard_normal()))
            head = {"run": f"{pool}-{seed}", "training": pool, "seed": seed, "scale": "reduced", "n": n, "own": pool}
            rows += [head | {"right": np.ones(n, bool), "attack": a, "stands": stands} for a in ("own", "worst")]
    return pd.DataFrame(rows)


def density(share, stand):
    """`size.images` and clean accuracies to it: density falls as the share that stands rises."""
    runs = stand[["run", "training", "seed"]].drop_duplicates()
    same = {"l0": 1.0, "least": 0.0, "log l1": 1.0, "log l2": 1.0, "log margin": 1.0}
    rows = [
        {"run": r.run, "pool": r.training, "seed": r.seed, size.DENSITY: 1 - share[r.training]}
        for r in runs.itertuples()
    ]
    images = pd.DataFrame(rows).assign(**same)
    acc = pd.DataFrame([{"run": r.run, "space": "clean", "accuracy": 0.5} for r in runs.itertuples()])
    return images, acc


def spread(low, high):
    """Shares that rise evenly along every dial."""
    found = {}
    for names in dial.DIALS.values():
        found |= dict(zip(names, np.linspace(low, high, len(names)), strict=True))
    return found


def test_dose_and_response_needs_a_slope_that_seeds_tell_from_zero():
    share = spread(0.2, 0.5)
    found = dial.networks(on_the_dial(share), *density(share, on_the_dial(share)))
    assert set(found["pool"]) == set(dial.SETTINGS) and (dial.slopes(found) < -0.9).all()
    assert dial.dose(found).endswith(": dose and response (3 seeds, no verdict).") and "by -9" in dial.dose(found)
    flat = spread(0.3, 0.3) | {"mixed:0.5": 0.3001}
    stand = on_the_dial(flat)
    images, acc = density(share, stand)
    assert "no dose and response" in dial.dose(dial.networks(stand, images, acc))
    one = stand[stand["seed"] == 0]
    assert "1 seed, no verdict: no interval" in dial.dose(dial.networks(one, images, acc))


def test_a_threshold_is_one_step_on_every_dial():
    even = dial.steps(on_the_dial(spread(0.2, 0.5)))
    assert list(even["step"])[:2] == ["avg → mixed:0.25", "mixed:0.25 → mixed:0.5"] and len(even) == 10
    assert dial.threshold(even).startswith("No threshold") and "on 0 of 3 dials" in dial.threshold(even)
    jump = dict.fromkeys(dial.SETTINGS, 0.2) | {"max": 0.5}
    assert dial.threshold(dial.steps(on_the_dial(jump))).startswith("A threshold")
    jump |= {"topk:2": 0.36, "topk:4": 0.25, "softmax:1": 0.3, "softmax:4": 0.4}
    assert "on 1 of 3 dials" in dial.threshold(dial.steps(on_the_dial(jump)))


def test_a_step_over_a_missing_setting_and_a_step_the_other_way_are_no_threshold():
    left = {k: v for k, v in spread(0.2, 0.5).items() if k not in ("mixed:0.25", "softmax:1", "topk:4")}
    steps = dial.steps(on_the_dial(left))
    assert "avg → mixed:0.5" not in set(steps["step"])  # two steps apart
    assert dial.threshold(steps) == "No dial is recorded from end to end yet."
    rows = [
        {"dial": name, "d": standing.Difference(mean, 0.02, dict.fromkeys(range(3), mean)), "range": 0.1}
        for name, settings in dial.DIALS.items()
        for mean in (-0.3, *[0.01] * (len(settings) - 2))
    ]
    assert "on 0 of 3 dials" in dial.threshold(pd.DataFrame(rows))  # the one large step leads away from max


def test_an_attack_is_compared_with_another_on_the_same_seeds():
    stand = on_the_dial({"max": 0.3}, seeds=(0, 1, 2))
    rows = stand[(stand["attack"] == "own") & (stand["seed"] < 2) | (stand["attack"] == "worst") & (stand["seed"] > 0)]
    assert list(standing.between(rows, "max", "own", "worst").by_seed) == [1]
    assert standing.between(rows[rows["seed"] != 1], "max", "own", "worst") is None


def test_both_can_be_had_only_above_both_ends_clean_and_attacked():
    share = dict.fromkeys(dial.SETTINGS, 0.2) | {"topk:2": 0.4, "mixed:0.5": 0.4}
    stand = on_the_dial(share)
    same = {k: v for k, v in tables.cell(matrix.SETTING).items() if k != "pool"} | {"protocol": "eval mode"}
    acc = pd.DataFrame(
        [
            same | {"run": f"{pool}-{seed}", "pool": pool, "seed": seed, "space": "clean", "method": "clean", "eps": 0}
            | {"n": N, "accuracy": level, "correct": np.arange(N) < N * level}
            for pool, level in (dict.fromkeys(dial.SETTINGS, 0.5) | {"topk:2": 0.7, "topk:4": 0.7}).items()
            for seed in (0, 1, 2)
        ]
    )  # fmt: skip
    assert dial.both(stand, acc).startswith("Both can be had, by topk:2: more than at either end")
    assert dial.both(stand, acc).endswith("leave out zero (3 seeds, no verdict).")
    assert dial.both(stand, acc.assign(correct=[np.arange(N) < N / 2] * len(acc))).startswith("None has both")


def test_a_dial_without_records_says_so():
    nothing = on_the_dial({"max": 0.5, "avg": 0.2})
    images, acc = density({"max": 0.5, "avg": 0.2}, nothing)
    assert dial.networks(nothing, images, acc).empty and "recorded yet" in dial.dose(
        dial.networks(nothing, images, acc)
    )
    assert "recorded" in dial.threshold(dial.steps(nothing)) and "recorded yet" in dial.both(nothing, acc)
