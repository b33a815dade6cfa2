"""The grid: what it holds, that a campaign ends the same however often it is stopped, and what status says."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from snnpaper import campaign, cost, ledger, measure, zoo
from snnpaper import train as train_module
from snnpaper.campaign import cells
from snnpaper.cli import main
from snnpaper.config import Run
from snnpaper.measure import experiment, kept, robustness
from snnpaper.nets.coded import CodedNet
from snnpaper.train import OutOfTime
from snnpaper.workers import claim, share, side_by_side

TINY = {"width": 4, "T": 2, "epochs": 1, "train_images": 128}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    return tmp_path


def grid(path, blocks):
    path.write_text(yaml.safe_dump(blocks))
    return path


def demo(path, seeds=(0, 1), pools=("max", "avg"), **fixed):
    """Four cells on digits: two pools, two seeds."""
    over = {"seed": list(seeds), "pool": list(pools)}
    return grid(path, [{"block": "demo", "profile": "demo", "fixed": TINY | fixed, "over": over}])


def test_the_grid_holds_the_paper_s_cells_once_each():
    whole = cells()
    asked = [(c.name, kind) for c in whole for kind in c.kinds]
    assert len({c.name for c in whole}) < len(whole) <= len(set(asked))  # a later block may ask for another record
    table = [c for c in whole if c.block in ("published, all of Table 3", "published, the cells that tell most")]
    assert len(table) == 3 * 3 * 2 * 5
    assert sum(c.run.coding == "frames" for c in table) == 30 and all(c.run.scale == "paper" for c in table)
    assert whole[0].run == Run.make("paper", dataset="cifar100", arch="resnet34", pool="max", seed=0)
    for c in whole[:20]:
        assert c.command == "python -m snnpaper train " + " ".join(c.arguments)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"profile": "fast"}, "block 'b': profile is 'fast'; allowed: demo"),
        ({"profile": "demo", "over": {"pol": ["max"]}}, "block 'b': unknown pol; allowed: dataset"),
        ({"profile": "demo", "over": {"pool": "max"}}, "pool under `over` must be a list"),
        ({"profile": "demo", "over": {"pool": ["min"]}}, "block 'b': pool is 'min'; allowed: max, avg"),
        ({"profile": "demo", "seeds": [1]}, "block 'b': unknown seeds; allowed: block, profile, fixed, over"),
    ],
)
def test_a_wrong_grid_is_told_where(tmp_path, block, message):
    with pytest.raises(ValueError, match=message):
        cells(grid(tmp_path / "g.yml", [{"block": "b"} | block]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a list of blocks"),
        ("[]", "must be a list of blocks"),
        ("- ", "must be a list of blocks"),
        ("{}", "must be a list of blocks"),
        ("- {}", "block 1: profile is None; allowed: demo"),
        ("- {block: [a], profile: demo}", "block must be a name"),
        ("- {profile: [demo]}", "profile is \\['demo'\\]; allowed: demo"),
        ("- {profile: {demo: 1}}", "profile is {'demo': 1}; allowed: demo"),
        ("- {profile: 3}", "profile is 3; allowed: demo"),
        ("- {profile: demo, 1: 2}", "unknown 1; allowed: block"),
        ("- {profile: demo, fixed: [width, 16]}", "fixed is .*; allowed: names with their values"),
        ("- {profile: demo, fixed: width}", "fixed is 'width'; allowed: names with their values"),
        ("- {profile: demo, over: [pool]}", "over is .*; allowed: names with their values"),
        ("- {profile: demo, over: {pool: {max: 1}}}", "pool under `over` must be a list"),
        ("- {profile: demo, over: {pool: []}}", "pool under `over` must be a list"),
        ("- {profile: demo, measure: robustness}", "measure is 'robustness'; allowed: a list"),
        ("- {profile: demo, measure: [1]}", "measure has 1; allowed: robustness"),
        ("- {profile: demo, measure: [[robustness]]}", "measure has .*; allowed: robustness"),
        ("- {profile: demo, fixed: {dataset: [digits]}}", "dataset is \\['digits'\\]; allowed: digits"),
        ("- {profile: demo, fixed: {dataset: null}}", "dataset is None; allowed: digits"),
        ("- {profile: demo, fixed: {pool: [max]}}", "pool is .*; allowed: max"),
        ("- {profile: demo, fixed: {seed: yes}}", "seed is True; allowed: whole numbers"),
        ("- {profile: demo, fixed: {epochs: .inf}}", "epochs is inf; allowed: whole numbers from 1 to 1000"),
        ("- {profile: demo, fixed: {lr: .nan}}", "lr is nan; allowed: numbers"),
        ("- {profile: demo, fixed: {lr: 2025-01-01}}", "lr is .*; allowed: numbers"),
        ("- {profile: demo, fixed: {width: 16 wide}}", "width is '16 wide'; allowed: whole numbers"),
        ("- {profile: demo, fixed: {epochs: 2.5}}", "epochs is 2.5; allowed: whole numbers"),
        ("- &a {profile: *a}", "cannot be read|profile is"),
        ("[" * 5000, "cannot be read"),
        ("\x00", "cannot be read"),
        ("- {profile: demo, over: {seed: [" + ",".join("0" * 400) + "], T: [" + ",".join("1" * 400) + "]}}",
         "makes 160,000 cells; allowed: at most 100,000"),
    ],
)  # fmt: skip
def test_what_yaml_makes_of_what_people_write_is_told(tmp_path, text, message):
    (file := tmp_path / "g.yml").write_text(text)
    with pytest.raises(ValueError, match=f"g.yml.*({message})"):
        cells(file)


def test_names_and_numbers_of_other_notations_are_taken(tmp_path):
    (file := tmp_path / "g.yml").write_text(
        "- {block: 16, profile: demo, fixed: {lr: 1e-3, T: 4.0}, over: {seed: ['1', 2]}}"
    )
    found = cells(file, block="16")
    assert [c.run for c in found] == [Run.make("demo", lr=1e-3, T=4, seed=s) for s in (1, 2)]
    assert "16: 0 of 2 cells done" in campaign.status(file)


@pytest.mark.parametrize("together", [1, 2])
def test_a_run_that_fails_is_recorded_as_failed_and_the_rest_goes_on(home, few_images, tmp_path, monkeypatch, together):
    file = demo(tmp_path / "g.yml", seeds=[0])
    bad, said = cells(file)[0].run, []
    pool = repr(CodedNet.of(bad).net.maxpool)
    step = train_module.train_step
    monkeypatch.setattr(
        train_module,
        "train_step",
        lambda coded, *rest: step(coded, *rest) * (math.nan if repr(coded.net.maxpool) == pool else 1),
    )
    assert campaign.run(file, together=together, render_chapter=False, say=said.append)
    assert {k: len(v) for k, v in results(home).items()} == {"failed": 1, "train": 1, "robustness": 1, "sparsity": 1}
    assert "demo: 1 of 2 cells done, 1 failed" in campaign.status(file)
    assert "failed: " in campaign.status(file, every=True)
    assert any("failed, and recorded as that" in line for line in said) and not list((home / "runs").glob("*"))
    said.clear()
    assert campaign.run(file, render_chapter=False, say=said.append) and not said
    with pytest.raises(train_module.Diverged, match="results/failed"):
        experiment.run_all(bad, progress=False)


@pytest.mark.parametrize("error", [RuntimeError, FileNotFoundError])
def test_a_page_that_is_not_drawn_stops_no_campaign(home, few_images, tmp_path, monkeypatch, error):
    def broken(run):
        raise error("no papermill")

    monkeypatch.setattr(campaign, "render", broken)
    said = []
    file = demo(tmp_path / "g.yml", seeds=[0], pools=["max"])
    assert campaign.run(file, say=said.append) and "  no papermill" in said


def test_no_page_is_drawn_that_would_make_records_nobody_asked_for(home, few_images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(campaign, "render", lambda run: pytest.fail("chapter 3 measures what it draws"))
    block = {"block": "b", "profile": "demo", "fixed": TINY, "measure": ["sparsity"]}
    assert campaign.run(grid(tmp_path / "g.yml", [block]), say=lambda _: None)
    assert {k: len(v) for k, v in results(home).items()} == {"train": 1, "sparsity": 1}
    main(["train", "--no-measure", "--render", *(x for k, v in TINY.items() for x in (f"--{k}", str(v)))])
    assert "chapter 3 is not drawn: robustness not recorded" in capsys.readouterr().out


def test_a_longer_training_fails_where_a_shorter_of_its_course_did(home, few_images, tmp_path, monkeypatch):
    step = train_module.train_step
    monkeypatch.setattr(train_module, "train_step", lambda *given: step(*given) * math.nan)
    block = {"block": "b", "profile": "demo", "fixed": TINY, "over": {"epochs": [2, 1]}}
    file, said = grid(tmp_path / "g.yml", [block]), []
    assert campaign.run(file, render_chapter=False, say=said.append)
    assert {k: len(v) for k, v in results(home).items()} == {"failed": 2}
    said.clear()
    assert campaign.run(file, render_chapter=False, say=said.append) and not said


def test_status_tells_a_copy_of_another_record_from_its_own(home, tmp_path):
    file = demo(tmp_path / "g.yml", seeds=[0])
    first, second = (c.run for c in cells(file))
    ledger.append("train", second, {"test_accuracy": 0.5}, 1.0)
    ledger.path("train", first.name).write_bytes(ledger.path("train", second.name).read_bytes())
    assert f"{first.name:46} {first.scale:8} missing" in campaign.status(file, every=True)


def test_four_cells_end_to_end(home, few_images, tmp_path):
    file = demo(tmp_path / "g.yml")
    said = []
    assert not campaign.run(file, budget_minutes=0, render_chapter=False, say=said.append)
    assert "time is up (0 min)" in said[-1] and "stopped in epoch 1 of 1" in said[-1]
    assert campaign.run(file, render_chapter=False, say=said.append)
    first = results(home)
    assert {k: len(v) for k, v in first.items()} == {"train": 4, "robustness": 4, "sparsity": 4}
    assert campaign.run(file, render_chapter=False, say=said.append) and results(home) == first  # nothing is repeated
    assert "demo: 4 of 4 cells done" in campaign.status(file)
    assert not list((home / "runs").glob("*"))


def test_a_stop_between_attacks_repeats_none(home, few_images, monkeypatch):
    run = Run.make("demo", **TINY)
    experiment.train_stage(run, progress=False)
    attacked, real = [], robustness.robust

    def robust(*args):
        attacked.append(args[2])
        return real(*args)

    monkeypatch.setattr(robustness, "robust", robust)
    clock = iter([0.0, 0.0, 0.0])  # the deadline passes after the clean accuracy, before the first attack
    monkeypatch.setattr(kept.time, "monotonic", lambda: next(clock, 10.0))
    with pytest.raises(OutOfTime, match="stopped in its robustness, before Attack"):
        measure.make("robustness", run, deadline=5.0, radii=(8,))
    assert not ledger.path("robustness", run.name).exists() and not attacked
    with pytest.raises(ValueError, match="unknown setting radius; allowed: images, radii, train_batch"):
        measure.make("robustness", run, radius=8)
    assert measure.make("robustness", run, radii=(8,)) and not measure.make("robustness", run)
    assert attacked == robustness.battery((8,)) and not list((home / "runs").glob("*"))


def test_a_block_names_the_kinds_of_record_its_cells_get(home, few_images, tmp_path):
    blocks = [{"block": "few", "profile": "demo", "fixed": TINY, "measure": ["robustness", "deviations"]}]
    (cell,) = cells(grid(tmp_path / "g.yml", blocks))
    assert cell.missing() == ["train", "robustness", "deviations"]
    assert cell.command.endswith("--measure robustness deviations")
    blocks[0]["measure"] = ["robustness", "beauty"]
    with pytest.raises(ValueError, match="measure has beauty; allowed: robustness, sparsity, attacks"):
        cells(grid(tmp_path / "g.yml", blocks))


def test_trained_together_is_trained_alone(home, few_images, tmp_path):
    file = demo(tmp_path / "g.yml")
    assert campaign.run(file, together=3, render_chapter=False, say=lambda _: None)
    run = cells(file)[1].run
    together = ledger.read("train", run.name)
    assert together["provenance"]["together"] == 3
    ledger.path("train", run.name).unlink()
    alone = experiment.train_stage(run, progress=False)
    assert zoo.sha256(alone.net) == together["provenance"]["live_sha256"]


def test_a_claim_is_one_process_s_until_it_ends(home):
    taken = "import time\nfrom snnpaper.workers import claim\n"
    taken += "with claim('a') as mine: print(mine, flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", taken], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        with claim("a") as mine, claim("b") as another:
            assert not mine and another
        other.kill()  # without a chance to clean up
        other.wait()
        with claim("a") as mine, claim("a") as again:
            assert mine and not again
    assert not list((home / "runs").glob("*"))


def test_a_claimed_cell_is_passed_over(home, few_images, tmp_path):
    file, said = demo(tmp_path / "g.yml", seeds=[0]), []
    first, second = (c.run for c in cells(file))
    with claim(first.course.name):
        assert not campaign.run(file, render_chapter=False, say=said.append)
    assert [r["name"] for r in ledger.records("sparsity")] == [second.name] and len(said) == 1
    assert campaign.run(file, render_chapter=False, say=said.append)


def test_two_processes_share_a_grid_and_its_threads(home, few_images, tmp_path, monkeypatch):
    """Every cell once, each by a process of one thread; the records are those of one process."""
    file = demo(tmp_path / "g.yml", seeds=[0])
    (tmp_path / "sitecustomize.py").write_text(
        "from dataclasses import replace as r; from snnpaper.measure import TABLE as t; "
        "t['robustness'] = r(t['robustness'], images=20, settings={'radii': (8,), 'train_batch': 16}); "
        "t['sparsity'] = r(t['sparsity'], images=8, settings={'weight_images': 2})"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    threads = torch.get_num_threads()
    try:
        main(["campaign", "--grid", str(file), "--no-render", "--device", "cpu", "--together", "2", "--threads", "2"])
    finally:
        torch.set_num_threads(threads)
    assert {k: len(v) for k, v in results(home).items()} == {"train": 2, "robustness": 2, "sparsity": 2}
    assert {r["provenance"]["hardware"]["threads"] for r in ledger.records("train")} == {1}
    assert not list((home / "runs").glob("*"))


def test_shares_of_threads():
    assert [share(2, 2), share(2, 5), share(1, 3)] == [1, 2, 3] and share(64, None) == 1
    for given, message in (((0, 1), "together is 0; allowed: 1 or more"), ((2, 1), "threads is 1; allowed: at least")):
        with pytest.raises(ValueError, match=message):
            share(*given)
    with pytest.raises(RuntimeError, match="2 of 2 processes failed, with exit status 2"):
        side_by_side(["campaign", "--block", "no such block"], 2, 1)


def test_what_cannot_be_trained_together_is_refused(home):
    for others in ({"dataset": "cifar10"}, {"coding": "rate"}):
        with pytest.raises(ValueError, match="allowed together: one data set, no rate coding"):
            experiment.train_together([Run.make("demo", **TINY), Run.make("demo", **TINY | others)], "cpu")
    with pytest.raises(ValueError, match="together is 0; allowed: 1 or more"):
        campaign.run(together=0)


def test_rate_coded_runs_are_trained_alone(home, few_images, tmp_path):
    """They draw from the device's random numbers, of which there is one stream."""
    file = demo(tmp_path / "g.yml", seeds=[0], coding="rate")
    assert campaign.run(file, together=2, render_chapter=False, say=lambda _: None)
    assert not any("together" in ledger.read("train", c.name)["provenance"] for c in cells(file))


