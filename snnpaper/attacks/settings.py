"""What an attack was allowed: plain values for a record, and the name and budget that are made of them for a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

# The budgets of the published AutoAttack (Croce & Hein 2020, arXiv 2003.01690), and ART's own of HopSkipJump.
USUAL = {"steps": 100, "queries": 5000, "iterations": 50, "evaluations": 10_000}


@dataclass(frozen=True)
class Settings:
    """One attack in numbers; None where a field does not apply.

    `step_size` is on the [0,1] scale. `iterate` says which iterates count: "last" or "any". `queries` are forward
    passes an image (draws of random noise; of HopSkipJump the most for one estimate of a direction). `bpda` is the
    surrogate for the code's derivative. `surrogate`, `alpha` and `pool_backward` are the backward pass of the neurons
    and of the pool; before `of_network` has filled them, None is the network's own. `source` is the network that gave
    the gradients of a transfer attack.
    """

    algorithm: str
    space: str | None = None
    steps: int | None = None
    starts: int = 1
    step_size: float | None = None
    loss: str | None = "cross-entropy"
    bpda: str | None = None
    surrogate: str | None = None
    alpha: float | None = None
    pool_backward: str | None = None
    queries: int | None = None
    iterate: str | None = None
    source: str | None = None

    @property
    def kind(self) -> str:
        """The ground on which it stands: "gradient", "transfer" (another network's), "black box" or "random"."""
        if self.source:
            return "transfer"
        random = dict.fromkeys(("random noise", "random moves"), "random")
        return (random | {"Square": "black box", "HopSkipJump": "black box"}).get(self.algorithm, "gradient")

    def of_network(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """As a record has it: with the names of the network's `own` surrogate and pool where their gradient is used."""
        row = asdict(self)
        if self.kind == "gradient":
            neurons = ("surrogate", "alpha") if self.surrogate is None else ()
            row |= {k: own[k] for k in (*neurons, *(["pool_backward"] if self.pool_backward is None else []))}
        return row

    @classmethod
    def of(cls, row: Mapping[str, Any], own: Mapping[str, Any]) -> Settings:
        """The settings in a record's row; what is the network's `own` is None again, so that no name repeats it."""
        found = cls(**{f.name: row[f.name] for f in fields(cls)})
        if (found.surrogate, found.alpha) == (own["surrogate"], own["alpha"]):
            found = replace(found, surrogate=None, alpha=None)
        return replace(found, pool_backward=None) if found.pool_backward == own["pool_backward"] else found

    @property
    def name(self) -> str:
        """How pages name the attack: by what differs from others, as in "PGD-7 (any iterate), weighted BPDA"."""
        if self.source:
            return f"transfer: {self.source}"
        text = self.algorithm
        if text in ("level search", "PGD with momentum"):
            text += f", {self.steps} steps"
        elif text == "Square":
            text += f", {self.queries} queries"
        elif self._shortened:
            text += ", shortened"
        elif text in ("PGD", "SA-PGD", "APGD"):
            text += {"DLR": "-DLR", "cross-entropy": "-CE"}.get(str(self.loss), "") if text == "APGD" else ""
            text += f"-{self.steps}" + (f" ({self.iterate} iterate)" if text == "PGD" else "")
        if self.starts > 1:
            text += f", {self.starts} starts"
        if self.bpda:
            text += f", {self.bpda} BPDA"
        if self.surrogate:
            text += f", {self.surrogate}" + ("" if self.alpha is None else f" {self.alpha:g}")
        return text + (f", pool {self.pool_backward}" if self.pool_backward else "")

    @property
    def _shortened(self) -> bool:
        usual = {"AutoAttack": USUAL["steps"], "HopSkipJump": USUAL["iterations"]}.get(self.algorithm, 0)
        return (self.steps or 0) < usual

    @property
    def budget(self) -> str:
        """What it may spend on an image, in words."""
        steps, queries = self.steps, f"{self.queries or 0:,}"
        if self.kind == "random":
            return f"best of {queries} draws"
        if self.algorithm == "AutoAttack":
            return (
                f"APGD, APGD-T, FAB-T: {steps} steps (published: {USUAL['steps']}); "
                f"Square: {queries} queries (published: {USUAL['queries']:,})"
            )
        if self.algorithm == "HopSkipJump":
            much = f"{USUAL['iterations']}, {USUAL['evaluations']:,}"
            return f"{steps} iterations of up to {queries} evaluations (usual: {much})"
        if self.algorithm == "Square":
            return f"{queries} queries (usual: {USUAL['queries']:,})"
        if self.algorithm == "FGSM":
            return "1 step"
        text = f"{steps} steps, {self.starts} start{'s' * (self.starts > 1)}"
        text += ", on the other network" if self.source else ""
        return text + (", one sharpness" if self.surrogate == "ASSG" else "")
