"""What chapter 7 says of the surrogate's sharpness, in training and in the attack."""

from __future__ import annotations

import pandas as pd

from ..sharpness.matrix import choice
from ..standing import EPS, OWN, WORST, Difference, between, difference
from ..tables import PAIR
from ..words import interval_text, seeds_text
from . import Finding
from .pools import lacking

USUAL, SHARP, BLUNT = 2.0, 8.0, 0.5  # of the arctangent; the first is the paper's


def _named(pool: str, alpha: float) -> str:
    return f"{pool}, {choice('atan', alpha)}"


def _there(*found: Difference | None) -> list[Difference]:
    there = [d for d in found if d is not None]
    if len(there) < len(found):
        raise lacking("sharpness")
    return there


def overstated(stand: pd.DataFrame) -> Finding:
    """The network's own surrogate overstates what stands, least at the usual sharpness; from `standing.standing`."""
    lost = {a: _there(*(between(stand, _named(p, a), OWN, WORST) for p in PAIR)) for a in (BLUNT, USUAL, SHARP)}
    text = {a: " and ".join(interval_text(d.mean, d.half) for d in found) for a, found in lost.items()}
    seeds = min(d.seeds for found in lost.values() for d in found)
    return Finding(
        f"An attacker who takes the worst of five sharpnesses leaves fewer images at {EPS}/255 than one who "
        f"keeps the network's own, in points ({' and '.join(PAIR)} pooling): by {text[USUAL]} where the network was "
        f"trained at the usual α = {USUAL:g}, by {text[SHARP]} at the sharper {SHARP:g} and {text[BLUNT]} at the "
        f"blunter {BLUNT:g} ({seeds_text(seeds)} a pool).",
        all(d.above for found in lost.values() for d in found)
        and all(far.mean > usual.mean for a in (BLUNT, SHARP) for far, usual in zip(lost[a], lost[USUAL], strict=True)),
    )


def by_alpha(networks: pd.DataFrame, pool: str) -> pd.DataFrame:
    """Means over seeds of `matrix.networks` of a pool with the arctangent, indexed by BLUNT, USUAL and SHARP."""
    part = networks[(networks["surrogate"] == "atan") & (networks["pool"] == pool)]
    mean = part.groupby("alpha")[["clean", "robust", "density", "size"]].mean()
    if not {BLUNT, USUAL, SHARP} <= set(mean.index):
        raise lacking("sharpness")
    return mean.astype(float).loc[[BLUNT, USUAL, SHARP]]


def no_order(networks: pd.DataFrame) -> Finding:
    """Max pooling's gradient grows a hundredfold with sharpness; who survives has no order that both pools share."""
    mean, other = (by_alpha(networks, pool) for pool in PAIR)
    grows = 2 ** (mean["size"][SHARP] - mean["size"][BLUNT])
    spread = 100 * (mean["density"].max() - mean["density"].min())
    left = [", ".join(f"{100 * m['robust'][a]:.0f}" for a in (BLUNT, USUAL, SHARP)) for m in (mean, other)]
    return Finding(
        f"From α = {BLUNT:g} to {SHARP:g} the L1 norm of max pooling's gradient grows {grows:.0f} times and its "
        f"density at the pool stays within {spread:.1f} points. At α = {BLUNT:g}, {USUAL:g} and {SHARP:g} survive in "
        f"the worst case {left[0]} % with max and {left[1]} % with average pooling: no order that both share "
        f"({seeds_text(int(networks['seed'].nunique()))} a pool).",
        grows > 100 and spread < 3 and list(mean["robust"].argsort()) != list(other["robust"].argsort()),
    )


def costs(stand: pd.DataFrame, networks: pd.DataFrame) -> Finding:
    """Training sharper than usual costs clean accuracy, and no gain in the worst case is seen."""
    clean = [by_alpha(networks, p)["clean"] for p in PAIR]
    cost = [100 * (c[USUAL] - c[SHARP]) for c in clean]
    gain = _there(*(difference(stand, WORST, (_named(p, SHARP), _named(p, USUAL))) for p in PAIR))
    bought = " and ".join(f"{100 * d.mean:+.1f} ± {100 * d.half:.1f}" for d in gain)
    return Finding(
        f"Training at α = {SHARP:g} instead of {USUAL:g} costs {cost[0]:.1f} ({PAIR[0]}) and {cost[1]:.1f} ({PAIR[1]}) "
        f"points of clean accuracy, and no gain in the worst case is seen: {bought} points "
        f"({seeds_text(min(d.seeds for d in gain))} a pool).",
        min(cost) > 5 and not any(d.above for d in gain),
    )
