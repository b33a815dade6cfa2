"""Every fast path equals the plain one; a copy that drops a gradient is found out."""

import pytest
import torch
import torch.nn.functional as F

from snnpaper import ledger
from snnpaper.attacks.standard import Attack
from snnpaper.config import Run
from snnpaper.measure.robustness import attacked
from snnpaper.nets import data, models
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.models import build
from snnpaper.nets.neurons import IF
from snnpaper.nets.precision import differing_spikes
from snnpaper.train import Trainer, train


def gradients(net, x, y):
    """Logits, input gradient and parameter gradients of one pass."""
    x = x.clone().requires_grad_()
    logits = net(x)
    names, parameters = zip(*net.named_parameters(), strict=True)
    grads = torch.autograd.grad(F.cross_entropy(logits, y), [x, *parameters])
    return {"logits": logits.detach(), "input": grads[0]} | dict(zip(names, grads[1:], strict=True))


def pair(skip="sew", neuron="IF", pool="max", arch="resnet18", training=True, norm="batch"):
    """The fast and the plain network of one run, in double precision so that no spike sits on an edge."""
    run = Run.make("demo", width=4, skip=skip, neuron=neuron, pool=pool, arch=arch, norm=norm)
    fast, plain = (build(run, engine).double().train(training) for engine in models.ENGINES)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


def spikes():
    g = torch.Generator().manual_seed(0)
    return (torch.rand(3, 4, 3, 32, 32, generator=g) < 0.5).double(), torch.arange(4)


@pytest.mark.parametrize("skip", ["sew", "spiking", "none"])
@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("neuron", ["IF", "ReLU"])
@pytest.mark.parametrize("training", [True, False])
def test_fast_equals_plain(skip, pool, neuron, training):
    fast, plain = pair(skip, neuron, pool, training=training)
    a, b = gradients(fast, *spikes()), gradients(plain, *spikes())
    assert b["input"].abs().max() > 0
    for name in b:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("skip", ["sew", "spiking"])
@pytest.mark.parametrize("neuron", ["IF", "ReLU"])
def test_fast_equals_plain_without_normalisation(skip, neuron):
    fast, plain = pair(skip, neuron, norm="none")
    assert not any("bn" in name for name, _ in fast.named_parameters()) and fast.conv1.bias.abs().max() > 0
    a, b = gradients(fast, *spikes()), gradients(plain, *spikes())
    assert b["input"].abs().max() > 0 and b["conv1.bias"].abs().max() > 0
    for name in b:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


def test_a_dropped_gradient_is_found(monkeypatch):
    """The comparison has power: the gradient of one time step less is far beyond tolerance."""
    fast, plain = pair()
    right = gradients(plain, *spikes())

    def far(name):
        wrong = gradients(fast, *spikes())[name]
        return (wrong - right[name]).abs().max() > 1e-3 * right[name].abs().max()

    assert not far("input")
    fire = models.IF.forward
    with monkeypatch.context() as m:
        m.setattr(models.IF, "forward", lambda *args: torch.cat([(s := fire(*args))[:-1], s[-1:].detach()]))
        assert far("input")


def test_records_of_the_fast_and_the_plain_path_agree():
    """Training for a few steps and the published attacks: the same images survive, but for rounding."""
    splits, run = data.load("digits"), Run.make("demo", width=4, T=4, epochs=1, train_images=320)
    attacks = [Attack(space=s, algorithm=a, eps=4 / 255) for s in ("pixel", "spike") for a in ("FGSM", "PGD")]
    fast = train(run, splits, checkpoint=False, progress=False).coded
    plain = CodedNet.of(run, "plain").eval()
    plain.load_state_dict(fast.state_dict())
    few = splits["test"].first(40)
    a, b = (attacked(coded, few, attacks)["attacks"] for coded in (fast, plain))
    for one, other in zip(a, b, strict=True):
        differ = ledger.unpack(one["correct"], 40) != ledger.unpack(other["correct"], 40)
        assert differ.sum() <= 2, one


def test_training_steps_of_the_fast_and_the_plain_path_agree():
    splits, run = data.load("digits"), Run.make("demo", width=4, T=4, train_images=320)
    trainers = [Trainer(run, splits, checkpoint=False, engine=engine) for engine in models.ENGINES]
    for trainer in trainers:
        trainer.advance()
    losses = [t.sums.tolist() for t in trainers]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    fast, plain = (torch.cat([m["exp_avg"].flatten() for m in t.optimiser.state.values()]) for t in trainers)
    assert (fast - plain).norm() < 5e-2 * plain.norm()  # single precision: a spike or two on the edge may move


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


def test_unknown_engine():
    with pytest.raises(ValueError, match="engine is 'warp'; allowed: fast, plain"):
        build(Run.make("demo"), "warp")
