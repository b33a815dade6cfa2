"""Which BPDA surrogate attacks which code, on digits.

For codes that no recorded network has: small networks are trained in memory, at demo scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torchattacks
from torch import Tensor, nn

from ..attacks.ensemble import library, predictions, step
from ..attacks.levels import level_search
from ..attacks.settings import Settings
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet
from ..nets.coding import BPDA, BPDA_SURROGATES
from ..nets.data import Images

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


def codings(coded: CodedNet, images: Images, eps: float, steps: int, samples: Sequence[int]) -> dict:
    """PGD with each BPDA surrogate (or EOT `samples`, for a random code), and level search, on one network.

    Of a random code the accuracy is a mean over JUDGED draws; `fixed` says that attack and judge know the draw.
    """
    model, random = coded.threat("pixel"), coded.coding == "rate"
    x, rows = model.inputs(images.x), []

    def add(settings: Settings, judge: nn.Module, adversarial: Tensor, **how: Any) -> None:
        hits = [predictions(judge, adversarial) == images.y for _ in range(JUDGED if random else 1)]
        what = replace(settings, space="pixel").of_network(own(coded)) | {"samples": 1, "fixed": False} | how
        rows.append(what | {"accuracy": torch.stack(hits).float().mean().item()})

    def eot(model: nn.Module, samples: int) -> Tensor:
        attack = library(
            lambda m: torchattacks.EOTPGD(m, eps=eps, alpha=step(eps, steps), steps=steps, eot_iter=samples)
        )
        return attack(model, x, images.y)

    pgd = Settings("PGD", steps=steps, step_size=step(eps, steps), iterate="last")
    add(Settings("clean", loss=None), model, x)
    if random:
        given = replace(pgd, bpda=BPDA)
        for n in samples:
            add(given, model, eot(model, n), samples=n)
        fixed = Fixed(model)
        add(given, fixed, eot(fixed, 1), fixed=True)
    else:
        for bpda in BPDA_SURROGATES:
            add(replace(pgd, bpda=bpda), model, eot(coded.threat("pixel", bpda), 1))
        levels = level_search(coded, images.x, images.y, round(255 * eps), steps)
        add(Settings("level search", steps=steps, iterate="any"), model, levels.float() / 255)
    return {"n": len(images), "eps": eps, "own": own(coded), "attacks": rows}
