"""What passes through a network, seen from outside: the tensors at some of its modules, and the gradients there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from torch import Tensor, nn


@contextlib.contextmanager
def tensors_at(modules: Mapping[str, nn.Module], inputs: bool = False) -> Iterator[dict[str, Tensor]]:
    """The latest output of each module (with `inputs` its first input), by name, in the order of the forward pass.

    Use it as a context: the dict fills at every forward pass inside, and the hooks go with the block, however it
    ends. A tensor that autograd follows keeps its gradient in `.grad` after a backward pass.
    """
    found: dict[str, Tensor] = {}
    with contextlib.ExitStack() as hooks:
        for name, module in modules.items():

            def keep(module, given, output, name=name):
                found[name] = tensor = given[0] if inputs else output
                if tensor.requires_grad:
                    tensor.retain_grad()

            hooks.enter_context(module.register_forward_hook(keep))
        yield found


def gradient(of: Tensor) -> Tensor:
    """The gradient that a backward pass left on a tensor."""
    assert of.grad is not None
    return of.grad
