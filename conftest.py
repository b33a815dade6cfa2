"""pytest for the whole repository: chapters run on this environment's kernel, small nets on few threads."""

import os
from pathlib import Path

import pytest

# Small networks lose time on many threads. Set before torch is imported; the chapters' kernels inherit it.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))

# What papermill writes from a chapter is nobody's test.
collect_ignore_glob = ["out*.ipynb", "book/out*.ipynb"]


def pytest_configure(config):
    try:
        from hypothesis import settings
    except ImportError:
        pass
    else:
        # No deadline: on a busy machine it fails tests that are right.
        settings.register_profile("snnpaper", deadline=None, print_blob=True)
        settings.load_profile("snnpaper")
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = not config.option.nbval_kernel_name
        config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(
            Path(__file__).parent / "tests" / "nbval_sanitize.cfg"
        )


@pytest.fixture(scope="session")
def cifar10_root() -> Path:
    """The folder that holds CIFAR-10 in torchvision's layout; the test is skipped where there is none."""
    from snnpaper.nets import data

    if not data.available("cifar10"):
        pytest.skip(
            f"CIFAR-10 not found in {data.root()}: set SNNPAPER_DATA to the folder that holds "
            "cifar-10-batches-py, or run `python -m snnpaper fetch cifar10`"
        )
    return data.root()
