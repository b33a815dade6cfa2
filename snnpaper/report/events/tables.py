"""What survives a change of frames or of events, max beside avg: pure functions from the records to data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ... import ledger
from ...config import Run
from ...nets.data import TABLE
from ...stats import FEW
from .. import tables
from ..attacks.tables import SHOWN as IMAGES
from ..attacks.tables import WORST, paired
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
# Compared beside clean and the worst case: where accuracies are neither at chance nor as if nothing had happened.
ASKED: dict[str, list[tuple[str, float]]] = {
    "nmnist": [(FRAMES, 0.1), (GUIDED, 32)],
    "cifar10sim": [(FRAMES, 0.1), (GUIDED, 32)],
}
STEM = {"input": "at the frames", "sn1": "at the pool's input"}  # places of `densities`


def records(dataset: str) -> list[dict]:
    """The records "events" of the networks that chapter 8 shows of a data set, both pools."""
    shown = SHOWN[dataset]
    found = [(Run.from_dict(r["config"]), r) for r in ledger.records("events")]
    return [r for run, r in found if run.pool in tables.PAIR and run.but(pool=shown.pool, seed=shown.seed) == shown]


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

    Columns: run, pool, seed, scale, n, space, eps (moves), attack, correct (bool array), accuracy.
    """
    rows = []
    for record in records(dataset):
        run, n = Run.from_dict(record["config"]), record["results"]["n"]
        head = {"run": run.name, "pool": run.pool, "seed": run.seed, "scale": run.scale, "n": n, "space": "events"}
        for b in record["results"]["batteries"]:
            named = {"clean": b["clean"], WORST: b["robust"]}
            named |= {a["algorithm"]: a["correct"] for a in b["attacks"] if a["whole"]}
            for attack, bits in named.items():
                correct = ledger.unpack(bits, n)
                row = {"eps": b["budget"], "attack": attack, "correct": correct, "accuracy": correct.mean()}
                rows.append(head | row)
    return pd.DataFrame(rows, columns=["run", "pool", "seed", "scale", "n", "space", "eps", "attack", "correct",
                                       "accuracy"])  # fmt: skip


def each_attack(battery: pd.DataFrame) -> pd.DataFrame:
    """`worst` for print: per cent left by every attack, a row an attack, mean over the seeds of a pool."""
    left = 100 * battery.pivot_table(index=["eps", "attack"], columns="pool", values="accuracy", sort=False)
    shown = left.reset_index().rename(columns={"eps": "moves"})
    last = shown["attack"] == WORST
    return pd.concat([shown[~last], shown[last]]).round(1)


def at(frame: pd.DataFrame, name: str, radius: float) -> pd.DataFrame:
    """`attacks.tables.paired` of `curves` under one threat at one radius: at most one row."""
    part = frame[(frame["threat"] == name) & (frame["radius"] == radius)]
    return paired(part.rename(columns={"threat": "space", "radius": "eps"}).assign(attack=name))


def compared(dataset: str, asked: list[tuple[str, float]]) -> pd.DataFrame:
    """max − avg of a data set: clean, at the threats and radii `asked`, and in the worst case of each budget.

    The columns of `attacks.tables.paired`, with `data` and `what` (in words) before them.
    """
    found, battery = curves(dataset), worst(dataset)
    rows = [("clean", at(found, FRAMES, 0))]
    rows += [(f"{name} at {radius:g}", at(found, name, radius)) for name, radius in asked]
    for budget in sorted(battery["eps"].unique()):
        one = battery[(battery["eps"] == budget) & (battery["attack"] == WORST)]
        rows.append((f"worst case of {budget} moves", paired(one)))
    named = [part.assign(what=what) for what, part in rows if len(part)]
    columns = ["data", "what", "seeds", "n", *tables.PAIR, "difference", "half"]
    if not named:
        return pd.DataFrame(columns=columns)
    return pd.concat(named, ignore_index=True).assign(data=TABLE[dataset].label)[columns]


def text(found: pd.DataFrame) -> pd.DataFrame:
    """`compared` for print: per cent, and the difference in points with its 95 % interval."""
    shown = found[["data", "what", "seeds", "n"]].copy()
    for pool in tables.PAIR:
        shown[pool] = [f"{100 * a:.1f}" for a in found[pool]]
    shown[tables.minus()] = [tables.difference_text(row) for _, row in found.iterrows()]
    shown["reading"] = ["indicative: few seeds" if n < tables.FIVE_SEEDS else "reduced scale" for n in found["seeds"]]
    return shown.rename(columns={"what": "changed, and by how much", "n": "recordings"})


def gradients() -> pd.DataFrame:
    """Gradient density and norm at the places of STEM beside CIFAR-10's, eval mode, a row a data set, place and pool.

    Columns: dataset, data, place, pool, seeds, n, runs, density and norm (means over seeds), half (of the density,
    95 % over seeds; nan below FEW).
    """
    found, rows = densities(), []
    found = found[(found["state"] == "trained") & (found["mode"] == "eval")]
    for dataset, shown in {"cifar10": IMAGES, **SHOWN}.items():
        cell = {k: v for k, v in tables.cell(shown).items() if k != "pool"}
        part = tables.of(found[(found[list(cell)] == pd.Series(cell)).all(axis=1)])
        for place, name in STEM.items():
            here = part[part["place"] == place]
            norms = over(here, ["pool"], "norm").set_index("pool")["mean"]
            for _, row in over(here, ["pool"], "0").iterrows():
                head = {"dataset": dataset, "data": TABLE[dataset].label, "place": name, "norm": norms[row["pool"]]}
                rows.append(head | row.rename({"mean": "density"}).to_dict())
    columns = ["dataset", "data", "place", "pool", "seeds", "n", "runs", "density", "half", "norm"]
    return pd.DataFrame(rows, columns=columns)


def gradients_text(found: pd.DataFrame) -> pd.DataFrame:
    """`gradients` for print."""
    half = [h if n >= FEW else np.nan for h, n in zip(found["half"], found["seeds"], strict=True)]
    shown = found[["data", "place", "pool", "seeds", "n"]].copy()
    shown["non-zero (%)"] = [tables.interval_text(d, h) for d, h in zip(found["density"], half, strict=True)]
    shown["L2 norm"] = [f"{v:.2f}" for v in found["norm"]]
    return shown.rename(columns={"n": "images or recordings"})
