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
# (howto-check)=
# # How to check us
#
# No number of this book has to be believed. Here are three ways to check one, by the time they take: read it again from its
# record, compute it again from the network, train the network again. Each needs a clone of the repository, `make env` and
# `source .venv/bin/activate`; none needs a GPU.
#
# ## Seconds: count a number again
#
# A record holds the answer to every image, so an accuracy can be counted anew. This one is in [](ch-tables): average pooling,
# seed 0, under PGD-7 in spike space with gradients in eval mode.

# %%
from snnpaper import ledger

name = "cifar10-sew18-w16-avg-s0-47644b762c"
record = ledger.read("robustness", name)["results"]
(row,) = (
    a
    for a in record["attacks"]
    if (a["space"], a["algorithm"], a["protocol"]) == ("spike", "PGD", "eval mode") and round(255 * a["eps"]) == 8
)
kept = ledger.unpack(row["correct"], record["n"])
print(f"{kept.sum()} of {len(kept):,} images survive: {100 * kept.mean():.1f} %")

# %% [markdown]
# And one of [](ch-obfuscation): how many images the same network still classifies correctly under PGD-20 of which any iterate counts, at 8/255.
# For each image the record has the index of the least radius that fools it; −1 is none, −2 wrong from the start.

# %%
curve = ledger.read("curve", name)["results"]
(threat,) = (t for t in curve["threats"] if (t["space"], t["algorithm"]) == ("spike", "PGD"))
least = [f for f in threat["first"] if f != -2]
standing = sum(f == -1 or threat["radii"][f] > 8 for f in least)
print(f"{standing} of {curve['n']} images survive: {100 * standing / curve['n']:.1f} %")

# %% [markdown]
# ## Minutes: compute a number again
#
# The network is in `zoo/`, and CIFAR-10 comes by `python -m snnpaper fetch cifar10`. Three lines load the network, attack the first 50
# test images as the record's attack did, and compare with the first number of this page, answer by answer. (The random start follows a
# seed and the place of an image in its batch of 50.)

# %% tags=["nbval-ignore-output"]
from snnpaper import Attack, data, robust, zoo

if data.available("cifar10"):
    run, coded = zoo.load(name)
    again = robust(coded, data.load("cifar10")["test"].first(50), Attack(space="spike")).numpy()
    agree = (again == kept[:50]).sum()
    print(f"{agree} of 50 answers are the record's; {again.sum()} images survive here, {kept[:50].sum()} in the record")
    assert agree >= 48  # another processor rounds otherwise, and an image at the edge may turn
else:
    print("CIFAR-10 is not on this machine: python -m snnpaper fetch cifar10")

# %% [markdown]
# On another processor than the record's a few images whose logits are nearly equal may turn; the cell above allows two.
#
# A whole record is made again in an empty ledger, which borrows the network from the checkout:
#
#     SNNPAPER_HOME=mine python -m snnpaper measure robustness cifar10-sew18-w16-avg-s0-47644b762c
#
# ## Hours: train again
#
# A record has the whole configuration. These are the commands for the cell of the two numbers above and for a network of digits,
# which takes a minute, with what they must come to:

# %%
from pathlib import Path

from snnpaper.config import Run
from snnpaper.report import gaps

small = ledger.read_file(Path("../tests/records/train/digits-sew18-w8-max-s0-2c68e5e2aa.json"))
for trained in (small, ledger.read("train", name)):
    print(gaps.command(Run.from_dict(trained["config"])))
    print(
        f"    test accuracy {100 * trained['results']['test_accuracy']:.1f} %, in {trained['provenance']['wall_seconds'] / 60:.0f} min there"
    )

# %% [markdown]
# A training repeated on one machine with the same number of threads is the same bit for bit. With another number of threads, or on
# another processor, sums are rounded in another order and trainings drift apart: for the network of digits accuracy may then
# differ by 6 points and robust accuracy by 12 (`tests/test_rederive.py`).
#
# ## What is tried on the code
#
# | what | command | time |
# |---|---|---|
# | wrong input: each ends in one error that says what is allowed | `pytest tests/test_bad_input.py tests/test_files.py` | a minute |
# | work that is killed at any moment ends as undisturbed work | `pytest -m "" tests/test_resume.py tests/test_kept.py` | half an hour |
# | faults put into the code one at a time: the tests notice | `python tests/mutants.py` | half an hour |
# | a campaign of small cells, killed again and again | `python tests/soak.py` | ten minutes |
# | every test, every page against its stored output | `make test-all` | hours |
#
# The faults, by part of the package:

# %%
import collections

import yaml

table = yaml.safe_load(Path("../tests/mutants.yml").read_text())
parts = collections.Counter({part: len(rows) for part, rows in table.items()})
groups = collections.Counter()
for part, n in parts.items():
    groups[part.split("/")[0].removesuffix(".py")] += n
print(f"{sum(parts.values())} faults: " + ", ".join(f"{group} {n}" for group, n in groups.most_common()))

# %% [markdown]
# A fault that makes a training endless instead of wrong is stopped by its processor time, and counts as noticed.
