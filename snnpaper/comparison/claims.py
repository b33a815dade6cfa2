"""The paper's claims that carry no number of their own, each as one measured quantity with a rule.

A claim says that a difference is positive; `verdicts.sign_verdict` is the rule. The quantities are fractions
where they are accuracies or densities, and are shown in points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from .. import ledger, tables
from ..stats import over_seeds
from ..trail import densities
from .verdicts import sign_verdict

_COLUMNS = ["claim", "quantity", "ours", "direction here", "where", "seeds", "images", "scale", "verdict", "runs"]


def claims(root: Path | None = None) -> pd.DataFrame:
    """One row a claim: quantity, ours ± interval over seeds, what the sign is here, seeds, images, verdict, runs."""
    found, acc, learned = densities.frame(root), tables.accuracies(root), tables.training(root)
    eight = acc[(acc["eps"] == 8) | (acc["space"] == "clean")]
    rows = [
        *_sparsity_claims(found, root),
        *_pool_claims(found, eight, learned),
        *_depth_claims(eight),
        *_theorem_claims(root),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _row(claim: str, quantity: str, pairs: Iterable[float], where: str, n, scale: str, runs: Iterable[str]) -> dict:
    """`pairs` holds one difference a seed, positive if the claim is right."""
    values, runs = list(pairs), sorted(set(runs))
    head = {"claim": claim, "quantity": quantity, "where": where}
    if not values:
        return head | {
            "where": "",
            "ours": "not measured",
            "seeds": 0,
            "images": "",
            "scale": "",
            "verdict": "",
            "runs": [],
        }
    mean, half = over_seeds(values)
    digits = 2 if abs(100 * mean) < 1 else 1
    ours = f"{100 * mean:+.{digits}f}" + ("" if math.isnan(half) else f" ± {100 * half:.{digits}f}")
    word = sign_verdict(mean, half, len(values), scale)
    return head | {"ours": ours, "direction here": direction(mean, half), "seeds": len(values), "images": n,
                   "scale": scale, "verdict": word, "runs": runs}  # fmt: skip


def direction(mean: float, half: float) -> str:
    """What a difference looks like at our scale, whatever that is worth for the paper."""
    if math.isnan(half):
        return "too few seeds"
    return "as claimed" if mean > half else "opposite" if mean < -half else "not resolved"


# ---- what makes gradients sparse ---------------------------------------------------------------------

_MORE_SPARSE = (
    ("Gradients of spiking networks are naturally sparse", "natural", "IF, ATan surrogate", "ReLU twin"),
    ("Residual coupling amplifies the sparsity", "residual", "SEW skip", "no skip"),
    ("The sparsity belongs to temporally coded networks", "temporal", "phase, T = 10", "direct"),
)


def _sparsity_claims(found: pd.DataFrame, root: Path | None) -> list[dict]:
    """Sparsity of the input gradient, and of conv1's output, of one setting minus another, paired by seed.

    Trained networks where both settings are recorded, else untrained ones.
    """
    rows = []
    for claim, question, more, less in _MORE_SPARSE:
        table = densities.ablation(question, found, root).set_index(["setting", "state"])
        for place, name in (("input", "the input gradient"), ("conv1", "conv1's output")):
            row = None
            for state in ("trained", "untrained"):
                sets = [table.loc[(setting, state)] for setting in (more, less)]
                runs = [{r for names in s["runs"] for r in names} for s in sets]
                at = found[(found["place"] == place) & (found["mode"] == "eval") & (found["state"] == state)]
                one, other = (at[at["run"].isin(r)].set_index(["pool", "seed"])["0"] for r in runs)
                pairs = (other - one).dropna()  # less dense is more sparse
                if row is None or (row["ours"] == "not measured" and len(pairs)):
                    used = at[at["run"].isin(runs[0] | runs[1])]
                    label = f"sparsity at {name}, {more} minus {less}"
                    per_seed = pairs.groupby("seed").mean()
                    scale = "reduced" if state == "trained" else "untrained"
                    n = used["n"].min() if len(used) else ""
                    row = _row(
                        claim, label, per_seed, f"CIFAR-10, width 16, {state}, both pools", n, scale, used["run"]
                    )
            rows.append(row)
    return rows


# ---- what the pool does ------------------------------------------------------------------------------


def _by_cell(frame: pd.DataFrame, column: str, sign: int) -> Iterable[tuple[dict, pd.Series, list[str]]]:
    """Per cell: its columns, sign * (max - avg) of `column` by seed, and the runs."""
    keys = [k for k in tables.CELL if k != "pool"] + ["n"]
    for values, part in frame.groupby(keys, sort=False):
        if len(pairs := tables.by_seed(part, column)):
            yield dict(zip(keys, values, strict=True)), sign * pairs, sorted(part["run"])


def _where(c: dict) -> str:
    return f"{tables.DATA[c['dataset']]}, {tables.network_text(c)}"


def _pool_claims(found: pd.DataFrame, acc: pd.DataFrame, learned: pd.DataFrame) -> list[dict]:
    at_input = found[(found["state"] == "trained") & (found["mode"] == "eval") & (found["place"] == "input")]
    pgd = acc[acc["method"] == "pgd"]
    gap = learned.assign(gap=learned["train"] - learned["test"])
    cases = [
        ("Max pooling makes the input gradient sparser", "sparsity at the input, max minus avg", at_input, "0", -1),
        *(
            ("A sparser gradient is harder to attack",
             f"PGD-7 8/255, {space} space, {protocol} protocol, max minus avg",
             pgd[(pgd["space"] == space) & (pgd["protocol"] == protocol)], "accuracy", 1)
            for space, protocol in (("spike", "published"), ("spike", "sound"), ("pixel", "sound"))
        ),
        ("A sparser gradient generalises worse", "test accuracy, avg minus max", learned, "test", -1),
        ("A sparser gradient generalises worse", "gap between train and test accuracy, max minus avg", gap, "gap", 1),
    ]  # fmt: skip
    rows = []
    for claim, quantity, frame, column, sign in cases:
        cells = list(_by_cell(tables.published(frame), column, sign))
        rows += [
            _row(
                claim, quantity, pairs, f"{tables.DATA[c['dataset']]}, {tables.network_text(c)}", c["n"], c["scale"], r
            )
            for c, pairs, r in cells
        ] or [_row(claim, quantity, [], "", "", "", [])]
    return rows


def _depth_claims(acc: pd.DataFrame) -> list[dict]:
    """50 against 18 layers, everything else alike, both pools together, paired by pool and seed."""
    rows, here = [], tables.published(acc)
    spike = (here["space"] == "spike") & (here["method"] == "pgd") & (here["protocol"] == "sound")
    for quantity, part, sign in (
        ("PGD-7 8/255, spike space, sound protocol, 50 minus 18 layers", here[spike], 1),
        ("clean accuracy, 18 minus 50 layers", here[here["space"] == "clean"], -1),
    ):
        claim = "Depth: more robust, less accurate"
        keys = [k for k in tables.CELL if k not in ("label", "pool")]
        cells = []
        for values, p in part.groupby(keys, sort=False):
            one = {label: q.set_index(["pool", "seed"])["accuracy"] for label, q in p.groupby("label")}
            if {"SEW-ResNet-18", "SEW-ResNet-50"} <= set(one):
                pairs = (sign * (one["SEW-ResNet-50"] - one["SEW-ResNet-18"])).dropna()
                c = dict(zip(keys, values, strict=True)) | {"label": "SEW-ResNet-50 and 18"}
                used = p.loc[p["label"].isin(["SEW-ResNet-18", "SEW-ResNet-50"]), "run"]
                per_seed = pairs.groupby("seed").mean()
                cells.append(_row(claim, quantity, per_seed, _where(c), p["n"].min(), c["scale"], used))
        rows += cells or [_row(claim, quantity, [], "", "", "", [])]
    return rows


# ---- theorems, failures ------------------------------------------------------------------------------


def _theorem_claims(root: Path | None) -> list[dict]:
    """Share of images on which Theorem 4.1's upper bound is refuted at some radius, in each threat space."""
    rows, found = [], ledger.records("theory", root)
    for space in ("spike, free", "spike", "pixel"):
        shares = [max(r["results"][space]["shares"]["refuted"]) for r in found]
        claim, quantity = "Theorem 4.1: the ratio is at most 3 times L0", f"images that refute it at some eps, {space}"
        if not shares:
            rows.append(_row(claim, quantity, [], "", "", "", []))
            continue
        ours = f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %"
        scale = " and ".join(sorted({r["scale"] for r in found}))
        rows.append({
            "claim": claim, "quantity": quantity, "ours": ours, "where": f"{len(found)} networks, each on its own",
            "direction here": "opposite" if max(shares) > 0 else "as claimed",
            "seeds": len({r["config"]["seed"] for r in found}),
            "images": found[0]["results"]["n"], "scale": scale, "verdict": "see the chapter on the theorems",
            "runs": sorted(r["name"] for r in found),
        })  # fmt: skip
    return rows


