"""Several processes on one grid: what each works on is claimed, and how many of them are started on a CPU."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import torch

from .config import home


@contextlib.contextmanager
def claim(name: str) -> Iterator[bool]:
    """Whether the work `name` is this process's alone while the context lasts; False when another has it.

    runs/<name>.claim is locked before the work begins. The system gives the lock back when the process ends,
    however it does, so what a killed process had claimed is free again.
    """
    path = home() / "runs" / f"{name}.claim"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))  # else removed meanwhile
        except BlockingIOError:
            mine = False
        try:
            yield mine
        finally:
            if mine:
                path.unlink(missing_ok=True)


class Busy(RuntimeError):
    """Another process is at work on it."""


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """`claim`, for work that cannot be passed over; raises Busy when another process has it."""
    with claim(name) as mine:
        if not mine:
            raise Busy(f"another process works on {name}; wait for it, or give one of them a SNNPAPER_HOME of its own")
        yield


def share(together: int, threads: int | None) -> int:
    """Threads for each of `together` processes that have `threads` in all; None: as many as this process has.

    Raises ValueError when either is below 1 or fewer threads are given than processes.
    """
    if together < 1:
        raise ValueError(f"together is {together}; allowed: 1 or more")
    if threads is not None and threads < together:
        raise ValueError(f"threads is {threads}; allowed: at least together, {together}")
    return max(1, (threads or torch.get_num_threads()) // together)


def side_by_side(command: Sequence[str], together: int, threads: int) -> None:
    """Run `python -m snnpaper` with `command` in so many processes of so many threads each, to the end of all.

    When this process is interrupted or terminated, they are too. Raises RuntimeError when one fails.
    """
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    whole = [sys.executable, "-m", "snnpaper", *command]
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    processes: list[subprocess.Popen] = []
    try:
        processes += [subprocess.Popen(whole, env=env) for _ in range(together)]
        codes = [p.wait() for p in processes]
    finally:
        signal.signal(signal.SIGTERM, before)
        for p in processes:
            if p.poll() is None:
                p.terminate()
                p.wait()
    if failed := [code for code in codes if code not in (0, 1)]:  # 1: something is left
        raise RuntimeError(f"{len(failed)} of {together} processes failed, with exit status {failed[0]}")
