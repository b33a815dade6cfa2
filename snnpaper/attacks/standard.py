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

from ..config import Run
from ..nets.coded import PixelModel, SpikeModel
from ..nets.coding import TWINS, encode
from ..nets.data import Images

_CHOICES = {
    "space": ("pixel", "spike"),
    "method": ("fgsm", "pgd"),
    "protocol": ("sound", "published"),
    "twin": TWINS,
}


@dataclass(frozen=True)
class Attack:
    """One attack. `eps` and `alpha` (the step) are L-infinity distances on the [0,1] scale.

    The defaults are the paper's: eps 8/255, step 0.01, 7 steps, random start, last iterate. `twin` is the
    BPDA backward of the code and matters in pixel space only. Raises ValueError naming what is allowed.
    """

    space: str = "pixel"
    method: str = "pgd"
    eps: float = 8 / 255
    alpha: float = 0.01
    steps: int = 7
    protocol: str = "sound"
    twin: str = "weighted"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        if not (0 <= self.eps <= 1 and self.alpha > 0 and self.steps >= 1):
            raise ValueError(f"allowed: 0 <= eps <= 1, alpha > 0, steps >= 1; got {self}")
        if self.protocol == "published" and self.space != "spike":
            raise ValueError("the published protocol attacks the coded tensor; allowed space: spike")

    def to_dict(self) -> dict:
        return asdict(self)

    def on(self, model: nn.Module) -> torchattacks.attack.Attack:
        """The torchattacks object that runs this attack on `model`."""
        if self.method == "fgsm":
            attack = torchattacks.FGSM(model, eps=self.eps)
        else:
            attack = torchattacks.PGD(model, eps=self.eps, alpha=self.alpha, steps=self.steps, random_start=True)
        attack.set_model_training_mode(*[self.protocol == "published"] * 2)
        return attack


def threat(net: nn.Module, run: Run, x: Tensor, attack: Attack) -> tuple[nn.Module, Tensor]:
    """The attacked function and its input in [0,1] for uint8 images [N,C,H,W], in the attack's space."""
    if attack.space == "pixel":
        return PixelModel(net, run.coding, run.T, attack.twin), x.float() / 255
    return SpikeModel(net, run.T), SpikeModel.fold(encode(x, run.coding, run.T))


def robust(net: nn.Module, run: Run, images: Images, attack: Attack, batch_size: int = 50, seed: int = 0) -> Tensor:
    """Which images are still classified correctly under one attack: bool [N] on the CPU.

    The whole batch is attacked and the last iterate counts, as published. The random start follows
    `seed`; the caller's random stream and the network stay as they were. Under the published protocol
    the statistics BatchNorm gathers on one attacked batch stay for the next, on a copy of the network;
    use its batch size of 16.
    """
    net = copy.deepcopy(net) if attack.protocol == "published" else net
    hits = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for i in range(0, len(images), batch_size):
            y = images.y[i : i + batch_size]
            model, clean = threat(net, run, images.x[i : i + batch_size], attack)
            adversarial = attack.on(model.eval())(clean, y)
            model.eval()
            with torch.no_grad():
                hits.append(model(adversarial).argmax(1) == y)
    return torch.cat(hits).cpu()
