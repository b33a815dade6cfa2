"""What training does against attacks: each loss against a plain version of it, names, and the training itself."""

import pytest
import torch
import torch.nn.functional as F

from snnpaper.config import Run
from snnpaper.nets import data, defences
from snnpaper.nets.coded import CodedNet
from snnpaper.train import OutOfTime, Trainer, train

TINY = Run.make("demo", width=4, T=2, epochs=1, train_images=640)


class Linear(torch.nn.Module):
    """Logits that are linear in the coded input, so that every gradient is known."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 12, generator=torch.Generator().manual_seed(0)) / 5)

    def forward(self, spikes):
        return spikes.mean(0).flatten(1) @ self.weight.T


@pytest.fixture
def linear():
    g = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (20, 1, 3, 4), dtype=torch.uint8, generator=g)
    return CodedNet(Linear(), "phase", 4, 3), x, torch.randint(0, 3, (20,), generator=g)


def test_the_penalty_is_the_squared_norm_of_the_gradient(linear):
    coded, x, y = linear
    loss, logits = defences.find("sparse:0.5").loss(coded, x, y)
    clean = coded.encode(x).requires_grad_()
    z = coded.net(clean)
    assert torch.equal(z, logits)
    others = z.detach().clone()
    others[torch.arange(20), y] = -1e9
    m = others.argmax(1)
    p = z.exp()
    f = p[torch.arange(20), y] / (p[torch.arange(20), y] + p[torch.arange(20), m])
    (g,) = torch.autograd.grad(f.sum(), clean)
    norms = g.transpose(0, 1).flatten(1).abs().sum(1)
    expected = F.cross_entropy(z, y) + 0.5 * norms.square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)  # a finite difference
    (moved,) = torch.autograd.grad(loss - F.cross_entropy(logits, y), coded.net.weight)
    assert moved.abs().sum() > 0


def test_adversarial_training_sees_the_worst_of_the_ball(linear):
    """For linear logits of two classes PGD ends in the corner of the ball, where the loss is the largest."""
    coded, x, y = linear
    with torch.no_grad():
        coded.net.weight[2] = -100.0  # out of the race
    y = y % 2
    loss, _ = defences.find("pgd:8").loss(coded, x, y)
    clean, eps = coded.encode(x), 8 / 255
    sign = torch.where((y == 0)[:, None], 1.0, -1.0) * (coded.net.weight[1] - coded.net.weight[0]).sign()
    corner = (clean + eps * sign.view(1, 20, 1, 3, 4)).clamp(0, 1)
    assert loss.item() == pytest.approx(F.cross_entropy(coded.net(corner), y).item(), rel=1e-5)
    assert loss > F.cross_entropy(coded(x), y)
    assert coded.net.training


def test_none_is_cross_entropy(linear):
    coded, x, y = linear
    assert defences.find("none").loss(coded, x, y)[0] == F.cross_entropy(coded(x), y)


@pytest.mark.parametrize("name", ["pgd", "pgd:", "pgd:x", "pgd:-1", "pgd:nan", "sparse:0", "free:1", None, 3])
def test_other_names_are_refused_with_what_is_allowed(name):
    with pytest.raises(ValueError, match=r"defence is .*; allowed: none, pgd:n \(n the radius in 1/255"):
        Run.make("demo", defence=name)


def test_a_name_has_one_spelling_and_the_usual_one_renames_no_run():
    assert Run.make("demo", defence="pgd:4.0").name == Run.make("demo", defence="pgd:4").name
    assert Run.make("demo", defence="none").name == Run.make("demo").name != Run.make("demo", defence="pgd:4").name


@pytest.mark.parametrize("defence", ["pgd:4", "sparse:0.001"])
def test_a_defended_training_learns_and_resumes_where_it_was(tmp_path, monkeypatch, defence):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    run, splits = TINY.but(defence=defence, train_images=320), data.load("digits")
    whole = train(run, splits, checkpoint=False, progress=False)
    begun = Trainer(run, splits)
    for _ in range(4):
        begun.advance()
    begun.save()
    with pytest.raises(OutOfTime):
        train(run, splits, progress=False, deadline=0)
    resumed = train(run, splits, progress=False)
    for a, b in zip(whole.coded.state_dict().values(), resumed.coded.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert whole.curves[0]["loss"] < 4 and not torch.equal(
        whole.coded.net.fc.weight,
        train(run.but(defence="none"), splits, checkpoint=False, progress=False).coded.net.fc.weight,
    )
