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
# (ch-trail)=
# # 4 · The trail: where gradients become zero
#
# **The finding.** A spiking network's gradient is not sparse where an attack acts. Max pooling makes exact zeros in its
# backward pass, by the rule with which it breaks ties, and the first convolution undoes them; what is left at the input is, in
# SEW-ResNet-18, a *smaller* gradient, and with ReLU in place of spikes a larger one. With numbers, each checked by this page
# against the records:

# %% tags=["hide-input"]
from IPython.display import HTML

from snnpaper.report import findings
from snnpaper.report.findings import gradients
from snnpaper.report.trail import densities

found = densities.frame()
main = densities.main_cell(found)
trained, fresh = main[main["state"] == "trained"], main[main["state"] == "untrained"]
said = [gradients.made_at_the_pool(trained), gradients.ties(), gradients.smaller()]
HTML(findings.say(*said, gradients.other_networks(found)))

# %% [markdown]
# **The question.** A spiking network's gradient is said to be sparse. Where on its way back from the loss to
# the image does it become so, what makes it so, and is anything left of it where an attack takes hold?
#
# **What the paper says** {cite}`luu2025trail`. Spiking networks have *naturally* sparse gradients; *temporally coded* ones
# show natural robustness under specific architectures; and max pooling adds a second, *architectural*
# sparsity, which average pooling reduces by "37.88 %". Its Figures 3 and 5 show the mean non-zero share across
# layers, its Figure 6 the shared path of input and weight gradients. We know those figures by their role only.
# Whether the skips between blocks have a part in this is our question, and so is weight decay.
#
# **How to read this page.** Everything is drawn from records (`results/`), nothing is trained here. The gradient is
# that of the true-class probability $p_y$ of each image, by the output of each layer, over all time steps; density
# is the share of entries that are not zero, sparsity one minus that. Every figure says how many networks it
# shows, at which scale, with how many seeds; what is below the paper's scale is *indicative*.

# %%
import pandas as pd

from snnpaper import ledger, zoo
from snnpaper.config import Run
from snnpaper.measure import trail as measure
from snnpaper.nets import data
from snnpaper.report import page, plots, tables, words
from snnpaper.report.comparison import verdicts
from snnpaper.report.trail import activity, decay, figures
from snnpaper.stats import over_seeds

plots.use_style()
first = trained.iloc[0]
print(f"The networks of this page: {words.network_text(first)}, on {data.TABLE[first['dataset']].label}.")

# %% [markdown]
# (trail-backward)=
# ## The backward pass, layer by layer
#
# Two modes of BatchNorm matter. In **eval** mode it is a fixed affine map per channel. In **train** mode, in which the
# published code attacks, it subtracts batch means, also from gradients: a zero gradient becomes non-zero when any
# image of the batch has one there ([](theorems)). So each figure has both.
#
# Counting zeros alone can mislead, since a gradient that shrinks towards zero counts as dense. Beside the density
# stand the norm $\|g\|_2$ and the **effective share** $\|g\|_1^2 / (d\,\|g\|_2^2)$: the share of the $d$ entries that a
# gradient would have if its mass were spread evenly over them.

# %%
shared = main[main["place"] != ""].assign(share=lambda f: f["effective"] / f["size"])
keys = ["pool", "state", "mode", "place"]
curves = {what: densities.over(shared, keys, what) for what in ("0", "norm", "share")}
at = curves["0"].set_index(keys)["mean"]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-backward", "caption": "Role of the paper's Figures 3 and 5. Non-zero share, norm and effective share of the gradient in the order of the backward pass; filled marks and full lines: trained; hollow marks and dashed lines: the same networks before training; bars: 95 % intervals over seeds."}, "image": {"alt": "Six panels over nine places from layer4 to the input. The non-zero share is full for both pools down to the pool's output. At the pool's input it falls below a quarter with max pooling and stays full with average pooling. With max pooling it is still low at conv1's output in eval mode and full there in train mode. At the network's input it is full, or nearly, in all cases. Norms are larger in trained networks and grow towards the pool. The effective share falls for both pools as far as conv1's output and rises again at the input."}}
figure = figures.backward_pass(curves, list(densities.BACKWARD))
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-backward", page.origin(shared)))

