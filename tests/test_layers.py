"""The rule for the folders: nets < attacks < auditing < measure < report; each imports what stands to its left."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "snnpaper"
SHARED = {"config", "files", "ledger", "stats"}
MAY = {
    # the ground: what a run is, what is known of it, intervals
    "config": set(),
    "stats": set(),
    "files": set(),
    "bars": set(),
    "ledger": {"config", "files"},
    "parameters": {"config"},
    # the chain
    "nets": {"config", "bars"},
    "attacks": {"nets", "bars"},
    "auditing": {"nets", "attacks", "stats", "bars", "files"},
    "theory": {"nets"},
    "measure": {*SHARED, "zoo", "nets", "attacks", "auditing", "theory", "train", "sparsity", "workers", "bars"},
    "report": {*SHARED, "zoo", "nets", "attacks", "auditing", "theory", "measure", "sparsity", "cost"},
    # beside it: tools for what makes records, and for who asks for them
    "sparsity": {"nets"},
    "train": {"bars", "config", "files", "nets"},
    "zoo": {*SHARED, "nets"},
    "cost": {"config", "ledger", "nets"},
    "command": {"ledger"},
    "workers": {"config"},
    "grid": {"config", "ledger", "measure"},
    "campaign": {"config", "files", "grid", "ledger", "nets", "train", "cost", "measure", "zoo", "workers"},
}
# What nothing in the package may import: who calls is on top.
TOP = {"__main__", "__init__", "cli"}
# One exception: pools, data sets and defences are tables that a run's names are checked against, and they import
# nothing of ours but windows and what reads their files (see the last test but one).
EXCEPTIONS = {("config", "nets")}


def imported(file: Path, root: Path = ROOT) -> set[str]:
    """The first-level parts of the package that a file names in its import statements, wherever they stand."""
    place = ["snnpaper", *file.relative_to(root).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = place[: len(place) - node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "snnpaper" and len(name) > 1}
    return found


def part(file: Path) -> str:
    return file.relative_to(ROOT).with_suffix("").parts[0]


def beside(file: Path) -> set[str]:
    """The modules of its own folder that a file imports."""
    nodes = [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)]
    here = [n for n in nodes if n.level == 1]
    return {name for n in here for name in ([n.module] if n.module else [alias.name for alias in n.names])}


FILES = [f for f in sorted(ROOT.rglob("*.py")) if part(f) not in TOP]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_imports_only_what_its_layer_may(file):
    own = part(file)
    assert own in MAY, f"{own} has no place among the layers: give it one in MAY"
    wrong = {name for name in imported(file) - MAY[own] - {own} if (own, name) not in EXCEPTIONS}
    assert not wrong, f"{own} may import {sorted(MAY[own])} only"


def test_the_layers_are_a_chain_and_form_no_circle():
    order = ["nets", "attacks", "auditing", "measure", "report"]
    for i, left in enumerate(order):
        assert not MAY[left] & set(order[i + 1 :])
    left = dict(MAY)
    while left:
        free = [name for name, needs in left.items() if not needs & set(left)]
        assert free, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}


def test_attacks_and_checks_know_no_run_and_no_record():
    for layer in ("attacks", "auditing"):
        assert not MAY[layer] & {"config", "ledger", "zoo"}


def test_a_run_knows_of_the_networks_nothing_but_the_three_tables():
    from_nets = [line for line in (ROOT / "config.py").read_text().splitlines() if "nets" in line and "import" in line]
    assert from_nets == ["from .nets import data, defences, pools"]
    within = {
        "data": {"recordings"}, "recordings": {"events", "camera"}, "camera": {"events"}, "events": set(),
        "pools": {"windows"}, "windows": set(), "defences": set(),
    }  # fmt: skip
    for name, may in within.items():
        file = ROOT / "nets" / f"{name}.py"
        assert imported(file) <= {"nets", "bars"} and beside(file) == may


def test_every_way_to_write_an_import_is_seen(tmp_path):
    (tmp_path / "attacks").mkdir()
    file = tmp_path / "attacks" / "x.py"
    file.write_text(
        "import snnpaper.ledger\nfrom snnpaper import zoo\nfrom .. import config as c\n"
        "def f():\n    from ..measure.trail import maps\n    from . import pgd\n    from .pgd import other\n"
    )
    assert imported(file, tmp_path) == {"ledger", "zoo", "config", "measure", "attacks"}
