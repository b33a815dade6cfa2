"""Tables of the book: pure functions from the ledger to data frames. Accuracies are fractions."""

from __future__ import annotations

import html
import math
from pathlib import Path

import pandas as pd

from . import ledger
from .config import Run
from .stats import mcnemar, over_seeds, wilson

# What makes two runs one cell of a table: all but the seed.
CELL = ["dataset", "label", "width", "epochs", "weight_decay", "scale", "pool"]
_MEASURED = ["space", "protocol", "method", "eps"]
_COLUMNS = ["run", *CELL, "seed", "n", *_MEASURED, "accuracy", "low", "high", "correct"]
FIVE_SEEDS = 5  # fewer are marked indicative and enter no verdict


def accuracies(root: Path | None = None) -> pd.DataFrame:
    """`accuracies_of` for every network with a robustness record; an empty frame without records."""
    found = ledger.records("robustness", root)
    frames = [accuracies_of(Run.from_dict(r["config"]), r["results"]) for r in found]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=_COLUMNS)


def accuracies_of(run: Run, results: dict) -> pd.DataFrame:
    """One row per measurement of one network: clean, and each attack.

    `results` is what `experiment.robustness` returns. Columns: run, the cell's columns, seed, n, space
    (or "clean"), protocol, method, eps (in 1/255), accuracy, low, high (95 % Wilson), correct (bool
    array over the images).
    """
    clean = {"space": "clean", "protocol": "sound", "method": "clean", "eps": 0.0, "correct": results["clean_correct"]}
    rows = []
    for a in [clean, *results["attacks"]]:
        hits = ledger.unpack(a["correct"], results["n"])
        low, high = wilson(int(hits.sum()), len(hits))
        head = {"run": run.name, **{k: getattr(run, k) for k in CELL}, "seed": run.seed, "n": len(hits)}
        what = {k: a[k] for k in ("space", "protocol", "method")} | {"eps": round(255 * a["eps"])}
        rows.append(head | what | {"accuracy": hits.mean(), "low": low, "high": high, "correct": hits})
    return pd.DataFrame(rows, columns=_COLUMNS)


def max_minus_avg(frame: pd.DataFrame) -> pd.DataFrame:
    """Paired difference max - avg per seed (same images, same initial seed), then over seeds.

    `half` is the 95 % t half-width over seeds; `p_values` are exact McNemar tests, one per seed.
    """
    keys = [k for k in CELL if k != "pool"] + _MEASURED + ["n"]
    rows = []
    for values, part in frame.groupby(keys, sort=False):
        one = {pool: p.set_index("seed")["correct"] for pool, p in part.groupby("pool")}
        if set(one) != {"max", "avg"}:
            continue
        seeds = sorted(set(one["max"].index) & set(one["avg"].index))
        if not seeds:
            continue
        mean, half = over_seeds([one["max"][s].mean() - one["avg"][s].mean() for s in seeds])
        p_values = [mcnemar(one["max"][s], one["avg"][s]) for s in seeds]
        rows.append(dict(zip(keys, values, strict=True)) | {
            "seeds": len(seeds), "difference": mean, "half": half, "p_values": p_values})  # fmt: skip
    return pd.DataFrame(rows)


def training(root: Path | None = None) -> pd.DataFrame:
    """One row per trained network: cell, seed, accuracies on train, validation and test, hardware, minutes."""
    rows = []
    for record in ledger.records("train", root):
        run, r, p = Run.from_dict(record["config"]), record["results"], record["provenance"]
        cell = {"run": record["name"], **{k: getattr(run, k) for k in CELL}, "seed": run.seed}
        reached = {k: r[f"{k}_accuracy"] for k in ("train", "validation", "test")}
        machine = {"hardware": p["hardware"]["gpu"] or p["hardware"]["cpu"], "minutes": p["wall_seconds"] / 60}
        rows.append(cell | reached | {"n": r["test_n"]} | machine)
    return pd.DataFrame(rows, columns=["run", *CELL, "seed", "train", "validation", "test", "n", "hardware", "minutes"])