def test_status_names_what_is_missing_with_command_and_cost(home, few_images, tmp_path, monkeypatch):
    blocks = [
        {"block": "events", "profile": "paper", "fixed": {"dataset": "cifar10dvs"}},
        {"block": "images", "profile": "sweep", "over": {"pool": ["max", "avg"]}},
    ]
    file = grid(tmp_path / "g.yml", blocks)
    text = campaign.status(file, every=True)
    assert (
        "cifar10dvs-sew18-w64-max-s0" in text
        and "data absent: python -m snnpaper fetch cifar10dvs" in text.splitlines()[1]
    )
    assert "cost unknown" in text and "python -m snnpaper train --profile sweep --pool avg" in text
    run = Run.make("sweep", pool="max")
    ledger.append("train", run, {"test_accuracy": 0.5}, 600.0)
    text = campaign.status(file, "images")
    assert "images: 0 of 2 cells done" in text and "lacks robustness, sparsity" in text
    assert "about 10 min (from 1 run at width 16 on this machine)" in text
    assert "left: about 20 min of training, 1 of the networks a second time" in text  # its weights are nowhere
    assert "its weights are not kept" in text  # and then, on a machine without CIFAR, that it is absent
    assert f"\n      SNNPAPER_HOME=FOLDER {cells(file, 'images')[0].command}" in text
    ledger.append("robustness", run, {"attacks": [{}]}, 1.0)
    assert f"1 of {len(robustness.battery((6, 8)))} attacks" in campaign.status(file, every=True)
    monkeypatch.setenv("SNNPAPER_DATA", str(tmp_path / "nowhere"))
    assert "data absent: python -m snnpaper fetch cifar10" in campaign.status(file, every=True)


