"""Theorem 4.1: how much worse the worst perturbation is than a random one.

For a function f that is affine on the set of allowed moves, both sides are closed forms of its gradient.
A set of moves is a box: entry i of the input may move by anything in [lower_i, upper_i]. The symmetric
ball of the theorem, the one-sided ball of a binary code clamped to [0,1], and the ball of a pixel cut at
0 or 1 are all boxes. Gradients and boxes are float tensors [..., d]; results drop the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

NOISES = ("uniform", "clamped")


def box(x: Tensor, eps: float, low: float = -math.inf, high: float = math.inf) -> tuple[Tensor, Tensor]:
    """Moves allowed at x [..., d] by `abs(move) <= eps` and low <= x + move <= high: (lower, upper).

    Raises ValueError when eps is not positive or x lies outside [low, high].
    """
    if not eps > 0:
        raise ValueError(f"eps is {eps}; allowed: positive numbers")
    if bool((x < low).any() | (x > high).any()):
        raise ValueError(f"x leaves [{low}, {high}]; allowed: inputs inside the box they are clamped to")
    return (low - x).clamp(min=-eps), (high - x).clamp(max=eps)


def l0(g: Tensor) -> Tensor:
    """Number of entries that are not exactly zero."""
    return (g != 0).sum(-1)


def first_order_ratio(g: Tensor) -> Tensor:
    """3 ||g||_1^2 / ||g||_2^2: rho_adv / rho_rand of an affine f on the symmetric ball.

    Raises ValueError when a gradient is zero or not finite: both rhos vanish and the ratio is 0/0.
    """
    _usable(g)
    g = g / g.abs().amax(-1, keepdim=True)  # the ratio has no scale; squaring tiny numbers would underflow
    return 3 * g.abs().sum(-1).square() / g.square().sum(-1)


def gains(g: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Per entry, the most by which it can raise and lower g.move on its own: (a, b), both >= 0."""
    ends = torch.stack([g * lower, g * upper])
    return ends.amax(0), -ends.amin(0)


