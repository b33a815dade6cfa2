"""What each adapter says of a model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..slopes import Slope

MakeSlope = Callable[[], Slope]


@dataclass(frozen=True)
class Adapter:
    """One library's way of doing things, for one model.

    `run(model, x, steps)` feeds x [N,...] for so many steps, or as it is where steps is None; `reset(model)` forgets
    the past; `swap(model, make)` is a context in which every layer of `neurons` has a slope of its own from `make`.
    `own` names the network's surrogates, `line` is what a user writes to reset.
    """

    name: str
    neurons: tuple[str, ...]
    own: tuple[str, ...]
    line: str
    run: Callable[[nn.Module, Tensor, int | None], Any]
    reset: Callable[[nn.Module], None]
    swap: Callable[[nn.Module, MakeSlope], AbstractContextManager] | None


def layers_of(model: nn.Module, library: str, has: str) -> dict[str, Any]:
    """The model's modules by name whose class, or a base of it, is of a library, and which have an attribute."""
    return {
        name: m
        for name, m in model.named_modules()
        if hasattr(m, has) and any(c.__module__.split(".")[0] == library for c in type(m).__mro__)
    }


def mean(outputs: list[Tensor]) -> Tensor:
    """The mean over steps, in which a rate is read."""
    return torch.stack(outputs).mean(0)
