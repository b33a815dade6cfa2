"""What pools compute, window by window: values and, where they are not autograd's, gradients.

Every function takes frames x [N,C,H,W] and the windows; the third argument is the entry's parameter, the fourth
whether the network trains.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Window(NamedTuple):
    """Size, step and border of a pool's windows, each (rows, columns)."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, pool: nn.Module) -> Window:
        """The windows of a MaxPool2d, an AvgPool2d or a pool of ours."""
        sizes = (getattr(pool, k) for k in ("kernel_size", "stride", "padding"))
        return cls(*((s, s) if isinstance(s, int) else tuple(s) for s in sizes))


STEM = Window()


class _Windows(torch.autograd.Function):
    """[N,C,H,W] -> [places,N,C,h,w]. Backward adds from the last place to the first, as torch's own pools do."""

    @staticmethod
    def forward(ctx, x: Tensor, window: Window, fill: float) -> Tensor:
        ctx.shape, ctx.window = x.shape, window
        kernel, stride, (top, left) = window
        padded = F.pad(x, (left, left, top, top), value=fill)
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(padded.shape[-2:], kernel, stride, strict=True))
        ctx.places = [
            (..., slice(i, i + stride[0] * rows, stride[0]), slice(j, j + stride[1] * columns, stride[1]))
            for i in range(kernel[0])
            for j in range(kernel[1])
        ]
        return torch.stack([padded[place] for place in ctx.places])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        *front, high, wide = ctx.shape
        top, left = ctx.window.padding
        padded = grad.new_zeros(*front, high + 2 * top, wide + 2 * left)
        for place, part in zip(reversed(ctx.places), reversed(grad.unbind()), strict=True):
            padded[place] += part
        return padded[..., top : top + high, left : left + wide], None, None


def windows(x: Tensor, window: Window = STEM, fill: float = 0.0) -> Tensor:
    """The windows of x [N,C,H,W] as [places,N,C,h,w], places in reading order, padding filled with `fill`."""
    return _Windows.apply(x, window, fill)


def added(parts: Tensor) -> Tensor:
    """The sum over places in reading order, so that it is the library's to the last bit."""
    return functools.reduce(torch.add, parts.unbind())


def maximum(x: Tensor, window: Window, *_) -> Tensor:
    return F.max_pool2d(x, *window)


def average(x: Tensor, window: Window, *_) -> Tensor:
    return F.avg_pool2d(x, *window)


def average_inside(x: Tensor, window: Window, *_) -> Tensor:
    return F.avg_pool2d(x, *window, count_include_pad=False)


def mixed(x: Tensor, window: Window, a: float, training: bool) -> Tensor:
    return a * maximum(x, window) + (1 - a) * average(x, window)


def softmax(x: Tensor, window: Window, sharpness: float, training: bool) -> Tensor:
    parts = windows(x, window)
    weights = (sharpness * (parts - parts.detach().amax(0))).exp()
    return added(weights * parts) / added(weights)


def topk(x: Tensor, window: Window, k: float, training: bool) -> Tensor:
    """The mean of the k largest, the earlier place first among equals; padding comes last and counts as zero.

    Ranks are counted pair by pair: on windows of nine that is several times faster than sorting them.
    """
    with torch.no_grad():
        parts = windows(x, window, -math.inf)
        rank = torch.zeros(parts.shape, dtype=torch.uint8, device=x.device)
        for i in range(len(parts)):
            for j in range(i):
                larger = parts[i] > parts[j]
                rank[j] += larger
                rank[i] += ~larger
    return added(windows(x, window) * (rank < k)) / k


def stochastic(x: Tensor, window: Window, _, training: bool) -> Tensor:
    """Zeiler & Fergus 2013 (arXiv 1301.3557): one pixel drawn in proportion to its value; in eval mode the
    expectation. A window without a positive pixel gives zero and passes no gradient."""
    parts = windows(x.clamp(min=0), window)
    if not training:
        total = added(parts)
        return added(parts * parts) / torch.where(total > 0, total, 1)
    reached = parts.detach().cumsum(0)
    passed = reached > torch.rand_like(reached[-1]) * reached[-1]
    return added(parts * (passed & (passed.cumsum(0) == 1)))


def centre(x: Tensor, window: Window, *_) -> Tensor:
    parts = windows(x, window)
    return parts[len(parts) // 2]


def ties(x: Tensor, grad: Tensor, window: Window, _=None) -> Tensor:
    parts = windows(x, window, -math.inf)
    tied = (parts == parts.amax(0)).to(grad)
    return spread(tied / tied.sum(0) * grad, x, window)


def silent(x: Tensor, grad: Tensor, window: Window, _=None) -> Tensor:
    return pulled_back(maximum, x, grad * (maximum(x, window) > 0), window)


def spread(shares: Tensor, x: Tensor, window: Window) -> Tensor:
    """What each place of each window is given [places,N,C,h,w], added up over the image [N,C,H,W]."""
    return pulled_back(windows, x, shares, window)


def pulled_back(forward: Callable[..., Tensor], x: Tensor, grad: Tensor, *arguments) -> Tensor:
    """The gradient at x that autograd finds for `forward`; differentiable in `grad` where that is asked for."""
    twice = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(forward(x, *arguments), x, grad, create_graph=twice)[0]
