"""Event files: what is written comes back, also through SpikingJelly; what is damaged is named; frames count events."""

import numpy as np
import pytest
from spikingjelly.datasets.cifar10_dvs import _load_origin_data
from spikingjelly.datasets.utils import integrate_events_by_fixed_frames_number, load_ATIS_bin

from snnpaper.nets import data
from snnpaper.nets.events import EventFileError, Events, frames, read_aedat, read_bin, write_aedat, write_bin


def some(side: int, end: int, n: int = 1000) -> Events:
    g = np.random.default_rng(0)
    t = np.sort(np.r_[0, g.integers(0, end, n - 2), end - 1])
    corners = np.array([0, side - 1])
    x, y = (np.r_[corners, g.integers(0, side, n - 2)] for _ in range(2))
    return Events(t, x, y, g.integers(0, 2, n))


FORMATS = {
    "aedat": (some(128, 2**32), write_aedat, read_aedat, _load_origin_data),
    "bin": (some(34, 2**23), write_bin, read_bin, load_ATIS_bin),
}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read_back_and_by_spikingjelly_too(form, tmp_path):
    events, write, read, library = FORMATS[form]
    write(tmp_path / f"a.{form}", events)
    theirs, ours = library(tmp_path / f"a.{form}"), read(tmp_path / f"a.{form}")
    for name in ("t", "x", "y", "p"):
        assert np.array_equal(getattr(ours, name), getattr(events, name))
        assert np.array_equal(theirs[name], getattr(events, name))


def test_a_real_recording_is_read_as_spikingjelly_reads_it():
    files = sorted(data._FEW.rglob("*.bin"))
    assert len(files) == 40
    for file in files[::13]:
        ours, theirs = read_bin(file), load_ATIS_bin(file)
        assert (
            all(np.array_equal(getattr(ours, name), theirs[name]) for name in "txyp") and (np.diff(ours.t) >= 0).all()
        )


@pytest.mark.parametrize(
    ("form", "damage", "message"),
    [
        ("aedat", lambda raw: raw[:-3], "cut off"),
        ("aedat", lambda raw: raw[:-4], "cut off"),
        ("aedat", lambda raw: b"", "is empty"),
        ("aedat", lambda raw: raw[: raw.index(b"1 us") + 6], "a header and no events"),
        ("aedat", lambda raw: b"#!AER-DAT2.0", "a header and no events"),
        ("aedat", lambda raw: b"#!AER-DAT3.1\r\n" + raw, "AEDAT 2.0"),
        ("aedat", lambda raw: b"PK\x03\x04" + raw, "AEDAT 2.0"),
        ("aedat", lambda raw: b"# notes\n" + b"a text. " * 9, "beyond a 128x128 camera"),
        ("bin", lambda raw: raw[:-1], "cut off"),
        ("bin", lambda raw: b"", "is empty"),
        ("bin", lambda raw: b"a text of some twenty-five bytes"[:25], "outside 34x34"),
    ],
)
def test_a_damaged_file_is_named(form, damage, message, tmp_path):
    events, write, read, _ = FORMATS[form]
    file = tmp_path / f"seven.{form}"
    write(file, events)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(EventFileError, match=f"seven.{form} .*{message}"):
        read(file)


@pytest.mark.parametrize(("form", "limit"), [("aedat", 127), ("bin", 33)])
def test_what_a_format_cannot_hold_is_refused(form, limit, tmp_path):
    wrong = Events(*np.array([[0], [limit + 1], [0], [1]]))
    with pytest.raises(ValueError, match=f"x is {limit + 1} to {limit + 1}; allowed in .*: 0 to {limit}"):
        FORMATS[form][1](tmp_path / "a", wrong)
    assert not (tmp_path / "a").exists()


def test_frames_are_spikingjellys_of_equal_time_and_coarser_ones_keep_every_event():
    events = some(34, 10_000)
    theirs = integrate_events_by_fixed_frames_number(
        {k: getattr(events, k) for k in "txyp"}, "time", 10, 34, 34
    )  # whose spans are (last - first) // 10 = 999, ours 1000 of a microsecond-wide last one
    ours = frames(events, 10, 34, 34)
    assert ours.shape == (10, 2, 34, 34) and ours.dtype == np.uint8
    assert np.abs(ours - theirs).sum() <= 2 * 10 and ours.sum() == theirs.sum() == 1000
    wide = some(128, 10_000)
    coarse = frames(wide, 10, 128, 48)
    assert coarse.sum() == 1000 and coarse[0, :, 0, 0].sum() >= 1 and coarse[:, :, 47, 47].sum() >= 1
    assert np.array_equal(coarse[:, 1].sum(), wide.p.sum())
    many = Events(*np.zeros((4, 300), int))
    assert frames(many, 2, 34, 34).max() == 255 and frames(Events(*np.zeros((4, 0), int)), 2, 34, 34).sum() == 0
