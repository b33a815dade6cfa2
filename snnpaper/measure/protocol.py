"""The published protocol taken apart: what each of its habits does to the accuracy it reports.

PGD-7 in spike space, on the same images; each row changes one habit.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import ledger
from ..attacks.pgd import pgd_any_iterate
from ..attacks.settings import Settings
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet
from ..nets.data import Images

STEP, STEPS, BATCH = 0.01, 7, 16  # the public code's
# What each variant does: gradients in train mode; judged with the statistics of the attacked batches; any iterate
# counts instead of the last; entries stay in [0,1]; planes 9 and 10 follow 1 and 2. The first is the published code.
HABITS = ("training", "adapted", "any_iterate", "box", "copies")
VARIANTS = (
    (True, True, False, True, False),
    (True, False, False, True, False),
    (False, False, False, True, False),
    (False, False, True, True, False),
    (False, False, False, False, False),
    (False, False, False, True, True),
)


def protocol(coded: CodedNet, images: Images, eps: float) -> dict:
    """Which images are not fooled, a row a variant with its habits."""
    fixed = Settings("PGD", "spike", steps=STEPS, step_size=STEP)
    rows = []
    for variant in VARIANTS:
        how = dict(zip(HABITS, variant, strict=True))
        last = not how.pop("any_iterate")
        hits = _pgd(coded, images, eps, **how) if last else _any(coded, images, eps)
        what = replace(fixed, iterate="last" if last else "any").of_network(own(coded)) | how
        rows.append(what | {"accuracy": hits.float().mean().item(), "correct": ledger.pack(hits.cpu())})
    return {"n": len(images), "eps": eps, "batch": BATCH, "variants": rows}


def _pgd(
    coded: CodedNet, images: Images, eps: float, training: bool, adapted: bool, box: bool = True, copies: bool = False
) -> Tensor:
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
        point = admissible(clean + eps * (2 * torch.rand(clean.shape, generator=generator).to(clean) - 1))
        for _ in range(STEPS):
            point.requires_grad_()
            (g,) = torch.autograd.grad(F.cross_entropy(model(point), y), point)
            g = _summed(g, coded.T) if copies else g
            point = admissible(clean + (point.detach() + STEP * g.sign() - clean).clamp(-eps, eps))
        judge = (attacked if adapted else coded).threat("spike")
        with torch.no_grad():
            kept.append(judge(point).argmax(1) == y)
    return torch.cat(kept)


def _any(coded: CodedNet, images: Images, eps: float) -> Tensor:
    model = coded.threat("spike")
    return pgd_any_iterate(model, model.inputs(images.x), images.y, eps, STEP, STEPS)[0]


def _repeated(folded: Tensor, T: int) -> Tensor:
    """Every plane after the eighth replaced by the one it repeats; folded is [N,T*C,H,W]."""
    planes = folded.unflatten(1, (T, -1))
    return planes[:, torch.arange(T) % 8].flatten(1, 2)


def _summed(folded: Tensor, T: int) -> Tensor:
    """The gradient of each plane and of its copies, added up, at all of them."""
    planes = folded.unflatten(1, (T, -1))
    total = torch.zeros_like(planes[:, :8]).index_add_(1, torch.arange(T) % 8, planes)
    return total[:, torch.arange(T) % 8].flatten(1, 2)
