"""The paper's whole grid, from the file that declares it: its cells, and what is recorded of each."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from . import ledger, measure
from .config import PROFILES, Run, checkout, home
from .measure import experiment

_KEYS = ("block", "profile", "fixed", "over", "measure")
_MOST = 100_000  # cells of a block; more is a typing error
GRID = (checkout() or home()) / "workflow" / "grid.yml"  # of the checkout: an installed package has none


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: its block, its profile, what it changes, and the kinds of record it gets."""

    block: str
    profile: str
    changes: tuple[tuple[str, object], ...]
    kinds: tuple[str, ...] = measure.USUAL

    @property
    def run(self) -> Run:
        return Run.make(self.profile, **dict(self.changes))

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def command(self) -> str:
        """The command that computes this cell alone."""
        return " ".join(["python -m snnpaper train", *self.arguments])

    @property
    def arguments(self) -> list[str]:
        given = [x for k, v in self.changes for x in (f"--{k}", str(v))]
        kinds = [] if self.kinds == measure.USUAL else ["--measure", *self.kinds]
        return ["--profile", self.profile, *given, *kinds]

    def missing(self) -> list[str]:
        """The kinds of record this cell lacks."""
        return experiment.missing(self.run, self.kinds)

    def trains_beside(self, other: Cell) -> bool:
        """Whether it can be trained at once with another: of one data set, and rate coding draws from one stream."""
        same = self.run.dataset == other.run.dataset and self.run.coding != "rate"
        return same and "train" in self.missing() and not self.failed

    @property
    def failed(self) -> bool:
        """Whether its training diverged, which is recorded and not tried again."""
        return ledger.path("failed", self.name).exists()


def cells(grid: Path = GRID, block: str = "") -> list[Cell]:
    """The cells of a grid file, in its order; of the blocks with `block` in their name.

    A run stands in a later block again only if that asks for kinds of record that no earlier one does.

    Raises ValueError naming the block and what is wrong in it, or that no block has such a name.
    """
    if not (chosen := [c for c in _all_cells(grid) if block in c.block]):
        names = ", ".join(dict.fromkeys(c.block for c in _all_cells(grid)))
        raise ValueError(f"no block of {grid.name} has {block!r} in its name; allowed: a part of: {names}")
    return chosen


def _all_cells(grid: Path) -> list[Cell]:
    try:
        blocks = yaml.safe_load(grid.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as err:
        raise ValueError(f"the grid {grid} cannot be read: {err}; --grid names another than a checkout's") from None
    if not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) for block in blocks):
        raise ValueError(f"{grid.name} must be a list of blocks, each with {', '.join(_KEYS)}")
    found: list[Cell] = []
    asked: dict[str, set[str]] = {}
    for i, block in enumerate(blocks, 1):
        name = i if block.get("block") is None else block["block"]
        where = f"{grid.name}, block {name!r}"
        try:
            for cell in _block(str(name), block):
                before = asked.setdefault(cell.name, set())
                if not set(cell.kinds) <= before:
                    before.update(cell.kinds)
                    found.append(cell)
        except ValueError as err:
            raise ValueError(f"{where}: {err}") from None
    return found


def _block(name: str, block: dict[str, Any]) -> list[Cell]:
    """The cells of one block; raises ValueError with what is wrong in it and what is allowed."""
    _known(block, _KEYS)
    if isinstance(block.get("block"), dict | list):
        raise ValueError("block must be a name")
    profile, fixed, over, kinds = (block.get(k) for k in ("profile", "fixed", "over", "measure"))
    if not isinstance(profile, str) or profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; allowed: {', '.join(PROFILES)}")
    for key, given in (("fixed", fixed), ("over", over)):
        if given is not None and not isinstance(given, dict):
            raise ValueError(f"{key} is {given!r}; allowed: names with their values, as in `width: 16`")
        _known(given or {}, [f.name for f in fields(Run)])
    if loose := [k for k, v in (over or {}).items() if not isinstance(v, list) or not v]:
        raise ValueError(f"{', '.join(loose)} under `over` must be a list with entries")
    if kinds is not None and (not isinstance(kinds, list) or not kinds):
        raise ValueError(f"measure is {kinds!r}; allowed: a list with entries of {', '.join(measure.TABLE)}")
    if strange := [k for k in kinds or () if not isinstance(k, str) or k not in measure.TABLE]:
        raise ValueError(f"measure has {', '.join(map(str, strange))}; allowed: {', '.join(measure.TABLE)}")
    if (n := math.prod(len(v) for v in (over or {}).values())) > _MOST:
        raise ValueError(f"`over` makes {n:,} cells; allowed: at most {_MOST:,}")
    cells = []
    for values in itertools.product(*(over or {}).values()):
        changes = (fixed or {}) | dict(zip(over or {}, values, strict=True))
        changes = {k: _number(k, v) for k, v in changes.items()}
        cells.append(Cell(name, profile, tuple(changes.items()), tuple(kinds or measure.USUAL)))
        for kind in cells[-1].kinds:  # each raises ValueError, as the run does, for what is not allowed
            measure.defined(kind, cells[-1].run)
    return cells


def _known(given: dict, names: Sequence[str]) -> None:
    if unknown := [str(k) for k in given if k not in names]:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}; allowed: {', '.join(names)}")


def _number(name: str, value: Any) -> Any:
    """A number that YAML took for text, such as 1e-3, as the number it is."""
    if isinstance(value, str) and isinstance(getattr(Run, name), int | float):
        with contextlib.suppress(ValueError):
            return float(value)
    return value
