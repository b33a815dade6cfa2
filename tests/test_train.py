"""Training learns, resumes exactly, and leaves records that match the network."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from snnpaper import ledger, zoo
from snnpaper import train as train_module
from snnpaper.config import Run
from snnpaper.measure import experiment
from snnpaper.measure.networks import sources_of
from snnpaper.measure.robustness import battery
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet, correct
from snnpaper.nets.models import build, live_parts
from snnpaper.report import tables
from snnpaper.train import Diverged, OutOfTime, Trainer, optimiser_of, train

TINY = Run.make("demo", width=4, epochs=2, T=2, train_images=128)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    return tmp_path


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.state_dict().values() if p.is_floating_point()])


def test_loss_falls_and_the_test_split_is_never_read():
    splits = data.load("digits")
    del splits["test"]
    run = Run.make("demo", width=8, T=4, batch_size=16, epochs=3)
    curves = train(run, splits, checkpoint=False, progress=False).curves
    assert [c["epoch"] for c in curves] == [1, 2, 3]
    assert curves[-1]["loss"] < 0.8 * curves[0]["loss"]
    assert curves[-1]["validation_accuracy"] > 0.4  # chance is 0.10


def test_same_run_same_network_other_seed_another():
    splits = data.load("digits")
    a, b, c = (
        weights(train(r, splits, checkpoint=False, progress=False).coded) for r in (TINY, TINY, TINY.but(seed=1))
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_step_is_adam_s():
    """Two steps against Adam by hand: the run's rate, coupled weight decay, and each step's own gradient."""
    run, images = TINY.but(lr=3e-3, weight_decay=0.05), data.load("digits")["train"].first(16)
    ours = CodedNet.of(run, "plain").train()
    net = CodedNet.of(run, "plain").train()
    optimiser, weight = optimiser_of(run, ours), net.net.fc.weight
    m = v = torch.zeros_like(weight)
    for t in (1, 2):
        net.load_state_dict(ours.state_dict())
        before = weight.detach().clone()
        (g,) = torch.autograd.grad(F.cross_entropy(net(images.x), images.y), weight)
        train_module.train_step(ours, optimiser, images.x, images.y)
        g = g + run.weight_decay * before
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.square()
        moved = run.lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        torch.testing.assert_close(ours.net.fc.weight.detach(), before - moved, rtol=0, atol=2e-6)


def test_what_is_measured_is_the_network_in_eval_mode():
    coded, images = CodedNet.of(TINY).train(), data.load("digits")["test"].first(60)
    coded(images.x)  # statistics that are not those of a batch
    training = correct(coded, images)
    assert coded.training and torch.equal(training, correct(coded.eval(), images))
    assert coded.train().net(coded.encode(images.x)).argmax(1).ne(coded.eval()(images.x).argmax(1)).any()


@pytest.mark.parametrize("coding", ["phase", "rate"])
def test_an_interrupted_run_ends_where_an_undisturbed_one_does(home, monkeypatch, coding):
    run, splits = TINY.but(coding=coding), data.load("digits")
    whole = train(run, splits, checkpoint=False, progress=False)
    monkeypatch.setattr("snnpaper.train._SAVE_EVERY", 0.0)
    step, calls = train_module.train_step, []

    def stop_in_the_second_epoch(*args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr("snnpaper.train.train_step", stop_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(run, splits, progress=False)
    monkeypatch.setattr("snnpaper.train.train_step", step)
    resumed = train(run, splits, progress=False)
    assert torch.equal(weights(whole.coded), weights(resumed.coded))
    assert resumed.curves == whole.curves
    assert len(calls) == 6  # the second call did not begin anew


def test_a_time_box_keeps_what_was_done(home):
    run, splits = TINY, data.load("digits")
    whole = train(run, splits, checkpoint=False, progress=False)
    trainer = Trainer(run, splits)
    for _ in range(5):
        trainer.advance()
    trainer.save()
    with pytest.raises(OutOfTime, match="stopped in epoch 2 of 2"):
        train(run, splits, progress=False, deadline=time.monotonic() - 1)
    resumed = train(run, splits, progress=False)
    assert torch.equal(weights(whole.coded), weights(resumed.coded)) and resumed.curves == whole.curves
    assert (home / "runs" / f"{run.course.name}.pt").exists()
    resumed.forget()
    assert not (home / "runs" / f"{run.course.name}.pt").exists()


def test_a_longer_training_passes_through_the_shorter_run(home):
    splits = data.load("digits")
    short, long = TINY.but(epochs=1), TINY
    assert short.course == long.course != TINY.but(seed=1).course
    alone = weights(train(short, splits, checkpoint=False, progress=False).coded)
    first = experiment.train_stage(short, progress=False, goes_on=True)
    assert torch.equal(
        weights(zoo.round_(train(short, splits, checkpoint=False, progress=False).coded)), weights(first)
    )
    going_on = Trainer(long, splits)
    assert going_on.epoch == 1 and torch.equal(weights(going_on.coded), alone)
    whole = train(long, splits, progress=False)
    assert torch.equal(weights(whole.coded), weights(train(long, splits, checkpoint=False, progress=False).coded))
    shorter_again = train(short, splits, progress=False)  # the longer one's checkpoint is beyond it, and stays
    assert torch.equal(weights(shorter_again.coded), alone)
    shorter_again.forget()
    assert (home / "runs" / f"{long.course.name}.pt").exists()


def test_divergence_and_a_batch_larger_than_the_data_are_errors(monkeypatch):
    splits = data.load("digits")
    with pytest.raises(ValueError, match="batch_size is 512; allowed: at most 128"):
        train(TINY.but(batch_size=512), splits, checkpoint=False, progress=False)
    monkeypatch.setattr("snnpaper.train.train_step", lambda *a: torch.tensor([float("nan"), 0.0]))
    with pytest.raises(Diverged, match="the loss is nan in epoch 1"):
        train(TINY, splits, checkpoint=False, progress=False)


def test_records_and_zoo_agree_and_tables_follow_the_ledger(home, few_images):
    for pool in ("max", "avg"):
        experiment.run_all(TINY.but(pool=pool), progress=False)
    assert not list((home / "runs").glob("*"))
    _, coded = zoo.load(TINY.name)
    test = data.load("digits")["test"]
    record = ledger.read("train", TINY.name)["results"]
    hits = correct(coded, test)
    assert hits.tolist() == ledger.unpack(record["test_correct"], len(test)).tolist()
    assert record["test_accuracy"] == pytest.approx(hits.float().mean().item())
    assert record["train_n"] == TINY.train_images  # of the images it was trained on, not of others
    assert ledger.read("train", TINY.name)["provenance"]["engine"] == "fast"
    assert TINY.name in (home / "zoo" / f"{TINY.name}.md").read_text()

    frame = tables.accuracies()
    assert len(frame) == 2 * (1 + len(battery((6, 8))))
    assert set(tables.contrast(frame)["seeds"]) == {1}
    ledger.path("robustness", TINY.name).unlink()
    fewer = tables.accuracies()
    assert set(fewer["pool"]) == {"avg"} and tables.contrast(fewer).empty
    assert len(tables.training()) == 2

    experiment.run_all(TINY, progress=False)  # only what is missing is done again
    again = tables.accuracies().set_index(["run", "space", "protocol", "method", "eps"])["accuracy"].sort_index()
    before = frame.set_index(["run", "space", "protocol", "method", "eps"])["accuracy"].sort_index()
    assert again.equals(before)


def test_zoo_refuses_other_weights_and_missing_ones(home):
    net = experiment.train_stage(TINY, progress=False).net
    with torch.no_grad():
        net.fc.weight[0, 0] += 0.5
    save_file(zoo._halves(net), home / "zoo" / f"{TINY.name}.safetensors")
    with pytest.raises(zoo.ZooError, match="differ from the checksum"):
        zoo.load(TINY.name)
    (home / "zoo" / f"{TINY.name}.safetensors").unlink()
    again = f"its weights are not; train it again with: .* train --no-measure {' '.join(TINY.arguments)}"
    with pytest.raises(zoo.NotKept, match=again):
        zoo.load(TINY.name)
    assert not sources_of(TINY.but(seed=1))  # a network that is not kept is no source of transfers
    with pytest.raises(ledger.LedgerError, match="no train record of nobody"):
        zoo.load("nobody")


def test_zoo_cuts_large_networks_into_files_that_load_as_one(home, monkeypatch):
    monkeypatch.setattr(zoo, "_SHARD", 10_000)
    coded = experiment.train_stage(TINY, progress=False)
    assert len(list((home / "zoo").glob("*.safetensors"))) > 1
    assert zoo.sha256(zoo.load(TINY.name)[1].net) == zoo.sha256(coded.net)


def test_zoo_keeps_live_taps_only_and_loses_nothing(home):
    net = experiment.train_stage(TINY, progress=False).net
    kept = {k: v for f in zoo.files_of(TINY.name) for k, v in load_file(f).items()}
    assert kept["layer4.1.conv2.weight"].shape[-2:] == (1, 1)  # 1x1 maps: the middle tap
    assert kept["layer4.0.conv1.weight"].shape[-2:] == (2, 2)  # from 2x2 maps with stride 2
    assert kept["layer3.1.conv1.weight"].shape[-2:] == (3, 3) and kept["conv1.weight"].shape[-2:] == (7, 7)
    loaded = zoo.load(TINY.name)[1].net
    weight = loaded.layer4[1].conv2.weight
    assert weight.count_nonzero() == weight[..., 1, 1].count_nonzero() > 0
    spikes = (torch.rand(TINY.T, 4, 3, 32, 32) < 0.5).float()
    assert torch.equal(net(spikes), loaded(spikes)) and torch.isfinite(loaded(spikes)).all()
    assert zoo.sha256(net) == zoo.sha256(loaded)
    with torch.no_grad():
        loaded.layer4[1].conv2.weight[0, 0, 1, 1] += 1
    assert zoo.sha256(net) != zoo.sha256(loaded)


@pytest.mark.parametrize("width", [4, 16])
def test_what_is_not_live_has_no_gradient(width):
    """The rule on a network of torch's own convolutions, which drop nothing."""
    run = Run.make("demo", width=width, T=2)
    net = build(run, "plain")
    net(torch.rand(2, 4, 3, 32, 32)).square().sum().backward()
    gradients = {k: p.grad.clone() for k, p in net.named_parameters()}
    for part in live_parts(net).values():
        part.fill_(9)
    dead = {k: p.detach() != 9 for k, p in net.named_parameters()}
    assert dead["layer4.1.conv2.weight"].float().mean() == pytest.approx(8 / 9)
    for name, where in dead.items():
        assert not gradients[name][where].any(), name
    assert gradients["layer4.1.conv2.weight"].any()


