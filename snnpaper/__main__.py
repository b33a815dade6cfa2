"""python -m snnpaper fetch | train | status"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

import torch

from . import data, ledger
from .config import PROFILES, Run, home, parse


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m snnpaper", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download a data set and check its md5")
    fetch.add_argument("dataset", choices=[d for d in data.CLASSES if d != "digits"])
    train = commands.add_parser("train", help="train one network, attack it, measure it; resumes; records in results/")
    train.add_argument("--profile", default="demo", choices=PROFILES)
    train.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train.add_argument("--no-measure", action="store_true", help="stop after training")
    train.add_argument("--short", action="store_true", help="attack at eps 8/255 by the sound protocol only")
    commands.add_parser("status", help="list the recorded runs")
    for f in fields(Run):
        train.add_argument(f"--{f.name}", type=_flag if f.type == "bool" else type(f.default), metavar="VALUE")
    args = parser.parse_args(argv)
    try:
        if args.command == "fetch":
            splits = data.load(args.dataset)
            print(f"{args.dataset}: {', '.join(f'{len(v):,} {k}' for k, v in splits.items())} in {data.root()}")
        elif args.command == "status":
            print(status())
        else:
            from .experiment import BATTERY, SHORT_BATTERY, run_all, train_stage

            run, device = parse({k: getattr(args, k) for k in ("profile", "device", *(f.name for f in fields(Run)))})
            ledger.provenance()  # before anything on disk can change under a long run
            if args.no_measure:
                train_stage(run, device)
            else:
                run_all(run, device, battery=SHORT_BATTERY if args.short else BATTERY)
    except (ValueError, RuntimeError) as err:
        print(f"snnpaper: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def status() -> str:
    """The recorded runs: which records each has, its scale, test accuracy, cost and hardware."""
    rows = []
    for r in ledger.records("train"):
        kinds = [k for k in ("robustness", "sparsity", "theory") if ledger.path(k, r["name"]).exists()]
        p = r["provenance"]
        machine = p["hardware"]["gpu"] or p["hardware"]["cpu"]
        rows.append(
            f"{r['name']:44} {r['scale']:8} test {100 * r['results']['test_accuracy']:5.1f} %  "
            f"{p['wall_seconds'] / 60:5.0f} min  {machine}  {', '.join(['train', *kinds])}"
        )
    unfinished = sorted(f.stem for f in (home() / "runs").glob("*.pt"))
    rows += [f"{name:44} unfinished: the same train command goes on" for name in unfinished]
    return "\n".join(rows) or "nothing recorded yet: python -m snnpaper train --help"


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: True, False")
    return text == "True"


if __name__ == "__main__":
    sys.exit(main())
