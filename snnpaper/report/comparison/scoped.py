"""Rules 7 to 10 and 18: the paper's directions at named reduced scales, and how they turn with length and width."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from ... import ledger
from ...attacks.standard import EVAL, TRAIN
from ...config import Run
from ...stats import FEW, over_seeds
from .. import standing, tables
from ..design import matrix
from ..findings.pools import half_radii
from ..plots import COLOURS, panels
from ..radii import along, worst_pass
from ..standing import EPS
from ..tables import COMMON, FIVE_SEEDS, PAIR
from ..trail import densities
from .verdicts import HELD, NOT_HELD, UNRESOLVED, by_sign

JUDGED = Run.make("cpu", epochs=30)  # of any seed and both pools
SCALES = (JUDGED, JUDGED.but(epochs=15))  # of rules 9 and 18; every other network has intervals only
LATER = (2, 3, 4)  # the seeds of which rule 18 knew nothing
ROBUST, ACCURATE, SPARSER = "max pooling is more robust", "average pooling is more accurate", "max pooling is sparser"
PUBLISHED, SOUND = "published attack, 8/255", "the same attack, eval mode"
CLEAN = "accuracy on the test images"
AT_POOL, AT_INPUT = "zero entries at the pool's input", "zero entries at the network's input"
SPIKE_RADIUS = "radius that half survive, spike space, worst of four passes"
PIXEL_RADIUS = "radius that half survive, pixel space, level search"
STANDS = f"correct images that stand at {EPS}/255, spike space, worst of four passes"  # of rule 18
POINTS = 100
QUANTITIES = {  # of rules 8 and 18, each with its claim, its unit and how many of that are one
    PUBLISHED: (ROBUST, "points", POINTS),
    SOUND: (ROBUST, "points", POINTS),
    STANDS: (ROBUST, "points", POINTS),
    SPIKE_RADIUS: (ROBUST, "/255", 1),
    PIXEL_RADIUS: (ROBUST, "/255", 1),
    CLEAN: (ACCURATE, "points", POINTS),
    AT_POOL: (SPARSER, "points", POINTS),
    AT_INPUT: (SPARSER, "points", POINTS),
}
_PLACES = {AT_POOL: "sn1", AT_INPUT: "input"}
_COLUMNS = [*COMMON, "quantity", "seeds", "mean", "half", "by_seed", "n", "runs"]


def differences() -> pd.DataFrame:
    """One row a quantity and cell trained on all images without a variant.

    Columns: the cell's, quantity, seeds, mean (positive where the paper is right; in the quantity's own unit), half
    (95 %, over seeds, and images where it is an accuracy), by_seed (a dict), n (images) and runs.
    """
    rows = [*_accuracies(), *_densities(), *_radii(), *_standing()]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["variant"] == "") & (frame["train_images"] == 0) & ~frame["dataset"].isin(tables.OURS)]


def _accuracies() -> Iterator[dict]:
    acc = _whole(tables.accuracies())
    spike = (acc["space"] == "spike") & (acc["method"] == "pgd") & (acc["eps"] == 8)
    parts = {
        PUBLISHED: (spike & (acc["protocol"] == TRAIN), 1),
        SOUND: (spike & (acc["protocol"] == EVAL), 1),
        CLEAN: (acc["space"] == "clean", -1),
    }
    for quantity, (chosen, sign) in parts.items():
        for d in tables.contrast(acc[chosen]).to_dict("records"):
            yield {k: d[k] for k in (*COMMON, "seeds", "half", "n", "runs")} | {
                "quantity": quantity, "mean": sign * d["difference"],
                "by_seed": {seed: sign * v for seed, v in d["by_seed"].items()},
            }  # fmt: skip


def _densities() -> Iterator[dict]:
    found = densities.frame()
    found = _whole(found[(found["state"] == "trained") & (found["mode"] == "eval")])
    for quantity, place in _PLACES.items():
        for values, part in found[found["place"] == place].groupby(COMMON, sort=False):
            pairs = -tables.by_seed(part, "0")
            yield from _over(dict(zip(COMMON, values, strict=True)), quantity, pairs, part)


def _radii() -> Iterator[dict]:
    """The radius that half of the images survive: of level search in pixel space, of the worst pass in spike space."""
    rows, cells = list[dict](), {}
    for quantity, run, least in _least():
        cells[run.name] = tables.common(run)
        rows += along(run, quantity, least)
    if not rows:
        return
    frame = pd.DataFrame(rows)
    of = pd.DataFrame([cells[name] for name in frame["run"]], index=frame.index)[COMMON]
    for (quantity, *values), here in frame.groupby([frame["threat"], *(of[k] for k in COMMON)], sort=False):
        pairs = tables.by_seed(half_radii(here, quantity), "radius")
        yield from _over(dict(zip(COMMON, values, strict=True)), quantity, pairs, here)


def _least() -> Iterator[tuple[str, Run, dict]]:
    """Each image's least radius, of every record of the two pools that has one; `along` takes it."""
    for kind in ("curve", "backwards"):
        for record in ledger.records(kind):
            run, r = Run.from_dict(record["config"]), record["results"]
            if run.pool not in PAIR:
                continue
            if kind == "backwards":
                yield SPIKE_RADIUS, run, worst_pass(r["attacks"])
            for t in r.get("threats", []):
                if t["algorithm"] == "level search":
                    yield PIXEL_RADIUS, run, t


def _over(cell: dict, quantity: str, pairs: pd.Series, part: pd.DataFrame) -> Iterator[dict]:
    if len(pairs):
        mean, half = over_seeds(pairs)
        runs = sorted(set(tables.of(part[part["seed"].isin(pairs.index)])["run"]))
        found = {"quantity": quantity, "seeds": len(pairs), "mean": mean, "half": half, "by_seed": dict(pairs)}
        yield cell | found | {"n": part["n"].min(), "runs": runs}


