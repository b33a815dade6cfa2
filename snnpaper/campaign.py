"""The paper's whole grid: its cells, what is recorded of each, and the command that computes the rest."""

from __future__ import annotations

import contextlib
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from . import cost, ledger, measure, zoo
from .config import PROFILES, Run, book, checkout, home
from .measure import experiment
from .measure.robustness import battery
from .nets import data
from .train import Diverged, OutOfTime
from .workers import claim

_KEYS = ("block", "profile", "fixed", "over", "measure")
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
    """The cells of a grid file, in its order, each run once; of the blocks with `block` in their name.

    Raises ValueError naming the block and what is wrong in it, or that no block has such a name.
    """
    if not (chosen := [c for c in _all_cells(grid) if block in c.block]):
        raise ValueError(f"no block of {grid.name} has {block!r} in its name")
    return chosen


def _all_cells(grid: Path) -> list[Cell]:
    try:
        blocks = yaml.safe_load(grid.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as err:
        raise ValueError(f"the grid {grid} cannot be read: {err}; --grid names another than a checkout's") from None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise ValueError(f"{grid.name} must be a list of blocks, each with {', '.join(_KEYS)}")
    seen: set[str] = set()
    out = []
    for i, block in enumerate(blocks):
        where = f"{grid.name}, block {block.get('block', i + 1)!r}"
        if unknown := set(block) - set(_KEYS):
            raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))}; allowed: {', '.join(_KEYS)}")
        if block.get("profile") not in PROFILES:
            raise ValueError(f"{where}: profile is {block.get('profile')!r}; allowed: {', '.join(PROFILES)}")
        fixed, over = block.get("fixed") or {}, block.get("over") or {}
        kinds = tuple(block.get("measure") or measure.USUAL)
        if strange := [k for k in kinds if k not in measure.TABLE]:
            raise ValueError(f"{where}: measure has {', '.join(strange)}; allowed: {', '.join(measure.TABLE)}")
        names = [f.name for f in fields(Run)]
        if wrong := [k for k in [*fixed, *over] if k not in names]:
            raise ValueError(f"{where}: unknown {', '.join(wrong)}; allowed: {', '.join(names)}")
        if loose := [k for k, v in over.items() if not isinstance(v, list) or not v]:
            raise ValueError(f"{where}: {', '.join(loose)} under `over` must be a list with entries")
        for values in itertools.product(*over.values()):
            changes = fixed | dict(zip(over, values, strict=True))
            cell = Cell(block.get("block", str(i + 1)), block["profile"], tuple(changes.items()), kinds)
            try:
                name = cell.name
            except ValueError as err:
                raise ValueError(f"{where}: {err}") from None
            if name not in seen:
                seen.add(name)
                out.append(cell)
    return out


def run(
    grid: Path = GRID,
    block: str = "",
    device: str = "cpu",
    budget_minutes: float = math.inf,
    together: int = 1,
    render_chapter: bool = True,
    say: Callable[[str], None] = print,
) -> bool:
    """Compute what the ledger lacks of a grid, in its order; True when nothing is left.

    Ends cleanly when the budget is used up, and may be killed at any moment: the next call goes on. `grid` and
    `block` choose as `cells` does. `together` networks are trained at once, which fills a GPU that one of them
    leaves idle. What another process works on at the moment is passed over.
    """
    if together < 1:
        raise ValueError(f"together is {together}; allowed: 1 or more")
    chosen = cells(grid, block)
    ledger.provenance()  # before anything on disk can change under a long run
    deadline = time.monotonic() + 60 * budget_minutes
    todo = [c for c in chosen if not c.failed and c.missing()]
    for dataset in sorted({c.run.dataset for c in todo if not data.available(c.run.dataset)}):
        say(f"{dataset} is not on disk and its cells are skipped; python -m snnpaper fetch {dataset}")
    todo = [c for c in todo if data.available(c.run.dataset)]
    for i, cell in enumerate(todo):
        with contextlib.ExitStack() as claims:
            if not claims.enter_context(claim(cell.run.course.name)) or not (missing := cell.missing()):
                continue  # another process works on it or on the same course, or has recorded it meanwhile
            say(f"[{i + 1}/{len(todo)}] {cell.name}: {', '.join(missing)}; left in all: {_left(todo[i:])}")
            try:
                if together > 1 and cell.trains_beside(cell):
                    like = (c.run for c in todo[i + 1 :] if c.trains_beside(cell))
                    free = (r for r in like if claims.enter_context(claim(r.course.name)))
                    experiment.train_together([cell.run, *itertools.islice(free, together - 1)], device, deadline)
                course = sorted({c.run for c in todo if c.run.course == cell.run.course}, key=lambda r: r.epochs)
                for shorter in course[:-1] if "train" in missing else ():  # one training; these on its way
                    experiment.train_stage(shorter, device, deadline=deadline, goes_on=True)
                experiment.run_all(cell.run, device, deadline=deadline, kinds=cell.kinds)
            except OutOfTime as stop:
                say(f"time is up ({budget_minutes:g} min). {stop}; left in all: {_left(todo[i:])}")
                return False
            except Diverged as err:
                say(f"  failed, and recorded as that: {err}")
                continue
            except zoo.NotKept as err:
                say(f"  left out: {err}")
                continue
        if render_chapter:
            say(f"  {rendered(cell.run)}")
    return finished(chosen)


