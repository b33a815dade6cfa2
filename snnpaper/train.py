"""One training loop: Adam and cross-entropy through time, resumable at any step, exactly.

A checkpoint holds all that the next step depends on; order, flips and code noise follow from
(seed, epoch, step). A run that was killed and repeated therefore ends where an undisturbed one does.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from . import files
from .bars import bar
from .config import Run, home
from .nets import defences
from .nets.coded import CodedNet, correct
from .nets.data import TABLE, Images, epoch_batches
from .nets.graph import Captured

_NONE = defences.find("none")
_SAVE_EVERY = 60.0  # seconds between checkpoints


class Diverged(RuntimeError):
    """The loss is no longer a number, after `seconds` of training."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class OutOfTime(RuntimeError):
    """The time box is used up; what was done is kept, and a repeated call goes on from there."""


class Trainer:
    """The training of one run, a step at a time; afterwards `coded` is the network and `curves` its history.

    `curves` has a row {epoch, loss, train_accuracy, validation_accuracy} an epoch; train accuracy is measured
    on the batches as they are learnt from. The test split is not looked at. With `checkpoint`, the state
    goes to runs/<name of the run's course>.pt under the project's folder, and a new Trainer of the same run,
    or of a longer one, goes on from there; a checkpoint beyond the run's end is left alone. On CUDA the step
    is captured as a graph, unless the engine is "plain".
    """

    def __init__(
        self,
        run: Run,
        splits: dict[str, Images],
        device: str | torch.device = "cpu",
        checkpoint: bool = True,
        engine: str = "fast",
    ) -> None:
        self.run = run
        self.images = splits["train"].first(run.train_images).to(device)
        self.validation = splits["validation"].to(device)
        self.steps = len(self.images) // run.batch_size
        if self.steps == 0:
            raise ValueError(
                f"batch_size is {run.batch_size}; allowed: at most {len(self.images)}, the training images"
            )
        self.coded = CodedNet.of(run, engine).to(device).train()
        self.optimiser = optimiser_of(run, self.coded)
        self.epoch, self.step, self.sums = 0, 0, torch.zeros(2, device=device)
        self.curves: list[dict] = []
        self.seconds, self._saved = 0.0, time.monotonic()
        self._path = checkpoint_of(run) if checkpoint else None
        if self._path:
            size = sum(t.nbytes for t in self.coded.state_dict().values())
            files.check_room(self._path.parent, 7 * size)  # weights and two moments, twice, and zoo/
            if self._path.exists():
                self._restore(self._path)
        self._batches: Iterator | None = None
        self._captured: Captured | None = None
        self._capture = self.images.x.is_cuda and engine == "fast" and run.defence == "none"

    @property
    def finished(self) -> bool:
        return self.epoch == self.run.epochs

    def advance(self) -> None:
        """One step, and the end of the epoch when it was its last. Raises Diverged."""
        began, run = time.monotonic(), self.run
        if self._batches is None:
            batches = epoch_batches(self.images, run.batch_size, TABLE[run.dataset].flips, run.seed, self.epoch)
            self._batches = itertools.islice(batches, self.step, None)
        x, y = next(self._batches)
        # rate coding's spikes and a defence's noise follow from the step, so that a resumed training draws the same
        with (
            drawn_from((run.seed * 1009 + self.epoch) * 1_000_003 + self.step)
            if run.coding == "rate" or run.defence != "none"
            else contextlib.nullcontext()
        ):
            self.sums += self._one(x, y)
            self.step += 1
            if self.step == self.steps:
                self._end_epoch()
        self.seconds += time.monotonic() - began
        if self.step == 0 or time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, if this training keeps one."""
        if not self._path:
            return
        if self.images.x.is_cuda:
            torch.cuda.synchronize(self.images.x.device)  # steps may still run on another stream
        state = {
            "net": self.coded.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": (self.epoch, self.step, self.sums, self.curves, self.seconds),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files.write(self._path, buffer.getvalue())
        self._saved = time.monotonic()

    def forget(self) -> None:
        """Delete the checkpoint: what it led to is recorded."""
        if self._path:
            self._path.unlink(missing_ok=True)

    def _one(self, x: Tensor, y: Tensor) -> Tensor:
        if not self._capture:
            return train_step(self.coded, self.optimiser, x, y, defences.find(self.run.defence))
        if self._captured is None:
            self._captured = captured_step(self.coded, self.optimiser, x, y)
        return self._captured(x, y)

    def _end_epoch(self) -> None:
        loss, accuracy = (self.sums / (self.steps * self.run.batch_size)).tolist()
        if not math.isfinite(loss):
            self.forget()
            lower = f"try a smaller lr than {self.run.lr}"
            raise Diverged(f"{self.run.name}: the loss is {loss} in epoch {self.epoch + 1}; {lower}", self.seconds)
        held = correct(self.coded, self.validation)
        row = {"epoch": self.epoch + 1, "loss": loss, "train_accuracy": accuracy}
        self.curves.append(row | {"validation_accuracy": held.float().mean().item()})
        self.epoch, self.step, self._batches = self.epoch + 1, 0, None
        self.sums = torch.zeros_like(self.sums)

    def _restore(self, path: Path) -> None:
        state = files.load(path, self.images.x.device)
        try:
            epoch, step, *_ = state["progress"]
            if (epoch, step) > (self.run.epochs, 0):  # of a longer training, which this one must not set back
                self._path = None
                return
            self.coded.net.load_state_dict(state["net"])
            self.optimiser.load_state_dict(state["optimiser"])
            for group in self.optimiser.param_groups:  # the checkpoint may be another device's or engine's
                group["capturable"] = self.images.x.is_cuda
            for p, moments in self.optimiser.state.items():
                for name in ("exp_avg", "exp_avg_sq"):
                    moments[name] = torch.empty_like(p).copy_(moments[name].view_as(p))
            self.epoch, self.step, self.sums, self.curves, self.seconds = state["progress"]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as err:
            raise files.damaged(path, err) from err


def checkpoint_of(run: Run) -> Path:
    """Where the training of a run's course keeps its state."""
    return home() / "runs" / f"{run.course.name}.pt"


