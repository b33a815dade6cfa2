"""The table of pools: ends of the dials bit for bit, every gradient against a reference loop, names and files."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from snnpaper.attacks.gradients import Backward, backward
from snnpaper.config import Run
from snnpaper.nets import pools
from snnpaper.nets.models import build

NAMES = ("max", "avg", "max/ties", "max/silent", "max/avg", "avg/max", "mixed:0.5", "softmax:0.5", "topk:3",
         "stochastic", "none", "stem3", "avg/nopad")  # fmt: skip
RESULTS = Path(__file__).resolve().parents[1] / "results"


def made(seed: int = 0, spikes: bool = False, dtype=torch.float32):
    """A pool's input as the networks have it, and a gradient at its output."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(4, 3, 16, 16, generator=g, dtype=dtype)
    x = (x < 0.3).to(dtype) if spikes else x * (x > 0.4)
    return x, torch.randn(4, 3, 8, 8, generator=g, dtype=dtype)


def both(pool: str, x, grad):
    x = x.clone().requires_grad_()
    y = pools.module(pool).eval()(x)
    return y.detach(), torch.autograd.grad(y, x, grad)[0]


@pytest.mark.parametrize("spikes", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dial", "end"),
    [("mixed:1", "max"), ("mixed:0", "avg"), ("softmax:0", "avg"), ("topk:1", "max"), ("topk:9", "avg")],
)
def test_a_dial_s_end_is_the_pool_itself_bit_for_bit(dial, end, layout, spikes):
    for seed in range(5):
        x, grad = (t.contiguous(memory_format=layout) for t in made(seed, spikes))
        for found, expected in zip(both(dial, x, grad), both(end, x, grad), strict=True):
            assert torch.equal(found, expected)


def test_a_sharp_softmax_tends_to_max_and_between_the_ends_lies_neither():
    x, grad = made()
    top, mean = both("max", x, grad)[0], both("avg", x, grad)[0]
    off = [(both(f"softmax:{b}", x, grad)[0] - top).abs().max() for b in (1, 10, 100, 1000)]
    assert off == sorted(off, reverse=True) and off[-1] < 1e-3
    for dial in ("mixed:0.5", "softmax:2", "topk:3"):
        y = both(dial, x, grad)[0]
        assert (y <= top + 1e-6).all() and (y >= mean - 1e-6).all() and not torch.equal(y, top)


@pytest.mark.parametrize("pool", ["avg", "avg/nopad", "mixed:0.5", "softmax:0.5", "softmax:8", "topk:3", "stochastic",
                                  "none", "stem3"])  # fmt: skip
def test_gradcheck_where_the_pool_is_smooth(pool):
    x = 0.1 + torch.randperm(64, generator=torch.Generator().manual_seed(0)).double().view(1, 1, 8, 8) / 64
    assert torch.autograd.gradcheck(pools.module(pool).eval(), x.requires_grad_())


def reference(pool: str, x, grad):
    """Value and gradient of a pool, window by window."""
    out, back = torch.zeros_like(grad), torch.zeros_like(x)
    for n, c, i, j in torch.cartesian_prod(*map(torch.arange, grad.shape)).tolist():
        place = (n, c, slice(max(0, 2 * i - 1), 2 * i + 2), slice(max(0, 2 * j - 1), 2 * j + 2))
        window, g = x[place], grad[n, c, i, j]
        top, first = window.max(), torch.zeros(window.numel())
        first[window.flatten().argmax()] = 1
        first, tied, even = first.view_as(window), (window == top) / (window == top).sum(), torch.ones_like(window) / 9
        kept = torch.zeros(window.numel()).index_fill_(0, window.flatten().sort(descending=True, stable=True)[1][:3], 1)
        weights = torch.cat([window.flatten(), torch.zeros(9 - window.numel())]).mul(0.5).softmax(0)
        weights = weights[: window.numel()].view_as(window)
        soft = (weights * window).sum()
        share = {
            "max": first, "avg": even, "max/ties": tied, "max/silent": first * (top > 0), "max/avg": even,
            "avg/max": first, "mixed:0.5": (first + even) / 2, "softmax:0.5": weights * (1 + 0.5 * (window - soft)),
            "topk:3": kept.view_as(window) / 3, "avg/nopad": torch.ones_like(window) / window.numel(),
        }[pool]  # fmt: skip
        out[n, c, i, j] = {
            "mixed:0.5": (top + window.sum() / 9) / 2, "softmax:0.5": soft, "avg/nopad": window.mean(),
            "topk:3": (kept.view_as(window) * window).sum() / 3,
        }.get(pool, window.sum() / 9 if pool.startswith("avg") else top)  # fmt: skip
        back[place] += share * g
    return out, back


