"""Data sets of events: from files to frames to a recorded run; a cell of CIFAR10-DVS end to end; what is missing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from snnpaper import campaign, ledger, measure, zoo
from snnpaper.config import Run
from snnpaper.measure import experiment
from snnpaper.nets import data
from snnpaper.nets.events import EventFileError, Events, frames, write_aedat, write_bin
from snnpaper.nets.recordings import CLASSES


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home, few images, and data folders of their own."""
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path / "data"))
    small = {
        "robustness": {"images": 4, "settings": {"radii": (8,), "train_batch": 4}},
        "sparsity": {"images": 4, "settings": {"weight_images": 1}},
        "events": {"images": 3, "settings": {"counts": (1,), "fine": (0.5, 1), "budgets": (8, 64), "worst": (16,),
                                             "steps": 2}},
    }  # fmt: skip
    for kind, changes in small.items():
        monkeypatch.setitem(measure.TABLE, kind, replace(measure.TABLE[kind], **changes))
    return tmp_path


def dvs(folder, train=2, test=1) -> int:
    """Files of CIFAR10-DVS's names and format, of random events; how many recordings to train on and to test on."""
    g = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for i in [*range(test), *range(100, 100 + train)]:
            t, (x, y), p = np.sort(g.integers(0, 10**6, 4000)), g.integers(0, 128, (2, 4000)), g.integers(0, 2, 4000)
            write_aedat(folder / name / f"cifar10_{name}_{i}.aedat", Events(t, x, y, p))
    return len(CLASSES)


def small(monkeypatch, name: str, train: int, validation: int, test: int) -> None:
    entry = replace(data.TABLE[name], train=train, validation=validation, test=test)
    monkeypatch.setitem(data.TABLE, name, entry)


def test_a_run_on_events_takes_frames_and_older_names_stay():
    run = Run(dataset="nmnist", pool="avg")
    assert run.coding == "frames" and run == Run(dataset="nmnist", pool="avg", coding="frames")
    assert Run.from_dict(run.to_dict()) == run
    assert Run().name == "cifar10-sew18-w64-max-s0-44136fa355"
    with pytest.raises(ValueError, match="coding is 'latency'; allowed for nmnist: frames"):
        Run(dataset="nmnist", coding="latency")
    with pytest.raises(ValueError, match="coding is 'frames'; allowed for cifar10: phase, "):
        Run(coding="frames")
    with pytest.raises(ValueError, match="T is 4; allowed for nmnist: 10, its frames"):
        Run(dataset="nmnist", T=4)


def test_the_few_recordings_in_the_book_are_read_without_any_data(home):
    splits = data.load("nmnist_few")
    assert {k: tuple(v.x.shape) for k, v in splits.items()} == {
        "validation": (10, 10, 2, 34, 34), "train": (20, 10, 2, 34, 34), "test": (10, 10, 2, 34, 34)}  # fmt: skip
    assert sorted(splits["test"].y.tolist()) == list(range(10)) and splits["test"].x.max() < 20
    assert splits["test"].x.flatten(1).sum(1).min() > 500


def test_n_mnist_is_the_same_packed_and_as_files(home, monkeypatch):
    small(monkeypatch, "nmnist", 3, 1, 2)
    g, root = np.random.default_rng(0), home / "data"
    made = [
        Events(np.sort(g.integers(0, 2**18, 50)), *g.integers(0, 34, (2, 50)), g.integers(0, 2, 50)) for _ in range(7)
    ]
    labels, is_test, ids = [3, 1, 0, 2, 9, 5, 7], [0, 0, 0, 0, 0, 1, 1], [1, 2, 3, 4, 5, 1, 2]
    for e, label, test, i in zip(made, labels, is_test, ids, strict=True):
        file = root / "N-MNIST" / ("Train", "Test")[test] / str(label) / f"{i:05}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bin(file, e)
    from_files = data.load("nmnist")
    arrays = {k: np.concatenate([getattr(e, k[0]) for e in made]) for k in ("t_us", "x", "y", "p")}
    np.savez(root / "nmnist_small.npz", **arrays, label=np.array(labels), is_test=np.array(is_test),
             offset=np.arange(0, 351, 50))  # fmt: skip
    packed = data.load("nmnist")
    assert {k: v.sha256 for k, v in packed.items()} == {k: v.sha256 for k, v in from_files.items()}
    assert packed["test"].y.tolist() == [5, 7] and np.array_equal(packed["test"].x[0], frames(made[5], 10, 34, 34))
    assert sorted(torch.cat([packed["train"].y, packed["validation"].y]).tolist()) == [0, 1, 2, 3]  # not the fifth


