"""Images a second of a training, alone with two threads, alone with one, and two at once with one each."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks.contenders import Ours
from snnpaper.config import Run

WAYS = ((1, 2), (1, 1), (2, 1))  # processes, threads of each
_WAIT = 600  # seconds for the slowest process to be ready


def throughput(setting: dict, steps: int = 20) -> list[dict]:
    """Rows {processes, threads, images_per_s: one value a process} of `setting`, each over `steps` train steps.

    The steps of processes that run side by side begin together, after each has warmed up.
    """
    rows = []
    for processes, threads in WAYS:
        context = multiprocessing.get_context("spawn")
        together = context.Barrier(processes)
        with ProcessPoolExecutor(processes, context, _begin, (together, threads)) as pool:
            rates = [f.result() for f in [pool.submit(_rate, setting, steps) for _ in range(processes)]]
        rows.append(setting | {"processes": processes, "threads": threads, "images_per_s": rates})
    return rows


def _begin(together, threads: int) -> None:
    global _together
    _together = together
    torch.set_num_threads(threads)


def _rate(setting: dict, steps: int) -> float:
    run, g = Run.make("cpu", **setting), torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (run.batch_size, 3, 32, 32), dtype=torch.uint8, generator=g)
    ours = Ours(run, x, torch.randint(0, 10, (run.batch_size,), generator=g))
    for _ in range(2):
        ours.train_step()
    _together.wait(_WAIT)
    began = time.perf_counter()
    for _ in range(steps):
        ours.train_step()
    return steps * run.batch_size / (time.perf_counter() - began)
