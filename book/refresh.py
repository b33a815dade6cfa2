"""Execute chapters: `python book/refresh.py [ch1 ch3 ...]` writes each chapter's .py into its .ipynb twin.

The twin carries no times, no versions and fixed cell ids, so that only what a chapter says can differ.
"""

import os
import sys
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


def main(names: list[str]) -> int:
    known = chapters(BOOK)
    if unknown := sorted(set(names) - set(known)):
        print(f"refresh: no chapter named {', '.join(unknown)}; allowed: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        print(f"executing {name} ...", flush=True)
        try:
            refresh(BOOK / f"{name}.py")
        except nbclient.exceptions.CellExecutionError as err:
            print(f"{name}.py failed, {name}.ipynb is left as it was\n{err}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
