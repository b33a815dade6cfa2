"""Our networks against SpikingJelly's, weight for weight, and what their options promise."""

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.model import sew_resnet, spiking_resnet
from torch import nn

from snnpaper.config import Run
from snnpaper.nets import pools
from snnpaper.nets.coded import evaluated
from snnpaper.nets.models import Conv2d, SpikingResNet, build


def library_twin(depth: int, skip: str, pool: str, classes: int = 10) -> nn.Module:
    """SpikingJelly's own model with the stem pool of the published code."""
    make = {
        "sew": getattr(sew_resnet, f"sew_resnet{depth}"),
        "spiking": getattr(spiking_resnet, f"spiking_resnet{depth}"),
    }
    kwargs = {"spiking_neuron": neuron.IFNode, "surrogate_function": surrogate.ATan(), "num_classes": classes}
    net = make[skip](**kwargs, detach_reset=skip == "sew", **({"cnf": "ADD"} if skip == "sew" else {}))
    if pool == "avg":
        net.maxpool = layer.AvgPool2d(3, 2, 1)
    functional.set_step_mode(net, "m")
    return net


@pytest.mark.parametrize("skip", ["sew", "spiking"])
@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("training", [True, False])
def test_equals_spikingjelly_at_width_64(skip, pool, training):
    torch.manual_seed(0)
    x = (torch.rand(4, 2, 3, 32, 32) < 0.5).float()
    theirs = library_twin(18, skip, pool).train(training)
    ours = SpikingResNet(10, "resnet18", 64, pool, skip=skip).train(training)
    ours.load_state_dict(theirs.state_dict())
    if not training:  # give BatchNorm statistics under which deep layers fire
        for net in (ours, theirs):
            net.train()
            functional.reset_net(net)
            with torch.no_grad():
                net(x)
            functional.reset_net(net)
            net.eval()
        ours.load_state_dict(theirs.state_dict())
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    za, zb = ours(a), theirs(b).mean(0)
    torch.testing.assert_close(za, zb, rtol=1e-5, atol=1e-6)
    target = torch.tensor([1, 7])
    nn.functional.cross_entropy(za, target).backward()
    nn.functional.cross_entropy(zb, target).backward()
    assert b.grad.abs().max() > 0
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4 * b.grad.abs().max().item())
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = q.grad.abs().max().item()
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-3 * scale, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("depth", "skip"), [(34, "sew"), (50, "sew"), (34, "spiking"), (50, "spiking")])
def test_deeper_networks_have_the_library_s_parameters(depth, skip):
    ours = SpikingResNet(100, f"resnet{depth}", 64, skip=skip).state_dict()
    theirs = library_twin(depth, skip, "max", 100).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_parameter_counts_of_the_paper():
    millions = {
        a: sum(p.numel() for p in SpikingResNet(100, a).parameters()) / 1e6
        for a in ("resnet18", "resnet34", "resnet50")
    }
    assert {a: round(m, 2) for a, m in millions.items()} == {"resnet18": 11.23, "resnet34": 21.34, "resnet50": 23.71}


def test_build_follows_the_seed_and_leaves_the_global_stream():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, b = build(Run.make("demo", seed=1)), build(Run.make("demo", seed=1))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.conv1.weight, build(Run.make("demo", seed=2)).conv1.weight)


def test_no_skip_has_no_shortcut_and_relu_twin_no_spikes():
    none = SpikingResNet(10, width=8, skip="none")
    assert not any("downsample" in n for n, _ in none.named_parameters())
    twin = SpikingResNet(10, width=8, neuron="ReLU")
    assert any(isinstance(m, nn.ReLU) for m in twin.modules())
    assert {k: v.shape for k, v in twin.state_dict().items()} == {
        k: v.shape for k, v in SpikingResNet(10, width=8).state_dict().items()
    }


