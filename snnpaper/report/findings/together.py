"""What all attacks of chapter 6 together leave of networks that were trained longer (rule 20)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...stats import FEW, over_seeds_and_images, wilson
from ..attacks import tables as attacked
from ..attacks.stronger import TOLERANCE
from ..comparison import scoped
from ..design.matrix import DENSE, TRAINED
from ..standing import EPS, influence
from ..tables import PAIR, Pair
from ..words import interval_text, seeds_text
from . import Finding
from .pools import lacking

LEFT = 2  # 1/255, of rule 20
BLIND = {"random noise": "random noise", "transfer: ReLU twin": "the gradient of a ReLU twin"}


def worst(rows: pd.DataFrame, pair: Pair = PAIR) -> pd.DataFrame:
    """`attacked.paired` of all attacks together, by space and eps; of `attacked.rows`."""
    return attacked.paired(rows[rows["attack"] == attacked.WORST], pair).set_index(["space", "eps"])


def leads(rows: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """After a longer training max pooling leads in spike space under all attacks together; pixel space is lost.

    `rows` is `attacked.rows` of networks trained for so many epochs (rule 20).
    """
    found = worst(rows)
    if not {("spike", LEFT), ("spike", EPS), ("pixel", 1)} <= set(found.index):
        raise lacking("attacks")
    near, far, pixel = found.loc[("spike", LEFT)], found.loc[("spike", EPS)], found.loc[("pixel", 1)]
    most = max(pixel[pool] for pool in PAIR)
    left = [[f"{100 * d[pool]:.1f}" for pool in PAIR] for d in (near, far)]
    ahead = " and ".join(interval_text(d["difference"], d["half"]) for d in (near, far))
    return Finding(
        f"All attacks together leave, after {epochs} epochs and in spike space, {' and '.join(x for x, _ in left)} % "
        f"of the images at {LEFT:g}/255 and {EPS:g}/255 with max pooling, {' and '.join(y for _, y in left)} % with "
        f"average pooling: max pooling leads by {ahead} points. In pixel space they leave "
        f"{f'at most {100 * most:.1f} %' if most else 'nothing'} at 1/255 ({near['n']} images, "
        f"{seeds_text(near['seeds'])}, interval over {'the' if near['seeds'] < FEW else 'seeds and'} images, rule 20).",
        near["difference"] > near["half"] and far["difference"] > far["half"] and most < 0.02,
    )


def still(frame: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """Max pooling leads under a stronger attacker with twice his budget, too; `frame` is `stronger.left`."""
    here = frame[frame["space"] == "spike"].set_index(["pool", "eps"])
    if not {(pool, eps) for pool in PAIR for eps in (LEFT, EPS)} <= set(here.index) or not here.index.is_unique:
        raise lacking("stronger")
    left = {pool: [100 * here.loc[(pool, eps), "twice"] / here["n"].iloc[0] for eps in (LEFT, EPS)] for pool in PAIR}
    more, fewer = (wilson(here.loc[(pool, LEFT), "twice"], here["n"].iloc[0]) for pool in PAIR)
    moved = (100 * (here["after"] - here["twice"]) / here["n"]).max()
    text = {pool: " and ".join(f"{v:.1f}" for v in values) for pool, values in left.items()}
    return Finding(
        f"A stronger attacker than these, given twice his own budget, leaves, after {epochs} epochs, {text[PAIR[0]]} % "
        f"of the images at {LEFT:g}/255 and {EPS:g}/255 with max pooling, {text[PAIR[1]]} % with average pooling "
        f"({here['n'].iloc[0]} images, one seed). His last doubling still moved up to {moved:.1f} points, so these are "
        "upper bounds, and the lead is of these attacks.",
        more[0] > fewer[1] and left[PAIR[0]][1] > left[PAIR[1]][1] and moved > TOLERANCE,
    )


def without_gradient(trained: Mapping[int, pd.DataFrame]) -> Finding:
    """Where most seeds were attacked, random noise, which follows no gradient, does not tell the pools apart.

    `trained` has the rows of `leads` by epochs. Of the correctly classified images, since the networks of two pools
    need not be right equally often.
    """
    noise, twin = ({e: _blind(rows, attack) for e, rows in trained.items()} for attack in BLIND)
    n = max(rows["n"].max() for rows in trained.values())
    many = max(noise, key=lambda e: noise[e][2])
    by, by_twin = (" and ".join(interval_text(mean, half) for mean, half, _ in d.values()) for d in (noise, twin))
    counted = " and ".join(seeds_text(seeds) for *_, seeds in noise.values())
    return Finding(
        f"Random noise, which follows no gradient, leaves more with max pooling by {by} points of the correctly "
        f"classified images, in spike space at {LEFT:g}/255 after {' and '.join(map(str, trained))} epochs; the "
        f"gradient of a ReLU twin by {by_twin} ({n} images, {counted}). After {many} epochs, where most seeds were "
        "attacked, neither can be told from zero: whether part of the lead is more than a hidden gradient is open.",
        min(mean for mean, *_ in noise.values()) > 0
        and all(abs(mean) <= half for mean, half, _ in (noise[many], twin[many])),
    )


def _blind(rows: pd.DataFrame, attack: str) -> tuple[float, float, int]:
    """Max minus average pooling of the correctly classified images that stand: mean, 95 % half, seeds."""
    part = rows[(rows["space"] == "spike") & (rows["eps"] == LEFT) & rows["attack"].isin((attack, "clean"))]
    hits = part.set_index(["seed", "pool", "attack"])["correct"]
    apart = []
    for seed in sorted(part["seed"].unique()):
        cases = [[(seed, pool, a) for a in ("clean", attack)] for pool in PAIR]
        if all(case in hits.index for pool in cases for case in pool):
            shares = [influence(hits[right], hits[right] & hits[stood]) for right, stood in cases]
            apart.append(shares[0] - shares[1])
    if not apart:
        raise lacking("attacks")
    return *over_seeds_and_images(np.stack(apart)), len(apart)


def in_part(rows: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """Under all attacks max pooling trained through a dense gradient lies between the pools; of `leads`'s rows.

    `rows` has the networks of `matrix.TRAINED` and of average pooling.
    """
    spike, radii = rows[rows["space"] == "spike"], [LEFT, EPS]
    found = [worst(spike, pair).droplevel("space") for pair in (TRAINED, DENSE)]
    if any(set(radii) - set(d.index) for d in found):
        raise lacking("attacks", TRAINED)
    below, above = (d.loc[radii] for d in found)
    text = [" and ".join(map(interval_text, d["difference"], d["half"])) for d in (below, above)]
    return Finding(
        f"Under all attacks together max pooling trained for {epochs} epochs through average pooling's dense gradient "
        f"lies between the two: at {LEFT:g}/255 and {EPS:g}/255 {text[0]} points below max pooling, and {text[1]} "
        f"above average pooling ({below['n'].max()} images, {seeds_text(below['seeds'].max())}).",
        all((d["difference"] > d["half"]).all() for d in (below, above)),
    )
