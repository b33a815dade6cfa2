"""Theorem 4.1: the bounds searched for violations, their tightness, and the guards."""

import math

import pytest
import torch
from hypothesis import assume, given, settings, target
from hypothesis import strategies as st

from snnpaper.theory import lemmas, ratio

search = settings(max_examples=500, deadline=None, derandomize=True, database=None)
signed = st.floats(-1, 1, allow_subnormal=False)
gradients = st.lists(st.just(0.0) | signed, min_size=1, max_size=12).filter(lambda v: max(map(abs, v)) > 1e-3)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@search
@given(gradients)
def test_ratio_is_between_3_and_3_l0(values):
    target(lemmas.ratio_on_symmetric_ball(tensor(values)))


@search
@given(gradients)
def test_l1_over_l2_is_sharper_than_l0(values):
    g = tensor(values)
    assert float((g.abs().sum() / g.norm()) ** 2) <= float(ratio.l0(g)) * (1 + 1e-9)


@search
@given(st.lists(st.tuples(signed, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_ratio_on_any_box_is_between_3_and_3k_plus_1(entries):
    g, down, up = (torch.where(v.abs() > 1e-3, v, 0.0) for v in tensor(entries).T)
    assume(bool(((g != 0) & (up + down > 0)).any()))
    target(lemmas.ratio_on_a_box(g, -down, up))


@search
@given(gradients, st.integers(0, 2**12 - 1))
def test_binary_code_with_uniform_and_with_clamped_noise(values, bits):
    target(lemmas.ratio_on_a_binary_code(tensor(values), tensor([float(bits >> i & 1) for i in range(len(values))])))


@pytest.mark.parametrize("k", [1, 2, 3, 10, 1000])
def test_equality_at_both_ends(k):
    g = torch.zeros(2 * k, dtype=torch.float64)
    g[0] = -0.3
    assert float(ratio.first_order_ratio(g)) == pytest.approx(3)
    g[:k] = 0.3
    assert float(ratio.first_order_ratio(g)) == pytest.approx(3 * k)
    # the corrected bound is reached by a pixel-like box: every entry has room 1 up, (3k-1)/(3k+1) down
    one = torch.ones(k).double()
    lower = -one * (3 * k - 1) / (3 * k + 1)
    found = ratio.rho_adv(one, lower, one) / ratio.rho_rand(one, lower, one)
    assert float(found) == pytest.approx(3 * k + 1)
    assert ratio.largest_one_sided(k) < 3 * k + 1


@pytest.mark.parametrize(("c", "noise", "value"), [
    ((1, -0.75), "uniform", 48 / 7), ((1,), "clamped", 6), ((1, 1), "clamped", 96 / 11), ((1, -1), "clamped", 4.8),
])  # fmt: skip
def test_known_values_on_a_binary_code(c, noise, value):
    g = tensor(c)
    lower, upper = ratio.box(torch.zeros_like(g), 0.02, 0, 1)
    found = ratio.rho_adv(g, lower, upper) / ratio.rho_rand(g, lower, upper, noise, 0.02)
    assert float(found) == pytest.approx(value)
    assert len(c) > 1 or float(found) > 4  # uniform noise's bound 3k + 1 does not cover clamped noise


def test_largest_one_sided_is_reached():
    for k in (2, 3, 5, 8):
        p = round((3 * k + 1) / 6)
        n = k - p
        g = torch.cat([torch.full((p,), 1 / p), torch.full((n,), -3 / (1 + 3 * n))]).double()
        found = ratio.rho_adv(g, 0 * g, 1 + 0 * g) / ratio.rho_rand(g, 0 * g, 1 + 0 * g)
        assert float(found) == pytest.approx(ratio.largest_one_sided(k))


@pytest.mark.parametrize("nonzero", [5, 50, 500])
def test_monte_carlo_agrees_with_the_closed_form(nonzero):
    generator = torch.Generator().manual_seed(nonzero)
    g = torch.zeros(1000, dtype=torch.float64)
    g[:nonzero] = torch.randn(nonzero, dtype=torch.float64, generator=generator)
    for x, low, high in ((torch.full_like(g, 0.5), -math.inf, math.inf), ((g > 0).double(), 0.0, 1.0)):
        lower, upper = ratio.box(x, 0.1, low, high)
        mean, error = ratio.monte_carlo(lambda z: z @ g, x, lower, upper, 4000, generator)
        assert abs(mean - ratio.rho_rand(g, lower, upper)) < 4 * error
        moves = torch.stack([ratio.worst_move(g, lower, upper, raising) for raising in (True, False)])
        assert float((moves @ g).square().max()) == pytest.approx(float(ratio.rho_adv(g, lower, upper)))
        assert bool(((moves >= lower) & (moves <= upper)).all())
        assert torch.equal(ratio.affine_gradient(lambda z: z @ g, x, lower, upper), g)


def test_clamped_noise_is_what_it_says():
    generator = torch.Generator().manual_seed(1)
    g, x = tensor([1.0, -0.5, 0.3]), tensor([0.0, 0.97, 0.02])
    lower, upper = ratio.box(x, 0.05, 0.0, 1.0)
    noise = (torch.rand(200_000, 3, dtype=torch.float64, generator=generator) * 2 - 1) * 0.05
    moved = (x + noise).clamp(0, 1) - x
    squares = (moved @ g).square()
    exact = float(ratio.rho_rand(g, lower, upper, "clamped", 0.05))
    assert abs(float(squares.mean()) - exact) < 4 * float(squares.std()) / 200_000**0.5


def test_dense_gaussian_gradient_has_ratio_6d_over_pi():
    g = torch.randn(3072, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(ratio.first_order_ratio(g)) == pytest.approx(6 * 3072 / math.pi, rel=0.03)


def test_the_sparser_network_can_be_the_more_vulnerable_one():
    sparse, dense = torch.zeros(100).double(), torch.full((100,), 0.005).double()
    sparse[0] = 1.0
    lower, upper = ratio.box(torch.zeros(100).double(), 1.0)
    assert float(ratio.first_order_ratio(sparse)) < float(ratio.first_order_ratio(dense))
    assert float(ratio.rho_adv(sparse, lower, upper)) > float(ratio.rho_adv(dense, lower, upper))


def test_tiny_gradients_do_not_underflow():
    assert float(ratio.first_order_ratio(torch.full((4,), 1e-200, dtype=torch.float64))) == pytest.approx(12)


zero, one = tensor([0.0]), tensor([1.0])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: ratio.first_order_ratio(zero), "gradient is zero"),
    (lambda: ratio.first_order_ratio(tensor([float("nan")])), "not finite"),
    (lambda: ratio.bound_41(zero, -one, one), "gradient is zero"),
    (lambda: ratio.bound_41(one, zero, one), "cut in 1 entries"),
    (lambda: ratio.bound_41(tensor([1.0, 1.0]), tensor([-1.0, -2.0]), tensor([1.0, 2.0])), "cut in 1"),
    (lambda: ratio.bound_41_box(one, zero + 0.5, one), "does not contain 0"),
    (lambda: ratio.bound_41_box(one, zero, zero), "no entry"),
    (lambda: ratio.bound_41_box(one, -one, one, "clamped", 1.0), "one way only"),
    (lambda: ratio.bound_41_box(one, zero, one, "gauss"), "allowed: uniform, clamped"),
    (lambda: ratio.rho_rand(one, zero, one, "gauss"), "allowed: uniform, clamped"),
    (lambda: ratio.rho_rand(one, zero, one, "clamped", 0.5), "not inside"),
    (lambda: ratio.box(one, 0.0), "eps is 0.0"),
    (lambda: ratio.box(one + 1, 0.1, 0, 1), "x leaves"),
    (lambda: ratio.largest_one_sided(0), "k is 0"),
    (lambda: ratio.affine_gradient(lambda z: z[:, 0] ** 3, one, zero, one), "not affine"),
])  # fmt: skip
def test_guards(call, message):
    with pytest.raises(ValueError, match=message):
        call()
