"""Counterexamples: each drops one assumption, shows both sides, and names the guard that refuses it.

Every function returns a `Counterexample` whose claim left <= right is false. The networks are real
(integrate-and-fire neurons, gradients by the chain); nothing is assumed about delta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import bounds, ratio
from .chain import chain
from .layers import Dense, Fire, Norm


@dataclass(frozen=True)
class Counterexample:
    """A false inequality left <= right, the assumption it drops, and the guarded call that refuses it."""

    theorem: str
    dropped: str
    claim: str
    left: float
    right: float
    guard: Callable[[], object]

    @property
    def violated(self) -> bool:
        return self.left > self.right + 1e-9


def entry(W: Tensor, s: Tensor, readout: Tensor, surrogate: str = "atan") -> Tensor:
    """delta [T,N,d1] at the currents of s -> W -> neurons -> readout, for the probability of class 0."""
    y = torch.zeros(s.shape[1], dtype=torch.long)
    return chain([Dense(W), Fire(surrogate), Dense(readout)], s, y)[1]


def _tensor(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _one(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _readout(d1: int) -> Tensor:
    return torch.stack([torch.ones(d1), -torch.ones(d1)]).double()


def _grid_ratio(f: Callable[[Tensor], Tensor], x: float, eps: float) -> float:
    """rho_adv / rho_rand of f of one variable, by an even grid of moves (exact to about 1e-5)."""
    n = 400_000
    moves = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * eps
    squares = (f((x + moves)[:, None]) - f(_tensor([x]))).square()
    return float(squares.max() / squares.mean())


def zero_gradient() -> Counterexample:
    g, eps = _one(0.0), 1.0
    left = _grid_ratio(lambda x: x[:, 0].square(), 0.0, eps)
    lower, upper = ratio.box(_one(0.0), eps)
    return Counterexample("4.1", "the gradient is not zero", "ratio <= 3 L0, f = x^2 at 0", left, 0.0,
                          lambda: ratio.bound_41(g, lower, upper))  # fmt: skip


def curvature() -> Counterexample:
    def f(x: Tensor) -> Tensor:
        return x[:, 0] + 10 * x[:, 0].square()

    lower, upper = ratio.box(_one(0.0), 1.0)
    return Counterexample("4.1", "f is affine on the ball", "ratio <= 3 L0, f = x + 10 x^2 at 0",
                          _grid_ratio(f, 0.0, 1.0), 3.0,
                          lambda: ratio.affine_gradient(f, _one(0.0), lower, upper))  # fmt: skip


def _neuron(x: Tensor) -> Tensor:
    """One IF neuron, one step: 1 when x reaches the threshold 1, with a surrogate gradient."""
    return Fire().forward(x[None])[0, :, 0]


def surrogate_upper(eps: float = 1.0) -> Counterexample:
    x = 1 - 0.9 * eps  # so one move in twenty fires it, whatever eps is
    lower, upper = ratio.box(_one(x), eps)
    return Counterexample("4.1", "the gradient is f's derivative", "ratio <= 3 L0, a neuron that seldom fires",
                          _grid_ratio(_neuron, x, eps), 3.0,
                          lambda: ratio.affine_gradient(_neuron, _one(x), lower, upper))  # fmt: skip


def surrogate_lower(eps: float = 1.0) -> Counterexample:
    x = 1 - 0.1 * eps
    lower, upper = ratio.box(_one(x), eps)
    return Counterexample("4.1", "the gradient is f's derivative", "3 <= ratio, a neuron about to fire",
                          3.0, _grid_ratio(_neuron, x, eps),
                          lambda: ratio.affine_gradient(_neuron, _one(x), lower, upper))  # fmt: skip


def clamped_ball() -> Counterexample:
    g, eps = _one(1.0, -0.75), 0.1
    lower, upper = ratio.box(_one(0.0, 0.0), eps, 0.0, 1.0)
    left = ratio.rho_adv(g, lower, upper) / ratio.rho_rand(g, lower, upper)
    return Counterexample("4.1", "the ball is symmetric", "ratio <= 3 L0, binary code clamped to [0,1]",
                          float(left), 6.0, lambda: ratio.bound_41(g, lower, upper))  # fmt: skip


def clamped_noise() -> Counterexample:
    g, eps = _one(1.0), 0.1
    lower, upper = ratio.box(_one(0.025), eps, 0.0, 1.0)
    left = ratio.rho_adv(g, lower, upper) / ratio.rho_rand(g, lower, upper, "clamped", eps)
    return Counterexample("4.1", "the noise is uniform on the cut ball", "ratio <= 3 L0 + 1, clamped noise",
                          float(left), 4.0,
                          lambda: ratio.bound_41_box(g, lower, upper, "clamped", eps))  # fmt: skip


def train_mode_norm() -> Counterexample:
    x = torch.randn(1, 8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    norm, g = Norm(_one(1.0)), torch.zeros(1, 8, 1, dtype=torch.float64)
    g[0, 0] = 1.0
    norm.forward(x)
    left = float((norm.pull_back(g) != 0).sum())
    return Counterexample("4.2", "BatchNorm is in eval mode", "samples reached <= samples above", left, 1.0,
                          norm.diagonal)  # fmt: skip


def _against(dropped: str, claim: str, W: Tensor, s: Tensor, delta: Tensor, **how) -> Counterexample:
    """The row of Theorem 4.4 that is violated most."""
    left, right = bounds.sides_44(W, s, delta, **how)
    i = int((left - right).argmax())
    return Counterexample("4.4", dropped, claim, float(left[i]), float(right[i]),
                          lambda: bounds.bound_44(W, s, delta, **how))  # fmt: skip


def shared_weights() -> Counterexample:
    W, ties = bounds.unroll(torch.ones(1, 1, 3, 3, dtype=torch.float64), 9, 9, padding=1)
    s = (W[40] != 0).double().view(1, 1, 81)  # spikes exactly where the middle output looks
    readout = torch.zeros(2, 81, dtype=torch.float64)
    readout[0, 40] = 1.0
    delta = entry(W, s, readout)
    kernel = bounds.tied_gradient(torch.einsum("tno,tni->noi", delta, s), ties)
    _, right = bounds.sides_44(W, s, delta)
    return Counterexample("4.4", "A1: weights are free", "density of the kernel's gradient <= bound",
                          float((kernel != 0).double().mean()), float(right[40]),
                          lambda: bounds.bound_44(W, s, delta, ties=ties))  # fmt: skip


def cancellation() -> Counterexample:
    # a power of two: with 0.1, a fused multiply-add leaves the rounding of one product standing
    W, s = torch.full((2, 6), 0.125, dtype=torch.float64), torch.ones(1, 1, 6, dtype=torch.float64)
    delta = entry(W, s, _tensor([1.0, -1.0], [-1.0, 1.0]))
    return _against("A2: no exact cancellation", "two equal neurons with opposite read-outs", W, s, delta)


def empty_row() -> Counterexample:
    W, s = torch.zeros(1, 6, dtype=torch.float64), torch.ones(1, 1, 6, dtype=torch.float64)
    return _against("A3: no row of W is empty", "a row of zeros still learns", W, s, entry(W, s, _readout(1)))


def mean_spike_count() -> Counterexample:
    W = torch.full((1, 4), 0.25, dtype=torch.float64)
    s = torch.stack([torch.zeros(4), torch.ones(4)]).double()[None]
    delta = entry(W, s, _readout(1), "rectangular")
    return _against("A4: k_S is the largest count", "k_S replaced by the mean count", W, s, delta, k_s=2.0)


def one_step() -> Counterexample:
    W = torch.full((1, 4), 0.25, dtype=torch.float64)
    s = torch.stack([torch.ones(4), torch.zeros(4)]).double()[:, None]
    delta = entry(W, s, _readout(1), "rectangular")
    return _against("A5: the steps have one mean count", "the right side taken at t = 2", W, s, delta, step=1)


def _dense(dropped: str, claim: str, rows: int, reading: str) -> Counterexample:
    W, s = torch.full((rows, 8), 0.1, dtype=torch.float64), torch.ones(1, 1, 8, dtype=torch.float64)
    return _against(dropped, claim, W, s, entry(W, s, _readout(rows)), reading=reading)


def count_on_the_left() -> Counterexample:
    return _dense("the left side is a density", "a row's count <= bound, all counts", 1, "row count")


def matrix_on_the_left() -> Counterexample:
    return _dense("the left side is one row", "the matrix's count <= bound per row", 4, "matrix count")


def neurons_for_d() -> Counterexample:
    return _dense("d is the input dimension", "mean row count <= bound, d = neurons", 4, "mean row count")


ALL: tuple[Callable[[], Counterexample], ...] = (
    zero_gradient, curvature, surrogate_upper, surrogate_lower, clamped_ball, clamped_noise, train_mode_norm,
    shared_weights, cancellation, empty_row, mean_spike_count, one_step,
    count_on_the_left, matrix_on_the_left, neurons_for_d,
)  # fmt: skip
