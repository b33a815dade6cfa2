"""The table of pools: what each does forward and backward, and how pages name, colour and mark it.

A pool is asked for by name: "max"; with a parameter, "softmax:0.5"; or with the gradient of another,
"max/avg" (forward max, backward average). "ties" and "silent" are gradients only. `TABLE` has the entries; one
more entry is one more pool. In the networks a window is 3x3 at stride 2 with padding 1 (`STEM`), on frames
[T*N,C,H,W] of spikes or, in a ReLU twin, of activations: never below zero.

Padding: max, ties, silent and the draws of "stochastic" never choose it. Averages count it as pixels of value
zero (torch's default, and the published code's); so do mixed, softmax and top-k, whose ends are therefore equal
to max and average to the last bit. "avg/nopad" divides by the pixels inside the image; a Run spells it pool "avg"
with count_include_pad False, its name from before this table.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Window(NamedTuple):
    """Size, step and border of a pool's windows, each (rows, columns)."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, pool: nn.Module) -> Window:
        """The windows of a MaxPool2d, AvgPool2d or Pool."""
        if isinstance(pool, Pool):
            return pool.window
        sizes = (getattr(pool, k) for k in ("kernel_size", "stride", "padding"))
        return cls(*((s, s) if isinstance(s, int) else tuple(s) for s in sizes))


STEM = Window()
Forward = Callable[[Tensor, Window, float, bool], Tensor]  # input, windows, parameter, whether training -> output
Backward = Callable[[Tensor, Tensor, Window, float], Tensor]  # input, gradient at the output, ... -> at the input


@dataclass(frozen=True)
class Entry:
    """One pool. `label` may hold the parameter's place {:g}, `parameter` its name, least and greatest value, `whole`
    whether these are whole numbers. Without `backward` the gradient is autograd's of `forward`; without `forward`
    the entry is a gradient only. `layer` is the library's module where there is one; `stem` is the first
    convolution's kernel, stride and padding.
    """

    label: str
    colour: str
    mark: str
    forward: Forward | None = None
    backward: Backward | None = None
    parameter: tuple[str, float, float] | None = None
    whole: bool = False
    layer: Callable[[], nn.Module] | None = None
    stem: tuple[int, int, int] = (7, 2, 3)


class _Windows(torch.autograd.Function):
    """[N,C,H,W] -> [places,N,C,h,w]. Backward adds from the last place to the first, as torch's own pools do."""

    @staticmethod
    def forward(ctx, x: Tensor, window: Window, fill: float) -> Tensor:
        ctx.shape, ctx.window = x.shape, window
        kernel, stride, (top, left) = window
        padded = F.pad(x, (left, left, top, top), value=fill)
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(padded.shape[-2:], kernel, stride, strict=True))
        ctx.places = [
            (..., slice(i, i + stride[0] * rows, stride[0]), slice(j, j + stride[1] * columns, stride[1]))
            for i in range(kernel[0])
            for j in range(kernel[1])
        ]
        return torch.stack([padded[place] for place in ctx.places])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        *front, high, wide = ctx.shape
        top, left = ctx.window.padding
        padded = grad.new_zeros(*front, high + 2 * top, wide + 2 * left)
        for place, part in zip(reversed(ctx.places), reversed(grad.unbind()), strict=True):
            padded[place] += part
        return padded[..., top : top + high, left : left + wide], None, None


def windows(x: Tensor, window: Window = STEM, fill: float = 0.0) -> Tensor:
    """The windows of x [N,C,H,W] as [places,N,C,h,w], places in reading order, padding filled with `fill`."""
    return _Windows.apply(x, window, fill)


def _added(parts: Tensor) -> Tensor:
    """The sum over places in reading order, so that it is the library's to the last bit."""
    return functools.reduce(torch.add, parts.unbind())


def _max(x: Tensor, window: Window = STEM, *_) -> Tensor:
    return F.max_pool2d(x, *window)


def _avg(x: Tensor, window: Window, *_, count_include_pad: bool = True) -> Tensor:
    return F.avg_pool2d(x, *window, count_include_pad=count_include_pad)


def _mixed(x: Tensor, window: Window, a: float, training: bool) -> Tensor:
    return a * _max(x, window) + (1 - a) * _avg(x, window)


def _softmax(x: Tensor, window: Window, sharpness: float, training: bool) -> Tensor:
    parts = windows(x, window)
    weights = (sharpness * (parts - parts.detach().amax(0))).exp()
    return _added(weights * parts) / _added(weights)


