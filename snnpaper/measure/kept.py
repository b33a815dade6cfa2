"""The parts of a long measurement, each kept on disk as soon as it is done: a kill loses at most one."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch

from .. import files
from ..config import Run, home
from ..train import OutOfTime, drawn_from


class Kept:
    """Called with a part's name and its work, a function that gives plain values and tensors; gives its result.

    What an earlier call of the same measurement has finished is read instead: from runs/, in a folder named by all
    that decides it (network, images, settings). Every part draws its random numbers from the run's seed anew, so that
    a measurement in two goes equals one in one. `seconds` is the time all parts took. Raises train.OutOfTime
    instead of beginning a part after `deadline` (on the clock of time.monotonic).
    """

    def __init__(self, kind: str, run: Run, decided_by: dict[str, Any], deadline: float = math.inf) -> None:
        key = hashlib.sha256(json.dumps(decided_by, sort_keys=True, default=repr).encode()).hexdigest()[:10]
        self.folder = home() / "runs" / f"{run.name}.{kind}-{key}"
        self.kind, self.run, self.deadline, self.seconds = kind, run, deadline, 0.0

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        file = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.pt"
        if not file.exists():
            if time.monotonic() > self.deadline:
                raise OutOfTime(f"{self.run.name}: stopped in its {self.kind}, before {name}")
            began = time.monotonic()
            with drawn_from(self.run.seed):
                value = work()
            buffer = io.BytesIO()
            torch.save({"name": name, "value": value, "seconds": time.monotonic() - began}, buffer)
            files.write(file, buffer.getvalue())
        found = files.load(file)
        if not isinstance(found, dict) or found.keys() != {"name", "value", "seconds"} or found["name"] != name:
            raise files.damaged(file, ValueError(f"it is not of {name}"))
        self.seconds += found["seconds"]
        return found["value"]

    def forget(self) -> None:
        """The record is written: its parts may go."""
        shutil.rmtree(self.folder, ignore_errors=True)


def at_once(_: str, work: Callable[[], Any]) -> Any:
    """In place of a Kept: work, and keep nothing."""
    return work()
