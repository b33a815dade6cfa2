"""`make bench`: train steps and attacks timed against a plain implementation and against the floor; one record.

    python -m benchmarks.speed [--device cuda] [--rounds 7] [--budget-minutes 9]

What is compared is interleaved in one process, warmed up apart, and given as median and quartiles. Absolute
times hold for the machine they were taken on; the ratios travel better. The record goes to results/speed/.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.contenders import CONTENDERS, ONLY, VARIANTS, Ours
from benchmarks.throughput import throughput
from snnpaper import ledger, zoo
from snnpaper.config import Run
from snnpaper.nets import data
from snnpaper.nets.coding import encode
from snnpaper.nets.precision import differing_spikes

CPU_GRID = [{"width": w, "batch_size": b} for w in (16, 64) for b in (16, 64)]
GPU_GRID = [
    {"width": 64, "arch": a, "T": T, "batch_size": b}
    for a in ("resnet18", "resnet34", "resnet50")
    for T in (10, 4, 20)
    for b in (16, 128, 512)
]  # what the paper ran comes first, for a box of minutes
# One setting changed at a time from width 16, batch 16, T = 10, 18 layers, 32x32.
COSTS = [{}] + [{k: v} for k, vs in {
    "T": (2, 5, 20), "width": (32, 64), "batch_size": (32, 64, 128), "arch": ("resnet34", "resnet50"), "size": (48, 64),
}.items() for v in vs]  # fmt: skip

_MANY = 4  # batches that early exit works on


def batch_of(n: int, device: str) -> tuple[Tensor, Tensor]:
    """n test images of CIFAR-10 where it is on disk, else noise."""
    if not data.available("cifar10"):
        return noise(n, device)
    images = data.load("cifar10")["test"].first(n)
    return images.x.to(device), images.y.to(device)


def noise(n: int, device: str, size: int = 32) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=g)
    return x.to(device), torch.randint(0, 10, (n,), generator=g).to(device)


def seconds(action: Callable[[], None], device: str) -> float:
    began = time.perf_counter()
    action()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def interleaved(actions: dict[str, Callable[[], None]], device: str, rounds: int) -> dict[str, list[float]]:
    """[first quartile, median, third quartile] of seconds per action, all taken in turn."""
    for action in actions.values():
        seconds(action, device)
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            taken[name].append(seconds(action, device))
    return {name: statistics.quantiles(t, n=4, method="inclusive") for name, t in taken.items()}


def trained(run: Run) -> dict | None:
    """Weights of our longest trained network of this architecture, whose robust images early exit depends on."""
    free = {k: getattr(run, k) for k in ("epochs", "batch_size", "lr", "weight_decay", "train_images", "seed")}
    found = [Run.from_dict(r["config"]) for r in ledger.records("train")]
    alike = [other for other in found if other.but(**free) == run and zoo.files_of(other.name)]
    if not alike:
        return None
    longest = max(alike, key=lambda r: (r.epochs * r.images, -r.seed))
    return zoo.load(longest.name)[1].net.state_dict()


def compare(setting: dict, kinds: dict[str, type], device: str, rounds: int) -> list[dict]:
    """Rows {setting, what, contender, q1, median, q3, images_per_s} of one setting."""
    run = Run.make("paper", **setting)
    x, y = batch_of(_MANY * run.batch_size, device)
    weights = trained(run)
    all_of = {name: kind(run, x, y, weights) for name, kind in kinds.items()}
    rows = []
    for what in ("train_step", "attack"):
        actions = {n: getattr(c, what) for n, c in all_of.items() if ONLY.get(n, what) == what}
        if what == "attack" and kinds is CONTENDERS and weights and data.available("cifar10"):
            actions["ours, early exit"] = all_of["ours"].early
        few = max(3, rounds // 2) if what == "attack" else rounds
        for name, (q1, median, q3) in interleaved(actions, device, few).items():
            row = {"what": what, "contender": name, "q1": q1, "median": median, "q3": q3}
            images = run.batch_size * (_MANY if name == "ours, early exit" else 1)
            rows.append(setting | row | {"images_per_s": images / median})
    return rows


# Operators by what they do; everything else is "rest" (dispatch, the code, sums over time).
GROUPS = {
    "convolution": ("aten::mkldnn_convolution", "aten::convolution_backward", "aten::_convolution", "cudnn"),
    "BatchNorm and neuron": ("_Fused", "_FusedBackward"),
    "pool": ("max_pool2d", "avg_pool2d"),
    "optimiser": ("Optimizer.step",),
}
_WHOLE = ("BatchNorm and neuron", "optimiser")


def profile(setting: dict, device: str) -> dict[str, float]:
    """Share of a train step's processor time by group of operators, neurons and optimiser with all they call."""
    run = Run.make("paper", **setting)
    ours = Ours(run, *batch_of(run.batch_size, device))
    for _ in range(3):
        ours.train_step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as took:
        for _ in range(5):
            ours.train_step()
    events = took.key_averages()
    total = sum(e.self_cpu_time_total for e in events)
    parts = {
        group: sum(
            e.cpu_time_total if group in _WHOLE else e.self_cpu_time_total
            for e in events
            if (e.key in names if group == _WHOLE[0] else any(n in e.key for n in names))
        )
        for group, names in GROUPS.items()
    }
    shares = {group: part / total for group, part in parts.items()}
    return shares | {"rest": 1 - sum(shares.values())}


