"""Derivatives that stand for that of the firing step, which is zero: by name, with a sharpness alpha."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Surrogate derivatives at u = h - v_th with sharpness alpha.
# atan: alpha/2 / (1 + (pi/2 alpha u)^2), the paper's choice with alpha = 2, never zero. The two with compact
# support are zero away from the threshold; sigmoid underflows to zero for u > 17/alpha in single precision.
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "atan": lambda u, a: torch.addcmul(u.new_full((), 2 / a), u, u, value=math.pi**2 * a / 2).reciprocal_(),
    "sigmoid": lambda u, a: a * torch.sigmoid(a * u) * (1 - torch.sigmoid(a * u)),
    "rectangular": lambda u, a: a * (u.abs() <= 0.5 / a).to(u),
    "triangular": lambda u, a: a * (1 - a * u.abs()).clamp(min=0),
}
