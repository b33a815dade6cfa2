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
# (ch-design)=
# # 9 · Designing sparsity: is it the cause?
#
# **The finding.** After four epochs the sparse gradient misleads the attacker: on the same networks a sparser backward pass of
# the attack leaves more images, and an attacker who tries the pool's other passes takes more from max than from average
# pooling. Whether training through it protects is not resolved then. After fifteen epochs it does: max pooling that is trained
# through average pooling's dense gradient instead survives the worst of four passes less often, in each of five seeds, by five to fourteen
# points, and has no lead over average pooling that could be told from zero. After thirty, in one seed, it is the same (under all
# attacks together a part of the lead is left). It is not seen to be the gradient's zeros: trained through the gradient that all ties
# share, which is dense too but max pooling's own, max pooling survives about as often as with its sparse one, and in each of five
# seeds, by six to twelve points, more often than with average pooling's. Clean accuracy goes the same way and not the other: what
# average pooling's gradient takes from max pooling it takes on clean images too. With numbers, at reduced scale, each checked by this
# page against the records:

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML

from snnpaper import campaign, ledger
from snnpaper.report import answer, findings, page, plots, standing
from snnpaper.report.attacks import tables as attacked
from snnpaper.report.comparison import scoped
from snnpaper.report.design import dial, figures, matrix, size
from snnpaper.report.findings import cause, length, together
from snnpaper.report.page import bullets
from snnpaper.report.tables import PAIR, accuracies

plots.use_style()
everyone, every_image = standing.standing(matrix.attacks()), size.images()
stand = everyone[everyone["training"].isin(matrix.CAUSE)]
shares, images = standing.shares(stand), every_image[every_image["pool"].isin(matrix.CAUSE)]
networks, fit = size.by_network(images), size.fit(images)
longer = standing.standing(matrix.attacks(scoped.JUDGED))
battery = attacked.rows((*matrix.TRAINED, PAIR[1]), scoped.JUDGED)
fifteen = standing.standing(matrix.attacks(answer.AGAIN))  # of other seeds
acc = accuracies()
HTML(
    findings.say(
        cause.misled(stand),
        cause.trained(stand),
        cause.sparser(stand),
        cause.nothing_left(fit, len(networks)),
        cause.larger(networks),
        length.stands(longer),
        length.differ(fifteen, answer.AGAIN.epochs),
        length.hidden(fifteen, answer.AGAIN.epochs),
        together.leads(battery),
        together.leads(attacked.rows(like=answer.AGAIN), answer.AGAIN.epochs),
        cause.through(fifteen, answer.AGAIN.epochs),
        cause.zeros(fifteen, answer.AGAIN.epochs),
        cause.no_price(acc, answer.AGAIN.epochs),
        cause.through(longer),
        together.in_part(battery),
        length.chance(length.validated()),
    )
)

# %% [markdown]
# **The question.** Max pooling makes the gradient sparse at the pool. Is it this sparsity that makes a network robust,
# something that comes with it, or does it only lead the attacker astray?
#
# **What the paper says** {cite}`luu2025trail`. Sparse gradients are the cause: a pool that passes fewer of them makes the
# network more robust and less accurate. As far as we could read, no network in it has its pool's forward pass and backward
# pass taken apart, which is what tells the three apart.
#
# The sentences on four epochs follow from the records by [rules 11, 12 and 15](rules-cause), written before any network was trained
# whose backward pass is not its forward pass's own; those on fifteen and thirty by rules 17 to 21, of which some seeds were
# known (the rules page says which). Differences are paired by image.