def failures(root: Path | None = None) -> pd.DataFrame:
    """The paper's failure marks on every recorded network of the published kind, worst first seen by seed.

    "below 50 % on CIFAR-100" (clean test accuracy), "more than 70 % lost under PGD" (share of the clean accuracy
    lost at eps 8/255, per protocol), "norms collapse" (mean norm of the input gradient below a hundredth of
    that of the untrained network of the same shape). Columns: mark, quantity, where, value, raised, seeds, runs.
    """
    acc, found = tables.published(tables.accuracies(root)), densities.frame(root)
    rows = []
    for c, part in _cells(acc[acc["space"] == "clean"]):
        if c["dataset"] == "cifar100":
            rows.append(
                _mark("below 50 % on CIFAR-100", "clean accuracy (%)", c, part, 100 * part["accuracy"], below=50)
            )
    if not rows:
        rows.append(_mark("below 50 % on CIFAR-100", "clean accuracy (%)", None, acc[:0], [], below=50))
    clean = acc[acc["space"] == "clean"].set_index("run")["accuracy"]
    for (space, protocol), attacked in acc[(acc["method"] == "pgd") & (acc["eps"] == 8)].groupby(["space", "protocol"]):
        for c, part in _cells(attacked):
            lost = 100 * (1 - part["accuracy"].to_numpy() / clean[part["run"]].to_numpy())
            what = f"share of the clean accuracy lost (%), {space} space, {protocol} protocol"
            rows.append(_mark("more than 70 % lost under PGD", what, c, part, lost, above=70))
    at = found[(found["place"] == "input") & (found["mode"] == "eval")]
    before = at[at["state"] == "untrained"].groupby(["dataset", "label", "width", "variant", "pool"])["norm"].mean()
    for c, part in _cells(tables.published(at[at["state"] == "trained"])):
        key = tuple(c[k] for k in ("dataset", "label", "width", "variant", "pool"))
        if key in before:
            ratio = part["norm"] / before[key]
            rows.append(_mark("gradient norms collapse", "norm, trained over untrained", c, part, ratio, below=0.01))
    return pd.DataFrame(rows)


def _cells(frame: pd.DataFrame) -> Iterable[tuple[dict, pd.DataFrame]]:
    for values, part in frame.groupby(tables.CELL, sort=False):
        yield dict(zip(tables.CELL, values, strict=True)), part


def _mark(mark, quantity, c, part, values, below=None, above=None) -> dict:
    values = list(values)
    if not values:
        return {"mark": mark, "quantity": quantity, "where": "", "value": "not measured", "raised": "", "seeds": 0,
                "reading": "", "runs": []}  # fmt: skip
    raised = sum(v < below if below is not None else v > above for v in values)
    where = f"{_where(c)}, {c['pool']} pooling"
    low, high = min(values), max(values)
    return {"mark": mark, "quantity": quantity, "where": where,
            "value": f"{low:.3g}" + (f" to {high:.3g}" if len(values) > 1 else ""),
            "raised": f"{raised} of {len(values)} networks", "seeds": len(values),
            "reading": tables.reading(c["scale"], len(values)), "runs": sorted(part["run"])}  # fmt: skip
