"""The figures of chapter 8; the style is that of `snnpaper.report.plots`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from ...nets import pools
from ...nets.events import Events, frames
from ..plots import COLOURS, beside, headline, panels, pixels, pool_style
from ..tables import FIVE_SEEDS

OFF, ON = "#2166ac", "#b2182b"  # the ends of the map of differences, RdBu_r
# How many neurons of a pool's window fire: none, one (which takes the whole gradient), or several (a tie).
FIRING = ListedColormap(["white", COLOURS[2], COLOURS[1]])


def unrolled(recordings: dict[str, tuple[Events, int]]) -> Figure:
    """Each recording, of a sensor so wide, as it unrolls: columns over time, a dot an event.

    On the left what the sensor reports in the second tenth of the time, rises minus falls.
    """
    figure = Figure(figsize=(7.2, 1.9 * len(recordings)), layout="constrained")
    axes = figure.subplots(len(recordings), 2, squeeze=False, width_ratios=[1, 3.2])
    for (sensor, course), (name, (e, side)) in zip(axes, recordings.items(), strict=True):
        falls, rises = (frames(e, 10, side, side)[1, p].astype(float) for p in (0, 1))
        pixels(sensor, rises - falls, -(most := max(falls.max(), rises.max())), most, "RdBu_r")
        sensor.set(ylabel=name)
        for polarity, colour, label in ((0, OFF, "darker"), (1, ON, "brighter")):
            of = e.p == polarity
            course.scatter(e.t[of] / 1000, e.x[of], color=colour, s=0.4, linewidths=0, alpha=0.6, rasterized=True,
                           label=label)  # fmt: skip
        course.set(ylabel="column")
    axes[-1][1].set_xlabel("time (ms)")
    axes[0][1].legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=12)
    return figure


def framed(counts: Tensor, firing: Tensor) -> Figure:
    """Frames [T,2,H,W], rises minus falls, and below how many neurons of each window of the pool fire, [T,h,w]."""
    T = len(counts)
    figure, axes = panels(2, T, (7.5, 1.75))
    most = float(counts.max())
    for t in range(T):
        pixels(axes[t], (counts[t, 1].float() - counts[t, 0].float()), -most, most, "RdBu_r")
        axes[t].set_title(f"$t={t + 1}$")
        shown = axes[T + t].imshow(firing[t], cmap=FIRING, norm=BoundaryNorm([0, 1, 2, 10], 3), interpolation="nearest")
        axes[T + t].set(xticks=[], yticks=[])
        axes[T + t].spines[:].set(visible=True, color="lightgrey")
    axes[0].set_ylabel("frame")
    axes[T].set_ylabel("windows")
    bar = figure.colorbar(shown, ax=axes[T:], ticks=[0.5, 1.5, 6], pad=0.01, aspect=6)
    bar.ax.set_yticklabels(["silent", "one", "tie"])
    return figure


def moved(before: Tensor, after: Tensor) -> Figure:
    """What an attack on the events did: counts over time [H,W] before and after it, and the difference."""
    figure, axes = panels(1, 3, (5.2, 1.9))
    most = float(max(before.max(), after.max()))
    for ax, values, name in zip(axes, (before, after), ("recorded", "attacked"), strict=False):
        pixels(ax, values, 0, most, "gray_r")
        ax.set_title(name)
    size = float((after - before).abs().max())
    pixels(axes[2], after - before, -size, size, "RdBu_r")
    axes[2].set_title("added (red), removed (blue)")
    return figure


def differences(found: pd.DataFrame) -> Figure:
    """`tables.compared`: max − avg in points with its 95 % interval, a row each; hollow below five seeds."""
    figure, (ax,) = panels(1, 1, (4.3, 0.7 + 0.38 * len(found)))
    for y, (_, row) in enumerate(found.iterrows()):
        headline(ax, y - 0.3, f"{row['data']}: {row['what']}")
        ax.errorbar(100 * row["difference"], y + 0.1, xerr=100 * row["half"], color=COLOURS[0], fmt="o", ms=4,
                    mfc=COLOURS[0] if row["seeds"] >= FIVE_SEEDS else "white")  # fmt: skip
    ax.axvline(0, color="black", lw=0.6, zorder=0)
    ax.set(xlabel="max − avg (points)", ylim=(len(found) - 0.5, -0.6))
    return figure


def densities(found: pd.DataFrame) -> Figure:
    """`tables.gradients`: non-zero share of the gradient at each place, a mark a data set and pool."""
    places, data = list(dict.fromkeys(found["place"])), list(dict.fromkeys(found["data"]))
    figure, axes = panels(1, len(places), (7, 2.2), sharey=True)
    for ax, where in zip(axes, places, strict=True):
        names = pools.ordered(found["pool"])
        for i, pool in enumerate(names):
            part = found[(found["place"] == where) & (found["pool"] == pool)].set_index("data").reindex(data)
            ax.errorbar(np.arange(len(data)) + beside(i, len(names)), 100 * part["density"], 100 * part["half"],
                        **pool_style(pool), ls="", ms=5, label=pools.find(pool).label)  # fmt: skip
        ax.set_xticks(range(len(data)), [d.replace(", ", ",\n") for d in data])
        ax.set(title=f"gradient {where}", ylim=(-4, 104), xlim=(-0.5, len(data) - 0.5))
    axes[0].set_ylabel("non-zero (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
