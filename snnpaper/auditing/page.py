"""An audit as one HTML page that needs nothing else: the number and whether it stands, then the evidence."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import image as mpl
from torch import Tensor

from .figures import curve, ladder

if TYPE_CHECKING:
    from .report import Report

SHOWN = 8  # images that fell
WORDS = {True: ("pass", "passed"), False: ("fail", "failed"), None: ("none", "not made")}


def page(report: Report, adversarial: Tensor, x: Tensor) -> str:
    """The page of a report; adversarial and x [N,...] in [0,1] show the first images that fell."""
    v = report.values
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    word = v["verdict"]["word"]
    number = f"""<p class="number"><b>{100 * v["robust"]["accuracy"]:.1f} %</b> robust accuracy
{_interval(v["robust"])}<br>worst case within L∞ {v["eps_255"]:.3g}/255; clean accuracy
{100 * v["clean"]["accuracy"]:.1f} % {_interval(v["clean"])}</p>"""
    said = f'<p class="verdict {word}"><b>{word}</b>: {_text(v["verdict"]["why"][0])}</p>'
    more = "".join(f"<li>{_text(w)}</li>" for w in v["verdict"]["why"][1:])
    said += (
        f"<details><summary>{len(v['verdict']['why']) - 1} more reasons</summary><ul>{more}</ul></details>"
        if more
        else ""
    )
    head = number + said if word == "reliable" else said + number
    m, seconds = v["model"], v["time"]["seconds"]
    facts = {
        "Model": f"{m['class']}, {m['parameters']:,} parameters, {m['classes']} classes",
        "Library": f"{m['library']}" + (f"; {len(m['spiking_layers'])} spiking layers, surrogate "
                                        f"{', '.join(m['surrogates'])}" if m["spiking_layers"] else ""),
        "Random": f"yes: every forward pass is the mean of {m['draws']}" if m["random"] else "no",
        "Images": "; ".join([f"{v['images']['n']} of shape {v['images']['shape']}", *v["images"]["notes"]]),
        "Protocol": f"{v['protocol']}, {v['settings']['strength']}, settings {v['settings_hash']}, seed "
                    f"{v['settings']['seed']}",
        "Time": f"{seconds / 60:.1f} minutes",
    }  # fmt: skip
    listed = "".join(f"<dt>{k}</dt><dd>{_text(t)}</dd>" for k, t in facts.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit: {100 * v["robust"]["accuracy"]:.1f} % robust, {word}</title><style>{style}</style></head>
<body><main>
<h1>Audit of a robust accuracy</h1>
{head}
<h2>The attack ladder</h2>
<p>From cheap to dear; those after the first {sum(a["every_image"] for a in v["attacks"])} see only images that still
stand. A bar is the images that stand after the attack, of {v["clean"]["correct"]} classified correctly.</p>
<div class="wide">{ladder(v)}</div>
{_attacks(v)}
<h2>Accuracy against radius</h2>
<p>PGD-20 from one random start at each radius, on the images classified correctly: it must fall to chance.</p>
<div class="wide">{curve(v)}</div>
<h2>Checks</h2>
{_checks(v)}
<h2>Images that fell</h2>
{_images(v, adversarial, x)}
<h2>Not tested</h2>
<ul>{"".join(f"<li>{_text(t)}</li>" for t in v["not_tested"])}</ul>
<h2>What was audited</h2>
<dl>{listed}</dl>
<h2>To quote</h2>
<p class="quote">{_text(report.line)}</p>
</main></body></html>
"""


def _text(value: Any) -> str:
    return html.escape(str(value))


def _interval(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    return f'<span class="soft">[{100 * low:.1f}, {100 * high:.1f}], n = {part["n"]}</span>'


def _attacks(v: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(a['name'])}</td><td>{a['fooled']} of {a['attacked']}</td><td>{_text(a['budget'])}</td></tr>"
        for a in [*v["attacks"], *v["twice"]]
    )
    return f"""<details><summary>every attack and its budget</summary><div class="wide"><table>
<tr><th>attack</th><th>fooled</th><th>budget for an image</th></tr>{rows}</table></div></details>"""


def _checks(v: dict[str, Any]) -> str:
    order = {False: 0, None: 2, True: 1}
    rows = []
    for c in sorted(v["checks"], key=lambda c: order[c["passed"]]):
        cls, word = WORDS[c["passed"]]
        cls = "note" if cls == "fail" and not c["voids"] else cls
        then = f"<br><b>{_text(c['meaning'])}</b>. {_text(c['advice'])}" if c["passed"] is False else ""
        rows.append(f'<li class="{cls}"><span>{word if cls != "note" else "to know"}</span> <b>{_text(c["name"])}</b>'
                    f"<br>{_text(c['evidence'])}{then}</li>")  # fmt: skip
    return f'<ul class="checks">{"".join(rows)}</ul>'


def _images(v: dict[str, Any], adversarial: Tensor, x: Tensor) -> str:
    if not v["fell"]:
        return "<p>None.</p>"
    cards = []
    for f in v["fell"][:SHOWN]:
        i = f["image"]
        clean, moved = x[i].numpy(), adversarial[i].numpy()
        change = 0.5 + (moved - clean) / (2 * v["eps"])
        pictures = "".join(f'<img alt="{what}" src="{_png(a)}">' for what, a in
                           (("as given", clean), ("as misread", moved), ("the change, magnified", change)))  # fmt: skip
        cards.append(f"<figure>{pictures}<figcaption>image {i}: class {f['label']} read as {f['said']}, by "
                     f"{_text(f['attack'])}</figcaption></figure>")  # fmt: skip
    by = Counter(f["attack"] for f in v["fell"])
    counted = ", ".join(f"{n} to {_text(name)}" for name, n in by.items())
    first = f" The first {SHOWN}:" if len(v["fell"]) > SHOWN else ""
    return (
        f"<p>{len(v['fell'])} fell: {counted}. Each picture as given, as misread, and the change (grey is none).{first}"
        f'</p><div class="fell">{"".join(cards)}</div>'
    )


def _png(values: np.ndarray) -> str:
    """An image of any shape as a data URI: two dimensions grey, three channels colour, of anything else the mean."""
    while values.ndim > 3:
        values = values.mean(0)
    if values.ndim == 1:
        values = values[None]
    if values.ndim == 3:
        values = values.transpose(1, 2, 0) if values.shape[0] == 3 else values.mean(0)
    file = io.BytesIO()
    mpl.imsave(file, np.clip(values, 0, 1), cmap="gray", vmin=0, vmax=1, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
