"""The per-image worst case, its records, and what is drawn from them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torchattacks
from torch import nn

from snnpaper import ledger, measure, zoo
from snnpaper.attacks import spiking_ensemble
from snnpaper.attacks.ensemble import Stage, autoattack, generic, noise, pgd, predictions, step, worst_case
from snnpaper.attacks.settings import Settings
from snnpaper.auditing.evidence import Evidence
from snnpaper.config import Run
from snnpaper.measure import ablation, attacks
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet
from snnpaper.report.attacks import check_tables, mechanism, protocol_tables, tables
from snnpaper.report.attacks.ablation_tables import CONTRASTS, DERIVATIVES, largest, taken_apart, worth
from snnpaper.train import train

RUN = Run.make("demo", width=4, epochs=1, T=4, lr=5e-3, batch_size=16)


@pytest.fixture(scope="module")
def linear():
    """Class 1 where the mean is above one half, class 0 elsewhere; two classes that are never near."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([-1.0, 1.0, 0.0, 0.0])[:, None].expand(4, 12) / 12)
        model[1].bias.copy_(torch.tensor([0.5, -0.5, -2.0, -3.0]))
    x = torch.tensor([0.40, 0.45, 0.49, 0.52, 0.58, 0.9]).view(-1, 1, 1, 1).expand(6, 3, 2, 2).contiguous()
    return model, x, torch.tensor([0, 0, 0, 1, 1, 0])  # the last label is wrong


def test_worst_case_is_what_a_linear_model_deserves(linear):
    found = worst_case(*linear, generic(0.06, 4, restarts=1, queries=50), 0.06)
    assert found.clean.tolist() == [True] * 5 + [False]
    assert found.robust.tolist() == [True, False, False, False, True, False]
    assert (predictions(linear[0], found.adversarial) == linear[2]).tolist() == found.robust.tolist()
    assert (found.adversarial - linear[1]).abs().max() <= 0.06 + 1e-6


def test_no_step_is_smaller_than_the_image_s_grain():
    assert step(8 / 255, 7) == pytest.approx(2.5 * 8 / 255 / 7) and step(1 / 255, 100) == pytest.approx(1 / 255)
    assert step(0.25 / 255, 100) == pytest.approx(0.25 / 255)  # nor larger than the ball


def test_autoattack_is_the_library_s(linear):
    """The same attacks with the same budgets: the same images come out, but for the library's 5,000 queries."""
    model, x, y = linear
    theirs = torchattacks.AutoAttack(model, eps=0.06, n_classes=4, seed=0)
    for one, other in zip(autoattack(model, 0.06, 4, 5000).attacks, theirs._autoattack.attacks, strict=True):
        settings = [{k: v for k, v in vars(a).items() if not isinstance(v, nn.Module)} for a in (one, other)]
        assert settings[0] == settings[1] and type(one) is type(other)
    theirs._autoattack.attacks[-1].n_queries = 20
    ours = autoattack(model, 0.06, 4, 20)
    assert torch.equal(ours(x, y), theirs(x, y))
    assert not torch.equal(ours(x, y), x)


def test_late_attacks_see_only_what_stands(linear):
    stages = [Stage(Settings("a"), pgd(0.06, 5), whole=True), Stage(Settings("b"), noise(0.06))]
    found = worst_case(*linear, stages, 0.06)
    assert found.rows[0]["attacked"].tolist() == found.clean.tolist()
    assert found.rows[1]["attacked"].tolist() == [True, False, False, False, True, False]


def test_an_attack_that_leaves_the_ball_is_an_error(linear):
    stage = Stage(Settings("cheat"), lambda m, x, y: (x + 0.2).clamp(0, 1), whole=True)
    with pytest.raises(RuntimeError, match="cheat left the ball"):
        worst_case(*linear, [stage], 0.06)


def test_attacks_leave_the_random_stream_alone(linear):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    worst_case(*linear, generic(0.06, 4, restarts=1, queries=20), 0.06)
    assert torch.equal(torch.rand(2), expected)


