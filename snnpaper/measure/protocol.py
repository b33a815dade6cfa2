"""The published protocol taken apart: what each of its habits does to the accuracy it reports.

    python -m snnpaper.measure.protocol RUN_NAME...

PGD-7 in spike space at 8/255, on the same images; each row changes one habit.
"""

from __future__ import annotations

import copy
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import command, ledger, zoo
from ..attacks.pgd import pgd_any_iterate
from ..nets import data
from ..nets.coded import CodedNet
from ..nets.data import Images

IMAGES, EPS = 200, 8 / 255  # eps as we know it of the paper; the public code's default is 6/255
STEP, STEPS, BATCH = 0.01, 7, 16  # the public code's
LAST = "sound: gradient in eval mode, judged with the trained statistics"
ANY = "sound, any of the seven iterates counts"


def habits(coded: CodedNet, images: Images) -> dict[str, Tensor]:
    """Bool [N], which images are not fooled, by name of the variant. "published" and "sound" are the two ends."""
    return {
        "published: gradient in train mode, judged with the adapted statistics": _pgd(coded, images, True, True),
        "gradient in train mode, judged with the trained statistics": _pgd(coded, images, True, False),
        LAST: _pgd(coded, images, False, False),
        ANY: _any(coded, images),
        "sound, entries may leave [0,1]": _pgd(coded, images, False, False, box=False),
        "sound, planes 9 and 10 follow 1 and 2": _pgd(coded, images, False, False, copies=True),
    }


def _pgd(coded: CodedNet, images: Images, training: bool, adapted: bool, box=True, copies=False) -> Tensor:
    """One loop for all variants, on copies of the network; statistics stay from batch to batch when adapted."""

    def admissible(point: Tensor) -> Tensor:
        point = point.clamp(0, 1) if box else point
        return _repeated(point, coded.T) if copies else point

    attacked, kept = copy.deepcopy(coded), []
    generator = torch.Generator().manual_seed(0)
    for x, y in zip(images.x.split(BATCH), images.y.split(BATCH), strict=True):
        if not adapted:
            attacked = copy.deepcopy(coded)
        model = attacked.threat("spike")
        clean = model.inputs(x)
        model.train(training)
        point = admissible(clean + EPS * (2 * torch.rand(clean.shape, generator=generator) - 1))
        for _ in range(STEPS):
            point.requires_grad_()
            (g,) = torch.autograd.grad(F.cross_entropy(model(point), y), point)
            g = _summed(g, coded.T) if copies else g
            point = admissible(clean + (point.detach() + STEP * g.sign() - clean).clamp(-EPS, EPS))
        judge = (attacked if adapted else coded).threat("spike")
        with torch.no_grad():
            kept.append(judge(point).argmax(1) == y)
    return torch.cat(kept)


def _any(coded: CodedNet, images: Images) -> Tensor:
    model = coded.threat("spike")
    return pgd_any_iterate(model, model.inputs(images.x), images.y, EPS, STEP, STEPS)[0]


def _repeated(folded: Tensor, T: int) -> Tensor:
    """Every plane after the eighth replaced by the one it repeats; folded is [N,T*C,H,W]."""
    planes = folded.unflatten(1, (T, -1))
    return planes[:, torch.arange(T) % 8].flatten(1, 2)


def _summed(folded: Tensor, T: int) -> Tensor:
    """The gradient of each plane and of its copies, added up, at all of them."""
    planes = folded.unflatten(1, (T, -1))
    total = torch.zeros_like(planes[:, :8]).index_add_(1, torch.arange(T) % 8, planes)
    return total[:, torch.arange(T) % 8].flatten(1, 2)


def record(name: str) -> None:
    """Append the "protocol" record of a phase-coded network of zoo/, unless it exists."""
    if ledger.path("protocol", name).exists():
        return
    run, coded = zoo.load(name)
    if "phase" not in run.coding:
        raise ValueError(f"coding is {run.coding!r}; allowed: phase, weighted_phase")
    coded.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(IMAGES), time.monotonic()
    rows = [
        {"variant": k, "accuracy": v.float().mean().item(), "correct": ledger.pack(v)}
        for k, v in habits(coded, images).items()
    ]
    results = {"n": len(images), "variants": rows}
    ledger.append("protocol", run, results, time.monotonic() - began, **zoo.origin(coded, images))


def main(argv: list[str] | None = None) -> None:
    command.over_networks("snnpaper.measure.protocol", __doc__, "protocol", record, argv)


if __name__ == "__main__":
    main()
