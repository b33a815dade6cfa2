"""The figures of chapters 3 and 5: differences between pools, generalisation, depth, and published defences."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ...attacks.standard import EVAL, TRAIN
from ...nets import data, pools
from ...stats import FEW
from ..plots import COLOURS, headline, panels, pool_style
from ..tables import COMMON, PAIR, Pair
from ..words import network_text

# One panel each: a threat model never shares an axis with another.
SPACES = {
    ("spike", TRAIN): f"spike space, {TRAIN}",
    ("spike", EVAL): f"spike space, {EVAL}",
    ("pixel", EVAL): f"pixel space, {EVAL}",
}


def differences(found: pd.DataFrame) -> Figure:
    """max − avg in points with its 95 % interval, a row a cell under its name, a panel a threat model.

    `found` is `tables.contrast`. Grey: clean; filled: interval over seeds and images; hollow: fewer than FEW
    seeds, over images alone.
    """
    clean = found[found["space"] == "clean"]
    parts = {title: pd.concat([clean, _of(found, key)]) for key, title in SPACES.items()}
    counts = [part.groupby(COMMON, sort=False).ngroups for part in parts.values()]
    figure, axes = panels(len(SPACES), 1, (4.3, 0.46 * sum(counts) + 1.8), sharex=True, height_ratios=counts)
    for ax, (title, part) in zip(axes, parts.items(), strict=True):
        rows = part.sort_values(["dataset", "label", "width"], kind="stable").groupby(COMMON, sort=False)
        for y, (_, here) in enumerate(rows):
            first = here.iloc[0]
            headline(ax, y - 0.3, f"{data.TABLE[first['dataset']].label}, {network_text(first)}")
            for shift, (_, d) in zip((0.05, 0.3), here.iterrows(), strict=False):
                colour = COLOURS[7] if d["space"] == "clean" else COLOURS[0]
                ax.errorbar(100 * d["difference"], y + shift, xerr=100 * d["half"], fmt="o", ms=4, color=colour,
                            capsize=2, mfc=colour if d["seeds"] >= FEW else "white")  # fmt: skip
        ax.axvline(0, color="black", lw=0.8, zorder=0)
        ax.set_title(title, loc="left")
        ax.set_ylim(len(rows) - 0.5, -0.6)
    axes[-1].set_xlabel("accuracy with max minus with average pooling (points)")
    return figure


def _of(found: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
    return found[(found["space"] == key[0]) & (found["protocol"] == key[1])]


def generalisation(learned: pd.DataFrame) -> Figure:
    """Test accuracy against the gap train − test, a mark a network, colours the pools, sizes the widths."""
    figure, (ax,) = panels(1, 1, (5.2, 3.0))
    for pool, part in learned.groupby("pool", sort=False):
        sizes = 20 * part["width"] / 16
        ax.scatter(100 * (part["train"] - part["test"]), 100 * part["test"], sizes, **pool_style(pool),
                   alpha=0.8, label=pools.find(pool).label)  # fmt: skip
    ax.axvline(0, color="black", lw=0.8)
    ax.set(xlabel="gap between train and test accuracy (points)", ylabel="test accuracy (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def depth(acc: pd.DataFrame) -> Figure:
    """Accuracy against depth, a panel a measurement; frame: depth, pool, what, accuracy, low, high (fractions)."""
    whats = list(dict.fromkeys(acc["what"]))
    figure, axes = panels(1, len(whats), (2.6 * len(whats) + 0.8, 2.5))
    for ax, what in zip(axes, whats, strict=True):
        for pool, part in acc[acc["what"] == what].groupby("pool", sort=False):
            part = part.sort_values("depth")
            error = [100 * (part["accuracy"] - part["low"]), 100 * (part["high"] - part["accuracy"])]
            ax.errorbar(part["depth"], 100 * part["accuracy"], yerr=error, **pool_style(pool), ms=5, lw=1, capsize=2,
                        label=pools.find(pool).label)  # fmt: skip
        ax.set(title=what.replace(", ", ",\n", 1), xlabel="layers", xticks=[18, 34, 50], ylim=(0, None))
    axes[0].set_ylabel("accuracy (%)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def defences(reported: pd.DataFrame, ours: pd.DataFrame) -> Figure:
    """Clean against PGD accuracy (per cent), pixel space: reported (hollow) and measured here (filled).

    `reported` is `beside.defences`; `ours` has dataset, pool, clean, pgd, a row a network.
    """
    datasets = [d for d in data.TABLE if d in set(reported["dataset"]) | set(ours["dataset"])]
    figure, axes = panels(1, len(datasets), (3.4 * len(datasets) + 1.4, 2.9), sharey=True)
    for ax, dataset in zip(axes, datasets, strict=True):
        part = reported[reported["dataset"] == dataset]
        for trained, marker, name in ((True, "s", "adversarially trained"), (False, "D", "not adversarially trained")):
            some = part[part["adversarial"] == trained]
            ax.plot(some["clean"], some["pgd"], marker, color=COLOURS[7], mfc="white", ms=5, label=f"reported, {name}")
        for pool, some in ours[ours["dataset"] == dataset].groupby("pool", sort=False):
            label = f"measured here, {pools.find(pool).label}"
            ax.plot(some["clean"], some["pgd"], **pool_style(pool), ls="", ms=5, label=label)
        ax.set(title=data.TABLE[dataset].label, xlabel="clean accuracy (%)")
    axes[0].set_ylabel("PGD accuracy, 8/255,\npixel space (%)")
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    axes[-1].legend(handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def plane(acc: pd.DataFrame, eps: int = 8) -> Figure:
    """Clean against robust accuracy under PGD-7 at eps/255 (per cent): every network a mark, a panel a threat model.

    `acc` is `tables.accuracies`. A line joins the two pools of one cell and seed; hollow: ReLU in place of spikes;
    grey: other pools. A trade-off is a line that climbs to the left.
    """
    joined = clean_and_robust(acc, eps)
    datasets = [d for d in data.TABLE if d in set(joined["dataset"])]
    figure, axes = panels(len(datasets), len(SPACES), (6.4, 2.3 * len(datasets) + 0.5))
    for row, dataset in enumerate(datasets):
        for ax, (key, title) in zip(axes[row * len(SPACES) :], SPACES.items(), strict=False):
            here = joined[(joined["dataset"] == dataset) & (joined["space"] == key[0]) & (joined["protocol"] == key[1])]
            for _, pair in here[here["pool"].isin(PAIR)].groupby([*COMMON, "seed"]):
                ax.plot(100 * pair["clean"], 100 * pair["accuracy"], color=COLOURS[7], lw=0.6, zorder=1)
            for pool in pools.ordered(here["pool"]):
                for relu, part in here[here["pool"] == pool].groupby("relu"):
                    style = pool_style(pool) if pool in PAIR else {"color": COLOURS[7], "marker": "."}
                    label = pools.find(pool).label if pool in PAIR else "other pools"
                    ax.plot(100 * part["clean"], 100 * part["accuracy"], ls="", ms=4.5, **style,
                            mfc="white" if relu else None, label=f"{label}, ReLU" if relu else label)  # fmt: skip
            ax.set_title(title.replace(", ", ",\n"))
        axes[row * len(SPACES)].set_ylabel(f"{data.TABLE[dataset].label}\nunder PGD-7 (%)")
    figure.supxlabel("clean accuracy (%)", fontsize=9)
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def clean_and_robust(acc: pd.DataFrame, eps: int = 8) -> pd.DataFrame:
    """`accuracies` under PGD-7 at eps/255 on images, with each network's clean accuracy, and whether it has ReLU."""
    clean = acc[acc["space"] == "clean"].drop_duplicates("run").set_index("run")["accuracy"]
    part = acc[(acc["method"] == "pgd") & (acc["eps"] == eps) & acc["dataset"].isin(["cifar10", "cifar100"])]
    return part.assign(clean=part["run"].map(clean), relu=part["label"].str.contains("ReLU"))


