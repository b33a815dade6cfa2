"""The audit on networks of three libraries, whole and spoilt on purpose: what it finds in them, and flags, and why.

They are the extra `libraries`; without one of them its tests are skipped. In an environment of its own:
`pip install 'CHECKOUT[libraries]' pytest scikit-learn`, then, from any folder, `pytest -c /dev/null` and this file.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnpaper
from snnpaper.auditing import adapters, ladder
from snnpaper.nets import data

STEPS, N, EPS = 4, 60, 16 / 255
LIBRARIES = ("spikingjelly", "spikingjelly single-step", "snntorch", "norse")


def spikingjelly(mode="m", silent=False):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def fire():
        return neuron.IFNode(surrogate_function=surrogate.PiecewiseQuadratic(1e9) if silent else surrogate.ATan(2.0))

    net = nn.Sequential(layer.Conv2d(1, 8, 3, 1, 1), fire(), layer.MaxPool2d(2), layer.Flatten(),
                        layer.Linear(8 * 16, 10))  # fmt: skip
    functional.set_step_mode(net, mode)
    return net


def snntorch(silent=False):
    snn = pytest.importorskip("snntorch", reason="snnTorch is not installed: pip install '.[libraries]'")
    surrogate = pytest.importorskip("snntorch.surrogate")
    fire = {"surrogate_disable": True} if silent else {"spike_grad": surrogate.fast_sigmoid(slope=10)}
    return nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), snn.Leaky(beta=0.9, init_hidden=True, **fire), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(8 * 16, 10))  # fmt: skip


def norse(silent=False):
    torch_norse = pytest.importorskip("norse.torch", reason="norse is not installed: pip install '.[libraries]'")
    p = torch_norse.LIFParameters(method="heaviside" if silent else "super", alpha=torch.tensor(100.0),
                                  v_th=torch.tensor(0.3))  # fmt: skip
    return torch_norse.SequentialState(nn.Conv2d(1, 8, 3, 1, 1), torch_norse.LIFCell(p), nn.MaxPool2d(2), nn.Flatten(),
                                       nn.Linear(8 * 16, 10))  # fmt: skip


def build(library, **options):
    if library == "spikingjelly single-step":
        return spikingjelly("s", **options)
    return {"spikingjelly": spikingjelly, "snntorch": snntorch, "norse": norse}[library](**options)


def stepped(net, x):
    """The logits that the audit sees with steps=."""
    adapter = adapters.find(net)
    adapter.reset(net)
    return adapter.run(net, x, STEPS)


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")
    splits = data.load("digits")
    return {k: (F.avg_pool2d(splits[k].x[:, :1].float() / 255, 4), splits[k].y) for k in ("train", "test")}


@pytest.fixture(scope="module")
def trained(digits):
    kept = {}

    def get(library):
        if library not in kept:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                net, (x, y) = build(library), digits["train"]
                optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
                for i in torch.arange(1000).repeat(6).split(50):
                    optimiser.zero_grad()
                    F.cross_entropy(stepped(net, x[i]), y[i]).backward()
                    optimiser.step()
                adapters.find(net).reset(net)  # what is left of the last batch
                kept[library] = net.requires_grad_(False)
        return copy.deepcopy(kept[library])

    return get


def spoilt(library, trained, how):
    """A trained network that is obfuscated or careless in one way, and the options its audit then needs."""
    net, options = trained(library), {"steps": STEPS}
    if how == "zero-width surrogate":
        dead = build(library, silent=True)
        dead.load_state_dict(net.state_dict(), strict=False)
        return dead, options
    if how == "plain":
        return net, options
    if how == "forgotten reset":

        class Forgets(nn.Module):
            """A loop over steps by somebody who never resets."""

            def __init__(self):
                super().__init__()
                self.net, self.state = net, None

            def forward(self, x):
                if library != "norse":
                    single = library != "spikingjelly"
                    return torch.stack([self.net(x) for _ in range(STEPS)]).mean(0) if single else (
                        self.net(x.expand(STEPS, *x.shape)).mean(0))  # fmt: skip
                outputs = []
                for _ in range(STEPS):
                    out, self.state = self.net(x, self.state)
                    outputs.append(out)
                return torch.stack(outputs).mean(0)

        return Forgets(), {}

    changes = {
        "gradient cut": lambda x: x.detach(),
        "quantised input": lambda x: (8 * x).round() / 8,
        "randomised input": lambda x: x + 0.2 * torch.randn_like(x),
        "dropout in train mode": lambda x: F.dropout(x, 0.2, training=True),
    }

    class Before(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return stepped(self.net, changes[how](x)) if how in changes else stepped(self.net, x) * 1e4

    return Before(), {}


def audit(net, digits, eps=EPS, **options):
    x, y = (t[:N] for t in digits["test"])
    return snnpaper.audit(net, x, y, eps, **{"strength": "quick"} | options)


def failed(report):
    return {c["name"] for c in report["checks"] if c["passed"] is False and c["voids"]}


@pytest.fixture
def cheap(monkeypatch):
    monkeypatch.setitem(ladder.BUDGETS, "quick", ladder.Budget(15, 1, 0, 50))


@pytest.mark.parametrize("library", LIBRARIES)
def test_five_lines_find_state_neurons_pool_and_a_stronger_gradient(library, trained, digits, cheap):
    net = trained(library)
    r = audit(net, digits, steps=STEPS)
    named = r["model"]["library"].lower().split()[0]
    assert library.startswith(named) and r["model"]["spiking_layers"] == ["1"] and len(r["model"]["surrogates"]) == 1
    names = " ".join(a["name"] for a in r["attacks"])
    assert all(word in names for word in ("atan 4", "triangular 1", "mixed", "ASSG", "pool ties", "pool avg"))
    assert r["clean"]["accuracy"] > 0.7 and r["robust"]["accuracy"] < r["clean"]["accuracy"] - 0.1
    assert not {c["name"] for c in r["checks"] if c["passed"] is False and c["voids"] == "obfuscated"}
    torch.manual_seed(0)  # the network is as it was, its steps included
    x = digits["test"][0][:4]
    assert torch.equal(stepped(net, x), stepped(trained(library), x))


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_slope_changes_the_gradient_and_no_spike(library, trained, digits):
    from snnpaper.auditing.slopes import Adaptive, Mean

    net, x = trained(library), digits["test"][0][:4].clone().requires_grad_()
    adapter = adapters.find(net)

    def run():
        out = stepped(net, x)
        return out.detach(), torch.autograd.grad(out.square().sum(), x)[0]

    own = run()
    for make in (lambda: Mean([("atan", 8.0)]), Adaptive):
        with adapter.swap(net, make):
            other = run()
        assert torch.equal(other[0], own[0]) and not torch.allclose(other[1], own[1])
    assert torch.equal(run()[1], own[1])


FLAGS = {
    "zero-width surrogate": ("obfuscated", {"there is a gradient"}),
    "gradient cut": ("obfuscated", {"there is a gradient"}),
    "quantised input": ("obfuscated", {"there is a gradient"}),
    "temperature 1e-4": ("obfuscated", {"without a bound every image falls"}),
    "randomised input": ("unreliable", {"deterministic"}),
    "dropout in train mode": ("unreliable", {"deterministic"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", ("spikingjelly", "snntorch", "norse"))
@pytest.mark.parametrize("how", FLAGS)
def test_what_is_spoilt_is_flagged_for_the_right_reason(library, how, trained, digits, cheap):
    net, options = spoilt(library, trained, how)
    r = audit(net, digits, **options)
    word, reasons = FLAGS[how]
    assert r["verdict"]["word"] == word and reasons <= failed(r), str(r)
    if how == "zero-width surrogate":  # other surrogates see through it
        assert r["robust"]["correct"] < r["clean"]["correct"] - 5


@pytest.mark.parametrize("library", ("spikingjelly", "snntorch", "norse"))
def test_a_forgotten_reset_is_mended_or_refused_with_the_line(library, trained, digits, cheap):
    net, options = spoilt(library, trained, "forgotten reset")
    if library == "norse":
        with pytest.raises(ValueError, match="remember.*state None at the start"):
            audit(net, digits, **options)
        options = {"reset": lambda m: setattr(m, "state", None)}
    r = audit(net, digits, **options)
    found = next(c for c in r["checks"] if c["name"] == "nothing is remembered")
    assert found["passed"] is False and "without the audit's reset the model remembers" in found["evidence"]
    reset = {"spikingjelly": "functional.reset_net", "snntorch": "utils.reset", "norse": "without a state"}[library]
    assert reset in found["advice"]
    whole = audit(trained(library), digits, steps=STEPS)
    assert (r["clean"], r["robust"]) == (whole["clean"], whole["robust"])


@pytest.mark.slow
@pytest.mark.parametrize("library", ("spikingjelly", "snntorch", "norse"))
def test_a_sound_network_is_not_flagged(library, trained, digits):
    # where most images fall: between, Square's draws find a few more each time, which an audit has to say
    r = audit(trained(library), digits, 1.5 * EPS, steps=STEPS, strength="full")
    assert r["verdict"]["word"] == "reliable", str(r)


@pytest.mark.slow
def test_plain_networks_trained_against_attacks_or_not_are_not_flagged(digits):
    x, y = digits["train"]
    robust = []
    for adversarial in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 10))
            optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
            for i in torch.arange(1000).repeat(8).split(50):
                moved = x[i].clone().requires_grad_()
                (g,) = torch.autograd.grad(F.cross_entropy(net(moved), y[i]), moved)
                optimiser.zero_grad()
                F.cross_entropy(net((x[i] + adversarial * 1.25 * EPS * g.sign()).clamp(0, 1)), y[i]).backward()
                optimiser.step()
        r = audit(net, digits, strength="full")
        assert r["verdict"]["word"] == "reliable", str(r)
        robust.append(r["robust"]["accuracy"])
    assert robust[1] > robust[0] + 0.05
