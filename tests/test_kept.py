"""A measurement that is killed: it ends as an undisturbed one, and what was finished is not done again."""

import collections
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from snnpaper import ledger
from snnpaper.config import Run
from snnpaper.measure.kept import Kept
from snnpaper.train import OutOfTime

RUN = Run.make("demo", width=4, T=2, epochs=1, train_images=64)
# The battery of three attacks, each of which takes a moment and says that it ran.
BATTERY = """
import os, sys, time
from dataclasses import replace
from snnpaper import measure
from snnpaper.attacks.ensemble import generic
from snnpaper.config import Run
from snnpaper.measure import attacks, experiment

run, log = Run.make("demo", width=4, T=2, epochs=1, train_images=64), sys.argv[1]

def slowly(stage):
    def find(model, x, y):
        time.sleep(0.5)
        with open(log, "a") as f:
            f.write(stage.settings.name + "\\n")
        return stage.find(model, x, y)
    return replace(stage, find=find, settings=replace(stage.settings, space="pixel"))

attacks.stages = lambda coded, space, eps, *_: [slowly(s) for s in generic(eps, 10, 1, 20)[:4]]
attacks.choices = lambda net: []
if not os.path.exists(os.path.join(os.environ["SNNPAPER_HOME"], "results", "train", run.name + ".json")):
    experiment.run_all(run, progress=False, kinds=())
measure.make("attacks", run, images=24, batteries=(("pixel", 8, False),), checked=8, outsider_steps=2)
"""


def test_parts_are_kept_drawn_anew_and_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    done = []

    def work():
        done.append(1)
        return {"drawn": torch.rand(3), "n": 3, "of": [1.5, None, True]}

    first = Kept("curve", RUN, {"eps": 1})("a", work)
    torch.rand(5)  # another place in the caller's stream
    again = Kept("curve", RUN, {"eps": 1})
    second = again("a", work)
    assert len(done) == 1 and torch.equal(first.pop("drawn"), second.pop("drawn")) and first == second
    assert again.seconds > 0
    other = Kept("curve", RUN, {"eps": 2})  # other settings: another measurement
    assert torch.equal(other("a", work)["drawn"], again("b", work)["drawn"]) and len(done) == 3
    late = Kept("curve", RUN, {"eps": 1}, deadline=time.monotonic() - 1)
    late("a", work)
    with pytest.raises(OutOfTime, match="stopped in its curve, before c"):
        late("c", work)
    again.forget()
    assert not again.folder.exists() and other.folder.exists()


@pytest.mark.slow
def test_kill_9_inside_a_battery_loses_at_most_one_attack(tmp_path, monkeypatch):
    def start(name):
        env = os.environ | {"SNNPAPER_HOME": str(tmp_path / name), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([sys.executable, "-c", BATTERY, str(tmp_path / f"{name}.log")], env=env)

    assert start("whole").wait() == 0
    killed, log = start("killed"), tmp_path / "killed.log"
    deadline = time.monotonic() + 300
    while killed.poll() is None and time.monotonic() < deadline:
        if log.exists() and len(log.read_text().splitlines()) >= 2:
            break
        time.sleep(0.02)
    assert killed.poll() is None, "the battery ended before it could be killed"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = log.read_text().splitlines()
    assert start("killed").wait() == 0
    ran = collections.Counter(log.read_text().splitlines())
    assert set(ran) == set((tmp_path / "whole.log").read_text().splitlines())
    assert all(ran[name] == 1 for name in before[:-1]) and sum(ran.values()) - len(ran) <= 1
    records, arrays = [], []
    for name in ("whole", "killed"):
        monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path / name))
        records.append(ledger.read("attacks", RUN.name))
        arrays.append(ledger.arrays("attacks", RUN.name)["difference"])
        assert not list((tmp_path / name / "runs").glob("*"))
    assert records[0]["results"] == records[1]["results"] and (arrays[0] == arrays[1]).all()
    same = ("live_sha256", "data_sha256", "arrays_sha256")
    assert all(records[0]["provenance"][k] == records[1]["provenance"][k] for k in same)