def rho_adv(g: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """sup over the box of (g.move)^2: all raising gains together, or all lowering ones."""
    a, b = gains(g, lower, upper)
    return torch.maximum(a.sum(-1), b.sum(-1)).square()


def rho_rand(g: Tensor, lower: Tensor, upper: Tensor, noise: str = "uniform", eps: float = 0.0) -> Tensor:
    """Mean of (g.move)^2 for independent entries: squared mean plus variance.

    noise "uniform": uniform on the box. noise "clamped": uniform on [-eps, eps], then clamped into the
    box, which must lie inside [-eps, eps]. Raises ValueError for another noise or a box outside eps.
    """
    if noise == "uniform":
        mean, variance = (lower + upper) / 2, (upper - lower).square() / 12
    elif noise == "clamped":
        if bool((upper > eps).any() | (lower < -eps).any() | (upper < 0).any() | (lower > 0).any()):
            raise ValueError(f"the box is not inside [-eps, eps] around 0 with eps = {eps}")
        up, down = upper, -lower
        mean = (up * (eps - up / 2) - down * (eps - down / 2)) / (2 * eps)
        square = (up.square() * (eps - 2 * up / 3) + down.square() * (eps - 2 * down / 3)) / (2 * eps)
        variance = square - mean.square()
    else:
        raise ValueError(f"noise is {noise!r}; allowed: {', '.join(NOISES)}")
    return (g * mean).sum(-1).square() + (g.square() * variance).sum(-1)


def worst_move(g: Tensor, lower: Tensor, upper: Tensor, raising: bool = True) -> Tensor:
    """The corner of the box where g.move is largest (or smallest); entries with g = 0 stay put."""
    up = g > 0 if raising else g < 0
    return torch.where(g == 0, torch.zeros_like(g), torch.where(up, upper, lower))


def bound_41(g: Tensor, lower: Tensor, upper: Tensor) -> tuple[float, Tensor]:
    """Theorem 4.1 as printed: (3, 3 ||g||_0), valid for affine f on the symmetric ball.

    Raises ValueError when a gradient is zero, or when the box is not the same symmetric interval in
    every entry (a clamped ball): there the bound is false even for affine f.
    """
    _usable(g)
    cut = (lower != -upper) | (upper != upper.flatten()[0])
    if bool(cut.any()):
        raise ValueError(f"the ball is cut in {int(cut.sum())} entries; Theorem 4.1 needs a symmetric one: "
                         "use bound_41_box")  # fmt: skip
    return 3.0, 3 * l0(g)


def bound_41_box(
    g: Tensor, lower: Tensor, upper: Tensor, noise: str = "uniform", eps: float = 0.0
) -> tuple[float, Tensor]:
    """The corrected bound for a cut ball (ours): (3, 3k + 1), k = number of entries that can change g.move.

    noise "uniform": any box that contains 0. noise "clamped": (4.8, 2.4k + 4), for binary codes only
    (each entry can move eps one way and not at all the other way).
    Raises ValueError when no entry can move f, when 0 is outside the box, or on another noise or box.
    """
    _usable(g)
    if bool((lower > 0).any() | (upper < 0).any()):
        raise ValueError("the box does not contain 0, the unperturbed input")
    k = ((g != 0) & (upper > lower)).sum(-1)
    if bool((k == 0).any()):
        raise ValueError("no entry with a gradient can move: both rhos are 0 and the ratio is undefined")
    if noise == "uniform":
        return 3.0, 3 * k + 1
    if noise != "clamped":
        raise ValueError(f"noise is {noise!r}; allowed: {', '.join(NOISES)}")
    if not bool(((lower == 0) & (upper == eps) | (lower == -eps) & (upper == 0)).all()):
        raise ValueError(f"clamped noise: every entry must move one way only, by eps = {eps}")
    return 4.8, 2.4 * k + 4


def largest_one_sided(k: int) -> float:
    """The largest ratio that k entries of a binary code can reach: 12 n (3(k-n) + 1) / (3k + 1).

    n entries push one way and k - n the other; the best n is the whole number next to (3k+1)/6. It stays
    below 3k + 1 because (3k+1)/6 is never whole. Raises ValueError when k < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; allowed: whole numbers from 1")
    return max(12 * n * (3 * (k - n) + 1) / (3 * k + 1) for n in range(1, k + 1))


def monte_carlo(
    f: Callable[[Tensor], Tensor], x: Tensor, lower: Tensor, upper: Tensor, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """rho_rand by n uniform moves of x [d]: estimate and its standard error. f maps [n, d] to [n]."""
    moves = lower + (upper - lower) * torch.rand(n, *x.shape, dtype=x.dtype, generator=generator)
    squares = (f(x + moves) - f(x[None])).square()
    return squares.mean(), squares.std() / math.sqrt(n)


def affine_gradient(f: Callable[[Tensor], Tensor], x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Autograd's gradient of f at x [d], handed out only if f is affine on the box with that gradient.

    Checked at the two extreme corners of g.move and at 32 uniform moves. Raises ValueError otherwise:
    f curves, or (spikes) its gradient is a surrogate and not its derivative.
    """
    point = x.clone().requires_grad_()
    g = torch.autograd.grad(f(point[None]).sum(), point)[0]
    moves = lower + (upper - lower) * torch.rand(32, *x.shape, dtype=x.dtype, generator=_generator())
    corners = [worst_move(g, lower, upper), worst_move(g, lower, upper, raising=False)]
    moves = torch.cat([moves, torch.stack(corners)])
    error = (f(x + moves) - f(x[None]) - moves @ g).abs().max().item()
    if error > 1e-9:
        raise ValueError(f"f is not affine on the ball with this gradient: it misses by {error:.2g}")
    return g


def _usable(g: Tensor) -> None:
    if not bool(torch.isfinite(g).all()):
        raise ValueError("the gradient has entries that are not finite")
    if bool((g == 0).all(-1).any()):
        raise ValueError("the gradient is zero: both rhos vanish to first order and the ratio is 0/0")


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
