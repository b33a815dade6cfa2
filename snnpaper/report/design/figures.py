"""The figures of chapter 9; the style is that of `snnpaper.report.plots`."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from ...nets import pools
from ..plots import panels, pool_style
from ..standing import OWN, WORST


def diagonal(found: pd.DataFrame) -> Figure:
    """`standing.shares`: what stands through the network's own backward pass beside the worst case, with intervals."""
    rows = pools.ordered(found["training"])
    figure, (ax,) = panels(1, 1, (4.3, 1.1 + 0.55 * len(rows)))
    for attack, shift, label, filled in (
        (OWN, -0.13, "own backward pass", True),
        (WORST, 0.13, "worst of all", False),
    ):
        part = found[found["attack"] == attack].set_index("training")
        for i, pool in enumerate(rows):
            one, style = part.loc[pool], pool_style(pool)
            style["mfc"] = style["color"] if filled else "white"
            ax.errorbar(100 * one["share"], i + shift, xerr=100 * one["half"], **style, ms=5, lw=1.2,
                        label=label if i == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [textwrap.fill(pools.find(pool).label, 22) for pool in rows])
    ax.invert_yaxis()
    ax.set(xlabel="correctly classified images\nthat stand at 4/255 (%)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def norms(networks: pd.DataFrame) -> Figure:
    """`size.by_network`: mean log2 least radius over density at the pool, and over log2 of margin by L1 norm."""
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for pool in pools.ordered(networks["pool"]):
        part, style = networks[networks["pool"] == pool], pool_style(pool) | {"ls": "", "ms": 6}
        left.plot(100 * part["l0 at pool"], part["least"], **style)
        right.plot(part["log margin"] - part["log l1"], part["least"], **style, label=pools.find(pool).label)
    left.set(xlabel="non-zero at the pool,\nown backward pass (%)", ylabel="least radius, mean\n(log2 of 1/255)")
    right.set(xlabel="margin / L1 norm\nof the gradient (log2)")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