def test_a_spiking_network_is_attacked_with_every_choice():
    coded = CodedNet.of(RUN)
    names = [s.settings.name for s in spiking_ensemble.stages(coded, "pixel", 8 / 255, {"another seed": coded})]
    short = "PGD-20 (any iterate)"
    for name in (f"{short}, weighted BPDA", f"{short}, smoothed BPDA", "level search, 100 steps",
                 "transfer: another seed", f"{short}, smoothed BPDA, atan 8", f"{short}, smoothed BPDA, triangular 1",
                 f"{short}, smoothed BPDA, pool ties", f"{short}, smoothed BPDA, pool avg",
                 "SA-PGD-100, smoothed BPDA, ASSG", "AutoAttack, shortened, smoothed BPDA", "HopSkipJump, shortened",
                 "Square, 500 queries"):  # fmt: skip
        assert name in names
    assert len(set(names)) == len(names)
    assert not any("atan 2" in name or "pool max" in name for name in names)  # the network's own
    relu = [s.settings.name for s in spiking_ensemble.stages(CodedNet.of(RUN.but(neuron="ReLU")), "spike", 0.1, {})]
    assert not any("atan" in name or "BPDA" in name or "level" in name for name in relu)


SOUND = Evidence(
    n=100, classes=10, eps=0.1, repeats_equal=True, state_equal=True, replayed=(100, 0), distance=0.1, box=(0.0, 1.0),
    zero=0.0, zero_entries=0.0, loss=(1.0, 2.0), fall=0.0, by_eps={0.1: 40, 0.2: 0}, by_restarts=[40, 39, 39],
    single=55, by_steps={7: 45, 20: 40, 50: 38, 100: 38}, far=0, beaten_by={"Square": 0, "random noise": 0},
    along=(1.0, 0.0, 1.0),
)  # fmt: skip
SMALL = {
    "attacks": {"images": 6, "batteries": (("pixel", 16, False),), "checked": 4, "outsider_steps": 3},
    "curve": {"images": 12, "levels": (64,), "fine": (64,), "flips": (1, 64)},
    "protocol": {"images": 8},
    "ablation": {"images": 8, "steps": 2},
}
CHEAP = {
    "choices": lambda *_: [],
    "evidence": lambda *_, **__: SOUND,
    "stages": lambda coded, space, eps, *_: [
        replace(s, settings=replace(s.settings, space=space)) for s in generic(eps, 10, 1, 20)[:3]
    ],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project folder with the records of two small networks on digits."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNPAPER_HOME", str(root))
        for name, value in CHEAP.items():
            patch.setattr(attacks, name, value)
        patch.setattr(tables, "SHOWN", RUN)
        for pool in ("max", "avg"):
            run = RUN.but(pool=pool)
            splits = data.load("digits")
            net = zoo.round_(train(run, splits, checkpoint=False, progress=False).coded.net)
            zoo.save(run, net)
            ledger.append("train", run, {"test_accuracy": 1.0, "test_n": 1}, 1.0, live_sha256=zoo.sha256(net))
            for kind, changes in SMALL.items():
                assert measure.make(kind, run, **changes)
                assert not measure.make(kind, run)  # a record that exists is left alone
        yield root


def test_records_hold_what_was_measured(home):
    for file in (home / "results" / "attacks").glob("*.json"):
        b = json.loads(file.read_text())["results"]["batteries"][0]
        robust, clean = ledger.unpack(b["robust"], 6), ledger.unpack(b["clean"], 6)
        assert not (robust & ~clean).any() and b["outsider"]["attacked"] == robust.sum()
        difference = ledger.arrays("attacks", file.stem)["difference"]
        assert difference.shape == (6, 3, 32, 32) and np.abs(difference).max() <= 16
        assert list(b["evidence"]) == ["weighted", "smoothed"]
        assert all(Evidence.from_dict(e) == SOUND for e in b["evidence"].values())
        fgsm, random, pgd7 = b["attacks"]
        own = {"surrogate": "atan", "alpha": 2.0, "pool_backward": json.loads(file.read_text())["config"]["pool"]}
        assert own.items() <= fgsm.items() and fgsm["steps"] == 1 and fgsm["step_size"] == 16 / 255
        assert random["queries"] == 20 and random["surrogate"] is random["loss"] is None
        assert (pgd7["algorithm"], pgd7["space"], pgd7["steps"], pgd7["starts"]) == ("PGD", "pixel", 7, 1)
        assert pgd7["step_size"] == 2.5 * 16 / 255 / 7 and pgd7["iterate"] == "any"


