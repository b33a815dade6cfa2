"""The index: the book's answer in three sentences, each checked against the records, and one figure."""

from __future__ import annotations

import html

import pandas as pd
from matplotlib.figure import Figure

from .. import ledger
from ..attacks.standard import EVAL, TRAIN
from ..config import Run
from . import findings
from .attacks import tables as attacked
from .findings import gradients, pools
from .plots import COLOURS, panels
from .tables import FIVE_SEEDS, PAIR


def sentences(acc: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """The answer in three sentences; raises AssertionError when the records contradict one of them.

    The first has no interval, the third says what the answer does not cover.
    """
    findings.check(pools.published(acc), pools.stronger(curves, 8), pools.stronger(curves, 4))
    findings.check(pools.half_survive(curves), gradients.smaller(), pools.reversed_by_relu(acc), pools.clean(acc))
    (one, other), shown, paper = PAIR, attacked.SHOWN, Run()
    first, then = pools.lead(acc, "spike", TRAIN), pools.on_curve(curves, pools.SPIKE, 8)
    radius = pools.half_radii(curves, pools.SPIKE).groupby("pool")["radius"].mean()
    found, relu = gradients.gradients(), pools.twins(acc)["relu"].sum()
    size, left = found.groupby("pool")["l1"].mean(), {f"{100 * then[pool]:.0f} %" for pool in PAIR}
    assert shown.scale != "paper", "the networks have the paper's scale: the third sentence is to be written anew"
    assert len(left) == 1, "the first sentence says of both pools what a stronger attack leaves"
    return [
        f"Under the published attack spiking networks with max pooling keep {100 * first[one]:.0f} % of the images and "
        f"networks with average pooling {100 * first[other]:.0f} %; a stronger attack leaves {left.pop()} with either, "
        f"and half of the images classified correctly survive it up to {radius[one]:.1f}/255 and "
        f"{radius[other]:.1f}/255, "
        f"two radii that {first['seeds']} seeds cannot tell apart.",
        f"Nor is the gradient sparse where an attack acts: at the network's input "
        f"{gradients.floor(found['density'].min())} % of it or more is not zero with either pool; max pooling makes "
        f"it smaller (L1 norm {size[one]:.0f} against {size[other]:.0f}), and with ReLU in place of spikes "
        f"average pooling "
        f"leads in {relu} of {relu} comparisons.",
        f"This covers networks of width {shown.width} trained for {shown.epochs} epochs, not the paper's own (width "
        f"{paper.width}, {paper.epochs} epochs), and the paper's text could not be read: its values here come from "
        "summaries and from its public code.",
    ]


def figure(acc: pd.DataFrame, curves: pd.DataFrame, worst: pd.DataFrame) -> Figure:
    """max − avg in points with its 95 % interval, spike space: one network under weak to strong attacks, and spiking
    networks beside their ReLU twins. Filled: over seeds and images; hollow: one seed, over images.

    `acc` is `tables.accuracies`, `curves` and `worst` are `attacked.curves` and `attacked.rows`.
    """
    attacks = {
        "clean": pools.lead(acc, "clean"),
        "PGD-7 as published": pools.lead(acc, "spike", TRAIN),
        "PGD-7, eval mode": pools.lead(acc, "spike"),
        "PGD-20, any iterate": pools.on_curve(curves, pools.SPIKE, 8),
        "the same at 4/255": pools.on_curve(curves, pools.SPIKE, 4),
    }
    battery = attacked.paired(worst[(worst["attack"] == attacked.WORST) & (worst["space"] == "spike")])
    for _, d in battery[battery["eps"] == 4].iterrows():
        attacks["all attacks, 4/255"] = d
    pairs = pools.twins(acc)
    pairs = pairs[(pairs["space"] == "spike") & (pairs["protocol"] == EVAL)].sort_values("relu", kind="stable")
    groups = [[(name, d, COLOURS[0]) for name, d in attacks.items()], []]
    for skip, part in pairs.groupby("skip", sort=False):
        for _, d in part.iterrows():
            name = f"{skip.removesuffix('-18')}, {'ReLU' if d['relu'] else 'spikes'}"
            groups[1].append((name, d, COLOURS[3] if d["relu"] else COLOURS[0]))
    titles = ["Weak to strong attacks, 8/255", "Spikes beside ReLU, PGD-7, 8/255"]
    drawn, axes = panels(2, 1, (4.8, 3.6), sharex=True, height_ratios=[len(g) + 0.6 for g in groups])
    for ax, rows, title in zip(axes, groups, titles, strict=True):
        for y, (_, d, colour) in enumerate(rows):
            face = colour if d["seeds"] >= FIVE_SEEDS else "white"
            ax.errorbar(
                100 * d["difference"], y, xerr=100 * d["half"], fmt="o", ms=6, color=colour, capsize=3, mfc=face
            )
        ax.axvline(0, color="black", lw=0.8)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=10)
        ax.set_ylim(len(rows) - 0.4, -0.6)
    axes[-1].set_xlabel("max − avg (points); right: max ahead", fontsize=10)
    axes[-1].tick_params(axis="x", labelsize=10)
    return drawn


def behind_it() -> list[str]:
    """The runs that the answer rests on, by name."""
    kinds = ("robustness", "curve", "sparsity")
    found = {r["name"] for kind in kinds for r in attacked.records(kind)}
    sweep = Run.make("sweep")
    for record in ledger.records("robustness"):
        run = Run.from_dict(record["config"])
        if run.but(pool=sweep.pool, neuron=sweep.neuron, skip=sweep.skip, seed=sweep.seed) == sweep:
            found.add(record["name"])
    return sorted(found)


def listed(said: list[str]) -> str:
    """The three sentences as numbered paragraphs."""
    return "<ol>" + "".join(f"<li>{html.escape(s)}</li>" for s in said) + "</ol>"
