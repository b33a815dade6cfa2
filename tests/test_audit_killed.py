"""`snnpaper audit` stopped by Ctrl-C and by kill -9, in the middle: the same command ends in the undisturbed report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

CODE = """
from torch import nn
def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 4))
"""
# `python -m snnpaper` that rests after each part, so that a busy machine's signal still meets it at work. It hears
# Ctrl-C even where the tests run in a shell's background, which has it ignored.
RESTS = """
import signal, sys, time
from snnpaper.auditing.kept import Kept
from snnpaper.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
call = Kept.__call__
Kept.__call__ = lambda *args: (call(*args), time.sleep(0.3))[0]
main(sys.argv[1:])
"""
ROOT = Path(__file__).resolve().parents[1]


def start(folder: Path, out: str, code: tuple[str, str] = ("-m", "snnpaper")) -> subprocess.Popen:
    words = ["mine:make", "--weights", "w.pt", "--data", "d.npz", "--eps", "25/255", "--n", "60", "--device", "cpu"]
    command = [sys.executable, *code, "audit", *words, "--out", out]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def parts(folder: Path) -> int:
    return len(list(folder.glob("parts-*/*.pt")))


def report(folder: Path) -> dict:
    return {k: v for k, v in json.loads((folder / "report.json").read_text()).items() if k != "time"}


@pytest.mark.slow
def test_an_audit_that_is_killed_twice_ends_in_the_undisturbed_report(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    y = torch.arange(60) % 4
    x = 0.4 + 0.02 * torch.rand(60, 48, generator=torch.Generator().manual_seed(0))
    x.unflatten(1, (4, -1))[range(60), y] += torch.linspace(0.01, 0.4, 60)[:, None]
    np.savez(tmp_path / "d.npz", x=x.view(60, 3, 4, 4).numpy(), y=y.numpy())
    bands = torch.eye(4).repeat_interleave(12, 1) / 12
    weights = {"1.weight": bands, "1.bias": torch.zeros(4), "3.weight": 8 * torch.eye(4), "3.bias": torch.zeros(4)}
    torch.save(weights, tmp_path / "w.pt")
    assert start(tmp_path, "whole").wait() == 0
    for stop, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before, life = parts(tmp_path / "killed"), start(tmp_path, "killed", ("-c", RESTS))
        while parts(tmp_path / "killed") < before + 3 and life.poll() is None:
            time.sleep(0.005)
        life.send_signal(stop)
        assert life.wait() == status and not (tmp_path / "killed" / "report.json").exists()
    done = {f: f.stat().st_mtime_ns for f in tmp_path.glob("killed/parts-*/*.pt")}
    assert start(tmp_path, "killed").wait() == 0
    assert len(done) >= 6 and all(f.stat().st_mtime_ns == t for f, t in done.items())  # nothing is done again
    assert report(tmp_path / "killed") == report(tmp_path / "whole")
