"""The figures of chapter 7; the style is that of `snnpaper.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from ...nets import pools
from ...nets.neurons import SURROGATES
from ..plots import COLOURS, panels, pool_style

PANELS = {
    "clean": ("clean accuracy (%)", 100),
    "robust": ("stand, worst case (%)", 100),
    "density": ("non-zero at the pool (%)", 100),
    "size": ("L1 norm (log2)", 1),
}


def surrogates(alphas: Sequence[float], surrogate: str = "atan") -> Figure:
    """A surrogate derivative over u = h - V_th, at each sharpness."""
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    ax, u = figure.subplots(), torch.linspace(-1.5, 1.5, 301)
    for i, alpha in enumerate(alphas):
        ax.plot(u, SURROGATES[surrogate](u, alpha), color=COLOURS[i % len(COLOURS)], label=f"α = {alpha:g}")
    ax.set(xlabel="membrane potential minus threshold", ylabel="surrogate derivative")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def follows(networks: pd.DataFrame) -> Figure:
    """`matrix.networks` of the arctangent: PANELS over sharpness, a mark a network, lines through the means."""
    figure, axes = panels(2, 2, (7.5, 4.2), sharex=True)
    part = networks[networks["surrogate"] == "atan"]
    for ax, (name, (label, scale)) in zip(axes, PANELS.items(), strict=True):
        for pool in pools.ordered(part["pool"]):
            mine, style = part[part["pool"] == pool], pool_style(pool)
            ax.plot(mine["alpha"], scale * mine[name], **style | {"ls": "", "ms": 4})
            mean = mine.groupby("alpha")[name].mean()
            ax.plot(mean.index, scale * mean, color=style["color"], lw=1, label=pools.find(pool).label)
        ax.set_xscale("log", base=2)
        ax.set(ylabel=label, xticks=sorted(part["alpha"].unique()))
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_locator(NullLocator())
    for ax in axes[2:]:
        ax.set_xlabel("sharpness α in training")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
