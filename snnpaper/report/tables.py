"""Tables of the book: pure functions from the ledger to data frames. Accuracies are fractions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import ledger
from ..attacks.standard import EVAL, Attack
from ..config import Run
from ..nets import data
from ..stats import one_run, over_seeds_and_images, wilson

# What makes two runs one cell of a table: all but the seed. "variant" names every other departure from
# the published setting.
Pair = tuple[str, str]
PAIR: Pair = ("max", "avg")  # the paper's own; a contrast is of two pools by name, and others do not disturb it
CELL = ["dataset", "label", "width", "train_images", "epochs", "batch_size", "variant", "scale", "pool"]
COMMON = CELL[:-1]  # what the two networks of a contrast have in common
MEASURED = ["space", "protocol", "method", "eps"]
_COLUMNS = ["run", *CELL, "seed", "n", *MEASURED, "accuracy", "low", "high", "correct"]
PGD = Attack(space="spike").settings.name  # as published: the last iterate, steps of 0.01
# Events that the paper has not: networks on them are in chapter 8 and nowhere else.
OURS = tuple(name for name, entry in data.TABLE.items() if entry.frames and name != "cifar10dvs")
FIVE_SEEDS = 5  # fewer are marked indicative and enter no verdict


_VARIANT = {
    "coding": "{} coding",
    "T": "T = {}",
    "surrogate": "{} surrogate",
    "alpha": "alpha = {:g}",
    "lr": "learning rate {:g}",
    "weight_decay": "weight decay {:g}",
    "count_include_pad": "padding not counted",
    "precision": "{}",
    "defence": "defence {}",
    "norm": "normalisation: {}",
}


def cell(run: Run) -> dict:
    """A run's values of the columns CELL; "variant" is empty for the published setting at any scale."""
    published = Run(dataset=run.dataset)  # whose code is that of the data: events have frames and need none
    differ = [k for k in _VARIANT if getattr(run, k) != getattr(published, k)]
    if run.pooling != run.pool:  # the pool's name says it
        differ.remove("count_include_pad")
    variant = ", ".join(_VARIANT[k].format(getattr(run, k)) for k in differ)
    named = {"variant": variant, "pool": run.pooling}
    return {k: named[k] if k in named else getattr(run, k) for k in CELL}


def common(run: Run) -> dict:
    """`cell` without the pool."""
    return {k: v for k, v in cell(run).items() if k != "pool"}


def alike(frame: pd.DataFrame, values: dict) -> pd.Series:
    """Which rows have these values in the columns of these names (bool)."""
    return (frame[list(values)] == pd.Series(values)).all(axis=1)


def records(kind: str, like: Run) -> list[tuple[Run, dict]]:
    """The records of one kind of networks that differ from `like` in pool and seed alone, each with its run."""
    found = ((Run.from_dict(r["config"]), r) for r in ledger.records(kind))
    return [(run, record) for run, record in found if run.but(pool=like.pool, seed=like.seed) == like]


