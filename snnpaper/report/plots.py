"""One style, one function per figure: each takes data and returns a matplotlib Figure.

Figures are made without pyplot, so none stays open and a notebook shows each exactly once. The text
under a figure and its alternative text belong to the chapter. Here: the style and the figures of chapters
1 and 3; those of chapter 4 are in `trail`, those of chapter 5 in `comparison`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from seaborn.utils import relative_luminance
from torch import Tensor

from ..nets import pools

# seaborn's palette "colorblind", its pale colours darkened until they have a contrast of 3:1 on white.
COLOURS = ["#0173b2", "#cb8305", "#029e73", "#d55e00", "#cc78bc", "#bc875a", "#ba81a9", "#949494", "#9e9722", "#4a9bc8"]
# No date and no version inside the file: the same data give the same bytes.
SAVE = {"bbox_inches": "tight", "metadata": {"Date": None, "Creator": None}}
_METADATA = {"svg": SAVE["metadata"], "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


def use_style() -> None:
    """Set the book's style; inside a notebook also show figures as reproducible SVG."""
    sns.set_theme(
        style="ticks",
        palette=COLOURS,
        rc={
            "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8,
            "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.spines.top": False, "axes.spines.right": False,
            "legend.frameon": False, "figure.facecolor": "white",
            "svg.hashsalt": "snnpaper", "svg.fonttype": "path",  # letters as outlines: no font to be missing
        },
    )  # fmt: skip
    try:
        from IPython import get_ipython
        from matplotlib_inline.config import InlineBackend
    except ImportError:  # no notebook here
        return
    if shell := get_ipython():
        inline: Any = InlineBackend.instance(parent=shell)
        inline.shell, inline.print_figure_kwargs = shell, SAVE
        inline.figure_formats = {"svg"}
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, drawn)


def drawn(figure: Figure) -> str | None:
    """The figure's SVG on one line: a notebook stores every line on its own, at a third of the size of it all."""
    from IPython.core.pylabtools import print_figure

    svg = print_figure(figure, "svg", **SAVE)
    return svg and re.sub(r"\s*\n\s*", " ", svg)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write <name>.svg and <name>.pdf into `folder`; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.{suffix}" for suffix in _METADATA]
    for file, metadata in zip(files, _METADATA.values(), strict=True):
        figure.savefig(file, bbox_inches="tight", metadata=metadata)
    return files


def panels(rows: int, columns: int, size: tuple[float, float], **kwargs) -> tuple[Figure, list]:
    """A figure of `size` inches and its axes in reading order."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **kwargs).flat)


def pool_style(pool: str) -> dict[str, Any]:
    """Colour and marker of a pool in every figure, from the table of pools."""
    choice = pools.find(pool)
    return {"color": choice.colour, "marker": choice.mark}


def headline(ax, y: float, text: str) -> None:
    """Names what is drawn below it, inside the axes: beside them a long name would leave a phone no room for marks."""
    named = ax.text(0.01, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7.2)
    named.set_bbox({"fc": "white", "ec": "none", "pad": 0.5})  # no line runs through it
    named.set_in_layout(False)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def readable(ax) -> None:
    """The numbers in a heat map's cells in black or white, whichever has the larger contrast with its cell."""
    (cells,) = ax.collections
    for text, colour in zip(ax.texts, cells.get_facecolors(), strict=True):
        text.set_color("black" if relative_luminance(colour) > 0.18 else "white")  # where the two contrasts are equal


def beside(i: int, n: int, width: float = 0.26) -> float:
    """Where the i-th of n marks at one place stands, from its centre."""
    return width * (i - (n - 1) / 2) / max(1, n - 1)


def pixels(ax, values: Tensor, low: float, high: float, colours: str = "gray") -> None:
    """One image without ticks: `values` [H,W] between the colours of low and high."""
    ax.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


# ---- chapter 1 --------------------------------------------------------------------------------------


