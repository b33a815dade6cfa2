"""Training backward against attack backward: who stands, from the records "backwards", and what rule 11 makes of it."""

from __future__ import annotations

import pandas as pd

from ...config import Run
from ...nets import pools
from ..standing import COLUMNS, Difference, rows_of
from ..tables import Pair, records

SETTING = Run.make("cpu")  # of any pool and seed
# Rule 11 compares these two: forward both are max pooling, in training the gradient went another way.
TRAINED: Pair = ("max", "max/avg")
DENSE: Pair = ("max/avg", "avg")  # what is left of the lead after that
# Rule 21 takes the first of these apart: what the zeros do, and what it does that the gradient is the pool's own.
ZEROS: Pair = ("max", "max/ties")
POOLS_OWN: Pair = ("max/ties", "max/avg")
CAUSE = ("max", "max/ties", "max/silent", "max/avg", "avg", "avg/max")  # the trainings of rules 11 and 12
DENSITY, MASKING, UNRESOLVED = "density matters by itself", "masking", "not resolved"


def attacks(setting: Run = SETTING) -> pd.DataFrame:
    """One row a network of a setting and recorded attack, as `standing.rows_of`; trainings are named by their pools."""
    rows = []
    for run, record in records("backwards", setting):
        rows += rows_of(record, run.pooling, record["results"]["own"], lambda a: a["backward"])
    return pd.DataFrame(rows, columns=COLUMNS)


def named(found: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The trainings of `standing.shares` and the backward passes of attacks, in the order of the table of pools."""
    return pools.ordered(found["training"]), list(pools.TABLE)


def verdict(own: Difference, worst: Difference) -> str:
    """Rule 11's word for two differences of TRAINED: through the own backward pass of each, and in the worst case."""
    if worst.above:
        return DENSITY
    if own.above and worst.zero and worst.half <= own.half:
        return MASKING
    return UNRESOLVED


def of_zeros(zeros: Difference, own: Difference) -> str:
    """Rule 21's word for the differences of ZEROS and of POOLS_OWN, both in the worst case."""
    words = {(True, False): "the zeros protect", (False, True): "being the pool's own does", (True, True): "both do"}
    return words.get((zeros.above, own.above), UNRESOLVED)
