"""A coded network: image or event frames -> spikes -> logits, in one object; and what an adversary may perturb."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Run
from .coding import BPDA, encode, encode_image, require_uint8
from .data import TABLE, Images
from .events import MOST

SPACES = ("pixel", "spike")
_BATCH = 250


class CodedNet(nn.Module):
    """A network with its code: uint8 images [N,C,H,W], or event frames [N,T,2,H,W] -> logits [N,classes].

    `net` maps spikes [T,N,C,H,W] to logits and keeps nothing between calls; `coding` and `T` are those of
    `coding.encode`. Rate coding draws its spikes from torch's global stream.
    """

    net: Any  # whose layers are read by name where it is a SpikingResNet

    def __init__(self, net: nn.Module, coding: str, T: int, classes: int) -> None:
        super().__init__()
        self.net, self.coding, self.T, self.classes = net, coding, T, classes

    @classmethod
    def of(cls, run: Run, engine: str = "fast") -> CodedNet:
        """The network of a run with its initial weights; raises ValueError as `models.build` does.

        Raises ModuleNotFoundError, with what to install, where SpikingJelly or numba is missing.
        """
        try:
            from .models import build  # with SpikingJelly and numba, which a network of other origin does without
        except ModuleNotFoundError as err:
            raise ModuleNotFoundError(
                f"the network {run.name} needs {err.name}: pip install 'snnpaper[train]'", name=err.name
            ) from err

        return cls(build(run, engine), run.coding, run.T, TABLE[run.dataset].classes)

    def encode(self, images: Tensor) -> Tensor:
        """Spikes [T,*images.shape] of uint8 images; of event frames [N,T,2,H,W] their counts, time first."""
        return encode(images, self.coding, self.T)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.encode(images))

    def threat(self, space: str, bpda: str = BPDA) -> Threat:
        """What is attacked in "pixel" or "spike" space, in eval mode, as the network then is too.

        `bpda` is the surrogate for the code's derivative in pixel space (`coding.encode_image`). Of event frames,
        "pixel" means counts, which are whole, and "spike" the tensor that the network sees, which need not be; see
        `Frames`. Raises ValueError for another space.
        """
        if space not in SPACES:
            raise ValueError(f"space is {space!r}; allowed: {', '.join(SPACES)}")
        if self.coding == "frames":
            return Frames(self, rounded=space == "pixel").eval()
        return (Pixels(self, bpda) if space == "pixel" else Spikes(self)).eval()


class Threat(nn.Module):
    """A threat model: as a module, the attacked function from an input [N,...] in [0,1] to logits [N,classes].

    Attack libraries want just that, with nothing remembered between calls. `inputs` makes the input that
    stands for uint8 images (or event frames), and raises ValueError for images of another dtype.
    """

    def __init__(self, coded: CodedNet) -> None:
        super().__init__()
        self.coded = coded

    @abstractmethod
    def inputs(self, images: Tensor) -> Tensor: ...


class Pixels(Threat):
    """The image [N,C,H,W] itself may change: 8-bit quantisation, code and network in one function."""

    def __init__(self, coded: CodedNet, bpda: str) -> None:
        super().__init__(coded)
        self.bpda = bpda

    def inputs(self, images: Tensor) -> Tensor:
        return require_uint8(images).float() / 255

    def forward(self, image: Tensor) -> Tensor:
        return self.coded.net(encode_image(image, self.coded.coding, self.coded.T, self.bpda))


class Spikes(Threat):
    """The coded tensor may change, folded to [N,T*C,H,W]: what the published code attacks."""

    def inputs(self, images: Tensor) -> Tensor:
        return self.coded.encode(images).transpose(0, 1).flatten(1, 2).contiguous()

    def forward(self, folded: Tensor) -> Tensor:
        return self.coded.net(folded.unflatten(1, (self.coded.T, -1)).transpose(0, 1))


class Frames(Threat):
    """The frames of events may change: counts 0..255 scaled to [0,1], folded to [N,T*2,H,W].

    A radius of k/255 is k events more or fewer in every entry. `rounded` counts are whole, as a camera's are: an
    input is rounded first, and the gradient passes as if it were not (BPDA, straight through).
    """

    def __init__(self, coded: CodedNet, rounded: bool) -> None:
        super().__init__(coded)
        self.rounded = rounded

    def inputs(self, images: Tensor) -> Tensor:
        return require_uint8(images).flatten(1, 2).float() / MOST

    def forward(self, folded: Tensor) -> Tensor:
        counts = MOST * folded
        if self.rounded:
            counts = counts + (counts.round() - counts).detach()
        return self.coded.net(counts.unflatten(1, (self.coded.T, -1)).transpose(0, 1))


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
def correct(coded: CodedNet, images: Images) -> Tensor:
    """Which images the network, in eval mode, classifies correctly: bool [N] on the CPU."""
    with evaluated(coded):
        batches = zip(images.x.split(_BATCH), images.y.split(_BATCH), strict=True)
        return torch.cat([coded(x).argmax(1) == y for x, y in batches]).cpu()
