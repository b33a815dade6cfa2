"""The index: the book's answer in three sentences, each checked against the records, and one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import ledger
from ..attacks.standard import EVAL, TRAIN
from ..config import Run
from ..nets.data import TABLE
from . import findings, standing
from .attacks import tables as attacked
from .comparison import scoped
from .design import matrix
from .findings import cause, gradients, length, pools, together
from .plots import COLOURS, panels
from .standing import EPS
from .tables import FIVE_SEEDS, PAIR
from .trail import densities
from .words import interval_text, seeds_text

LONG, AGAIN = scoped.SCALES  # the longer training, and a shorter one, in which other seeds were attacked


def sentences(acc: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """The answer in three sentences; raises AssertionError when the records contradict one of them.

    The first has no interval, the second is of the longer training, the third says what the answer does not cover.
    """
    stand, others = (standing.standing(matrix.attacks(run)) for run in (LONG, AGAIN))
    findings.check(pools.published(acc), pools.stronger(curves, 8), pools.stronger(curves, EPS))
    findings.check(pools.half_survive(curves), length.longer(acc), length.stands(stand), cause.through(stand))
    findings.check(length.again(acc, AGAIN.epochs), length.differ(others, AGAIN.epochs))
    findings.check(cause.through(others, AGAIN.epochs))
    battery, again_all = attacked.rows((*matrix.TRAINED, PAIR[1]), LONG), attacked.rows(like=AGAIN)
    everything = attacked.rows()
    findings.check(together.leads(battery), together.in_part(battery))
    findings.check(gradients.smaller(), length.thinner(densities.frame()), pools.reversed_by_relu(acc))
    findings.check(pools.clean(acc, AGAIN.epochs))
    (one, other), shown, paper = PAIR, attacked.SHOWN, Run()
    first, then, half = pools.lead(acc, "spike", TRAIN), *(pools.on_curve(curves, pools.SPIKE, r) for r in (8, EPS))
    found, relu = gradients.gradients(), pools.twins(acc)["relu"].sum()
    findings.check(together.leads(again_all, AGAIN.epochs))
    findings.check(cause.zeros(others, AGAIN.epochs), cause.no_price(acc, AGAIN.epochs))
    findings.check(together.without_gradient({LONG.epochs: battery, AGAIN.epochs: again_all}))
    hit = pools.lead(acc, "spike", TRAIN, shown=AGAIN)
    by = (PAIR, matrix.TRAINED, matrix.ZEROS, matrix.POOLS_OWN)
    again, lost, ties, own = (standing.difference(others, standing.WORST, pair) for pair in by)
    hidden = standing.difference(others, standing.WITH_ASSG, PAIR)
    less = cause.on_clean(acc, AGAIN.epochs)[matrix.TRAINED]
    pixel = max(
        together.worst(rows).loc[("pixel", 1), pool] for rows in (everything, again_all, battery) for pool in PAIR
    )
    assert shown.scale != "paper", "the networks have the paper's scale: the third sentence is to be written anew"
    assert max(then[one], then[other]) < 1 / TABLE[shown.dataset].classes, "the first sentence speaks of chance"
    assert again and lost and ties and own and hidden, "the second sentence is of a longer training"
    assert again.zero and hidden.above, "the second sentence tells one lead from zero and the other not"
    assert lost.seeds >= FIVE_SEEDS and min(lost.by_seed.values()) > 0, "the heading says what the lead is owed to"
    assert ties.zero and own.above, "the second sentence says what protects"
    counted = {hit["seeds"], less["seeds"], *(d.seeds for d in (again, hidden, lost, ties, own))}
    assert len(counted) == 1, "the second sentence counts the seeds once"
    return [
        f"After {shown.epochs} epochs on CIFAR-10, in spike space (the coded image is attacked), the published attack "
        f"at 8/255 leaves {100 * first[one]:.0f} % of the images with max and {100 * first[other]:.0f} % with average "
        f"pooling; a stronger one leaves both below chance there, and at {EPS}/255 {100 * half[one]:.0f} and "
        f"{100 * half[other]:.0f} %, which {half['seeds']} seeds cannot tell apart.",
        f"After {AGAIN.epochs} ({seeds_text(hit['seeds'])}) max pooling leads by {pools.points(hit)} under the "
        f"published attack, and of the correctly classified images at {EPS}/255 by "
        f"{interval_text(again.mean, again.half)} through the worst of four gradients, not told from zero, and by "
        f"{interval_text(hidden.mean, hidden.half)} with an adapted surrogate beside them. "
        f"Trained through average pooling's dense gradient it loses {interval_text(lost.mean, lost.half)} there and "
        f"{pools.points(less)} on clean images: no trade-off; through one that is dense but its own, "
        f"{interval_text(ties.mean, ties.half)} there: its zeros are not seen to protect.",
        f"After {shown.epochs} the gradient at the input is dense with either pool "
        f"({gradients.floor(found['density'].min())} % or more is not zero); with ReLU for spikes average pooling "
        f"leads in {relu} of {relu} comparisons (brief training, one seed); in pixel space all attacks together leave "
        f"at most {100 * pixel:.1f} % at 1/255. Ours is width {shown.width} and at most {LONG.epochs} epochs, the "
        f"paper's {paper.width} and {paper.epochs}; of the paper we saw its abstract, summaries and code.",
    ]


def figure(acc: pd.DataFrame) -> Figure:
    """max − avg in points with its 95 % interval, spike space; hollow marks are of fewer than five seeds.

    Above one network under weak to strong attacks, after trainings of three lengths; below spiking networks beside
    their ReLU twins. `acc` is `tables.accuracies`.
    """
    lengths = {attacked.SHOWN: (-0.22, COLOURS[0]), AGAIN: (0.0, COLOURS[1]), LONG: (0.22, COLOURS[2])}
    ladders = {run: _ladder(acc, attacked.curves(like=run), run) for run in lengths}
    names = list(ladders[LONG])
    pairs = pools.twins(acc)
    pairs = pairs[(pairs["space"] == "spike") & (pairs["protocol"] == EVAL)].sort_values(["skip", "relu"])
    twins = [f"{d['skip'].removesuffix('-18')}, {'ReLU' if d['relu'] else 'spikes'}" for _, d in pairs.iterrows()]
    rows = [(y, d, COLOURS[3] if d["relu"] else COLOURS[0]) for y, (_, d) in enumerate(pairs.iterrows())]
    drawn, axes = panels(2, 1, (4.2, 3.9), sharex=True, height_ratios=[len(names) + 0.6, len(twins) + 0.6])
    title = "Weak to strong attacks, 8/255 or as said"
    for run, (shift, colour) in lengths.items():
        marks = [(names.index(name) + shift, d, colour) for name, d in ladders[run].items()]
        _draw(axes[0], title, names, marks, f"{run.epochs} epochs")
    _draw(axes[1], "Spikes beside ReLU, PGD-7, 8/255", twins, rows)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=9)
    axes[-1].set_xlabel("max − avg (points); right: max ahead", fontsize=10)
    axes[-1].tick_params(axis="x", labelsize=10)
    return drawn


def _draw(
    ax: Axes, title: str, labels: list[str], marks: Sequence[tuple[float, pd.Series, str]], name: str = ""
) -> None:
    for i, (y, d, colour) in enumerate(marks):
        face = colour if d["seeds"] >= FIVE_SEEDS else "white"
        ax.errorbar(100 * d["difference"], y, xerr=100 * d["half"], fmt="o", ms=5, color=colour, capsize=3, mfc=face,
                    label=name if i == 0 else None)  # fmt: skip
    ax.axvline(0, color="black", lw=0.8)
    ax.set_title(title, loc="right", fontsize=10)
    ax.set_yticks(range(len(labels)), labels, fontsize=10)
    ax.set_ylim(len(labels) - 0.4, -0.6)


def _ladder(acc: pd.DataFrame, curves: pd.DataFrame, shown: Run) -> dict[str, Any]:
    """Differences of one cell under weak to strong attacks, by their name on the figure."""
    found = {
        "clean": pools.lead(acc, "clean", shown=shown),
        "PGD-7 as published": pools.lead(acc, "spike", TRAIN, shown=shown),
        "PGD-7, eval mode": pools.lead(acc, "spike", shown=shown),
    }
    if len(curves):
        found["PGD-20"] = pools.on_curve(curves, pools.SPIKE, 8)
        found[f"PGD-20, {EPS}/255"] = pools.on_curve(curves, pools.SPIKE, EPS)
    worst = standing.difference(standing.standing(matrix.attacks(shown)), standing.WORST, PAIR)
    if worst is not None:
        of_right = {"difference": worst.mean, "half": worst.half, "seeds": worst.seeds}
        found[f"4 gradients, {EPS}/255"] = pd.Series(of_right)
    everything = together.worst(attacked.rows(like=shown))
    return found | {f"all attacks, {EPS}/255": d for at, d in everything.iterrows() if at == ("spike", EPS)}


def behind_it() -> list[str]:
    """The runs that the answer rests on, by name."""
    kinds, lengths = ("robustness", "curve", "sparsity", "backwards", "attacks"), (attacked.SHOWN, AGAIN, LONG)
    asked = [(kind, like) for kind in kinds for like in lengths]
    found = {r["name"] for kind, like in asked for r in attacked.records(kind, (*PAIR, matrix.TRAINED[1]), like)}
    sweep = Run.make("sweep")
    for record in ledger.records("robustness"):
        run = Run.from_dict(record["config"])
        if run.but(pool=sweep.pool, neuron=sweep.neuron, skip=sweep.skip, seed=sweep.seed) == sweep:
            found.add(record["name"])
    return sorted(found)
