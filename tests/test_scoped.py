"""The scoped verdicts of rules 7 to 10."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from snnpaper.config import Run
from snnpaper.report import radii, tables
from snnpaper.report.comparison import scoped


@pytest.mark.parametrize(
    ("seeds", "mean", "half", "said"),
    [
        (5, 0.02, 0.01, "held"),
        (5, -0.02, 0.01, "not held"),
        (5, 0.02, 0.03, "not resolved"),
        (4, 0.02, 0.01, "no verdict: 4 of 5 seeds"),
        (0, 0.0, 0.0, "no verdict: 0 of 5 seeds"),
    ],
)
def test_a_verdict_needs_five_seeds_and_an_interval_without_zero(seeds, mean, half, said):
    assert scoped.word(seeds, mean, half) == said


def rows(epochs, seeds, mean=0.02, quantity=scoped.PUBLISHED):
    cell = tables.cell(scoped.JUDGED.but(epochs=epochs))
    head = {k: v for k, v in cell.items() if k != "pool"}
    found = {"seeds": seeds, "mean": mean, "half": 0.01, "by_seed": dict.fromkeys(range(seeds), mean)}
    return [head | {"quantity": quantity, "n": 1000, "runs": ["a", "b"]} | found]


def test_only_the_named_scale_is_judged():
    found = pd.DataFrame([*rows(4, 5, -0.5), *rows(30, 5), *rows(15, 5, -0.5)])
    shown = scoped.judged(found).set_index("quantity")
    assert shown.loc[scoped.PUBLISHED, ["ours", "verdict"]].to_list() == ["+2 ± 1 points", "held"]
    assert (shown.drop(scoped.PUBLISHED)["verdict"] == "no verdict: 0 of 5 seeds").all()
    assert "Max pooling is more robust – published attack, 8/255 (+2 ± 1 points): held." in scoped.sentence(
        scoped.judged(found)
    )
    assert "No verdict yet: the same attack, eval mode (0 of 5 seeds); " in scoped.sentence(scoped.judged(found))
    assert "yet (width 16, 30 epochs): 3 of 5 seeds" in scoped.sentence(scoped.judged(pd.DataFrame(rows(30, 3))))


def test_fifteen_epochs_are_judged_in_words_of_their_own_and_the_later_seeds_apart():
    row = rows(15, 5)[0]
    row["by_seed"] = {0: 0.05, 1: 0.05, 2: 0.01, 3: 0.0, 4: -0.01}
    found, scale = pd.DataFrame([*rows(30, 2, -0.5), row]), scoped.SCALES[1]
    shown = scoped.judged(found, scale).set_index("quantity").loc[scoped.PUBLISHED]
    assert shown[["ours", "later seeds", "verdict"]].to_list() == ["+2 ± 1 points", "+0 points", "held"]
    assert "Scoped verdicts (width 16, 15 epochs, five seeds)" in scoped.sentence(scoped.judged(found, scale), scale)
    assert (scoped.judged(found)["verdict"] != "held").all() and (scoped.judged(found)["later seeds"] == "").all()


def test_the_differences_are_those_of_the_tables():
    found, acc = scoped.differences(), tables.accuracies()
    four = found[(found["epochs"] == 4) & (found["width"] == 16) & (found["dataset"] == "cifar10")]
    four = four[four["label"] == "SEW-ResNet-18"].set_index("quantity")
    clean = tables.contrast(acc[acc["space"] == "clean"])
    clean = clean[(clean["epochs"] == 4) & (clean["dataset"] == "cifar10") & (clean["label"] == "SEW-ResNet-18")]
    clean = clean[clean["variant"] == ""].iloc[0]
    assert four.loc[scoped.CLEAN, "mean"] == -clean["difference"] and four.loc[scoped.CLEAN, "half"] == clean["half"]
    assert set(four.index) == set(scoped.QUANTITIES) and (four["seeds"] == 5).all()
    assert len(scoped.figure(scoped.courses(found)).axes) == 4


def test_the_least_radius_is_that_of_the_worst_pass():
    """Image by image: wrong from the start (-2), fooled at a place, or by nothing (-1)."""
    spike = {"space": "spike", "algorithm": "PGD", "radii": [1, 2, 4]}
    passes = [spike | {"first": [-2, 0, 2, -1, -1]}, spike | {"first": [-2, 1, -1, 1, -1]}]
    other = [spike | {"space": "pixel", "first": [0] * 5}, spike | {"algorithm": "SA-PGD", "first": [0] * 5}]
    worst = radii.worst_pass(passes + other)
    assert np.array(worst["first"]).tolist() == [-2, 0, 2, 1, -1] and worst["radii"] == [1, 2, 4]


def test_the_rules_name_the_scale_that_is_judged():
    text = (Path(__file__).resolve().parents[1] / "book" / "rules.py").read_text(encoding="utf-8")
    assert "at width 16, 30 epochs, five seeds" in text
    assert scoped.JUDGED == Run.make("cpu", width=16, epochs=30, batch_size=16)
    assert "Rules 7 and 8 after 15 epochs" in text and "seeds 2, 3 and 4 alone" in text
    assert scoped.SCALES[1] == scoped.JUDGED.but(epochs=15) and scoped.LATER == (2, 3, 4)