# %% [markdown]
# **What we see.** From the logits to the pool's output nearly every entry is non-zero; a few channels of the last stage
# are dead, with either pool. Max pooling makes its exact zeros in one place, the stem's pool: the
# nine-to-one selection leaves at most a quarter of its input with a gradient, because there are four positions for every window. Two layers further the
# convolution undoes it: each pixel feeds many windows of many channels, and one of them is enough. At the
# network's input, the only gradient that an attack uses, next to no exact zero of the pool is left. What is left is a trace in
# the effective share, and a smaller norm, which is what an attack feels: the first-order change of the output is
# $\epsilon\|g\|_1$ ([](theorems)).

# %% tags=["hide-input"]
HTML(findings.say(gradients.dead_channels(trained), gradients.concentrated()))

# %% tags=["hide-input"]
for state in ("untrained", "trained"):
    for pool in ("max", "avg"):
        values = [100 * at.get((pool, state, "eval", place), float("nan")) for place in ("sn1", "conv1", "input")]
        print(f"{pool}, {state:9}: pool in {values[0]:5.1f} %, conv1 out {values[1]:5.1f} %, input {values[2]:6.2f} %")
assert at["max", "trained", "eval", "sn1"] <= 0.25 < 0.95 < at["avg", "trained", "eval", "sn1"]
assert at["max", "trained", "eval", "input"] > 0.99
assert at["max", "trained", "train", "conv1"] > 0.99 > at["max", "trained", "eval", "conv1"]

# %% [markdown]
# The same for every layer that was probed, trained networks only:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-layers", "caption": "Non-zero share of the gradient at the output of every layer of the trained networks, in the order of the backward pass; bars: 95 % intervals over seeds."}, "image": {"alt": "Two panels, eval and train mode, over some fifty layers. Both pools are full in all blocks, or nearly where channels are dead. Max pooling drops at the pool's input; in eval mode it stays low through bn1 and conv1 and returns at the input."}}
layers = densities.over(trained, ["pool", "mode", "layer"], "0")
figure = figures.every_layer(layers)
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-layers", page.origin(trained)))

# %% [markdown]
# ### Is it a matter of the threshold?
#
# Exact zero is one choice. Three others: above $10^{-12}$, above $10^{-8}$, and above a millionth of the image's
# largest entry.

# %%
places = ["input", "conv1", "sn1", "maxpool"]
rows = [
    densities.over(trained[trained["place"].isin(places)], ["pool", "mode", "place"], t).assign(threshold=t)
    for t in densities.THRESHOLDS
]
levels = pd.concat(rows)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-thresholds", "caption": "Share of gradient entries above four thresholds at four places of the trained networks; full lines: eval mode, dotted: train mode; bars: 95 % intervals over seeds."}, "image": {"alt": "Four panels. At the input and at the pool's output all curves are flat and full. At conv1's output max pooling in eval mode is low at every threshold, everything else near full, falling a little for the relative threshold. At the pool's input max pooling is below a quarter at every threshold."}}
figure = figures.thresholds(levels, places)
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-thresholds", page.origin(trained)))

# %% [markdown]
# No: the curves are nearly flat. The zeros behind max pooling are exact, and nowhere else do entries hide just above
# zero. What does move is the effective share in {numref}`fig-trail-backward`.

# %% [markdown]
# (trail-maps)=
# ## The trail, drawn
#
# What the paper's Figure 6 pictures, from measured data: one test image, the first residual block and the stem, from the
# block's output back to the image. Each box shows, per position, the share of entries (over time steps and channels)
# that have a gradient; below it the mean. The dashed arc is the skip of SEW-ADD, in this block an identity, which passes the gradient on unchanged.

