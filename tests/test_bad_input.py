"""Wrong input ends in one error that says what is wrong and what is allowed, raised by this package and not deep
inside a library; nothing of it is taken silently. Grids, records and checkpoints: test_campaign.py, test_files.py."""

import math
import traceback
from pathlib import Path

import pytest
import torch

import snnpaper
from snnpaper import campaign, ledger, measure, parameters, stats, zoo
from snnpaper.attacks.gradients import Backward
from snnpaper.attacks.standard import TRAIN, Attack, robust
from snnpaper.cli import main
from snnpaper.config import Run
from snnpaper.measure.attacks import attacks
from snnpaper.nets import coding, data, pools
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.data import Images
from snnpaper.workers import share

PACKAGE = Path(snnpaper.__file__).parent
NAN, INF = math.nan, math.inf
FIELDS = {
    "dataset": ["imagenet", "", "CIFAR10", None, 3, ["digits"], {"digits": 1}],
    "arch": ["resnet101", "ResNet18", 18, None, ["resnet18"]],
    "skip": ["SEW", None, True, "residual"],
    "neuron": ["LIF", "if", 1, None],
    "width": [0, 3, 257, -16, 16.5, "16", "wide", None, True, NAN, INF, [16]],
    "pool": ["min", "", None, 3, "max/", "/avg", "mixed", "mixed:2", "mixed:x", "mixed:nan", "topk:0", "topk:2.5",
             "max/max", "max/avg/ties", "max:1", ["max"], "Max"],
    "count_include_pad": ["True", 1, 0, None, "no"],
    "coding": ["morse", "Phase", None, 3, "frames"],
    "T": [0, 65, -1, 2.5, "10", None, True, NAN],
    "surrogate": ["relu", "ATan", None, 2],
    "alpha": [0, -1, 1e4, "2", None, NAN, INF],
    "epochs": [0, 1001, -3, 1.5, "many", None, NAN, INF],
    "batch_size": [1, 5000, 0, "16", 2.5],
    "lr": [0, -1e-3, 11, "1e-3", None, NAN, INF],
    "weight_decay": [-1e-9, 2, "x", None, NAN],
    "train_images": [-1, 50_000, 0.5, "all", None],
    "seed": [-1, 2**31, 0.5, "0", None],
    "precision": ["fp16", "float32", 32, None],
}  # fmt: skip
X = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
Y = torch.arange(4)
ATTACKS = [
    {"space": "latent"}, {"space": None}, {"algorithm": "CW"}, {"algorithm": ["PGD"]}, {"protocol": "train"},
    {"bpda": "spline"}, {"eps": -0.1}, {"eps": 8}, {"eps": NAN}, {"eps": "8/255"}, {"eps": None}, {"step_size": 0},
    {"step_size": -1}, {"step_size": NAN}, {"step_size": "0.01"}, {"steps": 0}, {"steps": 1.5}, {"steps": "7"},
    {"steps": None}, {"space": "pixel", "protocol": TRAIN},
]  # fmt: skip


def net() -> CodedNet:
    return CodedNet.of(Run.make("demo", width=4, T=2))


