"""One run: every choice that decides a trained network, validated, and named by its hash."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from .nets import data, defences, pools


def checkout() -> Path | None:
    """The checkout that this package lies in; None when it is installed without one."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").exists() else None


def home() -> Path:
    """The folder of results/, zoo/ and the unfinished runs/: SNNPAPER_HOME, else the checkout, else the user's data."""
    return Path(os.environ.get("SNNPAPER_HOME") or checkout() or platformdirs.user_data_dir("snnpaper"))


def book() -> Path:
    """The folder of the chapters: book/ of `home` where it has one, else the checkout's.

    Raises FileNotFoundError where there is neither.
    """
    folders = [base / "book" for base in (home(), checkout()) if base]
    for folder in folders:
        if folder.exists():
            return folder
    raise FileNotFoundError(
        f"the book is not in {' or '.join(map(str, folders))}: set SNNPAPER_HOME to a checkout of snnpaper"
    )


ALLOWED: dict[str, tuple] = {
    "arch": ("resnet18", "resnet34", "resnet50"),
    "skip": ("sew", "spiking", "none"),
    "neuron": ("IF", "ReLU"),
    "coding": ("phase", "weighted_phase", "rate", "latency", "direct", "frames"),
    "surrogate": ("atan", "sigmoid", "rectangular", "triangular"),
    "precision": ("fp32", "bf16"),
    "norm": ("batch", "none"),
}
_NAMED: dict[str, Any] = {"pool": pools, "defence": defences}  # names that may carry a number, each with its table
# Smallest and largest value accepted; the upper ends catch typing errors, not ambitions.
RANGE: dict[str, tuple[float, float]] = {
    "width": (4, 256),
    "T": (1, 64),
    "alpha": (1e-3, 1e3),
    "epochs": (1, 1000),
    "batch_size": (2, 4096),
    "lr": (1e-8, 10.0),
    "weight_decay": (0.0, 1.0),
    "train_images": (0, 45_000),
    "seed": (0, 2**31 - 1),
}

# What a profile changes from the paper's published setting, which is the dataclass's default.
PROFILES: dict[str, dict[str, Any]] = {
    "demo": {"dataset": "digits", "width": 16, "epochs": 6, "batch_size": 32},
    "sweep": {"dataset": "cifar10", "width": 16, "epochs": 5, "batch_size": 64, "train_images": 10_000},
    "cpu": {"dataset": "cifar10", "width": 16, "epochs": 4},
    "paper": {"dataset": "cifar10"},
}


