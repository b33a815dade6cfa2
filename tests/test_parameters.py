"""One chapter, one parameter changed: what papermill users type."""

import nbformat
import papermill
import pytest

from snnpaper.config import home

pytestmark = pytest.mark.slow
CHAPTER = home() / "book" / "ch3.ipynb"


def execute(tmp_path, **parameters) -> str:
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(CHAPTER, out, parameters, cwd=CHAPTER.parent, progress_bar=False)
    outputs = [o for c in nbformat.read(out, 4).cells if c.cell_type == "code" for o in c.outputs]
    return "\n".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)


def test_average_pooling_has_no_dip_at_the_pool(tmp_path):
    text = execute(tmp_path, pool="avg")
    assert "SEW-ResNet-18, avg pooling, width 16, on digits" in text
    clean = float(text.split("test images: ")[1].split(" %")[0])
    assert clean >= 90.0
    for row in (
        "clean",
        "pixel    sound   fgsm",
        "pixel    sound    pgd",
        "spike    sound   fgsm",
        "spike    sound    pgd",
    ):
        assert row in text
    (density,) = (float(line.split()[1]) for line in text.splitlines() if line.startswith("  sn1 "))
    assert density > 90.0
    assert text.count("<Figure size") >= 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pool": "median"}, "pool is 'median'; allowed: max, avg"),
        ({"poool": "avg"}, "unknown parameter poool; allowed: profile, device, dataset"),
        ({"train": 100}, "unknown parameter train; allowed: profile, device, dataset"),
        ({"epochs": "many"}, "epochs is 'many'; allowed: whole numbers from 1 to 1000"),
        ({"profile": "fast"}, "profile is 'fast'; allowed: demo, sweep, cpu, paper"),
    ],
)
def test_a_wrong_parameter_stops_the_chapter_and_says_what_is_allowed(tmp_path, parameters, message):
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        execute(tmp_path, **parameters)
