"""What the printed tables and sentences say of budgets: the constants of the code, and counts from the records."""

import json

import numpy as np
import pandas as pd
import torch

from snnpaper import ledger
from snnpaper.attacks import spiking_ensemble
from snnpaper.attacks.ensemble import AUTOATTACK_STEPS, autoattack, pgd_settings
from snnpaper.attacks.settings import Settings
from snnpaper.attacks.standard import Attack
from snnpaper.config import Run
from snnpaper.nets.coded import CodedNet
from snnpaper.report.attacks import protocol_tables, tables
from snnpaper.report.tables import PGD

RUN = Run.make("demo", width=4)


OWN = {"surrogate": "atan", "alpha": 2.0, "pool_backward": "max"}


def test_every_attack_has_one_name_and_a_budget_and_comes_back_from_a_record():
    coded = CodedNet.of(RUN)
    assert spiking_ensemble.own(coded) == OWN
    for space in ("pixel", "spike"):
        settings = [s.settings for s in spiking_ensemble.stages(coded, space, 0.03, {"ReLU twin": coded})]
        assert all(s.budget for s in settings) and len({s.name for s in settings}) == len(settings)
        rows = json.loads(json.dumps([s.of_network(OWN) for s in settings]))
        assert all(row["surrogate"] for row, s in zip(rows, settings, strict=True) if s.kind == "gradient")
        assert [Settings.of(row, OWN) for row in rows] == settings
    said = {s.name: s.budget for s in settings}  # of spike space
    assert said == said | {
        "PGD-7 (any iterate)": "7 steps, 1 start",
        "PGD-100 (any iterate), 2 starts": "100 steps, 2 starts",
        "APGD-DLR-100": "100 steps, 1 start",
        "SA-PGD-100, ASSG": "100 steps, 1 start, one sharpness",
        "PGD-20 (any iterate), atan 0.5": "20 steps, 1 start",
        "FGSM": "1 step",
        "random noise": "best of 20 draws",
        "Square, 500 queries": "500 queries (usual: 5,000)",
        "transfer: ReLU twin": "20 steps, 1 start, on the other network",
        "HopSkipJump, shortened": "3 iterations of up to 100 evaluations (usual: 50, 10,000)",
        "AutoAttack, shortened": "APGD, APGD-T, FAB-T: 10 steps (published: 100); "
        "Square: 100 queries (published: 5,000)",
    }


def test_two_attacks_of_seven_steps_have_two_names():
    ours, published = pgd_settings(8 / 255, 7), Attack(space="spike").settings
    assert (ours.name, published.name) == ("PGD-7 (any iterate)", "PGD-7 (last iterate)")
    assert published.step_size == 0.01 != ours.step_size
    assert tables.PLAIN["spike"] == ours.name and PGD == published.name


def test_autoattack_keeps_the_budget_it_names():
    parts = autoattack(torch.nn.Linear(1, 1), 0.1, 10, 100).attacks
    assert {p.steps for p in parts if hasattr(p, "steps")} == {AUTOATTACK_STEPS} and parts[-1].n_queries == 100


def test_what_was_left_for_the_costly_attacks_is_counted():
    def row(attack, kind, attacked, correct):
        bits = {"attacked": np.array(attacked, bool), "correct": np.array(correct, bool)}
        return {"attack": attack, "kind": kind, "space": "spike"} | bits

    black, assg = tables.few_left(pd.DataFrame([
        row("Square, 500 queries", "black box", [1, 1, 0, 1], [1, 0, 0, 1]),
        row("HopSkipJump", "black box", [1, 0, 0, 1], [1, 0, 0, 1]),
        row("SA-PGD-100, ASSG", "gradient", [1, 1, 1, 1], [0, 0, 0, 1]),
    ]))  # fmt: skip
    assert "saw at most 3 images" in black and "fooled 1 of 5." in black
    assert "saw at most 4 images" in assg and "fooled 3 of 4 in spike space." in assg


def test_the_text_on_eot_follows_the_record(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    (tmp_path / "results" / "codings").mkdir(parents=True)

    def text(*stand):
        one = {"algorithm": "PGD", "fixed": False}
        attacks = [one | {"samples": k, "accuracy": a} for k, a in zip((1, 5, 20), stand, strict=False)]
        attacks.append(one | {"samples": 1, "fixed": True, "accuracy": 0.43})
        run = Run.make("demo", coding="rate")
        record = {"kind": "codings", "name": run.name, "config": run.to_dict(), "scale": run.scale, "provenance": {}}
        record["results"] = {"attacks": attacks}
        ledger.path("codings", run.name).write_text(json.dumps(record))
        return protocol_tables.samples_text()

    assert "1, 5, 20 samples a gradient: 64, 48, 42 % survive, still falling" in text(0.64, 0.48, 0.42)
    assert "no longer falling. With the draw known: 43 %." in text(0.64, 0.48, 0.48)
    assert text() == ""
    assert tables.few_left(tables.rows()) == []
