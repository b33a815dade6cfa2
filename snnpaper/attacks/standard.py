"""FGSM and PGD as published (torchattacks), in two threat spaces and under two protocols.

Threat spaces: "pixel" perturbs the image in [0,1], which is then quantised and coded; "spike" perturbs
the coded tensor itself, as the published code does. Their accuracies are different quantities.

Protocols: EVAL attacks the network in eval mode, the function that is then measured. TRAIN attacks it in
train mode, so BatchNorm adapts to the attacked test batches, as the published code does.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torchattacks
from torch import Tensor, nn

from ..nets.coded import SPACES, CodedNet, evaluated
from ..nets.coding import BPDA, BPDA_SURROGATES
from ..nets.data import Images
from .settings import Settings

EVAL, TRAIN = "eval mode", "train mode (published)"
_CHOICES = {
    "space": SPACES,
    "algorithm": ("FGSM", "PGD"),
    "protocol": (EVAL, TRAIN),
    "bpda": BPDA_SURROGATES,
}


@dataclass(frozen=True)
class Attack:
    """One attack. `eps` and `step_size` are L-infinity distances on the [0,1] scale.

    The defaults are the paper's: eps 8/255, step 0.01, 7 steps, random start, last iterate. `bpda` is the
    surrogate for the code's derivative and matters in pixel space only. Raises ValueError naming what is allowed.
    """

    space: str = "pixel"
    algorithm: str = "PGD"
    eps: float = 8 / 255
    step_size: float = 0.01
    steps: int = 7
    protocol: str = EVAL
    bpda: str = BPDA

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        numbers = all(isinstance(v, int | float) for v in (self.eps, self.step_size)) and isinstance(self.steps, int)
        if not (numbers and 0 <= self.eps <= 1 and self.step_size > 0 and self.steps >= 1):
            raise ValueError(f"allowed: 0 <= eps <= 1, step_size > 0, steps >= 1; got {self}")
        if self.protocol == TRAIN and self.space != "spike":
            raise ValueError("the published protocol, in train mode, attacks the coded tensor; allowed space: spike")

    @property
    def settings(self) -> Settings:
        """The same as every other attack is described; FGSM is one step of the radius."""
        single = self.algorithm == "FGSM"
        return Settings(
            self.algorithm, self.space, 1 if single else self.steps, step_size=self.eps if single else self.step_size,
            bpda=self.bpda if self.space == "pixel" else None, iterate="last",
        )  # fmt: skip

    def to_dict(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """As a record has it; `own` is the backward pass of the attacked network (`spiking_ensemble.own`)."""
        return self.settings.of_network(own) | {"eps": self.eps, "protocol": self.protocol}

    def on(self, model: nn.Module) -> torchattacks.attack.Attack:
        """The torchattacks object that runs this attack on `model`."""
        if self.algorithm == "FGSM":
            attack = torchattacks.FGSM(model, eps=self.eps)
        else:
            attack = torchattacks.PGD(model, eps=self.eps, alpha=self.step_size, steps=self.steps, random_start=True)
        attack.set_model_training_mode(*[self.protocol == TRAIN] * 2)
        return attack


def robust(coded: CodedNet, images: Images, attack: Attack, batch_size: int = 50, seed: int = 0) -> Tensor:
    """Which images are still classified correctly under one attack: bool [N] on the CPU.

    The whole batch is attacked and the last iterate counts, as published. The random start follows
    `seed`; the caller's random stream and the network, its mode included, stay as they were. Under the
    published protocol the statistics BatchNorm gathers on one attacked batch stay for the next, on a copy of
    the network; use its batch size of 16. Raises ValueError for images that are not uint8 and for labels that are no
    class of the network.
    """
    if len(images) and not 0 <= images.y.min() <= images.y.max() < coded.classes:
        raise ValueError(f"labels are {images.y.min()} to {images.y.max()}; allowed: 0 to {coded.classes - 1}")
    attacked, hits = copy.deepcopy(coded) if attack.protocol == TRAIN else coded, []
    with torch.random.fork_rng(), evaluated(attacked):
        torch.manual_seed(seed)
        model = attacked.threat(attack.space, attack.bpda)
        for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
            adversarial = attack.on(model)(model.inputs(x), y)
            model.eval()
            with torch.no_grad():
                hits.append(model(adversarial).argmax(1) == y)
    return torch.cat(hits).cpu()
