"""What the published code's habits change, one at a time: one record of kind "deviations" per network.

python -m snnpaper.deviations RUN_NAME ...      (networks of zoo/ by name)

The published protocol attacks in train mode and keeps the BatchNorm statistics of the attacked batches. A
"robustness" record has both ends (sound, published); this one has the step between: gradients in train
mode, accuracy with the statistics of training.
"""

from __future__ import annotations

import argparse
import copy
import time

import torch
from torch import Tensor, nn

from . import data, ledger, zoo
from .attacks.standard import Attack, threat
from .config import Run
from .data import Images
from .experiment import ATTACKED_IMAGES
from .pixel import SpikeModel, correct

EPS = 8 / 255
_BATCH = 16  # as published: in train mode the batch is part of the attack


def measure(net: nn.Module, run: Run, images: Images) -> dict:
    """Which images survive train-mode FGSM and PGD-7 under the network's own statistics; and, for average
    pooling, which are classified correctly when the pool treats its padding the other way."""
    rows = []
    for method in ("fgsm", "pgd"):
        hits = train_mode_attack(net, run, images, Attack(space="spike", method=method, eps=EPS, protocol="published"))
        rows.append({"method": method, "accuracy": hits.float().mean().item(), "correct": ledger.pack(hits)})
    out = {"n": len(images), "eps": EPS, "train mode": rows}
    if run.pool == "avg":
        other = copy.deepcopy(net)
        other.maxpool.count_include_pad = not run.count_include_pad
        hits = correct(other, images.x, images.y, run.coding, run.T)
        out |= {"other_padding_accuracy": hits.float().mean().item(), "other_padding_correct": ledger.pack(hits)}
    return out


def train_mode_attack(net: nn.Module, run: Run, images: Images, attack: Attack, seed: int = 0) -> Tensor:
    """Bool [N]: still correct on `net` in eval mode, after an attack that saw a copy of it in train mode.

    Raises ValueError for an attack by another protocol than the published one.
    """
    if attack.protocol != "published":
        raise ValueError(f"protocol is {attack.protocol!r}; allowed: published, which attacks in train mode")
    attacked, own, hits = copy.deepcopy(net), SpikeModel(net.eval(), run.T), []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for i in range(0, len(images), _BATCH):
            y = images.y[i : i + _BATCH]
            model, clean = threat(attacked, run, images.x[i : i + _BATCH], attack)
            adversarial = attack.on(model)(clean, y)
            with torch.no_grad():
                hits.append(own(adversarial).argmax(1) == y)
    return torch.cat(hits).cpu()


def record(name: str) -> None:
    """Measure a network of zoo/ on the images of its robustness record and append the record."""
    run, net = zoo.load(name)
    images, began = data.load(run.dataset)["test"].first(ATTACKED_IMAGES), time.monotonic()
    results = measure(net, run, images)
    origin = {"weights_sha256": zoo.sha256(net), "data_sha256": images.sha256}
    ledger.append("deviations", run, results, time.monotonic() - began, **origin)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m snnpaper.deviations", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="RUN_NAME")
    names = parser.parse_args(argv).names
    ledger.provenance()  # before anything on disk can change under a long run
    for name in names:
        record(name)


if __name__ == "__main__":
    main()
