"""Progress bars that do not fill a log."""

from __future__ import annotations

import sys

from tqdm import tqdm

_QUIET = {"mininterval": 60.0, "maxinterval": 60.0}  # seconds


def bar(items=None, **options) -> tqdm:
    """tqdm's bar; where it is not drawn on a terminal it is written once a minute, not ten times a second."""
    return tqdm(items, **({} if sys.stderr.isatty() else _QUIET), **options)
