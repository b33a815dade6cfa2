"""Whether the worst case was the worst: what a stronger attacker leaves of it, and what doubling his budget moves."""

from __future__ import annotations

import pandas as pd

from ...attacks.settings import Settings
from ...config import Run
from .tables import records

TOLERANCE = 0.5  # points that doubling the budget may move
COLUMNS = ["run", "pool", "seed", "scale", "n", "space", "eps", "right", "before", "after", "twice", "by"]


def left(like: Run | None = None) -> pd.DataFrame:
    """One row a network and battery of the records "stronger" of one cell (as `tables.records`), counts of images.

    Columns: run, pool, seed, scale, n, space, eps (1/255); right, classified correctly; before, what the battery left;
    after and twice, what the first budget and then twice that left; by, the attack that fooled most of them, or "".
    """
    rows = []
    for record in records("stronger", like=like):
        run, r = Run.from_dict(record["config"]), record["results"]
        for b in r["batteries"]:
            first, second = b["rounds"]
            made = [(a["fooled"], Settings.of(a, r["own"]).name) for a in [*first["attacks"], *second["attacks"]]]
            most = max(made, key=lambda pair: pair[0])
            head = {"run": run.name, "pool": run.pool, "seed": run.seed, "scale": run.scale, "n": r["n"]}
            head |= {"space": b["space"], "eps": round(255 * b["eps"], 2), "right": b["clean"], "before": b["before"]}
            rows.append(head | {"after": first["left"], "twice": second["left"], "by": most[1] if most[0] else ""})
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(["pool", "seed", "space", "eps"], ignore_index=True)


def lowered(frame: pd.DataFrame) -> pd.DataFrame:
    """`left` in per cent of all images, with the points that each budget moved."""
    out = frame[["pool", "seed", "n", "space", "eps"]].copy()
    for name in ("right", "before", "after", "twice"):
        out[name] = 100 * frame[name] / frame["n"]
    return out.assign(stronger=out["before"] - out["after"], doubling=out["after"] - out["twice"], by=frame["by"])


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """`lowered` under the headings of the page, one decimal."""
    names = {
        "eps": "radius (1/255)", "right": "clean (%)", "before": "worst case (%)", "after": "stronger (%)",
        "twice": "twice the budget (%)", "stronger": "lowered by", "doubling": "doubling lowers by",
        "by": "the attack that fooled most",
    }  # fmt: skip
    found = lowered(frame)
    numbers = ["right", "before", "after", "twice", "stronger", "doubling"]
    return found.assign(**{k: found[k].map("{:.1f}".format) for k in numbers}).rename(columns=names)


def sentence(frame: pd.DataFrame) -> str:
    """How much the stronger attacker lowered, and whether doubling his budget still moved more than TOLERANCE."""
    if frame.empty:
        return "No worst case has been attacked again yet."
    moved = lowered(frame)
    most, first = moved["doubling"].max(), moved["stronger"]
    held = "within" if most <= TOLERANCE + 1e-9 else "beyond"
    return (
        f"A stronger attacker lowers the worst case by {first.min():.1f} to {first.max():.1f} points; "
        f"twice his budget by at most {most:.1f} more, {held} the {TOLERANCE:g} points allowed."
    )
