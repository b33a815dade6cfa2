"""Chapter 8's tables and figures, from records whose truth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from snnpaper import cost, ledger
from snnpaper.config import Run
from snnpaper.nets.events import Events
from snnpaper.report import tables as shared
from snnpaper.report import words
from snnpaper.report.attacks.tables import WORST
from snnpaper.report.comparison import deviations
from snnpaper.report.events import figures, tables
from snnpaper.report.findings import check
from snnpaper.report.findings import events as said
from snnpaper.report.trail import densities

N = 40
IMAGE = Run.make("cpu")
SEEDS = 5
RADII = {"counts": (1, 2), "frames": (0.05, 0.1), "events": (8, 32, 256)}


def results(stand: int, of: int) -> dict:
    """A record "events": `of` recordings are right, and `stand` of them under every attack but whole counts."""

    def first(fooled_at: int) -> list[int]:
        return [-1] * stand + [fooled_at] * (of - stand) + [-2] * (N - of)

    clean = np.arange(N) < of
    threats = [{"space": s, "algorithm": "PGD", "radii": list(RADII[s]), "first": first(0)} for s in ("frames",)]
    threats.append({"space": "counts", "algorithm": "PGD", "radii": [1, 2], "first": [0] * of + [-2] * (N - of)})
    for kinds in (["add", "remove", "shift"], ["add"], ["remove"], ["shift"]):
        threats.append({"space": "events", "algorithm": "guided moves", "kinds": kinds, "radii": list(RADII["events"]),
                        "first": [2] * stand + [1] * (of - stand) + [-2] * (N - of)})  # fmt: skip
    threats.append({"space": "events", "algorithm": "random moves", "kinds": ["add", "remove", "shift"],
                    "radii": list(RADII["events"]), "first": [-1] * of + [-2] * (N - of)})  # fmt: skip
    attacks = [
        {"algorithm": "random moves", "whole": True, "correct": ledger.pack(clean)},
        {"algorithm": "guided moves", "whole": True, "correct": ledger.pack(np.arange(N) < 2 * of - 44)},
        {"algorithm": "guided moves", "whole": False, "correct": ledger.pack(np.arange(N) < stand)},
    ]
    battery = {"budget": 32, "clean": ledger.pack(clean), "robust": ledger.pack(np.arange(N) < stand)}
    return {"n": N, "threats": threats, "batteries": [battery | {"attacks": attacks}], "entries": 0.08}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Five seeds of both pools on N-MNIST, alike in the worst case, and one network of another setting."""
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    layers = [("input", 1.0), ("conv1", 0.5), ("sn1", 0.25)]
    for seed in range(SEEDS):
        for pool, of in (("max", 36), ("avg", 32)):
            run = tables.SHOWN["nmnist"].but(pool=pool, seed=seed)
            ledger.append("events", run, results(10 + seed % 2, of), 1.0)
            rows = [
                {"layer": n, "kind": n, "size": 100} | {f"{m}_mean": v for m in ("0", "1e-12", "1e-8", "1e-6 max",
                 "norm", "effective")} for n, v in layers
            ]  # fmt: skip
            ledger.append("sparsity", run, {"activation_n": 4, "activation_eval": rows, "activation_train": rows}, 1.0)
    ledger.append("events", tables.SHOWN["nmnist"].but(epochs=1), results(40, 40), 1.0)


def test_curves_and_worst_cases_are_those_of_the_records(recorded):
    found = tables.curves("nmnist")
    assert found["run"].nunique() == 2 * SEEDS and len(tables.curves("cifar10sim")) == 0
    assert set(found["threat"]) == {tables.COUNTS, tables.FRAMES, tables.GUIDED, tables.RANDOM, *tables.KINDS}
    one = found[(found["pool"] == "max") & (found["seed"] == 0)].set_index(["threat", "radius"])["accuracy"]
    assert one[tables.GUIDED, 0] == 36 / N and one[tables.GUIDED, 8] == 36 / N and one[tables.GUIDED, 32] == 10 / N
    assert one[tables.GUIDED, 256] == 0 and one[tables.RANDOM, 256] == 36 / N and one[tables.COUNTS, 1] == 0
    battery = tables.worst("nmnist")
    assert set(battery["attack"]) == {"clean", WORST, "random moves", tables.OWN}  # who saw only some has no accuracy
    left = battery[battery["attack"] == WORST]
    assert all(row["accuracy"] == (10 + row["seed"] % 2) / N for _, row in left.iterrows()) and len(left) == 2 * SEEDS


