"""What the published code's habits change, one at a time.

The published protocol attacks in train mode and keeps the BatchNorm statistics of the attacked batches. A
"robustness" record has both ends; this one has the step between: gradients in train mode, accuracy with the
statistics of training.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from .. import ledger
from ..attacks.spiking_ensemble import own
from ..attacks.standard import TRAIN, Attack
from ..nets.coded import CodedNet, correct
from ..nets.data import Images
from .robustness import TRAIN_BATCH


def deviations(coded: CodedNet, images: Images, eps: float) -> dict:
    """Which images survive train-mode FGSM and PGD-7 under the network's own statistics; and, for average
    pooling, which are classified correctly when the pool treats its padding the other way."""
    rows = []
    for algorithm in ("FGSM", "PGD"):
        attack = Attack(space="spike", algorithm=algorithm, eps=eps, protocol=TRAIN)
        hits = train_mode_attack(coded, images, attack)
        rows.append(attack.to_dict(own(coded)) | {"adapted": False} | _answers(hits))
    out = {"n": len(images), "eps": eps, "train mode": rows}
    if isinstance(coded.net.maxpool, torch.nn.AvgPool2d):
        other = copy.deepcopy(coded)
        other.net.maxpool.count_include_pad = not coded.net.maxpool.count_include_pad
        hits = correct(other, images)
        out |= {f"other_padding_{k}": v for k, v in _answers(hits).items()}
    return out


def _answers(hits: Tensor) -> dict[str, float | str]:
    return {"accuracy": hits.float().mean().item(), "correct": ledger.pack(hits.cpu())}


def train_mode_attack(coded: CodedNet, images: Images, attack: Attack, seed: int = 0) -> Tensor:
    """Bool [N]: still correct in eval mode, after an attack that saw a copy of it in train mode.

    Raises ValueError for an attack by another protocol than the published one.
    """
    if attack.protocol != TRAIN:
        raise ValueError(f"protocol is {attack.protocol!r}; allowed: {TRAIN}")
    attacked, own, hits = copy.deepcopy(coded), coded.threat("spike"), []
    model = attacked.threat("spike")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for x, y in zip(images.x.split(TRAIN_BATCH), images.y.split(TRAIN_BATCH), strict=True):
            adversarial = attack.on(model)(model.inputs(x), y)
            with torch.no_grad():
                hits.append(own(adversarial).argmax(1) == y)
    return torch.cat(hits).cpu()
