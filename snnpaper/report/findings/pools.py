"""Max against average pooling: who leads, under which attack, with spikes and without."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import ledger
from ...attacks.standard import EVAL, TRAIN
from ...config import Run
from ...nets.data import TABLE
from ...stats import over_seeds
from .. import gaps, tables, words
from ..attacks import tables as attacked
from ..tables import FIVE_SEEDS, PAIR, Pair
from . import Finding

SPIKE, LEVELS = attacked.SPIKE_PGD, attacked.LEVELS  # threats of the curves
RELU = " (ReLU twin)"


def five(acc: pd.DataFrame, shown: Run = attacked.SHOWN) -> pd.DataFrame:
    """The rows of `tables.accuracies` of one cell, of both pools: by default the one that chapter 6 attacks."""
    return tables.of(acc[tables.alike(acc, tables.common(shown))])


def measured(acc: pd.DataFrame) -> bool:
    """Whether that cell is recorded with five seeds of both pools; a ledger of somebody's own may not hold it."""
    return five(acc).groupby("pool")["seed"].nunique().reindex(PAIR, fill_value=0).min() >= FIVE_SEEDS


def lead(
    acc: pd.DataFrame,
    space: str,
    protocol: str = EVAL,
    shown: Run = attacked.SHOWN,
) -> pd.Series:
    """max − avg of one cell, clean or under PGD-7 at 8/255: `tables.contrast`'s row, and each pool's mean accuracy."""
    part = five(acc, shown)
    method, eps = ("clean", 0) if space == "clean" else ("pgd", 8)
    part = part[(part["space"] == space) & (part["protocol"] == protocol) & (part["method"] == method)]
    part = part[part["eps"] == eps]
    return pd.concat([_first(tables.contrast(part), "robustness"), part.groupby("pool")["accuracy"].mean()])


def on_curve(curves: pd.DataFrame, threat: str, radius: float) -> pd.Series:
    """max − avg of that cell at one radius of `attacked.curves`: `attacked.paired`'s row."""
    part = curves[(curves["threat"] == threat) & (curves["radius"] == radius)]
    part = part.rename(columns={"threat": "space", "radius": "eps"}).assign(attack="curve")
    return _first(attacked.paired(part), "curve")


def _first(found: pd.DataFrame, kind: str) -> pd.Series:
    if found.empty:
        raise lacking(kind)
    return found.iloc[0]


def lacking(kind: str, pair: Pair = PAIR) -> ledger.LedgerError:
    """What a page says that needs records which the ledger does not hold."""
    cell = words.where(tables.cell(attacked.SHOWN))
    return ledger.LedgerError(
        f"{ledger.folder()} lacks {kind} records of {cell}, with both pools, which this page draws: "
        f"{gaps.command(attacked.SHOWN)} --measure {kind}, and so on for {' and '.join(pair)} and seeds 0 to 4"
    )


def half_radii(curves: pd.DataFrame, threat: str) -> pd.DataFrame:
    """pool, seed, radius: the radius (1/255; number of flips) that half of the correctly classified images survive.

    Between recorded radii the share is taken as linear in the radius; nan where more than half survive the largest.
    Clean accuracy plays no part in it.
    """
    found = []
    for (pool, seed), part in curves[curves["threat"] == threat].groupby(["pool", "seed"]):
        part = part.sort_values("radius")
        share = (part["accuracy"] / part["accuracy"].iloc[0]).to_numpy()
        radius = np.interp(0.5, share[::-1], part["radius"].to_numpy()[::-1], left=np.nan)
        found.append({"pool": pool, "seed": seed, "radius": radius})
    return pd.DataFrame(found, columns=["pool", "seed", "radius"])


def twins(acc: pd.DataFrame) -> pd.DataFrame:
    """`tables.contrast` under PGD-7 at 8/255 of the sweep's 18-layer networks (one seed), with `relu` and `skip`."""
    sweep = tables.cell(Run.make("sweep"))
    alike = ["dataset", "width", "train_images", "epochs", "batch_size", "variant"]
    part = acc[tables.alike(acc, {k: sweep[k] for k in alike})]
    part = part[part["label"].str.contains("-18") & (part["method"] == "pgd") & (part["eps"] == 8)]
    found = tables.contrast(part)
    return found.assign(relu=found["label"].str.endswith(RELU), skip=found["label"].str.removesuffix(RELU))


