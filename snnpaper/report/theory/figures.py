"""The figures of chapter 2: each takes data or "theory" records and returns a matplotlib Figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from ...config import Run
from ...measure.stem import PLACES
from ...nets import pools
from ...theory.bounds import level_44
from ..plots import COLOURS, pool_style

STEPS_BACK = PLACES[::-1]


def _panels(columns: int, size: tuple[float, float], rows: int = 1, **kwargs) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def _style(record: dict, fresh: set) -> dict:
    """Colour, marker and (once per pool) label of a record."""
    pool = Run.from_dict(record["config"]).pooling
    label = None if pool in fresh else pools.find(pool).label
    fresh.add(pool)
    return pool_style(pool) | {"label": label}


def ratio_cloud(l0: list[int], drawn: list[float], exact: list[float]) -> Figure:
    """Ratio of the two rhos against the number of non-zero entries: closed form, sampled, and both bounds."""
    figure, ((ax,),) = _panels(1, (5.2, 3.0))
    line = np.array([1, max(l0)])
    ax.plot(line, 3 * line, color="black", lw=1, label=r"$3\,\|\nabla\|_0$")
    ax.plot(line, 3 + 0 * line, color="black", lw=1, ls="--", label="3")
    ax.plot(l0, exact, "o", ms=7, mfc="none", color=COLOURS[0], label="closed form")
    ax.plot(l0, drawn, ".", ms=5, color=COLOURS[3], label="sampled")
    ax.set(xscale="log", yscale="log", xlabel=r"non-zero entries $\|\nabla\|_0$", ylabel=r"$\rho_{adv}/\rho_{rand}$")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def rhos(records: list[dict], spaces: dict[str, str]) -> Figure:
    """Medians over images against eps, one column per space: the ratio, rho_adv and rho_rand.

    `spaces` maps a key of the record to a title. Full lines are measured, dotted ones linearised.
    """
    figure, axes = _panels(len(spaces), (9, 6.5), 3, sharex=True, sharey="row")
    for column, (space, title) in enumerate(spaces.items()):
        fresh: set[str] = set()
        for record in records:
            r, style = record["results"], _style(record, fresh)
            axes[0, column].plot([], [], **style)  # the legend's entry, also where no image moved
            style["label"] = None
            for ax, name in zip(axes[:, column], ("ratio", "adv", "rand"), strict=True):
                _median(ax, r["eps"], r[space][name], band=True, ms=4, **style)
                _median(ax, r["eps"], r[space][f"{name} linear"], color=style["color"], ls=":")
        top = axes[0, column]
        for bound in (3, 3 * max(records[0]["results"][space]["l0"])):
            top.axhline(bound, color="black", lw=0.8)
        top.set(title=title, xscale="log", yscale="log")
        axes[2, column].set_xlabel(r"$\epsilon$")
    for row, label in zip(axes, (r"$\rho_{adv}/\rho_{rand}$", r"$\rho_{adv}$", r"$\rho_{rand}$"), strict=True):
        row[0].set_ylabel(label)
    for ax in axes[1:].flat:
        ax.set(yscale="log", ylim=(1e-12, 3e3))
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _median(ax: Axes, eps: list[float], rows: list, band: bool = False, **style) -> None:
    """Middle quantile of each row where there is one and it is positive; with `band`, the outer two shaded."""
    kept = [(e, q) for e, q in zip(eps, rows, strict=True) if q is not None and q[1] > 0]
    if not kept:
        return
    x, q = np.array([e for e, _ in kept]), np.array([q for _, q in kept])
    ax.plot(x, q[:, 1], lw=1.2, **style)
    if band:
        ax.fill_between(x, q[:, 0], q[:, 2], color=style["color"], alpha=0.12, lw=0)


def stem_density(records: list[dict]) -> Figure:
    """Non-zero share of the gradient along the stem, backwards: measured (marker) and predicted (bar)."""
    figure, ((ax,),) = _panels(1, (6.5, 2.8))
    fresh: set[str] = set()
    for i, record in enumerate(records):
        stem, style = record["results"]["stem"], _style(record, fresh)
        for x, place in enumerate(STEPS_BACK):
            at = x + 0.5 * (i + 0.5) / len(records) - 0.25
            ax.plot(at, 100 * stem[f"density, {place}"][1], ls="", ms=5, **style)
            style["label"] = None
            if (bound := stem.get(f"predicted, {place}")) is not None:
                ax.plot(at, 100 * bound[1], "_", ms=11, mew=1.5, color="black")
    ax.axhline(25, color="black", lw=0.8, ls=":")
    ax.set(xticks=range(len(STEPS_BACK)), xticklabels=STEPS_BACK, ylabel="non-zero (%)", ylim=(0, 105))
    ax.set_xlabel("gradient at (backward pass runs to the right)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def shared_norms(records: list[dict]) -> Figure:
    """Left: norms from the shared delta against autograd's. Right: input norm against kernel norm, per image."""
    figure, ((left, right),) = _panels(2, (8, 3.2))
    fresh: set[str] = set()
    for record in records:
        stem, style = record["results"]["stem"], _style(record, fresh)
        left.plot(stem["norm, input from delta"], stem["norm, input"], ls="", ms=3, **style)
        style["label"] = None
        right.plot(stem["norm, input"], stem["norm, kernel from delta"], ls="", ms=3, **style)
    span = left.get_xlim()
    left.plot(span, span, color="black", lw=0.8)
    left.set(xlabel=r"$\|W_1^\top\delta^1\|_2$, predicted", ylabel=r"$\|\nabla_s\|_2$ by autograd")
    right.set(xlabel=r"$\|\nabla_s\|_2$", ylabel=r"$\|\nabla_{W_1}\|_2$")
    for ax in (left, right):
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_formatter(NullFormatter())
    left.legend(loc="upper left")
    return figure


def vacuity(row_densities: dict[str, float], records: list[dict]) -> Figure:
    """Where Theorem 4.4 says something (below a line), and, from records, where networks and rows stand."""
    figure, ((map_, rows),) = _panels(2, (8.5, 3.4))
    x = np.geomspace(0.05, 20, 100)
    for (name, density), dashes in zip(row_densities.items(), ("-", "--", ":"), strict=True):
        line = [1 / level_44(T=1, spike_rate=1, row_density=density, gradient_density=1) / v for v in x]
        map_.plot(x, line, dashes, color="black", lw=1, label=name)
    fresh: set[str] = set()
    rows.plot(np.geomspace(0.1, 1), np.geomspace(0.1, 1), color="black", lw=0.8)
    rows.axvline(1, color="black", lw=0.8, ls="--")
    for record in records:
        stem, style = record["results"]["stem"], _style(record, fresh)
        expected = record["config"]["T"] * stem["spike rate, busiest step"][1]
        map_.plot(expected, stem["density, input"][1], ls="", ms=6, mfc="none", **style)
        low, mean, high = stem["row right"]
        rows.errorbar(mean, stem["row left"][1], xerr=[[mean - low], [high - mean]], ms=5, capsize=2,
                      color=style["color"], marker=style["marker"])  # fmt: skip
    map_.set(xscale="log", yscale="log", ylim=(1e-3, 1.5), xlabel=r"spikes per input over all steps, $T k_S/d$",
             ylabel=r"gradient density $\|\nabla_s\|_0/d$")  # fmt: skip
    rows.set(xscale="log", xlim=(0.1, 20), ylim=(0, 1.05), xlabel="right side (a row's own inputs)",
             ylabel="left side: row density")  # fmt: skip
    map_.legend(loc="lower left", fontsize=7)
    return figure
