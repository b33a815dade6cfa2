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
# (ch-speed)=
# # Speed
#
# **The question.** How far is a training step, or an attack, from the arithmetic it cannot do without? Five seeds
# and strong attacks are affordable only if the answer is "not far".
#
# Three things are timed in turn, in one process, on one batch of CIFAR-10 images at $T = 10$:
#
# - **plain**: SpikingJelly used the way the published code uses it: the encoder loops over time, its `IFNode` does
#   the neurons, memory is in torch's default order, an attack also computes the gradients of all weights;
# - **ours**;
# - the **floor**: the convolutions and matrix products that ours cannot do without, alone, forward and backward.
#
# `make bench` takes these times on your machine and adds a record; this page shows the newest one.

# %%
import pandas as pd
from IPython.display import HTML

from snnpaper import ledger
from snnpaper.report import page, plots, speed

plots.use_style()
record = speed.newest("cpu")
p = record["provenance"]
print(f"{p['hardware']['cpu']}, {p['hardware']['threads']} threads, torch {p['packages']['torch']}, {p['date']}")
print(f"medians of {record['config']['rounds']} rounds (attacks: half as many); record {record['name']}")

# %% tags=["hide-input"]
table = speed.compared(record)
named = table.rename(columns={"batch_size": "batch", "what": "task"})
speeds = ["plain", "ours", "ours, early exit"]
HTML(page.table(named[["width", "batch", "task", *speeds]].round(1)))

# %% tags=["hide-input"]
HTML(page.table(named.drop(columns=speeds).round(2)))

# %% [markdown]
# First images a second, then ratios. The floor is taken twice. On 32 x 32 images the last layers see maps of one or
# two pixels a side, where most taps of a 3 x 3 kernel meet nothing but padding: they add zeros and get no gradient.
# Ours leaves them out, and so does the floor; **the floor with every tap** is the network's convolutions as they are
# written, and as the plain implementation computes them. For a training step the first is the stricter measure, and the goals below are
# held to both.

# %% tags=["hide-input"]
train, attack = (table[table["what"] == w].set_index(["width", "batch_size"]) for w in ("train step", "PGD-7"))
strict, written = "time over the floor's", "over the floor with every tap"
goals = pd.DataFrame([
    (f"train step, width {w}, floor {which}: at most {limit} floors", train.loc[w, column].max(), limit)
    for w, limit in ((64, 1.3), (16, 1.8)) for which, column in (("with every tap", written), ("without", strict))
] + [
    (f"PGD-7{how}: at least {limit} times plain's speed", attack[column].min(), limit)
    for how, column, limit in (("", "speed over plain", 1.8), (" with early exit", "with early exit", 3.0))
], columns=["goal", "worst measured", "limit"])  # fmt: skip
within = (goals["worst measured"] <= goals["limit"]) == goals["goal"].str.startswith("train")
goals["reached"] = within.map({True: "yes", False: "no"})
print(f"largest quartile range: {100 * speed.spread(record):.0f} % of its median")
HTML(page.table(goals.drop(columns="limit").round(2)))

# %% [markdown]
# Early exit asks another question than the published PGD (does *any* iterate fool, not: does the last one), so the
# two never share a table of accuracies. Given the question, it changes nothing but the cost, and a test holds it
# to that.
#
# ## Where a step goes

# %% tags=["hide-input"]
shares = speed.profiles(record)
HTML(page.table((100 * shares).round(0).astype(int).astype(str).add(" %").rename_axis("step").reset_index()))

# %%
assert (shares.sum(axis=1) - 1).abs().max() < 1e-6
small, large = (shares.loc[f"width {w}, batch 16"] for w in (16, 64))
neuron = "BatchNorm and neuron"
assert large["convolution"] > max(small["convolution"], large[neuron]) and small[neuron] > large[neuron]
print(
    f"At width 64 convolutions take {100 * large['convolution']:.0f} % of a step and BatchNorm with the neuron "
    f"{100 * large[neuron]:.0f} %; at width 16 they take {100 * small['convolution']:.0f} % and {100 * small[neuron]:.0f} %."
)

