"""Where gradients are zero, how large they are, and what that has to do with surviving an attack."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ..attacks import tables as attacked
from ..tables import PAIR
from . import Finding
from .pools import lacking


def gradients() -> pd.DataFrame:
    """One row a network of the cell: pool, seed, and of the gradient of p_y by the coded input, eval mode, means over
    images: density (share that is not zero), effective share, l2 ("sparsity" records), l1 ("curve" records)."""
    sums = {r["name"]: np.mean(r["results"]["gradient"]["l1"]) for r in attacked.records("curve")}
    found = []
    for record in attacked.records("sparsity"):
        at = next(a for a in record["results"]["activation_eval"] if a["layer"] == "input")
        row = {"pool": record["config"]["pool"], "seed": record["config"]["seed"], "l1": sums.get(record["name"])}
        effective = at["effective_mean"] / at["size"]
        found.append(row | {"density": at["0_mean"], "effective": effective, "l2": at["norm_mean"]})
    if not found:
        raise lacking("sparsity")
    return pd.DataFrame(found)


def smaller() -> Finding:
    """The input gradient is dense with both pools and smaller with max pooling, in every seed."""
    found = gradients()
    low, high = ({k: (v.min(), v.max()) for k, v in found[found["pool"] == p][["l1", "l2"]].items()} for p in PAIR)
    return Finding(
        f"After {attacked.SHOWN.epochs} epochs at least {floor(found['density'].min())} % of the gradient's entries "
        "at the input, where an attack acts, are not zero with either pool. Max pooling makes the gradient smaller "
        f"instead: its L1 norm is {low['l1'][0]:.0f} to {low['l1'][1]:.0f} against {high['l1'][0]:.0f} to "
        f"{high['l1'][1]:.0f}, its L2 norm {low['l2'][0]:.1f} to {low['l2'][1]:.1f} against {high['l2'][0]:.1f} to "
        f"{high['l2'][1]:.1f} ({found['seed'].nunique()} seeds).",
        found["density"].min() > 0.998 and all(low[k][1] < high[k][0] for k in low),
    )


def other_networks(found: pd.DataFrame) -> Finding:
    """With ReLU in place of spikes max pooling's input gradient is the larger one. `found`: `densities.frame`.

    By L2 norm, of trained networks in eval mode; a cell has both pools.
    """
    at = found[(found["place"] == "input") & (found["mode"] == "eval") & (found["state"] == "trained")]
    at = at[(at["dataset"] == attacked.SHOWN.dataset) & (at["variant"] == "") & at["pool"].isin(PAIR)]
    cell = ["label", "width", "train_images", "epochs", "pool"]
    norms = at.groupby(cell)["norm"].mean().unstack().dropna().reset_index()
    times = (norms[PAIR[0]] / norms[PAIR[1]]).groupby(norms["label"])
    low, high = times.min(), times.max()
    shown, relu = attacked.SHOWN.label, low.index.str.contains("ReLU")
    rest = [k for k in low.index[~relu] if k != shown]
    if shown not in low.index or not relu.any() or not rest:
        raise lacking("sparsity")
    each = ", ".join(f"{low[k]:.2f} in {k}" for k in sorted(rest, key=lambda k: low[k]))
    return Finding(
        f"Of every width and length recorded, max pooling's gradient at the input is smaller in {shown}, "
        f"{low[shown]:.2f} to {high[shown]:.2f} times as large as average pooling's (L2 norm). In other networks the "
        f"pools have no fixed order ({each}, one seed), and with ReLU in place of spikes it is "
        f"{low[relu].min():.1f} to {high[relu].max():.1f} times as large ({relu.sum()} networks, one seed).",
        high[shown] < 1 and low[relu].min() > 1.2 and min(low[k] for k in rest) < 1 < max(low[k] for k in rest),
    )


def floor(share: float) -> str:
    """A share in per cent, rounded down to one decimal, for "at least"."""
    return f"{math.floor(1000 * share) / 10:.1f}"


def _range(values: pd.Series) -> str:
    return f"{100 * values.min():.1f} to {100 * values.max():.1f} %"


def made_at_the_pool(trained: pd.DataFrame) -> Finding:
    """Max pooling's exact zeros are made at its input, and gone at the network's. `trained`: `densities.main_cell`."""
    at = trained[(trained["mode"] == "eval")]
    values = {(pool, place): at.loc[(at["pool"] == pool) & (at["place"] == place), "0"] for pool in PAIR
              for place in ("sn1", "input")}  # fmt: skip
    return Finding(
        f"Max pooling makes exact zeros at its input, where {_range(values['max', 'sn1'])} of the entries have a "
        f"gradient, and all have one with average pooling. Behind the first convolution, at the network's input, "
        f"{floor(values['max', 'input'].min())} % or more have one again.",
        values["max", "sn1"].max() <= 0.25
        and values["avg", "sn1"].min() > 0.9999
        and values["max", "input"].min() > 0.998,
    )


def dead_channels(trained: pd.DataFrame) -> Finding:
    """Between the logits and the pool a few channels are dead, with either pool."""
    stem = trained["place"].isin(["sn1", "bn1", "conv1", "input"]) | trained["layer"].isin(["sn1", "bn1", "conv1"])
    above = trained[(trained["mode"] == "eval") & ~stem]
    least = above.loc[above.groupby("pool")["0"].idxmin()].set_index("pool")
    names = {pool: f"{100 * least.loc[pool, '0']:.1f} % at {least.loc[pool, 'layer']}" for pool in PAIR}
    return Finding(
        f"From the logits to the pool's output nearly every entry is non-zero. The least is {names['max']} with max "
        f"pooling and {names['avg']} with average pooling: dead channels of the last stage, not the pool.",
        bool((least["0"] > 0.95).all() and (least["0"] < 1).all() and least["layer"].str.startswith("layer4").all()),
    )


def concentrated() -> Finding:
    """What is left of the pool's selection at the input is a slightly smaller effective share."""
    found = gradients()
    one, other = (found.loc[found["pool"] == pool, "effective"] for pool in PAIR)
    return Finding(
        f"Next to no exact zero of the pool is left at the input, but its gradient is a little more concentrated: "
        f"the effective share is {_range(one)} with max pooling and {_range(other)} with average pooling.",
        one.max() < other.min() < 2 * one.min() and found["density"].min() > 0.995,
    )


