"""Intervals and paired tests: what a number can and cannot say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEW = 3  # seeds from which their own spread gives an interval; two may agree by luck


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of an accuracy of `hits` over `n` images, as fractions.

    Raises ValueError unless 0 <= hits <= n and n > 0.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"hits is {hits} of n = {n}; allowed: 0 <= hits <= n, n > 0")
    interval = stats.binomtest(int(hits), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return interval.low, interval.high


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of the 95 % Student t interval over independent runs (nan for fewer than FEW)."""
    v = np.asarray(values, dtype=float)
    if len(v) < FEW:
        return float(v.mean()), math.nan
    return float(v.mean()), float(stats.t.ppf((1 + CONFIDENCE) / 2, len(v) - 1) * v.std(ddof=1) / math.sqrt(len(v)))


def paired(a: Sequence[bool], b: Sequence[bool]) -> tuple[float, float]:
    """Difference of two accuracies on the same images, a - b, and the half-width of its 95 % interval.

    Only images on which the two differ spread it (Wald, with the paired variance). Raises ValueError when
    the lists differ in length.
    """
    d = _together(a, b)
    z = stats.norm.ppf((1 + CONFIDENCE) / 2)
    return float(d.mean()), float(z * d.std() / math.sqrt(len(d)))


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> float:
    """Exact two-sided p-value that two networks do equally well on the same images.

    Only images on which they differ carry information (McNemar's test). Raises ValueError when the
    lists differ in length.
    """
    d = _together(a, b)
    only_a, only_b = int((d > 0).sum()), int((d < 0).sum())
    return 1.0 if only_a + only_b == 0 else float(stats.binomtest(only_a, only_a + only_b).pvalue)


def _together(a: Sequence[bool], b: Sequence[bool]) -> np.ndarray:
    """a - b per image: 1, 0 or -1."""
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"paired lists have lengths {len(a)} and {len(b)}; allowed: the same images in both")
    return a.astype(int) - b.astype(int)
