"""Theorem 4.1 on recorded networks: an image without a ratio never counts as one that respects the bound."""

import math

import pytest

from snnpaper.report.theory import refutation, tables
from snnpaper.theory import examples

EPS = [8 / 255, 1e-4, 1e-6]  # not in order: records may list radii in any


def record(pool, refuted, blind, still):
    """A "theory" record of ten images whose three shares, at EPS, are the same in every space."""
    shares = {"refuted": refuted, "only rand zero": blind, "both zero": still, "beyond linear": [0.0] * 3}
    space = {"shares": shares, "l0": [9.0], "effective": [2.0], "ratio": [None] * 3, "ratio linear": [[1, 2, 3]] * 3}
    results = {"n": 10, "eps": EPS, **{name: space for name in refutation.SPACES}}
    return {"config": {"pool": pool, "width": 16, "seed": 0}, "results": results}


FAIR = record("avg", [0.0, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.1, 1.0])
REFUTED = record("max", [0.2, 0.0, 0.0], [0.0, 0.5, 0.1], [0.0, 0.5, 0.9])


def test_states_of_an_image_exclude_each_other_and_add_up():
    found = refutation.by_radius([FAIR, REFUTED])
    assert found[list(refutation.STATES)].sum(axis=1).tolist() == pytest.approx([1.0] * len(found))
    here = found[(found["network"] == "max, width 16, seed 0") & (found["space"] == "spike")].set_index("eps")
    assert here.index.is_monotonic_increasing
    assert here.loc[1e-4, list(refutation.STATES)].tolist() == [0, 0, 0.5, 0.5]  # no draw moved any: nothing respected


def test_summary_names_the_radius_of_the_refutation_and_of_what_was_not_judged():
    rows = refutation.by_space([FAIR, REFUTED]).set_index("space")
    assert list(rows.index) == list(refutation.SPACES)
    row = rows.loc["pixel"]
    assert (row["refuted"], row["refuted_eps"]) == (0.2, 8 / 255)
    assert (row["not_judged"], row["not_judged_eps"]) == (0.5, 1e-4)
    assert row["small_eps"] == 1e-4 and row["small_judged"] == pytest.approx(0.6)  # of avg: max judged none there
    assert row["small_refuted"] == 0 and row["networks"] == 2 and row["images"] == 10


def test_a_network_that_nothing_can_judge_has_no_small_radius():
    blind = record("max", [0.0] * 3, [0.4] * 3, [0.6] * 3)
    row = refutation.by_space([blind]).iloc[0]
    assert math.isnan(row["small_eps"]) and row["small_judged"] == 0 and math.isnan(row["refuted_eps"])
    assert row["not_judged_eps"] == 1e-6  # the smallest of equals
    assert refutation.by_space([]).empty and refutation.by_radius([]).empty


def test_sentences_say_which_radius():
    said = refutation.sentences([FAIR, REFUTED])
    assert said[0] == "max, width 16, seed 0, coded tensor, symmetric: 2 of 10 images at eps = 8/255"
    assert len(said) == len(refutation.SPACES)
    assert (
        "judged is 0.0001 (at most 60% of a network's images, 0% refuted)" in refutation.summaries([FAIR, REFUTED])[0]
    )
    assert refutation.summaries([REFUTED])[2].endswith("the largest share not judged is 50% at eps = 0.0001.")
    assert refutation.sentences([FAIR]) == ["no image refutes the bound at any recorded radius"]


def test_table_of_ratios_shows_what_was_not_judged():
    assert tables.ratios(REFUTED, "spike", 1e-4)["not judged (%)"] == 50


def test_radii_in_grey_levels():
    assert [refutation.radius(e) for e in (32 / 255, 1 / 255, 1e-3, 1e-6)] == ["32/255", "1/255", "0.001", "1e-06"]


def test_sixteen_misses_bound_the_share_of_moves_that_matter():
    assert (1 - refutation.missed(16)) ** 16 == pytest.approx(0.05)
    with pytest.raises(ValueError, match="allowed: whole numbers from 1"):
        refutation.missed(0)


@pytest.mark.parametrize("eps", [1.0, 1e-3, 1e-6])
def test_for_every_radius_there_is_a_neuron_that_breaks_either_side(eps):
    for example in (examples.surrogate_upper, examples.surrogate_lower):
        found = example(eps)
        assert found.violated
        with pytest.raises(ValueError, match="not affine"):
            found.guard()
    assert examples.surrogate_upper(eps).left == pytest.approx(20, rel=1e-3)
