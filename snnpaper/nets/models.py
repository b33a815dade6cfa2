"""SEW-ResNet and Spiking-ResNet (18, 34, 50 layers), with a choice of pool, skip and neuron.

Fang et al. 2021 (arXiv 2102.04159), with the ImageNet stem that the published code uses on 32x32 images:
conv 7x7 stride 2, then the one pooling layer, then blocks at 8, 4, 2 and 1 pixels a side.
Parameter names are SpikingJelly's, so weights move between the two.
"""

from __future__ import annotations

import contextlib
import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ALLOWED, Run
from . import data, pools
from .neurons import IF

ENGINES = ("fast", "plain")
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


class Conv2d(nn.Conv2d):
    """torch's, in one group, undilated and zero-padded, without what oneDNN wastes on the tiny maps of 32x32 images.

    A side no longer than a kernel meets some taps with padding only (a 3x3 kernel has one live tap on a 1x1 map).
    They add zeros and get no gradient, and are left out. Where every window covers the whole map, the taps make up
    one matrix, whose product is several times faster on a CPU. A strided 1x1 kernel on fewer than 8 channels is
    given the pixels it meets: left to itself, oneDNN writes beyond its buffers there (uxlfoundation/oneDNN#6035).
    """

    padding: tuple[int, int]

    def forward(self, x: Tensor) -> Tensor:
        (down, right), sides = self.stride, x.shape[-2:]
        if self.kernel_size == (1, 1) and self.padding == (0, 0) and self.in_channels < 8:
            return F.conv2d(x[..., ::down, ::right], self.weight, self.bias)
        axes = list(zip(sides, self.kernel_size, self.stride, self.padding, strict=True))
        windows = [_windows(*axis) for axis in axes]
        if not all(windows):
            return super().forward(x)  # which says that the map is smaller than the kernel
        covered = (w[-1] <= 0 and w[0] + kernel >= side for w, (side, kernel, *_) in zip(windows, axes, strict=True))
        if x.device.type == "cpu" and all(covered):
            return self._product(x, *windows)
        (rows, top), (columns, left) = (_live(w, *axis) for w, axis in zip(windows, axes, strict=True))
        return F.conv2d(x, self.weight[..., rows, columns], self.bias, self.stride, (top, left))

    def _product(self, x: Tensor, down: range, right: range) -> Tensor:
        """The convolution as one matrix [Ho*Wo*Cout, H*W*Cin], for windows that cover x; channels last."""
        (height, width), taps = x.shape[-2:], self.weight.permute(0, 2, 3, 1)
        matrix = torch.stack([taps[:, -i : height - i, -j : width - j] for i in down for j in right])
        bias = None if self.bias is None else self.bias.repeat(len(matrix))
        y = F.linear(x.movedim(-3, -1).flatten(-3), matrix.flatten(0, 1).flatten(1), bias)
        return y.unflatten(-1, (len(down), len(right), -1)).movedim(-1, -3)


def _windows(side: int, kernel: int, stride: int, padding: int) -> range:
    """Where the windows along an axis start; the padding lies at negative places."""
    return range(-padding, side + padding - kernel + 1, stride)


def _alive(windows: range, side: int, kernel: int) -> slice:
    """The taps that meet more than padding somewhere along an axis."""
    live = [tap for tap in range(kernel) if any(0 <= start + tap < side for start in windows)]
    return slice(live[0], live[-1] + 1)


def _live(windows: range, side: int, kernel: int, stride: int, padding: int) -> tuple[slice, int]:
    """The taps that meet the image somewhere along an axis, and the padding that the others leave; or all taps."""
    live = _alive(windows, side, kernel)
    left = padding - live.start
    if (side + 2 * left - (live.stop - live.start)) // stride + 1 != len(windows):  # padding is the same on both ends
        return slice(None), padding
    return live, left


