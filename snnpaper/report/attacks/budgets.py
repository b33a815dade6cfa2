"""What each attack of the printed tables was allowed to spend, read from the attacks' own code.

A standard name says nothing about a budget: several here are far below what their authors use.
"""

from __future__ import annotations

import re

import pandas as pd
from torch import nn

from ...attacks.art import EVALUATIONS, ITERATIONS
from ...attacks.ensemble import DRAWS, IN_AUTOATTACK, QUERIES, autoattack
from ...attacks.spiking_ensemble import SHORT

# The budgets of the published AutoAttack (Croce & Hein 2020, arXiv 2003.01690), and ART's own of HopSkipJump.
STANDARD = {"steps": 100, "queries": 5000, "iterations": 50, "evaluations": 10_000}
NAMES = {"AutoAttack": "AutoAttack, shortened", "HopSkipJump": "HopSkipJump, shortened"}  # for print only


def budget(attack: str) -> str:
    """The budget of one attack by its recorded name, per image; empty for what is no attack."""
    if attack == "random noise":
        return f"best of {DRAWS} draws"
    if attack == "AutoAttack":
        return _autoattack()
    if attack == "HopSkipJump":
        much = f"{STANDARD['iterations']}, {STANDARD['evaluations']:,}"
        return f"{ITERATIONS} iterations of up to {EVALUATIONS} evaluations (usual: {much})"
    if attack.startswith("transfer"):
        return f"{SHORT} steps, 1 start, on the other network"
    if attack.startswith("FGSM"):
        return "1 step"
    if found := re.search(r"(\d+) queries", attack):
        return f"{found[1]} queries (usual: {STANDARD['queries']:,})"
    if not (steps := re.search(r"PGD-(?:\w+-)?(\d+)|, (\d+) steps", attack)):
        return ""
    starts = re.search(r"(\d+) starts", attack)
    text = f"{steps[1] or steps[2]} steps, {starts[0] if starts else '1 start'}"
    return text + (", one sharpness" if "ASSG" in attack else "")


def _autoattack() -> str:
    parts = autoattack(nn.Linear(1, 1), 0.0, 10, QUERIES // IN_AUTOATTACK)._autoattack.attacks
    steps, queries = {p.steps for p in parts if hasattr(p, "steps")}, parts[-1].n_queries
    return (
        f"APGD, APGD-T, FAB-T: {max(steps)} steps (published: {STANDARD['steps']}); "
        f"Square: {queries} queries (published: {STANDARD['queries']:,})"
    )


def few_left(rows: pd.DataFrame) -> list[str]:
    """How much the costly rows of `tables.rows` had to do: sentences on the black boxes, and on SA-PGD with ASSG."""
    said = []
    for what, part in (
        ("The black-box attacks", rows[rows["kind"] == "black box"]),
        ("SA-PGD with ASSG", rows[rows["attack"].str.contains("ASSG") & (rows["space"] == "spike")]),
    ):
        if len(part):
            seen = [int(a.sum()) for a in part["attacked"]]
            fooled = sum(int((a & ~c).sum()) for a, c in zip(part["attacked"], part["correct"], strict=True))
            where = " in spike space" if part["kind"].iloc[0] == "gradient" else ""
            said.append(
                f"{what} saw at most {max(seen)} images of a network, those that everything before had left, and "
                f"fooled {fooled} of {sum(seen)}{where}."
            )
    return said