@pytest.mark.parametrize("spikes", [True, False])
@pytest.mark.parametrize("pool", [p for p in NAMES if p not in ("stochastic", "none", "stem3")])
def test_every_pool_is_its_reference_loop(pool, spikes):
    x, grad = (t[:2, :2] for t in made(3, spikes))
    for found, expected in zip(both(pool, x, grad), reference(pool, x, grad), strict=True):
        torch.testing.assert_close(found, expected)


def test_stochastic_draws_in_proportion_by_torch_s_generator_and_expects_in_eval_mode():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0], x[0, 0, 1, 1] = 1.0, 3.0  # all in the first window; the last sees only the 3
    pool, many = pools.module("stochastic").train(), x.expand(4000, 1, 4, 4).clone().requires_grad_()
    torch.manual_seed(0)
    y = pool(many)
    torch.manual_seed(0)
    assert torch.equal(pool(many), y) and not torch.equal(pool(many), y)
    assert set(y[:, 0, 0, 0].tolist()) == {1.0, 3.0} and (y[:, 0, 0, 0] == 3).float().mean().item() == pytest.approx(
        0.75, abs=0.03
    )
    (g,) = torch.autograd.grad(y[:, 0, 0, 0].sum(), many)
    assert torch.equal(g[:, 0, 1, 1], (y[:, 0, 0, 0] == 3).float()) and (g.sum((1, 2, 3)) == 1).all()
    assert pool.eval()(x)[0, 0, 0, 0] == (1 + 9) / 4
    silent = torch.zeros(1, 1, 4, 4, requires_grad=True)
    for mode in (True, False):
        y = pool.train(mode)(silent)
        assert not y.any() and not torch.autograd.grad(y.sum(), silent)[0].any()


def test_without_a_pool_the_stem_takes_the_centre_or_is_another_convolution():
    x, grad = made()
    y, g = both("none", x, grad)
    assert torch.equal(y, x[..., ::2, ::2]) and torch.equal(g[..., ::2, ::2], grad) and (g != 0).float().mean() <= 0.25
    net = build(Run.make("demo", width=4, pool="stem3"))
    assert net.conv1.kernel_size == (3, 3) and isinstance(net.maxpool, nn.Identity)
    assert build(Run.make("demo", width=4, pool="none")).conv1.kernel_size == (7, 7)


def test_max_and_average_are_the_library_s_layers():
    assert type(pools.module("max")) is nn.MaxPool2d and type(pools.module("avg")) is nn.AvgPool2d


@pytest.mark.parametrize("pool", NAMES)
def test_every_pool_trains_and_is_attacked_through_every_gradient(pool):
    net = build(Run.make("demo", width=4, T=2, pool=pool)).train()
    x = (torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.5).float().requires_grad_()
    net(x).square().sum().backward()
    assert net.conv1.weight.grad.isfinite().all() and x.grad.any()
    net.eval()
    logits, seen = net(x).detach(), set()
    for how in ("max", "ties", "silent", "avg", "softmax:1", "topk:3"):
        with backward(net, Backward(pool=how)):
            z = net(x)
            assert torch.equal(z.detach(), logits)
            seen.add(torch.autograd.grad(z.square().sum(), x)[0].abs().sum().item())
    assert len(seen) == (1 if pool == "stem3" else 6)


