"""Pages that are drawn from records alone, on ledgers of others: they are drawn, or they say what is lacking."""

import shutil

import jupytext
import matplotlib
import pytest

from snnpaper import ledger
from snnpaper.config import Run, home

BOOK = home() / "book"
ONE = Run.make("cpu")


def first_error(name: str) -> Exception | None:
    """What stops a chapter's code, cell after cell."""
    matplotlib.use("Agg")
    shown: dict = {"__name__": "__main__", "display": lambda *_, **__: None}
    try:
        for cell in jupytext.read(BOOK / f"{name}.py").cells:
            if cell.cell_type == "code":
                lines = [line for line in cell.source.splitlines() if not line.startswith(("%", "!"))]
                exec(compile("\n".join(lines), name, "exec"), shown)
    except Exception as err:
        return err
    return None


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [(), ("train", "robustness", "sparsity")], ids=["empty", "one run"])
@pytest.mark.parametrize("name", ["index", "ch3", "ch5", "ch6", "ch7", "ch8", "ch9", "ch10", "rules", "speed"])
def test_a_page_says_what_its_ledger_lacks(name, kinds, tmp_path, monkeypatch):
    for kind in kinds:
        (tmp_path / "results" / kind).mkdir(parents=True)
        shutil.copy(home() / "results" / kind / f"{ONE.name}.json", tmp_path / "results" / kind)
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    monkeypatch.chdir(BOOK)
    err = first_error(name)
    assert err is None or isinstance(err, ledger.LedgerError), repr(err)
    assert err is None or "results" in str(err) and ("lacks" in str(err) or "no speed record" in str(err))
