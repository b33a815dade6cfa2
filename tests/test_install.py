"""What an installation without the checkout, without the heavy packages, or in an odd place still does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import snnpaper
from snnpaper import ledger, parameters, zoo
from snnpaper.config import Run

ROOT = Path(__file__).resolve().parents[1]
# What `pip install snnpaper[audit]` does not bring.
ABSENT = ("spikingjelly", "torchvision", "torchaudio", "pandas", "seaborn", "sklearn", "numba", "art", "yaml")


def python(code: str, cwd: Path, package: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in `cwd` that imports the package from the folder `package`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SNNPAPER_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(package)} | env,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package alone, as pip puts it into an environment."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "snnpaper", folder / "snnpaper", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_importing_the_package_imports_nothing_else(tmp_path):
    code = "import sys; before = set(sys.modules); import snnpaper; print(*set(sys.modules) - before)"
    assert set(python(code, tmp_path).stdout.split()) <= {"snnpaper", "importlib", "importlib._bootstrap", "warnings"}


def test_every_public_name_is_there_and_documented():
    api = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    for name in snnpaper.__all__:
        assert getattr(snnpaper, name) is not None and name in dir(snnpaper)
        assert f"`snnpaper.{name}`" in api
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = snnpaper.nonsense


def test_the_audit_needs_none_of_the_heavy_packages(tmp_path, installed):
    code = f"""
import sys
sys.modules |= dict.fromkeys({ABSENT})  # importing one of them fails
import snnpaper
for name in snnpaper.__all__:
    getattr(snnpaper, name)
from snnpaper.cli import main
main(["status"])
"""
    done = python(code, tmp_path, installed)
    assert done.returncode == 2 and "is not installed; pip install 'snnpaper[train]'" in done.stderr, done.stderr


def test_what_the_audit_lacks_is_named(tmp_path):
    done = python("import sys; sys.modules['torchattacks'] = None; from snnpaper import audit", tmp_path)
    assert "snnpaper.audit needs torchattacks: pip install 'snnpaper[audit]'" in done.stderr


def test_what_our_own_networks_lack_is_named(tmp_path):
    code = "import sys; sys.modules['numba'] = None; from snnpaper import zoo; zoo.load({!r})"
    done = python(code.format("cifar10-sew18-w16-max-s0-eb79827ad1"), tmp_path)
    assert "eb79827ad1 needs numba: pip install 'snnpaper[train]'" in done.stderr, done.stderr


def test_an_installed_package_keeps_its_records_with_the_user(tmp_path, installed):
    code = "from snnpaper import config; print(config.checkout(), config.home())"
    none, home = python(code, tmp_path, installed, XDG_DATA_HOME=str(tmp_path)).stdout.split()
    assert none == "None" and home == str(tmp_path / "snnpaper")
    code = "from snnpaper import config, zoo; config.{}"
    for call, looked in (("book()", "book"), ("Run and zoo.load('x')", "results/train")):
        done = python(code.format(call), tmp_path, installed, XDG_DATA_HOME=str(tmp_path))
        assert str(tmp_path / "snnpaper" / looked) in done.stderr and "SNNPAPER_HOME" in done.stderr, done.stderr
    done = python("from snnpaper.cli import main; main(['status'])", tmp_path, installed, XDG_DATA_HOME=str(tmp_path))
    assert "grid.yml" in done.stderr and "--grid" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "meant"), [("mine", "{cwd}/mine"), ("~/x", "{cwd}/x")])
def test_folders_are_meant_from_where_the_user_stands(tmp_path, given, meant):
    code = "import os, snnpaper; os.chdir('/'); from snnpaper import config, data; print(config.home(), data.root())"
    done = python(code, tmp_path, SNNPAPER_HOME=given, SNNPAPER_DATA=given, HOME=str(tmp_path))
    assert done.stdout.split() == [meant.format(cwd=tmp_path)] * 2, done.stderr


def test_the_checkout_s_networks_are_read_from_another_home(tmp_path, monkeypatch):
    name = min((ROOT / "zoo").glob("*-w16-*.safetensors")).stem
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    run, _ = zoo.load(name)
    assert (
        run.name == name and ledger.run_of(name) == run and not ledger.records("train") and not list(tmp_path.iterdir())
    )
    with pytest.raises(ledger.LedgerError, match=str(tmp_path / "results" / "train")):
        zoo.load("nobody")
    # a record of one's own comes first, and is not mixed with the checkout's weights
    ledger.append("train", run, {}, 1.0, weights_sha256="another")
    with pytest.raises(zoo.ZooError, match=f"no weights of {name} in {tmp_path / 'zoo'}"):
        zoo.load(name)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_recorded_is_this_project_s_or_none(tmp_path):
    package = tmp_path / "vendor" / "snnpaper"
    package.mkdir(parents=True)
    for name in ("__init__.py", "ledger.py", "config.py"):
        shutil.copy(ROOT / "snnpaper" / name, package)
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("vendor/\n")
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "-qm", "somebody else's")
    code = "from snnpaper import ledger; print(ledger.provenance()['code'])"
    assert python(code, tmp_path, package.parent).stdout.strip() == "{'commit': None, 'dirty': None}"
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "now it is tracked")
    told = f"{{'commit': '{git(tmp_path, 'rev-parse', 'HEAD')}', 'dirty': False}}"
    assert python(code, tmp_path, package.parent).stdout.strip() == told


def test_provenance_has_the_hardware_that_was_used(monkeypatch):
    before = ledger.provenance()["hardware"]["threads"]
    monkeypatch.setattr("torch.get_num_threads", lambda: before + 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)  # and nothing ran on it
    assert ledger.provenance()["hardware"]["threads"] == before + 1 and ledger.hardware()["gpu"] is None
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "an accelerator")
    assert ledger.provenance()["hardware"]["gpu"] == "an accelerator"


def test_provenance_names_what_computed_and_does_without_what_is_absent(monkeypatch):
    assert {"torch", "numba", "adversarial-robustness-toolbox", "scipy"} <= set(ledger._packages())
    monkeypatch.setattr(ledger, "_PACKAGES", ("torch", "no-such-package"))
    assert set(ledger._packages()) == {"torch"}


def test_an_option_of_several_words_is_taken_either_way():
    import argparse

    parser = argparse.ArgumentParser()
    parameters.add_arguments(parser)
    for name in ("--batch_size", "--batch-size"):
        assert parser.parse_args([name, "32"]).batch_size == 32
    text = " ".join(parser.format_help().split())
    assert "resnet18, resnet34, resnet50; default resnet18" in text
    assert f"whole numbers from 2 to 4096; default {Run().batch_size}, demo 32" in text
