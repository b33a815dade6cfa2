"""The appendix's tables follow the record, and the benchmark's contenders do the same work."""

import copy
import time
from types import SimpleNamespace

import pytest
import torch

from benchmarks import contenders
from benchmarks import speed as bench
from benchmarks.throughput import throughput
from snnpaper import ledger
from snnpaper.config import Run
from snnpaper.report import speed

SMALL = Run.make("paper", width=8, T=2, batch_size=4)


@pytest.fixture(scope="module")
def record():
    return speed.newest("cpu")


def test_ratios_follow_the_times(record):
    changed = copy.deepcopy(record)
    for row in changed["results"]["compared"]:
        if row["contender"] == "ours":
            row["images_per_s"] *= 2
    a, b = speed.compared(record), speed.compared(changed)
    torch.testing.assert_close(torch.tensor(b["speed over plain"]), 2 * torch.tensor(a["speed over plain"]))
    torch.testing.assert_close(torch.tensor(b["time over the floor's"]), torch.tensor(a["time over the floor's"]) / 2)
    timed = sum(row["contender"] == "ours, early exit" for row in record["results"]["compared"])
    assert a["with early exit"].notna().sum() == timed > 0
    assert a.loc[a["what"] == "train step", "with early exit"].isna().all()


def test_every_axis_of_the_cost_figure_has_its_points(record):
    points = speed.costs(record)
    assert points.groupby("axis").size().to_dict() == {"T": 4, "arch": 3, "batch_size": 4, "size": 3, "width": 3}
    figure = speed.cost_figure(points)
    drawn = figure.axes[0].lines[0].get_xydata()
    for row, measure in ((0, "ms"), (1, "mib")):  # nothing is cut off
        assert figure.axes[5 * row].get_ylim()[1] > points[measure].max()
    assert drawn.tolist() == points[points["axis"] == "T"][["value", "ms"]].to_numpy().tolist()


def test_the_longest_trained_network_is_attacked(monkeypatch):
    runs = [Run.make("sweep"), Run.make("cpu"), Run.make("cpu", seed=1), Run.make("cpu", neuron="ReLU", epochs=9)]
    monkeypatch.setattr(bench.ledger, "records", lambda kind: [{"config": r.to_dict()} for r in runs])
    monkeypatch.setattr(
        bench.zoo, "load", lambda name: (None, SimpleNamespace(net=SimpleNamespace(state_dict=lambda: name)))
    )
    assert bench.trained(Run.make("paper", width=16)) == Run.make("cpu").name
    assert bench.trained(Run.make("paper", width=32)) is None


def test_a_gpu_s_grid_is_told_apart_by_depth_and_steps(record):
    wider = copy.deepcopy(record)
    rows = wider["results"]["compared"]
    wider["results"]["compared"] = [
        r | {"arch": a, "T": t} for r in rows for a in ("resnet18", "resnet34") for t in (4, 10)
    ]
    assert len(speed.compared(wider)) == 4 * len(speed.compared(record))


def test_no_record_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    with pytest.raises(ledger.LedgerError, match="no speed record for cuda.*make bench"):
        speed.newest("cuda")


def test_all_contenders_compute_the_same_step():
    """Plain, ours and the variants train to the same loss from the same weights; otherwise times mean nothing."""
    x, y = bench.noise(8, "cpu")
    weights = contenders.Ours(SMALL, x, y).net.state_dict()
    after = {}
    for name, kind in contenders.CONTENDERS.items() | contenders.VARIANTS.items():
        if issubclass(kind, contenders.Floor) or name in (
            "bfloat16",
            *(n for n, w in contenders.ONLY.items() if w == "attack"),
        ):
            continue
        one = kind(SMALL, x, y, weights)
        for what in ("train_step", "attack"):
            if contenders.ONLY.get(name, what) == what:
                getattr(one, what)()
        after[name] = one.net.layer4.state_dict()["0.conv1.weight"].flatten()
    ours = after.pop("ours")
    for name, other in after.items():
        # Adam's first step is the sign of the gradient: entries whose gradient is rounding alone may differ
        assert ((ours - other).abs() > 1e-4).float().mean() < 0.01, name


def test_a_benchmark_runs_and_prints_its_ratios():
    kinds = {k: contenders.CONTENDERS[k] for k in ("plain", "ours", "floor")}
    rows = bench.compare({"width": 8, "T": 2, "batch_size": 4}, kinds, "cpu", 3)
    assert {r["what"] for r in rows} == {"train_step", "attack"} and all(r["median"] > 0 for r in rows)
    assert "x plain's speed" in bench.table(rows)


@pytest.mark.slow
def test_throughput_is_of_one_process_and_of_two():
    rows = throughput({"width": 4, "T": 2, "batch_size": 2}, steps=2)
    assert [(r["processes"], r["threads"], len(r["images_per_s"])) for r in rows] == [(1, 2, 1), (1, 1, 1), (2, 1, 2)]
    assert all(rate > 0 for r in rows for rate in r["images_per_s"])


def test_what_does_not_fit_is_named_and_loses_nothing():
    def measure(setting):
        if setting["T"] == 4:
            raise torch.OutOfMemoryError
        return setting["T"]

    settings = [{"T": 10}, {"T": 4}, {"T": 2}]
    box = bench.Box(time.monotonic() + 60)
    assert box.each("compare", settings, measure) == [10, 2]
    box.deadline = 0
    assert box.each("profile", settings[:1], measure) == []
    wanting = [(s["what"], s["T"], s["for want of"]) for s in box.left_out]
    assert wanting == [("compare", 4, "memory"), ("profile", 10, "time")]
