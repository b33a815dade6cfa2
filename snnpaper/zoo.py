"""Our own trained networks: 16-bit safetensors, rounded before anything is measured on them.

Kept are the live parts (`models.live_parts`): most taps of the last layers' kernels meet nothing
but padding, and are zero after loading. The checksum "live_sha256" is over these parts; records made before it
existed hold one over all taps, and zoo/checksums.json has the live one of the networks they describe.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor, nn

from . import files, ledger
from .config import Run, checkout, home
from .nets.coded import CodedNet
from .nets.data import TABLE, Images
from .stats import wilson

Net = TypeVar("Net", bound=nn.Module)
_SHARD = 15 * 2**20  # bytes; a file of a source tree should stay small


class ZooError(RuntimeError):
    """A network is absent or is not the one its record describes."""


class NotKept(ZooError):
    """The record is there, the weights are not."""


def folder() -> Path:
    return home() / "zoo"


def round_(net: Net) -> Net:
    """Round all floating-point weights and buffers to what 16 bits hold, in place."""
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    return net


def sha256(net: nn.Module) -> str:
    """Checksum over names and 16-bit values of the live parts; the same however the file is cut."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_halves(net).items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def origin(coded: CodedNet, images: Images) -> dict[str, Any]:
    """What a measurement follows from, for its record: checksums of the network and of the images."""
    return {"live_sha256": sha256(coded.net), "data_sha256": images.sha256}


def save(run: Run, net: nn.Module) -> None:
    """Write the network in files of at most 15 MiB: <name>.safetensors, or <name>-1.safetensors and on.

    Raises ledger.LedgerError when its training is recorded: a recorded network is never replaced.
    """
    ledger.vacant("train", run.name)
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in _halves(net).items():
        if sum(t.nbytes for t in shards[-1].values()) + tensor.nbytes > _SHARD:
            shards.append({})
        shards[-1][name] = tensor
    for i, shard in enumerate(shards, 1):
        files.write(folder() / f"{run.name}{f'-{i}' if len(shards) > 1 else ''}.safetensors", packed(shard))


def card(run: Run) -> None:
    """Write zoo/<name>.md, the model card, from the training record."""
    record = ledger.read("train", run.name)
    r, p = record["results"], record["provenance"]
    low, high = wilson(round(r["test_accuracy"] * r["test_n"]), r["test_n"])
    config = "\n".join(f"| {k} | {v} |" for k, v in record["config"].items())
    frames, shape = TABLE[run.dataset].frames, ",".join(map(str, TABLE[run.dataset].shape))
    what = f"event frames [N,{frames},{shape}]" if frames else f"images [N,{shape}]"
    text = f"""# {run.name}

{run.label}, {run.pool} pooling, width {run.width}, trained by this project on {run.dataset}
(scale: **{run.scale}**; the published setting is width 64, batch 16, 100 epochs).

Clean test accuracy {100 * r["test_accuracy"]:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f},
n = {r["test_n"]:,}).
Weights are rounded to 16 bits; every number recorded for this network was measured on the rounded weights.
Trained in {p["wall_seconds"] / 60:.0f} min on {p["hardware"]["gpu"] or p["hardware"]["cpu"]},
code {str(p["code"]["commit"])[:10]}.

    from snnpaper import zoo
    run, coded = zoo.load("{run.name}")  # checks the checksum; uint8 {what} -> logits

Made to study gradients and attacks. Not a classifier to deploy: it has no defence against attacks.

| setting | value |
|---|---|
{config}

Licence: MIT.
"""
    files.write(folder() / f"{run.name}.md", text)


def load(name: str, device: str | torch.device = "cpu") -> tuple[Run, CodedNet]:
    """The run and its coded network, in eval mode, by run name: from `home`, else from the checkout.

    Taps that meet nothing but padding are zero. Raises ledger.LedgerError without a training record, NotKept
    when the weights are absent, and ZooError when they cannot be read or differ from their checksum.
    """
    base = _base(name)
    record = ledger.read_file(_record(base, name))
    run = Run.from_dict(record["config"])
    if not (found := files_of(name)):
        again = "SNNPAPER_HOME=FOLDER python -m snnpaper train --no-measure " + " ".join(run.arguments)
        kept = f"no weights of {name} in {base / 'zoo'}: its record is kept, its weights are not"
        raise NotKept(f"{kept}; train it again with: {again}")
    coded = CodedNet.of(run)
    try:
        _fill(coded.net, {k: v for f in found for k, v in load_file(f).items()})
    except (SafetensorError, RuntimeError) as err:  # cut off, a pointer instead of the file, or other weights
        raise ZooError(f"the weights of {name} cannot be read: {err}; fetch zoo/ again") from None
    if sha256(coded.net) != _expected(record, base):
        raise ZooError(f"the weights of {name} differ from the checksum in its record; fetch zoo/ again")
    return run, coded.to(device).eval()


def files_of(name: str) -> list[Path]:
    """The files that hold a network's weights; none when it is not kept."""
    zoo = _base(name) / "zoo"
    cut = [f for f in zoo.glob(f"{name}-*.safetensors") if re.fullmatch(r"-\d+", f.stem.removeprefix(name))]
    return sorted(zoo.glob(f"{name}.safetensors")) or sorted(cut, key=lambda f: int(f.stem.rpartition("-")[2]))


def _base(name: str) -> Path:
    """The folder whose results/ and zoo/ hold a network: `home`, or the checkout when only that has its record."""
    for base in (home(), checkout()):
        if base and _record(base, name).exists():
            return base
    return home()


def _record(base: Path, name: str) -> Path:
    return base / "results" / "train" / f"{name}.json"


def _expected(record: dict, base: Path) -> str | None:
    """The checksum of the live parts: the record's own, or for an older record the one in zoo/checksums.json."""
    if own := record["provenance"].get("live_sha256"):
        return own
    listed = base / "zoo" / "checksums.json"
    return json.loads(listed.read_text()).get(record["name"]) if listed.exists() else None


@torch.no_grad()
def _fill(net: nn.Module, kept: dict[str, Tensor]) -> None:
    """Put the kept parts where they belong and zero everywhere else; raises RuntimeError when they do not fit."""
    parts = _live_parts(net)
    if wrong := sorted(k for k in parts.keys() | kept.keys() if k not in parts or k not in kept):
        raise RuntimeError(f"missing or unknown: {', '.join(wrong[:3])}")
    if wrong := [k for k, v in parts.items() if v.shape != kept[k].shape]:
        raise RuntimeError(f"of another shape: {', '.join(wrong[:3])}")
    for tensor in net.state_dict().values():
        tensor.zero_()
    for name, part in parts.items():
        part.copy_(kept[name])


def _live_parts(net: Any) -> dict[str, Tensor]:
    from .nets.models import live_parts  # with SpikingJelly and numba, as in `CodedNet.of`

    return live_parts(net)


def _halves(net: nn.Module) -> dict[str, Tensor]:
    """The live parts on the CPU with floats as 16 bits, contiguous."""
    state = _live_parts(net)
    return {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
