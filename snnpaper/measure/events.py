"""On a network of event data: how much of its frames, or how many of its events, must change to fool it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from .. import ledger
from ..attacks.ensemble import Keep, predictions, step, worst_case
from ..attacks.events import KINDS, events_needed, stages
from ..attacks.pgd import pgd_any_iterate
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet, Threat
from ..nets.data import Images
from .curve import least, spread


def events(
    coded: CodedNet, images: Images, counts: Sequence[float], fine: Sequence[float], budgets: Sequence[int],
    worst: Sequence[int], steps: int, keep: Keep, progress: bool,
) -> dict:  # fmt: skip
    """For each threat the least of its radii (or budgets of moves) that fools a recording, as an index of them.

    -1 is none and -2 is wrong from the start. Radii are events in every entry of the frames: `counts` whole ones,
    `fine` of the tensor that the network sees. "batteries" have the worst case of every attack on events within each
    of `worst` moves, booleans packed; "entries" is the share of entries of the frames that count any event.
    """
    whole, continuous = coded.threat("pixel"), coded.threat("spike")
    clean = predictions(whole, whole.inputs(images.x)) == images.y
    x, y = whole.inputs(images.x[clean]), images.y[clean]

    def frames(model: Threat, radii: Sequence[float]) -> list[int]:
        def withstand(i: Tensor, k: float) -> Tensor:
            return pgd_any_iterate(model, x[i], y[i], k / 255, step(k / 255, steps), steps)[0]

        return spread(least(len(x), radii, withstand), clean)

    def moves(kinds: Sequence[str], random: bool = False) -> list[int]:
        needed, _ = events_needed(whole, x, y, budgets, kinds, torch.Generator().manual_seed(0) if random else None)
        places = {budget: i for i, budget in enumerate(budgets)} | {-1: -1}
        return spread(torch.tensor([places[k] for k in needed.tolist()], dtype=torch.long), clean)

    pgd = {"algorithm": "PGD", "steps": steps, "iterate": "any"}
    threats: list[tuple[dict, Sequence[float], Callable[[], list[int]]]] = [
        (pgd | {"space": "counts"}, counts, lambda: frames(whole, counts)),
        (pgd | {"space": "frames"}, fine, lambda: frames(continuous, fine)),
    ]
    for kinds in (KINDS, *((kind,) for kind in KINDS)):
        head = {"algorithm": "guided moves", "space": "events", "kinds": list(kinds)}
        threats.append((head, budgets, partial(moves, kinds)))
    head = {"algorithm": "random moves", "space": "events", "kinds": list(KINDS)}
    threats.append((head, budgets, lambda: moves(KINDS, random=True)))
    rows = [h | {"radii": list(radii), "first": keep(repr(h), work)} for h, radii, work in threats]
    batteries = [_battery(coded, images, budget, keep, progress) for budget in worst]
    return {
        "n": len(images), "own": own(coded), "clean": ledger.pack(clean.cpu()), "threats": rows, "batteries": batteries,
        "entries": (images.x != 0).float().mean().item(),
    }  # fmt: skip


def _battery(coded: CodedNet, images: Images, budget: int, keep: Keep, progress: bool) -> dict:
    model = coded.threat("pixel")
    x = model.inputs(images.x)
    found = worst_case(
        model, x, images.y, stages(coded, budget), 1.0, progress, lambda name, work: keep(f"{budget}: {name}", work)
    )
    rows = [
        r["settings"].of_network(own(coded)) | {"whole": r["whole"]}
        | {bits: ledger.pack(r[bits].cpu()) for bits in ("attacked", "correct")}
        for r in found.rows
    ]  # fmt: skip
    bits = {"clean": ledger.pack(found.clean.cpu()), "robust": ledger.pack(found.robust.cpu())}
    return {"budget": budget} | bits | {"attacks": rows}
