"""Tables of chapter 6 beside the ensemble: the published protocol's habits, and other codes on digits."""

from __future__ import annotations

import pandas as pd

from ... import ledger
from ...config import Run
from ...measure import protocol
from ...stats import over_seeds
from ..tables import PAIR, by_seed, interval_text, minus
from . import tables
from .tables import records


def ladder() -> pd.DataFrame:
    """The published protocol's habits: per cent standing under each variant, mean over seeds, by pool."""
    found = []
    for record in records("protocol"):
        run = Run.from_dict(record["config"])
        for v in record["results"]["variants"]:
            found.append({"variant": v["variant"], "pool": run.pool, "seed": run.seed, "accuracy": v["accuracy"]})
    frame, table = pd.DataFrame(found, columns=["variant", "pool", "seed", "accuracy"]), []
    for variant, part in frame.groupby("variant", sort=False):
        by = {pool: p.set_index("seed")["accuracy"] for pool, p in part.groupby("pool")}
        row = {"variant": variant} | {p: interval_text(*over_seeds(by[p])) if p in by else "" for p in PAIR}
        paired = by_seed(part, "accuracy")
        table.append(row | {minus(): interval_text(*over_seeds(paired)) if len(paired) else ""})
    return pd.DataFrame(table)


def iterates_text() -> list[str]:
    """What counting only the last iterate does to max - avg, where both are recorded of both pools; else empty."""
    frame = _habits()
    found = tables.paired(frame[frame["attack"].isin([protocol.LAST, protocol.ANY])])
    if len(found) < 2:
        return []
    by = tables.advantage_text(found).set_index("attack")
    n, seeds = found["n"].iloc[0], found["seeds"].iloc[0]
    return [
        f"Spike space, {255 * protocol.EPS:g}/255, PGD-{protocol.STEPS} with the gradient of the network in eval "
        f"mode: {minus()} is {by.loc[protocol.LAST, minus()]} points when only the last iterate counts and "
        f"{by.loc[protocol.ANY, minus()]} when any does ({n} images, {seeds} seed{'s' * int(seeds > 1)})."
    ]


def _habits() -> pd.DataFrame:
    """One row a network and variant, as `tables.paired` wants them."""
    found = []
    for record in records("protocol"):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"pool": run.pool, "seed": run.seed, "space": "spike", "eps": 255 * protocol.EPS}
        for v in record["results"]["variants"]:
            found.append(head | {"attack": v["variant"], "correct": ledger.unpack(v["correct"], n)})
    return pd.DataFrame(found, columns=["pool", "seed", "space", "eps", "attack", "correct"])


def codings() -> pd.DataFrame:
    """Accuracy (per cent) on digits under each attack, one column a code."""
    rows = [
        {"attack": a["attack"], "code": r["config"]["coding"], "accuracy": f"{100 * a['accuracy']:.0f}"}
        for r in ledger.records("codings")
        for a in r["results"]["attacks"]
    ]
    frame = pd.DataFrame(rows, columns=["attack", "code", "accuracy"])
    order = list(dict.fromkeys(frame["attack"]))
    return frame.pivot(index="attack", columns="code", values="accuracy").reindex(order).fillna("")


def samples_text() -> str:
    """Whether more EOT samples still lower the rate code's accuracy; empty without its record."""
    for r in ledger.records("codings"):
        by = {a["attack"]: 100 * a["accuracy"] for a in r["results"]["attacks"]}
        eot = {k.removeprefix("PGD-20, EOT "): v for k, v in by.items() if ", EOT " in k}
        if len(eot) > 1:
            *_, before, last = eot.values()
            end = "still falling, so not converged" if last < before else "no longer falling"
            stand = ", ".join(f"{v:.0f}" for v in eot.values())
            text = f"Rate code, {', '.join(eot)} samples a gradient: {stand} % stand, {end}."
            fixed = by.get("PGD-20, fixed spikes")
            return text + ("" if fixed is None else f" With the draw known: {fixed:.0f} %.")
    return ""