# %%
names = {pool: sorted(set(trained.loc[trained["pool"] == pool, "run"]))[0] for pool in ("max", "avg")}
with_maps = {pool: n for pool, n in names.items() if ledger.path("trail", n).exists()}
path = ["layer1.0", *(f"layer1.0.{p}" for p in ("sn2", "bn2", "conv2", "sn1", "bn1", "conv1")), *measure.STEM[::-1]]
arrays = {pool: ledger.arrays("trail", n) for pool, n in with_maps.items()}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-drawn", "caption": "Role of the paper's Figure 6. The gradient of one image through the first residual block and the stem, in eval mode: share of non-zero entries per position (colour) and its mean (below each box), for one trained network of each pool."}, "image": {"alt": "Two rows of twelve maps. With average pooling every map is bright. With max pooling the maps are bright up to the pool's output; the pool's input shows a grid in which every second row and column, where windows begin, is bright and the rest dark; batch norm and conv1 stay mottled; the input map is bright."}}
figure = figures.trail({f"{pool} pool": maps for pool, maps in arrays.items()}, path)
behind = trained[trained["run"].isin(with_maps.values()) & (trained["mode"] == "eval")].assign(n=1)
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-trail", page.origin(behind)))

# %% [markdown]
# The block lets everything through: its neurons' surrogate slopes (ATan) are never zero, and the skip would carry the
# gradient past them if they were. The zeros begin at the pool, and they begin **on a grid**: the bright positions
# are where windows start in reading order. That grid is the library's rule for ties, not the image.
#
# (trail-silence)=
# ## Who fires under the pool?
#
# The pool sees few spikes. One real image, the first neurons of one trained network of each pool:

# %%
shown = {pool: n for pool, n in names.items() if zoo.files_of(n)}
fired = {pool: activity.at_the_stem(zoo.load(n)[1], activity.kept_image()) for pool, n in shown.items()}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-silence", "caption": "Spikes of a trained network on one test image, a pair of rows a pool. Upper row: how often each position of the four channels that fire most has fired (dark: never), and when 60 of their neurons fired. Lower row: the pool's 8×8 windows at step 4, blue where none of the nine neurons fired."}, "image": {"alt": "For max pooling four mostly dark maps with a bright edge or patch and, below them, windows of which more than half are blue; for average pooling brighter maps and fewer blue windows. The rasters are sparse: most neurons fire in none or one of the ten steps, at step 1 more than later."}}
picture = activity.figure(activity.kept_image(), fired) if fired else "no network of this page is kept here"
picture

# %%
print(activity.sentence(fired))
quiet = {pool: activity.silent(s).float().mean().item() for pool, s in fired.items()}
assert all(0.5 < q < 1 for q in quiet.values()), "most windows are silent, with either pool"

# %% [markdown]
# Most windows are silent. In each of them all nine entries are equal, and the rule for ties decides.
#
# (trail-ties)=
# ## Who wins a tie?
#
# A 3×3 window of spikes has one maximum only if exactly one neuron fired. Otherwise several entries are equal, and in a
# silent window all nine are. torch gives the whole gradient to the first of them ([](ties)). Three kinds of windows,
# and three rules for the backward pass, each with the same forward pass and the same gradient arriving:

# %%
kept = [r for r in ledger.records("trail") if r["config"]["pool"] == "max" and r["name"] in set(trained["run"])]
kept += [r for r in ledger.records("untrained") if r["config"]["pool"] == "max" and r["name"] in set(fresh["run"])]
kinds, rules, silent = {}, {}, {}
for r in kept:
    name, p = f"{r['kind'].replace('trail', 'trained')}, seed {r['config']['seed']}", r["results"]["pool"]
    kinds[name] = {"silent": p["silent"], "one spike": p["single"], "several spikes": p["tied"] - p["silent"]}
    rules[name] = {
        "torch: the first of the tied": p["density"],
        "the tied share equally": p["density, ties share"],
        "silent windows pass nothing": p["density, silent pass nothing"],
    }
    silent[name] = p

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-ties", "caption": "Max pooling on binary spikes. Left: windows by how many of their neurons fired. Right: non-zero share of the gradient at the pool's input under three rules for ties; dotted: one entry for every window. One row a network; 256 images each, eval mode."}, "image": {"alt": "Left: stacked bars; most windows are silent in trained networks, about half in untrained ones. Right: for each network three marks: torch's rule a little below a quarter, equal sharing far to the right of it, silent windows passing nothing far to the left."}}
figure = figures.ties(kinds, rules)
behind = main[main["run"].isin({r["name"] for r in kept}) & (main["mode"] == "eval") & (main["pool"] == "max")]
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-ties", page.origin(behind)))

