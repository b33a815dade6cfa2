"""Files written whole or not at all, whatever stops the process, in folders that are looked at beforehand."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch


def write(path: Path, content: bytes | str, replace: bool = True) -> None:
    """Write a file whole or not at all; with `replace` False raises FileExistsError where there is one already.

    What a killed process left of an earlier try goes, and nothing is left of one that fails. One process at a time
    writes a path (`workers.alone`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)
    handle, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing behind it
        os.chmod(part, 0o644)
        if replace:
            os.replace(part, path)
        else:
            os.link(part, path)  # unlike a rename, this never replaces
    finally:
        Path(part).unlink(missing_ok=True)


def load(path: Path, device: str | torch.device = "cpu") -> Any:
    """What torch.save wrote, plain values and tensors only; raises RuntimeError naming a file that is damaged."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except OSError:
        raise
    except Exception as err:  # of zip, pickle or torch, which name no file
        raise damaged(path, err) from err


def damaged(path: Path, err: Exception) -> RuntimeError:
    """The error for an intermediate file that does not hold what was written."""
    first = (str(err).strip() or type(err).__name__).splitlines()[0][:200]
    return RuntimeError(f"{path} is damaged ({first}); delete it, and the same command does that part again")


def check(base: Path) -> None:
    """Try in results/, zoo/ and runs/ of `base` all that keeping records needs, before work is spent.

    Raises OSError naming the folder and what does not work there.
    """
    for folder in (base / "results", base / "zoo", base / "runs"):
        what = "a folder"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            what = "a file"
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".try-") as file:
                file.write(bytes(4096))
                file.flush()
                what = "a lock, by which two processes keep apart,"
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                what = "a hard link, by which no record is ever replaced,"
                os.link(file.name, f"{file.name}-link")
                os.unlink(f"{file.name}-link")
        except OSError as err:
            reason = err.strerror or err
            raise OSError(
                f"{folder} cannot take records: {what} cannot be made there ({reason}); "
                "SNNPAPER_HOME names the folder of results/, zoo/ and runs/"
            ) from None


def check_room(folder: Path, need: int) -> None:
    """Raises OSError when a file system has fewer than `need` bytes free."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if (free := shutil.disk_usage(there).free) < need:
        raise OSError(f"{folder} has {free / 2**20:.0f} MiB free, and {need / 2**20:.0f} MiB are needed")
