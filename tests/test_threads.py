"""A process keeps to the threads it was given, and one that forks after a pass through the network gets answers."""

import os
import subprocess
import sys

import pytest

PASS = """
import multiprocessing
import numba, torch
from snnpaper.config import Run
from snnpaper.nets.models import build

net = build(Run.make("demo", width=4, T=2))
def once(seed):
    x = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    net.zero_grad()
    loss = net(x).square().sum()
    loss.backward()
    return loss.item(), net.conv1.weight.grad.abs().sum().item()
"""
THREADS = """
if how == "call":
    torch.set_num_threads(n)
once(0)
assert torch.get_num_threads() == n, torch.get_num_threads()
try:
    print("layer", numba.threading_layer())
except ValueError:
    print("layer not started")
"""
FORK = """
torch.set_num_threads(n)
here = [once(seed) for seed in range(2)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    there = pool.map_async(once, range(2)).get(timeout=120)
assert torch.allclose(torch.tensor(here), torch.tensor(there)), (here, there)
print("answered")
"""


def python(code: str, **env: str) -> str:
    base = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    command = [sys.executable, "-c", PASS + code]
    done = subprocess.run(command, env=base | env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("how", ["call", "variable"])
def test_one_thread_stays_one(how):
    env = {"OMP_NUM_THREADS": "1"} if how == "variable" else {}
    assert "layer not started" in python(f"how, n = {how!r}, 1\n" + THREADS, NUMBA_NUM_THREADS="2", **env)


def test_two_threads_stay_two():
    assert "layer workqueue" in python('how, n = "call", 2\n' + THREADS, NUMBA_NUM_THREADS="2")


@pytest.mark.parametrize("n", [1, 2])
def test_a_forked_pool_answers_after_a_pass(n):
    assert "answered" in python(f"n = {n}\n" + FORK, NUMBA_NUM_THREADS="2")