# %% [markdown]
# ## What was done
#
# One setting: the width-16 SEW-ResNet-18 on CIFAR-10, 4 epochs in batches of 16 (reduced scale, so nothing here is about
# the paper's own networks). The forward pass of the pool stays what it is. In training its gradient goes
#
# | name | to |
# |---|---|
# | max | the first of the largest entries of each window, as in the library |
# | ties | all largest entries, in equal parts |
# | silent | the first of the largest, but nowhere in a window in which no neuron fired |
# | avg | the whole window, in equal parts |
#
# "max/avg" is max pooling forward with average pooling's gradient, and "avg/max" the reverse. The attacker has the same
# choice, whatever the training did: he computes the network's own logits and sends the gradient any of these ways. So
# every network is attacked through each of them: PGD with 20 steps, of which any iterate counts, in spike space, on
# those of 500 test images that the network classifies correctly. An image *stands* if it does so at 4/255. On this page the
# *worst case* is that of these four attacks, not of all attacks of [](ch-obfuscation): an image stands in it if no pass fools it.
#
# If sparsity protects, the networks trained through a sparse pass stand better whatever the attacker does. If it masks,
# they stand better only against an attacker who uses their own pass.
#
# ## Training against attack

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-matrix", "caption": "Recorded part: of the correctly classified images of 500, per cent that stand at 4/255 in spike space, ± half of the 95 % interval (over seeds and images; over the images alone below three seeds). A row is a training, a column an attack; framed: the network's own backward pass. Reduced scale."}, "image": {"alt": "A matrix of percentages: trainings in rows, backward passes of the attack in columns, then the worst of them without and with ASSG."}}
picture = (
    standing.heat_map(shares, *matrix.named(shares), "training: forward/backward", "the attack's backward pass")
    if len(shares)
    else "not recorded yet"
)
picture

# %% [markdown]
# In a row the weights are fixed, and only the attacker's gradient changes: differences along a row are the attack's. In every row a sparse pass (max, or through no silent window) leaves the most images standing, and a
# dense one (ties or average) the fewest. Down a column the attack is the same and the training differs. The worst of four attacks is
# lower than one of them even where the passes are equally good, which the paired differences of single passes above leave out.
# The column "with ASSG" adds SA-PGD with an adaptive surrogate, 20 steps, on what all passes leave: an attack that
# changes the neurons' gradient and not the pool's. It does not enter rule 11.

# %%
wide = shares.pivot(index="training", columns="attack", values="share")[["max", "ties", "silent", "avg"]]
assert wide.idxmax(axis=1).isin(["max", "silent"]).all() and wide.idxmin(axis=1).isin(["ties", "avg"]).all()

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-diagonal", "caption": "Recorded part: the same shares through the network's own backward pass (filled) and in the worst case over all of them (open), with 95 % intervals."}, "image": {"alt": "For each training two marks with intervals, the own backward pass and the worst case."}}
picture = figures.diagonal(shares) if len(shares) else "not recorded yet"
picture

# %% tags=["hide-input"]
numbers = page.table(standing.table(shares, *matrix.named(shares)))
HTML(page.fold(numbers, "the numbers of both figures") + page.origin(stand))

# %% [markdown]
# ## The paper's own pair
#
# Max and average pooling as the paper compares them, each trained through its own gradient. Through its own pass each
# network is attacked as the paper does it; the worst case is what an attacker gets who tries all passes. The last line is how
# much of the first difference goes when he does:

# %% tags=["hide-input"]
ways = {a: standing.difference(stand, a, PAIR) for a in (standing.OWN, standing.WORST, standing.WITH_ASSG)}
change = standing.difference(stand, standing.OWN, PAIR, instead=standing.WORST)
assert ways["own"].zero and ways["worst"].zero and change.above
passes = ("the network's own pass", "the worst of all passes", "the worst, with ASSG")
lines = [f"max − average, through {a}: {d}." for a, d in zip(passes, ways.values(), strict=True)]
HTML(bullets([*lines, f"The first minus the second: {change}."]))

# %% [markdown]
# (design-longer)=
# ## After a longer training
#
# The same pair trained for fifteen and for thirty epochs, which is what the scoped verdicts are about ([](rules-scoped)), and max
# pooling trained through average pooling's gradient ([rules 17 and 19](rules-cause)) and, for fifteen, through the one that all ties
# share (rule 21), attacked in the same way:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-longer", "caption": "Recorded part: the matrix above after 15 epochs of training, for four of its rows, of the seeds that have max, max/avg and avg; ± half of the 95 % interval. Reduced scale."}, "image": {"alt": "A matrix of percentages with four rows, max pooling trained through its own gradient, through that of all ties and through average pooling's, and average pooling, and the attack's backward passes in columns. In every column more stand in the first of these and that of all ties than in the others."}}
lengths = {answer.AGAIN.epochs: cause.whole(fifteen), scoped.JUDGED.epochs: cause.whole(longer)}
again_shares, long_shares = map(standing.shares, lengths.values())
labels = ("training: forward/backward", "the attack's backward pass")
picture = standing.heat_map(again_shares, *matrix.named(again_shares), *labels)
picture

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-thirty", "caption": "Recorded part: the same after 30 epochs; ± half of the 95 % interval. Reduced scale."}, "image": {"alt": "The same matrix after thirty epochs. Again most stand with max pooling trained through its own gradient, in every column."}}
picture = standing.heat_map(long_shares, *matrix.named(long_shares), *labels)
picture

