"""What is asked of a run is measured whole or refused before any work: codes, data, pools, no BatchNorm."""

import numpy as np
import pandas as pd
import pytest
import yaml

from snnpaper import campaign, ledger, measure, zoo
from snnpaper.attacks.standard import EVAL
from snnpaper.config import Run
from snnpaper.grid import cells
from snnpaper.measure import curve, experiment, kept, networks, stem, trail
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet
from snnpaper.report import tables
from snnpaper.report.comparison import claims

SMALL = {"width": 4, "T": 2, "epochs": 1, "train_images": 128}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    return tmp_path


def test_a_kind_that_the_code_has_not_is_refused_before_the_training(home):
    run = Run.make("demo", **SMALL, coding="rate")
    with pytest.raises(ValueError, match="coding is 'rate'; allowed for attacks"):
        experiment.run_all(run, progress=False, kinds=("attacks",))
    assert not ledger.path("train", run.name).exists()
    file = home / "grid.yml"
    file.write_text(yaml.safe_dump([{"block": "b", "profile": "demo", "fixed": SMALL | {"coding": "rate"},
                                     "measure": ["attacks"]}]))  # fmt: skip
    with pytest.raises(ValueError, match="coding is 'rate'; allowed for attacks"):
        cells(file)


def test_a_network_that_gets_nothing_right_has_a_curve():
    coded = CodedNet.of(Run.make("demo", **SMALL)).eval().requires_grad_(False)
    images = data.load("digits")["test"].first(4)
    wrong = data.Images(images.x, (coded(images.x).argmax(1) + 1) % 10)
    found = curve.curve(coded, wrong, (1,), (1,), (1,), 1, lambda name, work: work())
    assert all(row["first"] == [-2] * 4 for row in found["threats"])


def test_half_precision_without_spikes_is_recorded_without_moved_ones(home):
    run = Run.make("demo", **SMALL, neuron="ReLU", precision="bf16")
    experiment.train_stage(run, progress=False)
    assert "differing_spikes" not in ledger.read("train", run.name)["results"]


def test_kinds_of_images_are_refused_for_events():
    for kind in ("trail", "untrained", "codings"):
        with pytest.raises(ValueError, match=f"coding is 'frames'; allowed for {kind}: phase"):
            measure.defined(kind, Run.make("demo", dataset="nmnist_few"))


def test_frames_are_not_trained_on_examples_in_the_box_of_images():
    with pytest.raises(ValueError, match="defence is 'pgd:4'; allowed for nmnist_few: none, sparse"):
        Run.make("demo", dataset="nmnist_few", defence="pgd:4")
    assert Run.make("demo", dataset="nmnist_few", defence="sparse:0.001").defence == "sparse:0.001"


@pytest.mark.parametrize(
    ("changes", "absent"), [({"pool": "softmax:2"}, set()), ({"pool": "max/avg"}, set()), ({"norm": "none"}, {"bn1"})]
)
def test_untrained_networks_of_every_pool_and_norm_are_measured(changes, absent):
    run = Run.make("demo", **SMALL | changes)
    digits = data.load("digits")
    coded = networks.warmed(run, digits["train"])
    found = trail.untrained(coded, digits["test"].first(4), 2, run.but(seed=1))
    layers = {row["layer"] for row in found["activation_eval"]}
    assert {*trail.STEM, *trail.STAGES} - layers == absent and "maxpool" in layers


def test_the_stem_s_formulas_want_batchnorm():
    coded = CodedNet.of(Run.make("demo", **SMALL, norm="none"))
    with pytest.raises(ValueError, match="BatchNorm"):
        stem.measure_stem(coded, data.load("digits")["test"].first(2))


def test_parts_of_an_attack_are_kept_for_the_same_sources_only(home, monkeypatch):
    run, keys = Run.make("demo", **SMALL), []
    experiment.train_stage(run, progress=False)
    other = CodedNet.of(run.but(seed=3)).requires_grad_(False)

    class Stop(Exception):
        pass

    def stopped(kind, run, decided_by, deadline):
        keys.append(decided_by)
        raise Stop

    monkeypatch.setattr(kept, "Kept", stopped)
    for sources in ({}, {"another seed": other}):
        monkeypatch.setattr(networks, "sources_of", lambda run, device, found=sources: found)
        with pytest.raises(Stop):
            measure.make("attacks", run, images=4)
    assert keys[0] != keys[1] and keys[1]["sources"] == {"another seed": zoo.sha256(other.net)}


def test_a_shorter_training_without_its_weights_does_not_stop_a_longer_one(home):
    file = home / "grid.yml"
    file.write_text(yaml.safe_dump([{"block": "b", "profile": "demo", "fixed": SMALL, "over": {"epochs": [1, 2]},
                                     "measure": ["deviations"]}]))  # fmt: skip
    short, longer = (c.run for c in cells(file))
    experiment.train_stage(short, progress=False)
    for weights in zoo.files_of(short.name):
        weights.unlink()
    said = []
    campaign.run(file, render_chapter=False, say=said.append)
    assert ledger.path("deviations", longer.name).exists() and not ledger.path("deviations", short.name).exists()
    assert sum("left out" in line for line in said) == 1


def test_depth_is_compared_over_seeds_and_images():
    """The same 0.4 points in each of five seeds are no certainty: other images could give others."""
    rng, rows = np.random.default_rng(0), []
    base = {k: v for k, v in tables.cell(Run.make("paper")).items() if k not in ("label", "pool")}
    for seed in range(5):
        for pool in tables.PAIR:
            right = rng.random(1000) < 0.5
            moved = right.copy()
            moved[np.flatnonzero(~right)[:4]] = True
            for label, correct in (("SEW-ResNet-18", right), ("SEW-ResNet-50", moved)):
                rows.append(base | {"label": label, "pool": pool, "seed": seed, "run": f"{label}-{pool}-{seed}"}
                            | {"space": "spike", "method": "pgd", "protocol": EVAL, "eps": 8, "n": 1000}
                            | {"scale": "paper", "correct": correct, "accuracy": correct.mean()})  # fmt: skip
    (row,) = [r for r in claims._depth_claims(pd.DataFrame(rows)) if "spike" in r["quantity"]]
    assert row["ours"].startswith("+0.40 ± 0.") and not row["ours"].endswith("± 0.00") and row["seeds"] == 5
