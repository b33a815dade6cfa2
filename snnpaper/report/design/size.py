"""Size apart from sparsity: the least radius of each image, regressed on norm, margin and density (rule 12)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..attacks.mechanism import KNOWN, regress
from ..radii import worst_pass
from ..tables import records
from .matrix import SETTING

DENSITY = "l0 at pool"
ENOUGH = 24  # networks, of rule 12


def images() -> pd.DataFrame:
    """One row per correctly classified image of each network of SETTING with a "backwards" record.

    Columns: run, pool, seed; `least`, log2 of the least radius (1/255, spike space) that fools the image by PGD through
    any backward pass, twice the largest where none does; log l1, log l2 and log margin (log2); l0 and l0 at pool, the
    shares of non-zero entries at the network's input and at the pool's. The gradient is through the own backward pass.
    """
    frames = []
    for run, record in records("backwards", SETTING):
        r = record["results"]
        least = worst_pass(r["attacks"])
        radii = np.array([*least["radii"], 2 * least["radii"][-1]], float)
        place = np.where(least["first"] == -1, len(radii) - 1, least["first"])
        g = {k: np.array(v) for k, v in r["gradient"].items()}
        part = {"run": run.name, "pool": run.pooling, "seed": run.seed, "least": np.log2(radii[place])}
        part |= {DENSITY: g["l0_pool"], "l0": g["l0"]}
        part |= {f"log {k}": np.log2(np.maximum(g[k], 1e-12)) for k in ("l1", "margin")}
        part["log l2"] = part["log l1"] - np.log2(np.maximum(g["effective"], 1e-12)) / 2  # (L1/L2)^2 is recorded
        frames.append(pd.DataFrame(part)[place >= 0])
    columns = ["run", "pool", "seed", "least", DENSITY, "l0", *KNOWN, "log l2"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def fit(frame: pd.DataFrame) -> pd.DataFrame:
    """`mechanism.regress` on norm, margin and density at the pool; empty for fewer than two networks."""
    return regress(frame, sparsity=[DENSITY]) if frame["run"].nunique() > 1 else pd.DataFrame()


def left(found: pd.DataFrame, networks: int) -> str:
    """Rule 12 in a sentence, from `fit`: whether something is left for density; no verdict below ENOUGH networks."""
    if found.empty:
        return "Fewer than two networks are recorded: nothing can be regressed."
    one = found.set_index("predictor").loc[DENSITY]
    clear = one["low"] > 0 or one["high"] < 0
    word = "nothing that can be told from zero is left for density"
    if clear:
        word = (
            f"something is left for density (denser goes with {'larger' if one['together'] > 0 else 'smaller'} radii)"
        )
    head = "By rule 12" if networks >= ENOUGH else f"No verdict with {networks} of {ENOUGH} networks; so far"
    return (
        f"{head}: {word}. Per standard deviation of density at the pool the least radius changes by "
        f"{one['together']:+.2f} octaves (95 % interval {one['low']:+.2f} to {one['high']:+.2f}), which adds "
        f"{100 * one['gain']:.2f} % of the variance to the {100 * one['base']:.0f} % of norm and margin."
    )


def by_network(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network of `images`: how many they are, and the means of the numeric columns."""
    by = frame.groupby(["pool", "seed", "run"], sort=False)
    means = by[["least", DENSITY, "l0", "log l1", "log l2", "log margin"]].mean()
    return means.assign(images=by.size()).reset_index()
