"""Training backward against attack backward: who stands, from the records "backwards", and what rule 11 makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import ledger
from ...config import Run
from ...nets import pools
from ...stats import FEW, over_seeds_and_images
from ..tables import FIVE_SEEDS, Pair

SETTING = Run.make("cpu")  # of any pool and seed
EPS = 4  # 1/255, of rule 11
OWN, WORST, WITH_ASSG = "own", "worst", "worst, with ASSG"
# Rule 11 compares these two: forward both are max pooling, in training the gradient went another way.
TRAINED: Pair = ("max", "max/avg")
DENSITY, MASKING, UNRESOLVED = "density matters by itself", "masking", "not resolved"
_COLUMNS = ["run", "pool", "seed", "scale", "n", "own", "space", "algorithm", "backward", "radii", "place"]


def attacks() -> pd.DataFrame:
    """One row a network of SETTING and recorded attack.

    Columns: run, pool, seed, scale, n, own (its pool's backward pass), space, algorithm, backward (whose the attack
    took), radii (1/255), and place, int array [n]: of each image the place of its least radius; len(radii) where
    none fools it, -2 where it was not attacked.
    """
    rows = []
    for record in ledger.records("backwards"):
        run, r = Run.from_dict(record["config"]), record["results"]
        if run.but(pool=SETTING.pool, seed=SETTING.seed) != SETTING:
            continue
        head = {
            "run": run.name,
            "pool": run.pooling,
            "seed": run.seed,
            "scale": run.scale,
            "n": r["n"],
            "own": r["own"],
        }
        for a in r["attacks"]:
            first = np.array(a["first"])
            place = np.where(first == -1, len(a["radii"]), first)
            how = {k: a[k] for k in ("space", "algorithm", "backward", "radii")}
            rows.append(head | how | {"place": place})
    return pd.DataFrame(rows, columns=_COLUMNS)


def standing(frame: pd.DataFrame, eps: float = EPS) -> pd.DataFrame:
    """One row a network and attack in spike space, with `attack` and bool arrays `right` and `stands` [n] at eps/255.

    `attack` is the name of a backward pass, OWN (again), WORST (the worst of all passes by PGD) or WITH_ASSG.
    Raises ValueError when eps is no recorded radius.
    """
    rows = []
    spike = frame[frame["space"] == "spike"]
    for _, part in spike.groupby("run", sort=False):
        head = part.iloc[0][["run", "pool", "seed", "scale", "n", "own"]].to_dict()
        worst = head["right"] = part.iloc[0]["place"] >= 0
        for _, a in part[part["algorithm"] == "PGD"].iterrows():
            if eps not in a["radii"]:
                raise ValueError(f"eps is {eps}; allowed: {', '.join(f'{k:g}' for k in a['radii'])}")
            stands = a["place"] > a["radii"].index(eps)
            worst = worst & stands
            rows.append(head | {"attack": a["backward"], "stands": stands})
            if a["backward"] == a["own"]:
                rows.append(head | {"attack": OWN, "stands": stands})
        rows.append(head | {"attack": WORST, "stands": worst})
        for _, a in part[(part["algorithm"] == "SA-PGD")].iterrows():
            if eps in a["radii"]:  # it saw what all the others leave
                rows.append(head | {"attack": WITH_ASSG, "stands": worst & (a["place"] > a["radii"].index(eps))})
    columns = ["run", "pool", "seed", "scale", "n", "own", "right", "attack", "stands"]
    return pd.DataFrame(rows, columns=columns)


def influence(right: np.ndarray, stands: np.ndarray) -> np.ndarray:
    """Values [n] whose mean is the share of `right` images that stand, and whose spread is that of this ratio.

    The share is a ratio of two means over images, both of which vary; these are its linearised values (delta method).
    """
    share = (right & stands).sum() / right.sum()
    return share + (stands - share) * right / right.mean()


def shares(stand: pd.DataFrame) -> pd.DataFrame:
    """One row a pool and attack of `standing`: the share of the correctly classified images that stand.

    Columns: pool, own, attack, seeds, share, half (95 %; over seeds and images, over images alone for fewer than FEW
    seeds), runs.
    """
    rows = []
    for (pool, attack), part in stand.groupby(["pool", "attack"], sort=False):
        mean, half = over_seeds_and_images(np.stack(_values(part)))
        head = {"pool": pool, "own": part["own"].iloc[0], "attack": attack, "seeds": len(part)}
        rows.append(head | {"share": mean, "half": half, "runs": sorted(part["run"])})
    return pd.DataFrame(rows, columns=["pool", "own", "attack", "seeds", "share", "half", "runs"])


def _values(part: pd.DataFrame) -> list[np.ndarray]:
    return [influence(right, stands) for right, stands in zip(part["right"], part["stands"], strict=True)]


@dataclass(frozen=True)
class Difference:
    """One pool minus another, a fraction, paired by seed and image."""

    mean: float
    half: float
    seeds: int

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


def difference(stand: pd.DataFrame, attack: str, pair: Pair = TRAINED) -> Difference | None:
    """The first pool's share minus the second's under one attack; None without a seed that has both."""
    part = stand[stand["attack"] == attack]
    one, other = (part[part["pool"] == pool].set_index("seed") for pool in pair)
    seeds = sorted(set(one.index) & set(other.index))
    if not seeds:
        return None
    values = np.stack(_values(one.loc[seeds])) - np.stack(_values(other.loc[seeds]))
    mean, half = over_seeds_and_images(values)
    return Difference(mean, half, len(seeds))


def between(stand: pd.DataFrame, pool: str, one: str, other: str) -> Difference | None:
    """The share under attack `one` minus that under `other`, of the same networks and images; None without any."""
    part = stand[stand["pool"] == pool]
    first, second = (part[part["attack"] == attack].sort_values("seed") for attack in (one, other))
    if first.empty or second.empty:
        return None
    mean, half = over_seeds_and_images(np.stack(_values(first)) - np.stack(_values(second)))
    return Difference(mean, half, len(first))


def verdict(own: Difference, worst: Difference) -> str:
    """Rule 11's word for two differences of TRAINED: through the own backward pass of each, and in the worst case."""
    if worst.above:
        return DENSITY
    if own.above and worst.zero and worst.half <= own.half:
        return MASKING
    return UNRESOLVED


