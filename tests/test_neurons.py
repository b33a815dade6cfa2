"""The fused IF operator against its reference and SpikingJelly, and the surrogates' shapes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron, surrogate

from snnpaper.nets import neurons
from snnpaper.nets.neurons import IF, SURROGATES, V_TH, if_reference

COMPACT = ("rectangular", "triangular")
VARIANTS = [(name, detach) for name in SURROGATES for detach in (True, False)]


def current(T, n, dtype, seed, mean=0.3, spread=0.6):
    g = torch.Generator().manual_seed(seed)
    return mean + spread * torch.randn(T, n, dtype=dtype, generator=g)


def spikes_and_gradient(function, x, upstream):
    x = x.clone().requires_grad_()
    s = function(x)
    (gradient,) = torch.autograd.grad((s * upstream).sum(), x)
    return s.detach(), gradient


def same(a, b, relative=1e-6):
    """Identical spikes; gradients equal to `relative` of the largest entry."""
    assert torch.equal(a[0], b[0])
    scale = b[1].abs().max().clamp(min=1e-30)
    assert (a[1] - b[1]).abs().max() <= relative * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "detach"), VARIANTS)
@pytest.mark.parametrize("T", [1, 2, 10])
def test_fused_equals_reference(T, name, detach, dtype):
    for alpha in (0.5, 2.0, 8.0):
        x = current(T, 400, dtype, seed=T)
        upstream = current(T, 400, dtype, seed=99, mean=0.0)
        fused = spikes_and_gradient(IF(name, alpha, detach), x, upstream)
        assert 0 < fused[0].mean() < 1
        # The two sum in another order: single precision is held to a few units in the last place.
        same(fused, spikes_and_gradient(IF(name, alpha, detach, plain=True), x, upstream))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    T=st.integers(1, 12),
    shape=st.sampled_from([(1,), (5,), (2, 3), (2, 3, 4, 4)]),
    variant=st.sampled_from(VARIANTS),
    alpha=st.floats(0.1, 10),
    mean=st.floats(-1, 2),
    seed=st.integers(0, 10_000),
)
def test_fused_equals_reference_on_any_shape(T, shape, variant, alpha, mean, seed):
    name, detach = variant
    g = torch.Generator().manual_seed(seed)
    x = mean + torch.randn(T, *shape, dtype=torch.float64, generator=g)
    upstream = torch.randn(T, *shape, dtype=torch.float64, generator=g)
    same(
        spikes_and_gradient(IF(name, alpha, detach), x, upstream),
        spikes_and_gradient(lambda x: if_reference(x, name, alpha, detach), x, upstream),
        relative=1e-10,
    )


@pytest.mark.parametrize("layout", ["transposed", "channels_last"])
def test_fused_takes_any_memory_layout(layout):
    x = current(6, 2 * 3 * 4 * 4, torch.float64, seed=5).view(6, 2, 3, 4, 4)
    strange = {
        "transposed": x.transpose(0, 1).contiguous().transpose(0, 1),
        "channels_last": x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (6, 2)),
    }[layout]
    upstream = torch.ones_like(x)
    same(spikes_and_gradient(IF(), strange, upstream), spikes_and_gradient(if_reference, x, upstream))


@pytest.mark.parametrize("detach", [True, False])
def test_equals_spikingjelly(detach):
    x, upstream = current(10, 500, torch.float32, seed=1), current(10, 500, torch.float32, seed=2)
    theirs = neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=detach, step_mode="m")
    same(spikes_and_gradient(IF("atan", 2.0, detach), x, upstream), spikes_and_gradient(theirs, x, upstream))


def hard_wired_gradient(x, upstream, gate):
    """Detached ATan backward pass with the reset gate as a parameter: gate(h) multiplies the carried term."""
    h, v = [], torch.zeros_like(x[0])
    for step in x:
        h.append(v + step)
        v = torch.where(h[-1] >= V_TH, 0, h[-1])
    delta, carried = [], torch.zeros_like(x[0])
    for t in reversed(range(len(x))):
        carried = upstream[t] * SURROGATES["atan"](h[t] - V_TH, 2.0) + gate(h[t]) * carried
        delta.append(carried)
    return torch.stack(delta[::-1])


def test_a_wrong_reset_gate_would_be_seen():
    """The comparison has power: each mutation of the gate moves the gradient far beyond the tolerance."""
    x, upstream = current(10, 400, torch.float64, seed=3), torch.ones(10, 400, dtype=torch.float64)
    spikes, right = spikes_and_gradient(IF(), x, upstream)
    same((spikes, hard_wired_gradient(x, upstream, lambda h: (h < V_TH).to(h))), (spikes, right))
    mutants = {
        "carry dropped": torch.zeros_like,
        "gate left open": torch.ones_like,
        "gate inverted": lambda h: (h >= V_TH).to(h),
    }
    for name, gate in mutants.items():
        wrong = hard_wired_gradient(x, upstream, gate)
        assert (wrong - right).abs().max() > 0.1 * right.abs().max(), name


def test_detached_and_undetached_gradients_differ_only_where_something_follows():
    x, upstream = current(10, 400, torch.float64, seed=4), torch.ones(10, 400, dtype=torch.float64)
    detached, whole = (spikes_and_gradient(IF(detach_reset=d), x, upstream) for d in (True, False))
    assert torch.equal(detached[0], whole[0])
    assert torch.equal(detached[1][-1], whole[1][-1])  # the last step has no future
    assert not torch.allclose(detached[1][:-1], whole[1][:-1], atol=0.1)


def test_fires_at_the_threshold_and_resets_to_zero():
    x = torch.tensor([0.5, 0.5, 0.75, 1.75, 0.75, -5.0, 1.0])
    assert if_reference(x).tolist() == IF()(x).tolist() == [0, 1, 0, 1, 0, 0, 0]
    # the surplus 1.5 of step 4 is gone: two steps of 0.75 are needed for the next spike
    assert IF()(torch.tensor([0.75, 1.75, 0.75, 0.25])).tolist() == [0, 1, 0, 1]


def test_nothing_is_remembered_between_calls():
    layer, x = IF(), current(10, 200, torch.float32, seed=6)
    first = layer(x)
    layer(x + 0.4)
    assert torch.equal(layer(x), first)
    assert not list(layer.buffers()) and not list(layer.parameters())
    halves = torch.cat([layer(x[:5]), layer(x[5:])])
    assert not torch.equal(halves, first)  # time runs inside one call only


def test_unknown_surrogate():
    with pytest.raises(ValueError, match="surrogate is 'cosine'; allowed: atan, sigmoid, rectangular, triangular"):
        IF("cosine")


@pytest.mark.parametrize("alpha", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_are_symmetric_peaks_of_mass_one(name, alpha):
    u = torch.linspace(-200, 200, 4_000_001, dtype=torch.float64)
    slope = SURROGATES[name](u, alpha)
    within = 2 / math.pi * math.atan(math.pi / 2 * alpha * 200) if name == "atan" else 1.0
    assert torch.trapezoid(slope, u).item() == pytest.approx(within, abs=1e-3 * alpha)
    small = torch.linspace(0, 3, 601, dtype=torch.float64)
    left, right = SURROGATES[name](-small, alpha), SURROGATES[name](small, alpha)
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)
    assert (right.diff() <= 1e-12).all() and (right >= 0).all()
    peak = {"atan": alpha / 2, "sigmoid": alpha / 4, "rectangular": alpha, "triangular": alpha}[name]
    assert right[0].item() == pytest.approx(peak)


def test_only_compact_surrogates_are_zero():
    u = torch.cat([-torch.logspace(-3, 3, 500), torch.logspace(-3, 3, 500)])
    assert (SURROGATES["atan"](u, 2.0) > 0).all()
    assert (SURROGATES["sigmoid"](u[u.abs() < 5], 2.0) > 0).all()
    for name, edge in zip(COMPACT, (0.25, 0.5), strict=True):
        slope = SURROGATES[name](u, 2.0)
        assert torch.equal(slope > 0, u.abs() < edge)


def test_atan_is_spikingjelly_s_and_arctan_s_derivative():
    u = torch.linspace(-4, 4, 401, dtype=torch.float64).requires_grad_()
    primitive = torch.atan(math.pi / 2 * 2.0 * u) / math.pi + 0.5
    (derivative,) = torch.autograd.grad(primitive.sum(), u)
    torch.testing.assert_close(SURROGATES["atan"](u.detach(), 2.0), derivative)
    (theirs,) = torch.autograd.grad(surrogate.ATan(alpha=2.0)(u).sum(), u)
    torch.testing.assert_close(SURROGATES["atan"](u.detach(), 2.0), theirs)


def test_the_default_is_the_paper_s():
    layer = IF()
    assert (layer.surrogate, layer.alpha, layer.detach_reset, neurons.V_TH) == ("atan", 2.0, True, 1.0)
