"""Theorems 4.2 and 4.3: the hand-written chain against autograd, and the support lemmas."""

import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnpaper.nets.neurons import IF, if_reference
from snnpaper.theory import algebra, bounds, lemmas
from snnpaper.theory.chain import Residual, autograd, chain, pool_share, pull_back, run
from snnpaper.theory.layers import AvgPool, Dense, Fire, MaxPool
from snnpaper.theory.lemmas import normal, random_norm, spikes

search = settings(max_examples=500, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def neurons(draw):
    return Fire(draw(st.sampled_from(["atan", "rectangular"])), draw(st.booleans()))


@st.composite
def dense_networks(draw):
    g = torch.Generator().manual_seed(draw(seeds))
    sizes = [draw(st.integers(1, 4)) for _ in range(4)]  # T, N, d, width
    fires = draw(neurons()), draw(neurons())
    return lemmas.random_dense(g, *sizes, fires, draw(st.sampled_from(["none", "eval", "train"])), draw(st.booleans()))


@st.composite
def stems(draw):
    g = torch.Generator().manual_seed(draw(seeds))
    sizes = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(4, 7))  # T, N, side
    return lemmas.random_stem(g, *sizes, draw(neurons()), draw(st.sampled_from(["max", "avg"])), draw(st.booleans()))


@search
@given(dense_networks())
def test_chain_and_shared_path_equal_autograd_dense(network):
    lemmas.chain_equals_autograd(*network)


@search
@given(stems())
def test_chain_equals_autograd_conv(network):
    lemmas.chain_equals_autograd(*network)


@search
@given(seeds, st.integers(1, 5), neurons())
def test_support_of_the_neuron(seed, T, fire):
    g = torch.Generator().manual_seed(seed)
    lemmas.neuron_support(fire, normal(g, T, 1, 6), spikes(g, T, 1, 6, rate=0.3) * normal(g, T, 1, 6))


@search
@given(dense_networks())
def test_counts_of_both_gradients_are_bounded_by_delta(network):
    layers, s, y = network
    lemmas.shared_counts(layers[0].weight, s, chain(layers, s, y)[1])


def test_silence_spreads_a_gradient_back_in_time_and_a_spike_stops_it():
    fire, above = Fire("rectangular"), torch.tensor([0.0, 0.0, 1.0]).double().view(3, 1, 1)
    fire.forward(torch.tensor([0.1, 0.1, 0.7]).double().view(3, 1, 1))
    assert (fire.slope.flatten() != 0).tolist() == [False, False, True]  # dead at t = 1, 2 ...
    assert (fire.pull_back(above).flatten() != 0).tolist() == [True, True, True]  # ... and yet reached
    fire.forward(torch.tensor([0.1, 1.1, 0.7]).double().view(3, 1, 1))
    assert (fire.pull_back(above).flatten() != 0).tolist() == [False, False, True]


def test_bounds_of_both_counts_are_tight():
    W, delta = torch.eye(3, 6).double(), torch.ones(1, 1, 3).double()
    left, right = bounds.count_input(W, delta)
    assert float(left) == float(right) == 3
    left, right = bounds.count_weight(torch.ones(1, 1, 6).double(), delta)
    assert float(left) == float(right) == 18


def test_no_delta_means_no_gradient_but_not_the_converse():
    g = torch.Generator().manual_seed(0)
    layers = [Dense(normal(g, 4, 5) * 0 + 0.01), Fire("rectangular"), Dense(normal(g, 3, 4))]
    s, y = torch.ones(2, 1, 5).double(), torch.tensor([0])
    assert all(bool((grad == 0).all()) for grad in autograd(layers, s, y, layers[0].weight))


@search
@given(seeds, st.integers(3, 12), st.floats(0, 1))
def test_max_pool_passes_at_most_windows_over_positions(seed, side, rate):
    g = torch.Generator().manual_seed(seed)
    x, windows = spikes(g, 1, 1, 2, side, side, rate=rate), (side + 2 - 3) // 2 + 1
    lemmas.max_pool_share(MaxPool(), x, normal(g, 1, 1, 2, windows, windows))


@search
@given(seeds, st.floats(0, 1))
def test_ties_on_binary_spikes_go_to_the_first_element(seed, rate):
    x, pool = spikes(torch.Generator().manual_seed(seed), 1, 1, 1, 8, 8, rate=rate), MaxPool(2, 2, 0)
    pool.forward(x)
    windows = torch.nn.functional.unfold(x[0], 2, stride=2)[0]  # [4, 16], raster order inside a window
    row, column = pool.chosen.flatten() // 8 % 2, pool.chosen.flatten() % 2
    expected = torch.where(windows.sum(0) == 0, 0, windows.argmax(0))
    assert torch.equal(row * 2 + column, expected)


