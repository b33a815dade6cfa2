"""The tables of chapter 6: pure functions from the attack records to data frames. Accuracies are fractions."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ... import ledger
from ...attacks.settings import Settings
from ...config import Run
from ...nets import pools
from ...nets.data import TABLE
from ...stats import over_seeds, over_seeds_and_images
from .. import page, tables
from ..radii import COLUMNS, along
from ..tables import FIVE_SEEDS, PAIR, Pair, both_pools, cell
from ..words import interval_text, minus, network_text, seeds_text

WORST = "worst case of all"
_ROW = ["run", "label", "pool", "seed", "scale", "n", "space", "eps", "attack", "kind", "budget", "whole", "attacked",
        "correct", "accuracy"]  # fmt: skip
SHOWN = Run.make("cpu")  # whose records chapter 6 shows, of any seed; others stay in the ledger
SHORT = Settings("PGD", steps=7, iterate="any")
PLAIN = {"pixel": replace(SHORT, bpda="weighted").name, "spike": SHORT.name}  # as is usually reported, but any iterate


def records(kind: str, shown: Iterable[str] = PAIR, like: Run | None = None) -> list[dict]:
    """The records of one kind of one cell, so that no table averages over two, with these pools; None: SHOWN's."""
    return [record for run, record in tables.records(kind, like or SHOWN) if run.pool in shown]


def rows(shown: Iterable[str] = PAIR, like: Run | None = None) -> pd.DataFrame:
    """One row a network of these pools, battery and attack; also "clean" and WORST.

    Columns: run, label, pool, seed, scale, n, space, eps (1/255), attack, kind, budget, whole, attacked (bool
    array), correct (bool array; for attacks that saw only some images, among those), accuracy (nan for these).
    """
    found = []
    for record in records("attacks", shown, like):
        run, n, own = Run.from_dict(record["config"]), record["results"]["n"], record["results"]["own"]
        for b in record["results"]["batteries"]:
            head = {"run": run.name, "label": run.label, "pool": run.pool, "seed": run.seed, "scale": run.scale, "n": n}
            head |= {"space": b["space"], "eps": round(255 * b["eps"], 2)}
            everyone: dict[str, Any] = {"whole": True, "attacked": ledger.pack(np.ones(n, bool))}
            extra: list[tuple[dict[str, Any], dict[str, Any]]] = [
                ({"attack": name, "kind": kind, "budget": ""}, everyone | {"correct": b[key]})
                for name, kind, key in (("clean", "clean", "clean"), (WORST, "worst", "robust"))
            ]
            named = [(Settings.of(a, own), a) for a in b["attacks"]]
            made: list[tuple[dict[str, Any], dict[str, Any]]] = [
                ({"attack": s.name, "kind": s.kind, "budget": s.budget}, a) for s, a in named
            ]
            for row, a in [extra[0], *made, extra[1]]:
                attacked, correct = (ledger.unpack(a[k], n) for k in ("attacked", "correct"))
                row |= {"whole": a["whole"], "attacked": attacked, "correct": correct}
                found.append(head | row | {"accuracy": correct.mean() if a["whole"] else math.nan})
    return pd.DataFrame(found, columns=_ROW)


def few_left(frame: pd.DataFrame) -> list[str]:
    """How much the costly rows of `rows` had to do: sentences on the black boxes, and on SA-PGD with ASSG."""
    said = []
    for what, part in (
        ("The black-box attacks", frame[frame["kind"] == "black box"]),
        ("SA-PGD with ASSG", frame[frame["attack"].str.contains("ASSG") & (frame["space"] == "spike")]),
    ):
        if len(part):
            seen = [int(a.sum()) for a in part["attacked"]]
            fooled = sum(int((a & ~c).sum()) for a, c in zip(part["attacked"], part["correct"], strict=True))
            where = " in spike space" if part["kind"].iloc[0] == "gradient" else ""
            said.append(
                f"{what} saw at most {max(seen)} images of a network, those that everything before had left, and "
                f"fooled {fooled} of {sum(seen)}{where}."
            )
    return said


def setting(frame: pd.DataFrame) -> str:
    """What `rows` or `curves` are of, in words: data, network, scale, how many networks and images; empty without."""
    if frame.empty:
        return ""
    images = ", ".join(f"{n:,}" for n in sorted(frame["n"].unique()))
    networks = f"{frame['run'].nunique()} networks of {seeds_text(frame['seed'].nunique())}"
    what = f"{TABLE[SHOWN.dataset].label}, {network_text(cell(SHOWN))} ({SHOWN.scale} scale)"
    return f"{what}; {networks}; the first {images} test images"


