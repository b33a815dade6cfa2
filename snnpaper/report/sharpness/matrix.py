"""Sharpness in training against sharpness in the attack: who stands, and what goes with it (rule 14)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import ledger
from ...config import Run
from ..standing import COLUMNS, EPS, OWN, WITH_ASSG, WORST, rows_of
from ..tables import PAIR

SETTING = Run.make("cpu")  # of PAIR's pools, any surrogate, sharpness and seed
ENOUGH = 24  # networks, as rule 12 has it
DRAWS = 2_000
KNOWN = {"density": "density at the pool", "size": "the gradient's L1 norm"}
SPARSITY, SMOOTHNESS, NEITHER = "follows sparsity", "follows smoothness", "follows neither clearly"


def choice(surrogate: str, alpha: float) -> str:
    """How tables name a surrogate with its sharpness."""
    return f"{surrogate} {alpha:g}"


def records() -> list[tuple[Run, dict]]:
    """The networks of SETTING that are recorded, each with its record."""
    found = [(Run.from_dict(r["config"]), r) for r in ledger.records("sharpness")]
    like = {k: getattr(SETTING, k) for k in ("pool", "surrogate", "alpha", "seed")}
    return [(run, r) for run, r in found if run.pool in PAIR and run.but(**like) == SETTING]


def attacks() -> pd.DataFrame:
    """One row a network and recorded attack, as `standing.rows_of`; a training is "max, atan 2", an attack "atan 2"."""
    rows = []
    for run, record in records():
        own = choice(run.surrogate, run.alpha)
        rows += rows_of(record, f"{run.pool}, {own}", own, lambda a: choice(a["surrogate"], a["alpha"] or 0))
    return pd.DataFrame(rows, columns=COLUMNS)


def networks(stand: pd.DataFrame) -> pd.DataFrame:
    """One row a network of `standing.standing`, with what rule 14 compares.

    Columns: run, pool, surrogate, alpha, seed; clean, accuracy on the whole test split; right, how many of the attacked
    images are right; robust, the share of them that stand in the worst case; density, mean share of non-zero entries of
    the gradient at the pool; size, mean log2 of the L1 norm of the gradient of p_y; margin, mean log2.
    """
    worst = stand[stand["attack"] == WORST].set_index("run")
    rows = []
    for run, record in records():
        one, g = worst.loc[run.name], record["results"]["gradient"]
        right = np.asarray(one["right"])
        row = {k: getattr(run, k) for k in ("pool", "surrogate", "alpha", "seed")} | {"run": run.name}
        row["clean"] = ledger.read("train", run.name)["results"]["test_accuracy"]
        row |= {"right": right.sum(), "robust": np.asarray(one["stands"])[right].mean()}
        row["density"] = np.array(g["l0_pool"])[right].mean()
        for name, key in (("size", "l1"), ("margin", "margin")):
            row[name] = np.log2(np.maximum(np.array(g[key])[right], 1e-12)).mean()
        rows.append(row)
    columns = ["run", "pool", "surrogate", "alpha", "seed", "clean", "right", "robust", "density", "size", "margin"]
    return pd.DataFrame(rows, columns=columns)


def partial(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    """Correlation of x and y [n] beyond what `given` [n,k] explains linearly of each; 0 where one is constant."""
    base = np.column_stack([np.ones(len(x)), given])
    left = [v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (x, y)]
    norms = [np.linalg.norm(v) for v in left]
    return float(left[0] @ left[1] / np.prod(norms)) if min(norms) > 1e-9 else 0.0


def correlations(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rule 14's two partial correlations with `robust`, given the other and clean, with 95 % bootstrap intervals.

    One row for each of KNOWN: name, value, low, high. Networks are drawn again. Empty for fewer than ten networks, of
    which four numbers are fitted.
    """
    columns, rng = ["name", "value", "low", "high"], np.random.default_rng(seed)
    if len(frame) < 10:
        return pd.DataFrame(columns=columns)
    table = {k: frame[k].to_numpy(float) for k in ("robust", "clean", *KNOWN)}

    def measured(i: np.ndarray) -> list[float]:
        x = {k: v[i] for k, v in table.items()}
        pairs = (("density", "size"), ("size", "density"))
        return [partial(x[one], x["robust"], np.column_stack([x[other], x["clean"]])) for one, other in pairs]

    draws = [measured(rng.integers(len(frame), size=len(frame))) for _ in range(DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    point = measured(np.arange(len(frame)))
    return pd.DataFrame(list(zip(KNOWN, point, low, high, strict=True)), columns=columns)


def verdict(found: pd.DataFrame) -> str:
    """Rule 14's word for `correlations`."""
    clear = {r["name"] for _, r in found.iterrows() if r["low"] > 0 or r["high"] < 0}
    return {("density",): SPARSITY, ("size",): SMOOTHNESS}.get(tuple(clear), NEITHER)


def answer(found: pd.DataFrame, frame: pd.DataFrame) -> str:
    """Rule 14 in a sentence; its words are no verdict below ENOUGH networks."""
    if found.empty:
        return f"{len(frame)} networks are recorded: too few for a partial correlation."
    parts = [
        f"with {KNOWN[r['name']]} {r['value']:+.2f} [{r['low']:+.2f}, {r['high']:+.2f}]" for _, r in found.iterrows()
    ]
    head = "By rule 14" if len(frame) >= ENOUGH else f"No verdict with {len(frame)} of {ENOUGH} networks; so far"
    return (
        f"{head}: robustness {verdict(found)}. Its partial correlation, given the other and clean accuracy, is "
        + " and ".join(parts) + f" (95 % intervals over networks; worst case at {EPS}/255)."
    )  # fmt: skip


def named(found: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The trainings of `standing.shares` by pool and sharpness, and the attacks likewise."""

    def sharper(name: str) -> tuple[str, float]:
        surrogate, alpha = name.rpartition(", ")[2].split()
        return surrogate, float(alpha)

    trainings = sorted(set(found["training"]), key=lambda t: (PAIR.index(t.partition(",")[0]), *sharper(t)))
    passes = set(found["attack"]) - {OWN, WORST, WITH_ASSG}
    return trainings, sorted(passes, key=sharper)
