"""The command line where others keep things: a C locale, folders with spaces and other letters, no git repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRAIN = "train --profile demo --epochs 1 --train_images 64 --width 4 --T 2 --measure sparsity".split()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a copy of the package and the grid, in no repository, whose name no ASCII terminal can print."""
    folder = tmp_path_factory.mktemp("a place") / "Größe 中 ☃ it's"
    shutil.copytree(ROOT / "snnpaper", folder / "snnpaper", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    return folder


def run(place: Path, *line: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON", "GIT_"))}
    env |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(place)}
    env |= {"SNNPAPER_HOME": "zu Hause ☃", "SNNPAPER_DATA": "données", "GIT_CEILING_DIRECTORIES": str(place.parent)}
    return subprocess.run([sys.executable, "-m", "snnpaper", *line], cwd=place, env=env, capture_output=True)


def test_a_training_and_its_record_in_any_folder_and_locale(place):
    done = run(place, *TRAIN)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    kept = sorted(f.parent.name for f in (place / "zu Hause ☃" / "results").rglob("*.json"))
    assert kept == ["sparsity", "train"]
    for file in (place / "zu Hause ☃" / "results").rglob("*.json"):
        assert json.loads(file.read_text(encoding="utf-8"))["provenance"]["code"] == {"commit": None, "dirty": None}
    again = run(place, *TRAIN)
    assert again.returncode == 0 and b"Traceback" not in again.stderr
    assert run(place, "status", "--grid", "workflow/grid.yml").returncode == 0


def test_an_error_in_any_folder_and_locale_is_one_line(place):
    for line in (["train", "--dataset", "cifar10", "--profile", "cpu"], ["measure", "sparsity", "niemand ☃"]):
        done = run(place, *line)
        assert done.returncode and b"Traceback" not in done.stderr and done.stderr.strip(), done.stderr
