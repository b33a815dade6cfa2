"""Chapter 7: rule 14 on records whose truth is known."""

import json

import numpy as np
import pandas as pd
import pytest

from snnpaper import measure
from snnpaper.ledger import LedgerError
from snnpaper.report import standing
from snnpaper.report.findings import sharpness as findings
from snnpaper.report.sharpness import matrix

N = 200


def written(root, pool, alpha, seed, robust, density, size, clean):
    """Records of a network of which a share `robust` stands, with gradients of a known density and size."""
    run, rng = matrix.SETTING.but(pool=pool, alpha=alpha, seed=seed), np.random.default_rng([seed, int(8 * alpha)])
    radii = list(measure.TABLE["sharpness"].settings["radii"])
    first = np.where(rng.random(N) < robust, len(radii) - 1, 2)
    how = {"space": "spike", "algorithm": "PGD", "surrogate": "atan", "radii": radii, "first": first.tolist()}
    found = [how | {"alpha": a} for a in (2.0, 0.5, 8.0)]
    found[0]["first"] = np.maximum(first, 5).tolist()  # through sharpness 2 nothing falls at 4/255
    gradient = {"l0_pool": [density] * N, "l1": [2.0**size] * N, "margin": [0.5] * N}
    results = {"n": N, "own": {"surrogate": "atan", "alpha": alpha}, "attacks": found, "gradient": gradient}
    for kind, r in (("sharpness", results), ("train", {"test_accuracy": clean})):
        record = {"kind": kind, "name": run.name, "config": run.to_dict(), "scale": run.scale, "provenance": {}}
        file = root / "results" / kind / f"{run.name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record | {"results": r}))


def world(root, monkeypatch, robust_of, seeds=3):
    monkeypatch.setenv("SNNPAPER_HOME", str(root))
    rng = np.random.default_rng(0)
    for pool in ("max", "avg"):
        for alpha in (0.5, 1.0, 2.0, 4.0, 8.0):
            for seed in range(seeds):
                density, size, clean = rng.uniform(0.2, 1), rng.uniform(4, 9), rng.uniform(0.5, 0.6)
                written(root, pool, alpha, seed, robust_of(density, size), density, size, clean)
    return matrix.networks(standing.standing(matrix.attacks()))


@pytest.mark.parametrize(
    ("robust_of", "word"),
    [
        (lambda density, size: 0.9 - 0.8 * density, matrix.SPARSITY),
        (lambda density, size: 1.6 - 0.17 * size, matrix.SMOOTHNESS),
        (lambda density, size: 1.5 - 0.4 * density - 0.1 * size, matrix.NEITHER),
    ],
)
def test_robustness_follows_what_it_was_made_of(tmp_path, monkeypatch, robust_of, word):
    frame = world(tmp_path, monkeypatch, robust_of)
    found = matrix.correlations(frame)
    assert len(frame) == 30 and matrix.verdict(found) == word
    assert matrix.answer(found, frame).startswith(f"By rule 14: robustness {word}.")
    few = frame[frame["seed"] == 0]
    assert matrix.answer(matrix.correlations(few), few).startswith("No verdict with 10 of 24 networks; so far")


def test_the_worst_case_is_over_the_attacker_s_sharpness(tmp_path, monkeypatch):
    frame = world(tmp_path, monkeypatch, lambda density, size: 0.5, seeds=1)
    shares = standing.shares(standing.standing(matrix.attacks())).set_index(["training", "attack"])["share"]
    assert shares["max, atan 2", "atan 2"] == 1 and shares["max, atan 2", standing.OWN] == 1
    assert shares["max, atan 2", standing.WORST] == shares["max, atan 2", "atan 8"] < 0.7
    assert frame.set_index("run")["robust"].max() < 0.7
    assert standing.OWN in shares["avg, atan 8"].index and standing.OWN not in shares["avg, atan 4"].index


def test_a_partial_correlation_takes_out_what_is_given():
    rng = np.random.default_rng(1)
    z, noise = rng.normal(size=4000), rng.normal(size=(2, 4000))
    x, y = z + noise[0], z + noise[1]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(0.5, abs=0.05)
    assert matrix.partial(x, y, z[:, None]) == pytest.approx(0, abs=0.05)
    assert matrix.partial(np.ones(4000), y, z[:, None]) == 0


def test_without_records(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    stand = standing.standing(matrix.attacks())
    frame = matrix.networks(stand)
    assert frame.empty and "too few" in matrix.answer(matrix.correlations(frame), frame)


def test_the_findings_are_of_the_records(tmp_path, monkeypatch):
    """A usual network is overstated least where the records were made so, and one without seeds says what it lacks."""

    def falls(density, size):
        return 0.5

    frame = world(tmp_path, monkeypatch, falls)
    stand = standing.standing(matrix.attacks())
    said = findings.overstated(
        stand
    )  # through its own surrogate a network trained at 2 looks perfect, at 8 it does not
    lost = {a: standing.between(stand, f"max, atan {a}", standing.OWN, standing.WORST).mean for a in (2, 8)}
    assert lost[2] > 0.4 and lost[8] == 0 and not said.holds and "3 seeds a pool" in said.text
    same = frame.assign(size=np.log2(frame["alpha"]) * 3, density=0.24, robust=frame["alpha"] / 100)
    assert not findings.no_order(same).holds  # with either pool the more survive the sharper
    rising = same.assign(robust=same["robust"].where(same["pool"] == "max", 0.1 - same["robust"]))
    assert findings.no_order(rising).holds and "grows 4096 times" in findings.no_order(rising).text
    assert not findings.no_order(rising.assign(size=rising["alpha"] * 0)).holds
    assert not findings.costs(stand, frame.assign(clean=0.5)).holds
    assert findings.costs(stand, frame.assign(clean=0.6 - 0.2 * (frame["alpha"] == 8))).holds
    with pytest.raises(LedgerError, match="lacks sharpness records"):
        findings.no_order(frame[frame["alpha"] != 8])
    with pytest.raises(LedgerError, match="lacks sharpness records"):
        findings.overstated(stand[stand["training"] != "avg, atan 8"])


def test_the_usual_sharpness_is_overstated_least_on_both_sides():
    assert findings.overstated(found := standing.standing(matrix.attacks())).holds
    for far, few in (("max, atan 0.5", 12), ("avg, atan 8", 7)):  # its own surrogate then leaves little to the worst
        own, worst = (
            found[(found["training"] == far) & (found["attack"] == a)] for a in (standing.OWN, standing.WORST)
        )
        more = [o & ~w & (np.cumsum(o & ~w) <= few) for o, w in zip(own["stands"], worst["stands"], strict=True)]
        even = found.copy()
        left = [w | m for w, m in zip(worst["stands"], more, strict=True)]
        even.loc[own.index, "stands"] = pd.Series(left, index=own.index)
        assert standing.between(even, far, standing.OWN, standing.WORST).above
        assert not findings.overstated(even).holds
