"""Adversarial examples of both pools, as pictures: clean, difference, perturbed, and how sure the network is.

The images are those kept beside the records, so that no data set is needed: the smallest step is the recorded worst
case, a larger one is searched anew by `attacks.levels`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ... import ledger, zoo
from ...attacks.levels import level_search
from ...measure.trail import shown_images
from ...nets import pools
from ...nets.coded import evaluated
from ..plots import COLOURS, panels

CIFAR10 = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Example(NamedTuple):
    """One image [C,H,W] (uint8) before and after, with the network's confidences [classes] and the radius (levels)."""

    pool: str
    levels: int
    label: int
    clean: Tensor
    moved: Tensor
    before: Tensor
    after: Tensor


def examples(names: list[str], dataset: str = "cifar10", levels: int = 8) -> list[Example]:
    """For each network, by name, the recorded worst image at 1/255 and one by level search at levels/255.

    The image is the first of those kept that all the networks classify correctly; empty when there is none, or when
    a network is not kept.
    """
    if not names or not all(zoo.files_of(name) for name in names):
        return []
    kept, y = (torch.from_numpy(a) for a in shown_images(dataset))
    x, loaded = kept.movedim(-1, -3).contiguous(), [zoo.load(name) for name in names]
    right = torch.ones(len(y), dtype=torch.bool)
    for _, coded in loaded:
        right &= _confidence(coded, x).argmax(1) == y
    if not right.any():
        return []
    i, found = int(right.nonzero()[0]), []
    for name, (run, coded) in zip(names, loaded, strict=True):
        step = torch.from_numpy(ledger.arrays("attacks", name)["difference"][i])
        with evaluated(coded):
            searched = level_search(coded, x[i : i + 1], y[i : i + 1], levels)[0]
        for k, moved in ((1, (x[i].int() + step.int()).to(torch.uint8)), (levels, searched)):
            before, after = _confidence(coded, torch.stack([x[i], moved]))
            found.append(Example(run.pooling, k, int(y[i]), x[i], moved, before, after))
    return sorted(found, key=lambda e: e.levels)


@torch.no_grad()
def _confidence(coded, images: Tensor) -> Tensor:
    with evaluated(coded):
        return coded(images).softmax(1)


def figure(found: list[Example]) -> Figure:
    """A row an example: clean image, difference (grey is none, black and white the radius), perturbed, confidences."""
    drawn, axes = panels(len(found), 4, (6.6, 1.8 * len(found) + 0.4), width_ratios=[1, 1, 1, 1.3])
    for row, e in enumerate(found):
        clean, difference, moved, bars = axes[4 * row : 4 * row + 4]
        change = 0.5 + (e.moved.float() - e.clean.float()) / (2 * e.levels)
        for ax, image in ((clean, e.clean), (difference, change), (moved, e.moved)):
            ax.imshow(image.movedim(0, -1).numpy(), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.set_frame_on(False)
        clean.set_ylabel(f"{pools.find(e.pool).label}\n{e.levels}/255", fontsize=9)
        for shift, values, colour, what in ((-0.2, e.before, COLOURS[7], "clean"), (0.2, e.after, COLOURS[3], "moved")):
            place = [i + shift for i in range(len(values))]
            bars.barh(place, (100 * values).tolist(), 0.4, color=colour, label=what)
        bars.set_yticks(range(len(CIFAR10)), CIFAR10, fontsize=9)
        bars.get_yticklabels()[e.label].set_weight("bold")
        bars.set(xlim=(0, 100), ylim=(len(CIFAR10) - 0.5, -0.5))
        clean.set_xlabel(_said(e.before), fontsize=9)
        moved.set_xlabel(_said(e.after), fontsize=9)
        difference.set_xlabel(f"×{128 / e.levels:.0f}", fontsize=9)
    for ax, title in zip(axes, ("clean", "difference", "perturbed", "confidence (%)"), strict=False):
        ax.set_title(title)
    axes[3].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return drawn


def _said(values: Tensor) -> str:
    return f"{CIFAR10[int(values.argmax())]}, {100 * values.max():.0f} %"


def sentences(found: list[Example]) -> list[str]:
    """What each row shows, with its values."""
    return [
        f"{pools.find(e.pool).label}, {e.levels}/255: {CIFAR10[e.label]} with {100 * e.before[e.label]:.0f} % "
        f"confidence becomes {_said(e.after)} ({int((e.moved != e.clean).sum())} of "
        f"{e.clean.numel()} values moved)."
        for e in found
    ]
