"""What all attacks of chapter 6 together leave of networks that were trained longer (rule 20)."""

from __future__ import annotations

import pandas as pd

from ..attacks import tables as attacked
from ..comparison import scoped
from ..design.matrix import TRAINED
from ..standing import EPS
from ..tables import PAIR, interval_text, seeds_text
from . import Finding
from .pools import lacking

LEFT = 2  # 1/255, of rule 20
BLIND = {"random noise": "random noise", "transfer: ReLU twin": "the gradient of a ReLU twin"}


def leads(rows: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """After a longer training max pooling leads in spike space under all attacks together; pixel space is lost.

    `rows` is `attacked.rows` of networks trained for so many epochs (rule 20).
    """
    found = attacked.paired(rows[rows["attack"] == attacked.WORST]).set_index(["space", "eps"])
    if not {("spike", LEFT), ("spike", EPS), ("pixel", 1)} <= set(found.index):
        raise lacking("attacks")
    near, far, pixel = found.loc[("spike", LEFT)], found.loc[("spike", EPS)], found.loc[("pixel", 1)]
    left = [[f"{100 * d[pool]:.1f}" for pool in PAIR] for d in (near, far)]
    ahead = " and ".join(interval_text(d["difference"], d["half"]) for d in (near, far))
    return Finding(
        f"All attacks together leave, after {epochs} epochs and in spike space, {' and '.join(x for x, _ in left)} % "
        f"of the images at {LEFT:g}/255 and {EPS:g}/255 with max pooling, {' and '.join(y for _, y in left)} % with "
        f"average pooling: max pooling leads by {ahead} points. In pixel space they leave at most "
        f"{100 * max(pixel[pool] for pool in PAIR):.1f} % at 1/255 ({near['n']} images, {seeds_text(near['seeds'])}, "
        "rule 20).",
        near["difference"] > near["half"] and far["difference"] > far["half"] and max(pixel[p] for p in PAIR) < 0.02,
    )


def without_gradient(rows: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """After a longer training max pooling leads where the attacker has no gradient of the network; `leads`'s rows."""
    spike = rows[(rows["space"] == "spike") & (rows["eps"] == EPS)]
    found = attacked.paired(spike).set_index("attack")
    if not {*BLIND, "clean"} <= set(found.index):
        raise lacking("attacks")
    ahead = [
        f"{interval_text(found.loc[a, 'difference'], found.loc[a, 'half'])} points under {BLIND[a]}" for a in BLIND
    ]
    return Finding(
        f"Attackers without a gradient of the network leave more with max pooling, too: after {epochs} epochs, in "
        f"spike space at {EPS}/255, it leads by {' and '.join(ahead)}, and on clean images by "
        f"{interval_text(found.loc['clean', 'difference'], found.loc['clean', 'half'])} "
        f"({found['n'].max()} images, {seeds_text(found['seeds'].max())}). A hidden gradient does not explain this.",
        all(found.loc[a, "difference"] > found.loc[a, "half"] for a in BLIND),
    )


def in_part(rows: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """Under all attacks max pooling trained through a dense gradient lies between the pools; of `leads`'s rows.

    `rows` has the networks of `matrix.TRAINED` and of average pooling.
    """
    worst = rows[(rows["space"] == "spike") & (rows["attack"] == attacked.WORST) & (rows["eps"] == LEFT)]
    pairs = (TRAINED, (TRAINED[1], PAIR[1]), PAIR)
    found = [attacked.paired(worst, pair) for pair in pairs]
    if any(d.empty for d in found):
        raise lacking("attacks", TRAINED)
    below, above, whole = (d.iloc[0] for d in found)
    return Finding(
        f"Under all attacks together max pooling trained for {epochs} epochs through average pooling's dense gradient "
        f"lies between the two: at {LEFT:g}/255 {interval_text(below['difference'], below['half'])} points below max "
        f"pooling, more than half of its lead, and {interval_text(above['difference'], above['half'])} above average "
        f"pooling ({below['n']} images, {seeds_text(below['seeds'])}).",
        below["difference"] > max(below["half"], whole["difference"] / 2) and above["difference"] > above["half"],
    )
