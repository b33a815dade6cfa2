"""On many images: the least radius, or number of bit flips, that fools each, and what its gradient looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .. import sparsity
from ..attacks.bits import flips_needed
from ..attacks.ensemble import Keep, predictions, step
from ..attacks.levels import level_search
from ..attacks.pgd import pgd_any_iterate
from ..attacks.settings import Settings
from ..attacks.spiking_ensemble import own
from ..nets.coded import CodedNet, Threat
from ..nets.data import Images
from ..nets.hooks import tensors_at
from ..nets.neurons import IF


def curve(
    coded: CodedNet, images: Images, levels: Sequence[float], fine: Sequence[float], flips: Sequence[int], steps: int,
    keep: Keep,
) -> dict:  # fmt: skip
    """For each threat the least of its radii that fools an image, as an index; -1: none, -2: wrong from the start.

    Radii are in 1/255 (`levels` in pixel space, `fine` in spike space), or numbers of `flips`. An image fooled within
    a radius is fooled within every larger one, and is not attacked again.
    """
    spike = coded.threat("spike")
    clean = predictions(spike, spike.inputs(images.x)) == images.y
    x, y = images.x[clean], images.y[clean]

    def first(radii: Sequence[float], withstand: Callable[[Tensor, float], Tensor]) -> list[int]:
        return spread(least(len(x), radii, lambda i, k: withstand(i, k / 255)), clean)

    def by_pgd(model: Threat) -> Callable[[Tensor, float], Tensor]:
        inputs = model.inputs(x)
        return lambda i, eps: pgd_any_iterate(model, inputs[i], y[i], eps, step(eps, steps), steps)[0]

    def by_levels(i: Tensor, eps: float) -> Tensor:
        found = level_search(coded, x[i], y[i], round(255 * eps), steps)
        return predictions(coded, found) == y[i]

    def by_flips() -> list[int]:
        needed, _ = flips_needed(spike, spike.inputs(x), y, flips)
        places = {budget: i for i, budget in enumerate(flips)} | {-1: -1}
        return spread(torch.tensor([places[f] for f in needed.tolist()], dtype=torch.long), clean)

    pgd: dict[str, Any] = {"steps": steps, "iterate": "any"}
    threats: list[tuple[Settings, Sequence[float], Callable[[], list[int]]]] = [
        (Settings("PGD", "pixel", bpda=bpda, **pgd), levels,
         partial(first, levels, by_pgd(coded.threat("pixel", bpda))))
        for bpda in ("weighted", "smoothed")
    ]  # fmt: skip
    threats += [
        (Settings("level search", "pixel", **pgd), levels, lambda: first(levels, by_levels)),
        (Settings("PGD", "spike", **pgd), fine, lambda: first(fine, by_pgd(spike))),
        (Settings("bit flips", "spike", iterate="any"), flips, by_flips),
    ]
    rows = [
        settings.of_network(own(coded)) | {"radii": list(radii), "first": keep(repr(settings), work)}
        for settings, radii, work in threats
    ]
    gradient = keep("gradient", lambda: gradients(coded, images))
    return {"n": len(images), "own": own(coded), "threats": rows, "gradient": gradient}


def gradients(coded: CodedNet, images: Images, batch_size: int = 50) -> dict[str, list[float]]:
    """Of each image's gradient of p_y: L0 share, (L1/L2)^2 and L1 by the coded input, L0 share at the pool, and margin.

    The margin is p_y minus the largest other probability. Values have four digits.
    """
    rows: dict[str, list[Tensor]] = {k: [] for k in ("l0", "effective", "l1", "l0_pool", "margin")}
    first = next(m for m in coded.net.modules() if isinstance(m, IF | nn.ReLU))
    with tensors_at({"pool": first}) as outputs:
        for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
            spikes = coded.encode(x).requires_grad_()
            p = coded.net(spikes).softmax(1)
            own = p.gather(1, y[:, None])[:, 0]
            g, pool = (t.transpose(0, 1) for t in torch.autograd.grad(own.sum(), (spikes, outputs["pool"])))
            rows["l0"].append((g != 0).flatten(1).float().mean(1))
            rows["l0_pool"].append((pool != 0).flatten(1).float().mean(1))
            rows["effective"].append(sparsity.measures(g)["effective"])
            rows["l1"].append(g.flatten(1).abs().sum(1))
            others = p.detach().scatter(1, y[:, None], -1).amax(1)
            rows["margin"].append(own.detach() - others)
    return {k: [float(f"{v:.4g}") for v in torch.cat(parts).tolist()] for k, parts in rows.items()}


def least(n: int, radii: Sequence[float], withstand: Callable[[Tensor, float], Tensor]) -> Tensor:
    """The index of the first radius that fools each of n; what one fooled is not attacked again. -1: none."""
    first, left = torch.full((n,), -1), torch.arange(n)
    for index, radius in enumerate(radii):
        if not len(left):
            break
        robust = withstand(left, radius).cpu()
        first[left[~robust]] = index
        left = left[robust]
    return first


def spread(values: Tensor, clean: Tensor) -> list[int]:
    """The values of the correctly classified images among all images; the others get -2."""
    whole = torch.full((len(clean),), -2)
    whole[clean.cpu()] = values
    return whole.tolist()
