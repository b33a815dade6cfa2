"""How every command is run: its errors are one line, and a stop leaves what is on disk."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Sequence

from . import ledger

Work = Callable[[argparse.Namespace], None]


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None, work: Work) -> None:
    """Parse, note the code's version, work.

    A wrong value or missing file ends in its message and exit status 2, a defect in its traceback and 2, Ctrl-C in 130:
    what is on disk stays. 1 is left to the commands, for "something is left".
    """
    args = parser.parse_args(argv)
    ledger.provenance()  # before anything on disk can change under a long run
    try:
        work(args)
    except (ValueError, RuntimeError, OSError) as err:
        parser.exit(2, f"{parser.prog}: {err}\n")
    except ModuleNotFoundError as err:
        parser.exit(2, f"{parser.prog}: {err.name} is not installed; pip install 'snnpaper[train]'\n")
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped; the same command goes on from what it has kept\n")
    except Exception:
        traceback.print_exc()
        parser.exit(2)
