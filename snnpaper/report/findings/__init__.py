"""Findings: sentences that could be false, computed from the records, and whether the records bear them.

`say` refuses to print one that the records contradict, so a page that is built is a page whose sentences are true of
the records. `pools` compares the two pools, `gradients` speaks of gradients, `attacks` of attacks, `length` of longer
training and `together` of all attacks after it, `cause` of whether it was the network or the attack, `events` of event
data, `sharpness` of the surrogate's, `reports` of the report as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..page import bullets


@dataclass(frozen=True)
class Finding:
    """A sentence, and whether the records bear it."""

    text: str
    holds: bool


def check(*found: Finding) -> None:
    """Raises AssertionError naming every finding that the records contradict."""
    wrong = [f.text for f in found if not f.holds]
    assert not wrong, "the records do not bear this out: " + " / ".join(wrong)


def say(*found: Finding) -> str:
    """The findings as an HTML list; raises AssertionError as `check` does."""
    check(*found)
    return bullets([f.text for f in found])
