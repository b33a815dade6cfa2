"""What weight decay alone does to gradient densities: pairs of networks that are alike in everything else.

A pair has one seed, one pool and one setting, whatever that is, and the published weight decay or none. Both are
measured in eval mode, on the same images, by exact zero.
"""

from __future__ import annotations

import math

import pandas as pd

from ... import ledger
from ...config import Run
from ...nets import pools
from ...stats import over_seeds
from ..tables import CELL, COMMON, PAIR, by_seed, cell
from ..words import interval_text, reading, seeds_text, where
from .densities import frame, weights

PLACES = {"input": "input", "conv1": "conv1 out", "weights": "live weights"}  # column of `pairs`: name on a page
_COLUMNS = [*CELL, "seed", "run", "run without", *PLACES, *(f"{p} without" for p in PLACES), "n_weights"]


def pairs() -> pd.DataFrame:
    """One row a pair, in the order of `densities.weights`; no rows where no network has its counterpart.

    Columns: the cell and `run` of the network with decay, seed, "run without", n_weights (images for weights);
    and each of PLACES with decay and, as "<place> without", without: densities (fractions).
    """
    linked, found = weights(trails=False).set_index("run"), frame()
    out = found[(found["mode"] == "eval") & (found["place"] == "conv1") & (found["state"] == "trained")]
    linked["conv1"] = out.set_index("run")["0"]  # of the layer's output, not of its kernel
    runs = {r["name"]: Run.from_dict(r["config"]) for r in ledger.records("sparsity")}
    rows = []
    for name in linked.index:
        without = runs[name].but(weight_decay=0.0).name
        if runs[name].weight_decay == Run().weight_decay and without in linked.index:
            head = cell(runs[name]) | {"seed": runs[name].seed, "run": name, "run without": without}
            one, other = linked.loc[name], linked.loc[without]
            values = {p: one[p] for p in PLACES} | {f"{p} without": other[p] for p in PLACES}
            rows.append(head | values | {"n_weights": one["n_weights"]})
    return pd.DataFrame(rows, columns=_COLUMNS)


def rows(found: pd.DataFrame) -> pd.DataFrame:
    """The pairs as text for a page, per cent; column "network" names the cell."""
    text = pd.DataFrame({"network": [where(r) for _, r in found.iterrows()], "pool": found["pool"]})
    text["seed"] = found["seed"]
    for place, name in PLACES.items():
        for label, column in (("decay 0", f"{place} without"), (f"{Run().weight_decay:g}", place)):
            text[f"{name}, {label} (%)"] = [f"{100 * v:.{1 if place == 'weights' else 2}f}" for v in found[column]]
    return text


def sentences(found: pd.DataFrame) -> list[str]:
    """What the pairs say of the live weights' gradient, a sentence a cell and pool, and one on the pools there."""
    said = []
    for _, setting in found.groupby(COMMON, sort=False):
        first = setting.iloc[0]
        for pool, part in setting.groupby("pool", sort=False):
            more = interval_text(*over_seeds(part["weights without"] - part["weights"]))
            without, with_ = (100 * part[k].mean() for k in ("weights without", "weights"))
            at_input = 100 * (part["input without"] - part["input"]).mean()
            size = f"{seeds_text(len(part))}, n = {part['n_weights'].min()}"
            said.append(
                f"{where(first)}, {pools.find(pool).label}: without weight decay {without:.1f} % of the live weights' "
                f"gradient is non-zero, with it {with_:.1f} %, a difference of {more} points; at the input it is "
                f"{at_input:+.2f} points ({size}; {reading(first['scale'], len(part))})."
            )
        gaps = [100 * by_seed(setting, k).mean() for k in ("weights without", "weights")]
        if not math.isnan(gaps[0]):
            one, other = (pools.find(pool).label.removesuffix(" pooling") for pool in PAIR)
            said.append(
                f"{where(first)}: {one} minus {other} pooling is {gaps[0]:+.1f} points of the live weights' gradient "
                f"without decay, {gaps[1]:+.1f} with."
            )
    return said or ["No network is recorded both with and without weight decay: nothing can be said."]
