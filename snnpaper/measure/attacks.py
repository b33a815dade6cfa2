"""python -m snnpaper.measure.attacks [--only KIND] RUN_NAME...: the attack records of networks in zoo/.

"attacks": every attack of `spiking_ensemble.stages` on 200 test images in two threat spaces at two radii, the checks
on the first 50 of them, and an attacker outside the ensemble. "curve": on 500 images, the least radius (or
number of bit flips) that fools each, and what its gradient looks like. A record that exists is left alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from .. import command, ledger, sparsity, zoo
from ..attacks.art import auto_pgd
from ..attacks.bits import BUDGETS, flips_needed
from ..attacks.ensemble import predictions, step, worst_case
from ..attacks.gradients import backward
from ..attacks.levels import level_search
from ..attacks.pgd import pgd_any_iterate
from ..attacks.spiking_ensemble import choices, name_of, stages
from ..audit import checks
from ..audit.evidence import evidence
from ..config import Run
from ..nets import data
from ..nets.coded import CodedNet, Threat
from ..nets.coding import BPDA
from ..nets.data import Images
from ..nets.hooks import tensors_at
from ..nets.neurons import IF

IMAGES, CHECKED, CURVE = 200, 50, 500
# Pixel space: the least change an 8-bit image can have, and the paper's eps. Spike space: the paper's eps, where
# little is left, and half of it. At the smaller radii a difference between networks can show.
# Third: whether every backward pass is tried on every image.
BATTERIES = (("pixel", 1, False), ("pixel", 8, False), ("spike", 4, False), ("spike", 8, True))
LEVELS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)  # radii in 1/255
FINE = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)


def attacks(coded: CodedNet, images: Images, sources: dict[str, CodedNet], progress: bool = False) -> dict:
    """The whole ensemble at every radius of BATTERIES, with checks and the outsider; booleans are packed."""
    return {
        "n": len(images),
        "transfer_from": sorted(sources),
        "batteries": [_battery(coded, images, sources, battery, progress) for battery in BATTERIES],
    }


def _battery(coded: CodedNet, images: Images, sources: dict, battery: tuple, progress: bool) -> dict:
    space, k, sweep = battery
    eps, model = k / 255, coded.threat(space, "smoothed")
    x = model.inputs(images.x)
    found = worst_case(model, x, images.y, stages(coded, space, eps, sources, sweep), eps, progress)
    rows = [r | {w: ledger.pack(r[w]) for w in ("attacked", "correct")} for r in found.rows]
    outsider, i = {}, found.robust.nonzero()[:, 0]
    for loss in ("cross_entropy", "difference_logits_ratio"):
        if len(i):
            candidates = auto_pgd(eps, coded.classes, loss)(model, x[i], images.y[i])
            outsider[f"ART Auto-PGD, {loss}"] = int((predictions(model, candidates) != images.y[i]).sum())
        else:
            outsider[f"ART Auto-PGD, {loss}"] = 0
    out = {"space": space, "eps": eps, "clean": ledger.pack(found.clean), "standing": ledger.pack(found.robust)}
    out |= {"attacks": rows, "outsider": {"attacked": len(i), "fooled": outsider}, "checks": {}}
    n = CHECKED
    surrogates = ("weighted", "smoothed") if battery == BATTERIES[0] else ("weighted",)
    for bpda in surrogates if space == "pixel" else (BPDA,):
        e = evidence(
            coded.threat(space, bpda), x[:n], images.y[:n], eps, coded.classes,
            backwards={name_of(c): partial(backward, coded, c) for c in choices(coded)},
            sources={name: source.threat(space, "smoothed") for name, source in sources.items()},
            stored=(found.adversarial[:n], found.robust[:n]),
        )  # fmt: skip
        out["checks"][bpda if space == "pixel" else "own"] = checks.report(e)
    if battery == BATTERIES[0]:
        grey = (255 * found.adversarial).round().to(torch.int16) - images.x.to(torch.int16)
        out["_stored"] = grey.to(torch.int8).numpy()
    return out


def curve(coded: CodedNet, images: Images) -> dict:
    """For each threat the least of its radii that fools an image, as an index; -1: none, -2: wrong from the start.

    An image fooled within a radius is fooled within every larger one, and is not attacked again.
    """
    spike = coded.threat("spike")
    clean = predictions(spike, spike.inputs(images.x)) == images.y
    x, y = images.x[clean], images.y[clean]

    def least(radii, withstand: Callable[[Tensor, float], Tensor]) -> dict:
        first, left = torch.full((len(x),), -1), torch.arange(len(x))
        for index, k in enumerate(radii):
            if not len(left):
                break
            robust = withstand(left, k / 255)
            first[left[~robust]] = index
            left = left[robust]
        return {"radii": list(radii), "first": _spread(first, clean)}

    def by_pgd(model: Threat) -> Callable[[Tensor, float], Tensor]:
        inputs = model.inputs(x)
        return lambda i, eps: pgd_any_iterate(model, inputs[i], y[i], eps, step(eps, 20), 20)[0]

    def by_levels(i: Tensor, eps: float) -> Tensor:
        found = level_search(coded, x[i], y[i], round(255 * eps), 20)
        return predictions(coded, found) == y[i]

    flips, _ = flips_needed(spike, spike.inputs(x), y)
    places = {budget: i for i, budget in enumerate(BUDGETS)} | {-1: -1}
    return {
        "n": len(images),
        "threats": {
            "pixel, PGD-20, weighted twin": least(LEVELS, by_pgd(coded.threat("pixel", "weighted"))),
            "pixel, PGD-20, smoothed twin": least(LEVELS, by_pgd(coded.threat("pixel", "smoothed"))),
            "pixel, level search": least(LEVELS, by_levels),
            "spike, PGD-20": least(FINE, by_pgd(spike)),
            "bit flips": {
                "radii": list(BUDGETS),
                "first": _spread(torch.tensor([places[f] for f in flips.tolist()]), clean),
            },
        },
        "gradient": gradients(coded, images),
    }


def gradients(coded: CodedNet, images: Images, batch_size: int = 50) -> dict[str, list[float]]:
    """Of each image's gradient of p_y: L0 share, (L1/L2)^2 and L1 by the coded input, L0 share at the pool, and margin.

    The margin is p_y minus the largest other probability. Values have four digits.
    """
    rows: dict[str, list[Tensor]] = {k: [] for k in ("l0", "effective", "l1", "l0_pool", "margin")}
    first = next(m for m in coded.net.modules() if isinstance(m, IF | nn.ReLU))
    with tensors_at({"pool": first}) as outputs:
        for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
            spikes = coded.encode(x).requires_grad_()
            p = coded.net(spikes).softmax(1)
            own = p.gather(1, y[:, None])[:, 0]
            g, pool = (t.transpose(0, 1) for t in torch.autograd.grad(own.sum(), (spikes, outputs["pool"])))
            rows["l0"].append((g != 0).flatten(1).float().mean(1))
            rows["l0_pool"].append((pool != 0).flatten(1).float().mean(1))
            rows["effective"].append(sparsity.measures(g)["effective"])
            rows["l1"].append(g.flatten(1).abs().sum(1))
            others = p.detach().scatter(1, y[:, None], -1).amax(1)
            rows["margin"].append(own.detach() - others)
    return {k: [float(f"{v:.4g}") for v in torch.cat(parts).tolist()] for k, parts in rows.items()}


def _spread(values: Tensor, clean: Tensor) -> list[int]:
    """The values of the correctly classified images among all images; the others get -2."""
    whole = torch.full((len(clean),), -2)
    whole[clean] = values
    return whole.tolist()


def sources_of(run: Run) -> dict[str, CodedNet]:
    """Networks of zoo/ to transfer from: the same run with another seed, and a ReLU twin (of any scale)."""
    found: dict[str, CodedNet] = {}
    for name in (r["name"] for r in ledger.records("train")):
        other = Run.from_dict(ledger.read("train", name)["config"])
        same = other.but(seed=run.seed) == run and other.seed != run.seed
        twin = other.neuron == "ReLU" and run.neuron == "IF" and other.but(
            neuron="IF", seed=run.seed, **{k: getattr(run, k) for k in ("epochs", "batch_size", "train_images")}
        ) == run  # fmt: skip
        for label, fits in (("another seed", same), ("ReLU twin", twin)):
            if fits and label not in found and zoo.files_of(name):
                found[label] = zoo.load(name)[1].requires_grad_(False)
    return found


def record(name: str, kind: str, progress: bool = True) -> None:
    """Make one record of a network of zoo/, unless it exists; "attacks" also keeps its first battery's images."""
    if ledger.path(kind, name).exists():
        return
    run, coded = zoo.load(name)
    coded.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(CURVE if kind == "curve" else IMAGES), time.monotonic()
    results = curve(coded, images) if kind == "curve" else attacks(coded, images, sources_of(run), progress)
    for battery in results.get("batteries", ()):
        if (stored := battery.pop("_stored", None)) is not None:
            file = ledger.path(kind, name).with_suffix(".npz")
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, difference=stored)
    ledger.append(kind, run, results, time.monotonic() - began, **zoo.origin(coded, images))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m snnpaper.measure.attacks", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="RUN_NAME", help="networks of zoo/")
    parser.add_argument("--only", choices=("attacks", "curve"))

    def work(args: argparse.Namespace) -> None:
        for name in args.names:
            for kind in ("attacks", "curve") if args.only is None else (args.only,):
                record(name, kind)

    command.run(parser, argv, work)


if __name__ == "__main__":
    main()
