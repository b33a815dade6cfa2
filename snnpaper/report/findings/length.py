"""What longer training does to the two pools: the networks of one training at several lengths."""

from __future__ import annotations

import math

import pandas as pd

from ...attacks.standard import TRAIN
from ...stats import FEW
from .. import tables
from ..attacks.tables import SHOWN
from ..comparison import scoped
from ..standing import EPS, OWN, WITH_ASSG, WORST, Difference, between, difference
from ..tables import PAIR
from ..words import interval_text, listed, seeds_text
from . import Finding
from .pools import five, lacking, lead


def longer(acc: pd.DataFrame) -> Finding:
    """Max pooling leads by more after the longest training than after the shortest, of the same seeds.

    On clean images and under the published attack, at the width that chapter 6 attacks; from `tables.accuracies`.
    """
    parts = {e: five(acc, SHOWN.but(epochs=e)) for e in sorted(map(int, acc["epochs"].unique()))}
    parts = {e: part for e, part in parts.items() if e >= SHOWN.epochs and len(part)}
    each = [set(tables.by_seed(p[p["space"] == "clean"], "accuracy").index) for p in parts.values()]
    if len(each) < 2 or not (seeds := set.intersection(*each)):
        raise lacking("robustness")
    here = acc[acc["seed"].isin(seeds)]
    leads = {e: (lead(here, "clean", shown=SHOWN.but(epochs=e)), _published(here, e)) for e in parts}
    clean, hit = ([100 * pair[k]["difference"] for pair in leads.values()] for k in (0, 1))
    return Finding(
        f"Trained for {listed(parts)} epochs, max pooling leads by {listed(f'{v:.1f}' for v in clean)} points on "
        f"clean images and by {listed(f'{v:.1f}' for v in hit)} under the published attack at 8/255 (the same "
        f"{seeds_text(len(seeds))} at each length).",
        clean[-1] > clean[0] and hit == sorted(hit) and hit[-1] > hit[0],
    )


def again(acc: pd.DataFrame, epochs: int = scoped.SCALES[1].epochs) -> Finding:
    """At a length of which more seeds are recorded, max pooling leads under the published attack in each of them."""
    shown = SHOWN.but(epochs=epochs)
    clean, hit = lead(acc, "clean", shown=shown), _published(acc, epochs)
    if hit["seeds"] < 2:
        raise lacking("robustness")
    each, on_clean = ([100 * v for v in d["by_seed"].values()] for d in (hit, clean))
    return Finding(
        f"After {epochs} epochs, of which {hit['seeds']} seeds are recorded, max pooling leads by "
        f"{listed(f'{v:.1f}' for v in each)} points under the published attack and by "
        f"{listed(f'{v:.1f}' for v in on_clean)} on clean images, seed by seed.",
        min(each) > 0,
    )


def _published(acc: pd.DataFrame, epochs: int) -> pd.Series:
    return lead(acc, "spike", TRAIN, shown=SHOWN.but(epochs=epochs))


def stands(stand: pd.DataFrame) -> Finding:
    """After a longer training max pooling leads in the worst case over the pool's backward passes too.

    `stand` is `standing.standing` of networks as `scoped.JUDGED` says.
    """
    own, worst = (difference(stand, attack, PAIR) for attack in (OWN, WORST))
    if own is None or worst is None:
        raise lacking("backwards")
    text = {d: interval_text(d.mean, d.half) for d in (own, worst)}
    over = "the images" if worst.seeds < FEW else "seeds and images"
    return Finding(
        f"After {scoped.JUDGED.epochs} epochs max minus average pooling is {text[own]} points of the correctly "
        f"classified images at {EPS}/255 through each network's own gradient, and {text[worst]} through the worst of "
        f"the pool's four ({seeds_text(worst.seeds)}, interval over {over}).",
        worst.above and min(worst.by_seed.values()) > 0,
    )


def differ(stand: pd.DataFrame, epochs: int) -> Finding:
    """After a training of this length the seeds do not agree on who leads in the worst case over the backward passes.

    `stand` is `standing.standing` of networks trained for so many epochs and otherwise as `scoped.JUDGED` says.
    """
    own, worst = (difference(stand, attack, PAIR) for attack in (OWN, WORST))
    if own is None or worst is None or worst.seeds < FEW:
        raise lacking("backwards")
    text = {d: interval_text(d.mean, d.half) for d in (own, worst)}
    return Finding(
        f"After {epochs} epochs max minus average pooling is {text[own]} points of the correctly classified images at "
        f"{EPS}/255 through each network's own gradient, and {text[worst]} through the worst of the pool's four "
        f"({seeds_text(worst.seeds)}, interval over seeds and images): {seed_by_seed(worst)} seed by seed, so which "
        "pool leads is not resolved.",
        worst.zero and min(worst.by_seed.values()) < 0 < max(worst.by_seed.values()),
    )


