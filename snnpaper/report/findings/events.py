"""On event data: what chapter 8 says of the pools, of the attacks and of the gradient."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...stats import over_seeds_and_images
from .. import tables, words
from ..attacks.tables import WORST
from ..events import tables as events
from . import Finding

BUDGET = 32  # moves of the worst case


def pools_real(found: pd.DataFrame) -> Finding:
    """On real recordings the two pools cannot be told apart in the worst case, in five seeds."""
    d = found.set_index("what").loc[f"{BUDGET} moves, worst case"]
    return Finding(
        f"On real recordings {BUDGET} events added, removed or moved leave {100 * d['max']:.1f} % of them with max "
        f"pooling and {100 * d['avg']:.1f} % with average pooling in the worst case over all attacks: "
        f"{words.interval_text(d['difference'], d['half'])} points apart, which cannot be told from zero. One of "
        f"less than some {100 * d['half']:.0f} points would not be seen ({d['seeds']} seeds, {d['n']} recordings).",
        d["seeds"] >= tables.FIVE_SEEDS and abs(d["difference"]) <= d["half"],
    )


def own_gradient(battery: pd.DataFrame) -> Finding:
    """Following the network's own gradient alone misses more with max pooling than with average pooling."""
    hits = battery.sort_values("seed").groupby(["pool", "attack"])["correct"].agg(lambda c: [np.stack(list(c))])
    found = {(pool, a): hits[pool, a][0].astype(int) for pool in tables.PAIR for a in (events.OWN, WORST)}
    lost = {pool: found[pool, events.OWN] - found[pool, WORST] for pool in tables.PAIR}
    left = {pool: 100 * found[pool, events.OWN].mean() for pool in tables.PAIR}
    one, other = tables.PAIR
    mean, half = over_seeds_and_images(lost[one] - lost[other])
    lead, wide = over_seeds_and_images(found[one, events.OWN] - found[other, events.OWN])
    apart, more = words.interval_text(lead, wide), words.interval_text(mean, half)
    told = "" if abs(lead) > wide else ", which cannot be told from zero"
    taken = [f"{100 * lost[pool].mean():.1f}" for pool in tables.PAIR]
    return Finding(
        f"Max pooling misleads the attacker more. Along the network's own gradient he leaves {left[one]:.1f} % with "
        f"it and {left[other]:.1f} % with average pooling, {apart} points apart{told}; the other "
        f"attacks take {' and '.join(taken)} points of these, {more} points more from max pooling.",
        len(lost[one]) >= tables.FIVE_SEEDS and mean > half,
    )


def one_event(curves: pd.DataFrame) -> Finding:
    """The least whole change of the frames, an event in every entry, leaves next to nothing of any network."""
    left = curves[(curves["threat"] == events.COUNTS) & (curves["radius"] == 1)]["accuracy"]
    return Finding(
        f"In frames the smallest whole step, one event more or fewer in every entry, leaves each of the {len(left)} "
        f"networks at most {100 * left.max():.1f} %; an ε of 8/255 allows eight. So no robustness at 8/255 can be "
        "compared there.",
        len(left) > 0 and left.max() < 0.05,
    )


def natural(found: pd.DataFrame, entries: float) -> Finding:
    """The gradient of real recordings is as dense as that of coded images at the input, though the data are sparse."""
    at = found.set_index(["dataset", "place", "pool"])["density"].sort_index()
    frames, pool = events.STEM["input"], events.STEM["sn1"]
    real, images = (at[name, frames].min() for name in ("nmnist", "cifar10"))
    return Finding(
        f"Natural spike trains have no sparser gradient: {100 * entries:.0f} % of the frames' entries count an event, "
        f"and {100 * real:.1f} % of the gradient's entries are not zero ({100 * images:.1f} % on CIFAR-10). "
        f"At the pool's input max pooling leaves {100 * at['nmnist', pool, 'max']:.0f} %, as against "
        f"{100 * at['cifar10', pool, 'max']:.0f} % on CIFAR-10.",
        entries < 0.2 and min(real, images) > 0.9,
    )


def guided(curves: pd.DataFrame, radius: int = 256) -> Finding:
    """The gradient guides: as many random moves leave most of what guided ones undo, with either pool."""
    part = curves[curves["radius"] == radius].groupby("threat")["accuracy"].agg(["min", "max"])
    led, drawn = part.loc[events.GUIDED, "max"], part.loc[events.RANDOM, "min"]
    return Finding(
        f"{radius} moves along the gradient leave at most {100 * led:.0f} % in any network, as many random ones at "
        f"least {100 * drawn:.0f} %.",
        drawn > led + 0.3,
    )


def simulated(found: pd.DataFrame) -> Finding:
    """What the simulated recordings say of the pools, and that it is indicative only."""
    d = found.set_index("what").loc[f"{BUDGET} moves, worst case"]
    return Finding(
        f"On simulated recordings (indicative: {d['seeds']} seeds, {d['n']} recordings) the same moves leave "
        f"{100 * d['max']:.1f} and {100 * d['avg']:.1f} %, "
        f"{words.interval_text(d['difference'], d['half'])} points apart.",
        d["seeds"] < tables.FIVE_SEEDS,
    )


def weak(curves: pd.DataFrame) -> Finding:
    """How little the simulated recordings' networks learnt, and that chance moves hardly move them."""
    clean = curves[(curves["threat"] == events.FRAMES) & (curves["radius"] == 0)]["accuracy"]
    last = curves[curves["threat"] == events.RANDOM]
    drawn = last[last["radius"] == last["radius"].max()]["accuracy"]
    return Finding(
        f"These networks are weak: {100 * clean.min():.0f} to {100 * clean.max():.0f} % of the recordings are read "
        f"rightly before any attack, and {last['radius'].max():,.0f} random moves leave "
        f"{100 * drawn.mean():.0f} % on average. What an attack takes from a network that reads a third is little "
        "evidence of anything.",
        clean.max() < 0.5 and drawn.mean() > 0.5 * clean.mean(),
    )
