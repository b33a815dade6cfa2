"""What tells an attack that works from one that does not: the measurements behind `snnpaper.auditing.checks`.

A model is attacked with its own gradient in every way that the checks compare.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor, nn

from ..attacks.ensemble import Connected, library, noise, pgd, predictions, step
from ..attacks.pgd import pgd_any_iterate

STEPS = 20
QUERIES = 300  # of the black-box attack, an image
DIRECTIONS = 10  # random directions an image
BATCH = 50  # images whose gradients are taken at a time
FEWEST, ONE_IN = 2, 50  # images that chance may move: two, or one in fifty


def slack(n: int) -> int:
    """How many of n images chance may move: what no check and no warning sign counts."""
    return max(FEWEST, n // ONE_IN)


@dataclass
class Evidence:
    """What was measured on the n images that are classified correctly. Counts are of images that withstood.

    Plain numbers, which a record holds (`to_dict`, `from_dict`); what they mean is for `auditing.checks` to say.
    """

    n: int
    classes: int
    eps: float
    repeats_equal: bool
    state_equal: bool
    replayed: tuple[int, int] | None  # stored adversarial images: how many, how many decided otherwise now
    distance: float
    box: tuple[float, float]
    zero: float  # share of images whose whole gradient is zero, at the worst step
    zero_entries: float  # share of gradient entries that are exactly zero, mean over steps
    loss: tuple[float, float]  # mean loss at the first and the last step
    fall: float  # the deepest fall of the mean loss on the way, as a share of its whole rise
    by_eps: dict[float, int]
    by_steps: dict[int, int]
    by_restarts: list[int]
    single: int
    far: int  # withstood although everything was allowed, without a random start
    beaten_by: dict[str, int]  # fooled by these, though not by white-box PGD with restarts
    backwards: dict[str, int] = field(default_factory=dict)  # fooled by another backward pass, not by the own one
    along: tuple[float, float, float] = (0.0, 0.0, 0.0)  # rise along the gradient, along random, share of images

    @property
    def slack(self) -> int:
        """Images that chance may move."""
        return slack(self.n)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evidence:
        """What `to_dict` gave, also by way of JSON, whose keys are text and whose tuples are lists."""
        keys = {"by_eps": float, "by_steps": int}
        plain = {k: tuple(v) if isinstance(v, list) and k != "by_restarts" else v for k, v in values.items()}
        return cls(**plain | {k: {kind(a): n for a, n in values[k].items()} for k, kind in keys.items()})


def evidence(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    classes: int,
    backwards: dict[str, Callable[[], AbstractContextManager]] | None = None,
    sources: dict[str, nn.Module] | None = None,
    stored: tuple[Tensor, Tensor] | None = None,
) -> Evidence:
    """Attack `model` (inputs x in [0,1] -> logits, eval mode) within `eps` and note what the checks need.

    `backwards` are contexts that change its backward pass; `sources` models to transfer from; `stored`
    adversarial inputs with the recorded bool "correct". Raises ValueError when no image is classified
    correctly.
    """
    state = {k: v.clone() for k, v in model.state_dict().items()}
    clean = predictions(model, x) == y
    if not clean.any():
        raise ValueError("no image is classified correctly: there is nothing to attack")
    repeats = _repeats(model, x[:20])
    given = None if stored is None else _replay(model, *stored, y)
    x, y, judged = x[clean], y[clean], Connected(model)

    def attack(eps: float, steps: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        return pgd_any_iterate(judged, x, y, eps, step(eps, steps), steps, seed)

    traced = trace(judged, x, y, eps)
    robust, found = attack(eps, STEPS)
    starts, left = [int(robust.sum())], robust.clone()
    for seed in (1, 2):
        left &= attack(eps, STEPS, seed)[0]
        starts.append(int(left.sum()))
    single = library(lambda m: torchattacks.FGSM(m, eps))(model, x, y)
    return Evidence(
        n=len(x),
        classes=classes,
        eps=eps,
        repeats_equal=repeats,
        replayed=given,
        distance=float((found - x).abs().max()),
        box=(float(found.min()), float(found.max())),
        **traced,
        by_eps={f * eps: int(attack(f * eps, STEPS)[0].sum()) for f in (0.5, 2, 4)} | {eps: starts[0]},
        by_steps={7: int(attack(eps, 7)[0].sum()), STEPS: starts[0]}
        | {s: int(_left(judged, x, y, left, eps, s).sum()) for s in (50, 100)},
        by_restarts=starts,
        single=int((predictions(model, single) == y).sum()),
        far=int(far(judged, x, y).sum()),
        beaten_by=_others(model, x, y, left, eps, sources or {}),
        backwards=_backwards(judged, x, y, robust, eps, backwards or {}),
        along=along(judged, x, y, max(eps, 1 / 255)),
        state_equal=all(torch.equal(v, state[k]) for k, v in model.state_dict().items()),
    )


@torch.no_grad()
def _repeats(model: nn.Module, x: Tensor) -> bool:
    first = model(x)
    model(1 - x)
    return torch.equal(first, model(x))


def _replay(model: nn.Module, adversarial: Tensor, correct: Tensor, y: Tensor) -> tuple[int, int]:
    return len(y), int(((predictions(model, adversarial) == y) != correct).sum())


def trace(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> dict[str, Any]:
    """`zero`, `zero_entries`, `loss` and `fall` of an Evidence, from PGD on the whole set."""
    zero, entries, losses, point = [], [], [], x
    for _ in range(STEPS):
        g, loss = _gradient(model, point, y)
        zero.append(float((g.flatten(1) == 0).all(1).float().mean()))
        entries.append(float((g == 0).float().mean()))
        losses.append(float(loss.mean()))
        point = torch.clamp(point + step(eps, STEPS) * g.sign(), x - eps, x + eps).clamp(0, 1)
    ends = (losses[0], losses[-1])
    return {"zero": max(zero), "zero_entries": sum(entries) / len(entries), "loss": ends, "fall": fall(losses)}


def fall(loss: list[float]) -> float:
    """The deepest fall of a trace below its highest value so far, as a share of its whole rise."""
    peak, deepest = loss[0], 0.0
    for value in loss:
        peak = max(peak, value)
        deepest = max(deepest, peak - value)
    rise = max(loss) - loss[0]
    return deepest / rise if rise > 0 else float(deepest > 0)


def _gradient(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    parts = []
    for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True):
        a = a.detach().requires_grad_()
        loss = F.cross_entropy(model(a), b, reduction="none")
        parts.append((torch.autograd.grad(loss.sum(), a)[0], loss.detach()))
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def gradient_told(model: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    """The input gradients of all images in a few rounded numbers: their L1 norm, the share that is not zero, and two
    projections. Another backward pass gives others; the rounding of another run on the same device does not."""
    g = _gradient(model, x, y)[0].double().cpu()
    size, generator = float(g.abs().sum()), torch.Generator().manual_seed(0)
    signs = [torch.randint(0, 2, g.shape, generator=generator) * 2 - 1 for _ in range(2)]
    along = [round(float((g * s).sum()) / size, 6) if size else 0.0 for s in signs]
    return [float(f"{size:.3g}"), round(float((g != 0).double().mean()), 4), *along]


def far(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Which images withstand although every input is allowed; no random start, so that only the gradient leads."""
    point, robust = x, torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(STEPS):
        g, _ = _gradient(model, point[robust], y[robust])
        point = point.clone()
        point[robust] = (point[robust] + 2.5 / STEPS * g.sign()).clamp(0, 1)
        robust[robust.clone()] = predictions(model, point[robust]) == y[robust]
        if not robust.any():
            break
    return robust


