"""Does sparsity explain robustness? Least adversarial radii, regressed on what the gradients look like.

What such a regression can show is limited: the norm is itself a sum over the entries that are not zero, so that
holding it fixed takes out a path by which sparsity may act, and a measure that hardly varies can explain nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ...attacks.settings import Settings
from ...config import Run
from ..tables import PAIR
from .tables import records, threat_of

KNOWN = ["log l1", "log margin"]  # the radius of first-order theory is margin / norm; in octaves their difference
SPARSITY = ["l0", "log effective", "l0 at pool"]
DRAWS = 300
GAIN = 0.01  # of R^2, that the lower end of the interval must reach
FLAT = 0.01  # a share of entries with a smaller standard deviation hardly varies
LABEL = 0.9  # of a predictor's variance between networks: beyond this it only tells them apart


def images(threat: str, shown: Iterable[str] = PAIR) -> pd.DataFrame:
    """One row per correctly classified image of each network of these pools with a "curve" record, for one threat.

    Columns: run, pool, and `least`, log2 of the least radius (or number of flips) that fools; an image that
    none fools gets twice the largest. Then the recorded gradient, that of p_y: l0 and l0 at pool (shares of
    non-zero entries), log effective (log2 of (L1/L2)^2), log l1 (log2), log margin (log2 of p_y minus the
    largest other probability).
    """
    frames = []
    for record in records("curve", shown):
        run, r = Run.from_dict(record["config"]), record["results"]
        found = next(t for t in r["threats"] if threat_of(Settings.of(t, r["own"])) == threat)
        g = {k: np.array(v) for k, v in r["gradient"].items()}
        radii, first = np.array([*found["radii"], 2 * found["radii"][-1]], float), np.array(found["first"])
        part = {"run": run.name, "pool": run.pool, "least": np.log2(radii[first])}
        part |= {"l0": g["l0"], "l0 at pool": g["l0_pool"]}
        part |= {f"log {k}": np.log2(np.maximum(g[k], 1e-12)) for k in ("effective", "l1", "margin")}
        frames.append(pd.DataFrame(part)[first != -2])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["run", "least", *KNOWN, *SPARSITY])


def variation(frame: pd.DataFrame) -> pd.DataFrame:
    """How much each predictor of `images` varies: one row a predictor, in its own unit.

    Columns: predictor, mean, SD, least, greatest, SD within a network, and "between networks", the share of the
    variance that only tells networks apart.
    """
    table = []
    for name in [*KNOWN, *SPARSITY] if len(frame) else ():
        x = frame[name]
        inside, whole = (x - x.groupby(frame["run"]).transform("mean")).std(ddof=0), x.std(ddof=0)
        row = {"predictor": name, "mean": x.mean(), "SD": whole, "least": x.min(), "greatest": x.max()}
        between = 1 - (inside / whole) ** 2 if whole > 1e-9 else 0.0
        table.append(row | {"SD within a network": inside, "between networks": between})
    columns = ["predictor", "mean", "SD", "least", "greatest", "SD within a network", "between networks"]
    return pd.DataFrame(table, columns=columns)


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


def regress(frame: pd.DataFrame, seed: int = 0, sparsity: Sequence[str] = SPARSITY) -> pd.DataFrame:
    """One row a predictor: its coefficient alone, and with all others, with the 95 % bootstrap interval.

    Predictors are KNOWN and `sparsity`. Resampled are networks, and images within each. The same in every row: `base`,
    R^2 of norm and margin; `own`, R^2 of the sparsity measures without them; `gain`, R^2 of all minus `base`; each with
    its interval. Raises ValueError with fewer than two networks.
    """
    runs = list(frame.groupby("run").groups.values())
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} networks are recorded; needed: two")
    every, rng = [*KNOWN, *sparsity], np.random.default_rng(seed)

    def measured(part: pd.DataFrame) -> np.ndarray:
        both, r2 = fit(part, every)
        base = fit(part, KNOWN)[1]
        alone = [fit(part, [p])[0][0] for p in every]
        return np.array([*both, *alone, r2 - base, base, fit(part, list(sparsity))[1]])

    draws = []
    for _ in range(DRAWS):
        chosen = rng.integers(len(runs), size=len(runs))
        picked = np.concatenate([rng.choice(runs[i], len(runs[i])) for i in chosen])
        draws.append(measured(frame.loc[picked]))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    point, k = measured(frame), len(every)

    def ends(name: str, i: int) -> dict[str, float]:
        return {name: point[i], f"{name} low": low[i], f"{name} high": high[i]}

    whole = ends("gain", -3) | ends("base", -2) | ends("own", -1)
    rows = [
        {"predictor": p, "together": point[i], "low": low[i], "high": high[i]} | ends("alone", k + i) | whole
        for i, p in enumerate(every)
    ]
    return pd.DataFrame(rows)


def rule() -> str:
    """The rule of `verdict` in words."""
    return (
        f"established when a measure that varies from image to image has an interval on one side of zero beside all "
        f"others, and the 95 % interval of what sparsity adds to R² lies above {GAIN:g}; else not established"
    )


def weak(varies: pd.DataFrame) -> dict[str, str]:
    """The sparsity measures that cannot bear a claim, from `variation`, and why."""
    found = {}
    for _, v in varies[varies["predictor"].isin(SPARSITY)].iterrows():
        if v["between networks"] > LABEL:
            found[v["predictor"]] = f"{100 * v['between networks']:.1f} % of its variance only tells networks apart"
        elif v["SD"] < FLAT and not v["predictor"].startswith("log"):
            found[v["predictor"]] = f"hardly varies (SD {v['SD']:.4f})"
    return found


def verdict(found: pd.DataFrame, varies: pd.DataFrame) -> str:
    """Whether these images establish that sparsity explains robustness, by `rule`, from `regress` and `variation`."""
    mine, one = found[found["predictor"].isin(set(SPARSITY) - set(weak(varies)))], found.iloc[0]
    if one["gain low"] < GAIN:
        return f"not established: what it adds to R² may be as little as {max(0, one['gain low']):.3f}"
    if helps := list(mine.loc[mine["high"] < 0, "predictor"]):
        return f"established beside norm and margin ({', '.join(helps)}: sparser is more robust)"
    if against := list(mine.loc[mine["low"] > 0, "predictor"]):
        return f"established with the other sign ({', '.join(against)}: sparser is less robust)"
    return "not established: no measure that varies from image to image has a clear sign"


def explained(fits: dict[str, pd.DataFrame], frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The printed table: one row an outcome, R² of norm and margin, of sparsity alone, what it adds, the verdict."""
    table = []
    for name, found in fits.items():
        one, frame = found.iloc[0], frames[name]
        r2 = {k: f"{one[k]:.3f} [{one[f'{k} low']:.3f}, {one[f'{k} high']:.3f}]" for k in ("base", "own", "gain")}
        table.append({
            "outcome": name, "images": len(frame), "networks": frame["run"].nunique(),
            "R², norm and margin": r2["base"], "R², sparsity alone": r2["own"], "sparsity adds": r2["gain"],
            "sparsity explains": verdict(found, variation(frame))})  # fmt: skip
    return pd.DataFrame(table)