class Block(nn.Module):
    """Two 3x3 convolutions (or the 1-3-1 bottleneck), each with BatchNorm and a neuron, and a skip.

    sew adds the skip after the last neuron (O = SN(F(S)) + S), spiking before it, none leaves it out.
    """

    def __init__(self, inp: int, out: int, stride: int, bottleneck: bool, skip: str, neuron, conv, norm) -> None:
        super().__init__()
        mid = out // 4 if bottleneck else out
        shapes = [(inp, mid, 1, 1), (mid, mid, 3, stride), (mid, out, 1, 1)] if bottleneck else [
            (inp, out, 3, stride), (out, out, 3, 1)]  # fmt: skip
        self.skip, self.depth = skip, len(shapes)
        for i, (a, b, kernel, step) in enumerate(shapes, 1):
            self.add_module(f"conv{i}", conv(a, b, kernel, step, kernel // 2))
            self.add_module(f"bn{i}", norm(b))
            self.add_module(f"sn{i}", neuron())
        self.downsample = None
        if skip != "none" and (stride != 1 or inp != out):
            parts = [conv(inp, out, 1, stride), norm(out)]
            self.downsample = nn.Sequential(*parts, neuron()) if skip == "sew" else nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.depth + 1):
            conv, bn, sn = (getattr(self, f"{part}{i}") for part in ("conv", "bn", "sn"))
            if i == self.depth and self.skip == "spiking":
                out = sn(_frames(out, conv, bn) + self._identity(x))
            else:
                out = _spikes(out, conv, bn, sn)
        return out + self._identity(x) if self.skip == "sew" else out

    def _identity(self, x: Tensor) -> Tensor:
        if self.downsample is None:
            return x
        return _spikes(x, *self.downsample) if self.skip == "sew" else _frames(x, *self.downsample)


def _frames(x: Tensor, *layers: nn.Module) -> Tensor:
    """Apply memoryless layers to the T*N frames of x [T,N,...]."""
    y = x.flatten(0, 1)
    for layer in layers:
        y = layer(y)
    return y.unflatten(0, x.shape[:2])


def _spikes(x: Tensor, conv: nn.Conv2d, bn: nn.Module, neuron: nn.Module) -> Tensor:
    """Convolution, BatchNorm (or none) and neurons; IF takes the norm along, to do both in one pass."""
    current = _frames(x, conv)
    together = isinstance(neuron, IF) and isinstance(bn, nn.BatchNorm2d)
    return neuron(current, bn) if together else neuron(_frames(current, bn))


class SpikingResNet(nn.Module):
    """Spike train [T,N,channels,H,W] -> logits [N,classes], the mean over T of the last layer's output.

    IF neurons have a detached reset in SEW (and no-skip) networks and an undetached one in
    Spiking-ResNet, as in the published code. neuron="ReLU" is the same network as an ANN.
    norm="none" has no BatchNorm, and a bias in every convolution.
    precision="bf16" runs convolutions in bfloat16, membrane potentials and logits in float32. `plain`
    takes torch's own operators and the reference neuron throughout; the numbers agree to rounding. Raises
    ValueError on another arch, skip, neuron, precision, norm, pool or surrogate, and on spikes of another shape.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        num_classes: int,
        arch: str = "resnet18",
        width: int = 64,
        pool: str = "max",
        skip: str = "sew",
        neuron: str = "IF",
        surrogate: str = "atan",
        alpha: float = 2.0,
        precision: str = "fp32",
        plain: bool = False,
        shape: tuple[int, int, int] = (3, 32, 32),
        norm: str = "batch",
    ) -> None:
        super().__init__()
        given = {"arch": arch, "skip": skip, "neuron": neuron, "precision": precision, "norm": norm}
        for name, value in given.items():
            if value not in ALLOWED[name]:
                raise ValueError(f"{name} is {value!r}; allowed: {', '.join(ALLOWED[name])}")
        self.precision, self.shape = precision, shape

        def make():
            return nn.ReLU() if neuron == "ReLU" else IF(surrogate, alpha, skip != "spiking", plain=plain)

        bottleneck, normalised = arch == "resnet50", norm == "batch"
        conv = functools.partial(nn.Conv2d if plain else Conv2d, bias=not normalised)
        layer = nn.BatchNorm2d if normalised else nn.Identity
        self.conv1 = conv(shape[0], width, *pools.find(pool).there.entry.stem)
        self.bn1 = layer(width)
        self.sn1 = make()
        self.maxpool = pools.module(pool)  # SpikingJelly's name for it, whatever it is
        inp = width
        for i, depth in enumerate(DEPTHS[arch]):
            out = width * 2**i * (4 if bottleneck else 1)
            blocks = []
            for j in range(depth):
                blocks.append(Block(inp, out, 2 if i and not j else 1, bottleneck, skip, make, conv, layer))
                inp = out
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inp, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, spikes: Tensor) -> Tensor:
        if spikes.ndim != 5 or spikes.shape[2] != self.shape[0]:
            raise ValueError(f"spikes are {list(spikes.shape)}; allowed: [T, images, {self.shape[0]}, height, width]")
        half = self.precision == "bf16"
        with torch.autocast(spikes.device.type, torch.bfloat16) if half else contextlib.nullcontext():
            x = _spikes(spikes, self.conv1, self.bn1, self.sn1)
            x = _frames(x, self.maxpool)
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(x.mean(dim=(-2, -1))).mean(0).to(spikes.dtype)


def live_parts(net: SpikingResNet) -> dict[str, Tensor]:
    """Views of all parameters and buffers, of kernels without the taps that meet nothing but padding.

    On images of the network's `shape` what is left out has no influence: it may be anything.
    """
    shadow = copy.deepcopy(net).to("meta").float().eval()
    shadow.precision, taps = "fp32", dict[str, list[slice]]()

    def note(conv: nn.Conv2d, inputs: tuple[Tensor]) -> None:
        assert not isinstance(conv.padding, str)  # "same" is nowhere in these networks
        axes = zip(inputs[0].shape[-2:], conv.kernel_size, conv.stride, conv.padding, strict=True)
        taps[f"{names[conv]}.weight"] = [_alive(_windows(n, k, s, p), n, k) for n, k, s, p in axes]

    names = {m: name for name, m in shadow.named_modules() if isinstance(m, nn.Conv2d)}
    for conv in names:
        conv.register_forward_pre_hook(note)
    shadow(torch.empty(1, 1, *net.shape, device="meta"))
    return {k: v[..., *taps[k]] if k in taps else v for k, v in net.state_dict().items()}


def build(run: Run, engine: str = "fast") -> SpikingResNet:
    """The untrained network of a run, initialised from its seed without touching the global stream.

    Raises ValueError on an engine other than "fast" and "plain".
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; allowed: {', '.join(ENGINES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        net = SpikingResNet(
            data.TABLE[run.dataset].classes, run.arch, run.width, run.pooling, run.skip, run.neuron, run.surrogate,
            run.alpha, run.precision, engine == "plain", data.TABLE[run.dataset].shape, run.norm,
        )  # fmt: skip
    return net if engine == "plain" else net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
