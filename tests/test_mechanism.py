"""The regression behind \"does sparsity explain robustness\" finds what was put into made-up images."""

import numpy as np
import pandas as pd
import pytest

from snnpaper.attacks import mechanism


def made(effect: dict[str, float], seed=0):
    """600 images of three networks whose least radius is a linear function of some predictors, and noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(600, 5)), columns=[*mechanism.KNOWN, *mechanism.SPARSITY])
    frame["least"] = sum(b * frame[k] for k, b in effect.items()) + 0.3 * rng.normal(size=600)
    return frame.assign(run=np.repeat(["a", "b", "c"], 200))


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(mechanism, "DRAWS", 60)


def test_the_regression_finds_what_was_put_in(few_draws):
    found = mechanism.regress(made({"margin": 1.0, "log l1": -0.5})).set_index("predictor")
    assert (
        found.loc["margin", "low"] < 1.0 < found.loc["margin", "high"] or abs(found.loc["margin", "together"] - 1) < 0.1
    )
    assert mechanism.verdict(found.reset_index()) == "sparsity adds nothing worth naming once norm and margin are known"
    helps = mechanism.verdict(mechanism.regress(made({"margin": 1.0, "l0": -0.8})))
    assert helps == "sparsity adds something beside norm and margin (l0: sparser is more robust)"
    against = mechanism.verdict(mechanism.regress(made({"margin": 1.0, "log effective": 0.8})))
    assert against == "what sparsity adds has the other sign (log effective: sparser is less robust)"
    with pytest.raises(ValueError, match="needed: two"):
        mechanism.regress(made({"margin": 1.0}).assign(run="a"))


def test_a_confounded_predictor_is_seen_through(few_draws):
    """Sparsity that only follows the norm explains alone, and nothing once the norm is in."""
    frame = made({"log l1": -1.0})
    frame["l0"] = frame["log l1"] + 0.5 * np.random.default_rng(1).normal(size=600)
    found = mechanism.regress(frame).set_index("predictor")
    assert found.loc["l0", "alone high"] < -0.3 and abs(found.loc["l0", "together"]) < 0.1
