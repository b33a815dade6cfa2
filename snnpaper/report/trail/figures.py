"""The figures of chapter 4: where gradients become zero on their way back."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch

from ...nets import data, pools
from ...sparsity import THRESHOLDS
from ..plots import COLOURS, beside, panels, pixels, pool_style
from ..tables import published

LABELS = {"input": "input", "conv1": "conv1 out", "bn1": "bn1 out", "sn1": "pool in", "maxpool": "pool out"}


def _label(place: str) -> str:
    return LABELS.get(place, place)


def backward_pass(rows: dict[str, pd.DataFrame], places: list[str]) -> Figure:
    """Density, norm and effective share from the logits (left) to the input (right), eval and train mode.

    `rows` maps a measure ("0", "norm", "share") to a frame with pool, state, mode, place, mean, half. Full
    lines are trained networks, dashed ones untrained; bars are 95 % intervals over seeds.
    """
    names = {"0": "non-zero (%)", "norm": "L2 norm", "share": "effective share (%)"}
    figure, axes = panels(len(rows), 2, (8.5, 6.2), sharex=True, sharey="row")
    for i, (measure, found) in enumerate(rows.items()):
        factor = 1 if measure == "norm" else 100
        for j, mode in enumerate(("eval", "train")):
            ax = axes[2 * i + j]
            for (pool, state), part in found[found["mode"] == mode].groupby(["pool", "state"], sort=False):
                part = part.set_index("place").reindex(places)
                style, line = pool_style(pool), "-" if state == "trained" else "--"
                ax.errorbar(range(len(places)), factor * part["mean"], yerr=factor * part["half"].fillna(0),
                            **style, ls=line, ms=4, lw=1, capsize=2, label=f"{pool}, {state}",
                            mfc=style["color"] if state == "trained" else "white")  # fmt: skip
            if i == 0:
                ax.set_title(f"{mode} mode")
            if j == 0:
                ax.set_ylabel(names[measure])
            if measure == "norm":
                ax.set_yscale("log")
            else:
                ax.set_ylim(0, 105 if measure == "0" else None)
    for ax in axes[-2:]:
        ax.set_xticks(range(len(places)), [_label(p) for p in places], rotation=45, ha="right")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def every_layer(found: pd.DataFrame) -> Figure:
    """Density at the output of every probed layer of trained networks; frame: pool, mode, layer, mean, half."""
    figure, axes = panels(2, 1, (8.5, 4.4), sharex=True, sharey=True)
    for ax, mode in zip(axes, ("eval", "train"), strict=True):
        for pool, part in found[found["mode"] == mode].groupby("pool", sort=False):
            x = range(len(part))
            ax.errorbar(x, 100 * part["mean"], yerr=100 * part["half"].fillna(0), **pool_style(pool), ms=3, lw=0.8,
                        capsize=1, label=pools.find(pool).label)  # fmt: skip
        ax.set(ylabel=f"non-zero (%), {mode}", ylim=(0, 105))
    layers = list(part["layer"])
    starts = [i for i, name in enumerate(layers) if name in ("layer4.1", "layer3.1", "layer2.1", "layer1.1")]
    shown = [*starts, layers.index("sn1"), layers.index("input")]  # every one of the last five has no room
    axes[1].set_xticks(shown, [_label(layers[i]) for i in shown], rotation=90, fontsize=9)
    axes[1].set_xlabel("gradient at the output of (backward pass runs to the right)")
    axes[0].legend(loc="lower left")
    return figure


def thresholds(found: pd.DataFrame, places: list[str]) -> Figure:
    """Density against the threshold, a panel a place; frame: pool, mode, place, threshold, mean, half."""
    figure, axes = panels(1, len(places), (8.5, 2.4), sharey=True)
    for ax, place in zip(axes, places, strict=True):
        for (pool, mode), part in found[found["place"] == place].groupby(["pool", "mode"], sort=False):
            ax.errorbar(range(len(part)), 100 * part["mean"], yerr=100 * part["half"].fillna(0), capsize=2, ms=4, lw=1,
                        **pool_style(pool), ls="-" if mode == "eval" else ":",
                        label=f"{pool}, {mode}")  # fmt: skip
        ax.set(title=_label(place), ylim=(0, 105))
        ax.set_xticks(range(len(THRESHOLDS)), THRESHOLDS, rotation=45, ha="right")
    axes[0].set_ylabel("above threshold (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def heatmaps(images: np.ndarray, gradients: dict[str, np.ndarray], names: list[str]) -> Figure:
    """Images [N,H,W,3] in the first column, then one column of |gradient| maps [N,H,W] per network.

    Each map is scaled to its own largest value, so columns compare where the gradient is, not how large.
    """
    figure, axes = panels(len(images), 1 + len(gradients), (1.05 * (1 + len(gradients)), 1.1 * len(images) + 0.3))
    for i, image in enumerate(images):
        row = axes[i * (1 + len(gradients)) : (i + 1) * (1 + len(gradients))]
        row[0].imshow(image, interpolation="nearest")
        row[0].set(xticks=[], yticks=[])
        row[0].set_ylabel(names[i])
        sns.despine(ax=row[0], left=True, bottom=True)
        for ax, (name, maps) in zip(row[1:], gradients.items(), strict=True):
            values = maps[i].astype(float)
            pixels(ax, values, 0, values.max() or 1, "viridis")
            if i == 0:
                ax.set_title(name, fontsize=8)
    return figure


def trail(maps: dict[str, dict[str, np.ndarray]], places: list[str], image: int = 0) -> Figure:
    """The gradient's way back through the first residual block and the stem, as measured on one image.

    `maps` gives per row (a network) the arrays of `measure.maps`; each box is the share of non-zero entries per
    position, over T and channels, from 0 (dark) to 1 (bright), with its mean below.
    """
    figure, axes = panels(len(maps), len(places), (9, 1.25 * len(maps) + 0.7))
    for i, (name, found) in enumerate(maps.items()):
        row = axes[i * len(places) : (i + 1) * len(places)]
        for j, (ax, place) in enumerate(zip(row, places, strict=True)):
            share = found[f"{place} share"][image].astype(float)
            pixels(ax, share, 0, 1, "cividis")
            short = {"layer1.0": "block out"}.get(place, LABELS.get(place, place.removeprefix("layer1.0.")))
            ax.set_xlabel(f"{short}\n{100 * share.mean():.0f} %", fontsize=9)
            if j:
                _arrow(figure, row[j - 1], ax)
        row[0].set_ylabel(name)
        if "layer1.0" in places and "maxpool" in places:
            _arrow(figure, row[places.index("layer1.0")], row[places.index("maxpool")], over=True)
    bar = figure.colorbar(axes[0].images[0], ax=axes, label="non-zero share", shrink=0.8, pad=0.01)
    bar.outline.set_visible(False)
    return figure


def _arrow(figure: Figure, start, end, over: bool = False) -> None:
    """An arrow between two panels; `over`: the skip, an arc above the row."""
    a, b = ((0.5, 1.0), (0.5, 1.0)) if over else ((1.0, 0.5), (0.0, 0.5))
    bend: dict[str, Any] = {"connectionstyle": "arc3,rad=-0.12", "ls": "--"} if over else {}
    style = bend | {"arrowstyle": "-|>", "mutation_scale": 7, "lw": 0.8, "shrinkA": 1, "shrinkB": 1, "color": "black"}
    figure.add_artist(ConnectionPatch(a, b, "axes fraction", "axes fraction", axesA=start, axesB=end, **style))


def ablation(rows: pd.DataFrame, places: list[str]) -> Figure:
    """Density per setting, a panel a place; filled: trained, hollow: untrained; bars: 95 % over seeds."""
    settings, names = list(dict.fromkeys(rows["setting"])), pools.ordered(rows["pool"])
    figure, axes = panels(1, len(places), (8.5, 0.42 * len(settings) + 1.1), sharey=True)
    for ax, place in zip(axes, places, strict=True):
        for _, row in rows[rows["seeds"] > 0].iterrows():
            style = pool_style(row["pool"])
            y = settings.index(row["setting"]) + beside(names.index(row["pool"]), len(names), 0.24)
            y += 0.06 if row["state"] == "trained" else -0.06
            half = row[f"{place}_half"]
            ax.errorbar(100 * row[f"{place}_mean"], y, xerr=None if math.isnan(half) else 100 * half, ls="", ms=5,
                        **style, mfc=style["color"] if row["state"] == "trained" else "white", capsize=2)  # fmt: skip
        ax.set(title=_label(place), xlim=(-3, 105), xlabel="non-zero (%)")
        ax.grid(axis="y", lw=0.3)
    axes[0].set_yticks(range(len(settings)), settings)
    axes[0].invert_yaxis()
    keys = [(pool, state) for pool in names for state in ("trained", "untrained")]
    handles = [Line2D([], [], ls="", **pool_style(p), mfc=pool_style(p)["color"] if s == "trained" else "white")
               for p, s in keys]  # fmt: skip
    axes[-1].legend(handles, [f"{p}, {s}" for p, s in keys], loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def ties(kinds: dict[str, dict[str, float]], rules: dict[str, dict[str, float]]) -> Figure:
    """Left: shares of windows by kind, a bar a network; right: density at the pool's input under each rule."""
    figure, (left, right) = panels(1, 2, (8.5, 0.45 * len(kinds) + 1.4), sharey=True)
    start = np.zeros(len(kinds))
    for colour, kind in zip((COLOURS[7], COLOURS[2], COLOURS[4]), next(iter(kinds.values())), strict=True):
        share = np.array([100 * k[kind] for k in kinds.values()])
        left.barh(range(len(kinds)), share, left=start, color=colour, label=kind, height=0.6)
        start += share
    left.set(xlabel="windows (%)", xlim=(0, 100))
    left.set_yticks(range(len(kinds)), list(kinds))
    left.invert_yaxis()
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    markers = zip(next(iter(rules.values())), "osD", (COLOURS[0], COLOURS[3], COLOURS[8]), strict=True)
    for rule, marker, colour in markers:
        right.plot([100 * r[rule] for r in rules.values()], range(len(rules)), marker, color=colour, label=rule)
    right.axvline(25, color="black", lw=0.8, ls=":")
    right.set(xlabel="non-zero at the pool's input (%)", xlim=(0, 100))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1)
    return figure