# ---- findings ----------------------------------------------------------------------------------------


def points(d: pd.Series) -> str:
    """A difference of `lead`, `on_curve` or `attacked.paired` with its interval: "1.9 ± 1.8 points"."""
    return f"{words.interval_text(d['difference'], d['half'])} points"


def _both(d: pd.Series) -> str:
    one, other = PAIR
    return f"{100 * d[one]:.1f} % with max pooling and {100 * d[other]:.1f} % with average pooling"


def published(acc: pd.DataFrame) -> Finding:
    """Max pooling leads under the attack of the paper's code, at the paper's radius."""
    d = lead(acc, "spike", TRAIN)
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs PGD-7 at 8/255 as published (spike space, gradients in train mode, "
        f"last iterate) leaves {_both(d)}: max pooling leads by {points(d)} ({d['seeds']} seeds, {d['n']:,} images).",
        d["seeds"] >= FIVE_SEEDS and d["difference"] > d["half"],
    )


def eval_mode(acc: pd.DataFrame) -> Finding:
    """Max pooling leads under the same attack with gradients in eval mode."""
    d = lead(acc, "spike")
    return Finding(
        f"The same attack with gradients in eval mode leaves {_both(d)}: max pooling leads by {points(d)}.",
        d["seeds"] >= FIVE_SEEDS and d["difference"] > d["half"],
    )


def stronger(curves: pd.DataFrame, radius: int = 8) -> Finding:
    """Under PGD-20 with any iterate no lead can be told from zero, in spike space, at this radius."""
    d = on_curve(curves, SPIKE, radius)
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs PGD-20 with any iterate at {radius}/255 (spike space, eval mode) leaves "
        f"{_both(d)}: {points(d)} apart, which cannot be told from zero ({d['seeds']} seeds, {d['n']} images).",
        d["seeds"] >= FIVE_SEEDS and abs(d["difference"]) <= d["half"],
    )


def half_survive(curves: pd.DataFrame) -> Finding:
    """Half of the correctly classified images survive to the same radius with both pools, as far as seeds can tell."""
    if (found := half_radii(curves, SPIKE)).empty:
        raise lacking("curve")
    mean, half = over_seeds(tables.by_seed(found, "radius"))
    one, other = (found.loc[found["pool"] == pool, "radius"].mean() for pool in PAIR)
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs, of the images classified correctly, half survive PGD-20 "
        f"up to {one:.1f}/255 with max pooling and {other:.1f}/255 with average pooling: {mean:+.2f} ± {half:.2f}/255 "
        f"over {found['seed'].nunique()} seeds, a difference that may have either sign.",
        found["seed"].nunique() >= FIVE_SEEDS and abs(mean) <= half,
    )


def pixel(curves: pd.DataFrame) -> Finding:
    """In pixel space the smallest step an image can make undoes both pools, and leaves no difference."""
    d, pgd = on_curve(curves, LEVELS, 1), on_curve(curves, attacked.PIXEL_PGD, 1)
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs the smallest step in pixel space, 1/255, leaves {_both(d)} under level "
        f"search, {points(d)} apart. PGD-20 with the weighted BPDA surrogate leaves {100 * pgd['max']:.1f} and "
        f"{100 * pgd['avg']:.1f} %: the images in between were hidden from this attack, not protected by the network.",
        max(d["max"], d["avg"]) < 0.5 / TABLE[attacked.SHOWN.dataset].classes and min(pgd["max"], pgd["avg"]) > 0.2
        and abs(d["difference"]) <= d["half"],
    )  # fmt: skip


def reversed_by_relu(acc: pd.DataFrame) -> Finding:
    """With ReLU in place of spikes average pooling leads, in every comparison; with spikes it never does."""
    if (found := twins(acc)).empty:
        raise lacking("robustness")
    relu, spiking = found[found["relu"]], found[~found["relu"]]
    behind, leads = -100 * relu["difference"], spiking[spiking["difference"] > spiking["half"]]
    sweep, where = Run.make("sweep"), ", ".join(sorted(set(leads["skip"])))
    return Finding(
        f"With ReLU in place of spikes average pooling leads in {len(relu)} of {len(relu)} comparisons under PGD-7 at "
        f"8/255, by {behind.min():.0f} to {behind.max():.0f} points. With spikes max pooling leads in {len(leads)} of "
        f"{len(spiking)} ({where}), average pooling in none, and the rest cannot be told apart (three networks of each "
        f"kind and pool, each attacked in up to three threat models, trained for {sweep.epochs} epochs on "
        f"{sweep.train_images:,} images, one seed; 1,000 test images).",
        bool(
            (relu["difference"] < -relu["half"]).all()
            and len(leads)
            and (spiking["difference"] > -spiking["half"]).all()
        ),
    )


