"""Whose backward pass fools a network: the record "backwards" of a network of zoo/.

The forward pass is the network's. An attacker is free to send the gradient through the pool in another way than
training did, so every image is attacked through each way apart; its worst case is the least radius over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from .. import ledger, zoo
from ..attacks.ensemble import predictions
from ..attacks.gradients import Backward, backward
from ..attacks.sapgd import sapgd
from ..nets import data, pools
from ..nets.coded import CodedNet
from ..nets.data import Images
from .attacks import STEPS, by_levels, by_pgd, gradients, least, least_by_halving

PASSES = ("max", "ties", "silent", "avg")  # gradients of the pool, entries of nets.pools.TABLE
IMAGES = 500
# In 1/255, of spike space. The middle one is where every image is attacked through every pass: there a third of the
# images of both known pools stand.
RADII = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
LEVELS = (1, 2, 4)  # grey levels of pixel space, where nearly every image is fooled at the first


def backwards(
    coded: CodedNet,
    images: Images,
    radii: Sequence[float] = RADII,
    levels: Sequence[int] = LEVELS,
    passes: Sequence[str] = PASSES,
    steps: int = STEPS,
) -> dict:
    """The least radius that fools each image (`attacks.least_by_halving`), by backward pass, and `attacks.gradients`.

    In spike space PGD, any iterate, through the network's own pass and each of `passes`; at the middle radius SA-PGD
    with ASSG on the images that all of these leave (the others have -2); in pixel space level search through max,
    average and its own. "attacks" has one entry each, which says all that decides it; `surrogate` None is the
    network's own. Raises ValueError for an unknown pass and for a network without a pool.
    """
    own = own_pass(coded)
    choices = {own: Backward()} | {name: Backward(pool=name) for name in passes if name != own}
    spike = coded.threat("spike")
    clean = predictions(spike, spike.inputs(images.x)) == images.y
    x, y = images.x[clean], images.y[clean]
    pgd = {"space": "spike", "algorithm": "PGD", "iterate": "any", "steps": steps, "surrogate": None}
    found = []
    for name, choice in choices.items():
        with backward(coded, choice):
            found.append(pgd | {"backward": name} | least_by_halving(clean, radii, by_pgd(spike, x, y, steps)))
    middle = len(radii) // 2
    stand = torch.tensor([min(places) > middle for places in zip(*(_places(a) for a in found), strict=True)])
    inputs, labels = spike.inputs(images.x[stand]), images.y[stand]

    def by_sapgd(i: Tensor, eps: float) -> Tensor:
        return predictions(spike, sapgd(spike, inputs[i], labels[i], eps, steps)) == labels[i]

    assg = pgd | {"algorithm": "SA-PGD", "surrogate": "ASSG", "backward": own}
    with backward(coded, Backward(adaptive=True)):
        found.append(assg | least(stand, radii[middle : middle + 1], by_sapgd))
    search = pgd | {"space": "pixel", "algorithm": "level search"}
    for name in dict.fromkeys((own, "max", "avg")):
        with backward(coded, Backward() if name == own else Backward(pool=name)):
            found.append(search | {"backward": name} | least(clean, levels, by_levels(coded, x, y, steps)))
    return {"n": len(images), "own": own, "attacks": found, "gradient": gradients(coded, images)}


def _places(attack: dict) -> list[int]:
    """Of each image the place of its least radius; beyond the last where none fools, -2 where it was wrong."""
    return [len(attack["radii"]) if first == -1 else first for first in attack["first"]]


def own_pass(coded: CodedNet) -> str:
    """The name of the entry whose gradient the network's pool has; raises ValueError for a network without a pool."""
    for module in coded.net.modules():
        if name := pools.gradient_of(module):
            return name
    raise ValueError("the network has no pool whose backward pass could be chosen")


def record(name: str, **settings) -> None:
    """Make the record of a network of zoo/, unless it exists; `settings` are those of `backwards`."""
    if ledger.path("backwards", name).exists():
        return
    run, coded = zoo.load(name)
    coded.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(IMAGES), time.monotonic()
    results = backwards(coded, images, **settings)
    ledger.append("backwards", run, results, time.monotonic() - began, **zoo.origin(coded, images))
