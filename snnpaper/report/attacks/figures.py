"""The figures of chapter 6; the style is that of `snnpaper.report.plots`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ...nets import pools
from ..plots import COLOURS, pool_style


def radius_curves(frame: pd.DataFrame, threats: list[str], labels: list[str]) -> Figure:
    """Accuracy (per cent) over the radius, one panel a threat; a thin line a network, a thick one the pool's mean.

    `frame` is `tables.curves`; the dotted line is chance. The axis is linear up to the first radius, then
    logarithmic, so that 0 (clean) can be shown.
    """
    figure = Figure(figsize=(7.5, 2.5), layout="constrained")
    axes = figure.subplots(1, len(threats), sharey=True, squeeze=False)[0]
    for ax, threat, label in zip(axes, threats, labels, strict=True):
        part = frame[frame["threat"] == threat]
        for pool in pools.ordered(frame["pool"]):
            mine = part[part["pool"] == pool]
            for _, one in mine.groupby("run"):
                ax.plot(one["radius"], 100 * one["accuracy"], color=pool_style(pool)["color"], lw=0.6, alpha=0.5)
            mean = 100 * mine.groupby("radius")["accuracy"].mean()
            ax.plot(mean.index, mean, **pool_style(pool), ms=3, label=pools.find(pool).label)
        ax.axhline(100 * frame["chance"].iloc[0], color="black", ls=":", lw=0.8)
        first = part.loc[part["radius"] > 0, "radius"].min()
        ax.set_xscale("symlog", linthresh=first, base=2)
        last = 2 * max(1, part.loc[part["accuracy"] > 0, "radius"].max())
        ticks = [0, *(t for t in ((0.1, 1, 4, 16) if last < 100 else (1, 8, 64)) if first <= t <= last)]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set_xlim(-first / 2, 1.15 * last)  # the last mark whole
        ax.minorticks_off()
        ax.set(xlabel=label, title=threat.replace(", ", "\n"), ylim=(-2, None))
    axes[0].set_ylabel("accuracy (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def forest(found: dict[str, pd.DataFrame]) -> Figure:
    """Coefficients of `mechanism.regress` with their intervals, one panel an outcome: alone, and with all others."""
    figure = Figure(figsize=(7.5, 2.2), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for ax, (name, rows) in zip(axes, found.items(), strict=True):
        for shift, prefix, column, colour, marker in (
            (0.12, "alone ", "alone", COLOURS[7], "s"),
            (-0.12, "", "together", COLOURS[0], "o"),
        ):
            place = [len(rows) - i + shift for i in range(len(rows))]
            ax.hlines(place, rows[f"{prefix}low"], rows[f"{prefix}high"], color=colour, lw=1.2)
            ax.plot(rows[column], place, marker, ms=4, color=colour, label=column)
        ax.axvline(0, color="black", lw=0.6)
        ax.set_yticks([len(rows) - i for i in range(len(rows))], rows["predictor"])
        ax.set(title=name, xlabel="octaves per SD")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
