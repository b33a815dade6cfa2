"""Whatever makes a record: one table of kinds, and `make`, which makes any of them.

A kind is a function of a coded network and the first test images that gives a record's results as plain values; what
is to lie beside the record is in them as "arrays". Its settings are here and nowhere else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from .. import files, ledger
from ..config import Run, home
from ..workers import alone


@dataclass(frozen=True)
class Kind:
    """One kind of record.

    `function` is "module.function" of this folder, called with the network, its first `images` test images, the
    `settings`, and those of run, sources (networks to transfer from), keep (`kept.Kept`) and progress that it `needs`.
    `network` is "trained" (from zoo/), "untrained", or "in memory" (trained for this record and not kept). Where
    `weights` is false the weights need no gradient. `codes` are the codes it is defined for; empty means all.
    """

    function: str
    images: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    network: str = "trained"
    weights: bool = False
    codes: tuple[str, ...] = ()


FIXED = ("phase", "weighted_phase", "latency", "direct")  # codes that draw nothing
OF_IMAGES = (*FIXED, "rate")
TABLE = {
    "robustness": Kind("robustness.robustness", 1_000, {"radii": (6, 8), "train_batch": 16}, ("keep", "progress")),
    "sparsity": Kind("robustness.gradients", 256, {"weight_images": 32}, ("keep",), weights=True),
    # Pixel space: the least change an 8-bit image can have, and the paper's eps. Spike space: the paper's eps, half of
    # it, and a quarter (rule 20). Third: whether every backward pass is tried on every image. The first battery's
    # images are kept.
    "attacks": Kind(
        "attacks.attacks", 200,
        {"batteries": (("pixel", 1, False), ("pixel", 8, False), ("spike", 4, False), ("spike", 8, True),
                       ("spike", 2, False)),
         "checked": 50, "outsider_steps": 50},
        ("sources", "keep", "progress"), codes=FIXED),
    # Of the batteries of "attacks"; twice: the budget that has to move nothing.
    "stronger": Kind("stronger.stronger", 200, {"budgets": (1, 2)}, ("run", "keep", "progress"), codes=FIXED),
    "curve": Kind(
        "curve.curve", 500,
        {"levels": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128), "steps": 20,
         "fine": (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128),
         "flips": (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)},
        ("keep",), codes=("phase", "latency")),  # binary, or there are no bits to flip
    # The middle radius is where every image is attacked through every pass: a third of both pools' images stand there.
    # In pixel space nearly every image is fooled at the first level.
    "backwards": Kind(
        "backwards.backwards", 500,
        {"radii": (0.25, 0.5, 1, 2, 4, 8, 16, 32), "levels": (1, 2, 4), "steps": 20}, codes=FIXED),
    "sharpness": Kind(
        "backwards.sharpness", 500,
        {"radii": (0.25, 0.5, 1, 2, 4, 8, 16, 32), "alphas": (0.5, 1, 2, 4, 8), "steps": 20}, codes=FIXED),
    # Events in every entry of the frames, as whole counts and not; moves of events, of which the most are half of a
    # usual N-MNIST recording; moves that every attack may make, which leave some recordings and not all.
    "events": Kind(
        "events.events", 500,
        {"counts": (1, 2, 3, 4, 6, 8, 12, 16), "fine": (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
         "budgets": (8, 16, 32, 64, 128, 256, 512, 1024, 2048), "worst": (32,), "steps": 20},
        ("keep", "progress"), codes=("frames",)),
    "ablation": Kind("ablation.ablation", 100, {"levels": 1, "steps": 20}, codes=FIXED),
    "protocol": Kind("protocol.protocol", 200, {"eps": 8 / 255}, codes=("phase", "weighted_phase")),
    "deviations": Kind("deviations.deviations", 1_000, {"eps": 8 / 255}),
    "theory": Kind("theory.measure", 100, needs=("progress",), weights=True),
    "trail": Kind("trail.trail", 256, {"shown": 4}, ("run",), weights=True, codes=OF_IMAGES),
    "untrained": Kind("trail.untrained", 256, {"shown": 4}, ("run",), "untrained", weights=True, codes=OF_IMAGES),
    "codings": Kind("codings.codings", 100, {"eps": 16 / 255, "steps": 20, "samples": (1, 5, 20)},
                    network="in memory", codes=OF_IMAGES),
}  # fmt: skip
USUAL = ("robustness", "sparsity")  # what a cell of the grid gets that names no others


def find(kind: str) -> Kind:
    """The entry of a kind; raises ValueError naming those there are."""
    if not isinstance(kind, str) or kind not in TABLE:
        raise ValueError(f"measurement is {kind!r}; allowed: {', '.join(TABLE)}")
    return TABLE[kind]


def defined(kind: str, run: Run) -> Kind:
    """The entry of a kind; raises ValueError as `find` does, and where it is not defined for the run's code."""
    entry = find(kind)
    if entry.codes and run.coding not in entry.codes:
        raise ValueError(f"coding is {run.coding!r}; allowed for {kind}: {', '.join(entry.codes)}")
    return entry


def make(
    kind: str, run: Run, device: str = "cpu", progress: bool = False, deadline: float = math.inf, **changes: Any
) -> bool:
    """Make one record of a run, with some settings (or `images`) changed; False when it exists.

    Finished parts of a long one are kept until the record is written. Raises train.OutOfTime between two parts once
    `deadline` (on the clock of time.monotonic) has passed, ValueError for a code the kind is not defined for, and
    what `zoo.load` raises without the network; before any work OSError where no record can be kept (`files.check`), and
    workers.Busy while another process makes the same record.
    """
    entry = defined(kind, run)
    if ledger.path(kind, run.name).exists():
        return False
    if unknown := set(changes) - {*entry.settings, "images"}:
        raise ValueError(f"unknown setting {', '.join(sorted(unknown))}; allowed: images, {', '.join(entry.settings)}")
    if not isinstance(n := changes.get("images", 1), int) or n < 1:
        raise ValueError(f"images is {n!r}; allowed: whole numbers from 1")
    files.check(home())
    with alone(f"{run.name}.{kind}"):
        if ledger.path(kind, run.name).exists():  # by another process meanwhile
            return False
        _make(kind, entry, run, device, progress, deadline, changes)
    return True


def _make(
    kind: str, entry: Kind, run: Run, device: str, progress: bool, deadline: float, changes: dict[str, Any]
) -> None:
    from .. import zoo
    from ..nets import data
    from ..train import drawn_from
    from . import networks
    from .kept import Kept

    began = time.monotonic()
    images = data.load(run.dataset)["test"].first(changes.pop("images", entry.images)).to(device)
    coded = networks.NETWORKS[entry.network](run, device).requires_grad_(entry.weights)
    settings, origin = {**entry.settings, **changes}, zoo.origin(coded, images)
    sources = networks.sources_of(run, device) if "sources" in entry.needs else {}
    beside = {"sources": {label: zoo.sha256(source.net) for label, source in sources.items()}} if sources else {}
    keep = Kept(kind, run, {"settings": settings} | origin | beside, deadline)
    supplies = {"run": run, "keep": keep, "progress": progress, "sources": sources}
    module, _, name = entry.function.partition(".")
    function = getattr(import_module(f".{module}", __package__), name)
    with drawn_from(run.seed):
        results = function(coded, images, **settings, **{need: supplies[need] for need in entry.needs})
    seconds = keep.seconds if "keep" in entry.needs else time.monotonic() - began
    ledger.append(kind, run, results, seconds, arrays=results.pop("arrays", None), **origin)
    keep.forget()
