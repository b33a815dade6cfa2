"""The tables of level search taken apart: pure functions from the "ablation" records to data frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ... import ledger, stats
from ...config import Run
from ...measure import ablation
from ..tables import interval_text
from .tables import records

_TWIN = "smoothed twin"
CONTRASTS = {  # the attack that is replaced, and by which
    "the smoothed twin for the weighted one, under PGD": ((ablation.PGD, "weighted twin"), (ablation.PGD, _TWIN)),
    "the code itself for the smoothed twin, all pixels, no momentum": (
        (ablation.PLAIN, _TWIN), (ablation.PLAIN, ablation.CODE)),
    "the code itself for the smoothed twin, half of the pixels, momentum": (
        (ablation.FULL, _TWIN), (ablation.FULL, ablation.CODE)),
    "momentum and half of the pixels, with the smoothed twin": ((ablation.PLAIN, _TWIN), (ablation.FULL, _TWIN)),
    "momentum and half of the pixels, with the code itself": (
        (ablation.PLAIN, ablation.CODE), (ablation.FULL, ablation.CODE)),
}  # fmt: skip


def _apart() -> pd.DataFrame:
    """One row a network, optimiser and derivative of the "ablation" records: which images stand."""
    found = []
    for record in records("ablation"):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"network": f"{run.pool}, seed {run.seed}, {n} images"}
        for r in record["results"]["rows"]:
            what = {k: r[k] for k in ("optimiser", "derivative")}
            found.append(head | what | {"correct": ledger.unpack(r["correct"], n)})
    return pd.DataFrame(found, columns=["network", "optimiser", "derivative", "correct"])


def taken_apart() -> pd.DataFrame:
    """Level search taken apart: per cent standing, one row an optimiser and network, one column a derivative."""
    frame = _apart()
    frame["standing"] = [f"{100 * c.mean():.0f}" for c in frame["correct"]]
    wide = frame.pivot(index=["network", "optimiser"], columns="derivative", values="standing")
    order = list(dict.fromkeys(zip(frame["network"], frame["optimiser"], strict=True)))
    columns = list(ablation.DERIVATIVES)
    return wide.reindex(index=order, columns=columns).rename_axis(columns=None).fillna("–").reset_index()


def worth() -> pd.DataFrame:
    """What each part of level search takes away, in points: one row a contrast, one column a network.

    The 95 % interval is over the images, which are the same on both sides.
    """
    table: dict[str, dict[str, str]] = {}
    for network, what, weaker, stronger in _pairs():
        points = interval_text(*stats.over_seeds_and_images((weaker * 1.0 - stronger)[None]))
        table.setdefault(what, {"fewer stand by (points)": what})[network] = points
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
    """Network, contrast, and which images stand under the weaker and under the stronger attack."""
    for network, part in _apart().groupby("network", sort=False):
        stands = part.set_index(["optimiser", "derivative"])["correct"]
        for what, (weaker, stronger) in CONTRASTS.items():
            yield network, what, stands[weaker], stands[stronger]