# %%
of_trained = [p for name, p in silent.items() if name.startswith("trained")]
for what in ("silent", "mass through silent", "non-zero where no spike", "density", "density, ties share"):
    low, high = min(p[what] for p in of_trained), max(p[what] for p in of_trained)
    print(f"trained, {what:24}: {100 * low:5.1f} to {100 * high:5.1f} %")
assert all(p["density, ties share"] > 2 * p["density"] for p in silent.values())
assert all(p["density, silent pass nothing"] < p["density"] <= 0.25 for p in silent.values())

# %% [markdown]
# In the trained networks most windows are silent, and most of the gradient's mass goes through them to neurons that
# did not fire. Break ties by sharing, an equally good subgradient of the same function, and the density at the pool's
# input is that of average pooling, nearly; let silent windows pass nothing, and it is a few per cent. The
# number a paper prints for "the sparsity of max pooling" on spikes is a choice between these three, made by a library.
# An attacker, who computes his own gradient, is not bound by it.
#
# (trail-3788)=
# ## Where is "37.88 %"?
#
# The paper says that average pooling reduces the sparsity "at the pooling layer" by 37.88 %. Whether that is absolute or
# relative, and averaged over what, we do not know. So we try every interpretation we can think of: each layer, groups
# of layers, both modes, four thresholds, trained and untrained; as points of density, relative to max
# pooling's sparsity, and relative to average pooling's density.

# %%
value = verdicts.paper_values()["pool_sparsity_drop"]["value"]
target = value if value is not None else float("nan")
tried = densities.locate(target, main)
distinct = tried[(tried["where"] != "all layers")].drop_duplicates(["where", "mode", "quantity", "state"])
print(f"{len(tried)} interpretations, {(tried['off'].abs() <= 1).sum()} within one point of {target:g}")

# %% tags=["hide-input"]
near = distinct.head(8).assign(value=lambda f: f["value"].round(2), off=lambda f: f["off"].round(2))
HTML(page.table(near[["where", "mode", "state", "quantity", "value", "off"]], page.origin(main)))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-readings", "caption": "All interpretations of the printed number: how many give which value (counts on a logarithmic axis)."}, "image": {"alt": "A histogram from minus 100 to 100 with most values at zero, some at the far right from the pool's input, and a few where the printed number is marked."}}
figure = figures.readings(tried["value"].clip(-100, 100), target)
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-readings", page.origin(main)))

# %% [markdown]
# **At the pool's input it cannot be.** There the density falls from 100 % to what a selection of one in nine with
# stride 2 leaves, at most 25 %: a drop of 75 points or more. **One interpretation comes near, for a reason of
# arithmetic:**
# averaged over the pool's *input and output* the drop is half of that, at least 37.5 points, whatever the network.
# A hook that averages what it sees on both sides of a layer would print a number of this size. It is a plausible origin and no evidence. Others come as near and mean
# nothing: the mean over the whole stem comes near before training, by chance, and moves away with it:

# %%
for state in ("untrained", "trained"):
    rule = (tried["where"] == "whole stem") & (tried["state"] == state) & (tried["quantity"] == "points")
    stem = tried.loc[rule & (tried["mode"] == "eval"), "value"]
    print(f"whole stem, eval mode, {state}: {stem.min():.1f} to {stem.max():.1f} points over the thresholds")
print(f"density at the pool's input at which half the drop is {target:g}: {100 - 2 * target:.2f} %")
half = [100 * (1 - d) / 2 for d in at.xs("sn1", level="place").xs("max")]
print(f"half the drop at the pool's input, over states and modes: {min(half):.1f} to {max(half):.1f} points")
assert min(half) >= 37.5

