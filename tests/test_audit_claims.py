"""What an audit says of itself: nothing left behind, kept parts of this model only, no verdict on what was not done."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from test_audit import Flat, N, audit, cheap, data  # noqa: F401
from torch import nn

import snnpaper
from snnpaper.attacks.ensemble import Stage, noise
from snnpaper.attacks.settings import Settings
from snnpaper.auditing import backwards, ladder
from snnpaper.auditing.audited import Audited, Called, How
from snnpaper.auditing.climb import Climb, Row
from snnpaper.auditing.kept import OutOfTime
from snnpaper.auditing.report import _mend, _noise_alone
from snnpaper.auditing.verdict import Measured, findings, verdict
from snnpaper.config import Run
from snnpaper.nets import data as digits
from snnpaper.nets.coded import CodedNet

X, Y = data()
GOOD = Measured(
    images=120, n=100, classes=10, random=False, alone=True, forgets=True, mend="", unchanged=True,
    standing={"FGSM": 60, "PGD": 50}, noise_alone=0, square=(0, 40), trace={"zero": 0.0}, along=(1.0, 0.1, 0.9), far=0,
    curve={0.015: 80, 0.03: 50, 0.06: 20, 0.5: 0}, better=("PGD-20, atan 1", 0), moved=(0, 40),
)  # fmt: skip


class Moody(nn.Module):
    """In train mode it drops entries and counts batches; in eval mode it is Flat."""

    def __init__(self):
        super().__init__()
        self.bn, self.drop, self.flat = nn.BatchNorm2d(3), nn.Dropout(0.3), Flat()

    def forward(self, x):
        return self.flat(self.drop(self.bn(x)))


def test_a_model_with_statistics_is_as_it_was(cheap):  # noqa: F811
    net = Moody().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    r = audit(net)
    assert torch.equal(torch.rand(2), expected)
    assert all(m.training for m in net.modules())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert r["fell"] and all(f["said"] != f["label"] for f in r["fell"])


def test_a_coded_network_in_train_mode_stays_in_it_and_the_report_says_so(cheap):  # noqa: F811
    run = Run.make("demo", width=4, T=2)
    coded = CodedNet.of(run).train()
    images = digits.load("digits")["test"].first(12).x
    labels = coded.eval()(images).argmax(1)
    r = snnpaper.audit(coded.train(), images, labels, 4 / 255, strength="quick")
    assert coded.training and any("train mode" in note for note in r["images"]["notes"])


class Cut(Flat):
    """The same logits; `whole` decides whether they have a gradient."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def forward(self, x):
        return super().forward(x if self.whole else x.detach())


def test_parts_kept_of_another_gradient_are_not_taken(cheap, tmp_path):  # noqa: F811
    """Whoever follows the advice to put a gradient in gets another audit, from the same folder too."""
    cut = audit(Cut(False), out=tmp_path)
    assert cut["verdict"]["word"] == "obfuscated"
    mended, fresh = audit(Cut(True), out=tmp_path), audit(Cut(True))
    assert mended["attacks"] == fresh["attacks"] and mended["checks"] == fresh["checks"] != cut["checks"]
    again = audit(Cut(True), out=tmp_path)
    assert again["time"]["parts"] == mended["time"]["parts"]  # all of it kept


def test_a_scale_and_a_normalisation_are_both_of_the_images_as_given(cheap):  # noqa: F811
    fed = []

    def model(x):
        fed.append((float(x.detach().min()), float(x.detach().max())))
        return Flat()(x)

    grey = (255 * X).round().to(torch.int64)
    audit(model, grey, scale=255, mean=[100.0, 110.0, 120.0], std=50.0)
    low = min((grey[:, c] - m).min() / 50 for c, m in enumerate((100, 110, 120)))
    assert fed[0][0] >= float(low) - 1e-4 and max(high for _, high in fed) <= (255 - 100) / 50 + 1e-4


def test_a_seed_of_the_audit_is_that_of_every_attack_that_draws(cheap):  # noqa: F811
    wavy = Called(lambda x: Flat()(torch.sin(60 * x)))  # where attacks from other starts end in other places
    audited = Audited(wavy, snnpaper.auditing.adapters.find(wavy), snnpaper.auditing.inputs.given(X, Y), How())
    audited.classes = 4
    budget = ladder.Budget(4, 2, 3, 20)
    found = {s: ladder.stages(audited, 0.1, budget, [], s)[0] for s in (0, 1)}
    found = {s: [*rows, *ladder.twice(audited, 0.1, budget, [], s)] for s, rows in found.items()}
    x, y = audited.fold(X), Y
    apart = {a.settings.name: not torch.equal(a.find(audited, x, y), b.find(audited, x, y))
             for a, b in zip(*found.values(), strict=True)}  # fmt: skip
    assert not apart.pop("FGSM") and not apart.pop("FAB-T", False)  # these draw nothing here
    assert all(apart.values()) and len(apart) > 6, apart


