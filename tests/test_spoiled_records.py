"""A record changed on a copy so that a chapter's finding becomes false stops the chapter."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[1]


def opening(chapter: str) -> str:
    """The code of a chapter up to the cell that says its first findings."""
    code = []
    for cell in jupytext.read(ROOT / "book" / f"{chapter}.py").cells:
        if cell.cell_type == "code":
            code.append(cell.source)
            if "findings.say(" in cell.source or "answer.sentences(" in cell.source:
                return "\n".join(code)
    raise AssertionError(f"{chapter} says no finding")


def swap_pools(folder: Path) -> None:
    """What was measured with max pooling is said of average pooling, and the other way round."""
    for one in folder.glob("*-w16-max-s?-*.json"):
        here = json.loads(one.read_text(encoding="utf-8"))
        for other in folder.glob("*-w16-avg-s?-*.json"):
            there = json.loads(other.read_text(encoding="utf-8"))
            if {**here["config"], "pool": ""} == {**there["config"], "pool": ""}:
                here["results"], there["results"] = there["results"], here["results"]
                one.write_text(json.dumps(here), encoding="utf-8")
                other.write_text(json.dumps(there), encoding="utf-8")


def never_fooled(folder: Path) -> None:
    """Networks with max pooling withstand every radius."""
    for file in folder.glob("cifar10-sew18-w16-max-s?-*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        for threat in record["results"]["threats"]:
            threat["first"] = [-1] * len(threat["first"])
        file.write_text(json.dumps(record), encoding="utf-8")


def own_surrogate_best(folder: Path) -> None:
    """No surrogate but the network's own fools anything."""
    for file in folder.glob("*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        for attack in record["results"]["attacks"]:
            if attack["alpha"] != record["results"]["own"]["alpha"]:
                attack["first"] = [min(first, -1) for first in attack["first"]]
        file.write_text(json.dumps(record), encoding="utf-8")


def run(chapter: str, home: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", opening(chapter)], cwd=ROOT / "book", capture_output=True, text=True,
        env=os.environ | {"SNNPAPER_HOME": str(home)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("chapter", "kind", "spoil"),
    [
        ("ch5", "robustness", swap_pools),
        ("ch6", "curve", never_fooled),
        pytest.param("index", "curve", never_fooled, marks=pytest.mark.slow),
        pytest.param("ch3", "robustness", swap_pools, marks=pytest.mark.slow),
        pytest.param("ch4", "sparsity", swap_pools, marks=pytest.mark.slow),
        pytest.param("ch7", "sharpness", own_surrogate_best, marks=pytest.mark.slow),
        pytest.param("ch8", "events", swap_pools, marks=pytest.mark.slow),
        pytest.param("ch9", "backwards", swap_pools, marks=pytest.mark.slow),
        pytest.param("ch10", "robustness", swap_pools, marks=pytest.mark.slow),
    ],
)
def test_a_record_that_contradicts_a_finding_stops_its_chapter(tmp_path, chapter, kind, spoil):
    shutil.copytree(ROOT / "results", tmp_path / "results", ignore=shutil.ignore_patterns("untrained"))
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    spoil(tmp_path / "results" / kind)
    done = run(chapter, tmp_path)
    assert done.returncode and "the records do not bear this out" in done.stderr, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["index", "ch3", "ch4", "ch5", "ch6", "ch7", "ch8", "ch9", "ch10"])
def test_the_records_as_they_are_bear_the_findings(chapter):
    done = run(chapter, ROOT)
    assert not done.returncode, done.stderr[-2000:]
