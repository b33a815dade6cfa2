"""Intervals against closed forms and published values."""

import math

import numpy as np
import pytest

from snnpaper.stats import over_seeds, over_seeds_and_images, wilson


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


def test_one_seed_has_agresti_and_min_s_interval():
    """b and c are the images that only one of the two networks gets right, each with half an image added."""
    d = np.array([[1] * 30 + [-1] * 10 + [0] * 60])
    b, c, n = 30.5, 10.5, 102
    half = 1.959963984540054 * math.sqrt(b + c - (b - c) ** 2 / n) / n
    assert over_seeds_and_images(d) == (pytest.approx(0.2), pytest.approx(half))
    mean, half = over_seeds_and_images(np.zeros((2, 100)))
    assert mean == 0 and 0.01 < half < 0.03  # no disagreement among 100 images is no certainty


def test_seeds_and_images_both_count():
    same = np.tile([[1, 0, 0, 1]], (5, 25))  # seeds that agree: what is left is the images
    assert over_seeds_and_images(same)[1] == pytest.approx(over_seeds_and_images(same[:1])[1])
    moved = np.array([[1] * (40 + 10 * k) + [0] * (60 - 10 * k) for k in range(5)])
    assert over_seeds_and_images(moved)[1] > over_seeds(moved.mean(1))[1] > 0.15


def test_the_interval_covers_other_seeds_and_images():
    """Truth known: each image and each seed has an effect of its own. 95 % at least, and not always."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        chance = 0.3 + 0.1 * rng.standard_normal((5, 1)) * 0.3 + 0.25 * rng.uniform(-1, 1, (1, 200))
        mean, half = over_seeds_and_images(rng.random((5, 200)) < chance)
        covered += abs(mean - 0.3) <= half
    assert 0.95 <= covered / 300 < 1
