"""The networks that are measured: from zoo/, before their first step, trained for one record; and those beside them."""

from __future__ import annotations

import torch
from torch import nn

from .. import ledger, zoo
from ..config import Run
from ..nets import data
from ..nets.coded import CodedNet
from ..nets.data import Images
from ..train import train

_WARM = (20, 64)  # batches and their size with which an untrained network's BatchNorm finds its statistics


def warmed(run: Run, train: Images) -> CodedNet:
    """The network of a run before its first step, BatchNorm's statistics taken from training images; eval mode."""
    coded = CodedNet.of(run)
    norms = [m for m in coded.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in norms:
        m.momentum = None  # a plain average over the batches
    count, size = _WARM
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(run.seed)
        for i in range(count):
            coded.train()(train.x[i * size : (i + 1) * size])
    return coded.eval()


def in_memory(run: Run, device: str) -> CodedNet:
    """A network trained and rounded as those of zoo/ are, and not kept."""
    return zoo.round_(train(run, data.load(run.dataset), device, checkpoint=False, progress=False).coded.eval())


NETWORKS = {
    "trained": lambda run, device: zoo.load(run.name, device)[1],
    "untrained": lambda run, device: warmed(run, data.load(run.dataset)["train"]).to(device),
    "in memory": in_memory,
}


def sources_of(run: Run, device: str = "cpu") -> dict[str, CodedNet]:
    """Networks of zoo/ to transfer from: the same run with another seed, and a ReLU twin (of any scale)."""
    found: dict[str, CodedNet] = {}
    for name in (r["name"] for r in ledger.records("train")):
        other = Run.from_dict(ledger.read("train", name)["config"])
        same = other.but(seed=run.seed) == run and other.seed != run.seed
        relu = other.neuron == "ReLU" and run.neuron == "IF" and other.but(
            neuron="IF", seed=run.seed, **{k: getattr(run, k) for k in ("epochs", "batch_size", "train_images")}
        ) == run  # fmt: skip
        for label, fits in (("another seed", same), ("ReLU twin", relu)):
            if fits and label not in found and zoo.files_of(name):
                found[label] = zoo.load(name, device)[1].requires_grad_(False)
    return found
