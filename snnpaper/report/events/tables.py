"""What survives a change of frames or of events, max beside avg: pure functions from the records to data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import ledger
from ...config import Run
from ...nets import pools
from ...stats import FEW, over_seeds_and_images
from .. import tables, words
from ..attacks.tables import SHOWN as IMAGES
from ..attacks.tables import SPIKE_PGD, WORST, paired
from ..attacks.tables import curves as image_curves
from ..radii import COLUMNS, along
from ..trail.densities import frame as densities
from ..trail.densities import over

# The networks of chapter 8, of any pool and seed: real recordings, and simulated ones at the scale of two cores.
SHOWN = {
    "nmnist": Run.make("cpu", dataset="nmnist", epochs=10),
    "cifar10sim": Run.make("cpu", dataset="cifar10sim", epochs=4, train_images=2_000),
}
COUNTS, FRAMES = "whole counts, PGD-20 (any iterate)", "frames, PGD-20 (any iterate)"
GUIDED, RANDOM = "events, guided moves", "events, random moves"
KINDS = tuple(f"events, guided moves ({kind})" for kind in ("add", "remove", "shift"))
SMALL = 0.05  # of an event in every entry: where accuracies are neither at chance nor as if nothing had happened
OWN = "guided moves"  # of all kinds, through the network's own gradient
NAMES = {"cifar10": "CIFAR-10, images", "nmnist": "N-MNIST, real", "cifar10sim": "CIFAR-10, simulated events"}
STEM = {"input": "at the network's input", "sn1": "at the pool's input"}  # places of `densities`


def needed() -> list[str]:
    """The names of the networks that the page's first lines are about: five seeds of both pools on real recordings."""
    return [SHOWN["nmnist"].but(pool=p, seed=s).name for s in range(tables.FIVE_SEEDS) for p in tables.PAIR]


def records(dataset: str) -> list[dict]:
    """The records "events" of the networks that chapter 8 shows of a data set, both pools."""
    return [record for run, record in tables.records("events", SHOWN[dataset]) if run.pool in tables.PAIR]


def threat(least: dict) -> str:
    """How the page names a threat of the records: one of COUNTS, FRAMES, GUIDED, RANDOM and KINDS."""
    if least["space"] != "events":
        return {"counts": COUNTS, "frames": FRAMES}[least["space"]]
    one = least["kinds"][0] if len(least["kinds"]) == 1 else ""
    return f"events, {least['algorithm']}" + (f" ({one})" if one else "")


def curves(dataset: str) -> pd.DataFrame:
    """`radii.along` of every network and threat; radii in events in every entry, or numbers of moves."""
    rows: list[dict] = []
    for record in records(dataset):
        for least in record["results"]["threats"]:
            rows += along(Run.from_dict(record["config"]), threat(least), least)
    return pd.DataFrame(rows, columns=COLUMNS)


def worst(dataset: str) -> pd.DataFrame:
    """One row a network, budget of moves and attack that saw every recording; also "clean" and WORST.

    Columns: run, dataset, pool, seed, scale, n, space, eps (moves), attack, correct (bool array), accuracy.
    """
    rows = []
    for record in records(dataset):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"run": run.name, "dataset": dataset, "pool": run.pool, "seed": run.seed, "scale": run.scale}
        head |= {"n": n, "space": "events"}
        for b in record["results"]["batteries"]:
            named = {"clean": b["clean"], WORST: b["robust"]}
            named |= {a["algorithm"]: a["correct"] for a in b["attacks"] if a["whole"]}
            for attack, bits in named.items():
                correct = ledger.unpack(bits, n)
                row = {"eps": b["budget"], "attack": attack, "correct": correct, "accuracy": correct.mean()}
                rows.append(head | row)
    return pd.DataFrame(rows, columns=["run", "dataset", "pool", "seed", "scale", "n", "space", "eps", "attack",
                                       "correct", "accuracy"])  # fmt: skip


def each_attack(battery: pd.DataFrame) -> pd.DataFrame:
    """`worst` for print: per cent left by every attack, a row an attack, mean over the seeds of a pool."""
    left = 100 * battery.pivot_table(index=["eps", "attack"], columns="pool", values="accuracy", sort=False)
    shown = left[pools.ordered(battery["pool"])].reset_index().rename(columns={"eps": "moves"})
    last = shown["attack"] == WORST
    return pd.concat([shown[~last], shown[last]]).round(1)


