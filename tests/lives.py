"""Work that is killed again and again: `python tests/lives.py train|KIND` in a SNNPAPER_HOME of its own.

Every life is a fork of this process, which has loaded all libraries, and may be killed (SIGKILL) at a numbered event:
a step, a pass through a layer of neurons, a file half written, or whole and not yet in its place. Prints one JSON line:
the kills by sort of event, and what an undisturbed life and the last of the killed ones ended in.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from snnpaper import files, ledger, measure
from snnpaper import train as training
from snnpaper.attacks import strong
from snnpaper.config import Run, home
from snnpaper.measure import experiment
from snnpaper.nets import data
from snnpaper.nets.neurons import IF

RUN = Run.make("demo", width=4, epochs=4, T=2, train_images=256)
FEW = Run.make("demo", dataset="nmnist_few", width=4, epochs=1, batch_size=4)
KILLS = 20
# What makes a record of each kind small enough to be made three times in a test.
SMALL: dict[str, dict] = {
    "robustness": {"images": 16, "radii": (8,)},
    "sparsity": {"images": 8, "weight_images": 2},
    "attacks": {"images": 40, "batteries": (("pixel", 8, False),), "checked": 40, "outsider_steps": 1},
    "stronger": {"images": 12, "budgets": (1, 2)},
    "curve": {"images": 8, "levels": (1, 8), "fine": (1, 8), "flips": (1, 64), "steps": 3},
    "backwards": {"images": 6, "radii": (1, 8), "levels": (1,), "steps": 3},
    "events": {"images": 4, "counts": (1,), "fine": (1,), "budgets": (8, 64), "worst": (64,), "steps": 3},
    "ablation": {"images": 6, "steps": 3},
    "protocol": {"images": 16},
    "deviations": {"images": 16},
    "theory": {"images": 4},
    "trail": {"images": 16, "shown": 2},
    "untrained": {"images": 16, "shown": 2},
    "codings": {"images": 6, "steps": 3, "samples": (1, 2)},
    "sharpness": {"images": 6},
}


class Countdown:
    """Counts events; at the number `at` the process kills itself. `seen` has them by sort."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.seen = at, collections.Counter[str]()

    def __call__(self, sort: str, before: Callable[[], object] = lambda: None) -> None:
        self.seen[sort] += 1
        if self.seen.total() == self.at:
            before()
            (home() / "killed-in").write_text(sort)
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, layers: bool) -> None:
        """Make events of what this process does from now on."""
        fsync, replace, link, step, forward = os.fsync, os.replace, os.link, training.train_step, IF.forward

        def half(handle):
            self("file half written", lambda: os.ftruncate(handle, os.fstat(handle).st_size // 2))
            fsync(handle)

        def placed(sort, function):
            def call(*args):
                self(sort)
                return function(*args)

            return call

        os.fsync, os.replace = half, placed("file not in its place", replace)
        os.link = placed("record not in its place", link)
        training.train_step = placed("step", step)
        if layers:
            IF.forward = placed("layer", forward)


def lived(work: Callable[[], object], at: int = 0, layers: bool = False) -> tuple[bool, dict]:
    """Whether the work came to its end in a life that is killed at an event (0: never), and its events by sort."""
    (told := home() / "events").unlink(missing_ok=True)
    if not (child := os.fork()):
        status = 1
        with contextlib.suppress(SystemExit):
            countdown = Countdown(at)
            countdown.watch(layers)
            work()
            told.write_text(json.dumps(countdown.seen))
            status = 0
        os._exit(status)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and status:
        raise RuntimeError("a life ended in an error")
    if os.WIFSIGNALED(status):
        return False, {(home() / "killed-in").read_text(): 1}
    return True, json.loads(told.read_text())


def at_home(name: str) -> Path:
    os.environ["SNNPAPER_HOME"] = str(BASE / name)
    home().mkdir(parents=True, exist_ok=True)
    return home()


def train() -> dict:
    """A training killed KILLS times, at random, with a checkpoint after every step."""
    training._SAVE_EVERY = 0.0
    splits, moments, kills = data.load(RUN.dataset), random.Random(0), collections.Counter[str]()

    def work():
        done = training.train(RUN, splits, progress=False)
        state = b"".join(v.numpy().tobytes() for v in done.coded.state_dict().values())
        (home() / "end").write_text(hashlib.sha256(state).hexdigest() + json.dumps(done.curves))

    ends = []
    for name in ("whole", "killed"):
        at_home(name)
        while name == "killed" and kills.total() < KILLS:
            ended, sorts = lived(work, at=moments.randint(1, 6))
            assert not ended, "it ended before it was killed often enough"
            kills.update(sorts)
        assert lived(work)[0]
        ends.append((home() / "end").read_text())
    return {"kills": kills, "same": ends[0] == ends[1], "left": left()}


def kind(name: str) -> dict:
    """One kind of record: undisturbed, and killed at three random events."""
    strong.LONG = strong.MIXED = strong.LEVELS = 3
    strong.USUAL = {"steps": 3, "queries": 20}
    run, moments, kills = FEW if name == "events" else RUN, random.Random(name), collections.Counter[str]()
    ends, total = [], 0
    for place in ("whole", "killed"):
        at_home(place)
        assert lived(lambda: experiment.train_stage(run, progress=False))[0]
        if name == "stronger":  # it goes on from the worst case of this record
            assert lived(lambda: measure.make("attacks", run, **SMALL["attacks"]))[0]
        if place == "killed":
            for _ in range(3):
                ended, sorts = lived(lambda: measure.make(name, run, **SMALL[name]), moments.randint(1, total), True)
                kills.update({} if ended else sorts)
                if ended:
                    break
        ended, sorts = lived(lambda: measure.make(name, run, **SMALL[name]), layers=True)
        total = total or sum(sorts.values())
        record = ledger.read(name, run.name)
        checksums = {k: v for k, v in record["provenance"].items() if k.endswith("sha256")}
        ends.append((record["results"], checksums))
        experiment.tidy(run)
    return {"kills": kills, "same": ends[0] == ends[1], "left": left()}


def left() -> list[str]:
    """Files in the folder of unfinished work, and parts anywhere."""
    return sorted(p.name for p in home().rglob("*") if p.is_file() and (p.parent.name == "runs" or p.suffix == ".part"))


if __name__ == "__main__":
    BASE = Path(os.environ["SNNPAPER_HOME"])
    torch.set_num_threads(1)
    files.check(BASE)
    print(json.dumps(train() if sys.argv[1] == "train" else kind(sys.argv[1])))
