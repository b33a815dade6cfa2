"""The attacker's own backward pass: a forward pass is the network's, but nothing obliges an attacker to its gradient.

Inside `backward` a network computes the same logits, bit for bit, while its surrogate, its pool's routing
or both are the attacker's choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ..nets import pools
from ..nets.neurons import IF, SURROGATES, V_TH, normed

POOLS = ("max", "ties", "avg")  # of the entries of `nets.pools`, the gradients that an attack tries
# The published defaults of ASSG: decay of both running statistics, weight of the deviation, and the bound on
# the expected vanishing degree, of which this is half.
DECAY, RELAX, HALF_BOUND = 0.9, 1.5, 0.425


@dataclass(frozen=True)
class Backward:
    """One choice of backward pass; the default is the network's own.

    `surrogate` and `alpha` replace those of every IF neuron; `adaptive` takes ASSG instead (Wang et al.,
    arXiv 2512.22522), its sharpness times `alpha` where that is given. `pool` is whose gradient a pool has, an entry
    of `nets.pools.TABLE`: "max" gives all to the first maximum of each window, "ties" shares equally among its maxima,
    "avg" over the window. Raises ValueError naming what is allowed.
    """

    surrogate: str | None = None
    alpha: float | None = None
    pool: str | None = None
    adaptive: bool = False

    def __post_init__(self) -> None:
        if self.surrogate is not None and self.surrogate not in SURROGATES:
            raise ValueError(f"surrogate is {self.surrogate!r}; allowed: {', '.join(SURROGATES)} or None")
        if self.pool is not None:
            pools.gradient(self.pool)
        if self.alpha is not None and not (isinstance(self.alpha, int | float) and self.alpha > 0):
            raise ValueError(f"alpha is {self.alpha}; allowed: more than 0")


@contextmanager
def backward(net: nn.Module, choice: Backward) -> Iterator[nn.Module]:
    """`net` with another backward pass; afterwards it is as it was. Adaptive statistics start anew each time."""
    with ExitStack() as changes:
        for module in net.modules():
            if isinstance(module, IF):
                if choice.adaptive:
                    changes.enter_context(patch.object(module, "forward", _Adaptive(module, choice.alpha or 1.0)))
                for name in ("surrogate", "alpha"):
                    if (value := getattr(choice, name)) is not None:
                        changes.enter_context(patch.object(module, name, value))
            elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d | pools.Pool) and choice.pool:
                how = (module.forward, pools.gradient(choice.pool), pools.Window.of(module))
                changes.enter_context(patch.object(module, "forward", partial(pools.with_gradient, *how)))
        yield net


class _Adaptive:
    """An IF layer's forward pass with ASSG's backward: a sharpness by neuron and step, from past |h - V_th|."""

    def __init__(self, neurons: IF, scale: float = 1.0) -> None:
        self.neurons, self.scale = neurons, scale
        self.mean = self.deviation = torch.empty(0)  # of no batch yet

    def __call__(self, x: Tensor, norm: nn.BatchNorm2d | None = None) -> Tensor:
        x = x if norm is None else normed(x, norm)
        return _AdaptiveIF.apply(x.float() if x.dtype == torch.bfloat16 else x, self)

    def alpha(self, u: Tensor) -> Tensor:
        """Sharpness [T,...] for potentials u = h - V_th of one batch.

        The statistics go on over all calls of one shape, so a batch begins with those of the one before it.
        """
        distance = u.abs()
        if self.mean.shape != u.shape:
            self.mean, self.deviation = torch.ones_like(u), torch.zeros_like(u)
        self.mean = DECAY * self.mean + (1 - DECAY) * distance
        self.deviation = DECAY * self.deviation + (1 - DECAY) * (distance - self.mean).abs()
        omega = 2 / math.pi * math.tan(math.pi * HALF_BOUND)
        return self.scale * omega / (self.mean + RELAX * self.deviation + 1e-4)


class _AdaptiveIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, layer):
        h, v = torch.empty_like(x), torch.zeros_like(x[0])
        for t in range(len(x)):
            torch.add(v, x[t], out=h[t])
            v = h[t] * (h[t] < V_TH)
        ctx.save_for_backward(h, layer.alpha(h - V_TH))
        ctx.neurons = layer.neurons
        return (h >= V_TH).to(x)

    @staticmethod
    def backward(ctx, grad):
        h, alpha = ctx.saved_tensors
        slope = alpha / 2 / (1 + (math.pi / 2 * alpha * (h - V_TH)).square())
        carry = (h < V_TH).to(h)  # d v[t] / d h[t]
        if not ctx.neurons.detach_reset:
            carry = carry - slope * h
        delta = grad * slope
        for t in range(len(h) - 2, -1, -1):
            delta[t] += delta[t + 1] * carry[t]
        return delta, None
