"""On event data: what chapter 8 says of the pools, of the attacks and of the gradient."""

from __future__ import annotations

import pandas as pd

from .. import tables
from ..events import tables as events
from . import Finding

BUDGET = 32  # moves of the worst case


def pools_real(found: pd.DataFrame) -> Finding:
    """On real recordings the two pools cannot be told apart in the worst case, in five seeds."""
    d = found.set_index("what").loc[f"{BUDGET} moves, worst case"]
    return Finding(
        f"On real recordings {BUDGET} events added, removed or moved leave {100 * d['max']:.1f} % of them with max "
        f"pooling and {100 * d['avg']:.1f} % with average pooling, whatever attack finds them: "
        f"{tables.interval_text(d['difference'], d['half'])} points apart, which cannot be told from zero "
        f"({d['seeds']} seeds, {d['n']} recordings).",
        d["seeds"] >= tables.FIVE_SEEDS and abs(d["difference"]) <= d["half"],
    )


def own_gradient(found: pd.DataFrame) -> Finding:
    """Through the network's own gradient max pooling leads on real recordings; in the worst case by less."""
    by = found.set_index("what")
    d, worst = by.loc[f"{BUDGET} moves, own gradient"], by.loc[f"{BUDGET} moves, worst case"]
    apart = tables.interval_text(d["difference"], d["half"])
    return Finding(
        f"An attacker who follows the network's own gradient alone leaves {100 * d['max']:.1f} % with max pooling and "
        f"{100 * d['avg']:.1f} % with average pooling, {apart} points apart; "
        f"of that lead {100 * (d['difference'] - worst['difference']):.1f} points are his losing the way.",
        d["difference"] > d["half"] and worst["difference"] < d["difference"],
    )


def one_event(curves: pd.DataFrame) -> Finding:
    """The least whole change of the frames, an event in every entry, leaves next to nothing of any network."""
    left = curves[(curves["threat"] == events.COUNTS) & (curves["radius"] == 1)]["accuracy"]
    return Finding(
        f"In frames the smallest whole step, one event more or fewer in every entry, leaves at most "
        f"{100 * left.max():.0f} % in any of the {len(left)} networks; an ε of 8/255 allows eight. So no robustness at "
        "8/255 can be compared there.",
        len(left) > 0 and left.max() < 0.05,
    )


def natural(found: pd.DataFrame, entries: float) -> Finding:
    """The gradient of real recordings is as dense as that of coded images at the input, though the data are sparse."""
    at = found.set_index(["dataset", "place", "pool"])["density"]
    frames, pool = events.STEM["input"], events.STEM["sn1"]
    real, images = (at[name, frames].min() for name in ("nmnist", "cifar10"))
    return Finding(
        f"Natural spike trains have no sparser gradient: {100 * entries:.0f} % of the frames' entries count an event, "
        f"and {100 * real:.1f} % or more of the gradient's entries are not zero ({100 * images:.1f} % on CIFAR-10). "
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
        f"On simulated ones (indicative: {d['seeds']} seeds, {d['n']} recordings) the same moves leave "
        f"{100 * d['max']:.1f} and {100 * d['avg']:.1f} %, "
        f"{tables.interval_text(d['difference'], d['half'])} points apart.",
        d["seeds"] < tables.FIVE_SEEDS,
    )
