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
# # Gradient sparsity and robustness in spiking networks
#
# The paper's claim: max pooling makes gradients sparse and networks robust, and costs accuracy.
#
# ## The answer: a stronger attack puts max pooling's lead after short training in doubt; longer training brings a lead, owed in whole or part to training through the pool's own gradient, sparse or not (spike space, small networks)

# %% tags=["remove-input"]
from IPython.display import HTML

from snnpaper.report import answer, findings, page, plots, standing, tables
from snnpaper.report.attacks import stronger
from snnpaper.report.attacks import tables as attacked
from snnpaper.report.comparison import scoped
from snnpaper.report.design import matrix
from snnpaper.report.findings import attacks as missed
from snnpaper.report.findings import cause, gradients, length, pools, together

plots.use_style()
acc, curves, worst = tables.accuracies(), attacked.curves(), attacked.rows()
HTML(page.bullets(answer.sentences(acc, curves), "ol"))

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-answer", "caption": "Accuracy with max minus accuracy with average pooling on CIFAR-10 in the threat model of the paper's code (spike space: the attack changes the coded image), with 95 % intervals: filled, over five seeds and the images; hollow, fewer seeds, and of one or two over the images alone; no mark, not recorded. Top: SEW-ResNet-18 after three lengths of training; PGD-20 counts any iterate; '4 gradients' counts the correctly classified images that survive the gradient through the pool in four ways; all attacks together saw fewer images. Bottom: three 18-layer networks trained more briefly, on a fifth of the images; gradients in eval mode."}, "image": {"alt": "Two panels of dots with intervals around a line at zero. Top, one network: clean, PGD-7 as published and PGD-7 in eval mode lie right of zero, max pooling ahead; for PGD-20 with any iterate, at two radii, for the worst of four gradients and for all attacks together the interval contains zero. After fifteen epochs the marks of the published attack and of all attacks together lie right of zero, that of four gradients has an interval over both sides. After thirty every mark lies right of zero. Bottom, spiking networks lie right of zero or on it, their ReLU twins far to the left, average pooling ahead."}}
answer.figure(acc)

# %% [markdown]
# ## The claim
#
# *Accuracy-Robustness Trade Off via Spiking Neural Network Gradient Sparsity Trail* {cite}`luu2025trail` says three things
# about spiking networks, which learn with a surrogate gradient:
#
# 1. the gradient is naturally sparse, and max pooling makes it sparser still;
# 2. a network with a sparser gradient is harder to attack;
# 3. the price is accuracy on clean images, since the same sparse paths carry the weights' gradients.
#
# ## The evidence
#
# *Pixel space*: the attack changes the image. *Spike space*: it changes the coded image that enters the network. *Any iterate*: an
# image counts as fooled if any step of the attack fooled it. *Own gradient*: the way back through the pool that the network was
# trained with; the *worst of four* is what survives four such ways. The rest is in the [glossary](glossary.md).
#
# Each line is a finding that the page checks against the records when it is built: a record that contradicts one stops
# the book.

# %% [markdown]
# *After a training of 4 epochs:*

# %% tags=["hide-input"]
HTML(
    findings.say(
        pools.published(acc),
        pools.stronger(curves),
        pools.half_survive(curves),
        pools.pixel(curves),
        missed.noise(worst),
        cause.misled(standing.standing(matrix.attacks())),
    )
)

# %% [markdown]
# *After 15 and 30:*

# %% tags=["hide-input"]
fifteen, thirty = (standing.standing(matrix.attacks(run)) for run in (answer.AGAIN, answer.LONG))
again_all, battery = attacked.rows(like=answer.AGAIN), attacked.rows((*matrix.TRAINED, tables.PAIR[1]), answer.LONG)
HTML(
    findings.say(
        length.longer(acc),
        length.again(acc),
        length.differ(fifteen, answer.AGAIN.epochs),
        length.hidden(fifteen, answer.AGAIN.epochs),
        length.stands(thirty),
        together.leads(again_all, answer.AGAIN.epochs),
        together.leads(battery),
        together.still(stronger.left(answer.LONG)),
        together.without_gradient({answer.AGAIN.epochs: again_all, answer.LONG.epochs: battery}),
        length.chance(length.validated()),
    )
)

