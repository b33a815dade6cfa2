"""On a network of event data: how much of its frames, or how many of its events, must change to fool it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import ledger
from ..attacks.ensemble import predictions, step, worst_case
from ..attacks.events import KINDS, events_needed, stages
from ..attacks.pgd import pgd_any_iterate
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet
from ..nets.data import Images
from .curve import least, spread


def events(
    coded: CodedNet, images: Images, counts: Sequence[float], fine: Sequence[float], budgets: Sequence[int],
    worst: Sequence[int], steps: int,
) -> dict:  # fmt: skip
    """For each threat the least of its radii (or budgets of moves) that fools a recording, as an index of them.

    Radii are in events in every entry of the frames: `counts` are whole, `fine` need not be. -1 is none and -2 is wrong
    from the start. "batteries" have the worst case of every attack on events within the moves `worst`, booleans
    packed; "entries" is the share of entries of the frames that count any event.
    """
    whole, continuous = coded.threat("pixel"), coded.threat("spike")
    clean = predictions(whole, whole.inputs(images.x)) == images.y
    x, y = whole.inputs(images.x[clean]), images.y[clean]

    def frames(model, radii: Sequence[float]) -> dict:
        def withstand(i: Tensor, k: float) -> Tensor:
            return pgd_any_iterate(model, x[i], y[i], k / 255, step(k / 255, steps), steps)[0]

        return {"radii": list(radii), "first": spread(least(len(x), radii, withstand), clean)}

    def moves(kinds: Sequence[str], random: bool = False) -> dict:
        needed, _ = events_needed(whole, x, y, budgets, kinds, torch.Generator().manual_seed(0) if random else None)
        places = {budget: i for i, budget in enumerate(budgets)} | {-1: -1}
        return {"radii": list(budgets), "first": spread(torch.tensor([places[k] for k in needed.tolist()]), clean)}

    pgd = {"algorithm": "PGD", "steps": steps, "iterate": "any"}
    threats = [pgd | {"space": "counts"} | frames(whole, counts), pgd | {"space": "frames"} | frames(continuous, fine)]
    for kinds in (KINDS, *((kind,) for kind in KINDS)):
        threats.append({"algorithm": "guided moves", "space": "events", "kinds": list(kinds)} | moves(kinds))
    threats.append({"algorithm": "random moves", "space": "events", "kinds": list(KINDS)} | moves(KINDS, random=True))
    entries = (images.x != 0).float().mean().item()
    batteries = [_battery(coded, images, budget) for budget in worst]
    return {
        "n": len(images), "clean": ledger.pack(clean), "entries": entries, "threats": threats, "batteries": batteries,
    }  # fmt: skip


def _battery(coded: CodedNet, images: Images, budget: int) -> dict:
    model = coded.threat("pixel")
    found = worst_case(model, model.inputs(images.x), images.y, stages(coded, budget), eps=1.0)
    rows = [
        r["settings"].of_network(own(coded)) | {"whole": r["whole"]}
        | {bits: ledger.pack(r[bits]) for bits in ("attacked", "correct")}
        for r in found.rows
    ]  # fmt: skip
    return {"budget": budget, "clean": ledger.pack(found.clean), "robust": ledger.pack(found.robust), "attacks": rows}
