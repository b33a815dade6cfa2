"""Attacks meant to overturn a worst case: on the images that withstood everything else, longer and by other gradients.

`strong` lists them with one budget, and with twice that to see whether the budget was the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor, nn

from ..nets.coded import CodedNet
from .ensemble import Find, Stage, library, sapgd_settings, step
from .gradients import Backward, backward
from .levels import on_pixels
from .sapgd import sapgd
from .settings import USUAL, Settings
from .spiking_ensemble import SURROGATES, choices

LONG, MIXED, LEVELS = 300, 100, 200  # steps of PGD with momentum, of PGD with mixed surrogates, of level search
MOMENTUM = 0.75  # share of the earlier direction in the next
SCALES = (0.5, 1.0, 2.0)  # of ASSG's sharpness: as published, and both sides of it
Gradient = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]  # model, inputs, labels -> logits, gradient


def strong(coded: CodedNet, space: str, eps: float, budget: int = 1) -> list[Stage]:
    """The attacks in one threat space, with `budget` times the usual steps and queries and other random numbers."""
    long, mixed, usual = budget * LONG, budget * MIXED, budget * USUAL["steps"]
    queries, seed = budget * USUAL["queries"], 10 + budget
    rows = []
    for scale in SCALES:
        context = partial(backward, coded, Backward(alpha=scale, adaptive=True))
        settings = replace(sapgd_settings(eps), steps=usual, surrogate="ASSG", alpha=scale)
        rows.append(Stage(settings, partial(_sapgd, eps=eps, steps=usual, seed=seed), context=context))
    margin = Settings("PGD with momentum", steps=long, step_size=step(eps, long), loss="margin", iterate="any")
    pools = [Backward(), *(c for c in choices(coded) if c.pool)]
    for c in pools:
        find = climb(eps, long, by_margin, seed)
        rows.append(Stage(replace(margin, pool_backward=c.pool), find, context=partial(backward, coded, c)))
    together = replace(margin, steps=mixed, step_size=step(eps, mixed), loss="cross-entropy", surrogate="mixed")
    rows.append(Stage(together, climb(eps, mixed, partial(by_surrogates, coded, SURROGATES), seed)))
    if space == "pixel":
        levels = Settings("level search", steps=budget * LEVELS, iterate="any")
        for c in pools:
            find = on_pixels(coded, eps, budget * LEVELS, seed)
            rows.append(Stage(replace(levels, pool_backward=c.pool), find, context=partial(backward, coded, c)))
    apgd = Settings("APGD", steps=usual, step_size=2 * eps, iterate="any")
    for loss, name in (("ce", "cross-entropy"), ("dlr", "DLR")):
        make = partial(torchattacks.APGD, eps=eps, steps=usual, loss=loss, seed=seed)
        rows.append(Stage(replace(apgd, loss=name), library(make)))
    square = partial(torchattacks.Square, eps=eps, n_queries=queries, seed=seed)
    rows.append(Stage(Settings("Square", loss="margin", queries=queries), library(square)))
    return [replace(s, settings=_where(s.settings, space)) for s in rows]


def _where(settings: Settings, space: str) -> Settings:
    """With its space, and the BPDA surrogate of the attacked model where its gradient needs one."""
    needs = space == "pixel" and settings.kind == "gradient" and settings.algorithm != "level search"
    return replace(settings, space=space, bpda="smoothed" if needs else None)


def climb(eps: float, steps: int, gradient: Gradient, seed: int = 0, batch_size: int = 50) -> Find:
    """PGD from a random start whose direction is a running mean of normalised gradients; the first iterate that fools.

    Gradients are divided by their mean absolute value, image by image (Dong et al. 2018, arXiv 1710.06081).
    """

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand(x.shape, generator=generator).to(x)
        point, direction = (x + eps * (2 * noise - 1)).clamp(0, 1), torch.zeros_like(x)
        left, size = torch.arange(len(x), device=x.device), step(eps, steps)
        for _ in range(steps):
            stands = torch.zeros(len(left), dtype=torch.bool, device=x.device)
            for k in torch.arange(len(left), device=x.device).split(batch_size):
                i = left[k]
                logits, g = gradient(model, point[i], y[i])
                stands[k] = logits.argmax(1) == y[i]
                each = [-1, *[1] * (x.ndim - 1)]
                g = g / g.flatten(1).abs().mean(1).clamp(min=1e-30).view(each)
                direction[i] = MOMENTUM * direction[i] + (1 - MOMENTUM) * g
                moved = point[i] + size * direction[i].sign()
                moved = torch.min(torch.max(moved, x[i] - eps), x[i] + eps).clamp(0, 1)
                point[i] = torch.where(stands[k].view(each), moved, point[i])
            left = left[stands]
            if not len(left):
                break
        return point

    return find


def by_margin(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the gradient of the largest other logit minus the label's own."""
    x = x.detach().requires_grad_()
    logits = model(x)
    rival = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    (g,) = torch.autograd.grad((rival - logits.gather(1, y[:, None])[:, 0]).sum(), x)
    return logits.detach(), g


def by_surrogates(
    coded: CodedNet, mixed: Sequence[Backward], model: nn.Module, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits, and the sum of the gradients of the cross-entropy through several surrogates, each of mean size one."""
    total = torch.zeros_like(x)
    for choice in mixed:
        with backward(coded, choice):
            x = x.detach().requires_grad_()
            logits = model(x)
            (g,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), x)
        total += g / g.flatten(1).abs().mean(1).clamp(min=1e-30).view(-1, *[1] * (x.ndim - 1))
    return logits.detach(), total


def _sapgd(model: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, seed: int) -> Tensor:
    return sapgd(model, x, y, eps, steps, seed)
