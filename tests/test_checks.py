"""The checks raise the right flags on networks that are obfuscated on purpose, and no others on plain ones."""

import functools
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from snnpaper.attacks.gradients import Backward, backward
from snnpaper.auditing.checks import checks, report, showing, signs, verdict
from snnpaper.auditing.evidence import Evidence, evidence, fall, slack
from snnpaper.nets import data
from snnpaper.nets.neurons import IF

EPS, DIRECT = 16 / 255, 4


class Spiking(nn.Module):
    """Two convolutions with IF neurons on the image repeated as a current."""

    def __init__(self, surrogate="atan", alpha=2.0):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 5, 2, 2), nn.Conv2d(8, 16, 3, 2, 1)
        self.one, self.two, self.out = IF(surrogate, alpha), IF(surrogate, alpha), nn.Linear(16 * 16, 10)

    def forward(self, image):
        h = self.a(F.avg_pool2d(image[:, :1], 2) * 2)
        s = self.one(h.expand(DIRECT, *h.shape))
        s = self.two(self.b(s.flatten(0, 1)).unflatten(0, s.shape[:2]) * 2)
        return self.out(s.mean(0).flatten(1))


def plain():
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(16 * 16, 10))  # fmt: skip


def fit(net, x, y, adversarial=False, epochs=12):
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(epochs):
        for a, b in zip(x[:800].split(50), y[:800].split(50), strict=True):
            if adversarial:
                a = a.clone().requires_grad_()
                (g,) = torch.autograd.grad(F.cross_entropy(net(a), b), a)
                a = (a.detach() + 1.25 * EPS * g.sign()).clamp(0, 1)
            optimiser.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimiser.step()
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def digits():
    splits = data.load("digits")
    return {k: (splits[k].x.float() / 255, splits[k].y) for k in ("train", "test")}


@pytest.fixture(scope="module")
def trained(digits):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nets = {"ann": plain(), "adversarial": plain(), "snn": Spiking()}
        return {k: fit(net, *digits["train"], adversarial=k == "adversarial") for k, net in nets.items()}


class Cut(nn.Module):
    """Three grey levels, by a rounding that autograd sees as constant."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net((x * 8).round().detach() / 8)


class Noisy(nn.Module):
    """Fresh noise on the input in every call."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x + 0.3 * torch.randn_like(x))


@pytest.fixture(scope="module")
def flags(digits):
    """Failed checks, signs seen, and the verdict, for a model on 36 test digits."""
    x, y = (t[:36] for t in digits["test"])

    @functools.cache
    def plain(model):
        return run(model, cached=False)

    def run(model, cached=True, **more):
        if cached and not more:
            return plain(model)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            e = evidence(model, x, y, EPS, 10, **more)
        found, warned = checks(e), signs(e)
        failed = {c.name for c in found if c.passed is False}
        return failed, {k for k, seen in warned.items() if seen}, verdict(found, warned), e

    return run


@pytest.mark.parametrize("name", ["ann", "adversarial", "snn"])
def test_a_sound_network_raises_no_flag(name, trained, flags):
    failed, seen, word, e = flags(trained[name])
    assert (failed, seen, word) == (set(), set(), "reliable")
    assert e.n >= 30 and e.by_restarts[0] < e.n  # the attack had something to do, and did some of it


def test_adversarial_training_is_robustness_without_obfuscation(trained, flags):
    plainly, trained_so = (flags(trained[k])[3] for k in ("ann", "adversarial"))
    assert trained_so.by_restarts[-1] >= plainly.by_restarts[-1] + 5


DEAD = {"gradient is not zero", "large radius reaches chance", "white box beats black box",
        "gradient beats random directions", "loss rises steadily"}  # fmt: skip
DEAD_SIGNS = {"black box beats white box", "unbounded attack does not reach 100 %", "a larger radius does not help"}


def test_a_surrogate_of_zero_width_is_seen(trained, flags):
    dead = Spiking("rectangular", 1e9)
    dead.load_state_dict(trained["snn"].state_dict())
    sweep = {"atan 2": lambda: backward(dead, Backward("atan", 2.0))}
    failed, seen, word, e = flags(dead.eval(), backwards=sweep)
    assert failed == DEAD | {"surrogate sweep"}
    assert seen == DEAD_SIGNS and word == "obfuscated"
    assert e.zero == 1.0 and e.backwards["atan 2"] > 5


def test_a_cut_gradient_is_seen(trained, flags):
    failed, seen, word, _ = flags(Cut(trained["ann"]))
    assert (failed, seen, word) == (DEAD, DEAD_SIGNS, "obfuscated")


def test_a_randomised_input_is_seen(trained, flags):
    failed, seen, word, _ = flags(Noisy(trained["ann"]))
    assert "stateless" in failed and word != "reliable"
    assert not failed & {"gradient is not zero", "buffers untouched", "box and norm"}


def test_stored_images_are_judged_again(trained, digits, flags):
    x, y = (t[:36] for t in digits["test"])
    correct = trained["ann"](x).argmax(1) == y
    for stored, fails in ((correct, False), (~correct, True)):
        found = checks(evidence(trained["ann"], x[:8], y[:8], EPS, 10, stored=(x[:8], stored[:8])))
        assert {c.name: c.passed for c in found}["replay"] is not fails