def single_seed(acc: pd.DataFrame) -> pd.DataFrame:
    """Clean max − avg of every published cell with one seed, but longer trainings of `SHOWN`: `tables.contrast`."""
    found = tables.contrast(tables.published(acc[acc["space"] == "clean"]))
    course = {k: v for k, v in tables.common(attacked.SHOWN).items() if k != "epochs"}
    return found[(found["seeds"] == 1) & ~tables.alike(found, course)]


def clean(acc: pd.DataFrame, epochs: int) -> Finding:
    """No cell of five seeds, of the shown length or of `epochs`, has a price on clean images; those of one seed do."""
    d, others = lead(acc, "clean"), single_seed(acc)
    later = lead(acc, "clean", shown=attacked.SHOWN.but(epochs=epochs))
    behind = -100 * others["difference"]
    where = "; ".join(words.network_text(d) for d in others.to_dict("records"))
    return Finding(
        f"On clean images max pooling leads too after {attacked.SHOWN.epochs} epochs, by {points(d)} ({d['seeds']} "
        f"seeds, CIFAR-10); after {epochs}, by {points(later)} ({later['seeds']} seeds), which cannot be told from "
        f"zero: nothing is seen to be traded there. In {len(others)} other trainings of SEW-ResNets, one seed "
        f"each ({where}), average pooling leads, by {behind.min():.0f} to {behind.max():.0f} points.",
        min(d["seeds"], later["seeds"]) >= FIVE_SEEDS
        and d["difference"] > d["half"]
        and abs(later["difference"]) <= later["half"]
        and len(others) > 0
        and bool((behind > 0).all()),
    )


def cifar100(acc: pd.DataFrame) -> Finding:
    """On CIFAR-100 no difference under PGD-7, in any threat model, can be told from zero."""
    shown = attacked.SHOWN.but(dataset="cifar100")
    found = tables.contrast(five(acc, shown)[lambda f: (f["method"] == "pgd") & (f["eps"] == 8)])
    if found.empty:
        raise lacking("robustness")
    size = 100 * found["difference"]
    return Finding(
        f"On CIFAR-100 the pools cannot be told apart under PGD-7 at 8/255 in any of the {len(found)} threat "
        f"models: the "
        f"differences are {size.min():.1f} to {size.max():.1f} points ({found['seeds'].min()} seeds).",
        found["seeds"].min() >= FIVE_SEEDS and bool((found["difference"].abs() <= found["half"]).all()),
    )


def spaces(acc: pd.DataFrame) -> Finding:
    """How much survives a short training is a matter of the threat model, far more than of the pool."""
    cases = {"as published": ("spike", TRAIN), "in eval mode": ("spike", EVAL), "in pixel space": ("pixel", EVAL)}
    found = {name: lead(acc, space, protocol) for name, (space, protocol) in cases.items()}
    level = {name: 100 * (d["max"] + d["avg"]) / 2 for name, d in found.items()}
    apart = max(100 * abs(d["difference"]) for d in found.values())
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs the same networks keep "
        + ", ".join(f"{v:.1f} % {name}" for name, v in level.items())
        + f" (PGD-7 at 8/255, both pools together): the threat model moves accuracy by "
        f"{max(level.values()) - min(level.values()):.0f} points, the pool by at most {apart:.1f}.",
        list(level.values()) == sorted(level.values(), reverse=True)
        and max(level.values()) - min(level.values()) > 3 * apart,
    )


def pixel_pgd(acc: pd.DataFrame) -> Finding:
    """Max pooling leads under PGD-7 in pixel space too, at accuracies below chance."""
    d = lead(acc, "pixel")
    return Finding(
        f"In pixel space PGD-7 at 8/255 leaves {_both(d)}, {points(d)} apart and below chance.",
        d["difference"] > d["half"] and max(d["max"], d["avg"]) < 1 / TABLE[attacked.SHOWN.dataset].classes,
    )