def test_data_that_is_not_there_or_not_whole_is_named(home, monkeypatch):
    with pytest.raises(
        data.DataUnavailable, match=r"nmnist cannot be read: .*N-MNIST/Train holds 0 of 1,000 recordings"
    ):
        data.load("nmnist")

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", offline)
    with pytest.raises(
        data.DataUnavailable, match=r"no route to host.*snnpaper fetch cifar10dvs.*No split is official"
    ):
        data.load("cifar10dvs")
    assert not data.available("cifar10dvs")  # what failed left nothing that looks like data
    dvs(home / "data" / "CIFAR10DVS")
    assert data.available("cifar10dvs")
    with pytest.raises(data.DataUnavailable, match="holds 20 of 9,000 recordings"):
        data.load("cifar10dvs")


def test_a_damaged_recording_is_named_not_binned(home, monkeypatch):
    small(monkeypatch, "cifar10dvs", 10, 10, 10)
    dvs(home / "data" / "CIFAR10DVS")
    file = home / "data" / "CIFAR10DVS" / "frog" / "cifar10_frog_101.aedat"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(EventFileError, match="cifar10_frog_101.aedat is cut off"):
        data.load("cifar10dvs")


def test_a_cell_of_cifar10dvs_runs_as_soon_as_its_files_are_there(home, monkeypatch):
    small(monkeypatch, "cifar10dvs", 16, 4, 10)
    grid = home / "g.yml"
    fixed = {"dataset": "cifar10dvs", "width": 4, "epochs": 1, "batch_size": 8}
    grid.write_text(
        yaml.safe_dump([{"block": "events", "profile": "paper", "fixed": fixed, "over": {"pool": ["avg"]}}])
    )
    said = []
    campaign.run(grid, render_chapter=False, say=said.append)
    assert said == ["cifar10dvs is not on disk and its cells are skipped; python -m snnpaper fetch cifar10dvs"]
    assert "data absent: python -m snnpaper fetch cifar10dvs" in campaign.status(grid)
    dvs(home / "data" / "CIFAR10DVS" / "extract")  # where a download is unpacked
    assert campaign.run(grid, render_chapter=False, say=said.append)
    (cell,) = campaign.cells(grid)
    assert "events: 1 of 1 cells done" in campaign.status(grid)
    found = ledger.read("robustness", cell.name)["results"]
    assert found["n"] == 4 and {a["space"] for a in found["attacks"]} == {"pixel", "spike"}
    rows = ledger.read("sparsity", cell.name)["results"]["activation_eval"]
    assert rows[0]["layer"] == "input" and rows[0]["size"] == 10 * 2 * 48 * 48
    assert zoo.load(cell.name)[1].net.conv1.in_channels == 2
    kept = list((home / "data" / "CIFAR10DVS").glob("extract/../frames-10x48-*.npz"))
    assert len(kept) == 1  # and the second reading is of the frames
    monkeypatch.setattr("snnpaper.nets.recordings.read_aedat", None)
    assert len(data.load("cifar10dvs")["test"]) == 10


def test_simulated_events_are_made_once_and_kept(home, monkeypatch):
    small(monkeypatch, "cifar10sim", 2, 1, 1)
    images = data.Images(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), torch.arange(4))
    monkeypatch.setattr(data, "_cifar", lambda name: (images, images))
    made = data.load("cifar10sim")
    assert {k: len(v) for k, v in made.items()} == {"validation": 1, "train": 2, "test": 1}
    assert made["test"].x.shape == (1, 10, 2, 48, 48) and made["test"].x.float().mean() > 0.1
    monkeypatch.setattr("snnpaper.nets.camera.film", None)
    assert data.load("cifar10sim")["train"].sha256 == made["train"].sha256
    (kept,) = data.root().glob("cifar10sim/frames-*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(EventFileError, match=f"{kept.name} is damaged .*; delete it, and it is made again"):
        data.load("cifar10sim")


def test_how_many_events_fool_a_network_is_recorded(home, monkeypatch):
    run = Run.make("demo", dataset="nmnist_few", width=4, epochs=1, batch_size=10)
    experiment.train_stage(run, progress=False)
    read = data.load("nmnist_few")
    classified = data.Images(read["test"].x, zoo.load(run.name)[1](read["test"].x).argmax(1))  # all correctly
    monkeypatch.setattr(data, "load", lambda name: read | {"test": classified})
    assert measure.make("events", run) and not measure.make("events", run)
    found = ledger.read("events", run.name)["results"]
    assert len(found["threats"]) == 7 and all(len(t["first"]) == 3 for t in found["threats"])
    assert all(set(t["first"]) <= {-1, *range(len(t["radii"]))} for t in found["threats"])
    (battery,) = found["batteries"]
    worst, *each = (ledger.unpack(bits, 3) for bits in (battery["robust"], *(r["correct"] for r in battery["attacks"])))
    assert len(each) == 7 and all((worst <= one).all() for one in each)
    assert 0.05 < found["entries"] < 0.3
    with pytest.raises(ValueError, match="coding is 'phase'; allowed for events: frames"):
        measure.make("events", Run.make("demo"))