CALLS = {
    "profile": [lambda: Run.make("fast"), lambda: Run.make(None), lambda: Run.make(["demo"]), lambda: Run.make(3)],
    "parameters": [
        lambda: parameters.parse({"poool": "max"}), lambda: parameters.parse({1: 2}),
        lambda: parameters.parse({"train": 100}),
        lambda: parameters.parse({"profile": ["demo"]}), lambda: parameters.parse({"device": "tpu"}),
        lambda: parameters.parse({"device": 0}), lambda: parameters.parse({"device": "cuda:9"}),
        lambda: Run.from_dict({"flavour": 1}), lambda: Run.from_dict({"width": None}),
        lambda: Run(dataset="nmnist_few", T=4), lambda: Run(dataset="nmnist_few", coding="rate"),
    ],
    "images": [
        lambda: Images(X, Y[:3]), lambda: Images(X, Y.float()), lambda: Images(X, Y[:, None]),
        lambda: robust(net(), Images(X.float() / 255, Y), Attack()),
        lambda: robust(net(), Images(X.int(), Y), Attack()),
        lambda: robust(net(), Images(X, Y + 7), Attack()), lambda: robust(net(), Images(X, Y - 1), Attack()),
        lambda: robust(net(), Images(X[:, :1], Y), Attack()), lambda: net()(X[:, 0]), lambda: net()(X[:, :2]),
        lambda: net()(X.float()), lambda: net()(X[0]), lambda: net().threat("latent"),
        lambda: coding.encode_image(X.float() + 2, "phase", 2), lambda: coding.encode_image(X.float() - 1, "phase", 2),
        lambda: coding.encode_image(X.float() * NAN, "phase", 2),
        lambda: coding.encode_image(X.float(), "phase", 2, bpda="spline"), lambda: coding.encode(X, "morse", 2),
        lambda: coding.encode(X, "frames", 2), lambda: coding.encode(X.float(), "phase", 2),
    ],
    "data": [lambda: data.load("imagenet"), lambda: data.load(None), lambda: data.load(["digits"])],
    "pools": [lambda: pools.find("min"), lambda: pools.module("max/"), lambda: pools.gradient("stem3"),
              lambda: pools.gradient(None)],
    "gradients": [lambda: Backward(surrogate="relu"), lambda: Backward(alpha=0), lambda: Backward(alpha=-1),
                  lambda: Backward(alpha="2"), lambda: Backward(pool="min")],
    "intervals": [lambda: stats.wilson(-1, 10), lambda: stats.wilson(11, 10), lambda: stats.wilson(0, 0),
                  lambda: stats.wilson(0.5, 10), lambda: stats.wilson(NAN, 10)],
    "records": [
        lambda: ledger.read("train", "nobody"), lambda: ledger.run_of("nobody"),
        lambda: ledger.arrays("trail", "nobody"),
        lambda: ledger.unpack("AA", 100), lambda: ledger.need("train", ["nobody"]), lambda: zoo.load("nobody"),
        lambda: zoo.load("../../etc/passwd"), lambda: zoo.load(3), lambda: zoo.load(""),
        lambda: ledger.append("curve", Run(), {"a": NAN}, 1.0), lambda: ledger.append("curve", Run(), {"a": {1}}, 1.0),
    ],
    "measurements": [
        lambda: measure.make("beauty", Run()), lambda: measure.make(None, Run()),
        lambda: measure.make(["curve"], Run()),
        lambda: measure.make("curve", Run(), radius=8), lambda: measure.make("curve", Run(coding="rate")),
        lambda: measure.make("untrained", Run.make("demo"), images=0),
        lambda: measure.make("untrained", Run.make("demo"), images=-5),
        lambda: measure.make("untrained", Run.make("demo"), images="all"),
        lambda: measure.make("curve", Run.make("demo")), 
        lambda: attacks(None, None, (("spike", 8, False),), 8, 1, {}, None, False),
    ],
    "workers": [lambda: share(0, 1), lambda: share(2, 1), lambda: campaign.run(together=0),
                lambda: campaign.run(budget_minutes=-1), lambda: campaign.run(budget_minutes=NAN),
                lambda: campaign.cells(Path("nowhere.yml")), lambda: campaign.cells(block="widht")],
}  # fmt: skip
LINES = [
    "", "tarin", "--nope", "fetch", "fetch mnist", "train --epochs many", "train --pool min", "train --width 3",
    "train --seed 1.5", "train --count_include_pad maybe", "train --device tpu", "train --engine slow",
    "train --profile fast", "train --measure beauty", "train --coding frames", "measure", "measure beauty",
    "measure sparsity nobody", "measure protocol --coding rate", "campaign --together 0",
    "campaign --together 2 --threads 1", "campaign --threads 0", "campaign --budget-minutes -1",
    "campaign --budget-minutes nan", "campaign --budget-minutes soon",
    "campaign --block widht", "campaign --grid nowhere.yml", "status --block widht", "status --grid .",
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    return tmp_path


def refused(call) -> str:
    """The message of what a call raises: by this package, with all it has to say in few lines."""
    with pytest.raises((ValueError, RuntimeError, OSError)) as caught:
        call()
    where = Path(traceback.extract_tb(caught.tb)[-1].filename)
    said = str(caught.value)
    assert where.is_relative_to(PACKAGE), f"raised in {where}: {said}"
    assert said and len(said.splitlines()) < 4, said
    return said


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value_of_a_run_is_named(field):
    for value in FIELDS[field]:
        said = refused(lambda value=value: Run(**{field: value}))
        assert said.startswith(f"{field} is {value!r}; allowed"), said


@pytest.mark.parametrize("given", ATTACKS, ids=str)
def test_a_wrong_attack_is_named(given):
    assert "allowed" in refused(lambda: Attack(**given))


@pytest.mark.parametrize("group", CALLS)
def test_a_wrong_call_is_told(group):
    for call in CALLS[group]:
        refused(call)


def test_a_wrong_command_line_is_one_line_and_status_2(capsys, home):
    for line in LINES:
        with pytest.raises(SystemExit) as stop:
            main(line.split())
        said = capsys.readouterr().err.strip().splitlines()[-1]
        words = ("allowed", "error: ", "nobody", "no block", "cannot be read")
        assert stop.value.code == 2 and any(word in said for word in words), (line, said)
    assert not [p for p in home.rglob("*") if p.is_file()]


def test_these_are_many():
    assert sum(map(len, (*FIELDS.values(), *CALLS.values(), ATTACKS, LINES))) >= 200
