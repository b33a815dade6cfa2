"""Images for training and testing: digits (embedded), CIFAR-10 and CIFAR-100; uint8 on the device."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor

CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100}
TRAIN_IMAGES = {"digits": 1_197, "cifar10": 45_000, "cifar100": 45_000}
_FOLDER = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
# One fixed shuffle divides training from validation; it is no run's seed, so every run sees one split.
_SPLIT_SEED = 20250923
_VALIDATION = {"digits": 200, "cifar10": 5_000, "cifar100": 5_000}
_DIGITS_TEST = 400


class DataUnavailable(RuntimeError):
    """A data set is neither on disk nor downloadable; the message says how to supply it."""


@dataclass(frozen=True)
class Images:
    """Images `x` uint8 [N,3,32,32] with labels `y` int64 [N], on one device."""

    x: Tensor
    y: Tensor

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
    return dataset == "digits" or (root() / _FOLDER[dataset]).is_dir()


def load(dataset: str) -> dict[str, Images]:
    """The splits "train", "validation" and "test" of a data set.

    CIFAR's test split is the official one; validation is cut from the official training images by a
    fixed shuffle (5,000 images), so the test set never chooses anything. Digits: 1,197 / 200 / 400.
    Raises ValueError for an unknown name and DataUnavailable when CIFAR cannot be had.
    """
    if dataset not in CLASSES:
        raise ValueError(f"dataset is {dataset!r}; allowed: {', '.join(CLASSES)}")
    if dataset == "digits":
        whole = _digits()
        order = _shuffle(len(whole))
        test, rest = order[:_DIGITS_TEST], order[_DIGITS_TEST:]
        held = Images(whole.x[test], whole.y[test])
        whole = Images(whole.x[rest], whole.y[rest])
    else:
        whole, held = _cifar(dataset, train=True), _cifar(dataset, train=False)
    order, n = _shuffle(len(whole)), _VALIDATION[dataset]
    part = {"validation": order[:n], "train": order[n:]}
    return {k: Images(whole.x[i], whole.y[i]) for k, i in part.items()} | {"test": held}


def _shuffle(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(_SPLIT_SEED))


def _digits() -> Images:
    """scikit-learn's 8x8 digits (0..16), enlarged bilinearly to 32x32 and repeated over three channels."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    grey = torch.from_numpy(raw.images).float()[:, None] * (255 / 16)
    big = F.interpolate(grey, size=32, mode="bilinear", align_corners=False).round().to(torch.uint8)
    return Images(big.expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(raw.target).long())


def _cifar(dataset: str, train: bool) -> Images:
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
            f"SNNPAPER_DATA to a folder that holds {_FOLDER[dataset]}/ (the 'python version' archive from "
            f"https://www.cs.toronto.edu/~kriz/cifar.html, unpacked), or unpack it into {root()}, or run "
            f"`python -m snnpaper fetch {dataset}` where there is a network and copy that folder."
        )
    return Images(torch.from_numpy(raw.data).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(np.array(raw.targets)))


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
            x = torch.where(turned[:, None, None, None], x.flip(-1), x)
        yield x, images.y[i]