def neuron_trace(current: Tensor, charged: Tensor, kept: Tensor, spikes: Tensor) -> Figure:
    """Current, potential before and after the reset, and spikes of one neuron, each [T]."""
    figure, (top, middle, bottom) = panels(3, 1, (6, 3.6), sharex=True, height_ratios=[2, 3, 1])
    t = range(1, len(current) + 1)
    top.bar(t, current, 0.6, color=COLOURS[7])
    top.axhline(0, color="black", lw=0.6)
    middle.plot(t, charged, "o-", color=COLOURS[0], label="$h[t]$, charged")
    middle.plot(t, kept, "s", ms=4, color=COLOURS[1], label="$v[t]$, kept")
    middle.axhline(1, color="black", ls="--", lw=0.8, label="threshold")
    middle.legend(loc="upper left", bbox_to_anchor=(1, 1))
    bottom.eventplot([i for i, s in zip(t, spikes, strict=True) if s], color=COLOURS[3], lw=2)
    top.set_ylabel("current\n$I[t]$")
    middle.set_ylabel("membrane\npotential")
    bottom.set(ylabel="spikes\n$s[t]$", yticks=[], xlabel="time step $t$", xticks=list(t))
    return figure


def surrogates(u: Tensor, slopes: dict[str, Tensor]) -> Figure:
    """Surrogate derivatives over u = h - threshold, on a linear and on a logarithmic axis."""
    figure, axes = panels(1, 2, (7, 2.6))
    for ax, scale in zip(axes, ("linear", "log"), strict=True):
        for (name, slope), style in zip(slopes.items(), ("-", "--", "-.", ":"), strict=True):
            ax.plot(u, slope, style, label=name)
        ax.set(yscale=scale, xlabel="$u = h - V_{th}$", ylabel=f"surrogate derivative ({scale})")
    axes[0].set_xlim(-1.5, 1.5)
    axes[1].set_ylim(1e-5, 10)
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def reset_gradients(gradients: dict[str, Tensor], spikes: Tensor) -> Figure:
    """Gradient [T] of the spike count by the current at each step, one bar per way of treating the reset."""
    figure, (ax,) = panels(1, 1, (6, 2.4))
    for i, (name, gradient) in enumerate(gradients.items()):
        ax.bar([t + 0.8 + 0.4 * i for t in range(len(gradient))], gradient, 0.4, color=COLOURS[i], label=name)
    fired = [t + 1 for t, s in enumerate(spikes) if s]
    ax.plot(fired, [ax.get_ylim()[1]] * len(fired), "v", color=COLOURS[3], label="spike")
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xlabel="time step $t$", ylabel="gradient of the\nspike count by $I[t]$", xticks=range(1, len(spikes) + 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bit_planes(images: dict[str, tuple[Tensor, Tensor]]) -> Figure:
    """For each name an image [H,W] in 0..255 and, in the row below, its planes [T,H,W]."""
    T = len(next(iter(images.values()))[1])
    figure, axes = panels(len(images), T + 1, (7.5, 0.7 * len(images) + 0.25))
    for row, (name, (image, planes)) in enumerate(images.items()):
        first, *rest = axes[row * (T + 1) : (row + 1) * (T + 1)]
        pixels(first, image, 0, 255)
        first.set_ylabel(name)
        for t, (ax, plane) in enumerate(zip(rest, planes, strict=True), 1):
            pixels(ax, plane, 0, 1)
            if row == 0:
                ax.set_title(f"$t={t}$")
    return figure


def flips(counts: Tensor) -> Figure:
    """Number of planes that change from u to u + 1, for u = 0..254."""
    figure, (ax,) = panels(1, 1, (6.5, 2.2))
    ax.vlines(range(len(counts)), 0, counts, color=COLOURS[0], lw=1)
    for u in (int(counts.argmax()), *(u for u in (63, 191) if u < len(counts))):
        ax.annotate(f"{u}→{u + 1}", (u, counts[u]), (4, -2), textcoords="offset points", fontsize=8)
    ax.set(xlabel="grey level $q$", ylabel="planes that flip", xlim=(-3, 258), yticks=range(0, 9, 2))
    return figure


def changed_entries(eps: list[int], shares: dict[str, list[float]]) -> Figure:
    """Share of plane entries that change under ±eps/255 pixel noise; the first curve is a line."""
    figure, (ax,) = panels(1, 1, (5, 2.6))
    for (name, share), style in zip(shares.items(), ("-", "o", "s"), strict=False):
        ax.plot(eps, [100 * s for s in share], style, ms=4, label=name)
    ax.set(xlabel="step in 1/255", ylabel="changed entries (%)", ylim=(0, None), xticks=eps[1::2])
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def two_spaces(differences: dict[str, Tensor]) -> Figure:
    """What each adversary adds to the planes: [T,H,W] per name, all on one colour scale from -1 to 1."""
    T = len(next(iter(differences.values())))
    figure, axes = panels(len(differences), T, (7.5, 0.68 * len(differences) + 0.25))
    for row, (name, planes) in enumerate(differences.items()):
        for t, plane in enumerate(planes):
            pixels(ax := axes[row * T + t], plane, -1, 1, "RdBu")
            if row == 0:
                ax.set_title(f"$t={t + 1}$")
        axes[row * T].set_ylabel(name)
    figure.colorbar(axes[0].images[0], ax=axes, label="change", ticks=[-1, 0, 1])
    return figure


def codes(row: Tensor, trains: dict[str, Tensor]) -> Figure:
    """One row of pixels [W] and its spike trains [T,W] under each code."""
    figure, axes = panels(2, len(trains), (7.5, 2.2), sharex=True, height_ratios=[1, 10])
    for i, (name, train) in enumerate(trains.items()):
        pixels(axes[i], row[None], 0, 255)
        axes[i].set(title=name, aspect="auto")
        ax = axes[len(trains) + i]
        ax.imshow(train, cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set(xlabel="pixel", yticks=range(0, len(train), 3), yticklabels=range(1, len(train) + 1, 3))
    axes[len(trains)].set_ylabel("time step $t$")
    return figure


def winners(shares: dict[str, Tensor]) -> Figure:
    """Share [3,3] of a pool's gradient that reaches each position of its window, in percent."""
    figure, axes = panels(1, len(shares), (2.3 * len(shares), 2.2))
    for ax, (name, share) in zip(axes, shares.items(), strict=True):
        sns.heatmap(100 * share, ax=ax, annot=True, fmt=".0f", vmin=0, vmax=100, cmap="Blues", cbar=False, square=True)
        ax.set(title=name, xticks=[], yticks=[])
    return figure


# ---- chapter 3 --------------------------------------------------------------------------------------


def learning_curves(curves: list[dict]) -> Figure:
    """Loss and accuracy (per cent) per epoch; rows as `train.train` makes them."""
    figure, (loss, accuracy) = panels(1, 2, (6.5, 2.4))
    epochs = [row["epoch"] for row in curves]
    loss.plot(epochs, [row["loss"] for row in curves], "o-", color=COLOURS[3])
    for name, colour, marker in (("train", COLOURS[7], "s--"), ("validation", COLOURS[0], "o-")):
        accuracy.plot(epochs, [100 * row[f"{name}_accuracy"] for row in curves], marker, color=colour, label=name)
    loss.set(xlabel="epoch", ylabel="cross-entropy")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
    accuracy.legend(loc="lower right")
    for ax in (loss, accuracy):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def gradient_trail(rows: dict[str, list[dict]]) -> Figure:
    """Non-zero share and norm of d p_y / d activation, from the logits (left) to the input (right).

    `rows` maps a curve's label to `sparsity.activation_gradients` rows of networks with equal layers. Shown
    are the outputs of the residual blocks and every layer of the stem.
    """
    figure, (share, norm) = panels(2, 1, (6.5, 4.2), sharex=True)
    for (label, layers), colour, marker in zip(rows.items(), COLOURS, "os^D", strict=False):
        layers = [r for r in layers[1:][::-1] + layers[:1] if "." not in r["layer"] or r["kind"] == "Block"]
        place = range(len(layers))
        share.plot(place, [100 * r["0_mean"] for r in layers], marker + "-", ms=3, lw=1, color=colour, label=label)
        norm.semilogy(place, [r["norm_mean"] for r in layers], marker + "-", ms=3, lw=1, color=colour)
    share.set(ylabel="non-zero (%)", ylim=(-4, 104))
    share.legend(loc="lower left")
    norm.set(ylabel="L2 norm", xlabel="gradient at the output of, in the order of the backward pass")
    norm.set_xticks(place, [r["layer"] for r in layers], rotation=45, ha="right")
    return figure
