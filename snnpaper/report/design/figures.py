"""The figures of chapter 9; the style is that of `snnpaper.report.plots`."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...nets import pools
from ..plots import COLOURS, pool_style
from .matrix import OWN, WITH_ASSG, WORST, columns, text


def heat_map(found: pd.DataFrame) -> Figure:
    """`matrix.shares`: a row a training, a column an attack, per cent and half-width; own backward passes framed."""
    rows, shown = pools.ordered(found["pool"]), columns(found)
    share = found.pivot(index="pool", columns="attack", values="share").loc[rows, shown]
    texts = [
        [text(found[found["pool"] == pool].set_index("attack"), a).replace(" ", "\n", 1) for a in shown]
        for pool in rows
    ]
    figure = Figure(figsize=(7, 0.8 + 0.55 * len(rows)), layout="constrained")
    ax = figure.subplots()
    sns.heatmap(100 * share, ax=ax, annot=texts, fmt="", cmap="Blues", vmin=0, linewidths=1,
                annot_kws={"fontsize": 8}, cbar_kws={"label": "stand (%)"})  # fmt: skip
    own = found.drop_duplicates("pool").set_index("pool")["own"]
    for i, pool in enumerate(rows):
        if own[pool] in shown:
            ax.add_patch(Rectangle((shown.index(own[pool]), i), 1, 1, fill=False, ec=COLOURS[3], lw=2, clip_on=False))
    names = {WORST: "worst\nof these", WITH_ASSG: "worst,\nwith ASSG"}
    ax.set_xticklabels([names.get(a, a) for a in shown], rotation=0)
    seeds = found.drop_duplicates("pool").set_index("pool")["seeds"]
    ax.set_yticklabels([f"{pool} ({seeds[pool]} seed{'s' * int(seeds[pool] > 1)})" for pool in rows], rotation=0)
    ax.set(xlabel="the attack's backward pass", ylabel="training: forward/backward")
    return figure


def diagonal(found: pd.DataFrame) -> Figure:
    """`matrix.shares`: what stands through the network's own backward pass beside the worst case, with intervals."""
    rows = pools.ordered(found["pool"])
    figure = Figure(figsize=(6.5, 0.7 + 0.4 * len(rows)), layout="constrained")
    ax = figure.subplots()
    for attack, shift, label, fill in (
        (OWN, -0.13, "own backward pass", "full"),
        (WORST, 0.13, "worst of all", "none"),
    ):
        part = found[found["attack"] == attack].set_index("pool")
        for i, pool in enumerate(rows):
            one, style = part.loc[pool], pool_style(pool)
            ax.errorbar(100 * one["share"], i + shift, xerr=100 * one["half"], **style, fillstyle=fill, ms=5, lw=1.2,
                        label=label if i == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [pools.find(pool).label for pool in rows])
    ax.invert_yaxis()
    ax.set(xlabel="correctly classified images that stand at 4/255 (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def norms(networks: pd.DataFrame) -> Figure:
    """`size.by_network`: mean log2 least radius over density at the pool, and over log2 of margin by L1 norm."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for pool in pools.ordered(networks["pool"]):
        part, style = networks[networks["pool"] == pool], pool_style(pool) | {"ls": "", "ms": 6}
        left.plot(100 * part["l0 at pool"], part["least"], **style)
        right.plot(part["log margin"] - part["log l1"], part["least"], **style, label=pools.find(pool).label)
    left.set(xlabel="non-zero at the pool, own backward pass (%)", ylabel="least radius, mean\n(log2 of 1/255)")
    right.set(xlabel="margin / L1 norm of the gradient (log2)")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
