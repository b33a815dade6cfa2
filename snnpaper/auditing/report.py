"""What an audit found, as plain values: JSON, text, a line to quote, and the difference of two."""

from __future__ import annotations

import hashlib
import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import files
from ..attacks.ensemble import predictions
from ..stats import wilson
from .audited import Audited
from .climb import Climb, Row
from .ladder import CHUNK
from .probe import Probe
from .verdict import Measured, findings, verdict

WIDTH = 88  # characters of a line of the text
WORDS = {True: "pass", False: "FAIL", None: "-"}
SCHEMA = Path(__file__).with_name("schema.json")


class Report:
    """`values` are those of report.json, described in schema.json; `str` of a report is its text."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @classmethod
    def read(cls, file: str | Path) -> Report:
        """A report from its JSON; raises ValueError for another file."""
        try:
            values = json.loads(Path(file).read_text(encoding="utf-8"))
            if not str(values["protocol"]).startswith("snnpaper-audit "):
                raise KeyError("protocol")
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
            raise ValueError(f"{file} is no report of an audit; allowed: a report.json") from None
        return cls(values)

    def save(self, folder: str | Path, adversarial: Tensor, x: Tensor) -> None:
        """report.json and report.html; the images, as they were given and as they are misread, are for the page."""
        from .page import page

        text = json.dumps(self.values, indent=1, ensure_ascii=False) + "\n"
        files.write(Path(folder) / "report.html", page(self, adversarial.cpu(), x.cpu()))
        files.write(Path(folder) / "report.json", text)

    @property
    def headline(self) -> str:
        """The number, or before it why it may not stand."""
        v = self.values
        number = (
            f"clean accuracy {_share(v['clean'])}, robust accuracy {_share(v['robust'])} "
            f"(worst case within {v['eps_255']:.3g}/255)"
        )
        why = v["verdict"]["why"]
        if v["verdict"]["word"] == "reliable":
            return f"{number}: reliable; {why[0]}"
        more = f", and {len(why) - 1} more" if len(why) > 1 else ""
        return f"{v['verdict']['word']}: {why[0]}{more}. {number[0].upper()}{number[1:]}"

    @property
    def line(self) -> str:
        """What a paper can quote."""
        v, (low, high) = self.values, self.values["robust"]["interval"]
        part = f"{100 * v['robust']['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        return (
            f"{part} of n = {v['robust']['n']} images "
            f"withstand L∞ {v['eps_255']:.3g}/255 "
            f"({v['verdict']['word']}; clean {100 * v['clean']['accuracy']:.1f} %); {v['protocol']} "
            f"{v['settings']['strength']}, settings {v['settings_hash']}"
        )

    def __str__(self) -> str:
        v = self.values
        lines = [self.headline]
        lines += [f"  {a['name']:34} fooled {a['fooled']:4} of {a['attacked']}" for a in v["attacks"]]
        lines += [f"  {WORDS[c['passed']]:5} {c['name']}: {c['evidence']}" for c in v["checks"]]
        lines += [f"  {c['name']}: {c['advice']}" for c in v["checks"] if c["passed"] is False]
        lines.append("not tested: " + "; ".join(v["not_tested"]))
        wrapped = [
            textwrap.fill(s, WIDTH, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False)
            for s in lines
        ]
        return "\n".join([*wrapped, self.line])  # the last is to be quoted, and stays whole


def _share(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    return f"{100 * part['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {part['n']} images"


def _mend(audited: Audited) -> str:
    """What makes a model forget: in forward, where that is a whole pass, and outside it where it is one time step."""
    line = audited.adapter.line
    if audited.how.steps is not None:
        return f"reset it between images, as the audit does ({line}), and not in forward, which is one time step"
    if line.startswith("reset="):
        return f"clear what it keeps at the start of forward, or give {line}"
    return f"write {line} at the start of forward; if that is one time step, give steps=T instead"


def assemble(
    audited: Audited, seen: Probe, climb: Climb, settings: dict, notes: list[str], fixed: list[str],
    untested: list[str],
) -> Report:  # fmt: skip
    """The values of a report, all of one set of images."""
    adapter, evidence, clean = audited.adapter, climb.evidence, climb.clean
    assert audited.classes is not None
    measured = Measured(
        images=len(clean), n=int(clean.sum()), classes=audited.classes, random=seen.random,
        alone=seen.alone, forgets=seen.forgets, mend=_mend(audited), unchanged=climb.unchanged, left_out=climb.left_out,
        standing={r.stage.settings.algorithm: int((r.seen & ~r.fooled).sum()) for r in climb.rows
                  if r.stage.whole and (r.seen == clean).all()},
        noise_alone=_noise_alone(climb.rows), square=_square(climb.rows), trace=evidence.get("trace"),
        along=evidence.get("along"), far=evidence.get("far"), curve=evidence["curve"], cut="cut" in evidence,
        better=evidence["better"], moved=_moved(climb),
    )  # fmt: skip
    checks = findings(measured)
    word, why = verdict(checks)
    weights = sum(p.numel() for p in audited.model.parameters())
    encoded = json.dumps(settings, sort_keys=True)
    return Report({
        "protocol": settings["protocol"],
        "settings": settings,
        "settings_hash": hashlib.sha256(encoded.encode()).hexdigest()[:10],
        "eps": climb.eps,
        "eps_255": 255 * climb.eps,
        "clean": _accuracy(clean),
        "robust": _accuracy(climb.standing),
        "verdict": {"word": word, "why": why},
        "model": {
            "class": type(getattr(audited.model, "function", audited.model)).__name__, "parameters": weights,
            "library": adapter.name, "spiking_layers": list(adapter.neurons), "surrogates": list(adapter.own),
            "classes": audited.classes, "random": seen.random, "draws": audited.draws,
        },
        "images": {"n": len(clean), "shape": list(audited.item), "notes": notes},
        "attacks": [_row(r) for r in climb.rows],
        "twice": [_row(r) for r in climb.again],
        "curve": [{"radius": r, "survive": n, "n": measured.n} for r, n in sorted(measured.curve.items())],
        "checks": [asdict(c) for c in checks],
        "fell": _fell(audited, climb),
        "not_tested": [*untested, *fixed, *[f"{name} (no time)" for name in climb.left_out]],
        "versions": {"torch": torch.__version__},
    })  # fmt: skip


def _accuracy(hits: Tensor) -> dict[str, Any]:
    n, k = len(hits), int(hits.sum())
    return {"correct": k, "n": n, "accuracy": k / n, "interval": list(wilson(k, n))}


def _row(row: Row) -> dict[str, Any]:
    s = row.stage.settings
    return {
        "name": s.name, "kind": s.kind, "budget": s.budget, "attacked": int(row.seen.sum()),
        "fooled": int(row.fooled.sum()), "due": row.due, "every_image": row.stage.whole, "settings": asdict(s),
    }  # fmt: skip


def _noise_alone(rows: list[Row]) -> int | None:
    """Fooled by random noise and by no gradient attack that saw every image; None unless all of them are done."""
    every = [r for r in rows if r.stage.whole]
    gradient = [r.fooled for r in every if r.stage.settings.kind == "gradient"]
    noise = [r.fooled for r in every if r.stage.settings.kind == "random"]
    if not noise or not gradient or not all(r.complete for r in every):
        return None
    return int((noise[0] & ~torch.stack(gradient).any(0)).sum())


def _square(rows: list[Row]) -> tuple[int, int] | None:
    row = next((r for r in rows if r.stage.settings.algorithm == "Square"), None)
    return None if row is None or not row.complete else (int(row.fooled.sum()), row.due)


def _moved(climb: Climb) -> tuple[int, int] | None:
    if not climb.again or not all(r.complete for r in climb.again):
        return None
    return sum(int(r.fooled.sum()) for r in climb.again), climb.left


def _fell(audited: Audited, climb: Climb) -> list[dict[str, Any]]:
    """The images that fell: which, to what first, and what the model then says."""
    i = [k for k, name in enumerate(climb.by) if name]
    said = predictions(audited, climb.adversarial[i], CHUNK).tolist() if i else []
    labels = climb.y[i].tolist()
    return [
        {"image": k, "label": label, "said": now, "attack": climb.by[k]}
        for k, label, now in zip(i, labels, said, strict=True)
    ]


def diff(one: Report, other: Report) -> str:
    """Two reports beside each other, in lines; says first what makes them no comparison."""
    a, b = one.values, other.values
    lines = [
        f"not comparable: {name} {a[name]} against {b[name]}"
        for name in ("protocol", "settings_hash", "eps") if a[name] != b[name]
    ]  # fmt: skip
    if a["images"]["n"] != b["images"]["n"]:
        lines.append(f"not comparable: {a['images']['n']} images against {b['images']['n']}")
    for name in ("clean", "robust"):
        change = 100 * (b[name]["accuracy"] - a[name]["accuracy"])
        lines.append(f"{name} accuracy: {_share(a[name])} -> {_share(b[name])}, {change:+.1f} points")
    lines.append(f"verdict: {a['verdict']['word']} -> {b['verdict']['word']}")
    before = {c["name"]: c for c in a["checks"]}
    for c in b["checks"]:
        old = before.get(c["name"])
        if old is None or old["passed"] != c["passed"]:
            was = "absent" if old is None else WORDS[old["passed"]]
            lines.append(f"{c['name']}: {was} -> {WORDS[c['passed']]} ({c['evidence']})")
    rows = {r["name"]: r for r in a["attacks"]}
    for r in b["attacks"]:
        old = rows.get(r["name"])
        if old is None or (old["fooled"], old["attacked"]) != (r["fooled"], r["attacked"]):
            was = "absent" if old is None else f"{old['fooled']} of {old['attacked']}"
            lines.append(f"{r['name']}: fooled {was} -> {r['fooled']} of {r['attacked']}")
    mine, theirs = ({f["image"] for f in v["fell"]} for v in (a, b))
    lines.append(f"images that fell: {len(mine & theirs)} in both, {len(mine - theirs)} only before, "
                 f"{len(theirs - mine)} only after")  # fmt: skip
    return "\n".join(lines)
