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
# (ch-report)=
# # The report: the paper's numbers beside ours
#
# **The question.** Which of the paper's numbers hold, on what evidence, and what has not been tried yet?
#
# This page is computed from `book/paper_values.yml` (what we know of the paper's numbers) and `results/` (one
# record a network and measurement). No number of ours is typed: fill in an unknown value, or add a record, and
# the next build shows it.

# %%
import pandas as pd
from IPython.display import HTML
from myst_nb import glue

from snnpaper import models, page, tables
from snnpaper.comparison import beside, claims, deviations, verdicts
from snnpaper.config import Run

rows = verdicts.comparisons()

# %% [markdown]
# ## The rules, fixed before the runs
#
# [](ch-rules) has them. In short: a verdict needs the paper's scale and five seeds, anything less is **indicative**; the
# 95 % interval over seeds is compared with the paper's value or range (**held**; **same direction, other size**; **not
# resolved**; **not held**). Two additions for what this page needs, made while no run at the paper's scale was recorded:
#
# - A claim that says "more than" without a number is about the sign of a difference. With both, the interval lies above
#   zero: **held**; below: **not held**; it contains zero: **not resolved**.
# - A number of a stated data set says nothing about another one, and a number whose meaning we do not know gets no
#   verdict.
#
# The rules are two functions, and these are their cases:

# %%
cases = {
    "held": (1, 4, 3.0, 0.5),
    "same direction, other size": (1, 4, 9.0, 0.5),
    "not resolved": (1, 4, 0.1, 0.5),
    "not held": (1, 4, -2.0, 0.5),
}
for word, (low, high, ours, half) in cases.items():
    assert verdicts.verdict(low, high, ours, half, seeds=5, scale="paper") == word
    print(f"paper {low} to {high}, ours {ours:+.1f} ± {half}: {word}")
for word, (ours, half) in {"held": (2, 1), "not resolved": (0.5, 1), "not held": (-2, 1)}.items():
    assert verdicts.sign_verdict(ours, half, seeds=5, scale="paper") == word
    print(f"paper: more than 0, ours {ours:+.1f} ± {half}: {word}")
for seeds, scale in ((4, "paper"), (5, "reduced")):
    assert (
        verdicts.verdict(1, 4, 3.0, 0.5, seeds, scale)
        == verdicts.sign_verdict(3, 1, seeds, scale)
        == verdicts.INDICATIVE
    )

# %% [markdown]
# ## The numbers
#
# Accuracies in per cent, differences in points; ± is the 95 % interval over seeds. The paper attacks the coded
# tensor (spike space), so only spike-space numbers of ours stand beside its own; pixel space has its own table
# in [](ch-trade-off). The paper's text says $\epsilon$ = 8/255 and its code 6/255, and its code attacks in
# train mode; each of ours says which it is.

# %%
cells = rows["key"].str.contains(r"_sew\d+$")
shown = rows[~cells].assign(
    paper=[f"paper: {p}" for p in rows.loc[~cells, "paper"]],
    reading=[page.reading(r) for _, r in rows[~cells].iterrows()],
    runs=[page.short_links(r) for r in rows.loc[~cells, "runs"]],
)[["claim", "paper", "ours", "verdict", "where", "reading", "runs"]]
HTML(page.table(shown, raw=["runs"], group=["claim", "paper"]))

# %% [markdown]
# "Not known to us" marks a value that the paper has and that no source we could read states. Numbers under *runs* are
# seeds; each leads to the network's row in [](report-runs).

# %%
open_ones = rows[rows["ours"] == "not measured"]
decided = rows[~rows["verdict"].isin(verdicts.NO_VERDICT)]
print(
    f"{len(rows)} rows: {len(decided)} with a verdict, "
    f"{(rows['verdict'] == verdicts.INDICATIVE).sum()} indicative, {len(open_ones)} not measured"
)

# %% [markdown]
# ### The cells of Tables 1 to 3
#
# Paper beside ours, where each is known. A question mark is a printed number that we have not seen; [](ch-tables) has
# ours in full, with intervals over seeds, and the command for every cell that is missing.

# %%
printed = verdicts.printed_cells(rows)
HTML(page.table(printed, group=["data", "network"]))

# %% [markdown]
# (report-claims)=
# ## The claims without a number
#
# Each as one measured difference that the claim says is positive, in points. *Direction here* reads our own interval at
# our own scale; *verdict* is about the paper and needs its scale.

# %%
said = claims.claims()
shown = said.fillna("").assign(
    reading=[page.reading(r) for _, r in said.iterrows()],
    runs=[page.short_links(r) if len(r) < 13 else f"{len(r)} networks" for r in said["runs"]],
)[["claim", "quantity", "ours", "direction here", "verdict", "where", "reading", "runs"]]
HTML(page.table(shown, raw=["runs"], group=["claim", "quantity"]))

# %%
for word, number in said["direction here"].dropna().value_counts().sort_index().items():
    print(f"{word:13} {number} rows")

