"""What a network hides from an auditor, by the library it was built with: its state, its steps, its surrogates."""

from __future__ import annotations

from torch import nn

from . import norse, ours, plain, snntorch, spikingjelly
from .adapter import Adapter

LIBRARIES = (ours, spikingjelly, snntorch, norse)  # each has `find`, which gives None where there is nothing of it


def find(model: nn.Module) -> Adapter:
    """The adapter of the library that the model's spiking layers are of; `plain` where none is known.

    Raises ValueError for layers of two libraries.
    """
    found = [adapter for library in LIBRARIES if (adapter := library.find(model)) is not None]
    if len(found) > 1:
        raise ValueError(f"the model has layers of {' and '.join(a.name for a in found)}; allowed: of one library")
    return found[0] if found else plain.ADAPTER


__all__ = ["Adapter", "find"]