def test_max_pool_routes_ties_to_the_first_element_in_both_memory_layouts():
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.zeros(1, 2, 8, 8).contiguous(memory_format=layout).requires_grad_()
        pools.module("max")(x).sum().backward()
        # Window (i, j) covers rows 2i-1..2i+1: its first element inside the image is (max(2i-1, 0), ...).
        first = [max(2 * i - 1, 0) for i in range(4)]
        expected = torch.zeros(8, 8)
        expected[torch.tensor(first)[:, None], torch.tensor(first)] = 1
        assert torch.equal(x.grad[0, 1], expected)


@pytest.mark.parametrize(
    "choice", [{"neuron": "relu"}, {"skip": "sewing"}, {"arch": "resnet101"}, {"precision": "fp16"}, {"norm": "layer"}]
)
def test_an_unknown_choice_is_named(choice):
    ((name, value),) = choice.items()
    with pytest.raises(ValueError, match=f"{name} is '{value}'; allowed: "):
        SpikingResNet(10, width=8, **choice)


def test_evaluated_gives_each_module_its_mode_back():
    net = SpikingResNet(10, width=8).train()
    net.bn1.eval()  # frozen, as in fine-tuning
    with pytest.raises(KeyError), evaluated(net):
        assert not any(m.training for m in net.modules())
        raise KeyError
    assert net.training and net.layer1.training and not net.bn1.training


MAPS = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 3), (4, 4), (1, 5), (8, 6)]


@pytest.mark.parametrize("size", MAPS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), [
    (1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (7, 2, 3), ((3, 1), (1, 2), (1, 0)), ((5, 3), 1, (2, 1)), (3, 1, 2),
])  # fmt: skip
@pytest.mark.parametrize("images", [0, 3])
def test_our_convolution_is_torch_s(size, kernel, stride, padding, images):
    g = torch.Generator().manual_seed(0)
    for layout in (torch.contiguous_format, torch.channels_last):
        ours, theirs = (c(8, 5, kernel, stride, padding).double().to(memory_format=layout) for c in (Conv2d, nn.Conv2d))
        theirs.load_state_dict(ours.state_dict())
        x = torch.randn(images, 8, *size, generator=g, dtype=torch.float64).contiguous(memory_format=layout)
        x.requires_grad_()
        a, b = ours(x), theirs(x)
        upstream = torch.randn(b.shape, generator=g, dtype=b.dtype)
        torch.testing.assert_close(a, b)
        grads = [torch.autograd.grad(y, [x, *m.parameters()], upstream) for y, m in ((a, ours), (b, theirs))]
        torch.testing.assert_close(*grads)
    if images:
        torch.testing.assert_close(ours(x[0]), theirs(x[0]))


@pytest.mark.parametrize(("size", "stride"), [((2, 2), 1), ((2, 2), 2), ((1, 2), 1), ((4, 3), 1)])
def test_our_convolution_differentiates_twice(size, stride):
    torch.manual_seed(0)
    conv = Conv2d(2, 3, 3, stride, 1).double()
    x, weight = torch.randn(2, 2, *size, dtype=torch.float64).requires_grad_(), conv.weight.detach().requires_grad_()
    inputs = (x, weight)

    def function(x, weight):
        return torch.func.functional_call(conv, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(function, inputs) and torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("autocast", [False, True])
def test_our_convolution_keeps_torch_s_types(autocast):
    ours, theirs = Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1)
    theirs.load_state_dict(ours.state_dict())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        a, b = ours(x := torch.randn(4, 8, 2, 2)), theirs(x)
    assert a.dtype == b.dtype == (torch.bfloat16 if autocast else torch.float32)
    torch.testing.assert_close(a, b)


def test_a_map_smaller_than_the_kernel_is_refused_as_torch_does():
    with pytest.raises(RuntimeError, match="[Kk]ernel size"):
        Conv2d(8, 8, 3)(torch.zeros(1, 8, 2, 2))


@pytest.mark.parametrize("size", [(48, 32), (32, 48), (64, 16)])
def test_images_need_not_be_square(size):
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(3, 2, 3, *size, generator=g) < 0.5).double()
    run = Run.make("demo", width=4)
    fast, plain = (build(run, engine).double() for engine in ("fast", "plain"))
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-9, atol=1e-11)
