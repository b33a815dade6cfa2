# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# (spikes)=
# # 1 · Spikes: an image becomes spikes
#
# **The finding.** The smallest step an image can make, one grey level, can flip all eight planes of a pixel's code by 1, while
# the published attack moves each entry of the code by 0.03 at most and reaches the code of no other image: two threat models
# that share nothing. And where max pooling on spikes leaves a gradient, more than half of it goes to a window's first position
# by the library's rule for ties. Each of these numbers is asserted in the cell that computes it.
#
# **Question.** A spiking network reads zeros and ones over time. What happens to an image on the way there, how can
# such a network have a gradient at all, and whom does an attacker attack: the image or the spikes?
#
# **What the paper says** {cite}`luu2025trail`. Integrate-and-fire (IF) neurons with threshold 1 and hard reset to 0;
# the ATan surrogate gradient with $\alpha = 2$; phase coding with $T = 10$ steps; a SEW-ResNet {cite}`fang2021sew`
# whose stem has a max pool, or an average pool in its place. Where the paper's text leaves something open, we follow
# its published code, and say so.
#
# **You need** a little PyTorch. Everything on this page is computed live, in seconds, from images that come with
# scikit-learn; no network is trained here.

# %%
import inspect
import math

import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown

from snnpaper.nets import coding, data, models, neurons
from snnpaper.nets.hooks import tensors_at
from snnpaper.report import plots

torch.set_num_threads(1)
plots.use_style()


def show(function):
    """The source of a function of the package, as it runs here."""
    return Markdown(f"```python\n{inspect.getsource(function)}```")


# %% [markdown]
# ## What is a spike?
#
# An IF neuron adds up its input current $I[t]$ in its **membrane potential**. When the potential reaches the
# threshold $V_{th} = 1$ the neuron sends a spike, a 1, and its potential returns to 0, whatever it was:
#
# ```{math}
# :label: eq-if
# \begin{aligned}
# h[t] &= v[t-1] + I[t], \qquad v[0] = 0, && \text{charge} \\
# s[t] &= \Theta\big(h[t] - V_{th}\big), && \text{fire} \\
# v[t] &= (1 - s[t])\, h[t] && \text{reset}
# \end{aligned}
# ```
#
# $\Theta$ is 1 from 0 on and 0 below. We call $h$ the charged potential and $v$ what is kept. As code, one line
# per symbol:


# %%
def membrane(current):
    """Charged potential h, kept potential v and spikes s, each of the current's shape [T, ...]."""
    v, trace = torch.zeros_like(current[0]), []
    for I_t in current:
        h = v + I_t
        s = (h >= 1).float()
        v = (1 - s) * h
        trace.append((h, v, s))
    return [torch.stack(column) for column in zip(*trace, strict=True)]


# %% mystnb={"figure": {"name": "fig-neuron", "caption": "One IF neuron over ten steps: its input current (top), its membrane potential before and after the reset (middle), its spikes (bottom)."}, "image": {"alt": "Three stacked panels over time steps 1 to 10. Top: bars of the input current, 0.3 four times, a large bar at step 6, a negative one at step 8. Middle: the charged potential climbs over the dashed threshold at steps 4, 6 and 10; the kept potential is 0 at exactly these steps. Bottom: spikes at steps 4, 6 and 10."}}
current = torch.tensor([0.3, 0.3, 0.3, 0.3, 0.0, 1.7, 0.3, -0.4, 0.6, 0.6])
h, v, s = membrane(current)
assert torch.equal(s, neurons.IF()(current))  # the package's layer does the same
plots.neuron_trace(current, h, v, s)

# %% [markdown]
# Read {numref}`fig-neuron` from left to right. Four small inputs together make one spike at step 4. The strong input
# at step 6 makes one spike as well, not 1.7 of them. A negative input at step 8 only delays the next spike. What
# exceeds the threshold is **lost** with a hard reset:

# %%
surplus = (s * (h - 1)).sum()
print(f"current in {current.sum():.1f} = {s.sum():.0f} spikes + {surplus:.1f} lost + {v[-1]:.1f} still stored")
assert torch.isclose(current.sum(), s.sum() + surplus + v[-1])

# %% [markdown]
# So a spike count is a coarse number. Under a constant current $I$ the neuron needs $\lceil 1/I \rceil$ steps for each
# spike, hence $\lfloor T / \lceil 1/I \rceil \rfloor$ spikes in $T$ steps, and every current above 1 looks the same:

# %%
T = 10
for constant in (0.08, 0.15, 0.3, 0.45, 0.6, 0.9, 1.5, 3.0):
    count = int(neurons.IF()(torch.full((T,), constant)).sum())
    assert count == T // math.ceil(1 / constant)
    print(f"current {constant:4.2f} per step -> {count:2d} spikes")

# %% [markdown]
# ## How does a step have a gradient?
#
# Training needs $\partial s / \partial h$, and the step has none: it is flat to the left and to the right, and jumps in
# between. A small change of a weight almost never changes a spike, so the true gradient says "nothing matters".
# PyTorch does not even report a zero; it ends the graph there:

# %%
potential = torch.linspace(-1, 3, 1000, requires_grad=True)
spike = (potential >= 1).float()
print("can a gradient pass the comparison?", spike.requires_grad)
nudged = (potential + 1e-4 >= 1).float()
changed = int((spike != nudged).sum())
print(f"spikes that change when the potential moves by 0.0001: {changed} of {len(spike)}")
assert not spike.requires_grad and torch.equal(spike, nudged)

