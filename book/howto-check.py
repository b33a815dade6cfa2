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
# A record holds the answer to every image, so an accuracy can be counted anew. This one is in [](tables-sound), in the row of
# PGD-7 at 8/255 of the cell with five seeds: average pooling in spike space, gradients in eval mode, the mean over five networks.

# %%
from snnpaper import Run, ledger

names = [Run.make("cpu", pool="avg", seed=seed).name for seed in range(5)]
kept = {}
for name in names:
    record = ledger.read("robustness", name)["results"]
    (row,) = (
        a
        for a in record["attacks"]
        if (a["space"], a["algorithm"], a["protocol"]) == ("spike", "PGD", "eval mode") and round(255 * a["eps"]) == 8
    )
    kept[name] = ledger.unpack(row["correct"], record["n"])
    print(f"{name}: {kept[name].sum()} of {record['n']:,} images survive")
print(f"mean: {100 * sum(k.mean() for k in kept.values()) / 5:.1f} %")

# %% [markdown]
# And one of [](ch-obfuscation): what the same networks leave under PGD-20 of which any iterate counts, at 8/255. For each image the
# record has the index of the least radius that fools it; −1 is none, −2 wrong from the start.

# %%
shares = []
for name in names:
    curve = ledger.read("curve", name)["results"]
    (threat,) = (t for t in curve["threats"] if (t["space"], t["algorithm"]) == ("spike", "PGD"))
    least = [f for f in threat["first"] if f != -2]
    shares.append(sum(f == -1 or threat["radii"][f] > 8 for f in least) / curve["n"])
print(f"mean: {100 * sum(shares) / 5:.1f} % of {curve['n']} images")

# %% [markdown]
# ## Minutes: compute a number again
#
# The networks are in `zoo/`, and CIFAR-10 comes by `python -m snnpaper fetch cifar10`. Three lines load the first of them, attack
# the first 50 test images as the record's attack did, and compare with its record, answer by answer. (The random start follows a
# seed and the place of an image in its batch of 50.)

# %% tags=["nbval-ignore-output"]
from snnpaper import Attack, data, robust, zoo

if data.available("cifar10"):
    run, coded = zoo.load(names[0])
    again = robust(coded, data.load("cifar10")["test"].first(50), Attack(space="spike")).numpy()
    stored = kept[names[0]][:50]
    agree = (again == stored).sum()
    print(f"{agree} of 50 answers are the record's; {again.sum()} images survive here, {stored.sum()} in the record")
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

from snnpaper import cost
from snnpaper.config import Run
from snnpaper.report import gaps

small = ledger.read_file(Path("../tests/records/train/digits-sew18-w8-max-s0-2c68e5e2aa.json"))
for trained in (small, ledger.read("train", names[0])):
    print(gaps.command(Run.from_dict(trained["config"])))
    took = cost.duration(trained["provenance"]["wall_seconds"])
    print(f"    test accuracy {100 * trained['results']['test_accuracy']:.1f} %, in {took} there")

# %% [markdown]
# A training repeated on one machine with the same number of threads is the same bit for bit. With another number of threads, or on
# another processor, sums are rounded in another order and trainings drift apart: for the network of digits accuracy may then
# differ by 6 points and robust accuracy by 12 (`tests/test_rederive.py`).
#
# ## What is tried on the code
#
# Each suite is one command; what it found when it last ran is recorded (minutes are of a machine with other work beside it). All of
# them in turn, about an hour: `python tests/suites.py`. The whole tests, slow ones included: `make test-all`, hours.

# %% tags=["hide-input"]
from IPython.display import HTML

from snnpaper.report import page, suites

ran = suites.newest()
assert not suites.failed(ran), suites.failed(ran)
HTML(page.table(suites.outcomes(ran)))

# %% [markdown]
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
