"""What attacks miss: noise against gradients, and where an attack does worse than it should."""

from __future__ import annotations

import pandas as pd

from ...attacks.settings import Settings
from ...attacks.standard import TRAIN
from .. import tables, words
from ..attacks import tables as attacked
from . import Finding
from .pools import lacking

ALONE = Settings("PGD", steps=20, iterate="any").name


def noise(rows: pd.DataFrame, eps: float = 1) -> Finding:
    """Random noise fools more images than FGSM in pixel space at 1/255. `rows`: `attacked.rows`."""
    part = rows[(rows["space"] == "pixel") & (rows["eps"] == eps)]
    if part.empty:
        raise lacking("attacks")
    left = {
        name: 100 * part.loc[part["attack"] == attack, "accuracy"].mean()
        for name, attack in (
            ("clean", "clean"),
            ("noise", "random noise"),
            ("fgsm", "FGSM, weighted BPDA"),
            ("pgd", attacked.PLAIN["pixel"]),
        )
    }
    share = (left["clean"] - left["noise"]) / (left["clean"] - left["pgd"])
    return Finding(
        f"In pixel space at {eps:g}/255 random noise, the best of 20 draws, leaves {left['noise']:.1f} % of the "
        f"images ({left['clean']:.1f} % without attack); through the weighted BPDA surrogate FGSM leaves "
        f"{left['fgsm']:.1f} % and PGD-7 (any iterate) {left['pgd']:.1f} %. Twenty draws without a gradient "
        f"fool more images than one step along this one and {100 * share:.0f} % as many as seven steps: this surrogate "
        f"is a poor guide ({part['n'].max()} images, both pools, one seed).",
        left["pgd"] < left["noise"] < left["fgsm"] and share > 0.75 and part["seed"].nunique() == 1,
    )


def battery(rows: pd.DataFrame, space: str = "spike", eps: float = 4) -> Finding:
    """All attacks together leave less than half of what PGD with many steps alone leaves. `rows`: `attacked.rows`."""
    part = rows[(rows["space"] == space) & (rows["eps"] == eps)]
    if part.empty:
        raise lacking("attacks")
    alone, all_of_them = (part[part["attack"] == a].groupby("pool")["accuracy"].mean() for a in (ALONE, attacked.WORST))
    shown = [" and ".join(f"{100 * left[pool]:.1f}" for pool in tables.PAIR) for left in (all_of_them, alone)]
    return Finding(
        f"That is one attack. In {space} space at {eps:g}/255 all attacks together leave {shown[0]} % of all images "
        f"(max and average pooling), where {ALONE} alone leaves {shown[1]} % ({part['n'].max()} images, one seed).",
        part["seed"].nunique() == 1 and bool((all_of_them < 0.5 * alone).all()),
    )


def oddities(acc: pd.DataFrame, clean: dict[str, float]) -> list[str]:
    """Where accuracy under attack exceeds clean accuracy, or PGD-7 leaves more than FGSM, on the same images.

    `acc` is `tables.accuracies`, `clean` the accuracy of each run on the attacked images. A sentence a case.
    """
    part = acc[acc["space"] != "clean"]
    keys = ["run", "label", "pool", "seed", "space", "protocol", "eps", "n"]
    both = part.pivot_table(index=keys, columns="method", values="accuracy").reset_index()
    said = []
    for d in part[part["accuracy"] > part["run"].map(clean)].to_dict("records"):
        said.append(
            f"{d['label']}, {d['pool']} pooling, {words.attack_text(d)}, {d['space']} space, {d['protocol']}: "
            f"{100 * d['accuracy']:.1f} % under attack, {100 * clean[d['run']]:.1f} % clean, on the same "
            f"{d['n']:,} images."
        )
    for d in both[both["pgd"] > both["fgsm"]].to_dict("records"):
        said.append(
            f"{d['label']}, {d['pool']} pooling, {d['eps']}/255, {d['space']} space, {d['protocol']}: "
            f"PGD-7 leaves {100 * d['pgd']:.1f} %, FGSM {100 * d['fgsm']:.1f} %, "
            f"{round((d['pgd'] - d['fgsm']) * d['n'])} of "
            f"{d['n']:,} images more."
        )
    return said


def odd(acc: pd.DataFrame, clean: dict[str, float]) -> Finding:
    """Such cases are rare, and an attack beats clean accuracy only where the published protocol adapts the network."""
    said = oddities(acc, clean)
    above = [s for s in said if "clean, on the same" in s]
    weaker = [s for s in said if "PGD-7 leaves" in s]
    return Finding(
        f"In {len(above)} measurement accuracy under attack exceeds clean accuracy, in {len(weaker)} PGD-7 is "
        f"weaker than "
        "FGSM. "
        + " ".join(said)
        + " The first is of the published train mode, which lets BatchNorm adapt to the attacked "
        "test batches: the network that is judged is another one. The second is one image: PGD-7 keeps its last "
        "iterate, and a step of 0.01 may leave an image that the first step had fooled.",
        len(above) == len(weaker) == 1 and TRAIN in above[0] and " 1 of 1,000 images" in weaker[0],
    )