def chain(rows: pd.DataFrame) -> Figure:
    """Density of the input gradient against that of the weight gradient, live weights only; a panel a data set.

    A mark a network: filled for the published kind (at any scale), hollow where anything else was changed.
    """
    sets = list(dict.fromkeys(rows["dataset"]))
    figure, axes = panels(1, len(sets), (1.4 + 3 * len(sets), 3.2), sharex=True, sharey=True)
    for ax, name in zip(axes, sets, strict=True):
        here = rows[rows["dataset"] == name]
        kept = here.index.isin(published(here).index)
        for pool, filled in itertools.product(pools.ordered(rows["pool"]), (True, False)):
            style = pool_style(pool)
            part, kind = here[(here["pool"] == pool) & (kept == filled)], "published" if filled else "changed"
            ax.plot(100 * part["input"], 100 * part["weights"], **style, ls="", ms=6,
                    mfc=style["color"] if filled else "white", label=f"{pool}, {kind}")  # fmt: skip
        ax.set(title=data.TABLE[name].label, xlabel="non-zero in the input gradient (%)")
    axes[0].set_ylabel("non-zero in the gradient\nof live weights (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def readings(values: pd.Series, target: float) -> Figure:
    """How often each value comes up among all readings of one printed number, and where the number lies."""
    figure, (ax,) = panels(1, 1, (6.5, 2.4))
    ax.hist(values, bins=np.arange(-100, 101, 2), color=COLOURS[7])
    ax.axvline(target, color=COLOURS[3], lw=1.2, label=f"printed: {target:g}")
    ax.set(yscale="log", xlabel="value of a reading (per cent or points)", ylabel="readings")
    ax.legend(loc="upper left")
    return figure