def test_keeping_the_last_of_equals_changes_the_gradient_and_not_the_output():
    x, pool = spikes(torch.Generator().manual_seed(5), 1, 1, 1, 8, 8), MaxPool(2, 2, 0)
    above = torch.ones(1, 1, 1, 4, 4).double()
    first, passed = pool.forward(x), pool.pull_back(above)
    last = pool.forward(x.flip(-1, -2)).flip(-1, -2)  # scanning from the other end
    assert torch.equal(first, last) and not torch.equal(passed, pool.pull_back(above).flip(-1, -2))


def test_the_published_stem_pool_passes_a_quarter_when_silent_and_average_passes_all():
    x, above = torch.zeros(1, 1, 1, 16, 16).double(), torch.ones(1, 1, 1, 8, 8).double()
    share = {}
    for pool in (MaxPool(), AvgPool()):
        pool.forward(x)
        share[type(pool).__name__] = float((pool.pull_back(above) != 0).double().mean())
    assert share == {"MaxPool": 0.25, "AvgPool": 1.0} and pool_share(16) == 0.25
    x = torch.ones_like(x)  # every element ties: each window still passes everything to one element
    pool = MaxPool()
    pool.forward(x)
    assert float((pool.pull_back(above) != 0).double().mean()) == 0.25


def test_batchnorm_is_diagonal_in_eval_and_couples_the_batch_in_train():
    g = torch.Generator().manual_seed(2)
    one_hot = torch.zeros(1, 6, 2).double()
    one_hot[0, 3, 1] = 1
    for train, reached in ((False, 1), (True, 6)):
        layer = random_norm(g, 2, train)
        layer.forward(normal(g, 1, 6, 2))
        assert int((layer.pull_back(one_hot) != 0).sum()) == reached
    with pytest.raises(ValueError, match="train mode couples"):
        layer.diagonal()
    frozen = random_norm(g, 2, False)
    frozen.forward(one_hot)
    assert torch.equal(frozen.pull_back(one_hot), one_hot * frozen.diagonal())


def test_sew_add_passes_the_gradient_past_a_dead_branch():
    block = Residual([Dense(0.01 * torch.ones(4, 4).double()), Fire("rectangular")])
    above = torch.ones(2, 1, 4).double()
    run([block], torch.ones(2, 1, 4).double())
    assert bool((pull_back(block.branch, above)[0] == 0).all()) and torch.equal(block.pull_back(above), above)


@pytest.mark.parametrize("detach", [True, False])
def test_neuron_equals_the_books(detach):
    g = torch.Generator().manual_seed(3)
    u, above = normal(g, 6, 40).requires_grad_(), normal(g, 6, 40)
    fire = Fire("atan", detach)
    mine = fire.forward(u.detach())
    for theirs in (if_reference(u, "atan", 2.0, detach), IF("atan", 2.0, detach)(u)):
        assert torch.equal(theirs, mine)
        assert torch.allclose(torch.autograd.grad(theirs, u, above)[0], fire.pull_back(above), rtol=0, atol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="allowed: atan, rectangular"):
        Fire("step")
    with pytest.raises(ValueError, match="does not fit"):
        pool_share(1, kernel=4)


def evaluate(value: sp.Expr, numbers: dict[str, float]) -> float:
    """The number an expression has for an ATan surrogate (alpha = 2), given w1, w2, s1, s2, c1, c2."""
    value = value.subs({sp.Symbol(name): sp.Float(x, 30) for name, x in numbers.items()})
    value = value.replace(algebra.Theta, lambda h: sp.Integer(1) if h >= 1 else sp.Integer(0))
    return float(value.replace(algebra.Slope, lambda h: 1 / (1 + (sp.pi * (h - 1)) ** 2)))


@pytest.mark.parametrize("detach", [True, False])
def test_sympy_chain_and_autograd_agree_on_two_neurons_and_two_steps(detach):
    assert algebra.agrees(detach)
    found = algebra.derivatives(detach)
    for s1, s2, w1, w2 in ((1, 1, 0.7, 1.1), (1, 0, 1.3, 0.4), (1, 1, 0.4, 1.2), (0, 1, 2.0, 1.0)):
        numbers = dict(w1=w1, w2=w2, s1=s1, s2=s2, c1=0.3, c2=0.9)
        W1, W2 = (torch.tensor([[w]], dtype=torch.float64, requires_grad=True) for w in (w1, w2))
        s = torch.tensor([s1, s2], dtype=torch.float64).view(2, 1, 1).requires_grad_()
        out = run([Dense(W1), Fire("atan", detach), Dense(W2), Fire("atan", detach)], s).flatten()
        by_torch = torch.autograd.grad(out @ torch.tensor([0.3, 0.9], dtype=torch.float64), (s, W1, W2))
        by_torch = torch.cat([x.flatten() for x in by_torch])
        by_sympy = torch.tensor([evaluate(found[k], numbers) for k in ("s1", "s2", "w1", "w2")])
        assert torch.allclose(by_torch, by_sympy.double(), atol=1e-6)
