"""The tables of the checks in chapter 6: pure functions from the "attacks" records to data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from .tables import records

WORDS = {True: "pass", False: "FAIL", None: "–"}


def reports(root: Path | None = None) -> Iterator[tuple[str, str, dict]]:
    """Network, column heading (space, radius, gradient) and the report of `snnpaper.checks`, for all that were made."""
    for record in records("attacks", root):
        for b in record["results"]["batteries"]:
            for twin, report in b["checks"].items():
                gradient = f", {twin} twin" if b["space"] == "pixel" else ""
                yield record["name"], f"{b['space']} {255 * b['eps']:g}/255{gradient}", report


def checks(root: Path | None = None) -> pd.DataFrame:
    """One row a check, one column a battery and gradient: how many networks pass, of how many."""
    return _count(root, lambda report: [(c["name"], c["passed"]) for c in report["checks"]])


def signs(root: Path | None = None) -> pd.DataFrame:
    """One row a warning sign, one column a battery and gradient: in how many networks it is seen; then the verdicts."""
    table = _count(root, lambda report: list(report["signs"].items()))
    last: dict[str, set] = {}
    for _, column, report in reports(root):
        last.setdefault(column, set()).add(report["verdict"])
    verdicts = {"": "verdict"} | {column: ", ".join(sorted(words)) for column, words in last.items()}
    return pd.concat([table, pd.DataFrame([verdicts])], ignore_index=True) if last else table


def evidence(name: str, column: str, root: Path | None = None) -> pd.DataFrame:
    """All checks of one network in one column: result, evidence, what a failure means; empty when not recorded."""
    rows = [
        {"check": c["name"], "": WORDS[c["passed"]], "evidence": c["evidence"], "a failure means": c["meaning"]}
        for network, heading, report in reports(root)
        if (network, heading) == (name, column)
        for c in report["checks"]
    ]
    return pd.DataFrame(rows, columns=["check", "", "evidence", "a failure means"])


def _count(root: Path | None, items: Callable[[dict], list[tuple[str, bool | None]]]) -> pd.DataFrame:
    counts: dict[str, dict[str, list]] = {}
    for _, column, report in reports(root):
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
