"""What an audit leaves: its files, its pieces after a stop, its comparison with another, and the command line."""

import json
import re

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import snnpaper
from snnpaper.auditing import Report, diff, kept, ladder, load
from snnpaper.auditing.report import SCHEMA
from snnpaper.cli import main

N = 60  # two pieces of each attack


def make():
    """Four classes by the mean of four bands, a hidden ReLU on the way."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 4))
    with torch.no_grad():
        net[1].weight.copy_(torch.eye(4).repeat_interleave(12, 1) / 12)
        net[3].weight.copy_(8 * torch.eye(4))
        net[1].bias.zero_()
        net[3].bias.zero_()
    return net


def data():
    g, y = torch.Generator().manual_seed(0), torch.arange(N) % 4
    x = 0.4 + 0.02 * torch.rand(N, 48, generator=g)
    x.unflatten(1, (4, -1))[range(N), y] += torch.linspace(0.01, 0.4, N)[:, None]
    return x.view(N, 3, 4, 4), y


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setitem(ladder.BUDGETS, "quick", ladder.Budget(3, 1, 0, 5))


def audit(**more):
    return snnpaper.audit(make(), *data(), "25/255", **{"strength": "quick"} | more)


def but_times(report):
    return {k: v for k, v in report.values.items() if k != "time"}


def test_the_files_say_what_the_report_says(tmp_path):
    r = audit(out=tmp_path)
    values = json.loads((tmp_path / "report.json").read_text())
    assert but_times(Report(values)) == but_times(r)
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))
    jsonschema.validate(values, json.loads(SCHEMA.read_text()))
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:image/png)', page) and "http" not in page.replace("http-equiv", "")
    assert f"{100 * r['robust']['accuracy']:.1f} %" in page and r.line in page
    assert page.index(r["verdict"]["word"] + "</b>") < page.index("<h2>")
    assert page.count("<figure>") == min(8, len(r["fell"])) > 0 and page.count("<svg") == 2
    assert all(name in page for name in ("Square, 5 queries", "gradients beat black boxes", "HopSkipJump"))


def test_the_page_says_first_what_voids_the_number(tmp_path):
    snnpaper.audit(lambda x: make()(x.detach()), *data(), 0.1, strength="quick", out=tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.index('class="verdict obfuscated"') < page.index('class="number"')


def test_an_audit_in_two_goes_equals_one(tmp_path, monkeypatch):
    whole, work = audit(), kept.Kept.__call__

    def killed(self, group, part, do):
        if group.startswith("APGD"):
            raise KeyboardInterrupt
        return work(self, group, part, do)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kept.Kept, "__call__", killed)
        audit(out=tmp_path)
    done = len(list(tmp_path.glob("parts-*/*.pt")))
    assert done > 5 and not (tmp_path / "report.json").exists()
    computed = []

    def counted(self, group, part, do):
        return work(self, group, part, lambda: (computed.append(group), do())[1])

    monkeypatch.setattr(kept.Kept, "__call__", counted)
    assert but_times(audit(out=tmp_path)) == but_times(whole)
    assert "FGSM" not in computed and any(name.startswith("APGD") for name in computed)
    computed.clear()
    assert but_times(audit(out=tmp_path)) == but_times(whole) and not computed
    audit(out=tmp_path, seed=1)
    assert "FGSM" in computed  # other settings, other parts


def test_a_damaged_part_is_named_and_the_rest_is_kept(tmp_path):
    whole = audit(out=tmp_path)
    part = sorted(tmp_path.glob("parts-*/*.pt"))[3]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(RuntimeError, match=f"{part.name} is damaged.*delete it"):
        audit(out=tmp_path)
    part.unlink()
    assert but_times(audit(out=tmp_path)) == but_times(whole)


def test_time_that_runs_out_is_said_and_voids_the_number(monkeypatch, tmp_path):
    clock = [0.0]

    def tick():
        clock[0] += 10
        return clock[0]

    monkeypatch.setattr(kept.time, "monotonic", tick)
    r = audit(budget_minutes=2, out=tmp_path)
    assert r["verdict"]["word"] == "unreliable" and "no time" in r.headline
    assert any(name.endswith("(no time)") for name in r["not_tested"])
    partly = [a for a in r["attacks"] if a["attacked"] < a["due"]]
    assert partly and r["robust"]["n"] == N
    jsonschema.validate(r.values, json.loads(SCHEMA.read_text()))


def test_two_reports_are_compared():
    one, other = audit(), snnpaper.audit(make(), *data(), "40/255", strength="quick")
    assert diff(one, one).splitlines()[-1].endswith("0 only before, 0 only after")
    text = diff(one, other)
    assert "not comparable: eps" in text and "points" in text and re.search(r"FGSM: fooled \d+ of \d+ -> \d+ of", text)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\ndef make():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 4))\n"
    )
    save_file(make().state_dict(), tmp_path / "w.safetensors")
    np.savez(tmp_path / "d.npz", x=data()[0].numpy(), y=data()[1].numpy())
    monkeypatch.chdir(tmp_path)
    words = ["audit", "mine:make", "--weights", "w.safetensors", "--data", "d.npz", "--eps", "25/255", "--n", "40",
             "--strength", "quick", "--device", "cpu", "--out"]  # fmt: skip
    main([*words, "a"])
    r = Report.read("a/report.json")
    assert r["images"]["n"] == 40 and r.line in capsys.readouterr().out
    torch.save(make().state_dict(), "w.pt")
    main([*(w.replace("safetensors", "pt") for w in words), "b"])
    capsys.readouterr()
    main(["audit", "--diff", "a/report.json", "b/report.json"])
    assert "robust accuracy" in capsys.readouterr().out and but_times(Report.read("b/report.json")) == but_times(r)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "FACTORY and --data, or --diff"),
        (["mine", "--data", "d.npz"], "allowed: package.module:function"),
        (["nowhere:make", "--data", "d.npz"], "there is no module nowhere"),
        (["json:nothing", "--data", "d.npz"], "json has no function nothing"),
        (["lacking:make", "--data", "d.npz"], "lacking needs no_such_library, which is not installed"),
        (["torch.nn:Identity", "--weights", "no.pt", "--data", "d.npz"], "there is no file no.pt"),
        (
            ["torch.nn:Identity", "--weights", "code.pt", "--data", "d.npz"],
            "more than weights, which may run code",
        ),
        (["torch.nn:Identity", "--weights", "w.pt", "--data", "d.npz"], "w.pt does not fit the model"),
        (["torch.nn:Identity", "--data", "CIFAR11"], "the data is 'CIFAR11'; allowed: .*digits"),
        (["torch.nn:Identity", "--data", "odd.npz"], "odd.npz has z; allowed: x and y"),
        (["torch.nn:Identity", "--data", "empty"], "allowed: two or more, one a class"),
        (["torch.nn:Identity", "--data", "d.npz", "--n", "99"], "has 60 images; allowed: that many at most"),
        (["--diff", "odd.npz", "odd.npz"], "odd.npz is no report of an audit"),
    ],
)
def test_wrong_words_on_the_command_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", x=data()[0].numpy(), y=data()[1].numpy())
    np.savez("odd.npz", z=np.zeros(3))
    torch.save(make().state_dict(), "w.pt")
    torch.save(make(), "code.pt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "lacking.py").write_text("import no_such_library")
    with pytest.raises(SystemExit) as left:
        main(["audit", *words])
    err = capsys.readouterr().err
    assert left.value.code == 2 and re.search(message, err), err


def test_a_folder_of_pictures_is_read_class_by_class(tmp_path):
    from matplotlib.image import imsave

    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(3):
            imsave(tmp_path / name / f"{i}.png", np.full((4, 5, 3), 0.2 + 0.6 * k))
    x, y = load.images(str(tmp_path), 4)
    assert x.shape == (4, 3, 4, 5) and y.tolist() == [0, 1, 0, 1]
    assert [round(float(v), 1) for v in x.mean((1, 2, 3))] == [0.2, 0.8, 0.2, 0.8]
