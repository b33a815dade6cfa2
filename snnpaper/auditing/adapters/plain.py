"""A model of no library that is known here: it is called as it is, and it must forget by itself."""

from __future__ import annotations

from torch import Tensor, nn

from .adapter import Adapter


def run(model: nn.Module, x: Tensor, steps: int | None):
    if steps is not None:
        raise ValueError(
            f"steps is {steps}, but no layer of spikingjelly, snntorch or norse was found; allowed: None, and the loop "
            "over steps inside the model"
        )
    return model(x)


ADAPTER = Adapter("plain torch", (), (), "reset=lambda model: ...", run, lambda model: None, None)
