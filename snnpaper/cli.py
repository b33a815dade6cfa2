"""The command line: `snnpaper` or `python -m snnpaper`, then what is to be done."""

from __future__ import annotations

import argparse
import math
from dataclasses import fields
from pathlib import Path

import torch

from . import __version__, command, ledger, measure
from .config import PROFILES, Run
from .nets import data
from .parameters import add_arguments, check_device, parse
from .stats import wilson
from .workers import share, side_by_side

# What trains and measures is imported by the commands that need it: the others work without its packages.


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m snnpaper",
        description="Train, attack and measure spiking networks; records and networks are kept in results/ and zoo/.",
        epilog="SNNPAPER_HOME is the folder of results/ and zoo/, SNNPAPER_DATA that of the data sets.",
    )
    parser.add_argument("--version", action="version", version=f"snnpaper {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fetch(commands.add_parser("fetch", help="download a data set and check its md5"))
    _add_train(
        commands.add_parser("train", help="train one network, attack it, measure it; resumes; records in results/")
    )
    _add_measure(commands.add_parser("measure", help="make one kind of record of some networks; resumes"))
    _add_campaign(
        commands.add_parser("campaign", help="compute what the ledger lacks of the grid; resumes after any stop")
    )
    _add_audit(commands.add_parser("audit", help="attack any network; is its robust accuracy reliable? resumes"))
    _add_status(commands.add_parser("status", help="what is done of the grid, what is missing and its cost"))
    command.run(parser, argv, lambda args: args.work(args))


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=[name for name, entry in data.TABLE.items() if entry.places])

    def work(args: argparse.Namespace) -> None:
        splits = data.load(args.dataset)
        print(f"{args.dataset}: {', '.join(f'{len(v):,} {k}' for k, v in splits.items())} in {data.root()}")
        if about := data.TABLE[args.dataset].about:
            print(about)

    parser.set_defaults(work=work)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="demo", choices=PROFILES, help="default %(default)s")
    _add_device(parser)
    parser.add_argument("--measure", nargs="+", default=measure.USUAL, choices=measure.TABLE, metavar="KIND",
                        help="records to make of it afterwards; default %(default)s")  # fmt: skip
    parser.add_argument("--no-measure", dest="measure", action="store_const", const=(), help="only train")
    parser.add_argument("--render", action="store_true", help="chapter 3 of this run, into rendered/")
    parser.add_argument(
        "--engine",
        default="fast",
        choices=("fast", "plain"),
        help="fast, or plain: the reference neuron and no captured steps; default %(default)s",
    )
    add_arguments(parser)

    def work(args: argparse.Namespace) -> None:
        from . import campaign
        from .measure.experiment import missing, run_all, tidy

        run, device = parse({k: getattr(args, k) for k in ("profile", "device", *(f.name for f in fields(Run)))})
        tidy(run)
        if not missing(run, args.measure):
            print(f"{run.name} is recorded already; another --seed, or SNNPAPER_HOME elsewhere, computes anew")
        else:
            run_all(run, device, engine=args.engine, kinds=args.measure)
            print(_trained(run))
        if args.render:
            lacks = missing(run)
            print(f"chapter 3 is not drawn: {', '.join(lacks)} not recorded" if lacks else campaign.rendered(run))

    parser.set_defaults(work=work)


def _add_measure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=measure.TABLE, metavar="KIND", help=", ".join(measure.TABLE))
    parser.add_argument("names", nargs="*", metavar="RUN", help="by name; without names the run of the options below")
    parser.add_argument("--profile", default="demo", choices=PROFILES, help="default %(default)s")
    _add_device(parser)
    add_arguments(parser)

    def work(args: argparse.Namespace) -> None:
        described = {k: getattr(args, k) for k in ("profile", "device", *(f.name for f in fields(Run)))}
        check_device(args.device)
        if args.names and (given := [f.name for f in fields(Run) if described[f.name] is not None]):
            raise ValueError(f"{', '.join(given)} given beside a run's name; allowed: names, or options of one run")
        for run in [ledger.run_of(name) for name in args.names] or [parse(described)[0]]:
            made = measure.make(args.kind, run, args.device, progress=True)
            print(f"{args.kind}/{run.name}.json {'is recorded' if made else 'was recorded already'}")

    parser.set_defaults(work=work)


