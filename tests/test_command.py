"""What a user may type wrong at a command line ends in one line that says what is allowed."""

import pytest

from snnpaper import campaign, config, ledger, measure
from snnpaper.cli import main
from snnpaper.config import Run


def refused(line, capsys, status=2, start=main):
    """What is printed when the command line is not carried out."""
    with pytest.raises(SystemExit) as stop:
        start(line)
    assert stop.value.code == status
    return capsys.readouterr().err


@pytest.mark.parametrize("text", ["a: [", "a: b", "- c"])
def test_a_grid_that_is_none_is_an_error_of_one_line(tmp_path, text, capsys):
    file = tmp_path / "g.yml"
    for _ in range(2):  # absent, then not a grid
        assert refused(["status", "--grid", str(file)], capsys).count("g.yml")
        file.write_text(text)


def test_a_device_that_is_not_there_is_named(capsys):
    for line in (["campaign", "--device", "cuda:9"], ["train", "--device", "tpu"]):
        assert "allowed on this machine: cpu" in refused(line, capsys)


def test_a_block_that_is_none_is_named(capsys):
    assert "no block of grid.yml has 'widht' in its name" in refused(["campaign", "--block", "widht"], capsys)


def test_a_campaign_that_has_something_left_says_so_by_its_status(monkeypatch, capsys):
    monkeypatch.setattr(campaign, "run", lambda *_, **__: False)
    refused(["campaign"], capsys, status=1)


def test_a_home_that_cannot_be_made_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("SNNPAPER_HOME", "/proc/nope")
    said = refused(
        ["train", "--no-measure", "--width", "4", "--T", "1", "--epochs", "1", "--train_images", "64"], capsys
    )
    assert "/proc/nope" in said and "Traceback" not in said


def test_ctrl_c_is_no_traceback(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "run", interrupted)
    assert "the same command goes on" in refused(["campaign"], capsys, status=130)


def test_a_defect_is_no_sign_that_something_is_left(monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(campaign, "run", broken)
    assert "ZeroDivisionError: a defect" in refused(["campaign"], capsys)


def test_measuring_by_name_refuses_options_of_another_run(capsys):
    said = refused(["measure", "theory", "no-such-run", "--seed", "3", "--pool", "avg"], capsys)
    assert "pool, seed given beside a run's name" in said
    assert "'*' is no run's name" in refused(["measure", "theory", "*"], capsys)
    assert "allowed for curve: phase, latency" in refused(["measure", "curve", "--coding", "direct"], capsys)


@pytest.mark.parametrize("kind", ["attacks", "trail", "untrained"])
def test_an_unknown_network_is_one_line(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    said = refused(["measure", kind, "no-such-run"], capsys)
    assert "no-such-run" in said and len(said.splitlines()) == 1


def test_an_unknown_measurement_is_named(capsys):
    assert "invalid choice: 'beauty'" in refused(["measure", "beauty"], capsys)
    assert "invalid choice: 'beauty'" in refused(["train", "--measure", "beauty"], capsys)


def test_a_network_without_weights_or_of_another_code_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    assert "no train record of" in refused(["measure", "theory", "--profile", "demo"], capsys)
    said = refused(["measure", "protocol", "--coding", "rate"], capsys)
    assert "coding is 'rate'; allowed for protocol: phase, weighted_phase" in said


def test_a_flag_is_true_or_false(monkeypatch):
    seen = []
    monkeypatch.setattr(measure, "make", lambda kind, run, *_, **__: seen.append((kind, run)))
    main(["measure", "untrained", "--count_include_pad", "False", "--pool", "avg"])
    assert seen == [("untrained", Run.make("demo", pool="avg", count_include_pad=False))]
    with pytest.raises(SystemExit):
        main(["measure", "untrained", "--count_include_pad", "no"])


def test_what_is_recorded_is_not_measured_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    run = Run.make("demo")
    ledger.append("theory", run, {}, 1.0)
    main(["measure", "theory", run.name])
    assert f"theory/{run.name}.json was recorded already" in capsys.readouterr().out


def test_training_what_is_recorded_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    for kind in ("train", "robustness", "sparsity"):
        ledger.append(kind, Run.make("demo"), {}, 1.0)
    main(["train", "--profile", "demo", "--no-measure"])
    assert "is recorded already; another --seed" in capsys.readouterr().out


def test_no_more_images_than_there_are():
    with pytest.raises(ValueError, match="train_images is 50000; allowed: whole numbers from 0 to 45000"):
        config.Run.make("sweep", train_images=50_000)
