"""What must fail does: the book's machinery on a copy with one tiny chapter, where things may be broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from book_build import INPUTS, address, digest
from refresh import main, refresh
from test_book import BOOK, ROOT, blemishes, cells

CHAPTER = """# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A chapter
# Prose before. See {eq}`one`.
#
# $$ a = b $$ (one)

# %% tags=["hide-input"]
from pathlib import Path

with Path("../runs.txt").open("a") as log:
    log.write("executed\\n")
print("an output")
"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory) -> Path:
    """The folder of the tiny chapter's pair, executed once for all tests below."""
    book = tmp_path_factory.mktemp("tiny") / "book"
    book.mkdir()
    (book / "ch1.py").write_text(CHAPTER)
    refresh(book / "ch1.py")
    return book


@pytest.fixture
def copy(tmp_path, chapter) -> Path:
    """A repository with the real machinery and a book of an index and one executed chapter."""
    for name in ("Makefile", "pyproject.toml", "_config.yml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("_ext", "_static"):
        shutil.copytree(BOOK / name, tmp_path / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(BOOK / "refresh.py", tmp_path / "book")
    shutil.copy(BOOK / "references.bib", tmp_path / "book")
    toc = "format: jb-book\nroot: index\nchapters:\n- file: ch1\n"
    (tmp_path / "_toc.yml").write_text(toc)
    (tmp_path / "book" / "_toc.yml").write_text(toc)
    (tmp_path / "book" / "index.md").write_text("# A book\n\nText.\n")
    for suffix in (".py", ".ipynb"):
        shutil.copy(chapter / f"ch1{suffix}", tmp_path / "book")
    (tmp_path / "snnpaper").mkdir()
    (tmp_path / "snnpaper" / "module.py").write_text("A = 1\n")
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "test_book.py", tmp_path / "tests")
    shutil.copy(ROOT / "tests" / "nbval_sanitize.cfg", tmp_path / "tests")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def call(*command: str, cwd: Path) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def make_book(copy: Path) -> subprocess.CompletedProcess:
    return call("make", "-o", ".venv/.installed", "book", cwd=copy)  # -o: the environment is installed already


def check_chapters(copy: Path) -> subprocess.CompletedProcess:
    return call(sys.executable, "-m", "pytest", "-q", "tests/test_book.py", cwd=copy)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_build_executes_only_what_changed(copy):
    page, log = copy / "_build" / "html" / "ch1.html", copy / "runs.txt"
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an output" in page.read_text() and log.read_text().count("executed") == 1
    assert "mybinder" not in page.read_text() and "issues/new" not in page.read_text()
    assert page.read_text().count("const THEBE_JS_URL") == 1

    for suffix in (".py", ".ipynb"):
        edit(copy / "book" / f"ch1{suffix}", "Prose before", "Prose after")
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Prose after" in page.read_text() and log.read_text().count("executed") == 1

    (copy / "snnpaper" / "module.py").write_text("A = 2\n")
    edit(copy / "pyproject.toml", "# [project.urls]\n# Repository", "[project.urls]\nRepository")
    url = address(copy)
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().count("executed") == 2
    assert f"{url}/issues/new" in page.read_text() and "mybinder.org" in page.read_text()


def test_a_failing_cell_fails_the_build(copy):
    edit(copy / "book" / "ch1.ipynb", r"print(\"an output\")", "1 / 0")
    done = make_book(copy)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_failing_cell_fails_the_plain_command_too(copy):
    edit(copy / "book" / "ch1.ipynb", r"print(\"an output\")", "1 / 0")
    assert call(str(Path(sys.executable).parent / "jupyter-book"), "build", "book/", cwd=copy).returncode != 0


def test_warnings_and_raw_reprs_fail_the_build(copy):
    page = "# A book\n\nSee {ref}`nowhere`.\n\n```\n<library.Thing object at 0x7f00>\n```\n"
    (copy / "book" / "index.md").write_text(page)
    done = make_book(copy)
    assert done.returncode != 0
    assert "nowhere" in done.stderr and "raw repr on the page: <library.Thing" in done.stderr


def test_a_good_copy_passes_the_chapter_checks(copy):
    done = check_chapters(copy)
    assert done.returncode == 0, done.stdout
    (copy / "book" / "out.ipynb").write_text("not a notebook")
    done = call(sys.executable, "-m", "pytest", "--nbval", "book", cwd=copy)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_never_executed_chapter_fails(copy):
    path = copy / "book" / "ch1.ipynb"
    jupytext.write(jupytext.read(path.with_suffix(".py")), path)
    done = check_chapters(copy)
    assert done.returncode == 1
    assert "never executed" in done.stdout


def test_a_stale_pair_fails(copy):
    edit(copy / "book" / "ch1.py", "an output", "another")
    done = check_chapters(copy)
    assert done.returncode == 1
    assert "stale pair" in done.stdout


@pytest.mark.parametrize(
    "old, new", [("Prose", "Verse"), ("hide-input", "hide-cell"), ("# %% tags", "# %% [raw] tags")]
)
def test_a_pair_agrees_in_prose_tags_and_types(copy, old, new):
    source = copy / "book" / "ch1.py"
    edit(source, old, new)
    assert cells(source) != cells(source.with_suffix(".ipynb"))


def test_blemishes_in_outputs_are_found(copy):
    code = "import warnings; warnings.warn('no'); print('', 'home', 'me', 'x', sep='/'); object()"
    edit(copy / "book" / "ch1.py", 'print("an output")', code)
    refresh(copy / "book" / "ch1.py")
    found = " ".join(blemishes(copy / "book" / "ch1.ipynb"))
    assert all(word in found for word in ("stderr", "UserWarning", ": /home" + "/me/x", "at 0x")), found


def test_refresh_repeats_itself_and_names_what_is_allowed(copy, monkeypatch, capsys):
    monkeypatch.setattr("refresh.BOOK", copy / "book")
    twin = copy / "book" / "ch1.ipynb"
    before = twin.read_bytes()
    assert main(["ch1"]) == 0
    assert twin.read_bytes() == before
    assert main(["ch77"]) == 2
    assert "no chapter named ch77; allowed: ch1" in capsys.readouterr().err
    edit(copy / "book" / "ch1.py", 'print("an output")', "1 / 0")
    assert main([]) == 1
    assert twin.read_bytes() == before


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_is_there_and_a_change_in_it_is_seen(tmp_path, name):
    assert (ROOT / name).exists()
    for other in INPUTS:
        file = tmp_path / other / "x" if (ROOT / other).is_dir() else tmp_path / other
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("before")
    before = digest(tmp_path)
    (tmp_path / name / "x" if (ROOT / name).is_dir() else tmp_path / name).write_text("after")
    assert digest(tmp_path) != before