class Remembering(nn.Module):
    """BatchNorm left in train mode: every attacked batch changes what the network is."""

    def __init__(self, net):
        super().__init__()
        self.net, self.norm = net, nn.BatchNorm2d(3, affine=False)

    def forward(self, x):
        return self.net(self.norm(x) * 0.3 + 0.3)


def test_batchnorm_in_train_mode_is_seen(trained, flags):
    model = Remembering(trained["ann"])
    model.norm.train()
    assert "buffers untouched" in flags(model)[0]


def made(**changes):
    """Evidence of a sound attack on 100 images, with some values changed."""
    sound = {
        "n": 100, "classes": 10, "eps": 0.1, "repeats_equal": True, "state_equal": True, "replayed": (100, 0),
        "distance": 0.1, "box": (0.0, 1.0), "zero": 0.0, "zero_entries": 0.0, "loss": (1.0, 3.0), "fall": 0.0,
        "by_eps": {0.05: 60, 0.1: 40, 0.2: 10, 0.4: 0}, "by_steps": {7: 45, 20: 40, 50: 38, 100: 38},
        "by_restarts": [40, 39, 39], "single": 55, "far": 0, "beaten_by": {"Square": 0, "random noise": 0},
        "backwards": {"atan 8": 0}, "along": (1.0, 0.0, 1.0),
    }  # fmt: skip
    return Evidence(**sound | changes)


def test_sound_evidence_passes_every_check():
    assert all(c.passed for c in checks(made())) and not any(signs(made()).values())
    assert verdict(checks(made()), signs(made())) == "reliable"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"repeats_equal": False}, "stateless"),
        ({"replayed": (100, 5)}, "replay"),
        ({"distance": 0.2}, "box and norm"),
        ({"box": (-0.1, 1.0)}, "box and norm"),
        ({"state_equal": False}, "buffers untouched"),
        ({"zero": 0.5}, "gradient is not zero"),
        ({"by_steps": {7: 30, 20: 40, 50: 38, 100: 38}}, "more steps"),
        ({"by_eps": {0.05: 60, 0.1: 40, 0.2: 50, 0.4: 0}}, "larger radius"),
        ({"by_restarts": [40, 35, 30]}, "more starts"),
        ({"by_steps": {7: 45, 20: 40, 50: 38, 100: 30}}, "steps suffice"),
        ({"far": 50}, "large radius reaches chance"),
        ({"single": 30}, "iterative beats single step"),
        ({"beaten_by": {"Square": 9, "random noise": 0}}, "white box beats black box"),
        ({"backwards": {"atan 8": 9}}, "surrogate sweep"),
        ({"along": (0.1, 0.2, 0.4)}, "gradient beats random directions"),
        ({"fall": 0.75}, "loss rises steadily"),
        ({"loss": (1.0, 0.9)}, "loss rises steadily"),
    ],
)
def test_each_check_fails_on_its_own_evidence_alone(changes, check):
    assert {c.name for c in checks(made(**changes)) if not c.passed} == {check}


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"single": 30}, "one step beats many"),
        ({"beaten_by": {"Square": 9, "random noise": 0}}, "black box beats white box"),
        ({"far": 5}, "unbounded attack does not reach 100 %"),
        ({"beaten_by": {"Square": 0, "random noise": 9}}, "random sampling finds what the attack does not"),
        ({"by_eps": {0.05: 60, 0.1: 60, 0.2: 60, 0.4: 60}}, "a larger radius does not help"),
    ],
)
def test_each_sign_is_seen_alone_and_makes_the_verdict(changes, sign):
    e = made(**changes)
    assert {k for k, v in signs(e).items() if v} == {sign}
    assert verdict(checks(e), signs(e)) == "obfuscated"


def test_images_that_show_a_sign_are_counted_even_where_chance_may_move_them():
    random, black = {"Square": 0, "random noise": 1}, {"Square": 1, "random noise": 0, "transfer from a twin": 2}
    changes = [{"single": 38}, {"beaten_by": black}, {"far": 2}, {"beaten_by": random}]
    changes.append({"by_eps": {0.05: 60, 0.1: 40, 0.2: 41, 0.4: 0}})
    for change, sign, images in zip(changes, signs(made()), (2, 2, 2, 1, 1), strict=True):
        e = made(**change)
        assert report(e)["verdict"] == "reliable" and showing(e).keys() == signs(e).keys()
        assert {k: n for k, n in showing(e).items() if n} == {sign: images}


def test_evidence_is_plain_numbers_and_comes_back_from_a_record():
    e = made()
    assert Evidence.from_dict(json.loads(json.dumps(e.to_dict()))) == e
    assert fall([1.0, 3.0, 1.5, 3.0]) == 0.75 and fall([1.0, 2.0]) == 0 and fall([2.0, 1.0]) == 1


def test_chance_may_move_two_images_or_one_in_fifty():
    assert [slack(n) for n in (1, 30, 149, 150, 500)] == [2, 2, 2, 3, 10]


def test_nothing_to_attack_is_an_error(trained, digits):
    x, y = (t[:5] for t in digits["test"])
    with pytest.raises(ValueError, match="no image is classified correctly"):
        evidence(trained["ann"], x, (trained["ann"](x).argmax(1) + 1) % 10, EPS, 10)
