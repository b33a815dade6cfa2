"""The ledger: one small JSON per finished piece of work, append-only, with all it follows from.

results/<kind>/<run name>.json. Kinds: train, failed, those of `snnpaper.measure`; and by time speed and suites. Every
table and figure of the book is a pure function of these files.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import files
from .config import Run, checkout, home

# What computes numbers; a package that is absent computed none.
_PACKAGES = (
    "torch", "torchvision", "spikingjelly", "numba", "torchattacks", "adversarial-robustness-toolbox", "numpy",
    "scipy", "scikit-learn", "snnpaper",
)  # fmt: skip
_REQUIRED = {"kind": str, "name": str, "config": dict, "scale": str, "results": dict, "provenance": dict}
_FIELDS = ", ".join(f"{name} ({form.__name__})" for name, form in _REQUIRED.items())
OF_NO_RUN = ("speed", "suites")  # kinds that are named by the time they were made
_NAME = re.compile(r"\w[\w.-]*")  # of a record's file; what sync tools and file managers add is of another form


class LedgerError(RuntimeError):
    """A record exists already, is missing, or cannot be read."""


class Stranger(LedgerError):
    """A file in the ledger's folders that is no record of its name, such as a copy made by a sync tool."""


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
    packed = None
    if arrays is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        packed = buffer.getvalue()
        origin["arrays_sha256"] = hashlib.sha256(packed).hexdigest()
    record = {
        "kind": kind,
        "name": run.name,
        "config": run.to_dict(),
        "scale": run.scale,
        "results": results,
        "provenance": provenance() | origin | {"wall_seconds": round(seconds, 1)},
    }
    try:
        text = told(record)
    except (ValueError, TypeError) as err:
        raise LedgerError(f"{kind}/{target.name} is no JSON: {err}") from None
    if packed is not None:  # first, so that a record never lacks its arrays
        files.write(target.with_suffix(".npz"), packed)
    put(target, text)
    return target


def told(record: dict[str, Any]) -> str:
    """The text of a record's file: JSON to be read, each innermost list or object on a line of its own.

    Raises ValueError or TypeError for what JSON has not.
    """
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: re.sub(r"\n\s*", "", inner.group()), text)


def put(target: Path, text: str) -> None:
    """Write a record's file; raises LedgerError when it is there already."""
    try:
        files.write(target, text, replace=False)
    except FileExistsError:
        raise LedgerError(f"{target.name} is in the ledger already; records are never replaced") from None


def read(kind: str, name: str) -> dict[str, Any]:
    """One record; raises LedgerError naming what is missing or unreadable."""
    return read_file(path(kind, name))


def read_file(file: Path) -> dict[str, Any]:
    """The record of a file results/<kind>/<name>.json of any home; raises LedgerError as `read` does."""
    kind, name = file.parent.name, file.stem
    try:
        record = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise LedgerError(f"no {kind} record of {name} in {file.parent}; SNNPAPER_HOME names another home") from None
    except (ValueError, RecursionError) as err:
        raise LedgerError(f"{kind}/{file.name} is not JSON: {err}") from None
    except OSError as err:
        raise LedgerError(f"{kind}/{file.name} cannot be read: {err.strerror}") from None
    if not isinstance(record, dict):
        raise LedgerError(f"{kind}/{file.name} holds {type(record).__name__}; allowed: an object of {_FIELDS}")
    if missing := [k for k in _REQUIRED if k not in record]:
        raise LedgerError(f"{kind}/{file.name} lacks {', '.join(missing)}")
    if wrong := [k for k, form in _REQUIRED.items() if not isinstance(record[k], form)]:
        raise LedgerError(f"{kind}/{file.name}: {', '.join(wrong)} has another form; allowed: {_FIELDS}")
    if (record["kind"], record["name"]) != (kind, name):
        raise Stranger(f"{kind}/{file.name} is a copy: it holds the {record['kind']} record of {record['name']}")
    if kind not in OF_NO_RUN:
        try:
            meant = Run.from_dict(record["config"]).name
        except (ValueError, TypeError) as err:
            raise LedgerError(f"{kind}/{file.name} describes no run: {err}") from None
        if meant != name:
            raise LedgerError(f"{kind}/{file.name} describes another run, {meant}")
    return record


def arrays(kind: str, name: str) -> dict[str, np.ndarray]:
    """The arrays beside a record; raises LedgerError when they are absent or not the ones it names."""
    file = path(kind, name).with_suffix(".npz")
    expected = read(kind, name)["provenance"].get("arrays_sha256")
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
        raise LedgerError(f"{kind}/{file.name} is absent or differs from the checksum in its record")
    with np.load(file) as found:
        return dict(found)


def records(kind: str) -> list[dict[str, Any]]:
    """All records of a kind, ordered by name; raises LedgerError for one that cannot be read.

    What is no record by its name, or is a record of another name (a copy that a sync tool made), is passed over:
    see `strangers`.
    """
    return [record for _, record in _found(kind) if record]


def need(kind: str, names: Iterable[str]) -> None:
    """Raises LedgerError naming which of these records the ledger lacks."""
    if lacks := [name for name in names if not path(kind, name).exists()]:
        raise LedgerError(f"{folder()} lacks {len(lacks)} {kind} records that are drawn here: {', '.join(lacks)}")


def strangers() -> list[Path]:
    """What other tools left in the folders of the ledger, and is not read."""
    kinds = sorted(p.name for p in folder().iterdir() if p.is_dir()) if folder().exists() else []
    return [file for kind in kinds for file, record in _found(kind) if not record]


def _found(kind: str) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Every .json of a kind with its record, or None for what is none."""
    for file in sorted((folder() / kind).glob("*.json")):
        record = None
        if _NAME.fullmatch(file.stem):
            with contextlib.suppress(Stranger):
                record = read_file(file)
        yield file, record


def run_of(name: str) -> Run:
    """The run of this name, from whichever record of it there is, here or in the checkout.

    Raises LedgerError when there is none.
    """
    if not _NAME.fullmatch(name):
        raise LedgerError(f"{name!r} is no run's name; allowed: letters, digits, -, _ and .")
    for base in filter(None, (home(), checkout())):
        for file in sorted((base / "results").glob(f"*/{name}.json")):
            return Run.from_dict(read_file(file)["config"])
    raise LedgerError(f"no record of {name} in {folder()}; SNNPAPER_HOME names another home")


def pack(bits) -> str:
    """Booleans [n] (which images were classified correctly) as base64 text."""
    return base64.b64encode(np.packbits(np.asarray(bits, dtype=bool)).tobytes()).decode()


def unpack(text: str, n: int) -> np.ndarray:
    """The n booleans that `pack` wrote; raises LedgerError for text that does not hold as many."""
    try:
        packed = base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as err:
        raise LedgerError(f"packed answers cannot be read: {err}") from None
    if len(packed) != -(-n // 8):
        raise LedgerError(f"packed answers are {len(packed)} bytes; {n} images take {-(-n // 8)}")
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=n).astype(bool)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def provenance() -> dict[str, Any]:
    """Code version, packages and date as they were when first asked for in this process; hardware as it is used now."""
    return _began() | {"hardware": hardware()}


@functools.cache
def _began() -> dict[str, Any]:
    return {
        "code": _code(),
        "packages": _packages() | {"python": platform.python_version()},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def hardware() -> dict[str, Any]:
    """Processor by name; threads torch may use; the accelerator, where this process has used one, and whether
    convolutions on it round to TF32."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_initialized() else None
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
