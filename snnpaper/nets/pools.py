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

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import windows
from .windows import STEM, Window

Forward = Callable[[Tensor, Window, float, bool], Tensor]  # input, windows, parameter, whether training -> output
Backward = Callable[[Tensor, Tensor, Window, float], Tensor]  # input, gradient at the output, ... -> at the input


@dataclass(frozen=True)
class Entry:
    """One pool. `label` may hold the parameter's place {:g}, `parameter` its name, least and greatest value, `whole`
    whether these are whole numbers. Without `backward` the gradient is autograd's of `forward`; without `forward`
    the entry is a gradient only. `layer` is the library's module where there is one; `stem` is the first
    convolution's kernel, stride and padding. An identity has no windows, and so no gradient of another's.
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


# Colour says what a pool does forward, the mark whose gradient it has. Colours are those of the book's figures.
TABLE: dict[str, Entry] = {
    "max": Entry("max pooling", "#0173b2", "o", windows.maximum, layer=lambda: nn.MaxPool2d(3, 2, 1)),
    "avg": Entry("average pooling", "#cb8305", "^", windows.average, layer=lambda: nn.AvgPool2d(3, 2, 1)),
    "ties": Entry("shared among ties", "#0173b2", "s", backward=windows.ties),
    "silent": Entry("none through silent windows", "#0173b2", "D", backward=windows.silent),
    "mixed": Entry("{:g} max + rest average", "#029e73", "P", windows.mixed, parameter=("a", 0.0, 1.0)),
    "softmax": Entry("softmax pooling, sharpness {:g}", "#d55e00", "v", windows.softmax, parameter=("b", 0.0, 1000.0)),
    "topk": Entry("mean of the {:g} largest", "#cc78bc", "X", windows.topk, parameter=("k", 1, 9), whole=True),
    "stochastic": Entry("stochastic pooling", "#bc875a", "*", windows.stochastic),
    "none": Entry("stride only", "#949494", "h", windows.centre),
    "stem3": Entry("3×3 stem, no pool", "#4a9bc8", "p", lambda x, *_: x, layer=nn.Identity, stem=(3, 1, 1)),
    "avg/nopad": Entry("average pooling, padding not counted", "#b26a00", "<", windows.average_inside,
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
        assert self.entry.forward is not None  # an entry has one or the other
        return windows.pulled_back(self.entry.forward, x, grad, window, self.value, training)


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
        choice = Choice(_part(there), gradient(back) if slash else _part(there))
        forward = choice.there.entry.forward
        if not forward or slash and (choice.back == choice.there or not _has_windows(choice.there.entry)):
            raise ValueError(name)
    except ValueError:
        raise ValueError(f"pool is {name!r}; allowed: {allowed()}") from None
    return choice


def ordered(names: Iterable[str]) -> list[str]:
    """Names without repetition, in the table's order, each pool before those with its forward pass."""

    def key(name: str) -> tuple:
        choice, order = find(name), list(TABLE.values())
        return tuple((order.index(part.entry), part.value) for part in (choice.there, choice.back))

    return sorted(set(names), key=key)


def gradient(name: str) -> Part:
    """The entry of this name, for its gradient alone; raises ValueError with what is allowed."""
    try:
        if _has_windows((part := _part(name)).entry):
            return part
    except ValueError:
        pass
    raise ValueError(f"pool is {name!r}; allowed: {_listed(_has_windows)} or None")


def _has_windows(entry: Entry) -> bool:
    return entry.layer is not nn.Identity


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
        self.kernel_size, self.stride, self.padding = window

    def extra_repr(self) -> str:
        return self.choice.name

    def forward(self, x: Tensor) -> Tensor:
        there, function = self.choice.there, self.choice.there.entry.forward
        assert function is not None  # `find` allows no other entry before the slash

        def forward(x: Tensor) -> Tensor:
            return function(x, self.window, there.value, self.training)

        own = self.choice.back == there and not there.entry.backward  # autograd's
        return forward(x) if own else with_gradient(forward, self.choice.back, self.window, x)


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