def cost(setting: dict, device: str) -> dict:
    """Seconds a train step, and the peak memory it adds, of one setting on noise; in a process of its own."""
    size = setting.get("size", 32)
    run = Run.make("cpu", **{k: v for k, v in setting.items() if k != "size"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = Ours(run, *noise(run.batch_size, device, size))
    q1, median, q3 = interleaved({"ours": ours.train_step}, device, 5)["ours"]
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return setting | {"q1": q1, "median": median, "q3": q3, "peak_mib": peak / 2**20}


class Box:
    """What of a list of settings fits into memory and time; `left_out` names the others and why."""

    def __init__(self, deadline: float) -> None:
        self.deadline, self.left_out = deadline, []

    def each(self, what: str, settings: list[dict], measure: Callable[[dict], dict | list[dict]]) -> list:
        """`measure` of the settings, those first that are listed first."""
        found = []
        for setting in tqdm(settings, desc=what):
            if time.monotonic() > self.deadline:
                self.left_out.append({"what": what, "for want of": "time"} | setting)
                continue
            try:
                found.append(measure(setting))
            except torch.OutOfMemoryError:
                self.left_out.append({"what": what, "for want of": "memory"} | setting)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--budget-minutes", type=float, default=math.inf, help="then leave out what is not begun")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error(f"--rounds is {args.rounds}; allowed: 2 or more, for quartiles")
    provenance, began = ledger.provenance(), time.monotonic()
    box = Box(began + 60 * args.budget_minutes)
    grid = GPU_GRID if args.device.startswith("cuda") else CPU_GRID
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as apart:
        costs = box.each("cost", COSTS, lambda s: apart.submit(cost, s, args.device).result())
    cpu = () if args.device.startswith("cuda") else CPU_GRID[:1]
    at_once = sum(box.each("processes", list(cpu), throughput), [])
    rows = sum(box.each("compare", grid, lambda s: compare(s, CONTENDERS, args.device, args.rounds)), [])
    tried = sum(box.each("variants", grid[::2], lambda s: compare(s, VARIANTS, args.device, args.rounds)), [])
    profiles = box.each("profile", grid[::2], lambda s: s | {"shares": profile(s, args.device)})
    few = encode(batch_of(32, "cpu")[0], "phase", 10)
    weights = {w: trained(Run.make("paper", width=w)) for w in (16, 64)}
    moved = {}
    for width, state in weights.items():
        if state:
            net = Ours(Run.make("paper", width=width), *batch_of(2, "cpu"), state).net
            moved[width] = differing_spikes(net, few)["all"]
    results = {"compared": rows, "variants": tried, "profiles": profiles, "costs": costs}
    results |= {"processes": at_once, "differing_spikes": moved, "left_out": box.left_out}
    print(table(rows))
    for row in at_once:
        rates = ", ".join(f"{rate:.0f}" for rate in row["images_per_s"])
        print(f"{row['processes']} at once, {row['threads']} threads each: {rates} images/s")
    for setting in box.left_out:
        print("left out:", ", ".join(f"{k} {v}" for k, v in setting.items()))
    name = f"{args.device.partition(':')[0]}-{datetime.now(UTC):%Y%m%dT%H%M}"
    record = {"kind": "speed", "name": name, "config": {"rounds": args.rounds}, "scale": "none", "results": results}
    record["provenance"] = provenance | {"wall_seconds": round(time.monotonic() - began)}
    ledger.put(ledger.path("speed", name), ledger.told(record))
    print(f"recorded as results/speed/{name}.json")


def table(rows: list[dict]) -> str:
    """The comparison as text: images a second, and the ratios that are looked for."""
    lines = []
    for setting in dict.fromkeys(_setting(r) for r in rows):
        for what in ("train_step", "attack"):
            part = {r["contender"]: r for r in rows if _setting(r) == setting and r["what"] == what}
            speeds = "  ".join(f"{n} {r['images_per_s']:.1f}" for n, r in part.items())
            rate = {n: r["images_per_s"] for n, r in part.items()}
            ratio = (
                f"{rate['floor'] / rate['ours']:.2f} x floor's time, {rate['ours'] / rate['plain']:.2f} x plain's speed"
            )
            early = rate.get("ours, early exit")
            ratio += f", with early exit {early / rate['plain']:.2f}" if early else ""
            lines.append(f"{setting:32} {what:10} images/s: {speeds}   {ratio}")
    return "\n".join(lines)


def _setting(row: dict) -> str:
    return ", ".join(f"{k} {row[k]}" for k in ("arch", "T", "width", "batch_size") if k in row)


if __name__ == "__main__":
    main()
