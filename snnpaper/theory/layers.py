"""Layers of a spiking network with their transposes written out by hand (the terms of our Theorem 4.2).

`forward` maps a sequence [T,N,...] to a sequence and can be differentiated by autograd; `pull_back` is the
layer's transpose, as an explicit formula: from the gradient at its output to the gradient at its input.
A layer remembers its last forward pass, so one object stands in one place of one network.
Tests compare the two. Everything is small and meant for float64; nothing is shared with the networks of
the book, so that the two check each other.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
import torch.nn.grad
from torch import Tensor

V_TH = 1.0
# Surrogate derivatives at h - V_TH: never zero, and zero outside a window.
SLOPES = {
    "atan": lambda u: 1 / (1 + (math.pi * u).square()),
    "rectangular": lambda u: (u.abs() <= 0.5).to(u),
}


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, surrogate):
        ctx.save_for_backward(u)
        ctx.surrogate = surrogate
        return (u >= 0).to(u)

    @staticmethod
    def backward(ctx, g):
        return g * SLOPES[ctx.surrogate](ctx.saved_tensors[0]), None


class Fire:
    """Integrate-and-fire, hard reset: h[t] = v[t-1] + I[t], s[t] = 1[h[t] >= 1], v[t] = (1 - s[t]) h[t]."""

    def __init__(self, surrogate: str = "atan", detach_reset: bool = True) -> None:
        if surrogate not in SLOPES:
            raise ValueError(f"surrogate is {surrogate!r}; allowed: {', '.join(SLOPES)}")
        self.surrogate, self.detach_reset = surrogate, detach_reset

    def forward(self, current: Tensor) -> Tensor:
        v, charged, spikes = torch.zeros_like(current[0]), [], []
        for at_t in current:
            h = v + at_t
            s = _Step.apply(h - V_TH, self.surrogate)
            v = (1 - (s.detach() if self.detach_reset else s)) * h
            charged.append(h.detach())
            spikes.append(s)
        self.h = torch.stack(charged)
        return torch.stack(spikes)

    @property
    def slope(self) -> Tensor:
        """sigma'(h[t] - 1)."""
        return SLOPES[self.surrogate](self.h - V_TH)

    @property
    def carry(self) -> Tensor:
        """d v[t] / d h[t]: 1 where the neuron was silent, 0 where it fired, and -h sigma' if not detached."""
        silent = (self.h < V_TH).to(self.h)
        return silent if self.detach_reset else silent - self.h * self.slope

    def pull_back(self, g: Tensor) -> Tensor:
        """delta[t] = sigma'(h[t]-1) g[t] + (d v[t]/d h[t]) delta[t+1]."""
        delta, slope, carry = torch.zeros_like(g), self.slope, self.carry
        later = torch.zeros_like(g[0])
        for t in reversed(range(len(g))):
            later = slope[t] * g[t] + carry[t] * later
            delta[t] = later
        return delta

    def reach(self, support: Tensor) -> Tensor:
        """Where delta can be non-zero, given the support of g: alive now, or not reset and reached later."""
        out, alive, open_ = torch.zeros_like(support), self.slope != 0, self.carry != 0
        later = torch.zeros_like(support[0])
        for t in reversed(range(len(support))):
            later = alive[t] & support[t] | open_[t] & later
            out[t] = later
        return out


class Dense:
    """I[t] = W s[t], W [out, in]."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def forward(self, s: Tensor) -> Tensor:
        return s @ self.weight.T

    def pull_back(self, delta: Tensor) -> Tensor:
        return delta @ self.weight


class Conv:
    """Convolution of every frame of [T,N,C,H,W]; `grad` is the shared kernel's gradient, summed over N."""

    def __init__(self, weight: Tensor, stride: int = 1, padding: int = 0) -> None:
        self.weight, self.stride, self.padding = weight, stride, padding

    def forward(self, s: Tensor) -> Tensor:
        self.s = s.detach()
        y = F.conv2d(s.flatten(0, 1), self.weight, None, self.stride, self.padding)
        return y.unflatten(0, s.shape[:2])

    def pull_back(self, delta: Tensor) -> Tensor:
        d, s, how = delta.flatten(0, 1), self.s.flatten(0, 1), (self.stride, self.padding)
        self.grad = torch.nn.grad.conv2d_weight(s, self.weight.shape, d, *how)
        return torch.nn.grad.conv2d_input(s.shape, self.weight, d, *how).view_as(self.s)


