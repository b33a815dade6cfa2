"""BatchNorm and integrate-and-fire as one differentiable operator on the CPU, over the loops of `kernels`.

A value is read once per pass, potentials are computed again in the backward pass instead of being kept, and
nothing is dispatched per time step. Equal to BatchNorm followed by `neurons.if_reference`: identical spikes
for the same current, gradients to rounding.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from . import kernels

# Constants of a surrogate with sharpness alpha as kernels._steepness reads them; float32 as the reference has them.
_SURROGATES = {
    "atan": (kernels.ATAN, lambda a: (a, 2 / a, math.pi**2 * a / 2)),
    "sigmoid": (kernels.SIGMOID, lambda a: (a, 0, 0)),
    "rectangular": (kernels.RECTANGULAR, lambda a: (a, 0, 0.5 / a)),
    "triangular": (kernels.TRIANGULAR, lambda a: (a, 0, 0)),
}


def fused_if(
    x: Tensor,
    surrogate: str = "atan",
    alpha: float = 2.0,
    detach_reset: bool = True,
    norm: nn.BatchNorm2d | None = None,
) -> Tensor:
    """Spikes of IF neurons for x [T,...], or for `norm` applied to the T*N frames of x [T,N,C,H,W].

    float32 or float64, on the CPU; five axes come back in channels-last order. In train mode `norm` gathers its
    running statistics as it does by itself. Raises RuntimeError when a second derivative is prepared.
    """
    neuron = (surrogate, alpha, detach_reset)
    if norm is None:
        return _Fused.apply(x, None, None, neuron, None)
    batch = norm.training and x.numel() > 0  # an empty batch has no statistics
    mean, var = _gathered(x, norm) if batch else (_double(norm.running_mean), _double(norm.running_var))
    return _Fused.apply(x, norm.weight, norm.bias, neuron, (mean, np.sqrt(var + norm.eps), batch))


class _Fused(torch.autograd.Function):
    """Backward as BatchNorm's: with delta the gradient of its output, n values and a = weight / sigma a channel,

    d bias = sum delta, d weight = sum delta (x - mean) / sigma, and for batch statistics
    d x = a (delta - d bias / n - (x - mean) d weight / (n sigma)); with running statistics a delta.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, neuron, statistics):
        flat, scale, shift = _flat(x), np.ones(1), np.zeros(1)
        if statistics:
            mean, sigma, _ = statistics
            scale = _double(weight) / sigma
            shift = _double(bias) - mean * scale
        spikes, a, b = np.empty_like(flat), _lanes(scale, flat), _lanes(shift, flat)
        kernels.fire(flat, a, b, spikes)
        ctx.save_for_backward(x)
        ctx.rest = (neuron, statistics, scale, a, b)
        return _shaped(spikes, x)

    @staticmethod
    def backward(ctx, grad):
        if torch.is_grad_enabled():
            raise RuntimeError('second derivatives (create_graph=True) need the plain engine: build(run, "plain")')
        (x,) = ctx.saved_tensors
        (surrogate, alpha, detached), statistics, scale, a, b = ctx.rest
        flat, upstream = _flat(x), _flat(grad)
        mean, sigma, batch = statistics or (0, 1, False)
        affine = batch or ctx.needs_input_grad[1]
        kind, constants = _SURROGATES[surrogate]
        sums = np.empty((kernels.PARTS if affine else 0, 2, len(a)))
        delta, slope = np.empty_like(flat), np.ones_like(a) if batch else a
        sharpness = np.array(constants(alpha), flat.dtype)
        kernels.trace(flat, a, b, upstream, kind, sharpness, detached, slope, delta, sums)
        if not affine:
            return _shaped(delta, x), None, None, None, None
        d_bias, by_x = _by_channel(sums, len(scale))
        d_weight = (by_x - mean * d_bias) / sigma
        if batch:
            n = flat.size / len(scale)
            per_x = scale * d_weight / (n * sigma)
            constant = scale * d_bias / n - per_x * mean
            kernels.subtract_means(delta.reshape(-1), flat.reshape(-1), a, _lanes(constant, flat), _lanes(per_x, flat))
        d_weight, d_bias = (torch.from_numpy(d.astype(flat.dtype)) for d in (d_weight, d_bias))
        return _shaped(delta, x), d_weight, d_bias, None, None


def _gathered(x: Tensor, norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of the batch by channel; the running statistics move with them."""
    flat, channels = _flat(x).reshape(-1), x.shape[2]
    n = flat.size // channels
    sums = np.empty((kernels.PARTS, 2, _width(channels)))
    kernels.moments(flat, sums)
    mean, square = _by_channel(sums, channels) / n
    var = np.maximum(square - mean**2, 0)
    assert norm.num_batches_tracked is not None and norm.running_mean is not None and norm.running_var is not None
    norm.num_batches_tracked += 1
    momentum = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
    for running, now in ((norm.running_mean, mean), (norm.running_var, var * n / max(n - 1, 1))):
        kept = running.numpy()
        kept += momentum * (now - kept)
    return mean, var


def _width(channels: int) -> int:
    """Lanes: as many channels as there are, repeated to about kernels.LANES."""
    return channels * (kernels.LANES // channels or 1)


def _lanes(channels: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.tile(channels, _width(len(channels)) // len(channels)).astype(like.dtype)


def _by_channel(sums: np.ndarray, channels: int) -> np.ndarray:
    """Both sums [2, channels] from their parts and lanes."""
    return sums.sum(0).reshape(2, -1, channels).sum(1)


def _double(t: Tensor | None) -> np.ndarray:
    assert t is not None  # of a BatchNorm that keeps running statistics, as all here do
    return t.detach().numpy().astype(np.float64)


def _flat(x: Tensor) -> np.ndarray:
    """x [T,...] as [T, M] in memory order, channels varying fastest in x [T,N,C,H,W]; a copy only where needed."""
    x = x.detach().permute(0, 1, 3, 4, 2) if x.ndim == 5 else x.detach()
    return x.contiguous().view(len(x), -1).numpy()


def _shaped(flat: np.ndarray, like: Tensor) -> Tensor:
    """The way back from `_flat`."""
    out = torch.from_numpy(flat)
    if like.ndim != 5:
        return out.view(like.shape)
    T, N, C, H, W = like.shape
    return out.view(T, N, H, W, C).permute(0, 1, 4, 2, 3)
