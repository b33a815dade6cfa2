"""PGD any of whose iterates counts: for worst cases, where nothing after the first that fools can matter.

The published attack (`standard`) keeps the last iterate of the whole batch; this one asks whether any
iterate fools, and so may leave solved images alone and keep its batches full of unsolved ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.graph import Captured


def pgd_any_iterate(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    alpha: float,
    steps: int = 7,
    seed: int = 0,
    early_exit: bool = True,
    batch_size: int = 50,
) -> tuple[Tensor, Tensor]:
    """Which images no iterate of L-infinity PGD fools (bool [N]), and the iterates that fooled ([N,...]).

    `model` maps inputs [N,...] in [0,1] to logits, in eval mode and without memory; x [N,...] and labels
    y [N] are attacked within `eps` by `steps` steps of size `alpha` from a uniform random start that
    follows `seed`. An image already misclassified at its start counts as fooled. A fooled image keeps the
    iterate that fooled it; the others hold their last one. `early_exit` False computes the solved images
    too, at full cost and with the same answer.
    """
    gradient = _gradient(model, x, y, batch_size)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    adversarial = (x + eps * (2 * noise - 1)).clamp(0, 1)
    robust = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for step in range(steps + 1):
        work = robust.nonzero()[:, 0] if early_exit else torch.arange(len(x), device=x.device)
        if not len(work):
            break
        for i in work.split(batch_size):
            point = adversarial[i]
            if step == steps:
                with torch.no_grad():
                    robust[i] &= model(point).argmax(1) == y[i]
                continue
            logits, grad = gradient(point, y[i])
            robust[i] &= logits.argmax(1) == y[i]
            moved = point + alpha * grad.sign()
            moved = torch.min(torch.max(moved, x[i] - eps), x[i] + eps).clamp(0, 1)
            keep = robust[i].view(-1, *[1] * (x.ndim - 1))
            adversarial[i] = torch.where(keep, moved, point)
    return robust, adversarial


def _gradient(model: nn.Module, x: Tensor, y: Tensor, batch_size: int):
    """(inputs, labels) -> (logits, input gradient); on CUDA full batches replay one captured graph."""

    def eager(point: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        point = point.detach().requires_grad_()
        logits = model(point)
        # the sum, not the mean: an image's gradient does not depend on its batch
        (grad,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), point)
        return logits.detach(), grad

    if not x.is_cuda or len(x) < batch_size:
        return eager
    captured = Captured(eager, (x[:batch_size], y[:batch_size]), state=list)
    return lambda point, y: captured(point, y) if len(point) == batch_size else eager(point, y)
