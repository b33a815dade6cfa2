"""Chapter 5's tables on made-up accuracies, and the committed data file of published defences."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from snnpaper import ledger
from snnpaper.attacks.standard import EVAL, TRAIN
from snnpaper.config import Run, book
from snnpaper.report import tables, words
from snnpaper.report.attacks import tables as attacked
from snnpaper.report.comparison import beside
from snnpaper.stats import over_seeds_and_images


def write(run, clean, pgd, n=100, **more):
    def bits(hits):
        return ledger.pack([True] * hits + [False] * (n - hits))

    attacks = [
        {"space": space, "protocol": protocol, "algorithm": "PGD", "eps": 8 / 255, "correct": bits(pgd)}
        for space, protocol in (("pixel", EVAL), ("spike", TRAIN))
    ]
    results = {"n": n, "clean_correct": bits(clean), "attacks": attacks} | more
    record = {"kind": "robustness", "name": run.name, "config": run.to_dict(), "scale": run.scale, "results": results}
    path = ledger.path("robustness", run.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | {"provenance": {}}))


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    for seed in range(5):
        for pool, clean, pgd in (("max", 50, 20), ("avg", 53, 12)):
            write(Run(pool=pool, seed=seed), clean + seed, pgd)
    write(Run.make("sweep", coding="rate"), 40, 5)
    write(Run.make("cpu"), 45, 9)


def test_variants_are_cells_of_their_own_and_not_published(recorded):
    acc = tables.accuracies()
    assert set(acc["variant"]) == {"", "rate coding"}
    assert "rate coding" not in set(tables.published(acc)["variant"])
    assert tables.cell(Run(weight_decay=0.0, T=4))["variant"] == "T = 4, weight decay 0"


def test_difference_and_its_marks(recorded):
    table = words.trade_off(tables.published(tables.accuracies()), "pixel").reset_index()
    paper = table[table["reading"] == "paper scale"].set_index("attack")
    clean = [[50 + s <= i < 53 + s for i in range(100)] for s in range(5)]  # the images that only avg gets right
    assert paper.loc["clean", "max − avg"] == f"-3.0 ± {100 * over_seeds_and_images(clean)[1]:.1f}"
    only_max = [[12 <= i < 20 for i in range(100)]] * 5
    assert (
        paper.loc["PGD-7 (last iterate) 8/255", "max − avg"] == f"8.0 ± {100 * over_seeds_and_images(only_max)[1]:.1f}"
    )
    alone = table[table["reading"] == "reduced scale, indicative"]
    assert set(alone["avg"]) == {"missing"} and set(alone["max − avg"]) == {""}


def test_one_seed_has_an_interval_over_images(recorded):
    acc = tables.accuracies()
    table = words.trade_off(acc[(acc["seed"] == 0) & (acc["scale"] == "paper")], "spike", TRAIN).reset_index()
    text = table.set_index("attack").loc["PGD-7 (last iterate) 8/255", "max − avg"]
    assert text.startswith("8.0 [2.") and set(table["reading"]) == {"paper scale, indicative"}


def test_the_grid_says_what_is_complete_and_what_it_costs(recorded):
    grid = beside.grid(tables.accuracies()).set_index(["data", "network"])
    done = grid.loc[("CIFAR-10", "SEW-ResNet-18")]
    assert done["cost"] == "complete" and done["seeds at paper scale"] == "max 5, avg 5"
    assert done["below it, indicative"] == "width 16, 4 epochs: max 1, avg 0"
    assert "--arch resnet50" in grid.loc[("CIFAR-100", "SEW-ResNet-50"), "command"]
    assert grid.loc[("CIFAR10-DVS", "SEW-ResNet-18"), "cost"].endswith("snnpaper fetch cifar10dvs")


def test_generalisation_is_paired_by_seed():
    head = tables.cell(Run.make("cpu"))
    rows = [head | {"pool": pool, "seed": s, "train": 0.6 + 0.01 * s + gain, "test": 0.5 + 0.01 * s}
            for s in range(3) for pool, gain in (("max", 0.02), ("avg", 0.0))]  # fmt: skip
    table = beside.generalisation(pd.DataFrame(rows)).set_index("accuracy")
    assert table.loc["train − test", "max"] == "12.0 ± 0.0"
    assert table.loc["train − test", "max − avg"] == table.loc["train", "max − avg"] == "2.0 ± 0.0"
    assert table.loc["test", "max − avg"] == "0.0 ± 0.0" and table.loc["test", "max"] == "51.0 ± 2.5"


def test_published_numbers_have_sources_and_stand_beside_ours(recorded):
    found = beside.defences()
    assert found["source"].str.len().min() > 5 and set(found["read"]) == {"primary", "secondary"}
    assert ((0 <= found[["clean", "fgsm", "pgd"]]) & (found[["clean", "fgsm", "pgd"]] <= 100)).all(axis=None)
    assert (found["pgd"] <= found["fgsm"]).all() and (found["fgsm"] <= found["clean"]).all()
    cited = set(found["cite"].dropna())
    bib = (book() / "references.bib").read_text()
    assert all(f"{{{key}," in bib for key in cited)
    nothing = attacked.rows()
    table = beside.reported(tables.accuracies(), nothing, "cifar10")
    ours = table[table["origin"] == "measured here"]
    best = list(ours["pgd"])[0]
    assert best.startswith("20.0 ± ") and set(table["origin"]) == {"reported", "measured here"}
    place = {r["pgd"]: i for i, r in table.iterrows()}
    assert place["20.55"] < place[best] < place["19.81"]  # in the order of the PGD accuracy
    worst = [{"space": "pixel", "eps": 8, "pool": "max", "seed": 0, "n": 4, "attack": a, "correct": np.array(c, bool)}
             for a, c in (("clean", [1, 1, 1, 0]), (attacked.WORST, [0, 0, 0, 1]))]  # fmt: skip
    battery = pd.DataFrame(worst).assign(accuracy=lambda d: [c.mean() for c in d["correct"]])
    with_worst = beside.reported(tables.accuracies(), battery, "cifar10")
    (row,) = with_worst[with_worst["attack"] == "worst case of all attacks"].to_dict("records")
    assert (
        row["clean"].startswith("75.0") and row["pgd"].startswith("25.0") and row["source"].endswith("1 seed, 4 images")
    )
    assert len(beside.reported(tables.accuracies(), battery, "cifar100")) == len(
        beside.reported(tables.accuracies(), nothing, "cifar100")
    )


def test_a_group_without_source_is_refused(tmp_path):
    path = tmp_path / "defences.yml"
    groups = yaml.safe_load((book() / "published_defences.yml").read_text())
    path.write_text(yaml.safe_dump([groups[0] | {"source": None}]))
    with pytest.raises(ValueError, match="allowed are a source"):
        beside.defences(path)
    path.write_text(yaml.safe_dump([groups[0] | {"rows": [{"method": "m", "adversarial": False, "numbers": [1, 2]}]}]))
    with pytest.raises(ValueError, match="three numbers"):
        beside.defences(path)
