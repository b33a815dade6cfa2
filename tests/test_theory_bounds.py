"""Theorem 4.4: the true readings searched for violations; every counterexample with its guard."""

import pytest
import torch
from hypothesis import given, settings, target
from hypothesis import strategies as st

from snnpaper.report.theory import tables
from snnpaper.theory import bounds, examples, lemmas

search = settings(max_examples=500, deadline=None, derandomize=True, database=None)


@st.composite
def entries(draw):
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    sizes = [draw(st.integers(1, top)) for top in (4, 4, 8, 5)]  # T, N, d, d1
    density, rate = draw(st.sampled_from([0.2, 0.5, 1.0])), draw(st.sampled_from([0.1, 0.5, 1.0]))
    return lemmas.random_entry(g, *sizes, density, rate, draw(st.sampled_from(["atan", "rectangular"])))


@search
@given(entries())
def test_rows_hold_without_expectation(entry):
    lemmas.rows_of_44(*entry)


@search
@given(entries())
def test_true_readings_and_the_whole_matrix_hold(entry):
    target(lemmas.readings_of_44(*entry))


@search
@given(entries(), st.integers(0, 2**31 - 1))
def test_tying_keeps_the_count(entry, seed):
    W, s, delta = entry
    ties = torch.randint(W.numel(), W.shape, generator=torch.Generator().manual_seed(seed))
    rows = torch.einsum("tno,tni->noi", delta, s)
    tied = bounds.tied_gradient(rows, ties)
    assert bool(((tied != 0).sum(1) <= (rows != 0).flatten(1).sum(1)).all())


def test_the_bound_is_reached():
    W, s = torch.full((1, 6), 0.1).double(), torch.ones(1, 1, 6).double()
    left, right = bounds.bound_44(W, s, examples.entry(W, s, torch.tensor([[1.0], [-1.0]]).double()))
    assert float(left) == float(right) == 1


def test_two_true_readings_are_one_inequality():
    g = torch.Generator().manual_seed(0)
    W, s = torch.randn(3, 7, dtype=torch.float64, generator=g), torch.ones(2, 4, 7).double()
    delta = examples.entry(W, s, torch.randn(3, 3, dtype=torch.float64, generator=g))
    density, count = (bounds.bound_44(W, s, delta, r) for r in ("row density", "row count over density"))
    assert torch.allclose(density[0] * 7, count[0]) and torch.allclose(density[1] * 7, count[1])
    rates = bounds.level_44(2, 1.0, 1.0, 1.0)  # all inputs active, dense rows, dense gradient
    assert torch.allclose(density[1], torch.full((3,), rates).double())


@pytest.mark.parametrize("example", examples.ALL, ids=lambda f: f.__name__)
def test_without_its_assumption_the_claim_is_false_and_the_guard_refuses(example):
    found = example()
    assert found.violated and found.left > found.right
    with pytest.raises(ValueError):
        found.guard()


# what each counterexample's guard must name, so that no guard hides behind another
GUARDS = {
    "zero_gradient": "gradient is zero", "curvature": "not affine", "surrogate_upper": "not affine",
    "surrogate_lower": "not affine", "clamped_ball": "ball is cut", "clamped_noise": "one way only",
    "train_mode_norm": "couples the batch", "shared_weights": "A1", "cancellation": "A2", "empty_row": "A3",
    "mean_spike_count": "A4", "one_step": "A5", "count_on_the_left": "reading",
    "matrix_on_the_left": "reading", "neurons_for_d": "reading",
}  # fmt: skip


@pytest.mark.parametrize("example", examples.ALL, ids=lambda f: f.__name__)
def test_guard_names_the_assumption(example):
    with pytest.raises(ValueError, match=GUARDS[example.__name__]):
        example().guard()


def test_table_of_counterexamples_checks_what_it_lists(monkeypatch):
    assert [len(tables.counterexamples(theorem)) for theorem in ("4.1", "4.2", "4.4")] == [6, 1, 8]
    lax = examples.Counterexample("4.1", "nothing", "1 <= 0", 1.0, 0.0, guard=lambda: None)
    true = examples.Counterexample("4.1", "nothing", "0 <= 1", 0.0, 1.0, guard=examples.clamped_ball().guard)
    for found in (lax, true):
        monkeypatch.setattr(examples, "ALL", (lambda found=found: found,))
        with pytest.raises(AssertionError, match="nothing"):
            tables.counterexamples("4.1")


def test_values_of_the_counterexamples():
    found = {f.__name__: f() for f in examples.ALL}
    both = {name: (round(c.left, 2), round(c.right, 2)) for name, c in found.items()}
    assert both["clamped_ball"] == (6.86, 6) and both["shared_weights"] == (1, 0.11)
    assert both["count_on_the_left"] == (8, 1) and both["matrix_on_the_left"] == (32, 8)
    assert both["mean_spike_count"] == (0.5, 0.25) and both["neurons_for_d"] == (8, 2)


@search
@given(entries())
def test_right_side_in_fractions(entry):
    W, s, delta = entry
    T, _, d = s.shape
    right = bounds.bound_44(W, s, delta)[1]
    rate, gradient = float((s != 0).sum(-1).max()) / d, float((delta @ W != 0).double().mean())
    level = [bounds.level_44(T, rate, float(k) / d, gradient) for k in (W != 0).sum(1)]
    assert torch.allclose(right, torch.tensor(level, dtype=torch.float64))


def test_disjoint_receptive_fields_make_the_neuron_reading_tight():
    W, s = torch.kron(torch.eye(4), torch.ones(1, 2)).double() * 0.1, torch.ones(1, 1, 8).double()
    delta = examples.entry(W, s, torch.stack([torch.ones(4), -torch.ones(4)]).double())
    left, right = bounds.sides_44(W, s, delta, "mean row count")
    assert float(left) == float(right) == 8


def test_unrolled_convolution_is_the_convolution():
    g = torch.Generator().manual_seed(1)
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=g)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=g)
    W, ties = bounds.unroll(kernel, 8, 8, stride=2, padding=1)
    y = torch.nn.functional.conv2d(x, kernel, stride=2, padding=1)
    assert torch.allclose(x.flatten(1) @ W.T, y.flatten(1))
    assert torch.equal(kernel.flatten()[ties[ties >= 0]], W[ties >= 0])
    rows = torch.einsum("no,ni->noi", torch.ones_like(y).flatten(1), x.flatten(1))
    by_hand = torch.nn.grad.conv2d_weight(x[:1], kernel.shape, torch.ones_like(y[:1]), 2, 1)
    assert torch.allclose(bounds.tied_gradient(rows, ties)[0], by_hand.flatten())


@pytest.mark.parametrize(("call", "message"), [
    (lambda W, s, e: bounds.sides_44(W, s, e, "R9"), "allowed: row density"),
    (lambda W, s, e: bounds.bound_44(W, s, e, "R9"), "allowed: row density"),
    (lambda W, s, e: bounds.bound_44(W, s, e, connected=W > 9), "outside `connected`"),
    (lambda W, s, e: bounds.bound_matrix(W * 0, s, e), "A3"),
    (lambda W, s, e: bounds.rows_44(W * 0, s, e), "A3"),
    (lambda W, s, e: bounds.level_44(10, 1.5, 1, 1), "spike_rate is 1.5"),
    (lambda W, s, e: bounds.level_44(10, 0.5, 0, 1), "row_density is 0"),
])  # fmt: skip
def test_guards(call, message):
    W, s = torch.ones(2, 3).double(), torch.ones(1, 1, 3).double()
    with pytest.raises(ValueError, match=message):
        call(W, s, torch.ones(1, 1, 2).double())
