"""What must fail does: the book's machinery on a copy with one tiny chapter, where things may be broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import inputs
import jupytext
import nbformat
import pytest
import yaml
from book_build import address
from refresh import chapters, main, refresh, retell
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


def draw():
    from snnpaper import module

    return module.drawn()
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
    (tmp_path / "snnpaper" / "ledger.py").write_text(LEDGER)
    drawn = "from . import ledger\n\n\ndef drawn():\n    return ledger.records('trail')\n"
    (tmp_path / "snnpaper" / "module.py").write_text(drawn)
    (tmp_path / "snnpaper" / "other.py").write_text("A = 1\n")
    for kind in ("trail", "curve"):
        (tmp_path / "results" / kind).mkdir(parents=True)
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


def test_a_build_executes_only_what_changed(copy, monkeypatch):
    page, log = copy / "_build" / "html" / "ch1.html", copy / "runs.txt"
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an output" in page.read_text() and log.read_text().count("executed") == 1
    assert "mybinder" not in page.read_text() and "issues/new" not in page.read_text()
    assert page.read_text().count("const THEBE_JS_URL") == 1

    for suffix in (".py", ".ipynb"):
        edit(copy / "book" / f"ch1{suffix}", "Prose before", "Prose after")
    (copy / "results" / "curve" / "a.json").write_text("{}")
    (copy / "snnpaper" / "other.py").write_text("A = 2\n")
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Prose after" in page.read_text() and log.read_text().count("executed") == 1

    (copy / "results" / "trail" / "a.json").write_text("{}")
    edit(copy / "pyproject.toml", "# [project.urls]\n# Repository", "[project.urls]\nRepository")
    url = address(copy)
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().count("executed") == 2
    assert f"{url}/issues/new" in page.read_text() and "mybinder.org" in page.read_text()

    monkeypatch.setenv("SNNPAPER_HOME", str(copy / "elsewhere"))
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().count("executed") == 3


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core executes one chapter at a time")
def test_chapters_are_executed_side_by_side(copy):
    meet = """import os, time
open("{0}", "w").close()
for _ in range(600):
    time.sleep(0 if os.path.exists("{1}") else 0.1)
print(os.path.exists("{1}"), os.environ["OMP_NUM_THREADS"])
"""
    for name, other in (("ch1", "ch2"), ("ch2", "ch1")):
        source = copy / "book" / f"{name}.py"
        source.write_text(CHAPTER.partition("# Prose")[0] + "\n# %%\n" + meet.format(name, other))
        jupytext.write(jupytext.read(source), source.with_suffix(".ipynb"))
    for toc in (copy / "_toc.yml", copy / "book" / "_toc.yml"):
        edit(toc, "- file: ch1\n", "- file: ch1\n- file: ch2\n")
    done = make_book(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("ch1", "ch2"):
        assert "True 1" in (copy / "_build" / "html" / f"{name}.html").read_text()


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
    code = "import warnings; warnings.warn('no'); print('', 'home', 'me', 'x', sep='/'); display(object())"
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


def test_the_readme_and_the_citation_are_told_what_the_index_says(tmp_path):
    answer = nbformat.v4.new_output("display_data", {"text/html": "<ol><li>One &lt; two, 5 %.</li><li>B.</li></ol>"})
    cells = [
        nbformat.v4.new_markdown_cell("# T\n\n## The answer: it depends"),
        nbformat.v4.new_code_cell(outputs=[answer]),
    ]
    index = tmp_path / "index.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), index)
    for name in ("README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    before = (tmp_path / "README.md").read_text()
    retell(index, tmp_path)
    after, cited = (tmp_path / "README.md").read_text(), (tmp_path / "CITATION.cff").read_text()
    assert "**The answer: it depends.**\n\n1. One < two, 5 %.\n2. B.\n\n`book/index.py`" in after
    assert after.split("**The answer")[0] == before.split("**The answer")[0]
    assert after.partition("`book/index.py` computes")[2] == before.partition("`book/index.py` computes")[2]
    assert yaml.safe_load(cited)["abstract"].strip() == "The answer: it depends. One < two, 5 %. B."
    retell(index, tmp_path)
    assert (tmp_path / "README.md").read_text() == after
    (tmp_path / "CITATION.cff").write_text("title: no abstract\n")
    with pytest.raises(ValueError, match="CITATION.cff has 0 places"):
        retell(index, tmp_path)
    nbformat.write(nbformat.v4.new_notebook(cells=cells[:1]), index)
    with pytest.raises(ValueError, match="index.ipynb has no answer"):
        retell(index, tmp_path)
    assert (tmp_path / "README.md").read_text() == after


LEDGER = "def records(kind):\n    return path(kind)\n\n\ndef path(kind):\n    return kind\n"
PIECES = {
    "snnpaper/ledger.py": LEDGER,
    "snnpaper/zoo.py": "def folder():\n    return 0\n\n\ndef load():\n    return folder()\n",
    "snnpaper/report/__init__.py": "",
    "snnpaper/report/tables.py": "from .. import ledger\nfrom . import deep\n\nKIND = 'trail'\n\n\n"
    "def rows():\n    return ledger.records(KIND), deep.A\n\n\ndef others():\n    return ledger.records('curve')\n",
    "snnpaper/report/deep.py": "A = 1\n",
    "snnpaper/report/gaps.py": "from pathlib import Path\n\nGRID = Path('workflow') / 'grid.yml'\n",
    "snnpaper/train.py": "SPLITS = ('train', 'test')\n",
    "results/train/a.json": "{}",
    "results/trail/a.json": "{}",
    "results/curve/a.json": "{}",
    "zoo/a.safetensors": "weights",
    "workflow/grid.yml": "[]",
    "book/tables.py": "# %%\nfrom snnpaper.report import tables\n\ntables.rows()\n",
    "book/plain.py": "# %%\nfrom snnpaper.train import SPLITS\n\nSPLITS\n",
    "book/networks.py": "# %%\nfrom snnpaper import zoo\nfrom snnpaper.report import gaps\n\nzoo.load(), gaps.GRID\n",
    "book/nothing.py": "# %%\n1 + 1\n",
}
CHAPTERS = ("tables", "plain", "networks", "nothing")


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A repository of a few modules, records and chapters."""
    monkeypatch.delenv("SNNPAPER_HOME", raising=False)
    for name, text in PIECES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digests(root: Path) -> dict[str, str]:
    return {name: inputs.digest(root / "book" / f"{name}.py", inputs.Package(root)) for name in CHAPTERS}


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("snnpaper/report/tables.py", {"tables"}),
        ("snnpaper/report/deep.py", {"tables"}),  # imported by what is imported
        ("snnpaper/report/__init__.py", {"tables", "networks"}),
        ("snnpaper/ledger.py", {"tables"}),
        ("snnpaper/train.py", {"plain"}),
        ("results/trail/b.json", {"tables"}),  # a new record
        ("results/trail/a.json", {"tables"}),
        ("results/train/b.json", set()),  # "train" is a split to the chapter that names it
        ("results/curve/b.json", set()),  # drawn by a function that no chapter calls
        ("zoo/b.safetensors", {"networks"}),
        ("workflow/grid.yml", {"networks"}),
        ("book/paper_values.yml", set()),
    ],
)
def test_a_change_makes_those_chapters_stale_that_compute_from_it(small, changed, stale):
    before = digests(small)
    with (small / changed).open("a") as file:
        file.write("\n# changed")
    assert {name for name, now in digests(small).items() if now != before[name]} == stale


