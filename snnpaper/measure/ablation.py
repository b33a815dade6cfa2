"""Level search taken apart: what its derivative of the code is worth, and what its optimiser is.

Pixel space at one grey level, on the same images; every derivative with every optimiser, as many steps each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from .. import ledger
from ..attacks.ensemble import pgd_settings, predictions, step
from ..attacks.levels import DECAY, SHARE, level_search
from ..attacks.pgd import pgd_any_iterate
from ..attacks.settings import Settings
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet
from ..nets.data import Images

DERIVATIVES = ("weighted", "smoothed", None)  # BPDA surrogates; None is the code itself, for which PGD has no use
# How level search moves: the share of the pixels in a step, and the decay of earlier gradients. The second is its own.
OPTIMISERS: tuple[dict[str, Any], ...] = ({"share": 1.0, "decay": 0.0}, {"share": SHARE, "decay": DECAY})


def ablation(coded: CodedNet, images: Images, levels: int, steps: int) -> dict:
    """Which images no attack fools, a row an optimiser and derivative, and clean."""
    model, eps = coded.threat("pixel"), levels / 255
    x = model.inputs(images.x)
    clean = predictions(model, x) == images.y
    x, grey, y = x[clean], images.x[clean], images.y[clean]

    def row(settings: Settings, unfooled: Tensor, **how: Any) -> dict[str, Any]:
        whole = clean.clone().masked_scatter_(clean, unfooled)
        return replace(settings, space="pixel").of_network(own(coded)) | how | {"correct": ledger.pack(whole.cpu())}

    rows = []
    for bpda in DERIVATIVES:
        if bpda:
            robust, _ = pgd_any_iterate(coded.threat("pixel", bpda), x, y, eps, step(eps, steps), steps)
            rows.append(row(replace(pgd_settings(eps, steps), bpda=bpda), robust, share=1.0, decay=0.0))
        search = Settings("level search", steps=steps, bpda=bpda, iterate="any")
        for how in OPTIMISERS:
            moved = level_search(coded, grey, y, levels, steps, bpda=bpda, **how)
            rows.append(row(search, predictions(model, moved.float() / 255) == y, **how))
    head = {"n": len(images), "eps": eps, "steps": steps, "own": own(coded)}
    return head | {"clean_correct": ledger.pack(clean.cpu()), "rows": rows}
