"""The command that computes what the ledger lacks of a grid, and what is left of it."""

from __future__ import annotations

import contextlib
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import cost, files, ledger, measure, zoo
from .config import Run, book, home
from .grid import GRID, Cell, cells
from .measure import experiment
from .measure.robustness import battery
from .nets import data
from .train import Diverged, OutOfTime
from .workers import Busy, claim


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
    if not budget_minutes >= 0:
        raise ValueError(f"budget is {budget_minutes} minutes; allowed: 0 or more")
    chosen = cells(grid, block)
    ledger.provenance()  # before anything on disk can change under a long run
    files.check(home())
    training = {c.run.course for c in chosen if "train" in c.missing()}  # may go on from a shorter run's checkpoint
    for cell in chosen:
        if cell.run.course not in training:
            experiment.tidy(cell.run)
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
                untrained = {c.run for c in todo if "train" in c.missing()}
                course = sorted((r for r in untrained if r.course == cell.run.course), key=lambda r: r.epochs)
                for shorter in course[:-1] if "train" in missing else ():  # one training; these on its way
                    experiment.train_stage(shorter, device, deadline=deadline, goes_on=True)
                experiment.run_all(cell.run, device, deadline=deadline, kinds=cell.kinds)
            except OutOfTime as stop:
                say(f"time is up ({budget_minutes:g} min). {stop}; left in all: {_left(todo[i:])}")
                return False
            except Diverged as err:
                if not cell.failed:  # a shorter training of its course diverged, on the way
                    experiment.record_failure(cell.run, err)
                say(f"  failed, and recorded as that: {err}")
                continue
            except (zoo.NotKept, Busy) as err:
                say(f"  left out: {err}")
                continue
        if render_chapter and not experiment.missing(cell.run):  # else the chapter would make what it draws
            say(f"  {rendered(cell.run)}")
    return finished(chosen)


def finished(chosen: list[Cell]) -> bool:
    """Whether nothing is left of these cells, but what failed."""
    return not any(c.missing() for c in chosen if not c.failed)


def rendered(run: Run) -> str:
    """`render`, in a sentence: where it is or why not. The records are whole; a page not drawn is no failure."""
    try:
        return f"chapter 3 of it: {render(run)}"
    except (RuntimeError, OSError) as err:
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


def _left(todo: list[Cell], records: list[dict] | None = None) -> str:
    """Training time left on this machine, as estimated from its records; what was trained and not kept counts again."""
    records = ledger.records("train") if records is None else records
    costs = [cost.estimate(c.run, records) for c in todo if "train" in c.missing() or _not_kept(c)]
    if not costs:
        return "measurements only"
    known = [c[0] for c in costs if c]
    if len(known) < len(costs):
        return "unknown, no records yet"
    again = sum(map(_not_kept, todo))
    return f"about {cost.duration(sum(known))} of training" + (
        f", {again} of the networks a second time" if again else ""
    )


def _not_kept(cell: Cell) -> bool:
    """Whether its network was trained and its weights are not in zoo/: what it lacks needs another training."""
    return "train" not in cell.missing() and not zoo.files_of(cell.name)


def status(grid: Path = GRID, block: str = "", every: bool = False) -> str:
    """A line a block: cells done, and what the others would cost; for one `block`, or `every`, a line a cell too.

    Then what is recorded outside the grid, what is unfinished, and files in results/ that are no records.
    """
    records = {r["name"]: r for r in ledger.records("train")}
    lines, chosen = [], cells(grid, block)
    for name, group in itertools.groupby(chosen, key=lambda c: c.block):
        part = list(group)
        failed, todo = [c for c in part if c.failed], [c for c in part if c.missing() and not c.failed]
        text = f"{name}: {len(part) - len(failed) - len(todo)} of {len(part)} cells done"
        text += f", {len(failed)} failed" if failed else ""
        text += f"; left: {_left(todo, list(records.values()))}" if todo else ""
        for dataset in sorted({c.run.dataset for c in todo if not data.available(c.run.dataset)}):
            text += f"; data absent: python -m snnpaper fetch {dataset}"
        lines.append(text)
        if every or block:
            lines += [*("  " + _line(cell, records) for cell in part), ""]
    listed = {c.name for c in cells(grid)}
    outside = [r for name, r in records.items() if name not in listed]
    if every and outside:
        lines += ["", "outside the grid:"] + [f"  {_done(r)}" for r in outside]
    elif outside and not block:
        lines.append(f"outside the grid: {len(outside)} trained")
    courses = {c.run.course.name: c.name for c in cells(grid)}
    unfinished = sorted(courses.get(f.stem, f.stem) for f in (home() / "runs").glob("*.pt"))
    lines += [f"unfinished: {name}; the same command goes on" for name in unfinished]
    lines += [f"no record, and not read: {f.relative_to(home())}" for f in ledger.strangers()]
    if not (every or block):
        lines.append("status --all, or --block NAME, has a line and a command a cell")
    return "\n".join(lines).strip()


def _line(cell: Cell, records: dict[str, dict]) -> str:
    if cell.failed:
        return f"{cell.name:46} {cell.run.scale:8} failed: {ledger.read('failed', cell.name)['results']['reason']}"
    missing = cell.missing()
    head = _done(records[cell.name]) if cell.name in records else f"{cell.name:46} {cell.run.scale:8} missing"
    if not missing:
        return head
    if "train" in missing:
        guess = cost.estimate(cell.run, list(records.values()))
        head += f"; about {cost.duration(guess[0])} ({guess[1]})" if guess else "; cost unknown"
    else:
        head += f"; lacks {', '.join(missing)}" + ("; its weights are not kept" if _not_kept(cell) else "")
    absent = "" if data.available(cell.run.dataset) else f"; data absent: python -m snnpaper fetch {cell.run.dataset}"
    elsewhere = "SNNPAPER_HOME=FOLDER " if _not_kept(cell) else ""  # beside its record it is not trained again
    return f"{head}{absent}\n      {elsewhere}{cell.command}"


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
