"""SA-PGD (Wang et al., arXiv 2512.22522): PGD whose step is normalised element by element, by momentum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def step_sizes(eps: float, steps: int) -> list[float]:
    """The fixed schedule: eps, halved after stretches of 22 % of the steps, then 3 % less each, at least 6 %."""
    sizes: list[float] = []
    size, stretch = eps, max(int(0.22 * steps), 1)
    while len(sizes) < steps:
        sizes += [size] * stretch
        size, stretch = size / 2, max(stretch - int(0.03 * steps), int(0.06 * steps), 1)
    return sizes[:steps]


def sapgd(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int = 100, seed: int = 0, batch_size: int = 50
) -> Tensor:
    """Adversarial inputs [N,...] in [0,1] within `eps` of x: of each image the first iterate that fools, or the last.

    `model` maps inputs to logits, in eval mode. Each batch is computed whole until all of it is fooled, so
    that statistics a backward pass keeps by batch stay aligned.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = zip(x.split(batch_size), y.split(batch_size), strict=True)
    return torch.cat([_batch(model, a, b, step_sizes(eps, steps), eps, generator) for a, b in batches])


def _batch(model, x: Tensor, y: Tensor, sizes: list[float], eps: float, generator) -> Tensor:
    def per_image(t: Tensor) -> Tensor:
        return t.flatten(1).mean(1).clamp(min=1e-30).view(-1, *[1] * (x.ndim - 1))

    noise = 2 * torch.rand(x.shape, generator=generator).to(x) - 1
    point = (x + eps * noise / noise.flatten(1).abs().amax(1).view(-1, *[1] * (x.ndim - 1))).clamp(0, 1)
    found, fooled = point.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    m = v = torch.zeros_like(x)
    for size in [*sizes, 0.0]:
        point = point.detach().requires_grad_()
        logits = model(point)
        found[~fooled] = point.detach()[~fooled]
        fooled |= logits.argmax(1) != y
        if fooled.all() or not size:
            break
        (g,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), point)
        m = 0.5 * m + g / per_image(g.abs())
        v = 0.8 * v + g.square() / per_image(g.square())
        move = (m / (v.sqrt() + 1e-12) * size).clamp(-size, size)
        point = torch.clamp(point.detach() + move, x - eps, x + eps).clamp(0, 1)
    return found
