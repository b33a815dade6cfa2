"""Our own trained networks: 16-bit safetensors, rounded before anything is measured on them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import ledger
from .config import Run, checkout, home
from .nets.coded import CodedNet
from .nets.data import TABLE, Images
from .stats import wilson

Net = TypeVar("Net", bound=nn.Module)
_SHARD = 15 * 2**20  # bytes; a file of a source tree should stay small


class ZooError(RuntimeError):
    """A network is absent or is not the one its record describes."""


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
    """Checksum over names and 16-bit values; the same however the file is cut."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_halves(net).items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def origin(coded: CodedNet, images: Images) -> dict[str, Any]:
    """What a measurement follows from, for its record: checksums of the network and of the images."""
    return {"weights_sha256": sha256(coded.net), "data_sha256": images.sha256}


def save(run: Run, net: nn.Module) -> None:
    """Write the network in files of at most 15 MiB: <name>.safetensors, or <name>-1.safetensors and on."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in _halves(net).items():
        if sum(t.nbytes for t in shards[-1].values()) + tensor.nbytes > _SHARD:
            shards.append({})
        shards[-1][name] = tensor
    folder().mkdir(parents=True, exist_ok=True)
    for i, shard in enumerate(shards, 1):
        save_file(shard, folder() / f"{run.name}{f'-{i}' if len(shards) > 1 else ''}.safetensors")


def card(run: Run) -> None:
    """Write zoo/<name>.md, the model card, from the training record."""
    record = ledger.read("train", run.name)
    r, p = record["results"], record["provenance"]
    low, high = wilson(round(r["test_accuracy"] * r["test_n"]), r["test_n"])
    config = "\n".join(f"| {k} | {v} |" for k, v in record["config"].items())
    frames, shape = TABLE[run.dataset].frames, ",".join(map(str, TABLE[run.dataset].shape))
    what = f"event frames [N,{frames},{shape}]" if frames else f"images [N,{shape}]"
    (folder() / f"{run.name}.md").write_text(f"""# {run.name}

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
""")


def load(name: str, device: str | torch.device = "cpu") -> tuple[Run, CodedNet]:
    """The run and its coded network, in eval mode, by run name: from `home`, else from the checkout.

    Raises ledger.LedgerError without a training record and ZooError when the weights are absent or
    differ from the checksum in that record.
    """
    base = _base(name)
    record = ledger.read_file(_record(base, name))
    run, zoo = Run.from_dict(record["config"]), base / "zoo"
    files = sorted(zoo.glob(f"{name}.safetensors")) or sorted(zoo.glob(f"{name}-*.safetensors"))
    if not files:
        raise ZooError(f"no weights of {name} in {zoo}; train them with `python -m snnpaper train` and its config")
    coded = CodedNet.of(run)
    try:
        coded.net.load_state_dict({k: v for f in files for k, v in load_file(f).items()})
    except (SafetensorError, RuntimeError) as err:  # cut off, a pointer instead of the file, or other weights
        raise ZooError(f"the weights of {name} cannot be read: {err}; fetch zoo/ again") from None
    if sha256(coded.net) != record["provenance"]["weights_sha256"]:
        raise ZooError(f"the weights of {name} differ from the checksum in its record; fetch zoo/ again")
    return run, coded.to(device).eval()


def _base(name: str) -> Path:
    """The folder whose results/ and zoo/ hold a network: `home`, or the checkout when only that has its record."""
    for base in (home(), checkout()):
        if base and _record(base, name).exists():
            return base
    return home()


def _record(base: Path, name: str) -> Path:
    return base / "results" / "train" / f"{name}.json"


def _halves(net: nn.Module) -> dict[str, Tensor]:
    """State dict on the CPU with floats as 16 bits, contiguous."""
    state = net.state_dict()
    return {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
