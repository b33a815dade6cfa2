"""Was it the network, or the attack? What chapter 9 says of the paper's own pair."""

from __future__ import annotations

import pandas as pd

from ..standing import EPS, OWN, WORST, difference
from ..tables import FIVE_SEEDS, PAIR, interval_text
from . import Finding
from .pools import lacking


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
        f"The {text[change]} points between the two are the attack's and not the network's ({own.seeds} seeds).",
        min(d.seeds for d in (own, worst, change)) >= FIVE_SEEDS and change.above and not worst.above,
    )
