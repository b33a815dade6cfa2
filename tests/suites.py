"""The suites of the page "How to check us", each run as its command and recorded: `python tests/suites.py [NAME...]`.

A record in results/suites/ has the command, its exit status, the last words of what it printed, and its seconds.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from snnpaper import ledger

ROOT = Path(__file__).resolve().parents[1]
SUITES = {  # name: (what it tries, command, lines of its output that say what was found)
    "wrong-input": (
        "wrong input: each ends in one error that says what is allowed",
        "pytest -q tests/test_bad_input.py tests/test_files.py tests/test_campaign.py",
        1,
    ),
    "fuzz": ("readers given damaged and invented files", "pytest -q tests/test_fuzz.py", 1),
    "kills": (
        "work that is killed at any moment ends as undisturbed work",
        'pytest -q -m "" tests/test_resume.py tests/test_kept.py',
        1,
    ),
    "surroundings": ("other locales, folders and no repository", "pytest -q tests/test_surroundings.py", 1),
    "typed-numbers": ("no result is typed by hand", "pytest -q tests/test_honest_numbers.py", 1),
    "mutants": ("faults put into the code one at a time: the tests notice", "python tests/mutants.py", 1),
    "soak": ("a campaign of small cells, killed again and again", "python tests/soak.py", 4),
}


def run(name: str) -> int:
    """Run one suite, show what it prints, and record how it ended."""
    what, command, lines = SUITES[name]
    began, printed = time.monotonic(), []
    with subprocess.Popen(
        [sys.executable, *shlex.split(command.removeprefix("python ").replace("pytest", "-m pytest", 1))],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        for line in child.stdout or ():
            print(line, end="", flush=True)
            printed.append(line.strip(" =\n"))
    said = [line for line in printed if line][-lines:]
    seconds = round(time.monotonic() - began)
    now = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M}"
    record = {
        "kind": "suites",
        "name": now,
        "config": {"suite": name, "what": what, "command": command},
        "scale": "none",
        "results": {"status": child.returncode, "said": said},
        "provenance": ledger.provenance() | {"wall_seconds": seconds},
    }
    ledger.put(ledger.path("suites", now), ledger.told(record))
    return child.returncode


def main(names: list[str]) -> int:
    if unknown := set(names) - SUITES.keys():
        print(f"unknown {', '.join(sorted(unknown))}; allowed: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    return max(run(name) for name in names or SUITES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
