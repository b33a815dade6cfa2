"""The attacker's backward pass: the forward pass stays bit-equal, the gradient is the chosen one's."""

import math

import pytest
import torch
import torch.nn.functional as F

from snnpaper.attacks.bits import flips_needed
from snnpaper.attacks.gradients import POOLS, Backward, backward
from snnpaper.attacks.levels import best_levels, level_search, on_pixels
from snnpaper.attacks.sapgd import sapgd, step_sizes
from snnpaper.config import Run
from snnpaper.measure import TABLE
from snnpaper.nets import pools
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.coding import encode
from snnpaper.nets.models import build
from snnpaper.nets.neurons import IF, V_TH

RUN = Run.make("demo", width=4)

BUDGETS = TABLE["curve"].settings["flips"]


@pytest.fixture(scope="module")
def net():
    net = build(RUN).train()
    x = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # statistics under which the layers fire
        for _ in range(5):
            net(encode(x, "phase", 10))
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def coded(net):
    return CodedNet(net, "phase", 10, 10)


@pytest.fixture(scope="module")
def spikes():
    x = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return encode(x, "phase", 10)


def gradient(net, spikes):
    s = spikes.clone().requires_grad_()
    logits = net(s)
    (g,) = torch.autograd.grad(logits.square().sum(), s)
    return logits.detach(), g


