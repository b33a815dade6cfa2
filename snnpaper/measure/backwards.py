"""Whose backward pass fools a network.

The forward pass is the network's. An attacker is free to send the gradient through the pool, or through the neurons,
in another way than training did, so every image is attacked through each way apart; its worst case is the least radius
over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..attacks import spiking_ensemble
from ..attacks.ensemble import predictions, step
from ..attacks.gradients import Backward, backward
from ..attacks.levels import level_search
from ..attacks.pgd import pgd_any_iterate
from ..attacks.sapgd import sapgd
from ..nets import pools
from ..nets.coded import CodedNet, Threat
from ..nets.data import Images
from .curve import gradients, least, spread

Withstand = Callable[[Tensor, float], Tensor]  # places among the attacked images, radius in 1/255 -> which stand

PASSES = ("max", "ties", "silent", "avg")  # gradients of the pool, entries of nets.pools.TABLE


def backwards(
    coded: CodedNet,
    images: Images,
    radii: Sequence[float],
    levels: Sequence[int],
    steps: int,
    passes: Sequence[str] = PASSES,
) -> dict:
    """`through` the network's own pool's gradient and each of `passes`, level search in pixel space, `curve.gradients`.

    Level search goes through max, average and its own. Raises ValueError for an unknown pass and for a network without
    a pool.
    """
    own = own_pass(coded)
    choices = [({"backward": own}, Backward())]
    choices += [({"backward": name}, Backward(pool=name)) for name in passes if name != own]
    found, clean = through(coded, images, choices, radii, steps)
    x, y = images.x[clean], images.y[clean]
    search = {"space": "pixel", "algorithm": "level search", "iterate": "any", "steps": steps, "surrogate": None}
    for name in dict.fromkeys((own, "max", "avg")):
        with backward(coded, Backward() if name == own else Backward(pool=name)):
            first = least(len(x), levels, by_levels(coded, x, y, steps))
            found.append(search | {"backward": name} | _row(first, levels, clean))
    return {"n": len(images), "own": own, "attacks": found, "gradient": gradients(coded, images)}


def sharpness(coded: CodedNet, images: Images, radii: Sequence[float], alphas: Sequence[float], steps: int) -> dict:
    """`through` the network's own surrogate, and the paper's, each with every sharpness; and `curve.gradients`.

    "attacks" names surrogate and alpha. Raises ValueError for a network without spiking neurons.
    """
    neurons = spiking_ensemble.own(coded)
    if neurons["surrogate"] is None:
        raise ValueError("the network has no spiking neurons whose surrogate could be chosen")
    pairs: list[tuple[Any, Any]] = [(neurons["surrogate"], neurons["alpha"])]
    pairs += [(name, alpha) for name in (neurons["surrogate"], "atan") for alpha in alphas]
    choices = [({"surrogate": name, "alpha": a}, Backward(name, a)) for name, a in dict.fromkeys(pairs)]
    found, _ = through(coded, images, choices, radii, steps)
    found[-1]["alpha"] = None  # ASSG has one for every neuron and step
    return {"n": len(images), "own": neurons, "attacks": found, "gradient": gradients(coded, images)}


def through(
    coded: CodedNet, images: Images, choices: Sequence[tuple[dict, Backward]], radii: Sequence[float], steps: int
) -> tuple[list[dict], Tensor]:
    """The least radius that fools each image (`halving`) in spike space, by backward pass; and which images are right.

    PGD, any iterate, through each of `choices`, beginning with the network's own; at the middle radius SA-PGD with
    ASSG on the images that all of these leave (the others have -2). There is one entry each, with the words that come
    with the choice and all that decides it; `surrogate` None is the network's own.
    """
    spike = coded.threat("spike")
    clean = predictions(spike, spike.inputs(images.x)) == images.y
    x, y = images.x[clean], images.y[clean]
    pgd = {"space": "spike", "algorithm": "PGD", "iterate": "any", "steps": steps, "surrogate": None}
    found = []
    for words, choice in choices:
        with backward(coded, choice):
            first = halving(len(x), radii, by_pgd(spike, x, y, steps))
        found.append(pgd | words | _row(first, radii, clean))
    middle = len(radii) // 2
    stand = torch.tensor([min(places) > middle for places in zip(*(_places(a) for a in found), strict=True)])
    inputs, labels = spike.inputs(images.x[stand]), images.y[stand]

    def by_sapgd(i: Tensor, k: float) -> Tensor:
        return predictions(spike, sapgd(spike, inputs[i], labels[i], k / 255, steps)) == labels[i]

    assg = pgd | choices[0][0] | {"algorithm": "SA-PGD", "surrogate": "ASSG"}
    with backward(coded, Backward(adaptive=True)):
        one = radii[middle : middle + 1]
        found.append(assg | _row(least(len(labels), one, by_sapgd), one, stand))
    return found, clean


def halving(n: int, radii: Sequence[float], withstand: Withstand) -> Tensor:
    """As `curve.least`, beginning in the middle: what stands within a radius is taken to stand within smaller ones too.

    Each of n is attacked at radii[len(radii) // 2], whatever comes of it.
    """
    low = torch.zeros(n, dtype=torch.long)  # the place looked for is in low..high
    high = torch.full_like(low, len(radii))
    while (left := low < high).any():
        middle = (low + high) // 2
        for index in middle[left].unique().tolist():
            i = (left & (middle == index)).nonzero()[:, 0]
            robust = withstand(i, radii[index]).cpu()
            low[i[robust]], high[i[~robust]] = index + 1, index
    return torch.where(low == len(radii), -1, low)


def by_pgd(model: Threat, x: Tensor, y: Tensor, steps: int) -> Withstand:
    """PGD, any iterate, on uint8 images x [N,C,H,W] in the threat model's own space."""
    inputs = model.inputs(x)
    return lambda i, k: pgd_any_iterate(model, inputs[i], y[i], k / 255, step(k / 255, steps), steps)[0]


def by_levels(coded: CodedNet, x: Tensor, y: Tensor, steps: int) -> Withstand:
    """Level search, as `by_pgd`; radii are whole grey levels."""
    return lambda i, k: predictions(coded, level_search(coded, x[i], y[i], round(k), steps)) == y[i]


def _row(first: Tensor, radii: Sequence[float], attacked: Tensor) -> dict:
    return {"radii": list(radii), "first": spread(first, attacked)}


def _places(attack: dict) -> list[int]:
    """Of each image the place of its least radius; beyond the last where none fools, -2 where it was wrong."""
    return [len(attack["radii"]) if first == -1 else first for first in attack["first"]]


def own_pass(coded: CodedNet) -> str:
    """The name of the entry whose gradient the network's pool has; raises ValueError for a network without a pool."""
    for module in coded.net.modules():
        if name := pools.gradient_of(module):
            return name
    raise ValueError("the network has no pool whose backward pass could be chosen")