# %% [markdown]
# The way out is the **surrogate gradient** {cite}`neftci2019surrogate`: keep the step in the forward pass and write a
# bump in its place in the backward pass. With $u = h - V_{th}$,
#
# ```{math}
# :label: eq-surrogate
# \frac{\partial s}{\partial h} \;:=\; \sigma'_\alpha(u), \qquad
# \text{ATan: } \sigma'_\alpha(u) = \frac{\alpha}{2}\,\frac{1}{1 + \left(\frac{\pi}{2}\,\alpha u\right)^2} .
# ```
#
# | surrogate | $\sigma'_\alpha(u)$ | peak | zero where |
# |---|---|---|---|
# | ATan, the paper's | $\frac{\alpha}{2} / \big(1 + (\frac{\pi}{2} \alpha u)^2\big)$ | $\alpha/2$ | nowhere |
# | sigmoid | $\alpha\, \varsigma(\alpha u)\,(1 - \varsigma(\alpha u))$, with $\varsigma$ the logistic function | $\alpha/4$ | nowhere |
# | rectangular | $\alpha\, \mathbf 1[\lvert u \rvert \le \frac{1}{2\alpha}]$ | $\alpha$ | $\lvert u \rvert > \frac{1}{2\alpha}$ |
# | triangular | $\alpha \max(0, 1 - \alpha \lvert u \rvert)$ | $\alpha$ | $\lvert u \rvert \ge \frac{1}{\alpha}$ |
#
# Each has area 1, like the step's own derivative, which has all of it at $u = 0$; a larger $\alpha$ makes it narrower and taller.

# %% mystnb={"figure": {"name": "fig-surrogates", "caption": "The four surrogate derivatives at alpha = 2, on a linear (left) and a logarithmic axis (right)."}, "image": {"alt": "Left: four symmetric bumps around u = 0; rectangular and triangular reach 2 and end at 0.25 and 0.5, ATan reaches 1, sigmoid 0.5. Right, logarithmic: sigmoid falls as a straight line to about 0.0001 at u = 5, ATan stays near 0.004, the other two end abruptly."}}
alpha = 2.0
u = torch.linspace(-5, 5, 2001, dtype=torch.float64)
slopes = {name: slope(u, alpha) for name, slope in neurons.SURROGATES.items()}
tail = 1 - 2 / math.pi * math.atan(math.pi / 2 * alpha * 5)  # ATan's mass beyond |u| = 5
for name, slope in slopes.items():
    missing = tail if name == "atan" else 0
    assert abs(torch.trapezoid(slope, u) + missing - 1) < 0.01 * alpha, name
plots.surrogates(u, slopes)

# %% [markdown]
# The right panel of {numref}`fig-surrogates` is the one that matters for this book. ATan falls only like $1/u^2$: a
# neuron far from its threshold still passes some gradient, and **never exactly zero**. The rectangular and the
# triangular surrogate pass exactly nothing outside a window. The sigmoid lies between: positive on paper, but in single
# precision $1 - \varsigma(\alpha u)$ is rounded to 0 for a strongly driven neuron:

# %%
far = torch.tensor([-10.0, 10.0])  # far below and far above the threshold, float32
for name, slope in neurons.SURROGATES.items():
    below, above = (slope(far, alpha) == 0).tolist()
    print(f"{name:12s} exactly zero at u = -10: {below!s:5s}  at u = +10: {above}")
    assert (below, above) == {"atan": (False, False), "sigmoid": (False, True)}.get(name, (True, True))

# %% [markdown]
# "How sparse is the gradient?" therefore has no answer without the surrogate. The same 5,000 neurons, the same input,
# the same spikes:

# %%
g = torch.Generator().manual_seed(0)
driven = 0.2 + 0.5 * torch.randn(T, 5000, generator=g)
charged = membrane(driven)[0]
for name in neurons.SURROGATES:
    current_in = driven.clone().requires_grad_()
    neurons.IF(name, alpha)(current_in).sum().backward()
    window = (neurons.SURROGATES[name](charged - 1, alpha) != 0).float().mean()
    density = (current_in.grad != 0).float().mean()
    print(f"{name:12s} non-zero: slope {window:4.0%}, gradient by the current {density:4.0%}")
    assert density >= window and (density == 1) == (name in ("atan", "sigmoid"))

# %% [markdown]
# With the paper's ATan no zero ever comes from a neuron's slope. Zeros in its networks must come from elsewhere: the
# routing of max pooling (below), the reset, weights that are zero, or numbers too small for the format. The gradient's
# share exceeds the slope's because a potential is kept: a neuron that is silent now hands on the gradient of the steps
# to come. The next section makes that exact.
#
# (reset-gradient)=
# ### The reset: detached or not
#
# Let $\delta[t] = \mathrm dL/\mathrm dh[t]$ for a loss $L$, which is also the gradient by $I[t]$. By {eq}`eq-if` the potential reaches the loss on two
# ways, through its own spike and through what it keeps:
#
# ```{math}
# :label: eq-delta
# \begin{aligned}
# \delta[t] &= \frac{\partial L}{\partial s[t]}\,\sigma'_\alpha(u[t]) + \frac{\partial v[t]}{\partial h[t]}\,\delta[t+1], \\
# \frac{\partial v[t]}{\partial h[t]} &= (1 - s[t]) \underbrace{{}- h[t]\,\sigma'_\alpha(u[t])}_{\text{undetached only}} .
# \end{aligned}
# ```
#
# The last term is the surrogate derivative of the reset itself. The published code *detaches* it (treats the $s[t]$ in the
# reset as a constant) in SEW-ResNets, and keeps it in Spiking-ResNets. A loop from the last step to the first is all
# it takes:


