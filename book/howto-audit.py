# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (howto-audit)=
# # How to audit a network
#
# **A robust accuracy is an upper bound: it says how far the attacks came, and not how far an attack can come.**
# `snnpaper.audit` runs one fixed protocol, takes each image's worst case, and asks of the attacks whether they
# worked. Below the same small network is audited three times: as it is, behind a quantised input that only looks
# robust, and trained against attacks (a demonstration: 8×8 digits, networks of seconds); then a recorded network of this book.
#
# ## One call
#
# ```python
# import snnpaper
#
# report = snnpaper.audit(model, images, labels, eps=8 / 255, out="report")
# print(report)
# ```
#
# `images` are [N,C,H,W] in [0,1], or uint8; normalise inside the model or give `mean=` and `std=`. `model` is
#
# | library | the model | what is added to the call |
# |---|---|---|
# | torch | any module or function to logits [N,classes] | nothing |
# | SpikingJelly, multi-step | takes [T,N,C,H,W] | `steps=T` |
# | SpikingJelly, single-step | takes [N,C,H,W], once a step | `steps=T` |
# | snnTorch | takes [N,C,H,W], once a step; `init_hidden=True` | `steps=T` |
# | norse | a `SequentialState`, once a step or in time | `steps=T` |
# | any of them | loops over its steps by itself | nothing |
# | this project | a network of `zoo.load`, with its uint8 images | nothing |
#
# With `steps=` each image is repeated and the outputs are averaged. State is reset between calls; another surrogate is
# put into every spiking layer for the sweep, the mixed surrogate and ASSG, and another gradient through every pool.
# The command `snnpaper audit mypackage.mymodule:make --weights w.safetensors --data images.npz --eps 8/255` does the
# same from files: `make` is a function that returns the model, `images.npz` holds `images` and `labels`. It begins no attack
# after 10 minutes, where the call has all the time it takes, unless `--budget-minutes` says more. Both go on where they
# were stopped, as long as the folder stays. Outside the project's own environment: `pip install '.[audit]'`.

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import HTML
from torch import nn

import snnpaper
from snnpaper.auditing import diff
from snnpaper.nets import data
from snnpaper.report import page

splits = data.load("digits")
train, test = ((F.avg_pool2d(splits[k].x[:, :1].float() / 255, 4), splits[k].y) for k in ("train", "test"))
eps, n = 16 / 255, 60


