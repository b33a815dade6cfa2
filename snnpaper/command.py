"""The command line of measurements on networks of zoo/: names in, a record each out, errors in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from . import ledger

Work = Callable[[argparse.Namespace], None]


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None, work: Work) -> None:
    """Parse, note the code's version, work.

    A wrong value or missing file ends in its message and exit status 2, Ctrl-C in 130: what is on disk stays.
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


def over_networks(
    module: str, text: str, kind: str, record: Callable[[str], None], argv: Sequence[str] | None = None
) -> None:
    """The command `python -m <module> RUN_NAME ...`: one record of `kind` per network that lacks it."""
    parser = argparse.ArgumentParser(f"python -m {module}", description=text.split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="RUN_NAME", help="networks of zoo/")

    def work(args: argparse.Namespace) -> None:
        for name in args.names:
            if ledger.path(kind, name).exists():
                print(f"{kind}/{name}.json is recorded already")
            else:
                record(name)

    run(parser, argv, work)
