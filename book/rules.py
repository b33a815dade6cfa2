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
# (ch-rules)=
# # The rules, and when each was written
#
# **The question.** What will be run, what will count as an answer, and how small an effect can it show?
#
# This page was committed before the campaign's results. At that moment the ledger held three seeds a pool of the
# width-16 network on CIFAR-10 and one of full width, trained for a single epoch; they serve below to say how much
# seeds differ, and nothing else. Rules 2 and 3 were amended later, on 25 November 2026: after results at reduced scale,
# which get no verdict by either version, and before any run at the paper's scale. What they said before stands below them.

# %%
import math

import pandas as pd
from IPython.display import HTML
from scipy import stats

from snnpaper import campaign, ledger
from snnpaper.report import page, tables
from snnpaper.stats import wilson

# %% [markdown]
# ## The rules
#
# 1. **A verdict needs the paper's scale and five seeds**: width 64, batches of 16, 100 epochs, the whole training
#    split. Anything less is *indicative*: shown with its interval and marked in the table; it decides nothing.
# 2. The 95 % interval over seeds and images is compared with the paper's value or range.
#    - **A difference**: the interval contains zero: **not resolved**. It has the other sign: **not held**. The paper's number,
#      which is one run's, lies where one more run of ours would (our half-width and the scatter of single runs, squares
#      added): **held**. It does not: **same direction, other size**.
#    - **An accuracy**: it lies there: **held**; it does not: **ours is higher** or **lower**. One more run is not known to 5
#      points: **not resolved**.
#    - **"More than" without a number**: the interval lies above zero: **held**; below: **not held**; else **not resolved**.
#    - A number of a stated data set says nothing about another one; a number whose meaning we do not know ("up to", over
#      cells that are not named) gets no verdict.
# 3. **Max against avg is a paired comparison**: the same seed, the same images. The squared half-widths over seeds (Student's
#    t) and over images (normal, with Agresti and Min's half disagreement each way) are added.
# 4. The last epoch's weights are measured. The test split chooses nothing: no epoch, no setting, no seed. Seeds are
#    0 to 4 because they are the first five.
# 5. Pixel space and spike space, and eval mode and train mode (the published protocol), are never averaged and never share a
#    column. The paper's numbers stand beside spike space only.
# 6. A record is never replaced. A run that failed is reported as failed.
#
# (rules-scoped)=
# ### The scoped verdict
#
# Rules 7 to 10 were added on 26 November 2026, before any of the longer and wider trainings they speak of. The results of
# the four-epoch networks were known.
#
# 7. A claim that is a **direction** gets a *scoped verdict* at a named reduced scale with five seeds of each network, beside
#    the verdict at the paper's scale and never in its place: "width 16, 30 epochs: held". The interval of rule 3 lies above zero:
#    **held**; below: **not held**; it contains zero: **not resolved**. Three or four seeds have an interval and no verdict.
# 8. The directions, and the one quantity that decides each, all at 8/255:
#    - *max pooling is more robust*: max − avg of accuracy under the published attack (coded tensor, PGD with 7 steps of 0.01, last
#      iterate, gradient in train mode). The same attack in eval mode, and the least radius at which the strongest attack we
#      can afford fools each of 500 correctly classified images, are decided apart from it and printed beside it;
#    - *average pooling is more accurate*: avg − max of accuracy on the 10,000 test images;
#    - *max pooling makes gradients sparser*: avg − max of the share of non-zero entries, at the pool's input and at the
#      network's input, decided apart;
#    - *deeper is more robust*: the published attack, 34 or 50 minus 18 layers, both pools together.
# 9. The networks: SEW-ResNet-18 on CIFAR-10 at width 16, 30 epochs, five seeds. Full width (8 epochs, three seeds), CIFAR-100
#    (SEW-ResNet-34, width 32, three seeds), ReLU twins and networks without skips (width 16, 30 epochs, three seeds) are shown with
#    intervals. No deeper network is planned at five seeds, so the last direction stays without a scoped verdict.
# 10. Epochs 4, 8 and 15 (at full width 1, 2 and 4) of the same trainings are recorded to show whether a difference turns with
#    length. Only the last is judged. Nothing is corrected for the number of comparisons; the report prints how many there are.
#
# (rules-cause)=
# ### What the experiments on the cause will be taken to show
#
# Rules 11 to 15 were added on 26 November 2026, before any network of theirs was trained. The setting is the width-16
# SEW-ResNet-18 on CIFAR-10, 4 epochs in batches of 16, of which max and average pooling have five recorded seeds.
#
# 11. **Training backward against attack backward**. The forward pass stays max pooling; in training the
#    gradient goes to the first of the ties (max), to all ties, to nothing where the window is silent, or to the whole window
#    (average). Every network is attacked through every one of these passes: PGD with 20 steps, any iterate, in spike space, on the
#    correctly classified ones of 500 test images. The quantity is the share of them that survive at 4/255, where a third of
#    both known pools' images do. *Density matters by itself* if the worst case over all attack backwards is higher for training
#    through max than through average (paired by seed, interval of rule 3 above zero). It is *masking* if, for an attack through
#    the training's own backward, that interval is above zero, and for the worst case it contains zero and is no wider.
#    Anything else is *not resolved*.
# 12. **Size apart from sparsity.** Over all these networks the logarithm of each image's least adversarial radius is regressed on
#    the logarithms of the input gradient's L1 norm and of the margin, then also on its density at the pool. Something is *left for
#    density* if the interval of its coefficient, from a bootstrap over networks (at least 24), leaves out zero. The share of
#    variance that it adds is printed beside it whatever comes out.
# 13. **The dial** from average to max (mixed, softmax, top-k). *Dose and response* if the slope of the survivors' share at 4/255 on
#    density at the pool has one sign in every seed and its interval over seeds leaves out zero. *A threshold* if one step
#    between neighbouring settings holds more than half of the whole range, with an interval that leaves out zero, on every
#    dial. *Both can be had* if a setting is above both ends, clean and in the worst case, with intervals that leave out zero.
# 14. **Sharpness**. The attacker may choose the surrogate's sharpness, so the worst case over his is what
#    is compared. Robustness *follows sparsity* (or *smoothness*) if its partial correlation with density (with the gradient's L1
#    norm), given the other and the clean accuracy, has an interval over networks that leaves out zero, and the other's does not.
# 15. Three seeds have intervals, five a verdict, as in rule 7; each of these verdicts is scoped to its setting.
#
# Rule 16 was added on 27 November 2026, before any network of its was trained.
#
# 16. **Normalisation.** Max and average pooling are trained without BatchNorm too (a bias in every convolution instead), otherwise
#    as in rule 11. Shown are density, clean accuracy and what stands beside the networks with it; no verdict.
#    Threshold-dependent BatchNorm is not trained apart: with the threshold 1 and its factor 1 it is BatchNorm.
#
# Rule 17 was added on 27 November 2026, after one seed of max and average pooling was trained for 30 epochs and attacked, and before any
# network of that length was trained through another gradient (rule and record were committed together, so the history does not
# show it).
#
# 17. **Rule 11 after 30 epochs.** Max, max/avg and average pooling at 30 epochs, otherwise as in rule 11 and with its words. For a pair of
#    fewer than five seeds the differences are shown and there is no word.
#
# Rule 18 was added on 27 November 2026, after two seeds of max and average pooling were trained for 15 epochs and attacked, and
# before any other seed of that length was trained.
#
# 18. **Rules 7 and 8 after 15 epochs.** Five seeds of 30 epochs cost more than can be promised, so the directions are decided at
#    15 epochs too: in words of its own ("width 16, 15 epochs: held"), beside 30 epochs and never in their place. To the quantities of
#    rule 8 comes, at both lengths, the share of correctly classified images that survive at 4/255 in the worst of four passes, max − avg. The first two
#    seeds were known and pointed one way, so the mean over seeds 2, 3 and 4 alone is printed beside that over all five.
#
# Rule 19 was added on 27 November 2026, after one seed of max/avg was trained for 30 epochs, and before any was attacked after 15.
#
# 19. **Rule 11 after 15 epochs.** As rule 17, with the seeds that have max and max/avg pooling at 15 epochs.
#
# Rule 20 was added on 28 November 2026, after all attacks together had left next to nothing of average pooling at 4/255 (30 epochs, one
# seed), and before any network was attacked by all of them at 2/255.
#
# 20. **All attacks at 2/255.** Next to nothing compares to nothing. So the networks of 15 and 30 epochs meet all attacks of chapter 6 at
#    2/255 in spike space too. Shown is max − avg of the images that survive, by rule 3, over the images alone for fewer than three seeds;
#    *a lead stays under all attacks* if its interval lies above zero.
#
# Rule 21 was added on 28 November 2026, after four seeds of rule 19 were attacked (max pooling trained through its own gradient led in
# each), and before any network was trained for longer than 4 epochs through the gradient that all ties share.
#
# 21. **Zeros apart from the gradient's being the pool's own, after 15 epochs.** max/ties has max pooling's forward pass and shares its
#    gradient among all ties: dense at the pool, and still a gradient of that forward pass, which average pooling's is not. Otherwise
#    as in rule 11. *The zeros protect* if the interval of max − max/ties lies above zero and that of max/ties − max/avg does not;
#    *being the pool's own does* if it is the reverse; *both do* if both lie above zero; anything else is *not resolved*.
#    Below five seeds the differences are shown and there is no word.
#
# *Before the amendment* rule 2 took the interval over seeds alone, called "held" whatever met the paper's value (so a vague
# measurement held, even of the other sign, and an accuracy could never fail), and gave the value of a single run no
# spread of its own: with five seeds it would have failed about a third of perfect replications. Rule 3 took seeds alone too, and
# McNemar's test within a seed.
#
# ## What is planned
#
# The grid is one file, `workflow/grid.yml`; `python -m snnpaper status` says what is done, and the command and the
# cost of what is not.

