"""Does sparsity explain robustness? Least adversarial radii, regressed on what the gradients look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..config import Run
from .tables import records

KNOWN = ["log l1", "margin"]  # norm and margin, which first-order theory says decide
SPARSITY = ["l0", "log effective", "l0 at pool"]
DRAWS = 300


def images(threat: str, root: Path | None = None) -> pd.DataFrame:
    """One row per correctly classified image of every network with a "curve" record, for one of its threats.

    Columns: run, pool, and `least`, log2 of the least radius (or number of flips) that fools; an image that
    none fools gets twice the largest. Then the gradient: l0 and l0 at pool (shares of non-zero entries), log
    effective (log2 of (L1/L2)^2), log l1 (log2), margin (p_y minus the largest other probability).
    """
    frames = []
    for record in records("curve", root):
        run, r = Run.from_dict(record["config"]), record["results"]
        found, g = r["threats"][threat], {k: np.array(v) for k, v in r["gradient"].items()}
        radii, first = np.array([*found["radii"], 2 * found["radii"][-1]], float), np.array(found["first"])
        part = {"run": run.name, "pool": run.pool, "least": np.log2(radii[first])}
        part |= {"l0": g["l0"], "l0 at pool": g["l0_pool"], "margin": g["margin"]}
        part |= {f"log {k}": np.log2(np.maximum(g[k], 1e-12)) for k in ("effective", "l1")}
        frames.append(pd.DataFrame(part)[first != -2])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["run", "least", *KNOWN, *SPARSITY])


def fit(frame: pd.DataFrame, predictors: list[str]) -> tuple[np.ndarray, float]:
    """Coefficients of the standardised predictors (change of `least` per standard deviation), and R^2.

    A predictor without spread has coefficient 0.
    """
    y = frame["least"].to_numpy(float)
    x = frame[predictors].to_numpy(float)
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 1e-9, spread, np.inf)
    beta, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)
    residual = y - beta[0] - x @ beta[1:]
    return beta[1:], 1 - residual.var() / y.var() if y.var() else 0.0


def regress(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """One row a predictor: its coefficient alone, and with all others, with the 95 % bootstrap interval.

    Resampled are networks, and images within each. `gain` (the same in every row) is R^2 of all minus R^2 of
    norm and margin alone, with its interval; `base` is the latter. Raises ValueError with fewer than two networks.
    """
    runs = list(frame.groupby("run").groups.values())
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} networks have curve records; needed: two")
    every, rng = [*KNOWN, *SPARSITY], np.random.default_rng(seed)

    def measured(part: pd.DataFrame) -> np.ndarray:
        both, r2 = fit(part, every)
        base = fit(part, KNOWN)[1]
        alone = [fit(part, [p])[0][0] for p in every]
        return np.array([*both, *alone, r2 - base, base])

    draws = []
    for _ in range(DRAWS):
        chosen = rng.integers(len(runs), size=len(runs))
        rows = np.concatenate([rng.choice(runs[i], len(runs[i])) for i in chosen])
        draws.append(measured(frame.loc[rows]))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    point, k = measured(frame), len(every)
    rows = [
        {"predictor": p, "alone": point[k + i], "alone low": low[k + i], "alone high": high[k + i],
         "together": point[i], "low": low[i], "high": high[i],
         "gain": point[-2], "gain low": low[-2], "gain high": high[-2], "base": point[-1]}
        for i, p in enumerate(every)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def verdict(found: pd.DataFrame) -> str:
    """The rule: a sparsity measure explains robustness when, beside norm and margin, its interval lies below zero
    (fewer entries, larger radius) and all of them together add at least 0.01 to R^2 (lower end of the interval)."""
    mine = found[found["predictor"].isin(SPARSITY)]
    helps = list(mine.loc[mine["high"] < 0, "predictor"])
    against = list(mine.loc[mine["low"] > 0, "predictor"])
    if mine["gain low"].iloc[0] < 0.01:
        return "sparsity adds nothing worth naming once norm and margin are known"
    if helps:
        return f"sparsity adds something beside norm and margin ({', '.join(helps)}: sparser is more robust)"
    if against:
        return f"what sparsity adds has the other sign ({', '.join(against)}: sparser is less robust)"
    return "sparsity adds something, but no single measure of it has a clear sign"
