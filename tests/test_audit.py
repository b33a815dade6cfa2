"""The audit of a stranger's model: what is refused and in which words, what is accepted, what is found."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnpaper
from snnpaper.auditing import ladder

N, SHAPE = 24, (3, 4, 4)


class Flat(nn.Module):
    """Four classes by the mean of four bands of the image, whatever its shape."""

    def forward(self, x):
        return 8 * x.flatten(1).unflatten(1, (4, -1)).mean(2)


def data(shape=SHAPE, n=N):
    """Images whose band of the label is a little brighter, some of them hardly."""
    g, y = torch.Generator().manual_seed(0), torch.arange(n) % 4
    x = 0.4 + 0.02 * torch.rand(n, math.prod(shape), generator=g)
    x.unflatten(1, (4, -1))[range(n), y] += torch.linspace(0.01, 0.4, n)[:, None]
    return x.view(n, *shape), y


@pytest.fixture
def cheap(monkeypatch):
    monkeypatch.setitem(ladder.BUDGETS, "quick", ladder.Budget(3, 1, 0, 5))


def audit(model=None, x=None, y=None, eps=0.1, **more):
    given, labels = data()
    return snnpaper.audit(Flat() if model is None else model, given if x is None else x, labels if y is None else y,
                          eps, **{"strength": "quick"} | more)  # fmt: skip


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.flat = 0.0, Flat()

    def forward(self, x):
        self.v = 0.5 * self.v + self.flat(x)
        return self.v


class StartsAnew(Remembers):
    """As some libraries' neurons do, when the batch is of another size."""

    def forward(self, x):
        self.v = self.v if isinstance(self.v, torch.Tensor) and len(self.v) == len(x) else 0.0
        return super().forward(x)


def as_(value, **more):
    """A model with another output than Flat's."""
    return {"model": lambda x: value(Flat()(x))} | more


