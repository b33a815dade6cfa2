"""The two figures of an audit's page, as vector graphics that take their colours from the page."""

from __future__ import annotations

import html
import math
from typing import Any

WIDTH, NAME, ROW = 520, 222, 22  # narrow enough that a phone shows it whole and legible


def ladder(v: dict[str, Any]) -> str:
    """Bars: who stands after each attack, and in another shade who falls to it."""
    n, standing, rows = v["clean"]["correct"], v["clean"]["correct"], []
    fell = {a: 0 for a in [r["name"] for r in v["attacks"]] + ["twice: " + r["name"] for r in v["twice"]]}
    for f in v["fell"]:
        fell[f["attack"]] += 1
    scale = (WIDTH - NAME - 76) / n  # the widest of "191 (−45)" beside the first, whole bar
    for i, (name, fooled) in enumerate(fell.items()):
        standing -= fooled
        y = 8 + ROW * i
        rows.append(
            f'<text x="{NAME - 8}" y="{y + 13}" text-anchor="end">{html.escape(_short(name))}</text>'
            f'<rect class="stand" x="{NAME}" y="{y}" width="{scale * standing:.1f}" height="{ROW - 6}"/>'
            f'<rect class="fall" x="{NAME + scale * standing:.1f}" y="{y}" width="{scale * fooled:.1f}" '
            f'height="{ROW - 6}"/><text x="{NAME + scale * (standing + fooled) + 6:.1f}" y="{y + 13}">{standing}'
            f"{f' (−{fooled})' if fooled else ''}</text>"
        )
    height = 12 + ROW * len(fell)
    return _svg(height, f"{standing} of {n} images stand after every attack", "".join(rows))


def _short(name: str) -> str:
    name = name.replace(" (any iterate)", "").replace(" (last iterate)", "")
    return name if len(name) < 34 else name[:32] + "…"


def curve(v: dict[str, Any]) -> str:
    """Share of the images classified correctly that survive, against the radius on a logarithmic axis."""
    points = [(p["radius"], p["survive"] / p["n"]) for p in v["curve"]]
    if not points:
        return "<p>Not measured: no time.</p>"
    left, right, top, bottom = 48, WIDTH - 24, 12, 212
    low, high = math.log2(points[0][0]), math.log2(max(points[-1][0], 2 * points[0][0]))

    def at(radius: float, share: float) -> tuple[float, float]:
        return left + (math.log2(radius) - low) / (high - low) * (right - left - 40) + 20, bottom - share * (
            bottom - top
        )

    drawn = [at(*p) for p in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    chance = at(points[0][0], 1 / v["model"]["classes"])[1]
    parts = []
    for share in (0, 50, 100):
        level = bottom - 2 * share
        parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{level}" y2="{level}"/>'
                     f'<text x="{left - 8}" y="{level + 4}" text-anchor="end">{share} %</text>')  # fmt: skip
    parts.append(f'<line class="chance" x1="{left}" x2="{right}" y1="{chance:.1f}" y2="{chance:.1f}"/>'
                 f'<text x="{right}" y="{chance - 4:.1f}" text-anchor="end">chance</text>')  # fmt: skip
    at_eps = at(v["eps"], 0)[0]
    parts.append(f'<line class="chance" x1="{at_eps:.1f}" x2="{at_eps:.1f}" y1="{top}" y2="{bottom}"/>'
                 f'<text x="{at_eps + 5:.1f}" y="{top + 10}">ε</text>')  # fmt: skip
    parts.append(f'<polyline class="line" points="{line}"/>')
    for (x, y), (radius, share) in zip(drawn, points, strict=True):
        parts.append(f'<circle class="stand" cx="{x:.1f}" cy="{y:.1f}" r="4"/><text x="{x:.1f}" y="{bottom + 20}" '
                     f'text-anchor="middle">{255 * radius:.3g}/255</text><text x="{x + 7:.1f}" y="{y - 7:.1f}">'
                     f"{100 * share:.0f} %</text>")  # fmt: skip
    return _svg(bottom + 32, "accuracy against radius", "".join(parts))


def _svg(height: int, title: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title>{inside}</svg>"
    )
