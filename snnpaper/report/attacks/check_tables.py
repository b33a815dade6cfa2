"""The tables of the checks in chapter 6: pure functions from the "attacks" records to data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from ...auditing import checks as rules
from ...auditing.evidence import Evidence
from ...config import Run
from .tables import records

WORDS = {True: "pass", False: "FAIL", None: "–"}
Judged = list[tuple[str, str, Evidence]]  # as `reports` yields


def reports(like: Run | None = None) -> Iterator[tuple[str, str, Evidence]]:
    """Network, column heading (space, radius, gradient) and what was measured, of the networks of `records`."""
    for record in records("attacks", like=like):
        for b in record["results"]["batteries"]:
            for bpda, values in b["evidence"].items():
                gradient = f", {bpda} BPDA" if b["space"] == "pixel" else ""
                yield record["name"], f"{b['space']} {255 * b['eps']:g}/255{gradient}", Evidence.from_dict(values)


def checks() -> pd.DataFrame:
    """One row a check, one column a battery and gradient: how many networks pass, of how many.

    Before them, network by network: how many images were judged, and how many of these chance may move.
    """
    found = ", ".join(sorted({str(r["results"]["checked"]) for r in records("attacks")}))
    heads: dict[str, Callable[[Evidence], int]] = {
        f"images: the correct ones of the first {found}": lambda e: e.n,
        "of these chance may move": lambda e: e.slack,
    }
    judged = list(reports())
    rows = [{"": name} | _listed(judged, f) for name, f in heads.items()]
    table = _count(judged, lambda e: [(c.name, c.passed) for c in rules.checks(e)])
    return pd.concat([pd.DataFrame(rows), table], ignore_index=True) if len(table) else table


def signs(like: Run | None = None) -> pd.DataFrame:
    """One row a warning sign, one column a battery and gradient: in how many networks it is seen; then the verdicts.

    In brackets how many images show it, network by network, whether or not chance may move so many. The row before
    the verdicts counts the networks in which any sign is shown by one image or more.
    """
    judged = list(reports(like))
    table = _count(judged, lambda e: list(rules.signs(e).items()))
    for i, name in enumerate(table[""] if len(table) else ()):
        for column, images in _listed(judged, lambda e, sign=name: rules.showing(e)[sign]).items():
            table.loc[i, column] += f" ({images})"
    if not len(table):
        return table
    strict = _count(judged, lambda e: [("any sign, in one image or more", any(rules.showing(e).values()))])
    verdicts = {"": "verdict"} | _listed(judged, lambda e: rules.report(e)["verdict"])
    return pd.concat([table, strict, pd.DataFrame([verdicts])], ignore_index=True)


def evidence(name: str, column: str) -> pd.DataFrame:
    """All checks of one network in one column: result, evidence, what a failure means; empty when not recorded."""
    rows = [
        {"check": c.name, "result": WORDS[c.passed], "evidence": c.evidence, "a failure means": c.meaning}
        for network, heading, measured in reports()
        if (network, heading) == (name, column)
        for c in rules.checks(measured)
    ]
    return pd.DataFrame(rows, columns=["check", "result", "evidence", "a failure means"])


def _count(judged: Judged, items: Callable[[Evidence], list[tuple[str, bool | None]]]) -> pd.DataFrame:
    counts: dict[str, dict[str, list]] = {}
    for _, column, measured in judged:
        for name, value in items(measured):
            counts.setdefault(name, {}).setdefault(column, []).append(value)
    table = []
    for name, columns in counts.items():
        row = {"": name}
        for column, values in columns.items():
            known = [v for v in values if v is not None]
            row[column] = f"{sum(known)} of {len(known)}" if known else "–"
        table.append(row)
    return pd.DataFrame(table)


def _listed(judged: Judged, value: Callable[..., object]) -> dict[str, str]:
    """One value a network, by column, in the order of the networks."""
    found: dict[str, list[str]] = {}
    for _, column, measured in judged:
        found.setdefault(column, []).append(str(value(measured)))
    return {column: ", ".join(values) for column, values in found.items()}
