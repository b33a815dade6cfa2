"""Integrate-and-fire over T steps: the ten-line reference, and one operator proven equal to it.

Charge h[t] = v[t-1] + x[t]; fire s[t] = 1 when h[t] >= v_th; hard reset v[t] = (1 - s[t]) h[t].
The derivative of the step is replaced by a surrogate (Neftci et al. 2019, arXiv 1901.09948).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

V_TH = 1.0

# Surrogate derivatives at u = h - v_th with sharpness alpha.
# atan: alpha/2 / (1 + (pi/2 alpha u)^2), the paper's choice with alpha = 2, never zero. The two with compact
# support are zero away from the threshold; sigmoid underflows to zero for u > 17/alpha in single precision.
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "atan": lambda u, a: (a / 2) / (1 + (math.pi / 2 * a * u).square()),
    "sigmoid": lambda u, a: a * torch.sigmoid(a * u) * (1 - torch.sigmoid(a * u)),
    "rectangular": lambda u, a: a * (u.abs() <= 0.5 / a).to(u),
    "triangular": lambda u, a: a * (1 - a * u.abs()).clamp(min=0),
}


class _Fire(torch.autograd.Function):
    """The step of the reference, with its surrogate derivative."""

    @staticmethod
    def forward(ctx, u, surrogate, alpha):
        ctx.save_for_backward(u)
        ctx.derivative = lambda u: SURROGATES[surrogate](u, alpha)
        return (u >= 0).to(u)

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * ctx.derivative(u), None, None


def if_reference(x: Tensor, surrogate: str = "atan", alpha: float = 2.0, detach_reset: bool = True) -> Tensor:
    """Spikes of IF neurons for input current x [T,...], by a plain loop that autograd differentiates."""
    v, spikes = torch.zeros_like(x[0]), []
    for current in x:
        h = v + current
        s = _Fire.apply(h - V_TH, surrogate, alpha)
        v = h * (1 - (s.detach() if detach_reset else s))
        spikes.append(s)
    return torch.stack(spikes)


class _IF(torch.autograd.Function):
    """The whole loop as one operator; each step works on slices that stay in cache."""

    @staticmethod
    def forward(ctx, x, surrogate, alpha, detach_reset):
        h, spikes = torch.empty_like(x), torch.empty_like(x)
        v = torch.zeros_like(x[0])
        for t in range(len(x)):
            torch.add(v, x[t], out=h[t])
            torch.ge(h[t], V_TH, out=spikes[t])
            torch.mul(h[t], h[t] < V_TH, out=v)
        ctx.save_for_backward(h)
        ctx.settings = (surrogate, alpha, detach_reset)
        return spikes

    @staticmethod
    def backward(ctx, grad):
        (h,) = ctx.saved_tensors
        surrogate, alpha, detach_reset = ctx.settings
        delta = torch.empty_like(h)
        for t in range(len(h) - 1, -1, -1):
            slope = SURROGATES[surrogate](h[t] - V_TH, alpha)
            torch.mul(grad[t], slope, out=delta[t])
            if t + 1 < len(h):
                carry = (h[t] < V_TH).to(h)  # d v[t] / d h[t]: a silent neuron keeps its potential
                if not detach_reset:
                    carry -= h[t] * slope
                delta[t].addcmul_(delta[t + 1], carry)
        return delta, None, None, None


class IF(nn.Module):
    """Integrate-and-fire neurons, threshold 1, hard reset to 0: current [T,...] -> spikes [T,...].

    The membrane potential starts at 0 in every call, so nothing is carried from one image to the next.
    Raises ValueError on an unknown surrogate.
    """

    def __init__(self, surrogate: str = "atan", alpha: float = 2.0, detach_reset: bool = True) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError(f"surrogate is {surrogate!r}; allowed: {', '.join(SURROGATES)}")
        self.surrogate, self.alpha, self.detach_reset = surrogate, alpha, detach_reset

    def forward(self, x: Tensor) -> Tensor:
        return _IF.apply(x, self.surrogate, self.alpha, self.detach_reset)

    def extra_repr(self) -> str:
        return f"{self.surrogate}, alpha={self.alpha}, detach_reset={self.detach_reset}"