# %%
def backward(h, upstream, alpha=2.0, detached=True):
    """Gradient by the current [T] from the charged potential and dL/ds, by the recursion above."""
    slope = neurons.SURROGATES["atan"](h - 1, alpha)
    delta, following = [], torch.zeros_like(h[0])
    for t in reversed(range(len(h))):
        keep = (h[t] < 1).to(h) - (0 if detached else h[t] * slope[t])
        following = upstream[t] * slope[t] + keep * following
        delta.append(following)
    return torch.stack(delta[::-1])


# %% mystnb={"figure": {"name": "fig-reset", "caption": "Gradient of the number of spikes by the current at each step, for the neuron of the first figure of this chapter: reset detached and undetached. Triangles mark its spikes."}, "image": {"alt": "Bars at steps 1 to 10 for the detached and the undetached reset, with triangles at the spikes at steps 4, 6 and 10. Detached bars are all positive, largest at steps 1 to 3 and small at 5 and 6. Undetached bars are mostly smaller, negative at steps 5 and 6, and equal to the detached one at step 10."}}
gradients = {}
for name, detached in {"detached": True, "undetached": False}.items():
    gradients[name] = backward(h, torch.ones_like(h), detached=detached)
    traced = current.clone().requires_grad_()  # now the same by autograd
    neurons.if_reference(traced, detach_reset=detached).sum().backward()
    assert torch.allclose(gradients[name], traced.grad, atol=1e-6)
assert gradients["detached"][-1] == gradients["undetached"][-1]
assert (gradients["detached"] > 0).all()
assert (gradients["undetached"] < 0).nonzero().flatten().tolist() == [4, 5]  # steps 5 and 6
plots.reset_gradients(gradients, s)

# %%
by_step = pd.DataFrame(gradients, index=pd.RangeIndex(1, len(h) + 1, name="t"))
print(by_step.T.map("{:.2f}".format).to_string())

# %% [markdown]
# Two things in {numref}`fig-reset`. A spike **closes a gate**: with $s[t] = 1$ the detached gradient is cut from
# everything later, and steps 1 to 4 know only of the spike at step 4. And the detached gradient does not know that a
# spike empties the neuron: to it more current is never worse. The undetached one charges for the reset; at steps 5 and 6
# its sign turns, because a spike there would throw stored charge away. Both are conventions. Neither is
# the derivative of the spike count, which is zero almost everywhere.
#
# The package holds the ten-line loop that defines all this, and one fused operator that a test proves equal to it
# (identical spikes; gradients equal to $10^{-6}$ relative, and so is SpikingJelly's neuron {cite}`fang2023spikingjelly`).
# In its code the current is called `x`:

# %% tags=["hide-output"]
show(neurons.if_reference)

# %% [markdown]
# ## Phase code: the bit planes of an image
#
# How does a pixel become zeros and ones over time? Phase coding {cite}`kim2018weighted` writes its grey level
# $q \in \{0, \dots, 255\}$ in binary and sends one digit per step, the most significant first, again and again with
# period $K = 8$:
#
# ```{math}
# :label: eq-phase
# \begin{aligned}
# \frac{q}{256} &= \sum_{t=1}^{8} \omega(t)\, s[t], \qquad s[t+8] = s[t], \\
# \omega(t) &= 2^{-(1 + ((t-1) \bmod 8))} .
# \end{aligned}
# ```


# %%
def bit_planes(q, T):
    """Digit 1 + (t-1 mod 8) of each uint8 pixel, most significant first: [T, ...]."""
    return torch.stack([(q >> (7 - t % 8)) & 1 for t in range(T)])


every_value = torch.arange(256, dtype=torch.uint8)
planes = bit_planes(every_value, T)
assert torch.equal(planes.float(), coding.encode(every_value, "phase", T))
assert torch.equal((planes[:8].T * coding.phase_weights(8)).sum(1), every_value / 256)
for value in (192, 127, 128):
    print(value, "->", "".join(map(str, planes[:, value].tolist())))

# %% [markdown]
# With $T = 10$ the last two digits of each line repeat the first two. SpikingJelly's encoder, which the published code
# uses, gives the same for all 256 values. It keeps its spikes until it is reset, so a new batch needs a new encoder:

# %%
from spikingjelly.activation_based.encoding import WeightedPhaseEncoder

encoder = WeightedPhaseEncoder(K=8)
library = torch.stack([encoder(every_value / 256) for _ in range(T)])
assert torch.equal(library, coding.encode(every_value, "phase", T))
print("values the encoder sends:", library.unique().int().tolist())

# %% [markdown]
# Its name says *weighted*, yet it sends plain zeros and ones. In {cite:t}`kim2018weighted` and in the paper's formula a
# spike at step $t$ counts $\omega(t)$; in the published code $\omega(t)$ serves to find the digits and is then
# **not** multiplied into the input. We call the two codes `phase` (bare planes, the code's, our default) and
# `weighted_phase`.
#
# Here are the planes of two images that come with scikit-learn: a digit, and one colour channel of a photograph, for
# low digits look different where an image has texture.

