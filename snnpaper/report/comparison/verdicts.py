"""The paper's known numbers beside ours, with verdicts computed by rules fixed before the runs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from ...attacks.standard import EVAL, TRAIN
from ...config import book
from ...nets import data, pools
from ...stats import FEW, one_run, over_seeds, over_seeds_and_images
from .. import tables, words
from ..trail import densities

# The rules. A verdict needs the paper's scale and five seeds; without them a row is "indicative" and says
# nothing about the paper. With them, our 95 % interval over seeds and images is compared with the paper's value.
HELD, OTHER_SIZE, UNRESOLVED, NOT_HELD = "held", "same direction, other size", "not resolved", "not held"
HIGHER, LOWER = "ours is higher", "ours is lower"
INDICATIVE, ELSEWHERE = "indicative, no verdict", "another data set, no verdict"
UNCLEAR = "its meaning is not stated, no verdict"
NO_VERDICT = ("", INDICATIVE, ELSEWHERE, UNCLEAR)
WIDEST = 5.0  # points: an accuracy known less well than this agrees with too much to be said to hold


_KEYS = {"value", "text", "source", "note", "dataset", "label", "unclear"}


def verdict(
    low: float, high: float, ours: float, half: float, one_run: float, seeds: int, scale: str, difference: bool
) -> str:
    """The verdict on one number of the paper, which says low..high (equal for a single value), in points.

    The paper's number is one run's, so it agrees with ours when it meets the interval of one more run of ours: our
    mean's `half` and the scatter of single runs `one_run`, their squares added. A difference that contains zero
    within `half` is not resolved, with the other sign not held, and otherwise held or of other size. An accuracy is
    held, or ours is higher or lower; it is not resolved when one more run is not known to WIDEST points.
    """
    if scale != "paper" or seeds < tables.FIVE_SEEDS or math.isnan(half):
        return INDICATIVE
    one_more = math.hypot(half, one_run)
    agrees = ours - one_more <= high and ours + one_more >= low
    if difference:
        if ours - half <= 0 <= ours + half:
            return UNRESOLVED
        if (ours > 0) != (low > 0):
            return NOT_HELD
        return HELD if agrees else OTHER_SIZE
    if one_more > WIDEST:
        return UNRESOLVED
    return HELD if agrees else HIGHER if ours > high else LOWER


def sign_verdict(ours: float, half: float, seeds: int, scale: str) -> str:
    """The verdict on a claim that says "more than" without a number: `ours` is the difference it says is positive.

    held: the 95 % interval lies above zero; not held: below; not resolved: it contains zero.
    """
    if scale != "paper" or seeds < tables.FIVE_SEEDS or math.isnan(half):
        return INDICATIVE
    return by_sign(ours, half)


def by_sign(ours: float, half: float) -> str:
    """Where the 95 % interval lies, whatever the scale."""
    return HELD if ours > half else NOT_HELD if ours < -half else UNRESOLVED


def paper_values(path: Path | None = None) -> dict[str, dict]:
    """book/paper_values.yml: {value, text, source}, where known dataset and label; and the cells it leaves out.

    Raises ValueError naming an entry that lacks one of the first three or has an unknown key.
    """
    given = yaml.safe_load((path or book() / "paper_values.yml").read_text(encoding="utf-8"))
    cells = _cells()
    values = {key: cells.get(key, {}) | entry for key, entry in given.items()}
    values |= {key: cell for key, cell in cells.items() if key not in given}
    for key, entry in values.items():
        if missing := {"value", "text", "source"} - set(entry):
            raise ValueError(f"{key} lacks {', '.join(sorted(missing))}; allowed null, but present")
        if unknown := set(entry) - _KEYS:
            raise ValueError(f"{key} has {', '.join(sorted(unknown))}; allowed: {', '.join(sorted(_KEYS))}")
    return values


def _cells() -> dict[str, dict]:
    """Accuracies by data set, network, pool and attack, as tables like the paper's have them; values unknown."""
    found = {}
    for dataset, depth in itertools.product(("cifar10", "cifar100", "cifar10dvs"), (18, 34, 50)):
        for pool, what in itertools.product(tables.PAIR, ("clean", "fgsm", "pgd")):
            label = f"SEW-ResNet-{depth}"
            name = what if what == "clean" else what.upper()
            text = f"{name} accuracy, {data.TABLE[dataset].label}, {label}, {pools.find(pool).label}"
            entry = {"value": None, "source": None, "dataset": dataset, "label": label, "text": text}
            found[f"{what}_{pool}_{dataset}_sew{depth}"] = entry
    return found


def comparisons(values: Path | None = None) -> pd.DataFrame:
    """One row per number of the paper and cell of ours that speaks to it, published networks only.

    Columns: key, claim, paper, ours, seeds, images, where (cell and attack), scale, verdict, runs. Attacked
    accuracies are those of the published protocol in spike space, the paper's own; a number without any
    record of ours has one row that says so.
    """
    known, acc = paper_values(values), tables.published(tables.accuracies())
    published = (acc["space"] == "spike") & (acc["protocol"] == TRAIN)
    select = {"clean": acc["space"] == "clean"}
    select |= {method: published & (acc["method"] == method) for method in ("fgsm", "pgd")}
    rows: list[dict] = []
    for key, entry in known.items():
        what, *rest = key.split("_")
        if what == "pool" and rest == ["sparsity", "drop"]:
            rows += _each(key, entry, tables.of(_pool_density()), [], _density_lost, "{:+.1f}")
        elif what in select and rest and rest[0] in tables.PAIR:
            part = acc[select[what] & (acc["pool"] == rest[0])]
            rows += _each(key, entry, part, ["pool"], _accuracy, "{:.1f}")
        elif what in select and rest and rest[0] in ("gain", "loss"):
            pair = tables.PAIR[::-1] if rest[0] == "gain" else tables.PAIR
            rows += _each(key, entry, tables.of(acc[select[what]]), [], functools.partial(_between, pair), "{:+.1f}")
    done = {r["key"] for r in rows}
    rows += [_row(k, v, "not measured", "", "", "", [], "") for k, v in known.items() if k not in done]
    order = list(known)
    return pd.DataFrame(sorted(rows, key=lambda r: order.index(r["key"])))


