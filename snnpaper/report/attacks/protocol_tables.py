"""Tables of chapter 6 beside the ensemble: the published protocol's habits, and other codes on digits."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ... import ledger
from ...attacks.settings import Settings
from ...attacks.standard import EVAL
from ...config import Run
from ...measure.protocol import STEPS
from ...stats import over_seeds
from ..tables import PAIR, by_seed
from ..words import interval_text, minus, seeds_text
from . import tables
from .tables import records

LAST = f"{EVAL}: judged with the trained statistics, the last iterate counts"
ANY = f"{EVAL}, any of the seven iterates counts"


def variant(row: dict) -> str:
    """The name of a row of a "protocol" record: what it changes of one of the two ends."""
    if row["training"]:
        statistics = "adapted" if row["adapted"] else "trained"
        text = f"gradient in train mode, judged with the {statistics} statistics"
        return f"published: {text}" if row["adapted"] else text
    if row["iterate"] == "any":
        return ANY
    if not row["box"]:
        return f"{EVAL}, entries may leave [0,1]"
    return f"{EVAL}, planes 9 and 10 follow 1 and 2" if row["copies"] else LAST


def ladder() -> pd.DataFrame:
    """The published protocol's habits: per cent robust under each variant, mean over seeds, by pool."""
    found = []
    for record in records("protocol"):
        run = Run.from_dict(record["config"])
        for v in record["results"]["variants"]:
            found.append({"variant": variant(v), "pool": run.pool, "seed": run.seed, "accuracy": v["accuracy"]})
    frame, table = pd.DataFrame(found, columns=["variant", "pool", "seed", "accuracy"]), []
    for name, part in frame.groupby("variant", sort=False):
        by = {pool: p.set_index("seed")["accuracy"] for pool, p in part.groupby("pool")}
        row = {"variant": name} | {p: interval_text(*over_seeds(by[p])) if p in by else "" for p in PAIR}
        paired = by_seed(part, "accuracy")
        table.append(row | {minus(): interval_text(*over_seeds(paired)) if len(paired) else ""})
    return pd.DataFrame(table)


def iterates_text() -> list[str]:
    """What counting only the last iterate does to max - avg, where both are recorded of both pools; else empty."""
    frame = _habits()
    found = tables.paired(frame[frame["attack"].isin([LAST, ANY])])
    if len(found) < 2:
        return []
    by = tables.advantage_text(found).set_index("attack")
    n, seeds, eps = found["n"].iloc[0], found["seeds"].iloc[0], found["eps"].iloc[0]
    return [
        f"Spike space, {eps:g}/255, PGD-{STEPS} with the gradient of the network in eval "
        f"mode: {minus()} is {by.loc[LAST, minus()]} points when only the last iterate counts and "
        f"{by.loc[ANY, minus()]} when any does ({n} images, {seeds_text(seeds)})."
    ]


def _habits() -> pd.DataFrame:
    """One row a network and variant, as `tables.paired` wants them."""
    found = []
    for record in records("protocol"):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"pool": run.pool, "seed": run.seed, "space": "spike", "eps": 255 * record["results"]["eps"]}
        for v in record["results"]["variants"]:
            found.append(head | {"attack": variant(v), "correct": ledger.unpack(v["correct"], n)})
    return pd.DataFrame(found, columns=["pool", "seed", "space", "eps", "attack", "correct"])


def codings() -> pd.DataFrame:
    """Accuracy (per cent) on digits under each attack, one column a code."""
    rows = [
        {"attack": _named(a, r), "code": r["config"]["coding"], "accuracy": f"{100 * a['accuracy']:.0f}"}
        for r in ledger.records("codings")
        for a in r["results"]["attacks"]
    ]
    frame = pd.DataFrame(rows, columns=["attack", "code", "accuracy"])
    order = list(dict.fromkeys(frame["attack"]))
    return frame.pivot(index="attack", columns="code", values="accuracy").reindex(order).fillna("")


def codings_setting() -> str:
    """Of how many digits `codings` is, and at which radius; empty without records."""
    found = {(r["results"]["n"], r["results"]["eps"]) for r in ledger.records("codings")}
    return "; ".join(f"per cent of {n} digits, at {255 * eps:g}/255." for n, eps in sorted(found))


def _named(row: dict, record: dict) -> str:
    settings = Settings.of(row, record["results"]["own"])
    if record["config"]["coding"] != "rate" or settings.algorithm == "clean":
        return settings.name
    return f"{replace(settings, bpda=None).name}, " + ("fixed spikes" if row["fixed"] else f"EOT {row['samples']}")


def samples_text() -> str:
    """Whether more EOT samples still lower the rate code's accuracy; empty without its record."""
    for r in ledger.records("codings"):
        attacks = [a for a in r["results"]["attacks"] if r["config"]["coding"] == "rate" and a["algorithm"] == "PGD"]
        eot = {str(a["samples"]): 100 * a["accuracy"] for a in attacks if not a["fixed"]}
        if len(eot) > 1:
            *_, before, last = eot.values()
            end = "still falling, so not converged" if last < before else "no longer falling"
            left = ", ".join(f"{v:.0f}" for v in eot.values())
            text = f"Rate code, {', '.join(eot)} samples a gradient: {left} % survive, {end}."
            fixed = next((100 * a["accuracy"] for a in attacks if a["fixed"]), None)
            return text + ("" if fixed is None else f" With the draw known: {fixed:.0f} %.")
    return ""