def answer(stand: pd.DataFrame) -> str:
    """Rule 11 in a sentence; below five seeds its words are no verdict (rule 15)."""
    own, worst = (difference(stand, attack) for attack in (OWN, WORST))
    if own is None or worst is None:
        return f"No seed has both {' and '.join(TRAINED)}: rule 11 has nothing to judge."
    word, seeds = verdict(own, worst), f"{worst.seeds} seed{'s' * (worst.seeds > 1)}"
    head = f"Verdict by rule 11: {word}" if worst.seeds >= FIVE_SEEDS else f"No verdict with {seeds}; so far: {word}"
    return f"{head} (worst case {worst}; each through its own backward pass {own})."


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`shares` for print, a row a training: per cent ± half; marked where the interval is over images alone."""
    rows = []
    for pool in pools.ordered(found["pool"]):
        part = found[found["pool"] == pool].set_index("attack")
        few = part["seeds"].iloc[0] < FEW
        row = {"training": pool, "seeds": f"{part['seeds'].iloc[0]}{' (over images alone)' * bool(few)}"}
        for attack in columns(found):
            row[attack] = text(part, attack)
        rows.append(row)
    return pd.DataFrame(rows, columns=["training", "seeds", *columns(found)])


def columns(found: pd.DataFrame) -> list[str]:
    """The attacks of `shares` in the order of tables: passes as in the table of pools, then the worst cases."""
    named = set(found["attack"])
    return [p for p in pools.TABLE if p in named] + [a for a in (WORST, WITH_ASSG) if a in named]


def text(part: pd.DataFrame, attack: str) -> str:
    """ "31.2 ± 4.0", or "" where this training was not attacked so."""
    if attack not in part.index or math.isnan(part.loc[attack, "share"]):
        return ""
    return f"{100 * part.loc[attack, 'share']:.1f} ± {100 * part.loc[attack, 'half']:.1f}"
