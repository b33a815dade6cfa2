"""What a chapter computes from, read off its code: the modules it imports, the records it draws, the files it reads.

A chapter depends on the text of every module of the package that it imports, directly or through another. Of the
ledger it depends on the kinds it can name: those that stand as strings in a definition (or in a constant the
definition uses) that the chapter reaches and that leads to the ledger.
"""

import ast
import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import jupytext

PACKAGE = "snnpaper"
FILES = ("workflow/grid.yml", "book/paper_values.yml", "book/published_defences.yml")
_LEDGER = {(f"{PACKAGE}.ledger", name) for name in ("folder", "path", "vacant", "append", "read", "records")}
_ZOO = (f"{PACKAGE}.zoo", "folder")


class Module:
    """One file's top-level definitions {name: nodes}, what its names stand for, and what it imports."""

    def __init__(self, package: "Package", name: str, code: str, is_package: bool = False) -> None:
        self.package, self.name = package, name
        self.own = name if is_package else name.rpartition(".")[0]
        self.tree = ast.parse(code)
        self.definitions: dict[str, list[ast.AST]] = {}
        for i, node in enumerate(self.tree.body):
            for target in _names(node) or [f"#{i}"]:
                self.definitions.setdefault(target, []).append(node)
        self.imported: dict[str, tuple[str, str]] = {}  # name here -> (module, name there; "" for the module itself)
        self.needs: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._import(alias.asname or alias.name.split(".")[0], alias.name, "", bool(alias.asname))
            elif isinstance(node, ast.ImportFrom):
                above = self.own.split(".")[: len(self.own.split(".")) - node.level + 1] if node.level else []
                origin = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    self._import(alias.asname or alias.name, origin, alias.name)

    def _import(self, here: str, origin: str, name: str, renamed: bool = True) -> None:
        if origin.split(".")[0] != PACKAGE:
            return
        if f"{origin}.{name}" in self.package.files:
            origin, name = f"{origin}.{name}", ""
        self.needs.add(origin)
        self.imported[here] = (origin, name) if renamed else (PACKAGE, "")

    def uses(self, name: str) -> tuple[set[tuple[str, str]], set[str]]:
        """The definitions (module, name) that one of this module's refers to, and the strings in it."""
        found, strings = set(), set()
        for node in (n for top in self.definitions.get(name, ()) for n in ast.walk(top)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
            elif isinstance(node, ast.Name) and node.id in self.definitions:
                found.add((self.name, node.id))
            elif isinstance(node, ast.Name) and self.imported.get(node.id, ("", ""))[1]:
                found.add(self.imported[node.id])
            elif isinstance(node, ast.Attribute) and (chain := _chain(node)) and chain[0] in self.imported:
                module, rest = self.imported[chain[0]][0], chain[1:]
                while rest and f"{module}.{rest[0]}" in self.package.files:
                    module, rest = f"{module}.{rest[0]}", rest[1:]
                if rest and not self.imported[chain[0]][1]:
                    found.add((module, rest[0]))
        return found - {(self.name, name)}, strings


class Package:
    """The package's files below `root` by module name, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {_dotted(p.relative_to(root)): p for p in sorted((root / PACKAGE).rglob("*.py"))}

    @functools.cache  # noqa: B019 - lives as long as one build
    def module(self, name: str) -> Module:
        path = self.files[name]
        return Module(self, name, path.read_text(encoding="utf-8"), path.name == "__init__.py")

    def closure(self, chapter: Module) -> list[str]:
        """The modules a chapter imports, directly or not, with the packages around them.

        A name that a package's __init__ hands out without defining it may come from anywhere below it.
        """
        found, todo = set(), set(chapter.needs)
        todo |= {m for origin, name in chapter.imported.values() for m in self._hidden(origin, name)}
        while todo:
            name = todo.pop()
            if name in found or name not in self.files:
                continue
            found.add(name)
            module = self.module(name)
            todo |= module.needs | {name.rpartition(".")[0]}
            todo |= {m for origin, attr in module.imported.values() for m in self._hidden(origin, attr)}
        return sorted(found)

    def _hidden(self, origin: str, name: str) -> Iterator[str]:
        if name and origin in self.files and self.files[origin].name == "__init__.py":
            module = self.module(origin)
            if name not in module.definitions and name not in module.imported:
                yield from (m for m in self.files if m.startswith(f"{origin}."))

    def reached(self, chapter: Module) -> tuple[set[str], set[str], bool]:
        """Strings that may name a kind of record, all strings, and whether networks of zoo/ are read."""
        graph: dict[tuple[str, str], tuple[set, set]] = {}
        todo = [(chapter.name, name) for name in chapter.definitions]
        while todo:
            at = todo.pop()
            if at in graph or not (at[0] == chapter.name or at[0] in self.files):
                continue
            module = chapter if at[0] == chapter.name else self.module(at[0])
            if at[1] in module.definitions:
                graph[at] = module.uses(at[1])
            else:  # handed on from where it was imported
                graph[at] = ({module.imported[at[1]]} if at[1] in module.imported else set(), set())
            todo += graph[at][0]
        leads = _LEDGER & graph.keys()
        while more := {at for at, (to, _) in graph.items() if to & leads} - leads:
            leads |= more
        named, constants = set(), set()
        for at in leads - _LEDGER:
            named |= graph[at][1]
            constants |= graph[at][0]
        while constants:  # what a definition that leads to the ledger takes its words from
            at = constants.pop()
            if at in graph and at not in leads and self._is_constant(chapter, at):
                named |= graph[at][1]
                constants |= graph[at][0]
                leads.add(at)
        return named, set().union(*(strings for _, strings in graph.values())), _ZOO in graph

    def _is_constant(self, chapter: Module, at: tuple[str, str]) -> bool:
        module = chapter if at[0] == chapter.name else self.module(at[0])
        kinds = (ast.Assign, ast.AnnAssign)
        return all(isinstance(node, kinds) for node in module.definitions.get(at[1], ()))


def home(root: Path) -> Path:
    """The folder whose records and networks are drawn, as the package has it."""
    return Path(os.environ.get("SNNPAPER_HOME") or root).resolve()


def of(notebook: Path, package: Package) -> list[Path]:
    """The files and folders that a chapter (.ipynb or .py) follows from, beside its own code."""
    cells = [c.source for c in jupytext.read(notebook).cells if c.cell_type == "code"]
    code = "\n".join(line for c in cells for line in c.splitlines() if not line.startswith(("%", "!")))
    chapter = Module(package, f"chapter {notebook.stem}", code)
    kinds, strings, networks = package.reached(chapter)
    place, modules = home(package.root), package.closure(chapter)
    found = [package.files[m] for m in modules]
    if modules:
        found += [
            p for p in sorted((package.root / PACKAGE).rglob("*")) if p.is_file() and p.suffix in (".yml", ".json")
        ]
    found += [place / "results" / kind for kind in sorted(kinds) if _is_kind(place, kind)]
    found += [place / "zoo"] * networks
    words = {Path(s).name for s in strings}
    for name in (f for f in FILES if Path(f).name in words):
        found.append(place / name if (place / name).exists() else package.root / name)
    return found


def digest(notebook: Path, package: Package) -> str:
    """SHA-256 over the ledger's place and the names and contents of what a chapter follows from."""
    total = hashlib.sha256(str(home(package.root)).encode())
    for top in of(notebook, package):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file():
                total.update(path.as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _is_kind(place: Path, word: str) -> bool:
    return word.isidentifier() and (place / "results" / word).is_dir()


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _names(node: ast.AST) -> list[str]:
    """What a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]


def _chain(node: ast.Attribute) -> list[str]:
    """a.b.c as its names; empty when it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
