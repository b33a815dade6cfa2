"""FGSM and PGD as published (torchattacks), in two threat spaces and under two protocols.

Threat spaces: "pixel" perturbs the image in [0,1], which is then quantised and coded; "spike" perturbs
the coded tensor itself, as the published code does. Their accuracies are different quantities.

Protocols: "sound" attacks the network in eval mode, the function that is then measured. "published"
attacks it in train mode, so BatchNorm adapts to the attacked test batches, as the published code does.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import torch
import torchattacks
from torch import Tensor, nn

from ..nets.coded import SPACES, CodedNet, evaluated
from ..nets.coding import BPDA, BPDA_SURROGATES
from ..nets.data import Images

_CHOICES = {
    "space": SPACES,
    "method": ("fgsm", "pgd"),
    "protocol": ("sound", "published"),
    "bpda": BPDA_SURROGATES,
}


@dataclass(frozen=True)
class Attack:
    """One attack. `eps` and `alpha` (the step) are L-infinity distances on the [0,1] scale.

    The defaults are the paper's: eps 8/255, step 0.01, 7 steps, random start, last iterate. `bpda` is the
    surrogate for the code's derivative and matters in pixel space only. Raises ValueError naming what is allowed.
    """

    space: str = "pixel"
    method: str = "pgd"
    eps: float = 8 / 255
    alpha: float = 0.01
    steps: int = 7
    protocol: str = "sound"
    bpda: str = BPDA

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        if not (0 <= self.eps <= 1 and self.alpha > 0 and self.steps >= 1):
            raise ValueError(f"allowed: 0 <= eps <= 1, alpha > 0, steps >= 1; got {self}")
        if self.protocol == "published" and self.space != "spike":
            raise ValueError("the published protocol attacks the coded tensor; allowed space: spike")

    def to_dict(self) -> dict:
        """As records have it, which call the BPDA surrogate "twin"."""
        fields = asdict(self)
        return fields | {"twin": fields.pop("bpda")}

    def on(self, model: nn.Module) -> torchattacks.attack.Attack:
        """The torchattacks object that runs this attack on `model`."""
        if self.method == "fgsm":
            attack = torchattacks.FGSM(model, eps=self.eps)
        else:
            attack = torchattacks.PGD(model, eps=self.eps, alpha=self.alpha, steps=self.steps, random_start=True)
        attack.set_model_training_mode(*[self.protocol == "published"] * 2)
        return attack


def robust(coded: CodedNet, images: Images, attack: Attack, batch_size: int = 50, seed: int = 0) -> Tensor:
    """Which images are still classified correctly under one attack: bool [N] on the CPU.

    The whole batch is attacked and the last iterate counts, as published. The random start follows
    `seed`; the caller's random stream and the network, its mode included, stay as they were. Under the
    published protocol the statistics BatchNorm gathers on one attacked batch stay for the next, on a copy of
    the network; use its batch size of 16. Raises ValueError for images that are not uint8.
    """
    attacked, hits = copy.deepcopy(coded) if attack.protocol == "published" else coded, []
    with torch.random.fork_rng(), evaluated(attacked):
        torch.manual_seed(seed)
        model = attacked.threat(attack.space, attack.bpda)
        for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
            adversarial = attack.on(model)(model.inputs(x), y)
            model.eval()
            with torch.no_grad():
                hits.append(model(adversarial).argmax(1) == y)
    return torch.cat(hits).cpu()
