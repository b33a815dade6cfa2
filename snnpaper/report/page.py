"""What a chapter puts on the page, as HTML text: tables and figures that name their runs, scale and n.

Figures are also written as SVG and PDF to book/_static/figures/, which the page links to.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from .. import ledger
from ..attacks.standard import EVAL
from ..config import book
from ..nets import pools
from . import plots, tables, words

FIGURES = "_static/figures"
_LONG = 24  # characters; a longer text may be broken


def run_link(name: str, text: str | None = None) -> str:
    """A link to the run's row in the report's list of runs."""
    return f'<a href="ch10.html#run-{html.escape(name)}">{html.escape(text or name)}</a>'


def short_links(names: Iterable[str]) -> str:
    """ "max 0 1 2; avg 0 1": links by pool and seed, from the names of one cell's runs."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        run = ledger.run_of(name)
        found.setdefault(run.pooling, []).append(run_link(name, str(run.seed)))
    return "; ".join("&nbsp;".join([pool, *found[pool]]) for pool in pools.ordered(found))


def origin(part: pd.DataFrame) -> str:
    """Where numbers come from, as one line that unfolds to the list of runs.

    `part` holds the rows behind them, with the columns run, scale, seed, n and the cell's; of none there is nothing
    to say. What is below the paper's scale or five seeds is called indicative.
    """
    if part.empty:
        return ""
    scales = sorted(set(part["scale"]))
    keys = [c for c in (*tables.CELL, "training", "state") if c in part]
    cells = part.groupby(keys)["seed"].nunique()
    seeds = f"{cells.min()}" if cells.min() == cells.max() else f"{cells.min()} to {cells.max()}"
    images = " or ".join(f"{n:,}" for n in sorted(set(part["n"])))
    mark = "" if scales == ["paper"] and cells.min() >= tables.FIVE_SEEDS else ", <strong>indicative</strong>"
    names = sorted(set(part["run"]))
    head = f"{words.count(len(names), 'network')}, {' and '.join(scales)} scale, {words.count(seeds, 'seed')} a cell"
    head += f"; n = {words.count(images, 'image')}{mark}"
    return f"<details><summary>{head}</summary>{', '.join(map(run_link, names))}</details>"


def table(frame: pd.DataFrame, below: str = "", raw: Iterable[str] = (), group: Iterable[str] = ()) -> str:
    """The frame as a table with text aligned left; `below` follows it.

    Columns in `raw` hold HTML. Those in `group` are no columns: where their values change, a row over the
    whole width names them. Long texts may be broken, short ones are not; a column "command" is set as code.
    A frame without rows is said to be one.
    """
    if frame.empty:
        return "<p>No rows yet: nothing recorded gives one.</p>" + below
    group = list(group)
    columns = [c for c in frame.columns if c not in group]
    kinds = {
        c: "wide" if c in raw or max(map(len, map(_text, frame[c])), default=0) > _LONG else "short" for c in columns
    }
    lines = [f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in columns)}</tr>"]
    last = None
    for _, row in frame.iterrows():
        if group and (now := [str(row[c]) for c in group if str(row[c])]) != last:
            text, last = " · ".join(map(html.escape, now)), now
            lines.append(f'<tr class="group"><th colspan="{len(columns)}"><span>{text}</span></th></tr>')
        cells = [_text(row[c]) if c in raw else html.escape(_text(row[c])) for c in columns]
        cells = [f"<code>{t}</code>" if c == "command" and t else t for c, t in zip(columns, cells, strict=True)]
        lines.append("<tr>" + "".join(map('<td class="{}">{}</td>'.format, kinds.values(), cells)) + "</tr>")
    return f'<table class="records"><thead>{lines[0]}</thead><tbody>{"".join(lines[1:])}</tbody></table>{below}'


def _text(value: object) -> str:
    """A cell: floats to six digits, nothing for what is not a number."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return str(value)


def threat_model(acc: pd.DataFrame, space: str, protocol: str = EVAL) -> str:
    """`tables.trade_off` of one threat model, grouped by network, and where it comes from."""
    acc = tables.of(acc)
    text = words.trade_off(acc, space, protocol).reset_index()
    text["images"] = [f"{n:,}" for n in text.pop("images")]  # the last column
    text["seeds"] = [words.count(n, "seed") for n in text["seeds"]]
    used = acc[(acc["space"] == space) & (acc["protocol"] == protocol)]
    return table(text, origin(used), group=["data", "network", "reading", "seeds"])


def reading(row: pd.Series) -> str:
    """ "reduced scale, indicative; 3 seeds, n = 1,000" of a row with scale, seeds and images; "" when not measured."""
    if not row["scale"]:
        return ""
    seeds = int(row["seeds"])
    return f"{words.reading(row['scale'], seeds)}; {words.count(seeds, 'seed')}, n = {int(row['images']):,}"


def folded(frame: pd.DataFrame, what: str) -> str:
    """A table behind a line that counts its rows ("3 missing, with command and cost"); nothing for no rows."""
    if frame.empty:
        return ""
    return f"<details><summary>{len(frame)} {html.escape(what)}</summary>{table(frame)}</details>"


def bullets(sentences: list[str], tag: str = "ul") -> str:
    """The sentences as an HTML list (`tag` "ol" numbers them)."""
    return f"<{tag}>{''.join(f'<li>{html.escape(s)}</li>' for s in sentences)}</{tag}>"


def fold(text: str, summary: str) -> str:
    """HTML behind a line that names it."""
    return f"<details><summary>{html.escape(summary)}</summary>{text}</details>"


def under(figure: Figure, name: str, below: str = "") -> str:
    """Write the figure as <name>.svg and <name>.pdf; returns the links to both, and `below`."""
    files = plots.save(figure, book() / FIGURES, name)
    links = " · ".join(f'<a href="{FIGURES}/{f.name}" download>{f.suffix[1:].upper()}</a>' for f in files)
    return f"<p>Download: {links}</p>{below}"


def runs_table(kinds: Iterable[str]) -> str:
    """Every network with a record of one of these kinds, a row each that `run_link` leads to.

    Test accuracy and cost are those of its training record, where it has one; the hardware that of its first.
    """
    found: dict[str, dict[str, dict]] = {}
    for kind in kinds:
        for record in ledger.records(kind):
            found.setdefault(record["name"], {})[kind] = record
    head = ("run", "scale", "test (%)", "n", "hardware", "minutes of training", "records in results/")
    lines = [f"<tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>"]
    for name, records in sorted(found.items()):
        any_ = next(iter(records.values()))
        trained, hardware = records.get("train"), any_["provenance"]["hardware"]
        values = (
            ["failed" if "failed" in records else "untrained", "", ""]
            if trained is None
            else [
                any_["scale"],
                f"{100 * trained['results']['test_accuracy']:.1f}",
                f"{trained['results']['test_n']:,}",
            ]
        )
        minutes = "" if trained is None else f"{trained['provenance']['wall_seconds'] / 60:.0f}"
        files = ", ".join(f"{kind}/" for kind in records)
        cells = [name, *values, hardware["gpu"] or hardware["cpu"], minutes, files]
        lines.append(f'<tr id="run-{name}">{"".join(f"<td>{html.escape(c)}</td>" for c in cells)}</tr>')
    return f'<table class="records">{"".join(lines)}</table>'
