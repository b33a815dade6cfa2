"""What a chapter's parameters and a command's options ask for: a run and a device, or a clear error."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

import torch

from .config import PROFILES, Run, allowed


def parse(parameters: dict[str, Any]) -> tuple[Run, str]:
    """The run and the device that a chapter's or a command's parameters ask for.

    Beside the fields of Run, `profile` (default demo) and `device` (default cpu) are known; None means
    "as the profile says". Raises ValueError naming every unknown name, or a value that is not allowed.
    """
    names = ["profile", "device", *(f.name for f in fields(Run))]
    if unknown := sorted(str(name) for name in parameters if name not in names):
        raise ValueError(f"unknown parameter {', '.join(unknown)}; allowed: {', '.join(names)}")
    given = {k: v for k, v in parameters.items() if v is not None}
    profile, device = given.pop("profile", "demo"), given.pop("device", "cpu")
    check_device(device)
    return Run.make(profile, **given), device


def given(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What a chapter's parameters cells set: names that are new since `before`, and old ones with another value.

    papermill takes any name, also one that the chapter has imported; `parse` then refuses it. Names that begin with _
    are the notebook's own.
    """
    if not isinstance(before, dict):
        raise ValueError("unknown parameter before; it is the chapter's own name")
    changed = {k: v for k, v in now.items() if k not in before or v is not before[k]}
    return {k: v for k, v in changed.items() if k != "before" and not k.startswith("_")}


def check_device(device: str) -> None:
    """Raises ValueError with what this machine has when it lacks `device`."""
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))] + ["cuda"] * torch.cuda.is_available()
    if device not in devices:
        raise ValueError(f"device is {device!r}; allowed on this machine: {', '.join(devices)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for every field of Run; absent means None, "as the profile says".

    A name of several words is taken with _ and with -.
    """
    group = parser.add_argument_group("the run; what is not given is as --profile says")
    for f in fields(Run):
        names = dict.fromkeys([f"--{f.name}", f"--{f.name.replace('_', '-')}"])
        kind = _flag if isinstance(f.default, bool) else type(f.default)
        group.add_argument(*names, dest=f.name, type=kind, metavar="VALUE", help=_help(f.name, f.default))


def _help(name: str, default: Any) -> str:
    """The values allowed for a field, its default and what the profiles set instead."""
    changed = [
        f"{profile} {changes[name]}" for profile, changes in PROFILES.items() if changes.get(name, default) != default
    ]
    return f"{allowed(name)}; default {default}" + "".join(f", {x}" for x in changed)


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: True, False")
    return text == "True"
