"""Flipping bits of a binary code: an adversary who stays among spike trains, under a budget of flips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def flips_needed(
    model: nn.Module, s: Tensor, y: Tensor, budgets: Sequence[int], batch_size: int = 50
) -> tuple[Tensor, Tensor]:
    """How many flips, of `budgets`, fool each image (int64 [N]; 0 already wrong, -1 none), and the flipped codes.

    `s` [N,...] is binary. `budgets` are flips in total after each round; between two of them the gradient is not taken
    again. Each round flips the entries whose flip raises the cross-entropy most to first
    order, g (1 - 2 s), among those not flipped before. Raises ValueError when s is not binary.
    """
    if not ((s == 0) | (s == 1)).all():
        raise ValueError("only a binary code has bits to flip; allowed values: 0 and 1")
    found = [_batch(model, a, b, budgets) for a, b in zip(s.split(batch_size), y.split(batch_size), strict=True)]
    needed, codes = zip(*found, strict=True)
    return torch.cat(needed), torch.cat(codes)


def _batch(model: nn.Module, s: Tensor, y: Tensor, budgets: Sequence[int]) -> tuple[Tensor, Tensor]:
    code, needed = s.clone(), torch.full((len(s),), -1, device=s.device)
    work = torch.arange(len(s), device=s.device)
    for before, budget in zip((0, *budgets), (*budgets, None), strict=True):
        point = code[work].requires_grad_()
        logits = model(point)
        robust = logits.argmax(1) == y[work]
        needed[work[~robust]] = before
        if budget is None or not robust.any():
            break
        (g,) = torch.autograd.grad(F.cross_entropy(logits, y[work], reduction="sum"), point)
        gain = (g * (1 - 2 * point.detach())).flatten(1)
        gain[(code[work] != s[work]).flatten(1)] = -torch.inf
        work, gain = work[robust], gain[robust]
        chosen = gain.topk(budget - before).indices
        flat = code[work].flatten(1)
        code[work] = flat.scatter(1, chosen, 1 - flat.gather(1, chosen)).view_as(code[work])
    return needed, code
