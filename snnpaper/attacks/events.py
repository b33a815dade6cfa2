"""Attacks on the events themselves: add some, remove some, or shift them in space and time, under a budget of moves.

The frames' spans of time are the camera's, so an event added or moved changes counts and no span, and the derivative
of a count by an event is one: what is attacked is the network's function of whole counts (`coded.Frames`, whose
rounding passes a gradient straight through). A budget of k moves means at most k events added, removed or shifted;
as counts go, `moves` says how few moves explain a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.coded import CodedNet
from ..nets.events import MOST
from .ensemble import DRAWS, Find, Stage
from .gradients import backward
from .settings import Settings
from .spiking_ensemble import choices

KINDS = ("add", "remove", "shift")
BUDGETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
STEPS = 10  # gradients in which an attack spends its budget
# Where a shift may take an event: (frames, rows, columns) to a neighbour, in space or in time.
NEIGHBOURS = [(0, i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j] + [(-1, 0, 0), (1, 0, 0)]


def moves(before: Tensor, after: Tensor) -> Tensor:
    """The fewest events to add, remove or shift that lead from counts to counts [N,...], int64 [N]."""
    more = (after - before).round().flatten(1).long()
    return torch.maximum(more.clamp(min=0).sum(1), (-more).clamp(min=0).sum(1))


def events_needed(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    budgets: Sequence[int] = BUDGETS,
    kinds: Sequence[str] = KINDS,
    generator: torch.Generator | None = None,
    batch_size: int = 50,
) -> tuple[Tensor, Tensor]:
    """How many moves fool each recording, int64 [N]: the first of 0 and `budgets` that does, or -1; and what does.

    `model` maps frames x [N,T*2,H,W], counts divided by 255, to logits. Each budget goes on from the one before: the
    moves that raise the cross-entropy most, to first order, and one move at most from each entry in a step. With a
    `generator`, the moves are drawn at random instead. Raises ValueError for a kind other than add, remove, shift.
    """
    if not kinds or set(kinds) - set(KINDS):
        raise ValueError(f"kinds are {', '.join(kinds) or 'none'}; allowed: {', '.join(KINDS)}")
    parts = zip(x.split(batch_size), y.split(batch_size), strict=True)
    found = [_batch(model, (MOST * a).round(), b, budgets, kinds, generator) for a, b in parts]
    needed, counts = zip(*found, strict=True)
    return torch.cat(needed), torch.cat(counts) / MOST


def _batch(model, counts, y, budgets, kinds, generator) -> tuple[Tensor, Tensor]:
    needed, work = torch.full_like(y, -1), torch.arange(len(y), device=y.device)
    for before, budget in zip((0, *budgets), (*budgets, None), strict=True):
        guided = generator is None and budget is not None
        point = (counts[work] / MOST).requires_grad_(guided)
        with torch.set_grad_enabled(guided):
            logits = model(point)
        robust = logits.argmax(1) == y[work]
        needed[work[~robust]] = before
        if budget is None or not robust.any():
            break
        loss = F.cross_entropy(logits, y[work], reduction="sum")
        slope = torch.autograd.grad(loss, point)[0] if guided else torch.zeros_like(point)
        work, slope = work[robust], slope[robust]
        counts[work] = moved(counts[work], gains(counts[work], slope, kinds, generator), budget - before)
    return needed, counts


def gains(counts: Tensor, slope: Tensor, kinds: Sequence[str], generator: torch.Generator | None = None) -> Tensor:
    """What each move is worth, [N,moves,T*2,H,W]: add, remove, then a shift to each of NEIGHBOURS; -inf where none is.

    Worth is the first-order change of the loss, or drawn from `generator`, uniformly.
    """
    room = torch.where(counts < MOST, 0.0, -torch.inf)
    event = torch.where(counts > 0, 0.0, -torch.inf)
    worth = [slope + room, event - slope] + [event - slope + _from(slope + room, to) for to in NEIGHBOURS]
    for i, kind in enumerate(("add", "remove", *["shift"] * len(NEIGHBOURS))):
        if kind not in kinds:
            worth[i] = torch.full_like(counts, -torch.inf)
    found = torch.stack(worth, 1)
    if generator is None:
        return found
    drawn = torch.rand(found.shape, generator=generator).to(found)
    return torch.where(found.isneginf(), found, drawn)


def moved(counts: Tensor, gain: Tensor, budget: int) -> Tensor:
    """Counts [N,T*2,H,W] after the `budget` best moves that gain anything, at most one from each entry."""
    best, move = (found.flatten(1) for found in gain.max(1))
    value, at = best.topk(min(budget, best.shape[1]))
    chosen = torch.full_like(move, -1).scatter(1, at, torch.where(value > 0, move.gather(1, at), -1))
    chosen = chosen.view_as(counts)
    out = counts + (chosen == 0).to(counts) - (chosen >= 1).to(counts)
    for i, (frames, rows, columns) in enumerate(NEIGHBOURS):
        out += _from((chosen == i + 2).to(counts), (-frames, -rows, -columns), 0.0)
    return out.clamp(max=MOST)  # where several events met


def _from(values: Tensor, to: tuple[int, int, int], outside: float = -torch.inf) -> Tensor:
    """At each entry of [N,T*2,H,W] the value of the entry `to` (frames, rows, columns) away, of the same polarity."""
    frames, rows, columns = to
    padded = F.pad(values, (1, 1, 1, 1, 2, 2), value=outside)
    c, h, w = values.shape[1:]
    return padded[:, 2 + 2 * frames :][:, :c, 1 + rows :][:, :, :h, 1 + columns :][..., :w]


def spend(budget: int, kinds: Sequence[str] = KINDS) -> Find:
    """The guided attack within one budget, spent in STEPS equal parts."""
    steps = sorted({max(1, budget * i // STEPS) for i in range(1, STEPS + 1)})
    return lambda model, x, y: events_needed(model, x, y, steps, kinds)[1]


def scatter(budget: int, kinds: Sequence[str] = KINDS) -> Find:
    """The first of DRAWS sets of random moves that fools; the rest hold their last."""

    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found, left = x.clone(), torch.arange(len(x), device=x.device)
        for seed in range(DRAWS):
            generator = torch.Generator().manual_seed(seed)
            needed, found[left] = events_needed(model, x[left], y[left], (budget,), kinds, generator)
            left = left[needed < 0]
            if not len(left):
                break
        return found

    return find


def stages(coded: CodedNet, budget: int) -> list[Stage]:
    """All attacks with `budget` moves, for `ensemble.worst_case` on coded.threat("pixel") with radius 1.

    Each kind of move alone and all together, guided by the network's own gradient; all together through other pools'
    gradients; and at random. What they find is judged by the network as it is.
    """
    guided = Settings("guided moves", "events", steps=STEPS, iterate="any")
    rows = [
        Stage(replace(guided, algorithm=f"guided moves ({kind})"), spend(budget, (kind,)), whole=True) for kind in KINDS
    ]
    rows.append(Stage(guided, spend(budget), whole=True))
    for c in choices(coded):
        if c.pool:
            rows.append(
                Stage(replace(guided, pool_backward=c.pool), spend(budget), context=partial(backward, coded, c))
            )
    drawn = Settings("random moves", "events", loss=None, queries=DRAWS)
    return [*rows, Stage(drawn, scatter(budget), whole=True)]
