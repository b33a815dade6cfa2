"""Executable, audited reproduction of arXiv 2509.23762.

An image becomes spikes, spikes become logits (`nets`), logits become a loss (`train`), the loss becomes a
gradient (`attacks`, `sparsity`), and the book asks what that gradient says about robustness (`audit`,
`measure`, `report`).

The names below are imported when they are first used, so that none costs what it does not need.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import audit, config, ledger, stats, train, zoo
    from .attacks.standard import Attack, robust
    from .config import Run
    from .nets import data

__version__ = "0.1.0"
__all__ = ["Attack", "Run", "audit", "config", "data", "ledger", "robust", "stats", "train", "zoo"]

# A folder given as "~/x" or "x" is meant from where the user stands; kernels and jobs run elsewhere.
for _name in ("SNNPAPER_HOME", "SNNPAPER_DATA"):
    if _given := os.environ.get(_name):
        os.environ[_name] = os.path.abspath(os.path.expanduser(_given))

_INSIDE = {"Attack": "attacks.standard", "Run": "config", "data": "nets", "robust": "attacks.standard"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _INSIDE:
        value = getattr(import_module(f".{_INSIDE[name]}", __name__), name, None)
        return value or import_module(f".{_INSIDE[name]}.{name}", __name__)
    return import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
