"""Images and event frames, uint8 on the device, and the table of data sets: one more entry is one more."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor

from . import recordings

# One fixed shuffle divides training from validation; it is no run's seed, so every run sees one split.
_SPLIT_SEED = 20250923


class DataUnavailable(RuntimeError):
    """A data set is neither on disk nor downloadable; the message says how to supply it."""


@dataclass(frozen=True)
class Images:
    """Images `x` uint8 [N,C,H,W], or event frames [N,T,2,H,W], with labels `y` int64 [N], on one device.

    Raises ValueError for labels of another form or number.
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.y.dtype != torch.int64 or self.y.shape != self.x.shape[:1]:
            found = f"{self.y.dtype} {list(self.y.shape)}"
            raise ValueError(f"labels are {found} for {len(self.x)} images; allowed: torch.int64 [{len(self.x)}]")

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: str | torch.device) -> Images:
        return Images(self.x.to(device), self.y.to(device))

    def first(self, n: int) -> Images:
        """The first n images (all, when there are fewer or n is 0)."""
        return Images(self.x[:n], self.y[:n]) if n else self

    @property
    def sha256(self) -> str:
        """Checksum over pixels and labels, for the record."""
        digest = hashlib.sha256(self.x.cpu().contiguous().numpy().tobytes())
        digest.update(self.y.cpu().numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def root() -> Path:
    """The folder of downloaded data: SNNPAPER_DATA, else this user's cache folder."""
    return Path(os.environ.get("SNNPAPER_DATA") or platformdirs.user_cache_dir("snnpaper"))


def available(dataset: str) -> bool:
    """Whether `load(dataset)` works without a download."""
    places = TABLE[dataset].places
    return not places or any((root() / place).exists() for place in places)


def load(dataset: str) -> dict[str, Images]:
    """The splits "train", "validation" and "test" of a data set.

    CIFAR's test split is the official one; validation is cut from the training images by a fixed shuffle, so the
    test set never chooses anything. Raises ValueError for an unknown name and DataUnavailable when it cannot be had.
    """
    if not isinstance(dataset, str) or dataset not in TABLE:
        raise ValueError(f"dataset is {dataset!r}; allowed: {', '.join(TABLE)}")
    whole, held = TABLE[dataset].read()
    order, n = _shuffle(len(whole)), TABLE[dataset].validation
    part = {"validation": order[:n], "train": order[n:]}
    return {k: Images(whole.x[i], whole.y[i]) for k, i in part.items()} | {"test": held}


def _shuffle(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(_SPLIT_SEED))


def _digits() -> tuple[Images, Images]:
    """scikit-learn's 8x8 digits (0..16), enlarged bilinearly to 32x32 and repeated over three channels; 400 to test."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    grey = torch.from_numpy(raw.images).float()[:, None] * (255 / 16)
    big = F.interpolate(grey, size=32, mode="bilinear", align_corners=False).round().to(torch.uint8)
    x, y, order = big.expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(raw.target).long(), _shuffle(len(big))
    n = TABLE["digits"].test
    return Images(x[order[n:]], y[order[n:]]), Images(x[order[:n]], y[order[:n]])


def _cifar(dataset: str) -> tuple[Images, Images]:
    return _cifar_part(dataset, train=True), _cifar_part(dataset, train=False)


def _cifar_part(dataset: str, train: bool) -> Images:
    from torchvision.datasets import CIFAR10, CIFAR100

    cls = {"cifar10": CIFAR10, "cifar100": CIFAR100}[dataset]
    reasons = []
    for download in (False, True) if available(dataset) else (True,):  # what was cut off on its way is fetched again
        try:
            # torchvision reports a good md5 in prose; a download shows its progress
            with contextlib.nullcontext() if download else contextlib.redirect_stdout(io.StringIO()):
                raw = cls(root(), train=train, download=download)
            break
        except (OSError, RuntimeError) as err:
            reasons.append(str(err))
    else:
        raise DataUnavailable(
            f"{dataset} was not found whole in {root()} and could not be downloaded ({'; '.join(reasons)}). Either set "
            f"SNNPAPER_DATA to a folder that holds {TABLE[dataset].places[0]}/ (the 'python version' archive from "
            f"https://www.cs.toronto.edu/~kriz/cifar.html, unpacked), or unpack it into {root()}, or run "
            f"`python -m snnpaper fetch {dataset}` where there is a network and copy that folder."
        )
    return Images(torch.from_numpy(raw.data).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(np.array(raw.targets)))


def _recorded(dataset: str, read: Callable[[Dataset, tuple[int, int]], tuple]) -> tuple[Images, Images]:
    """A data set of events, read by `recordings`, to which the entry says how many there must be."""
    entry = TABLE[dataset]
    try:
        whole, held = read(entry, (entry.train + entry.validation, entry.test))
    except (OSError, RuntimeError) as err:  # torchvision raises the latter for a download of another md5
        raise DataUnavailable(f"{dataset} cannot be read: {err}. {entry.about}") from None
    return Images(*whole), Images(*held)


def _nmnist() -> tuple[Images, Images]:
    return _recorded("nmnist", lambda entry, n: recordings.nmnist(root(), entry.frames, n))


def _nmnist_few() -> tuple[Images, Images]:
    return _recorded("nmnist_few", lambda entry, n: recordings.nmnist(_FEW, entry.frames, n))


def _cifar10dvs() -> tuple[Images, Images]:
    return _recorded("cifar10dvs", lambda e, n: recordings.cifar10dvs(root(), e.frames, e.shape[-1], n))


def _cifar10sim() -> tuple[Images, Images]:
    def read(entry: Dataset, n: tuple[int, int]) -> tuple:
        learnt, held = (part.first(m) for part, m in zip(_cifar("cifar10"), n, strict=True))
        film = ((learnt.x, learnt.y), (held.x, held.y))
        return recordings.cifar10sim(root(), entry.frames, entry.shape[-1], film)

    return _recorded("cifar10sim", read)


def epoch_batches(images: Images, batch_size: int, flip: bool, seed: int, epoch: int):
    """Yield (x uint8, y) batches of one shuffled epoch; the last short batch is dropped.

    Order and horizontal flips follow from (seed, epoch) alone, so an epoch can be entered again at any
    batch after an interruption. Indices are drawn on the CPU (one stream for every device); gathering
    and flipping happen where the images are.
    """
    g = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.randperm(len(images), generator=g)
    flips = (torch.rand(len(images), generator=g) < 0.5) if flip else None
    for start in range(0, len(images) - batch_size + 1, batch_size):
        i = order[start : start + batch_size].to(images.x.device)
        x = images.x[i]
        if flips is not None:
            turned = flips[start : start + batch_size].to(x.device)
            x = torch.where(turned.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
        yield x, images.y[i]


@dataclass(frozen=True)
class Dataset:
    """What is particular to a data set. `shape` is an image's (or an event frame's) [C,H,W]; `train`, `validation`
    and `test` count its images; `flips` says whether a mirrored image is one of its class; `read` returns the images
    to train and validate on and those to test on; `places` are where they may lie under `root()`, none for what comes
    along; `demo` marks what is only a demonstration. A data set of events has that many `frames` a recording: counts
    from 0 to 255, so that a perturbation of k/255 is of k events in every entry. `about`: its source and split.
    """

    label: str
    classes: int
    shape: tuple[int, int, int]
    train: int
    validation: int
    test: int
    flips: bool
    read: Callable[[], tuple[Images, Images]]
    places: tuple[str, ...] = ()
    demo: bool = False
    frames: int = 0
    about: str = ""


_FEW = Path(__file__).parents[2] / "book" / "_data"


TABLE: dict[str, Dataset] = {
    "digits": Dataset("digits", 10, (3, 32, 32), 1_197, 200, 400, False, _digits, demo=True),
    "cifar10": Dataset("CIFAR-10", 10, (3, 32, 32), 45_000, 5_000, 10_000, True, partial(_cifar, "cifar10"),
                       ("cifar-10-batches-py",)),
    "cifar100": Dataset("CIFAR-100", 100, (3, 32, 32), 45_000, 5_000, 10_000, True, partial(_cifar, "cifar100"),
                        ("cifar-100-python",)),
    "cifar10dvs": Dataset(
        "CIFAR10-DVS", 10, (2, 48, 48), 8_000, 1_000, 1_000, False, _cifar10dvs, ("CIFAR10DVS",), frames=10,
        about="`snnpaper fetch cifar10dvs` downloads it where there is a network; elsewhere put the ten folders of "
        "AEDAT files (airplane/cifar10_airplane_0.aedat ...) into CIFAR10DVS/ under SNNPAPER_DATA. No split is "
        "official: the first 100 of each class are for testing (SpikingJelly's CIFAR10DVSTEBNSplit, on which accuracy "
        "is higher than on a random split). Frames are equal spans of time on a 48x48 grid of the 128x128 sensor."),
    "cifar10sim": Dataset(
        "CIFAR-10, simulated events", 10, (2, 48, 48), 8_000, 1_000, 1_000, False, _cifar10sim,
        ("cifar-10-batches-py",), frames=10,
        about="Simulated by this project after CIFAR10-DVS's recording protocol from CIFAR-10's first 9,000 training "
        "and 1,000 test images; made at first use and kept in cifar10sim/ under SNNPAPER_DATA."),
    "nmnist": Dataset(
        "N-MNIST, 1,100 recordings", 10, (2, 34, 34), 800, 200, 100, False, _nmnist, ("nmnist_small.npz", "N-MNIST"),
        frames=10,
        about="Put N-MNIST (Orchard et al. 2015) unpacked into N-MNIST/Train/<digit>/*.bin and N-MNIST/Test/... under "
        "SNNPAPER_DATA, or the same recordings packed as nmnist_small.npz. Of the official split, the first 1,000 "
        "recordings train and validate and the first 100 test."),
    "nmnist_few": Dataset(
        "N-MNIST, 40 recordings", 10, (2, 34, 34), 20, 10, 10, False, _nmnist_few, demo=True, frames=10,
        about="Forty recordings of N-MNIST in its own file format lie in book/_data/N-MNIST of the checkout."),
}  # fmt: skip
