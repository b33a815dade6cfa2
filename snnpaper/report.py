"""The paper's known numbers beside ours, with verdicts computed by rules fixed before the runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from . import ledger, tables
from .config import Run, home
from .stats import over_seeds

# The rules. A verdict needs the paper's scale and five seeds; without them a row is "indicative" and says
# nothing about the paper. With them, the 95 % interval over seeds is compared with the paper's value:
HELD, OTHER_SIZE, UNRESOLVED, NOT_HELD = "held", "same direction, other size", "not resolved", "not held"


def verdict(low: float, high: float, ours: float, half: float, seeds: int, scale: str) -> str:
    """The verdict on one number of the paper, which says low..high (equal for a single value).

    held: the interval ours ± half meets low..high. same direction, other size: it does not, but has the
    paper's sign throughout. not resolved: it contains zero. not held: it has the other sign.
    """
    if scale != "paper" or seeds < tables.FIVE_SEEDS or math.isnan(half):
        return "indicative, no verdict"
    if ours - half <= high and ours + half >= low:
        return HELD
    if ours - half <= 0 <= ours + half:
        return UNRESOLVED
    return OTHER_SIZE if (ours > 0) == (low > 0) else NOT_HELD


def paper_values(path: Path | None = None) -> dict[str, dict]:
    """book/paper_values.yml; raises ValueError naming an entry without value, text or source."""
    values = yaml.safe_load((path or home() / "book" / "paper_values.yml").read_text(encoding="utf-8"))
    for key, entry in values.items():
        if missing := {"value", "text", "source"} - set(entry):
            raise ValueError(f"{key} lacks {', '.join(sorted(missing))}; allowed null, but present")
    return values


def gradient_density(layer: str, mode: str, root: Path | None = None) -> pd.DataFrame:
    """Non-zero share (per cent) at one layer's output, one row a network: cell, seed, n, density."""
    rows = []
    for record in ledger.records("sparsity", root):
        run, r = Run.from_dict(record["config"]), record["results"]
        (row,) = (x for x in r[f"activation_{mode}"] if x["layer"] == layer)
        cell = {k: getattr(run, k) for k in tables.CELL} | {"seed": run.seed, "run": run.name}
        rows.append(cell | {"n": r["activation_n"], "density": 100 * row["0_mean"]})
    return pd.DataFrame(rows, columns=[*tables.CELL, "seed", "run", "n", "density"])


def comparisons(root: Path | None = None, values: Path | None = None) -> pd.DataFrame:
    """One row per number of the paper and cell of ours that speaks to it.

    Columns: key, claim, paper, ours, seeds, images, where (cell and space), scale, verdict, runs. A
    number without any record of ours has one row that says so.
    """
    known, acc = paper_values(values), tables.accuracies(root)
    clean, pgd = acc["space"] == "clean", (acc["method"] == "pgd") & (acc["space"] == "spike")
    maxed = acc["pool"] == "max"
    rows: list[dict] = []
    fgsm = (acc["method"] == "fgsm") & (acc["space"] == "spike")
    for key, select in (("clean_max", clean & maxed), ("pgd_max", pgd & maxed), ("fgsm_max", fgsm & maxed)):
        rows += _levels(key, known[key], acc[select])
    for key, select in (("clean_gain_avg", clean), ("clean_gain_avg_range", clean)):
        rows += _differences(key, known[key], acc[select], -1)
    for key in ("pgd_loss_avg", "pgd_loss_avg_range"):
        rows += _differences(key, known[key], acc[pgd], 1)
    rows += _sparsity("pool_sparsity_drop", known["pool_sparsity_drop"], gradient_density("sn1", "eval", root))
    done = {r["key"] for r in rows}
    rows += [_row(k, v, "not measured", "", "", "", [], "") for k, v in known.items() if k not in done]
    return pd.DataFrame(rows)


def _levels(key: str, entry: dict, part: pd.DataFrame) -> list[dict]:
    """Accuracies per cell, threat space and eps."""
    return _each(key, entry, part, ["pool"], lambda p: [100 * a for a in p["accuracy"]], "{:.1f}")


def _differences(key: str, entry: dict, part: pd.DataFrame, sign: int) -> list[dict]:
    """sign * (max - avg) in points, paired over seeds."""

    def paired(p: pd.DataFrame) -> list[float]:
        one = {pool: q.set_index("seed")["accuracy"] for pool, q in p.groupby("pool")}
        return list(100 * sign * (one["max"] - one["avg"]).dropna()) if set(one) == {"max", "avg"} else []

    return _each(key, entry, part, [], paired, "{:+.1f}")


def _sparsity(key: str, entry: dict, part: pd.DataFrame) -> list[dict]:
    """Density with average minus density with max pooling at the pool's input, in points."""

    def paired(p: pd.DataFrame) -> list[float]:
        one = {pool: q.set_index("seed")["density"] for pool, q in p.groupby("pool")}
        return list((one["avg"] - one["max"]).dropna()) if set(one) == {"max", "avg"} else []

    part = part.assign(space="gradient at the pool's input", protocol="sound", method="clean", eps=0)
    return _each(key, entry, part, [], paired, "{:+.1f}")


def _each(
    key: str,
    entry: dict,
    part: pd.DataFrame,
    extra: list[str],
    quantity: Callable[[pd.DataFrame], list[float]],
    style: str,
) -> list[dict]:
    """A row per cell of ours (all runs alike but for seed, and pool unless in `extra`)."""
    by = [k for k in tables.CELL if k != "pool"] + ["space", "protocol", "method", "eps", "n", *extra]
    rows = []
    for values, p in part.groupby(by, sort=False):
        cell, found = dict(zip(by, values, strict=True)), quantity(p)
        if not found:
            continue
        mean, half = over_seeds(found)
        ours = style.format(mean) + ("" if math.isnan(half) else f" ± {half:.1f}")
        where = f"{cell['dataset']}, {tables.network_text(cell)}"
        if cell["space"] != "clean":
            where += f"; {cell['space']}" + (" space" if cell["space"] in ("pixel", "spike") else "")
        if cell["method"] != "clean":
            where += f", {tables.attack_text(cell)}, {cell['protocol']} protocol"
        low, high = _range(entry["value"])
        word = "" if low is None else verdict(low, high, mean, half, len(found), cell["scale"])
        rows.append(_row(key, entry, ours, len(found), cell["n"], where, sorted(p["run"]), cell["scale"], word))
    return rows


def _range(value) -> tuple[float | None, float | None]:
    return tuple(value) if isinstance(value, list) else (value, value)


def _row(key, entry, ours, seeds, images, where, runs, scale, word="") -> dict:
    low, high = _range(entry["value"])
    paper = "not known to us" if low is None else f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return {"key": key, "claim": entry["text"], "paper": paper, "ours": ours, "seeds": str(seeds), "images": images,
            "where": where, "scale": scale, "verdict": word, "runs": runs}  # fmt: skip