# %% tags=["hide-input", "nbval-ignore-output"]
grid = pd.DataFrame(
    [{"block": c.block, "profile": c.profile, "events": c.run.coding == "frames"} for c in campaign.cells()]
)
plan = grid.groupby(["block", "profile"], sort=False).agg(cells=("events", "size"), events=("events", "sum"))
HTML(page.table(plan.reset_index().rename(columns={"events": "of these, event data"})))

# %% [markdown]
# Each cell is trained, measured on the whole test split, and attacked on its first 1,000 images.
#
# ## What a number of images can resolve
#
# Half the width of the 95 % Wilson interval, in points, around an accuracy near the paper's 16 % (PGD) and 39 %
# (clean), and at 50 %, where it is widest:

# %%
half = {
    f"{100 * p:.0f} %": {
        f"{n:,} images": 50 * (wilson(round(p * n), n)[1] - wilson(round(p * n), n)[0]) for n in (1_000, 10_000)
    }
    for p in (0.16, 0.39, 0.50)
}
HTML(page.table(pd.DataFrame(half).round(1).rename_axis("accuracy near").reset_index()))

# %% [markdown]
# So with 1,000 attacked images one network's robust accuracy is known to about two or three points, and an effect of
# seven points between two networks is far outside it.
#
# ## What a number of seeds can resolve
#
# Networks that differ in their seed alone differ too. From the three width-16 pairs recorded before this page was
# written: the standard deviation of max − avg over seeds, and the half-width that five such pairs will give,
# $t_{4,\,0.975}\,s/\sqrt5$.

