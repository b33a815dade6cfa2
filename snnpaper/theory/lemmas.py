"""The lemmas of chapter 2 as checks of one case: each raises AssertionError when its statement fails.

The tests search for failures with them; the chapter runs them on random cases. Cases are built by
`random_box`, `random_entry`, `random_dense` and `random_stem` from a torch generator.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from . import bounds, ratio
from .chain import Residual, autograd, chain, pool_share
from .examples import entry
from .layers import AvgPool, Conv, Dense, Fire, Flatten, MaxPool, Norm

ROUNDING = 1e-9


def ratio_on_symmetric_ball(g: Tensor) -> float:
    """Theorem 4.1 and its sharper form, for affine f with gradient g [d]; returns ratio / (3 ||g||_0)."""
    lower, upper = ratio.box(torch.zeros_like(g), 0.1)
    found = float(ratio.rho_adv(g, lower, upper) / ratio.rho_rand(g, lower, upper))
    low, high = ratio.bound_41(g, lower, upper)
    sharp = float(ratio.first_order_ratio(g))
    assert abs(found - sharp) <= ROUNDING * sharp
    assert low * (1 - ROUNDING) <= sharp <= float(high) * (1 + ROUNDING)
    return found / float(high)


def ratio_on_a_box(g: Tensor, lower: Tensor, upper: Tensor) -> float:
    """The corrected bound on any box that contains 0; returns ratio / (3k + 1)."""
    low, high = ratio.bound_41_box(g, lower, upper)
    found = float(ratio.rho_adv(g, lower, upper) / ratio.rho_rand(g, lower, upper))
    assert low * (1 - ROUNDING) <= found <= float(high) * (1 + ROUNDING)
    return found / float(high)


def ratio_on_a_binary_code(g: Tensor, bits: Tensor, eps: float = 0.1) -> float:
    """Both bounds for a code in {0,1}: noise uniform on the cut ball, and noise clamped into it."""
    lower, upper = ratio.box(bits, eps, 0.0, 1.0)
    adv = ratio.rho_adv(g, lower, upper)
    uniform = float(adv / ratio.rho_rand(g, lower, upper))
    assert 3 * (1 - ROUNDING) <= uniform <= ratio.largest_one_sided(int(ratio.l0(g))) * (1 + ROUNDING)
    low, high = ratio.bound_41_box(g, lower, upper, "clamped", eps)
    clamped = float(adv / ratio.rho_rand(g, lower, upper, "clamped", eps))
    assert low * (1 - ROUNDING) <= clamped <= float(high) * (1 + ROUNDING)
    return clamped / float(high)


def chain_equals_autograd(layers: list, s: Tensor, y: Tensor) -> None:
    """Theorems 4.2 and 4.3 on a network whose first layer is Dense or Conv: both gradients, to rounding."""
    gradients = chain(layers, s, y)
    grad_s, grad_w = autograd(layers, s, y, layers[0].weight)
    assert _close(gradients[0], grad_s)
    if isinstance(layers[0], Dense):
        assert _close(gradients[1] @ layers[0].weight, grad_s)  # W^T delta
        assert _close(torch.einsum("tno,tni->oi", gradients[1], s), grad_w)  # sum of delta s^T
    else:
        assert _close(layers[0].grad, grad_w)


def neuron_support(fire: Fire, current: Tensor, above: Tensor) -> None:
    """A neuron's delta lives where it is alive now, or was not reset and is reached later."""
    fire.forward(current)
    delta = fire.pull_back(above)
    later = torch.cat([delta[1:] != 0, torch.zeros_like(delta[:1]) != 0])
    assert not bool(((delta != 0) & ~((fire.slope != 0) & (above != 0) | (fire.carry != 0) & later)).any())
    assert not bool(((delta != 0) & ~fire.reach(above != 0)).any())


def shared_counts(W: Tensor, s: Tensor, delta: Tensor) -> None:
    """Both gradients' counts and supports, bounded by those of delta."""
    for left, right in (bounds.count_input(W, delta), bounds.count_weight(s, delta)):
        assert bool((left <= right).all())
    rows = torch.einsum("tno,tni->noi", delta, s) != 0
    union = torch.einsum("tno,tni->noi", (delta != 0).double(), s) > 0
    assert not bool((rows & ~union).any())


