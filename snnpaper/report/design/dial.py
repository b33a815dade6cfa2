"""The dial from average to max pooling, and rule 13: dose and response, a threshold, can both be had."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...nets import pools
from ...stats import FEW, over_seeds
from .. import tables
from ..plots import panels, pool_style
from ..standing import EPS, OWN, WORST, Difference, difference
from ..tables import FIVE_SEEDS, PAIR
from ..words import interval_text, seeds_text
from . import size

MAX, AVG = PAIR
DIALS = {  # each from average to max pooling
    "mixed": (AVG, "mixed:0.25", "mixed:0.5", "mixed:0.75", MAX),
    "softmax": (AVG, "softmax:1", "softmax:4", MAX),
    "top-k": (AVG, "topk:4", "topk:2", MAX),
}
SETTINGS = tuple(dict.fromkeys(name for dial in DIALS.values() for name in dial))
COLUMNS = ["pool", "seed", "density", "norm", "clean", OWN, WORST]


def networks(stand: pd.DataFrame, images: pd.DataFrame, acc: pd.DataFrame) -> pd.DataFrame:
    """One row a network of the dials, of seeds that have a setting between the ends.

    Columns: pool, seed, density (share of non-zero entries at the pool's input), norm (log2 of the gradient's L1 norm),
    clean, own and worst (shares that stand at EPS). From `standing.standing`, `size.images` and `tables.accuracies`.
    """
    by = size.by_network(images).set_index("run")
    clean = acc[acc["space"] == "clean"].set_index("run")["accuracy"]
    rows = []
    for run, part in stand[stand["training"].isin(SETTINGS)].groupby("run", sort=False):
        if run not in by.index or run not in clean.index:
            continue
        share = {r.attack: (r.right & r.stands).sum() / r.right.sum() for r in part.itertuples()}
        row = {"pool": part["training"].iloc[0], "seed": part["seed"].iloc[0], "clean": clean[run]}
        row |= {"density": by.loc[run, size.DENSITY], "norm": by.loc[run, "log l1"]}
        rows.append(row | {OWN: share[OWN], WORST: share[WORST]})
    found = pd.DataFrame(rows, columns=COLUMNS)
    between = found.loc[~found["pool"].isin(PAIR), "seed"]
    return found[found["seed"].isin(between)].reset_index(drop=True)


def slopes(found: pd.DataFrame, attack: str = WORST) -> pd.Series:
    """Of each seed, the slope of the share that stands on the density at the pool, over `networks`; by seed."""
    return pd.Series(
        {
            seed: np.polyfit(part["density"], part[attack].astype(float), 1)[0]
            for seed, part in found.groupby("seed")
            if part["pool"].nunique() >= FEW
        },
        dtype=float,
    )


def dose(found: pd.DataFrame) -> str:
    """Rule 13's first word, in a sentence; positive slopes mean that a denser gradient goes with more that stand."""
    each = slopes(found)
    if each.empty:
        return "No dial is recorded yet."
    mean, half = over_seeds(each)
    head = f"Per 10 points of density at the pool the share that stands in the worst case changes by {10 * mean:+.2f} "
    if len(each) < FEW:
        return f"{head}points ({_seeds(len(each))}: no interval, and so no word by rule 13)."
    clear = abs(mean) > half and (np.sign(each) == np.sign(each.iloc[0])).all()
    word = "dose and response" if clear else "no dose and response that could be told from zero"
    return f"{head}± {10 * half:.2f} points: {word} ({_seeds(len(each))})."


def steps(stand: pd.DataFrame) -> pd.DataFrame:
    """The steps of each dial, from average towards max: dial, step, d (a Difference in the worst case), range.

    `range` is max − average over the seeds of that dial's settings. A step next to a setting without a record is left
    out, and a dial of fewer than FEW settings.
    """
    rows = []
    for dial, names in DIALS.items():
        there = [name for name in names if name in set(stand["training"])]
        if len(there) < FEW or not set(PAIR) <= set(there):
            continue
        seeds = set.intersection(*(set(stand.loc[stand["training"] == name, "seed"]) for name in there))
        part = stand[stand["seed"].isin(seeds)]
        whole = difference(part, WORST, PAIR)
        for low, high in itertools.pairwise(names):
            if {low, high} <= set(there) and (d := difference(part, WORST, (high, low))) and whole:
                rows.append({"dial": dial, "step": f"{low} → {high}", "d": d, "range": whole.mean})
    return pd.DataFrame(rows, columns=["dial", "step", "d", "range"])


