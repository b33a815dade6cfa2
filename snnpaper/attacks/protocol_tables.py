"""Tables of chapter 6 beside the ensemble: the published protocol's habits, and other codes on digits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .. import ledger
from ..config import Run
from ..stats import over_seeds
from ..tables import by_seed, interval_text
from .tables import records


def ladder(root: Path | None = None) -> pd.DataFrame:
    """The published protocol's habits: per cent standing under each variant, mean over seeds, by pool."""
    found = []
    for record in records("protocol", root):
        run = Run.from_dict(record["config"])
        for v in record["results"]["variants"]:
            found.append({"variant": v["variant"], "pool": run.pool, "seed": run.seed, "accuracy": v["accuracy"]})
    frame, table = pd.DataFrame(found, columns=["variant", "pool", "seed", "accuracy"]), []
    for variant, part in frame.groupby("variant", sort=False):
        by = {pool: p.set_index("seed")["accuracy"] for pool, p in part.groupby("pool")}
        row = {"variant": variant} | {p: interval_text(*over_seeds(by[p])) if p in by else "" for p in ("max", "avg")}
        paired = by_seed(part, "accuracy")
        table.append(row | {"max − avg": interval_text(*over_seeds(paired)) if len(paired) else ""})
    return pd.DataFrame(table)


def iterates_text(found: pd.DataFrame) -> list[str]:
    """What counting only the last iterate does to the difference, from `ladder`; empty without both pools."""
    by = found.set_index("variant")["max − avg"]
    last, every = (next((v for k, v in by.items() if k.startswith(f"sound{how}")), "") for how in (":", ", any"))
    if not last:
        return []
    return [
        f"Spike space, 8/255, the same seven steps: max − avg is {last} points when only the last iterate counts, as "
        f"published, and {every} when any of them does."
    ]


def codings(root: Path | None = None) -> pd.DataFrame:
    """Accuracy (per cent) on digits under each attack, one column a code."""
    rows = [
        {"attack": a["attack"], "code": r["config"]["coding"], "accuracy": f"{100 * a['accuracy']:.0f}"}
        for r in ledger.records("codings", root)
        for a in r["results"]["attacks"]
    ]
    frame = pd.DataFrame(rows, columns=["attack", "code", "accuracy"])
    order = list(dict.fromkeys(frame["attack"]))
    return frame.pivot(index="attack", columns="code", values="accuracy").reindex(order).fillna("")