# %% [markdown]
# Convolutions carry the step at the paper's width. At width 16 it depends on the processor which of the two does: the
# faster its convolutions, the more of a step is the neuron's. BatchNorm and the neuron of all $T$ steps are one operator
# (`snnpaper/nets/kernels.py`): its loops read a value once per pass, hold the membrane potentials of some hundred neurons
# in the nearest cache, and compute them again in the backward pass instead of keeping them. What is left is
# dispatch, which matters while layers are as small as at width 16 and batch 16, and the optimiser, which moves every
# weight of the network after each batch, however small the batch.
#
# ## What was tried
#
# Time relative to ours, when one thing is changed back (or added). Above 1: ours is faster.

# %% tags=["hide-input"]
tried = speed.variants(record)
HTML(page.table(tried.round(2).reset_index()))

# %%
moved = record["results"]["differing_spikes"]
for width, share in sorted(moved.items(), key=lambda x: int(x[0])):
    print(f"bfloat16 moves {100 * share:.2f} % of all spikes of the trained width-{width} network")

# %% [markdown]
# - **Neuron and BatchNorm in one pass** replace several operators per time step, each of which reads and writes the
#   whole layer. Spikes are identical to the reference loop's for the same input current; sums are taken in double
#   precision over a fixed number of parts, so that results do not depend on the number of threads.
# - **No multiplications with padding**: the layers at the end of the network hold most of the weights and see the
#   smallest maps.
# - **Under attack** only the input's gradient is asked for.
#
# Left out, because it did not pay for what it complicates: reusing the stem's output for the repeated planes 9 and 10
# (valid only where the planes are the code's own). Gone again: a copy of the network with BatchNorm folded into its
# convolutions for attacks, since BatchNorm is part of the neuron's pass now; an attack's gradients are
# the network's own. bfloat16 is a parameter (`--precision bf16`), recorded with the share of spikes it moves, and no
# record here uses it; a processor without instructions for it pays a multiple (the table's last row).
#
# ## What a step costs

# %% mystnb={"figure": {"name": "fig-speed-cost", "caption": "Time and peak memory of one training step, per image, as one setting at a time departs from width 16, batch 16, T = 10, 18 layers and 32 x 32 pixels."}, "image": {"alt": "Ten small panels. Time per image grows with T and with the image's area less than in proportion, with depth and width more than in proportion, and falls with the batch size; memory follows more slowly."}}
points = speed.costs(record)
speed.cost_figure(points)

# %% tags=["hide-input"]
line = points[points["axis"] == "T"].set_index("value")[["ms", "mib"]]
more = line.loc[20] / line.loc[2]  # of ten times as many steps; neighbours can change places on a busy machine
assert (more > 1).all() and (more < 10).all()
names = {"axis": "setting", "value": "value", "ms": "ms an image", "mib": "MiB an image"}
HTML(page.table(points.round(2).replace({"axis": speed.AXES}).rename(columns=names)))

# %% [markdown]
# Memory is what a step adds to a process that has loaded torch; a fixed part of it, the libraries' own buffers, is
# shared by the images of a batch, which is why it falls with the batch size and grows less than $T$ does.
#
# ## On a GPU
#
# Neurons run in SpikingJelly's own kernel, which does all $T$ steps in one launch and is held to the same reference by
# a test. The step is captured whole as one CUDA graph, data stay on the device as bytes, and several networks can be
# trained in turn on streams of their own (`python -m snnpaper campaign --device cuda --together 4`). These paths
# have tests that want a CUDA device, and `make bench` on a machine with one adds a record of them.

# %%
gpus = sorted({r["provenance"]["hardware"]["gpu"] for r in ledger.records("speed")} - {None})
print(
    "recorded on: " + ", ".join(gpus) if gpus else "No GPU record exists yet, so this page makes no claim about GPUs."
)

# %% [markdown]
# ## Summary
#
# - Against a plain SpikingJelly implementation, attacks gain most: no weight gradients, early exit.
# - What separates us from the arithmetic at small width is the neuron, and at any width the many small operators around
#   the convolutions.
# - Every fast path has a test that it equals the plain one (`tests/test_fused.py`, `tests/test_engine.py`); `--engine plain` runs without.
#
# **Parameters to try**: `--rounds`, `--device`, and the grids at the top of `benchmarks/speed.py`.
