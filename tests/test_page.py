"""What the chapters put on the page, and the built report itself on a copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
import yaml
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure
from test_verdicts import at_paper_scale

from snnpaper import ledger
from snnpaper.report import page, plots
from snnpaper.report.comparison import verdicts

ROOT = Path(__file__).resolve().parents[1]


def frame(scale="reduced", seeds=2):
    rows = [{"run": f"cifar10-sew18-w16-{p}-s{s}-abc", "label": "L", "variant": "", "pool": p, "width": 16, "epochs": 4,
             "scale": scale, "seed": s, "n": 256} for p in ("max", "avg") for s in range(seeds)]  # fmt: skip
    return pd.DataFrame(rows)


def test_origin_names_runs_scale_and_n_and_marks_what_is_indicative():
    text = page.origin(frame())
    assert "4 networks, reduced scale, 2 seeds a cell; n = 256 images, <strong>indicative</strong>" in text
    assert 'href="ch10.html#run-cifar10-sew18-w16-max-s1-abc"' in text
    assert "indicative" not in page.origin(frame("paper", 5))
    assert "indicative" in page.origin(frame("paper", 4)) and "indicative" in page.origin(frame("reduced", 5))


def test_tables_escape_all_but_what_is_html():
    text = page.table(pd.DataFrame({"a": ["p < 0.001"], "b": ["<em>x</em>"]}), "BELOW", raw=["b"])
    assert "p &lt; 0.001" in text and "<em>x</em>" in text and text.endswith("BELOW") and 'class="records"' in text


def test_groups_are_rows_of_their_own():
    frame = pd.DataFrame({"a": ["x", "x", "y"], "b": ["u", "u", "u"], "c": ["1", "2", "3"]})
    text = page.table(frame, group=["a", "b"])
    assert re.findall(r'colspan="1"><span>(.*?)</span></th>', text) == ["x · u", "y · u"]
    assert re.findall(r'<td class="short">(.*?)</td>', text) == ["1", "2", "3"] and "<th>c</th>" in text


def test_links_lead_to_rows_that_exist():
    name = ledger.records("train")[0]["name"]
    text = page.runs_table(["train", "robustness"])
    (link,) = re.findall(r"#(run-[\w-]+)", page.run_link(name))
    assert f'id="{link}"' in text and "train/, robustness/" in text
    assert page.short_links([name]).count("<a ") == 1


def stored(name: str) -> str:
    """All HTML that a chapter's notebook holds."""
    cells = nbformat.read(ROOT / "book" / f"{name}.ipynb", 4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    return "".join("".join(o.get("data", {}).get("text/html", "")) for o in outputs)


def test_every_run_a_chapter_names_has_its_row_in_the_report():
    rows = set(re.findall(r'id="(run-[\w-]+)"', stored("ch10")))
    for name in ("ch4", "ch5", "ch10"):
        links = set(re.findall(r'href="ch10.html#(run-[\w-]+)"', stored(name)))
        assert links and links <= rows, name


def test_the_book_is_the_checkout_s_where_the_ledger_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    assert verdicts.paper_values() == verdicts.paper_values(ROOT / "book" / "paper_values.yml")
    (tmp_path / "book").mkdir()
    with pytest.raises(FileNotFoundError):
        verdicts.paper_values()


def test_figures_are_written_twice_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    (tmp_path / "book").mkdir()
    plots.use_style()
    folder, seen = tmp_path / "book" / page.FIGURES, []
    for _ in range(2):
        figure, (ax,) = plots.panels(1, 1, (2, 2))
        ax.plot([1, 2], label="a")
        ax.legend()
        text = page.under(figure, "ch0-test", "BELOW")
        seen.append([f.read_bytes() for f in sorted(folder.iterdir())])
    assert seen[0] == seen[1] and [b[:5] for b in seen[0]] == [b"%PDF-", b"<?xml"]
    assert all(f'href="{page.FIGURES}/ch0-test.{suffix}" download' in text for suffix in ("svg", "pdf"))


def test_a_notebook_s_picture_is_one_line_and_says_what_it_said():
    plots.use_style()
    figure = Figure()  # without a layout, which would move by a hair from one drawing to the next
    ax = figure.subplots()
    ax.imshow([[0, 1], [1, 0]])
    ax.set_title("a b")
    one, lines = plots.drawn(figure), print_figure(figure, "svg", **plots.SAVE)
    assert "\n" not in one and lines.count("\n") > 50 and len(one) < len(lines)
    told = [re.sub(r"\s+", "", ElementTree.canonicalize(svg)) for svg in (one, lines)]
    assert told[0] == told[1]


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A copy of the project whose book is the report alone, with five seeds at the paper's scale made up."""
    for name in ("snnpaper", "results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("ch[1-9].*", "__pycache__"))
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    toc = "format: jb-book\nroot: start\nchapters:\n- file: ch10\n"
    (tmp_path / "_toc.yml").write_text(toc)
    (tmp_path / "book" / "_toc.yml").write_text(toc)
    (tmp_path / "book" / "start.md").write_text("# A book\n\nText.\n")
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    at_paper_scale(gain=3.0)
    return tmp_path


def verdict_on_the_page(book: Path) -> str:
    """The verdict on the clean gain's range at the paper's scale, as the built page shows it."""
    env = os.environ | {"SNNPAPER_HOME": str(book), "PYTHONPATH": str(book)}
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "book/"]
    done = subprocess.run(command, cwd=book, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    html = (book / "_build" / "html" / "ch10.html").read_text()
    groups = html.split('<tr class="group">')
    (part,) = (g for g in groups if "range over the pooling table of the gain" in g.split("</tr>")[0])
    (row,) = (r for r in part.split("<tr>") if "100 epochs" in r)
    (word,) = {verdicts.HELD, verdicts.NOT_HELD, verdicts.OTHER_SIZE} & set(re.findall(r"<td[^>]*>(.*?)</td>", row))
    return word


@pytest.mark.slow
def test_one_value_or_one_record_changes_the_verdict_on_the_built_page(book):
    assert verdict_on_the_page(book) == verdicts.HELD
    values = book / "book" / "paper_values.yml"
    known = yaml.safe_load(values.read_text())
    known["clean_gain_avg_range"]["value"] = [20, 30]
    values.write_text(yaml.safe_dump(known))
    assert verdict_on_the_page(book) == verdicts.OTHER_SIZE
    at_paper_scale(gain=-3.0)
    assert verdict_on_the_page(book) == verdicts.NOT_HELD


def test_a_table_without_rows_says_so():
    assert page.table(pd.DataFrame(columns=["a"]), "BELOW") == "<p>No rows yet: nothing recorded gives one.</p>BELOW"