def test_level_search_stays_in_the_ball_of_images_between_grey_levels():
    run = Run.make("demo", width=4, T=2)
    coded = CodedNet.of(run).eval()
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    y = coded.threat("pixel", "smoothed")(x).argmax(1)
    given = snnpaper.auditing.inputs.given(x, y)
    pixels = coded.threat("pixel", "smoothed")
    audited = Audited(pixels, snnpaper.auditing.adapters.find(pixels), given, How())
    (levels,) = [c for c in backwards.choices(audited, "quick", 4 / 255)[0] if c.settings]
    found = levels.find(audited, x, y)
    assert float((found - x).abs().max()) <= 4 / 255 + 1e-6 and not torch.equal(found, x)


def row(kind, fooled, seen=None, whole=True, context=None):
    seen = torch.ones(N, dtype=torch.bool) if seen is None else seen
    settings = {"random": Settings("random noise", loss=None, queries=5), "gradient": Settings("PGD", steps=20)}[kind]
    stage = Stage(settings, noise(0.1), whole, **({"context": context} if context else {}))
    return Row(stage, seen, torch.arange(N) < fooled, N)


def test_what_had_no_time_is_not_judged():
    none = torch.zeros(N, dtype=torch.bool)
    assert _noise_alone([row("random", 9), row("gradient", 4)]) == 5
    assert _noise_alone([row("random", 9), row("gradient", 4), row("gradient", 20, whole=False)]) == 5
    assert _noise_alone([row("random", 9), row("gradient", 4), row("gradient", 0, none)]) is None
    assert _noise_alone([row("random", 9, none), row("gradient", 4)]) is None

    curve = "a larger radius helps"
    cut = replace(GOOD, curve={0.05: 100}, cut=True, left_out=["curve 0.1"])
    assert {f.name: f.passed for f in findings(cut)}[curve] is None
    assert verdict(findings(cut))[0] == "unreliable"

    climb = object.__new__(Climb)
    climb.clean, climb.evidence = torch.ones(N, dtype=torch.bool), {}
    climb.rows = [row("gradient", 0, none, whole=False, context=torch.no_grad)]
    assert climb._best()[0] == "" and climb.evidence["better"] is None  # it never ran
    climb.rows = [row("gradient", 20, whole=False, context=torch.no_grad)]
    assert climb._best()[0] == climb.evidence["better"][0] == climb.rows[0].stage.settings.name


def test_a_curve_without_time_says_so():
    def no_time(group, part, work):
        raise OutOfTime(part)

    climb = object.__new__(Climb)
    climb.clean, climb.x, climb.y, climb.eps, climb.audited = torch.ones(N, dtype=torch.bool), X, Y, 0.1, None
    climb.kept, climb.left_out, climb.evidence = no_time, [], {}
    climb._evidence(("", nullcontext))
    assert climb.evidence["cut"] and climb.evidence["curve"] == {} and "curve 0.05" in climb.left_out


def test_a_model_of_one_time_step_is_not_told_to_forget_in_it():
    def mend(steps, line="functional.reset_net(model)"):
        return _mend(SimpleNamespace(adapter=SimpleNamespace(line=line), how=SimpleNamespace(steps=steps)))

    assert mend(None).endswith("at the start of forward; if that is one time step, give steps=T instead")
    assert "not in forward" in mend(4) and "at the start of forward" not in mend(4)
    assert mend(None, "reset=lambda model: ...").endswith("or give reset=lambda model: ...")


def test_what_was_not_measured_is_told_so():
    none = replace(GOOD, standing={}, noise_alone=None, square=None, trace=None, along=None, far=None, moved=None)
    told = {f.name: f.evidence for f in findings(none) if f.passed is None}
    assert len(told) >= 7 and not any("None" in text or not text for text in told.values())
    assert told["converged"] == told["the radius tells"] == "not measured"


def test_reliable_says_what_is_to_be_known_and_a_large_radius_must_leave_chance():
    assert verdict(findings(GOOD)) == ("reliable", ["every check that could be made passed"])
    word, (why,) = verdict(findings(replace(GOOD, forgets=False)))
    assert word == "reliable" and why.endswith("to be known: nothing is remembered")
    stuck = replace(GOOD, curve={r: GOOD.n // 2 for r in GOOD.curve})  # never rises, and never reaches chance
    assert verdict(findings(stuck))[0] == "obfuscated"


@pytest.mark.parametrize("seed", [0, 5])
def test_the_seed_moves_the_noise(seed):
    draws = [noise(0.1, 1, s)(lambda x: torch.zeros(len(x), 4), X, torch.zeros(N, dtype=torch.long)) for s in (0, seed)]
    assert torch.equal(*draws) is (seed == 0)