def _standing() -> Iterator[dict]:
    """The share of rule 11, in the worst case over the passes, of every setting that has both pools."""
    runs = (Run.from_dict(r["config"]) for r in ledger.records("backwards"))
    for setting in dict.fromkeys(run.but(pool=JUDGED.pool, seed=JUDGED.seed) for run in runs):
        stand = standing.standing(matrix.attacks(setting))
        if d := standing.difference(stand, standing.WORST, PAIR):
            part = stand[stand["training"].isin(PAIR) & (stand["attack"] == standing.WORST)]
            part = part[part["seed"].isin(d.by_seed)]
            cell = tables.common(setting)
            found = {"seeds": d.seeds, "mean": d.mean, "half": d.half if d.seeds >= FEW else math.nan}
            yield cell | {"quantity": STANDS, "by_seed": d.by_seed, "n": part["n"].min()} | found | {
                "runs": sorted(part["run"]),
            }  # fmt: skip


def word(seeds: int, mean: float, half: float) -> str:
    """Rule 7's verdict; what is lacking where there is none."""
    if seeds < FIVE_SEEDS:
        return f"no verdict: {seeds} of {FIVE_SEEDS} seeds"
    return by_sign(mean, half)


def size(quantity: str, seeds: int, mean: float, half: float) -> str:
    """ "+1.9 ± 1.8 points"; without interval of fewer than FEW seeds."""
    _, unit, times = QUANTITIES[quantity]
    interval = f" ± {times * half:.2g}" if seeds >= FEW else ""
    return f"{times * mean:+.2g}{interval}{unit if unit.startswith('/') else ' ' + unit}"


def judged(found: pd.DataFrame, scale: Run = JUDGED) -> pd.DataFrame:
    """The scoped verdicts: a row a quantity, of one scale's cell; claim, quantity, ours, later seeds, verdict, runs.

    "later seeds" is the mean over LATER alone, empty until all of them are there.
    """
    here = found[tables.alike(found, tables.common(scale))].set_index("quantity")
    rows = []
    for quantity, (claim, _, _) in QUANTITIES.items():
        row = {"claim": claim, "quantity": quantity, "ours": "not measured", "later seeds": "",
               "verdict": word(0, 0, 0), "runs": []}  # fmt: skip
        if quantity in here.index:
            d = here.loc[quantity]
            what = (d["seeds"], d["mean"], d["half"])
            row |= {"ours": size(quantity, *what), "verdict": word(*what), "runs": d["runs"]}
            if set(LATER) <= set(d["by_seed"]):
                row["later seeds"] = size(quantity, 1, sum(d["by_seed"][s] for s in LATER) / len(LATER), math.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def courses(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of the published networks on CIFAR-10 with 18 layers, whose length and width differ."""
    alike = (found["dataset"] == JUDGED.dataset) & (found["label"] == JUDGED.label)
    return found[alike & (found["batch_size"] == JUDGED.batch_size)].sort_values(["width", "epochs"])


def figure(found: pd.DataFrame) -> Figure:
    """Differences over the length of training, a panel a quantity, a line a width; above zero the paper is right.

    `found` is `courses`. Filled: at least FEW seeds, with their interval; hollow: fewer, without.
    """
    shown = [q for q in (PUBLISHED, SOUND, CLEAN, AT_POOL) if (found["quantity"] == q).any()]
    drawn, axes = panels(1, len(shown), (2.5 * len(shown) + 0.6, 2.7), sharex=True)
    widths = sorted(found["width"].unique())
    for ax, quantity in zip(axes, shown, strict=True):
        for colour, width in zip(COLOURS, widths, strict=False):
            line = found[(found["quantity"] == quantity) & (found["width"] == width)]
            ax.plot(line["epochs"], POINTS * line["mean"], color=colour, lw=1, label=f"width {width}")
            for _, d in line.iterrows():
                many = d["seeds"] >= FEW
                ax.errorbar(d["epochs"], POINTS * d["mean"], yerr=POINTS * d["half"] if many else None, fmt="o", ms=5,
                            color=colour, mfc=colour if many else "white", capsize=2)  # fmt: skip
        ax.axhline(0, color="black", lw=0.8)
        ax.set_xscale("log", base=2)
        ticks = sorted(found["epochs"].unique())
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.set(title=textwrap.fill(quantity, 20), xlabel="epochs")
    axes[0].set_ylabel("difference (points)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def sentence(verdicts: pd.DataFrame, scale: Run = JUDGED) -> str:
    """What `judged` has decided, claim by claim, and what it has not: or how far it is."""
    where = f"width {scale.width}, {scale.epochs} epochs"
    decided = verdicts[verdicts["verdict"].isin((HELD, NOT_HELD, UNRESOLVED))]
    if decided.empty:
        lacks = verdicts["verdict"].iloc[0].removeprefix("no verdict: ")
        return f"No direction of the paper has a scoped verdict yet ({where}): {lacks}."
    said = []
    for claim, part in decided.groupby("claim", sort=False):
        each = "; ".join(f"{r.quantity} ({r.ours}): {r.verdict}" for r in part.itertuples())
        said.append(f"{claim[0].upper()}{claim[1:]} – {each}")
    open_ = verdicts[~verdicts.index.isin(decided.index)]
    rest = "; ".join(f"{r.quantity} ({r.verdict.removeprefix('no verdict: ')})" for r in open_.itertuples())
    return f"Scoped verdicts ({where}, five seeds). {'. '.join(said)}." + (f" No verdict yet: {rest}." if rest else "")
