"""BatchNorm and neurons in one pass equal torch's BatchNorm followed by the reference loop; broken copies do not."""

import copy
import itertools
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snnpaper.nets import fused, kernels, neurons
from snnpaper.nets.fused import fused_if
from snnpaper.nets.models import Conv2d
from snnpaper.nets.neurons import IF, SURROGATES, if_library, if_reference

VARIANTS = list(itertools.product(SURROGATES, (True, False)))


def norm(channels, training=True, dtype=torch.float64):
    """A BatchNorm whose weights and statistics all differ from where they start."""
    torch.manual_seed(channels)
    bn = nn.BatchNorm2d(channels).to(dtype).train(training)
    with torch.no_grad():
        bn.weight.uniform_(0.5, 1.5), bn.bias.normal_(), bn.running_mean.normal_(), bn.running_var.uniform_(0.5, 2)
    return bn


def current(channels=5, side=4, T=6, dtype=torch.float64):
    g = torch.Generator().manual_seed(1)
    return 1.5 + 2 * torch.randn(T, 3, channels, side, side, dtype=dtype, generator=g)


def run(function, x, bn):
    """Spikes and the gradients of x, weight and bias; the norm's buffers move along."""
    x = x.clone().requires_grad_()
    s = function(x, bn)
    upstream = torch.randn(s.shape, dtype=s.dtype, generator=torch.Generator().manual_seed(2))
    return s.detach(), *torch.autograd.grad(s, [x, bn.weight, bn.bias], upstream)


def apart(x, bn, *neuron):
    return if_reference(bn(x.flatten(0, 1)).unflatten(0, x.shape[:2]), *neuron)


def distance(a, b):
    """Largest difference of each gradient, in units of its largest entry."""
    return [((p - q).abs().max() / q.abs().max()).item() for p, q in zip(a[1:], b[1:], strict=True)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("surrogate", "detach"), VARIANTS)
def test_one_pass_equals_two(surrogate, detach, training):
    ours, theirs = norm(5, training), norm(5, training)
    neuron = (surrogate, 1.5, detach)
    a = run(lambda x, bn: fused_if(x, *neuron, bn), current(), ours)
    b = run(lambda x, bn: apart(x, bn, *neuron), current(), theirs)
    assert 0 < a[0].mean() < 1 and torch.equal(a[0], b[0])
    assert max(distance(a, b)) < 1e-12
    for (name, p), q in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
    assert ours.num_batches_tracked == int(training)


def test_an_empty_batch_leaves_the_statistics():
    ours, before = norm(5), norm(5)
    assert fused_if(current()[:, :0], norm=ours).shape == (6, 0, 5, 4, 4)
    assert torch.equal(ours.running_mean, before.running_mean) and torch.equal(ours.running_var, before.running_var)


def test_statistics_may_be_a_plain_mean_over_batches():
    ours, theirs = norm(5), norm(5)
    for bn, function in ((ours, lambda x, bn: fused_if(x, norm=bn)), (theirs, apart)):
        bn.momentum = None
        for offset in range(3):
            function(current() + offset, bn)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize(("channels", "side"), [(1, 1), (3, 7), (16, 16), (700, 1)])
def test_any_number_of_channels_in_single_precision(channels, side):
    x = current(channels, side, dtype=torch.float32)
    a, b = (run(f, x, norm(channels, dtype=torch.float32)) for f in (lambda x, bn: fused_if(x, norm=bn), apart))
    assert torch.equal(a[0], b[0])
    assert max(distance(a, b)) < 1e-5


