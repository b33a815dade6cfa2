"""The audit: one call, from a model and images to a report."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..bars import bar
from ..nets.coded import CodedNet, evaluated
from . import adapters, ladder, report
from .audited import Audited, Called, How, channels, untouched
from .backwards import choices
from .climb import Climb
from .evidence import gradient_told
from .inputs import given, radius
from .kept import Kept
from .probe import probe


def audit(
    model: nn.Module | Callable[[Tensor], Any],
    images: Any,
    labels: Any,
    eps: float | str,
    *,
    classes: int | None = None,
    steps: int | None = None,
    logits: Callable[[Any], Tensor] | None = None,
    mean: Any = None,
    std: Any = None,
    scale: float | None = None,
    time_first: bool | None = None,
    reset: Callable[[nn.Module], Any] | None = None,
    strength: str = "full",
    budget_minutes: float = math.inf,
    out: str | Path | None = None,
    seed: int = 0,
    progress: bool = False,
) -> report.Report:
    """The worst case of a model over the attacks of one protocol within `eps`, and whether that number may stand.

    `images` [N,...] in [0,1] (or uint8, or 0 to `scale`; [T,N,...] too) and `labels` [N] are those of `inputs.given`;
    `eps` is an L-infinity radius on the scale of [0,1]. The model is called in eval mode, on its own device, in
    its own precision, and must return logits [N,classes]; `logits` makes them of another output. `mean` and `std` are
    of the normalisation that it expects: of values in [0,1], or of 0 to `scale` where that is given. `steps` repeats
    each image for so many steps of a spiking network that does not do so itself, whose outputs are then averaged. State
    is reset between calls: as SpikingJelly and snnTorch do where their layers are found, and by `reset(model)`.
    `strength` is "quick" or "full"; `seed` is that of all random numbers. With a folder `out` every part is kept, the
    same call goes on after any stop, and report.html and report.json are written there. After `budget_minutes` nothing
    more is begun, and the report says what is left out.

    The model's mode, weights, gradients and torch's random stream are as before. Raises ValueError, saying what is
    allowed, for whatever cannot be audited.
    """
    if strength not in ladder.BUDGETS:
        raise ValueError(f"strength is {strength!r}; allowed: {', '.join(ladder.BUDGETS)}")
    if not (isinstance(budget_minutes, int | float) and budget_minutes > 0):
        raise ValueError(f"budget_minutes is {budget_minutes!r}; allowed: more than 0")
    if not (isinstance(seed, int) and 0 <= seed < 2**31):
        raise ValueError(f"seed is {seed!r}; allowed: 0 to {2**31 - 1}")
    if not callable(model) or isinstance(model, type):
        what = f"the class {model.__name__}" if isinstance(model, type) else f"of type {type(model).__name__}"
        raise ValueError(f"the model is {what}; allowed: a module or a function")
    for name, function in (("logits", logits), ("reset", reset)):
        if function is not None and not callable(function):
            raise ValueError(f"{name} is {function!r}; allowed: a function, or None")
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f"out is {out}, which is no folder; allowed: a folder, which is made where there is none")
    limit, data = radius(eps), given(images, labels, scale, time_first)
    whole = model if isinstance(model, nn.Module) else Called(model)
    norm = {k: channels(v, data.x.shape[1:], k) for k, v in (("mean", mean), ("std", std))}
    if (mean is None) != (std is None):
        raise ValueError("mean and std belong together; allowed: both or neither")
    began, was_training = time.monotonic(), whole.training
    with torch.random.fork_rng(), untouched(whole), evaluated(whole):
        net = whole.threat("pixel", "smoothed") if isinstance(whole, CodedNet) else whole
        audited = Audited(net, adapters.find(net), data, How(steps, logits, reset, **norm)).eval()
        audited.to(audited.place.device)
        x, y = (t.to(audited.place.device) for t in (data.x, data.y))
        seen = probe(audited, audited.fold(x), y, classes, seed)
        settings = ladder.settings(strength, limit, seed, audited.draws)
        passes, fixed = choices(audited, strength, limit, seed)
        stages, untested = ladder.stages(audited, limit, ladder.BUDGETS[strength], passes, seed)
        key = _key(audited, x, y, settings, seed)
        rounds = math.ceil(len(x) / ladder.CHUNK) * (len(stages) + 5)
        with _bar(progress, rounds) as told:
            kept = Kept(None if out is None else Path(out), key, seed, budget_minutes, told)
            climb = Climb(audited, audited.fold(x), y, limit, kept)
            climb.run(stages, ladder.twice(audited, limit, ladder.BUDGETS[strength], passes, seed))
        notes = [*data.notes, *(["the model was in train mode; it is audited in eval mode"] if was_training else [])]
        torch.manual_seed(seed)  # what a random model says of the images that fell does not depend on stops either
        found = report.assemble(audited, seen, climb, settings, notes, fixed, untested)
    found.values["time"] = {"seconds": round(time.monotonic() - began, 1), "parts": kept.seconds}
    if out is not None:
        found.save(out, audited.unfold(climb.adversarial), data.x)
    return found


@contextmanager
def _bar(progress: bool, rounds: int) -> Iterator[Callable[[str], Any]]:
    with bar(total=rounds, disable=not progress, desc="audit", leave=False) as drawn:

        def told(name: str) -> None:
            drawn.set_postfix_str(name)
            drawn.update()

        yield told


def _key(audited: Audited, x: Tensor, y: Tensor, settings: dict, seed: int) -> str:
    """Names everything that decides a part: settings, images, and of the model its weights, answers and gradient."""
    torch.manual_seed(seed)
    told = [settings, gradient_told(audited, audited.fold(x), y)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    torch.manual_seed(seed)
    with torch.no_grad():
        answers = torch.cat([audited(part) for part in audited.fold(x).split(ladder.CHUNK)])
    for tensor in [x, y, answers, *audited.model.state_dict().values()]:
        digest.update(np.ascontiguousarray(tensor.detach().cpu().to(torch.float64).numpy()).tobytes())
    return digest.hexdigest()
