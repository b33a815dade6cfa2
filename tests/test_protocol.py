"""Each habit of the published protocol, on networks of one line where it alone decides what is fooled."""

import pandas as pd
import torch
from torch import nn

from snnpaper import ledger, zoo
from snnpaper.attacks.gradients import _Adaptive
from snnpaper.attacks.spiking_ensemble import stages
from snnpaper.attacks.standard import TRAIN, Attack
from snnpaper.config import Run
from snnpaper.measure import deviations, protocol
from snnpaper.measure.curve import gradients
from snnpaper.measure.networks import sources_of
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.data import Images
from snnpaper.report.attacks import figures

RUN = Run.make("demo", width=4)
DARK = Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))  # no spike at all


class Margin(nn.Module):
    """Logits [margin of the spikes, 0]: class 0 is right while the margin is positive."""

    def __init__(self, margin) -> None:
        super().__init__()
        self.margin, self.bias = margin, nn.Parameter(torch.zeros(1))

    def forward(self, spikes):
        margin = self.margin(self, spikes.flatten(2).sum(2)) + self.bias  # [T,N] -> [N]
        return torch.stack([margin, 0 * margin], 1)


def coded(net, T=10):
    return CodedNet(net.eval(), "phase", T, 2)


def pgd(margin, training=False, adapted=False, **how):
    """Whether no image is fooled; or every one is."""
    robust = protocol._pgd(coded(Margin(margin)), DARK, 8 / 255, training, adapted, **how)
    assert robust.all() or not robust.any()
    return bool(robust.all())


def test_train_mode_follows_the_gradient_of_another_function():
    def margin(net, s):
        return 0.1 + s.sum(0) if net.training else 0.1 - s.sum(0)

    assert not pgd(margin) and pgd(margin, training=True)
    attack = Attack(space="spike", protocol=TRAIN)
    assert deviations.train_mode_attack(coded(Margin(margin)), DARK, attack).all()


def test_adapted_statistics_are_those_of_the_attacked_batches():
    def margin(net, s):
        net.bias.data -= 0.1 * net.training
        return 0.5 + 0 * s.sum(0)

    assert pgd(margin, training=True) and not pgd(margin, training=True, adapted=True)


def test_outside_the_box_there_are_no_half_spikes_to_add():
    def margin(net, s):
        return 0.1 + s.sum(0)  # what has no spike cannot have fewer

    assert pgd(margin) and not pgd(margin, box=False)


def test_copies_of_a_plane_move_together():
    def margin(net, s):
        return 0.05 - (s[8] - s[0])

    assert not pgd(margin) and pgd(margin, copies=True)


def test_gradients_of_a_probability_by_hand():
    """p = sigmoid(2 s0 - s1 + 1) of one image of two planes: d p = p (1 - p) (2, -1)."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.ReLU()

        def forward(self, spikes):
            s = self.first(spikes + 1) - 1
            z = 2 * s[0].flatten(1).sum(1) - s[1].flatten(1).sum(1) + 1
            return torch.stack([z, 0 * z], 1)

    image = Images(torch.tensor([[[[128]]]], dtype=torch.uint8), torch.tensor([0]))  # 128: plane 1 alone
    found = gradients(coded(Two(), 2), image)
    p = torch.sigmoid(torch.tensor(3.0)).item()
    expected = {"l0": 1, "effective": 9 / 5, "l1": 3 * p * (1 - p), "l0_pool": 1, "margin": 2 * p - 1}
    for name, value in expected.items():
        assert abs(found[name][0] - value) < 2e-3 * value, name
    wrong = gradients(coded(Two(), 2), Images(image.x, torch.tensor([1])))
    assert wrong["margin"][0] < 0


def test_the_adaptive_attack_is_adaptive():
    attacked = CodedNet.of(RUN)
    (found,) = [s for s in stages(attacked, "spike", 8 / 255, {}) if s.settings.surrogate == "ASSG"]
    with found.context():
        assert isinstance(attacked.net.sn1.forward, _Adaptive)
    assert not isinstance(attacked.net.sn1.forward, _Adaptive)


def test_transfer_is_from_another_seed_and_the_relu_twin(monkeypatch):
    run = Run.make("cpu")
    twin = Run.make("sweep", neuron="ReLU")
    known = {r.name: r for r in (run, run.but(seed=1), run.but(seed=1, pool="avg"), run.but(T=4), twin)}
    records = [{"name": name, "config": r.to_dict()} for name, r in known.items()]
    monkeypatch.setattr(ledger, "records", lambda kind: records)
    monkeypatch.setattr(ledger, "read", lambda kind, name: {"config": known[name].to_dict()})
    loaded = []
    monkeypatch.setattr(zoo, "load", lambda name, device: loaded.append(name) or (known[name], nn.Linear(1, 1)))
    assert set(sources_of(run)) == {"another seed", "ReLU twin"}
    assert set(loaded) == {run.but(seed=1).name, twin.name}


def test_curves_are_drawn_in_per_cent():
    rows = [{"threat": "t", "pool": p, "run": p, "radius": r, "accuracy": a, "chance": 0.1}
            for p in ("max", "avg") for r, a in ((0, 0.5), (1, 0.25))]  # fmt: skip
    (ax,) = figures.radius_curves(pd.DataFrame(rows), ["t"], ["radius"]).axes
    assert all(list(line.get_ydata()) == [50, 25] for line in ax.lines[:4])