# %% [markdown]
# (trail-claims)=
# ## The claim taken apart
#
# From here on one thing is changed at a time, from one small network (SEW-ResNet-18 of width 16). Untrained networks
# show what the architecture does; trained ones, where they are recorded, what learning adds. What is missing says so
# in the table, with the command that records it and its estimated cost.


# %% tags=["hide-input"]
def shown(question):
    """The rows of one question, their table for the page, and the networks behind them."""
    rows = densities.ablation(question, found)
    text = rows[["setting", "state", "pool"]].copy()
    marks = [f"{words.reading('reduced', s)}; {words.seeds_text(s)}" if s else "missing" for s in rows["seeds"]]
    for place in ("sn1", "conv1", "input"):
        pairs = zip(rows[f"{place}_mean"], rows[f"{place}_half"], strict=True)
        text[f"{figures.LABELS[place]} (%)"] = [densities.percent(m, h) for m, h in pairs]
    text["effective, input (%)"] = [densities.percent(e, float("nan")) for e in rows["effective"]]
    text["norm, input"] = ["" if v != v else f"{v:.3g}" if v < 100 else f"{v:,.0f}" for v in rows["norm"]]
    text["reading"] = marks
    behind = found[found["run"].isin({r for runs in rows["runs"] for r in runs}) & (found["mode"] == "eval")]
    absent = rows.loc[rows["seeds"] == 0].reindex(columns=["setting", "pool", "state", "command", "cost"])
    below = page.origin(behind) + page.folded(absent, "missing, with command and cost")
    return rows, HTML(page.table(text, below, group=["setting"])), behind


# %% [markdown]
# ### "Natural": is it the spikes?
#
# The derivative of a spike is replaced by a surrogate. The paper's, ATan, is never zero, so a spiking neuron multiplies a
# gradient by something small but not by zero. A ReLU does: half of its derivative is zero. A
# surrogate of compact support (rectangular, triangular) lies between. Same network, same initial weights:

# %%
rows, table, behind = shown("natural")
table

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-natural", "caption": "Density of the gradient for spiking neurons with three surrogates and for the ReLU twin; filled: trained, hollow: untrained; bars: 95 % intervals over seeds."}, "image": {"alt": "Three panels, pool in, conv1 out and input, four rows. The spiking network with ATan and average pooling is full everywhere; the ReLU twin and the compact surrogates are far below it at conv1's output, for both pools. At the input all are nearly full."}}
figure = figures.ablation(rows, ["sn1", "conv1", "input"])
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-natural", page.origin(behind)))

# %%
start = rows[(rows["state"] == "untrained") & (rows["pool"] == "avg")].set_index("setting")["conv1_mean"]
print("untrained, average pooling, density at conv1 out (%):")
print((100 * start).round(1).rename_axis(None).to_string())
densest = gradients.natural(start)

# %% [markdown]
# The spiking network with the paper's surrogate is the **densest** of the four: without a max pool it has no
# zeros at all. The ReLU twin has more of them, by construction. "Natural" sparsity of the gradient, counted as the
# paper counts it, is a property of the surrogate's support, and ATan's is the whole line.
#
# ### Is it the skip?
#
# That skips make gradients sparser, or denser, is not said in what we could read of the paper. They are the other
# difference between SEW-ResNets and their like, so we ask.

# %%
rows, table, behind = shown("residual")
table

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-residual", "caption": "Density of the gradient with SEW's skip after the neuron, Spiking-ResNet's before it, and none; filled: trained, hollow: untrained; bars: 95 % intervals over seeds."}, "image": {"alt": "Three panels, three rows: the three kinds of skip do not differ visibly at the pool's input; at conv1's output and at the input they lie close together within each pool."}}
figure = figures.ablation(rows, ["sn1", "conv1", "input"])
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-residual", page.origin(behind)))

# %%
start = rows[(rows["state"] == "untrained") & (rows["pool"] == "max")].set_index("setting")
for setting, row in start.iterrows():
    print(
        f"{setting:20} untrained, max: pool in {densities.percent(row['sn1_mean'], row['sn1_half'])} %, "
        f"input {densities.percent(row['input_mean'], row['input_half'])} %"
    )