def test_an_older_record_s_network_is_checked_by_the_list(home):
    experiment.train_stage(TINY, progress=False)
    file = ledger.path("train", TINY.name)
    record = json.loads(file.read_text())
    live = record["provenance"].pop("live_sha256")
    file.write_text(json.dumps(record | {"provenance": record["provenance"] | {"weights_sha256": "over all taps"}}))
    with pytest.raises(zoo.ZooError, match="differ from the checksum"):
        zoo.load(TINY.name)
    (home / "zoo" / "checksums.json").write_text(json.dumps({TINY.name: live}))
    assert zoo.load(TINY.name)[0] == TINY


def test_every_kept_network_has_a_record_and_every_listed_checksum_too():
    """The checkout's own: nothing in zoo/ is without a record, and old records without a checksum are listed."""
    listed = json.loads((zoo.folder() / "checksums.json").read_text())
    trained = {r["name"]: r["provenance"] for r in ledger.records("train")}
    assert listed.keys() == {name for name, p in trained.items() if "live_sha256" not in p}
    kept = {f.stem for f in zoo.folder().glob("*.md")}
    assert kept and kept <= trained.keys() and all(zoo.files_of(name) for name in kept)
    assert sum(f.stat().st_size for f in zoo.folder().iterdir()) < 55 * 2**20


