"""What a run costs: the arithmetic of its training, and the time recorded runs took for theirs."""

from __future__ import annotations

import functools
import statistics

import torch
from torch.utils.flop_counter import FlopCounterMode

from . import ledger
from .config import Run
from .nets import data, pools
from .nets.models import SpikingResNet


@functools.cache
def _macs(dataset: str, arch: str, skip: str, width: int, pool: str) -> int:
    """Multiply-adds of one forward pass of one frame, with every tap of every kernel."""
    entry = data.TABLE[dataset]
    with torch.device("meta"):
        net = SpikingResNet(entry.classes, arch, width, pool, skip, plain=True, shape=entry.shape).eval()
        with FlopCounterMode(display=False) as counted:
            net(torch.empty(1, 1, *entry.shape))
    return counted.get_total_flops() // 2


def work(run: Run) -> float:
    """Multiply-adds of the whole training: 3 passes (forward, two backward) over T frames an image.

    A defence's own passes are not counted.
    """
    forward = pools.find(run.pooling).there.name  # whatever gradient it has
    return 3.0 * run.T * run.epochs * run.images * _macs(run.dataset, run.arch, run.skip, run.width, forward)


def machine(hardware: dict) -> str:
    """The accelerator, or without one the processor, of a record's hardware."""
    return hardware["gpu"] or hardware["cpu"]


def rates(run: Run, records: list[dict]) -> tuple[int, dict[str, list[float]]]:
    """The recorded width nearest to the run's, and seconds a multiply-add of the trainings there, by machine.

    Narrow networks are bound by memory, wide ones by arithmetic; demonstrations say nothing about either, and small
    frames of events little about images, so each has its own where there are any. Without such records the width is 0
    and the rest empty.
    """
    images = [r for r in records if not data.TABLE[r["config"]["dataset"]].demo]
    events = bool(data.TABLE[run.dataset].frames)
    images = [r for r in images if bool(data.TABLE[r["config"]["dataset"]].frames) == events] or images
    nearest = min((r["config"]["width"] for r in images), key=lambda w: abs(w - run.width), default=0)
    found: dict[str, list[float]] = {}
    for r in images:
        if r["config"]["width"] == nearest:
            p = r["provenance"]
            found.setdefault(machine(p["hardware"]), []).append(p["wall_seconds"] / work(Run.from_dict(r["config"])))
    return nearest, found


def estimate(run: Run, records: list[dict]) -> tuple[float, str] | None:
    """Seconds that training `run` would take on this machine, and what that rests on; None without records.

    The median over `rates` on this machine's processor or accelerator where there are any, else on another
    of the same sort.
    """
    here = ledger.hardware()
    sort = [r for r in records if bool(r["provenance"]["hardware"]["gpu"]) == bool(here["gpu"])]
    nearest, found = rates(run, sort)
    if not found:
        return None
    if machine(here) in found:
        taken, place = found[machine(here)], "on this machine"
    else:
        taken, place = [r for part in found.values() for r in part], f"on {', '.join(found)}"
    text = f"from {len(taken)} run{'s' * (len(taken) > 1)} at width {nearest} {place}"
    return statistics.median(taken) * work(run), text


def duration(seconds: float) -> str:
    """Seconds as a reader says them: 40 s, 12 min, 5.1 h, 3.9 days."""
    for unit, size, limit in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if unit == "h" and value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