def _topk(x: Tensor, window: Window, k: float, training: bool) -> Tensor:
    """The mean of the k largest, the earlier place first among equals; padding comes last and counts as zero."""
    with torch.no_grad():
        parts = windows(x, window, -math.inf)
        rank = torch.zeros(parts.shape, dtype=torch.uint8, device=x.device)
        for i in range(len(parts)):
            for j in range(i):
                larger = parts[i] > parts[j]
                rank[j] += larger
                rank[i] += ~larger
    return _added(windows(x, window) * (rank < k)) / k


def _stochastic(x: Tensor, window: Window, _, training: bool) -> Tensor:
    """Zeiler & Fergus 2013 (arXiv 1301.3557): one pixel drawn in proportion to its value; in eval mode the
    expectation. A window without a positive pixel gives zero and passes no gradient."""
    parts = windows(x.clamp(min=0), window)
    if not training:
        total = _added(parts)
        return _added(parts * parts) / torch.where(total > 0, total, 1)
    reached = parts.detach().cumsum(0)
    passed = reached > torch.rand_like(reached[-1]) * reached[-1]
    return _added(parts * (passed & (passed.cumsum(0) == 1)))


def _centre(x: Tensor, window: Window, *_) -> Tensor:
    parts = windows(x, window)
    return parts[len(parts) // 2]


def _ties(x: Tensor, grad: Tensor, window: Window, _=None) -> Tensor:
    parts = windows(x, window, -math.inf)
    tied = (parts == parts.amax(0)).to(grad)
    return _spread(tied / tied.sum(0) * grad, x, window)


def _silent(x: Tensor, grad: Tensor, window: Window, _=None) -> Tensor:
    return _pulled_back(_max, x, grad * (_max(x, window) > 0), window)


def _spread(shares: Tensor, x: Tensor, window: Window) -> Tensor:
    """What each place of each window is given [places,N,C,h,w], added up over the image [N,C,H,W]."""
    return _pulled_back(windows, x, shares, window)


def _pulled_back(forward: Callable[..., Tensor], x: Tensor, grad: Tensor, *arguments) -> Tensor:
    """The gradient at x that autograd finds for `forward`; differentiable in `grad` where that is asked for."""
    twice = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(forward(x, *arguments), x, grad, create_graph=twice)[0]


_nopad = functools.partial(_avg, count_include_pad=False)
# Colour says what a pool does forward, the mark whose gradient it has. Colours are seaborn's "colorblind" palette.
TABLE: dict[str, Entry] = {
    "max": Entry("max pooling", "#0173b2", "o", _max, layer=lambda: nn.MaxPool2d(3, 2, 1)),
    "avg": Entry("average pooling", "#de8f05", "^", _avg, layer=lambda: nn.AvgPool2d(3, 2, 1)),
    "ties": Entry("shared among ties", "#0173b2", "s", backward=_ties),
    "silent": Entry("none through silent windows", "#0173b2", "D", backward=_silent),
    "mixed": Entry("{:g} max + rest average", "#029e73", "P", _mixed, parameter=("a", 0.0, 1.0)),
    "softmax": Entry("softmax pooling, sharpness {:g}", "#d55e00", "v", _softmax, parameter=("b", 0.0, 1000.0)),
    "topk": Entry("mean of the {:g} largest", "#cc78bc", "X", _topk, parameter=("k", 1, 9), whole=True),
    "stochastic": Entry("stochastic pooling", "#ca9161", "*", _stochastic),
    "none": Entry("stride only", "#949494", "h", _centre),
    "stem3": Entry("3×3 stem, no pool", "#56b4e9", "p", lambda x, *_: x, layer=nn.Identity, stem=(3, 1, 1)),
    "avg/nopad": Entry("average pooling, padding not counted", "#b26a00", "<", _nopad,
                       layer=lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """An entry and its parameter (0 where it has none), under the one spelling of its name."""

    name: str
    entry: Entry
    value: float

    @property
    def label(self) -> str:
        return self.entry.label.format(self.value)

    def pull_back(self, x: Tensor, grad: Tensor, window: Window, training: bool = False) -> Tensor:
        """This entry's gradient at the input x [N,C,H,W], from that at the output [N,C,h,w]."""
        if self.entry.backward:
            return self.entry.backward(x, grad, window, self.value)
        return _pulled_back(self.entry.forward, x, grad, window, self.value, training)


@dataclass(frozen=True)
class Choice:
    """A pool by name: what it does forward and whose gradient it has (usually its own)."""

    there: Part
    back: Part

    @property
    def name(self) -> str:
        return self.there.name if self.back == self.there else f"{self.there.name}/{self.back.name}"

    @property
    def label(self) -> str:
        """How pages name it: "max pooling", or "max pooling (gradient: shared among ties)"."""
        return self.there.label if self.back == self.there else f"{self.there.label} (gradient: {self.back.label})"

    @property
    def colour(self) -> str:
        return self.there.entry.colour

    @property
    def mark(self) -> str:
        return self.back.entry.mark

    @property
    def safe(self) -> str:
        """The name as a part of a file's name: "softmax-0.5", "max-by-ties"."""
        return self.name.replace("/", "-by-").replace(":", "-")


def find(name: str) -> Choice:
    """The pool of this name; raises ValueError with what is allowed."""
    there, slash, back = (str(name), "", "") if str(name) in TABLE else str(name).partition("/")
    try:
        choice = Choice(_part(there), _part(back if slash else there))
        if not choice.there.entry.forward or slash and choice.back == choice.there:
            raise ValueError(name)
    except ValueError:
        raise ValueError(f"pool is {name!r}; allowed: {allowed()}") from None
    return choice


def ordered(names: Iterable[str]) -> list[str]:
    """Names without repetition, in the table's order, each pool before those with its forward pass."""

    def key(name: str) -> tuple:
        choice, order = find(name), list(TABLE.values())
        return (*((order.index(part.entry), part.value) for part in (choice.there, choice.back)),)

    return sorted(set(names), key=key)


def gradient(name: str) -> Part:
    """The entry of this name, for its gradient alone; raises ValueError with what is allowed."""
    try:
        return _part(name)
    except ValueError:
        raise ValueError(f"pool is {name!r}; allowed: {_listed(lambda e: True)} or None") from None


def allowed() -> str:
    """The names of pools, in a line."""
    only = [k for k, e in TABLE.items() if not e.forward]
    return f"{_listed(lambda e: e.forward)}; or another's gradient after a slash, also {', '.join(only)} (max/ties)"


def _listed(wanted: Callable[[Entry], object]) -> str:
    text = {name: name for name in TABLE}
    for name, entry in TABLE.items():
        if entry.parameter:
            letter, low, high = entry.parameter
            text[name] = f"{name}:{letter} ({letter} from {low:g} to {high:g})"
    return ", ".join(text[name] for name, entry in TABLE.items() if wanted(entry))


def _part(text: str) -> Part:
    """Raises ValueError when there is no such entry, or its parameter is not a number in its range."""
    word, colon, number = str(text).partition(":")
    entry = TABLE.get(word)
    if entry is None or bool(colon) != bool(entry.parameter):
        raise ValueError(text)
    if not entry.parameter:
        return Part(word, entry, 0.0)
    value, (_, low, high) = float(number), entry.parameter
    if not low <= value <= high or entry.whole and value != int(value):
        raise ValueError(text)
    value += 0.0  # -0 is 0
    return Part(f"{word}:{value:.12g}", entry, value)


def module(name: str) -> nn.Module:
    """The layer of this name, over windows STEM: the library's own where there is one. Raises ValueError as `find`."""
    choice = find(name)
    own = choice.there.entry.layer if choice.back == choice.there else None
    return own() if own else Pool(choice)


class Pool(nn.Module):
    """A pool of the table as a layer, [N,C,H,W] -> [N,C,h,w]."""

    def __init__(self, choice: Choice, window: Window = STEM) -> None:
        super().__init__()
        self.choice, self.window = choice, window

    def extra_repr(self) -> str:
        return self.choice.name

    def forward(self, x: Tensor) -> Tensor:
        there = self.choice.there

        def forward(x: Tensor) -> Tensor:
            return there.entry.forward(x, self.window, there.value, self.training)

        return forward(x) if self.choice.back == there else with_gradient(forward, self.choice.back, self.window, x)


def gradient_of(layer: nn.Module) -> str | None:
    """The name of the entry whose gradient a layer has; None when it is no pool."""
    if isinstance(layer, Pool):
        return layer.choice.back.name
    return "max" if isinstance(layer, nn.MaxPool2d) else "avg" if isinstance(layer, nn.AvgPool2d) else None


def with_gradient(forward: Callable[[Tensor], Tensor], back: Part, window: Window, x: Tensor) -> Tensor:
    """forward(x), with the gradient of another pool over the same windows."""
    return _Apart.apply(x, forward, lambda x, grad: back.pull_back(x, grad, window))


class _Apart(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, pull_back):
        ctx.save_for_backward(x)
        ctx.pull_back = pull_back
        return forward(x)

    @staticmethod
    def backward(ctx, grad):
        return ctx.pull_back(*ctx.saved_tensors, grad), None, None
