"""Another backward pass for any library's firing step: the same spikes, a derivative of the attacker's choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..nets.surrogates import SURROGATES

# The published defaults of ASSG (Wang et al., arXiv 2512.22522): decay of both running statistics, weight of the
# deviation, and half of the bound on the expected vanishing degree.
DECAY, RELAX, HALF_BOUND = 0.9, 1.5, 0.425
Named = tuple[str, float]  # a surrogate and its alpha


class Mean:
    """The mean of some surrogates' derivatives; of one, its own."""

    def __init__(self, parts: Sequence[Named]) -> None:
        self.parts = parts

    def begin(self) -> None:
        """A forward pass begins."""

    def __call__(self, u: Tensor) -> Tensor:
        return torch.stack([SURROGATES[name](u, alpha) for name, alpha in self.parts]).mean(0)


class Adaptive:
    """ASSG: a sharpness for each neuron and step, from the running mean and deviation of its distance to threshold.

    A layer asks once a step, or as often in every forward pass; statistics belong to the number of the call and to
    one batch's shape.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.call = 0

    def begin(self) -> None:
        self.call = 0

    def __call__(self, u: Tensor) -> Tensor:
        distance, i = u.abs(), self.call
        self.call += 1
        if i == len(self.seen):
            self.seen.append((torch.ones_like(u), torch.zeros_like(u)))
        mean, deviation = self.seen[i]
        if mean.shape != u.shape:
            mean, deviation = torch.ones_like(u), torch.zeros_like(u)
        mean = DECAY * mean + (1 - DECAY) * distance
        deviation = DECAY * deviation + (1 - DECAY) * (distance - mean).abs()
        self.seen[i] = (mean, deviation)
        omega = 2 / math.pi * math.tan(math.pi * HALF_BOUND)
        return _atan(u, omega / (mean + RELAX * deviation + 1e-4))


def _atan(u: Tensor, alpha: Tensor) -> Tensor:
    return alpha / 2 / (1 + (math.pi / 2 * alpha * u).square())


Slope = Mean | Adaptive


class Swapped(nn.Module):
    """A layer's own firing step with another slope."""

    def __init__(self, fire: Callable[[Tensor], Tensor], slope: Slope) -> None:
        super().__init__()
        self.__dict__["fire"] = fire  # not a part of this module, whatever it is
        self.slope = slope

    def forward(self, u: Tensor) -> Tensor:
        return _Fire.apply(u, self.fire, self.slope)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, fire, slope):
        ctx.save_for_backward(slope(u.detach()))
        return fire(u.detach()).detach()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].to(grad), None, None