@dataclass(frozen=True)
class Run:
    """Everything that decides a trained network; the defaults are the published setting.

    `weight_decay` is 1e-3 as in the published code; we have not seen it in the paper. `train_images`
    0 means the whole training split. `pool` is a name of `nets.pools`, in its one spelling afterwards.
    `count_include_pad` is True for all but average pooling and follows the published code, which leaves torch's
    default; pool "avg/nopad" is the same as "avg" without it, and that is how a run holds it. A data set of events
    has frames and needs no code: there "phase", the default, becomes "frames", and T is the number of frames.
    `defence` is a name of `nets.defences`. `norm` "none" leaves BatchNorm out and gives convolutions a bias.
    """

    dataset: str = "cifar10"
    arch: str = "resnet18"
    skip: str = "sew"
    neuron: str = "IF"
    width: int = 64
    pool: str = "max"
    count_include_pad: bool = True
    coding: str = "phase"
    T: int = 10
    surrogate: str = "atan"
    alpha: float = 2.0
    epochs: int = 100
    batch_size: int = 16
    lr: float = 1e-3
    weight_decay: float = 1e-3
    train_images: int = 0
    seed: int = 0
    precision: str = "fp32"
    defence: str = "none"
    norm: str = "batch"

    def __post_init__(self) -> None:
        f: Any
        problems = [problem for f in fields(self) if (problem := _problem(f.name, getattr(self, f.name)))]
        if problems:
            raise ValueError("; ".join(problems))
        for f in fields(self):  # 2 and 2.0 are one value, and so one hash
            object.__setattr__(self, f.name, type(f.default)(getattr(self, f.name)))
        object.__setattr__(self, "pool", pools.find(self.pool).name)
        object.__setattr__(self, "defence", defences.find(self.defence).name)
        if self.pool == "avg/nopad":
            object.__setattr__(self, "pool", "avg")
            object.__setattr__(self, "count_include_pad", False)
        if self.pool != "avg":  # has no padding to count, so either value is one network, and one name
            object.__setattr__(self, "count_include_pad", True)
        frames = data.TABLE[self.dataset].frames
        if frames and self.coding == "phase":
            object.__setattr__(self, "coding", "frames")
        if (self.coding == "frames") != bool(frames):
            allowed = "frames" if frames else ", ".join(c for c in ALLOWED["coding"] if c != "frames")
            raise ValueError(f"coding is {self.coding!r}; allowed for {self.dataset}: {allowed}")
        if frames and self.defence.startswith("pgd"):  # its radius is of images in [0,1], and frames are counts
            raise ValueError(f"defence is {self.defence!r}; allowed for {self.dataset}: none, sparse:WEIGHT")
        if frames and self.T != frames:
            raise ValueError(f"T is {self.T}; allowed for {self.dataset}: {frames}, its frames")

    @classmethod
    def make(cls, profile: str = "demo", **changes: Any) -> Run:
        """The run of a profile with some values changed; raises ValueError with what is allowed."""
        if not isinstance(profile, str) or profile not in PROFILES:
            raise ValueError(f"profile is {profile!r}; allowed: {', '.join(PROFILES)}")
        return cls.from_dict(PROFILES[profile] | changes)

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Run:
        """The run a record describes; fields younger than the record keep their default.

        Raises ValueError naming what no field has the name of, as in a record of a later version.
        """
        names = [f.name for f in fields(cls)]
        if unknown := sorted(set(config) - set(names)):
            raise ValueError(f"unknown parameter {', '.join(unknown)}; allowed: {', '.join(names)}")
        return cls(**config)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def hash(self) -> str:
        """Ten hex digits of SHA-256 over the fields that differ from their default.

        A field added later, left at its default, therefore renames no older run; the price is that
        defaults never change (a test holds them).
        """
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def pooling(self) -> str:
        """The pool's name in `nets.pools`: `pool`, or "avg/nopad" where averages do not count the padding."""
        return "avg/nopad" if self.pool == "avg" and not self.count_include_pad else self.pool

    @property
    def name(self) -> str:
        """Readable front, unique end, legal as a file's name: cifar10-sew18-w16-max-s0-0123456789."""
        pool = pools.find(self.pool).safe
        front = f"{self.dataset}-{self.skip}{self.arch.removeprefix('resnet')}-w{self.width}-{pool}"
        return f"{front}-s{self.seed}-{self.hash}"

    @property
    def images(self) -> int:
        """How many images it is trained on in an epoch."""
        return min(self.train_images or data.TABLE[self.dataset].train, data.TABLE[self.dataset].train)

    @property
    def course(self) -> Run:
        """The run with the longest training allowed: runs that differ in `epochs` alone share it.

        Batches follow from seed and epoch and the rate is constant, so a longer training passes through the
        end of every shorter one.
        """
        return self.but(epochs=int(RANGE["epochs"][1]))

    @property
    def arguments(self) -> list[str]:
        """The options of `python -m snnpaper train` that ask for this run."""
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        return ["--profile", "paper", *(x for k, v in changed.items() for x in (f"--{k}", str(v)))]

    @property
    def scale(self) -> str:
        """How far the training is from the published one: paper, reduced, or demo."""
        if data.TABLE[self.dataset].demo:
            return "demo"
        published = Run()
        same = all(getattr(self, k) == getattr(published, k) for k in ("width", "epochs", "batch_size", "train_images"))
        return "paper" if same else "reduced"

    @property
    def label(self) -> str:
        """The name a reader knows: SEW-ResNet-18."""
        depth = self.arch.removeprefix("resnet")
        kind = {"sew": "SEW-ResNet", "spiking": "Spiking-ResNet", "none": "no-skip ResNet"}[self.skip]
        return f"{kind}-{depth}" + ("" if self.neuron == "IF" else " (ReLU twin)")

    def but(self, **changes: Any) -> Run:
        """The same run with some values changed."""
        return replace(self, **changes)


def allowed(name: str) -> str:
    """The values a field may take, in words."""
    if name == "dataset":
        return ", ".join(data.TABLE)
    if name in ALLOWED:
        return ", ".join(ALLOWED[name])
    if name in _NAMED:
        return _NAMED[name].allowed()
    if name == "count_include_pad":
        return "True, False"
    low, high = RANGE[name]
    return f"{'whole numbers' if isinstance(low, int) else 'numbers'} from {low} to {high}"


def _problem(name: str, value: Any) -> str | None:
    """What is wrong with one value and what is allowed, or None."""
    if name in _NAMED:
        try:
            _NAMED[name].find(value)
        except ValueError as err:
            return str(err)
        return None
    if name == "dataset":
        fine = isinstance(value, str) and value in data.TABLE
    elif name in ALLOWED:
        fine = value in ALLOWED[name]
    elif name == "count_include_pad":
        fine = isinstance(value, bool)
    else:
        low, high = RANGE[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fine = number and low <= value <= high and (isinstance(low, float) or value == int(value))
    return None if fine else f"{name} is {value!r}; allowed: {allowed(name)}"
