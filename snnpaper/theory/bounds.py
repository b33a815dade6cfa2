"""Theorem 4.4: how many entries of a weight row can get a gradient, given the input gradient's count.

A fully connected or unrolled entry layer I[t] = W s[t], W [d1, d], input spikes s [T,N,d], and the chain's
delta [T,N,d1] at its output. Counts are exact (!= 0). The paper's definitions of k_S, k_w and d were not
available; READINGS lists the ways we found to read the formula. `sides_44` computes both sides of any of
them and asks nothing; `bound_44` first checks every assumption of the proof.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import Conv

# name: (left side, unit of k_w, whether it is a theorem)
READINGS = {
    "row density": ("density of one row's gradient", "count", True),
    "row count over density": ("count of one row's gradient", "density", True),
    "row count": ("count of one row's gradient", "count", False),
    "matrix count": ("count of the whole matrix's gradient", "density", False),
    "mean row count": ("mean count over rows; d counts neurons", "count", False),
}


def unroll(kernel: Tensor, height: int, width: int, stride: int = 1, padding: int = 0) -> tuple[Tensor, Tensor]:
    """The matrix W [d1, d] of a convolution on [C, height, width] images, and its ties.

    ties [d1, d] (int64) is the index of the kernel weight that stands in each entry, -1 where none does.
    """
    d = kernel.shape[1] * height * width
    one_hot = torch.eye(d, dtype=torch.float64).view(1, d, kernel.shape[1], height, width)
    names = torch.arange(1, kernel.numel() + 1, dtype=torch.float64).view_as(kernel)
    weight, ties = (Conv(k, stride, padding).forward(one_hot).flatten(2)[0].T for k in (kernel, names))
    return weight.contiguous(), ties.round().long() - 1


def tied_gradient(rows: Tensor, ties: Tensor) -> Tensor:
    """Gradient of the shared weights [N, K] from the gradient of the unrolled matrix [N, d1, d]."""
    used = ties >= 0
    total = torch.zeros(len(rows), int(ties.max()) + 1, dtype=rows.dtype)
    return total.index_add(1, ties[used], rows[:, used])


def count_input(W: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """||grad_s[t]||_0 <= sum over i in supp delta[t] of ||w_i||_0: both sides, [T,N]. No assumption."""
    return _count(delta @ W), (delta != 0).to(W) @ _count(W)


def count_weight(s: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """||grad_W||_0 <= sum over t of ||delta[t]||_0 ||s[t]||_0: both sides, [N]. No assumption."""
    rows = torch.einsum("tno,tni->noi", delta, s)
    return _count(rows.flatten(1)), (_count(delta) * _count(s)).sum(0)


def rows_44(W: Tensor, s: Tensor, delta: Tensor, connected: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Per sample and row, without expectation: ||grad w_i||_0 <= sum_t ||s[t]||_0 ||grad_s[t]||_0 / k_w^i.

    Both sides [N, d1], counted on the inputs row i is connected to. Raises ValueError as `bound_44` does.
    """
    _check(W, s, delta, connected, None)
    left, active, reached, k_w, _ = _counts(W, s, delta, connected)
    return left, (active * reached).sum(0) / k_w


