"""What is audited, as people have it: images and labels of many forms, made into one form or refused in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

GREY = 255  # what uint8 images are divided by


@dataclass
class Given:
    """Images x [N,...] float32 in [0,1], contiguous; labels y int64 [N]; and what was done to make them so."""

    x: Tensor
    y: Tensor
    scale: float = 1.0  # the model is fed scale * x
    time_first: bool = False  # the model wants [T,N,...] where x is [N,T,...]
    notes: list[str] = field(default_factory=list)


def given(images: Any, labels: Any, scale: float | None = None, time_first: bool | None = None) -> Given:
    """Images and labels as one form. Raises ValueError saying what is wrong and what is allowed.

    Images are tensors or arrays [N,...] in [0,1], uint8 [N,...], or, with `scale`, values from 0 to scale, which the
    model then is fed as they are. [T,N,...] is recognised by the number of labels, or said by `time_first`. Labels are
    whole numbers [N] or [N,1] of any type, or one-hot [N,classes].
    """
    x, y, notes = _tensor(images, "images"), _labels(labels), []
    if x.ndim < 2:
        raise ValueError(f"images have shape {list(x.shape)}; allowed: [N,...] with one image an entry, or [T,N,...]")
    if x.numel() == 0 or not len(y):
        raise ValueError(f"there are no images: shape {list(x.shape)}, {len(y)} labels; allowed: one image or more")
    first = _time_first(x, len(y), time_first)
    if first:
        x = x.transpose(0, 1)
        notes.append(f"images are [T,N,...] with T = {x.shape[1]}; each image keeps its {x.shape[1]} frames")
    x, factor = _scaled(x, scale, notes)
    return Given(x.contiguous(), y.to(x.device), factor, first, notes)


def _tensor(values: Any, what: str) -> Tensor:
    if isinstance(values, np.ndarray) and values.dtype != object:
        values = np.ascontiguousarray(values)
        values = torch.from_numpy(values.astype(np.int64) if values.dtype in (np.uint16, np.uint32) else values)
    if isinstance(values, list | tuple) and what == "labels":
        try:
            values = torch.as_tensor(values)
        except (ValueError, TypeError, RuntimeError):
            raise ValueError("labels are a list of no plain numbers; allowed: the class's number, from 0") from None
    if not isinstance(values, Tensor):
        raise ValueError(f"{what} are of type {type(values).__name__}; allowed: a torch tensor or a numpy array")
    if values.is_complex() or values.is_sparse:
        raise ValueError(f"{what} are complex or sparse; allowed: plain numbers")
    return values.detach()


def _labels(labels: Any) -> Tensor:
    y = _tensor(labels, "labels")
    if y.ndim == 2 and y.shape[1] > 1:
        if not (((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()):
            raise ValueError(f"labels have shape {list(y.shape)} and are not one-hot; allowed: [N], [N,1], one-hot")
        return y.argmax(1)
    if y.ndim == 2:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"labels have shape {list(y.shape)}; allowed: [N], [N,1] or one-hot [N,classes]")
    if not torch.isfinite(y.double()).all() or (y.double() != y.double().round()).any():
        raise ValueError("labels are not whole numbers; allowed: the number of the class, from 0")
    if (y.long() < 0).any():
        raise ValueError(f"labels reach down to {int(y.min())}; allowed: 0 to classes - 1")
    return y.long()


def _time_first(x: Tensor, n: int, said: bool | None) -> bool:
    fits, later = len(x) == n, x.ndim > 2 and x.shape[1] == n
    if said and not later or said is False and not fits or not (fits or later):
        raise ValueError(f"images have shape {list(x.shape)} and there are {n} labels; allowed: [N,...] or [T,N,...]")
    return not fits if said is None else said


def _scaled(x: Tensor, scale: float | None, notes: list[str]) -> tuple[Tensor, float]:
    """x as float32 in [0,1], and what the model's input is multiplied by."""
    if scale is not None and not (isinstance(scale, int | float) and math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale!r}; allowed: the number that stands for 1, more than 0")
    if scale is None and x.dtype == torch.uint8:
        notes.append(f"images are uint8 and divided by {GREY}: the model is fed 0 to 1")
        return x.float() / GREY, 1.0
    wide, most = x.double(), scale or 1.0
    if wrong := int((~torch.isfinite(wide)).sum()):
        raise ValueError(f"{wrong} values of the images are nan or infinite; allowed: 0 to {most:g}")
    low, high = float(wide.min()), float(wide.max())
    if low < 0 or high > most:
        hint = "give integers or counts with scale=, their largest value; " if low >= 0 else ""
        raise ValueError(
            f"images reach from {low:.3g} to {high:.3g}; allowed: 0 to {most:g}. {hint}give images that are not yet "
            "normalised, with mean= and std=, or normalise inside the model"
        )
    if not x.is_floating_point() and scale is None and x.dtype != torch.bool:
        raise ValueError(f"images are {x.dtype} without a stated range; give scale=, the value that stands for 1")
    if scale is not None:
        notes.append(f"images reach from 0 to {scale:g}; radii are fractions of {scale:g}")
    return (wide / most).float().clamp(0, 1), most


def radius(eps: Any) -> float:
    """An L-infinity radius on the scale of 0 to 1, from a number or text like "8/255"; raises ValueError."""
    try:
        above, _, below = str(eps).partition("/")
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not (math.isfinite(value) and 0 < value <= 1):
        hint = f"; did you mean {value:g}/255?" if 1 < value <= GREY else ""
        raise ValueError(f"eps is {eps}; allowed: more than 0, at most 1, on the scale of images in [0,1]{hint}")
    return value