def hidden(stand: pd.DataFrame, epochs: int) -> Finding:
    """After a training of this length SA-PGD with ASSG takes more from average pooling, and the differences turn.

    In every seed, of what the worst of the four passes left; `stand` is as in `differ`.
    """
    before, after = (difference(stand, attack, PAIR) for attack in (WORST, WITH_ASSG))
    one, other = (between(stand, pool, WORST, WITH_ASSG) for pool in PAIR)
    if before is None or after is None or one is None or other is None:
        raise lacking("backwards")
    return Finding(
        f"The four ways do not find all: SA-PGD with ASSG then takes another {100 * other.mean:.1f} points from "
        f"average and {100 * one.mean:.1f} from max pooling ({epochs} epochs), and max minus average pooling "
        f"becomes {seed_by_seed(after)} seed by seed, {interval_text(after.mean, after.half)} in the mean.",
        min(after.by_seed.values()) > 0 and all(after.by_seed[s] > before.by_seed[s] for s in after.by_seed),
    )


def seed_by_seed(d: Difference) -> str:
    """A difference seed by seed: "11.8, 11.7 and -4.7"."""
    return listed(f"{100 * v:.1f}" for v in d.by_seed.values())


def thinner(found: pd.DataFrame) -> Finding:
    """The longer max pooling is trained, the more entries of its input gradient are zero; average pooling has none.

    In the seeds that have every length; `found` is `densities.frame`, from `SHOWN.epochs` on.
    """
    course = {k: v for k, v in tables.common(SHOWN).items() if k != "epochs"}
    here = found[tables.alike(found, course) & (found["epochs"] >= SHOWN.epochs)]
    here = tables.of(here[(here["state"] == "trained") & (here["mode"] == "eval") & (here["place"] == "input")])
    zeros = 100 * (1 - here.pivot_table(index="seed", columns=["pool", "epochs"], values="0").dropna())
    if len(zeros) < 1 or here["epochs"].nunique() < 2:
        raise lacking("sparsity")
    one, other = (zeros[pool].mean() for pool in PAIR)
    return Finding(
        f"The longer the training, the more of max pooling's gradient at the input is zero: after {listed(one.index)} "
        f"epochs {listed(f'{v:.1f}' for v in one)} % of its entries; of average pooling's less than "
        f"{math.ceil(10 * other.max() + 1e-9) / 10:.1f} % ({seeds_text(len(zeros))}).",
        bool(one.is_monotonic_increasing and one.iloc[-1] > 2 * one.iloc[0] and one.iloc[-1] > other.max() + 0.5),
    )


def validated() -> pd.DataFrame:
    """pool, seed, last, best: validation accuracy after the last and after the best epoch of one training's length."""
    rows = []
    for run, record in tables.records("train", scoped.JUDGED):
        if run.pooling in PAIR:
            course = [c["validation_accuracy"] for c in record["results"]["curves"]]
            rows.append({"pool": run.pooling, "seed": run.seed, "last": course[-1], "best": max(course)})
    found = pd.DataFrame(rows, columns=["pool", "seed", "last", "best"])
    both = set.intersection(*(set(found.loc[found["pool"] == pool, "seed"]) for pool in PAIR))
    return found[found["seed"].isin(both)]


def chance(found: pd.DataFrame) -> Finding:
    """Max pooling's clean lead is larger in the last epochs of the longer training than in the best; of `validated`."""
    if found.empty:
        raise lacking("train")
    (one, other), mean = PAIR, 100 * found.groupby("pool")[["last", "best"]].mean()
    below, apart = mean["best"] - mean["last"], mean.loc[one] - mean.loc[other]
    seeds = found["seed"].nunique()
    return Finding(
        "All numbers are of the last epoch, as fixed before the runs. On validation images "
        f"average pooling's last of {scoped.JUDGED.epochs} epochs is {below[other]:.1f} points below its best and max "
        f"pooling's {below[one]:.1f}. Max pooling leads by {apart['last']:.1f} points in the last epoch and by "
        f"{apart['best']:.1f} best against best ({seeds_text(seeds)}); what this does to the lead "
        "under attack is not recorded.",
        apart["last"] > apart["best"],
    )
