"""norse: state that is passed along, cells and layers in time, `method` and `alpha` of each layer's parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ..slopes import Swapped
from .adapter import Adapter, MakeSlope, layers_of, mean


def find(model: nn.Module) -> Adapter | None:
    stateful = layers_of(model, "norse", "p")
    if not stateful:
        return None
    neurons = _neurons(model)
    own = {f"{m.p.method} {float(m.p.alpha):g}" for m in neurons.values()}
    cells = any(type(m).__name__.endswith("Cell") for m in stateful.values())
    return Adapter(
        "norse", tuple(neurons), tuple(sorted(own)), "call the model without a state: model(x)[0]",
        partial(_run, cells=cells), lambda model: None, swap if neurons else None,
    )  # fmt: skip


def _neurons(model: nn.Module) -> dict[str, Any]:
    return {k: m for k, m in layers_of(model, "norse", "p").items() if hasattr(m.p, "method")}


def _run(model: nn.Module, x: Tensor, steps: int | None, cells: bool):
    if steps is None:
        return model(x)
    if not cells:
        out = model(x.expand(steps, *x.shape))
        return (out[0] if isinstance(out, tuple) else out).mean(0)
    outputs, state = [], None
    for _ in range(steps):
        out, state = model(x, state)
        outputs.append(out)
    return mean(outputs)


@contextmanager
def swap(model: nn.Module, make: MakeSlope) -> Iterator[None]:
    """Each layer's `method` becomes its own step, which norse's `threshold` then is taught to call."""
    with ExitStack() as changes:
        for module in _neurons(model).values():
            threshold = _threshold(module)
            step = Swapped(partial(_spikes, threshold, module.p.method, module.p.alpha), make())
            changes.callback(setattr, module, "p", module.p)
            module.p = module.p._replace(method=step)
        for name in {m.activation.__module__ for m in _neurons(model).values()}:
            place = sys.modules[name]
            changes.enter_context(patch.object(place, "threshold", partial(_taught, place.threshold)))
        yield


def _threshold(module):
    return sys.modules[module.activation.__module__].threshold


def _spikes(threshold, method, alpha, u: Tensor) -> Tensor:
    return threshold(u, method, alpha)


def _taught(threshold, u: Tensor, method, alpha) -> Tensor:
    return method(u) if isinstance(method, Swapped) else threshold(u, method, torch.as_tensor(alpha))
