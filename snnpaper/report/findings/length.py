"""What longer training does to the two pools: the networks of one training at several lengths."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ...attacks.standard import TRAIN
from .. import tables
from ..attacks.tables import SHOWN
from ..comparison import scoped
from ..design.matrix import TRAINED
from ..standing import EPS, OWN, WORST, difference
from ..tables import FIVE_SEEDS, PAIR, interval_text
from . import Finding
from .pools import five, lacking, lead


def longer(acc: pd.DataFrame) -> Finding:
    """Max pooling leads by more after the longest training than after the shortest, of the same seeds.

    On clean images and under the published attack, at the width that chapter 6 attacks; from `tables.accuracies`.
    """
    parts = {e: five(acc, SHOWN.but(epochs=e)) for e in sorted(map(int, acc["epochs"].unique()))}
    parts = {e: part for e, part in parts.items() if e >= SHOWN.epochs and len(part)}
    seeds = set.intersection(*(set(tables.by_seed(p[p["space"] == "clean"], "accuracy").index) for p in parts.values()))
    if len(parts) < 2 or not seeds:
        raise lacking("robustness")
    here = acc[acc["seed"].isin(seeds)]
    leads = {e: (lead(here, "clean", shown=SHOWN.but(epochs=e)), _published(here, e)) for e in parts}
    clean, hit = ([100 * pair[k]["difference"] for pair in leads.values()] for k in (0, 1))
    return Finding(
        f"Trained for {_listed(parts)} epochs, max pooling leads by {_listed(f'{v:.1f}' for v in clean)} points on "
        f"clean images and by {_listed(f'{v:.1f}' for v in hit)} under the published attack at 8/255 (the same "
        f"{len(seeds)} seed{'s' * int(len(seeds) > 1)} at each length).",
        clean[-1] > clean[0] and hit == sorted(hit) and hit[-1] > hit[0],
    )


def _published(acc: pd.DataFrame, epochs: int) -> pd.Series:
    return lead(acc, "spike", TRAIN, shown=SHOWN.but(epochs=epochs))


def _listed(values: Iterable) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}"


def stands(stand: pd.DataFrame) -> Finding:
    """After the longer training max pooling leads in the worst case over the pool's backward passes too.

    `stand` is `standing.standing` of the networks that `scoped.JUDGED` names.
    """
    own, worst = (difference(stand, attack, PAIR) for attack in (OWN, WORST))
    if own is None or worst is None:
        raise lacking("backwards")
    text = {d: interval_text(d.mean, d.half) for d in (own, worst)}
    over = "the images" if worst.seeds < FIVE_SEEDS else "seeds and images"
    return Finding(
        f"After {scoped.JUDGED.epochs} epochs max minus average pooling is {text[own]} points of the correctly "
        f"classified images at {EPS}/255 through each network's own gradient, and {text[worst]} through the worst of "
        f"the pool's four ({worst.seeds} seed{'s' * int(worst.seeds > 1)}, interval over {over}): this lead is not the "
        "attack's choice of gradient.",
        worst.above,
    )


def through(stand: pd.DataFrame) -> Finding:
    """After the longer training max pooling keeps its lead only if it was trained through its own sparse gradient."""
    worst, rest = (difference(stand, WORST, pair) for pair in (TRAINED, (TRAINED[1], PAIR[1])))
    if worst is None or rest is None:
        raise lacking("backwards", TRAINED)
    word = "no word by rule 17" if worst.seeds < FIVE_SEEDS else "rule 17"
    return Finding(
        "Trained as long through average pooling's dense gradient, max pooling loses that lead: with its own sparse "
        f"one {interval_text(worst.mean, worst.half)} points more stand in the worst case, and it is "
        f"{interval_text(rest.mean, rest.half)} points from average pooling ({worst.seeds} "
        f"seed{'s' * int(worst.seeds > 1)}, {word}).",
        worst.above and rest.zero,
    )