def test_arguments_ask_for_the_run():
    for run in (TINY, Run.make("paper", seed=3, pool="avg", count_include_pad=False), Run()):
        words = run.arguments
        given = dict(zip(words[::2], words[1::2], strict=True))
        profile = given.pop("--profile")
        changes = {k[2:]: type(getattr(Run(), k[2:]))(v) if v != "False" else False for k, v in given.items()}
        assert Run.make(profile, **changes) == run


def test_the_ledger_never_replaces_a_record(home):
    ledger.append("train", TINY, {"a": 1}, 0.0)
    with pytest.raises(ledger.LedgerError, match="never replaced"):
        ledger.append("train", TINY, {"a": 2}, 0.0)
    assert ledger.read("train", TINY.name)["results"] == {"a": 1}
    assert not list((home / "results").rglob("*.part"))
    ledger.path("train", TINY.name).write_text("{")
    with pytest.raises(ledger.LedgerError, match="is not JSON"):
        ledger.records("train")


@pytest.mark.slow
def test_kill_9_and_the_same_command_end_as_one_undisturbed_run(tmp_path, monkeypatch):
    command = [
        sys.executable,
        "-m",
        "snnpaper",
        "train",
        "--width",
        "4",
        "--T",
        "2",
        "--epochs",
        "30",
        "--train_images",
        "128",
        "--no-measure",
        "--device",
        "cpu",
    ]
    home = lambda name: os.environ | {"SNNPAPER_HOME": str(tmp_path / name), "OMP_NUM_THREADS": "1"}  # noqa: E731
    run = Run.make("demo", width=4, T=2, epochs=30, train_images=128)
    subprocess.run(command, env=home("whole"), check=True, capture_output=True)
    for _ in range(2):
        process = subprocess.Popen(command, env=home("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = (
            (tmp_path / "killed" / "runs" / f"{run.course.name}.pt").stat().st_mtime
            if (tmp_path / "killed" / "runs").exists()
            else 0
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            checkpoints = list((tmp_path / "killed" / "runs").glob("*.pt"))
            if checkpoints and checkpoints[0].stat().st_mtime > seen:
                break
            time.sleep(0.05)
        assert process.poll() is None, "the run ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=home("killed"), check=True, capture_output=True)
    both = []
    for name in ("whole", "killed"):
        monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path / name))
        both.append(ledger.read("train", run.name))
    a, b = both
    assert a["results"] == b["results"]
    assert a["provenance"]["live_sha256"] == b["provenance"]["live_sha256"]


