"""Threats on frames and attacks on events: the budget holds, counts stay counts, and the gradient guides better."""

import pytest
import torch
from torch import nn

from snnpaper.attacks import events as attacked
from snnpaper.attacks.ensemble import worst_case
from snnpaper.attacks.levels import level_search
from snnpaper.attacks.spiking_ensemble import stages
from snnpaper.attacks.standard import Attack
from snnpaper.config import Run
from snnpaper.measure.robustness import attacked as attacked_and_recorded
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.data import load

RUN = Run(dataset="nmnist_few", width=4)


@pytest.fixture(scope="module")
def coded():
    net = CodedNet.of(RUN, engine="plain")
    with torch.no_grad():  # BatchNorm's statistics, so that logits differ between recordings
        net.train()(load("nmnist_few")["train"].x)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return load("nmnist_few")["test"].x[:2]


def test_no_record_of_events_names_a_surrogate_for_a_code_they_have_not(coded):
    found = attacked_and_recorded(coded, load("nmnist_few")["test"].first(2), [Attack(space="pixel", steps=1)])
    assert [row["bpda"] for row in found["attacks"]] == [None]


def test_both_spaces_hold_the_frames_and_one_rounds(coded, images):
    whole, free = coded.threat("pixel"), coded.threat("spike")
    x = whole.inputs(images)
    assert x.shape == (2, 20, 34, 34) and torch.equal(whole(x), coded(images)) and torch.equal(free(x), coded(images))
    less = x + 0.4 / 255
    assert torch.equal(whole(less), whole(x)) and not torch.equal(free(less), free(x))
    more = images.clone()
    more[:, 3, 1] += 1
    moved = x.clone()
    moved[:, 2 * 3 + 1] += 0.6 / 255
    assert torch.allclose(whole(moved), coded(more), atol=1e-5)
    with pytest.raises(ValueError, match="torch.uint8"):
        whole.inputs(images.float())


def test_the_gradient_passes_the_rounding_straight_through(coded, images):
    slopes = []
    for space in ("pixel", "spike"):
        x = coded.threat(space).inputs(images).requires_grad_()
        coded.threat(space)(x)[:, 0].sum().backward()
        slopes.append(x.grad)
    assert slopes[0].abs().sum() > 0 and torch.allclose(*slopes)


class Linear(nn.Module):
    """Logits (0, w . counts - bias): the best moves are known."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x):
        score = (255 * x * self.weight).flatten(1).sum(1) - self.bias
        return torch.stack([torch.zeros_like(score), score], 1)


def test_the_best_moves_are_found_and_counted():
    counts, weight = torch.zeros(1, 4, 5, 5), torch.zeros(4, 5, 5)
    counts[0, 0, 2, 2] = 2
    weight[0, 2, 3], weight[1, 2, 1], weight[2, 2, 2] = 1.0, 5.0, 2.0  # a neighbour, the other polarity, the next frame
    x, y = counts / 255, torch.tensor([0])

    def needed(bias, kinds):
        found, after = attacked.events_needed(Linear(weight, bias), x, y, (1, 2, 3), kinds)
        return found.item(), (255 * after).round()

    n, after = needed(1.5, ("shift",))  # to the next frame, not to the other polarity
    assert n == 1 and after[0, 2, 2, 2] == 1 and after[0, 0, 2, 2] == 1 and attacked.moves(counts, after) == 1
    n, after = needed(4.5, ("add",))
    assert n == 1 and after[0, 1, 2, 1] == 1 and after.sum() == 3
    assert needed(4.5, ("remove",))[0] == -1  # nothing to gain
    n, after = needed(-1.5, ("remove",))
    assert n == 0 and torch.equal(after, counts)  # wrong from the start
    heavy = torch.zeros(4, 5, 5)
    heavy[0, 2, 2] = -1.0
    found, after = attacked.events_needed(Linear(heavy, -1.5), x, y, (1, 2, 3), ("remove",))
    assert found.item() == 1 and after.sum() * 255 == pytest.approx(1)


@pytest.mark.parametrize("kinds", [("add",), ("remove",), ("shift",), attacked.KINDS])
@pytest.mark.parametrize("random", [False, True])
def test_budgets_hold_and_counts_stay_counts(coded, images, kinds, random):
    model = coded.threat("pixel")
    x = model.inputs(images)
    y = model(x).argmax(1)
    generator = torch.Generator().manual_seed(0) if random else None
    _, after = attacked.events_needed(model, x, y, (10, 30), kinds, generator)
    counts, before = 255 * after, 255 * x
    assert torch.allclose(counts, counts.round(), atol=1e-3) and counts.min() > -1e-3
    moves = attacked.moves(before, counts)
    assert (moves <= 30).all() and moves.max() > 0
    more = (counts - before).round().flatten(1)
    if kinds == ("add",):
        assert more.min() >= 0
    if kinds == ("remove",):
        assert more.max() <= 0
    if kinds == ("shift",):
        assert (more.sum(1) == 0).all()


def test_every_shift_ends_at_a_neighbour():
    counts = torch.zeros(1, 8, 6, 6)
    counts[0, 3, 0, 5] = 1  # frame 1, a rise, in a corner
    where = set()
    for seed in range(40):
        gain = attacked.gains(counts, torch.zeros_like(counts), ("shift",), torch.Generator().manual_seed(seed))
        after = attacked.moved(counts, gain, 5)
        assert after.sum() == 1
        where.add(tuple(after.nonzero()[0].tolist()))
    assert where == {(0, 3, 0, 4), (0, 3, 1, 4), (0, 3, 1, 5), (0, 1, 0, 5), (0, 5, 0, 5)}
    with pytest.raises(ValueError, match="kinds are flip; allowed: add, remove, shift"):
        attacked.events_needed(None, counts, torch.tensor([0]), kinds=("flip",))


def test_the_worst_case_takes_them_and_guiding_beats_chance(coded, images, monkeypatch):
    monkeypatch.setattr(attacked, "STEPS", 2)
    monkeypatch.setattr(attacked, "DRAWS", 2)
    model = coded.threat("pixel")
    x = model.inputs(images)
    y = model(x).argmax(1)
    found = worst_case(model, x, y, attacked.stages(coded, 200), eps=1.0)
    assert (attacked.moves(255 * x, 255 * found.adversarial) <= 200).all()
    assert (
        len({row["settings"].name for row in found.rows}) == len(found.rows) == 7
    )  # three kinds, all, two pools, chance
    for row in found.rows:
        assert (found.robust <= row["correct"]).all()

    def loss(kind_of):
        after = kind_of(200)(model, x, y)
        return nn.functional.cross_entropy(model(after), y, reduction="none")

    guided, chance = loss(attacked.spend), loss(attacked.scatter)
    assert guided.mean() > chance.mean()


def test_the_ensemble_knows_that_frames_have_one_surrogate_and_no_levels(coded, images):
    names = [s.settings.name for s in stages(coded, "pixel", 1 / 255, {})]
    assert len(names) == len(set(names)) and "FGSM" in names
    assert not [n for n in names if "level search" in n or "BPDA" in n]
    with pytest.raises(ValueError, match="coding is 'frames'; allowed: phase"):
        level_search(coded, images, torch.zeros(2), 1)
