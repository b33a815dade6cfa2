"""Our own networks: coded ones, from image to logits without state, and any other with our compiled neuron in it."""

from __future__ import annotations

from torch import Tensor, nn

from ...nets.coded import Threat
from .adapter import Adapter


def find(model: nn.Module) -> Adapter | None:
    """For a network's threat, or a module with our neurons; they forget by themselves, and have a switch inside."""
    names = [n for n, m in model.named_modules() if type(m).__module__ == "snnpaper.nets.neurons"]
    if not names and not isinstance(model, Threat):
        return None
    from ...attacks.spiking_ensemble import own  # with SpikingJelly and numba, which only our networks need

    mine = own(model)
    surrogates = () if mine["surrogate"] is None else (f"{mine['surrogate']} {mine['alpha']:g}",)
    line = "reset=lambda model: ..., with whatever clears what it keeps"
    return Adapter("snnpaper", tuple(names), surrogates, line, _run, lambda model: None, None)


def _run(model: nn.Module, x: Tensor, steps: int | None):
    if steps is not None:
        raise ValueError(f"steps is {steps}; neurons of ours take all steps at once; allowed: None")
    return model(x.flatten(1, 2) if isinstance(model, Threat) and x.ndim == 5 else x)