def test_the_comparison_is_paired_and_says_what_it_is_of(recorded):
    found = tables.compared("nmnist").set_index("what")
    assert found.loc["clean", "difference"] == pytest.approx(4 / N) and found.loc["clean", "seeds"] == SEEDS
    worst = found.loc["32 moves, worst case"]
    assert worst["difference"] == 0 and worst["half"] > 0
    assert tables.compared("cifar10sim").empty
    assert found.loc["32 moves, own gradient", "difference"] == pytest.approx(8 / N)
    text = tables.text(found.reset_index())
    assert set(text["seeds"]) == {f"{SEEDS} seeds"} and text[words.minus()].str.contains("±").all()
    check(
        said.own_gradient(tables.worst("nmnist")),
        said.pools_real(found.reset_index()),
        said.one_event(tables.curves("nmnist")),
        said.guided(tables.curves("nmnist")),
    )


def test_a_finding_that_the_records_contradict_is_refused(recorded):
    found = tables.compared("nmnist")
    apart = found.assign(difference=0.5, half=0.1)
    with pytest.raises(AssertionError, match="do not bear this out"):
        check(said.pools_real(apart))
    with pytest.raises(AssertionError, match="smallest whole step"):
        check(said.one_event(tables.curves("nmnist").assign(accuracy=0.5)))


def test_networks_on_events_of_our_own_are_no_cells_of_the_paper(recorded):
    frame = shared.pd.DataFrame(
        shared.cell(Run(dataset=name)) for name in ("cifar10", "cifar10dvs", "nmnist", "cifar10sim")
    )
    assert (frame["variant"] == "").all()
    assert shared.published(frame)["dataset"].tolist() == ["cifar10", "cifar10dvs"]


def test_other_pages_see_no_network_on_events_of_our_own_and_no_cost_of_theirs(recorded):
    assert densities.frame().empty and densities.weights(trails=False).empty
    assert densities.frame(ours=True)["run"].nunique() == 2 * SEEDS
    image, event = Run.make("cpu"), tables.SHOWN["nmnist"]
    for run, seconds in ((image, 100.0), (event, 900.0)):
        ledger.append("train", run, {"test_accuracy": 0.5}, seconds)
    made = sorted(ledger.records("train"), key=lambda r: r["provenance"]["wall_seconds"])
    for run, seconds in ((image, 100.0), (event, 900.0)):
        (taken,) = cost.rates(run.but(seed=3), made)[1].values()
        assert taken == [seconds / cost.work(run)]
    (taken,) = cost.rates(event, made[:1])[1].values()  # better than nothing
    assert taken == [100.0 / cost.work(image)]


def test_a_reader_s_network_on_events_has_no_code_to_retrain_otherwise(recorded):
    """Chapter 3 with `-p dataset nmnist` records a network that chapter 10 meets beside those on images."""
    kept = json.loads((Path(__file__).parents[1] / "results/robustness" / f"{IMAGE.name}.json").read_text("utf-8"))
    before = len(deviations.effects())
    ledger.append("robustness", tables.SHOWN["nmnist"], kept["results"], 1.0)
    assert len(deviations.effects()) == before
    ledger.append("robustness", IMAGE, kept["results"], 1.0)
    ledger.append("robustness", IMAGE.but(weight_decay=0.0), kept["results"], 1.0)
    assert (deviations.effects()["key"] == "decay").sum() == 2  # clean and under attack, of the images alone


def test_every_figure_is_drawn(recorded):
    g = np.random.default_rng(0)
    made = Events(np.arange(90) * 1000, g.integers(0, 34, 90), g.integers(0, 34, 90), g.integers(0, 2, 90))
    assert len(figures.unrolled({"a": (made, 34), "b": (made, 34)}).axes) == 4
    firing = torch.randint(0, 10, (10, 9, 9))
    drawn = figures.framed(torch.randint(0, 5, (10, 2, 34, 34)), firing)
    assert len(drawn.axes) == 21
    before = torch.zeros(34, 34)
    assert len(figures.moved(before, before + 1).axes) == 3
    found = tables.compared("nmnist")
    (ax,) = figures.differences(found).axes
    assert len(ax.containers) == len(found) == 4  # clean, frames, own gradient, worst case
    grads = tables.gradients()
    assert set(grads["dataset"]) == {"nmnist"} and len(grads) == 4 and (grads["half"] == 0).all()
    shares = {tuple(line.get_ydata()) for ax in figures.densities(grads).axes for line in ax.lines}
    assert (100.0,) in shares and (25.0,) in shares
