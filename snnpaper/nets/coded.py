"""A network as attack libraries expect it: one tensor in, logits out, nothing remembered between calls.

Each class is one threat space: what the adversary may perturb.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .coding import encode, encode_image

_BATCH = 250


class PixelModel(nn.Module):
    """Image [N,3,H,W] in [0,1] -> logits [N,classes]: 8-bit quantisation, code and network in one.

    The backward pass goes through the code by its BPDA `twin` (see `coding.encode_image`). Rate coding
    draws its spikes from torch's global stream.
    """

    def __init__(self, net: nn.Module, coding: str = "phase", T: int = 10, twin: str = "weighted") -> None:
        super().__init__()
        self.net, self.coding, self.T, self.twin = net, coding, T, twin

    def forward(self, image: Tensor) -> Tensor:
        return self.net(encode_image(image, self.coding, self.T, self.twin))


class SpikeModel(nn.Module):
    """Coded tensor folded to [N,T*C,H,W] in [0,1] -> logits [N,classes]: the published threat space.

    Attack libraries want four dimensions with images first; `fold` and `forward` are inverse in shape.
    """

    def __init__(self, net: nn.Module, T: int = 10) -> None:
        super().__init__()
        self.net, self.T = net, T

    @staticmethod
    def fold(spikes: Tensor) -> Tensor:
        """[T,N,C,H,W] -> [N,T*C,H,W]."""
        return spikes.transpose(0, 1).flatten(1, 2).contiguous()

    def forward(self, folded: Tensor) -> Tensor:
        return self.net(folded.unflatten(1, (self.T, -1)).transpose(0, 1))


def encoded_logits(net: nn.Module, x: Tensor, coding: str, T: int) -> Tensor:
    """Logits [N,classes] of uint8 images [N,C,H,W]: the path of training and clean evaluation."""
    return net(encode(x, coding, T))


@contextlib.contextmanager
def evaluated(net: nn.Module) -> Iterator[nn.Module]:
    """The network in eval mode; afterwards each of its modules is in the mode it was in."""
    modes = [(m, m.training) for m in net.modules()]
    try:
        yield net.eval()
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def correct(net: nn.Module, x: Tensor, y: Tensor, coding: str, T: int) -> Tensor:
    """Which uint8 images [N,...] the network, in eval mode, classifies as y: bool [N] on the CPU."""
    with evaluated(net):
        batches = zip(x.split(_BATCH), y.split(_BATCH), strict=True)
        return torch.cat([encoded_logits(net, a, coding, T).argmax(1) == b for a, b in batches]).cpu()