def train(
    run: Run,
    splits: dict[str, Images],
    device: str | torch.device = "cpu",
    checkpoint: bool = True,
    progress: bool = True,
    engine: str = "fast",
    deadline: float = math.inf,
) -> Trainer:
    """Train the network of `run` on splits["train"]; the last epoch's weights are the result, in eval mode.

    Raises Diverged when the loss stops being finite, OutOfTime (after saving) when `deadline`, on the
    clock of time.monotonic, has passed, RuntimeError for a damaged checkpoint, ValueError for a batch that is larger
    than the training set, and OSError where a checkpoint cannot be kept.
    """
    trainer = Trainer(run, splits, device, checkpoint, engine)
    done = trainer.epoch * trainer.steps + trainer.step
    with bar(total=run.epochs * trainer.steps, initial=done, disable=not progress, desc=run.name) as shown:
        while not trainer.finished:
            if time.monotonic() > deadline:
                trainer.save()
                raise OutOfTime(f"{run.name}: stopped in epoch {trainer.epoch + 1} of {run.epochs}")
            trainer.advance()
            shown.update()
    trainer.coded.eval()
    return trainer


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Random numbers from `seed`; the caller's stream stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def optimiser_of(run: Run, coded: CodedNet) -> torch.optim.Optimizer:
    """Adam with the run's learning rate and (coupled) weight decay."""
    return torch.optim.Adam(
        coded.parameters(), lr=run.lr, betas=(0.9, 0.999), weight_decay=run.weight_decay, fused=True,
        capturable=next(coded.parameters()).is_cuda,
    )  # fmt: skip


def train_step(
    coded: CodedNet, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, defence: defences.Defence = _NONE
) -> Tensor:
    """One update; returns [summed loss, number correct] without waiting for the device."""
    loss, logits = defence.loss(coded, x, y)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return torch.stack([loss.detach() * len(y), (logits.argmax(1) == y).sum()])


def captured_step(coded: CodedNet, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Captured:
    """`train_step` as one CUDA graph, for batches of the shapes of x and y."""

    def state() -> list[Tensor]:
        moments = [t for p in optimiser.state.values() for t in p.values()]
        return [*coded.state_dict().values(), *moments]

    return Captured(lambda x, y: train_step(coded, optimiser, x, y), (x, y), state)
