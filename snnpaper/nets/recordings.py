"""Data sets of events, from files to frames: uint8 counts [N,T,2,H,W] and labels, to train on and to test on.

What is binned or simulated once is kept beside the data, under a name that follows from what it was made of.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..bars import bar
from .events import NMNIST, SENSOR, EventFileError, Events, frames, read_aedat, read_bin, write_aedat

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Part = tuple[Tensor, Tensor]  # frames uint8 [N,T,2,H,W], labels int64 [N]
Sizes = tuple[int, int]  # recordings to train (and validate) on, and to test on


def nmnist(root: Path, T: int, n: Sizes) -> tuple[Part, Part]:
    """N-MNIST's first recordings (by number), of root/nmnist_small.npz or root/N-MNIST/{Train,Test}/<digit>/*.bin.

    Raises FileNotFoundError where there are fewer than `n` says, and EventFileError for a damaged file.
    """
    packed = root / "nmnist_small.npz"
    if packed.exists():
        return _nmnist_packed(packed, T, n)
    train, test = (_nmnist_folder(root / "N-MNIST" / part, T, m) for part, m in zip(("Train", "Test"), n, strict=True))
    return train, test


def _nmnist_packed(file: Path, T: int, n: Sizes) -> tuple[Part, Part]:
    names = ("t_us", "x", "y", "p", "label", "is_test", "offset")
    try:
        with np.load(file) as found:
            t, x, y, p, label, is_test, cuts = (found[k] for k in names)
    except Exception as err:  # of zip or of numpy's format, which name no file, or for an array that is not there
        raise EventFileError(f"{file} is damaged ({err}); allowed: an .npz of {', '.join(names)}") from None
    parts = []
    for test, m in zip((0, 1), n, strict=True):
        wanted = np.flatnonzero(is_test == test)
        _enough(file, len(wanted), m)
        slices = [slice(cuts[i], cuts[i + 1]) for i in wanted[:m]]
        parts.append(_binned((Events(t[s], x[s], y[s], p[s]) for s in slices), label[wanted[:m]], T, NMNIST, NMNIST))
    return parts[0], parts[1]


def _nmnist_folder(folder: Path, T: int, n: int) -> Part:
    files = sorted(folder.glob("[0-9]/*.bin"), key=lambda f: f.stem)
    _enough(folder, len(files), n)
    return _binned(map(read_bin, files[:n]), [int(f.parent.name) for f in files[:n]], T, NMNIST, NMNIST)


def cifar10dvs(root: Path, T: int, side: int, n: Sizes) -> tuple[Part, Part]:
    """CIFAR10-DVS of root/CIFAR10DVS/(extract/)<class>/cifar10_<class>_<number>.aedat.

    Numbers 0 to 99 of each class are for testing (SpikingJelly's CIFAR10DVSTEBNSplit). Downloads and unpacks what is
    absent, as SpikingJelly lists it. Raises FileNotFoundError or OSError where it cannot be had whole, and
    EventFileError for a damaged file.
    """
    folder = root / "CIFAR10DVS"
    if not _aedat(folder):
        _download(folder)
    files = [(int(f.stem.rsplit("_", 1)[1]), f) for f in _aedat(folder)]
    split = [[f for i, f in files if i >= 100], [f for i, f in files if i < 100]]
    for part, m in zip(split, n, strict=True):
        _enough(folder, len(part), m)
    made_of = [(f.name, f.stat().st_size) for _, f in files]

    def make() -> list[Part]:
        return [
            _binned(map(read_aedat, part), [CLASSES.index(f.parent.name) for f in part], T, SENSOR, side)
            for part in split
        ]

    return _kept(folder / f"frames-{T}x{side}", made_of, make)


def _aedat(folder: Path) -> list[Path]:
    found = [f for name in CLASSES for base in (folder, folder / "extract") for f in (base / name).glob("*.aedat")]
    for file in found:
        if not file.stem.rsplit("_", 1)[-1].isdigit():
            raise EventFileError(
                f"{file} has no number that splits training from testing; allowed: cifar10_cat_0.aedat"
            )
    return sorted(found, key=lambda f: (CLASSES.index(f.parent.name), int(f.stem.rsplit("_", 1)[-1])))


def _download(folder: Path) -> None:
    from spikingjelly.datasets.cifar10_dvs import CIFAR10DVS
    from torchvision.datasets.utils import download_url

    (folder / "extract").mkdir(parents=True, exist_ok=True)
    try:
        for name, url, md5 in CIFAR10DVS.resource_url_md5():
            download_url(url, folder / "download", name, md5)
        CIFAR10DVS.extract_downloaded_files(folder / "download", folder / "extract")
    finally:  # a folder without recordings would look like data
        for empty in (folder / "extract", folder):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()


def cifar10sim(root: Path, T: int, side: int, images: tuple[Part, Part]) -> tuple[Part, Part]:
    """Simulated events (`camera.film`, its defaults) of uint8 images to train on and to test on."""
    from .camera import Camera, film  # with numba

    camera = Camera()
    made_of = [camera, *(hashlib.sha256(x.numpy().tobytes()).hexdigest() for x, _ in images)]

    def make() -> list[Part]:
        return [_binned(film(x, camera), y, T, SENSOR, side, len(y)) for x, y in images]

    return _kept(root / "cifar10sim" / f"frames-{T}x{side}", made_of, make)


def write_simulated(folder: Path, images: Tensor, labels: Iterable[int]) -> list[Path]:
    """Film uint8 images [N,3,H,W] and write folder/<class>/simulated_<class>_<number>.aedat, numbered in each class."""
    from .camera import Camera, film

    files: list[Path] = []
    for label, events in zip(labels, film(images, Camera()), strict=True):
        name = CLASSES[label]
        number = sum(f.parent.name == name for f in files)
        files.append(folder / name / f"simulated_{name}_{number}.aedat")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        write_aedat(files[-1], events)
    return files


def _enough(place: Path, found: int, wanted: int) -> None:
    if found < wanted:
        raise FileNotFoundError(f"{place} holds {found:,} of {wanted:,} recordings")


def _binned(events: Iterable[Events], labels, T: int, sensor: int, side: int, total: int = 0) -> Part:
    """The frames of recordings, and their labels; with `total`, how many there will be, progress is shown."""
    shown = bar(events, total=total, disable=not total, desc="simulated events")
    x = np.stack([frames(e, T, sensor, side) for e in shown])
    return torch.from_numpy(x), torch.as_tensor(np.asarray(labels), dtype=torch.int64)


def _kept(stem: Path, made_of: object, make: Callable[[], list[Part]]) -> tuple[Part, Part]:
    """What `make` makes, from the file that an earlier call left of the same source."""
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()[:10]
    file = stem.with_name(f"{stem.name}-{digest}.npz")
    if not file.exists():
        (x, y), (x_test, y_test) = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.stem}.{os.getpid()}.part.npz")
        np.savez_compressed(partial, x=x, y=y, x_test=x_test, y_test=y_test)
        os.replace(partial, file)
    try:
        with np.load(file) as found:
            x, y, x_test, y_test = (torch.from_numpy(found[k]) for k in ("x", "y", "x_test", "y_test"))
    except (ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as err:
        raise EventFileError(f"{file} is damaged ({err}); delete it, and it is made again") from err
    return (x, y), (x_test, y_test)