# %%
from sklearn.datasets import load_sample_image

digits = data.load("digits")["test"]
flower = torch.from_numpy(load_sample_image("flower.jpg")[5:421, 112:528].astype("int32"))
flower = (flower.unflatten(1, (32, 13)).unflatten(0, (32, 13)).sum((1, 3)) // 169).to(torch.uint8)
flower = flower.permute(2, 0, 1)[None]  # [1,3,32,32], each pixel the mean of a 13x13 block
images = {"digit": digits.x[:1], "photo": flower}

# %% mystnb={"figure": {"name": "fig-planes", "caption": "A digit and the red channel of a photograph, and their bit planes as the network sees them, step by step. Steps 9 and 10 repeat 1 and 2."}, "image": {"alt": "Two rows of eleven small pictures: the image, then ten black and white planes. Planes 1 and 2 show its coarse shape, planes 3 to 5 show contour lines, planes 6 to 8 look more and more like noise, planes 9 and 10 are copies of 1 and 2."}}
shown = {name: (x[0, 0], coding.encode(x, "phase", T)[:, 0, 0]) for name, x in images.items()}
assert all(torch.equal(planes[8:], planes[:2]) for _, planes in shown.values())
plots.bit_planes(shown)

# %%
ones = {name: coding.encode(x, "phase", T).flatten(1).mean(1) for name, x in images.items()}
table = pd.DataFrame(ones, index=pd.RangeIndex(1, T + 1, name="t")).T
table["mean"] = table.mean(axis=1)
print((100 * table).round().astype(int).to_string())
count, brightness = planes[:8].sum(0).double(), every_value.double()
correlation = torch.corrcoef(torch.stack([count, brightness]))[0, 1]
print(f"correlation of a pixel's number of spikes with its brightness: {correlation:.2f}")
assert int(count[127]) == 7 and int(count[128]) == 1

# %% [markdown]
# {numref}`fig-planes` and the table (percent of entries that are 1) say three things.
# - The first planes carry the shape. In a photograph the last ones are close to fair coin flips; in a digit the black background
#   keeps them down.
# - The input is not sparse: about a third of all entries are spikes.
# - A network applies the same weights at every step. With bare planes it can tell a digit worth 128 from a digit worth
#   1 only by *when* it comes, through what its potentials hold at that time. Anything that merely counts a pixel's
#   spikes sees 127 (seven spikes) as brighter than 128 (one spike).
#
# (threat-models)=
# ## Two attackers who never meet
#
# An adversarial perturbation must be small. Small **in which space**? The book keeps two threat models apart, and never
# puts their numbers in one column:
#
# - **pixel space**: the image $x \in [0,1]$ may change by a move $\lvert m\rvert \le \epsilon$, $\epsilon = 8/255$; it is then quantised and encoded as always.
#   This is what the literature calls robustness.
# - **spike space**: the code $s \in \{0,1\}^{T \times \cdots}$ itself may change, each entry on its own, by at most
#   $\epsilon$. This is what the published code attacks.
#
# A pixel step of one part in 255 is the smallest there is. How many planes does it flip?

# %% mystnb={"figure": {"name": "fig-flips", "caption": "Number of bit planes that flip when a pixel goes from grey level q to q + 1."}, "image": {"alt": "A ruler-like pattern of vertical lines over the pixel values 0 to 254: height 1 at every even value, higher and rarer lines in between, 7 at 63 and 191, and the highest, 8, at 127."}}
flipped = (planes[:8].int().diff(dim=1) != 0).sum(0)
assert flipped.max() == 8 and flipped.argmax() == 127 and (flipped[::2] == 1).all()
plots.flips(flipped)

# %%
print(f"planes that flip, on average over q: {flipped.float().mean():.2f} of 8")
for n in range(1, 9):
    print(f"{n} planes: {int((flipped == n).sum()):3d} of {len(flipped)} steps")

# %% [markdown]
# {numref}`fig-flips` is the pattern of carries when counting in binary. Half of all values change only their last
# digit, but at 127 → 128 the smallest possible step, invisible to anyone, turns **every** entry of the code around by
# a full 1. On average two of the eight planes flip.
#
# Larger steps need not flip more. Add or subtract exactly $n/255$ at random, in expectation (both signs are
# computed, none is drawn):


# %%
def changed_share(q, n):
    """Expected share of changed entries of the 10-step code when n is added to or taken from each pixel."""
    before, wide = coding.encode(q, "phase", T), q.int()
    moved = [(wide + n).clamp(max=255), (wide - n).clamp(min=0)]
    return sum((coding.encode(m.to(torch.uint8), "phase", T) != before).float().mean().item() for m in moved) / 2


# %% mystnb={"figure": {"name": "fig-changed", "caption": "Expected share of the phase code's entries (T = 10) that change when each pixel moves by plus or minus n/255: over all pixel values, 100 digits, and the photograph."}, "image": {"alt": "Share of changed entries against the step, 1 to 16, for three sets of pixels. Each is a saw-tooth with minima at the powers of two, where the share is no larger than at a step of 1; odd steps change the most. The digits lie lowest."}}
steps = list(range(1, 17))
shares = {
    "every value once": [changed_share(every_value, n) for n in steps],
    "100 digits": [changed_share(digits.x[:100], n) for n in steps],
    "photograph": [changed_share(flower, n) for n in steps],
}
plots.changed_entries(steps, shares)

# %%
for name, share in shares.items():
    print(f"{name:16s}: step 1 changes {share[0]:.0%}, step 7 {share[6]:.0%}, step 8 {share[7]:.0%}")
    assert share[6] > share[7] and share[6] > share[0]
within = sum(changed_share(every_value, n) for n in range(1, 9)) * 2 / 17
print(f"any whole step from -8 to 8, 0 included: {within:.0%}")

# %% [markdown]
# {numref}`fig-changed` has teeth because a step of 8 leaves the three lowest digits alone, and a step of 7 does not.
# The images change less than the line: black cannot get darker, so half of the noise is lost in a black background.
# In short, **noise within the usual ball rewrites between a seventh and a third of the code, in jumps of 1**, and a step of
# 1 as much as a step of 8. The code does not preserve neighbourhoods.
#
# Now the other way round. The attacker of spike space moves each entry by at most $8/255 \approx 0.03$. Which images
# can be reached?

# %%
codes_of_all = coding.encode(every_value, "phase", T).T
distance = torch.cdist(codes_of_all, codes_of_all, p=float("inf"))  # largest difference between two codes
different = distance[~torch.eye(256, dtype=torch.bool)]
print("largest entry-wise difference of two different pixels' codes:", different.unique().tolist())
assert (different == 1).all()

# %% [markdown]
# None. Two different images are at distance exactly 1 in spike space, so a ball of radius $\epsilon < 1$ around a code
# holds the code of **no other image**. The two threat models share nothing but the unperturbed image. Side by
# side, with random signs:

# %%
g = torch.Generator().manual_seed(1)
clean = coding.encode(flower, "phase", T)
signs = torch.randint(0, 2, flower.shape, generator=g) * 2 - 1
noisy = (flower.int() + 8 * signs).clamp(0, 255).to(torch.uint8)
spike_signs = torch.randint(0, 2, clean.shape, generator=g) * 2 - 1
attacked = (clean + 8 / 255 * spike_signs).clamp(0, 1)
added = {"pixel space": coding.encode(noisy, "phase", T) - clean, "spike space": attacked - clean}
for name, change in added.items():
    print(f"{name}: {(change != 0).float().mean():.0%} of the entries move, the largest by {change.abs().max():.2f}")

# %% mystnb={"figure": {"name": "fig-two-spaces", "caption": "What noise of size 8/255 with random signs adds to the phase code of the photograph, on one colour scale. Top: noise on the pixels, then encoded. Bottom: noise on the code, clamped to [0, 1]."}, "image": {"alt": "Two rows of ten small pictures. In the top row planes 1 and 2 have a few saturated dots, the number grows to plane 5, which is full of saturated red and blue; planes 6 to 8 change only at the dark border. The bottom row looks empty: its changes are too small to see on the same scale."}}
moved = {name: (change != 0).float().mean().item() for name, change in added.items()}
assert added["pixel space"].abs().max() == 1 and math.isclose(added["spike space"].abs().max(), 8 / 255, rel_tol=1e-5)
assert 0.48 < moved["spike space"] < 0.52
plots.two_spaces({name.removesuffix(" space"): change[:, 0, 0] for name, change in added.items()})

# %% [markdown]
# The two rows of {numref}`fig-two-spaces` come from "the same" $\epsilon$. Three consequences:
# - **Another object.** The perturbed code in the lower row has greys where a phase code has only 0 and 1, and its steps 9
#   and 10 no longer repeat 1 and 2. It is not the code of any image; nothing in front of the encoder can make it.
# - **A one-sided ball.** Entries are 0 or 1 and stay in $[0,1]$ after clamping, so a 0 can only rise and a 1 can only
#   fall. Of any pattern of signs that does not look at the code, only about **half** the moves are possible. The
#   usual formulas for random and worst-case noise assume a symmetric ball and do not hold here; the next chapter
#   corrects them.
# - **Another question.** A robust accuracy in one space answers nothing about the other. Later chapters measure both,
#   for the same networks.

# %%
possible = torch.where(clean == 0, spike_signs > 0, spike_signs < 0)
assert torch.equal(possible, attacked != clean)
broken = (attacked[8:] != attacked[:2]).float().mean()
print(f"moves that are possible: {possible.float().mean():.0%}")
print(f"entries of steps 9 and 10 that no longer repeat 1 and 2: {broken:.0%}")

# %% [markdown]
# ### A gradient through the code
#
# For an attack in pixel space the gradient must pass the code, and the code is a staircase: its derivative is zero or
# does not exist, like the step's. Left alone this is a *shattered gradient*, which makes a network look robust because
# the attack is blind {cite}`athalye2018obfuscated`. Their remedy, **BPDA**, is the idea of the surrogate again: exact code
# forward, a smooth *BPDA surrogate* backward,
#
# ```{math}
# :label: eq-bpda
# \frac{\partial L}{\partial x} \;:=\; \sum_{t=1}^{T} \tau(t)\, \frac{\partial L}{\partial s[t]}, \qquad
# \tau(t) = \begin{cases} 1 & \text{identity surrogate,} \\ \omega(t) & \text{weighted surrogate.} \end{cases}
# ```
#
# The identity surrogate treats all digits alike; the weighted one trusts a digit by what it is worth. We read $\tau(t)$ off
# the implementation, by asking for the gradient of one step at a time:

# %%
image = (flower / 255).requires_grad_()
read = {}
for bpda in ("identity", "weighted"):
    spikes = coding.encode_image(image, "phase", T, bpda)
    assert torch.equal(spikes, clean)  # forward: exactly the code
    per_step = [torch.autograd.grad(step.sum(), image, retain_graph=True)[0].unique() for step in spikes]
    read[bpda] = torch.cat(per_step).tolist()
assert read["identity"] == [1.0] * T and read["weighted"] == coding.phase_weights(T).tolist()
print(pd.DataFrame(read, index=pd.RangeIndex(1, T + 1, name="t")).round(3).to_string())

# %% [markdown]
# A BPDA surrogate is a choice the attacker makes; [](ch-obfuscation) adds one whose $\tau$ depends on the pixel, and an attack
# that needs none. A network counts as robust in pixel space only when the best of them,
# and attacks that need no gradient, fail as well.
#
# ## Rate, latency and direct code
#
# Phase is one code among several. **Rate**: at each step a spike with probability $q/255$. **Latency**: a
# single spike, the earlier the brighter, at step $1 + \mathrm{round}\big((T-1)(1-q/255)\big)$. **Direct**: no
# spikes at all, the value $q/255$ itself at every step.

# %% mystnb={"figure": {"name": "fig-codes", "caption": "One row of the photograph (strip on top, as in the image) and what four codes make of it over ten steps; in the panels black is 1 and white is 0."}, "image": {"alt": "Four panels, pixel against time step, below the same strip: dark ends, a bright middle. Phase: blocks of black and white, different at each step. Rate: irregular, dense under bright pixels. Latency: one mark per pixel, at steps 2 to 4 for bright and at step 10 for dark ones. Direct: vertical grey stripes that do not change over time."}}
line = flower[:, :1, 16:17]  # [1,1,1,32]
_ = torch.manual_seed(0)  # rate coding draws its spikes
trains = {name: coding.encode(line, name, T).reshape(T, 32) for name in ("phase", "rate", "latency", "direct")}
plots.codes(line.flatten(), trains)

# %%
summary = {}
for name in trains:
    s_all = coding.encode(every_value, name, T)  # [T, 256]
    told_apart = T + 1 if name == "rate" else len(s_all.T.unique(dim=0))
    binary = len(s_all.unique()) == 2
    summary[name] = {"values told apart": told_apart, "mean input": round(s_all.mean().item(), 2), "binary": binary}
print(pd.DataFrame(summary).T.to_string())
assert summary["phase"]["values told apart"] == summary["direct"]["values told apart"] == 256

# %% [markdown]
# In {numref}`fig-codes` only phase and direct code keep every grey value (for rate the table counts the possible
# numbers of spikes). Latency keeps $T$ values, and is by far the sparsest. Rate is random: an attack on it must
# average over draws (EOT, {cite}`athalye2018eot`). Direct code alone has an honest derivative, but
# for the rounding to 8 bits. A code is thus part of the threat model; the book's numbers always name it.
#
# ## From spikes to logits
#
# The network is a SEW-ResNet-18 with the stem made for ImageNet, on images of 32 pixels a side. Every
# layer runs at each of the $T$ steps; the last layer's outputs are averaged over time. In each residual block the
# skip is added *after* the last neuron,
#
# ```{math}
# :label: eq-sew
# O[t] = \mathrm{SN}\big(\mathcal F(S[t])\big) + S[t] \qquad (\text{SEW-ADD}),
# ```
#
# where $\mathrm{SN}$ is a layer of neurons and $\mathcal F$ the block's other layers. In such an *identity block* the skip's
# derivative is 1 and no neuron stands in its way. Where a block shrinks the map or adds channels, $S[t]$ does not fit
# $O[t]$: there the skip is a 1×1 convolution, a BatchNorm and a layer of neurons of its own. Which blocks are these?

# %%
torch.manual_seed(0)
nets = {width: models.SpikingResNet(num_classes=10, width=width) for width in (16, 64)}
blocks = {name: m for name, m in nets[64].named_modules() if isinstance(m, models.Block)}
print("identity skip:", ", ".join(name for name, m in blocks.items() if m.downsample is None))
print("skip with neurons:", ", ".join(name for name, m in blocks.items() if m.downsample is not None))
assert [name for name, m in blocks.items() if m.downsample is not None] == ["layer2.0", "layer3.0", "layer4.0"]

# %% [markdown]
# Let a batch pass, and note sizes and weights:

# %%
layers = {f"layer{i}": [f"layer{i}"] for i in range(1, 5)}
parts = {"stem": ["conv1", "bn1", "sn1"], "pool": ["maxpool"], **layers, "output": ["fc"]}
ends = {part: nets[16].get_submodule(names[-1]) for part, names in parts.items()}
batch = coding.encode(torch.cat([digits.x[:31], flower]), "phase", T)  # 31 digits and the photograph
with torch.no_grad(), tensors_at(ends) as outputs:
    logits = nets[16](batch)  # training mode: BatchNorm uses this batch's statistics
side = {part: out.shape[-1] for part, out in outputs.items()}
assert logits.shape == (32, 10) and [side[p] for p in list(parts)[:6]] == [16, 8, 8, 4, 2, 1]

# %%
rows = {}
for part, names in parts.items():
    weights = {w: sum(p.numel() for n in names for p in nets[w].get_submodule(n).parameters()) for w in nets}
    pixels = "" if part == "output" else side[part]
    rows[part] = {"side (pixels)": pixels, "parameters, width 16": weights[16], "width 64": weights[64]}
sizes = pd.DataFrame(rows).T
sizes.loc["all"] = ["", *sizes.iloc[:, 1:].sum()]
assert sizes.loc["all"].iloc[1:].tolist() == [sum(p.numel() for p in nets[w].parameters()) for w in (16, 64)]
sizes

# %% [markdown]
# Width 64 is the paper's network, width 16 our laptop scale, about a sixteenth of its weights. From 32 pixels the sides
# shrink to **1**: after the stem and the pool 8, at the end a single position. That has a price. A 3×3 kernel on a
# 1×1 map meets the image with its centre only; its eight other weights meet padding, always. How many weights of the
# last stage ever see anything?


# %%
def live_share(conv, n):
    """Share of a convolution's weights that meet an input of n x n pixels, the rest meet padding only."""
    kernel = torch.ones(1, 1, *conv.kernel_size, requires_grad=True)
    F.conv2d(torch.ones(1, 1, n, n), kernel, stride=conv.stride, padding=conv.padding).sum().backward()
    return (kernel.grad != 0).float().mean().item()


layer4 = nets[64].layer4
inputs = {layer4[0].conv1: 2, layer4[0].conv2: 1, layer4[1].conv1: 1, layer4[1].conv2: 1}
dead = sum((1 - live_share(conv, n)) * conv.weight.numel() for conv, n in inputs.items())
live = [f"{9 * live_share(conv, n):.0f}/9" for conv, n in inputs.items()]
print("live share of layer4's 3x3 convolutions:", ", ".join(live))
total = sizes.loc["all", "width 64"]
print(f"weights that meet padding only, width 64: {dead / 1e6:.2f} of {total / 1e6:.2f} million ({dead / total:.0%})")
assert dead > total / 2
assert all(live_share(conv, 2) == 1 for conv in (nets[64].layer3[0].conv2, nets[64].layer3[1].conv1))

# %% [markdown]
# More than half of the network's weights never get a gradient, for any image and either pool; weight decay is all
# that moves them. A statement about the sparsity of *weight* gradients has to leave them out, or it measures the padding.
#
# What flows between the blocks? SEW-ADD adds spikes to spikes, so numbers grow beyond 1; in a Spiking-ResNet
# the sum goes through a neuron and stays binary:

# %%
largest = {}
for skip in ("sew", "spiking"):
    torch.manual_seed(0)
    net = models.SpikingResNet(num_classes=10, width=16, skip=skip)
    ends = {name: net.get_submodule(name) for name in ("sn1", "layer1", "layer2", "layer3", "layer4")}
    with torch.no_grad(), tensors_at(ends) as seen:
        net(batch)
    assert all(torch.equal(out, out.round()) and out.min() == 0 for out in seen.values())
    largest[skip] = {name: int(out.max()) for name, out in seen.items()}
print(pd.DataFrame(largest).T.to_string())
assert max(largest["spiking"].values()) == 1 < max(largest["sew"].values()) <= 3

# %% [markdown]
# (ties)=
# ## Max pooling on spikes: who wins a tie?
#
# The paper's comparison replaces one layer, the 3×3 pool after the stem. A max pool passes its gradient "to the
# maximum". But its input is binary, and binary maxima are almost always tied. A 5×5 map, stride 2 as in the network:

# %%
tiny = torch.tensor([[0, 0, 0, 0, 0],
                     [0, 0, 0, 1, 1],
                     [0, 0, 0, 1, 1],
                     [0, 0, 0, 0, 1],
                     [0, 1, 0, 1, 1.0]])[None, None].requires_grad_()  # fmt: skip
pooled = F.max_pool2d(tiny, 3, stride=2)
pooled.sum().backward()
print("pooled", pooled[0, 0].int().tolist())
print("gradient by the map:")
for row in tiny.grad[0, 0].int().tolist():
    print("  ", row)
assert tiny.grad[0, 0, 0, 0] == 1 and pooled[0, 0, 0, 0] == 0  # a silent window, and yet a winner
assert tiny.grad[0, 0, 1, 3] == 1 and tiny.grad[0, 0, 1, 4] == 0  # among equal spikes the first wins

# %% [markdown]
# The window at the top left holds no spike at all, and still passes its whole gradient to one element: the first. Among
# several spikes the first in reading order wins. "The gradient goes to the maximum" is here a rule about **position**.
# How often does that decide? The stem of an untrained network on the batch above, windows at the border left
# out:

# %%
net = nets[16]
with torch.no_grad():
    stem_current = net.bn1(net.conv1(batch.flatten(0, 1)))
    stem = net.sn1(stem_current.unflatten(0, (T, 32))).flatten(0, 1).contiguous()
windows = F.avg_pool2d(stem, 3, 2, 1, divisor_override=1)[..., 1:, 1:]  # spikes in each whole window
kinds = {"silent": windows == 0, "one spike": windows == 1, "several": windows > 1, "tied": windows != 1}
for name, share in kinds.items():
    print(f"{name:9s} {share.float().mean():.0%} of the windows")
assert (windows != 1).float().mean() > 0.7


# %%
def winner_share(x):
    """Share [3,3] of the whole windows of x [N,C,16,16] whose maximum, as torch picks it, is at each position."""
    _, index = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    corner = torch.arange(8) * 2 - 1  # first row, or column, of each window
    row, column = index // 16 - corner[:, None], index % 16 - corner
    position = (3 * row + column)[..., 1:, 1:]
    return torch.bincount(position.flatten(), minlength=9).view(3, 3) / position.numel()


# %% mystnb={"figure": {"name": "fig-winners", "caption": "Share (percent) of a window's gradient that reaches each of its nine positions: max pooling of spikes, max pooling of the real-valued current of the same stem, average pooling of spikes."}, "image": {"alt": "Three 3 by 3 grids of percentages. Max pool on spikes: more than half at the top left corner, the rest falling off in reading order. Max pool on the current before the neuron: 8 to 17 everywhere. Average pool: 11 everywhere."}}
positions = {
    "max pool, spikes": winner_share(stem),
    "max pool, current": winner_share(stem_current),
    "average pool": torch.full((3, 3), 1 / 9),
}
assert torch.equal(winner_share(stem), winner_share(stem.contiguous(memory_format=torch.channels_last)))
assert positions["max pool, spikes"][0, 0] > 0.5 and positions["max pool, current"].max() < 0.2
assert (windows == 0).float().mean() > positions["max pool, spikes"][0, 0] / 2  # most of the corner's share
plots.winners(positions)

# %% [markdown]
# In {numref}`fig-winners` the same layer on the same images behaves in two ways. On real numbers no position is far from
# its fair ninth; the corner leads a little because currents tie too, where the background is flat. On spikes more
# than half of all gradient goes to the top left corner, most of it from silent windows. So *where* max pooling
# leaves gradient is largely settled by how ties are broken: a rule of the library, not a property of the image. An
# average pool sends a ninth to everybody. Its output is no longer binary, so the swap changes the forward signal too.
# What all this does to the gradient's path is the next chapter's subject.
#
# ## Summary
#
# - A spike has no useful derivative; a surrogate invents one. With the paper's ATan 100 % of the slopes are non-zero, so exact
#   zeros in the gradient come from max pooling, resets, zero weights or underflow, not from the neurons' slopes.
# - The phase code is the image's bit planes, sent bare. It does not preserve neighbourhoods: a step of 1/255 can flip the
#   whole code, and a ball of radius 8/255 around a code contains no other image. Pixel space and spike space are two threat models.
# - Max pooling on binary spikes decides more than 70 % of its windows by a tie, and gives more than half of the gradient to the
#   first position; and on 32-pixel images more than half of the paper-size network meets only padding.
#
# ## Try it
#
# - `T`: with `T = 8` the repeated planes vanish; with `T = 4` half the digits are never sent. Where does the page stop, and why?
# - `alpha`: at `alpha = 8`, how do the densities of the compact surrogates change? Does ATan's?
# - the code: put `latency` or `direct` where the network reads `batch`. What happens to the share of tied windows?
#
# ## Exercises
#
# **1.** Under a constant current, which values give exactly 3 spikes in 10 steps?
#
# ```{admonition} Solution
# :class: dropdown
# $\lfloor 10 / \lceil 1/I \rceil \rfloor = 3$ needs $\lceil 1/I \rceil = 3$, so $1/3 \le I < 1/2$: a range of currents, one count.
# ```
#
# **2.** For which $q$ does $q \to q + 1$ flip exactly $n$ planes, and why is the average close to 2?
#
# ```{admonition} Solution
# :class: dropdown
# The last $n-1$ digits of $q$ must be ones and the one before them a zero, which is a share of $2^{-n}$ of all values.
# $\sum_n n\, 2^{-n} = 2$. Only $q = 255$, which has no successor, and the end of the sum at $n = 8$ make it slightly less.
# ```
#
# **3.** Ask of a BPDA surrogate only that decoding stays right: $\sum_{t \le 8} \omega(t)\, \tau(t) = 1$. Show that among all such $\tau$ the
# one with the smallest $\sum_t \tau(t)^2$ is the weighted one, up to a factor. Does the factor matter to FGSM?
#
# ```{admonition} Solution
# :class: dropdown
# By Cauchy–Schwarz $1 = \sum \omega \tau \le \lVert\omega\rVert\,\lVert \tau\rVert$, with equality only for $\tau \propto \omega$; then
# $\tau = \omega / \sum_t \omega(t)^2 \approx 3\,\omega$. FGSM and PGD use the sign of the gradient only, so a positive factor changes nothing.
# ```

# %% tags=["hide-cell"]
# The three solutions, checked.
counts = [int(neurons.IF()(torch.full((10,), constant)).sum()) for constant in (0.32, 0.34, 0.49, 0.51)]
assert [n == 3 for n in counts] == [False, True, True, False]
assert all((flipped == n).sum() == 2 ** (8 - n) for n in range(1, 9))
omega = coding.phase_weights(8).double()
least = torch.linalg.pinv(omega[None]) @ torch.ones(1, dtype=torch.double)  # the least-norm solution
assert torch.allclose(least, omega / omega.square().sum()) and abs(1 / omega.square().sum() - 3) < 0.001
print("solutions hold")
