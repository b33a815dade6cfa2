"""The audited function: images [N,C,H,W] in [0,1] to logits [N,classes], with nothing remembered between calls."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .adapters import Adapter
from .inputs import Given

DRAWS = 10  # forward passes that stand for one of a random model: its expectation (EOT, Athalye et al. 2018)


class Called(nn.Module):
    """A plain function as a module."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


@dataclass
class How:
    """How the model is called: steps for which an image is repeated, what makes logits of its output, its reset.

    `mean` and `std` are taken of images from 0 to their scale, as the model is fed them.
    """

    steps: int | None = None
    logits: Callable[[Any], Tensor] | None = None
    reset: Callable[[nn.Module], Any] | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


class Audited(nn.Module):
    """A model in the form that attack libraries expect.

    `draws` more than one means the logarithm of the mean probability over so many forward passes. The output has a
    path to the input always, so that a cut gradient is zero instead of an error. Raises ValueError, in plain words,
    where the model fails or returns no logits.
    """

    def __init__(self, model: nn.Module, adapter: Adapter, data: Given, how: How) -> None:
        super().__init__()
        self.model, self.adapter, self.how, self.draws = model, adapter, how, 1
        self.item, self.scale, self.time_first = data.x.shape[1:], data.scale, data.time_first
        first = next((t for t in [*model.parameters(), *model.buffers()] if t.is_floating_point()), data.x)
        self.dtype = first.dtype
        # Libraries read the device off the first parameter; a model may have none.
        self.place = nn.Parameter(torch.zeros((), device=first.device), requires_grad=False)
        self.classes: int | None = None

    def fold(self, x: Tensor) -> Tensor:
        """Images [N,...] as frames [N,C,H,W], which is all that some attacks take; vectors become a square."""
        if len(self.item) == 1:
            side = _side(self.item[0])
            return nn.functional.pad(x, (0, side**2 - self.item[0])).view(len(x), 1, side, side)
        return x.reshape(len(x), -1, *self.item[-2:])

    def unfold(self, x: Tensor) -> Tensor:
        """Images as they were given, of what `fold` made."""
        return x.flatten(1)[:, : self.item.numel()].view(len(x), *self.item)

    def forward(self, x: Tensor) -> Tensor:
        if self.draws > 1:
            drawn = [self._once(x).log_softmax(1) for _ in range(self.draws)]
            logits = torch.stack(drawn).logsumexp(0)
        else:
            logits = self._once(x)
        return logits + 0 * x.flatten(1).sum(1, keepdim=True)

    def _once(self, x: Tensor) -> Tensor:
        fed = self.scale * self.unfold(x)
        if self.how.mean is not None and self.how.std is not None:
            fed = (fed - self.how.mean.to(fed)) / self.how.std.to(fed)
        fed = fed.to(self.dtype)
        fed = fed.transpose(0, 1).contiguous() if self.time_first else fed
        self.restart()
        logits = self.logits_of(self.adapter.run(self.model, fed, self.how.steps), len(x))
        if not torch.isfinite(logits).all():
            raise ValueError("the model's logits are nan or infinite; allowed: finite numbers for every input in [0,1]")
        return logits

    def restart(self) -> None:
        """The state of the neurons, and what is counted by forward pass, begin anew."""
        self.adapter.reset(self.model)
        if self.how.reset is not None:
            self.how.reset(self.model)

    def logits_of(self, output: Any, n: int) -> Tensor:
        """The output as logits float32 [N,classes]; raises ValueError with the line that mends another output."""
        output = self.how.logits(output) if self.how.logits is not None else output
        if not isinstance(output, Tensor):
            raise ValueError(f"the model returns {_said(output)}")
        if output.ndim != 2 or len(output) != n or output.shape[1] < 2:
            mend = "logits=lambda out: out.mean(0)" if output.ndim == 3 else "logits="
            raise ValueError(
                f"the model returns shape {list(output.shape)} for {n} images; allowed: logits [{n},classes] of two "
                f"classes or more. Say how they follow, as in {mend}"
            )
        if self.classes is not None and output.shape[1] != self.classes:
            raise ValueError(f"the model returns {output.shape[1]} logits, before {self.classes}; allowed: one number")
        return (output.clone() if output.is_inference() else output).float()


def _side(n: int) -> int:
    """The side of the smallest square that holds n values."""
    return math.isqrt(n - 1) + 1


def channels(values: Any, item: torch.Size, name: str) -> Tensor | None:
    """`mean` or `std` so that it meets the channels of images of shape `item`; raises ValueError."""
    if values is None:
        return None
    count = item[-3] if len(item) >= 3 else 1
    try:
        found = torch.as_tensor(values, dtype=torch.float32).flatten()
    except (ValueError, TypeError):
        found = torch.tensor([])
    if len(found) not in (1, count) or not torch.isfinite(found).all() or name == "std" and (found <= 0).any():
        positive = ", more than 0" if name == "std" else ""
        raise ValueError(f"{name} is {values}; allowed: one number or one a channel ({count}){positive}")
    return found.view(-1, 1, 1) if len(found) > 1 else found


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """No weight gathers a gradient inside, whatever an attack does; afterwards each may again."""
    wanted = [(p, p.requires_grad) for p in model.parameters()]
    try:
        for p, _ in wanted:
            p.requires_grad_(False)
        yield
    finally:
        for p, asked in wanted:
            p.requires_grad_(asked)


def _said(output: Any) -> str:
    """What is no tensor, and the line that takes logits out of it."""
    name = type(output).__name__
    if isinstance(output, dict):
        keys = [k for k in output if isinstance(output[k], Tensor)] or list(output)
        return (
            f"{name} ({', '.join(map(repr, output))}); allowed: logits [N,classes]. Say which part they are, as in "
            f"logits=lambda out: out[{next(iter(keys), 'logits')!r}]"
        )
    if isinstance(output, tuple | list):
        inside = ", ".join(type(o).__name__ for o in output)
        return (
            f"{name} ({inside}); allowed: logits [N,classes]. Say which part they are, as in logits=lambda out: out[0]"
        )
    mend = (
        "Does forward end in return?" if output is None else "Say how they follow, as in logits=lambda out: out.logits"
    )
    return f"{name}; allowed: logits [N,classes]. {mend}"