def test_the_number_of_threads_changes_nothing():
    x, threads, results = current(16, 16), torch.get_num_threads(), []  # float64: the last bit of a sum shows
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            results.append(run(lambda x, bn: fused_if(x, norm=bn), x, norm(16)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(p, q) for p, q in zip(*results, strict=True))


def mutant(old: str, new: str) -> types.SimpleNamespace:
    """The loops with one statement changed, run by Python itself."""
    source = Path(kernels.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, old
    source = source.replace("from numba import njit, prange", "njit, prange = lambda **_: lambda f: f, range")
    names: dict = {"__name__": "mutant"}
    exec(compile(source.replace(old, new), "mutant", "exec"), names)
    return types.SimpleNamespace(**names)


MUTANTS = {
    "nothing": ("one = x.dtype.type(1)\n    first", "one = x.dtype.type(1)\n    first", None),
    "the carry over time dropped": ("later[i] *= one if h[i] < one else one - one", "later[i] = 0", 0),
    "the reset's gate open": ("later[i] *= one if h[i] < one else one - one", "pass", 0),
    "the last step's gradient dropped": ("range(T - 1, -1, -1)", "range(T - 2, -1, -1)", 1),
    "the batch's mean gradient left in": ("- shift[i] - by_x[i] * current[i]", "- by_x[i] * current[i]", 0),
    "the part along x left in": ("- shift[i] - by_x[i] * current[i]", "- shift[i]", 0),
    "the weight's gradient lost": ("weighted[i] += np.float64(later[i])", "weighted[i] += 0 * np.float64(later[i])", 1),
    "the bias's gradient lost": ("plain[i] += later[i]", "plain[i] += 0", 2),
    "the surrogate's bend forgotten": ("steep[i] = one / (floor + bend * u * u)", "steep[i] = one / floor", 0),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_copy_is_found(name, monkeypatch):
    """The comparison has power: each mutation moves the gradient named with it far beyond the tolerance."""
    old, new, where = MUTANTS[name]
    x = current(channels=2, side=2, T=4)
    right = run(apart, x, norm(2))
    monkeypatch.setattr(fused, "kernels", mutant(old, new))
    off = distance(run(lambda x, bn: fused_if(x, norm=bn), x, norm(2)), right)
    assert max(off) < 1e-12 if where is None else not off[where] < 1e-3


def test_a_norm_that_somebody_listens_to_runs_by_itself():
    seen, bn, x = [], norm(5), current()
    plain = IF()(x, copy.deepcopy(bn))
    handle = bn.register_forward_hook(lambda m, i, out: seen.append(out.shape))
    assert torch.equal(IF()(x, bn), plain) and seen == [(18, 5, 4, 4)]
    handle.remove()


def test_otherwise_norm_and_neurons_are_one_operator(monkeypatch):
    """Not only equal but in use: neither BatchNorm's own forward pass nor the reference loop runs."""
    bn, x = norm(5), current()
    wanted = apart(x, copy.deepcopy(bn))
    monkeypatch.setattr(nn.BatchNorm2d, "forward", None)
    monkeypatch.setattr(neurons, "if_reference", None)
    assert torch.equal(IF()(x, bn), wanted)


def test_a_second_derivative_is_refused():
    x = current().requires_grad_()
    with pytest.raises(RuntimeError, match="need the plain engine"):
        torch.autograd.grad(fused_if(x).sum(), x, create_graph=True)


@pytest.mark.parametrize(("surrogate", "detach"), VARIANTS)
def test_the_library_s_operator_equals_the_reference(surrogate, detach):
    """What runs on CUDA, here on the CPU: same call, SpikingJelly picks the kernel."""
    x, results = current(dtype=torch.float32).flatten(1), []
    for function in (if_library, if_reference):
        x = x.detach().requires_grad_()
        s = function(x, surrogate, 1.5, detach)
        (g,) = torch.autograd.grad(s, x, torch.linspace(-1, 1, s.numel()).view_as(s))
        results.append((s.detach(), g))
    (a, ga), (b, gb) = results
    assert torch.equal(a, b) and (ga - gb).abs().max() <= 1e-6 * gb.abs().max()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (7, 2)])
def test_taps_in_the_padding_are_not_missed(side, kernel, stride):
    torch.manual_seed(0)
    ours = Conv2d(3, 4, kernel, stride, kernel // 2, bias=False).double()
    theirs = nn.Conv2d(3, 4, kernel, stride, kernel // 2, bias=False).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, side, side, dtype=torch.float64).requires_grad_()
    a, b = ours(x), theirs(x)
    upstream = torch.randn_like(b)
    for p, q in zip(
        (a, *torch.autograd.grad(a, [x, ours.weight], upstream)),
        (b, *torch.autograd.grad(b, [x, theirs.weight], upstream)),
        strict=True,
    ):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def test_a_single_tap_is_what_a_single_pixel_costs(monkeypatch):
    shapes = []
    product = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda x, w, b: shapes.append(w.shape) or product(x, w, b))
    for side, taps in ((1, 1), (2, 4)):
        Conv2d(3, 4, 3, 1 if side == 1 else 2, 1, bias=False)(torch.zeros(1, 3, side, side))
        assert shapes[-1] == (4, 3 * taps)


def test_few_channels_are_never_strided_over_by_a_single_tap(monkeypatch):
    """The case in which oneDNN writes beyond its buffers: fewer than 8 channels, kernel 1, stride 2."""
    strides = []
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda x, w, b, stride=1, *rest: strides.append(stride))
    for channels in (4, 8):
        Conv2d(channels, 8, 1, 2, bias=False)(torch.zeros(1, channels, 4, 4))
    assert strides == [1, (2, 2)]  # the second has 8 channels


def test_constants_agree_with_the_surrogates():
    """kernels._steepness, run by Python, against neurons.SURROGATES."""
    loops = mutant("LANES = 512", "LANES = 512")
    h = torch.linspace(-2, 4, 601, dtype=torch.float64)
    for name, (kind, constants) in fused._SURROGATES.items():
        steep = np.empty(len(h))
        loops._steepness(h.numpy(), kind, np.array(constants(1.7)), steep)
        torch.testing.assert_close(torch.from_numpy(steep), SURROGATES[name](h - 1, 1.7))
