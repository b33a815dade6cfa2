"""Every backward pass that an attacker may take instead of the model's own: surrogates, pools, codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn

from ..attacks.ensemble import Find, pgd
from ..attacks.settings import Settings
from ..nets import pools
from ..nets.coded import Pixels
from .audited import Audited
from .slopes import Adaptive, Mean, Named, Slope

SWEEP: dict[str, tuple[Named, ...]] = {
    "quick": (("atan", 1.0), ("atan", 4.0), ("triangular", 1.0)),
    "full": (("atan", 0.5), ("atan", 1.0), ("atan", 2.0), ("atan", 4.0), ("atan", 8.0), ("sigmoid", 4.0),
             ("rectangular", 1.0), ("triangular", 1.0)),
}  # fmt: skip
POOLS = ("max", "ties", "avg")
SHORT = 20  # steps of the attacks that come in many variants
STARTS = 100  # random starts of PGD from which a seed of the audit takes its own


@dataclass(frozen=True)
class Choice:
    """One backward pass: how its attack is named, and the context that takes it, or an attack with its own settings."""

    surrogate: str | None = None
    alpha: float | None = None
    pool: str | None = None
    bpda: str | None = None
    context: Callable[[], AbstractContextManager] = nullcontext
    find: Find | None = None
    settings: Settings | None = None


def choices(audited: Audited, strength: str, eps: float, seed: int = 0) -> tuple[list[Choice], list[str]]:
    """Backward passes other than the model's own, and what could not be varied and why."""
    if audited.adapter.name == "snnpaper":
        return _ours(audited, strength, eps, seed)
    found, fixed = [], []
    if audited.adapter.swap is not None:
        sweep = SWEEP[strength]
        found += [Choice(n, a, context=partial(_swapped, audited, partial(Mean, [(n, a)]))) for n, a in sweep]
        found.append(Choice("mixed", context=partial(_swapped, audited, partial(Mean, sweep))))
        found.append(Choice("ASSG", context=partial(_swapped, audited, Adaptive)))
    elif audited.adapter.name == "plain torch":
        fixed.append("surrogate gradients: no layer of SpikingJelly, snnTorch or norse was found")
    mine = _pools(audited.model)
    found += [Choice(pool=how, context=partial(_routed, audited.model, how)) for how in POOLS if mine and {how} != mine]
    if not mine:
        fixed.append("a pool's gradient: no MaxPool2d or AvgPool2d was found (one called as a function is not seen)")
    return found, fixed


@contextmanager
def _swapped(audited: Audited, make: Callable[[], Slope]) -> Iterator[None]:
    """Inside, every spiking layer has a slope of its own; what slopes count by forward pass begins with each."""
    slopes: list[Slope] = []
    assert audited.adapter.swap is not None

    def made() -> Slope:
        slopes.append(make())
        return slopes[-1]

    def begin(*_: Any) -> None:
        for slope in slopes:
            slope.begin()

    with audited.adapter.swap(audited.model, made), patch.object(audited, "restart", _both(audited.restart, begin)):
        yield


def _both(first: Callable, second: Callable) -> Callable[[], None]:
    def both() -> None:
        first()
        second()

    return both


def _pool_layers(model: nn.Module) -> list[nn.Module]:
    found = [m for m in model.modules() if isinstance(m, nn.MaxPool2d | nn.AvgPool2d)]
    return [m for m in found if not (getattr(m, "ceil_mode", False) or getattr(m, "return_indices", False)
                                     or getattr(m, "dilation", 1) not in (1, (1, 1)))]  # fmt: skip


def _pools(model: nn.Module) -> set[str]:
    return {how for m in _pool_layers(model) if (how := pools.gradient_of(m))}


@contextmanager
def _routed(model: nn.Module, how: str) -> Iterator[None]:
    """Inside, every pool passes gradients as another one does; those in time fold their steps into the batch."""
    with ExitStack() as changes:
        for module in _pool_layers(model):
            routed = partial(_apart, module.forward, pools.gradient(how), pools.Window.of(module))
            changes.enter_context(patch.object(module, "forward", routed))
        yield


def _apart(forward: Callable[[Tensor], Tensor], back: Any, window: pools.Window, x: Tensor) -> Tensor:
    lead = x.shape[:-3]

    def flat(frames: Tensor) -> Tensor:
        return forward(frames.view(*lead, *frames.shape[1:])).flatten(0, -4)

    out = pools.with_gradient(flat, back, window, x.reshape(-1, *x.shape[-3:]))
    return out.view(*lead, *out.shape[1:])


def _ours(audited: Audited, strength: str, eps: float, seed: int) -> tuple[list[Choice], list[str]]:
    """For a network of ours: its neurons and its pool; of a coded one also its code, and a search over grey levels."""
    from ..attacks.gradients import Backward, backward
    from ..attacks.levels import on_pixels
    from ..attacks.spiking_ensemble import choices as known

    net, found = audited.model, []
    coded = net.coded if isinstance(net, Pixels) else None
    if coded is not None:
        for bpda in ("identity", "weighted"):
            found.append(Choice(bpda=bpda, find=_through(coded.threat("pixel", bpda), eps, seed)))
    sweep = {*SWEEP[strength], (None, None)}
    passes = [c for c in known(net) if (c.surrogate, c.alpha) in sweep]
    found += [Choice(c.surrogate, c.alpha, c.pool, context=partial(backward, net, c)) for c in passes]
    if audited.adapter.neurons:
        found.append(Choice("ASSG", context=partial(backward, net, Backward(adaptive=True))))
    if coded is not None and coded.coding != "rate":
        how = Settings("level search", steps=100, iterate="any")
        found.append(Choice(find=on_pixels(coded, eps, 100, seed), settings=how))
    return found, []


def _through(other: nn.Module, eps: float, seed: int) -> Find:
    """PGD by the gradients of another model of the same images."""
    return lambda _, x, y: pgd(eps, SHORT, first=STARTS * seed)(other, x, y)
