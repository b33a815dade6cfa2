"""Attacks against ten-line references, inside their box, without a trace in the network."""

import copy
import types

import pytest
import torch
import torch.nn.functional as F

from snnpaper.attacks.standard import TRAIN, Attack, robust
from snnpaper.config import Run
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet, correct
from snnpaper.nets.coding import phase_weights

RUN = Run.make("demo", width=8)


@pytest.fixture(scope="module")
def images():
    return data.load("digits")["test"].first(12)


@pytest.fixture(scope="module")
def coded(images):
    """A small network after some updates, so that its logits depend on the image."""
    coded = CodedNet.of(RUN).train()
    optimiser = torch.optim.Adam(coded.parameters(), lr=3e-3)
    for _ in range(12):
        F.cross_entropy(coded(images.x), images.y).backward()
        optimiser.step()
        optimiser.zero_grad()
    with torch.no_grad():  # statistics of the final weights
        for _ in range(20):
            coded(images.x)
    return coded.eval()


def adversarial(coded, images, attack, seed=0):
    torch.manual_seed(seed)
    model = coded.threat(attack.space, attack.bpda)
    clean = model.inputs(images.x)
    return model, clean, attack.on(model)(clean, images.y)


def test_both_threat_models_agree_with_the_network_on_clean_images(coded, images):
    expected = coded(images.x)
    for space in ("pixel", "spike"):
        model = coded.threat(space)
        clean = model.inputs(images.x)
        assert torch.equal(model(clean), expected)
        assert torch.equal(model(clean), expected)  # nothing is remembered between calls


def test_pixel_fgsm_is_the_signed_weighted_sum_over_planes(coded, images):
    model, clean, found = adversarial(coded, images, Attack(algorithm="FGSM"))
    s = coded.encode(images.x).requires_grad_()
    F.cross_entropy(coded.net(s), images.y).backward()
    g = (s.grad * phase_weights(10).view(-1, 1, 1, 1, 1)).sum(0)
    torch.testing.assert_close(found, (clean + 8 / 255 * g.sign()).clamp(0, 1))


def test_spike_pgd_is_the_published_loop(coded, images):
    attack = Attack(space="spike", eps=6 / 255)
    model, clean, found = adversarial(coded, images, attack, seed=3)
    torch.manual_seed(3)
    x = (clean + torch.empty_like(clean).uniform_(-6 / 255, 6 / 255)).clamp(0, 1)
    for _ in range(7):
        x.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(x), images.y), x)
        x = (clean + (x.detach() + 0.01 * g.sign() - clean).clamp(-6 / 255, 6 / 255)).clamp(0, 1)
    torch.testing.assert_close(found, x)


@pytest.mark.parametrize("space", ["pixel", "spike"])
@pytest.mark.parametrize("algorithm", ["FGSM", "PGD"])
def test_adversarial_inputs_stay_in_ball_and_box_and_raise_the_loss(coded, images, space, algorithm):
    model, clean, found = adversarial(coded, images, Attack(space=space, algorithm=algorithm))
    assert (found - clean).abs().max() <= 8 / 255 + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    with torch.no_grad():
        assert F.cross_entropy(model(found), images.y) > F.cross_entropy(model(clean), images.y)


def test_a_binary_code_can_move_one_way_only(coded, images):
    # The box clips half of the ball away: on average half of the entries cannot follow the gradient's sign.
    _, clean, found = adversarial(coded, images, Attack(space="spike", algorithm="FGSM"))
    moved = (found != clean).float().mean().item()
    assert 0.25 < moved < 0.75
    assert ((clean == 0) | (clean == 1)).all()


def test_eval_mode_leaves_network_and_random_stream_alone(coded, images):
    before = {k: v.clone() for k, v in coded.state_dict().items()}
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    a = robust(coded, images, Attack(), batch_size=5, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(a, robust(coded, images, Attack(), batch_size=5, seed=1))
    assert all(torch.equal(v, before[k]) for k, v in coded.state_dict().items())
    assert not coded.training


def test_the_published_protocol_adapts_batchnorm_to_attacked_batches_on_a_copy(coded, images, monkeypatch):
    before = {k: v.clone() for k, v in coded.state_dict().items()}
    copies = []

    def kept(module):
        copies.append(copy.deepcopy(module))
        return copies[-1]

    monkeypatch.setattr("snnpaper.attacks.standard.copy", types.SimpleNamespace(deepcopy=kept))
    attack = Attack(space="spike", protocol=TRAIN)
    robust(coded, images, attack, batch_size=6)
    assert all(torch.equal(v, before[k]) for k, v in coded.state_dict().items())
    (used,) = copies
    assert used.net.bn1.num_batches_tracked - coded.net.bn1.num_batches_tracked == 2 * 7  # two batches, seven steps
    assert not torch.equal(used.net.bn1.running_mean, coded.net.bn1.running_mean)


def test_zero_eps_changes_nothing(coded, images):
    clean = correct(coded, images)
    for space in ("pixel", "spike"):
        assert torch.equal(robust(coded, images, Attack(space=space, eps=0.0)), clean)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"space": "voltage"}, "space is 'voltage'; allowed: pixel, spike"),
        ({"algorithm": "CW"}, "algorithm is 'CW'; allowed: FGSM, PGD"),
        ({"eps": 8}, "allowed: 0 <= eps <= 1"),
        ({"steps": 0}, "steps >= 1"),
        ({"protocol": TRAIN}, "allowed space: spike"),
    ],
)
def test_a_wrong_attack_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Attack(**bad)


def test_the_mode_of_each_module_comes_back(coded, images):
    other = copy.deepcopy(coded).train()
    other.net.bn1.eval()
    for attack in (Attack(), Attack(space="spike", protocol=TRAIN)):
        robust(other, images.first(4), attack)
        assert other.training and other.net.layer1.training and not other.net.bn1.training


def test_images_that_are_not_uint8_are_refused(coded, images):
    floats = data.Images(images.x / 255, images.y)
    for space in ("pixel", "spike"):
        with pytest.raises(ValueError, match="images are torch.float32; allowed: torch.uint8"):
            robust(coded, floats, Attack(space=space))


def test_another_space_is_refused(coded):
    with pytest.raises(ValueError, match="space is 'voltage'; allowed: pixel, spike"):
        coded.threat("voltage")


def test_fold_and_forward_are_inverse(coded, images):
    model = coded.threat("spike")
    folded = model.inputs(images.x[:2])
    assert folded.shape == (2, 30, 32, 32)
    assert torch.equal(folded[0].unflatten(0, (10, 3)), coded.encode(images.x[:2])[:, 0])
    moved = torch.rand(2, 30, 32, 32)
    assert torch.equal(model(moved), coded.net(moved.unflatten(1, (10, 3)).transpose(0, 1)))


def test_pixel_space_is_quantised_to_8_bits(coded):
    model = coded.threat("pixel")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(x), model((x * 255).round() / 255))


def test_the_random_start_follows_the_seed(coded, images, monkeypatch):
    """Seen on the first input of which the gradient is taken."""
    starts, on = [], Attack.on

    def noted(attack, model):
        found = on(attack, model)
        forward = found.forward

        def first(x, y):
            starts.append(found.eps * (2 * torch.rand(3) - 1))  # what torch's stream gives where the attack begins
            return forward(x, y)

        found.forward = first
        return found

    monkeypatch.setattr(Attack, "on", noted)
    for seed in (0, 0, 1):
        robust(coded, images.first(2), Attack(steps=1), seed=seed)
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
