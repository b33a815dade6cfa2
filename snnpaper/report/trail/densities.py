"""Gradient densities from the ledger: what chapter 4 draws and tabulates. Densities are fractions.

Density is the share of entries that are not zero (sparsity is 1 - density). Trained networks come from the
"sparsity" records, networks before their first step from the "untrained" ones.
"""

from __future__ import annotations

import functools
import itertools
import math

import pandas as pd

from ... import ledger
from ...config import Run
from ...measure.trail import STAGES, STEM
from ...nets import pools
from ...nets.data import TABLE
from ...nets.models import build
from ...sparsity import THRESHOLDS, live_share
from ...stats import over_seeds
from .. import gaps
from ..tables import CELL, COMMON, OURS, PAIR, alike, cell, of, published

MEASURES = (*THRESHOLDS, "norm", "effective")
BACKWARD = (*STAGES[::-1], *STEM[::-1])  # the places that trained and untrained records share
# What an untrained network does not depend on.
_TRAINING = ("epochs", "batch_size", "lr", "weight_decay", "train_images")
_WEIGHTS = ["input", "conv1", "weights", "all weights", "live", "n_weights"]
_COLUMNS = ["run", *CELL, "seed", "state", "mode", "layer", "place", "kind", "size", "n", *MEASURES]

# The claim taken apart: what is changed from the sweep's SEW-ResNet-18, one thing at a time.
QUESTIONS: dict[str, dict[str, dict]] = {
    "natural": {
        "IF, ATan surrogate": {},
        "ReLU twin": {"neuron": "ReLU"},
        "IF, rectangular surrogate": {"surrogate": "rectangular"},
        "IF, triangular surrogate": {"surrogate": "triangular"},
    },
    "residual": {
        "SEW skip": {},
        "Spiking-ResNet skip": {"skip": "spiking"},
        "no skip": {"skip": "none"},
    },
    "temporal": {
        "phase, T = 10": {},
        "phase, weighted bits": {"coding": "weighted_phase"},
        "rate": {"coding": "rate"},
        "latency": {"coding": "latency"},
        "direct": {"coding": "direct"},
        "phase, T = 2": {"T": 2},
        "phase, T = 4": {"T": 4},
        "phase, T = 20": {"T": 20},
    },
    "decay": {"weight decay 0.001": {}, "weight decay 0": {"weight_decay": 0.0}},
    "depth": {"18 layers": {}, "34 layers": {"arch": "resnet34"}, "50 layers": {"arch": "resnet50"}},
}


def frame(ours: bool = False) -> pd.DataFrame:
    """One row a network, mode and layer, layers in the order of the backward pass (input last).

    With `ours` the networks on `tables.OURS` too.

    `state` is trained or untrained; `place` names the stem's layers and the ends of the four stages alike in
    both, "" for layers in between. Measures are means over the record's images.
    """
    rows = []
    for kind, state in (("sparsity", "trained"), ("untrained", "untrained")):
        for record in ledger.records(kind):
            run, r = Run.from_dict(record["config"]), record["results"]
            if run.dataset in OURS and not ours:
                continue
            head = {"run": run.name, **cell(run), "seed": run.seed, "state": state, "n": r["activation_n"]}
            for mode in ("eval", "train"):
                found = r[f"activation_{mode}"]
                places = _places([x["layer"] for x in found])
                for x in [*found[:0:-1], found[0]]:
                    values = {m: x[f"{m}_mean"] for m in MEASURES}
                    what = {"mode": mode, "layer": x["layer"], "place": places[x["layer"]]}
                    rows.append(head | what | {"kind": x["kind"], "size": x["size"]} | values)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _places(layers: list[str]) -> dict[str, str]:
    """Layer -> place: stem layers by name, the last block of each stage by the stage."""
    blocks = [name for name in layers if name.count(".") == 1 and name.split(".")[1].isdigit()]
    ends = {name.split(".")[0]: name for name in blocks}
    known = {end: stage for stage, end in ends.items()} | {name: name for name in (*STEM, *STAGES)}
    return {name: known.get(name, "") for name in layers}