def sides_44(
    W: Tensor,
    s: Tensor,
    delta: Tensor,
    reading: str = "row density",
    connected: Tensor | None = None,
    k_s: Tensor | float | None = None,
    step: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Both sides of Theorem 4.4 under a reading, one pair per row (a single pair for the whole matrix).

    Expectations are means over the N samples and, for the input gradient, over t, unless `step` picks one.
    k_S defaults to the largest spike count of any step and sample. With `connected` [d1, d] (bool), row i
    sees only its own inputs, which is what an index on k_S can mean. 0/0 is read as 0.
    Raises ValueError on another reading.
    """
    if reading not in READINGS:
        raise ValueError(f"reading is {reading!r}; allowed: {', '.join(READINGS)}")
    left, active, reached, k_w, d = _counts(W, s, delta, connected)
    left, k_w, T = left.mean(0), k_w.clamp(min=1), len(s)
    k_s = active.amax((0, 1)) if k_s is None else k_s
    right = T / d * k_s / k_w * (reached.mean((0, 1)) if step is None else reached[step].mean(0))
    if reading == "row density":
        return left / d, right
    if reading == "row count":
        return left, right
    if reading == "row count over density":
        return left, right * d
    if reading == "matrix count":
        return left.sum()[None], (right * d).max()[None]
    return left.mean()[None], (right * d / len(W)).max()[None]


def bound_44(
    W: Tensor,
    s: Tensor,
    delta: Tensor,
    reading: str = "row density",
    connected: Tensor | None = None,
    ties: Tensor | None = None,
    k_s: Tensor | float | None = None,
    step: int | None = None,
) -> tuple[Tensor, Tensor]:
    """`sides_44` under the assumptions of the proof; then left <= right in every row.

    Raises ValueError when one fails: shared weights (A1), exact cancellation in W^T delta (A2), an empty
    row (A3), a k_S below the largest spike count (A4), one step standing for all while the steps differ
    (A5), or a reading that is not a theorem.
    """
    if reading in READINGS and not READINGS[reading][2]:
        true = [name for name, row in READINGS.items() if row[2]]
        raise ValueError(f"the reading {reading!r} is false; true ones: {', '.join(true)}")
    _check(W, s, delta, connected, ties)
    _, active, reached, _, _ = _counts(W, s, delta, connected)
    if k_s is not None and bool((torch.as_tensor(k_s) < active.amax((0, 1))).any()):
        raise ValueError(f"A4: k_S = {k_s} is below the largest spike count {int(active.max())}")
    per_step = reached.mean(1)
    if step is not None and not torch.allclose(per_step[step], per_step.mean(0)):
        raise ValueError(f"A5: step {step} does not stand for the others; leave step out to use their mean")
    return sides_44(W, s, delta, reading, connected, k_s, step)


def bound_matrix(W: Tensor, s: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """For the whole matrix: E||grad_W||_0 <= T k_S (k_col / k_row) E||grad_s[t]||_0, all counts.

    k_row is the smallest row count, k_col the largest column count. Raises ValueError as `bound_44` does.
    """
    _check(W, s, delta, None, None)
    left, active, reached, k_w, _ = _counts(W, s, delta, None)
    k_col = _count(W.T).max()
    return left.sum(1).mean(), len(s) * active.max() * k_col / k_w.min() * reached[..., 0].mean()


def level_44(T: float, spike_rate: float, row_density: float, gradient_density: float) -> float:
    """The right side in densities: T * rate * gradient density / row density. At 1 or more it says nothing.

    Raises ValueError when T, or a density, is outside its range.
    """
    for name, value in {"spike_rate": spike_rate, "gradient_density": gradient_density}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; allowed: 0 to 1")
    if not 0 < row_density <= 1 or T < 1:
        raise ValueError(f"row_density is {row_density}, T is {T}; allowed: above 0 up to 1, and from 1")
    return T * spike_rate * gradient_density / row_density


def _count(x: Tensor) -> Tensor:
    return (x != 0).sum(-1).double()


def _counts(W: Tensor, s: Tensor, delta: Tensor, connected: Tensor | None) -> tuple[Tensor, ...]:
    """Left count [N,d1]; active inputs and reached inputs [T,N,d1]; k_w and number of inputs per row [d1]."""
    mask = torch.ones_like(W) if connected is None else connected.to(W)
    rows = torch.einsum("tno,tni->noi", delta, s)
    left = ((rows != 0).to(W) * mask).sum(-1)
    active, reached = (F.linear((x != 0).to(W), mask) for x in (s, delta @ W))
    return left, active, reached, _count(W * mask), mask.sum(1)


def _check(W: Tensor, s: Tensor, delta: Tensor, connected: Tensor | None, ties: Tensor | None) -> None:
    if ties is not None and bool((ties[ties >= 0].bincount() > 1).any()):
        raise ValueError("A1: weights are shared; the bound is about free weights: leave them unrolled")
    if bool((_count(W) == 0).any()):
        raise ValueError(f"A3: rows {(_count(W) == 0).nonzero().flatten().tolist()} have no non-zero weight")
    if connected is not None and bool((W[~connected] != 0).any()):
        raise ValueError("a weight stands outside `connected`")
    touched = (delta != 0).to(W) @ (W != 0).to(W) > 0
    if bool((touched & (delta @ W == 0)).any()):
        raise ValueError("A2: terms of W^T delta cancel exactly, so a zero input gradient hides a delta")