# %% tags=["hide-input"]
tried = {
    standing.OWN: "the network's own pass",
    standing.WORST: "the worst of all passes",
    standing.WITH_ASSG: "the worst, with ASSG",
}
rows = [
    {
        "difference": f"{' − '.join(pair)}, through {how}",
        "epochs": epochs,
        "points": standing.difference(part, a, pair),
    }
    for pair in (PAIR, matrix.TRAINED, matrix.DENSE, matrix.ZEROS, matrix.POOLS_OWN)
    for a, how in tried.items()
    for epochs, part in lengths.items()
]
each = [
    {**r, "points": str(r["points"]), "seed by seed": length.seed_by_seed(r["points"])} for r in rows if r["points"]
]
HTML(page.table(pd.DataFrame(each), group=["difference"]))

# %%
level = long_shares.pivot(index="attack", columns="training", values="share")
same = standing.shares(stand[stand["seed"].isin(longer["seed"])])  # the same seeds after the short training
short = same.pivot(index="attack", columns="training", values="share")
assert level.loc[standing.WORST, "avg"] < short.loc[standing.WORST, "avg"]
assert abs(level.loc[standing.WORST, "max"] - short.loc[standing.WORST, "max"]) < 0.05
assert short.loc[standing.WORST, "max/avg"] - level.loc[standing.WORST, "max/avg"] > 0.1
lost = [standing.difference(lengths[answer.AGAIN.epochs], a, matrix.TRAINED) for a in list(tried)[1:]]
assert all(d.above and d.seeds == 5 and min(d.by_seed.values()) > 0.05 for d in lost)  # with ASSG too
assert max(lost[0].by_seed.values()) < 0.14  # "by five to fourteen points"
each_pass = [standing.difference(part, a, matrix.TRAINED) for part in lengths.values() for a in wide.columns]
assert min(v for d in each_pass for v in d.by_seed.values()) > 0  # "under every pass, in every seed"
rest = [standing.difference(lengths[answer.AGAIN.epochs], a, matrix.DENSE) for a in list(tried)[1:]]
assert all(d.zero and d.half > 0.05 for d in rest)
apart, own = (standing.difference(fifteen, standing.WORST, pair) for pair in (matrix.ZEROS, matrix.POOLS_OWN))
assert matrix.of_zeros(apart, own) == "being the pool's own does" and apart.seeds == own.seeds == 5
assert 0.055 < min(own.by_seed.values()) and max(own.by_seed.values()) < 0.125  # "by six to twelve points"
clean = cause.on_clean(acc, answer.AGAIN.epochs)[matrix.ZEROS]
assert (
    -0.025 < clean["difference"] - clean["half"] < -0.01 < 0 < clean["difference"] + clean["half"]
)  # "one or two points"
assert 0.02 < abs(apart.mean) + apart.half < 0.08  # "some points, either way"

