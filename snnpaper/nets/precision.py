"""What half precision does to spikes: convolutions in bfloat16, membrane potentials in float32.

A neuron fires at v >= 1 exactly, so rounding its input can move a spike; how many move is reported beside
every number that was obtained with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .coded import evaluated
from .neurons import IF


@torch.no_grad()
def differing_spikes(net: nn.Module, spikes: Tensor) -> dict[str, float]:
    """Share of each neuron layer's spikes that bfloat16 changes, for a spike train [T,N,3,H,W], in eval mode.

    "all" is the share over all layers. The network is left as it was.
    """
    fired: dict[bool, dict[str, Tensor]] = {}
    precision = net.precision
    for half in (False, True):
        kept = fired.setdefault(half, {})
        hooks = [
            m.register_forward_hook(lambda m, i, out, name=name, kept=kept: kept.__setitem__(name, out.bool()))
            for name, m in net.named_modules()
            if isinstance(m, IF)
        ]
        net.precision = "bf16" if half else "fp32"
        with evaluated(net):
            net(spikes)
        for hook in hooks:
            hook.remove()
    net.precision = precision
    moved = {name: (fired[True][name] ^ fired[False][name]) for name in fired[False]}
    total = sum(m.sum().item() for m in moved.values()) / sum(m.numel() for m in moved.values())
    return {name: m.float().mean().item() for name, m in moved.items()} | {"all": total}
