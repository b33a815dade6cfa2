"""Runs: what is allowed, how they are named, and that neither changes by accident."""

import dataclasses

import pytest

from snnpaper import config, parameters
from snnpaper.config import PROFILES, Run
from snnpaper.parameters import parse


def test_defaults_are_the_published_setting_and_never_change():
    # The hash leaves out fields at their default, so a changed default would silently rename every run.
    assert dataclasses.asdict(Run()) == {
        "dataset": "cifar10", "arch": "resnet18", "skip": "sew", "neuron": "IF", "width": 64, "pool": "max",
        "count_include_pad": True, "coding": "phase", "T": 10, "surrogate": "atan", "alpha": 2.0, "epochs": 100,
        "batch_size": 16, "lr": 1e-3, "weight_decay": 1e-3, "train_images": 0, "seed": 0, "precision": "fp32",
        "defence": "none", "norm": "batch",
    }  # fmt: skip
    assert Run().hash == "44136fa355"
    assert (
        Run.make("cpu", pool="avg", seed=1).name
        == "cifar10-sew18-w16-avg-s1-" + Run.make("cpu", pool="avg", seed=1).hash
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": "median"}, "pool is 'median'; allowed: max, avg"),
        ({"poool": "avg"}, "unknown parameter poool; allowed: profile, device, dataset, .*pool"),
        ({"device": "tpu"}, "device is 'tpu'; allowed on this machine: cpu"),
        ({"profile": "fast"}, "profile is 'fast'; allowed: demo, sweep, cpu, paper"),
        ({"T": 0}, "T is 0; allowed: whole numbers from 1 to 64"),
        ({"T": 2.5}, "T is 2.5; allowed: whole numbers"),
        ({"width": "16"}, "width is '16'; allowed: whole numbers from 4 to 256"),
        ({"epochs": True}, "epochs is True; allowed: whole numbers"),
        ({"lr": float("nan")}, "lr is nan; allowed: numbers from"),
        ({"count_include_pad": 1}, "count_include_pad is 1; allowed: True, False"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        parse(changes)


def test_all_problems_are_told_at_once():
    with pytest.raises(ValueError, match="pool is 'min'.*seed is -1"):
        Run.make(pool="min", seed=-1)


def test_none_means_as_the_profile_says_and_equal_values_are_one_run():
    assert parse({"profile": "sweep", "width": None}) == (Run.make("sweep"), "cpu")
    assert Run.make(alpha=2) == Run.make(alpha=2.0)
    assert Run.make(alpha=2).hash == Run.make(alpha=2.0).hash


def test_every_field_changes_the_hash():
    other = {"dataset": "digits", "arch": "resnet34", "skip": "none", "neuron": "ReLU", "pool": "avg",
             "count_include_pad": False, "coding": "rate", "surrogate": "sigmoid", "precision": "bf16",
             "defence": "pgd:4", "norm": "none"}  # fmt: skip
    hashes = {Run().hash, Run(pool="avg/nopad").hash}
    for f in dataclasses.fields(Run):
        value = other.get(f.name, f.default + 1 if f.type == "int" else f.default)
        value = f.default / 2 if f.type == "float" else value
        hashes.add(Run().but(**{f.name: value}).hash)
    assert len(hashes) == len(dataclasses.fields(Run)) + 1  # of max pooling's, count_include_pad changes none


def test_round_trip_and_scale():
    for profile in PROFILES:
        assert Run.from_dict(Run.make(profile).to_dict()) == Run.make(profile)
    assert [Run.make(p).scale for p in ("demo", "sweep", "cpu", "paper")] == ["demo", "reduced", "reduced", "paper"]
    assert Run.make("paper", pool="avg", dataset="cifar100", weight_decay=0.0).scale == "paper"
    assert Run.make("paper", train_images=100).scale == "reduced"


def test_a_record_of_a_later_version_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown parameter dropout; allowed: dataset"):
        Run.from_dict({"dropout": 0.1})
    with pytest.raises(ValueError, match="unknown parameter poool"):
        Run.make("demo", poool="max")


def test_padding_is_counted_by_average_pooling_alone():
    without = Run(pool="avg", count_include_pad=False)
    assert without.pooling == "avg/nopad" and without.hash != Run(pool="avg").hash
    for pool in ("max", "avg/max"):
        assert Run(pool=pool, count_include_pad=False) == without.but(pool=pool) == Run(pool=pool)


def test_a_parameter_by_any_name_is_seen():
    """What papermill sets, be it new or a name that the chapter had already, reaches `parse` and is refused there."""
    chapter = {"config": config, "train": len, "_i": "1"}
    before = dict(chapter)
    now = chapter | {"before": before, "pool": "avg", "seed": None, "_i": "2"}
    assert parameters.given(before, now) == {"pool": "avg", "seed": None}
    for name in ("train", "config", "poool"):
        with pytest.raises(ValueError, match=f"unknown parameter {name}; allowed: profile"):
            parameters.parse(parameters.given(before, now | {name: 100}))
    with pytest.raises(ValueError, match="unknown parameter before"):
        parameters.given(3, now)
