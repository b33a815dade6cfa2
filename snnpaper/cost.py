"""What a missing run would take: the exact command, and its cost estimated from the recorded runs."""

from __future__ import annotations

import functools
import statistics
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from . import ledger
from .config import ALLOWED, PROFILES, Run
from .data import CLASSES
from .models import build

ABSENT = "data absent"


def command(run: Run) -> str:
    """The shell command that trains, attacks and measures `run`, from the profile that needs the fewest flags."""
    calls = []
    for profile in PROFILES:
        base = Run.make(profile)
        flags = [f"--{f.name} {v}" for f in fields(Run) if (v := getattr(run, f.name)) != getattr(base, f.name)]
        calls.append((len(flags), " ".join(["python -m snnpaper train --profile", profile, *flags])))
    return min(calls)[1]


@functools.cache
def _work(arch: str, width: int, skip: str, classes: int) -> float:
    """Multiply-adds of one forward pass of one image in one time step."""
    net, total = build(Run(arch=arch, width=width, skip=skip)).eval(), 0

    def count(module, inputs, out):
        nonlocal total
        total += out[0].numel() * module.weight[0].numel()

    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            m.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 1, 3, 32, 32))
    return float(total)


def work(run: Run) -> float:
    """Multiply-adds of one forward pass per image times the images that training passes."""
    images = run.train_images or (45_000 if run.dataset.startswith("cifar") else 1_197)
    return _work(run.arch, run.width, run.skip, CLASSES[run.dataset]) * run.T * images * run.epochs


def hours(run: Run, root: Path | None = None) -> tuple[float, str] | None:
    """Estimated hours of training and the hardware they are for; None without a record to scale from.

    The recorded runs of the nearest cost per image (all seeds and pools alike) are scaled by `work`; their
    median is taken. Attacks and measurements come on top.
    """
    known: dict[float, list[tuple[float, str]]] = {}
    per_image = _work(run.arch, run.width, run.skip, CLASSES[run.dataset])
    for record in ledger.records("train", root):
        other, p = Run.from_dict(record["config"]), record["provenance"]
        own = _work(other.arch, other.width, other.skip, CLASSES[other.dataset])
        rate = p["wall_seconds"] / work(other)
        distance = abs(torch.tensor(own / per_image).log().item())
        known.setdefault(round(distance, 3), []).append((rate, p["hardware"]["gpu"] or p["hardware"]["cpu"]))
    if not known:
        return None
    nearest = known[min(known)]
    return statistics.median(r for r, _ in nearest) * work(run) / 3600, nearest[0][1]


def hours_text(run: Run, root: Path | None = None) -> str:
    """ "about 3 h (AMD EPYC, one thread)", in minutes below an hour."""
    found = hours(run, root)
    if found is None:
        return "unknown: no run is recorded yet"
    value, machine = found
    return (f"about {value:.0f} h" if value >= 1 else f"about {60 * value:.0f} min") + f" ({machine})"


def missing(dataset: str, root: Path | None = None, **changes) -> dict[str, str]:
    """{"command", "cost"} of the run that `changes` describe at the published setting on `dataset`.

    A data set that this version cannot read is "data absent", with the command that will read it.
    """
    if dataset in ALLOWED["dataset"]:
        run = Run(dataset=dataset, **changes)
        return {"command": command(run), "cost": hours_text(run, root)}
    given = Run(**changes)
    text = command(given).replace("--profile paper", f"--profile paper --dataset {dataset}")
    return {"command": text, "cost": f"{ABSENT}: no reader for its event files yet"}
