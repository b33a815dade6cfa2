"""What the printed tables and sentences say of budgets: the constants of the code, and counts from the records."""

import json

import numpy as np
import pandas as pd

from snnpaper.attacks import spiking_ensemble
from snnpaper.config import Run
from snnpaper.nets.coded import CodedNet
from snnpaper.report.attacks import budgets, protocol_tables, tables

RUN = Run.make("demo", width=4)


def test_every_attack_has_a_budget_that_its_code_keeps():
    coded = CodedNet.of(RUN)
    both = [spiking_ensemble.stages(coded, space, 0.03, {"ReLU twin": coded}) for space in ("pixel", "spike")]
    names = [s.name for stages in both for s in stages]
    assert all(budgets.budget(name) for name in names)
    assert budgets.budget("clean") == budgets.budget(tables.WORST) == ""
    said = {
        "PGD-7, weighted twin": "7 steps, 1 start",
        "PGD-100, 2 starts": "100 steps, 2 starts",
        "level search, 100 steps": "100 steps, 1 start",
        "APGD-DLR-100": "100 steps, 1 start",
        "SA-PGD-100, ASSG": "100 steps, 1 start, one sharpness",
        "PGD-20, atan 0.5": "20 steps, 1 start",
        "FGSM": "1 step",
        "Square, 500 queries": "500 queries (usual: 5,000)",
        "transfer: ReLU twin": "20 steps, 1 start, on the other network",
        "HopSkipJump": "3 iterations of up to 100 evaluations (usual: 50, 10,000)",
        "AutoAttack": "APGD, APGD-T, FAB-T: 10 steps (published: 100); Square: 100 queries (published: 5,000)",
    }
    assert {name: budgets.budget(name) for name in said} == said


def test_what_was_left_for_the_costly_attacks_is_counted():
    def row(attack, kind, attacked, correct):
        bits = {"attacked": np.array(attacked, bool), "correct": np.array(correct, bool)}
        return {"attack": attack, "kind": kind, "space": "spike"} | bits

    black, assg = budgets.few_left(pd.DataFrame([
        row("Square, 500 queries", "black box", [1, 1, 0, 1], [1, 0, 0, 1]),
        row("HopSkipJump", "black box", [1, 0, 0, 1], [1, 0, 0, 1]),
        row("SA-PGD-100, ASSG", "gradient", [1, 1, 1, 1], [0, 0, 0, 1]),
    ]))  # fmt: skip
    assert "saw at most 3 images" in black and "fooled 1 of 5." in black
    assert "saw at most 4 images" in assg and "fooled 3 of 4 in spike space." in assg


def test_the_text_on_eot_follows_the_record(tmp_path):
    (tmp_path / "codings").mkdir()

    def text(*stand):
        attacks = [{"attack": f"PGD-20, EOT {k}", "accuracy": a} for k, a in zip((1, 5, 20), stand, strict=False)]
        attacks.append({"attack": "PGD-20, fixed spikes", "accuracy": 0.43})
        record = dict.fromkeys(("kind", "name", "config", "scale", "provenance"), {}) | {
            "results": {"attacks": attacks}
        }
        (tmp_path / "codings" / "x.json").write_text(json.dumps(record))
        return protocol_tables.samples_text(tmp_path)

    assert "1, 5, 20 samples a gradient: 64, 48, 42 % stand, still falling" in text(0.64, 0.48, 0.42)
    assert "no longer falling. With the draw known: 43 %." in text(0.64, 0.48, 0.48)
    assert text() == ""
    assert budgets.few_left(tables.rows(tmp_path)) == []