def test_status_is_a_line_a_block_and_names_the_way_to_more(home):
    text = campaign.status()
    blocks = {c.block for c in cells()}
    assert len(text.splitlines()) <= len(blocks) + 3 and all(f"{b}: 0 of " in text for b in blocks)
    assert "status --all" in text.splitlines()[-1] and "python -m snnpaper train" not in text
    some = min(blocks)
    assert "python -m snnpaper train" in campaign.status(block=some)


def test_cost_follows_the_arithmetic():
    run = Run.make("cpu")
    assert cost.work(run.but(epochs=8)) == pytest.approx(2 * cost.work(run))
    assert cost.work(run.but(T=20)) == pytest.approx(2 * cost.work(run))
    assert cost.work(run.but(train_images=1000)) == pytest.approx(cost.work(run) / 45)
    # counted by hand: weights of a kernel times values of its output, over all layers
    known = {("resnet18", "sew", 64, "max"): 37016576, ("resnet50", "spiking", 16, "max"): 5669888}
    assert known == {key: cost._macs("cifar10", *key) for key in known}
    # 0.740 GFLOP (two a multiply-add) forward for one 32x32 image at T = 10, width 64
    assert 2 * 10 * cost._macs("cifar10", "resnet18", "sew", 64, "max") / 1e9 == pytest.approx(0.74, abs=0.01)
    assert [cost.duration(s) for s in (40, 720, 4 * 3600 + 360, 60 * 3600)] == ["40 s", "12 min", "4.1 h", "2.5 days"]


