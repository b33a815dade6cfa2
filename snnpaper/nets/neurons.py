"""Integrate-and-fire over T steps: the ten-line reference, and two fast paths proven equal to it.

Charge h[t] = v[t-1] + x[t]; fire s[t] = 1 when h[t] >= v_th; hard reset v[t] = (1 - s[t]) h[t].
The derivative of the step is replaced by a surrogate (Neftci et al. 2019, arXiv 1901.09948).
"""

from __future__ import annotations

import torch
from spikingjelly.activation_based.functional.neuron import if_multi_step
from spikingjelly.activation_based.surrogate import ATan, PiecewiseQuadratic, Sigmoid
from torch import Tensor, nn

from .fused import fused_if
from .surrogates import SURROGATES

V_TH = 1.0

_LIBRARY = {"atan": ATan, "sigmoid": Sigmoid, "triangular": PiecewiseQuadratic}


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
        reset = s.detach() if detach_reset else s
        v = h * (1 - reset)
        spikes.append(s)
    return torch.stack(spikes)


def if_library(x: Tensor, surrogate: str = "atan", alpha: float = 2.0, detach_reset: bool = True) -> Tensor:
    """The same by SpikingJelly's operator, which on CUDA is one kernel for all T; it has no rectangular surrogate."""
    if surrogate == "rectangular":
        return if_reference(x, surrogate, alpha, detach_reset)
    theirs, v = _LIBRARY[surrogate](alpha), torch.zeros_like(x[0], dtype=torch.float32)
    return if_multi_step(x, v, V_TH, 0.0, theirs, detach_reset)[0]


class IF(nn.Module):
    """Integrate-and-fire neurons, threshold 1, reset to 0: current [T,...] -> spikes.

    The membrane potential is float32 at least and starts at 0 in every call, so nothing is carried from
    one image to the next. On a CPU the neurons run in our compiled loops, together with a BatchNorm before
    them when `forward` is given one; on CUDA in SpikingJelly's kernel. `plain` runs the reference loop.
    Raises ValueError on an unknown surrogate.
    """

    def __init__(
        self,
        surrogate: str = "atan",
        alpha: float = 2.0,
        detach_reset: bool = True,
        plain: bool = False,
    ) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError(f"surrogate is {surrogate!r}; allowed: {', '.join(SURROGATES)}")
        self.surrogate, self.alpha, self.detach_reset, self.plain = surrogate, alpha, detach_reset, plain

    def forward(self, x: Tensor, norm: nn.BatchNorm2d | None = None) -> Tensor:
        """Spikes for x [T,N,C,H,W], or for `norm` of its T*N frames; without a norm any [T,...] will do."""
        x = x.float() if x.dtype == torch.bfloat16 else x
        settings = (self.surrogate, self.alpha, self.detach_reset)
        fused = not self.plain and x.device.type == "cpu"
        if norm is not None and (not fused or _listened_to(norm)):
            x, norm = normed(x, norm), None
        if fused:
            return fused_if(x, *settings, norm)
        return (if_reference if self.plain else if_library)(x, *settings)

    def extra_repr(self) -> str:
        return f"{self.surrogate}, alpha={self.alpha}, reset{' detached' if self.detach_reset else ''}"


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """`norm` of the T*N frames of x [T,N,C,H,W]."""
    return norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _listened_to(m: nn.Module) -> bool:
    """Whether a hook wants to see what goes through a module, which must then run by itself."""
    return any((m._forward_hooks, m._forward_pre_hooks, m._backward_hooks, m._backward_pre_hooks))
