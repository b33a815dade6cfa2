"""From a run to its records: train, round, keep, attack, measure; each stage once, each its own record."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .. import ledger, sparsity, zoo
from ..attacks.standard import Attack, robust
from ..config import Run, home
from ..nets import data
from ..nets.coded import CodedNet, correct
from ..nets.data import Images
from ..nets.precision import differing_spikes
from ..train import Diverged, OutOfTime, Trainer, drawn_from, train, write_whole

STAGES = ("train", "robustness", "sparsity")
ATTACKED_IMAGES = 1_000
_TRAIN_CHECK = 5_000  # training images on which accuracy is measured again in eval mode
_SPARSITY_IMAGES = {"activation": 256, "weight": 32}
# FGSM and PGD-7 at the code's eps and at the paper's, in both spaces; and the published protocol by name.
BATTERY = tuple(
    Attack(space=space, method=method, eps=eps / 255, protocol=protocol)
    for space, protocol in (("pixel", "sound"), ("spike", "sound"), ("spike", "published"))
    for eps in (6, 8)
    for method in ("fgsm", "pgd")
)
_PUBLISHED_BATCH = 16


def missing(run: Run) -> list[str]:
    """The kinds of record this run lacks."""
    return [kind for kind in STAGES if not ledger.path(kind, run.name).exists()]


def run_all(
    run: Run,
    device: str = "cpu",
    progress: bool = True,
    engine: str = "fast",
    deadline: float = math.inf,
) -> None:
    """Every stage of a run that the ledger does not hold yet.

    Raises train.OutOfTime once `deadline` (on the clock of time.monotonic) has passed; what was done until
    then is kept, and the same call goes on from there.
    """
    coded = train_stage(run, device, progress, engine, deadline)
    test = data.load(run.dataset)["test"].to(device)
    robustness_stage(run, coded, test, progress, deadline)
    if time.monotonic() > deadline:
        raise OutOfTime(f"{run.name}: stopped before its gradients were measured")
    sparsity_stage(run, coded, test)


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
    Raises train.Diverged when it has no finite loss, now or by an earlier "failed" record.
    """
    if ledger.path("train", run.name).exists():
        return zoo.load(run.name, device)[1]
    if ledger.path("failed", run.name).exists():
        raise Diverged(f"{ledger.read('failed', run.name)['results']['reason']} (results/failed/{run.name}.json)", 0)
    splits = data.load(run.dataset)
    try:
        done = train(run, splits, device, progress=progress, engine=engine, deadline=deadline)
    except Diverged as err:
        _record_failure(run, err)
        raise
    coded = record_training(done, splits, engine=engine)
    if not goes_on:
        done.forget()
    return coded


def _record_failure(run: Run, err: Diverged) -> None:
    ledger.append("failed", run, {"reason": str(err)}, err.seconds)


def train_together(runs: Sequence[Run], device: str, deadline: float = math.inf) -> None:
    """Train several runs of one data set at once, a step of each in turn, each on a CUDA stream of its own.

    One such network is too small to fill a GPU; on a CPU nothing is gained. Each record's time is its share
    of the host's time, and says with how many it was trained. Raises train.OutOfTime as `run_all` does, and
    ValueError for runs of several data sets or with rate coding, which draws from a device's one random stream.
    """
    if len({r.dataset for r in runs}) > 1 or any(r.coding == "rate" for r in runs):
        raise ValueError(f"allowed together: one data set, no rate coding; got {', '.join(r.name for r in runs)}")
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
                _record_failure(pair[0].run, err)
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
    if run.precision == "bf16":
        few = coded.encode(splits["validation"].first(64).to(done.sums.device).x)
        results["differing_spikes"] = differing_spikes(coded.net, few)
    zoo.save(run, coded.net)
    how |= {"live_sha256": zoo.sha256(coded.net), "data_sha256": {k: v.sha256 for k, v in splits.items()}}
    ledger.append("train", run, results, done.seconds, **how)
    zoo.card(run)
    return coded


def robustness_stage(
    run: Run,
    coded: CodedNet,
    test: Images,
    progress: bool = True,
    deadline: float = math.inf,
) -> None:
    """Attack the first 1,000 test images with every attack of BATTERY; one record.

    Each finished attack is kept in runs/<name>.attacks.json until the record is written, so that a stop
    repeats at most one.
    """
    if ledger.path("robustness", run.name).exists():
        return
    images, partial = test.first(ATTACKED_IMAGES), home() / "runs" / f"{run.name}.attacks.json"
    origin = zoo.origin(coded, images)
    kept = json.loads(partial.read_text()) if partial.exists() else {}
    if kept.get("origin") != origin:
        kept = {"origin": origin, "rows": [], "seconds": 0.0}
    for attack in tqdm(BATTERY, disable=not progress, desc="attacks"):
        if any(attack.to_dict().items() <= row.items() for row in kept["rows"]):
            continue
        if time.monotonic() > deadline:
            raise OutOfTime(f"{run.name}: stopped after {len(kept['rows'])} of {len(BATTERY)} attacks")
        began = time.monotonic()
        kept["rows"].append(_attacked(coded, images, attack))
        kept["seconds"] += time.monotonic() - began
        write_whole(partial, json.dumps(kept))
    results = robustness(run, coded, images, []) | {"attacks": kept["rows"]}
    ledger.append("robustness", run, results, kept["seconds"], **origin)
    partial.unlink(missing_ok=True)


def robustness(run: Run, coded: CodedNet, images: Images, attacks: Sequence[Attack], progress: bool = False) -> dict:
    """Which images are classified correctly, clean and under each attack, with the accuracies."""
    clean = _clean(run, coded, images)
    rows = [_attacked(coded, images, attack) for attack in tqdm(attacks, disable=not progress, desc="attacks")]
    head = {"n": len(images), "clean_accuracy": clean.float().mean().item(), "clean_correct": ledger.pack(clean)}
    return head | {"attacks": rows}


def _clean(run: Run, coded: CodedNet, images: Images) -> Tensor:
    """Which images are classified correctly; rate coding draws its spikes from the run's seed."""
    with drawn_from(run.seed):
        return correct(coded, images)


def _attacked(coded: CodedNet, images: Images, attack: Attack) -> dict:
    hits = robust(coded, images, attack, _PUBLISHED_BATCH if attack.protocol == "published" else 50)
    return attack.to_dict() | {"accuracy": hits.float().mean().item(), "correct": ledger.pack(hits)}


def sparsity_stage(run: Run, coded: CodedNet, test: Images) -> None:
    """Measure the gradients of the first test images in eval and in train mode; one record."""
    if ledger.path("sparsity", run.name).exists():
        return
    began = time.monotonic()
    results: dict[str, Any] = {}
    for kind, measure in (("activation", sparsity.activation_gradients), ("weight", sparsity.weight_gradients)):
        images = test.first(_SPARSITY_IMAGES[kind])
        results[f"{kind}_n"] = len(images)
        for mode in ("eval", "train"):
            with drawn_from(run.seed):
                results[f"{kind}_{mode}"] = measure(coded, images, training=mode == "train")
    used = test.first(max(_SPARSITY_IMAGES.values()))
    ledger.append("sparsity", run, results, time.monotonic() - began, **zoo.origin(coded, used))
