"""python -m snnpaper fetch | train | campaign | status"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import fields
from pathlib import Path

import torch

from . import campaign as campaigns
from . import data, ledger
from .campaign import GRID
from .config import PROFILES, Run, add_arguments, check_device, parse
from .experiment import BATTERY, SHORT_BATTERY, missing, run_all, train_stage
from .models import ENGINES


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m snnpaper", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download a data set and check its md5")
    fetch.add_argument("dataset", choices=[d for d in data.CLASSES if d != "digits"])
    train = commands.add_parser("train", help="train one network, attack it, measure it; resumes; records in results/")
    train.add_argument("--profile", default="demo", choices=PROFILES)
    train.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train.add_argument("--no-measure", action="store_true", help="stop after training")
    train.add_argument("--short", action="store_true", help="only the attacks at eps 8/255 by the sound protocol")
    train.add_argument("--render", action="store_true", help="chapter 3 of this run, into rendered/")
    train.add_argument(
        "--engine", default="fast", choices=ENGINES, help="plain: the reference neuron, no captured steps"
    )
    campaign = commands.add_parser("campaign", help="compute what the ledger lacks of the grid; resumes after any stop")
    campaign.add_argument("--grid", type=Path, default=GRID)
    campaign.add_argument("--block", help="only the blocks with this in their name")
    campaign.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    campaign.add_argument("--budget-minutes", type=float, default=math.inf)
    campaign.add_argument("--together", type=int, default=1, help="networks trained at once (for a GPU)")
    campaign.add_argument("--no-render", action="store_true", help="leave chapter 3 of each cell unrendered")
    status = commands.add_parser("status", help="done, missing and cost of every cell of the grid")
    status.add_argument("--grid", type=Path, default=GRID)
    add_arguments(train)
    args = parser.parse_args(argv)
    try:
        if args.command == "fetch":
            splits = data.load(args.dataset)
            print(f"{args.dataset}: {', '.join(f'{len(v):,} {k}' for k, v in splits.items())} in {data.root()}")
        elif args.command == "status":
            print(campaigns.status(args.grid))
        elif args.command == "campaign":
            check_device(args.device)
            options = {"block": args.block, "device": args.device, "budget_minutes": args.budget_minutes}
            options["together"] = args.together
            campaigns.run(args.grid, render_chapter=not args.no_render, **options)
        else:
            run, device = parse({k: getattr(args, k) for k in ("profile", "device", *(f.name for f in fields(Run)))})
            ledger.provenance()  # before anything on disk can change under a long run
            if not missing(run):
                print(f"{run.name} is recorded already; another --seed, or SNNPAPER_HOME elsewhere, computes anew")
            if args.no_measure:
                train_stage(run, device, engine=args.engine)
            else:
                run_all(run, device, battery=SHORT_BATTERY if args.short else BATTERY, engine=args.engine)
            if args.render and not missing(run):
                print(campaigns.render(run))
    except (ValueError, RuntimeError) as err:
        print(f"snnpaper: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
