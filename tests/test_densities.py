"""Densities from made-up records whose answers are known."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from snnpaper import ledger
from snnpaper.config import Run
from snnpaper.report import gaps
from snnpaper.report.trail import decay, densities, figures
from snnpaper.sparsity import THRESHOLDS

LAYERS = ("input", "conv1", "bn1", "sn1", "maxpool", "layer1.0", "layer1.1", "layer1.1.conv1", "layer2.1")


def row(layer, density, norm=1.0):
    values = {f"{t}_mean": density for t in THRESHOLDS} | {"norm_mean": norm, "effective_mean": 5.0}
    return {"layer": layer, "kind": "Block", "size": 10} | values


def write(kind, run, pool_in, **results):
    """A record with density `pool_in` at the pool's input and 1 elsewhere; train mode is dense throughout."""
    rows = {
        "activation_n": 256,
        "activation_eval": [row(name, pool_in if name == "sn1" else 1.0) for name in LAYERS],
        "activation_train": [row(name, 1.0) for name in LAYERS],
    }
    record = {"kind": kind, "name": run.name, "config": run.to_dict(), "scale": run.scale, "results": rows | results}
    path = ledger.path(kind, run.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | {"provenance": {"wall_seconds": 60.0, "hardware": {"cpu": "C", "gpu": None}}}))


@pytest.fixture(autouse=True)
def home_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))


@pytest.fixture
def recorded():
    for seed, density in ((0, 0.2), (1, 0.24)):
        write("sparsity", Run.make("cpu", pool="max", seed=seed), density)
        write("sparsity", Run.make("cpu", pool="avg", seed=seed), 1.0)
    write("untrained", Run.make("sweep", pool="max"), 0.1)
    write("sparsity", Run.make("sweep", pool="max", neuron="ReLU"), 0.05)


def test_rows_follow_the_backward_pass_and_places_name_the_ends_of_stages(recorded):
    found = densities.frame()
    one = found[(found["run"] == found["run"].iloc[0]) & (found["mode"] == "eval")]
    assert list(one["layer"]) == [*LAYERS[:0:-1], "input"]
    assert dict(zip(one["layer"], one["place"], strict=True)) | {"layer1.1": "layer1", "layer1.0": ""} == dict(
        zip(one["layer"], one["place"], strict=True)
    )


def test_the_main_cell_is_the_published_one_with_most_seeds_and_its_untrained_twin(recorded):
    main = densities.main_cell(densities.frame())
    assert set(main["state"]) == {"trained", "untrained"} and set(main["label"]) == {"SEW-ResNet-18"}
    assert main[main["state"] == "trained"]["run"].nunique() == 4
    other = densities.frame().query("state == 'trained'").assign(dataset="digits", width=512)
    both = pd.concat([densities.frame(), other.assign(run=other["run"] + "-other")])
    for run in main.query("state == 'trained'")["run"].unique():
        ledger.path("trail", run).parent.mkdir(exist_ok=True)
        ledger.path("trail", run).touch()
    assert set(densities.main_cell(both)["dataset"]) == set(main["dataset"])  # whose maps can be drawn
    with pytest.raises(ValueError, match="both pools"):
        densities.main_cell(densities.frame().query("pool == 'max'"))


def test_means_and_intervals_over_seeds(recorded):
    main = densities.main_cell(densities.frame())
    part = main[(main["state"] == "trained") & (main["mode"] == "eval") & (main["place"] == "sn1")]
    table = densities.over(part, ["pool"], "0").set_index("pool")
    assert table.loc["max", "mean"] == pytest.approx(0.22)
    assert math.isnan(table.loc["max", "half"])  # two seeds give no interval
    extra = part[part["pool"] == "max"].head(1).assign(**{"0": 0.28})
    third = densities.over(pd.concat([part, extra]), ["pool"], "0").set_index("pool").loc["max"]
    spread = np.std([0.2, 0.24, 0.28], ddof=1)
    assert third["half"] == pytest.approx(4.30265273 * spread / math.sqrt(3), rel=1e-6)  # t, two degrees of freedom
    assert table.loc["max", "seeds"] == 2 and len(table.loc["max", "runs"]) == 2