# %% [markdown]
# The forward pass is max pooling's in every row but the last; only the gradient in training differs. After both lengths the
# network that was trained through the sparse one survives more than the one trained through average pooling's, under every pass of
# the attacker, his worst included, in every seed: that is in the network, and no matter of the attacker's gradient. Rule 19 calls it *density matters by itself*, and that word says too
# much: the two gradients differ in more than their zeros, since the dense one is not that of the forward pass, and is smaller
# (below). The gradient that all ties share (max/ties) is dense as well, and the forward pass's own; trained through it max
# pooling survives better than through average pooling's, in each seed, and about as well as through the sparse one: in the words of
# [rule 21](rules-cause) *being the pool's own does* protect, and the zeros are not seen to. An effect of the zeros of some points, either way, stays possible.
#
# Clean accuracy is no price here. The paper's trade-off has the sparse gradient cost accuracy in training; trained through average
# pooling's dense gradient, max pooling loses on clean images as well, and has then neither more nor less than average pooling that
# could be told from zero: what separates the two pools after fifteen epochs is the gradient that they are trained through, and their
# forward passes are not seen to differ. Of shared ties against the sparse gradient the interval contains zero, with one or two points
# on the side of the ties left possible.
#
# What max pooling trained through the dense gradient has over average pooling cannot be told from zero, in intervals that
# would hide a lead of several points; all attacks together do show one after thirty epochs (above). In the seed of thirty epochs max
# pooling withstands the worst attack about as well as after four, and average pooling and max/avg lose: training through its own
# gradient keeps what a long training through average pooling's takes away. What may overturn this is a stronger attack, and the last
# epochs, which go up and down.
#
# ## Size apart from sparsity
#
# First-order theory names two quantities, the margin and the gradient's $\ell_1$ norm: the least $\ell_\infty$ radius
# is their ratio ([](theorems)). A sparse gradient can also be a small one, so both are measured on every image, and the
# logarithm of its least radius (worst case over the passes) is regressed on the logarithms of both, then on density at the
# pool as well. Networks are drawn again, with their images, for the intervals.

# %% tags=["hide-input"]
columns = {"pool": "training", "seed": "seed", "images": "images", size.DENSITY: "non-zero at the pool (%)",
           "l0": "non-zero at the input (%)", "log l1": "log2 L1 norm", "log l2": "log2 L2 norm",
           "log margin": "log2 margin", "least": "log2 least radius"}  # fmt: skip
shown = networks[list(columns)].assign(**{k: 100 * networks[k] for k in (size.DENSITY, "l0")})
shown = shown.rename(columns=columns).map(lambda v: f"{v:.2f}" if isinstance(v, float) else v)
HTML(page.fold(page.table(shown), f"{len(shown)} networks, a row each"))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-size", "caption": "Recorded part: a mark is a network, the mean over its correctly classified images. Left: least radius over density at the pool. Right: over the ratio that first-order theory names. Spike space, worst case over backward passes; radii in octaves of 1/255."}, "image": {"alt": "Two scatter plots with one mark a network: least radius against density at the pool, and against margin over norm."}}
picture = figures.norms(networks) if len(networks) else "not recorded yet"
picture

# %% [markdown]
# (design-dial)=
# ## The dial: can both be had?
#
# Between the two pools lie others: a mixture, a softmax over the window, the mean of its largest entries. Each dial is equal to
# average pooling at one end and to max pooling at the other, to the last bit. If sparsity is a price for robustness, then what
# stands rises along each dial as density falls, and clean accuracy falls with it. By [rule 13](rules-cause):

# %% tags=["hide-input"]
dials = dial.networks(everyone, every_image, acc)
steps = dial.steps(everyone)
HTML(bullets([dial.dose(dials), dial.threshold(steps), dial.both(everyone, acc)]))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ch9-dial", "caption": "Recorded part: images that stand at 4/255 in spike space in the worst case over the backward passes, over the gradient's density at the pool (left; lines join the settings of a dial) and over clean accuracy (right). A mark is a network, of the seeds that have settings between the ends. Reduced scale."}, "image": {"alt": "Two scatter plots, a mark a network, coloured by the pool. Left the share that stands over density at the pool, right over clean accuracy."}}
picture = dial.figure(dials) if len(dials) else "not recorded yet"
picture

# %% tags=["hide-input"]
numbers = steps.assign(difference=[str(d) for d in steps["d"]], range=[f"{100 * r:+.1f}" for r in steps["range"]])
columns = {
    "step": "step",
    "difference": "more stand in the worst case",
    "range": "max − average (points)",
    "dial": "dial",
}
HTML(
    page.fold(page.table(dial.table(dials)), "the numbers of the figure")
    + page.fold(page.table(numbers[list(columns)].rename(columns=columns), group=["dial"]), "each dial, step by step")
)

# %% [markdown]
# (design-norm)=
# ## Normalisation
#
# The paper suggests threshold-dependent BatchNorm as another dial. It scales what BatchNorm gives by $\alpha V_{th}$; here the
# threshold is 1, so with its usual $\alpha = 1$ it *is* the BatchNorm of these networks, and what is left to try is to go without
# ([rule 16](rules-cause)), with a bias in every convolution.

