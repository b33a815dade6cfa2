"""Files whole or not at all; what is recorded stays; what others leave in the folders is named and not read."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from snnpaper import campaign, files, ledger, train, zoo
from snnpaper.cli import main
from snnpaper.config import Run
from snnpaper.measure import experiment, make
from snnpaper.measure.kept import Kept
from snnpaper.nets import data
from snnpaper.workers import Busy, alone, claim

TINY = Run.make("demo", width=4, epochs=1, T=2, train_images=64)


@pytest.fixture
def home(tmp_path, monkeypatch, few_images):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    monkeypatch.setattr(experiment, "_TRAIN_CHECK", 20)
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_is_whole_or_as_it_was_and_nothing_is_left(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    files.write(file, "first")
    (tmp_path / "a.json.killed.part").write_text("half")
    with pytest.raises(FileExistsError):
        files.write(file, "second", replace=False)
    assert everything(tmp_path) == {"a.json": b"first"}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for replace in (True, False):
        with pytest.raises(OSError, match="No space left"):
            files.write(file if replace else tmp_path / "b.json", "second", replace=replace)
    assert everything(tmp_path) == {"a.json": b"first"}


def test_a_recorded_network_cannot_be_replaced(home):
    coded = experiment.train_stage(TINY, progress=False)
    before = everything(home)
    with pytest.raises(ledger.LedgerError, match="records are never replaced"):
        zoo.save(TINY, coded.net)
    with pytest.raises(ledger.LedgerError, match="records are never replaced"):
        ledger.append("train", TINY, {}, 1.0, arrays={"x": torch.zeros(3).numpy()})
    assert everything(home) == before


def test_put_never_replaces(home):
    ledger.put(ledger.path("speed", "a"), "first")
    with pytest.raises(ledger.LedgerError, match="a.json is in the ledger already"):
        ledger.put(ledger.path("speed", "a"), "second")
    assert ledger.path("speed", "a").read_text() == "first"


def test_the_work_is_claimed_before_it_begins(home, monkeypatch):
    """A training or a measurement that another process is at is refused, and none of its files is touched."""
    monkeypatch.setattr(experiment, "train", lambda *_, **__: pytest.fail("trained all the same"))
    with claim(f"{TINY.course.name}.train"), claim(f"{TINY.name}.sparsity"):
        for work in (
            lambda: experiment.train_stage(TINY, progress=False),
            lambda: experiment.train_stage(TINY.but(epochs=2), progress=False),  # of the same course
            lambda: experiment.train_together([TINY], "cpu"),
            lambda: make("sparsity", TINY),
        ):
            with pytest.raises(Busy, match="another process works on"):
                work()
    assert not [p for p in home.rglob("*") if p.is_file()]


@pytest.mark.slow
def test_two_processes_on_one_run_leave_one_record_and_its_network(home):
    words = ["train", "--profile", "demo", "--epochs", "2", "--train_images", "256", "--width", "4", "--T", "2"]
    command = [sys.executable, "-m", "snnpaper", *words, "--no-measure", "--device", "cpu"]
    started = [
        subprocess.Popen([*command, "--engine", engine], stderr=subprocess.PIPE, text=True)
        for engine in ("fast", "plain")
    ]
    said = [p.communicate()[1] for p in started]
    assert 0 in [p.returncode for p in started]
    assert all(p.returncode == 0 or "another process works on" in text for p, text in zip(started, said, strict=True))
    (record,) = ledger.records("train")
    assert zoo.load(record["name"])[0].name == record["name"] and not list((home / "runs").iterdir())


def test_a_race_for_one_record_has_one_winner_and_whole_arrays(home):
    won, start = [], threading.Barrier(8)

    def race(i):
        start.wait()
        try:
            with alone("race"):
                ledger.append("curve", TINY, {"by": i}, 1.0, arrays={"x": torch.full((1000,), i).numpy()})
            won.append(i)
        except (ledger.LedgerError, Busy):
            pass

    threads = [threading.Thread(target=race, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(won) == 1 and ledger.read("curve", TINY.name)["results"] == {"by": won[0]}
    assert set(ledger.arrays("curve", TINY.name)["x"]) == set(won)


@pytest.mark.parametrize("lacks", ["write", "link", "lock"])
@pytest.mark.parametrize("work", ["train", "measure", "campaign"])
def test_a_home_that_cannot_keep_records_is_named_before_the_work(home, monkeypatch, lacks, work, tmp_path):
    for name in ("train", "drawn_from"):
        monkeypatch.setattr(train, name, lambda *_, **__: pytest.fail("work was begun"))

    def refuse(*_, **__):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if lacks == "write":
        (home / "zoo").write_text("a file in place of the folder")
    monkeypatch.setattr(*{"write": (os, "nothing"), "link": (os, "link"), "lock": (fcntl, "flock")}[lacks], refuse,
                        raising=False)  # fmt: skip
    grid = tmp_path / "g.yml"
    grid.write_text(json.dumps([{"profile": "demo", "fixed": {"width": 4, "T": 2}}]))
    started = {
        "train": lambda: experiment.train_stage(TINY, progress=False),
        "measure": lambda: make("untrained", TINY),
        "campaign": lambda: campaign.run(grid, render_chapter=False),
    }
    with pytest.raises(OSError, match=f"{home}/.* cannot take records: .*SNNPAPER_HOME names"):
        started[work]()
    assert [p.name for p in home.rglob("*") if p.is_file() and p.name not in ("zoo", "g.yml")] == []


def test_a_disk_that_fills_up_stops_the_work_and_the_same_command_goes_on(home, monkeypatch):
    splits, run = data.load("digits"), TINY.but(epochs=2)
    whole = train.train(run, splits, checkpoint=False, progress=False)
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 1:  # the first epoch's checkpoint is written, the second's is not
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        experiment.train_stage(run, progress=False)
    assert [p.name for p in home.rglob("*") if p.is_file()] == [f"{run.course.name}.pt"]
    monkeypatch.setattr(os, "fsync", real)
    coded = experiment.train_stage(run, progress=False)
    assert zoo.sha256(coded.net) == zoo.sha256(zoo.round_(whole.coded).net) and not list((home / "runs").iterdir())
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20 // 2))
    with pytest.raises(OSError, match="has 0 MiB free, and 5 MiB are needed"):
        experiment.train_stage(run.but(seed=1, width=8), progress=False)


def test_what_a_kill_left_after_a_record_is_put_right(home):
    experiment.train_stage(TINY, progress=False, goes_on=True)
    make("sparsity", TINY)
    kept, card = Kept("sparsity", TINY, {}), home / "zoo" / f"{TINY.name}.md"
    kept("a", dict)
    told = card.read_text()
    card.unlink()
    longer = Kept("robustness", TINY, {})
    longer("a", dict)
    claims = [home / "runs" / f"{name}.claim" for name in (f"{TINY.name}.sparsity", TINY.course.name)]
    for left in claims:
        left.touch()  # of a killed process: nobody holds its lock
    with claim(f"{TINY.name}.robustness") as mine:
        experiment.tidy(TINY)
        assert mine and not any(left.exists() for left in claims)
        assert (home / "runs" / f"{TINY.name}.robustness.claim").exists()
    card.unlink()
    whole = home / "zoo" / f"{TINY.name}.safetensors"
    whole.rename(whole.with_stem(f"{TINY.name}-1"))  # as of a large network
    experiment.tidy(TINY)
    whole.with_stem(f"{TINY.name}-1").rename(whole)
    assert card.read_text() == told and [p for p in (home / "runs").iterdir()] == [longer.folder]
    experiment.train_stage(TINY.but(epochs=2), progress=False, goes_on=True)
    experiment.tidy(TINY)  # the longer training's checkpoint is not the shorter's to delete
    assert train.checkpoint_of(TINY).exists()


@pytest.mark.parametrize(
    "name",
    ["{} (1).json", "{}.sync-conflict-20250101-120000-ABCDEFG.json", "Copy of {}.json", "copy-{}.json", "._{}.json",
     ".DS_Store.json", "{}-NOTEBOOK.json", "desktop (2).json"],
)  # fmt: skip
def test_what_other_tools_leave_is_named_and_not_read(home, capsys, name):
    ledger.append("train", TINY, {"test_accuracy": 0.5}, 1.0)
    stray = home / "results" / "train" / name.format(TINY.name)
    stray.write_bytes(b"\0\1" if name[0] == "." else ledger.path("train", TINY.name).read_bytes())
    assert [r["name"] for r in ledger.records("train")] == [TINY.name]
    assert ledger.strangers() == [stray]
    (grid := home / "g.yml").write_text("[{profile: demo}]")
    main(["status", "--grid", str(grid)])
    assert stray.name in capsys.readouterr().out


def test_a_copy_of_a_network_s_files_is_not_loaded(home, monkeypatch):
    monkeypatch.setattr(zoo, "_SHARD", 10_000)
    experiment.train_stage(TINY, progress=False)
    files_ = zoo.files_of(TINY.name)
    shutil.copy(files_[0], files_[0].with_name(f"{TINY.name}-1 (1).safetensors"))
    assert zoo.files_of(TINY.name) == files_ and zoo.load(TINY.name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("null", "holds NoneType; allowed: an object of kind"),
        ("[1]", "holds list"),
        ('{"kind": "train"}', "lacks name, config, scale, results, provenance"),
        ("\udcff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": NaN}', "is not JSON: NaN is no number"),
    ],
)
def test_a_damaged_record_is_named(home, text, said):
    file = ledger.path("train", TINY.name)
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    for read in (lambda: ledger.read("train", TINY.name), lambda: ledger.records("train")):
        with pytest.raises(ledger.LedgerError, match=f"train/{TINY.name}.json {said}"):
            read()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": None}, "config has another form"),
        ({"config": {"dataset": "imagenet"}}, "describes no run: dataset is 'imagenet'"),
        ({"config": {"flavour": 1}}, "describes no run: unknown parameter flavour"),
        ({"config": TINY.but(seed=7).to_dict()}, "describes another run"),
        ({"results": [1]}, "results has another form"),
        ({"name": 3}, "name has another form"),
        ({"name": "somebody"}, "is a copy: it holds the train record of somebody"),
        ({"kind": "curve"}, "is a copy: it holds the curve record"),
    ],
)
def test_a_record_of_something_else_is_named(home, changes, said):
    file = ledger.append("train", TINY, {}, 1.0)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ledger.LedgerError, match=f"train/{TINY.name}.json:? {said}"):
        ledger.read("train", TINY.name)


@pytest.mark.parametrize("text", ["not base64!", "AAAA", "", None])
def test_packed_answers_that_are_too_few_are_no_answers(text):
    with pytest.raises(ledger.LedgerError, match="packed answers"):
        ledger.unpack(text, 100)


DAMAGES = {
    "cut off": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "text": lambda raw: b"version https://git-lfs.github.com/spec/v1",
    "zeros": lambda raw: bytes(len(raw)),
}


@pytest.mark.parametrize("damage", [*DAMAGES, "other"])
def test_a_damaged_checkpoint_or_part_is_named(home, damage):
    splits, run = data.load("digits"), TINY.but(epochs=2)
    train.train(run, splits, progress=False)
    kept = Kept("sparsity", TINY, {})
    kept("a", dict)
    checkpoint, (part,) = train.checkpoint_of(run), kept.folder.iterdir()
    for file in (checkpoint, part):
        if damage == "other":
            torch.save({"net": {"fc.weight": torch.zeros(3)}, "progress": (0, 1, 0, 0, 0), "optimiser": {}}, file)
        else:
            file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for file, work in ((checkpoint, lambda: train.Trainer(run, splits)), (part, lambda: kept("a", dict))):
        with pytest.raises(RuntimeError, match=f"^{file} is damaged .*; delete it") as said:
            work()
        assert "\n" not in str(said.value)


def test_damaged_weights_name_their_network(home):
    experiment.train_stage(TINY, progress=False)
    (file,) = zoo.files_of(TINY.name)
    whole = file.read_bytes()
    for damage in DAMAGES.values():
        file.write_bytes(damage(whole))
        with pytest.raises(zoo.ZooError, match=f"the weights of {TINY.name} cannot be read"):
            zoo.load(TINY.name)


def test_the_checkout_s_own_ledger_holds_records_only():
    assert ledger.strangers() == []
