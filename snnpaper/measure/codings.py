"""python -m snnpaper.measure.codings: which BPDA surrogate attacks which code, on digits; the "codings" records.

For codes that no recorded network has: small networks are trained in memory, at demo scale.
"""

from __future__ import annotations

import time

import torch
import torchattacks
from torch import Tensor, nn

from .. import ledger, zoo
from ..attacks.ensemble import library, predictions, step
from ..attacks.levels import level_search
from ..config import Run
from ..nets import data
from ..nets.coded import CodedNet
from ..nets.coding import BPDA_SURROGATES
from ..nets.data import Images
from ..train import train

CODES = ("phase", "weighted_phase", "latency", "rate", "direct")
SAMPLES = (1, 5, 20)  # of the rate code, in one gradient
EPS, STEPS, IMAGES = 16 / 255, 20, 100
JUDGED = 5  # draws of the rate code over which its accuracy is averaged


class Fixed(nn.Module):
    """The control for a random code: the same draws in every call, as for an attacker who knows them.

    The code is then a staircase in the image; its gradient stays BPDA's.
    """

    def __init__(self, model: nn.Module, seed: int = 0) -> None:
        super().__init__()
        self.model, self.seed = model, seed

    def forward(self, x: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.model(x)


def rows(coded: CodedNet, images: Images) -> list[dict]:
    """PGD-20 with each BPDA surrogate (or EOT sample count), and level search, on one network: {attack, accuracy}."""
    model, random = coded.threat("pixel"), coded.coding == "rate"
    x = model.inputs(images.x)

    def accuracy(judge: nn.Module, adversarial: Tensor) -> float:
        hits = [predictions(judge, adversarial) == images.y for _ in range(JUDGED if random else 1)]
        return torch.stack(hits).float().mean().item()

    def eot(model: nn.Module, samples: int) -> Tensor:
        attack = library(
            lambda m: torchattacks.EOTPGD(m, eps=EPS, alpha=step(EPS, STEPS), steps=STEPS, eot_iter=samples)
        )
        return attack(model, x, images.y)

    found = [{"attack": "clean", "accuracy": accuracy(model, x)}]
    if random:
        found += [{"attack": f"PGD-20, EOT {n}", "accuracy": accuracy(model, eot(model, n))} for n in SAMPLES]
        fixed = Fixed(model)
        return [*found, {"attack": "PGD-20, fixed spikes", "accuracy": accuracy(fixed, eot(fixed, 1))}]
    for bpda in BPDA_SURROGATES:
        attacked = coded.threat("pixel", bpda)
        found.append({"attack": f"PGD-20, {bpda} twin", "accuracy": accuracy(model, eot(attacked, 1))})
    levels = level_search(coded, images.x, images.y, round(255 * EPS), STEPS)
    return [*found, {"attack": "level search, 20 steps", "accuracy": accuracy(model, levels.float() / 255)}]


def record(coding: str) -> None:
    """Train the demo network of one code and append its record, unless it exists."""
    run = Run.make("demo", width=8, coding=coding)
    if ledger.path("codings", run.name).exists():
        return
    splits, began = data.load(run.dataset), time.monotonic()
    coded = zoo.round_(train(run, splits, checkpoint=False, progress=False).coded).requires_grad_(False)
    images = splits["test"].first(IMAGES)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        results = {"n": len(images), "eps": EPS, "attacks": rows(coded, images)}
    ledger.append("codings", run, results, time.monotonic() - began, **zoo.origin(coded, images))


if __name__ == "__main__":
    for code in CODES:
        record(code)
