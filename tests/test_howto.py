"""The how-to pages' code runs as it is printed, and does what the page says; pool names as users type them."""

import re
from pathlib import Path

import pytest
import torch
from suites import SUITES

from snnpaper import config, parameters
from snnpaper.nets import pools
from snnpaper.report import suites

BOOK = Path(__file__).resolve().parents[1] / "book"
NAMES = ("max", "avg", "max/ties", "max/silent", "max/avg", "avg/max", "mixed:0.25", "softmax:0.5", "topk:3",
         "stochastic", "none", "stem3", "avg/nopad")  # fmt: skip


def blocks(page: str) -> list[str]:
    """The python code of a Markdown page, block by block."""
    return re.findall(r"```python\n(.*?)```", (BOOK / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)


def test_a_new_pool_in_fifteen_lines(monkeypatch, capsys):
    monkeypatch.setattr(pools, "TABLE", dict(pools.TABLE))
    code, here = blocks("howto-pool"), {}
    assert len([line for line in code[0].splitlines() if line.strip()]) <= 15
    for part in code:
        exec(compile(part, "howto-pool.md", "exec"), here)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == here["run"].name and "-median-s0-" in printed[0] and "-max-by-median-" in here["apart"].name
    assert printed[1].endswith("of 20 digits are right and stand at 8/255")
    x, grad = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)
    assert torch.equal(pools.module("median")(x), padded.median(-1).values)
    assert torch.equal(here["layer"](x), padded.median(-1).values)
    inside = x.clone().requires_grad_()
    (back,) = torch.autograd.grad(here["layer"](inside), inside, grad)
    (average,) = torch.autograd.grad(pools.module("avg")(inside), inside, grad)
    assert torch.allclose(back, average)
    with pytest.raises(ValueError, match="pool is 'rank:9'; allowed: .*rank:k"):
        pools.find("rank:9")
    assert pools.find("max/median").back.name == "median" and pools.find("median").label == "median pooling"


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_s_parameter_takes_every_pool(name):
    run, _ = parameters.parse({"profile": "demo", "pool": name})
    assert run.pooling == name and config.Run(pool=name).pooling == name


@pytest.mark.parametrize("name", ["maxx", "softmax:", "softmax:-1"])
def test_a_chapter_s_parameter_is_refused_with_what_is_allowed(name):
    with pytest.raises(ValueError, match=rf"pool is '{name}'; allowed: max, avg, .*softmax:b \(b from 0 to 1000\)"):
        parameters.parse({"profile": "demo", "pool": name})


def test_what_the_page_of_checks_asks_for_is_there():
    text = (BOOK / "howto-check.py").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<!\.\./)tests/[\w/-]+\.\w+", text)) | {
        name for _, command, _ in SUITES.values() for name in command.split() if name.startswith("tests/")
    }
    assert len(named) >= 10 and all((BOOK.parent / name).exists() for name in named)
    shown = {record["config"]["suite"] for record in suites.newest()}
    assert shown == SUITES.keys(), "a suite has no record: python tests/suites.py"
    assert all(record["results"]["status"] == 0 for record in suites.newest())
