"""Executable, audited reproduction of arXiv 2509.23762.

An image becomes spikes, spikes become logits (`nets`), logits become a loss (`train`), the loss becomes a
gradient (`attacks`, `sparsity`), and the book asks what that gradient says about robustness (`auditing`,
`measure`, `report`).

The names below are imported when they are first used, so that none costs what it does not need.
"""

import os
from importlib import import_module

TYPE_CHECKING = False  # as typing has it, whose import would be most of the time
if TYPE_CHECKING:
    from . import config, ledger, stats, train, zoo
    from .attacks.standard import Attack, robust
    from .auditing import audit
    from .config import Run
    from .nets import data

__version__ = "0.1.0"
__all__ = ["Attack", "Run", "audit", "config", "data", "ledger", "robust", "stats", "train", "zoo"]

# A folder given as "~/x" or "x" is meant from where the user stands; kernels and jobs run elsewhere.
for _name in ("SNNPAPER_HOME", "SNNPAPER_DATA"):
    if _given := os.environ.get(_name):
        os.environ[_name] = os.path.abspath(os.path.expanduser(_given))

_WHERE = {
    "Attack": "attacks.standard:Attack",
    "Run": "config:Run",
    "audit": "auditing:audit",
    "data": "nets.data",
    "robust": "attacks.standard:robust",
}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, inside = _WHERE.get(name, name).partition(":")
    try:
        found = import_module(f".{module}", __name__)
    except ModuleNotFoundError as err:
        extra = "audit" if name == "audit" else "train"
        raise ModuleNotFoundError(
            f"snnpaper.{name} needs {err.name}: pip install 'snnpaper[{extra}]'", name=err.name
        ) from err
    return getattr(found, inside) if inside else found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