def max_pool_share(pool: MaxPool, x: Tensor, above: Tensor) -> float:
    """Max pooling passes a gradient to at most windows / positions, and loses none of it; returns the share."""
    pool.forward(x)
    below = pool.pull_back(above)
    share = float((below != 0).double().mean())
    assert share <= pool_share(x.shape[-1], *pool.how)
    assert abs(float(below.sum() - above.sum())) <= ROUNDING * max(1.0, float(above.abs().sum()))
    return share


def rows_of_44(W: Tensor, s: Tensor, delta: Tensor) -> None:
    """Theorem 4.4 before any expectation, counted on all inputs and on a row's own inputs."""
    for connected in (None, W != 0):
        left, right = bounds.rows_44(W, s, delta, connected)
        assert bool((left <= right + ROUNDING).all())


def readings_of_44(W: Tensor, s: Tensor, delta: Tensor) -> float:
    """Theorem 4.4 under every true reading, and the whole matrix; returns the largest left / right."""
    worst = 0.0
    for reading in (name for name, row in bounds.READINGS.items() if row[2]):
        for connected in (None, W != 0):
            left, right = bounds.bound_44(W, s, delta, reading, connected)
            assert bool((left <= right + ROUNDING).all())
            worst = max(worst, float((left / right.clamp(min=ROUNDING)).max()))
    left, right = bounds.bound_matrix(W, s, delta)
    assert float(left) <= float(right) + ROUNDING
    return worst


def normal(g: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=g)


def spikes(g: Generator, *shape: int, rate: float = 0.5) -> Tensor:
    """Random binary spikes as float64."""
    return (torch.rand(*shape, generator=g) < rate).double()


def random_gradient(g: Generator, d: int, nonzero: int) -> Tensor:
    """A gradient [d] with Gaussian entries at the first `nonzero` places and zeros elsewhere."""
    return torch.cat([normal(g, nonzero), torch.zeros(d - nonzero, dtype=torch.float64)])


def random_norm(g: Generator, channels: int, train: bool) -> Norm:
    fixed = (0.2 * normal(g, channels), 0.5 + torch.rand(channels, generator=g).double())
    return Norm(1 + 0.3 * normal(g, channels), None if train else fixed)


def random_entry(
    g: Generator, T: int, N: int, d: int, d1: int, density: float = 0.5, rate: float = 0.5, surrogate: str = "atan"
) -> tuple[Tensor, Tensor, Tensor]:
    """(W [d1,d], s [T,N,d], delta [T,N,d1]) of a network whose rows have about this density; none is empty."""
    W = normal(g, d1, d) * (torch.rand(d1, d, generator=g) < density)
    W[:, 0] += (W == 0).all(1) * 0.7
    s = spikes(g, T, N, d, rate=rate)
    return W, s, entry(W, s, normal(g, 3, d1), surrogate)


def random_dense(
    g: Generator, T: int, N: int, d: int, width: int, fires: tuple[Fire, Fire], norm: str, skip: bool
) -> tuple[list, Tensor, Tensor]:
    """(layers, s, y): dense, BatchNorm ("none", "eval", "train"), neurons, a SEW-ADD block or not, read-out."""
    layers = [Dense(normal(g, width, d)), fires[0]]
    if norm != "none":
        layers.insert(1, random_norm(g, width, norm == "train"))
    if skip:
        layers += [Residual([Dense(normal(g, width, width)), fires[1]])]
    layers += [Dense(normal(g, 3, width))]
    return layers, spikes(g, T, N, d), torch.randint(3, (N,), generator=g)


def random_stem(g: Generator, T: int, N: int, side: int, fire: Fire, pool: str, train: bool) -> tuple:
    """(layers, s, y): the stem of a SEW-ResNet in small: conv, BatchNorm, neurons, pool, read-out."""
    out = (side + 2 - 3) // 2 + 1
    entry_layers = [Conv(normal(g, 2, 1, 3, 3), padding=1), random_norm(g, 2, train), fire]
    layers = [*entry_layers, MaxPool() if pool == "max" else AvgPool(), Flatten(), Dense(normal(g, 3, 2 * out**2))]
    return layers, spikes(g, T, N, 1, side, side), torch.randint(3, (N,), generator=g)


def _close(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().max()) <= 1e-10 * max(1.0, float(b.abs().max()))
