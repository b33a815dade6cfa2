"""Which images stand, by training and by the attacker's choice of backward pass; shares, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..config import Run
from ..stats import FEW, over_seeds_and_images
from .plots import COLOURS, readable
from .tables import Pair
from .words import seeds_text

EPS = 4  # 1/255, of rules 11, 13 and 14
OWN, WORST, WITH_ASSG = "own", "worst", "worst, with ASSG"
COLUMNS = ["run", "training", "seed", "scale", "n", "own", "space", "algorithm", "through", "radii", "place"]


def rows_of(record: dict, training: str, own: str, through: Callable[[dict], str]) -> list[dict]:
    """A row of COLUMNS for each attack of a record.

    `training` names what was done in training, `own` the network's own backward pass, and `through` that of an
    attack. `radii` are in 1/255; `place` is an int array [n]: of each image the place of its least radius, len(radii)
    where none fools it, -2 where it was not attacked.
    """
    run, r = Run.from_dict(record["config"]), record["results"]
    head = {"run": run.name, "training": training, "seed": run.seed, "scale": run.scale, "n": r["n"], "own": own}
    rows = []
    for a in r["attacks"]:
        first = np.array(a["first"])
        how = {"space": a["space"], "algorithm": a["algorithm"], "radii": a["radii"], "through": through(a)}
        rows.append(head | how | {"place": np.where(first == -1, len(a["radii"]), first)})
    return rows


def standing(frame: pd.DataFrame, eps: float = EPS) -> pd.DataFrame:
    """One row a network and attack in spike space, with `attack` and bool arrays `right` and `stands` [n] at eps/255.

    `attack` is the name of a backward pass, OWN (again), WORST (the worst of all passes by PGD) or WITH_ASSG.
    Raises ValueError when eps is no recorded radius.
    """
    rows = []
    spike = frame[frame["space"] == "spike"]
    for _, part in spike.groupby("run", sort=False):
        head = part.iloc[0][["run", "training", "seed", "scale", "n", "own"]].to_dict()
        worst = head["right"] = part.iloc[0]["place"] >= 0
        for _, a in part[part["algorithm"] == "PGD"].iterrows():
            if eps not in a["radii"]:
                raise ValueError(f"eps is {eps}; allowed: {', '.join(f'{k:g}' for k in a['radii'])}")
            stands = a["place"] > a["radii"].index(eps)
            worst = worst & stands
            rows.append(head | {"attack": a["through"], "stands": stands})
            if a["through"] == a["own"]:
                rows.append(head | {"attack": OWN, "stands": stands})
        rows.append(head | {"attack": WORST, "stands": worst})
        for _, a in part[(part["algorithm"] == "SA-PGD")].iterrows():
            if eps in a["radii"]:  # it saw what all the others leave
                rows.append(head | {"attack": WITH_ASSG, "stands": worst & (a["place"] > a["radii"].index(eps))})
    columns = ["run", "training", "seed", "scale", "n", "own", "right", "attack", "stands"]
    return pd.DataFrame(rows, columns=columns)


def influence(right: np.ndarray, stands: np.ndarray) -> np.ndarray:
    """Values [n] whose mean is the share of `right` images that stand, and whose spread is that of this ratio.

    The share is a ratio of two means over images, both of which vary; these are its linearised values (delta method).
    """
    share = (right & stands).sum() / right.sum()
    return share + (stands - share) * right / right.mean()


def shares(stand: pd.DataFrame) -> pd.DataFrame:
    """One row a training and attack of `standing`: the share of the correctly classified images that stand.

    Columns: training, own, attack, seeds, share, half (95 %; over seeds and images, over images alone for fewer than
    FEW seeds), runs.
    """
    rows = []
    for (training, attack), part in stand.groupby(["training", "attack"], sort=False):
        mean, half = over_seeds_and_images(np.stack(_values(part)))
        head = {"training": training, "own": part["own"].iloc[0], "attack": attack, "seeds": len(part)}
        rows.append(head | {"share": mean, "half": half, "runs": sorted(part["run"])})
    return pd.DataFrame(rows, columns=["training", "own", "attack", "seeds", "share", "half", "runs"])


def _values(part: pd.DataFrame) -> list[np.ndarray]:
    return [influence(right, stands) for right, stands in zip(part["right"], part["stands"], strict=True)]


@dataclass(frozen=True)
class Difference:
    """One training minus another, or one attack minus another on the same: a fraction, paired by seed and image."""

    mean: float
    half: float
    by_seed: dict[int, float] = field(hash=False)

    @property
    def seeds(self) -> int:
        return len(self.by_seed)

    @property
    def above(self) -> bool:
        return self.mean > self.half

    @property
    def zero(self) -> bool:
        return abs(self.mean) <= self.half

    def __str__(self) -> str:
        over = "seeds and images" if self.seeds >= FEW else "images"
        return (
            f"{100 * self.mean:+.1f} points, 95 % interval over {over} "
            f"{100 * (self.mean - self.half):+.1f} to {100 * (self.mean + self.half):+.1f}"
        )


def difference(stand: pd.DataFrame, attack: str, pair: Pair, instead: str = "") -> Difference | None:
    """The first training's share minus the second's under one attack; None without a seed that has both.

    With `instead`, how much larger that difference is than under the attack of this name.
    """
    chosen = [stand[stand["attack"] == a].set_index(["training", "seed"]) for a in (attack, instead) if a]
    seeds = sorted(set.intersection(*({s for t, s in c.index if t == one} for c in chosen for one in pair)))
    if not seeds:
        return None
    each = [[np.stack(_values(c.loc[[(t, s) for s in seeds]])) for t in pair] for c in chosen]
    first, *other = [one - two for one, two in each]
    apart = first - other[0] if other else first
    return Difference(*over_seeds_and_images(apart), dict(zip(seeds, apart.mean(1), strict=True)))


def between(stand: pd.DataFrame, training: str, one: str, other: str) -> Difference | None:
    """The share under attack `one` minus that under `other`, of the same networks and images; None without any."""
    part = stand[stand["training"] == training]
    first, second = (part[part["attack"] == attack].set_index("seed") for attack in (one, other))
    seeds = sorted(set(first.index) & set(second.index))
    if not seeds:
        return None
    apart = np.stack(_values(first.loc[seeds])) - np.stack(_values(second.loc[seeds]))
    return Difference(*over_seeds_and_images(apart), dict(zip(seeds, apart.mean(1), strict=True)))


def table(found: pd.DataFrame, trainings: Sequence[str], passes: Sequence[str]) -> pd.DataFrame:
    """`shares` for print, a row a training and a column an attack: per cent ± half; said where over images alone."""
    rows = []
    for training in trainings:
        part = found[found["training"] == training].set_index("attack")
        few = part["seeds"].iloc[0] < FEW
        row = {"training": training, "seeds": f"{part['seeds'].iloc[0]}{' (over images alone)' * bool(few)}"}
        for attack in columns(found, passes):
            row[attack] = text(part, attack)
        rows.append(row)
    return pd.DataFrame(rows, columns=["training", "seeds", *columns(found, passes)])


def columns(found: pd.DataFrame, passes: Sequence[str]) -> list[str]:
    """The attacks of `shares` in the order of tables: `passes`, then the worst cases."""
    named = set(found["attack"])
    return [p for p in passes if p in named] + [a for a in (WORST, WITH_ASSG) if a in named]


def text(part: pd.DataFrame, attack: str) -> str:
    """ "31.2 ± 4.0", or "" where this training was not attacked so."""
    if attack not in part.index or math.isnan(part.loc[attack, "share"]):
        return ""
    return f"{100 * part.loc[attack, 'share']:.1f} ± {100 * part.loc[attack, 'half']:.1f}"


def heat_map(found: pd.DataFrame, trainings: Sequence[str], passes: Sequence[str], rows: str, across: str) -> Figure:
    """`table` as a figure; `rows` and `across` name its axes, the network's own backward pass is framed."""
    shown = columns(found, passes)
    share = found.pivot(index="training", columns="attack", values="share").loc[list(trainings), shown]
    parts = {t: found[found["training"] == t].set_index("attack") for t in trainings}
    texts = [[text(parts[t], a).replace(" ", "\n", 1) for a in shown] for t in trainings]
    figure = Figure(figsize=(7, 0.8 + 0.55 * len(trainings)), layout="constrained")
    ax = figure.subplots()
    sns.heatmap(100 * share, ax=ax, annot=texts, fmt="", cmap="Blues", vmin=0, linewidths=1,
                annot_kws={"fontsize": 8}, cbar_kws={"label": "stand (%)"})  # fmt: skip
    readable(ax)
    for i, t in enumerate(trainings):
        if (own := parts[t]["own"].iloc[0]) in shown:
            ax.add_patch(Rectangle((shown.index(own), i), 1, 1, fill=False, ec=COLOURS[3], lw=2, clip_on=False))
    names = {WORST: "worst\nof these", WITH_ASSG: "worst,\nwith ASSG"}
    ax.set_xticklabels([names.get(a, a) for a in shown], rotation=0)
    seeds = {t: parts[t]["seeds"].iloc[0] for t in trainings}
    ax.set_yticklabels([f"{t} ({seeds_text(seeds[t])})" for t in trainings], rotation=0)
    ax.set(xlabel=across, ylabel=rows)
    return figure
