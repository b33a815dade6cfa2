"""No result is typed by hand: what a reader takes for a measured number was computed, or its source is listed here.

What prints numbers from records is checked by running it (every recorded cell is compared with its stored output).
What is left are the words around it: prose, captions, and the fixed parts of computed sentences.
"""

import ast
import re
from pathlib import Path

import jupytext
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(p for p in (ROOT / "book").glob("*.py") if p.name != "refresh.py")
TEXTS = sorted(p for p in (ROOT / "book").glob("*.md") if p.name != "references.md") + [ROOT / "README.md"]
REPORT = sorted((ROOT / "snnpaper" / "report").rglob("*.py"))
SOURCES = yaml.safe_load((ROOT / "tests" / "typed_numbers.yml").read_text("utf-8"))

# A decimal, or a number with a unit that results have. Whole numbers without one are counts of steps, seeds, pixels.
DIGITS = r"(\d+(?:,\d{3})*(?:\.\d+)?)"
NUMBER = re.compile(
    rf"(?<![\w.#§/^-]){DIGITS}(?:\s?(?:[-–]|to|and|±)\s?{DIGITS})?"
    r"\s?(%|per cent|points?\b|times\b|octaves?\b)?"
)
NO_PROSE = [  # what is no prose: code, formulas, targets of links, citations, roles
    (re.compile(r"\*\*The answer:.*?(?=`book/index\.py` computes)", re.S), ""),  # test_answer.py compares it
    (re.compile(r"```.*?```", re.S), ""),
    (re.compile(r"`[^`]*`"), ""),
    (re.compile(r"\$\$.*?\$\$", re.S), ""),
    (re.compile(r"\$[^$]*\$"), ""),
    (re.compile(r"\]\([^)]*\)"), "]"),
    (re.compile(r"\b4\.[1-4]\b(?! ?(?:%|per cent|points?))"), ""),  # the theorems
]


def results(text: str) -> set[str]:
    """The numbers of a text that look like results, each as "7.1" or "7 %"."""
    for what, instead in NO_PROSE:
        text = what.sub(instead, text)
    found = set()
    for one, other, unit in NUMBER.findall(text):
        for number in filter(None, (one, other)):
            if unit or "." in number:
                found.add(f"{number} {unit.replace('per cent', '%').rstrip('s')}".strip() if unit else number)
    return found


def prose(page: Path) -> str:
    """The markdown of a page and the captions and alternative texts of its figures."""
    if page.suffix == ".md":
        return page.read_text("utf-8")
    cells = jupytext.read(page).cells
    said = [c.source for c in cells if c.cell_type == "markdown"]
    for c in cells:
        shown = c.metadata.get("mystnb", {})
        said += [shown.get("figure", {}).get("caption", ""), shown.get("image", {}).get("alt", "")]
    return "\n\n".join(said)


def sentences(module: Path) -> str:
    """The string constants of a module but docstrings and formats: the fixed parts of what it says."""
    tree = ast.parse(module.read_text("utf-8"))
    said = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue):
            node.format_spec = None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""  # a docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            said.append(node.value)
    return "\n\n".join(said)


def paper() -> set[str]:
    """What the table of the paper's values holds."""
    values = yaml.safe_load((ROOT / "book" / "paper_values.yml").read_text("utf-8"))
    found: set[str] = set()
    for entry in values.values():
        value = entry.get("value") if isinstance(entry, dict) else None
        for v in value if isinstance(value, list) else [value]:
            if isinstance(v, int | float):
                found |= {f"{v:g}", f"{v:g} %", f"{v:g} point"}
    return found


def sources(name: str) -> set[str]:
    return paper() | set(SOURCES["everywhere"]) | set(SOURCES.get(name, {}))


@pytest.mark.parametrize("page", [*PAGES, *TEXTS], ids=lambda p: p.name)
def test_prose_types_no_result(page):
    unknown = results(prose(page)) - sources(page.name)
    assert not unknown, f"{page.name} types {sorted(unknown)}: compute it, or name its source in typed_numbers.yml"


@pytest.mark.parametrize("module", [*REPORT, *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_computed_sentences_type_no_result(module):
    unknown = results(sentences(module)) - sources(str(module.relative_to(ROOT)).replace("book/", ""))
    assert not unknown, f"{module.name} types {sorted(unknown)}: compute it, or name its source in typed_numbers.yml"


def test_what_is_listed_is_still_typed():
    every = {p.name: results(prose(p)) for p in [*PAGES, *TEXTS]}
    for module in [*REPORT, *PAGES]:
        name = str(module.relative_to(ROOT)).replace("book/", "")
        every[name] = every.get(name, set()) | results(sentences(module))
    stale = {(n, v) for n, listed in SOURCES.items() if n != "everywhere" for v in listed if v not in every[n]}
    assert not stale, "listed in typed_numbers.yml, typed nowhere"


def test_a_typed_result_is_found():
    assert results("Max pooling leads by 7.1 points (95 % interval −7.2 to +1.0) and 24 to 29 % stand.") == {
        "7.1 point", "95 %", "7.2", "1.0", "24 %", "29 %",
    }  # fmt: skip
    assert results("Theorem 4.1, `eps=0.5`, $\\alpha=0.5$, [ch](rule-0.5), 500 images at 8/255, 5 seeds") == set()