# %%
EARLIER = [
    "cifar10-sew18-w16-max-s0-eb79827ad1", "cifar10-sew18-w16-avg-s0-47644b762c", "cifar10-sew18-w16-max-s1-c458d63855",
    "cifar10-sew18-w16-avg-s1-af5c00cbd3", "cifar10-sew18-w16-max-s2-bccd91d4d9", "cifar10-sew18-w16-avg-s2-6e1a22532f",
]  # fmt: skip
ledger.need("robustness", EARLIER)
frame = tables.accuracies()
frame = frame[frame["run"].isin(EARLIER) & frame["eps"].isin([0, 8]) & (frame["method"] != "fgsm")]
wide = frame.pivot_table(index=["space", "protocol", "method"], columns=["pool", "seed"], values="accuracy", sort=False)
spread = 100 * (wide["max"] - wide["avg"]).std(axis=1, ddof=1)
t4 = stats.t.ppf(0.975, 4)
power = pd.DataFrame({"sd over 3 seeds": spread, "half-width with 5": t4 * spread / math.sqrt(5)})
HTML(page.table(power.round(1).reset_index()))

# %% [markdown]
# A standard deviation of three values is itself known only within a factor:

# %%
low, high = (math.sqrt(2 / stats.chi2.ppf(p, 2)) for p in (0.975, 0.025))
print(f"the true one is 95 % surely between {low:.1f} and {high:.1f} times the sd over 3 seeds")

