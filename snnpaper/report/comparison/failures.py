"""The paper's marks of failure on our networks: underfitting, robustness that is lost, gradients that collapse."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ...nets import pools
from .. import tables, words
from ..trail import densities


def failures() -> pd.DataFrame:
    """The paper's failure marks on every recorded network of the published kind, worst first seen by seed.

    "below 50 % on CIFAR-100" (clean test accuracy), "more than 70 % lost under PGD" (share of the clean accuracy
    lost at eps 8/255, per protocol), "norms collapse" (mean norm of the input gradient below a hundredth of
    that of the untrained network of the same shape). Columns: mark, quantity, where, value, raised, seeds, runs.
    """
    acc, found = tables.published(tables.accuracies()), densities.frame()
    rows = []
    for c, part in _cells(acc[acc["space"] == "clean"]):
        if c["dataset"] == "cifar100":
            rows.append(
                _mark("below 50 % on CIFAR-100", "clean accuracy (%)", c, part, 100 * part["accuracy"], below=50)
            )
    if not rows:
        rows.append(_mark("below 50 % on CIFAR-100", "clean accuracy (%)", None, acc[:0], [], below=50))
    clean = acc[acc["space"] == "clean"].set_index("run")["correct"]
    for (space, protocol), under in acc[(acc["method"] == "pgd") & (acc["eps"] == 8)].groupby(["space", "protocol"]):
        for c, part in _cells(under):
            before = [clean[r["run"]][: r["n"]].mean() for _, r in part.iterrows()]  # the attacked images are the first
            lost = 100 * (1 - part["accuracy"].to_numpy() / before)
            what = f"share of the clean accuracy lost (%), {space} space, {protocol}"
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
    where = f"{words.where(c)}, {pools.find(c['pool']).label}"
    low, high = min(values), max(values)
    return {"mark": mark, "quantity": quantity, "where": where,
            "value": f"{low:.3g}" + (f" to {high:.3g}" if len(values) > 1 else ""),
            "raised": f"{raised} of {len(values)} networks", "seeds": len(values),
            "reading": words.reading(c["scale"], len(values)), "runs": sorted(part["run"])}  # fmt: skip
