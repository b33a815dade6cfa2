"""Is a robust accuracy reliable? Each check is pass or fail, with its evidence; warning signs give a verdict.

All are rules over what `auditing.evidence` measures. The signs are those of Athalye et al. 2018 (arXiv
1802.00420), most checks those of Carlini et al. 2019 (arXiv 1902.06705).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from .evidence import STEPS, Evidence


@dataclass(frozen=True)
class Check:
    """One check: `passed` None when it does not apply; `evidence` in numbers; `meaning` of a failure."""

    name: str
    passed: bool | None
    evidence: str
    meaning: str


def checks(e: Evidence) -> list[Check]:
    """Every check as a rule over the evidence."""
    at = dict(sorted(e.by_eps.items()))
    low, high = e.box
    replay = "no stored images" if e.replayed is None else f"{e.replayed[1]} of {e.replayed[0]} decided otherwise"
    black = ", ".join(f"{k}: {v}" for k, v in e.beaten_by.items())
    best = max(e.backwards.values(), default=0)
    fooled = e.n - e.by_restarts[-1]
    rise, random, share = e.along
    far_allowed = e.n / e.classes + e.slack
    rows = [
        ("stateless", e.repeats_equal, "logits repeat " + ("bit for bit" if e.repeats_equal else "differently"),
         "the network remembers or is random; its gradient is of another function than is judged"),
        ("replay", None if e.replayed is None else e.replayed[1] <= max(1, e.replayed[0] // 200), replay,
         "the recorded accuracy does not follow from the recorded images"),
        ("box and norm", e.distance <= e.eps + 1e-5 and low >= 0 and high <= 1,
         f"distance {255 * e.distance:.2f}/255 in [{low:.2f}, {high:.2f}]", "the attack cheats"),
        ("buffers untouched", e.state_equal, "weights and BatchNorm statistics " + ("as before" if e.state_equal else
         "changed"), "the network adapts to the attack"),
        ("gradient is not zero", e.zero <= 0.05,
         f"all-zero gradient in at most {100 * e.zero:.0f} % of images at any step; zero entries "
         f"{100 * e.zero_entries:.1f} %", "the attack has no direction to follow"),
        ("more steps", e.by_steps[STEPS] <= e.by_steps[7] + e.slack,
         f"{e.by_steps[7]} survive 7 steps, {e.by_steps[STEPS]} after {STEPS}", "the attack loses its way"),
        ("larger radius", all(b <= a + e.slack for a, b in zip(at.values(), list(at.values())[1:], strict=False)),
         "; ".join(f"{255 * k:.1f}/255: {v}" for k, v in at.items()), "the attack loses its way"),
        ("more starts", e.by_restarts[0] - e.by_restarts[-1] <= e.slack,
         f"{e.by_restarts[0]} survive one start, {e.by_restarts[-1]} after three", "a single start is too weak"),
        ("steps suffice", e.by_steps[50] - e.by_steps[100] <= e.slack / 2,
         f"{e.by_steps[50]} survive 50 steps, {e.by_steps[100]} after 100", "the attack has not converged"),
        ("large radius reaches chance", e.far <= far_allowed,
         f"{e.far} of {e.n} survive when everything is allowed", "the gradient does not lead away from the class"),
        ("iterative beats single step", e.by_steps[STEPS] <= e.single + e.slack,
         f"{e.single} survive one step, {e.by_steps[STEPS]} after {STEPS}", "the gradient is misleading"),
        ("white box beats black box", max(e.beaten_by.values()) <= e.slack,
         f"fooled although PGD (fooled {fooled}) could not; {black}", "the gradient is worse than none"),
        ("surrogate sweep", best <= e.slack if e.backwards else None,
         "; ".join(f"{k}: {v} more" for k, v in e.backwards.items()) or "one backward pass only",
         "another backward pass is a stronger attack"),
        ("gradient beats random directions", share >= 0.75 and rise > random,
         f"loss rises by {rise:.2f} along it, {random:.2f} along random ones; more in {100 * share:.0f} % of images",
         "the gradient says little about the function at the step's size"),
        ("loss rises steadily", e.fall <= 0.1 and e.loss[-1] > e.loss[0],
         f"mean loss {e.loss[0]:.2f} to {e.loss[-1]:.2f}; largest fall {100 * e.fall:.0f} % of the rise",
         "the steps are too large or the gradient misleads"),
    ]  # fmt: skip
    return [Check(name, None if ok is None else bool(ok), found, meaning) for name, ok, found, meaning in rows]


def showing(e: Evidence) -> dict[str, int]:
    """How many images show each of the five warning signs: the counts that the rules of `signs` compare.

    Of "a larger radius does not help" it is the most that withstand again at the next larger radius.
    """
    at = [v for _, v in sorted(e.by_eps.items())]
    return {
        "one step beats many": max(0, e.by_steps[STEPS] - e.single),
        "black box beats white box": max(v for k, v in e.beaten_by.items() if k != "random noise"),
        "unbounded attack does not reach 100 %": e.far,
        "random sampling finds what the attack does not": e.beaten_by["random noise"],
        "a larger radius does not help": max(0, *(b - a for a, b in pairwise(at))),
    }


def signs(e: Evidence) -> dict[str, bool]:
    """The five warning signs of obfuscated gradients, by rule."""
    at = [v for _, v in sorted(e.by_eps.items())]
    grows = at[0] - at[-1] > e.slack or at[0] <= e.slack
    seen = {name: images > e.slack for name, images in showing(e).items()}
    return seen | {"a larger radius does not help": seen["a larger radius does not help"] or not grows}


def verdict(found: Sequence[Check], signs: dict[str, bool]) -> str:
    """obfuscated: a warning sign. unreliable: none, but a check failed. reliable: neither."""
    if any(signs.values()):
        return "obfuscated"
    return "unreliable" if any(c.passed is False for c in found) else "reliable"


def report(e: Evidence) -> dict:
    """Checks, signs and verdict as plain values to show."""
    found, warned = checks(e), signs(e)
    return {"n": e.n, "checks": [asdict(c) for c in found], "signs": warned, "verdict": verdict(found, warned)}