# %% [markdown]
# *What of it is owed to the gradient in training:*

# %% tags=["hide-input"]
HTML(
    findings.say(
        cause.through(fifteen, answer.AGAIN.epochs),
        cause.zeros(fifteen, answer.AGAIN.epochs),
        cause.no_price(acc, answer.AGAIN.epochs),
        cause.through(thirty),
        together.in_part(battery),
    )
)

# %% [markdown]
# *The gradient, clean images, and ReLU in place of spikes:*

# %% tags=["hide-input"]
HTML(findings.say(gradients.smaller(), pools.clean(acc, answer.AGAIN.epochs), pools.reversed_by_relu(acc)))

# %% [markdown]
# The directions among the paper's claims are judged at two named reduced scales as soon as five seeds are there, apart from its
# numbers ([](report-scoped)):

# %% tags=["hide-input"]
found = scoped.differences()
HTML(page.bullets([scoped.sentence(scoped.judged(found, scale), scale) for scale in scoped.SCALES]))

# %% tags=["remove-input"]
HTML(
    f"<details><summary>The networks behind this page</summary>{', '.join(map(page.run_link, answer.behind_it()))}</details>"
)

# %% [markdown]
# ## What could not be read
#
# The paper has three versions: v1 of 28 September, v2 of 6 October and v3 of 3 December 2025 (arXiv 2509.23762). We could
# read none of them whole. What we say of it comes from its abstract, from summaries of it that do not say which
# version they read, and from its public code (luutn2002/grad-obf-snn at 11989ad). Its Tables 1, 2 and 4, nearly all
# cells of Table 3, and the wording of Theorems 4.2 to 4.4 we have not seen; where a chapter judges one of these theorems it
# judges our reading of it. By the *published attack* we mean the public code's, at the radius that the summaries name, 8/255; that the
# paper's tables are of it we do not know. A number that a reader can supply goes into `book/paper_values.yml`, and every comparison
# picks it up.
#
# ## How to read
#
# **In five minutes**: this page, then the findings that open [](ch-obfuscation) (was it robustness, or did the attack
# get lost?), [](ch-design) (is the sparse gradient the cause?) and [](ch-trail) (where is the gradient sparse?).
#
# **In an hour**: [](spikes) if spikes are new to you, then [](ch-trail), [](ch-tables) and [](ch-obfuscation) with
# their figures, and [](ch-report) for the paper's numbers beside ours.
#
# **In a day**: [](theorems) with its proofs, [](ch-trade-off) with a network that you train and attack yourself,
# [](ch-rules) for the rules and when they were written, and the exercises. Then overturn something: every number
# has a record in `results/`, the networks that a page loads are in `zoo/`, and [](howto-check.ipynb) says how to check us.
#
# **With a network of your own**: [](howto-audit.ipynb) puts it through the same audit, [](howto-pool.md) gives it a pool of yours.
#
# Each chapter opens with its findings. A **live part** runs while the page is built, on digits, in less than a minute; a
# **recorded part** is drawn from committed records of longer runs, and names its runs, its scale and its n.
# What has a dashed right edge is wider than your screen and scrolls sideways. [](ch-speed) says how far a step is from its
# arithmetic; functions are in [](ch-api), symbols in [](notation.md).
#
# ## Run it yourself
#
# In a copy of the project's folder:
#
# ```shell
# make book                                                # this book
# cd book && papermill ch3.ipynb out.ipynb -p pool avg     # one chapter with one parameter changed
# ```
#
# The second line needs the environment that the first one makes (`source .venv/bin/activate`), and writes `book/out.ipynb`. Chapters 3,
# 6 and 8 take parameters, named in their cell "Parameters"; the live part is computed again, the recorded part is not.
#
# ## How to cite
#
# `CITATION.cff` names this work and the paper it examines. Please cite both, and say which commit you read: findings follow
# the records.