def published(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the published kind of network, at any depth and scale: SEW-ResNet of IF neurons, no variant.

    Those on data sets of OURS are none.
    """
    kind = frame["label"].str.fullmatch(r"SEW-ResNet-\d+") & (frame["variant"] == "")
    return frame[kind & ~frame["dataset"].isin(OURS)]


def accuracies() -> pd.DataFrame:
    """`accuracies_of` for every network with a robustness record; an empty frame without records.

    Clean accuracy is that on the whole test split, of which the attacked images are the first.
    """
    found, trained = (
        ledger.records("robustness"),
        {r["name"]: r["results"] for r in ledger.records("train")},
    )
    frames = [accuracies_of(Run.from_dict(r["config"]), r["results"], trained.get(r["name"])) for r in found]
    if not frames:
        return pd.DataFrame(columns=_COLUMNS)
    order = [k for k in CELL if k not in ("variant", "scale", "pool")]  # tables list what is longer or wider later
    return pd.concat(frames).sort_values(order, kind="stable", ignore_index=True)


def accuracies_of(run: Run, results: dict, trained: dict | None = None) -> pd.DataFrame:
    """One row per measurement of one network: clean, and each attack.

    `results` is what `measure.robustness` gives, `trained` its training record's, which has the clean
    answers on all test images. Columns: run, the cell's columns, seed, n, space (or "clean"), protocol, method,
    eps (in 1/255), accuracy, low, high (95 % Wilson), correct (bool array over the images).
    """
    clean = {"space": "clean", "protocol": EVAL, "algorithm": "clean", "eps": 0.0, "correct": results["clean_correct"]}
    clean["n"] = results["n"]
    if trained and "test_correct" in trained:
        clean |= {"correct": trained["test_correct"], "n": trained["test_n"]}
    rows = []
    for a in [clean, *results["attacks"]]:
        hits = ledger.unpack(a["correct"], a.get("n", results["n"]))
        low, high = wilson(int(hits.sum()), len(hits))
        head = {"run": run.name, **cell(run), "seed": run.seed, "n": len(hits)}
        what = {k: a[k] for k in ("space", "protocol")} | {"method": a["algorithm"].lower()}
        what |= {"eps": round(255 * a["eps"])}
        rows.append(head | what | {"accuracy": hits.mean(), "low": low, "high": high, "correct": hits})
    return pd.DataFrame(rows, columns=_COLUMNS)


def of(frame: pd.DataFrame, pair: Pair = PAIR) -> pd.DataFrame:
    """The rows of the two pools."""
    return frame[frame["pool"].isin(pair)]


def both_pools(part: pd.DataFrame, pair: Pair = PAIR) -> tuple[list[int], np.ndarray, np.ndarray] | None:
    """The seeds that have both pools, and [seeds, images] right under each; None without such a seed."""
    one, other = (part[part["pool"] == pool].set_index("seed")["correct"] for pool in pair)
    seeds = sorted(set(one.index) & set(other.index))
    if not seeds:
        return None
    first, second = (np.stack([c[s] for s in seeds]).astype(int) for c in (one, other))
    return seeds, first, second


def by_seed(part: pd.DataFrame, column: str, pair: Pair = PAIR) -> pd.Series:
    """The first pool minus the second of one column, indexed by the seeds that have both; empty without any."""
    one, other = (part[part["pool"] == pool].set_index("seed")[column].astype(float) for pool in pair)
    return (one - other).dropna().rename_axis("seed")


def contrast(frame: pd.DataFrame, pair: Pair = PAIR) -> pd.DataFrame:
    """Paired difference of two pools, the first minus the second (same images, same seed), a row a cell and attack.

    `difference` and `half` are those of `over_seeds_and_images`, `one_run` is the scatter of single pairs, `by_seed`
    each seed's difference (a dict); `runs` are the networks compared.
    """
    keys = [*COMMON, *MEASURED, "n"]
    rows = []
    for values, part in of(frame, pair).groupby(keys, sort=False):
        if not (both := both_pools(part, pair)):
            continue
        seeds, a, b = both
        mean, half = over_seeds_and_images(a - b)
        runs = sorted(part.loc[part["seed"].isin(seeds), "run"])
        found = {
            "seeds": len(seeds),
            "difference": mean,
            "half": half,
            "one_run": one_run((a - b).mean(1)),
            "by_seed": dict(zip(seeds, (a - b).mean(1), strict=True)),
            "runs": runs,
        }
        rows.append(dict(zip(keys, values, strict=True)) | found)
    return pd.DataFrame(rows, columns=[*keys, "seeds", "difference", "half", "one_run", "by_seed", "runs"])


def training() -> pd.DataFrame:
    """One row per trained network: cell, seed, accuracies on train, validation and test, n (test images), images
    (trained on in an epoch), hardware, minutes."""
    rows = []
    for record in ledger.records("train"):
        run, r, p = Run.from_dict(record["config"]), record["results"], record["provenance"]
        head = {"run": record["name"], **cell(run), "seed": run.seed}
        reached = {k: r[f"{k}_accuracy"] for k in ("train", "validation", "test")}
        machine = {"hardware": p["hardware"]["gpu"] or p["hardware"]["cpu"], "minutes": p["wall_seconds"] / 60}
        rows.append(head | reached | {"n": r["test_n"], "images": run.images} | machine)
    columns = ["run", *CELL, "seed", "train", "validation", "test", "n", "images", "hardware", "minutes"]
    return pd.DataFrame(rows, columns=columns)