assert not start["sn1_mean"].max() > 0.25

# %% [markdown]
# A skip adds a path, and a sum of paths is zero only where all are, or where they cancel exactly. In an identity block of
# SEW the skip's derivative is one; in the others it has neurons of its own ([](spikes)), but is still one path more. So a
# skip makes no exact zeros; what it changes is in the columns of norm and effective share.
#
# ### "Temporally coded": is it the code?

# %%
rows, table, behind = shown("temporal")
table

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-temporal", "caption": "Density of the gradient under five codes and four lengths T; filled: trained, hollow: untrained; bars: 95 % intervals over seeds."}, "image": {"alt": "Three panels, eight rows: codes and lengths. At the pool's input max pooling is below a quarter and average pooling full for every code. At conv1's output max pooling varies between codes. At the input all are nearly full."}}
figure = figures.ablation(rows, ["sn1", "conv1", "input"])
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-temporal", page.origin(behind)))

# %%
start = rows[(rows["state"] == "untrained") & (rows["pool"] == "max")].set_index("setting")[["sn1_mean", "conv1_mean"]]
print("untrained, max pooling, density (%):")
named = {"sn1_mean": "pool in", "conv1_mean": "conv1 out"}
print((100 * start).round(1).rename(columns=named).rename_axis(None).to_string())
assert not start["sn1_mean"].max() > 0.25
by_T = start.loc[[f"phase, T = {T}" for T in (2, 4, 10, 20)], "conv1_mean"]
assert by_T.isna().any() or by_T.is_monotonic_increasing

# %% [markdown]
# The pool's quarter holds under every code, temporal or not: `direct` sends the same grey values at every step and has
# no temporal code at all. What the code changes is which windows tie, and with that where the quarter lies. And
# more time does the opposite of what one might expect: from $T=2$ to $T=20$ the gradient at conv1's output becomes
# *denser*, because a neuron that stays silent hands its gradient back to the step before ([](theorems)).
#
# (trail-decay)=
# ### Weight decay
#
# The published code has a coupled weight decay of 0.001 in Adam, which we have not seen mentioned in what we could read of
# the paper. It drives weights without gradient to zero, and zero weights stop gradients: a candidate cause of sparsity,
# more so of the weights' gradient than of the input's. Wherever two trained networks are recorded that differ in it
# alone, same seed and pool, they stand side by side ("live" weights are those that ever meet an input,
# [](trail-chain)):

# %% tags=["hide-input"]
pairs = decay.pairs()
behind = found[found["run"].isin({*pairs["run"], *pairs["run without"]}) & (found["mode"] == "eval")]
rows = densities.ablation("decay", found)
absent = rows.loc[rows["seeds"] == 0].reindex(columns=["setting", "pool", "state", "command", "cost"])
below = page.folded(absent, "missing in the small network of this section, with command and cost")
HTML(page.table(decay.rows(pairs), page.origin(behind) + below, group=["network"]))

# %% tags=["remove-input"]
HTML(page.bullets(decay.sentences(pairs)))

# %% [markdown]
# ### Depth

# %%
rows, table, behind = shown("depth")
table

# %% [markdown]
# (trail-chain)=
# ## Input gradients and weight gradients
#
# Theorems 4.3 and 4.4 tie the two: both pass through the same $\delta^1$, and few non-zeros in one should mean few in the
# other ([](theorems)). In the paper that is why sparsity costs accuracy. One trap first: on 32-pixel images the last
# stage's maps are a single position, where eight of a kernel's nine weights meet padding only. They never get
# a gradient, under any pool, and are left out here ("live" weights).

