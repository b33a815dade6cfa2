"""The paper's claims that carry no number of their own, each as one measured quantity with a rule.

A claim says that a difference is positive; `verdicts.sign_verdict` is the rule. The quantities are fractions
where they are accuracies or densities, and are shown in points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ... import ledger
from ...attacks.standard import EVAL, TRAIN
from ...stats import FEW, over_seeds, over_seeds_and_images
from .. import tables, words
from ..attacks import tables as attacked
from ..theory import refutation
from ..trail import densities
from .verdicts import sign_verdict

Found = tuple[int, float, float] | None
_COLUMNS = ["claim", "quantity", "ours", "direction here", "where", "seeds", "images", "scale", "verdict", "runs"]


def claims() -> pd.DataFrame:
    """One row a claim: quantity, ours, what the sign is here, seeds, images, verdict, runs.

    ± is the 95 % interval over seeds (and images, where it is an accuracy), brackets that over images alone.
    """
    found, acc, learned = densities.frame(), tables.accuracies(), tables.training()
    eight = acc[(acc["eps"] == 8) | (acc["space"] == "clean")]
    rows = [
        *_sparsity_claims(found),
        *_pool_claims(found, eight, learned),
        *_worst_claims(),
        *_depth_claims(eight),
        *_theorem_claims(),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _row(claim: str, quantity: str, found: Found, where: str, n, scale: str, runs: Iterable[str]) -> dict:
    """`found` is None or the seeds, mean and half-width of a difference that is positive if the claim is right."""
    head = {"claim": claim, "quantity": quantity, "where": where}
    if not found:
        none = {"where": "", "seeds": 0, "images": "", "scale": "", "verdict": "", "runs": []}
        return head | {"ours": "not measured"} | none
    seeds, mean, half = found
    digits = 2 if abs(100 * mean) < 1 else 1
    ours = f"{100 * mean:+.{digits}f}"
    if not math.isnan(half):
        low, high = (f"{100 * (mean + side * half):.{digits}f}" for side in (-1, 1))
        ours += f" ± {100 * half:.{digits}f}" if seeds >= FEW else f" [{low}, {high}]"
    word = sign_verdict(mean, half, seeds, scale)
    return head | {"ours": ours, "direction here": direction(mean, half, seeds), "seeds": seeds, "images": n,
                   "scale": scale, "verdict": word, "runs": sorted(set(runs))}  # fmt: skip


def _over(pairs: pd.Series) -> Found:
    """What `_row` wants, from one difference a seed."""
    return (len(pairs), *over_seeds(pairs)) if len(pairs) else None


def direction(mean: float, half: float, seeds: int) -> str:
    """What a difference looks like at our scale, whatever that is worth for the paper."""
    if seeds < FEW:
        return "too few seeds"
    return "as claimed" if mean > half else "opposite" if mean < -half else "not resolved"


# ---- what makes gradients sparse ---------------------------------------------------------------------

_MORE_SPARSE = (
    ("Gradients of spiking networks are naturally sparse", "natural", "IF, ATan surrogate", "ReLU twin"),
    ("Our question: skips make it sparser", "residual", "SEW skip", "no skip"),
    ("Our question: temporal codes make it sparser", "temporal", "phase, T = 10", "direct"),
)


def _sparsity_claims(found: pd.DataFrame) -> list[dict]:
    """Sparsity of the input gradient, and of conv1's output, of one setting minus another, paired by seed.

    Trained networks where both settings are recorded, else untrained ones.
    """
    rows = []
    for claim, question, more, less in _MORE_SPARSE:
        table = densities.ablation(question, found).set_index(["setting", "state"])
        for place, name in (("input", "the input gradient"), ("conv1", "conv1's output")):
            row: dict = {}
            for state in ("trained", "untrained"):
                sets = [table.loc[(setting, state)] for setting in (more, less)]
                runs = [{r for names in s["runs"] for r in names} for s in sets]
                at = found[(found["place"] == place) & (found["mode"] == "eval") & (found["state"] == state)]
                one, other = (at[at["run"].isin(r)].set_index(["pool", "seed"])["0"] for r in runs)
                pairs = (other - one).dropna()  # less dense is more sparse
                if not row or (row["ours"] == "not measured" and len(pairs)):
                    used = at[at["run"].isin(runs[0] | runs[1])]
                    label = f"sparsity at {name}, {more} minus {less}"
                    per_seed = pairs.groupby("seed").mean()
                    scale = "reduced" if state == "trained" else "untrained"
                    n = used["n"].min() if len(used) else ""
                    row = _row(
                        claim, label, _over(per_seed), f"CIFAR-10, width 16, {state}, both pools", n, scale, used["run"]
                    )
            rows.append(row)
    return rows


# ---- what the pool does ------------------------------------------------------------------------------


def _by_cell(frame: pd.DataFrame, column: str, sign: int) -> Iterable[tuple[dict, Found, list[str]]]:
    """Per cell: its columns, sign * (max - avg) of `column` over its seeds, and the runs."""
    keys = [*tables.COMMON, "n"]
    for values, part in frame.groupby(keys, sort=False):
        if found := _over(sign * tables.by_seed(part, column)):
            yield dict(zip(keys, values, strict=True)), found, sorted(tables.of(part)["run"])


def _attacked(acc: pd.DataFrame, sign: int = 1) -> Iterable[tuple[dict, Found, list[str]]]:
    """The same of accuracy, from `tables.accuracies` rows of one attack: over seeds and images."""
    for d in tables.contrast(acc).to_dict("records"):
        yield d, (d["seeds"], sign * d["difference"], d["half"]), d["runs"]


_HARDER, _WORSE = "Max pooling, with its sparser gradient, is harder to attack", "... and generalises worse"


def _pool_claims(found: pd.DataFrame, acc: pd.DataFrame, learned: pd.DataFrame) -> list[dict]:
    at_input = found[(found["state"] == "trained") & (found["mode"] == "eval") & (found["place"] == "input")]
    gap, here = tables.published(learned.assign(gap=learned["train"] - learned["test"])), tables.published(acc)
    pgd = here["method"] == "pgd"
    sparser = _by_cell(tables.published(at_input), "0", -1)
    cases = [("Max pooling makes the input gradient sparser", "sparsity at the input, max minus avg", sparser)]
    for space, protocol in (("spike", TRAIN), ("spike", EVAL), ("pixel", EVAL)):
        part = here[pgd & (here["space"] == space) & (here["protocol"] == protocol)]
        cases.append((_HARDER, f"{tables.PGD} 8/255, {space} space, {protocol}, max minus avg", _attacked(part)))
    cases += [
        (_WORSE, "test accuracy, avg minus max", _attacked(here[here["space"] == "clean"], -1)),
        (_WORSE, "gap between train and test accuracy, max minus avg", _by_cell(gap, "gap", 1)),
    ]
    rows = []
    for claim, quantity, cells in cases:
        rows += [_row(claim, quantity, one, words.where(c), c["n"], c["scale"], runs) for c, one, runs in cells] or [
            _row(claim, quantity, None, "", "", "", [])
        ]
    return rows


def _worst_claims() -> list[dict]:
    """The same in the worst case of all attacks of chapter 6, on the one cell that it attacks."""
    battery = attacked.rows()
    best = attacked.paired(battery[battery["attack"] == attacked.WORST])
    curves = attacked.advantage_on_curves(attacked.curves())
    runs = {"battery": set(battery["run"]), "curve": set(attacked.curves()["run"])}
    cases = [("worst case of all attacks, {space} space, {eps:g}/255", d) for d in best.to_dict("records")]
    cases += [("{space}, radius {eps:g}", d) for d in curves.to_dict("records")]
    where = words.where(tables.cell(attacked.SHOWN))
    rows = []
    for text, d in cases:
        found = (d["seeds"], d["difference"], d["half"])
        used = runs["curve" if d["attack"] == "curve" else "battery"]
        quantity = text.format(**d) + ", max minus avg"
        rows.append(_row(_HARDER, quantity, found, where, d["n"], attacked.SHOWN.scale, used))
    return rows or [_row(_HARDER, "worst case of all attacks, max minus avg", None, "", "", "", [])]


def _depth_claims(acc: pd.DataFrame) -> list[dict]:
    """50 against 18 layers, everything else alike, both pools together, paired by pool, seed and image."""
    rows, here = [], tables.published(acc)
    spike = (here["space"] == "spike") & (here["method"] == "pgd") & (here["protocol"] == EVAL)
    for quantity, part, sign in (
        (f"{tables.PGD} 8/255, spike space, {EVAL}, 50 minus 18 layers", here[spike], 1),
        ("clean accuracy, 18 minus 50 layers", here[here["space"] == "clean"], -1),
    ):
        claim = "Depth: more robust, less accurate"
        keys = [k for k in tables.CELL if k not in ("label", "pool")]
        cells = []
        for values, p in part.groupby(keys, sort=False):
            used = p[p["label"].isin(["SEW-ResNet-18", "SEW-ResNet-50"]) & p["pool"].isin(tables.PAIR)]
            hits = used.pivot(index="seed", columns=["label", "pool"], values="correct").dropna()
            if len(hits) and len(hits.columns) == 4:  # both depths with both pools, each image paired
                deep, shallow = (_summed(hits[f"SEW-ResNet-{n}"]) for n in (50, 18))
                c = dict(zip(keys, values, strict=True)) | {"label": "SEW-ResNet-50 and 18"}
                apart = (len(hits), *over_seeds_and_images(sign * (deep - shallow) / len(tables.PAIR)))
                cells.append(_row(claim, quantity, apart, words.where(c), p["n"].min(), c["scale"], used["run"]))
        rows += cells or [_row(claim, quantity, None, "", "", "", [])]
    return rows


def _summed(hits: pd.DataFrame) -> np.ndarray:
    """Of a row a seed and a column a pool, each holding bools by image: how many pools are right, [seeds, images]."""
    return np.stack([sum(np.asarray(one, dtype=int) for one in row) for row in hits.to_numpy()])


# ---- theorems --------------------------------------------------------------------------------------


def _theorem_claims() -> list[dict]:
    """Share of images on which Theorem 4.1's upper bound is refuted, in each threat space, and at which radius.

    A bound that no image refutes is not shown to hold, least of all where no image could be judged.
    """
    found, claim = ledger.records("theory"), "Theorem 4.1: the ratio is at most 3 times L0"
    rows = []
    for space in refutation.by_space(found).to_dict("records"):
        ours = f"{100 * space['refuted']:.0f} %"
        ours += f" at {refutation.radius(space['refuted_eps'])}" if space["refuted"] else ""
        ours += f"; not judged: up to {100 * space['not_judged']:.0f} %"
        rows.append({
            "claim": claim, "quantity": f"images that refute it at some eps, {refutation.SPACES[space['space']]}",
            "ours": ours, "where": f"{len(found)} networks, the largest share of any",
            "direction here": "opposite" if space["refuted"] else "not refuted",
            "seeds": len({r["config"]["seed"] for r in found}), "images": space["images"],
            "scale": " and ".join(sorted({r["scale"] for r in found})), "verdict": "see the chapter on the theorems",
            "runs": sorted(r["name"] for r in found),
        })  # fmt: skip
    return rows or [_row(claim, "images that refute it at some eps", None, "", "", "", [])]
