"""The chapters as files: pairs agree, every cell was executed, outputs are clean, the contents list is complete."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from refresh import chapters, pages

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:home|Users|root|tmp|var|opt|mnt|private|work)/\w[\w./-]*|\b[A-Z]:\\\w+")


def cells(path: Path) -> list[tuple]:
    """What a pair must agree on: type, source, tags and figure settings of each cell."""
    kept = ("tags", "mystnb")
    read = jupytext.read(path).cells
    return [(c.cell_type, c.source, {k: c.metadata[k] for k in kept if k in c.metadata}) for c in read]


def not_executed(path: Path) -> list[int]:
    """The code cells, counted from 1, that have no execution count."""
    code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    return [n for n, c in enumerate(code, 1) if c.source.strip() and not c.execution_count]


def blemishes(path: Path) -> list[str]:
    """Errors, anything written to stderr, warnings, object addresses and paths of a machine in stored outputs."""
    found = []
    code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    for number, output in ((n, o) for n, c in enumerate(code, 1) for o in c.outputs):
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append(f"code cell {number}: {output.get('ename', 'stderr')}: {output.get('text', '')[:80]}")
        text = output.get("text", "") + "".join(v for k, v in output.get("data", {}).items() if k.startswith("text/"))
        for pattern in (MACHINE_PATH, re.compile(r"\w*Warning\b"), re.compile(r"\bat 0x[0-9a-f]{6,}")):
            found += [f"code cell {number}: {hit.group()}" for hit in pattern.finditer(text)]
    return found


def test_chapter_list_is_complete():
    listed = pages(BOOK)
    assert len(listed) == len(set(listed))
    for page in listed:
        is_chapter = (BOOK / f"{page}.py").exists() and (BOOK / f"{page}.ipynb").exists()
        is_page = (BOOK / f"{page}.md").exists()
        assert is_chapter != is_page, f"{page}: needs either {page}.md or both {page}.py and {page}.ipynb"
    found = {p.stem for end in ("ipynb", "md") for p in BOOK.glob(f"*.{end}") if not p.name.startswith("out")}
    assert found <= set(listed), f"not in _toc.yml: {found - set(listed)}"


def test_the_two_tocs_agree():
    assert (ROOT / "_toc.yml").read_bytes() == (BOOK / "_toc.yml").read_bytes()
    assert not (BOOK / "_config.yml").exists(), "a second _config.yml would hide the real one"


@pytest.mark.parametrize("name", chapters(BOOK))
def test_chapter_pair_agrees(name):
    source, twin = BOOK / f"{name}.py", BOOK / f"{name}.ipynb"
    assert cells(source) == cells(twin), f"stale pair: make refresh CHAPTERS={name}"
    assert jupytext.read(source).metadata.kernelspec.name == jupytext.read(twin).metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("name", chapters(BOOK))
def test_chapter_is_executed(name):
    missing = not_executed(BOOK / f"{name}.ipynb")
    assert not missing, f"code cells {missing} were never executed: make refresh CHAPTERS={name}"


@pytest.mark.parametrize("name", chapters(BOOK))
def test_chapter_outputs_are_clean(name):
    assert not blemishes(BOOK / f"{name}.ipynb")