def at(frame: pd.DataFrame, name: str, radius: float) -> pd.DataFrame:
    """The rows of `curves` under one threat at one radius, as `attacks.tables.paired` takes them."""
    part = frame[(frame["threat"] == name) & (frame["radius"] == radius)]
    return part.rename(columns={"threat": "space", "radius": "eps"}).assign(attack=name)


def compared(dataset: str) -> pd.DataFrame:
    """max − avg of a data set: clean, on frames, and for moves of events; of images, clean and under PGD-20.

    Columns: data, what (in words), seeds, n, each pool's mean and its half-width ("max half"), difference, half: 95 %
    intervals over seeds and images (or recordings).
    """
    if dataset == IMAGES.dataset:
        found = image_curves()
        rows = [("clean", at(found, SPIKE_PGD, 0)), ("coded tensor, PGD-20 at 4/255", at(found, SPIKE_PGD, 4))]
    else:
        found, battery = curves(dataset), worst(dataset)
        rows = [("clean", at(found, FRAMES, 0))]
        rows.append((f"frames by {SMALL:g} of an event, PGD-20", at(found, FRAMES, SMALL)))
        for budget, part in battery.groupby("eps"):
            for attack, how in ((OWN, "own gradient"), (WORST, "worst case")):
                rows.append((f"{budget} moves, {how}", part[part["attack"] == attack]))
    named = [one.assign(what=what, **_halves(part)) for what, part in rows if len(one := paired(part))]
    columns = ["data", "what", "seeds", "n", *tables.PAIR, *map("{} half".format, tables.PAIR), "difference", "half"]
    if not named:
        return pd.DataFrame(columns=columns)
    return pd.concat(named, ignore_index=True).assign(data=NAMES[dataset])[columns]


def _halves(part: pd.DataFrame) -> dict[str, float]:
    by = part.groupby("pool")["correct"]
    return {f"{pool} half": over_seeds_and_images(np.stack(list(hits)))[1] for pool, hits in by}


def text(found: pd.DataFrame) -> pd.DataFrame:
    """`compared` for print: per cent and points, with their 95 % intervals."""
    shown = found[["data", "what"]].copy()
    for pool in tables.PAIR:
        shown[pool] = [words.interval_text(a, h) for a, h in zip(found[pool], found[f"{pool} half"], strict=True)]
    shown[words.minus()] = [words.difference_text(row) for _, row in found.iterrows()]
    shown["seeds"] = [f"{words.seeds_text(n)}{', indicative' * (n < tables.FIVE_SEEDS)}" for n in found["seeds"]]
    shown["images"] = [f"{n} {'images' if d == NAMES[IMAGES.dataset] else 'recordings'}"
                       for n, d in zip(found["n"], found["data"], strict=True)]  # fmt: skip
    return shown.rename(columns={"what": "what is changed"})


def gradients() -> pd.DataFrame:
    """Gradient density and norm at the places of STEM beside CIFAR-10's, eval mode, a row a data set, place and pool.

    Columns: dataset, data, place, pool, seeds, n, runs, density and norm (means over seeds), half (of the density,
    95 % over seeds; nan below FEW).
    """
    found, rows = densities(ours=True), []
    found = found[(found["state"] == "trained") & (found["mode"] == "eval")]
    for dataset, shown in {"cifar10": IMAGES, **SHOWN}.items():
        part = tables.of(found[tables.alike(found, tables.common(shown))])
        for place, name in STEM.items():
            here = part[part["place"] == place]
            norms = over(here, ["pool"], "norm").set_index("pool")["mean"]
            for _, row in over(here, ["pool"], "0").iterrows():
                head = {"dataset": dataset, "data": NAMES[dataset], "place": name, "norm": norms[row["pool"]]}
                rows.append(head | row.rename({"mean": "density"}).to_dict())
    columns = ["dataset", "data", "place", "pool", "seeds", "n", "runs", "density", "half", "norm"]
    return pd.DataFrame(rows, columns=columns)


def gradients_text(found: pd.DataFrame) -> pd.DataFrame:
    """`gradients` for print."""
    half = [h if n >= FEW else np.nan for h, n in zip(found["half"], found["seeds"], strict=True)]
    shown = found[["data", "place", "pool"]].copy()
    shown["non-zero (%)"] = [words.interval_text(d, h) for d, h in zip(found["density"], half, strict=True)]
    shown["L2 norm"] = [f"{v:.2f}" for v in found["norm"]]
    return shown
