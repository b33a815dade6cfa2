"""Every fast path equals the plain one; a copy that drops a gradient is found out."""

import platform

import pytest
import torch
import torch.nn.functional as F

from snnpaper import models
from snnpaper.config import Run
from snnpaper.engine import keep_freed_memory
from snnpaper.models import StemConv, build
from snnpaper.neurons import IF
from snnpaper.precision import differing_spikes


def gradients(net, x, y):
    """Logits, input gradient and parameter gradients of one pass."""
    x = x.clone().requires_grad_()
    logits = net(x)
    names, parameters = zip(*net.named_parameters(), strict=True)
    grads = torch.autograd.grad(F.cross_entropy(logits, y), [x, *parameters])
    return {"logits": logits.detach(), "input": grads[0]} | dict(zip(names, grads[1:], strict=True))


def pair(skip="sew", neuron="IF", pool="max", arch="resnet18", training=True):
    """The fast and the plain network of one run, in double precision so that no spike sits on an edge."""
    run = Run.make("demo", width=4, skip=skip, neuron=neuron, pool=pool, arch=arch)
    fast, plain = (build(run, engine).double().train(training) for engine in models.ENGINES)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


def spikes():
    g = torch.Generator().manual_seed(0)
    return (torch.rand(3, 4, 3, 32, 32, generator=g) < 0.5).double(), torch.arange(4)


@pytest.mark.parametrize("skip", ["sew", "spiking", "none"])
@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("neuron", ["IF", "ReLU"])
def test_fast_equals_plain(skip, pool, neuron):
    fast, plain = pair(skip, neuron, pool)
    a, b = gradients(fast, *spikes()), gradients(plain, *spikes())
    assert b["input"].abs().max() > 0
    for name in b:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("size", [(32, 32), (34, 32), (8, 8)])
def test_the_stem_s_gradient_by_parity_is_autograd_s(size):
    g = torch.Generator().manual_seed(1)
    layer = StemConv(5).double()
    x = torch.randn(2, 3, *size, generator=g, dtype=torch.float64).requires_grad_()
    out = layer(x)
    plain = F.conv2d(x, layer.weight, None, 2, 3)
    assert torch.equal(out, plain)
    up = torch.randn(out.shape, generator=g, dtype=torch.float64)
    for a, b in zip(*(torch.autograd.grad(o, [x, layer.weight], up) for o in (out, plain)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_an_odd_image_takes_torch_s_own_gradient():
    layer, x = StemConv(2), torch.randn(1, 3, 31, 32, requires_grad=True)
    assert torch.autograd.grad(layer(x).sum(), x)[0].shape == x.shape


def test_a_dropped_gradient_is_found(monkeypatch):
    """The comparison has power: losing one tap of the stem, or the neuron's memory, is far beyond tolerance."""
    fast, plain = pair()
    right = gradients(plain, *spikes())

    def far(name):
        wrong = gradients(fast, *spikes())[name]
        return (wrong - right[name]).abs().max() > 1e-3 * right[name].abs().max()

    assert not far("input")
    shuffle = F.pixel_shuffle
    with monkeypatch.context() as m:
        m.setattr(F, "pixel_shuffle", lambda x, r: shuffle(x.index_fill(1, torch.tensor(0), 0.0), r))
        assert far("input")
    fire = models.IF.forward
    with monkeypatch.context() as m:
        m.setattr(models.IF, "forward", lambda self, x: torch.cat([fire(self, x)[:-1], fire(self, x)[-1:].detach()]))
        assert far("input")


def test_half_precision_moves_few_spikes_and_says_how_many():
    net = build(Run.make("demo", width=8))
    x = spikes()[0].float()
    shares = differing_spikes(net, x)
    assert 0 < shares["all"] < 0.1 and set(shares) - {"all"} == {n for n, m in net.named_modules() if isinstance(m, IF)}
    assert net.precision == "fp32" and net.training
    half = build(Run.make("demo", width=8, precision="bf16"))
    a, b = net.eval()(x), half.eval()(x.requires_grad_())
    assert torch.autograd.grad(b.sum(), x)[0].abs().max() > 0
    assert b.dtype == torch.float32 and not torch.equal(a, b)
    torch.testing.assert_close(a, b, rtol=0.2, atol=0.2)


def test_membrane_potentials_stay_in_single_precision():
    x = torch.full((10, 3), 0.1).bfloat16()  # 0.1 in bfloat16 is 0.10009765625: nine of them stay below 1
    assert IF()(x).dtype == torch.float32
    assert IF()(x).sum() == 3 * (10 * x[0, 0].float() >= 1)


def test_freed_memory_can_be_kept_where_the_c_library_is_glibc():
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")


def test_unknown_engine():
    with pytest.raises(ValueError, match="engine is 'warp'; allowed: fast, plain"):
        build(Run.make("demo"), "warp")
