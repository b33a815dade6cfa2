"""Many attacks on the same images, and for each image the worst of them: the reported robust accuracy.

The model is any module that maps a tensor in [0,1] to logits. An attack proposes inputs; only the model's
own forward pass decides whether they fool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
import torchattacks
from torch import Tensor, nn
from tqdm import tqdm

from .pgd import pgd_any_iterate
from .sapgd import sapgd

QUERIES = 500  # of Square, an image
IN_AUTOATTACK = 5  # the Square in AutoAttack gets one in so many of them
DRAWS = 20  # of random noise, an image
Find = Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, x [N,...], y [N] -> candidates [N,...]


@dataclass(frozen=True)
class Stage:
    """One attack. `kind`: "gradient", "black box", "transfer" or "random", the ground on which it stands.

    `whole` attacks see every image that is classified correctly; the others only those not yet fooled.
    `context` is entered while the attack looks for candidates, not while they are judged.
    """

    name: str
    kind: str
    find: Find
    whole: bool = False
    context: Callable[[], AbstractContextManager] = nullcontext


@dataclass
class Outcome:
    """Which images withstand what: `clean` and `robust` bool [N], `adversarial` [N,...] the worst input of each.

    `rows` has one entry a stage: name, kind, whole, and `attacked` and `correct`, bool [N].
    """

    clean: Tensor
    robust: Tensor
    adversarial: Tensor
    rows: list[dict] = field(default_factory=list)


def step(eps: float, steps: int) -> float:
    """PGD's step size: 2.5 eps / steps crosses the ball with some room; never below 1/255, the image's own grain."""
    return max(2.5 * eps / steps, min(eps, 1 / 255))


def pgd(eps: float, steps: int, restarts: int = 1) -> Find:
    """Worst iterate of PGD over restarts; later restarts see only the images not yet fooled."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found, left = x.clone(), torch.arange(len(x), device=x.device)
        for seed in range(restarts):
            robust, found[left] = pgd_any_iterate(model, x[left], y[left], eps, step(eps, steps), steps, seed)
            left = left[robust]
        return found

    return find


def noise(eps: float, draws: int = DRAWS) -> Find:
    """The first of `draws` random moves that fools: half uniform in the ball, half at its corners."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        generator, found = torch.Generator().manual_seed(0), x.clone()
        left = torch.arange(len(x), device=x.device)
        for draw in range(draws):
            move = 2 * torch.rand(x[left].shape, generator=generator).to(x) - 1
            found[left] = (x[left] + eps * (move.sign() if draw % 2 else move)).clamp(0, 1)
            left = left[predictions(model, found[left]) == y[left]]
            if not len(left):
                break
        return found

    return find


def library(make: Callable[[nn.Module], torchattacks.attack.Attack], batch_size: int = 50) -> Find:
    """An attack of torchattacks, made for each model; it reseeds torch's global stream, which is put back."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
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
    ta = torchattacks
    return [
        Stage("FGSM", "gradient", library(lambda m: ta.FGSM(m, eps)), whole=True),
        Stage("random noise", "random", noise(eps), whole=True),
        Stage("PGD-7", "gradient", pgd(eps, 7), whole=True),
        Stage("PGD-20", "gradient", pgd(eps, 20), whole=True),
        Stage(f"PGD-100, {restarts} starts", "gradient", pgd(eps, 100, restarts)),
        Stage("SA-PGD-100", "gradient", lambda m, x, y: sapgd(m, x, y, eps)),
        Stage("APGD-CE-100", "gradient", library(lambda m: ta.APGD(m, eps=eps, steps=100))),
        Stage("APGD-DLR-100", "gradient", library(lambda m: ta.APGD(m, eps=eps, steps=100, loss="dlr"))),
        Stage("AutoAttack", "gradient", library(lambda m: autoattack(m, eps, classes, queries // IN_AUTOATTACK))),
        Stage(f"Square, {queries} queries", "black box",
              library(lambda m: ta.Square(m, eps=eps, n_queries=queries, seed=1))),
    ]  # fmt: skip


def worst_case(
    model: nn.Module, x: Tensor, y: Tensor, stages: Sequence[Stage], eps: float, progress: bool = False
) -> Outcome:
    """Run the stages in order on images x in [0,1] with labels y; `model` must be in eval mode.

    A candidate outside the box or the `eps`-ball is a broken attack and raises RuntimeError.
    """
    clean = predictions(model, x) == y
    outcome = Outcome(clean, clean.clone(), x.clone())
    for stage in tqdm(stages, disable=not progress, desc="attacks"):
        attacked = clean if stage.whole else outcome.robust.clone()
        i, correct = attacked.nonzero()[:, 0], attacked.clone()
        if len(i):
            with stage.context():
                candidates = stage.find(model, x[i], y[i]).detach()
            _inside(candidates, x[i], eps, stage.name)
            correct[i] = predictions(model, candidates) == y[i]
            new = i[outcome.robust[i] & ~correct[i]]
            outcome.adversarial[new] = candidates[~correct[i] & outcome.robust[i]]
            outcome.robust[new] = False
        head = {"name": stage.name, "kind": stage.kind, "whole": stage.whole}
        outcome.rows.append(head | {"attacked": attacked, "correct": correct})
    return outcome


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
    """The four attacks of torchattacks' standard AutoAttack as it calls them, with this many queries for its Square."""
    ta = torchattacks
    return ta.MultiAttack([
        ta.APGD(model, eps=eps, loss="ce", seed=0),
        ta.APGDT(model, eps=eps, n_classes=classes, seed=0),
        ta.FAB(model, eps=eps, multi_targeted=True, n_classes=classes, seed=0),
        ta.Square(model, eps=eps, n_queries=queries, seed=0),
    ])  # fmt: skip


class Connected(nn.Module):
    """The same logits with a path to the input, so that a cut gradient is zero instead of an error."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + 0 * x.flatten(1).sum(1, keepdim=True)
