"""What `make bench` recorded, as the appendix shows it: ratios first, since times hold for one machine."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from .. import ledger
from . import plots

WORDS = {"train_step": "train step", "attack": "PGD-7"}
AXES = {"T": "time steps T", "width": "width", "batch_size": "batch size", "size": "image side", "arch": "layers"}
_BASE = {"T": 10, "width": 16, "batch_size": 16, "size": 32, "arch": "resnet18"}


def newest(device: str = "cpu") -> dict:
    """The latest benchmark record of a kind of device; raises LedgerError when there is none."""
    names = [r["name"] for r in ledger.records("speed") if r["name"].startswith(f"{device}-")]
    if not names:
        raise ledger.LedgerError(f"no speed record for {device} in results/speed; make bench")
    return ledger.read("speed", max(names))


def _rows(rows: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["what"] = frame["what"].map(WORDS)
    return frame


def compared(record: dict) -> pd.DataFrame:
    """One row a setting and task: images a second of each contender, and ours against plain and floor."""
    frame = _rows(record["results"]["compared"])
    keys = [k for k in (*AXES, "what") if k in frame]
    rate = frame.pivot(index=keys, columns="contender", values="images_per_s")
    out = pd.DataFrame(index=rate.index)
    for name in ("plain", "ours", "ours, early exit"):
        out[name] = rate[name]
    out["time over the floor's"] = rate["floor"] / rate["ours"]
    out["over the floor with every tap"] = rate["floor, every tap"] / rate["ours"]
    out["plain's time over that floor"] = rate["floor, every tap"] / rate["plain"]
    out["speed over plain"] = rate["ours"] / rate["plain"]
    out["with early exit"] = rate["ours, early exit"] / rate["plain"]
    return out.reset_index()


def spread(record: dict) -> float:
    """The largest quartile range over its median, of all that was compared."""
    frame = pd.DataFrame(record["results"]["compared"])
    return float(((frame["q3"] - frame["q1"]) / frame["median"]).max())


def variants(record: dict) -> pd.DataFrame:
    """Time of each variant over ours, one column a setting and task."""
    frame = _rows(record["results"]["variants"])
    frame["setting"] = frame["what"]
    for axis in (a for a in AXES if a in frame):
        frame["setting"] += f", {AXES[axis]} ".replace("batch size", "batch") + frame[axis].astype(str)
    wide = frame.pivot(index="contender", columns="setting", values="median")
    order = [c for c in frame["contender"].drop_duplicates() if c != "ours"]
    return wide.loc[order] / wide.loc["ours"]


def profiles(record: dict) -> pd.DataFrame:
    """Share of a train step's processor time, one row a setting."""
    rows = record["results"]["profiles"]
    index = [f"width {r['width']}, batch {r['batch_size']}" for r in rows]
    return pd.DataFrame([r["shares"] for r in rows], index=index)


def costs(record: dict) -> pd.DataFrame:
    """One row a point of the figure: axis, value, ms an image, MiB an image."""
    rows = []
    for c in record["results"]["costs"]:
        batch = c.get("batch_size", _BASE["batch_size"])
        point = {"ms": 1e3 * c["median"] / batch, "mib": c["peak_mib"] / batch}
        changed = [k for k in AXES if k in c]
        for axis in changed or AXES:
            value = c.get(axis, _BASE[axis])
            rows.append({"axis": axis, "value": int(str(value).removeprefix("resnet"))} | point)
    return pd.DataFrame(rows).sort_values(["axis", "value"], kind="stable", ignore_index=True)


def cost_figure(frame: pd.DataFrame) -> Figure:
    """Time and peak memory of a train step an image, against each setting changed alone."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots(2, len(AXES), sharey="row", sharex="col")
    for column, (axis, label) in zip(axes.T, AXES.items(), strict=True):
        part = frame[frame["axis"] == axis]
        for ax, measure, colour in zip(column, ("ms", "mib"), (0, 1), strict=True):
            ax.plot(part["value"], part[measure], "o-", ms=4, color=plots.COLOURS[colour])
            ax.set(xticks=part["value"])
        column[1].set_xlabel(label)
    for ax, measure, label in zip(axes[:, 0], ("ms", "mib"), ("ms an image", "MiB an image"), strict=True):
        ax.set(ylim=(0, 1.05 * frame[measure].max()), ylabel=label)  # the rows share it
    return figure
