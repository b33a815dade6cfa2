"""The ledger: one small JSON per finished piece of work, append-only, with all it follows from.

results/<kind>/<run name>.json. Kinds: train, failed, those of `snnpaper.measure`; and speed, by device and time. Every
table and figure of the book is a pure function of these files.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .config import Run, home

# What computes numbers; a package that is absent computed none.
_PACKAGES = (
    "torch", "torchvision", "spikingjelly", "numba", "torchattacks", "adversarial-robustness-toolbox", "numpy",
    "scipy", "scikit-learn", "snnpaper",
)  # fmt: skip
_REQUIRED = ("kind", "name", "config", "scale", "results", "provenance")


class LedgerError(RuntimeError):
    """A record exists already, is missing, or cannot be read."""


def folder() -> Path:
    return home() / "results"


def path(kind: str, name: str) -> Path:
    return folder() / kind / f"{name}.json"


def vacant(kind: str, name: str) -> Path:
    """Where the record will go; raises LedgerError when it is there already."""
    target = path(kind, name)
    if target.exists():
        raise LedgerError(f"{kind}/{target.name} is in the ledger already; records are never replaced")
    return target


def append(kind: str, run: Run, results: dict[str, Any], seconds: float, arrays=None, **origin) -> Path:
    """Write one record whole or not at all; a record once written is never replaced.

    `origin` is what else the numbers follow from (data_sha256, live_sha256). `arrays`, by name, lie in an .npz
    beside the record, which has its checksum. Raises LedgerError if the record exists, before anything is written:
    delete the file if it is to be made again.
    """
    target = vacant(kind, run.name)
    if arrays is not None:
        origin["arrays_sha256"] = _write_arrays(target.with_suffix(".npz"), arrays)
    record = {
        "kind": kind,
        "name": run.name,
        "config": run.to_dict(),
        "scale": run.scale,
        "results": results,
        "provenance": provenance() | origin | {"wall_seconds": round(seconds, 1)},
    }
    try:
        text = json.dumps(record, indent=1, allow_nan=False)
    except ValueError as err:
        raise LedgerError(f"{kind}/{target.name} is no JSON: {err}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".part", delete=False) as part:
        part.write(text + "\n")
    os.chmod(part.name, 0o644)
    try:
        os.link(part.name, target)  # unlike a rename, this never replaces
    except FileExistsError:
        raise LedgerError(f"{target.name} is in the ledger already; records are never replaced") from None
    finally:
        os.unlink(part.name)
    return target


def read(kind: str, name: str) -> dict[str, Any]:
    """One record; raises LedgerError naming what is missing or unreadable."""
    return read_file(path(kind, name))


def read_file(file: Path) -> dict[str, Any]:
    """The record of a file results/<kind>/<name>.json of any home; raises LedgerError as `read` does."""
    kind, name = file.parent.name, file.stem
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError:
        raise LedgerError(f"no {kind} record of {name} in {file.parent}; SNNPAPER_HOME names another home") from None
    except json.JSONDecodeError as err:
        raise LedgerError(f"{kind}/{file.name} is not JSON: {err}") from None
    if missing := [k for k in _REQUIRED if k not in record]:
        raise LedgerError(f"{kind}/{file.name} lacks {', '.join(missing)}")
    return record


def _write_arrays(file: Path, arrays: dict[str, np.ndarray]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def arrays(kind: str, name: str) -> dict[str, np.ndarray]:
    """The arrays beside a record; raises LedgerError when they are absent or not the ones it names."""
    file = path(kind, name).with_suffix(".npz")
    expected = read(kind, name)["provenance"].get("arrays_sha256")
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
        raise LedgerError(f"{kind}/{file.name} is absent or differs from the checksum in its record")
    with np.load(file) as found:
        return dict(found)


def records(kind: str) -> list[dict[str, Any]]:
    """All records of a kind, ordered by name."""
    names = sorted(p.stem for p in (folder() / kind).glob("*.json"))
    return [read(kind, name) for name in names]


def run_of(name: str) -> Run:
    """The run of this name, from whichever record of it there is; raises LedgerError when there is none."""
    for file in sorted(folder().glob(f"*/{name}.json")):
        return Run.from_dict(read(file.parent.name, name)["config"])
    raise LedgerError(f"no record of {name} in {folder().name}/")


def pack(bits) -> str:
    """Booleans [n] (which images were classified correctly) as base64 text."""
    return base64.b64encode(np.packbits(np.asarray(bits, dtype=bool)).tobytes()).decode()


def unpack(text: str, n: int) -> np.ndarray:
    """The n booleans that `pack` wrote."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=n).astype(bool)


@functools.cache
def provenance() -> dict[str, Any]:
    """Code version, packages and hardware, as they were when first asked for in this process."""
    return {
        "code": _code(),
        "packages": _packages() | {"python": platform.python_version()},
        "hardware": hardware(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def hardware() -> dict[str, Any]:
    """Processor and accelerator by name; threads torch may use; whether convolutions on the GPU round to TF32."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    tf32 = {"tf32": torch.backends.cudnn.allow_tf32} if gpu else {}
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu} | tf32


def _packages() -> dict[str, str]:
    """Versions of the packages that are installed, under the names one installs them by."""
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _code() -> dict[str, Any]:
    """Commit of this project's checkout and whether the package differs from it; None outside a checkout.

    A copy of the package in somebody else's repository, ignored there or not yet added, has no commit.
    """

    def git(*args: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