def test_the_records_are_those_of_the_ledger_that_is_read(small, monkeypatch):
    before = digests(small)
    shutil.copytree(small / "results", small / "elsewhere" / "results")
    monkeypatch.setenv("SNNPAPER_HOME", str(small / "elsewhere"))
    elsewhere = digests(small)
    assert all(elsewhere[name] != before[name] for name in CHAPTERS)
    (small / "results" / "trail" / "b.json").write_text("{}")
    assert digests(small) == elsewhere
    (small / "elsewhere" / "results" / "trail" / "b.json").write_text("{}")
    assert {name for name, now in digests(small).items() if now != elsewhere[name]} == {"tables"}


def test_a_name_handed_out_from_anywhere_counts_as_the_whole_package(small):
    (small / "snnpaper" / "__init__.py").write_text("def __getattr__(name):\n    return 1\n")
    (small / "book" / "plain.py").write_text("# %%\nfrom snnpaper import load_network\n")
    before = digests(small)
    (small / "snnpaper" / "report" / "deep.py").write_text("A = 2\n")
    assert digests(small)["plain"] != before["plain"]


READS = """
import os, runpy, sys
root, seen = sys.argv[2], set()
def note(event, args):
    if event == "open" and isinstance(args[0], str | os.PathLike):
        seen.add(os.path.abspath(args[0]))
sys.addaudithook(note)
os.chdir(os.path.join(root, "book"))
runpy.run_path(sys.argv[1])
print("READ", *sorted(p for p in seen if p.startswith(root + os.sep) and os.path.isfile(p)), sep="\\n")
"""


def check_reads(name: str) -> None:
    """Run a chapter and see that every file it opened is among those it is known to follow from."""
    source = BOOK / f"{name}.py"
    done = call(sys.executable, "-c", READS, str(source), str(ROOT), cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    known, folders = inputs.of(source, inputs.Package(ROOT)), ("results", "zoo", "workflow", "snnpaper", "book")
    opened = [Path(p) for p in done.stdout.split("READ\n")[1].split()]
    opened = [p for p in opened if p.relative_to(ROOT).parts[0] in folders and p.suffix not in (".pyc", ".svg", ".nbi")]
    opened = [p for p in opened if p != source and not {"__pycache__", "_static"} & set(p.parts)]
    assert opened
    missed = [str(p) for p in opened if not any(p == k or k in p.parents for k in known)]
    assert not missed


def test_the_files_a_chapter_opens_are_known_beforehand():
    check_reads("speed")


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in chapters(BOOK) if n != "speed"])
def test_the_files_every_chapter_opens_are_known_beforehand(name):
    check_reads(name)