CHOICES = [
    Backward("atan", 8.0),
    Backward("triangular", 1.0),
    Backward(adaptive=True),
    *(Backward(pool=p) for p in POOLS),
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_only_the_backward_pass_changes_and_only_inside(pool, choice, net, spikes):
    if pool == "avg":
        other = build(RUN.but(pool="avg"))
        other.load_state_dict(net.state_dict())
        net = other.eval().requires_grad_(False)
    logits, g = gradient(net, spikes)
    with backward(net, choice):
        attacked, own = gradient(net, spikes)
    assert torch.equal(logits, attacked)
    if choice.pool == pool:
        torch.testing.assert_close(own, g)
    else:
        assert not torch.allclose(own, g)
    assert torch.equal(gradient(net, spikes)[1], g)  # nothing is left behind


def test_a_chosen_surrogate_is_that_of_a_network_built_with_it(net, spikes):
    other = build(RUN.but(surrogate="sigmoid", alpha=4.0))
    other.load_state_dict(net.state_dict())
    with backward(net, Backward("sigmoid", 4.0)):
        _, g = gradient(net, spikes)
    torch.testing.assert_close(g, gradient(other.eval(), spikes)[1])


def test_ties_with_padding_equal_max_pooling_where_there_are_none():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = F.max_pool2d(x, 3, 2, 1)
    weight = torch.rand(y.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad((y * weight).sum(), x)
    torch.testing.assert_close(pools.gradient("ties").pull_back(x.detach(), weight, pools.STEM), expected)


def test_assg_is_its_equations():
    """Two calls of one layer against the published recursion, written out."""
    layer = IF()
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    weight = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
    h, v = [], torch.zeros(2, 3)
    for current in x:
        h.append(v + current)
        v = h[-1] * (h[-1] < V_TH)
    u = torch.stack(h) - V_TH
    mean, deviation = torch.ones_like(u), torch.zeros_like(u)
    with backward(layer, Backward(adaptive=True)):
        for _ in range(2):
            mean = 0.9 * mean + 0.1 * u.abs()
            deviation = 0.9 * deviation + 0.1 * (u.abs() - mean).abs()
            point = x.clone().requires_grad_()
            (g,) = torch.autograd.grad((layer(point) * weight).sum(), point)
    alpha = 2 / math.pi * math.tan(math.pi * 0.425) / (mean + 1.5 * deviation + 1e-4)
    slope = alpha / 2 / (1 + (math.pi / 2 * alpha * u) ** 2)
    delta = weight * slope
    for t in (2, 1, 0):
        delta[t] += delta[t + 1] * (u[t] < 0)
    torch.testing.assert_close(g, delta)


def test_sa_pgd_s_schedule():
    sizes = step_sizes(8.0, 100)
    lengths = [sizes.count(8.0 / 2**i) for i in range(5)]
    assert len(sizes) == 100 and lengths == [22, 19, 16, 13, 10]
    assert step_sizes(1.0, 1) == [1.0] and len(step_sizes(1.0, 3)) == 3


def test_sa_pgd_stays_in_ball_and_box_and_raises_the_loss():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    x, y = torch.rand(6, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    found = sapgd(model, x, y, 0.1, steps=20)
    assert (found - x).abs().max() <= 0.1 + 1e-6 and 0 <= found.min() and found.max() <= 1
    with torch.no_grad():
        assert F.cross_entropy(model(found), y) > F.cross_entropy(model(x), y)


def test_bit_flips_find_the_fewest_of_a_linear_readout():
    """Class 1 leads by 2.5 and each flip of a set bit takes 1 away: three are needed, and the first budget is four."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].weight[1] = 1.0
        model[1].bias.copy_(torch.tensor([5.5, 0.0]))
    s = torch.zeros(1, 1, 4, 4)
    s.view(-1)[:8] = 1
    needed, code = flips_needed(model, s, torch.tensor([1]), BUDGETS)
    assert needed.tolist() == [4] and BUDGETS[:3] == (1, 2, 4)
    assert (code != s).sum() == 4 and code.sum() == 4 and ((code == 0) | (code == 1)).all()
    assert flips_needed(model, s, torch.tensor([0]), BUDGETS)[0].tolist() == [0]
    with pytest.raises(ValueError, match="only a binary code"):
        flips_needed(model, s + 0.5, torch.tensor([1]), BUDGETS)


def test_best_levels_are_those_of_an_exhaustive_search():
    g = torch.randn(10, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([0, 1, 3, 4, 63, 64, 127, 128, 129, 191, 192, 200, 250, 254, 255, 96], dtype=torch.uint8).view(
        1, 1, 4, 4
    )
    table = encode(torch.arange(256, dtype=torch.uint8), "phase", 10)
    best = best_levels(g, x, table, 3).flatten().tolist()
    for place, (found, old) in enumerate(zip(best, x.flatten().tolist(), strict=True)):
        score = (g.view(10, -1)[:, place, None] * table).sum(0)
        allowed = range(max(0, old - 3), min(255, old + 3) + 1)
        assert score[found] == max(score[level] for level in allowed) and found in allowed


def test_level_search_stays_on_the_grid_and_in_the_ball(coded):
    x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = coded(x).argmax(1)
    found = level_search(coded, x, y, levels=2, steps=4)
    assert found.dtype == torch.uint8 and 0 < (found.int() - x.int()).abs().max() <= 2
    with pytest.raises(ValueError, match="allowed: phase"):
        level_search(CodedNet(coded.net, "rate", 10, 10), x, y, 2)


def test_level_search_on_pixels_moves_no_more_whole_levels_than_the_radius_holds(coded):
    grey = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    x, y = grey / 255, coded.threat("pixel", "weighted")(grey / 255).argmax(1)
    found = on_pixels(coded, 1.7 / 255, 4)(torch.nn.Identity(), x, y)
    assert torch.equal(found, level_search(coded, grey, y, levels=1, steps=4) / 255)  # 2 would leave the ball
    assert 0 < (found - x).abs().max() <= 1.7 / 255


@pytest.mark.parametrize("bpda", ["weighted", "smoothed"])
def test_level_search_by_a_surrogate_goes_where_bpda_points(bpda, coded):
    x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    image = (x.float() / 255).requires_grad_()
    logits = coded.threat("pixel", bpda)(image)
    y = logits.argmax(1)
    (g,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), image)
    found = level_search(coded, x, y, levels=3, steps=1, share=1.0, decay=0.0, bpda=bpda)
    expected = (x.int() + 3 * g.sign().int()).clamp(0, 255)
    assert (found.int() != expected).float().mean() < 1e-3  # sums in another order may round a zero either way
    assert (found != level_search(coded, x, y, 3, 1, share=1.0, decay=0.0)).any()


def test_without_momentum_level_search_forgets(coded):
    x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = coded(x).argmax(1)
    one, two, long = (level_search(coded, x, y, 1, 3, share=1.0, decay=d) for d in (0.0, 0.0, 0.75))
    assert torch.equal(one, two) and not torch.equal(one, long)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"surrogate": "step"}, "surrogate is 'step'; allowed: atan"),
        ({"pool": "min"}, "pool is 'min'; allowed: max, avg, ties"),
        ({"alpha": 0.0}, "alpha is 0.0; allowed: more than 0"),
    ],
)
def test_a_wrong_choice_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Backward(**bad)
