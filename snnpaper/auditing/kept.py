"""The parts of an audit: each kept as soon as it is done, none begun after the time is up."""

from __future__ import annotations

import hashlib
import io
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .. import files


class OutOfTime(Exception):
    """The box is full; what is kept stays."""


class Kept:
    """Gives the result of a part: from the folder, when an earlier call finished it, or by its work.

    Every part draws its random numbers anew, an attack from the seed, the rest from the seed and the part's name, so
    that an audit in two goes equals one in one.
    Raises OutOfTime instead of beginning a part once `minutes` are over.
    """

    def __init__(self, folder: Path | None, key: str, seed: int, minutes: float, told: Callable[[str], Any]) -> None:
        self.folder = None if folder is None else folder / f"parts-{key[:10]}"
        self.seed, self.told, self.deadline = seed, told, time.monotonic() + 60 * minutes
        self.seconds: dict[str, float] = {}

    def __call__(self, group: str, part: str, work: Callable[[], Any]) -> Any:
        """`group` is what times are summed by, `part` the rest of the name."""
        name = f"{group}: {part}"
        file = None if self.folder is None else self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.pt"
        if file is not None and file.exists():
            found = files.load(file)
        else:
            if time.monotonic() > self.deadline:
                raise OutOfTime(name)
            began = time.monotonic()
            torch.manual_seed((self.seed + zlib.crc32(name.encode())) % 2**31)
            found = {"name": name, "value": work(), "seconds": time.monotonic() - began}
            if file is not None:
                torch.save(found, packed := io.BytesIO())
                files.write(file, packed.getvalue())
        self.seconds[group] = self.seconds.get(group, 0.0) + found["seconds"]
        self.told(name)
        return found["value"]
