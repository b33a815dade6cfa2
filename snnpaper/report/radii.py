"""Accuracy over the radius, from what records say of each image: the least radius that fools it."""

from __future__ import annotations

import numpy as np

from ..config import Run
from ..nets.data import TABLE
from ..stats import wilson

COLUMNS = ["run", "pool", "seed", "scale", "label", "threat", "radius", "accuracy", "correct", "low", "high",
           "n", "chance"]  # fmt: skip


def along(run: Run, threat: str, least: dict) -> list[dict]:
    """A row a radius, 0 (clean) first, of one network under one threat, with COLUMNS.

    `least` has "radii" and of each image "first": the place of the least of them that fools it, -1 for none and -2
    for an image that is wrong from the start. `correct` is a bool array; `low` and `high` are Wilson's.
    """
    first, n = np.array(least["first"]), len(least["first"])
    robust = [(0, first != -2)]
    robust += [(r, (first == -1) | (first > i)) for i, r in enumerate(least["radii"])]
    head = {"run": run.name, "pool": run.pool, "seed": run.seed, "scale": run.scale, "label": run.label}
    rows = []
    for radius, hits in robust:
        low, high = wilson(int(hits.sum()), n)
        found = {"accuracy": hits.mean(), "correct": hits, "low": low, "high": high}
        rows.append(
            head | {"threat": threat, "radius": radius} | found | {"n": n, "chance": 1 / TABLE[run.dataset].classes}
        )
    return rows


def worst_pass(attacks: list[dict]) -> dict:
    """Each image's least radius in spike space by the worst of the PGD attacks of one record, as `along` takes it.

    They differ in their backward pass and share their radii.
    """
    pgd = [a for a in attacks if a["space"] == "spike" and a["algorithm"] == "PGD"]
    radii, first = pgd[0]["radii"], np.array([a["first"] for a in pgd])
    place = np.where(first == -1, len(radii), first).min(0)
    return {"radii": radii, "first": np.where(place == len(radii), -1, place)}
