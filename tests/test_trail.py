"""The trail's own measurements against small cases done by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from snnpaper import ledger, sparsity
from snnpaper import measure as registry
from snnpaper.attacks.standard import TRAIN, Attack
from snnpaper.config import Run
from snnpaper.measure import deviations, networks
from snnpaper.measure import trail as measure
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet, correct

RUN = Run.make("demo", width=4, T=2)


@pytest.fixture(scope="module")
def splits():
    found = data.load("digits")
    return {k: v.first(96) for k, v in found.items()}


@pytest.fixture(scope="module")
def coded(splits):
    return networks.warmed(RUN, splits["train"])


class OnlyAPool(nn.Module):
    """Binary image -> 3x3 max pool -> two logits that weigh the windows unequally."""

    def __init__(self):
        super().__init__()
        self.maxpool, self.one = nn.MaxPool2d(3, 2, 1), nn.Parameter(torch.ones(()))

    def forward(self, spikes):
        pooled = self.maxpool(spikes[0] * self.one)
        weight = torch.arange(1.0, pooled[0].numel() + 1).view_as(pooled[0])
        score = (pooled * weight).sum((1, 2, 3))
        return torch.stack([score * 0.01, torch.zeros_like(score)], 1)


def test_ties_by_hand():
    """A 4x4 map, four windows: the first silent, one with a single spike, two with a shared pair."""
    coded = CodedNet(OnlyAPool(), "direct", 1, 2)
    x = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    x[0, 0, 0, 3] = x[0, 0, 3, 0] = x[0, 0, 3, 2] = x[0, 0, 3, 3] = 255
    # windows (rows, columns): (0-1,0-1) silent; (0-1,1-3) one spike; (1-3,0-1) one; (1-3,1-3) two
    found = measure.at_the_pool(coded, data.Images(x, torch.zeros(1, dtype=torch.long)))
    assert found["silent"] == 0.25
    assert found["single"] == 0.5 and found["tied"] == 0.5  # the silent window is tied too
    assert found["density"] == 4 / 16  # one entry each, all different
    assert found["density, silent pass nothing"] == 3 / 16
    assert found["density, ties share"] == (4 + 1 + 1 + 2) / 16
    assert found["non-zero where no spike"] == 0.25
    assert found["mass through silent"] == pytest.approx(1 / 10, rel=1e-4)  # weights 1, 2, 3, 4


def test_the_networks_own_rule_is_the_density_of_the_sparsity_measure(coded, splits):
    images = splits["test"].first(8)
    row = next(r for r in sparsity.activation_gradients(coded, images, False) if r["layer"] == "sn1")
    found = measure.at_the_pool(coded, images, batch_size=3)
    assert found["density"] == pytest.approx(row["0_mean"], rel=1e-4)
    assert found["density, silent pass nothing"] < found["density"] < found["density, ties share"]


def test_live_share_is_what_gradients_can_reach(coded, splits):
    live = sparsity.live_share(coded.net, (3, 32, 32))
    assert live["conv1.weight"] == live["fc.weight"] == 1
    assert live["layer4.0.conv1.weight"] == pytest.approx(4 / 9)
    assert live["layer4.1.conv2.weight"] == pytest.approx(1 / 9)
    reached = coded.net.layer4[1].conv2.weight.new_zeros(3, 3, dtype=torch.bool)
    for rows in sparsity.weight_gradients(coded, splits["test"].first(4), False):
        assert rows["0_mean"] <= live[rows["layer"]] + 1e-6
    p = coded.net(torch.ones(2, 1, 3, 32, 32))[0, 0]
    reached |= (torch.autograd.grad(p, coded.net.layer4[1].conv2.weight)[0] != 0).any(0).any(0)
    assert reached.sum() <= 1


def test_maps_are_the_gradient_from_above(coded, splits):
    images = splits["test"].first(2)
    found = measure.maps(coded, images, ("input", "sn1", "layer1.0"))
    assert found["input size"].shape == (2, 32, 32) and found["sn1 share"].shape == (2, 16, 16)
    row = next(r for r in sparsity.activation_gradients(coded, images, False) if r["layer"] == "sn1")
    assert found["sn1 share"].astype(float).mean() == pytest.approx(row["0_mean"], abs=2e-3)
    assert all(p.grad is None for p in coded.parameters())


def test_warming_sets_statistics_and_no_weight(coded):
    fresh = CodedNet.of(RUN)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), coded.parameters(), strict=True))
    assert not torch.equal(fresh.net.bn1.running_var, coded.net.bn1.running_var) and not coded.training


def test_records_and_their_arrays(tmp_path, monkeypatch, splits, coded):
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    monkeypatch.setitem(networks.NETWORKS, "trained", lambda run, device: coded)
    test = data.load("digits")["test"]
    assert registry.make("untrained", RUN, images=6)
    results = ledger.read("untrained", RUN.name)["results"]
    assert [r["layer"] for r in results["activation_eval"]] == [*measure.STEM, *measure.STAGES]
    assert results["activation_n"] == 6 and 0 < results["pool"]["tied"] <= 1
    assert ledger.arrays("untrained", RUN.name)["input size"].shape == (4, 32, 32)
    assert registry.make("trail", RUN, images=6)
    x, y = measure.shown_images("digits")
    assert np.array_equal(x, test.x[:4].permute(0, 2, 3, 1).numpy())
    assert np.array_equal(y, test.y[:4].numpy())
    assert "layer1.0.sn2 share" in ledger.arrays("trail", RUN.name)
    assert all(0 < r["live"] <= 1 for r in ledger.read("trail", RUN.name)["results"]["weight_eval"])
    arrays = ledger.path("trail", RUN.name).with_suffix(".npz")
    before = arrays.stat().st_mtime_ns
    assert not registry.make("trail", RUN, images=6)
    with pytest.raises(ledger.LedgerError, match="records are never replaced"):
        ledger.append("trail", RUN, {}, 1.0, arrays={"other": np.zeros(1)})
    assert arrays.stat().st_mtime_ns == before  # refused before anything was written
    np.savez(arrays, other=np.zeros(1))
    with pytest.raises(ledger.LedgerError, match="differs from the checksum"):
        ledger.arrays("trail", RUN.name)


def test_train_mode_attack_leaves_the_statistics_of_training(coded, splits):
    images = splits["test"].first(20)
    before = {k: v.clone() for k, v in coded.state_dict().items()}
    nothing = Attack(space="spike", algorithm="FGSM", eps=0.0, protocol=TRAIN)
    hits = deviations.train_mode_attack(coded, images, nothing)
    assert torch.equal(hits, correct(coded, images))
    assert all(torch.equal(v, before[k]) for k, v in coded.state_dict().items())
    with pytest.raises(ValueError, match="allowed: train mode"):
        deviations.train_mode_attack(coded, images, Attack(space="spike"))


def test_other_padding_is_measured_for_average_pooling_only(splits):
    images = splits["test"].first(16)
    for pool in ("max", "avg"):
        found = deviations.deviations(networks.warmed(RUN.but(pool=pool), splits["train"]), images, 8 / 255)
        assert ("other_padding_accuracy" in found) == (pool == "avg")
        assert [r["algorithm"] for r in found["train mode"]] == ["FGSM", "PGD"]
