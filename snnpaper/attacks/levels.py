"""Level search: an attack on coded images that needs no BPDA surrogate for the code's derivative.

The network is linear to first order in the coded tensor, and a pixel has only a few admissible 8-bit
levels. So the best level of every pixel for the linearised network is found by trying them all: the code
itself is used, and nothing smooth in its place. What BPDA must guess, this attack knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.coded import CodedNet
from ..nets.coding import bpda_slope

SHARE, DECAY = 0.5, 0.75  # of the pixels, moved in a step; of the gradients of earlier steps


def level_search(
    coded: CodedNet,
    x: Tensor,
    y: Tensor,
    levels: int,
    steps: int = 20,
    share: float = SHARE,
    decay: float = DECAY,
    bpda: str | None = None,
    seed: int = 0,
    batch_size: int = 50,
) -> Tensor:
    """Adversarial uint8 images [N,C,H,W] within `levels` grey levels of uint8 x: the first that fools, or the last.

    Each step takes the gradient g of the cross-entropy by the coded tensor, averages it with the earlier
    ones, and moves a random `share` of the pixels to the level u within the ball and 0..255 that maximises
    sum_t g[t] code[t](u). A step of one level can thus flip all the planes that it is worth flipping.
    With `bpda`, the name of a surrogate (`coding.encode_image`), the same optimiser follows that derivative of the
    code instead, and moves a pixel to the end of the ball where it points; `decay` 0 is no average. Raises
    ValueError for a random code, whose levels have no fixed spike train, and for frames of events, which are no levels.
    """
    if coded.coding in ("rate", "frames"):
        raise ValueError(f"coding is {coded.coding!r}; allowed: phase, weighted_phase, latency, direct")
    table = coded.encode(torch.arange(256, dtype=torch.uint8, device=x.device))  # [T,256]
    generator = torch.Generator().manual_seed(seed)
    found = x.clone()
    for i in torch.arange(len(x), device=x.device).split(batch_size):
        found[i] = _batch(coded, x[i], y[i], table, levels, steps, share, decay, bpda, generator)
    return found


def on_pixels(coded: CodedNet, eps: float, steps: int, seed: int = 0) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """`level_search` as an attack(model, x, y) on images x [N,C,H,W] in [0, 1], of as many whole levels as eps holds.

    The model it is handed is not asked, since the search knows `coded`. x need not lie on the grid of levels: what it
    finds is then cut back to the ball.
    """

    def find(_: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        grey = (255 * x).round().to(torch.uint8)
        found = level_search(coded, grey, y, math.floor(255 * eps + 1e-6), steps, seed=seed).float() / 255
        return torch.min(torch.max(found, x - eps), x + eps).clamp(0, 1)

    return find


def _batch(coded, x, y, table, levels, steps, share, decay, bpda, generator) -> Tensor:
    adversarial, momentum = x.clone(), torch.zeros((coded.T, *x.shape), device=x.device)
    work = torch.arange(len(x), device=x.device)
    for step in range(steps + 1):
        spikes = coded.encode(adversarial[work]).requires_grad_(step < steps)
        logits = coded.net(spikes)
        robust = logits.argmax(1) == y[work]
        if step == steps or not robust.any():
            break
        (g,) = torch.autograd.grad(F.cross_entropy(logits, y[work], reduction="sum"), spikes)
        work, g = work[robust], g[:, robust]
        momentum[:, work] = decay * momentum[:, work] + g / g.abs().mean((0, 2, 3, 4), keepdim=True).clamp(min=1e-30)
        moved = torch.rand(x[work].shape, generator=generator).to(x.device) < share
        if bpda is None:
            best = best_levels(momentum[:, work], x[work], table, levels)
        else:  # linear in the level, so that one end of the ball is best
            slope = (momentum[:, work] * bpda_slope(adversarial[work], coded.coding, coded.T, bpda)).sum(0)
            best = (x[work].int() + levels * slope.sign().int()).clamp(0, 255).to(torch.uint8)
        adversarial[work] = torch.where(moved, best, adversarial[work])
    return adversarial


def best_levels(g: Tensor, x: Tensor, table: Tensor, levels: int) -> Tensor:
    """For each pixel of uint8 x the level within `levels` of it that maximises sum_t g[t] table[t, level].

    g is [T,*x.shape], table [T,256]; ties go to the smallest move.
    """
    best, score = x, _score(g, x, table)
    for away in range(1, levels + 1):
        for move in (-away, away):
            level = (x.int() + move).clamp(0, 255).to(torch.uint8)
            new = _score(g, level, table)
            best, score = torch.where(new > score, level, best), torch.maximum(new, score)
    return best


def _score(g: Tensor, level: Tensor, table: Tensor) -> Tensor:
    index = level.long()
    total = torch.zeros_like(g[0])
    for t in range(len(g)):
        total.addcmul_(g[t], table[t][index])
    return total
