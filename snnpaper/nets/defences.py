"""What training does against attacks: nothing, adversarial examples, or a penalty on the gradient. One table.

Both act on the coded tensor, the space that the published attack perturbs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 3  # of the attack in adversarial training, each of 2.5 radii over their number
H = 1e-2  # of the finite difference, as published with the penalty

Loss = Callable[[Any, Tensor, Tensor, float], tuple[Tensor, Tensor]]


def plain(coded: Any, x: Tensor, y: Tensor, _: float = 0.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy and logits of uint8 images x [N,C,H,W] or event frames, labels y [N]."""
    logits = coded(x)
    return F.cross_entropy(logits, y), logits


def adversarial(coded: Any, x: Tensor, y: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy and logits at PGD's last iterate within `radius`/255 (Madry et al. 2018, arXiv 1706.06083).

    The examples are made in eval mode, so that they leave BatchNorm's statistics alone. Draws from torch's stream.
    """
    clean, eps = coded.encode(x), radius / 255
    point = (clean + eps * (2 * torch.rand_like(clean) - 1)).clamp(0, 1)
    coded.net.eval()
    for _ in range(STEPS):
        point = point.detach().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(coded.net(point), y, reduction="sum"), point)
        moved = point.detach() + 2.5 * eps / STEPS * g.sign()
        point = torch.clamp(moved, clean - eps, clean + eps).clamp(0, 1)
    coded.net.train()
    logits = coded.net(point.detach())
    return F.cross_entropy(logits, y), logits


def small_gradient(coded: Any, x: Tensor, y: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy plus `weight` times the squared L1 norm of the gradient of f_y; and the clean logits.

    f_y is the true label's probability against the runner-up's alone, and the norm a finite difference along the
    gradient's signs: the sparsity regularisation of Liu et al. 2024 (arXiv 2405.20355), as in their public code.
    """
    clean = coded.encode(x).requires_grad_()
    logits = coded.net(clean)
    rival = logits.detach().scatter(1, y[:, None], -torch.inf).argmax(1)

    def f(z: Tensor) -> Tensor:
        own, other = (z.gather(1, i[:, None])[:, 0] for i in (y, rival))
        return torch.sigmoid(own - other)

    here = f(logits)
    (g,) = torch.autograd.grad(here.sum(), clean, retain_graph=True)
    there = f(coded.net(clean.detach() + H * g.sign()))
    return F.cross_entropy(logits, y) + weight * ((there - here) / H).square().mean(), logits


# kind -> its loss, what its number means, and the least and greatest that are accepted
TABLE: dict[str, tuple[Loss, str, float, float]] = {
    "pgd": (adversarial, "radius in 1/255", 0.1, 64.0),
    "sparse": (small_gradient, "weight of the penalty", 1e-8, 100.0),
}


@dataclass(frozen=True)
class Defence:
    """A defence by name; `loss(coded, x, y)` gives the loss and the logits."""

    name: str
    kind: Loss
    number: float = 0.0

    def loss(self, coded: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.kind(coded, x, y, self.number)


def find(name: object) -> Defence:
    """ "none", "pgd:4" or "sparse:0.001" in its one spelling; raises ValueError with what is allowed."""
    if name == "none":
        return Defence("none", plain)
    kind, _, text = str(name).partition(":")
    try:
        loss, _, low, high = TABLE[kind]
        number = float(text)
    except (KeyError, ValueError):
        raise ValueError(f"defence is {name!r}; allowed: {allowed()}") from None
    if not low <= number <= high:
        raise ValueError(f"defence is {name!r}; allowed: {allowed()}")
    return Defence(f"{kind}:{number:g}", loss, number)


def allowed() -> str:
    """The names, in words."""
    numbered = (f"{kind}:n (n the {what}, from {low:g} to {high:g})" for kind, (_, what, low, high) in TABLE.items())
    return ", ".join(["none", *numbered])
