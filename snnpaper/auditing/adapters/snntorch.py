"""snnTorch: `reset_mem` of every layer, one step a call, `spike_grad`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from ..slopes import Swapped
from .adapter import Adapter, MakeSlope, layers_of, mean


def find(model: nn.Module) -> Adapter | None:
    neurons = layers_of(model, "snntorch", "spike_grad")
    if not neurons:
        return None
    own = {_name(m.spike_grad) for m in neurons.values()}
    reset = partial(_reset, layers=list(neurons.values()))
    return Adapter("snnTorch", tuple(neurons), tuple(sorted(own)), "utils.reset(model)", _run, reset, swap)


def _name(spike_grad) -> str:
    """Such as "fast_sigmoid 25": the maker of the function, and what it was made with."""
    values = inspect.getclosurevars(spike_grad).nonlocals.values() if inspect.isfunction(spike_grad) else ()
    name = getattr(spike_grad, "__qualname__", type(spike_grad).__name__).split(".")[0]
    return " ".join([name, *(f"{v:g}" for v in values if isinstance(v, int | float))])


def _reset(model: nn.Module, layers: list) -> None:
    for layer in layers:  # utils.reset sees the outermost layers only
        layer.reset_mem()


def _run(model: nn.Module, x: Tensor, steps: int | None):
    if steps is None:
        return model(x)
    outputs = [model(x) for _ in range(steps)]
    return mean([o[0] if isinstance(o, tuple) else o for o in outputs])


@contextmanager
def swap(model: nn.Module, make: MakeSlope) -> Iterator[None]:
    with ExitStack() as changes:
        for module in layers_of(model, "snntorch", "spike_grad").values():
            before = module.spike_grad
            changes.callback(_put, module, before)
            _put(module, Swapped(before, make()).forward)
        yield


def _put(module: nn.Module, spike_grad) -> None:
    module.spike_grad = spike_grad
