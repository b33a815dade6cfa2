"""Intervals: what a number can and cannot say."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEW = 3  # seeds from which their own spread gives an interval; two may agree by luck


@functools.cache  # a page asks for the same hits of the same images again and again
def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of an accuracy of `hits` over `n` images, as fractions.

    Raises ValueError unless 0 <= hits <= n and n > 0.
    """
    if not 0 <= hits <= n or n == 0 or hits != int(hits):
        raise ValueError(f"hits is {hits} of n = {n}; allowed: 0 <= hits <= n, n > 0")
    interval = stats.binomtest(int(hits), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return interval.low, interval.high


def over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of the 95 % Student t interval over independent runs (nan for fewer than FEW)."""
    v = np.asarray(values, dtype=float)
    if len(v) < FEW:
        return float(v.mean()), math.nan
    return float(v.mean()), float(stats.t.ppf((1 + CONFIDENCE) / 2, len(v) - 1) * v.std(ddof=1) / math.sqrt(len(v)))


def over_seeds_and_images(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of the 95 % interval of values [seeds, images] in [-1, 1], for other seeds and images.

    The same images in every row: accuracies (0 or 1 each) or differences of two networks. The squared
    half-widths over seeds (Student t) and over images (normal, with Agresti and Min's half disagreement each
    way, so that no disagreement is no certainty) are added, which is wide: each holds the two's interaction. With
    fewer than FEW seeds the interval is over the images alone.
    """
    values = np.asarray(values, dtype=float)
    per_image, n = values.mean(0), values.shape[1]
    variance = (np.square(per_image).sum() + 1) / (n + 2) - (per_image.sum() / (n + 2)) ** 2
    images = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(variance / (n + 2))
    mean, seeds = over_seeds(values.mean(1))
    return mean, images if math.isnan(seeds) else math.hypot(images, seeds)


def one_run(values: Sequence[float]) -> float:
    """Half-width about their mean within which single runs scatter (95 %, Student t); nan for fewer than FEW."""
    return over_seeds(values)[1] * math.sqrt(len(values))
