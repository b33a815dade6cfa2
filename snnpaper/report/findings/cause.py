"""Was it the network, or the attack? What chapter 9 says of the pool's gradient in training and in the attack."""

from __future__ import annotations

import pandas as pd

from ...stats import FEW
from .. import tables
from ..attacks.tables import SHOWN
from ..comparison import scoped
from ..design import size
from ..design.matrix import DENSE, POOLS_OWN, SETTING, TRAINED, UNRESOLVED, ZEROS, of_zeros, verdict
from ..standing import EPS, OWN, WITH_ASSG, WORST, between, difference
from ..tables import FIVE_SEEDS, PAIR, Pair
from ..words import interval_text, seeds_text
from . import Finding
from .pools import lacking, points

PASSED = ("avg/max", "avg")  # average pooling trained through max pooling's pass, and through its own

# The attack's pass with more zeros, and the one with fewer, on networks trained through max pooling's own.
SPARSER = (("silent", "max"), ("max", "ties"), ("max", "avg"))


def misled(stand: pd.DataFrame) -> Finding:
    """What max pooling leads by through its own gradient is the attack's choice of it; from `standing.standing`."""
    own, worst = (difference(stand, attack, PAIR) for attack in (OWN, WORST))
    change = difference(stand, OWN, PAIR, instead=WORST)
    if own is None or worst is None or change is None:
        raise lacking("backwards")
    text = {d: interval_text(d.mean, d.half) for d in (own, worst, change)}
    return Finding(
        f"Attacked each through its own gradient, max minus average pooling is {text[own]} points of the correctly "
        f"classified images at {EPS}/255; through the worst of the pool's four backward passes, {text[worst]}. "
        f"{'Neither can' if own.zero else 'The second cannot'} be told from zero; the second attack costs max pooling "
        f"{text[change]} points more than average pooling ({own.seeds} seeds).",
        min(d.seeds for d in (own, worst, change)) >= FIVE_SEEDS and change.above and not worst.above,
    )


def trained(stand: pd.DataFrame) -> Finding:
    """Training through the sparse gradient instead of the dense one does not protect, as far as rule 11 can tell."""
    own, worst, assg = (difference(stand, attack, TRAINED) for attack in (OWN, WORST, WITH_ASSG))
    if own is None or worst is None or assg is None:
        raise lacking("backwards", TRAINED)
    text = [interval_text(d.mean, d.half) for d in (worst, assg)]
    high = 100 * max(d.mean + d.half for d in (worst, assg))
    return Finding(
        f"Trained for {SETTING.epochs} epochs through its own sparse gradient instead of average pooling's dense one, "
        f"max pooling differs by {text[0]} points in the worst case ({seeds_text(worst.seeds)}), by {text[1]} with "
        f"SA-PGD and ASSG beside the four passes. By rule 11 this is {verdict(own, worst)}: if sparsity protects in so "
        f"short a training, then by no more than {high:.1f} points.",
        worst.seeds >= FIVE_SEEDS and worst.zero and assg.zero and verdict(own, worst) == UNRESOLVED,
    )


def sparser(stand: pd.DataFrame) -> Finding:
    """On one and the same network the attack's sparser pass leaves more images standing than its denser one."""
    forward = TRAINED[0]
    moves = {pair: between(stand, forward, *pair) for pair in SPARSER}
    over = between(stand, forward, OWN, WORST)
    if over is None or None in moves.values():
        raise lacking("backwards")
    each = ", ".join(f"{interval_text(d.mean, d.half)} through {a} instead of {b}" for (a, b), d in moves.items() if d)
    return Finding(
        f"On the same networks, trained as usual with max pooling, a sparser pass of the attack leaves more images "
        f"standing than a denser one, in points: {each}. Against the worst of the four the library's own pass "
        f"overstates max pooling by {interval_text(over.mean, over.half)} points: an attack on it has to try others.",
        over.above and all(d.above for d in moves.values() if d),
    )


def larger(networks: pd.DataFrame) -> Finding:
    """The forward pass alike, max pooling's backward pass gives a larger gradient than average pooling's, and than
    the sparsest, through no silent window; of `size.by_network`."""
    pairs = (TRAINED, PASSED, (TRAINED[0], "max/silent"))
    every = sorted({pool for pair in pairs for pool in pair})
    log = networks.pivot(index="seed", columns="pool", values="log l1").reindex(columns=every)
    apart = {pair: (log[pair[0]] - log[pair[1]]).dropna() for pair in pairs}
    if not all(map(len, apart.values())):
        raise lacking("backwards", TRAINED)
    times = [f"{2 ** d.mean():.1f} times as large with {one} as with {two}" for (one, two), d in apart.items()]
    return Finding(
        f"With the same forward pass a sparser gradient need not be smaller: its L1 norm is {' and '.join(times[:2])}, "
        f"but also {times[2]}, the sparsest; so in every seed ({', '.join(str(len(d)) for d in apart.values())}). That "
        "networks with max pooling have the smaller gradient comes with their forward pass, not with its zeros.",
        all((d > 0).all() for d in apart.values()),
    )


