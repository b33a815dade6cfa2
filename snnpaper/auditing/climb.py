"""Up the ladder: each attack on the images that still stand, and what the checks compare."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..attacks.ensemble import Stage, predictions
from .audited import Audited
from .backwards import SHORT, STARTS
from .evidence import along, far, slack, trace
from .kept import Kept, OutOfTime
from .ladder import CHUNK, pgd_of

LARGEST = 0.5  # the radius at which grey is reached from everywhere: the curve goes no further


@dataclass
class Row:
    """One attack: which images it saw and which it fooled, bool [N]; `due` is how many it should have seen."""

    stage: Stage
    seen: Tensor
    fooled: Tensor
    due: int

    @property
    def complete(self) -> bool:
        """Whether it saw all that it should."""
        return int(self.seen.sum()) == self.due


class Climb:
    """The state of an audit: who stands (bool [N]), the worst input of each, one row an attack, and the evidence.

    x is frames [N,C,H,W]. Whatever there is no time for is named in `left_out`.
    """

    def __init__(self, audited: Audited, x: Tensor, y: Tensor, eps: float, kept: Kept) -> None:
        self.audited, self.x, self.y, self.eps, self.kept = audited, x, y, eps, kept
        self.clean = torch.cat([predictions(audited, part, CHUNK) for part in x.split(CHUNK)]) == y
        self.standing, self.adversarial = self.clean.clone(), x.clone()
        self.by: list[str] = [""] * len(x)  # the attack that an image fell to first
        self.rows: list[Row] = []
        self.again: list[Row] = []
        self.left_out: list[str] = []
        self.evidence: dict[str, Any] = {}
        self.state = {k: v.clone() for k, v in audited.model.state_dict().items()}

    def run(self, stages: list[Stage], twice: list[Stage]) -> None:
        """All attacks, the evidence after the variants of PGD, then the strongest with twice the budget."""
        if not self.clean.any():
            raise ValueError(
                "no image is classified correctly: there is nothing to attack; are labels and images in order?"
            )
        first = [s for s in stages if s.whole]
        short = [s for s in stages if not s.whole and s.settings.steps == SHORT]
        for stage in [*first, *short]:
            self._attack(stage, self.rows)
        self._evidence(self._best())
        for stage in stages:
            if not any(stage is s for s in [*first, *short]):
                self._attack(stage, self.rows)
        self.left = int(self.standing.sum())
        for stage in twice:
            self._attack(stage, self.again, "twice: ")

    def _attack(self, stage: Stage, rows: list[Row], prefix: str = "") -> None:
        name, due = prefix + stage.settings.name, self.clean if stage.whole else self.standing.clone()
        row = Row(stage, torch.zeros_like(due), torch.zeros_like(due), int(due.sum()))
        rows.append(row)
        for number, start in enumerate(range(0, len(self.x), CHUNK)):
            i = start + due[start : start + CHUNK].nonzero()[:, 0]
            if not len(i):
                continue
            try:
                found = self.kept(name, str(number), partial(self._found, stage, i))
            except OutOfTime:
                self.left_out.append(name if not row.seen.any() else f"part of {name}")
                return
            row.seen[i] = True
            row.fooled[i] = found["fooled"].to(i.device)
            fell = i[found["fooled"].to(i.device) & self.standing[i]]
            self.adversarial[fell] = found["adversarial"].to(self.x)[self._place(i, found["fooled"], fell)]
            self.standing[fell] = False
            for k in fell.tolist():
                self.by[k] = name

    @staticmethod
    def _place(i: Tensor, fooled: Tensor, fell: Tensor) -> Tensor:
        """Where the images `fell` are among the adversarial inputs, which are those of i that were fooled."""
        among = i[fooled.to(i.device)]
        return torch.isin(among, fell).nonzero()[:, 0]

    def _found(self, stage: Stage, i: Tensor) -> dict[str, Tensor]:
        x, y = self.x[i], self.y[i]
        with stage.context():
            candidates = stage.find(self.audited, x, y).detach()
        if (
            float((candidates - x).abs().max()) > self.eps + 1e-5
            or candidates.min() < -1e-6
            or candidates.max() > 1 + 1e-6
        ):
            raise RuntimeError(
                f"{stage.settings.name} left the ball or the box: a fault of the attack, please report it"
            )
        fooled = predictions(self.audited, candidates, CHUNK) != y
        return {"fooled": fooled.cpu(), "adversarial": candidates[fooled].cpu()}

    def _best(self) -> tuple[str, Callable[[], AbstractContextManager]]:
        """The backward pass that fooled most images which the own PGD left, when chance does not explain them."""
        others = [r for r in self.rows if not r.stage.whole and r.stage.context is not nullcontext and r.complete]
        best = max(others, key=lambda r: int(r.fooled.sum()), default=None)
        count = int(best.fooled.sum()) if best else 0
        self.evidence["better"] = (best.stage.settings.name, count) if best else None
        if best is not None and count > slack(int(self.clean.sum())):
            return best.stage.settings.name, best.stage.context
        return "", nullcontext

    def _evidence(self, reference: tuple[str, Callable[[], AbstractContextManager]]) -> None:
        """What the checks compare; all but the trace by the strongest backward pass."""
        x, y, eps, model = self.x[self.clean], self.y[self.clean], self.eps, self.audited
        name, context = reference
        self.evidence["reference"] = name

        def within(work: Callable[[], Any]) -> Any:
            with context():
                return work()

        parts: dict[str, Callable[[], Any]] = {
            "trace": lambda: trace(model, x, y, eps),
            "along": lambda: list(within(lambda: along(model, x, y, max(eps, 1 / 255)))),
            "far": lambda: int(within(lambda: far(model, x, y)).sum()),
        }
        for part, work in parts.items():
            self._keep("evidence", part, work)
        radius, curve = eps / 2, {}
        while True:
            value = self._keep("curve", f"{radius:.6g}", partial(within, partial(self._survive, x, y, radius)))
            if value is None:
                self.evidence["cut"] = True
                break
            curve[radius] = value
            if radius >= LARGEST or value == 0 and radius > eps:
                break
            radius = min(2 * radius, max(LARGEST, eps))
        self.evidence["curve"] = curve

    def _survive(self, x: Tensor, y: Tensor, radius: float) -> int:
        find, left = pgd_of(self.audited, radius, SHORT, first=STARTS * self.kept.seed), 0
        for a, b in zip(x.split(CHUNK), y.split(CHUNK), strict=True):
            left += int((predictions(self.audited, find(self.audited, a, b), CHUNK) == b).sum())
        return left

    def _keep(self, group: str, part: str, work: Callable[[], Any]) -> Any:
        try:
            value = self.kept(group, part, work)
        except OutOfTime:
            self.left_out.append(f"{group} {part}")
            return None
        if group == "evidence":
            self.evidence[part] = value
        return value

    @property
    def unchanged(self) -> bool:
        """Whether weights and buffers are as before."""
        return all(torch.equal(v, self.state[k]) for k, v in self.audited.model.state_dict().items())
