"""Every attack of `spiking_ensemble.stages` on one network, the checks on some images, and an attacker outside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from .. import ledger
from ..attacks.art import auto_pgd
from ..attacks.ensemble import Keep, predictions, worst_case
from ..attacks.gradients import backward
from ..attacks.spiking_ensemble import choices, name_of, own, stages
from ..auditing.evidence import evidence
from ..nets.coded import CodedNet
from ..nets.coding import BPDA
from ..nets.data import Images

Battery = tuple[str, float, bool]  # space, radius in 1/255, whether every backward pass is tried on every image


def attacks(
    coded: CodedNet, images: Images, batteries: Sequence[Battery], checked: int, outsider_steps: int,
    sources: dict[str, CodedNet], keep: Keep, progress: bool,
) -> dict:  # fmt: skip
    """The whole ensemble in every battery, evidence on the first `checked` images, and the outsider.

    Booleans are packed. "arrays" has how far the worst images of the first battery, in pixel space, are moved (int8).
    Raises ValueError when the first battery is in another space.
    """
    if batteries[0][0] != "pixel":
        raise ValueError(f"the first battery is in {batteries[0][0]} space; allowed: pixel, whose images are kept")
    mine, found = own(coded), []
    for number, battery in enumerate(batteries):
        result, adversarial = _battery(
            coded, images, sources, battery, checked, outsider_steps, keep, progress, not number
        )
        found.append(result)
        if not number:
            grey = (255 * adversarial).round().to(torch.int16) - images.x.to(torch.int16)
    moved = {"difference": grey.to(torch.int8).cpu().numpy()}
    return {
        "n": len(images), "checked": checked, "own": mine, "transfer_from": sorted(sources), "batteries": found,
        "arrays": moved,
    }  # fmt: skip


def _battery(coded, images, sources, battery: Battery, checked, outsider_steps, keep: Keep, progress, first: bool):
    """One battery's results, and the worst input of each image."""
    space, k, sweep = battery
    eps, model, place = k / 255, coded.threat(space, "smoothed"), f"{space} {k}"
    x, y, n = model.inputs(images.x), images.y, checked

    def part(name: str, work):
        return keep(f"{place}: {name}", work)

    found = worst_case(model, x, y, stages(coded, space, eps, sources, sweep), eps, progress, part)
    rows = [
        r["settings"].of_network(own(coded)) | {"whole": r["whole"]}
        | {bits: ledger.pack(r[bits].cpu()) for bits in ("attacked", "correct")}
        for r in found.rows
    ]  # fmt: skip
    left = found.robust.nonzero()[:, 0]

    def outsider(loss: str) -> int:
        if not len(left):
            return 0
        candidates = auto_pgd(eps, coded.classes, loss, outsider_steps)(model, x[left], y[left])
        return int((predictions(model, candidates) != y[left]).sum())

    losses = ("cross_entropy", "difference_logits_ratio")
    fooled = {loss: part(f"outsider {loss}", partial(outsider, loss)) for loss in losses}

    def evident(bpda: str) -> dict:
        return evidence(
            coded.threat(space, bpda), x[:n], y[:n], eps, coded.classes,
            backwards={name_of(c): partial(backward, coded, c) for c in choices(coded)},
            sources={name: source.threat(space, "smoothed") for name, source in sources.items()},
            stored=(found.adversarial[:n], found.robust[:n]),
        ).to_dict()  # fmt: skip

    surrogates = (("weighted", "smoothed") if first else ("weighted",)) if space == "pixel" else (BPDA,)
    measured = {bpda: part(f"evidence {bpda}", partial(evident, bpda)) for bpda in surrogates}
    return {
        "space": space, "eps": eps, "clean": ledger.pack(found.clean.cpu()), "robust": ledger.pack(found.robust.cpu()),
        "attacks": rows,
        "outsider": {"algorithm": "Auto-PGD (ART)", "steps": outsider_steps, "starts": 1, "attacked": len(left),
                     "fooled": fooled},
        "evidence": measured if space == "pixel" else {"own": measured[BPDA]},
    }, found.adversarial  # fmt: skip