X, Y = data()
WRONG = [
    ({"eps": 8}, "eps is 8; allowed: more than 0, at most 1, .*did you mean 8/255"),
    ({"eps": 0}, "eps is 0; allowed"),
    ({"eps": -0.1}, "allowed: more than 0"),
    ({"eps": math.nan}, "eps is nan; allowed"),
    ({"eps": "8/0"}, "eps is 8/0; allowed"),
    ({"x": 255 * X}, "images reach from .* allowed: 0 to 1.*scale="),
    ({"x": (X - 0.5) / 0.2}, "images reach from -.* not yet normalised, with mean= and std="),
    ({"x": torch.where(X > 0.5, math.nan, X)}, "values of the images are nan or infinite"),
    ({"x": torch.ones(N, *SHAPE, dtype=torch.int64)}, "without a stated range; give scale="),
    ({"x": [1, 2]}, "images are of type list; allowed: a torch tensor or a numpy array"),
    ({"x": X[:0], "y": Y[:0]}, "there are no images"),
    ({"x": Y.float() / 4}, r"images have shape \[24\]; allowed: \[N,...\]"),
    ({"x": X, "scale": 0}, "scale is 0; allowed"),
    ({"y": Y[:5]}, r"images have shape \[24, 3, 4, 4\] and there are 5 labels"),
    ({"y": Y + 8}, "labels reach up to 11 and the model returns 4 logits; allowed: 0 to 3"),
    ({"y": Y - 1}, "labels reach down to -1; allowed: 0 to classes - 1"),
    ({"y": Y + 0.5}, "labels are not whole numbers"),
    ({"y": Y.float() * math.nan}, "labels are not whole numbers"),
    ({"y": F.one_hot(Y) * 2}, "not one-hot"),
    ({"y": X}, r"labels have shape \[24, 3, 4, 4\]"),
    ({"classes": 5}, "classes is 5, the model returns 4 logits"),
    ({"y": (Y + 1) % 4}, "no image is classified correctly"),
    ({"model": "resnet"}, "model is of type str; allowed: a module or a function"),
    ({"strength": "huge"}, "strength is 'huge'; allowed: quick, full"),
    ({"budget_minutes": 0}, "budget_minutes is 0; allowed"),
    ({"budget_minutes": math.nan}, "budget_minutes is nan; allowed"),
    ({"budget_minutes": "5"}, "budget_minutes is '5'; allowed"),
    ({"seed": -1}, "seed is -1; allowed: 0 to 2147483647"),
    ({"seed": "a"}, "seed is 'a'; allowed"),
    ({"seed": 2**64}, "seed is 18446744073709551616; allowed"),
    ({"out": "/dev/null"}, "out is /dev/null, which is no folder"),
    ({"logits": 0}, "logits is 0; allowed: a function"),
    ({"reset": 1}, "reset is 1; allowed: a function"),
    ({"model": Flat}, r"the model is the class Flat; allowed"),
    ({"eps": None}, "eps is None; allowed"),
    ({"eps": "eight"}, "eps is eight; allowed"),
    ({"x": list(X)}, "images are of type list; allowed"),
    ({"x": X.to(torch.complex64)}, "images are complex or sparse; allowed"),
    ({"y": [None] * N}, "labels are a list of no plain numbers; allowed"),
    ({"y": ["cat"] * N}, "labels are a list of no plain numbers; allowed"),
    ({"y": [[0], [1, 2]] * (N // 2)}, "labels are a list of no plain numbers; allowed"),
    ({"x": X, "scale": "255"}, "scale is '255'; allowed"),
    ({"mean": "a", "std": "b"}, "mean is a; allowed: one number"),
    (as_(lambda z: None), r"the model returns NoneType; allowed: logits.*return\?"),
    (as_(lambda z: {"logits": z}), r"the model returns dict \('logits'\); allowed: logits.*out\['logits'\]"),
    (as_(lambda z: z.detach().numpy()), "the model returns ndarray; allowed: logits"),
    ({"mean": 0.5}, "mean and std belong together"),
    ({"mean": [0.5, 0.5], "std": [1.0, 1.0]}, r"mean is .*; allowed: one number or one a channel \(3\)"),
    ({"mean": 0.5, "std": 0.0}, "std is 0.0; allowed: .* more than 0"),
    ({"steps": 4}, "no layer of spikingjelly, snntorch or norse was found"),
    ({"time_first": True}, r"allowed: \[N,...\] or \[T,N,...\]"),
    (as_(lambda z: z * math.nan), "logits are nan or infinite"),
    (as_(lambda z: (z, z)), r"returns tuple \(Tensor, Tensor\).*logits=lambda out: out\[0\]"),
    (as_(lambda z: z.argmax(1)), r"returns shape \[8\] for 8 images"),
    (as_(lambda z: z[:, :1]), "of two classes or more"),
    (as_(lambda z: torch.stack([z, z])), r"returns shape \[2, 8, 4\].*logits=lambda out: out.mean\(0\)"),
    ({"model": nn.Conv2d(3, 4, 3), "x": X.permute(0, 2, 3, 1)}, r"channels seem to be last; allowed: .*permute"),
    ({"model": nn.Linear(7, 4)}, r"the model fails on images of shape \[N,3,4,4\]"),
    ({"model": Remembers()}, "the model (fails on a smaller batch|remembers).*reset=lambda model: model.reset"),
    ({"model": Remembers(), "x": X[:8], "y": Y[:8]}, "remembers earlier calls"),
    ({"model": StartsAnew()}, "remembers earlier calls"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_what_cannot_be_audited_is_refused_with_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        audit(**changes)


class Scaled(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.register_buffer("by", torch.tensor(by))

    def forward(self, x):
        return Flat()(x * self.by)


class Doubled(Flat):
    """Two frames a class of bands: for images with steps, one summed over them."""

    def forward(self, x):
        return super().forward(x.mean(1))


FORMS = {
    "numpy": {"x": X.numpy(), "y": Y.numpy()},
    "float64 images": {"x": X.double()},
    "float64 model": {"model": Scaled(1.0).double()},
    "bfloat16 model": {"model": Scaled(1.0).bfloat16()},
    "bfloat16 images": {"x": X.bfloat16()},
    "images that need a gradient": {"x": X.clone().requires_grad_()},
    "a model that writes on its input": {"model": lambda x: Flat()(x.sub_(0.1))},
    "memory of [N,H,W,C]": {"model": lambda x: Flat()(x.view(len(x), -1)),
                            "x": X.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)},
    "weights that are buffers": {"model": Scaled(1.0)},
    "a function": {"model": lambda x: Flat()(x)},
    "labels int32": {"y": Y.int()},
    "labels float": {"y": Y.float()},
    "labels one-hot": {"y": F.one_hot(Y)},
    "labels [N,1]": {"y": Y[:, None]},
    "a list of labels": {"y": Y.tolist()},
    "uint8": {"x": (255 * X).round().to(torch.uint8)},
    "counts": {"model": Scaled(1 / 12), "x": (12 * X), "scale": 12},
    "channels last in memory": {"x": X.contiguous(memory_format=torch.channels_last)},
    "vectors": {"x": X.flatten(1)},
    "grey": {"x": X.view(N, 1, 6, 8)},
    "no channels": {"x": X.view(N, 6, 8)},
    "two channels, not square": {"x": X.view(N, 2, 3, 8)},
    "frames [N,T,...]": {"model": Doubled(), "x": torch.stack([X, X], 1)},
    "frames [T,N,...]": {"model": lambda x: Doubled()(x.transpose(0, 1)), "x": torch.stack([X, X])},
    "as many frames as images": {"model": lambda x: Doubled()(x.transpose(0, 1)), "x": X.expand(N, N, *SHAPE),
                                 "time_first": True},
    "normalised by the audit": {"model": lambda x: Flat()(0.2 * x + 0.3), "mean": 0.3, "std": 0.2},
    "spikes and membrane": {"model": lambda x: (Flat()(x), None), "logits": lambda out: out[0]},
    "a reset of one's own": {"model": Remembers(), "reset": lambda m: setattr(m, "v", 0.0)},
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_models_and_images_are_taken_as_people_have_them(name, cheap):
    found, plain = audit(**FORMS[name]), audit()
    low = {"bfloat16 model": 3, "bfloat16 images": 3, "uint8": 1}.get(name, 0)  # images at the edge
    for part in ("clean", "robust"):
        assert abs(found[part]["correct"] - plain[part]["correct"]) <= low
    assert 3 <= plain["robust"]["correct"] <= N - 4


def test_counts_are_of_the_images_given():
    y = Y.clone()
    y[:6] = (y[:6] + 1) % 4
    r = audit(y=y)
    assert (r["clean"]["n"], r["clean"]["correct"], r["robust"]["n"]) == (N, N - 6, N)
    assert f"of n = {N} images" in r.line and f"of {N} images" in str(r)
    *text, quoted = str(r).splitlines()
    assert max(map(len, text)) <= 88 and quoted == r.line
    fell = sum(a["fooled"] for a in r["attacks"] if not a["every_image"])
    assert len(r["fell"]) == r["clean"]["correct"] - r["robust"]["correct"] >= fell
    assert all(a["fooled"] <= a["attacked"] <= r["clean"]["correct"] for a in r["attacks"])


def failed(report):
    return {c["name"] for c in report["checks"] if c["passed"] is False}


def test_one_image_is_never_reliable(cheap):
    r = audit(x=X[-1:], y=Y[-1:])
    assert r["verdict"]["word"] == "unreliable" and "enough images" in failed(r)


def test_a_radius_at_which_nothing_falls_tells_nothing(cheap):
    strong = X[-20:], Y[-20:]
    r = audit(None, *strong, eps=0.001)
    assert r["verdict"]["word"] == "unreliable" and failed(r) == {"the radius tells"}
    assert "eps is too small to tell" in r.headline and r.headline.startswith("unreliable")
    half = next(c["advice"] for c in r["checks"] if c["name"] == "the radius tells")
    assert "where half falls" in half


NO_GRADIENT = {
    "detached": lambda x: Flat()(x.detach()),
    "without grad": torch.no_grad()(lambda x: Flat()(x)),
    "inference mode": torch.inference_mode()(lambda x: Flat()(x)),
    "argmax": lambda x: F.one_hot(Flat()(x).argmax(1), 4).float(),
    "rounded": lambda x: Flat()((16 * x).round() / 16),
}


@pytest.mark.parametrize("name", NO_GRADIENT)
def test_a_model_without_a_gradient_is_obfuscated(name, cheap):
    r = audit(NO_GRADIENT[name])
    assert r["verdict"]["word"] == "obfuscated" and "there is a gradient" in failed(r)
    assert "no direction to follow" in r["verdict"]["why"][0] and r.headline.startswith("obfuscated")


@pytest.mark.parametrize("k", [2, 3])
def test_few_classes_leave_out_what_needs_more(k, cheap):
    r = audit(lambda x: Flat()(x)[:, :k], X[Y < k], Y[Y < k])
    left = " ".join(r["not_tested"])
    assert f"{k} classes, they need 4" in left and ("DLR" in left) is (k == 2)
    assert any(a["name"].startswith("APGD-CE") for a in r["attacks"])


def test_nothing_is_left_behind(cheap):
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4)).train()
    with torch.no_grad():
        net[1].weight.copy_(8 * torch.eye(4).repeat_interleave(12, 1) / 12)
        net[1].bias.zero_()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    r = audit(net, strength="full", budget_minutes=1)
    assert torch.equal(torch.rand(2), expected) and net.training
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert any("train mode" in note for note in r["images"]["notes"])
    assert any(a["name"] == "FAB-T" and a["attacked"] for a in r["attacks"])  # which calls backward


def test_a_random_model_is_attacked_in_expectation_and_said_to_be_random(cheap):
    r = audit(lambda x: Flat()(x + 0.05 * torch.randn_like(x)))
    assert r["model"]["random"] and r["model"]["draws"] > 1 and r["settings"]["draws"] == r["model"]["draws"]
    assert r["verdict"]["word"] == "unreliable" and "deterministic" in failed(r)


def test_a_neighbour_in_the_batch_is_noticed(cheap):
    r = audit(lambda x: Flat()(x - x.mean(0, keepdim=True) / 2))
    assert "an image is judged alone" in failed(r) and r["verdict"]["word"] != "reliable"
