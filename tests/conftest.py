"""What several test files share."""

from dataclasses import replace

import pytest

from snnpaper import measure


@pytest.fixture
def few_images(monkeypatch):
    """Robustness and sparsity on few images."""
    small = {"robustness": {"images": 20}, "sparsity": {"images": 8, "settings": {"weight_images": 2}}}
    for kind, changes in small.items():
        monkeypatch.setitem(measure.TABLE, kind, replace(measure.TABLE[kind], **changes))