# %% [markdown]
# Natural sparsity, its amplification by skips and its tie to a temporal code are measured on the input gradient and where
# it is sparsest after neurons and pool, at conv1's output; [](ch-trail) has each with all its settings.
#
# (report-failures)=
# ## The paper's marks of failure
#
# Below 50 % clean accuracy on CIFAR-100 it speaks of underfitting, above 70 % of accuracy lost under PGD of overfitting, and
# where gradient norms collapse of suspected obfuscation. (The wording may be that of the summary we have.) Which of our
# networks show them?

# %%
marks = claims.failures()
shown = marks.drop(columns="runs").assign(runs=[page.short_links(r) for r in marks["runs"]])
HTML(page.table(shown.drop(columns="seeds"), raw=["runs"], group=["mark", "quantity"]))

# %% [markdown]
# By these marks an undefended network is "overfit" in one threat model and not in another, at the same weights. They
# describe the attack as much as the network.

# %% [markdown]
# ## At a glance

# %%
head = (
    f"{decided['key'].nunique()} of the {rows['key'].nunique()} numbers of the paper in our list have a verdict "
    "(paper's scale, five seeds); the rest is indicative or not measured. The records so far:"
)
glance = HTML(f"<p>{head}</p>" + tables.bullets(tables.readings(tables.published(tables.accuracies()))))
glue("glance", glance, display=False)
glance

# %% [markdown]
# (report-deviations)=
# ## Where the paper's text, its code and we differ
#
# The last column says what a difference changes, in points, measured on our networks where it can be; where it
# cannot yet, what would measure it.

# %%
measured, absent = deviations.effects(), deviations.missing()
pools = [m for m in models.build(Run()).modules() if "Pool2d" in type(m).__name__]
said_of = {"pools": f"{len(pools)} pool in the whole network", "seeds": "the ± of every table"}


def changes(key):
    """The measured effects of one deviation, then what is missing."""
    lines = []
    for effect, part in measured[measured["key"] == key].groupby("effect", sort=False):
        values = [
            f"<br>{e['pool']} <strong>{e['points']}</strong> ({e['where']}; n = {e['n']:,}; seeds: {page.short_links(e['runs'])};"
            f" {tables.reading(e['scale'], e['seeds'])})"
            for _, e in part.iterrows()
        ]
        lines.append(effect + ":" + "".join(values))
    for _, gap in absent[absent["key"] == key].iterrows():
        lines.append(f"missing: <code>{gap['command']}</code>, {gap['cost']}")
    return "<br>".join(lines) or said_of.get(key, "not measured")


listed = pd.DataFrame([d[1:] for d in deviations.DEVIATIONS], columns=["what", "the paper's text", "its code", "here"])
listed["what it changes"] = [changes(d[0]) for d in deviations.DEVIATIONS]
HTML(page.table(listed, raw=["what it changes"]))

# %%
modes = measured[measured["key"].isin(["train mode", "statistics"])]
for _, e in modes.iterrows():
    print(f"{e['key']:10} {e['pool']}: {e['points']} points, {e['seeds']} seeds")

# %% [markdown]
# Two habits of the published code are taken apart here: gradients of the train-mode network are gradients of another
# function than the one that is evaluated, and BatchNorm's statistics taken from attacked images change the network that is
# measured. The published accuracy is what is left of both, and neither is a property of pooling. [](ch-obfuscation) has
# stronger attacks, and the checks under every number.
#
# ## What is missing
#
# The paper's grid, with the command for each cell's first network and its cost; smaller gaps are listed where they occur, in
# [](ch-trail) and [](ch-tables).

# %%
grid = beside.grid(tables.accuracies())
HTML(page.table(grid[["data", "network", "seeds at paper scale", "command", "cost"]], group=["data"]))

# %% [markdown]
# (report-runs)=
# ## The runs
#
# Every trained network behind this book, its hardware and its cost. Its weights are `zoo/<run>.safetensors` (large
# ones in several files), its records `results/<kind>/<run>.json`. Minutes are wall time on machines that did other work beside it (and were
# sometimes paused): what a run cost there, not how fast it can be.

# %%
HTML(page.runs_table(["train", "failed", "robustness", "sparsity", "theory", "trail", "deviations"]))

# %% [markdown]
# Networks before their first step, for what the architecture does by itself:

# %%
HTML(f"<details><summary>untrained networks</summary>{page.runs_table(['untrained'])}</details>")

# %% [markdown]
# ## Check us
#
# - **In seconds**: open a record in `results/`; it names its configuration, code version, data checksum and
#   hardware. `make test` reads every table's rule.
# - **In minutes**: `make book` trains the live parts anew; `zoo.load(run)` checks a network against its record,
#   and one call of `attacks.standard.robust` gives a recorded accuracy again.
# - **In hours**: `SNNPAPER_HOME=mine python -m snnpaper train --profile cpu --pool max --seed 0` trains a
#   recorded network from nothing, into a ledger of your own. Training differs a little between processors, so expect the accuracy, not the bits.
# - **With a GPU**: `python -m snnpaper train --profile paper --pool max` is the published setting.
#
# ## Summary
#
# - No number of the paper has a verdict until it has been measured at the paper's scale with five seeds.
# - Whatever is below that is indicative, and says so in its row.
# - The paper's code and its text differ in ways that change what "robust" means; each way is a parameter here.
