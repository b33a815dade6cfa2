"""What is zero in a gradient, where along the backward pass, and at which threshold.

The gradient is of the true-class probability p_y of each image. Exact zeros (threshold 0) are what the
paper counts; the other thresholds, the norm and ||g||_1^2 / ||g||_2^2 (the number of entries a gradient
effectively has, between 1 and ||g||_0) show whether zeros are many or the whole gradient is merely small.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Run
from .nets.coding import encode
from .nets.data import Images
from .nets.models import Block
from .nets.neurons import IF

THRESHOLDS = ("0", "1e-12", "1e-8", "1e-6 max")
_PROBED = (nn.Conv2d, nn.BatchNorm2d, IF, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, Block)


def measures(g: Tensor) -> dict[str, Tensor]:
    """Per image of g [N,...]: non-zero fraction above each threshold, the norm, and the effective count.

    Norms are formed in float64. A gradient that is zero throughout has fraction 0, norm 0 and count 0.
    """
    size = g.flatten(1).abs().double()
    top = size.amax(1, keepdim=True)
    bounds = {"0": 0.0, "1e-12": 1e-12, "1e-8": 1e-8, "1e-6 max": 1e-6 * top}
    l1, l2 = size.sum(1), size.square().sum(1)
    out = {t: (size > bounds[t]).double().mean(1) for t in THRESHOLDS}
    return out | {"norm": l2.sqrt(), "effective": torch.where(l2 > 0, l1.square() / l2, 0.0)}


def activation_gradients(net: nn.Module, run: Run, images: Images, training: bool, batch_size: int = 16) -> list[dict]:
    """Rows {layer, kind, size, <measure>_mean, <measure>_std} in the order of the forward pass.

    Each row is about d p_y / d (output of that layer), over all T steps, per image; "input" is the coded
    tensor. With `training`, BatchNorm uses batch statistics, so an image's gradient is that of the
    batch's summed p_y, as an attack in train mode sees it. The network is left as it was.
    """
    net = copy.deepcopy(net).train(training).requires_grad_(False)
    kept: dict[str, Tensor] = {}
    kinds = {name: type(m).__name__ for name, m in net.named_modules() if isinstance(m, _PROBED)}
    for name in kinds:
        net.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: kept.__setitem__(name, _keep(out)))
    parts: dict[str, list[dict[str, Tensor]]] = {}
    for i in range(0, len(images), batch_size):
        x, y = images.x[i : i + batch_size], images.y[i : i + batch_size]
        kept.clear()
        kept["input"] = _keep(encode(x, run.coding, run.T).requires_grad_())
        true_class(net(kept["input"]), y).sum().backward()
        for name, tensor in kept.items():
            parts.setdefault(name, []).append(measures(_per_image(tensor.grad, run.T, len(x))))
    sizes = {name: _per_image(tensor, run.T, len(x))[0].numel() for name, tensor in kept.items()}
    return [
        {"layer": name, "kind": kinds.get(name, "input"), "size": sizes[name]} | _summary(parts[name]) for name in kept
    ]


def weight_gradients(net: nn.Module, run: Run, images: Images, training: bool, batch_size: int = 16) -> list[dict]:
    """The same rows for d p_y / d weight of every convolution and linear layer, one image at a time."""
    net = copy.deepcopy(net).train(training)
    weights = {n: p for n, p in net.named_parameters() if p.ndim > 1}
    parts: dict[str, list[dict[str, Tensor]]] = {n: [] for n in weights}
    for i in range(0, len(images), batch_size):
        p = true_class(net(encode(images.x[i : i + batch_size], run.coding, run.T)), images.y[i : i + batch_size])
        for one in p:
            grads = torch.autograd.grad(one, list(weights.values()), retain_graph=True)
            for name, g in zip(weights, grads, strict=True):
                parts[name].append(measures(g[None]))
    return [{"layer": n, "kind": "weight", "size": w.numel()} | _summary(parts[n]) for n, w in weights.items()]


def live_share(net: nn.Module, run: Run) -> dict[str, float]:
    """For every weight of more than one dimension, the share of its entries that ever meet an input.

    A 3x3 kernel on a 1x1 map meets the image with its centre only; the rest meets padding, always, so its
    gradient is zero for every image. Keys are parameter names, as in `weight_gradients`.
    """
    sizes: dict[str, torch.Size] = {}
    net = copy.deepcopy(net).eval()
    for name, m in net.named_modules():
        if isinstance(m, nn.Conv2d):
            m.register_forward_hook(lambda m, i, out, name=name: sizes.__setitem__(name, i[0].shape[-2:]))
    with torch.no_grad():
        net(torch.zeros(run.T, 1, 3, 32, 32))
    live = {n: 1.0 for n, p in net.named_parameters() if p.ndim > 1}
    for name, size in sizes.items():
        conv = net.get_submodule(name)
        kernel = torch.ones(1, 1, *conv.kernel_size, requires_grad=True)
        F.conv2d(torch.ones(1, 1, *size), kernel, stride=conv.stride, padding=conv.padding).sum().backward()
        live[f"{name}.weight"] = (kernel.grad != 0).float().mean().item()
    return live


def true_class(logits: Tensor, y: Tensor) -> Tensor:
    """p_y per image, [N]."""
    return logits.softmax(1).gather(1, y[:, None])[:, 0]


def _keep(t: Tensor) -> Tensor:
    t.retain_grad()
    return t


def _per_image(t: Tensor, T: int, n: int) -> Tensor:
    """[T,N,...] or [T*N,...] -> [N,T,...]."""
    t = t if t.shape[:2] == (T, n) else t.unflatten(0, (T, n))
    return t.transpose(0, 1)


def _summary(parts: list[dict[str, Tensor]]) -> dict[str, float]:
    out = {}
    for measure in parts[0]:
        values = torch.cat([p[measure] for p in parts])
        out[f"{measure}_mean"] = float(f"{values.mean().item():.6g}")
        out[f"{measure}_std"] = float(f"{values.std(correction=0).item():.6g}")
    return out