def nothing_left(fit: pd.DataFrame, networks: int) -> Finding:
    """Norm and margin known, density at the pool says nothing more of an image's least radius (rule 12)."""
    if fit.empty:
        raise lacking("backwards")
    one = fit.set_index("predictor").loc[size.DENSITY]
    return Finding(size.left(fit, networks), one["low"] <= 0 <= one["high"])


def whole(stand: pd.DataFrame) -> pd.DataFrame:
    """The rows of `stand` of both pools and of max pooling trained through average pooling's gradient, in the seeds
    that have all three; and of max pooling trained through the gradient that all ties share, where these have it."""
    three = {*TRAINED, *DENSE}
    have = stand.groupby("seed")["training"].agg(set)
    return stand[stand["training"].isin({*three, *ZEROS}) & stand["seed"].isin(have.index[have.map(three.issubset)])]


def through(stand: pd.DataFrame, epochs: int = scoped.JUDGED.epochs) -> Finding:
    """After a longer training max pooling keeps its lead only if it was trained through its own sparse gradient."""
    own, worst, rest = (difference(stand, *by) for by in ((OWN, TRAINED), (WORST, TRAINED), (WORST, DENSE)))
    if own is None or worst is None or rest is None:
        raise lacking("backwards", TRAINED)
    rule = "rule 17" if epochs == scoped.JUDGED.epochs else "rule 19"
    word = f"too few for {rule}" if worst.seeds < FIVE_SEEDS else f"in the words of {rule}: {verdict(own, worst)}"
    return Finding(
        f"Trained for {epochs} epochs through average pooling's dense gradient, max pooling keeps "
        f"{interval_text(worst.mean, worst.half)} points fewer of the correctly classified images, through the worst "
        f"of the pool's four, than trained through its own sparse one. Its lead over average pooling is then "
        f"{interval_text(rest.mean, rest.half)} points, which cannot be told from zero "
        f"({seeds_text(worst.seeds)}, {word}).",
        worst.above and rest.zero,
    )


def zeros(stand: pd.DataFrame, epochs: int) -> Finding:
    """After a longer training it is not the zeros of max pooling's gradient that protect, but that it is its own."""
    apart, own = (difference(stand, WORST, pair) for pair in (ZEROS, POOLS_OWN))
    if apart is None or own is None:
        raise lacking("backwards", ZEROS)
    word = "too few for rule 21" if apart.seeds < FIVE_SEEDS else f"in the words of rule 21: {of_zeros(apart, own)}"
    over = "the images alone" if apart.seeds < FEW else "seeds and images"
    return Finding(
        f"Trained for {epochs} epochs through the gradient that all ties share, dense at the pool too and still the "
        f"pool's own, max pooling keeps {interval_text(own.mean, own.half)} points more than trained through average "
        f"pooling's. What it keeps trained through its sparse one minus this is "
        f"{interval_text(apart.mean, apart.half)} points, which cannot be told from zero ({seeds_text(apart.seeds)}, "
        f"intervals over {over}; {word}).",
        apart.zero and own.above,
    )


def on_clean(acc: pd.DataFrame, epochs: int) -> dict[Pair, pd.Series]:
    """`tables.contrast`'s row of clean accuracy for TRAINED, DENSE, ZEROS and POOLS_OWN, after so many epochs."""
    here = acc[tables.alike(acc, tables.common(SHOWN.but(epochs=epochs))) & (acc["space"] == "clean")]
    found = {pair: tables.contrast(here, pair) for pair in (TRAINED, DENSE, ZEROS, POOLS_OWN)}
    if lost := [pair for pair, rows in found.items() if rows.empty]:
        raise lacking("robustness", lost[0])
    return {pair: rows.iloc[0] for pair, rows in found.items()}


def no_price(acc: pd.DataFrame, epochs: int) -> Finding:
    """After a longer training clean accuracy goes with the gradient in training, as what stands does.

    `acc` is `tables.accuracies`.
    """
    found = on_clean(acc, epochs)
    lost, rest, zeros, own = found.values()
    return Finding(
        f"Clean accuracy goes the same way: after {epochs} epochs max pooling trained through average pooling's "
        f"gradient is {points(lost)} less accurate than trained through its sparse one ({seeds_text(lost['seeds'])})"
        f", and {points(rest)} more accurate than average pooling, which cannot be told from zero; trained through "
        f"the gradient that all ties share it is {points(own)} more accurate than through average pooling's, and "
        f"the sparse one minus this is {points(zeros)} ({seeds_text(own['seeds'])}). No rule was written for this.",
        all(d["difference"] > d["half"] for d in (lost, own)) and abs(rest["difference"]) <= rest["half"],
    )
