"""The ladder of attacks: what is left after each, weak to strong, and after all before it. Accuracies are fractions."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from ...nets import pools
from ...nets.data import TABLE
from ..plots import panels, pool_style
from .tables import SHOWN, WORST


def ladder(frame: pd.DataFrame, space: str) -> tuple[pd.DataFrame, list[str]]:
    """The attacks on one space of `tables.rows`, weak to strong, and the names of those that fooled nothing left.

    Columns: eps (1/255), attack, pool, alone (nan where an attack saw only what those before it had left), left (by
    this and all before it), n. Attacks that saw every image at every radius come first, by what they leave alone; the
    costly ones follow in the order in which they ran.
    """
    part = frame[(frame["space"] == space) & ~frame["attack"].isin([WORST])]
    seen = part.groupby("attack", sort=False)
    whole, alone = seen["whole"].all(), seen["accuracy"].mean()
    first = [a for a in alone.sort_values(ascending=False, kind="stable").index if whole[a]]
    order = [*first, *(a for a in whole.index if not whole[a])]
    table, idle = [], set(order)
    for (eps, run), here in part.groupby(["eps", "run"], sort=False):
        rows, left = here.set_index("attack"), None
        for attack in (a for a in order if a in rows.index):
            row = rows.loc[attack]
            after = row["correct"] | ~row["attacked"] if left is None else left & (row["correct"] | ~row["attacked"])
            if row["whole"] or (after != left).any():
                idle.discard(attack)
            left = after
            found = {"eps": eps, "run": run, "attack": attack, "pool": row["pool"], "n": row["n"]}
            table.append(found | {"alone": row["accuracy"] if row["whole"] else math.nan, "left": left.mean()})
    named = pd.DataFrame(table, columns=["eps", "run", "attack", "pool", "n", "alone", "left"])
    shown = named[~named["attack"].isin(idle)]
    mean = shown.groupby(["eps", "attack", "pool"], sort=False)[["alone", "left", "n"]].mean().reset_index()
    mean["attack"] = pd.Categorical(mean["attack"], [a for a in order if a not in idle])
    return mean.sort_values(["eps", "attack"], kind="stable", ignore_index=True), [a for a in order if a in idle]


def figure(steps: pd.DataFrame, space: str) -> Figure:
    """One panel a radius, a row an attack: filled, what it and all above leave; hollow, what it leaves alone (%)."""
    names, radii = list(steps["attack"].cat.categories), sorted(steps["eps"].unique())
    drawn, axes = panels(1, len(radii), (5.4, 0.26 * len(names) + 1.1), sharey=True)
    for ax, eps in zip(axes, radii, strict=True):
        here = steps[steps["eps"] == eps]
        for pool in pools.ordered(here["pool"]):
            part, style = here[here["pool"] == pool], pool_style(pool)
            place = part["attack"].cat.codes
            ax.plot(100 * part["alone"], place, **style, ls="", mfc="white", ms=5, alpha=0.8)
            ax.plot(100 * part["left"], place, **style, lw=1.2, ms=5, label=pools.find(pool).label)
        ax.axvline(100 / TABLE[SHOWN.dataset].classes, color="black", ls=":", lw=0.8)
        ax.set(title=f"{eps:g}/255", xlim=(-2, None))
        ax.grid(axis="y", lw=0.4, alpha=0.5)
    axes[0].set_yticks(range(len(names)), [_short(name) for name in names], fontsize=9)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    drawn.supxlabel(f"images left (%), {space} space", fontsize=9)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return drawn


def _short(name: str) -> str:
    """An attack's name without what the caption says once."""
    return name.replace(" (any iterate)", "").replace(" BPDA", "").replace(", shortened", ", short")


def idle_text(idle: list[str]) -> str:
    """Which attacks fooled nothing that was left, in a sentence; empty without any."""
    if not idle:
        return ""
    return f"{len(idle)} more fooled nothing that was left and have no row: {'; '.join(idle)}."


def ends_in_the_worst_case(frame: pd.DataFrame, space: str) -> bool:
    """Whether the ladder's last rung is the recorded worst case, radius by radius and pool by pool."""
    steps, _ = ladder(frame, space)
    last = steps.groupby(["eps", "pool"])["left"].min()
    worst = frame[(frame["space"] == space) & (frame["attack"] == WORST)].groupby(["eps", "pool"])["correct"]
    recorded = worst.apply(lambda of: sum(c.mean() for c in of) / len(of))
    return bool(((last - recorded).abs() < 1e-9).all()) and len(last) == len(recorded)
