"""One list of dependencies, one version, one floor for Python, one address: those who repeat it agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from book_build import address
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
META = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = META["project"]
FLOOR = PROJECT["requires-python"].removeprefix(">=")
# Where the name one imports is not the name one installs.
INSTALLED_AS = {
    "jupyter_cache": "jupyter-cache",
    "art": "adversarial-robustness-toolbox",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "IPython": "ipython",
    "myst_nb": "myst-nb",
}


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", r).group() for r in requirements}


def imported(folder: str) -> set[str]:
    """Top-level names imported from outside the standard library and the repository, as installed.

    An import inside `try` is optional and does not count.
    """
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tried = {id(n) for t in ast.walk(tree) if isinstance(t, ast.Try) for s in t.body for n in ast.walk(s)}
        for node in (n for n in ast.walk(tree) if id(n) not in tried):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    own = {
        "snnpaper",
        "benchmarks",
        *(p.stem for top in (folder, "book") for p in (ROOT / top).rglob("*.py")),
    }
    return {INSTALLED_AS.get(name, name) for name in found - set(sys.stdlib_module_names) - own}


def brought(*extras: str) -> set[str]:
    """What an installation with these extras asks for by name; an extra may name others."""
    listed = PROJECT["dependencies"] + [r for e in extras for r in PROJECT["optional-dependencies"][e]]
    within = {e for r in listed if r.startswith("snnpaper[") for e in re.findall(r"\w+", r)[1:]}
    return names(listed) - {"snnpaper"} | (brought(*within) if within else set())


def test_environment_yml_leaves_the_list_to_pyproject():
    environment = load("environment.yml")
    python, pip, rest = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert (python, pip) == (f"python={FLOOR}", "pip")
    assert rest == {"pip": ["-e .[book,test,lint]"]}
    assert {"book", "test", "lint"} <= set(PROJECT["optional-dependencies"])


def test_what_is_imported_is_listed():
    for folder in ("nets", "attacks", "measure"):
        assert imported(f"snnpaper/{folder}") <= brought("train")
    assert imported("snnpaper/auditing") <= brought("audit")
    assert imported("snnpaper") <= brought("book")
    assert imported("book") <= brought("book") | {"sphinx", "docutils"}
    assert imported("tests") <= brought("book", "test") | {"packaging"}  # which pytest brings


def test_torch_is_a_range_for_users_and_one_release_for_the_book():
    assert "torch>=2.6" in PROJECT["dependencies"]
    assert not any("==" in r for r in PROJECT["dependencies"])
    pins = dict(r.split("==") for r in PROJECT["optional-dependencies"]["book"] if "==" in r)
    assert pins["torch"] == pins["torchaudio"] and set(pins) == {"torch", "torchvision", "torchaudio"}
    light = {"torch", "torchattacks", "numpy", "scipy", "matplotlib", "safetensors", "platformdirs", "tqdm"}
    assert brought("audit") == light


def test_the_lock_has_what_pyproject_asks_for_with_hashes():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text  # no index of anybody's
    here = {"python_version": FLOOR, "python_full_version": f"{FLOOR}.0", "sys_platform": "linux"}
    locked = {}
    for entry in re.split(r"\n(?=\w)", text.strip()):
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", entry.split("--hash=")[-1].strip()), entry[:80]
        requirement = Requirement(entry.split("\\\n")[0])
        if requirement.marker is None or requirement.marker.evaluate(here):
            locked[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    extras = PROJECT["optional-dependencies"]
    asked = PROJECT["dependencies"] + [r for e in ("audit", "train", "book", "test", "lint") for r in extras[e]]
    for wanted in map(Requirement, asked):
        if wanted.name != "snnpaper":
            assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted


def test_make_asks_for_the_lock_and_knows_folders_with_spaces(tmp_path):
    asked = subprocess.run(["make", "-n", "env", f"VENV={tmp_path}/a b"], cwd=ROOT, capture_output=True, text=True)
    assert "--compile-bytecode --require-hashes --requirements requirements.lock" in asked.stdout
    assert f'"{tmp_path}/a b/bin/python" -m uv pip install' in asked.stdout
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / ".installed").touch()
    asked = subprocess.run(["make", "-n", "test", f"VENV={tmp_path}/a b"], cwd=ROOT, capture_output=True, text=True)
    assert "pip install" not in asked.stdout and "-m pytest" in asked.stdout


def test_ci_asks_for_style_and_types():
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlint:")[1].split("\n\n")[0]
    assert all(step in lint for step in ("ruff check", "ruff format --check", "mypy"))
    assert "make lint\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make lint\n" in (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")


def test_python_floor_is_the_same_everywhere():
    matrix = load(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert matrix[0] == FLOOR
    assert META["tool"]["ruff"]["target-version"] == "py" + FLOOR.replace(".", "")
    assert f"({FLOOR.replace('.', ', ')})" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_version_author_and_licence_agree():
    import snnpaper

    citation = load("CITATION.cff")
    assert str(citation["version"]) == PROJECT["version"] == snnpaper.__version__
    assert citation["authors"] == PROJECT["authors"] == [{"name": "The snnpaper authors"}]
    assert PROJECT["license"] == " AND ".join(citation["license"])
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert load("_config.yml")["author"] == "The snnpaper authors"
    for name in PROJECT["license-files"]:
        assert (ROOT / name).read_text(encoding="utf-8").strip()


def test_the_address_has_one_home():
    url = address(ROOT)
    assert load("CITATION.cff").get("repository-code", "") == url
    assert load("_config.yml")["repository"]["url"] == ""
    if not url:
        for name in ("README.md", "book/index.py", "_config.yml"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not re.search(r"github\.com/[\w-]+/snnpaper", text), f"{name} names an address that is not set"


def test_no_file_names_a_package_index():
    """A stranger's index may be a mirror; which one is theirs to say."""
    hosts = re.compile(r"https?://[\w.-]*(?:pypi|pythonhosted|anaconda|download\.pytorch)[\w.-]*", re.IGNORECASE)
    files = [ROOT / n for n in ("pyproject.toml", "environment.yml", "Makefile", ".ci/run")]
    files += (ROOT / ".github" / "workflows").glob("*.yml")
    for path in files:
        assert not hosts.search(path.read_text(encoding="utf-8")), path


def test_workflow_actions_are_pinned_to_a_major_version():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for uses in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", uses), uses
