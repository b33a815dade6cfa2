"""Many attacks on the same images, and for each image the worst of them: the reported robust accuracy.

The model is any module that maps a tensor in [0,1] to logits. An attack proposes inputs; only the model's
own forward pass decides whether they fool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
import torchattacks
from torch import Tensor, nn

from ..bars import bar
from .pgd import pgd_any_iterate
from .sapgd import sapgd
from .settings import Settings

QUERIES = 500  # of Square, an image
IN_AUTOATTACK = 5  # the Square in AutoAttack gets one in so many of them
AUTOATTACK_STEPS = 10  # of its gradient attacks, torchattacks' default
DRAWS = 20  # of random noise, an image
Find = Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, x [N,...], y [N] -> candidates [N,...]
Keep = Callable[[str, Callable[[], Any]], Any]  # a part's name and its work -> what the work gave, now or earlier


@dataclass(frozen=True)
class Stage:
    """One attack: what it may do, and how it does it.

    `whole` attacks see every image that is classified correctly; the others only those not yet fooled.
    `context` is entered while the attack looks for candidates, not while they are judged.
    """

    settings: Settings
    find: Find
    whole: bool = False
    context: Callable[[], AbstractContextManager] = nullcontext


@dataclass
class Outcome:
    """Which images withstand what: `clean` and `robust` bool [N], `adversarial` [N,...] the worst input of each.

    `rows` has one entry a stage: settings, whole, and `attacked` and `correct`, bool [N].
    """

    clean: Tensor
    robust: Tensor
    adversarial: Tensor
    rows: list[dict] = field(default_factory=list)


def step(eps: float, steps: int) -> float:
    """PGD's step size: 2.5 eps / steps crosses the ball with some room; never below 1/255, the image's own grain."""
    return max(2.5 * eps / steps, min(eps, 1 / 255))


def pgd(eps: float, steps: int, restarts: int = 1, first: int = 0, batch_size: int = 50) -> Find:
    """Worst iterate of PGD over restarts, seeded from `first` on; later ones see only the images not yet fooled."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found, left = x.clone(), torch.arange(len(x), device=x.device)
        for seed in range(first, first + restarts):
            robust, found[left] = pgd_any_iterate(
                model, x[left], y[left], eps, step(eps, steps), steps, seed, batch_size=batch_size
            )
            left = left[robust]
        return found

    return find


def noise(eps: float, draws: int = DRAWS, seed: int = 0) -> Find:
    """The first of `draws` random moves that fools: half uniform in the ball, half at its corners."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        generator, found = torch.Generator().manual_seed(seed), x.clone()
        left = torch.arange(len(x), device=x.device)
        for draw in range(draws):
            move = 2 * torch.rand(x[left].shape, generator=generator).to(x) - 1
            found[left] = (x[left] + eps * (move.sign() if draw % 2 else move)).clamp(0, 1)
            left = left[predictions(model, found[left]) == y[left]]
            if not len(left):
                break
        return found

    return find


def library(make: Callable[[nn.Module], torchattacks.attack.Attack], batch_size: int = 50, seed: int = 0) -> Find:
    """An attack of torchattacks, made for each model; it reseeds torch's global stream, which is put back."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            attack = make(Connected(model).eval())
            parts = zip(x.split(batch_size), y.split(batch_size), strict=True)
            return torch.cat([attack(a, b).detach() for a, b in parts])

    return find


def generic(eps: float, classes: int, restarts: int = 5, queries: int = QUERIES) -> list[Stage]:
    """The attacks that need nothing but the model, from cheap to costly.

    AutoAttack is torchattacks' standard ensemble, shortened: its APGD, targeted APGD and FAB take 10 steps, the
    library's default, where the published one takes 100 (as the rows above it do), and its Square, which has a
    row of its own, gets a fifth of `queries`, where the published one has 5,000. Raises ValueError for fewer than
    four classes, which the targeted DLR loss ranks.
    """
    if classes < 4:
        raise ValueError(f"classes is {classes}; allowed: 4 or more")
    ta, few = torchattacks, queries // IN_AUTOATTACK
    apgd, auto = Settings("APGD", steps=100, step_size=2 * eps, iterate="any"), AUTOATTACK_STEPS
    return [
        Stage(Settings("FGSM", steps=1, step_size=eps, iterate="last"), library(lambda m: ta.FGSM(m, eps)), whole=True),
        Stage(Settings("random noise", loss=None, queries=DRAWS), noise(eps), whole=True),
        Stage(pgd_settings(eps, 7), pgd(eps, 7), whole=True),
        Stage(pgd_settings(eps, 20), pgd(eps, 20), whole=True),
        Stage(pgd_settings(eps, 100, restarts), pgd(eps, 100, restarts)),
        Stage(sapgd_settings(eps), lambda m, x, y: sapgd(m, x, y, eps)),
        Stage(apgd, library(lambda m: ta.APGD(m, eps=eps, steps=100))),
        Stage(replace(apgd, loss="DLR"), library(lambda m: ta.APGD(m, eps=eps, steps=100, loss="dlr"))),
        Stage(Settings("AutoAttack", steps=auto, loss="cross-entropy, targeted DLR", queries=few, iterate="any"),
              library(lambda m: autoattack(m, eps, classes, few))),
        Stage(Settings("Square", loss="margin", queries=queries),
              library(lambda m: ta.Square(m, eps=eps, n_queries=queries, seed=1))),
    ]  # fmt: skip


