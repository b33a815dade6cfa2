"""What is missing on a page: the exact command that records it, and its cost from the recorded runs."""

from __future__ import annotations

import statistics
from dataclasses import fields

from .. import cost, ledger
from ..config import PROFILES, Run
from ..nets.data import TABLE


def command(run: Run) -> str:
    """The shell command that trains, attacks and measures `run`, from the profile that needs the fewest flags."""
    calls = []
    for profile in PROFILES:
        base = Run.make(profile)
        flags = [f"--{f.name} {v}" for f in fields(Run) if (v := getattr(run, f.name)) != getattr(base, f.name)]
        calls.append((len(flags), " ".join(["python -m snnpaper train --profile", profile, *flags])))
    return min(calls)[1]


def time_text(run: Run) -> str:
    """ "75 h of training on AMD EPYC", or that nothing is recorded to estimate it from.

    Unlike `cost.estimate` it does not depend on the machine that asks, so a page says the same everywhere: the
    median time per multiply-add over recorded trainings at the nearest width, on the fastest machine there.
    """
    _, found = cost.rates(run, ledger.records("train"))
    if not found:
        return "unknown: no run is recorded yet"
    rate, machine = min((statistics.median(rates), name) for name, rates in found.items())
    return f"{cost.duration(rate * cost.work(run))} of training on {machine}"


def missing(dataset: str, **changes) -> dict[str, str]:
    """{"command", "cost"} of the run that `changes` describe at the published setting on `dataset`.

    Of a data set of events it says too how that is fetched.
    """
    run = Run(dataset=dataset, **changes)
    fetch = f", after python -m snnpaper fetch {dataset}" if TABLE[dataset].frames else ""
    return {"command": command(run), "cost": time_text(run) + fetch}
