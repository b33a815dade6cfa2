"""The tables of chapter 2 as rows: counterexamples, and what the "theory" records say of each network."""

from __future__ import annotations

import statistics

from ...measure.stem import PLACES
from ...theory import examples


def counterexamples(theorem: str) -> list[dict]:
    """Dropped assumption, claim and both sides of every counterexample to a theorem ("4.1", "4.2", "4.4").

    Raises AssertionError if a claim turns out true, or if its guard lets the case pass.
    """
    rows = []
    for found in (example() for example in examples.ALL):
        if found.theorem == theorem:
            assert found.violated and _refused(found), found.dropped
            rows.append({"dropped": found.dropped, "claim": found.claim, "left": found.left, "right": found.right})
    return rows


def _refused(found: examples.Counterexample) -> bool:
    try:
        found.guard()
    except ValueError:
        return True
    return False


def network(record: dict) -> str:
    """How the tables name a network: max, width 16, seed 0."""
    c = record["config"]
    return f"{c['pool']}, width {c['width']}, seed {c['seed']}"


def ratios(record: dict, space: str, eps: float) -> dict:
    """Medians over images of one network in one space at the recorded radius nearest to eps; shares in percent."""
    r = record["results"]
    i = min(range(len(r["eps"])), key=lambda i: abs(r["eps"][i] - eps))
    x = r[space]
    return {
        "network": network(record),
        "3 L0": 3 * statistics.median(x["l0"]),
        "effective": statistics.median(x["effective"]),
        "linear ratio": x["ratio linear"][i][1],
        "measured ratio": x["ratio"][i][1] if x["ratio"][i] else float("nan"),
        "refuted (%)": 100 * x["shares"]["refuted"][i],
        "not judged (%)": 100 * x["shares"]["only rand zero"][i],
        "> linear (%)": 100 * x["shares"]["beyond linear"][i],
    }


def densities(record: dict) -> dict:
    """Non-zero share of the gradient along the stem, backwards, and of tied windows: percent, mean over images."""
    stem = record["results"]["stem"]
    row = {f"{place} (%)": 100 * stem[f"density, {place}"][1] for place in PLACES[::-1]}
    row |= {"train mode (%)": 100 * stem["density, conv1 out, train mode"][1]}
    return {"network": network(record)} | row | {"ties (%)": 100 * stem["windows tied"][1]}


def rows_of_44(record: dict) -> dict:
    """Both sides of Theorem 4.4, mean over images and unrolled rows of conv1, and how many rows it constrains."""
    stem = record["results"]["stem"]
    return {
        "network": network(record),
        "left": stem["row left"][1],
        "right, own": stem["row right"][1],
        "right, unrolled": stem["unrolled right"][1],
        "right < 1 (%)": 100 * stem["rows informative"][1],
    }