def test_a_checkpoint_passes_between_engines(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    splits = data.load("digits")
    first = Trainer(TINY, splits, engine="plain")
    first.advance()
    first.save()
    second = Trainer(TINY, splits, engine="fast")
    pairs = list(zip(first.optimiser.state.values(), second.optimiser.state.items(), strict=True))
    assert len(pairs) > 10
    for before, (p, after) in pairs:  # Adam's fused step reads moments in their weight's memory order
        assert after["exp_avg"].stride() == p.stride() and torch.equal(before["exp_avg"], after["exp_avg"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_run_learns_on_a_gpu():
    run = Run.make("demo", width=8, T=4, batch_size=16, epochs=3)
    curves = train(run, data.load("digits"), "cuda", checkpoint=False, progress=False).curves
    assert curves[-1]["validation_accuracy"] > 0.4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("coding", ["phase", "rate"])
def test_a_captured_step_is_the_eager_step(coding):
    run, splits = TINY.but(coding=coding), data.load("digits")
    trainers = [Trainer(run, splits, "cuda", checkpoint=False) for _ in range(2)]
    trainers[1]._capture = False
    for _ in range(3):  # of the epoch's four steps: at its end the sums begin anew
        for trainer in trainers:
            trainer.advance()
    assert trainers[0]._captured is not None
    a, b = (weights(t.coded) for t in trainers)
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert trainers[0].sums.tolist() == pytest.approx(trainers[1].sums.tolist(), rel=1e-3)


def test_weights_that_cannot_be_read_are_refused(home):
    run = TINY
    experiment.train_stage(run, progress=False)
    file = home / "zoo" / f"{run.name}.safetensors"
    whole = file.read_bytes()
    for broken in (whole[:200], b"version https://git-lfs.github.com/spec/v1"):
        file.write_bytes(broken)
        with pytest.raises(zoo.ZooError, match="cannot be read"):
            zoo.load(run.name)


def test_a_record_that_is_no_json_leaves_nothing_behind(home):
    with pytest.raises(ledger.LedgerError, match=f"theory/{TINY.name}.json is no JSON"):
        ledger.append("theory", TINY, {"value": float("nan")}, 1.0)
    assert not list((home / "results").rglob("*"))
