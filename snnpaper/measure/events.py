"""On a network of event data: how much of its frames, or how many of its events, must change to fool it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .. import command, ledger, zoo
from ..attacks.ensemble import predictions, step, worst_case
from ..attacks.events import BUDGETS, KINDS, events_needed, stages
from ..attacks.pgd import pgd_any_iterate
from ..nets import data
from ..nets.coded import CodedNet
from ..nets.data import Images

IMAGES, STEPS = 500, 20
COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)  # events in every entry of the frames, whole counts
FINE = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8)  # the same where counts need not be whole
WORST = (64, 256)  # moves of the batteries in which every attack is tried


def events(
    coded: CodedNet, images: Images, counts: Sequence[float] = COUNTS, fine: Sequence[float] = FINE,
    budgets: Sequence[int] = BUDGETS, worst: Sequence[int] = WORST, steps: int = STEPS,
) -> dict:  # fmt: skip
    """For each threat the least of its radii (or budgets of moves) that fools a recording, as an index of them.

    -1 is none and -2 is wrong from the start. "batteries" have the worst case of every attack on events within a
    budget, booleans packed; "entries" is the share of entries of the frames that count any event.
    """
    whole, continuous = coded.threat("pixel"), coded.threat("spike")
    clean = predictions(whole, whole.inputs(images.x)) == images.y
    x, y = whole.inputs(images.x[clean]), images.y[clean]

    def frames(model, radii: Sequence[float]) -> dict:
        def withstand(i: Tensor, k: float) -> Tensor:
            return pgd_any_iterate(model, x[i], y[i], k / 255, step(k / 255, steps), steps)[0]

        return {"radii": list(radii), "first": _spread(_least(len(x), radii, withstand), clean)}

    def moves(kinds: Sequence[str], random: bool = False) -> dict:
        needed, _ = events_needed(whole, x, y, budgets, kinds, torch.Generator().manual_seed(0) if random else None)
        places = {budget: i for i, budget in enumerate(budgets)} | {-1: -1}
        return {"radii": list(budgets), "first": _spread(torch.tensor([places[k] for k in needed.tolist()]), clean)}

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
    rows = [r | {bits: ledger.pack(r[bits]) for bits in ("attacked", "correct")} for r in found.rows]
    return {"budget": budget, "clean": ledger.pack(found.clean), "robust": ledger.pack(found.robust), "attacks": rows}


def _least(n: int, radii: Sequence[float], withstand: Callable[[Tensor, float], Tensor]) -> Tensor:
    """The index of the first radius that fools each of n; what one fooled is not attacked again. -1: none."""
    first, left = torch.full((n,), -1), torch.arange(n)
    for index, radius in enumerate(radii):
        if not len(left):
            break
        robust = withstand(left, radius)
        first[left[~robust]] = index
        left = left[robust]
    return first


def _spread(values: Tensor, clean: Tensor) -> list[int]:
    """The values of the correctly classified among all; the others get -2."""
    out = torch.full((len(clean),), -2)
    out[clean] = values
    return out.tolist()


def record(name: str) -> None:
    """Make the record of one network of zoo/; raises ValueError for one of still images."""
    run, coded = zoo.load(name)
    if run.coding != "frames":
        raise ValueError(
            f"{name} is of still images; allowed: {', '.join(k for k, e in data.TABLE.items() if e.frames)}"
        )
    coded.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(IMAGES), time.monotonic()
    results = events(coded, images)
    ledger.append("events", run, results, time.monotonic() - began, **zoo.origin(coded, images))


def main(argv: Sequence[str] | None = None) -> None:
    command.over_networks("snnpaper.measure.events", str(__doc__), "events", record, argv)


if __name__ == "__main__":
    main()
