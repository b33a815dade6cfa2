"""From a uint8 image or event frames to a spike train, and the BPDA surrogates that let a gradient pass through.

Phase coding of u/256 with K = 8 phases is the image's bit planes, most significant first
(Kim et al. 2018, doi 10.1016/j.neucom.2018.05.087); with T = 10 the planes 9 and 10 repeat 1 and 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

PHASES = 8
CODINGS = ("phase", "weighted_phase", "rate", "latency", "direct")
BPDA_SURROGATES = ("identity", "weighted", "smoothed")
BPDA = "weighted"  # where none is named; the literature's
# Levels to each side over which the smoothed surrogate looks; one step of the latency code at T = 10 takes 28.
SMOOTHING = {"phase": 2, "weighted_phase": 2, "latency": 16}


def phase_weights(T: int, device: torch.device | str = "cpu") -> Tensor:
    """omega(t) = 2^-(1 + (t-1 mod K)) for t = 1..T, shape [T]."""
    return 2.0 ** -(1.0 + torch.arange(T, device=device) % PHASES)


def encode(x: Tensor, coding: str, T: int) -> Tensor:
    """Spike train float32 [T,N,C,H,W] of a uint8 image [N,C,H,W].

    phase: bit planes, unweighted, as in the published code; weighted_phase: times omega(t), as in
    Kim et al.; rate: Bernoulli spikes with probability u/255, from torch's global stream; latency: one
    spike, earlier for brighter pixels; direct: u/255 at every step; frames: event counts [N,T,2,H,W] as they
    are, time first. Raises ValueError on another coding or dtype.
    """
    require_uint8(x)
    if coding == "phase":
        return _planes(x, T).float()
    if coding == "weighted_phase":
        return _planes(x, T) * phase_weights(T, x.device).view(T, *[1] * x.ndim)
    u = x.float() / 255
    if coding == "rate":
        noise = torch.rand((T, *x.shape), device=x.device)
        return (noise <= u).float()
    if coding == "latency":
        fire = ((T - 1.0) * (1.0 - u)).round().long()
        return (fire == torch.arange(T, device=x.device).view(T, *[1] * x.ndim)).float()
    if coding == "direct":
        return u.expand(T, *u.shape)
    if coding == "frames" and x.ndim == 5 and x.shape[1] == T:
        return x.transpose(0, 1).float()
    raise ValueError(f"coding is {coding!r}; allowed: {', '.join(CODINGS)}, and frames for counts [N,{T},2,H,W]")


def require_uint8(images: Tensor) -> Tensor:
    """The images as they are; raises ValueError when they are not uint8."""
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}; allowed: torch.uint8, in 0..255")
    return images


def _planes(x: Tensor, T: int) -> Tensor:
    shift = (PHASES - 1 - torch.arange(T, device=x.device) % PHASES).to(torch.uint8)
    return (x >> shift.view(T, *[1] * x.ndim)) & 1


class _ThroughCode(torch.autograd.Function):
    """Forward: quantise an image in [0,1] to 8 bits and encode it. Backward: a BPDA surrogate."""

    @staticmethod
    def forward(ctx, image, coding, T, bpda):
        x = (image * 255).round().to(torch.uint8)
        ctx.save_for_backward(x)
        ctx.settings = (coding, T, bpda)
        return encode(x, coding, T)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad * bpda_slope(x, *ctx.settings)).sum(0), None, None, None


def bpda_slope(x: Tensor, coding: str, T: int, bpda: str) -> Tensor:
    """What the backward pass puts in place of d spike[t] / d image, for uint8 images x; broadcasts to [T,*x.shape].

    See `encode_image`. The direct code is linear, and the rate code's mean is the image itself, so for both
    every surrogate is 1.
    """
    if bpda == "smoothed" and (w := SMOOTHING.get(coding)):
        low, high = x - x.clamp(max=w), x + (255 - x).clamp(max=w)  # x - w and x + w, in the box
        rise = encode(high, coding, T) - encode(low, coding, T)
        return rise * (255 / (high - low).float())
    phased = bpda == "weighted" and coding == "phase" or coding == "weighted_phase"
    weights = phase_weights(T, x.device) if phased else torch.ones(T, device=x.device)
    return weights.view(T, *[1] * x.ndim)


def encode_image(image: Tensor, coding: str, T: int, bpda: str = BPDA) -> Tensor:
    """Encode an image in [0,1] with a gradient: BPDA (Athalye et al. 2018, arXiv 1802.00420).

    The forward pass is exactly `encode` of the 8-bit image. No code here but `direct` has a derivative,
    so the backward pass replaces d spike[t] / d image by a surrogate: "identity" (1 for every t), "weighted"
    (omega(t), the share of the pixel's value that the plane carries) or "smoothed" (the derivative of the
    code averaged over +-SMOOTHING pixel levels, which is the central difference of the code over them).
    For codings without phases the first two are the same. They say nothing about latency, whose spikes
    always sum to one; there the smoothed one moves the spike. Shapes as in `encode`; raises ValueError on
    another surrogate and on an image that leaves [0,1], whose 8-bit value would wrap around.
    """
    if not (image.is_cuda and torch.cuda.is_current_stream_capturing()):  # which forbids to wait for values
        low, high = image.detach().aminmax()
        if not (low >= 0 and high <= 1):  # of not-a-number neither holds
            raise ValueError(f"image values are {low:.3g} to {high:.3g}; allowed: 0 to 1")
    if bpda not in BPDA_SURROGATES:
        raise ValueError(f"bpda is {bpda!r}; allowed: {', '.join(BPDA_SURROGATES)}")
    return _ThroughCode.apply(image, coding, T, bpda)
