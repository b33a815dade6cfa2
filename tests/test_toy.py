"""A new pool and a new data set are one entry each: they train, are attacked and recorded, and disturb no table."""

import shutil

import pandas as pd
import pytest
import torch

from snnpaper import ledger, zoo
from snnpaper.attacks.gradients import Backward, backward
from snnpaper.attacks.standard import EVAL, TRAIN
from snnpaper.config import Run
from snnpaper.config import home as checkout
from snnpaper.measure import experiment
from snnpaper.nets import data, pools
from snnpaper.nets.windows import added, windows
from snnpaper.report import page, tables, words
from snnpaper.report.attacks import tables as attacked
from snnpaper.report.comparison import beside, claims, deviations, failures, figures, verdicts
from snnpaper.report.trail import decay, densities
from snnpaper.report.trail import figures as trail

FIVE = Run.make("cpu")  # the cell of which both pools are recorded with five seeds
TINY = Run.make("demo", width=4, epochs=1, train_images=64)
SPACES = (("pixel", EVAL), ("spike", EVAL), ("spike", TRAIN))


def whole(x, window, *_):
    return added(windows(x, window))


def entry() -> pools.Entry:
    return pools.Entry("sum pooling", "#000000", "x", whole)


@pytest.fixture
def home(tmp_path, monkeypatch, few_images):
    """A home of its own that holds copies of the recorded runs of one cell."""
    for kind in ("train", "robustness", "sparsity", "deviations"):
        (tmp_path / "results" / kind).mkdir(parents=True)
        for pool in ("max", "avg"):
            for seed in range(5):
                file = checkout() / "results" / kind / f"{FIVE.but(pool=pool, seed=seed).name}.json"
                if file.exists():
                    shutil.copy(file, tmp_path / "results" / kind)
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    monkeypatch.setattr(experiment, "_TRAIN_CHECK", 20)
    return tmp_path


def with_toy(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, and one network more, with the toy pool, in every cell of it."""
    one = frame[(frame["seed"] == 0) & (frame["pool"] == "avg")]
    return pd.concat([frame, one.assign(pool="toy", run=one["run"] + "-toy")], ignore_index=True)


def paired(acc: pd.DataFrame, learned: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """All that the chapters say of max beside avg."""
    said = [tables.contrast(acc).to_json(), *words.readings(acc), page.threat_model(acc, "pixel")]
    said += [words.trade_off(acc, *key).to_json() for key in SPACES]
    said += [beside.generalisation(learned).to_json(), beside.grid(acc).to_json()]
    main = densities.main_cell(found)
    return [*said, main.to_json(), densities.locate(20.0, main).to_json()]


def test_a_third_pool_of_one_seed_changes_no_row_of_max_minus_avg(home, monkeypatch):
    monkeypatch.setitem(pools.TABLE, "toy", entry())
    acc, learned, found = tables.accuracies(), tables.training(), densities.frame()
    before = paired(acc, learned, found)
    assert "5 seeds" in page.threat_model(acc, "pixel") and len(tables.contrast(acc)) > 5
    acc, learned, found = (with_toy(frame) for frame in (acc, learned, found))
    assert paired(acc, learned, found) == before
    toy = tables.contrast(acc, ("toy", "avg"))  # of the same network under another name
    assert len(toy) and set(toy["seeds"]) == {1} and (toy["difference"] == 0).all()
    assert list(words.trade_off(acc, "pixel", pair=("toy", "avg")).columns)[:3] == ["toy", "avg", "toy − avg"]


def test_a_toy_pool_is_trained_recorded_and_shown(home, monkeypatch):
    before = verdicts.comparisons(), claims.claims()
    monkeypatch.setitem(pools.TABLE, "toy", entry())
    run = TINY.but(pool="toy")
    experiment.run_all(run, progress=False)
    assert ledger.run_of(run.name) == run and "-toy-s0-" in run.name
    acc, learned, found = tables.accuracies(), tables.training(), densities.frame()
    assert "toy" in set(acc["pool"]) & set(learned["pool"]) & set(found["pool"])
    assert learned.set_index("run").loc[run.name, "images"] == 64
    assert verdicts.comparisons().drop(columns="runs").equals(before[0].drop(columns="runs"))
    assert claims.claims().drop(columns="runs").equals(before[1].drop(columns="runs"))
    marks, rows = failures.failures(), attacked.rows()
    assert "sum pooling" in "".join(marks["where"]) and page.short_links([run.name]).startswith("toy&nbsp;<a")
    assert len(deviations.effects()) and len(beside.reported(acc, rows, "digits")) and rows.empty
    assert "sum pooling" in beside.reported(acc, rows, "digits")["method"].iloc[0]
    decay.sentences(decay.pairs())
    here = acc[(acc["space"] != "spike") & (acc["method"] != "fgsm")]
    shown = here.assign(attack=[words.attack_text(r) for _, r in here.iterrows()], what=here["method"], depth=18)
    linked = densities.weights()
    drawn = [
        figures.generalisation(learned),
        figures.depth(shown), figures.differences(tables.contrast(acc)), trail.chain(linked),
        trail.every_layer(densities.over(found[found["place"] != ""], ["pool", "mode", "layer"], "0")),
    ]  # fmt: skip
    named = ["".join(ax.get_legend_handles_labels()[1]) for f in drawn for ax in f.axes]
    assert sum("sum pooling" in text for text in named) >= 3 and any("toy, " in text for text in named)
    assert linked["pool"].drop_duplicates().tolist()[-1] == "toy" or "toy" in set(linked["pool"])
    net = zoo.load(run.name)[1].net
    x = (torch.rand(2, 2, 3, 32, 32) < 0.5).float()
    with backward(net, Backward(pool="toy")):
        assert net(x).shape == (2, 10)


def test_a_toy_data_set_is_trained_on_and_attacked(home, monkeypatch):
    def read():
        g = torch.Generator().manual_seed(0)
        y = torch.arange(80) % 4
        x = torch.randint(0, 60, (80, 1, 16, 16), generator=g) + 60 * y[:, None, None, None]
        images = data.Images(x.to(torch.uint8), y)
        return images.first(64), data.Images(images.x[64:], y[64:])

    monkeypatch.setitem(data.TABLE, "toy", data.Dataset("Toy", 4, (1, 16, 16), 48, 16, 16, True, read))
    run = Run.make("demo", dataset="toy", width=4, T=2, epochs=1, batch_size=16)
    assert run.images == 48 and run.scale == "reduced"
    experiment.run_all(run, progress=False)
    trained = ledger.read("train", run.name)["results"]
    assert trained["test_n"] == 16
    acc = tables.accuracies()
    assert set(acc.loc[acc["run"] == run.name, "method"]) == {"clean", "fgsm", "pgd"}
    assert words.where(tables.cell(run)).startswith("Toy, SEW-ResNet-18, width 4")
    assert zoo.load(run.name)[1].net.conv1.in_channels == 1
