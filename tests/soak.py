"""A campaign of many small cells that is killed at random moments: `python tests/soak.py [--minutes 10]`.

In most of the time lives of `snnpaper campaign` on one ledger are killed (SIGKILL), each a fork that begins where the
last one stopped; then what they had begun is finished, and computed again by one process that nobody disturbs. Prints
what was found; exit status 1 when the two ledgers or networks differ, a file or a process is left, memory grows, or
fewer than 20 cells were computed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from snnpaper import campaign, ledger, measure
from snnpaper.config import home

FIXED = {"width": 4, "T": 2, "epochs": 2, "train_images": 96}
SMALL = {"robustness": {"images": 20}, "sparsity": {"images": 8, "settings": {"weight_images": 2}}}
MANY = 20  # cells, and kills; fewer have tried nothing
GROWTH = 0.05  # of the memory in use, from the first half of the cells to the second


def grid(folder: Path, n: int) -> Path:
    """The first n cells: seeds, each with both pools."""
    cells = [{"seed": i // 2, "pool": ("max", "avg")[i % 2]} for i in range(n)]
    file = folder / f"grid-{n}.yml"
    file.write_text(json.dumps([{"block": "soak", "profile": "demo", "fixed": FIXED | c} for c in cells]))
    return file


def life(file: Path, seconds: float | None, memory: list[int] | None = None) -> bool:
    """One campaign in a fork, killed after so many seconds (None: never); whether it came to its end."""
    told = home() / "memory"
    if not (child := os.fork()):
        os.setsid()
        status, used = 1, []
        try:
            with open(os.devnull, "w") as quiet:
                os.dup2(quiet.fileno(), 2)
                campaign.run(file, render_chapter=False, say=lambda _: used.append(resident()))
            told.write_text(json.dumps(used))
            status = 0
        finally:
            os._exit(status)
    ends = time.monotonic() + (seconds or 1e9)
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
            ends = 1e18
        time.sleep(0.02)
    if os.WIFEXITED(done[1]) and done[1]:
        raise SystemExit("a life ended in an error")
    try:
        os.killpg(child, 0)
        raise SystemExit("a process of a killed life is left")
    except ProcessLookupError:
        pass
    if memory is not None:
        memory += json.loads(told.read_text())
    told.unlink(missing_ok=True)
    return not os.WIFSIGNALED(done[1])


def resident() -> int:
    """Bytes of memory in use by this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def state(base: Path) -> dict[str, object]:
    """What was computed: records but for time and date, and the bytes of networks."""
    found: dict[str, object] = {}
    for file in sorted((base / "results").glob("*/*.json")):
        record = json.loads(file.read_text())
        sums = {k: v for k, v in record["provenance"].items() if k.endswith("sha256")}
        found[f"{file.parent.name}/{file.name}"] = (record["config"], record["results"], sums)
    return found | {f.name: f.read_bytes() for f in sorted((base / "zoo").glob("*.safetensors"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="in all, about; default %(default)s")
    minutes = parser.parse_args().minutes
    torch.set_num_threads(1)
    for kind, changes in SMALL.items():
        measure.TABLE[kind] = replace(measure.TABLE[kind], **changes)
    ledger.provenance()
    moments, ends, kills = random.Random(0), time.monotonic() + 60 * 0.55 * minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        os.environ["SNNPAPER_HOME"] = str(base / "first")  # what it loads and compiles, every life then has from here
        home().mkdir()
        campaign.run(grid(base, 1), render_chapter=False, say=lambda _: None)
        os.environ["SNNPAPER_HOME"] = str(base / "killed")
        home().mkdir()
        everything = grid(base, 400)
        while time.monotonic() < ends:
            kills += not life(everything, moments.uniform(0.2, 12))
        file = grid(base, len(ledger.records("train")) + 1)  # and what was begun
        life(file, None)
        os.environ["SNNPAPER_HOME"] = str(base / "whole")
        home().mkdir()
        memory: list[int] = []
        life(file, None, memory)
        one, other = state(base / "killed"), state(base / "whole")
        left = [str(p.relative_to(base)) for p in base.rglob("*") if p.parent.name == "runs" or p.suffix == ".part"]
    half = len(memory) // 2
    first, second = (sum(part) / len(part) for part in (memory[:half], memory[half:])) if half else (1.0, 1.0)
    differ = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    print(f"{len(memory)} cells, {len(one)} records and networks, {kills} kills")
    print(f"different from the undisturbed campaign: {', '.join(differ) or 'nothing'}")
    print(f"left in runs/, or half written: {', '.join(left) or 'nothing'}")
    print(f"memory of the undisturbed process, second half of the cells over the first: {second / first:.3f}")
    few = len(memory) < MANY or kills < MANY
    return int(bool(differ or left or few or second > (1 + GROWTH) * first))


if __name__ == "__main__":
    sys.exit(main())
