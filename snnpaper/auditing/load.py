"""What the command line names: a function that makes the model, a file of weights, a place of images."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

USUAL = 200  # images: an interval of 14 points at most
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


def model(factory: str) -> Any:
    """What `package.module:function` makes; the folder one stands in is looked at too. Raises ValueError."""
    place, _, name = factory.partition(":")
    if not place or not name:
        raise ValueError(f"the factory is {factory!r}; allowed: package.module:function, which gives the model")
    sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(place), name, None)
    except ModuleNotFoundError as err:
        if err.name and place.startswith(err.name):
            raise ValueError(f"there is no module {err.name}; is it in this folder, or installed?") from None
        raise ValueError(f"{place} needs {err.name}, which is not installed") from None
    finally:
        sys.path.remove("")
    if not callable(made):
        raise ValueError(f"{place} has no function {name}")
    return made if isinstance(made, nn.Module) else made()


def weights(net: nn.Module, file: str | Path) -> None:
    """Fill a model from safetensors, or from a state dict that torch reads with weights_only. Raises ValueError."""
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError) as err:
        raise ValueError(f"{file} cannot be read as weights: {err}") from None
    except Exception as err:  # pickle's own errors, when it holds more than tensors
        why = f"{file} holds more than weights, which may run code"
        raise ValueError(f"{why}; allowed: safetensors or a state dict ({err})") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    try:
        net.load_state_dict(state)  # type: ignore[arg-type]
    except (RuntimeError, TypeError, AttributeError) as err:
        raise ValueError(f"{file} does not fit the model: {' '.join(str(err).split())[:300]}") from None


def images(name: str, n: int | None) -> tuple[Tensor, Tensor]:
    """The first n images (None: USUAL, or all where there are fewer) and their labels.

    Of an .npz (x or images, y or labels), of a folder with one folder a class, or of the test split of a data set, by
    our name or torchvision's. Raises ValueError.
    """
    place, most = Path(name), USUAL if n is None else n
    if place.suffix == ".npz" and place.is_file():
        x, y = _npz(place)
    elif place.is_dir():
        x, y = _folder(place, most)
    else:
        x, y = _named(name)
    if n is not None and n > len(x):
        raise ValueError(f"{name} has {len(x)} images; allowed: that many at most, not {n}")
    return x[:most], y[:most]


def _npz(file: Path) -> tuple[Tensor, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as packed:
            kept = dict(packed)
        for a, b in (("x", "y"), ("images", "labels"), ("x_test", "y_test")):
            if a in kept and b in kept:
                return torch.from_numpy(kept[a]), torch.from_numpy(kept[b])
    except Exception as err:  # of zip, of numpy's format or of a type that torch has not; none names the file
        raise ValueError(f"{file} cannot be read as images: {' '.join(str(err).split())[:200]}") from None
    raise ValueError(f"{file} has {', '.join(kept)}; allowed: x and y, or images and labels")


def _folder(folder: Path, n: int) -> tuple[Tensor, Tensor]:
    """Pictures, class by class in turn, so that the first n are of every class."""
    from matplotlib.image import imread

    classes = sorted(d for d in folder.iterdir() if d.is_dir())
    files = [[f for f in sorted(d.iterdir()) if f.suffix.lower() in PICTURES] for d in classes]
    if len(classes) < 2 or not all(files):
        raise ValueError(f"{folder} has {len(classes)} folders; allowed: two or more, one a class, each with pictures")
    order = [(k, f) for i in range(max(map(len, files))) for k, own in enumerate(files) for f in own[i : i + 1]][:n]
    arrays = [a / 255 if a.dtype == np.uint8 else a for a in (imread(f) for _, f in order)]
    arrays = [a[..., :3] if a.ndim == 3 else a for a in arrays]  # without transparency
    if len({a.shape for a in arrays}) > 1:
        raise ValueError(f"the pictures in {folder} differ in size or in channels; allowed: all alike")
    x = torch.from_numpy(np.stack(arrays))
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return x.contiguous(), torch.tensor([k for k, _ in order])


def _named(name: str) -> tuple[Tensor, Tensor]:
    from ..nets import data

    if name in data.TABLE:
        test = data.load(name)["test"]
        return test.x, test.y
    try:
        from torchvision import datasets
    except ModuleNotFoundError:
        datasets = None
    made = getattr(datasets, name, None)
    if not (isinstance(made, type) and name[0].isupper()):
        raise ValueError(
            f"the data is {name!r}; allowed: {', '.join(data.TABLE)}, a torchvision data set such as MNIST, an .npz or "
            "a folder"
        )
    try:
        found: Any = made(str(data.root()), train=False, download=True)
    except TypeError as err:
        raise ValueError(f"torchvision's {name} has no plain test split ({err}); save its images as .npz") from None
    x = torch.as_tensor(np.asarray(found.data))
    return (x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)), torch.as_tensor(found.targets)