def test_a_missing_setting_is_shown_with_its_command(recorded):
    found = densities.frame()
    rows = densities.ablation("natural", found).set_index(["setting", "pool", "state"])
    assert rows.loc[("IF, ATan surrogate", "max", "untrained"), "sn1_mean"] == pytest.approx(0.1)
    relu = rows.loc[("ReLU twin", "max", "trained")]
    assert relu["seeds"] == 1 and relu["effective"] == pytest.approx(0.5)
    gone = rows.loc[("IF, rectangular surrogate", "avg", "trained")]
    assert gone["seeds"] == 0
    assert gone["command"] == "python -m snnpaper train --profile sweep --pool avg --surrogate rectangular"
    assert "no run is recorded" in gone["cost"]
    before = rows.loc[("ReLU twin", "avg", "untrained"), "command"]
    assert before == "python -m snnpaper measure untrained --profile sweep --neuron ReLU --pool avg"


def test_weight_decay_has_no_untrained_row_of_its_own(recorded):
    rows = densities.ablation("decay", densities.frame())
    assert set(rows[rows["setting"] == "weight decay 0"]["state"]) == {"trained"}


def test_locating_a_number_finds_the_reading_that_makes_it(recorded):
    main = densities.main_cell(densities.frame())
    trained = main[main["state"] == "trained"]
    at_pool = densities.locate(78.0, trained).iloc[0]
    assert (at_pool["where"], at_pool["mode"], at_pool["quantity"]) == ("sn1", "eval", "points")
    both = densities.locate(39.0, trained).iloc[0]
    assert both["where"] == "pool, input and output" and both["off"] == pytest.approx(0.0)


def test_weights_leave_out_what_meets_padding_only(recorded):
    run = Run.make("cpu", pool="max")
    live = densities._live(run)
    size = {"conv1.weight": 100, "layer4.1.conv2.weight": 900}
    rows = [{"layer": n, "size": s, "0_mean": live[n] / 2} for n, s in size.items()]
    write("sparsity", run, 0.2, weight_eval=rows, weight_n=32)
    for other in ledger.records("sparsity"):
        if other["name"] != run.name:
            ledger.path("sparsity", other["name"]).unlink()
    (found,) = densities.weights().to_dict("records")
    assert found["weights"] == pytest.approx(0.5)  # half of the live ones, wherever they are
    assert found["all weights"] == pytest.approx(0.5 * (100 + 100) / 1000)
    assert found["live"] == pytest.approx(0.2) and found["n_weights"] == 32


def with_weights(run, density):
    """A "sparsity" record whose live weights have this density of gradient, and 0.3 of conv1's outputs."""
    live = densities._live(run.but(seed=0))
    rows = [{"layer": n, "size": 100, "0_mean": density * live[n]} for n in ("conv1.weight", "layer4.1.conv2.weight")]
    write("sparsity", run, 0.2, weight_eval=rows, weight_n=32)


def test_networks_are_listed_by_data_set_and_cell_then_variant():
    for dataset, value, pool in itertools.product(("cifar100", "cifar10"), (0.0, 0.001), ("avg", "max")):
        with_weights(Run.make("cpu", dataset=dataset, weight_decay=value, pool=pool), 0.5)
    listed = densities.weights()[["dataset", "variant", "pool"]].values.tolist()
    cells = [[d, v] for d in ("cifar10", "cifar100") for v in ("", "weight decay 0")]
    assert listed == [[*cell, pool] for cell in cells for pool in ("max", "avg")]


