"""Intervals against closed forms and published values."""

import math

import numpy as np
import pytest

from snnpaper.stats import mcnemar, over_seeds, paired, wilson


def test_wilson_against_its_formula():
    k, n, z = 160, 1000, 1.959963984540054
    centre = (k / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    assert wilson(k, n) == pytest.approx((centre - half, centre + half))
    assert wilson(0, 10)[0] == 0 and wilson(10, 10)[1] == 1
    for bad in ((1, 0), (5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="allowed"):
            wilson(*bad)


def test_seed_interval_is_student_s():
    mean, half = over_seeds([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.302652729911275 / math.sqrt(3)))
    assert math.isnan(over_seeds([1.0])[1])
    assert over_seeds([1.0, 1.0])[0] == 1.0 and math.isnan(over_seeds([1.0, 1.0])[1])  # not a certainty of width 0


def test_mcnemar_counts_only_disagreements():
    a = np.array([True] * 8 + [False] * 92)
    b = np.array([False] * 8 + [False] * 92)
    assert mcnemar(a, b) == pytest.approx(2 * 0.5**8)
    assert mcnemar(a, a) == 1.0
    assert mcnemar(a, b) == mcnemar(b, a)
    with pytest.raises(ValueError, match="lengths 3 and 2"):
        mcnemar([True] * 3, [True] * 2)


def test_paired_interval_against_its_formula():
    """The textbook's: b and c are the images that only one of the two gets right."""
    a = np.array([True] * 30 + [False] * 10 + [True] * 60)
    b = np.array([False] * 30 + [True] * 10 + [True] * 60)
    n, only_a, only_b = 100, 30, 10
    spread = math.sqrt(only_a + only_b - (only_a - only_b) ** 2 / n) / n
    assert paired(a, b) == (pytest.approx(0.2), pytest.approx(1.959963984540054 * spread))
    assert paired(a, a) == (0.0, 0.0)
    with pytest.raises(ValueError, match="lengths 3 and 2"):
        paired([True] * 3, [True] * 2)
