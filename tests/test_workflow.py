"""The Snakemake workflow, where the optional extra is installed: it lints, and each profile plans every cell."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from snnpaper.campaign import cells

ROOT = Path(__file__).resolve().parents[1]
needs_snakemake = pytest.mark.skipif(
    not shutil.which("snakemake"), reason="needs the optional extra: pip install -e '.[workflow]'"
)


def snakemake(tmp_path, *arguments):
    command = ["snakemake", "--snakefile", ROOT / "workflow" / "Snakefile", "--directory", tmp_path, *arguments]
    env = os.environ | {"SNNPAPER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.slow
@needs_snakemake
def test_it_lints(tmp_path):
    done = snakemake(tmp_path, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@needs_snakemake
@pytest.mark.parametrize(("profile", "block"), [("local", "between max and average"), ("slurm", "width 16")])
def test_each_profile_plans_every_missing_cell(tmp_path, profile, block):
    done = snakemake(tmp_path, "--profile", ROOT / "workflow" / "profiles" / profile, "--dry-run", "--quiet", "rules",
                     "--config", f"block={block}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    planned = [c for c in cells() if block in c.block]
    assert f"cell {len(planned):8}".split() in [line.split() for line in (done.stdout + done.stderr).splitlines()]


def test_every_file_of_a_job_is_named_by_the_same_wildcards():
    """Snakemake refuses a rule of which this is not so; here also where it is not installed."""
    rule = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8").split("rule cell:")[1]
    output, log = (re.search(rf"{part}:\n *(.*)\n", rule)[1].replace("{{", "{") for part in ("output", "log"))
    named = [set(re.findall(r"{(\w+)}", text)) - {"RESULTS"} for text in (output, log)]
    assert named == [{"kind", "name"}] * 2


def test_the_readme_names_the_profiles():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for profile in (ROOT / "workflow" / "profiles").iterdir():
        assert f"workflow/profiles/{profile.name}" in text