def fit(adversarial, epochs=8):
    """A convolution and two linear layers; with `adversarial` each batch is first moved by one step of the gradient."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 32), nn.ReLU(),
                        nn.Linear(32, 10))  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for i in torch.arange(1000).repeat(epochs).split(50):
        x, y = train[0][i].clone().requires_grad_(adversarial), train[1][i]
        if adversarial:
            (g,) = torch.autograd.grad(F.cross_entropy(net(x), y), x)
            x = (x.detach() + 1.25 * eps * g.sign()).clamp(0, 1)
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net


plain, hardened = fit(False), fit(True)


def audit(model):
    """Sixty images are enough for a demonstration; 200 give an interval of 14 points at most."""
    return snnpaper.audit(model, test[0][:n], test[1][:n], eps, strength="quick")


# %% [markdown]
# ## One that passes
#
# The plain network. Every check passes: its robust accuracy may stand, low or high.

# %% tags=["nbval-ignore-output"]
passes = audit(plain)
assert passes["verdict"]["word"] == "reliable" and passes["clean"]["accuracy"] > 0.85
print(passes)

# %% [markdown]
# The first line is the one to read: verdict, accuracies, intervals and n. Each attack then says how many images it
# fooled of those it saw: the first three see all that are classified correctly, the others those that still stand. The
# last line is for a paper: it names the protocol, its strength, and a hash of the attacks' settings, to which you add which
# weights and images.
#
# ## One that only looks robust
#
# The same weights behind an input of five grey levels. Rounding has no derivative, so the published attack, which
# follows the gradient, finds no direction at all.

# %% tags=["nbval-ignore-output"]
looks = audit(lambda x: plain((4 * x).round() / 4))
pgd = next(a for a in looks["attacks"] if a["name"].startswith("PGD-20"))
assert looks["verdict"]["word"] == "obfuscated" and pgd["fooled"] <= 2
print(f"PGD-20 fools {pgd['fooled']} of {pgd['attacked']}")
print(looks.headline)
print(*looks["verdict"]["why"], sep="\n")

# %% [markdown]
# A number that PGD alone would have reported as robust is void, and the report says so before the number. What to do is
# said beside each failed check: here, to put a differentiable path through the rounding (BPDA) and audit that. The
# next cell does: the forward pass is the same, the gradient passes as if nothing were rounded.

# %% tags=["nbval-ignore-output"]
through = audit(lambda x: plain(x + ((4 * x).round() / 4 - x).detach()))
again = next(a for a in through["attacks"] if a["name"].startswith("PGD-20"))
assert through["clean"] == looks["clean"] and again["fooled"] > pgd["fooled"] + 5
assert through["robust"]["accuracy"] <= looks["robust"]["accuracy"] + 0.05
print(f"PGD-20 now fools {again['fooled']} of {again['attacked']}")
print(through.headline)

# %% [markdown]
# ## One that is trained against attacks
#
# Robustness without obfuscation: more images stand than of the plain network, and the checks pass all the same.

# %% tags=["nbval-ignore-output"]
stands = audit(hardened)
assert not any(c["passed"] is False and c["voids"] == "obfuscated" for c in stands["checks"])
assert stands["robust"]["accuracy"] > passes["robust"]["accuracy"] + 0.05
print(stands.headline)
print(diff(passes, stands))

# %% [markdown]
# ## A network of this book
#
# The recorded spiking network with max pooling of [](ch-obfuscation), on CIFAR-10 images, at one grey level. A network of
# `zoo.load` brings its code, its surrogates and its pool, so the audit varies all three: other BPDA surrogates of the
# code, other surrogates of the neurons, other gradients of the pool, and a search over grey levels.

# %% tags=["nbval-ignore-output"]
from snnpaper import zoo

recorded = None
if data.available("cifar10"):
    _, coded = zoo.load("cifar10-sew18-w16-max-s0-eb79827ad1")
    images = data.load("cifar10")["test"].first(50)
    recorded = snnpaper.audit(coded, images.x, images.y, "1/255", strength="quick")
    names = " ".join(a["name"] for a in recorded["attacks"])
    assert all(word in names for word in ("BPDA", "atan 4", "pool avg", "level search"))
    print(recorded.headline)
    print(*(f"{a['name']}: fooled {a['fooled']} of {a['attacked']}" for a in recorded["attacks"]), sep="\n")
else:
    print("CIFAR-10 is not on this machine: python -m snnpaper fetch cifar10")

# %% [markdown]
# This verdict is on the worst case over all these attacks. [](ch-obfuscation) judges PGD through one surrogate alone, on the same
# network, and there calls it unreliable or obfuscated: the images that it left standing are taken here by the others.

# %% tags=["hide-input", "nbval-ignore-output"]
cases = (
    ("plain", passes),
    ("five grey levels", looks),
    ("five grey levels, BPDA", through),
    ("trained against attacks", stands),
)
rows = [
    {
        "network": name,
        "clean": f"{100 * r['clean']['accuracy']:.0f} %",
        f"robust, worst case of n = {n}": f"{100 * r['robust']['accuracy']:.0f} % [{{:.0f}}, {{:.0f}}]".format(
            *(100 * v for v in r["robust"]["interval"])
        ),
        "verdict": r["verdict"]["word"],
    }
    for name, r in cases
]
HTML(page.table(pd.DataFrame(rows)))

# %% [markdown]
# ## Three verdicts
#
# - **reliable**: no check failed that voids the number. It is no proof: an attack that nobody has tried may do better.
# - **unreliable**: something was in the way that is no property of the network: too few images, a radius at which
#   nothing falls, no time for every attack, randomness, a neighbour in the batch that changes an answer, attacks
#   that twice the budget still improves by more than chance.
# - **obfuscated**: the gradient does not say what the function does. A black box, random noise or a single step finds
#   what many steps along the gradient do not; or there is none; or not even an unbounded change leads out of the class.
#
# ## What it costs, and what is not tested
#
# On a CPU the attacks are nearly all of the time, and what stands must be attacked by every one of them: a robust
# network costs more than a fragile one. `strength="quick"` has half the steps; `budget_minutes=` stops in its time, says
# what was left out and calls the number unreliable. Only $L_\infty$ is tested, no decision-based attack, and no transfer
# from another network; each report ends with its own list.
#
# **Parameters to try.** `eps` at which half of the images fall, where attacks differ most; `strength="full"`; the same
# network with `torch.nn.functional.dropout(x, 0.2)` always on, which is random and so attacked in expectation.
