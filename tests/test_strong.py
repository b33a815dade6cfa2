"""The attacks meant to overturn a worst case: each finds what it must, and the record adds up."""

import pytest
import torch

from snnpaper import ledger, measure, zoo
from snnpaper.attacks import strong
from snnpaper.attacks.ensemble import predictions
from snnpaper.attacks.gradients import Backward, backward
from snnpaper.attacks.sapgd import sapgd
from snnpaper.attacks.settings import Settings
from snnpaper.config import Run
from snnpaper.nets import data
from snnpaper.report.attacks import stronger as report
from snnpaper.train import train

TINY = Run.make("demo", width=4, T=2, epochs=1, train_images=640)
EPS = 8 / 255


class Linear(torch.nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.weight = torch.randn(classes, 12, generator=torch.Generator().manual_seed(0))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNPAPER_HOME", str(root))
        net = zoo.round_(train(TINY, data.load("digits"), checkpoint=False, progress=False).coded.net)
        zoo.save(TINY, net)
        ledger.append("train", TINY, {"test_accuracy": 1.0, "test_n": 1}, 1.0, live_sha256=zoo.sha256(net))
        yield root


def test_the_margin_s_gradient_is_the_rival_s_weights_minus_the_label_s():
    model, x, y = Linear(), torch.rand(5, 12), torch.tensor([0, 1, 2, 3, 0])
    logits, g = strong.by_margin(model, x, y)
    others = logits.clone()
    others[torch.arange(5), y] = -1e9
    torch.testing.assert_close(g, model.weight[others.argmax(1)] - model.weight[y])


def test_climbing_reaches_the_corner_that_is_worst_for_a_linear_model():
    model, g, eps = Linear(2), torch.Generator().manual_seed(1), 0.15
    x = 0.3 + 0.4 * torch.rand(40, 12, generator=g)
    y = model(x).argmax(1)
    gap = (model.weight[1] - model.weight[0]).abs().sum() * eps
    can_fall = (model(x)[:, 1] - model(x)[:, 0]).abs() < gap
    assert 0 < can_fall.sum() < 40
    found = strong.climb(eps, 40, strong.by_margin)(model, x, y)
    assert torch.equal(model(found).argmax(1) != y, can_fall)
    assert (found - x).abs().max() <= eps + 1e-6


def test_mixed_surrogates_are_the_mean_of_normalised_gradients(home):
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(4)
    model = coded.threat("spike")
    x, y = model.inputs(images.x), images.y
    parts = []
    for choice in (Backward("atan", 1.0), Backward("triangular", 1.0)):
        with backward(coded, choice):
            point = x.clone().requires_grad_()
            loss = torch.nn.functional.cross_entropy(model(point), y, reduction="sum")
            (g,) = torch.autograd.grad(loss, point)
        parts.append(g / g.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30))
    pair = (Backward("atan", 1.0), Backward("triangular", 1.0))
    torch.testing.assert_close(strong.by_surrogates(coded, pair, model, x, y)[1], sum(parts))


def test_a_scaled_assg_is_another_attack_and_the_unscaled_one_is_as_published(home):
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(10)
    model = coded.threat("spike")
    x, y = model.inputs(images.x), images.y

    def found(**choice):
        with backward(coded, Backward(adaptive=True, **choice)):
            return sapgd(model, x, y, 1 / 255, 3)

    assert torch.equal(found(), found(alpha=1.0)) and not torch.equal(found(), found(alpha=4.0))


@pytest.mark.parametrize("space", ["pixel", "spike"])
def test_every_attack_stays_in_the_ball_and_says_what_it_is(home, space, monkeypatch):
    for name in ("LONG", "MIXED", "LEVELS"):
        monkeypatch.setattr(strong, name, 2)
    monkeypatch.setattr(strong, "USUAL", {"steps": 2, "queries": 4})
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(6)
    model = coded.threat(space, "smoothed")
    x, y = model.inputs(images.x), images.y
    stages = strong.strong(coded, space, EPS)
    names = [s.settings.name for s in stages]
    assert len(set(names)) == len(names) and not any(s.whole for s in stages)
    assert {"PGD with momentum, 2 steps", "PGD with momentum, 2 steps, pool ties"} <= {
        n.replace(", smoothed BPDA", "") for n in names
    }
    assert any("level search" in n for n in names) == (space == "pixel")
    for stage in stages:
        with stage.context():
            candidates = stage.find(model, x, y)
        assert (candidates - x).abs().max() <= EPS + 1e-5 and candidates.min() >= 0 and candidates.max() <= 1
    twice = strong.strong(coded, space, EPS, budget=2)
    assert all(b.settings.steps == 2 * a.settings.steps for a, b in zip(stages, twice, strict=True) if a.settings.steps)


def test_the_record_counts_what_fell_and_what_is_left(home, monkeypatch):
    for name in ("LONG", "MIXED", "LEVELS"):
        monkeypatch.setattr(strong, name, 3)
    monkeypatch.setattr(strong, "USUAL", {"steps": 3, "queries": 20})
    _, coded = zoo.load(TINY.name)
    images = data.load("digits")["test"].first(90)
    clean = predictions(coded.threat("spike"), coded.threat("spike").inputs(images.x)) == images.y
    battery = {"space": "spike", "eps": EPS, "clean": ledger.pack(clean), "robust": ledger.pack(clean)}
    ledger.append("attacks", TINY, {"n": 90, "batteries": [battery]}, 1.0)
    measure.make("stronger", TINY, images=90)
    (b,) = ledger.read("stronger", TINY.name)["results"]["batteries"]
    first, second = b["rounds"]
    assert b["clean"] == b["before"] == int(clean.sum()) and (first["budget"], second["budget"]) == (1, 2)
    for before, now in ((b["before"], first), (first["left"], second)):
        assert before - sum(a["fooled"] for a in now["attacks"]) == now["left"]
        assert now["attacks"][0]["attacked"] == before
    assert first["left"] < b["before"]
    with pytest.raises(ValueError, match="images is 91; allowed: at most 90"):
        from snnpaper.measure.stronger import stronger

        stronger(coded, data.load("digits")["test"].first(91), (1,), TINY, lambda _, work: work(), False)


def test_the_table_tells_what_each_budget_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    assert report.left().empty and "No worst case" in report.sentence(report.left())
    own = {"surrogate": "atan", "alpha": 2.0, "pool_backward": "max"}
    momentum = Settings("PGD with momentum", "spike", 300, loss="margin").of_network(own)
    square = Settings("Square", "spike", loss="margin", queries=5000).of_network(own)
    rounds = []
    for budget, left, by_momentum, by_square in ((1, 14, 5, 1), (2, 12, 0, 2)):
        made = [momentum | {"attacked": 20, "fooled": by_momentum}, square | {"attacked": 9, "fooled": by_square}]
        rounds.append({"budget": budget, "left": left, "attacks": made})
    battery = {"space": "spike", "eps": 4 / 255, "clean": 100, "before": 20, "rounds": rounds}
    ledger.append("stronger", Run.make("cpu"), {"n": 200, "own": own, "batteries": [battery]}, 1.0)
    (row,) = report.lowered(report.left()).to_dict("records")
    assert (row["right"], row["before"], row["stronger"], row["doubling"]) == (50, 10, 3, 1)
    assert row["by"] == "PGD with momentum, 300 steps"
    assert report.sentence(report.left()).endswith("by at most 1.0 more, beyond the 0.5 points allowed.")