def threshold(found: pd.DataFrame) -> str:
    """Rule 13's second word, from `steps`: of the dials of which every step is there."""
    whole = [dial for dial, names in DIALS.items() if (found["dial"] == dial).sum() == len(names) - 1]
    found = found[found["dial"].isin(whole)]
    if found.empty:
        return "No dial is recorded from end to end yet."
    jump = [
        not d.zero and d.mean * r > 0 and abs(d.mean) > abs(r) / 2
        for d, r in zip(found["d"], found["range"], strict=True)
    ]
    dials = found.assign(jump=jump).groupby("dial", sort=False)["jump"].any()
    seeds = min(d.seeds for d in found["d"])
    if seeds < FEW or len(dials) < len(DIALS):
        return (
            f"{len(dials)} of {len(DIALS)} dials are recorded, with {_seeds(seeds)}: no word on a threshold by rule 13."
        )
    word = "a threshold" if dials.all() else "no threshold"
    return (
        f"{word.capitalize()}: one step holds more than half of the range from average to max pooling, with an "
        f"interval that leaves out zero, on {dials.sum()} of {len(dials)} dials ({_seeds(seeds)})."
    )


def both(stand: pd.DataFrame, acc: pd.DataFrame) -> str:
    """Rule 13's third word: settings that are above both ends, on clean images and in the worst case."""
    clean = acc[acc["space"] == "clean"]
    tried = [name for name in SETTINGS if name not in PAIR and name in set(stand["training"])]
    if not tried:
        return "No setting between the ends is recorded yet."
    worst = {(name, end): difference(stand, WORST, (name, end)) for name in tried for end in PAIR}
    seeds = min((d.seeds for d in worst.values() if d), default=0)
    better = [
        name for name in tried if all(_above(worst[name, end]) and _more_accurate(clean, name, end) for end in PAIR)
    ]
    word = f"Both can be had, by {', '.join(better)}" if better else "None has both"
    if len(tried) < len(SETTINGS) - len(PAIR):
        word = (
            f"{len(tried)} of {len(SETTINGS) - len(PAIR)} settings between average and max pooling "
            f"{'is' if len(tried) == 1 else 'are'} recorded, and so far {word[0].lower()}{word[1:]}"
        )
    return (
        f"{word}: more than at either end, on clean images and in the worst case, with intervals that leave out zero "
        f"({_seeds(seeds)})."
    )


def _above(d: Difference | None) -> bool:
    return d is not None and d.above


def _more_accurate(clean: pd.DataFrame, name: str, end: str) -> bool:
    found = tables.contrast(clean, (name, end))
    return bool(len(found)) and bool((found["difference"] > found["half"]).all())


def _seeds(n: int) -> str:
    return seeds_text(n) + ("" if n >= FIVE_SEEDS else ", no verdict")


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`networks` for print, a row a setting: means over seeds with their 95 % half-width from FEW seeds on."""
    rows = []
    for pool in pools.ordered(found["pool"]):
        part = found[found["pool"] == pool]
        row = {"pool": pool, "seeds": len(part), "density at the pool (%)": f"{100 * part['density'].mean():.1f}"}
        row["log2 L1 norm"] = f"{part['norm'].mean():.2f}"
        row |= {name: interval_text(*over_seeds(part[key])) for name, key in _shown().items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _shown() -> dict[str, str]:
    return {"clean (%)": "clean", "stand, own pass (%)": OWN, "stand, worst (%)": WORST}


def figure(found: pd.DataFrame) -> Figure:
    """`networks`: what stands in the worst case over density at the pool, and over clean accuracy. A mark a network."""
    # apart, so that the last number of one axis and the first of the next are not read as one
    drawn, (left, right) = panels(1, 2, (7.5, 3.2), sharey=True, gridspec_kw={"wspace": 0.1})
    for pool in pools.ordered(found["pool"]):
        part, style = found[found["pool"] == pool], pool_style(pool) | {"ls": "", "ms": 6}
        left.plot(100 * part["density"], 100 * part[WORST].astype(float), **style)
        right.plot(100 * part["clean"], 100 * part[WORST].astype(float), **style, label=pools.find(pool).label)
    for names in DIALS.values():
        means = _means(found, names)
        left.plot(100 * means["density"], 100 * means[WORST], color="0.6", lw=0.8, zorder=0)
    left.set(xlabel="non-zero at the pool (%)", ylabel=f"stand at {EPS}/255,\nworst pass (%)")
    right.set(xlabel="clean accuracy (%)")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
    return drawn


def _means(found: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    means = found.assign(**{WORST: found[WORST].astype(float)}).groupby("pool")[["density", WORST]].mean()
    return means.reindex([name for name in names if name in means.index])
