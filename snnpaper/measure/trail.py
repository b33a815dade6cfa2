"""Chapter 4's own measurements: ties at the pool and weight gradients of trained networks, densities of initial ones.

Beside the record of seed 0 lies a small .npz with the input gradients of the same test images and, for trained
networks, maps of the gradient along the stem and the first residual block.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import files, ledger
from ..config import Run
from ..nets.coded import CodedNet
from ..nets.data import Images
from ..nets.hooks import gradient, tensors_at
from ..sparsity import activation_gradients, live_share, true_class, weight_gradients
from ..train import drawn_from

STEM = ("input", "conv1", "bn1", "sn1", "maxpool")
BLOCK = tuple(f"layer1.0{part}" for part in (".conv1", ".bn1", ".sn1", ".conv2", ".bn2", ".sn2", ""))
STAGES = ("layer1", "layer2", "layer3", "layer4")


def trail(coded: CodedNet, images: Images, shown: int, run: Run) -> dict:
    """Ties at the stem's pool, and weight gradients among the weights that ever meet an input; eval mode.

    "arrays", of seed 0: maps of the first `shown` images, of an SEW network along its stem and first block.
    """
    weights = weight_gradients(coded, images, training=False, batch_size=1)
    live = live_share(coded.net, images.x.shape[1:])
    rows = [{k: r[k] for k in ("layer", "size", "0_mean", "norm_mean")} | {"live": live[r["layer"]]} for r in weights]
    found = {"n": len(images), "weight_eval": rows, "pool": at_the_pool(coded, images)}
    places = tuple(dict.fromkeys((*STEM, *BLOCK))) if run.skip == "sew" else ("input",)
    return found | {"arrays": _arrays(coded, images.first(shown), run, places)}


def at_the_pool(coded: CodedNet, images: Images, batch_size: int = 32) -> dict[str, float]:
    """What decides where a 3x3 max pool's gradient goes: shares, means over all windows of all images.

    Windows: silent (no positive entry), single (one maximum), tied (several entries share the maximum;
    silent ones included). "mass through silent": share of the L1 norm of the gradient at the pool's output
    that belongs to silent windows. Densities of the gradient at the pool's input under three rules: the
    network's own backward pass, ties sharing it equally, and silent windows passing nothing. Empty for a stem
    without a pool.
    """
    if isinstance(coded.net.maxpool, nn.Identity):
        return {}
    parts = []
    for x, y in zip(images.x.split(batch_size), images.y.split(batch_size), strict=True):
        s, before, after = _around_the_pool(coded, x, y)
        windows = F.unfold(F.pad(s, (1, 1, 1, 1), value=-torch.inf), 3, stride=2).unflatten(1, (s.shape[1], 9))
        best = windows.amax(2, keepdim=True)
        top = windows == best
        tied, silent, g = top.sum(2), best[:, :, 0] <= 0, after.flatten(2)
        shared = _spread(top * (g / tied)[:, :, None], s.shape)
        spoken = _spread(_first(top) * (g * ~silent)[:, :, None], s.shape)
        parts.append({
            "silent": silent, "single": tied == 1, "tied": tied > 1,
            "density": before != 0, "density, ties share": shared != 0, "density, silent pass nothing": spoken != 0,
            "non-zero where no spike": (s <= 0)[before != 0],
            "mass": g.abs().sum(), "mass through silent": (g.abs() * silent).sum(),
        })  # fmt: skip
    whole = {k: torch.cat([p[k].flatten().double() for p in parts]) for k in parts[0]}
    mass = whole.pop("mass").sum()
    through = whole.pop("mass through silent").sum() / mass if mass > 0 else torch.zeros(())
    return {k: _round(v.mean().item()) for k, v in whole.items()} | {"mass through silent": _round(through.item())}


def _around_the_pool(coded: CodedNet, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pool's input [T*N,C,H,W], and the gradients of p_y there and at the pool's output."""
    pool = {"pool": coded.net.maxpool}
    with tensors_at(pool, inputs=True) as before, tensors_at(pool) as after:
        true_class(coded(x), y).sum().backward()
    coded.zero_grad()
    return before["pool"].detach(), gradient(before["pool"]), gradient(after["pool"])


def _first(top: Tensor) -> Tensor:
    """Only the first true entry along dimension 2."""
    return top & (top.cumsum(2) == 1)


def _spread(windows: Tensor, shape: torch.Size) -> Tensor:
    """[N,C,9,windows] -> [N,C,H,W], adding where windows overlap."""
    return F.fold(windows.flatten(1, 2), shape[-2:], 3, padding=1, stride=2)


def maps(coded: CodedNet, images: Images, places: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Per place and image the gradient seen from above: over T and channels, sum of |g| and non-zero share.

    Float16 [N,H,W] under "<place> size" and "<place> share"; eval mode, gradient of p_y at the place's output.
    """
    out, spikes = {}, coded.encode(images.x).requires_grad_()
    with tensors_at({p: coded.net.get_submodule(p) for p in places if p != "input"}) as outputs:
        true_class(coded.net(spikes), images.y).sum().backward()
    coded.zero_grad()
    for place in places:
        g = gradient(spikes if place == "input" else outputs[place])
        g = (g if g.ndim == 5 else g.unflatten(0, (coded.T, len(images)))).abs()
        out[f"{place} size"] = g.sum((0, 2)).half().cpu().numpy()
        out[f"{place} share"] = (g != 0).float().mean((0, 2)).half().cpu().numpy()
    return out


def untrained(coded: CodedNet, images: Images, shown: int, run: Run) -> dict:
    """What a "sparsity" record says of a trained network, at the stem and the stages only, and the pool's ties.

    A network without BatchNorm, or without a pool, has no row for it.

    "arrays", of seed 0: input gradients of the first `shown` images.
    """
    out: dict[str, Any] = {}
    for mode in ("eval", "train"):
        found = activation_gradients(coded, images, training=mode == "train")
        last = {r["layer"].split(".")[0]: r for r in found}  # of a stage, its last block
        rows = [last[name] | {"layer": name} for name in (*STEM, *STAGES) if name in last]
        out[f"activation_{mode}"] = [{k: v for k, v in r.items() if not k.endswith("_std")} for r in rows]
    out |= {"pool": at_the_pool(coded, images), "arrays": _arrays(coded, images.first(shown), run, ("input",))}
    return {"activation_n": len(images)} | out


def _arrays(coded: CodedNet, images: Images, run: Run, places: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """`maps` of the shown images, for the record's seed 0: the figures that show single networks show this one."""
    if run.seed:
        return None
    keep_images(run.dataset, images)
    with drawn_from(run.seed):  # rate coding draws its spikes
        return maps(coded, images, places)


def keep_images(dataset: str, images: Images) -> None:
    """Put the shown images beside the records, once, so that a page needs no data set to show them."""
    file = ledger.folder() / "trail" / f"images-{dataset}.npz"
    if not file.exists():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, x=images.x.movedim(-3, -1).cpu().numpy(), y=images.y.cpu().numpy())
        files.write(file, buffer.getvalue())


def shown_images(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """The images [N,H,W,3] of every heatmap, uint8, and their labels [N]; N as `keep_images` was first given them."""
    with np.load(ledger.folder() / "trail" / f"images-{dataset}.npz") as found:
        return found["x"], found["y"]


def _round(value: float) -> float:
    return float(f"{value:.6g}")
