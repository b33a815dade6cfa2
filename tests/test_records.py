"""The committed records: plain numbers that agree with each other and with the code that names them."""

import json

import numpy as np
import pytest

from snnpaper import ledger
from snnpaper.attacks.settings import Settings
from snnpaper.attacks.standard import EVAL, TRAIN
from snnpaper.auditing import checks
from snnpaper.auditing.evidence import STEPS, Evidence
from snnpaper.config import Run
from snnpaper.measure import TABLE


def rows_of(record):
    """Every row of a record that has packed answers, with its number of images and what it says of its accuracy."""
    results = record["results"]
    for key in ("attacks", "rows", "variants", "train mode"):
        for row in results.get(key, []):
            if "correct" in row:
                yield row, results["n"]
    for battery in results.get("batteries", []):
        for row in battery["attacks"]:
            yield row, results["n"]


@pytest.mark.parametrize("kind", ["robustness", "attacks", "curve", "ablation", "protocol", "codings", "deviations"])
def test_an_attack_is_described_by_numbers_and_its_accuracy_is_that_of_its_answers(kind):
    found = ledger.records(kind)
    assert found
    for record in found:
        for row, n in rows_of(record):
            hits = ledger.unpack(row["correct"], n)
            if "accuracy" in row:
                assert row["accuracy"] == pytest.approx(hits.mean(), abs=1e-6)
            assert row["algorithm"] and row["space"] in ("pixel", "spike")
            assert row["protocol"] in (EVAL, TRAIN) if "protocol" in row else True
            gradient = Settings(**{k: row[k] for k in Settings.__dataclass_fields__}).kind == "gradient"
            own = Run.from_dict(record["config"])
            assert not gradient or row["surrogate"] or own.neuron == "ReLU"
        if "clean_accuracy" in record["results"]:
            clean = ledger.unpack(record["results"]["clean_correct"], record["results"]["n"])
            assert record["results"]["clean_accuracy"] == pytest.approx(clean.mean(), abs=1e-6)


def test_batteries_follow_from_their_rows():
    """The worst case is what survives every row; a row saw what it should; the outsider attacked what was left."""
    for record in ledger.records("attacks"):
        n = record["results"]["n"]
        for b in record["results"]["batteries"]:
            clean, robust, left = ledger.unpack(b["clean"], n), ledger.unpack(b["robust"], n), None
            left = clean.copy()
            for row in b["attacks"]:
                attacked, correct = (ledger.unpack(row[k], n) for k in ("attacked", "correct"))
                assert (attacked == (clean if row["whole"] else left)).all() and not (correct & ~attacked).any()
                left &= correct | ~attacked
            assert (left == robust).all() and b["outsider"]["attacked"] == robust.sum()
            for values in b["evidence"].values():
                e = Evidence.from_dict(values)
                assert e.n == clean[: record["results"]["checked"]].sum() and e.eps == b["eps"]
                assert e.by_eps[e.eps] == e.by_steps[STEPS] == e.by_restarts[0] >= e.by_restarts[-1] >= e.by_steps[50]
                assert e.replayed == (record["results"]["checked"], 0)
                assert checks.report(e)["verdict"] in ("reliable", "unreliable", "obfuscated")


def test_stored_images_are_the_ones_their_record_names():
    for record in ledger.records("attacks"):
        moved = ledger.arrays("attacks", record["name"])["difference"]
        battery = record["results"]["batteries"][0]
        assert len(moved) == record["results"]["n"] and np.abs(moved).max() <= round(255 * battery["eps"])
        still = ~moved.any(axis=(1, 2, 3))
        robust = ledger.unpack(battery["robust"], len(moved))
        clean = ledger.unpack(battery["clean"], len(moved))
        assert (still == (robust | ~clean)).all()  # an image was moved if and only if that fooled


def test_what_was_migrated_says_so():
    """Records of the first format were brought into this one; those made in it have nothing to say."""
    for kind in ("robustness", "attacks", "curve", "ablation", "protocol", "codings", "deviations"):
        for record in ledger.records(kind):
            note = record["provenance"].get("migrated")
            assert note is None or note["date"] and note["what"]


def test_every_kind_of_record_is_in_the_registry():
    kinds = {folder.name for folder in ledger.folder().iterdir() if any(folder.glob("*.json"))}
    assert kinds <= {*TABLE, "train", "failed", *ledger.OF_NO_RUN}


def test_a_record_s_text_is_short_and_says_the_same():
    record = {"a": [1, 2.5, None], "b": {"c": {"d": "[two\n  lines] {and}", "e": []}}, "f": "x  {  y"}
    text = ledger.told(record)
    assert json.loads(text) == record and '"a": [1,2.5,null]' in text
    with pytest.raises(ValueError, match="JSON"):
        ledger.told({"a": float("nan")})
