"""The smallest chain, by computer algebra: two neurons in series, two time steps.

s[1], s[2] -> w1 -> neuron 1 -> w2 -> neuron 2 -> p = c1 s2[1] + c2 s2[2]. The spike is a function Theta of
the charged potential h whose derivative is the surrogate; sympy differentiates the whole expression, and
the chain of Theorem 4.2 must give the same expression.
"""

from __future__ import annotations

import sympy as sp

w1, w2 = sp.symbols("w1 w2")
s = sp.symbols("s1 s2")
c = sp.symbols("c1 c2")


class Slope(sp.Function):
    """sigma'(h - 1), left abstract."""


class Theta(sp.Function):
    """The spike as a function of h; its derivative is the surrogate's slope."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Slope(self.args[0])


def _neuron(currents: list[sp.Expr], detach_reset: bool) -> tuple[list[sp.Expr], list[sp.Expr], dict]:
    """Charged potentials h, spikes, and what each detached spike stands for."""
    v, charged, spikes, held = sp.Integer(0), [], [], {}
    for t, current in enumerate(currents):
        h = v + current
        spike = Theta(h)
        reset = spike
        if detach_reset:
            reset = sp.Dummy(f"r{t + 1}")  # a constant for the derivative, the spike's value afterwards
            held[reset] = spike
        v = (1 - reset) * h
        charged.append(h)
        spikes.append(spike)
    return charged, spikes, held


def network(detach_reset: bool = True) -> dict:
    """Expressions of the forward pass: h1, s1, h2, s2 (lists over t), p, and the detached spikes `held`."""
    h1, s1, held1 = _neuron([w1 * x for x in s], detach_reset)
    h2, s2, held2 = _neuron([w2 * x for x in s1], detach_reset)
    p = sum(a * b for a, b in zip(c, s2, strict=True))
    return {"h1": h1, "s1": s1, "h2": h2, "s2": s2, "p": p, "held": held1 | held2}


def derivatives(detach_reset: bool = True) -> dict[str, sp.Expr]:
    """sympy's own derivatives of p with respect to s[1], s[2], w1 and w2."""
    net = network(detach_reset)
    return {str(x): _release(sp.diff(net["p"], x), net["held"]) for x in (*s, w1, w2)}


def by_chain(detach_reset: bool = True) -> dict[str, sp.Expr]:
    """The same four, by delta[t] = sigma' g[t] + (d v[t]/d h[t]) delta[t+1] and Theorem 4.3."""
    net = network(detach_reset)
    d2 = _delta(net["h2"], net["s2"], list(c), detach_reset)
    d1 = _delta(net["h1"], net["s1"], [w2 * d for d in d2], detach_reset)
    found = {str(x): w1 * d for x, d in zip(s, d1, strict=True)}
    found["w1"] = sum(d * x for d, x in zip(d1, s, strict=True))
    found["w2"] = sum(d * x for d, x in zip(d2, net["s1"], strict=True))
    return {name: _release(value, net["held"]) for name, value in found.items()}


def _delta(h: list, spikes: list, g: list, detach_reset: bool) -> list[sp.Expr]:
    carry = [1 - a - (0 if detach_reset else b * Slope(b)) for a, b in zip(spikes, h, strict=True)]
    last = Slope(h[1]) * g[1]
    return [Slope(h[0]) * g[0] + carry[0] * last, last]


def _release(value: sp.Expr, held: dict) -> sp.Expr:
    while value.has(*held) if held else False:
        value = value.subs(held)
    return value


def agrees(detach_reset: bool = True) -> bool:
    """Whether the two derivations give identical expressions for all four gradients."""
    left, right = derivatives(detach_reset), by_chain(detach_reset)
    return all(sp.expand(left[name] - right[name]) == 0 for name in left)
