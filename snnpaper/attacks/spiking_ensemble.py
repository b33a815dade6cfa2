"""The ensemble for a spiking network: the generic attacks, and those that know what the network is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ..nets import pools
from ..nets.coded import CodedNet
from ..nets.neurons import IF
from .art import hop_skip_jump
from .ensemble import Find, Stage, generic, pgd
from .gradients import POOLS, Backward, backward
from .levels import level_search
from .sapgd import sapgd

SHORT = 20  # steps of the attacks that come in many variants
SURROGATES = (
    *(Backward("atan", alpha) for alpha in (0.5, 1.0, 2.0, 4.0, 8.0)),
    *(Backward(*pair) for pair in (("sigmoid", 4.0), ("rectangular", 1.0), ("triangular", 1.0))),
)


def stages(coded: CodedNet, space: str, eps: float, sources: dict[str, CodedNet], sweep: bool = True) -> list[Stage]:
    """All attacks on a coded network in one threat space, from cheap to costly.

    In pixel space the first rows use the weighted BPDA surrogate, as in the literature; the costly ones use that
    of the model which is attacked. `sources` are other networks of the same code, by name, for transfer. With
    `sweep` every other backward pass is tried on every image, else only on those not yet fooled. The names are
    those of the records, which call a BPDA surrogate a twin.
    """
    pixel = space == "pixel" and coded.coding != "frames"  # whose one BPDA surrogate is in the model
    plain, *costly = _split(generic(eps, coded.classes, restarts=2))
    short, by = pgd(eps, SHORT), partial(coded.threat, "pixel")
    rows = [on(by("weighted"), s, ", weighted twin") if pixel and s.kind == "gradient" else s for s in plain]
    if pixel:
        rows += [on(by(b), Stage(f"PGD-{SHORT}, {b} twin", "gradient", short, True)) for b in ("identity", "smoothed")]
        rows += [Stage(f"level search, {SHORT} steps", "gradient", _levels(coded, eps, SHORT), True)]
    for name, source in sources.items():
        rows.append(on(source.threat(space, "smoothed"), Stage(f"transfer: {name}", "transfer", short, True)))
    for choice in choices(coded):
        with_it = partial(backward, coded, choice)
        rows.append(Stage(f"PGD-{SHORT}, {name_of(choice)}", "gradient", short, sweep, with_it))
    if pixel:
        rows.append(Stage("level search, 100 steps", "gradient", _levels(coded, eps, 100, seed=1)))
    adaptive = partial(backward, coded, Backward(adaptive=True))
    rows.append(Stage("SA-PGD-100, ASSG", "gradient", lambda m, x, y: sapgd(m, x, y, eps), context=adaptive))
    return [*rows, *costly, Stage("HopSkipJump", "black box", hop_skip_jump(eps, coded.classes))]


def on(model: nn.Module, stage: Stage, suffix: str = "") -> Stage:
    """The same attack with the gradients of another model; what it finds is still judged by the attacked one."""
    return replace(stage, name=stage.name + suffix, find=lambda _, x, y: stage.find(model, x, y))


def name_of(choice: Backward) -> str:
    """How tables name a backward pass: "atan 4" or "pool ties"."""
    if choice.pool:
        return f"pool {choice.pool}"
    return f"{choice.surrogate} {choice.alpha:g}"


def choices(net: nn.Module) -> list[Backward]:
    """Backward passes other than the network's own: surrogates where there are neurons, and ways to share a pool."""
    neurons = [m for m in net.modules() if isinstance(m, IF)]
    own = [Backward(m.surrogate, m.alpha) for m in neurons]
    own += [Backward(pool=how) for m in net.modules() if (how := pools.gradient_of(m))]
    return [c for c in [*(SURROGATES if neurons else ()), *(Backward(pool=how) for how in POOLS)] if c not in own]


def _split(found: list[Stage]) -> list:
    """The stages that see every image, then each of the others."""
    return [[s for s in found if s.whole], *(s for s in found if not s.whole)]


def _levels(coded: CodedNet, eps: float, steps: int, seed: int = 0) -> Find:
    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        grey = (255 * x).round().to(torch.uint8)
        return level_search(coded, grey, y, round(255 * eps), steps, seed=seed).float() / 255

    return find
