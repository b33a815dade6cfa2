"""What "theory" records say of Theorem 4.1's upper bound: at which radius it fails, and where nobody can tell.

At one radius an image is in one of four states. *Refuted*: the attack moved the probability by more than the
bound allows. *Not refuted*: some random draw moved it and the bound held; a better attack might still refute.
*Not judged*: the attack moved it and no draw did. Then rho_rand was measured as 0 and there is no ratio; an
upper bound on rho_rand would be needed, so this never counts as a bound that held. *Unmoved*: nothing moved
it, and the ratio is 0/0.
"""

from __future__ import annotations

import math

import pandas as pd

from .tables import network

STATES = ("refuted", "not refuted", "not judged", "unmoved")
SPACES = {"spike, free": "coded tensor, symmetric", "spike": "coded tensor in [0,1]", "pixel": "image in [0,1]"}
_SUMMARY = ["space", "networks", "images", "small_eps", "small_judged", "small_refuted", "refuted", "refuted_eps",
            "not_judged", "not_judged_eps"]  # fmt: skip


def by_radius(records: list[dict]) -> pd.DataFrame:
    """One row per network, space and recorded radius, small radii first within each.

    Columns: network, space, eps (input units), images, and STATES as fractions of the images; they add up to 1.
    """
    rows = []
    for record in records:
        r = record["results"]
        for space in SPACES:
            shares = r[space]["shares"]
            for eps, refuted, blind, still in sorted(
                zip(r["eps"], shares["refuted"], shares["only rand zero"], shares["both zero"], strict=True)
            ):
                states = (refuted, round(1 - refuted - blind - still, 9), blind, still)
                head = {"network": network(record), "space": space, "eps": eps, "images": r["n"]}
                rows.append(head | dict(zip(STATES, states, strict=True)))
    return pd.DataFrame(rows, columns=["network", "space", "eps", "images", *STATES])


def by_space(records: list[dict]) -> pd.DataFrame:
    """One row per space, each share the largest that any of the networks has; no rows without records.

    small_eps is the smallest recorded radius at which some image could be judged (NaN when none could at any);
    small_judged and small_refuted are the shares judged (refuted or not) and refuted there. `refuted` is the
    largest share over all radii and refuted_eps its radius (NaN when no image is refuted); not_judged and
    not_judged_eps likewise. Shares are fractions of a network's images, of which `images` is the smallest number.
    """
    found, rows = by_radius(records), []
    for space, part in found.groupby("space", sort=False):
        judged = part["refuted"] + part["not refuted"]
        small = part.loc[judged > 0, "eps"].min()
        here = part["eps"] == small
        values = (small, max(judged[here], default=0.0), max(part.loc[here, "refuted"], default=0.0))
        largest = _largest(part, "refuted") + _largest(part, "not judged")
        head = (space, part["network"].nunique(), part["images"].min())
        rows.append(dict(zip(_SUMMARY, head + values + largest, strict=True)))
    return pd.DataFrame(rows, columns=_SUMMARY)


def _largest(part: pd.DataFrame, state: str) -> tuple[float, float]:
    """The largest share in a state, and the smallest radius that has it (NaN for a share of 0)."""
    row = part.sort_values("eps", kind="stable").loc[lambda f: f[state] == f[state].max()].iloc[0]
    return float(row[state]), float(row["eps"]) if row[state] > 0 else math.nan


def radius(eps: float) -> str:
    """ "8/255" for a whole number of grey levels, else "0.0001"."""
    levels = 255 * eps
    return f"{round(levels)}/255" if round(levels) and abs(levels - round(levels)) < 1e-6 else f"{eps:g}"


def sentences(records: list[dict]) -> list[str]:
    """Every refutation with its network, space, radius and count of images; one sentence when there is none."""
    found = by_radius(records)
    rows = [row for _, row in found[found["refuted"] > 0].iterrows()]
    return [
        f"{row['network']}, {SPACES[row['space']]}: {round(row['refuted'] * row['images'])} of {row['images']} images "
        f"at eps = {radius(row['eps'])}"
        for row in rows
    ] or ["no image refutes the bound at any recorded radius"]


def summaries(records: list[dict]) -> list[str]:
    """The rows of `by_space` as sentences, one a space."""
    said = []
    for _, row in by_space(records).iterrows():
        small = "none" if math.isnan(row["small_eps"]) else radius(row["small_eps"])
        blind = f" at eps = {radius(row['not_judged_eps'])}" if row["not_judged"] else ""
        said.append(
            f"{SPACES[row['space']]}: the smallest eps at which any image could be judged is {small} "
            f"(at most {row['small_judged']:.0%} of a network's images, {row['small_refuted']:.0%} refuted); "
            f"the largest share not judged is {row['not_judged']:.0%}{blind}."
        )
    return said


def missed(draws: int, confidence: float = 0.95) -> float:
    """The largest share of moves that can change an output when none of `draws` random ones did (exact binomial).

    Raises ValueError when draws < 1.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; allowed: whole numbers from 1")
    return 1 - (1 - confidence) ** (1 / draws)
