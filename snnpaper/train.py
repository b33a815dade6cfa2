"""One training loop: Adam and cross-entropy through time, resumable at any step, exactly.

A checkpoint holds all that the next step depends on; order, flips and code noise follow from
(seed, epoch, step). A run that was killed and repeated therefore ends where an undisturbed one does.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from .config import Run, home
from .data import Images, epoch_batches
from .models import build
from .pixel import correct, encoded_logits

_SAVE_EVERY = 60.0  # seconds between checkpoints


class Diverged(RuntimeError):
    """The loss is no longer a number."""


@dataclass
class Training:
    """A trained network and how it got there; `curves` has one row per epoch."""

    net: nn.Module
    curves: list[dict] = field(default_factory=list)
    seconds: float = 0.0


def train(
    run: Run,
    splits: dict[str, Images],
    device: str | torch.device = "cpu",
    checkpoint: bool = True,
    progress: bool = True,
) -> Training:
    """Train the network of `run` on splits["train"]; the last epoch's weights are the result.

    Each epoch adds a row {epoch, loss, train_accuracy, validation_accuracy}; train accuracy is measured
    on the batches as they are learnt from. The test split is not looked at. With `checkpoint`, the state
    goes to runs/<name>.pt under the project's folder about once a minute, and a repeated call goes on
    from there. Raises Diverged when the loss stops being finite.
    """
    images = splits["train"].first(run.train_images).to(device)
    validation = splits["validation"].to(device)
    net = build(run).to(device).train()
    optimiser = torch.optim.Adam(
        net.parameters(), lr=run.lr, betas=(0.9, 0.999), weight_decay=run.weight_decay, fused=True
    )
    steps = len(images) // run.batch_size
    if steps == 0:
        raise ValueError(f"batch_size is {run.batch_size}; allowed: at most {len(images)}, the training images")
    done, path = Training(net), home() / "runs" / f"{run.name}.pt"
    epoch, step, sums = 0, 0, torch.zeros(2, device=device)
    if checkpoint and path.exists():
        epoch, step, sums = _restore(path, done, optimiser, device)
    began, saved = time.monotonic() - done.seconds, time.monotonic()
    bar = tqdm(total=run.epochs * steps, initial=epoch * steps + step, disable=not progress, desc=run.name)
    with bar, torch.random.fork_rng():  # the caller's random stream stays as it was
        while epoch < run.epochs:
            batches = epoch_batches(images, run.batch_size, run.dataset != "digits", run.seed, epoch)
            for i, (x, y) in enumerate(batches):
                if i < step:
                    continue
                torch.manual_seed((run.seed * 1009 + epoch) * 1_000_003 + i)  # the stream rate coding draws from
                sums += _step(net, optimiser, run, x, y)
                step = i + 1
                bar.update()
                if checkpoint and time.monotonic() - saved > _SAVE_EVERY:
                    done.seconds, saved = time.monotonic() - began, time.monotonic()
                    _save(path, done, optimiser, epoch, step, sums)
            done.curves.append(_row(run, net, validation, epoch, sums / (steps * run.batch_size)))
            epoch, step = epoch + 1, 0
            sums = torch.zeros_like(sums)
            done.seconds = time.monotonic() - began
            if checkpoint:
                _save(path, done, optimiser, epoch, step, sums)
    net.eval()
    return done


def _step(net: nn.Module, optimiser: torch.optim.Optimizer, run: Run, x: Tensor, y: Tensor) -> Tensor:
    """One update; returns [summed loss, number correct] without waiting for the device."""
    logits = encoded_logits(net, x, run.coding, run.T)
    loss = F.cross_entropy(logits, y)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return torch.stack([loss.detach() * len(y), (logits.argmax(1) == y).sum()])


def _row(run: Run, net: nn.Module, validation: Images, epoch: int, means: Tensor) -> dict:
    loss, accuracy = means.tolist()
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise Diverged(f"{run.name}: the loss is {loss} in epoch {epoch + 1}; try a smaller lr than {run.lr}")
    held = correct(net, validation.x, validation.y, run.coding, run.T).float().mean().item()
    return {"epoch": epoch + 1, "loss": loss, "train_accuracy": accuracy, "validation_accuracy": held}


def _save(path: Path, done: Training, optimiser, epoch: int, step: int, sums: Tensor) -> None:
    """Write the checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "net": done.net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": (epoch, step, sums, done.curves, done.seconds),
    }
    partial = path.with_suffix(f".{os.getpid()}.part")
    torch.save(state, partial)
    os.replace(partial, path)


def _restore(path: Path, done: Training, optimiser, device):
    state = torch.load(path, map_location=device, weights_only=True)
    done.net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    epoch, step, sums, done.curves, done.seconds = state["progress"]
    return epoch, step, sums