def scale(kind: str) -> str:
    """`setting` of the records of one kind that chapter 6 shows; empty without."""
    found = [(r["name"], Run.from_dict(r["config"]).seed, r["results"].get("n", 0)) for r in records(kind)]
    return setting(pd.DataFrame(found, columns=["run", "seed", "n"]))


def shown(frame: pd.DataFrame, kind: str) -> str:
    """A table as HTML under a line that says what it is of; without records of this kind the command for them."""
    missing = f"<p>Not recorded yet: <code>snnpaper measure {html.escape(kind)} RUN</code> makes the records.</p>"
    if frame.empty:
        return missing
    return (f'<p class="scale">{html.escape(above)}</p>' if (above := scale(kind)) else "") + page.table(frame)


def per_attack(frame: pd.DataFrame, space: str, eps: float) -> pd.DataFrame:
    """The printed table of one battery: per cent robust under each attack alone, mean over seeds, by pool.

    An attack that saw only what was still robust shows how many of these it fooled, summed over seeds.
    """
    part = frame[(frame["space"] == space) & (frame["eps"] == eps)]
    table, names = [], pools.ordered(frame["pool"]) or list(PAIR)
    for attack, here in part.groupby("attack", sort=False):
        row = {"attack": attack, "kind": here["kind"].iloc[0], "budget": here["budget"].iloc[0]}
        for pool in names:
            row[pool] = _cell(here[here["pool"] == pool])
        table.append(row)
    order = {"clean": -1, WORST: 1}
    table.sort(key=lambda r: order.get(r["attack"], 0))
    return pd.DataFrame(table, columns=["attack", "kind", "budget", *names])


def _cell(here: pd.DataFrame) -> str:
    if here.empty:
        return "not run"
    if here["whole"].all():
        return interval_text(*over_seeds(here["accuracy"]))
    attacked = sum(int(a.sum()) for a in here["attacked"])
    fooled = sum(int((a & ~c).sum()) for a, c in zip(here["attacked"], here["correct"], strict=True))
    return f"fooled {fooled} of {attacked} left" if attacked else "none left"


def advantage(frame: pd.DataFrame) -> pd.DataFrame:
    """`paired` for what the answer needs of each battery: clean, as usually attacked, and in the worst case."""
    wanted = {(space, attack) for space, plain in PLAIN.items() for attack in ("clean", plain, WORST)}
    kept = [pair in wanted for pair in zip(frame["space"], frame["attack"], strict=True)]
    return paired(frame.loc[np.array(kept, bool)])


def paired(frame: pd.DataFrame, pair: Pair = PAIR) -> pd.DataFrame:
    """One pool minus another (fraction, paired by seed and image) for every space, eps and attack of the frame.

    Columns: space, eps, attack, seeds, n, the two pools, difference, half (`stats.over_seeds_and_images`).
    """
    table = []
    for (space, eps, attack), here in frame.groupby(["space", "eps", "attack"], sort=False):
        if not (both := both_pools(here, pair)):
            continue
        seeds, a, b = both
        difference, half = over_seeds_and_images(a - b)
        row = {"space": space, "eps": eps, "attack": attack, "seeds": len(seeds), "n": a.shape[1]}
        table.append(row | {pair[0]: a.mean(), pair[1]: b.mean(), "difference": difference, "half": half})
    return pd.DataFrame(table, columns=["space", "eps", "attack", "seeds", "n", *pair, "difference", "half"])


def threat_of(settings: Settings) -> str:
    """How pages name a threat of the "curve" records: "spike, PGD-20 (any iterate)"."""
    return settings.name if settings.algorithm == "bit flips" else f"{settings.space}, {settings.name}"


FOLLOW = Settings("PGD", "pixel", steps=20, iterate="any", bpda="weighted")
PIXEL_PGD, SPIKE_PGD = threat_of(FOLLOW), threat_of(replace(FOLLOW, space="spike", bpda=None))
LEVELS, FLIPS = threat_of(Settings("level search", "pixel", steps=20)), threat_of(Settings("bit flips", "spike"))
# What of the curves the answer speaks of: the same images and radius under two attacks, and the two spike spaces.
ASKED = (
    *((threat, k) for k in (1, 8) for threat in (PIXEL_PGD, LEVELS)),
    *((SPIKE_PGD, k) for k in (4, 8)),
    *((FLIPS, k) for k in (8, 32)),
)