def test_the_ablation_has_every_derivative_with_every_optimiser(home):
    for record in ledger.records("ablation"):
        results = record["results"]
        clean = ledger.unpack(results["clean_correct"], 8)
        rows = {(r["algorithm"], r["bpda"], r["share"]): ledger.unpack(r["correct"], 8) for r in results["rows"]}
        assert len(rows) == 2 + 3 * len(ablation.OPTIMISERS) and ("PGD", None, 1.0) not in rows
        assert all(not (robust & ~clean).any() for robust in rows.values())
        assert sum(robust.sum() for robust in rows.values()) < len(rows) * clean.sum()  # some attack fools


def test_the_tables_of_the_ablation_are_its_records(home):
    """What each column of points says is the difference of two cells of the other table."""
    apart = taken_apart().set_index(["network", "optimiser"])
    assert list(apart.columns) == list(DERIVATIVES.values())
    points = worth().set_index("fewer survive by (points)")
    assert set(points.columns) == {"max, seed 0, 8 images", "avg, seed 0, 8 images"}
    for what, (weaker, stronger) in CONTRASTS.items():
        for network in points.columns:
            cells = [float(apart.loc[(network, optimiser), name]) for optimiser, name in (weaker, stronger)]
            assert abs(float(points.loc[what, network].split(" ±")[0]) - (cells[0] - cells[1])) <= 1.01  # rounded
    value = points.apply(lambda column: column.str.split(" ±").str[0].astype(float)).mean(axis=1)
    assert value.idxmax() in largest()


def test_the_records_of_another_cell_stay_out_of_the_tables(home, tmp_path, monkeypatch):
    other = RUN.but(width=8)
    alone = [table() for table in (tables.rows, tables.curves, tables.outsider, check_tables.checks)]
    for kind in ("attacks", "curve"):
        shutil.copytree(home / "results" / kind, tmp_path / "results" / kind)
        one = json.loads(next((tmp_path / "results" / kind).glob("*.json")).read_text())
        one |= {"name": other.name, "config": other.to_dict()}
        (tmp_path / "results" / kind / f"{other.name}.json").write_text(json.dumps(one))
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    beside = [table() for table in (tables.rows, tables.curves, tables.outsider, check_tables.checks)]
    assert [len(t) for t in beside] == [len(t) for t in alone] and min(map(len, alone)) > 0
    assert beside[-1].equals(alone[-1])


def test_curves_fall_and_begin_at_the_clean_accuracy(home):
    frame = tables.curves()
    for _, part in frame.groupby(["run", "threat"]):
        assert part["radius"].iloc[0] == 0 and (part["accuracy"].diff().dropna() <= 0).all()
    assert set(tables.chance_radii(frame)["pool"]) == {"max", "avg"}


