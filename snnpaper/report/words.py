"""What the rows of `tables` are called in print: numbers with their intervals, networks, attacks, and sentences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..attacks.standard import EVAL
from ..nets import data, pools
from ..stats import FEW, over_seeds_and_images, wilson
from .tables import COMMON, FIVE_SEEDS, MEASURED, PAIR, PGD, Pair, contrast, of


def trade_off(frame: pd.DataFrame, space: str, protocol: str = EVAL, pair: Pair = PAIR) -> pd.DataFrame:
    """The printed table of one threat space: clean and each attack, two pools side by side and their difference.

    Per cent: mean ± half-width of the 95 % interval over seeds and images; with fewer than FEW seeds the
    interval over the images alone, in brackets. Fewer than five seeds or a reduced scale is marked indicative.
    """
    part = of(frame, pair)
    part = part[(part["space"] == "clean") | (part["space"] == space) & (part["protocol"] == protocol)]
    keys = [*COMMON, *MEASURED, "n"]
    rows = []
    for values, here in part.groupby(keys, sort=False):
        one, seeds = dict(zip(keys, values, strict=True)), here.groupby("pool").size().min()
        texts = {pool: accuracy_text(p) for pool, p in here.groupby("pool")}
        difference = contrast(here, pair)
        row = {"data": data.TABLE[one["dataset"]].label, "network": network_text(one), "attack": attack_text(one)}
        row |= {pool: texts.get(pool, "missing") for pool in pair}
        row[minus(pair)] = difference_text(difference.iloc[0]) if len(difference) else ""
        rows.append(row | {"images": one["n"], "seeds": seeds, "reading": reading(one["scale"], seeds)})
    columns = ["data", "network", "attack", *pair, minus(pair), "images", "seeds", "reading"]
    return pd.DataFrame(rows, columns=columns).set_index(["data", "network", "attack"])


def readings(frame: pd.DataFrame, pair: Pair = PAIR) -> list[str]:
    """What the recorded differences say, in sentences computed from them; one a cell and space.

    Of cells with five seeds of both pools. A difference is called above or below only when its 95 % interval
    over seeds and images leaves zero out.
    """
    found, (one, other) = [], (pools.find(pool).label for pool in pair)
    for _, d in contrast(frame, pair).iterrows():
        if d["method"] == "fgsm" or d["eps"] == 6 or d["seeds"] < FIVE_SEEDS:
            continue
        way = "is above" if d["difference"] > d["half"] else "cannot be told from"
        way = "is below" if d["difference"] < -d["half"] else way
        what = "Clean" if d["space"] == "clean" else f"{attack_text(d)}, {d['space']} space, {d['protocol']}"
        size = interval_text(d["difference"], d["half"])
        where = f"{network_text(d)}, {data.TABLE[d['dataset']].label}, {d['seeds']} seeds, {d['n']:,} images"
        found.append(f"{what}: {one} {way} {other}, {size} points ({where}; {d['scale']} scale).")
    return found or ["No cell has five seeds of both pools yet: nothing can be said."]


def minus(pair: Pair = PAIR) -> str:
    """The heading of a difference: "max − avg"."""
    return " − ".join(pair)


def interval_text(mean: float, half: float) -> str:
    """ "12.3 ± 0.4" in per cent (points); without ± when one run gives no interval."""
    return f"{100 * mean:z.1f}" + ("" if half != half else f" ± {100 * half:.1f}")


def difference_text(d: pd.Series) -> str:
    """A difference in points: "1.2 ± 0.4" over seeds and images, or "1.2 [0.8, 1.6]" over images alone."""
    mean, half = d["difference"], d["half"]
    if d["seeds"] >= FEW:
        return interval_text(mean, half)
    return f"{100 * mean:z.1f} [{100 * (mean - half):z.1f}, {100 * (mean + half):z.1f}]"


def accuracy_text(rows: pd.DataFrame) -> str:
    """One cell's accuracy in per cent with the interval that its number of seeds allows."""
    hits = np.stack(list(rows["correct"]))
    if len(hits) >= FEW:
        return interval_text(*over_seeds_and_images(hits))
    low, high = wilson(round(hits.mean() * hits.shape[1]), hits.shape[1])
    return f"{100 * hits.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def reading(scale: str, seeds: int) -> str:
    """How a row may be read: its scale, and whether that or the number of seeds leaves it without a verdict."""
    return f"{scale} scale" + ("" if scale == "paper" and seeds >= FIVE_SEEDS else ", indicative")


def seeds_text(seeds: int) -> str:
    """ "1 seed", "3 seeds"."""
    return count(seeds, "seed")


def count(number: int | str, noun: str) -> str:
    """ "1 image", "3 images", "3 to 5 seeds"."""
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"


def attack_text(row) -> str:
    """clean, FGSM 8/255 or PGD-7 (last iterate) 8/255."""
    return {"clean": "clean", "fgsm": f"FGSM {row['eps']}/255", "pgd": f"{PGD} {row['eps']}/255"}[row["method"]]


def network_text(one) -> str:
    """SEW-ResNet-18, width 16, 5 epochs of 10,000 images, rate coding; without images when it is all of them."""
    text = f"{one['label']}, width {one['width']}, {one['epochs']} epoch{'s' if one['epochs'] > 1 else ''}"
    text += f" of {one['train_images']:,} images" if one["train_images"] else ""
    return text + (f", {one['variant']}" if one["variant"] else "")


def where(one) -> str:
    """CIFAR-10, then `network_text`."""
    return f"{data.TABLE[one['dataset']].label}, {network_text(one)}"


def listed(values: Iterable) -> str:
    """Words or numbers in a sentence: "1, 2 and 3"."""
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last
