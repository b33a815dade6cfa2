"""From a run to its records: train, round, keep, attack, measure; each stage once, each its own record."""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import nn
from tqdm import tqdm

from . import data, ledger, sparsity, zoo
from .attacks.standard import Attack, robust
from .config import Run
from .data import Images
from .pixel import correct
from .train import train

ATTACKED_IMAGES = 1_000
_TRAIN_CHECK = 5_000  # training images on which accuracy is measured again in eval mode
_SPARSITY_IMAGES = {"activation": 256, "weight": 32}
# FGSM and PGD-7 at the code's eps and at the paper's, in both spaces; and the published protocol by name.
BATTERY = tuple(
    Attack(space=space, method=method, eps=eps / 255, protocol=protocol)
    for space, protocol in (("pixel", "sound"), ("spike", "sound"), ("spike", "published"))
    for eps in (6, 8)
    for method in ("fgsm", "pgd")
)
# A third of the attacks, for wide networks on a CPU: the eps of the paper, by the sound protocol.
SHORT_BATTERY = tuple(a for a in BATTERY if a.protocol == "sound" and a.eps == 8 / 255)
_PUBLISHED_BATCH = 16


def run_all(run: Run, device: str = "cpu", progress: bool = True, battery: Sequence[Attack] = BATTERY) -> None:
    """Every stage of a run that the ledger does not hold yet."""
    net = train_stage(run, device, progress)
    test = data.load(run.dataset)["test"].to(device)
    robustness_stage(run, net, test, progress, battery)
    sparsity_stage(run, net, test)


def train_stage(run: Run, device: str = "cpu", progress: bool = True) -> nn.Module:
    """Train the network of `run`, or take it from zoo/ when its record exists; returns it in eval mode.

    The network is rounded to 16 bits first and only then measured, so the record speaks of the weights
    that are kept. The weights are on disk before the record is: a record never lacks its network.
    """
    if ledger.path("train", run.name).exists():
        return zoo.load(run.name, device)[1]
    splits = data.load(run.dataset)
    done = train(run, splits, device, progress=progress)
    net = zoo.round_(done.net)
    hits = {}
    for split, images in splits.items():
        part = images.first(_TRAIN_CHECK if split == "train" else 0).to(device)
        hits[split] = correct(net, part.x, part.y, run.coding, run.T)
    results = {f"{split}_accuracy": h.float().mean().item() for split, h in hits.items()}
    results |= {f"{split}_n": len(h) for split, h in hits.items()}
    results |= {"test_correct": ledger.pack(hits["test"]), "curves": done.curves}
    zoo.save(run, net)
    checksums = {"weights_sha256": zoo.sha256(net), "data_sha256": {k: v.sha256 for k, v in splits.items()}}
    ledger.append("train", run, results, done.seconds, **checksums)
    zoo.card(run)
    done.forget()
    return net


def robustness_stage(
    run: Run, net: nn.Module, test: Images, progress: bool = True, battery: Sequence[Attack] = BATTERY
) -> None:
    """Attack the first 1,000 test images with every attack of `battery`; one record."""
    if ledger.path("robustness", run.name).exists():
        return
    images, began = test.first(ATTACKED_IMAGES), time.monotonic()
    results = robustness(run, net, images, battery, progress)
    ledger.append("robustness", run, results, time.monotonic() - began, **_origin(net, images))


def robustness(run: Run, net: nn.Module, images: Images, attacks: Sequence[Attack], progress: bool = False) -> dict:
    """Which images are classified correctly, clean and under each attack, with the accuracies."""
    clean = correct(net, images.x, images.y, run.coding, run.T)
    rows = []
    for attack in tqdm(attacks, disable=not progress, desc="attacks"):
        hits = robust(net, run, images, attack, _PUBLISHED_BATCH if attack.protocol == "published" else 50)
        rows.append(attack.to_dict() | {"accuracy": hits.float().mean().item(), "correct": ledger.pack(hits)})
    head = {"n": len(images), "clean_accuracy": clean.float().mean().item(), "clean_correct": ledger.pack(clean)}
    return head | {"attacks": rows}


def sparsity_stage(run: Run, net: nn.Module, test: Images) -> None:
    """Measure the gradients of the first test images in eval and in train mode; one record."""
    if ledger.path("sparsity", run.name).exists():
        return
    began, results = time.monotonic(), {}
    for kind, measure in (("activation", sparsity.activation_gradients), ("weight", sparsity.weight_gradients)):
        images = test.first(_SPARSITY_IMAGES[kind])
        results[f"{kind}_n"] = len(images)
        for mode in ("eval", "train"):
            results[f"{kind}_{mode}"] = measure(net, run, images, training=mode == "train")
    used = test.first(max(_SPARSITY_IMAGES.values()))
    ledger.append("sparsity", run, results, time.monotonic() - began, **_origin(net, used))


def _origin(net: nn.Module, images: Images) -> dict[str, str]:
    return {"weights_sha256": zoo.sha256(net), "data_sha256": images.sha256}