class MaxPool:
    """P is a selection: each window passes its whole gradient to one element."""

    def __init__(self, kernel: int = 3, stride: int = 2, padding: int = 1) -> None:
        self.how = (kernel, stride, padding)

    def forward(self, s: Tensor) -> Tensor:
        y, self.chosen = F.max_pool2d(s.flatten(0, 1), *self.how, return_indices=True)
        self.shape = s.shape
        return y.unflatten(0, s.shape[:2])

    def pull_back(self, g: Tensor) -> Tensor:
        flat = torch.zeros(*self.chosen.shape[:2], self.shape[-1] * self.shape[-2], dtype=g.dtype)
        return flat.scatter_add(2, self.chosen.flatten(2), g.flatten(0, 1).flatten(2)).view(self.shape)


class AvgPool:
    """P spreads: each window passes 1/|R| of its gradient to each of its |R| elements (padding included)."""

    def __init__(self, kernel: int = 3, stride: int = 2, padding: int = 1) -> None:
        self.how = (kernel, stride, padding)

    def forward(self, s: Tensor) -> Tensor:
        self.shape = s.shape
        return F.avg_pool2d(s.flatten(0, 1), *self.how).unflatten(0, s.shape[:2])

    def pull_back(self, g: Tensor) -> Tensor:
        kernel, stride, padding = self.how
        windows = g.reshape(-1, 1, g.shape[-1] * g.shape[-2]) / kernel**2
        spread = F.fold(windows.expand(-1, kernel**2, -1), self.shape[-2:], kernel, 1, padding, stride)
        return spread.view(self.shape)


class Norm:
    """BatchNorm per channel with gain [C], the book's w_BN.

    Given `statistics` (mean, var) it is a diagonal map (eval mode); without them it normalises by the batch it
    sees, over T, N and space (train mode)."""

    def __init__(self, gain: Tensor, statistics: tuple | None = None, eps: float = 1e-5) -> None:
        self.gain, self.statistics, self.eps = gain, statistics, eps

    def forward(self, x: Tensor) -> Tensor:
        over = [i for i in range(x.ndim) if i != 2]
        mean, var = self.statistics or (x.mean(over), x.var(over, unbiased=False))
        self.scale, self.over = _channel(self.gain / (var + self.eps).sqrt(), x).detach(), over
        centred = x - _channel(mean, x)
        self.normalised = (centred / _channel((var + self.eps).sqrt(), x)).detach()
        return centred * _channel(self.gain / (var + self.eps).sqrt(), x)

    def diagonal(self) -> Tensor:
        """The factor per channel, if this is a diagonal map. Raises ValueError in train mode, where every
        sample's gradient depends on the whole batch."""
        if self.statistics is None:
            raise ValueError("BatchNorm in train mode couples the batch: it is no diagonal map")
        return self.scale

    def pull_back(self, g: Tensor) -> Tensor:
        if self.statistics is None:
            along = (g * self.normalised).mean(self.over, keepdim=True)
            g = g - g.mean(self.over, keepdim=True) - self.normalised * along
        return g * self.scale


class Flatten:
    def forward(self, s: Tensor) -> Tensor:
        self.shape = s.shape
        return s.flatten(2)

    def pull_back(self, g: Tensor) -> Tensor:
        return g.view(self.shape)


def _channel(value: Tensor, like: Tensor) -> Tensor:
    return value.view(1, 1, -1, *[1] * (like.ndim - 3))