# %% tags=["hide-input"]
linked = tables.of(densities.weights())
text = pd.DataFrame({
    "network": [words.where(r) for _, r in linked.iterrows()], "pool": linked["pool"], "seed": linked["seed"],
    "input (%)": (100 * linked["input"]).round(2), "conv1's weights (%)": (100 * linked["conv1"]).round(1),
    "live weights (%)": (100 * linked["weights"]).round(1), "all weights (%)": (100 * linked["all weights"]).round(1),
    "live share (%)": (100 * linked["live"]).round(1), "images (weights)": linked["n_weights"],
    "reading": [words.reading(s, 1) for s in linked["scale"]],
})  # fmt: skip
numbers = page.table(text, group=["network", "reading"])
HTML(page.fold(numbers, f"{len(text)} networks, a row each") + page.origin(linked))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-chain", "caption": "Density of the input gradient against the density of the gradient by the live weights, exact zero, eval mode; a panel a data set, a mark a trained network; hollow: other than the published kind, at any scale."}, "image": {"alt": "A panel a data set. Marks for both pools in a very narrow band of input densities just below full; average pooling at its right end. The weights' densities are well below full and spread widely, with average pooling at one and the same input density."}}
figure = figures.chain(linked)
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-chain", page.origin(linked)))

# %%
lines = []
for _, part in linked.groupby(tables.COMMON, sort=False):
    gaps = {what: 100 * tables.by_seed(part, what) for what in ("input", "weights")}
    if seeds := len(gaps["input"]):
        over = {what: over_seeds(gap) for what, gap in gaps.items()}
        said = [
            f"{what} {mean:+.2f}" + (f" ± {half:.2f}" if half == half else "") for what, (mean, half) in over.items()
        ]
        how = f"{words.seeds_text(seeds)}, {words.reading(part.iloc[0]['scale'], seeds)}"
        lines.append(f"{words.where(part.iloc[0])}: {'; '.join(said)} ({how})")
assert linked["input"].min() > 0.9
HTML(page.bullets(lines))

# %% [markdown]
# The gradient by conv1's weights is dense whatever the input's is: its kernel is shared by all positions, so one
# live position is enough, as [](theorems) says of Theorem 4.4. What zeros there are among live weights lie in the
# last stages, far from the pool, where neurons have fallen silent. The lines above give max minus average pooling in points
# of density, over the number of seeds in brackets. If few non-zeros in one gradient meant few in the other, both numbers of a
# line would have the same sign; in most lines they have not. What weight decay has to do with it stands [above](trail-decay).
#
# (trail-heatmaps)=
# ## What an attacker sees
#
# The same four test images (the first four of the test split) before each network, and the size of the input gradient,
# summed over time steps and colours:

# %%
names = {r["name"]: Run.from_dict(r["config"]) for r in ledger.records("untrained")}
maps = {}
for state in ("untrained", "trained"):
    for pool in ("max", "avg"):
        rows = main[(main["state"] == state) & (main["pool"] == pool) & (main["seed"] == 0)]
        kind = {"trained": "trail"}.get(state, state)
        for name in sorted(set(rows["run"]))[:1]:
            if ledger.path(kind, name).exists():
                maps[f"{pool}\n{state}"] = ledger.arrays(kind, name)["input size"]
photos, labels = measure.shown_images(first["dataset"])
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
titles = [CLASSES[i] if first["dataset"] == "cifar10" else str(i) for i in labels]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-heatmaps", "caption": "Size of the input gradient of the true-class probability, summed over time steps and colours, for the same four test images; each map has its own scale. Seed 0 of each network, eval mode."}, "image": {"alt": "Four rows: a cat, two ships, an airplane. Per row the image and four maps. Untrained maps are noise with the image's outline; trained ones have mass around the object. Maps of both pools have gradient everywhere; those of average pooling are smoother, those of max pooling have a fine grid."}}
figure = figures.heatmaps(photos, maps, titles)
behind = main[(main["seed"] == 0) & (main["mode"] == "eval")].assign(n=len(photos))
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-heatmaps", page.origin(behind)))

# %%
for name, values in maps.items():
    flat = values.astype(float).reshape(len(values), -1)
    share = flat.sum(1) ** 2 / (flat**2).sum(1) / flat.shape[1]
    print(
        f"{' '.join(name.split()):15} positions without gradient: {100 * (flat == 0).mean():4.1f} %, "
        f"effective share of positions: {100 * share.min():.0f} to {100 * share.max():.0f} %"
    )
    assert (flat == 0).mean() < 0.01

