"""What every cell of the grid gets: FGSM and PGD-7 as published, and how much of the gradients is zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from .. import ledger, sparsity
from ..attacks.ensemble import Keep
from ..attacks.spiking_ensemble import own
from ..attacks.standard import EVAL, TRAIN, Attack, robust
from ..bars import bar
from ..nets.coded import CodedNet, correct
from ..nets.data import Images
from .kept import at_once

TRAIN_BATCH = 16  # as published: in train mode the batch is part of the attack


def battery(radii: Sequence[float]) -> list[Attack]:
    """FGSM and PGD-7 at these radii (1/255) in both spaces, and in spike space also in train mode, as published."""
    return [
        Attack(space=space, algorithm=algorithm, eps=k / 255, protocol=protocol)
        for space, protocol in (("pixel", EVAL), ("spike", EVAL), ("spike", TRAIN))
        for k in radii
        for algorithm in ("FGSM", "PGD")
    ]


def robustness(
    coded: CodedNet, images: Images, radii: Sequence[float], train_batch: int, keep: Keep, progress: bool
) -> dict:
    """`attacked` by the whole `battery`."""
    return attacked(coded, images, battery(radii), train_batch, keep, progress)


def attacked(
    coded: CodedNet, images: Images, attacks: Sequence[Attack], train_batch: int = TRAIN_BATCH, keep: Keep = at_once,
    progress: bool = False,
) -> dict:  # fmt: skip
    """Which images are classified correctly, clean and under each attack, with the accuracies."""

    def hits(name: str, work: Callable[[], Tensor]) -> dict[str, Any]:
        found = keep(name, lambda: {"hits": work().cpu()})["hits"]
        return {"accuracy": found.float().mean().item(), "correct": ledger.pack(found)}

    clean, rows = hits("clean", lambda: correct(coded, images)), []
    for a in bar(attacks, disable=not progress, desc="attacks"):
        batch = train_batch if a.protocol == TRAIN else 50
        straight = {"bpda": None} if coded.coding == "frames" else {}  # of events there is no code to pass
        rows.append(a.to_dict(own(coded)) | straight | hits(repr(a), partial(robust, coded, images, a, batch)))
    head = {"n": len(images), "clean_accuracy": clean["accuracy"], "clean_correct": clean["correct"]}
    return head | {"attacks": rows}


def gradients(coded: CodedNet, images: Images, weight_images: int, keep: Keep) -> dict[str, Any]:
    """What is zero in the gradients by activations (all images) and by weights (fewer), in eval and in train mode."""
    out: dict[str, Any] = {}
    for kind, measure, part in (
        ("activation", sparsity.activation_gradients, images),
        ("weight", sparsity.weight_gradients, images.first(weight_images)),
    ):
        out[f"{kind}_n"] = len(part)
        for mode in ("eval", "train"):
            name = f"{kind}_{mode}"
            out[name] = keep(name, partial(measure, coded, part, training=mode == "train"))
    return out
