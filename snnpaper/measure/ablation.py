"""Level search taken apart: what its derivative of the code is worth, and what its optimiser is.

    python -m snnpaper.measure.ablation RUN_NAME...

Pixel space at one grey level, on the same images; every derivative with every optimiser, as many steps each.
"""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from .. import command, ledger, zoo
from ..attacks.ensemble import predictions, step
from ..attacks.levels import level_search
from ..attacks.pgd import pgd_any_iterate
from ..nets import data
from ..nets.coded import CodedNet
from ..nets.data import Images

IMAGES, LEVELS, STEPS = 100, 1, 20
CODE = "the code itself"
DERIVATIVES = {"weighted twin": "weighted", "smoothed twin": "smoothed", CODE: None}
PGD = "PGD: random start, all pixels"
PLAIN, FULL = "all pixels, no momentum", "half of the pixels, momentum"  # FULL is level search's own
OPTIMISERS: dict[str, dict[str, Any]] = {PLAIN: {"share": 1.0, "decay": 0.0}, FULL: {}}


def robust(coded: CodedNet, images: Images) -> dict[tuple[str, str], Tensor]:
    """Bool [N], which images are not fooled, by optimiser and derivative; PGD has no use for the code itself."""
    model = coded.threat("pixel")
    x = model.inputs(images.x)
    clean, eps = predictions(model, x) == images.y, LEVELS / 255
    x, grey, y = x[clean], images.x[clean], images.y[clean]

    def spread(unfooled: Tensor) -> Tensor:
        return clean.clone().masked_scatter_(clean, unfooled)

    found = {("none: clean", name): clean for name in DERIVATIVES}
    for name, bpda in DERIVATIVES.items():
        if bpda:
            attacked = coded.threat("pixel", bpda)
            found[PGD, name] = spread(pgd_any_iterate(attacked, x, y, eps, step(eps, STEPS), STEPS)[0])
        for optimiser, how in OPTIMISERS.items():
            moved = level_search(coded, grey, y, LEVELS, STEPS, bpda=bpda, **how)
            found[optimiser, name] = spread(predictions(model, moved.float() / 255) == y)
    return found


def record(name: str) -> None:
    """Append the "ablation" record of a network of zoo/ with a code that draws nothing, unless it exists."""
    if ledger.path("ablation", name).exists():
        return
    run, coded = zoo.load(name)
    coded.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(IMAGES), time.monotonic()
    rows = [
        {"optimiser": optimiser, "derivative": derivative, "correct": ledger.pack(unfooled)}
        for (optimiser, derivative), unfooled in robust(coded, images).items()
    ]
    results = {"n": len(images), "eps": LEVELS / 255, "steps": STEPS, "rows": rows}
    ledger.append("ablation", run, results, time.monotonic() - began, **zoo.origin(coded, images))


def main(argv: list[str] | None = None) -> None:
    command.over_networks("snnpaper.measure.ablation", __doc__, "ablation", record, argv)


if __name__ == "__main__":
    main()