# %% [markdown]
# No position of any image is without a gradient. How concentrated the mass is differs more between images and with training
# than between pools.
#
# The settings of [](trail-claims), untrained, max pooling, seed 0, on the same images:

# %%
wanted = {
    "ReLU twin": {"neuron": "ReLU"},
    "rectangular": {"surrogate": "rectangular"},
    "Spiking-\nResNet": {"skip": "spiking"},
    "no skip": {"skip": "none"},
    "rate": {"coding": "rate"},
    "latency": {"coding": "latency"},
    "direct": {"coding": "direct"},
}
others = {title: Run.make("sweep", pool="max", seed=0, **changes).name for title, changes in wanted.items()}
others = {title: name for title, name in others.items() if name in names}
maps = {title: ledger.arrays("untrained", name)["input size"] for title, name in others.items()}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trail-heatmaps-variants", "caption": "The same four images, untrained networks with one thing changed; each map has its own scale. Max pooling, seed 0, eval mode."}, "image": {"alt": "Four rows of seven maps: all networks have gradient at every position, more or less grainy; for latency and direct coding the maps differ in grain only."}}
figure = figures.heatmaps(photos, maps, titles)
behind = found[found["run"].isin(others.values()) & (found["mode"] == "eval") & (found["state"] == "untrained")]
figure

# %% tags=["remove-input"]
HTML(page.under(figure, "ch4-heatmaps-variants", page.origin(behind.assign(n=len(photos)))))

# %% [markdown]
# Exact zeros are not to be seen at the input in any of them, so the maps differ in grain, not in support.

# %%
networks = found.drop_duplicates(["run", "state"]).groupby(["state", "scale"], sort=False).size()
print(
    "Networks behind this page: "
    + ", ".join(f"{n} {state} at {scale} scale" for (state, scale), n in networks.items())
    + "."
)
small = networks.drop("paper", level="scale", errors="ignore").sum()
print(f"Of these {networks.sum()}, {small} are below the paper's scale: what rests on them is indicative.")

# %% [markdown]
# ## Summary

# %% tags=["hide-input"]
HTML(findings.say(gradients.smaller(), gradients.concentrated(), densest))

# %% [markdown]
# ## Exercises
#
# **1.** A 3×3 max pool with stride 2 and padding 1 on an even number of positions a side: why can at most a quarter of its
# input receive a gradient, and when is it less?
#
# ```{admonition} Solution
# :class: dropdown
# Each window passes its gradient to one entry. A map of $n \times n$ positions has $n^2/4$ windows, hence at most $n^2/4$
# entries with a gradient. It is less when two overlapping windows choose the same entry, as they do when one spike is the
# maximum of both; in a silent window the first position wins, and no two windows share a first position inside the map.
# ```
#
# **2.** Two gradients have the same number of non-zero entries, the second is half of the first. Which of density, effective
# share, L1 norm and the ratio of Theorem 4.1 tell them apart, and which of them matters to an attacker?
#
# ```{admonition} Solution
# :class: dropdown
# Only the L1 norm: the other three do not change when a gradient is scaled. To first order the attacker moves the output by
# $\epsilon\|g\|_1$, so it is the one that matters. This is how max pooling can help without any sparsity at the input.
# ```
#
# **3.** At the pool's input a quarter of the entries has a gradient, at conv1's output more, at the input nearly all. What makes
# the second number larger than the first in eval mode, where BatchNorm is a fixed map of each entry?
#
# ```{admonition} Solution
# :class: dropdown
# The neurons between them: a potential is kept from step to step, so the gradient of an entry at step $t$ includes those of
# later steps. An entry is zero at conv1's output only if all steps until the neuron's next spike are zero at the pool's input.
# ```
#
# ## Try
#
# - `python -m snnpaper train --profile sweep --surrogate rectangular` adds a record: which rows above change?
# - `snnpaper measure untrained --profile sweep --pool max --T 1`: with a single bit plane, how many windows are tied?
# - `verdicts.paper_values()["pool_sparsity_drop"]`: with the paper at hand, put its exact wording next to
#   [](trail-3788): which interpretation does it mean?