def test_weight_decay_is_compared_within_every_cell_that_has_both():
    for seed, profile in ((0, "cpu"), (1, "cpu"), (0, "sweep")):
        for pool, gain in (("max", 0.1), ("avg", 0.2)):
            run = Run.make(profile, pool=pool, seed=seed)
            with_weights(run, 0.5)
            with_weights(run.but(weight_decay=0.0), 0.5 + gain)
    with_weights(Run.make("cpu", seed=7), 0.9)  # without a counterpart
    with_weights(Run.make("cpu", pool="avg", seed=8, weight_decay=0.0), 0.9)
    found = decay.pairs()
    assert sorted(set(found["epochs"])) == [4, 5] and len(found) == 6 and 7 not in set(found["seed"])
    gain = (found["weights without"] - found["weights"]).groupby(found["pool"]).agg(["min", "max"])
    assert gain.loc["max"].tolist() == pytest.approx([0.1, 0.1]) and gain.loc["avg"].tolist() == pytest.approx(
        [0.2] * 2
    )
    assert found["conv1"].tolist() == [1.0] * 6  # the layer's output, from the other half of the record
    said = decay.sentences(found)
    assert len(said) == 6  # two cells, each of them two pools and their difference
    assert (
        "max pooling: without weight decay 60.0 % of the live weights' gradient is non-zero, with it 50.0 %" in said[0]
    )
    assert "a difference of 10.0 points" in said[0] and "2 seeds, n = 32; reduced scale, indicative" in said[0]
    assert "is -10.0 points" in said[2] and "+0.0 with" in said[2]
    assert decay.rows(found)["live weights, decay 0 (%)"].tolist() == ["60.0", "60.0", "70.0", "70.0", "60.0", "70.0"]


def test_without_a_pair_nothing_is_said_of_weight_decay():
    with_weights(Run.make("cpu"), 0.5)
    none = decay.pairs()
    assert none.empty and decay.rows(none).empty and "nothing can be said" in decay.sentences(none)[0]


def test_both_settings_of_a_pair_are_measured_on_the_same_images():
    run = Run.make("cpu")
    with_weights(run, 0.5)
    with_weights(run.but(weight_decay=0.0), 0.6)
    rows = json.loads(ledger.path("sparsity", run.name).read_text())["results"]["weight_eval"]
    write("trail", run, 0.2, n=256, weight_eval=[r | {"0_mean": 0.0} for r in rows])
    assert densities.weights().set_index("run").loc[run.name, "weights"] == 0  # 256 images where there are
    assert decay.pairs()["weights"].tolist() == pytest.approx([0.5])


def test_commands_run_what_they_name():
    for run in (Run(), Run.make("sweep", coding="rate"), Run.make("cpu", dataset="cifar100", pool="avg", seed=3)):
        words = gaps.command(run).split()
        assert words[:5] == ["python", "-m", "snnpaper", "train", "--profile"]
        flags = dict(zip(words[6::2], words[7::2], strict=True))
        given = {k.removeprefix("--"): type(getattr(run, k.removeprefix("--")))(v) for k, v in flags.items()}
        assert Run.make(words[5], **given) == run


def test_costs_scale_with_work_and_absent_data_says_so():
    run = Run.make("cpu")
    write("train", run, 1.0)
    assert gaps.time_text(run) == "60 s of training on C"
    assert gaps.time_text(run.but(epochs=40)) == "10 min of training on C"
    assert gaps.time_text(run.but(T=5, train_images=22_500)) == "15 s of training on C"
    ledger.path("train", run.name).unlink()
    assert "no run is recorded" in gaps.time_text(run)
    gone = gaps.missing("cifar10dvs", arch="resnet34")
    assert (
        gone["cost"].endswith("snnpaper fetch cifar10dvs") and "--dataset cifar10dvs --arch resnet34" in gone["command"]
    )


def test_densities_of_an_empty_ledger_are_empty():
    assert densities.frame().empty and isinstance(densities.frame(), pd.DataFrame)


def test_chain_keeps_data_sets_apart_and_marks_what_was_changed():
    for run in (Run.make("cpu"), Run.make("cpu", weight_decay=0.0), Run.make("cpu", dataset="cifar100", pool="avg")):
        with_weights(run, 0.5)
    axes = figures.chain(densities.weights()).axes
    assert [ax.get_title() for ax in axes] == ["CIFAR-10", "CIFAR-100"]
    drawn = [{line.get_label(): len(line.get_xdata()) for line in ax.get_lines()} for ax in axes]
    assert drawn[0] == {"max, published": 1, "max, changed": 1, "avg, published": 0, "avg, changed": 0}
    assert drawn[1] == {"max, published": 0, "max, changed": 0, "avg, published": 1, "avg, changed": 0}
