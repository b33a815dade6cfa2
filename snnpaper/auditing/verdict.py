"""What an audit's measurements say: the checks as rules, and whether the number may stand.

The signs of obfuscation are those of Athalye et al. 2018 (arXiv 1802.00420), most other checks those of Carlini et al.
2019 (arXiv 1902.06705). Each compares with the attacks whose worst case is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .evidence import slack

ENOUGH = 20  # images classified correctly, below which no comparison of attacks says anything
MOVE = 0.005  # share of the images that twice the budget may move


@dataclass(frozen=True)
class Finding:
    """One check: `passed` None where it could not be made; what a failure means, and what to do about it.

    `voids` is the verdict that a failure makes: "obfuscated", "unreliable" or "" for what is only to be known.
    """

    name: str
    passed: bool | None
    evidence: str
    meaning: str
    advice: str
    voids: str


@dataclass
class Measured:
    """Counts of images; those of attacks are of the `n` that are classified correctly."""

    images: int
    n: int
    classes: int
    random: bool
    alone: bool
    forgets: bool
    mend: str  # what makes it forget, as advice
    unchanged: bool
    left_out: list[str] = field(default_factory=list)  # attacks and checks for which there was no time
    standing: dict[str, int] = field(default_factory=dict)  # after "FGSM" and "PGD", each on every image
    noise_alone: int | None = None  # fooled by random noise and by none of the gradient attacks on every image
    square: tuple[int, int] | None = None  # fooled by Square, of those that every gradient left
    trace: dict[str, Any] | None = None
    along: tuple[float, float, float] | None = None
    far: int | None = None
    curve: dict[float, int] = field(default_factory=dict)
    cut: bool = False  # whether there was no time for the curve's larger radii
    better: tuple[str, int] | None = None  # the pass that fooled most beyond the own, how many more; None: none tried
    moved: tuple[int, int] | None = None  # fooled by twice the budget, of so many


def findings(m: Measured) -> list[Finding]:
    """Every check as a rule over what was measured."""
    # twice the standard deviation of n coins: so far the draws of a random model move a count
    few = max(slack(m.n), math.isqrt(m.n)) if m.random else slack(m.n)
    single, steps = m.standing.get("FGSM"), m.standing.get("PGD")
    zero = None if m.trace is None else m.trace["zero"]
    fell = None if steps is None else m.n - steps
    half = next((r for r, left in sorted(m.curve.items()) if left <= m.n / 2), None)
    radii, curve = sorted(m.curve), [left for _, left in sorted(m.curve.items())]
    chance = m.n / m.classes + few
    falls = None if m.far is None or m.cut or not curve else curve[-1] <= chance and all(
        b <= a + few for a, b in zip(curve, curve[1:], strict=False))  # fmt: skip
    shown = "; ".join(f"{_radius(r)}: {left}" for r, left in zip(radii, curve, strict=True))
    move = max(1, int(MOVE * m.images))
    rows = [
        ("there is a gradient", None if zero is None else zero < 0.5,
         "" if zero is None else f"all-zero gradient in {100 * zero:.0f} % of images at the worst step",
         "the attacks have no direction to follow", "put a differentiable path in (a surrogate, BPDA) and audit that",
         "obfuscated"),
        ("iterations beat a single step", None if single is None or steps is None else steps <= single + few,
         "" if single is None or steps is None else f"{single} of {m.n} survive one step, {steps} survive PGD-20",
         "the gradient misleads",
         "look for a layer whose backward pass is not that of its forward pass", "obfuscated"),
        ("gradients beat black boxes", None if m.square is None else m.square[0] <= few,
         "" if m.square is None else f"Square fooled {m.square[0]} of {m.square[1]} that every gradient attack left",
         "the gradient is worse than none", "raise Square's budget; the robust accuracy may be lower still",
         "obfuscated"),
        ("gradients beat random noise", None if m.noise_alone is None else m.noise_alone <= few,
         "" if m.noise_alone is None else f"{m.noise_alone} fell to random noise and neither to FGSM nor to PGD-20",
         "the gradient is worse than none",
         "look for what hides the gradient: quantising, saturation, randomness", "obfuscated"),
        ("without a bound every image falls", None if m.far is None else m.far <= few,
         "" if m.far is None else f"{m.far} of {m.n} survive when every image is allowed",
         "the gradient does not lead away from the class",
         "look for saturation (large logits) and cut gradients", "obfuscated"),
        ("a larger radius helps", falls, shown, "the attack loses its way",
         "look for steps in the function: quantising, thresholds", "obfuscated"),
        ("enough images", m.n >= ENOUGH, f"{m.n} images are classified correctly", "chance decides",
         f"audit more images: {ENOUGH} classified correctly at least, 200 for an interval of 14 points", "unreliable"),
        ("the radius tells", None if fell is None or m.n < ENOUGH else fell > few,
         "" if fell is None else f"{fell} of {m.n} fall to PGD-20",
         "eps is too small to tell: where nothing falls, no attack can be told from another",
         "audit at a larger radius too" + (f", such as {_radius(half)}, where half falls" if half else ""),
         "unreliable"),
        ("deterministic", not m.random, "logits repeat" if not m.random else "logits differ from call to call",
         "each forward pass stands for the mean of some draws; a stronger average may find more",
         "fix the randomness in evaluation, or say how many draws the accuracy is of", "unreliable"),
        ("nothing is remembered", m.forgets, "logits repeat without the audit's reset" if m.forgets else
         "without the audit's reset the model remembers earlier images; the number is of the model reset",
         "used as it is, the model is another function", m.mend, ""),
        ("an image is judged alone", m.alone, "logits " + ("do not depend" if m.alone else "depend") + " on the batch",
         "the network sees its neighbours: BatchNorm in train mode, or an axis mistaken for the batch",
         "put BatchNorm in eval mode; check the order of the axes", "unreliable"),
        ("weights untouched", m.unchanged, "weights and buffers " + ("as before" if m.unchanged else "changed"),
         "the network adapts to the attack", "put BatchNorm in eval mode", "unreliable"),
        ("the gradient tells more than chance", None if m.along is None else m.along[2] >= 0.75 and
         m.along[0] > m.along[1], "" if m.along is None else f"the loss rises by {m.along[0]:.2f} along it, by "
         f"{m.along[1]:.2f} along random signs; more in {100 * m.along[2]:.0f} % of images",
         "the gradient says little at the size of eps", "try other surrogates", "unreliable"),
        ("converged", None if m.moved is None else m.moved[0] <= move,
         "" if m.moved is None else f"twice the budget fools {m.moved[0]} of the {m.moved[1]} left, "
         f"{100 * m.moved[0] / m.images:.1f} points (they are counted)", "the attacks had not found what there is",
         'audit with strength="full"; say by how much it moves', "" if m.moved and m.moved[0] <= few else "unreliable"),
        ("complete", not m.left_out, "all had their time" if not m.left_out else
         f"no time for {'; '.join(m.left_out)}", "the number is an upper bound",
         "give more minutes: what is done is kept", "unreliable"),
        ("own backward pass", None if m.better is None else m.better[1] <= few,
         "no other was tried" if m.better is None else
         f"{m.better[0]} fooled {max(0, m.better[1])} more images than the model's own",
         "whoever attacks with the model's own gradient alone overestimates it", "report this worst case", ""),
    ]  # fmt: skip
    return [
        Finding(name, None if ok is None else bool(ok), evidence or "not measured", *rest)
        for name, ok, evidence, *rest in rows
    ]


def verdict(found: list[Finding]) -> tuple[str, list[str]]:
    """obfuscated, unreliable or reliable, and why: the failed checks that void the number, the worst first."""
    for word in ("obfuscated", "unreliable"):
        why = [f"{f.meaning} ({f.name}: {f.evidence})" for f in found if f.passed is False and f.voids == word]
        if why:
            return word, why
    if known := [f.name for f in found if f.passed is False]:
        return "reliable", [f"no check failed that would void it; to be known: {', '.join(known)}"]
    return "reliable", ["every check that could be made passed"]


def _radius(r: float) -> str:
    return f"{255 * r:.3g}/255"