def trade_off(frame: pd.DataFrame, space: str, protocol: str = "sound") -> pd.DataFrame:
    """The printed table of one threat space: clean and each attack, max beside avg and their difference.

    Per cent. With several seeds: mean ± half-width of the 95 % t interval over seeds; with one: the
    value and its 95 % Wilson interval over the images. Fewer than five seeds are marked indicative.
    """
    part = frame[(frame["space"] == "clean") | (frame["space"] == space) & (frame["protocol"] == protocol)]
    keys = [k for k in CELL if k != "pool"] + _MEASURED + ["n"]
    rows = []
    for values, here in part.groupby(keys, sort=False):
        cell, seeds = dict(zip(keys, values, strict=True)), here.groupby("pool").size().min()
        pools = {pool: accuracy_text(one) for pool, one in here.groupby("pool")}
        paired = max_minus_avg(here)
        row = {"network": network_text(cell)}
        row |= {"attack": attack_text(cell)} | {pool: pools.get(pool, "") for pool in ("max", "avg")}
        row["max − avg"] = "" if paired.empty else interval_text(paired["difference"][0], paired["half"][0])
        reading = f"{cell['scale']} scale" + ("" if seeds >= FIVE_SEEDS else ", indicative")
        rows.append(row | {"images": cell["n"], "seeds": seeds, "reading": reading})
    columns = ["network", "attack", "max", "avg", "max − avg", "images", "seeds", "reading"]
    return pd.DataFrame(rows, columns=columns).set_index(["network", "attack"])


def network_text(cell) -> str:
    """SEW-ResNet-18, width 16, 4 epochs."""
    return f"{cell['label']}, width {cell['width']}, {cell['epochs']} epoch{'s' * (cell['epochs'] > 1)}"


def attack_text(row) -> str:
    """clean, FGSM 8/255 or PGD-7 8/255."""
    return {"clean": "clean", "fgsm": f"FGSM {row['eps']}/255", "pgd": f"PGD-7 {row['eps']}/255"}[row["method"]]


def accuracy_text(rows: pd.DataFrame) -> str:
    """One cell's accuracy in per cent with the interval that its number of seeds allows."""
    if len(rows) == 1:
        one = rows.iloc[0]
        return f"{100 * one['accuracy']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
    return interval_text(*over_seeds(rows["accuracy"]))


def interval_text(mean: float, half: float) -> str:
    """ "12.3 ± 0.4" in per cent (points); without ± when one run gives no interval."""
    return f"{100 * mean:.1f}" + ("" if half != half else f" ± {100 * half:.1f}")


def readings(frame: pd.DataFrame) -> list[str]:
    """What the recorded differences say, in sentences computed from them; one a cell and space.

    A difference is called above or below only when its 95 % interval over seeds leaves zero out.
    """
    found = []
    for _, d in max_minus_avg(frame).iterrows():
        if d["method"] == "fgsm" or d["eps"] == 6 or math.isnan(d["half"]):
            continue
        way = "is above" if d["difference"] > d["half"] else "cannot be told from"
        way = "is below" if d["difference"] < -d["half"] else way
        what = "Clean" if d["space"] == "clean" else f"{attack_text(d)}, {d['space']} space, {d['protocol']} protocol"
        size = interval_text(d["difference"], d["half"])
        cell = f"{d['label']}, width {d['width']}, {d['dataset']}, {d['seeds']} seeds, {d['n']:,} images"
        found.append(f"{what}: max pooling {way} average pooling, {size} points ({cell}; {d['scale']} scale).")
    return found or ["No cell has two seeds of both pools yet: nothing can be said."]


def bullets(sentences: list[str]) -> str:
    """The sentences as an HTML list, which a page can also show away from its chapter."""
    return "<ul>" + "".join(f"<li>{html.escape(s)}</li>" for s in sentences) + "</ul>"
