"""The ensemble for a spiking network: the generic attacks, and those that know what the network is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ..config import Run
from ..nets import pools
from ..nets.coded import PixelModel, SpikeModel
from ..nets.coding import encode
from ..nets.data import CLASSES
from ..nets.neurons import IF
from .ensemble import Find, Stage, generic, pgd
from .gradients import POOLS, Backward, backward
from .levels import level_search
from .art import hop_skip_jump
from .sapgd import sapgd

SHORT = 20  # steps of the attacks that come in many variants
SURROGATES = (
    *(Backward("atan", alpha) for alpha in (0.5, 1.0, 2.0, 4.0, 8.0)),
    *(Backward(*pair) for pair in (("sigmoid", 4.0), ("rectangular", 1.0), ("triangular", 1.0))),
)


def target(net: nn.Module, run: Run, x: Tensor, space: str, twin: str = "smoothed") -> tuple[nn.Module, Tensor]:
    """The attacked function and its input in [0,1] for uint8 images [N,C,H,W]; space "pixel" or "spike"."""
    if space == "pixel":
        return PixelModel(net, run.coding, run.T, twin).eval(), x.float() / 255
    return SpikeModel(net, run.T).eval(), SpikeModel.fold(encode(x, run.coding, run.T))


def stages(
    net: nn.Module, run: Run, space: str, eps: float, sources: dict[str, nn.Module], sweep: bool = True
) -> list[Stage]:
    """All attacks on `net` in one threat space, from cheap to costly.

    In pixel space the first rows use the weighted twin, as in the literature, and the costly ones the
    smoothed twin. `sources` are other networks of the same code, by name, for transfer. With `sweep` every
    other backward pass is tried on every image, else only on those that stand.
    """
    pixel, classes = space == "pixel", CLASSES[run.dataset]
    plain, *costly = _split(generic(eps, classes, restarts=2))
    short = pgd(eps, SHORT)

    def by_twin(twin: str) -> nn.Module:
        return PixelModel(net, run.coding, run.T, twin).eval()

    rows = [on(by_twin("weighted"), s, ", weighted twin") if pixel and s.kind == "gradient" else s for s in plain]
    if pixel:
        rows += [
            on(by_twin(t), Stage(f"PGD-{SHORT}, {t} twin", "gradient", short, True)) for t in ("identity", "smoothed")
        ]
        rows += [Stage(f"level search, {SHORT} steps", "gradient", _levels(net, run, eps, SHORT), True)]
    for name, source in sources.items():
        source = PixelModel(source, run.coding, run.T, "smoothed") if pixel else SpikeModel(source, run.T)
        rows.append(on(source.eval(), Stage(f"transfer: {name}", "transfer", short, True)))
    for choice in choices(net, run):
        with_it = partial(backward, net, choice)
        rows.append(Stage(f"PGD-{SHORT}, {name_of(choice)}", "gradient", short, sweep, with_it))
    if pixel:
        rows.append(Stage("level search, 100 steps", "gradient", _levels(net, run, eps, 100, seed=1)))
    adaptive = partial(backward, net, Backward(adaptive=True))
    rows.append(Stage("SA-PGD-100, ASSG", "gradient", lambda m, x, y: sapgd(m, x, y, eps), context=adaptive))
    return [*rows, *costly, Stage("HopSkipJump", "black box", hop_skip_jump(eps, classes))]


def on(model: nn.Module, stage: Stage, suffix: str = "") -> Stage:
    """The same attack with the gradients of another model; what it finds is still judged by the attacked one."""
    return replace(stage, name=stage.name + suffix, find=lambda _, x, y: stage.find(model, x, y))


def name_of(choice: Backward) -> str:
    """How tables name a backward pass: "atan 4" or "pool ties"."""
    if choice.pool:
        return f"pool {choice.pool}"
    return f"{choice.surrogate} {choice.alpha:g}"


def choices(net: nn.Module, run: Run) -> list[Backward]:
    """Backward passes other than the network's own: surrogates where there are neurons, and ways to share a pool."""
    own = Backward(run.surrogate, run.alpha)
    spiking = any(isinstance(m, IF) for m in net.modules())
    others = [how for how in POOLS if how != pools.find(run.pool).back.name]
    return [c for c in SURROGATES if spiking and c != own] + [Backward(pool=how) for how in others]


def _split(found: list[Stage]) -> list:
    """The stages that see every image, then each of the others."""
    return [[s for s in found if s.whole], *(s for s in found if not s.whole)]


def _levels(net: nn.Module, run: Run, eps: float, steps: int, seed: int = 0) -> Find:
    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        grey = (255 * x).round().to(torch.uint8)
        return level_search(net, run.coding, run.T, grey, y, round(255 * eps), steps, seed=seed).float() / 255

    return find
