"""Attacks against ten-line references, inside their box, without a trace in the network."""

import copy
import types

import pytest
import torch
import torch.nn.functional as F

from snnpaper.attacks.standard import Attack, robust, threat
from snnpaper.config import Run
from snnpaper.nets import data
from snnpaper.nets.coded import PixelModel, SpikeModel, correct
from snnpaper.nets.coding import encode, phase_weights
from snnpaper.nets.models import build

RUN = Run.make("demo", width=8)


@pytest.fixture(scope="module")
def images():
    return data.load("digits")["test"].first(12)


@pytest.fixture(scope="module")
def net(images):
    """A small network after some updates, so that its logits depend on the image."""
    net = build(RUN).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(12):
        F.cross_entropy(net(encode(images.x, "phase", 10)), images.y).backward()
        optimiser.step()
        optimiser.zero_grad()
    with torch.no_grad():  # statistics of the final weights
        for _ in range(20):
            net(encode(images.x, "phase", 10))
    return net.eval()


def adversarial(net, images, attack, seed=0):
    torch.manual_seed(seed)
    model, clean = threat(net, RUN, images.x, attack)
    return model.eval(), clean, attack.on(model)(clean, images.y)


def test_both_threat_models_agree_with_the_network_on_clean_images(net, images):
    expected = net(encode(images.x, "phase", 10))
    for space in ("pixel", "spike"):
        model, clean = threat(net, RUN, images.x, Attack(space=space))
        assert torch.equal(model(clean), expected)
        assert torch.equal(model(clean), expected)  # nothing is remembered between calls


def test_pixel_fgsm_is_the_signed_weighted_sum_over_planes(net, images):
    model, clean, found = adversarial(net, images, Attack(method="fgsm"))
    s = encode(images.x, "phase", 10).requires_grad_()
    F.cross_entropy(net(s), images.y).backward()
    g = (s.grad * phase_weights(10).view(-1, 1, 1, 1, 1)).sum(0)
    torch.testing.assert_close(found, (clean + 8 / 255 * g.sign()).clamp(0, 1))


def test_spike_pgd_is_the_published_loop(net, images):
    attack = Attack(space="spike", eps=6 / 255)
    model, clean, found = adversarial(net, images, attack, seed=3)
    torch.manual_seed(3)
    x = (clean + torch.empty_like(clean).uniform_(-6 / 255, 6 / 255)).clamp(0, 1)
    for _ in range(7):
        x.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(x), images.y), x)
        x = (clean + (x.detach() + 0.01 * g.sign() - clean).clamp(-6 / 255, 6 / 255)).clamp(0, 1)
    torch.testing.assert_close(found, x)


@pytest.mark.parametrize("space", ["pixel", "spike"])
@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_adversarial_inputs_stay_in_ball_and_box_and_raise_the_loss(net, images, space, method):
    model, clean, found = adversarial(net, images, Attack(space=space, method=method))
    assert (found - clean).abs().max() <= 8 / 255 + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    with torch.no_grad():
        assert F.cross_entropy(model(found), images.y) > F.cross_entropy(model(clean), images.y)


def test_a_binary_code_can_move_one_way_only(net, images):
    # The box clips half of the ball away: on average half of the entries cannot follow the gradient's sign.
    _, clean, found = adversarial(net, images, Attack(space="spike", method="fgsm"))
    moved = (found != clean).float().mean().item()
    assert 0.25 < moved < 0.75
    assert ((clean == 0) | (clean == 1)).all()


def test_the_sound_protocol_leaves_network_and_random_stream_alone(net, images):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    a = robust(net, RUN, images, Attack(), batch_size=5, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(a, robust(net, RUN, images, Attack(), batch_size=5, seed=1))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not net.training


def test_the_published_protocol_adapts_batchnorm_to_attacked_batches_on_a_copy(net, images, monkeypatch):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    copies = []

    def kept(module):
        copies.append(copy.deepcopy(module))
        return copies[-1]

    monkeypatch.setattr("snnpaper.attacks.standard.copy", types.SimpleNamespace(deepcopy=kept))
    attack = Attack(space="spike", protocol="published")
    robust(net, RUN, images, attack, batch_size=6)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    (used,) = copies
    assert used.bn1.num_batches_tracked - net.bn1.num_batches_tracked == 2 * 7  # two batches, seven steps
    assert not torch.equal(used.bn1.running_mean, net.bn1.running_mean)


def test_zero_eps_changes_nothing(net, images):
    clean = correct(net, images.x, images.y, "phase", 10)
    for space in ("pixel", "spike"):
        assert torch.equal(robust(net, RUN, images, Attack(space=space, eps=0.0)), clean)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"space": "voltage"}, "space is 'voltage'; allowed: pixel, spike"),
        ({"method": "cw"}, "method is 'cw'; allowed: fgsm, pgd"),
        ({"eps": 8}, "allowed: 0 <= eps <= 1"),
        ({"steps": 0}, "steps >= 1"),
        ({"protocol": "published"}, "allowed space: spike"),
    ],
)
def test_a_wrong_attack_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Attack(**bad)


def test_fold_and_forward_are_inverse(net):
    s = torch.rand(10, 2, 3, 32, 32)
    folded = SpikeModel.fold(s)
    assert folded.shape == (2, 30, 32, 32)
    assert torch.equal(SpikeModel(net, 10)(folded), net(s))


def test_pixel_model_quantises_to_8_bits(net):
    model = PixelModel(net)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(x), model((x * 255).round() / 255))
