"""Gradient measures against gradients taken one image at a time."""

import math

import pytest
import torch

from snnpaper.config import Run
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.hooks import tensors_at
from snnpaper.sparsity import THRESHOLDS, activation_gradients, measures, true_class, weight_gradients

RUN = Run.make("demo", width=8, T=3)


@pytest.fixture(scope="module")
def images():
    return data.load("digits")["test"].first(5)


@pytest.fixture(scope="module")
def coded(images):
    coded = CodedNet.of(RUN).train()
    with torch.no_grad():
        for _ in range(30):
            coded(images.x)
    return coded.eval()


def test_measures_by_hand():
    g = torch.tensor([[3.0, 0.0, -4.0, 1e-10], [0.0, 0.0, 0.0, 0.0]])
    m = measures(g)
    assert m["0"].tolist() == [0.75, 0.0]
    assert m["1e-12"].tolist() == [0.75, 0.0]
    assert m["1e-8"].tolist() == [0.5, 0.0]
    assert m["1e-6 max"].tolist() == [0.5, 0.0]
    assert m["norm"].tolist() == [5.0, 0.0]
    assert m["effective"].tolist() == [pytest.approx(49 / 25), 0.0]
    dense = measures(torch.ones(1, 100))
    assert dense["effective"].item() == pytest.approx(100)


def test_activation_rows_equal_single_image_gradients(coded, images):
    rows = {r["layer"]: r for r in activation_gradients(coded, images, training=False, batch_size=2)}
    inputs, pooled = [], []
    for x, y in zip(images.x, images.y, strict=True):
        s = coded.encode(x[None]).requires_grad_()
        with tensors_at({"sn1": coded.net.sn1}) as kept:
            p = true_class(coded.net(s), y[None])
        g_in, g_pool = torch.autograd.grad(p, [s, kept["sn1"]])
        inputs.append(measures(g_in.transpose(0, 1)))
        pooled.append(measures(g_pool.transpose(0, 1)))
    for layer, singles in (("input", inputs), ("sn1", pooled)):
        for key in (*THRESHOLDS, "norm", "effective"):
            expected = sum(m[key].item() for m in singles) / len(singles)
            assert rows[layer][f"{key}_mean"] == pytest.approx(expected, rel=1e-3), (layer, key)
    assert rows["input"]["size"] == 3 * 3 * 32 * 32
    assert [r for r in rows if r in ("conv1", "bn1", "sn1", "maxpool")] == ["conv1", "bn1", "sn1", "maxpool"]


def test_max_pooling_passes_at_most_a_quarter_and_average_pooling_all(coded, images):
    share = {}
    for pool in ("max", "avg"):
        other = CodedNet.of(RUN.but(pool=pool))
        other.load_state_dict(coded.state_dict())
        (row,) = (r for r in activation_gradients(other, images, False) if r["layer"] == "sn1")
        share[pool] = row["0_mean"]
    assert share["max"] <= 0.25  # 64 windows over 256 positions
    assert share["avg"] > 0.95


def test_weight_rows_equal_single_image_gradients(coded, images):
    rows = {r["layer"]: r for r in weight_gradients(coded, images, training=False, batch_size=5)}
    norms = []
    for x, y in zip(images.x, images.y, strict=True):
        p = true_class(coded(x[None]), y[None])
        norms.append(torch.autograd.grad(p, coded.net.conv1.weight)[0].norm().item())
    assert rows["conv1.weight"]["norm_mean"] == pytest.approx(sum(norms) / len(norms), rel=1e-3)
    assert rows["fc.weight"]["size"] == coded.net.fc.weight.numel()


def test_train_mode_couples_the_batch_and_the_network_is_left_alone(coded, images):
    before = {k: v.clone() for k, v in coded.state_dict().items()}
    rows = {m: activation_gradients(coded, images, training=m, batch_size=5) for m in (False, True)}
    norm = {m: next(r["norm_mean"] for r in rows[m] if r["layer"] == "conv1") for m in rows}
    assert not math.isclose(norm[False], norm[True], rel_tol=1e-3)
    assert all(torch.equal(v, before[k]) for k, v in coded.state_dict().items())
    assert not coded.training and all(p.requires_grad for p in coded.parameters())


def test_hooks_go_with_their_block_whatever_ends_it(coded, images):
    at = {"sn1": coded.net.sn1}
    with pytest.raises(KeyError), tensors_at(at, inputs=True) as before, tensors_at(at) as after:
        coded(images.x).sum().backward()
        assert before["sn1"].grad.shape == after["sn1"].grad.shape == after["sn1"].shape
        raise KeyError
    coded.zero_grad()
    assert not coded.net.sn1._forward_hooks


def test_the_true_class_has_its_probability():
    logits, y = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]), torch.tensor([2, 1])
    expected = [math.exp(2) / (1 + math.e + math.exp(2)), 1 / (math.exp(3) + 2)]
    assert true_class(logits, y).tolist() == pytest.approx(expected)
