"""The ladder of attacks, the strip of adversarial examples, and the picture of the pool's spikes."""

import numpy as np
import pandas as pd
import pytest
import torch

from snnpaper.report.attacks import examples, ladder, tables
from snnpaper.report.comparison import figures
from snnpaper.report.trail import activity


def of(attack, correct, attacked=None, pool="max", kind="gradient"):
    whole = attacked is None
    hits, seen = np.array(correct, bool), np.ones(len(correct), bool) if whole else np.array(attacked, bool)
    return {
        "run": pool, "pool": pool, "space": "pixel", "eps": 1.0, "n": len(hits), "attack": attack, "kind": kind,
        "whole": whole, "attacked": seen, "correct": hits, "accuracy": hits.mean() if whole else np.nan,
    }  # fmt: skip


def test_a_ladder_goes_down_from_weak_to_strong_and_leaves_out_what_fooled_nothing():
    rows = [
        of("clean", [1, 1, 1, 0]), of("strong", [1, 0, 0, 0]), of("weak", [1, 1, 0, 0]),
        of("costly", [0, 0, 0, 0], [1, 0, 0, 0]), of("idle", [0, 0, 0, 0], [0, 0, 0, 0]),
        of(tables.WORST, [0, 0, 0, 0], kind="worst"),
    ]  # fmt: skip
    steps, idle = ladder.ladder(pd.DataFrame(rows), "pixel")
    assert list(steps["attack"]) == ["clean", "weak", "strong", "costly"] and idle == ["idle"]
    assert list(steps["left"]) == [0.75, 0.5, 0.25, 0] and np.isnan(steps["alone"].iloc[-1])
    assert ladder.ends_in_the_worst_case(pd.DataFrame(rows), "pixel")
    assert not ladder.ends_in_the_worst_case(pd.DataFrame([*rows[:3], *rows[4:]]), "pixel")
    assert "1 more" in ladder.idle_text(idle) and not ladder.idle_text([])


def test_the_recorded_ladders_end_in_the_recorded_worst_case():
    rows = tables.rows()
    for space in ("pixel", "spike"):
        assert ladder.ends_in_the_worst_case(rows, space)
        steps, _ = ladder.ladder(rows, space)
        left = ladder.figure(steps, space).axes[0].get_legend_handles_labels()[0][0].get_xdata()
        assert (np.diff(left) <= 0).all()


def test_examples_stay_in_their_radius_and_fool(monkeypatch):
    rows = tables.rows()
    names = list(dict.fromkeys(rows["run"]))
    found = examples.examples(names)
    assert [e.levels for e in found] == [1, 1, 8, 8] and {e.pool for e in found} == {"max", "avg"}
    for e in found:
        assert 0 < (e.moved.int() - e.clean.int()).abs().max() <= e.levels
        assert e.before.argmax() == e.label != e.after.argmax()
    assert len(examples.figure(found).axes) == 16 and len(examples.sentences(found)) == 4
    assert examples.examples([]) == [] == examples.examples([names[0], "cifar10-not-kept"])


def test_a_window_is_silent_when_none_of_its_nine_fired():
    spikes = torch.zeros(1, 1, 4, 4)
    spikes[0, 0, 3, 3] = 1
    assert activity.silent(spikes)[0, 0].tolist() == [[True, True], [True, False]]


def test_a_trade_off_is_counted_where_one_pool_gains_under_attack_and_loses_clean():
    head = {k: "" for k in ("dataset", "label", "width", "train_images", "epochs", "batch_size", "variant", "scale")}
    head |= {"dataset": "cifar10", "label": "SEW-ResNet-18", "seed": 0}
    rows = []
    for cell, (clean, robust) in {"a": ((0.5, 0.6), (0.3, 0.2)), "b": ((0.6, 0.5), (0.3, 0.2))}.items():
        for i, pool in enumerate(("max", "avg")):
            mine = head | {"variant": cell, "pool": pool, "run": cell + pool, "n": 10}
            rows.append(
                mine | {"space": "clean", "protocol": "eval", "method": "clean", "eps": 0, "accuracy": clean[i]}
            )
            what = {"space": "pixel", "protocol": "eval", "method": "pgd", "eps": 8}
            rows.append(mine | what | {"accuracy": robust[i]})
    frame = pd.DataFrame(rows).replace({"protocol": {"eval": list(figures.SPACES)[2][1]}})
    text = figures.quadrants(frame, "pixel", list(figures.SPACES)[2][1])
    assert "of 2 pairs" in text and "in 1 (the trade-off), better on both in 1" in text and "robust in 0" in text
    assert len(figures.plane(frame).axes) == 3
    with pytest.raises(KeyError):
        figures.quadrants(frame, "pixel", "no such mode")
