"""The ensemble for a spiking network: the generic attacks, and those that know what the network is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import nn

from ..nets import pools
from ..nets.coded import CodedNet
from ..nets.neurons import IF
from .art import EVALUATIONS, ITERATIONS, hop_skip_jump
from .ensemble import Stage, generic, pgd, pgd_settings, sapgd_settings
from .gradients import POOLS, Backward, backward
from .levels import on_pixels
from .sapgd import sapgd
from .settings import Settings

SHORT = 20  # steps of the attacks that come in many variants
SURROGATES = (
    *(Backward("atan", alpha) for alpha in (0.5, 1.0, 2.0, 4.0, 8.0)),
    *(Backward(*pair) for pair in (("sigmoid", 4.0), ("rectangular", 1.0), ("triangular", 1.0))),
)


def stages(coded: CodedNet, space: str, eps: float, sources: dict[str, CodedNet], sweep: bool = True) -> list[Stage]:
    """All attacks on a coded network in one threat space, from cheap to costly.

    In pixel space the first rows use the weighted BPDA surrogate, as in the literature; the costly ones the smoothed
    one, as the model should that is attacked. `sources` are other networks of the same code, by name, for transfer.
    With `sweep` every other backward pass is tried on every image, else only on those not yet fooled.
    """
    pixel = space == "pixel" and coded.coding != "frames"  # whose one BPDA surrogate is in the model
    short, follow = pgd(eps, SHORT), pgd_settings(eps, SHORT)
    plain, *costly = _split(generic(eps, coded.classes, restarts=2))

    def smoothed(stage: Stage) -> Stage:
        """The settings say what its gradient passes."""
        bpda = "smoothed" if pixel and stage.settings.kind in ("gradient", "transfer") else None
        return replace(stage, settings=replace(stage.settings, bpda=stage.settings.bpda or bpda))

    def by(bpda: str, stage: Stage) -> Stage:
        moved = on(coded.threat("pixel", bpda), stage)
        return replace(moved, settings=replace(stage.settings, bpda=bpda))

    rows = [by("weighted", s) if pixel and s.settings.kind == "gradient" else s for s in plain]
    if pixel:
        rows += [by(bpda, Stage(follow, short, True)) for bpda in ("identity", "smoothed")]
        rows += [_levels(coded, eps, SHORT, whole=True)]
    for name, source in sources.items():
        there = Stage(replace(follow, source=name), short, True)
        rows.append(smoothed(on(source.threat(space, "smoothed"), there)))
    for c in choices(coded):
        other = replace(follow, surrogate=c.surrogate, alpha=c.alpha, pool_backward=c.pool)
        rows.append(smoothed(Stage(other, short, sweep, partial(backward, coded, c))))
    if pixel:
        rows.append(_levels(coded, eps, 100, seed=1))
    adaptive = partial(backward, coded, Backward(adaptive=True))
    assg = replace(sapgd_settings(eps), surrogate="ASSG")
    rows.append(smoothed(Stage(assg, lambda m, x, y: sapgd(m, x, y, eps), context=adaptive)))
    decision = Settings("HopSkipJump", steps=ITERATIONS, loss=None, queries=EVALUATIONS)
    rows += [*map(smoothed, costly), Stage(decision, hop_skip_jump(eps, coded.classes))]
    return [replace(s, settings=replace(s.settings, space=space)) for s in rows]


def on(model: nn.Module, stage: Stage) -> Stage:
    """The same attack with the gradients of another model; what it finds is still judged by the attacked one."""
    return replace(stage, find=lambda _, x, y: stage.find(model, x, y))


def own(net: nn.Module) -> dict[str, str | float | None]:
    """The network's own backward pass, for its record: surrogate and alpha of its neurons, gradient of its pool."""
    neurons = next((m for m in net.modules() if isinstance(m, IF)), None)
    pool = next((how for m in net.modules() if (how := pools.gradient_of(m))), None)
    surrogate, alpha = (neurons.surrogate, neurons.alpha) if neurons else (None, None)
    return {"surrogate": surrogate, "alpha": alpha, "pool_backward": pool}


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


def _levels(coded: CodedNet, eps: float, steps: int, seed: int = 0, whole: bool = False) -> Stage:
    return Stage(Settings("level search", steps=steps, iterate="any"), on_pixels(coded, eps, steps, seed), whole)
