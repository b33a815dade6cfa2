"""Integrate-and-fire over T steps: the ten-line reference, and one operator proven equal to it.

Charge h[t] = v[t-1] + x[t]; fire s[t] = 1 when h[t] >= v_th; hard reset v[t] = (1 - s[t]) h[t], or soft
reset v[t] = h[t] - v_th s[t].
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
    "atan": lambda u, a: torch.addcmul(u.new_tensor(2 / a), u, u, value=math.pi**2 * a / 2).reciprocal_(),
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


def if_reference(
    x: Tensor, surrogate: str = "atan", alpha: float = 2.0, detach_reset: bool = True, soft_reset: bool = False
) -> Tensor:
    """Spikes of IF neurons for input current x [T,...], by a plain loop that autograd differentiates."""
    v, spikes = torch.zeros_like(x[0]), []
    for current in x:
        h = v + current
        s = _Fire.apply(h - V_TH, surrogate, alpha)
        reset = s.detach() if detach_reset else s
        v = h - V_TH * reset if soft_reset else h * (1 - reset)
        spikes.append(s)
    return torch.stack(spikes)


class _IF(torch.autograd.Function):
    """The whole loop as one operator: few passes, one precision, no boolean masks.

    Comparing with a 0-dim tensor of the same precision writes 0 and 1 directly; a Python number or a
    mask would cost a conversion each, several times the arithmetic.
    """

    @staticmethod
    def forward(ctx, x, surrogate, alpha, detach_reset, soft_reset):
        h, spikes = torch.empty_like(x), torch.empty_like(x)
        v, threshold = torch.zeros_like(x[0]), x.new_full((), V_TH)
        for x_t, h_t, s_t in zip(x, h, spikes, strict=True):
            torch.add(v, x_t, out=h_t)
            torch.ge(h_t, threshold, out=s_t)
            if soft_reset:
                torch.sub(h_t, s_t, alpha=V_TH, out=v)
            else:
                torch.addcmul(h_t, h_t, s_t, value=-1, out=v)  # h - h s: exactly 0 after a spike
        ctx.save_for_backward(h, spikes)
        ctx.settings = (surrogate, alpha, detach_reset, soft_reset)
        return spikes

    @staticmethod
    def backward(ctx, grad):
        h, spikes = ctx.saved_tensors
        surrogate, alpha, detach_reset, soft_reset = ctx.settings
        delta, threshold, later = torch.empty_like(h), h.new_full((), V_TH), None
        for g_t, h_t, s_t, d_t in reversed(list(zip(grad, h, spikes, delta, strict=True))):
            slope = SURROGATES[surrogate](h_t - threshold, alpha)
            if later is None:
                torch.mul(g_t, slope, out=d_t)
            else:  # d v[t] / d h[t]: 1 - s[t] for a hard reset, 1 for a soft one
                d_t.copy_(later) if soft_reset else torch.addcmul(later, later, s_t, value=-1, out=d_t)
                if not detach_reset:
                    d_t -= later * slope * (V_TH if soft_reset else h_t)
                d_t.addcmul_(g_t, slope)
            later = d_t
        return delta, None, None, None, None


class IF(nn.Module):
    """Integrate-and-fire neurons, threshold 1, reset to 0 (or by 1, when soft): current [T,...] -> spikes.

    The membrane potential is float32 at least and starts at 0 in every call, so nothing is carried from
    one image to the next. `plain` runs the reference loop. Raises ValueError on an unknown surrogate.
    """

    def __init__(
        self,
        surrogate: str = "atan",
        alpha: float = 2.0,
        detach_reset: bool = True,
        soft_reset: bool = False,
        plain: bool = False,
    ) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError(f"surrogate is {surrogate!r}; allowed: {', '.join(SURROGATES)}")
        self.surrogate, self.alpha, self.plain = surrogate, alpha, plain
        self.detach_reset, self.soft_reset = detach_reset, soft_reset

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.bfloat16 else x
        spikes = if_reference if self.plain else _IF.apply
        return spikes(x, self.surrogate, self.alpha, self.detach_reset, self.soft_reset)

    def extra_repr(self) -> str:
        reset = f"{'soft' if self.soft_reset else 'hard'} reset{', detached' if self.detach_reset else ''}"
        return f"{self.surrogate}, alpha={self.alpha}, {reset}"