def pgd_settings(eps: float, steps: int, starts: int = 1) -> Settings:
    """What `pgd` may do."""
    return Settings("PGD", steps=steps, starts=starts, step_size=step(eps, steps), iterate="any")


def sapgd_settings(eps: float) -> Settings:
    """What `sapgd` may do; its step begins at eps and shrinks."""
    return Settings("SA-PGD", steps=100, step_size=eps, iterate="any")


def worst_case(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    stages: Sequence[Stage],
    eps: float,
    progress: bool = False,
    keep: Keep = lambda _, work: work(),
) -> Outcome:
    """Run the stages in order on images x in [0,1] with labels y; `model` must be in eval mode.

    `keep` is asked for what each stage does, by the attack's name, and may know it from an earlier call. A candidate
    outside the box or the `eps`-ball is a broken attack and raises RuntimeError.
    """
    clean = predictions(model, x) == y
    outcome = Outcome(clean, clean.clone(), x.clone())
    for stage in bar(stages, disable=not progress, desc="attacks"):
        attacked = clean if stage.whole else outcome.robust.clone()
        work = partial(_stage, model, x, y, stage, eps, attacked, outcome.robust)
        found = keep(stage.settings.name, work)
        new = outcome.robust & ~found["correct"]
        outcome.adversarial[new], outcome.robust = found["adversarial"], outcome.robust & ~new
        head = {"settings": stage.settings, "whole": stage.whole}
        outcome.rows.append(head | {"attacked": attacked, "correct": found["correct"]})
    return outcome


def _stage(model, x: Tensor, y: Tensor, stage: Stage, eps: float, attacked: Tensor, robust: Tensor) -> dict:
    """`correct` [N] under one stage, and `adversarial`, what fools the first time an image of those still robust."""
    i, correct = attacked.nonzero()[:, 0], attacked.clone()
    if not len(i):
        return {"correct": correct, "adversarial": x[i]}
    with stage.context():
        candidates = stage.find(model, x[i], y[i]).detach()
    _inside(candidates, x[i], eps, stage.settings.name)
    correct[i] = predictions(model, candidates) == y[i]
    return {"correct": correct, "adversarial": candidates[robust[i] & ~correct[i]]}


@torch.no_grad()
def predictions(model: nn.Module, x: Tensor, batch_size: int = 50) -> Tensor:
    """The model's class for each input, int64 [N]."""
    if not len(x):
        return torch.empty(0, dtype=torch.long, device=x.device)
    return torch.cat([model(part).argmax(1) for part in x.split(batch_size)])


def _inside(candidates: Tensor, x: Tensor, eps: float, name: str) -> None:
    far = (candidates - x).abs().max().item()
    low, high = candidates.min().item(), candidates.max().item()
    if far > eps + 1e-5 or low < -1e-6 or high > 1 + 1e-6:
        raise RuntimeError(
            f"{name} left the ball or the box: distance {far:.4g} > {eps:.4g} or [{low:.3g}, {high:.3g}]"
        )


def autoattack(model: nn.Module, eps: float, classes: int, queries: int) -> torchattacks.MultiAttack:
    """AutoAttack's four attacks with AUTOATTACK_STEPS steps, and this many queries for its Square."""
    ta, same = torchattacks, {"eps": eps, "seed": 0}
    gradient = {**same, "steps": AUTOATTACK_STEPS}
    return ta.MultiAttack([
        ta.APGD(model, **gradient, loss="ce"),
        ta.APGDT(model, **gradient, n_classes=classes),
        ta.FAB(model, **gradient, multi_targeted=True, n_classes=classes),
        ta.Square(model, **same, n_queries=queries),
    ])  # fmt: skip


class Connected(nn.Module):
    """The same logits with a path to the input, so that a cut gradient is zero instead of an error."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + 0 * x.flatten(1).sum(1, keepdim=True)
