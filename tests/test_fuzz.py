"""Readers given damaged or invented files and values: each gives something whole or raises its one named error."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnpaper import files, grid, ledger, zoo
from snnpaper.auditing import load
from snnpaper.auditing.report import Report
from snnpaper.config import PROFILES, Run
from snnpaper.measure import experiment
from snnpaper.nets import data
from snnpaper.nets.events import EventFileError, Events, read_aedat, read_bin, write_aedat, write_bin

ROOT = Path(__file__).resolve().parents[1]
TINY = Run.make("demo", width=4, T=2, epochs=1, train_images=32)
FUZZ = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEWER = settings(FUZZ, max_examples=60)  # where an example takes a hundredth of a second

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
FIELDS = st.sampled_from(sorted(TINY.to_dict()))
# Of each field what it may be, so that an invented run is often a right one.
NEAR = st.sampled_from(
    ["max", "avg", "softmax:4", "topk:3", "mixed:0.5", "digits", "cifar10", "resnet18", "sew", "IF", "ReLU", "phase",
     "rate", "atan", "fp32", "none", "pgd:4", 0, 1, 2, 4, 10, 16, 64, 1e-3, 2.0, True, False]
)  # fmt: skip


@dataclass(frozen=True)
class Damage:
    """A file cut off, with bytes changed, with something put in, or something else altogether; places from 0 to 1."""

    cut: float
    changed: list[tuple[float, int]]
    at: float
    put: bytes
    instead: bytes | None

    def __call__(self, whole: bytes) -> bytes:
        if self.instead is not None:
            return self.instead
        raw = bytearray(whole[: round(self.cut * len(whole))])
        for place, byte in self.changed if raw else ():
            raw[round(place * (len(raw) - 1))] = byte
        at = round(self.at * len(raw))
        return bytes(raw[:at] + self.put + raw[at:])


PLACE = st.floats(0, 1)
DAMAGE = st.builds(
    Damage,
    cut=st.just(1.0) | PLACE,
    changed=st.lists(st.tuples(PLACE, st.integers(0, 255)), max_size=6),
    at=PLACE,
    put=st.binary(max_size=9),
    instead=st.none() | st.none() | st.binary(max_size=200),
)


def reads(file: Path, raw: bytes, read, error):
    """What `read` gives of a file with these bytes, None where it raises its error, which names the file."""
    file.write_bytes(raw)
    try:
        return read()
    except error as said:
        assert file.stem in str(said), said
        return None


@pytest.fixture(scope="module")
def home():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNPAPER_HOME", folder)
        experiment.train_stage(TINY, progress=False)
        yield Path(folder)


@FUZZ
@given(st.data())
def test_a_record_is_whole_or_named(home, drawn):
    file = home / "results" / "sparsity" / f"{TINY.name}.json"
    file.parent.mkdir(exist_ok=True)
    record = ledger.read("train", TINY.name) | {"kind": "sparsity"}
    if drawn.draw(st.booleans()):
        record[drawn.draw(st.sampled_from(sorted(record)))] = drawn.draw(JSON)
        raw = json.dumps(record).encode("utf-8", "surrogatepass")
    else:
        raw = drawn.draw(DAMAGE)(json.dumps(record).encode())
    read = reads(file, raw, lambda: ledger.read_file(file), ledger.LedgerError)
    file.unlink()
    if read is not None:
        assert read["name"] == TINY.name and Run.from_dict(read["config"]) == TINY


@FEWER
@given(st.data())
def test_weights_are_the_recorded_ones_or_named(home, drawn):
    (file,) = zoo.files_of(TINY.name)
    whole = file.read_bytes()
    try:
        raw = drawn.draw(DAMAGE)(whole)
        if reads(file, raw, lambda: zoo.load(TINY.name), zoo.ZooError):
            assert (
                zoo.sha256(zoo.load(TINY.name)[1].net) == ledger.read("train", TINY.name)["provenance"]["live_sha256"]
            )
    finally:
        file.write_bytes(whole)


@FUZZ
@given(st.data())
def test_a_checkpoint_is_whole_or_named(tmp_path, drawn):
    file = tmp_path / "part.pt"
    torch.save({"a": torch.zeros(3), "n": [1, None]}, file)
    raw = drawn.draw(DAMAGE)(file.read_bytes())
    reads(file, raw, lambda: files.load(file), RuntimeError)


@FUZZ
@given(st.dictionaries(FIELDS | st.text(max_size=6), NEAR | JSON, max_size=4))
def test_a_run_is_right_or_its_value_is_named(changes):
    try:
        run = Run.from_dict(TINY.to_dict() | changes)
    except ValueError as said:
        assert "allowed" in str(said)
        return
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run and run.name and run.course


@FUZZ
@given(st.data())
def test_a_grid_is_cells_or_named(tmp_path, drawn):
    file = tmp_path / "grid.yml"
    words = st.sampled_from(["block", "profile", "fixed", "over", "measure", *PROFILES, "seed", "pool", "max", "a"])
    inner = st.recursive(
        words | NEAR | PLAIN, lambda i: st.lists(i, max_size=3) | st.dictionaries(words, i, max_size=4), max_leaves=12
    )
    if drawn.draw(st.booleans()):
        near = {"block": "a", "profile": "demo", "over": {"seed": [0, 1], "pool": ["max", "avg"]}}
        raw = yaml.safe_dump([near | drawn.draw(st.dictionaries(words, inner, max_size=2))]).encode()
    else:
        start = b"".join((ROOT / "workflow" / "grid.yml").read_bytes().splitlines(keepends=True)[5:25])
        raw = drawn.draw(DAMAGE)(start) if drawn.draw(st.booleans()) else yaml.safe_dump(drawn.draw(inner)).encode()
    cells = reads(file, raw, lambda: grid.cells(file), ValueError)
    assert cells is None or all(cell.run.name and cell.command for cell in cells)


EVENTS = Events(*(np.array(a, np.int64) for a in ([0, 10, 1000], [1, 5, 33], [2, 0, 20], [0, 1, 1])))


@pytest.mark.parametrize(("write", "read", "side"), [(write_aedat, read_aedat, 128), (write_bin, read_bin, 34)])
@FUZZ
@given(st.data())
def test_a_recording_is_whole_or_named(tmp_path, write, read, side, drawn):
    file = tmp_path / "recording.ev"
    file.unlink(missing_ok=True)
    write(file, EVENTS)
    raw = drawn.draw(DAMAGE)(file.read_bytes())
    events = reads(file, raw, lambda: read(file), EventFileError)
    if events is not None:
        assert len(events.t) == len(events.x) == len(events.y) == len(events.p) > 0
        assert 0 <= events.x.min() and events.x.max() < side and 0 <= events.y.min() and events.y.max() < side
        assert set(events.p.tolist()) <= {0, 1} and events.t.min() >= 0


@FEWER
@given(st.data())
def test_packed_recordings_are_whole_or_named(tmp_path, monkeypatch, drawn):
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path))
    n = {"t_us": 6, "x": 6, "y": 6, "p": 6, "label": 2, "is_test": 2, "offset": 3}
    kept = {name: np.arange(size) % 2 for name, size in n.items()} | {"offset": np.array([0, 3, 6])}
    if drawn.draw(st.booleans()):
        kept.pop(drawn.draw(st.sampled_from(sorted(n))))
    file = tmp_path / "nmnist_small.npz"
    np.savez(file, **kept)
    raw = drawn.draw(DAMAGE)(file.read_bytes())
    reads(file, raw, lambda: data.load("nmnist"), (data.DataUnavailable, EventFileError))


@FEWER
@given(st.data())
def test_an_audit_s_images_are_read_or_named(tmp_path, drawn):
    file = tmp_path / "images.npz"
    np.savez(file, x=np.zeros((2, 3, 4, 4), np.float32), y=np.arange(2))
    raw = drawn.draw(DAMAGE)(file.read_bytes())
    reads(file, raw, lambda: load.images(str(file), None), ValueError)


@FUZZ
@given(st.data())
def test_an_audit_s_report_is_read_or_named(tmp_path, drawn):
    file = tmp_path / "report.json"
    whole = b'{"protocol": {"name": "snnpaper-audit 1"}, "n": 3}'
    raw = drawn.draw(DAMAGE)(whole) if drawn.draw(st.booleans()) else json.dumps(drawn.draw(JSON)).encode()
    reads(file, raw, lambda: Report.read(file), ValueError)
