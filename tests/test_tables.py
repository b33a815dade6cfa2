"""What the printed tables and sentences make of few seeds."""

import numpy as np
import pandas as pd

from snnpaper import stats
from snnpaper.attacks.standard import EVAL
from snnpaper.config import Run
from snnpaper.report import tables, words


def rows_of(correct, pool, seed):
    run = Run.make("cpu", pool=pool, seed=seed)
    what = {"space": "pixel", "protocol": EVAL, "method": "pgd", "eps": 8, "n": len(correct)}
    hits = np.array(correct, bool)
    low, high = stats.wilson(int(hits.sum()), len(hits))
    numbers = {"accuracy": hits.mean(), "low": low, "high": high, "correct": hits}
    return {"run": run.name, **tables.cell(run), "seed": seed} | what | numbers


def test_two_seeds_that_agree_are_not_taken_for_certainty():
    """Both pairs differ by one image in four: over two seeds the spread is 0, over the images it is not."""
    some = [("max", [1, 1, 0, 0]), ("avg", [1, 0, 0, 0])]
    frame = pd.DataFrame([rows_of(c, pool, seed) for seed in range(2) for pool, c in some])
    (text,) = words.trade_off(frame, "pixel")["max − avg"]
    mean, half = stats.over_seeds_and_images([[0, 1, 0, 0]])  # two seeds on the same images are no more images
    low, high = stats.wilson(2, 4)
    assert words.trade_off(frame, "pixel")["max"].item() == f"50.0 [{100 * low:.1f}, {100 * high:.1f}]"
    assert text == f"25.0 [{100 * (mean - half):.1f}, {100 * (mean + half):.1f}]" and half > 0.2
    assert words.readings(frame) == ["No cell has five seeds of both pools yet: nothing can be said."]
    five = pd.DataFrame([rows_of(np.tile(c, 25), pool, seed) for seed in range(5) for pool, c in some])
    half = stats.over_seeds_and_images(np.tile([[0, 1, 0, 0]], 25))[1]
    assert words.trade_off(five, "pixel")["max − avg"].item() == f"25.0 ± {100 * half:.1f}"
    assert "is above" in words.readings(five)[0] and "5 seeds" in words.readings(five)[0]