def quadrants(acc: pd.DataFrame, space: str, protocol: str, eps: int = 8) -> str:
    """How many pairs of spiking networks (same cell, same seed) show the trade-off, in a sentence."""
    part = clean_and_robust(acc, eps)
    part = part[(part["space"] == space) & (part["protocol"] == protocol) & ~part["relu"] & part["pool"].isin(PAIR)]
    wide = part.pivot_table(index=[*COMMON, "seed"], columns="pool", values=["clean", "accuracy"])
    wide = wide.dropna()
    one, other = PAIR
    robust, better = (wide[k][one] > wide[k][other] for k in ("accuracy", "clean"))
    return (
        f"{SPACES[space, protocol]}: of {len(wide)} pairs of spiking networks max pooling is more robust and less "
        f"accurate in {(robust & ~better).sum()} (the trade-off), better on both in {(robust & better).sum()}, and "
        f"not more robust in {(~robust).sum()}."
    )


def seed_differences(found: pd.DataFrame, order: list[str], pair: Pair = PAIR) -> Figure:
    """Accuracy with the first pool minus the second (points) under each attack in `order`: a ring a seed, filled their
    mean with its 95 % interval over seeds and images.

    `found` has attack, difference, half and by_seed (a dict), fractions.
    """
    figure, (ax,) = panels(1, 1, (5.4, 0.36 * len(order) + 0.9))
    for place, attack in enumerate(order):
        row = found[found["attack"] == attack].iloc[0]
        ax.plot([100 * d for d in row["by_seed"].values()], [place + 0.2] * len(row["by_seed"]), "o", ms=4,
                color=COLOURS[7], mfc="white", label="one seed" if place == 0 else None)  # fmt: skip
        ax.errorbar(100 * row["difference"], place - 0.1, xerr=100 * row["half"], fmt="o", ms=5, color=COLOURS[0],
                    capsize=3, label="mean" if place == 0 else None)  # fmt: skip
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(order)), order, fontsize=9)
    ax.set(xlabel=f"{pair[0]} − {pair[1]} (points)", ylim=(len(order) - 0.5, -0.5))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
