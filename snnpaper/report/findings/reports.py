"""What the report can say as a whole: how much is decided, and in which direction the rest points here."""

from __future__ import annotations

import pandas as pd

from ...stats import FEW
from .. import page
from ..comparison import verdicts
from . import Finding


def undecided(rows: pd.DataFrame) -> Finding:
    """No number of the paper has a verdict. `rows`: `verdicts.comparisons`."""
    known = [v for v in verdicts.paper_values().values() if v["value"] is not None]
    unclear = sum(bool(v.get("unclear")) for v in known)
    decided = (~rows["verdict"].isin(verdicts.NO_VERDICT)).sum()
    return Finding(
        f"Of {len(known)} numbers of the paper that we know none has a verdict: {len(known) - unclear} for want of "
        f"networks of its scale with five seeds, {unclear} because what they are a number of is not stated. "
        f"{(rows['verdict'] == verdicts.INDICATIVE).sum()} comparisons are indicative, "
        f"{(rows['ours'] == 'not measured').sum()} not measured.",
        decided == 0 and len(known) > 0,
    )


def directions(said: pd.DataFrame) -> Finding:
    """Of the paper's claims without a number (no theorems) most do not come out as claimed. `said`: `claims.claims`."""
    said = said[~said["claim"].str.startswith(("Our question", "Theorem"))]
    words = said["direction here"].value_counts()
    count = {word: int(words.get(word, 0)) for word in ("as claimed", "not resolved", "opposite")}
    against = said[said["direction here"] == "opposite"]
    named = "; ".join(f"{r.quantity}, {r.where}" for r in against.itertuples())
    return Finding(
        f"Of the paper's claims without a number, as differences measured at our scale with {FEW} seeds or more, "
        f"{count['as claimed']} come out as claimed, {count['opposite']} the other way{f' ({named})' * bool(named)}, "
        f"and {count['not resolved']} cannot be told from zero; our own questions and the theorems are not counted.",
        count["as claimed"] < count["opposite"] + count["not resolved"],
    )


def verdicts_only(words: pd.Series) -> list[str]:
    """The verdicts, empty where there is none: a page says once what a row without one is."""
    return ["" if word == verdicts.INDICATIVE else word for word in words.fillna("")]


def size(row: pd.Series) -> str:
    """`page.reading` without what the page says once: "5 seeds, n = 1,000", with the scale where it is the paper's."""
    return brief(page.reading(row))


def brief(reading: str) -> str:
    """A row's reading without "reduced scale, indicative"."""
    return reading.replace(", indicative", "").replace("; reduced scale", "").replace("reduced scale; ", "")