def main_cell(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of both pools: the trained published cell that has both, and the same network untrained.

    Of several: one whose pools both have "trail" records, then the one with the most seeds, then the widest.
    Raises ValueError when no cell has both pools.
    """
    found = of(found)
    trained = published(found[found["state"] == "trained"])
    ranked = []
    for values, part in trained.groupby(COMMON, sort=False):
        seeds = part.groupby("pool")["seed"].nunique()
        if len(seeds) == 2:
            drawn = part.loc[[ledger.path("trail", run).exists() for run in part["run"]], "pool"].nunique()
            ranked.append((drawn, seeds.min(), values[COMMON.index("width")], values))
    if not ranked:
        raise ValueError("no published network is recorded with both pools; allowed: a ledger with one cell of each")
    best = dict(zip(COMMON, max(ranked)[-1], strict=True))
    before = found[found["state"] == "untrained"]
    network = {k: best[k] for k in ("dataset", "label", "width", "variant")}
    return pd.concat([trained[alike(trained, best)], before[alike(before, network)]])


def over(found: pd.DataFrame, by: list[str], measure: str) -> pd.DataFrame:
    """Mean and 95 % half-width over seeds of one measure per group (order kept), with seeds, n and runs."""
    rows = []
    for values, part in found.groupby(by, sort=False):
        mean, half = over_seeds(part[measure])
        size = {"seeds": len(part), "n": part["n"].min(), "runs": sorted(set(part["run"]))}
        rows.append(dict(zip(by, values, strict=True)) | {"mean": mean, "half": half} | size)
    return pd.DataFrame(rows, columns=[*by, "mean", "half", "seeds", "n", "runs"])


def ablation(question: str, found: pd.DataFrame) -> pd.DataFrame:
    """One row per setting of a question, state and pool; what is not recorded says how to record it.

    Columns: setting, pool, state, <place>_mean and _half for the stem's places (density, exact zero, eval
    mode), norm and effective (share of entries the input gradient effectively has), seeds, n, runs, scale,
    command, cost.
    """
    rows, here = [], found[found["mode"] == "eval"]
    configs = {r["name"]: Run.from_dict(r["config"]) for k in ("sparsity", "untrained") for r in ledger.records(k)}
    settings = QUESTIONS[question].items()
    for (setting, changes), state, pool in itertools.product(settings, ("untrained", "trained"), PAIR):
        wanted = Run.make("sweep", pool=pool, **changes)
        if state == "untrained" and set(changes) & set(_TRAINING):
            continue
        same = {name for name, run in configs.items() if _alike(run, wanted, state)}
        part = here[here["run"].isin(same) & (here["state"] == state)]
        row = {"setting": setting, "pool": pool, "state": state}
        if part.empty:
            rows.append(row | {"seeds": 0, "runs": []} | _missing(wanted, state))
            continue
        for place in STEM:
            at = part[part["place"] == place]
            row[f"{place}_mean"], row[f"{place}_half"] = over_seeds(at["0"])
        at = part[part["place"] == "input"]
        row |= {"norm": at["norm"].mean(), "effective": (at["effective"] / at["size"]).mean()}
        row |= {"seeds": at["seed"].nunique(), "n": at["n"].min(), "runs": sorted(at["run"]), "scale": wanted.scale}
        rows.append(row)
    of_places = [f"{place}_{part}" for place in STEM for part in ("mean", "half")]
    columns = ["setting", "pool", "state", *of_places, "norm", "effective"]
    columns += ["seeds", "n", "runs", "scale", "command", "cost"]
    return pd.DataFrame(rows, columns=columns)


def _alike(run: Run, wanted: Run, state: str) -> bool:
    ignored = ("seed", *(_TRAINING if state == "untrained" else ()))
    return all(getattr(run, k) == v for k, v in wanted.to_dict().items() if k not in ignored)


def _missing(wanted: Run, state: str) -> dict[str, str]:
    if state == "trained":
        return {"command": gaps.command(wanted), "cost": gaps.time_text(wanted)}
    call = gaps.command(wanted).replace("snnpaper train", "snnpaper measure untrained")
    return {"command": call, "cost": "under a minute"}


@functools.cache
def _live(run: Run) -> dict[str, float]:
    return live_share(build(run), TABLE[run.dataset].shape)


def weights(trails: bool = True) -> pd.DataFrame:
    """One row a trained network: cell, seed, density of the input gradient and of the live weights' gradient.

    Networks on `tables.OURS` are left out.
    Eval mode, exact zero; by data set, cell and variant, pools in the table's order. `input` is over the images of the
    "sparsity" record; `weights` over those of the "trail" record where there is one (n_weights of 256), else, and
    for every network when not `trails`, of the "sparsity" record (32). "all weights" also counts the weights that
    meet padding only, and `live` is the share of the others.
    """
    rows = []
    trail = {r["name"]: r["results"] for r in ledger.records("trail")} if trails else {}
    for record in ledger.records("sparsity"):
        run, r = Run.from_dict(record["config"]), record["results"]
        if run.dataset in OURS:
            continue
        layers, n = r["weight_eval"], r["weight_n"]
        if run.name in trail:
            layers, n = trail[run.name]["weight_eval"], trail[run.name]["n"]
        live = _live(run.but(seed=0))
        total = sum(x["size"] for x in layers)
        reached = sum(x["size"] * live[x["layer"]] for x in layers)
        alive = sum(x["size"] * x["0_mean"] for x in layers)
        (first,) = (x for x in layers if x["layer"] == "conv1.weight")
        (at,) = (x for x in r["activation_eval"] if x["layer"] == "input")
        found = {"input": at["0_mean"], "conv1": first["0_mean"], "weights": alive / reached,
                 "all weights": alive / total, "live": reached / total, "n_weights": n}  # fmt: skip
        rows.append({"run": run.name, **cell(run), "seed": run.seed, "n": r["activation_n"]} | found)
    table = pd.DataFrame(rows, columns=["run", *CELL, "seed", "n", *_WEIGHTS])
    order = pools.ordered(table["pool"])
    by = [*CELL, "seed"]
    return table.sort_values(by, key=lambda c: c.map(order.index) if c.name == "pool" else c, ignore_index=True)


def locate(target: float, found: pd.DataFrame) -> pd.DataFrame:
    """Every reading we can think of of "sparsity falls by `target` per cent when max becomes average".

    Columns: where, mode, threshold, state, quantity, value (per cent or points), off (value - target), ordered
    by distance. Places: each layer, the pool's input and output together, the stem, and all layers. Quantities:
    points of density, and sparsity relative to max pooling's. `found` is one cell with both pools.
    """
    groups = {"pool, input and output": ["sn1", "maxpool"], "whole stem": list(STEM), "stem and stages": list(BACKWARD)}
    rows = []
    for (state, mode), part in found.groupby(["state", "mode"], sort=False):
        layers = list(dict.fromkeys(part["layer"]))
        places = {x: part["layer"] == x for x in layers}
        places |= {name: part["place"].isin(members) for name, members in groups.items()}
        if state == "trained":
            places["all layers"] = part["layer"] != ""
        for (name, rule), threshold in itertools.product(places.items(), THRESHOLDS):
            at = part[rule].groupby("pool")[threshold].mean()
            head = {"where": name, "mode": mode, "threshold": threshold, "state": state}
            points = 100 * (at[PAIR[1]] - at[PAIR[0]])
            rows.append(head | {"quantity": "points", "value": points})
            if (dense := at[PAIR[0]]) < 1 - 1e-9:
                rows.append(head | {"quantity": f"relative to {PAIR[0]}'s sparsity", "value": points / (1 - dense)})
            rows.append(head | {"quantity": f"relative to {PAIR[1]}'s density", "value": points / at[PAIR[1]]})
    table = pd.DataFrame(rows)
    table["off"] = table["value"] - target
    return table.sort_values("off", key=abs, kind="stable", ignore_index=True)


def percent(mean: float, half: float) -> str:
    """ "23.6 ± 0.4": a density in per cent with its interval, when there is one; two digits close to 100."""
    if math.isnan(mean):
        return ""
    digits = 2 if 0.99 < mean < 1 else 1
    return f"{100 * mean:.{digits}f}" + ("" if math.isnan(half) else f" ± {100 * half:.{digits}f}")
