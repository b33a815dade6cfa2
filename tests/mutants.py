"""Faults put into the package one at a time: do the tests notice? `python tests/mutants.py [WORD...]`

Each row of mutants.yml changes one place of one module; the tests named beside it must fail. Words choose rows by
their text. Prints a line a mutant and their count; exit status 1 when one survives. Nothing on disk is changed: the
fault is put in while the module is imported, in a process of its own, which begins with the libraries already loaded.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 300  # seconds of processor time; a test that hangs has noticed
SURVIVED, KILLED = 0, 1  # pytest's exit status


class Mutant(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Imports one module of the package with one place changed."""

    def __init__(self, file: str, old: str, new: str) -> None:
        self.module = "snnpaper." + file.removesuffix(".py").replace("/", ".")
        source = (ROOT / "snnpaper" / file).read_text(encoding="utf-8")
        if source.count(old) != 1:
            raise ValueError(f"{file} has {old!r} {source.count(old)} times; allowed: once")
        self.source = source.replace(old, new)
        super().__init__(self.module, str(ROOT / "snnpaper" / file))

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.module else None

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec", dont_inherit=True)


def rows() -> list[tuple[str, str, str, str, list[str]]]:
    """(file, what, old, new, tests) of every mutant; the tests as pytest names them."""
    table = yaml.safe_load((ROOT / "tests" / "mutants.yml").read_text(encoding="utf-8"))
    return [
        (file, what, old, new, [name for t in tests.split() for name in named(t)])
        for file, group in table.items()
        for what, old, new, tests in group
    ]


def named(short: str) -> list[str]:
    """The tests whose name begins as given; raises ValueError when there is none."""
    file, _, start = short.partition("::")
    if not start:
        return [f"tests/{file}"]
    found = re.findall(rf"^def ({start}\w*)", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ValueError(f"tests/{file} has no {start}")
    return [f"tests/{file}::{name}" for name in found]


def outcome(tests: list[str], mutant: Mutant | None, log: Path) -> int:
    """pytest's exit status over these tests with the mutant in place, in a fork of this process."""
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return KILLED if -code in (signal.SIGXCPU, signal.SIGKILL) else code
    status = 3
    with contextlib.suppress(BaseException):
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        if mutant:
            sys.meta_path.insert(0, mutant)
        status = int(pytest.main(["-x", "-q", "-m", "", "-p", "no:cacheprovider", "--tb=line", *tests]))
        sys.stdout.flush()
    os._exit(status)


def main(words: list[str]) -> int:
    log = ROOT / "_build" / "mutants.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    chosen = [row for row in rows() if all(word in " ".join(row[:2]) for word in words)]
    mutants = [Mutant(file, old, new) for file, _, old, new, _ in chosen]
    tests = sorted({t for row in chosen for t in row[4]})
    if outcome(tests, None, log) != SURVIVED:
        print(f"the tests fail without a mutant; see {log}")
        return 2
    survived = broken = 0
    for (file, what, *_, named_tests), mutant in zip(chosen, mutants, strict=True):
        began = time.monotonic()
        status = outcome(named_tests, mutant, log)
        word = {SURVIVED: "SURVIVED", KILLED: "killed"}.get(status, f"no test ran (status {status})")
        survived, broken = survived + (status == SURVIVED), broken + (status not in (SURVIVED, KILLED))
        print(f"{word:10} {time.monotonic() - began:6.1f} s  {file}: {what}", flush=True)
    print(
        f"{len(chosen)} mutants: {len(chosen) - survived - broken} killed, {survived} survived, {broken} without a test"
    )
    return int(bool(survived or broken))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process that has started threads cannot be forked
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)
    sys.dont_write_bytecode = True
    import hypothesis  # noqa: F401 - what every child would import
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import pytest
    import spikingjelly.activation_based  # noqa: F401
    import torch  # noqa: F401
    import torchattacks  # noqa: F401

    sys.exit(main(sys.argv[1:]))
