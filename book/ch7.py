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
# (ch-sharpness)=
# # Sharpness
#
# **The surrogate's sharpness is the attacker's choice, and keeping the network's own overstates robustness.** Two networks were
# trained at the usual $\alpha=2$, one with each pool. An attacker who takes the best of five sharpnesses leaves 8 points (max) and 4
# points (average) fewer of their images standing than one who keeps $\alpha=2$; one who takes a blunt surrogate ($\alpha=0.5$) misses
# 14 and 15 points more. The networks are the same throughout. Whether robustness *follows* the sharpness of the training is not
# judged yet: [the list below](sharpness-missing) says what is missing.
#
# **The question.** A spiking network's gradient is made with a surrogate, and the surrogate has a width: the sharper it is,
# the fewer neurons pass a gradient of any size. Does robustness follow this width, and if so through the gradient's sparsity or
# through its size? And whose width is it: the network's, or the attacker's, who may take another?
#
# **What the paper says** {cite}`luu2025trail`. It uses one surrogate, the arctangent with $\alpha=2$, and names no other; that
# sparsity could be steered by the surrogate instead of the pool is a test its claim would have to pass.

# %%
import pandas as pd
from IPython.display import HTML

from snnpaper import campaign, ledger, measure
from snnpaper.report import page, plots, standing
from snnpaper.report.sharpness import figures, matrix
from snnpaper.report.tables import PAIR, bullets

plots.use_style()
stand = standing.standing(matrix.attacks())
shares, networks = standing.shares(stand), matrix.networks(stand)
found = matrix.correlations(networks)
HTML(bullets([matrix.answer(found, networks)]))

# %% [markdown]
# This sentence follows from the records by [rule 14](rules-cause), which was written before any of these networks was
# trained. The page's first lines are asserted here; differences are paired by image:

# %%
pairs = [
    (f"{pool}, atan 2", attack)
    for pool in PAIR
    for attack in (standing.WORST, "atan 0.5", "atan 1", "atan 4", "atan 8")
]
moves = {pair: standing.between(stand, pair[0], standing.OWN, pair[1]) for pair in pairs}
said = {(t, a): f"{100 * d.mean:.0f}" for (t, a), d in moves.items()}
assert [said[f"{pool}, atan 2", standing.WORST] for pool in PAIR] == ["8", "4"]
assert [said[f"{pool}, atan 2", "atan 0.5"] for pool in PAIR] == ["-14", "-15"]
assert all(moves[f"{pool}, atan 2", standing.WORST].above for pool in PAIR)
HTML(bullets([f"{t}: attacked through its own surrogate instead of {a}: {d} stand." for (t, a), d in moves.items()]))

# %% [markdown]
# ## What was done
#
# The arctangent surrogate is
#
# $$\Theta'(u)=\frac{\alpha}{2}\,\frac{1}{1+(\frac{\pi}{2}\alpha u)^2},\qquad u=h-V_{th},$$
#
# which has height $\alpha/2$ at the threshold and falls to half of it at $|u|=2/(\pi\alpha)$. One setting is trained with
# each sharpness, with both pools: the width-16 SEW-ResNet-18 on CIFAR-10, 4 epochs in batches of 16 (reduced scale). Each network is then
# attacked through every sharpness: PGD with 20 steps, of which any iterate counts, in spike space, on those of 500 test images
# that the network classifies correctly. The forward pass, and so the attacked network, is the same whatever the attack's
# sharpness. An image *stands* if no step fools the network within 4/255, and in the worst case if it stands through all of
# them.

# %% mystnb={"figure": {"name": "fig-ch7-surrogates", "caption": "The arctangent surrogate at the sharpnesses of this page."}, "image": {"alt": "Five bell-shaped curves over the distance from the threshold; the sharper, the higher and narrower."}}
picture = figures.surrogates(measure.TABLE["sharpness"].settings["alphas"])
picture

# %% [markdown]
# ## Training against attack

