"""The checks raise the right flags on networks that are obfuscated on purpose, and no others on plain ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from snnpaper import data
from snnpaper.attacks.evidence import evidence
from snnpaper.checks import checks, signs, verdict
from snnpaper.neurons import IF

EPS = 16 / 255
DIRECT = 4


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
        for a, b in zip(x.split(100), y.split(100), strict=True):
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


def flags(model, digits, **more):
    x, y = (t[:60] for t in digits["test"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        e = evidence(model, x, y, EPS, 10, **more)
    found = checks(e)
    return {c.name for c in found if c.passed is False}, {k for k, v in signs(e).items() if v}, verdict(found, signs(e))


@pytest.mark.parametrize("name", ["ann", "adversarial", "snn"])
def test_show(name, trained, digits):
    print(name, flags(trained[name], digits))


def test_show2(trained, digits):
    dead = Spiking("rectangular", 1e9)
    dead.load_state_dict(trained["snn"].state_dict())
    print("zero", flags(dead.eval(), digits))
    print("cut", flags(Cut(trained["ann"]), digits))
    print("noisy", flags(Noisy(trained["ann"]), digits))
