"""What the suites of tests/suites.py recorded when they last ran, for the page that says how to check the book."""

from __future__ import annotations

import pandas as pd

from .. import ledger


def newest() -> list[dict]:
    """The latest record of every suite, in the order of their names' first runs."""
    last: dict[str, dict] = {}
    for record in sorted(ledger.records("suites"), key=lambda r: r["name"].rpartition("-")[2]):
        last[record["config"]["suite"]] = record
    return list(last.values())


def outcomes(records: list[dict]) -> pd.DataFrame:
    """One row a suite: what it tries, its command, how it ended, its minutes, and of which commit and day that is."""
    rows = []
    for record in records:
        results, origin = record["results"], record["provenance"]
        code = origin["code"]["commit"]
        rows.append(
            {
                "what": record["config"]["what"],
                "command": f"python tests/suites.py {record['config']['suite']}",
                "outcome": "; ".join(results["said"]) + ("" if results["status"] == 0 else " (FAILED)"),
                "minutes": round(origin["wall_seconds"] / 60, 1),
                "when": f"{origin['date']}, {code[:7] if code else 'no commit'}"
                + (" and changes" if origin["code"]["dirty"] else ""),
            }
        )
    return pd.DataFrame(rows)


def failed(records: list[dict]) -> list[str]:
    """The suites whose latest run did not end well."""
    return [r["config"]["suite"] for r in records if r["results"]["status"]]