def advantage_on_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """`paired` at some radii of `curves`; "space" is the threat."""
    wanted = [pair in ASKED for pair in zip(frame["threat"], frame["radius"], strict=True)]
    part = frame.loc[np.array(wanted, bool)].rename(columns={"threat": "space", "radius": "eps"})
    return paired(part.assign(attack="curve"))


def advantage_text(found: pd.DataFrame) -> pd.DataFrame:
    """`paired` for print: per cent and points, and which pool is ahead."""
    shown = found[["space", "eps", "attack", "seeds", "n"]].copy()
    shown["eps"] = [f"{e:g}/255" for e in found["eps"]]
    for pool in PAIR:
        shown[pool] = [f"{100 * a:.1f}" for a in found[pool]]
    shown[minus()] = [interval_text(d, h) for d, h in zip(found["difference"], found["half"], strict=True)]
    shown["reading"] = [_reading(row) for _, row in found.iterrows()]
    return shown


def curves_text(found: pd.DataFrame) -> pd.DataFrame:
    """`advantage_on_curves` for print; "space" is its threat model, the radius counts flips where those are bounded."""
    shown = advantage_text(found).drop(columns="attack")
    flips = found["space"] == FLIPS
    shown["eps"] = shown["eps"].mask(flips, [f"{e:g} flips" for e in found["eps"]])
    shown.insert(1, "attack", [threat.partition(", ")[2] for threat in found["space"]])
    shown["attack"] = shown["attack"].mask(flips, "guided by the gradient")
    shown["space"] = [threat.partition(", ")[0] for threat in found["space"]]
    return shown


def _reading(row: pd.Series) -> str:
    """Above, below or neither, by the interval; indicative while there are fewer than five seeds."""
    if max(row[list(PAIR)]) < 1 / TABLE[SHOWN.dataset].classes:
        return "below chance for both pools"
    if abs(row["difference"]) <= row["half"]:
        return "no difference can be told"
    word = f"{pools.find(PAIR[int(row['difference'] < 0)]).label} is ahead"
    return word + ("" if row["seeds"] >= FIVE_SEEDS else ", indicative")


def outsider() -> pd.DataFrame:
    """One row a network and battery: the worst case, and by how many points an attacker outside lowers it."""
    table = []
    for record in records("attacks"):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        for b in record["results"]["batteries"]:
            o = b["outsider"]
            lowered = 100 * max(o["fooled"].values(), default=0) / n
            table.append({"pool": run.pool, "seed": run.seed, "space": b["space"], "eps": f"{255 * b['eps']:g}/255",
                          "images": n, "robust before it": o["attacked"], "lowered by (points)": lowered})  # fmt: skip
    columns = ["pool", "seed", "space", "eps", "images", "robust before it", "lowered by (points)"]
    return pd.DataFrame(table, columns=columns)


def curves(shown: Iterable[str] = PAIR, like: Run | None = None) -> pd.DataFrame:
    """One row a network of these pools, threat and radius (0: clean): accuracy, its Wilson interval, n.

    The columns are those of `radii.along`.
    """
    table: list[dict] = []
    for record in records("curve", shown, like):
        run = Run.from_dict(record["config"])
        for least in record["results"]["threats"]:
            table += along(run, threat_of(Settings.of(least, record["results"]["own"])), least)
    return pd.DataFrame(table, columns=COLUMNS)


def chance_radii(frame: pd.DataFrame) -> pd.DataFrame:
    """The least recorded radius at which each network's accuracy is at chance or below, by threat; then at zero."""
    table = []
    for (threat, run), part in frame.groupby(["threat", "run"], sort=False):
        row = {"threat": threat, "run": run, "pool": part["pool"].iloc[0], "seed": part["seed"].iloc[0]}
        for name, level in (("chance", part["chance"].iloc[0]), ("zero", 0.0)):
            below = part.loc[part["accuracy"] <= level, "radius"]
            row[name] = below.min() if len(below) else math.nan
        table.append(row)
    return pd.DataFrame(table)