def _left(model: nn.Module, x: Tensor, y: Tensor, robust: Tensor, eps: float, steps: int) -> Tensor:
    """Which of the images that withstood so far also withstand `steps` steps of the size of 50."""
    i = robust.nonzero()[:, 0]
    return pgd_any_iterate(model, x[i], y[i], eps, step(eps, 50), steps, 3)[0]


def _others(model, x: Tensor, y: Tensor, robust: Tensor, eps: float, sources: dict[str, nn.Module]) -> dict[str, int]:
    """How many of the images that white-box PGD did not fool fall to attacks that do not use the gradient."""
    x, y = x[robust], y[robust]
    square = library(lambda m: torchattacks.Square(m, eps=eps, n_queries=QUERIES, seed=1))
    finds = {"Square": (model, square), "random noise": (model, noise(eps))}
    finds |= {f"transfer from {k}": (source, pgd(eps, STEPS)) for k, source in sources.items()}
    if not len(x):
        return dict.fromkeys(finds, 0)
    return {k: int((predictions(model, find(m, x, y)) != y).sum()) for k, (m, find) in finds.items()}


def _backwards(model, x: Tensor, y: Tensor, robust: Tensor, eps: float, contexts: dict) -> dict[str, int]:
    """How many more images, of those that one start of PGD did not fool, fall under another backward pass."""
    x, y, gains = x[robust], y[robust], {}
    for name, context in contexts.items():
        with context():
            found = pgd_any_iterate(model, x, y, eps, step(eps, STEPS), STEPS)[1]
        gains[name] = int((predictions(model, found) != y).sum())
    return gains


def along(model: nn.Module, x: Tensor, y: Tensor, size: float) -> tuple[float, float, float]:
    """Mean rise of the loss after one step along the gradient's sign and along random signs; share where it is more."""
    g, start = _gradient(model, x, y)
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def rise(direction: Tensor) -> Tensor:
        parts = (x + size * direction).clamp(0, 1).split(50)
        return torch.cat([F.cross_entropy(model(a), b, reduction="none") for a, b in
                          zip(parts, y.split(50), strict=True)]) - start  # fmt: skip

    draws = [rise(torch.randn(x.shape, generator=generator).to(x).sign()) for _ in range(DIRECTIONS)]
    along, random = rise(g.sign()), torch.stack(draws).mean(0)
    return float(along.mean()), float(random.mean()), float((along > random).float().mean())