# %% mystnb={"figure": {"name": "fig-ch7-matrix", "caption": "Recorded part: of the correctly classified images of 500, per cent that stand at 4/255 in spike space, ± half of the 95 % interval (over seeds and images; over the images alone below three seeds). A row is a training, a column an attack; framed: the sharpness of the training. Reduced scale."}, "image": {"alt": "A matrix of percentages: trainings by pool and sharpness in rows, the attack's sharpness in columns, then the worst of them without and with ASSG."}}
picture = (
    standing.heat_map(shares, *matrix.named(shares), "training", "the attack's surrogate")
    if len(shares)
    else "not recorded yet"
)
picture

# %% [markdown]
# Along a row the weights are fixed and the attacker's surrogate changes: the fewest stand at a sharpness near the
# training's, a little above it; far from it on either side the gradient leads astray and more stand. The worst of all is lower than any
# single one.

# %%
wide = shares.pivot(index="training", columns="attack", values="share")
usual = wide.loc[[f"{pool}, atan 2" for pool in PAIR], ["atan 0.5", "atan 1", "atan 2", "atan 4", "atan 8"]]
assert (usual.idxmin(axis=1) == "atan 4").all() and usual.idxmax(axis=1).isin(["atan 0.5", "atan 8"]).all()
HTML(page.table(standing.table(shares, *matrix.named(shares)), page.origin(stand) if len(stand) else ""))

# %% [markdown]
# ## Sparsity or size
#
# A sharper surrogate changes both the share of non-zero entries and how large they are. Below is what each training did to
# the gradient of $p_y$, taken through the network's own surrogate, and to the two accuracies that the paper trades.

# %% mystnb={"figure": {"name": "fig-ch7-follows", "caption": "Recorded part: a mark is a network. Clean accuracy on the whole test split; the rest on its correctly classified images of 500."}, "image": {"alt": "Four panels over sharpness: clean accuracy, share that stands in the worst case, density of the gradient at the pool, and its L1 norm, for both pools."}}
picture = figures.follows(networks) if len(networks) else "not recorded yet"
picture

# %%
shown = found.assign(name=found["name"].map(matrix.KNOWN)) if len(found) else found
HTML(page.table(shown.rename(columns={"name": "robustness with", "value": "partial correlation"}).round(2)))

# %% [markdown]
# (sharpness-missing)=
# ## What is missing

# %%
wanted = [
    c.run for block in ("sharpness of the surrogate", "shape of the surrogate") for c in campaign.cells(block=block)
]
wanted = [matrix.SETTING.but(pool=p, seed=s) for p in PAIR for s in range(3)] + wanted
missing = []
for run in wanted:
    if not ledger.path("sharpness", run.name).exists():
        trained = ledger.path("train", run.name).exists()
        how = f"measure sharpness {run.name}" if trained else f"train {' '.join(run.arguments)} --measure sharpness"
        row = {"pool": run.pool, "surrogate": matrix.choice(run.surrogate, run.alpha), "seed": run.seed}
        missing.append(row | {"command": f"python -m snnpaper {how}"})
print(f"{len(wanted) - len(missing)} of {len(wanted)} networks are trained and attacked")
HTML(page.folded(pd.DataFrame(missing), "networks are missing"))

# %% [markdown]
# Not varied on this page, though the paper leaves them open too: initialisation, and a decay of the learning rate.
#
# ## What would change this
#
# - The rest of the networks listed above: with three seeds of each sharpness rule 14 has 30 networks and gives a verdict.
# - A stronger attack: the worst case is over five sharpnesses with 20 steps each, and ASSG takes another few per cent.
# - Longer trainings: with a surrogate far from the usual one a network may only be slower to train.
#
# ## Summary
#
# - For both networks at $\alpha=2$ the attack through $\alpha=4$ leaves the fewest standing, and the worst over five sharpnesses 8 (max)
#   and 4 points (average) fewer than their own.
# - A surrogate four times too blunt or too sharp makes the same network look 8 to 15 points more robust.
# - Rule 14 is not judged: the networks trained at other sharpnesses are missing.
#
# **Try**: `papermill ch3.ipynb out.ipynb -p alpha 8`, or `standing.standing(matrix.attacks(), 2)` for another radius.
