"""The tables of the checks in chapter 6: pure functions from the "attacks" records to data frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import pandas as pd

from ...audit.evidence import slack
from ...measure.attacks import CHECKED
from .tables import records

WORDS = {True: "pass", False: "FAIL", None: "–"}


def reports() -> Iterator[tuple[str, str, dict]]:
    """Network, column heading (space, radius, gradient) and the report of `audit.checks`, for all that were made."""
    for record in records("attacks"):
        for b in record["results"]["batteries"]:
            for twin, report in b["checks"].items():
                gradient = f", {twin} twin" if b["space"] == "pixel" else ""
                yield record["name"], f"{b['space']} {255 * b['eps']:g}/255{gradient}", report


def checks() -> pd.DataFrame:
    """One row a check, one column a battery and gradient: how many networks pass, of how many.

    Before them, network by network: how many images were judged, and how many of these chance may move.
    """
    heads: dict[str, Callable[[int], int]] = {
        f"images: the correct ones of the first {CHECKED}": lambda n: n,
        "of these chance may move": slack,
    }
    rows = [{"": name} | _listed(_of_n(f)) for name, f in heads.items()]
    table = _count(lambda report: [(c["name"], c["passed"]) for c in report["checks"]])
    return pd.concat([pd.DataFrame(rows), table], ignore_index=True) if len(table) else table


def _of_n(f: Callable[[int], int]) -> Callable[[dict], int]:
    return lambda report: f(report["n"])


def signs() -> pd.DataFrame:
    """One row a warning sign, one column a battery and gradient: in how many networks it is seen; then the verdicts.

    In brackets how many images show it, network by network, whether or not chance may move so many. The row before
    the verdicts counts the networks in which any sign is shown by one image or more.
    """
    table = _count(lambda report: list(report["signs"].items()))
    for i, name in enumerate(table[""] if len(table) else ()):
        for column, images in _listed(_images(name)).items():
            table.loc[i, column] += f" ({images})"
    if not len(table):
        return table
    strict = _count(lambda report: [("any sign, in one image or more", any(showing(report).values()))])
    verdicts = {"": "verdict"} | _listed(lambda report: report["verdict"])
    return pd.concat([table, strict, pd.DataFrame([verdicts])], ignore_index=True)


def _images(name: str) -> Callable[[dict], int]:
    return lambda report: showing(report)[name]


def showing(report: dict) -> dict[str, int]:
    """How many images show each warning sign, from the evidence of a report: the counts that the rules compare.

    Of "a larger radius does not help" it is the most that stand again at the next larger radius.
    """
    said = {c["name"]: c["evidence"] for c in report["checks"]}
    ((single, many),) = re.findall(r"^(\d+) stand after one step, (\d+) after", said["iterative beats single step"])
    beaten = {k: int(v) for k, v in re.findall(r"([^,;]+): (\d+)", said["white box beats black box"])}
    beaten = {k.strip(): v for k, v in beaten.items()}
    by_radius = [int(v) for v in re.findall(r"/255: (\d+)", said["larger radius"])]
    return {
        "one step beats many": max(0, int(many) - int(single)),
        "black box beats white box": max(v for k, v in beaten.items() if k != "random noise"),
        "unbounded attack does not reach 100 %": int(said["large radius reaches chance"].split()[0]),
        "random sampling finds what the attack does not": beaten["random noise"],
        "a larger radius does not help": max(0, *(b - a for a, b in pairwise(by_radius))),
    }


def evidence(name: str, column: str) -> pd.DataFrame:
    """All checks of one network in one column: result, evidence, what a failure means; empty when not recorded."""
    rows = [
        {"check": c["name"], "": WORDS[c["passed"]], "evidence": c["evidence"], "a failure means": c["meaning"]}
        for network, heading, report in reports()
        if (network, heading) == (name, column)
        for c in report["checks"]
    ]
    return pd.DataFrame(rows, columns=["check", "", "evidence", "a failure means"])


def _count(items: Callable[[dict], list[tuple[str, bool | None]]]) -> pd.DataFrame:
    counts: dict[str, dict[str, list]] = {}
    for _, column, report in reports():
        for name, value in items(report):
            counts.setdefault(name, {}).setdefault(column, []).append(value)
    table = []
    for name, columns in counts.items():
        row = {"": name}
        for column, values in columns.items():
            known = [v for v in values if v is not None]
            row[column] = f"{sum(known)} of {len(known)}" if known else "–"
        table.append(row)
    return pd.DataFrame(table)


def _listed(value: Callable[[dict], object]) -> dict[str, str]:
    """One value a report, by column, in the order of the networks."""
    found: dict[str, list[str]] = {}
    for _, column, report in reports():
        found.setdefault(column, []).append(str(value(report)))
    return {column: ", ".join(values) for column, values in found.items()}
