"""From a run to its records: train, round, keep, then measure; each stage once, each its own record."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import files, ledger, zoo
from ..config import Run, home
from ..nets import data
from ..nets.coded import CodedNet, correct
from ..nets.data import Images
from ..nets.precision import differing_spikes
from ..train import Diverged, OutOfTime, Trainer, checkpoint_of, drawn_from, train
from ..workers import alone, claim
from . import USUAL, defined, make

_TRAIN_CHECK = 5_000  # training images on which accuracy is measured again in eval mode


def missing(run: Run, kinds: Sequence[str] = USUAL) -> list[str]:
    """The records this run lacks: of its training, and of these kinds."""
    return [kind for kind in ("train", *kinds) if not ledger.path(kind, run.name).exists()]


def run_all(
    run: Run,
    device: str = "cpu",
    progress: bool = True,
    engine: str = "fast",
    deadline: float = math.inf,
    kinds: Sequence[str] = USUAL,
) -> None:
    """Train a run and make these kinds of record of it, as far as the ledger does not hold them yet.

    Raises train.OutOfTime once `deadline` (on the clock of time.monotonic) has passed; what was done until
    then is kept, and the same call goes on from there. Raises ValueError before any work for a kind that is not defined
    for the run.
    """
    for kind in kinds:
        defined(kind, run)
    train_stage(run, device, progress, engine, deadline)
    for kind in kinds:
        if time.monotonic() > deadline:
            raise OutOfTime(f"{run.name}: stopped before its {kind} record")
        make(kind, run, device, progress, deadline)


def train_stage(
    run: Run,
    device: str = "cpu",
    progress: bool = True,
    engine: str = "fast",
    deadline: float = math.inf,
    goes_on: bool = False,
) -> CodedNet:
    """Train the network of `run`, or take it from zoo/ when its record exists; returns it in eval mode.

    With `goes_on` the checkpoint of its last step stays, for a longer training of the same course.
    Raises train.Diverged when it has no finite loss, now or by an earlier "failed" record; before any work OSError
    where records cannot be kept (`files.check`) and workers.Busy while another process trains the same course.
    """
    if (found := _recorded(run, device)) is not None:
        return found
    files.check(home())
    with alone(f"{run.course.name}.train"):
        if (found := _recorded(run, device)) is not None:  # by another process meanwhile
            return found
        splits = data.load(run.dataset)
        try:
            done = train(run, splits, device, progress=progress, engine=engine, deadline=deadline)
        except Diverged as err:
            record_failure(run, err)
            raise
        coded = record_training(done, splits, engine=engine)
        if not goes_on:
            done.forget()
        return coded


def _recorded(run: Run, device: str) -> CodedNet | None:
    """The network of a recorded training; raises train.Diverged for one that failed."""
    if ledger.path("train", run.name).exists():
        return zoo.load(run.name, device)[1]
    if ledger.path("failed", run.name).exists():
        raise Diverged(f"{ledger.read('failed', run.name)['results']['reason']} (results/failed/{run.name}.json)", 0)
    return None


def tidy(run: Run) -> None:
    """Put right what a kill left just after a record was written: a missing card, checkpoint, parts, claims."""
    if ledger.path("train", run.name).exists():
        if zoo.files_of(run.name) and not (zoo.folder() / f"{run.name}.md").exists():
            zoo.card(run)
        with claim(f"{run.course.name}.train") as mine:
            if mine and (left := checkpoint_of(run)).exists():
                if tuple(files.load(left)["progress"][:2]) <= (run.epochs, 0):  # else of a longer training
                    left.unlink()
    for parts in (home() / "runs").glob(f"{run.name}.*-*/"):
        kind = parts.name.removeprefix(f"{run.name}.").rpartition("-")[0]
        if ledger.path(kind, run.name).exists():
            shutil.rmtree(parts, ignore_errors=True)
    for name in {run.name, run.course.name}:
        for left in (home() / "runs").glob(f"{name}*.claim"):
            with claim(left.stem):  # takes the file of a killed process away; what another holds stays
                pass


def record_failure(run: Run, err: Diverged) -> None:
    """The record of a training that diverged, which is not tried again."""
    ledger.append("failed", run, {"reason": str(err)}, err.seconds)


def train_together(runs: Sequence[Run], device: str, deadline: float = math.inf) -> None:
    """Train several runs of one data set at once, a step of each in turn, each on a CUDA stream of its own.

    One such network is too small to fill a GPU; on a CPU nothing is gained. Each record's time is its share
    of the host's time, and says with how many it was trained. Raises train.OutOfTime as `run_all` does, and
    ValueError for runs of several data sets or with rate coding, which draws from a device's one random stream.
    """
    if len({r.dataset for r in runs}) > 1 or any(r.coding == "rate" for r in runs):
        raise ValueError(f"allowed together: one data set, no rate coding; got {', '.join(r.name for r in runs)}")
    files.check(home())
    with contextlib.ExitStack() as claims:
        for run in runs:
            claims.enter_context(alone(f"{run.course.name}.train"))
        _train_together(runs, device, deadline)


def _train_together(runs: Sequence[Run], device: str, deadline: float) -> None:
    splits = {k: v.to(device) for k, v in data.load(runs[0].dataset).items()}
    stream = torch.cuda.Stream if device.startswith("cuda") else lambda _: None
    pairs = [(Trainer(run, splits, device), stream(device)) for run in runs]
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)  # what was loaded is there before another stream reads it
    while active := [pair for pair in pairs if not pair[0].finished]:
        for pair in active:
            if time.monotonic() > deadline:
                for t, _ in pairs:
                    t.save()
                raise OutOfTime(f"stopped in the training of {', '.join(t.run.name for t, _ in active)}")
            try:
                with torch.cuda.stream(pair[1]):
                    pair[0].advance()
            except Diverged as err:
                record_failure(pair[0].run, err)
                pairs.remove(pair)
    for trainer, _ in pairs:
        record_training(trainer, splits, together=len(runs))
        trainer.forget()


def record_training(done: Trainer, splits: dict[str, Images], **how) -> CodedNet:
    """Round a finished training's network to 16 bits, measure its accuracies, keep it and record it.

    It is rounded first and only then measured, so the record speaks of the weights that are kept. The
    weights are on disk before the record is: a record never lacks its network.
    """
    run, coded = done.run, zoo.round_(done.coded.eval())
    hits = {}
    for split, images in splits.items():
        part = images.first(run.train_images).first(_TRAIN_CHECK) if split == "train" else images
        hits[split] = _clean(run, coded, part.to(done.sums.device))
    results: dict[str, Any] = {f"{split}_accuracy": h.float().mean().item() for split, h in hits.items()}
    results |= {f"{split}_n": len(h) for split, h in hits.items()}
    results |= {"test_correct": ledger.pack(hits["test"]), "curves": done.curves}
    if run.precision == "bf16" and run.neuron == "IF":  # ReLU has no spikes to move
        few = coded.encode(splits["validation"].first(64).to(done.sums.device).x)
        results["differing_spikes"] = differing_spikes(coded.net, few)
    zoo.save(run, coded.net)
    how |= {"live_sha256": zoo.sha256(coded.net), "data_sha256": {k: v.sha256 for k, v in splits.items()}}
    ledger.append("train", run, results, done.seconds, **how)
    zoo.card(run)
    return coded


def _clean(run: Run, coded: CodedNet, images: Images) -> Tensor:
    """Which images are classified correctly; rate coding draws its spikes from the run's seed."""
    with drawn_from(run.seed):
        return correct(coded, images)
