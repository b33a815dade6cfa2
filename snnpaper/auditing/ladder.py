"""The protocol "snnpaper-audit 2": which attacks, with which budgets, from cheap to dear.

Changing anything here that decides a result asks for another number in PROTOCOL.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch.nn.functional as F
import torchattacks as ta
from torch import Tensor, nn

from ..attacks.ensemble import DRAWS, Find, Stage, library, noise, pgd, pgd_settings, sapgd_settings, step
from ..attacks.sapgd import sapgd
from ..attacks.settings import Settings
from .audited import Audited
from .backwards import SHORT, STARTS, Choice

PROTOCOL = "snnpaper-audit 2"
CHUNK = 50  # images at once
TARGETS = 9  # other classes that a targeted attack tries, as AutoAttack does


@dataclass(frozen=True)
class Budget:
    """What the dear attacks may spend on an image: steps, random starts, steps a target, queries."""

    steps: int
    starts: int
    targeted: int
    queries: int


BUDGETS = {"quick": Budget(50, 1, 0, 300), "full": Budget(100, 5, 10, 1000)}


def stages(
    audited: Audited, eps: float, budget: Budget, choices: list[Choice], seed: int
) -> tuple[list[Stage], list[str]]:
    """All attacks on images as frames [N,C,H,W], their random numbers by `seed`, and what is left out and why.

    Those with `whole` see every image that is classified correctly, since checks compare them; the others see the
    images that still stand.
    """
    assert audited.classes is not None
    classes, square = audited.classes, budget.queries
    left_out: list[str] = []
    short, find = _pgd(audited, eps, SHORT, first=STARTS * seed)
    rows = [
        Stage(Settings("random noise", loss=None, queries=DRAWS), noise(eps, seed=seed), whole=True),
        Stage(Settings("FGSM", steps=1, step_size=eps, iterate="last"), library(lambda m: ta.FGSM(m, eps)), whole=True),
        Stage(short, find, whole=True),
    ]
    adaptive, smooth = replace(sapgd_settings(eps), steps=budget.steps), _sapgd(eps, budget.steps, seed)
    for c in choices:
        named: dict[str, Any] = {"surrogate": c.surrogate, "alpha": c.alpha, "pool_backward": c.pool, "bpda": c.bpda}
        if c.surrogate == "ASSG":
            rows.append(Stage(replace(adaptive, **named), smooth, context=c.context))
        else:
            rows.append(Stage(c.settings or replace(short, **named), c.find or find, context=c.context))
    apgd = _apgd(eps, budget.steps, classes, left_out, 2 * seed)
    rows += [*apgd, *(_by(c, s) for c in choices if c.surrogate == "mixed" for s in apgd), Stage(adaptive, smooth)]
    if budget.targeted and classes >= 4:
        rows += _targeted(eps, budget.targeted, classes, 2 * seed)
    else:
        left_out.append(
            "targeted APGD and FAB: " + (f"{classes} classes, they need 4" if classes < 4 else "not in quick")
        )
    long = 2 * budget.steps if budget.starts == 1 else budget.steps
    rows.append(Stage(*_pgd(audited, eps, long, budget.starts, first=STARTS * seed + 1)))
    rows.append(Stage(Settings("Square", loss="margin", queries=square), _square(eps, square, 2 * seed)))
    left_out.append(
        "decision-based attacks (HopSkipJump, Boundary), transfer from another network, other norms than L∞"
    )
    return rows, left_out


def twice(audited: Audited, eps: float, budget: Budget, choices: list[Choice], seed: int) -> list[Stage]:
    """The strongest attacks again with twice the budget and other random numbers: what convergence is judged by."""
    assert audited.classes is not None
    rows = [*_apgd(eps, 2 * budget.steps, audited.classes, [], 2 * seed + 1)]
    rows += [_by(c, s) for c in choices if c.surrogate == "mixed" for s in rows[:1]]
    more = 2 * budget.queries
    return [*rows, Stage(Settings("Square", loss="margin", queries=more), _square(eps, more, 2 * seed + 1))]


def _by(choice: Choice, stage: Stage) -> Stage:
    """The attack by another surrogate."""
    return replace(stage, settings=replace(stage.settings, surrogate=choice.surrogate), context=choice.context)


def pgd_of(audited: Audited, eps: float, steps: int, starts: int = 1, first: int = 0) -> Find:
    """PGD any of whose iterates counts. Of a random model it is the last: the first that fools lies at the border,
    where the next draws may decide otherwise, and there is one start."""
    if audited.draws > 1:
        return library(lambda m: ta.PGD(m, eps=eps, alpha=step(eps, steps), steps=steps), seed=first)
    # one batch that is never full, so that no graph of a stranger's model is captured
    return pgd(eps, steps, starts, first, batch_size=CHUNK + 1)


def _pgd(audited: Audited, eps: float, steps: int, starts: int = 1, first: int = 0) -> tuple[Settings, Find]:
    last: dict[str, Any] = {"iterate": "last", "starts": 1} if audited.draws > 1 else {}
    return replace(pgd_settings(eps, steps, starts), **last), pgd_of(audited, eps, steps, starts, first)


def _sapgd(eps: float, steps: int, seed: int) -> Find:
    return lambda model, x, y: sapgd(model, x, y, eps, steps, seed)


def _apgd(eps: float, steps: int, classes: int, left_out: list[str], seed: int) -> list[Stage]:
    base = Settings("APGD", steps=steps, step_size=2 * eps, iterate="any")
    rows = [Stage(base, library(lambda m: ta.APGD(m, eps=eps, steps=steps, seed=seed)))]
    if classes < 3:
        left_out.append(f"APGD with the DLR loss: {classes} classes, it needs 3")
        return rows
    dlr = library(lambda m: ta.APGD(m, eps=eps, steps=steps, loss="dlr", seed=seed))
    return [*rows, Stage(replace(base, loss="DLR"), dlr)]


def _targeted(eps: float, steps: int, classes: int, seed: int) -> list[Stage]:
    n = min(classes, TARGETS + 1)
    base = Settings("APGD-T", steps=steps, step_size=2 * eps, loss="targeted DLR", iterate="any")
    fab = Settings("FAB-T", steps=steps, loss="distance to the other class", iterate="any")
    return [
        Stage(base, library(lambda m: ta.APGDT(m, eps=eps, steps=steps, n_classes=n, seed=seed))),
        Stage(fab, library(lambda m: ta.FAB(m, eps=eps, steps=steps, multi_targeted=True, n_classes=n, seed=seed))),
    ]


def _square(eps: float, queries: int, seed: int) -> Find:
    """Square, which draws its squares in square frames: others are padded, and cropped before the model."""
    find = library(lambda m: ta.Square(m, eps=eps, n_queries=queries, seed=seed))

    def padded(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        side = max(h, w)
        framed = F.pad(x, (0, side - w, 0, side - h))
        return find(model if h == w else Cropped(model, h, w), framed, y)[..., :h, :w]

    return padded


class Cropped(nn.Module):
    """The model on the corner of a larger frame."""

    def __init__(self, model: nn.Module, h: int, w: int) -> None:
        super().__init__()
        self.model, self.h, self.w = model, h, w

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x[..., : self.h, : self.w])


def settings(strength: str, eps: float, seed: int, draws: int) -> dict:
    """What decides a result and is no part of the model: a short hash of it stands in the line to quote."""
    return {"protocol": PROTOCOL, "strength": strength, "eps": eps, "seed": seed, "draws": draws} | {
        "budget": asdict(BUDGETS[strength]) | {"short": SHORT, "noise": DRAWS, "targets": TARGETS}
    }