def printed_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells of tables like the paper's as `comparisons` found them: paper | ours, a row a network and pool.

    Ours is the recorded cell nearest the paper: its scale first, then the most seeds; attacks at 8/255. Columns:
    data, network, pool, reading (which cell), verdict, then per measurement paper and ours.
    """
    found: dict[tuple, list[dict]] = {}
    for row in rows[rows["key"].str.contains(r"_sew\d+$")].to_dict("records"):
        what, pool, dataset, depth = row["key"].split("_")
        head = (data.TABLE[dataset].label, depth.replace("sew", "SEW-ResNet-"), pool)
        cell, _, attack = row["where"].partition("; ")
        if "6/255" not in attack:
            found.setdefault(head, []).append(row | {"what": what, "cell": cell})
    table = []
    for head, cells in found.items():
        measured = [c for c in cells if c["cell"]]
        best = max(measured, key=lambda c: (c["scale"] == "paper", int(c["seeds"])), default={"cell": ""})["cell"]
        used = [c for c in measured if c["cell"] == best]
        row = dict(zip(("data", "network", "pool"), head, strict=True))
        row["reading"] = (
            f"{best.split(', ', 2)[2]}; {words.reading(used[0]['scale'], int(used[0]['seeds']))}" if used else ""
        )
        row["verdict"] = "; ".join(sorted({c["verdict"] for c in used} - {""}))
        for what in ("clean", "fgsm", "pgd"):
            ours = next((c["ours"] for c in cells if c["what"] == what and c["cell"] == best and best), "missing")
            paper = next(c["paper"] for c in cells if c["what"] == what)
            row |= {f"{what}: paper": paper.replace("not known to us", "?"), f"{what}: ours": ours}
        table.append(row)
    return pd.DataFrame(table)


Estimate = tuple[int, float, float, float]  # seeds, mean, half-width, scatter of single runs; fractions


def _accuracy(p: pd.DataFrame) -> Estimate:
    """A cell's accuracy."""
    return len(p), *over_seeds_and_images(np.stack(list(p["correct"]))), one_run(p["accuracy"])


def _between(pair: tables.Pair, p: pd.DataFrame) -> Estimate | None:
    """The accuracy with one pool minus that with the other, paired by seed and image."""
    found = tables.contrast(p, pair)
    if not len(found):
        return None
    (d,) = found.to_dict("records")
    return d["seeds"], d["difference"], d["half"], d["one_run"]


def _density_lost(p: pd.DataFrame) -> Estimate | None:
    """The density that average pooling has beyond max pooling's."""
    lost = -tables.by_seed(p, "0")
    return (len(lost), *over_seeds(lost), one_run(lost)) if len(lost) else None


def _pool_density() -> pd.DataFrame:
    """Gradient density at the pool's input, eval mode, of the trained published networks."""
    found = densities.frame()
    at = found[(found["state"] == "trained") & (found["mode"] == "eval") & (found["place"] == "sn1")]
    return tables.published(at).assign(space="gradient at the pool's input", protocol=EVAL, method="clean", eps=0)


def _each(
    key: str,
    entry: dict,
    part: pd.DataFrame,
    extra: list[str],
    quantity: Callable[[pd.DataFrame], Estimate | None],
    style: str,
) -> list[dict]:
    """A row per cell of ours (all runs alike but for seed, and pool unless in `extra`)."""
    by = [*tables.COMMON, "space", "protocol", "method", "eps", "n", *extra]
    if "label" in entry:  # a cell of the paper's tables: compared with the same cell only
        part = part[(part["label"] == entry["label"]) & (part["dataset"] == entry["dataset"])]
    rows = []
    for values, p in part.groupby(by, sort=False):
        cell, found = dict(zip(by, values, strict=True)), quantity(p)
        if not found:
            continue
        seeds, mean, half, single = found[0], *(100 * x for x in found[1:])
        half = half if seeds >= FEW else math.nan  # one or two seeds say nothing of others
        ours = style.format(mean) + ("" if math.isnan(half) else f" ± {half:.1f}")
        where = words.where(cell)
        if cell["space"] != "clean":
            where += f"; {cell['space']}" + (" space" if cell["space"] in ("pixel", "spike") else "")
        if cell["method"] != "clean":
            where += f", {words.attack_text(cell)}, {cell['protocol']}"
        low, high = _range(entry["value"])
        word = (
            ""
            if low is None or high is None
            else verdict(low, high, mean, half, single, seeds, cell["scale"], quantity is not _accuracy)
        )
        if word and entry.get("dataset", cell["dataset"]) != cell["dataset"]:
            word = ELSEWHERE
        if word and entry.get("unclear"):
            word = UNCLEAR
        rows.append(_row(key, entry, ours, seeds, cell["n"], where, sorted(p["run"]), cell["scale"], word))
    return rows


def _range(value) -> tuple[float | None, float | None]:
    return tuple(value) if isinstance(value, list) else (value, value)


def _row(key, entry, ours, seeds, images, where, runs, scale, word="") -> dict:
    low, high = _range(entry["value"])
    paper = "not known to us" if low is None else f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return {"key": key, "claim": entry["text"], "paper": paper, "ours": ours, "seeds": str(seeds), "images": images,
            "where": where, "scale": scale, "verdict": word, "runs": runs}  # fmt: skip
