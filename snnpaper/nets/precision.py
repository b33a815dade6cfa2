"""What half precision does to spikes: convolutions in bfloat16, membrane potentials in float32.

A neuron fires at v >= 1 exactly, so rounding its input can move a spike; how many move is reported beside
every number that was obtained with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .coded import evaluated
from .hooks import tensors_at
from .neurons import IF


@torch.no_grad()
def differing_spikes(net: Any, spikes: Tensor) -> dict[str, float]:
    """Share of each neuron layer's spikes that bfloat16 changes, for a spike train [T,N,C,H,W], in eval mode.

    "all" is the share over all layers. The network is left as it was.
    """
    neurons = {name: m for name, m in net.named_modules() if isinstance(m, IF)}
    fired, precision = {}, net.precision
    try:
        for half in (False, True):
            net.precision = "bf16" if half else "fp32"
            with evaluated(net), tensors_at(neurons) as spikes_of:
                net(spikes)
            fired[half] = {name: out.bool() for name, out in spikes_of.items()}
    finally:
        net.precision = precision
    moved = {name: (fired[True][name] ^ fired[False][name]) for name in fired[False]}
    total = sum(m.sum().item() for m in moved.values()) / sum(m.numel() for m in moved.values())
    return {name: m.float().mean().item() for name, m in moved.items()} | {"all": total}
