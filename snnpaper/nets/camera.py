"""A simulated event camera that films images as CIFAR10-DVS was recorded: images [N,3,32,32] become events.

The image is enlarged to 512x512 (bicubic), moves on the screen along a closed path of four diagonals, six times, and a
128x128 camera looks on. A pixel remembers a log intensity and reports each time the present one differs from it by a
threshold (Lichtsteiner et al. 2008). Path and speed are those of a replay script that ascribes them to the paper
(10 screen pixels a diagonal, 200 a second); threshold, darkness and the pixels' mismatch are our choice, for none is
published. What comes out is simulated, and nothing is claimed of the real recordings' statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from .events import SENSOR, Events

SCREEN = 512  # screen pixels on a side of the enlarged image
STRIDE = 10  # screen pixels of a diagonal, on each axis
STEP_US = 5_000  # microseconds for one of them: 200 a second
_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Camera:
    """`threshold` in log intensity, its standard deviation between pixels (drawn from `seed`, once), and the loops.

    `dark` is the light of a black screen pixel, of a white one's 1.
    """

    threshold: float = 0.2
    mismatch: float = 0.02
    dark: float = 0.05
    loops: int = 6
    seed: int = 0

    def thresholds(self) -> Tensor:
        """Each pixel's threshold, [128,128]; none below half of the mean."""
        noise = torch.randn(SENSOR, SENSOR, generator=torch.Generator().manual_seed(self.seed))
        return (self.threshold + self.mismatch * noise).clamp(min=self.threshold / 2)


def path() -> list[tuple[int, int]]:
    """Displacements (right, down) of the image in screen pixels over one loop, one of 40 every STEP_US."""
    corners = [(0, 0), (STRIDE, -STRIDE), (2 * STRIDE, 0), (STRIDE, STRIDE), (0, 0)]
    legs = zip(corners[:-1], corners[1:], strict=True)
    return [(a + (c - a) * i // STRIDE, b + (d - b) * i // STRIDE) for (a, b), (c, d) in legs for i in range(STRIDE)]


def views(images: Tensor, dark: float) -> Tensor:
    """Log intensity on the sensor at each place of the path, [N,40,128,128], of uint8 images [N,3,H,W].

    A sensor pixel sees the mean of 4x4 screen pixels; around the image its border goes on.
    """
    grey = (images.float() / 255 * torch.tensor(_GREY).view(3, 1, 1)).sum(1, keepdim=True)
    screen = F.interpolate(grey, size=SCREEN, mode="bicubic", align_corners=False).clamp(0, 1)
    margin, pixel = 2 * STRIDE, SCREEN // SENSOR
    light = F.avg_pool2d(F.pad(screen, [margin] * 4, mode="replicate"), pixel, stride=1)[:, 0]
    shown = [light[:, margin - down :: pixel, margin - right :: pixel][:, :SENSOR, :SENSOR] for right, down in path()]
    return (torch.stack(shown, 1) + dark).log()


def film(images: Tensor, camera: Camera) -> Iterator[Events]:
    """What the camera reports of each of uint8 images [N,3,H,W], in the order of time."""
    thresholds = camera.thresholds().numpy()
    for image in images:
        yield report(views(image[None], camera.dark)[0].numpy(), thresholds, camera.loops)


def report(logs: np.ndarray, thresholds: np.ndarray, loops: int) -> Events:
    """The events of pixels that see log intensities [places,H,W], place after place and around again, `loops` times.

    Between two places the log intensity changes evenly, and each crossing has its own time. Time starts at 0 with
    the memory at the first place.
    """
    flat, size = np.ascontiguousarray(logs.reshape(len(logs), -1)), 1 << 18
    while True:
        t, place, p = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
        n = _crossings(flat, thresholds.reshape(-1), loops, STEP_US, t, place, p)
        if n <= size:
            break
        size = n
    order = np.argsort(t[:n], kind="stable")
    y, x = np.divmod(place[order], logs.shape[-1])
    return Events(t[order], x, y, p[order])


@njit(cache=True)
def _crossings(logs, thresholds, loops, step_us, t, place, p):
    """Fill t, place and p with the crossings as they come, step by step; how many there are, which may be more."""
    memory, n = logs[0].copy(), 0
    for step in range(1, loops * len(logs) + 1):
        before, now = logs[(step - 1) % len(logs)], logs[step % len(logs)]
        for i in range(len(memory)):
            threshold, sign = thresholds[i], 1 if now[i] > memory[i] else -1
            while sign * (now[i] - memory[i]) >= threshold:
                memory[i] += sign * threshold
                if n < len(t):
                    share = (memory[i] - before[i]) / (now[i] - before[i])
                    t[n] = round(step_us * (step - 1 + min(max(share, 0.0), 1.0)))
                    place[n], p[n] = i, sign > 0
                n += 1
    return n
