"""The tables of level search taken apart: pure functions from the "ablation" records to data frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ... import ledger, stats
from ...config import Run
from ..words import interval_text
from .tables import records

DERIVATIVES = {"weighted": "weighted BPDA", "smoothed": "smoothed BPDA", None: "the code itself"}
WEIGHTED, SMOOTHED, CODE = DERIVATIVES.values()
CLEAN, PGD = "none: clean", "PGD: random start, all pixels, any iterate"
PLAIN, FULL = "all pixels, no momentum", "half of the pixels, momentum"  # FULL is level search's own
CONTRASTS = {  # the attack that is replaced, and by which
    "the smoothed BPDA for the weighted one, under PGD": ((PGD, WEIGHTED), (PGD, SMOOTHED)),
    "the code itself for the smoothed BPDA, all pixels, no momentum": ((PLAIN, SMOOTHED), (PLAIN, CODE)),
    "the code itself for the smoothed BPDA, half of the pixels, momentum": ((FULL, SMOOTHED), (FULL, CODE)),
    "momentum and half of the pixels, with the smoothed BPDA": ((PLAIN, SMOOTHED), (FULL, SMOOTHED)),
    "momentum and half of the pixels, with the code itself": ((PLAIN, CODE), (FULL, CODE)),
}


def _optimiser(row: dict) -> str:
    if row["algorithm"] == "PGD":
        return PGD
    return FULL if row["decay"] else PLAIN


def _apart() -> pd.DataFrame:
    """One row a network, optimiser and derivative of the "ablation" records: which images survive."""
    found = []
    for record in records("ablation"):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"network": f"{run.pool}, seed {run.seed}, {n} images"}
        rows = [(CLEAN, name, record["results"]["clean_correct"]) for name in DERIVATIVES.values()]
        rows += [(_optimiser(r), DERIVATIVES[r["bpda"]], r["correct"]) for r in record["results"]["rows"]]
        for optimiser, derivative, bits in rows:
            what = {"optimiser": optimiser, "derivative": derivative}
            found.append(head | what | {"correct": ledger.unpack(bits, n)})
    return pd.DataFrame(found, columns=["network", "optimiser", "derivative", "correct"])


def taken_apart() -> pd.DataFrame:
    """Level search taken apart: per cent robust, one row an optimiser and network, one column a derivative."""
    frame = _apart()
    frame["robust"] = [f"{100 * c.mean():.0f}" for c in frame["correct"]]
    wide = frame.pivot(index=["network", "optimiser"], columns="derivative", values="robust")
    order = list(dict.fromkeys(zip(frame["network"], frame["optimiser"], strict=True)))
    columns = list(DERIVATIVES.values())
    return wide.reindex(index=order, columns=columns).rename_axis(columns=None).fillna("–").reset_index()


def worth() -> pd.DataFrame:
    """What each part of level search takes away, in points: one row a contrast, one column a network.

    The 95 % interval is over the images, which are the same on both sides.
    """
    table: dict[str, dict[str, str]] = {}
    for network, what, weaker, stronger in _pairs():
        points = interval_text(*stats.over_seeds_and_images((weaker * 1.0 - stronger)[None]))
        table.setdefault(what, {"fewer survive by (points)": what})[network] = points
    return pd.DataFrame(table.values())


def largest() -> str:
    """Which contrast takes most away, as the mean over networks, in a sentence; empty without records."""
    points: dict[str, list[float]] = {}
    for _, what, weaker, stronger in _pairs():
        points.setdefault(what, []).append(100 * (weaker.mean() - stronger.mean()))
    means = {what: sum(values) / len(values) for what, values in points.items()}
    most = max(means, key=means.__getitem__, default=None)
    return f"Most is taken away by {most}: {means[most]:.1f} points, mean over networks." if most else ""


def _pairs() -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Network, contrast, and which images survive the weaker and under the stronger attack."""
    for network, part in _apart().groupby("network", sort=False):
        stands = part.set_index(["optimiser", "derivative"])["correct"]
        for what, (weaker, stronger) in CONTRASTS.items():
            yield network, what, stands[weaker], stands[stronger]
