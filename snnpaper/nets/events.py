"""Events of a camera: their two file formats, AEDAT 2.0 and N-MNIST's 40 bits, and frames of counts.

An event says that the logarithm of the light on one pixel rose (p = 1) or fell (p = 0) by a threshold. CIFAR10-DVS
comes as AEDAT 2.0 and N-MNIST in 40-bit events; both are read as SpikingJelly reads them (a test).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SENSOR = 128  # pixels on a side of CIFAR10-DVS's camera
NMNIST = 34  # and of an N-MNIST recording
MOST = 255  # events that one entry of a frame counts; more stay at that
_HEADER = (
    b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
    b"# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
    b"# Timestamps tick is 1 us\r\n"
)


class EventFileError(ValueError):
    """A file does not hold the events that its format promises; the message names it."""


@dataclass(frozen=True)
class Events:
    """A recording: times t in microseconds, columns x, rows y and polarities p in {0, 1}; integers, each [events]."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def __len__(self) -> int:
        return len(self.t)


def read_aedat(path: Path) -> Events:
    """The events of an AEDAT 2.0 file of a 128x128 camera, in the file's order.

    After header lines that begin with #, each event is two big-endian words, address and time: bit 0 of the address
    is the inverted polarity, bits 1 to 7 the mirrored row, 8 to 14 the mirrored column. Raises EventFileError for a
    file without events, one that is cut off, and one of another format.
    """
    raw, start = path.read_bytes(), 0
    if not raw:
        raise EventFileError(f"{path} is empty")
    if not raw.startswith(b"#") or raw.startswith(b"#!AER-DAT") and not raw.startswith(b"#!AER-DAT2"):
        raise EventFileError(f"{path} begins with {raw[:12]!r}; allowed: AEDAT 2.0, which begins with '#!AER-DAT2.0'")
    while raw[start : start + 1] == b"#":
        start = raw.find(b"\n", start) + 1 or len(raw)
    if start == len(raw):
        raise EventFileError(f"{path} has a header and no events")
    if (len(raw) - start) % 8:
        raise EventFileError(f"{path} is cut off: {len(raw) - start} bytes of events, which take 8 each")
    address, t = np.frombuffer(raw, ">u4", offset=start).astype(np.int64).reshape(-1, 2).T
    if (address >> 16).astype(bool).mean() > 0.5:
        raise EventFileError(f"{path} has addresses beyond a {SENSOR}x{SENSOR} camera; allowed: AEDAT 2.0 of one")
    return Events(t, 127 - (address >> 8 & 127), 127 - (address >> 1 & 127), 1 - (address & 1))


def write_aedat(path: Path, events: Events) -> None:
    """Write AEDAT 2.0, which `read_aedat` and SpikingJelly read; raises ValueError for what the format cannot hold."""
    _check(events, SENSOR, 2**32, "AEDAT 2.0")
    e = Events(*(np.asarray(a, np.int64) for a in (events.t, events.x, events.y, events.p)))
    address = (127 - e.x) << 8 | (127 - e.y) << 1 | (1 - e.p)
    path.write_bytes(_HEADER + np.stack([address, e.t], 1).astype(">u4").tobytes())


def read_bin(path: Path) -> Events:
    """The events of an N-MNIST file, five bytes each: x, y, then 24 bits with the polarity on top of the time.

    Raises EventFileError for an empty file, one that is cut off, and one with pixels outside 34x34.
    """
    raw = np.fromfile(path, np.uint8).astype(np.int64)
    if not len(raw):
        raise EventFileError(f"{path} is empty")
    if len(raw) % 5:
        raise EventFileError(f"{path} is cut off: {len(raw)} bytes, and an event takes 5")
    x, y, high, middle, low = raw.reshape(-1, 5).T
    if max(x.max(), y.max()) >= NMNIST:
        raise EventFileError(f"{path} has pixels outside {NMNIST}x{NMNIST}; allowed: N-MNIST's 40-bit events")
    return Events((high & 127) << 16 | middle << 8 | low, x, y, high >> 7)


def write_bin(path: Path, events: Events) -> None:
    """Write N-MNIST's 40-bit events; raises ValueError for what the format cannot hold."""
    _check(events, NMNIST, 2**23, "N-MNIST's 40 bits")
    t = np.asarray(events.t, np.int64)
    columns = (events.x, events.y, np.asarray(events.p, np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255)
    path.write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())


def _check(events: Events, side: int, end: int, form: str) -> None:
    for name, values, limit in (("t", events.t, end), ("x", events.x, side), ("y", events.y, side), ("p", events.p, 2)):
        if len(values) and not (0 <= values.min() and values.max() < limit):
            span = f"{values.min()} to {values.max()}"
            raise ValueError(f"{name} is {span}; allowed in {form}: 0 to {limit - 1}")


def frames(events: Events, T: int, sensor: int, side: int) -> np.ndarray:
    """Counts of events, uint8 [T,2,side,side]: T equal spans of time between the first event and the last.

    Channel 0 counts the falls, channel 1 the rises. A pixel of the `sensor` x `sensor` camera counts where it lies on
    the coarser grid, so every event counts once, and an entry beyond 255 stays there.
    """
    if not len(events):
        return np.zeros((T, 2, side, side), np.uint8)
    t, x, y, p = (np.asarray(a, np.int64) for a in (events.t, events.x, events.y, events.p))
    t = t - t.min()
    channel = t * T // (t.max() + 1) * 2 + p
    place = (channel * side + y * side // sensor) * side + x * side // sensor
    counts = np.bincount(place, minlength=T * 2 * side * side)
    return counts.clip(max=MOST).astype(np.uint8).reshape(T, 2, side, side)
