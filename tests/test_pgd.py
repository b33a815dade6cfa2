"""Early exit changes the cost of a worst-case attack, and nothing else."""

import copy

import pytest
import torch

from snnpaper.attacks.pgd import pgd_any_iterate
from snnpaper.config import Run
from snnpaper.nets.models import build


class Direct(torch.nn.Module):
    """The image as input current at each of 4 steps, in double precision: no batch size changes an answer."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net(image.expand(4, *image.shape))


class Counting(torch.nn.Module):
    """Counts the images that pass through."""

    def __init__(self, model):
        super().__init__()
        self.model, self.images = model, 0

    def forward(self, x):
        self.images += len(x)
        return self.model(x)


@pytest.fixture(scope="module")
def attacked():
    """A small network, images it classifies as its own answer, and those answers."""
    model = Direct(build(Run.make("demo", width=8)).train().double())
    x = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        for _ in range(3):  # statistics under which the network fires
            model(x)
        y = model.eval().requires_grad_(False)(x).argmax(1)
    return model, x, y


def test_the_answer_is_the_same_at_less_cost(attacked):
    model, x, y = attacked
    whole, early = Counting(model), Counting(model)
    settings = {"eps": 6 / 255, "alpha": 2 / 255, "steps": 5, "batch_size": 16}
    a = pgd_any_iterate(whole, x, y, early_exit=False, **settings)
    b = pgd_any_iterate(early, x, y, early_exit=True, **settings)
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert 0 < b[0].sum() < len(x)  # some fooled, some not: otherwise the test shows nothing
    assert early.images < whole.images == 6 * len(x)


def test_a_fooled_image_keeps_what_fooled_it(attacked):
    model, x, y = attacked
    robust, adversarial = pgd_any_iterate(model, x, y, eps=6 / 255, alpha=2 / 255, steps=5)
    assert (adversarial - x).abs().max() <= 6 / 255 + 1e-12
    assert adversarial.min() >= 0 and adversarial.max() <= 1
    with torch.no_grad():
        assert torch.equal(model(adversarial).argmax(1) == y, robust)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_attack_is_the_eager_attack(attacked, monkeypatch):
    model, x, y = (copy.deepcopy(a).to("cuda") for a in attacked)
    settings = {"eps": 6 / 255, "alpha": 2 / 255, "steps": 5, "batch_size": 16}
    a = pgd_any_iterate(model, x, y, **settings)
    monkeypatch.setattr("snnpaper.attacks.pgd.Captured", lambda step, *args, **kwargs: step)
    b = pgd_any_iterate(model, x, y, **settings)
    assert torch.equal(a[0], b[0])
    torch.testing.assert_close(a[1], b[1])


def test_more_iterates_never_leave_more_robust(attacked):
    model, x, y = attacked
    few, many = (pgd_any_iterate(model, x, y, eps=6 / 255, alpha=2 / 255, steps=s)[0] for s in (1, 6))
    assert not (many & ~few).any() and many.sum() < few.sum()
