"""Level search taken apart: what its derivative of the code is worth, and what its optimiser is.

    python -m snnpaper.measure.ablation RUN_NAME...

Pixel space at one grey level, on the same images; every derivative with every optimiser, as many steps each.
"""

from __future__ import annotations

import time

from torch import Tensor, nn

from .. import command, ledger, zoo
from ..attacks.pgd import pgd_any_iterate
from ..attacks.ensemble import predictions, step
from ..attacks.levels import level_search
from ..attacks.spiking_ensemble import target
from ..config import Run
from ..nets import data
from ..nets.data import Images

IMAGES, LEVELS, STEPS = 100, 1, 20
CODE = "the code itself"
DERIVATIVES = {"weighted twin": "weighted", "smoothed twin": "smoothed", CODE: None}
PGD = "PGD: random start, all pixels"
PLAIN, FULL = "all pixels, no momentum", "half of the pixels, momentum"  # FULL is level search's own
OPTIMISERS = {PLAIN: {"share": 1.0, "decay": 0.0}, FULL: {}}


def standing(net: nn.Module, run: Run, images: Images) -> dict[tuple[str, str], Tensor]:
    """Bool [N], which images stand, by optimiser and derivative; PGD has no use for the code itself."""
    model, x = target(net, run, images.x, "pixel")
    clean, eps = predictions(model, x) == images.y, LEVELS / 255
    x, grey, y = x[clean], images.x[clean], images.y[clean]

    def spread(stands: Tensor) -> Tensor:
        return clean.clone().masked_scatter_(clean, stands)

    found = {("none: clean", name): clean for name in DERIVATIVES}
    for name, twin in DERIVATIVES.items():
        if twin:
            twinned = target(net, run, images.x[:1], "pixel", twin)[0]
            found[PGD, name] = spread(pgd_any_iterate(twinned, x, y, eps, step(eps, STEPS), STEPS)[0])
        for optimiser, how in OPTIMISERS.items():
            moved = level_search(net, run.coding, run.T, grey, y, LEVELS, STEPS, twin=twin, **how)
            found[optimiser, name] = spread(predictions(model, moved.float() / 255) == y)
    return found


def record(name: str) -> None:
    """Append the "ablation" record of a network of zoo/ with a code that draws nothing, unless it exists."""
    if ledger.path("ablation", name).exists():
        return
    run, net = zoo.load(name)
    net.requires_grad_(False)
    images, began = data.load(run.dataset)["test"].first(IMAGES), time.monotonic()
    rows = [
        {"optimiser": optimiser, "derivative": derivative, "correct": ledger.pack(stands)}
        for (optimiser, derivative), stands in standing(net, run, images).items()
    ]
    results = {"n": len(images), "eps": LEVELS / 255, "steps": STEPS, "rows": rows}
    ledger.append("ablation", run, results, time.monotonic() - began, **zoo.origin(net, images))


def main(argv: list[str] | None = None) -> None:
    command.over_networks("snnpaper.measure.ablation", __doc__, "ablation", record, argv)


if __name__ == "__main__":
    main()
