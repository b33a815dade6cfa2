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

from .nets import pools
from .nets.coded import CodedNet, evaluated
from .nets.data import Images
from .nets.hooks import gradient, tensors_at
from .nets.models import Block
from .nets.neurons import IF

THRESHOLDS = ("0", "1e-12", "1e-8", "1e-6 max")
_PROBED = (nn.Conv2d, nn.BatchNorm2d, IF, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, pools.Pool, Block)


def measures(g: Tensor) -> dict[str, Tensor]:
    """Per image of g [N,...]: non-zero fraction above each threshold, the norm, and the effective count.

    Norms are formed in float64. A gradient that is zero throughout has fraction 0, norm 0 and count 0.
    """
    size = g.flatten(1).abs().double()
    top = size.amax(1, keepdim=True)
    bounds: dict[str, float | Tensor] = {"0": 0.0, "1e-12": 1e-12, "1e-8": 1e-8, "1e-6 max": 1e-6 * top}
    l1, l2 = size.sum(1), size.square().sum(1)
    out = {t: (size > bounds[t]).double().mean(1) for t in THRESHOLDS}
    return out | {"norm": l2.sqrt(), "effective": torch.where(l2 > 0, l1.square() / l2, 0.0)}


def activation_gradients(coded: CodedNet, images: Images, training: bool, batch_size: int = 16) -> list[dict]:
    """Rows {layer, kind, size, <measure>_mean, <measure>_std} in the order of the forward pass.

    Each row is about d p_y / d (output of that layer), over all T steps, per image; "input" is the coded
    tensor. With `training`, BatchNorm uses batch statistics, so an image's gradient is that of the
    batch's summed p_y, as an attack in train mode sees it. The network is left as it was.
    """
    net = copy.deepcopy(coded.net).train(training).requires_grad_(False)
    probed = {name: m for name, m in net.named_modules() if isinstance(m, _PROBED)}
    kinds = {"input": "input"} | {name: type(m).__name__ for name, m in probed.items()}
    parts: dict[str, list[dict[str, Tensor]]] = {}
    with tensors_at(probed) as outputs:
        for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
            spikes = coded.encode(x).requires_grad_()
            true_class(net(spikes), y).sum().backward()
            passed = {"input": spikes} | outputs
            for name, tensor in passed.items():
                parts.setdefault(name, []).append(measures(_per_image(gradient(tensor), coded.T, len(x))))
    sizes = {name: _per_image(tensor, coded.T, len(x))[0].numel() for name, tensor in passed.items()}
    return [{"layer": name, "kind": kinds[name], "size": sizes[name]} | _summary(parts[name]) for name in passed]


def weight_gradients(coded: CodedNet, images: Images, training: bool, batch_size: int = 16) -> list[dict]:
    """The same rows for d p_y / d weight of every convolution and linear layer, one image at a time."""
    coded = copy.deepcopy(coded).train(training)
    weights = {n: p for n, p in coded.net.named_parameters() if p.ndim > 1}
    parts: dict[str, list[dict[str, Tensor]]] = {n: [] for n in weights}
    for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
        for one in true_class(coded(x), y):
            grads = torch.autograd.grad(one, list(weights.values()), retain_graph=True)
            for name, g in zip(weights, grads, strict=True):
                parts[name].append(measures(g[None]))
    return [{"layer": n, "kind": "weight", "size": w.numel()} | _summary(parts[n]) for n, w in weights.items()]


def live_share(net: nn.Module, shape: tuple[int, ...]) -> dict[str, float]:
    """For every weight of more than one dimension, the share of its entries that ever meet an input.

    A 3x3 kernel on a 1x1 map meets the image with its centre only; the rest meets padding, always, so its
    gradient is zero for every image. Keys are parameter names, as in `weight_gradients`; `net` maps spikes
    [T,N,*shape] to logits.
    """
    convolutions = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    with torch.no_grad(), evaluated(net), tensors_at(convolutions, inputs=True) as inputs:
        net(torch.zeros(1, 1, *shape, device=next(net.parameters()).device))
    live = {n: 1.0 for n, p in net.named_parameters() if p.ndim > 1}
    for name, conv in convolutions.items():
        kernel = torch.ones(1, 1, *conv.kernel_size, requires_grad=True)
        one = torch.ones(1, 1, *inputs[name].shape[-2:])
        F.conv2d(one, kernel, stride=conv.stride, padding=conv.padding).sum().backward()
        live[f"{name}.weight"] = gradient(kernel).ne(0).float().mean().item()
    return live


def true_class(logits: Tensor, y: Tensor) -> Tensor:
    """p_y per image, [N]."""
    return logits.softmax(1).gather(1, y[:, None])[:, 0]


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
