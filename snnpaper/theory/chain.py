"""The backward chain of a spiking network (our Theorems 4.2 and 4.3), free of autograd, and its oracle.

A network is a list of layers (`layers.py`) applied to a spike train s [T,N,...].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Residual:
    """SEW-ADD: O = branch(S) + S, so the gradient at S is the branch's plus the one at O itself."""

    def __init__(self, branch: list) -> None:
        self.branch = branch

    def forward(self, s: Tensor) -> Tensor:
        return run(self.branch, s) + s

    def pull_back(self, g: Tensor) -> Tensor:
        return pull_back(self.branch, g)[0] + g


def run(layers: list, s: Tensor) -> Tensor:
    """Output sequence of a network for s [T,N,...]."""
    for layer in layers:
        s = layer.forward(s)
    return s


def pull_back(layers: list, g: Tensor) -> list[Tensor]:
    """Gradients at the input of every layer, first layer first, given the one at the output. Run first."""
    gradients = []
    for layer in reversed(layers):
        g = layer.pull_back(g)
        gradients.append(g)
    return gradients[::-1]


def true_class(layers: list, s: Tensor, y: Tensor) -> Tensor:
    """p [N]: softmax probability of class y [N], from logits averaged over T."""
    return run(layers, s).mean(0).softmax(1).gather(1, y[:, None])[:, 0]


def chain(layers: list, s: Tensor, y: Tensor) -> list[Tensor]:
    """Gradients of sum_n p_n at the input of every layer, by the formulas alone, without autograd."""
    with torch.no_grad():
        out = run(layers, s)
        p = out.mean(0).softmax(1)
        true = F.one_hot(y, p.shape[1]).to(p)
        top = (p * true).sum(1, keepdim=True) * (true - p)  # d p_y / d logits
        return pull_back(layers, top.expand_as(out) / len(out))


def autograd(layers: list, s: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """The same, by torch: gradients of sum_n p_n at s and at the given weights."""
    s = s.detach().requires_grad_()
    for w in weights:
        w.requires_grad_()
    found = torch.autograd.grad(true_class(layers, s, y).sum(), (s, *weights))
    for w in weights:
        w.requires_grad_(False)
    return found


def pool_share(side: int, kernel: int = 3, stride: int = 2, padding: int = 1) -> float:
    """Largest share of a side x side map that max pooling can pass a gradient to: windows / positions.

    Raises ValueError when no window fits.
    """
    windows = (side + 2 * padding - kernel) // stride + 1
    if windows < 1:
        raise ValueError(f"a {kernel}x{kernel} window does not fit into side {side} with padding {padding}")
    return min(1.0, windows**2 / side**2)