def _trained(run: Run) -> str:
    """What came of a training, and where it is recorded."""
    r = ledger.read("train", run.name)["results"]
    low, high = wilson(round(r["test_accuracy"] * r["test_n"]), r["test_n"])
    return (
        f"test accuracy {100 * r['test_accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], n = {r['test_n']:,}; "
        f"recorded in {ledger.path('train', run.name)}"
    )


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    _add_grid(parser)
    _add_device(parser)
    parser.add_argument("--budget-minutes", type=float, default=math.inf, help="stop after; default never")
    parser.add_argument("--together", type=int, default=1, help="networks at once, on a CPU a process each; default 1")
    parser.add_argument("--threads", type=int, help="of a CPU, in all: each process gets its share; default torch's")
    parser.add_argument("--no-render", action="store_true", help="leave chapter 3 of each cell unrendered")

    def work(args: argparse.Namespace) -> None:
        from . import campaign

        check_device(args.device)
        grid, on_cpu = args.grid or campaign.GRID, args.device == "cpu"
        torch.set_num_threads(threads := share(args.together if on_cpu else 1, args.threads))
        if on_cpu and args.together > 1:
            chosen = campaign.cells(grid, args.block)
            words = ["campaign", "--grid", str(grid), "--block", args.block, "--device", "cpu"]
            words += ["--budget-minutes", str(args.budget_minutes)] + ["--no-render"] * args.no_render
            side_by_side(words, args.together, threads)
            if not campaign.finished(chosen):
                parser.exit(1)
            return
        options = {"budget_minutes": args.budget_minutes, "together": args.together}
        if not campaign.run(grid, args.block, args.device, render_chapter=not args.no_render, **options):
            parser.exit(1)  # something is left: a loop of short boxes can tell

    parser.set_defaults(work=work)


def _add_audit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("factory", nargs="?", metavar="FACTORY", help="package.module:function, which makes the model")
    add("--weights", help="its weights: safetensors, or a state dict that torch reads with weights_only")
    add(
        "--data",
        help="a data set by name, an .npz with images and labels, or a folder with one folder of pictures a class",
    )
    add("--eps", default="8/255", help="L-infinity radius on the scale of [0,1], such as 8/255; default %(default)s")
    add("--n", type=int, help="images, the first of the data; default 200, or all where there are fewer")
    add("--steps", type=int, help="repeat each image for so many steps, where the spiking network does not")
    add(
        "--mean",
        type=float,
        nargs="+",
        help="of the normalisation the model expects: one number, or one a channel",
    )
    add("--std", type=float, nargs="+", help="likewise")
    add("--scale", type=float, help="the model is fed 0 to this instead of 0 to 1; images may be so too")
    add("--strength", default="full", choices=("quick", "full"), help="default %(default)s")
    add("--budget-minutes", type=float, default=10.0, help="begin nothing more after; default %(default)s")
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--out", default="report", help="folder of report.html, report.json and the parts; default %(default)s")
    add("--diff", nargs=2, metavar="REPORT.json", help="compare two reports, and do nothing else")
    _add_device(parser)

    def work(args: argparse.Namespace) -> None:
        from .auditing import Report, audit, diff, load

        if args.diff:
            print(diff(*map(Report.read, args.diff)))
            return
        if args.factory is None or args.data is None:
            raise ValueError("allowed: FACTORY and --data, or --diff and two reports")
        net = load.model(args.factory)
        if args.weights:
            load.weights(net, args.weights)
        if args.device != "cpu":
            check_device(args.device)
            net = net.to(args.device)
        x, y = load.images(args.data, args.n)
        options = {k: getattr(args, k) for k in ("steps", "mean", "std", "scale", "strength", "budget_minutes", "seed")}
        print(audit(net, x, y, args.eps, out=args.out, progress=True, **options))
        print(f"written: {Path(args.out) / 'report.html'}")

    parser.set_defaults(work=work)


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_grid(parser)
    parser.add_argument("--all", action="store_true", help="every cell, with its command; without: a line a block")

    def work(args: argparse.Namespace) -> None:
        from . import campaign

        print(campaign.status(args.grid or campaign.GRID, args.block, args.all))

    parser.set_defaults(work=work)


def _add_grid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--grid", type=Path, metavar="FILE", help="default: workflow/grid.yml of the checkout")
    parser.add_argument("--block", default="", help="only the blocks with this in their name; default all")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="cpu, cuda or cuda:N; default here %(default)s")  # fmt: skip
