"""The regression behind \"does sparsity explain robustness\" finds what was put into made-up images."""

import numpy as np
import pandas as pd
import pytest

from snnpaper.report.attacks import mechanism

MARGIN = {"log margin": 1.0}


def made(effect: dict[str, float], seed=0):
    """600 images of three networks whose least radius is a linear function of some predictors, and noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(600, 5)), columns=[*mechanism.KNOWN, *mechanism.SPARSITY])
    frame["least"] = sum(b * frame[k] for k, b in effect.items()) + 0.3 * rng.normal(size=600)
    return frame.assign(run=np.repeat(["a", "b", "c"], 200))


def said(frame):
    return mechanism.verdict(mechanism.regress(frame), mechanism.variation(frame))


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(mechanism, "DRAWS", 60)


def test_the_regression_finds_what_was_put_in(few_draws):
    found = mechanism.regress(made(MARGIN | {"log l1": -0.5})).set_index("predictor")
    assert abs(found.loc["log margin", "together"] - 1) < 0.1 and abs(found.loc["log l1", "together"] + 0.5) < 0.1
    assert found["base"].iloc[0] > 0.9 and found["own"].iloc[0] < 0.05
    helps = said(made(MARGIN | {"l0": -0.8}))
    assert helps == "established beside norm and margin (l0: sparser is more robust)"
    against = said(made(MARGIN | {"log effective": 0.8}))
    assert against == "established with the other sign (log effective: sparser is less robust)"
    with pytest.raises(ValueError, match="needed: two"):
        mechanism.regress(made(MARGIN).assign(run="a"))


def test_what_is_not_found_is_not_called_absent(few_draws):
    assert said(made(MARGIN)) == "not established: what it adds to R² may be as little as 0.000"


def test_the_rule_is_the_lower_end_of_the_interval(few_draws):
    """An effect whose point estimate passes the bar and whose interval does not."""
    frame = made(MARGIN | {"l0": -0.8})
    found, varies = mechanism.regress(frame), mechanism.variation(frame)
    assert "not established" in mechanism.verdict(found.assign(**{"gain low": mechanism.GAIN - 1e-6}), varies)
    assert "not established" not in mechanism.verdict(found.assign(**{"gain low": mechanism.GAIN}), varies)
    assert f"lies above {mechanism.GAIN:g}" in mechanism.rule()


def test_a_confounded_predictor_is_seen_through(few_draws):
    """Sparsity that only follows the norm explains alone, and nothing once the norm is in."""
    frame = made({"log l1": -1.0})
    frame["l0"] = frame["log l1"] + 0.5 * np.random.default_rng(1).normal(size=600)
    found = mechanism.regress(frame).set_index("predictor")
    assert found.loc["l0", "alone high"] < -0.3 and abs(found.loc["l0", "together"]) < 0.1
    assert found["own low"].iloc[0] > 0.5 > found["gain high"].iloc[0]  # what `gain` cannot tell from a path


def test_a_predictor_that_hardly_varies_or_only_names_the_network_bears_no_claim(few_draws):
    frame = made(MARGIN | {"l0": -0.8})
    frame["l0"] = 1 + frame["l0"] / 1000
    frame["l0 at pool"] = frame["run"].map({"a": 0.2, "b": 0.2, "c": 1.0})
    frame["least"] -= 2 * frame["l0 at pool"]
    varies = mechanism.variation(frame).set_index("predictor")
    assert varies.loc["l0", "SD"] == pytest.approx(0.001, rel=0.1)
    assert varies.loc["l0 at pool", "between networks"] == pytest.approx(1)
    assert varies.loc["log margin", "between networks"] < 0.05
    weak = mechanism.weak(varies.reset_index())
    assert set(weak) == {"l0", "l0 at pool"} and "SD 0.0010" in weak["l0"] and "100.0 %" in weak["l0 at pool"]
    found = mechanism.regress(frame)
    assert found["gain"].iloc[0] > 0.1
    assert "not established" in mechanism.verdict(found, varies.reset_index())


def test_the_printed_table_has_the_intervals_and_the_verdict(few_draws):
    frame = made(MARGIN)
    (row,) = mechanism.explained({"x": mechanism.regress(frame)}, {"x": frame}).to_dict("records")
    assert (row["images"], row["networks"]) == (600, 3)
    assert row["R², norm and margin"].startswith("0.9") and row["sparsity adds"].startswith("0.00")
    assert row["sparsity explains"].startswith("not established")
