"""SpikingJelly: `reset` of every memory module, single and multi-step, `surrogate_function`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from ..slopes import Swapped
from .adapter import Adapter, MakeSlope, layers_of, mean


def find(model: nn.Module) -> Adapter | None:
    memory = layers_of(model, "spikingjelly", "reset")
    if not memory:
        return None
    neurons = layers_of(model, "spikingjelly", "surrogate_function")
    own = {_name(m.surrogate_function) for m in neurons.values()}
    many = {getattr(m, "step_mode", "s") for m in layers_of(model, "spikingjelly", "step_mode").values()}
    return Adapter(
        "SpikingJelly", tuple(neurons), tuple(sorted(own)), "functional.reset_net(model)",
        partial(_run, many=many), partial(_reset, memory=list(memory.values())), swap if neurons else None,
    )  # fmt: skip


def _name(surrogate) -> str:
    alpha = getattr(surrogate, "alpha", None)
    return type(surrogate).__name__ + ("" if alpha is None else f" {float(alpha):g}")


def _reset(model: nn.Module, memory: list) -> None:
    for module in memory:
        module.reset()


def _run(model: nn.Module, x: Tensor, steps: int | None, many: set[str]):
    if steps is None:
        return model(x)
    if many == {"m"}:
        return model(x.expand(steps, *x.shape)).mean(0)
    if many == {"s"}:
        return mean([model(x) for _ in range(steps)])
    raise ValueError("some layers have step_mode 's' and some 'm'; with steps= allowed: all alike (set_step_mode)")


@contextmanager
def swap(model: nn.Module, make: MakeSlope) -> Iterator[None]:
    with ExitStack() as changes:
        for module in layers_of(model, "spikingjelly", "surrogate_function").values():
            before = module.surrogate_function
            changes.callback(setattr, module, "surrogate_function", before)
            module.surrogate_function = Swapped(before, make())
        yield
