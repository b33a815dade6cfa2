"""Attacks and checks on anybody's network: any module that maps images in [0,1] to logits.

Use::

    from snnpaper import audit

    found = audit.audit(model, images, labels, eps=8 / 255, classes=10)
    print(audit.text(found))
"""

from __future__ import annotations

from dataclasses import asdict

from torch import Tensor, nn

from ..attacks.ensemble import generic, worst_case
from ..nets.coded import evaluated
from ..stats import wilson
from . import checks
from .evidence import evidence


def audit(model: nn.Module, x: Tensor, y: Tensor, eps: float, classes: int) -> dict:
    """The per-image worst case over all generic attacks, and the checks that say how far to trust it.

    x [N,...] in [0,1], y int64 [N], eps an L-infinity radius; the model is put in eval mode and back.
    Returns clean and robust accuracy with their 95 % Wilson intervals, one row an attack, and the report
    of `checks`. An input that leaves [0,1] raises ValueError.
    """
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"inputs are {x.min():.3g} to {x.max():.3g}; allowed: 0 to 1, normalisation inside the model")
    with evaluated(model):
        outcome = worst_case(model, x, y, generic(eps, classes), eps)
        stored = (outcome.adversarial, outcome.robust)
        report = checks.report(evidence(model, x, y, eps, classes, stored=stored))
    rows = [asdict(s := r["settings"]) | {"name": s.name, "kind": s.kind, "attacked": int(r["attacked"].sum()),
            "fooled": int((r["attacked"] & ~r["correct"]).sum())} for r in outcome.rows]  # fmt: skip
    head: dict = {"n": len(y), "eps": eps}
    for name, hits in (("clean", outcome.clean), ("robust", outcome.robust)):
        head |= {name: hits.float().mean().item(), f"{name}_interval": wilson(int(hits.sum()), len(hits))}
    return head | {"attacks": rows} | report


def text(found: dict) -> str:
    """The audit as lines to print."""
    low, high = found["robust_interval"]
    lines = [
        f"clean accuracy {100 * found['clean']:.1f} %, worst case within {255 * found['eps']:g}/255: "
        f"{100 * found['robust']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {found['n']} images",
        f"verdict: {found['verdict']}" + "".join(f"; {k}" for k, v in found["signs"].items() if v),
    ]
    lines += [f"  {r['name']:22} fooled {r['fooled']:4} of {r['attacked']}" for r in found["attacks"]]
    words = {True: "pass", False: "FAIL", None: "-"}
    lines += [f"  {words[c['passed']]:5} {c['name']}: {c['evidence']}" for c in found["checks"]]
    return "\n".join(lines)
