"""The report follows the ledger and the paper's values, and nothing else."""

import json
import shutil

import pytest
import yaml

from snnpaper import ledger, report, tables
from snnpaper.config import home

VALUES = home() / "book" / "paper_values.yml"


@pytest.fixture
def copy(tmp_path):
    """A copy of the committed records and of the paper's values."""
    shutil.copytree(home() / "results", tmp_path / "results")
    shutil.copy(VALUES, tmp_path / "values.yml")
    return tmp_path


def at_paper_scale(root, seeds=5, gain=3.0):
    """Five seeds' records at the published setting, with a chosen clean gain of avg over max, on a copy."""
    template = ledger.records("robustness", root)[0]
    for seed in range(seeds):
        for pool in ("max", "avg"):
            config = template["config"] | {
                "width": 64,
                "epochs": 100,
                "batch_size": 16,
                "train_images": 0,
                "pool": pool,
                "seed": seed,
            }
            hits = int(500 + seed + (10 * gain if pool == "avg" else 0))
            bits = ledger.pack([True] * hits + [False] * (1000 - hits))
            results = {"n": 1000, "clean_accuracy": hits / 1000, "clean_correct": bits, "attacks": []}
            name = f"{pool}-{seed}"
            record = template | {"name": name, "config": config, "scale": "paper", "results": results}
            ledger.path("robustness", name, root).write_text(json.dumps(record))


def clean_gain(copy):
    rows = report.comparisons(copy / "results", copy / "values.yml")
    (row,) = rows[(rows["key"] == "clean_gain_avg_range") & (rows["scale"] == "paper")].to_dict("records")
    return row


def test_a_removed_record_removes_its_row(copy):
    before = report.comparisons(copy / "results", copy / "values.yml")
    gone = before[before["seeds"] == "1"].iloc[0]["runs"][0]
    assert tables.accuracies(copy / "results")["run"].eq(gone).any()
    for kind in ("robustness", "train", "sparsity"):
        ledger.path(kind, gone, copy / "results").unlink(missing_ok=True)
    after = report.comparisons(copy / "results", copy / "values.yml")
    assert not any(gone in runs for runs in after["runs"])
    assert len(after) < len(before)
    assert gone not in set(tables.training(copy / "results")["run"])


def test_a_changed_record_changes_the_verdict(copy):
    at_paper_scale(copy / "results", gain=3.0)
    assert clean_gain(copy)["verdict"] == report.HELD
    at_paper_scale(copy / "results", gain=-3.0)
    assert clean_gain(copy)["verdict"] == report.NOT_HELD


def test_a_changed_value_of_the_paper_changes_the_verdict(copy):
    at_paper_scale(copy / "results", gain=3.0)
    values = yaml.safe_load((copy / "values.yml").read_text())
    values["clean_gain_avg_range"]["value"] = [20, 30]
    (copy / "values.yml").write_text(yaml.safe_dump(values))
    assert clean_gain(copy)["verdict"] == report.OTHER_SIZE
    assert clean_gain(copy)["paper"] == "20 to 30"


def test_four_seeds_or_reduced_scale_give_no_verdict(copy):
    at_paper_scale(copy / "results", seeds=4)
    assert clean_gain(copy)["verdict"] == "indicative, no verdict"
    rows = report.comparisons()
    assert (rows.loc[rows["scale"] == "reduced", "verdict"].isin(["", "indicative, no verdict"])).all()


def test_unknown_values_are_shown_as_unknown_and_empty_ledgers_are_fine(tmp_path):
    rows = report.comparisons(tmp_path, VALUES)
    assert set(rows["key"]) == set(report.paper_values()) and set(rows["ours"]) == {"not measured"}
    assert rows.set_index("key").loc["fgsm_max", "paper"] == "not known to us"
    broken = tmp_path / "values.yml"
    broken.write_text("clean_max: {value: 1, text: x}")
    with pytest.raises(ValueError, match="clean_max lacks source"):
        report.paper_values(broken)
