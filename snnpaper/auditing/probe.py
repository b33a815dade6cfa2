"""What a model is like before it is attacked: whether it can be called, forgets, is random, minds its batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .audited import DRAWS, Audited

SAME = 1e-3  # of the logits' range: what another batch size may change by rounding


@dataclass
class Probe:
    """`random`: draws of its own in every call. `alone`: an image's logits do not depend on its batch.

    `forgets`: without the reset of the audit two calls give the same.
    """

    random: bool
    alone: bool
    forgets: bool


@torch.no_grad()
def probe(audited: Audited, x: Tensor, y: Tensor, classes: int | None, seed: int) -> Probe:
    """Call the model on some images; notes its number of classes and sets its `draws`.

    Raises ValueError where it cannot be audited, with what mends it.
    """
    few = x[:8]
    first = _called(audited, few, seed)
    audited.classes = first.shape[1]
    if classes is not None and classes != audited.classes:
        raise ValueError(
            f"classes is {classes}, the model returns {audited.classes} logits; allowed: the same, or None"
        )
    if int(y.max()) >= audited.classes:
        raise ValueError(
            f"labels reach up to {int(y.max())} and the model returns {audited.classes} logits; allowed: 0 to "
            f"{audited.classes - 1}"
        )
    # of the same size too: some libraries start anew when the batch is of another
    for between, when in ((few, ""), (few[: max(1, len(few) // 2)], "a smaller batch after a larger one")):
        _called(audited, 1 - between, seed, when)
        if not torch.equal(first, _called(audited, few, seed)):
            raise ValueError(_remembers(audited))
    other = _called(audited, few, seed + 1)
    random = not torch.equal(first, other)
    wide = float(first.max() - first.min()) or 1.0
    parts = torch.cat([_called(audited, x[i : i + 1], seed) for i in range(min(len(x), 4))])
    alone = random or float((parts - first[: len(parts)]).abs().max()) <= SAME * wide
    audited.draws = DRAWS if random else 1
    return Probe(random, alone, _forgets(audited, few, seed))


def _called(audited: Audited, x: Tensor, seed: int, when: str = "") -> Tensor:
    torch.manual_seed(seed)
    try:
        return audited(x)
    except ValueError as err:
        if "allowed:" in str(err):
            raise
        raise _failed(audited, when, err) from err
    except Exception as err:  # whatever a stranger's forward pass may raise
        raise _failed(audited, when, err) from err


def _failed(audited: Audited, when: str, err: Exception) -> ValueError:
    text = " ".join(str(err).split())[:200]
    if when:
        return ValueError(f"the model fails on {when}: {text}. {_remembers(audited)}")
    shape, hint = list(audited.item), ""
    if len(shape) == 3 and shape[2] in (1, 2, 3) and shape[0] > 3:
        hint = " The channels seem to be last; allowed: images.permute(0, 3, 1, 2)."
    return ValueError(f"the model fails on images of shape [N,{','.join(map(str, shape))}]: {text}.{hint}")


def _remembers(audited: Audited) -> str:
    lines = {
        "plain torch": "give reset=lambda model: model.reset(), with whatever clears what it keeps",
        "norse": "call the layers with state None at the start of every forward pass, or give reset=lambda model: ...",
    }
    mend = lines.get(
        audited.adapter.name, f"write {audited.adapter.line} first in forward, or give reset=lambda model: ..."
    )
    return (
        "the model remembers earlier calls (the same images give other logits), so that its gradient is of another "
        f"function than is judged; {mend}"
    )


def _forgets(audited: Audited, x: Tensor, seed: int) -> bool:
    """Whether it would be the same without the audit's reset between calls."""
    restart, found = audited.restart, []
    audited.restart()
    try:
        audited.restart = lambda: None  # type: ignore[method-assign]
        for given in (x, 1 - x, x):
            torch.manual_seed(seed)
            found.append(audited(given))
        return torch.equal(found[0], found[2])
    except Exception:  # it needs the reset
        return False
    finally:
        audited.restart = restart  # type: ignore[method-assign]
        audited.restart()
