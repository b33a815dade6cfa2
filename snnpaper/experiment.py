"""From a run to its records: train, round, keep, attack, measure; each stage once."""

from __future__ import annotations

import time

import torch
from torch import nn

from . import data, ledger, zoo
from .config import Run
from .pixel import correct
from .train import train

_TRAIN_CHECK = 5_000  # training images on which accuracy is measured again in eval mode


def train_stage(run: Run, device: str = "cpu", progress: bool = True) -> nn.Module:
    """Train the network of `run`, or take it from zoo/ when its record exists; returns it in eval mode.

    The network is rounded to 16 bits first and only then measured, so the record speaks of the weights
    that are kept.
    """
    if ledger.path("train", run.name).exists():
        return zoo.load(run.name, device)[1]
    ledger.provenance()  # the code version is the one in memory now
    splits = data.load(run.dataset)
    done = train(run, splits, device, progress=progress)
    net = zoo.round_(done.net)
    hits = {}
    for split, images in splits.items():
        part = images.first(_TRAIN_CHECK if split == "train" else 0).to(device)
        hits[split] = correct(net, part.x, part.y, run.coding, run.T)
    results = {f"{split}_accuracy": h.float().mean().item() for split, h in hits.items()}
    results |= {f"{split}_n": len(h) for split, h in hits.items()}
    results |= {"test_correct": ledger.pack(hits["test"]), "curves": done.curves}
    zoo.save(run, net)
    checksums = {"weights_sha256": zoo.sha256(net), "data_sha256": {k: v.sha256 for k, v in splits.items()}}
    ledger.append("train", run, results, done.seconds, **checksums)
    (ledger.HOME / "runs" / f"{run.name}.pt").unlink(missing_ok=True)
    return net