def test_tables_of_the_chapter(home):
    rows = tables.rows()
    found = tables.per_attack(rows, "pixel", 16)
    assert list(found["attack"])[0] == "clean" and list(found["attack"])[-1] == tables.WORST
    assert set(tables.advantage(rows)["attack"]) == {"clean", tables.WORST}
    assert '<table class="records">' in tables.shown(found, "attacks")
    assert found.set_index("attack")["budget"].to_dict()["random noise"] == "best of 20 draws"
    assert tables.setting(rows).endswith("(demo scale); 2 networks of 1 seed; the first 6 test images")
    ladder = protocol_tables.ladder()
    assert len(ladder) == 6
    last, every = ladder["max − avg"][2], ladder["max − avg"][3]
    (sentence,) = protocol_tables.iterates_text()
    assert "in eval mode" in sentence and "(8 images, 1 seed)" in sentence
    assert f"is {last} ± " in sentence and f"the last iterate counts and {every} ± " in sentence  # over the images
    checks = check_tables.checks()
    assert list(checks.iloc[:3, 0])[1:] == ["of these chance may move", "stateless"]
    assert list(checks.iloc[0])[1:] == ["100, 100"] * 2 and list(checks.iloc[1])[1:] == ["2, 2"] * 2
    signs = check_tables.signs()
    assert list(signs.iloc[:, 0])[-1] == "verdict" and list(signs.iloc[-1])[1:] == ["reliable, reliable"] * 2
    assert signs.iloc[1, 1] == "0 of 2 (0, 0)" and signs.iloc[-2, 1] == "0 of 2"
    assert (tables.outsider()["images"] == 6).all()


def test_without_records_every_table_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    rows = tables.rows()
    assert "Not recorded yet" in tables.shown(tables.per_attack(rows, "pixel", 1), "attacks")
    assert tables.advantage_text(tables.advantage(rows)).empty
    assert tables.curves_text(tables.advantage_on_curves(tables.curves())).empty
    none = mechanism.images("bit flips")
    assert none.empty and mechanism.weak(mechanism.variation(none)) == {}
    assert tables.setting(rows) == largest() == ""
    assert protocol_tables.iterates_text() == [] and protocol_tables.samples_text() == ""
    for table in (
        tables.curves,
        protocol_tables.ladder,
        tables.outsider,
        protocol_tables.codings,
        check_tables.checks,
        check_tables.signs,
        taken_apart,
        worth,
    ):
        assert table().empty


def battery(max_hits, avg_hits, attack):
    base = {"seed": 0, "space": "pixel", "eps": 1.0, "attack": attack, "n": 4}
    return [
        base | {"pool": pool, "correct": np.array(hits, bool)} for pool, hits in (("max", max_hits), ("avg", avg_hits))
    ]


def test_the_advantage_is_paired_and_the_answer_follows_from_it():
    many = 25
    plain = battery([1, 1, 1, 0] * many, [1, 0, 0, 0] * many, tables.PLAIN["pixel"])
    worst = battery([0, 0, 0, 0] * many, [0, 0, 0, 0] * many, tables.WORST)
    found = tables.advantage(pd.DataFrame([*plain, *worst]))
    assert found.set_index("attack")["difference"].to_dict() == {tables.PLAIN["pixel"]: 0.5, tables.WORST: 0.0}
    shown = tables.advantage_text(found).set_index("attack")
    assert shown.loc[tables.PLAIN["pixel"], ["max", "avg", "reading"]].to_list() == [
        "75.0", "25.0", "max pooling is ahead, indicative",
    ]  # fmt: skip
    assert shown.loc[tables.WORST, "reading"] == "below chance for both pools"
    same = battery([1, 1, 1, 0] * many, [1, 1, 1, 0] * many, tables.WORST)
    assert tables.advantage_text(tables.advantage(pd.DataFrame(same)))["reading"].to_list() == [
        "no difference can be told"
    ]


def test_differences_on_the_curves_name_threat_model_attack_and_radius():
    rows = [
        {"pool": pool, "seed": seed, "run": f"{pool}{seed}", "threat": threat, "radius": radius, "n": 4}
        | {"correct": np.ones(4, bool)}
        for pool in ("max", "avg")
        for seed in (0, 1)
        for threat, radius in tables.ASKED
    ]
    shown = tables.curves_text(tables.advantage_on_curves(pd.DataFrame(rows)))
    assert len(shown) == len(tables.ASKED) and list(shown["space"].unique()) == ["pixel", "spike", "bit flips"]
    assert shown["attack"].iloc[0] == "PGD-20 (any iterate), weighted BPDA" and shown["eps"].iloc[0] == "1/255"
    assert shown["attack"].iloc[-1] == "guided by the gradient" and shown["eps"].iloc[-1] == "32 flips"