def test_an_estimate_rests_on_the_nearest_width_first(home):
    """A wide run elsewhere says more about a wide run than a narrow one here."""
    narrow, wide = Run.make("sweep"), Run.make("sweep", width=64)
    ledger.append("train", narrow, {}, 100.0)
    ledger.append("train", wide, {}, 1000.0)
    file = ledger.path("train", wide.name)
    record = json.loads(file.read_text())
    record["provenance"]["hardware"]["cpu"] = "another"
    file.write_text(json.dumps(record))
    seconds, rests_on = cost.estimate(wide.but(epochs=10), ledger.records("train"))
    assert seconds == pytest.approx(2000) and rests_on == "from 1 run at width 64 on another"
    assert cost.estimate(narrow.but(seed=1), ledger.records("train"))[1] == "from 1 run at width 16 on this machine"


@pytest.mark.parametrize("coding", ["phase", "rate"])
def test_a_recorded_network_comes_out_of_its_record_again(home, few_images, coding):
    """Training, attack and sparsity of one demo cell from the configuration in its record alone."""
    torch.manual_seed(1)
    experiment.run_all(Run.make("demo", **TINY | {"epochs": 2, "coding": coding}), progress=False)
    torch.manual_seed(2)  # rate coding's spikes are the run's, not the process's
    records = results(home)
    (name,) = records["train"]
    config = json.loads(ledger.path("train", name).read_text())["config"]
    for kind in records:
        ledger.path(kind, name).unlink()
    (home / "zoo" / f"{name}.safetensors").unlink()
    experiment.run_all(Run.from_dict(config), progress=False)
    assert results(home) == records


