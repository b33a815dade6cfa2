"""Theorems 4.2 to 4.4 on the entry of a trained network: conv1, BatchNorm, neurons, pool.

Everything is float64 and per image. The differentiated scalar is the log-odds of the true class: its
gradient is that of p_y divided by p_y (1 - p_y), so all supports are the same and nothing underflows.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.coded import CodedNet
from ..nets.data import Images
from ..nets.hooks import gradient, tensors_at
from ..nets.neurons import IF
from ..theory.bounds import level_44
from ..theory.chain import pull_back
from ..theory.layers import AvgPool, Conv, Fire, MaxPool, Norm

PLACES = ("input", "conv1 out", "bn1 out", "spikes", "pool out")


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """log p_y - log(1 - p_y) per image, [N]."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.gather(1, y[:, None])[:, 0] - others.logsumexp(1)


def capture(coded: CodedNet, images: Images) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Activations and autograd's gradients at PLACES, [T,N,...], and the kernel's gradient, of one batch."""
    net, spikes = coded.net, coded.encode(images.x).double().requires_grad_()
    at = {"conv1 out": net.conv1, "bn1 out": net.bn1, "spikes": net.sn1, "pool out": net.maxpool}
    net.zero_grad()
    with tensors_at(at) as outputs:
        log_odds(net(spikes), images.y).sum().backward()
    kept = {"input": spikes} | outputs

    def frames(x: Tensor) -> Tensor:
        return x if x.shape[:2] == spikes.shape[:2] else x.unflatten(0, spikes.shape[:2])

    values = {name: frames(x.detach()) for name, x in kept.items()}
    gradients = {name: frames(gradient(x)) for name, x in kept.items()}
    return values, gradients | {"conv1.weight": net.conv1.weight.grad.clone()}


def transposes(net: Any, values: dict[str, Tensor]) -> list:
    """The stem as hand-written layers, each run on what the network really fed it."""
    bn, pool = net.bn1, MaxPool() if isinstance(net.maxpool, nn.MaxPool2d) else AvgPool()
    layers: list[Any] = [
        Conv(net.conv1.weight.detach(), 2, 3),
        Norm(bn.weight.detach(), (bn.running_mean, bn.running_var), bn.eps),
        Fire("atan", net.sn1.detach_reset),
        pool,
    ]
    with torch.no_grad():
        for layer, name in zip(layers, PLACES, strict=False):
            layer.forward(values[name])
    return layers


def measure_stem(coded: CodedNet, images: Images, batch_size: int = 10) -> dict:
    """Records of Theorems 4.2, 4.3 and 4.4; fractions are means over images unless said otherwise.

    Raises ValueError for a network whose stem this chapter's formulas do not describe (IF neurons with
    the ATan surrogate at alpha = 2, and max pooling or average pooling that counts its padding).
    """
    neurons, pool = coded.net.sn1, coded.net.maxpool
    derived = isinstance(neurons, IF) and (neurons.surrogate, neurons.alpha) == ("atan", 2)
    derived = derived and isinstance(coded.net.bn1, nn.BatchNorm2d)
    if not derived or not (isinstance(pool, nn.MaxPool2d) or isinstance(pool, nn.AvgPool2d) and pool.count_include_pad):
        raise ValueError(
            "the chain is written out for IF neurons, atan, alpha = 2, BatchNorm, count_include_pad = True"
        )
    coded = copy.deepcopy(coded).double().eval()
    parts: list[dict] = []
    for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
        values, gradients = capture(coded, Images(x, y))
        layers = transposes(coded.net, values)
        parts.append(
            _chain(layers, values, gradients) | _shared(layers, values, gradients) | _rows(layers, values, gradients)
        )
    return _join(parts)


def _density(x: Tensor) -> Tensor:
    """Non-zero share per image of [T,N,...]."""
    return (x != 0).double().transpose(0, 1).flatten(1).mean(1)


def _residual(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b).abs().max() / b.abs().max())[None]


def _chain(layers: list, values: dict, gradients: dict) -> dict[str, Tensor]:
    """4.2: residual of the hand-written chain, densities measured and predicted, ties of the pool."""
    conv, norm, fire, pool = layers
    by_hand = pull_back(layers, gradients["pool out"])
    out = {f"residual, {name}": _residual(mine, gradients[name])
           for name, mine in zip(PLACES, by_hand, strict=False)}  # fmt: skip
    out |= {f"density, {name}": _density(gradients[name]) for name in PLACES}
    spread = pool.pull_back((gradients["pool out"] != 0).double()) != 0
    reach = fire.reach(spread)
    shape, ones = values["input"].flatten(0, 1).shape, torch.ones_like(conv.weight)
    touched = torch.nn.grad.conv2d_input(shape, ones, reach.double().flatten(0, 1), 2, 3)
    predicted = {"spikes": spread, "bn1 out": reach, "conv1 out": reach, "input": touched.view_as(values["input"])}
    out |= {f"predicted, {name}": _density(x) for name, x in predicted.items()}
    trained = Norm(norm.gain)
    trained.forward(values["conv1 out"])
    out["density, conv1 out, train mode"] = _density(trained.pull_back(gradients["bn1 out"]))
    spikes = F.pad(values["spikes"].flatten(0, 1), (1, 1, 1, 1))  # padding never wins: as 0 it only counts silence
    count = F.avg_pool2d(spikes, 3, 2) * 9
    count = count.unflatten(0, values["spikes"].shape[:2]).transpose(0, 1).flatten(1).round()
    return out | {
        "windows silent": (count == 0).double().mean(1),
        "windows with one spike": (count == 1).double().mean(1),
        "windows tied": (count != 1).double().mean(1),
    }


def _shared(layers: list, values: dict, gradients: dict) -> dict[str, Tensor]:
    """4.3: both gradients from one delta, against autograd; their norms per image; the count bounds."""
    conv, s, delta = layers[0], values["input"], gradients["conv1 out"]
    from_delta = conv.pull_back(delta)
    kernels = torch.stack([
        torch.nn.grad.conv2d_weight(s[:, n], conv.weight.shape, delta[:, n], 2, 3) for n in range(s.shape[1])
    ])  # fmt: skip
    return {
        "residual, input from delta": _residual(from_delta, gradients["input"]),
        "residual, kernel from delta": _residual(conv.grad, gradients["conv1.weight"]),
        "norm, input from delta": _norm(from_delta.transpose(0, 1)),
        "norm, input": _norm(gradients["input"].transpose(0, 1)),
        "norm, kernel from delta": _norm(kernels),
        "kernel density": (kernels != 0).double().flatten(1).mean(1),
        "count bound over d": _terms(conv.weight, delta).flatten(2).mean(2).mean(0),
    }


def _terms(weight: Tensor, delta: Tensor) -> Tensor:
    """How many non-zero terms W_ij delta_i[t] each input entry receives, [T,N,3,32,32]."""
    on = (delta != 0).double().flatten(0, 1)
    return F.conv_transpose2d(on, (weight != 0).double(), None, 2, 3, 1).round().unflatten(0, delta.shape[:2])


def _norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1)


def _rows(layers: list, values: dict, gradients: dict) -> dict[str, Tensor]:
    """4.4 for every unrolled row (channel, position) on the inputs it sees, and in the unrolled view."""
    weight, s, grad, delta = layers[0].weight, values["input"], gradients["input"], gradients["conv1 out"]
    T, d = len(s), s[0, 0].numel()

    def patches(x: Tensor) -> Tensor:  # [T,N,inputs of a row,positions]
        return F.unfold(x.double().flatten(0, 1), 7, 1, 3, 2).unflatten(0, x.shape[:2])

    inside = patches(torch.ones_like(s[:1, :1]))[0, 0]  # 1 where a row has an input, 0 on padding
    active, reached = patches(s != 0), patches(grad != 0)
    k_w = (weight != 0).double().flatten(1) @ inside  # [channels, positions]
    seen = (delta != 0).double().flatten(3)  # [T,N,channels,positions]
    right = torch.einsum("tnp,tnp->np", active.sum(2), reached.sum(2))[:, None] / k_w / inside.sum(0)
    left = torch.stack([
        (torch.einsum("tcp,tjp->cjp", seen[:, n], active[:, n]) != 0).double().sum(1) / inside.sum(0)
        for n in range(s.shape[1])
    ])  # fmt: skip
    cancelled = (_terms(weight, delta) > 0) & (grad == 0)
    rate = (s != 0).double().flatten(2).mean(2).amax(0)  # per image, the busiest step
    level = [level_44(T, *densities) for densities in zip(
        rate.tolist(), [float(k_w.min()) / d] * s.shape[1], _density(grad).tolist(), strict=True)]  # fmt: skip
    return {
        "row left": left.flatten(1).mean(1),
        "row right": right.flatten(1).mean(1),
        "row right, lowest 5 %": right.flatten(1).quantile(0.05, 1),
        "rows violated": (left > right * (1 + 1e-12)).double().flatten(1).sum(1),
        "rows informative": (right < 1).double().flatten(1).mean(1),
        "rows empty": (k_w == 0).double().sum().expand(s.shape[1]),
        "entries cancelled": cancelled.double().transpose(0, 1).flatten(1).sum(1),
        "spike rate, busiest step": rate,
        "spike rate": _density(s),
        "row density": (k_w.mean() / d).expand(s.shape[1]),
        "unrolled right": torch.tensor(level, dtype=torch.float64),
    }


def _join(parts: list[dict[str, Tensor]]) -> dict:
    """Norms per image, everything else as [smallest, mean, largest] (residuals: over batches), five digits."""
    out = {}
    for k in parts[0]:
        v = torch.cat([p[k] for p in parts])
        kept = v if k.startswith("norm") else torch.stack([v.min(), v.mean(), v.max()])
        out[k] = [float(f"{x:.5g}") for x in kept.tolist()]
    return out