# %% tags=["hide-input"]
without = matrix.SETTING.but(norm="none")
bare = standing.shares(standing.standing(matrix.attacks(without)))
frames = {"with BatchNorm": shares[shares["training"].isin(PAIR)], "without": bare}
rows = [standing.table(part, *matrix.named(part)).assign(network=name) for name, part in frames.items() if len(part)]
both = pd.concat(rows).fillna("") if rows else pd.DataFrame()
HTML(
    page.table(both.rename(columns={"training": "pool"}), group=["network"])
    if len(bare)
    else "<p>No network without BatchNorm is recorded yet; the next section has the commands.</p>"
)

# %% [markdown]
# (design-missing)=
# ## What is missing
#
# Below are the networks that rules 11 to 13 and 16 speak of, and other stems, that are not trained, or not attacked, with the
# command for each.

# %% tags=["hide-input"]
BLOCKS = ("training backward apart", "between max and average", "no normalisation", "other stems")
wanted = [(c.block, c.run, c.command) for block in BLOCKS for c in campaign.cells(block=block)]
missing = []
for block, run, train in wanted:
    trained, attacked = (ledger.path(kind, run.name).exists() for kind in ("train", "backwards"))
    if not attacked:
        command = f"python -m snnpaper measure backwards {run.name}" if trained else train
        missing.append({"block": block, "pool": run.pooling, "seed": run.seed, "command": command})
print(f"{len(wanted) - len(missing)} of {len(wanted)} networks are trained and attacked")
HTML(page.folded(pd.DataFrame(missing), "networks are missing"))

# %% tags=["hide-cell"]
if len(networks) >= 24:  # what the next two sections say of rule 12
    density = fit.set_index("predictor").loc[size.DENSITY]
    assert density["low"] < 0 and abs(density["high"]) < 0.1 * -density["low"] and density["gain"] < 0.01

# %% [markdown]
# ## What would change this
#
# - After four epochs, more seeds of max and max/avg. The interval's upper end says how much protection is left possible, about a
#   point; its lower end leaves room for a harm of several. After fifteen, more seeds too: an effect of the zeros of a few points is inside the interval.
# - More networks in the regression. The interval of density's coefficient ends close to zero: rule 12's verdict may turn, to a
#   small protection by sparsity.
# - A stronger attack. All shares are upper bounds, and "the worst of these" is the worst of a few passes with 20 steps each.
# - A longer training does change it (above); a still longer one may. A wider network; and pixel space, where nearly every image falls at 1/255, so that this
#   comparison cannot be made there.
#
# ## Summary
#
# - After four epochs no lead of max over average pooling is resolved, neither through each network's own gradient nor through the
#   worst of four backward passes; that the second takes more from max pooling is. Trained through the sparse gradient, max pooling
#   survives the worst attack no better than trained through the dense one. Rule 11 calls this not resolved: a protection of more
#   than a point is outside the interval, a smaller one is not.
# - After fifteen epochs it survives better, by five to fourteen points in each of five seeds, with SA-PGD and ASSG beside the four
#   passes too; trained through the dense gradient it has no lead that could be told from zero. The gradient that max pooling is
#   trained through is a cause of its lead after a longer training, by being the pool's own, and is not seen to be so by its zeros: the
#   dense gradient of all ties does about as well, in five seeds. Clean accuracy goes the same way, so the two are no trade-off. After thirty, in one seed, the lead through the four passes goes with average pooling's
#   gradient, too; under all attacks together a part of it stays.
# - Sparser need not be smaller: with the forward pass alike max pooling's backward pass gives a larger norm than average pooling's,
#   and than the sparsest, through no silent window.
# - Once the gradient's size and the margin are known, density at the pool says nothing more of an image's least radius that
#   could be told from zero, and next to nothing of its variance.
# - The library's backward pass overstates max pooling: an attack on it has to try the pool's other passes.
#
# **Try**: a pool of your own, forward or backward ([a new pool in 15 lines](howto-pool.md));
# `standing.standing(matrix.attacks(), 2)` for another radius.