def finished(chosen: list[Cell]) -> bool:
    """Whether nothing is left of these cells, but what failed."""
    return not any(c.missing() for c in chosen if not c.failed)


def rendered(run: Run) -> str:
    """`render`, in a sentence: where it is or why not. The records are whole; a page not drawn is no failure."""
    try:
        return f"chapter 3 of it: {render(run)}"
    except RuntimeError as err:
        return str(err)


def render(run: Run) -> Path:
    """Chapter 3 of a run, executed by papermill and drawn from its records: rendered/<name>.ipynb."""
    out = home() / "rendered" / f"{run.name}.ipynb"
    out.parent.mkdir(parents=True, exist_ok=True)
    given = {k: v for k, v in run.to_dict().items() if v != getattr(Run.make("paper"), k)}
    parameters = [x for k, v in ({"profile": "paper"} | given).items() for x in ("-p", k, str(v))]
    papermill = [sys.executable, "-m", "papermill", "ch3.ipynb", str(out), *parameters, "--no-progress-bar"]
    done = subprocess.run(papermill, cwd=book(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"chapter 3 of {run.name} was not rendered:\n{done.stderr[-2000:]}")
    return out


def _left(todo: list[Cell]) -> str:
    """Training time left on this machine, as estimated from its records."""
    records = ledger.records("train")
    costs = [cost.estimate(c.run, records) for c in todo if "train" in c.missing()]
    if not costs:
        return "measurements only"
    known = [c[0] for c in costs if c]
    return f"about {cost.duration(sum(known))} of training" if len(known) == len(costs) else "unknown, no records yet"


def status(grid: Path = GRID) -> str:
    """Done, missing and cost of every cell, block by block; then the recorded runs outside the grid."""
    records = {r["name"]: r for r in ledger.records("train")}
    lines, listed = [], set()
    for block, group in itertools.groupby(cells(grid), key=lambda c: c.block):
        part = list(group)
        done = sum(not c.missing() for c in part)
        lines += ["", f"{block}: {done} of {len(part)} cells done"]
        for cell in part:
            listed.add(cell.name)
            lines.append("  " + _line(cell, records))
    outside = [r for name, r in records.items() if name not in listed]
    if outside:
        lines += ["", "outside the grid:"] + [f"  {_done(r)}" for r in outside]
    courses = {c.run.course.name: c.name for c in cells(grid) if c.run}
    unfinished = sorted(courses.get(f.stem, f.stem) for f in (home() / "runs").glob("*.pt"))
    lines += [f"unfinished: {name}; the same command goes on" for name in unfinished]
    return "\n".join(lines).strip()


def _line(cell: Cell, records: dict[str, dict]) -> str:
    if cell.failed:
        return f"{cell.name:46} {cell.run.scale:8} failed: {ledger.read('failed', cell.name)['results']['reason']}"
    missing = cell.missing()
    head = _done(records[cell.name]) if "train" not in missing else f"{cell.name:46} {cell.run.scale:8} missing"
    if not missing:
        return head
    if "train" in missing:
        guess = cost.estimate(cell.run, list(records.values()))
        head += f"; about {cost.duration(guess[0])} ({guess[1]})" if guess else "; cost unknown"
    else:
        head += f"; lacks {', '.join(missing)}"
    absent = "" if data.available(cell.run.dataset) else f"; data absent: python -m snnpaper fetch {cell.run.dataset}"
    return f"{head}{absent}\n      {cell.command}"


def _done(record: dict) -> str:
    p = record["provenance"]
    accuracy = f"test {100 * record['results']['test_accuracy']:5.1f} %"
    head = f"{record['name']:46} {record['scale']:8} {accuracy}"
    head += f"  {cost.duration(p['wall_seconds']):>7}  {cost.machine(p['hardware'])}"
    if not ledger.path("robustness", record["name"]).exists():
        return head
    made, whole = (
        len(ledger.read("robustness", record["name"])["results"]["attacks"]),
        len(battery(measure.TABLE["robustness"].settings["radii"])),
    )
    return head if made == whole else f"{head}  {made} of {whole} attacks"
