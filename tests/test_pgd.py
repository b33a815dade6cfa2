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


class Bowl(torch.nn.Module):
    """Class 0 where (x - 0.4)^2 is below 0.01, added up over the pixels; else class 1."""

    def forward(self, x):
        far = (x - 0.4).square().flatten(1).sum(1)
        return torch.stack([torch.full_like(far, 0.01), far], 1)


def test_a_climb_is_the_plain_loop():
    x = torch.tensor([[0.40, 0.41], [0.35, 0.45], [0.02, 0.99]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    for seed in (0, 3):
        _, found = pgd_any_iterate(Bowl(), x, y, eps=0.05, alpha=0.01, steps=3, seed=seed)
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).double()
        point = (x + 0.05 * (2 * noise - 1)).clamp(0, 1)
        for _ in range(3):
            point = point.detach().requires_grad_()
            logits = Bowl()(point)
            (g,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, y, reduction="sum"), point)
            moved = torch.min(torch.max(point + 0.01 * g.sign(), x - 0.05), x + 0.05).clamp(0, 1)
            point = torch.where((logits.argmax(1) == y)[:, None], moved, point).detach()
        assert torch.allclose(found, point, atol=1e-12)


def test_an_image_fooled_on_the_way_counts():
    """The loss leads through the other class and out again: whatever began below that stripe is fooled on its way."""

    class Stripe(torch.nn.Module):
        def forward(self, x):
            inside = ((x > 0.52) & (x < 0.56)).double()
            return torch.cat([torch.ones_like(x), 2 * inside + 0.1 * x], 1)

    x = torch.full((40, 1), 0.5, dtype=torch.float64)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).double()
    robust, _ = pgd_any_iterate(Stripe(), x, torch.zeros(40, dtype=torch.long), eps=0.2, alpha=0.03, steps=8)
    began = (x + 0.2 * (2 * noise - 1))[:, 0]
    assert torch.equal(robust, began >= 0.56) and robust.any() and not robust.all()