def ties() -> Finding:
    """The zeros at the pool's input are a rule for ties."""
    found = pd.DataFrame([r["results"]["pool"] for r in attacked.records("trail") if r["config"]["pool"] == "max"])
    return Finding(
        f"Those zeros are a rule for ties: {_range(found['silent'])} of the windows hold no spike, and "
        f"{_range(found['mass through silent'])} of the gradient's mass passes through these. Sharing ties, an equally "
        f"right choice, raises the density at the pool's input from about {100 * found['density'].mean():.1f} % to "
        f"{_range(found['density, ties share'])} ({len(found)} networks).",
        found["silent"].min() > 0.5 and bool((found["density, ties share"] > 2 * found["density"]).all()),
    )


def natural(start: pd.Series) -> Finding:
    """Spikes with the paper's surrogate have the densest gradient of four neurons. `start`: density at conv1's output
    of untrained networks with average pooling, by the settings of `densities.QUESTIONS["natural"]`."""
    spikes, others = start["IF, ATan surrogate"], start.drop("IF, ATan surrogate")
    return Finding(
        "Spikes do not make a gradient sparse, the support of the surrogate does: in untrained networks with average "
        f"pooling the paper's ATan has {100 * spikes:.1f} % of entries non-zero at conv1's output, the ReLU twin and "
        f"the surrogates of compact support have {_range(others)}.",
        spikes > 0.99 > others.max(),
    )


def explained(fit: pd.DataFrame) -> Finding:
    """Norm and margin explain most of the least radius, sparsity adds next to nothing. `fit`: `mechanism.regress`."""
    one = fit.iloc[0]
    return Finding(
        f"In spike space the gradient's L1 norm and the margin explain {100 * one['base']:.0f} % of the "
        f"variance of the "
        f"least adversarial radius; three measures of sparsity add {100 * one['gain']:.1f} points to that, at most "
        f"{100 * one['gain high']:.1f}.",
        one["base"] > 0.5 and one["gain high"] < 0.02,
    )


def denser_is_more_robust(fit: pd.DataFrame) -> Finding:
    """Under bit flips a less concentrated gradient goes with more of them survived. `fit`: `mechanism.regress`."""
    e = fit.set_index("predictor").loc["log effective"]
    return Finding(
        f"Under bit flips less concentrated gradients go with more robustness: {e['together']:+.2f} "
        f"[{e['low']:.2f}, {e['high']:.2f}] octaves of flips for one standard deviation of the effective number of "
        "entries, beside norm and margin. In zeros, which the paper counts, these networks hardly vary.",
        e["low"] > 0,
    )