@pytest.mark.slow
def test_five_kills_end_as_an_undisturbed_campaign(tmp_path):
    file = demo(tmp_path / "g.yml", epochs=12)
    start = (
        "from dataclasses import replace as r; from snnpaper.measure import TABLE as t; "
        "t['robustness'] = r(t['robustness'], images=20); "
        "t['sparsity'] = r(t['sparsity'], images=8, settings={'weight_images': 2}); from snnpaper.cli import main; "
        f"main(['campaign', '--grid', {str(file)!r}, '--no-render', '--device', 'cpu'])"
    )
    command = [sys.executable, "-c", start]
    env = {h: os.environ | {"SNNPAPER_HOME": str(tmp_path / h), "OMP_NUM_THREADS": "1"} for h in ("whole", "killed")}
    began = time.monotonic()
    subprocess.run(command, env=env["whole"], check=True, capture_output=True)
    whole, moments = time.monotonic() - began, random.Random(0)
    kills = 0
    while kills < 5:
        process = subprocess.Popen(command, env=env["killed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.15, 0.45) * whole)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        else:  # finished before it could be killed: begin again from nothing
            subprocess.run(["rm", "-rf", str(tmp_path / "killed")], check=True)
        process.wait()
    subprocess.run(command, env=env["killed"], check=True, capture_output=True)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def results(home):
    """What the ledger says but for time and date: {kind: {name: (config, results, checksums)}}."""
    out = {}
    for file in sorted((home / "results").glob("*/*.json")):
        r = json.loads(file.read_text())
        checksums = {k: v for k, v in r["provenance"].items() if k.endswith("sha256")}
        out.setdefault(r["kind"], {})[r["name"]] = (r["config"], r["results"], checksums)
    return out