# %% [markdown]
# The forecast beside what came, once five pairs of that cell were recorded:

# %%
everyone = tables.accuracies()
cell = everyone[tables.alike(everyone, dict(frame.iloc[0][tables.COMMON]))]
cell = cell[cell["eps"].isin([0, 8]) & (cell["method"] != "fgsm")]
came = tables.contrast(cell).set_index(["space", "protocol", "method"])
by_seed = cell.groupby(["space", "protocol", "method"]).apply(lambda p: tables.by_seed(p, "accuracy").std(ddof=1))
came["over seeds"] = 100 * by_seed * [stats.t.ppf(0.975, n - 1) / math.sqrt(n) for n in came["seeds"]]
came["and images"] = 100 * came["half"]
beside = came[["seeds", "over seeds", "and images"]].join(power["half-width with 5"].rename("forecast"))
HTML(page.table(beside.round(1).reset_index()))

# %% [markdown]
# And for the scoped verdicts: what three and five seeds will resolve, in points, if the longer trainings differ between seeds
# as the five pairs of four epochs do (both parts of the interval; 10,000 images for clean accuracy, 1,000 under attack):

# %%
images_part = (100 * came["half"]) ** 2 - came["over seeds"] ** 2
sd = 100 * by_seed
scoped = pd.DataFrame({f"{n} seeds": (stats.t.ppf(0.975, n - 1) ** 2 * sd**2 / n + images_part) ** 0.5 for n in (3, 5)})
HTML(page.table(scoped.round(1).reset_index()))

# %%
assert (scoped["5 seeds"] < 2.5).all() and (scoped["3 seeds"] > scoped["5 seeds"]).all()

# %% [markdown]
# So five seeds tell two to three points from nothing, and three seeds only larger differences: a difference of one
# point at full width will stay unresolved.

# %%
assert set(frame["run"]) == set(EARLIER) and (frame.groupby("run").size() == 4).all()
assert (power["half-width with 5"] < 3.5).all()  # half of the smallest effect looked for

# %% [markdown]
# The paper's effect is 7 to 8 points of PGD accuracy between the pools (and 8.61 in one place). Five seeds, if full
# width varies no more than width 16 did, resolve an effect of half that size. A clean-accuracy difference of one
# point, the lower end of the paper's range, is at the edge of what five seeds show.
#
# ## Summary
#
# - Verdicts are computed by rules, each with what was known when it was written. Below the paper's scale or five seeds there is
#   none on the paper's numbers; a direction can get a scoped one, at a named reduced scale with five seeds.
# - 1,000 images and five seeds should be enough for the effect the paper reports under attack; the table above says how
#   near the forecast came.
# - Differences of about a point, in clean accuracy, may stay unresolved; the report will then say so.
#
# **Parameters to try**: other accuracies and numbers of images in the Wilson table; `EARLIER` with other runs.
