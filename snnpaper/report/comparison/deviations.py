"""Where the paper, its public code and this project differ, and what each difference changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ... import ledger
from ...attacks.standard import EVAL, TRAIN
from ...config import Run
from ...stats import over_seeds
from .. import gaps, tables, words
from ..tables import PGD

# What differs between what we could read of the paper, its code and this project; `effects` has the measured keys.
DEVIATIONS = (
    ("runs", "runs as it is", "-", "no: ten classes for the labels of CIFAR-100, the one data set it has; no pool "
     "given for Spiking-ResNet", "every table by one command"),
    ("space", "attacked space", "not seen", "the coded tensor", "both, in tables of their own"),
    ("eps", "radius of the attack", "8/255", "6/255", "both"),
    ("train mode", "mode while attacked", "not seen", "train", "eval; the code's way by name"),
    ("statistics", "BatchNorm's statistics", "not seen", "adapt to the attacked test batches",
     "those of training; the code's way by name"),
    ("collapse", "a batch's gradient norm below 1e-6", "a sign of obfuscation", "PGD stops with an error",
     "a number like any other"),
    ("decay", "weight decay", "not seen", "0.001, coupled, in Adam", "0.001, a parameter"),
    ("selection", "choice of weights", "not seen", "lowest loss on the test split", "last epoch"),
    ("bits", "phase code", "bits weighted by omega(t)", "bits unweighted", "unweighted; weighted is a parameter"),
    ("pools", "pools replaced", "“systematically”", "the one pool of the stem", "the same one"),
    ("padding", "padding of the average pool", "not seen", "counted", "counted; a parameter"),
    ("seeds", "seeds", "not seen", "one (3407)", "several, each in the ledger"),
)  # fmt: skip


def effects() -> pd.DataFrame:
    """One row per deviation, quantity, cell and pool that is measured: how much it changes, in points.

    Columns: key, effect (what minus what), pool, where, points (mean ± 95 % over seeds), seeds, n, scale, runs.
    """
    acc = tables.published(tables.accuracies())
    pgd = acc[(acc["method"] == "pgd") & (acc["space"] == "spike")]
    own = {r["name"]: r["results"] for r in ledger.records("deviations")}
    between = {name: next(x["accuracy"] for x in r["train mode"] if x["algorithm"] == "PGD") for name, r in own.items()}
    sound, published, six = (
        pgd[(pgd["protocol"] == protocol) & (pgd["eps"] == eps)].set_index("run")["accuracy"]
        for protocol, eps in ((EVAL, 8), (TRAIN, 8), (TRAIN, 6))
    )
    pixel = acc[(acc["method"] == "pgd") & (acc["space"] == "pixel") & (acc["eps"] == 8)].set_index("run")["accuracy"]
    clean = acc[acc["space"] == "clean"].set_index("run")["correct"]
    learned = {r["name"]: r["results"] for r in ledger.records("train")}
    curves = {name: [c["validation_accuracy"] for c in r["curves"]] for name, r in learned.items()}
    attacked = pgd.groupby("run")["n"].min()
    cases: list[tuple[str, str, Callable[[str], float]]] = [
        ("space", f"{PGD} 8/255 accuracy, {EVAL}, spike minus pixel space", lambda r: sound[r] - pixel[r]),
        ("train mode", f"{PGD} 8/255 accuracy, gradients in train minus in eval mode", lambda r: between[r] - sound[r]),
        ("statistics", "the same, statistics of attacked batches minus own", lambda r: published[r] - between[r]),
        ("eps", f"{PGD} accuracy, {TRAIN}, 6/255 minus 8/255", lambda r: six[r] - published[r]),
        ("selection", "validation accuracy, best minus last epoch", lambda r: max(curves[r]) - curves[r][-1]),
        ("padding", "clean accuracy, padding left out minus counted, same weights",
         lambda r: own[r]["other_padding_accuracy"] - clean[r][: own[r]["n"]].mean()),
    ]  # fmt: skip
    rows = []
    for key, effect, quantity in cases:
        for values, part in acc[acc["space"] == "clean"].groupby(tables.CELL, sort=False):
            found = {run: v for run in part["run"] if (v := _get(quantity, run)) is not None}
            n = min((learned[r]["validation_n"] if key == "selection" else attacked[r] for r in found), default=0)
            rows += _effect(key, effect, dict(zip(tables.CELL, values, strict=True)), found, n)
    return pd.DataFrame([*rows, *_retrained()])


def _get(quantity: Callable[[str], float], run: str) -> float | None:
    try:
        return float(quantity(run))
    except KeyError:  # not recorded for this run
        return None


def _effect(key: str, effect: str, c: dict, found: dict[str, float], n: int) -> list[dict]:
    if not found:
        return []
    mean, half = over_seeds(list(found.values()))
    where = words.where(c)
    points = f"{100 * mean:+.1f}" + ("" if np.isnan(half) else f" ± {100 * half:.1f}")
    return [{"key": key, "effect": effect, "pool": c["pool"], "where": where, "points": points, "seeds": len(found),
             "n": n, "scale": c["scale"], "runs": sorted(found)}]  # fmt: skip


# Deviations that need a network trained the other way, and what is changed.
RETRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "decay": ("weight decay 0 minus 0.001", {"weight_decay": 0.0}),
    "bits": ("bits weighted by omega minus unweighted", {"coding": "weighted_phase"}),
    "padding": ("trained with padding left out minus counted", {"count_include_pad": False, "pool": "avg"}),
}


def _retrained() -> list[dict]:
    """The same run trained both ways, wherever both are recorded: clean accuracy and PGD-7 8/255 in pixel space."""
    runs = {r["name"]: Run.from_dict(r["config"]) for r in ledger.records("robustness")}
    acc, rows = tables.accuracies(), []
    for key, (effect, changes) in RETRAINED.items():
        pixels = {name: run for name, run in runs.items() if run.coding != "frames"}  # events have no code to change
        other = {n: run.but(**changes).name for n, run in pixels.items() if run.pool == changes.get("pool", run.pool)}
        both = [name for name, changed in other.items() if changed in runs and changed != name]
        for what, space, method in (
            ("clean accuracy", "clean", "clean"),
            (f"{PGD} 8/255 in pixel space", "pixel", "pgd"),
        ):
            rule = (acc["space"] == space) & (acc["method"] == method) & acc["eps"].isin([0, 8])
            accuracy = acc[rule].set_index("run")["accuracy"]
            for values, part in tables.published(acc[rule & acc["run"].isin(both)]).groupby(tables.CELL, sort=False):
                found = {other[r]: accuracy[other[r]] - accuracy[r] for r in part["run"]}
                cell = dict(zip(tables.CELL, values, strict=True))
                rows += _effect(key, f"{what}, {effect}", cell, found, part["n"].min())
    return rows


def missing() -> pd.DataFrame:
    """Deviations without a record yet: key, command, cost."""
    known, rows = effects(), []
    done = set(zip(known["key"], known["pool"], strict=True)) if len(known) else set()
    names = {r["name"] for r in ledger.records("robustness")}
    for key in ("train mode", "statistics"):
        if (key, tables.PAIR[0]) not in done:
            run = Run.make("cpu")
            call = f"snnpaper measure deviations {run.name}"
            rows.append(
                {"key": key, "command": call, "cost": "some minutes" if run.name in names else "after its training"}
            )
    for key, (_, changes) in RETRAINED.items():
        for pool in tables.PAIR:
            run = Run.make("sweep", **{"pool": pool} | changes)
            if (key, pool) not in done and run.pool == pool:
                rows.append({"key": key, "command": gaps.command(run), "cost": gaps.time_text(run)})
    return pd.DataFrame(rows, columns=["key", "command", "cost"])
