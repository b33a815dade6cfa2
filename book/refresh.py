"""Execute chapters: `python book/refresh.py [ch1 ch3 ...]` writes each chapter's .py into its .ipynb twin.

The twin carries no times, no versions and fixed cell ids, so that only what a chapter says can differ. With the index
the answer in README.md and CITATION.cff is written anew, so that they say what it says.
"""

import html
import os
import re
import sys
import textwrap
from pathlib import Path

import jupytext
import nbclient
import nbformat
import yaml

BOOK = Path(__file__).resolve().parent


def chapters(book: Path) -> list[str]:
    """The stems of the pages in `book/_toc.yml` that are notebooks (have a py:percent file), in order."""
    return [page for page in pages(book) if (book / f"{page}.py").exists()]


def pages(book: Path) -> list[str]:
    """The stems of all pages in `book/_toc.yml`, the root first."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *_files(toc)]


def _files(node) -> list[str]:
    if isinstance(node, list):
        return [page for item in node for page in _files(item)]
    if isinstance(node, dict):
        return ([node["file"]] if "file" in node else []) + [p for v in node.values() for p in _files(v)]
    return []


def refresh(source: Path) -> Path:
    """Execute one py:percent file in its folder and write the twin; a failing cell writes nothing.

    Raises nbclient's CellExecutionError with the failing cell and its traceback.
    """
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": source.parent}},
    )
    client.execute()
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata.pop("widgets", None)
    twin = source.with_suffix(".ipynb")
    part = twin.with_suffix(".part")
    nbformat.write(notebook, part)
    os.replace(part, twin)
    return twin


def retell(index: Path, root: Path) -> None:
    """Write the answer of the index's twin into README.md and CITATION.cff under `root`, in place of the one there.

    Raises ValueError, and writes neither, when the twin has no answer or a file no place for it.
    """
    cells = nbformat.read(index, as_version=4).cells
    heading = re.search(r"^## (The answer: .*)$", "\n".join(c.source for c in cells), re.MULTILINE)
    shown = "".join(o["data"].get("text/html", "") for c in cells for o in c.get("outputs", []) if "data" in o)
    ordered = re.search(r"<ol>(.*?)</ol>", shown, re.DOTALL)
    if not heading or not ordered:
        raise ValueError(f"{index.name} has no answer: a heading '## The answer: ...' and a numbered list are wanted")
    said = [html.unescape(s) for s in re.findall(r"<li>(.*?)</li>", ordered[1])]
    listed = "\n".join(_wrapped(f"{i}. {s}", "   ") for i, s in enumerate(said, 1))
    told = "\n".join(f"  {_wrapped(s, '  ')}" for s in (f"{heading[1]}.", *said))
    places = {
        "README.md": (
            r"\*\*The answer:.*?(?=\n\n`book/index\.py` computes)",
            f"{_wrapped(f'**{heading[1]}.**')}\n\n{listed}",
        ),
        "CITATION.cff": (r"(?<=abstract: >-\n).*?(?=\ntype:)", told),
    }
    texts = {}
    for name, (place, text) in places.items():
        before = (root / name).read_text(encoding="utf-8")
        texts[name], found = re.subn(place, lambda _, text=text: text, before, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"{name} has {found} places for the answer, not one")
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 104, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def main(names: list[str]) -> int:
    known = chapters(BOOK)
    if unknown := sorted(set(names) - set(known)):
        print(f"refresh: no chapter named {', '.join(unknown)}; allowed: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        print(f"executing {name} ...", flush=True)
        try:
            twin = refresh(BOOK / f"{name}.py")
            if name == "index":
                retell(twin, BOOK.parent)
        except nbclient.exceptions.CellExecutionError as err:
            print(f"{name}.py failed, {name}.ipynb is left as it was\n{err}", file=sys.stderr)
            return 1
        except ValueError as err:
            print(f"the answer was not told again: {err}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