@pytest.mark.parametrize("bad", ["maxx", "softmax:", "softmax:-1", "softmax", "softmax:nan", "softmax:inf", "topk:0",
                                 "topk:10", "topk:2.5", "mixed:2", "max:1", "ties", "max/", "/max", "max/max",
                                 "max/ties/avg", "stem3/max", "max/stem3", "max/maxx", "", None, 3])  # fmt: skip
def test_another_name_is_refused_with_what_is_allowed(bad):
    message = re.escape(f"pool is {bad!r}; allowed: max, avg, mixed:a (a from 0 to 1), softmax:b (b from 0 to 1000)")
    for ask in (pools.module, lambda name: Run(pool=name)):
        with pytest.raises(ValueError, match=message):
            ask(bad)
    with pytest.raises(ValueError, match="pool is 'maxx'; allowed: max, avg, ties, silent"):
        Backward(pool="maxx")


def test_one_pool_has_one_spelling_one_hash_and_a_legal_file_name():
    assert Run(pool="softmax:.50") == Run(pool="softmax:0.5") and Run(pool="topk:3.0").pool == "topk:3"
    assert Run(pool="mixed:-0").pool == "mixed:0"
    names = [Run(pool=p).name for p in NAMES]
    assert all(re.fullmatch(r"[\w.-]+", n) for n in names) and len(set(names)) == len(NAMES)
    assert "-softmax-0.5-s0-" in Run(pool="softmax:0.5").name and "-max-by-ties-s0-" in Run(pool="max/ties").name
    for p in NAMES:
        assert Run.from_dict(json.loads(json.dumps(Run(pool=p).to_dict()))) == Run(pool=p)


def test_padding_left_out_has_two_spellings_and_one_run():
    old = Run(pool="avg", count_include_pad=False)
    assert Run(pool="avg/nopad") == old and old.pooling == "avg/nopad" and "-avg-s0-" in old.name
    x = torch.ones(1, 1, 16, 16)
    assert build(old.but(width=4)).maxpool(x)[0, 0, 0, 0] == 1
    assert build(Run(pool="avg", width=4)).maxpool(x)[0, 0, 0, 0] == pytest.approx(4 / 9)


def test_recorded_runs_keep_their_names():
    """Of every record: the run its config describes has the name of its file, as it was when it was written."""
    files = [f for kind in ("train", "untrained") for f in sorted((RESULTS / kind).glob("*.json"))]
    assert len(files) > 50
    for file in files:
        record = json.loads(file.read_text())
        assert Run.from_dict(record["config"]).name == record["name"] == file.stem


def test_every_entry_can_be_drawn():
    styles = {name: (c.colour, c.mark, c.label) for name in NAMES for c in [pools.find(name)]}
    assert len({s[:2] for s in styles.values()}) == len(NAMES) and len({s[2] for s in styles.values()}) == len(NAMES)
    assert styles["max"][2] == "max pooling" and "0.5" in styles["softmax:0.5"][2]


def test_ties_share_over_windows_of_any_shape():
    x = torch.tensor([[0, 1.0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 3]])[None, None]
    grad = torch.tensor([[2.0, 4.0], [8.0, 16.0]])[None, None]
    window = pools.Window.of(nn.MaxPool2d(2))
    back = pools.gradient("ties").pull_back(x, grad, window)[0, 0]
    assert back.tolist() == [[0, 1, 1, 1], [0, 1, 1, 1], [2, 2, 0, 0], [2, 2, 0, 16]]
    wide = pools.windows.windows(x, pools.Window((1, 3), (2, 1), (0, 1)), -math.inf)
    assert torch.equal(wide.amax(0), F.max_pool2d(x, (1, 3), (2, 1), (0, 1)))


def test_another_s_gradient_may_leave_the_padding_out():
    x = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (ours,) = torch.autograd.grad(pools.module("max/avg/nopad")(x).square().sum(), x)
    upstream = 2 * torch.nn.functional.max_pool2d(x, 3, 2, 1).detach()
    (theirs,) = torch.autograd.grad(torch.nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x), x, upstream)
    torch.testing.assert_close(ours, theirs)
