"""Spikes of a trained network on one real image: when its first neurons fire, and where the pool sees none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from ...measure.trail import shown_images
from ...nets.coded import CodedNet, evaluated
from ...nets.hooks import tensors_at
from ...nets.pools import find
from ..plots import panels, pixels


@torch.no_grad()
def at_the_stem(coded: CodedNet, image: Tensor) -> Tensor:
    """Spikes [T,C,H,W] of the first neurons, the pool's input, on one uint8 image [C,H,W]; in eval mode."""
    with evaluated(coded), tensors_at({"pool": coded.net.maxpool}, inputs=True) as before:
        coded(image[None])
    return before["pool"]


def silent(spikes: Tensor) -> Tensor:
    """Which windows of a 3×3 pool with stride 2 hold no spike at one step: bool [T,C,h,w]."""
    return F.max_pool2d(spikes, 3, 2, 1) == 0


def kept_image(number: int = 2, dataset: str = "cifar10") -> Tensor:
    """One of the images beside the records, uint8 [C,H,W]."""
    return torch.from_numpy(shown_images(dataset)[0][number]).movedim(-1, 0).contiguous()


def figure(image: Tensor, spikes: dict[str, Tensor], channels: int = 4, step: int = 4) -> Figure:
    """Two rows a pool: firing rate of some channels over all steps and a raster; their silent windows at one step.

    `spikes` are `at_the_stem` by pool. Maps show the channels that fire most: the rate (dark: never, bright: at every
    step), and below it the pool's windows at `step`: blue silent, white with a spike. The raster shows 60
    neurons, evenly spread over those of the shown channels, over time.
    """
    drawn, axes = panels(
        2 * len(spikes), channels + 1, (6.4, 2.3 * len(spikes) + 0.3), width_ratios=[*[1] * channels, 1.9]
    )
    for i, (pool, fired) in enumerate(spikes.items()):
        top, below = (
            axes[2 * i * (channels + 1) :][: channels + 1],
            axes[(2 * i + 1) * (channels + 1) :][: channels + 1],
        )
        rate, quiet = fired.mean(0), silent(fired)[step - 1].float()
        chosen = rate.mean((1, 2)).argsort(descending=True)[:channels]
        for ax, under, channel in zip(top, below, chosen, strict=False):
            pixels(ax, rate[channel], 0, 1, "viridis")
            pixels(under, quiet[channel], 0, 1.6, "Blues")
            under.set_xlabel(f"{100 * quiet[channel].mean():.0f} % silent", fontsize=8)
        top[0].set_ylabel(f"{find(pool).label}\nrate", fontsize=8)
        below[0].set_ylabel(f"windows,\nstep {step}", fontsize=8)
        some = fired[:, chosen].flatten(1)
        some = some[:, :: max(1, some.shape[1] // 60)][:, :60]
        top[-1].eventplot([(t.nonzero()[:, 0] + 1).tolist() for t in some.T], color="black", linelengths=1.8, lw=2)
        top[-1].set(xlim=(0.5, len(fired) + 0.5), yticks=[], xticks=[1, len(fired)], ylabel="60 neurons")
        top[-1].set_xlabel("step", fontsize=8, labelpad=-8)
        if i:
            below[-1].set_axis_off()
        else:
            below[-1].imshow(image.movedim(0, -1).numpy(), interpolation="nearest")
            below[-1].set(xticks=[], yticks=[], xlabel="the image")
    return drawn


def sentence(spikes: dict[str, Tensor]) -> str:
    """How much fires and how many windows are silent, a clause a pool."""
    said = [
        f"{find(pool).label}: {100 * fired.mean():.0f} % of the entries are spikes, "
        f"{100 * silent(fired).float().mean():.0f} % of the windows are silent"
        for pool, fired in spikes.items()
    ]
    return "; ".join(said) + " (one image, all channels and steps)."
