"""Chapter 2 on a trained network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..bars import bar
from ..nets.coded import CodedNet
from ..nets.data import Images
from ..theory import ratio
from .stem import log_odds, measure_stem

# 1e-6 lies far below any gap of a membrane to its threshold; 32/255 is four times the usual radius.
EPS = (1e-6, 1e-4, 3e-4, 1e-3, 1 / 255, 2 / 255, 8 / 255, 32 / 255)
# Where the input may move: coded tensor on the real line (the theorem's ball), coded tensor in [0,1], image.
SPACES = {"spike, free": (-math.inf, math.inf), "spike": (0.0, 1.0), "pixel": (0.0, 1.0)}
DRAWS = 16
RECHECK = 512  # draws for an image that seems to refute the bound, before it is counted
STEPS = 3
QUANTILES = (0.1, 0.5, 0.9)


def measure(coded: CodedNet, images: Images, progress: bool = False) -> dict:
    """Everything of chapter 2 for one network in eval mode, as plain numbers and lists.

    Raises ValueError when the network's stem is not the one the chapter derives (see `measure_stem`).
    """
    out = {
        "n": len(images),
        "eps": list(EPS),
        "draws": DRAWS,
        "recheck": RECHECK,
        "steps": STEPS,
        "quantiles": list(QUANTILES),
    }
    out["stem"] = measure_stem(coded, images)
    for space in SPACES:
        parts = []
        for i in bar(range(0, len(images), 20), disable=not progress, desc=space):
            batch = Images(images.x[i : i + 20], images.y[i : i + 20])
            parts.append(rhos(coded, batch, space, torch.Generator().manual_seed(i)))
        out[space] = summary({k: torch.cat([p[k] for p in parts], -1) for k in parts[0]})
    return out


def rhos(coded: CodedNet, images: Images, space: str, generator: torch.Generator) -> dict[str, Tensor]:
    """rho_adv and rho_rand of p_y with real forward passes, and what the gradient predicts.

    Per image [N]: p, l0, effective (||g||_1^2 / ||g||_2^2). Per eps and image [E,N]: adv (a lower bound:
    the best of both corners, an ascent and a descent of STEPS steps, and all draws), rand and its
    standard error, and adv and rand of the linearised network on the same box. All rhos as they are,
    not divided by eps^2. A zero gradient gives l0 = effective = 0 and predicted rhos of 0.
    """
    model = coded.threat("pixel" if space == "pixel" else "spike")
    x = model.inputs(images.x)

    def p(z: Tensor, y: Tensor = images.y) -> Tensor:
        with torch.no_grad():
            return log_odds(model(z), y).double().sigmoid()

    def squares(some: Tensor, n: int) -> Tensor:  # (p(x + random move) - p(x))^2 of some images, [n, images]
        base, low, width, y = x[some], lower[some], (upper - lower)[some], images.y[some]
        moved = [p(base + low + width * torch.rand(base.shape, generator=generator), y) for _ in range(n)]
        return (torch.stack(moved) - start[some]).square()

    def gradient(z: Tensor) -> Tensor:
        z = z.detach().requires_grad_()
        return torch.autograd.grad(log_odds(model(z), images.y).sum(), z)[0]

    start, g = p(x), gradient(x)
    flat = g.flatten(1).double()
    l1, l2 = flat.abs().sum(1), flat.square().sum(1)
    slope = (start * (1 - start))[:, None] * flat  # d p_y / d input
    effective = torch.where(l2 > 0, l1.square() / l2, 0.0)
    out = {"p": start, "l0": ratio.l0(flat).double(), "effective": effective}
    rows: dict[str, list[Tensor]] = {k: [] for k in ("adv", "rand", "error", "adv linear", "rand linear")}
    for eps in EPS:
        lower, upper = (m.to(x) for m in ratio.box(x, eps, *SPACES[space]))
        drawn = squares(torch.arange(len(x)), DRAWS)
        best, rand, error = drawn.amax(0), drawn.mean(0), drawn.std(0) / math.sqrt(DRAWS)
        for raising in (True, False):
            for z in _climb(gradient, g, x, lower, upper, raising):
                best = torch.maximum(best, (p(z) - start).square())
        box = (lower.flatten(1).double(), upper.flatten(1).double())
        suspects = _refuted(best, rand, error, out["l0"]).nonzero().flatten()
        if len(suspects):  # few draws underestimate a heavy tail: count a refutation only on many
            drawn = squares(suspects, RECHECK)
            rand[suspects], error[suspects] = drawn.mean(0), drawn.std(0) / math.sqrt(RECHECK)
        found = (best, rand, error, ratio.rho_adv(slope, *box), ratio.rho_rand(slope, *box))
        for row, value in zip(rows.values(), found, strict=True):
            row.append(value)
    return out | {k: torch.stack(v) for k, v in rows.items()}


def _refuted(adv: Tensor, rand: Tensor, error: Tensor, l0: Tensor) -> Tensor:
    """Whether adv exceeds (3 l0 + 1) rand by more than three standard errors of rand."""
    return (rand > 0) & (adv > (3 * l0 + 1) * (rand + 3 * error))


def _climb(gradient, g: Tensor, x: Tensor, lower: Tensor, upper: Tensor, raising: bool):
    """The corner the gradient at x points to, then STEPS projected sign steps that start from x."""
    yield x + ratio.worst_move(g, lower, upper, raising)
    move, sign, step = torch.zeros_like(x), 1 if raising else -1, (upper - lower).amax() / 4
    for i in range(STEPS):
        along = g if i == 0 else gradient(x + move)
        move = torch.minimum(torch.maximum(move + sign * step * along.sign(), lower), upper)
        yield x + move


def summary(found: dict[str, Tensor]) -> dict:
    """What the figures need: quantiles over images at every eps, and shares of images.

    A ratio exists where some draw changed p. "refuted": adv exceeds 3 l0 + 1 times rand by more than
    three standard errors of rand, so no better attack could save the bound. "beyond linear": the same
    against the linearised network's own ratio. "below 3" proves nothing, the attack being a lower bound.
    """
    adv, rand, surely = found["adv"], found["rand"], found["rand"] + 3 * found["error"]
    linear = found["adv linear"] / found["rand linear"].clamp(min=1e-300)
    moved = rand > 0
    ratios = torch.where(moved, adv / rand.clamp(min=1e-300), torch.nan)
    shares = {
        "both zero": adv == 0,
        "only rand zero": (adv > 0) & ~moved,
        "refuted": _refuted(adv, rand, found["error"], found["l0"]),
        "beyond linear": moved & (adv > linear * surely),
        "below 3": moved & (adv < 3 * rand),
    }
    curves = {k: found[k] for k in ("adv", "rand", "adv linear", "rand linear")}
    curves |= {"ratio": ratios, "ratio linear": torch.where(found["l0"] > 0, linear, torch.nan)}
    return {
        **{k: _plain(found[k]) for k in ("p", "l0", "effective")},
        **{k: [_quantiles(row) for row in v] for k, v in curves.items()},
        "shares": {k: _plain(v.double().mean(1)) for k, v in shares.items()},
    }


def _quantiles(values: Tensor) -> list[float] | None:
    """QUANTILES of what is not nan; None when that is less than half of the images."""
    kept = values[~values.isnan()]
    enough = 2 * len(kept) >= len(values)
    return _plain(kept.quantile(torch.tensor(QUANTILES, dtype=kept.dtype))) if enough else None


def _plain(x: Tensor) -> list[float]:
    """Four digits of each entry."""
    return [float(f"{v:.4g}") for v in x.tolist()]
