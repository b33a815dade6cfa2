"""Chapter 5's tables beyond `tables.trade_off`: the paper's grid, generalisation, and published defences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from ...config import book
from ...nets import data, pools
from ...stats import over_seeds
from .. import gaps, tables, words
from ..attacks.tables import SHOWN, WORST
from .figures import SPACES

# The grid of the paper's Tables 1 to 3, as far as their shape is known.
DATASETS = ("cifar10", "cifar100", "cifar10dvs")
ARCHS = ("resnet18", "resnet34", "resnet50")
_NUMBERS = ("clean", "fgsm", "pgd")


def grid(acc: pd.DataFrame) -> pd.DataFrame:
    """One row per data set and depth: seeds at the paper's scale, what is there below it, and how to fill it.

    `acc` is `tables.accuracies`. Columns: data, network, paper scale (seeds of max, avg), below it (the
    cells recorded at reduced scale), command (max pooling, seed 0), cost of one network.
    """
    rows, here = [], tables.published(acc)
    clean = tables.of(here[here["space"] == "clean"])
    for dataset in DATASETS:
        for arch in ARCHS:
            label = f"SEW-ResNet-{arch.removeprefix('resnet')}"
            part = clean[(clean["dataset"] == dataset) & (clean["label"] == label)]
            whole = part[part["scale"] == "paper"]
            seeds = _seeds(whole)
            less = part[part["scale"] != "paper"].groupby(["width", "epochs", "train_images"], sort=False)
            below = [
                f"width {w}, {e} epoch{'s' * (e > 1)}{f' of {n:,} images' * (n > 0)}: {_count(_seeds(p))}"
                for (w, e, n), p in less
            ]
            row = {"data": data.TABLE[dataset].label, "network": label, "seeds at paper scale": _count(seeds)}
            missing = gaps.missing(dataset, arch=arch)
            enough = min(seeds.values()) >= tables.FIVE_SEEDS
            row |= {"below it, indicative": "; ".join(below) or "none"}
            rows.append(row | ({"command": "", "cost": "complete"} if enough else missing))
    return pd.DataFrame(rows)


def _seeds(part: pd.DataFrame) -> dict[str, int]:
    return {pool: part.loc[part["pool"] == pool, "seed"].nunique() for pool in tables.PAIR}


def _count(seeds: dict[str, int]) -> str:
    return ", ".join(f"{pool} {n}" for pool, n in seeds.items()) if any(seeds.values()) else "none"


def taken_apart(acc: pd.DataFrame) -> pd.DataFrame:
    """Max beside avg for every network of `acc` (`tables.accuracies`, one attack), a row a threat model; per cent."""
    found = [words.trade_off(acc, *key).reset_index().assign(model=title) for key, title in SPACES.items()]
    rows = pd.concat(found)
    rows["images"] = [f"{n:,}" for n in rows["images"]]
    rows["threat model"] = rows["model"].where(rows["attack"] != "clean", "none: clean")
    rows = rows.drop_duplicates(["data", "network", "threat model"]).sort_values(["data", "network"], kind="stable")
    return rows[["data", "network", "threat model", *tables.PAIR, words.minus(), "images", "reading"]]


def generalisation(learned: pd.DataFrame) -> pd.DataFrame:
    """Train and test accuracy and their gap, max beside avg, per cell of `tables.training`; per cent.

    ± is the 95 % interval over seeds; max − avg is paired by seed. Training accuracy is measured in eval mode
    on 5,000 training images.
    """
    keys, rows = tables.COMMON, []
    frame = tables.of(learned.assign(gap=learned["train"] - learned["test"]))
    frame = frame.sort_values(["dataset", "label", "width", "train_images", "epochs"], kind="stable")
    for values, part in frame.groupby(keys, sort=False):
        one = dict(zip(keys, values, strict=True))
        head = {"data": data.TABLE[one["dataset"]].label, "network": words.network_text(one)}
        found = {pool: p.set_index("seed") for pool, p in part.groupby("pool")}
        for what, name in (("train", "train"), ("test", "test"), ("gap", "train − test")):
            row = head | {"accuracy": name}
            for pool in tables.PAIR:
                row[pool] = words.interval_text(*over_seeds(found[pool][what])) if pool in found else "missing"
            d = tables.by_seed(part, what)
            row[words.minus()] = words.interval_text(*over_seeds(d)) if len(d) else ""
            seeds = int(part.groupby("pool").size().min())
            rows.append(row | {"seeds": seeds, "reading": words.reading(one["scale"], seeds)})
    columns = ["data", "network", "accuracy", *tables.PAIR, words.minus(), "seeds", "reading"]
    return pd.DataFrame(rows, columns=columns)


def defences(path: Path | None = None) -> pd.DataFrame:
    """book/published_defences.yml, one row a method: data, network, T, method, adversarial, clean, fgsm, pgd
    (per cent), attack, source, read. Raises ValueError naming a group without source or with other numbers."""
    groups = yaml.safe_load((path or book() / "published_defences.yml").read_text(encoding="utf-8"))
    rows = []
    for group in groups:
        if not group.get("source") or group.get("read") not in ("primary", "secondary"):
            raise ValueError(
                f"{group.get('source') or 'a group'}: allowed are a source, and read: primary or secondary"
            )
        for row in group["rows"]:
            if len(row["numbers"]) != len(_NUMBERS):
                raise ValueError(f"{group['source']}, {row['method']}: allowed are the three numbers {_NUMBERS}")
            kept = {k: group[k] for k in ("dataset", "network", "T", "source", "read", "cite")}
            attack = f"PGD, {group['pgd'] or 'steps not seen'}"
            rows.append(kept | {"method": row["method"], "adversarial": row["adversarial"], "attack": attack}
                        | dict(zip(_NUMBERS, row["numbers"], strict=True)))  # fmt: skip
    return pd.DataFrame(rows)


def _with_T(row: pd.Series) -> str:
    return f"{row['network']}, " + (f"T = {row['T']:g}" if pd.notna(row["T"]) else "T not seen")


def _ours(one: dict, part: pd.DataFrame, attack: str) -> dict:
    """The row of one cell of ours, from its rows by method."""
    texts, seeds = {m: words.accuracy_text(p) for m, p in part.groupby("method")}, part["seed"].nunique()
    return {
        "method": f"none, {pools.find(one['pool']).label}", "network": words.network_text(one),
        "adversarially trained": "no", **{k: texts.get(k, "") for k in _NUMBERS}, "attack": attack,
        "origin": "measured here",
        "source": f"{words.reading(one['scale'], seeds)}, {words.seeds_text(seeds)}, {part['n'].min():,} images",
        "_pgd": 100 * part.loc[part["method"] == "pgd", "accuracy"].mean(),
    }  # fmt: skip


def reported(acc: pd.DataFrame, battery: pd.DataFrame, dataset: str, path: Path | None = None) -> pd.DataFrame:
    """Published defences on one data set and our networks without any, pixel space, eps 8/255, by PGD accuracy.

    Ours are the published kind of network by the sound protocol, and where `battery` (`attacks.tables.rows`) has it
    the worst case. "origin" is "reported" or "measured here"; "source" says where and how it was read, or our
    scale and seeds. Per cent.
    """
    theirs = defences(path)
    theirs = theirs[theirs["dataset"] == dataset]
    rows = [{
        "method": r["method"], "network": _with_T(r),
        "adversarially trained": {True: "yes", False: "no"}.get(r["adversarial"], "not seen"),
        **{k: f"{r[k]:g}" for k in _NUMBERS}, "attack": r["attack"],
        "origin": "reported", "source": f"{r['source']} ({r['read']})", "_pgd": r["pgd"],
    } for _, r in theirs.iterrows()]  # fmt: skip
    attacked = battery[(battery["space"] == "pixel") & (battery["eps"] == 8)]
    worst = attacked.assign(method=attacked["attack"].map({"clean": "clean", WORST: "pgd"})).dropna(subset="method")
    if dataset == SHOWN.dataset:
        for pool, part in worst.groupby("pool"):
            rows.append(_ours(tables.cell(SHOWN.but(pool=pool)), part, "worst case of all attacks"))
    here = tables.published(acc)
    here = here[(here["dataset"] == dataset) & here["space"].isin(["clean", "pixel"]) & here["eps"].isin([0, 8])]
    for values, part in here.groupby(tables.CELL, sort=False):
        rows.append(_ours(dict(zip(tables.CELL, values, strict=True)), part, "PGD, 7 steps of 0.01, BPDA"))
    return pd.DataFrame(rows).sort_values("_pgd", ascending=False, ignore_index=True).drop(columns="_pgd")
