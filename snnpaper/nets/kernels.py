"""Loops over memory for the CPU: BatchNorm and integrate-and-fire neurons in one pass, compiled by numba.

Activations are arrays [T, M] of M neurons, channels varying fastest; what differs by channel (scale, shift)
is repeated to L lanes, a multiple of the channels, so that the innermost loops run over L neighbours that a
cache holds for all T. Each innermost loop writes one array: the compiler turns only such loops into vector
instructions. Sums are taken in float64 over a fixed number of parts, so that no result depends on the number
of threads, which is torch's. Dtypes are float32 or float64, the same for all arrays of a call.
"""

from __future__ import annotations

import functools
import os
import types

import numba
import numpy as np
import torch
from numba import njit, prange

LANES = 512  # about: T x LANES potentials stay in the first cache
PARTS = 8  # of a sum over all neurons
ATAN, SIGMOID, RECTANGULAR, TRIANGULAR = range(4)
_OPTIONS = {"cache": True, "error_model": "numpy"}

# Starting numba's OpenMP layer sets the process's number of OpenMP threads, which is torch's too, to all cores, and
# its threads do not survive a fork; its own queue leaves both alone.
if numba.config.THREADING_LAYER == "default":
    numba.config.THREADING_LAYER = "workqueue"
# torch's own threads do not survive a fork either: a forked process works alone instead of waiting for them for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def loop(f):
    """`f` compiled for as many threads as torch may use; with one, no threads are started at all."""
    alone = types.FunctionType(f.__code__, f.__globals__, f"{f.__name__}_alone")
    alone.__qualname__ = alone.__name__  # the cache on disk knows functions by name only
    alone, shared = njit(**_OPTIONS)(alone), njit(parallel=True, **_OPTIONS)(f)

    @functools.wraps(f)
    def run(*args):
        threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
        if threads == 1:
            return alone(*args)
        numba.set_num_threads(threads)
        return shared(*args)

    return run


@loop
def moments(x, sums):
    """Sums of x [T*M] and of its squares by lane: float64 `sums` [PARTS, 2, L] is overwritten."""
    L, blocks = sums.shape[2], -(-len(x) // sums.shape[2])
    share = -(-blocks // len(sums))
    for part in prange(len(sums)):
        once, twice = np.zeros(L), np.zeros(L)
        for block in range(part * share, min(blocks, (part + 1) * share)):
            values = x[block * L : (block + 1) * L]
            for i in range(len(values)):
                once[i] += values[i]
            for i in range(len(values)):
                twice[i] += np.float64(values[i]) * np.float64(values[i])
        sums[part, 0], sums[part, 1] = once, twice


@loop
def fire(x, scale, shift, spikes):
    """Spikes [T, M] of IF neurons with input scale * x + shift, threshold 1, reset to 0."""
    L, M = len(scale), x.shape[1]
    one = x.dtype.type(1)
    for block in prange(-(-M // L)):
        here = slice(block * L, min(M, (block + 1) * L))
        v = np.zeros(L, x.dtype)
        for t in range(len(x)):
            current, out = x[t, here], spikes[t, here]
            for i in range(len(out)):
                h = v[i] + (current[i] * scale[i] + shift[i])
                s = one if h >= one else one - one
                out[i] = s
                v[i] = h - s * h


@loop
def trace(x, scale, shift, grad, surrogate, alpha, detached, slope, delta, sums):
    """Backward pass of `fire`: delta [T, M] from grad [T, M] = d loss / d spikes.

    delta[t] = grad[t] sigma'(h[t] - 1) + delta[t+1] d v[t] / d h[t], potentials h computed again from x. What
    is written to `delta` is multiplied by `slope` [L]. `sums` (float64 [PARTS, 2, L], or of no parts to leave
    them out) takes the sums of the unmultiplied delta and of delta * x by lane.
    """
    T, M = x.shape
    L = len(scale)
    wanted = len(sums) > 0
    blocks = -(-M // L)
    share = -(-blocks // PARTS)
    for part in prange(PARTS):
        potential, steep, later = np.zeros((T, L), x.dtype), np.empty(L, x.dtype), np.empty(L, x.dtype)
        plain, weighted = np.zeros(L), np.zeros(L)
        for block in range(part * share, min(blocks, (part + 1) * share)):
            here = slice(block * L, min(M, (block + 1) * L))
            _charge(x, here, scale, shift, potential)
            later[:] = 0
            for t in range(T - 1, -1, -1):
                h, out, current = potential[t], delta[t, here], x[t, here]
                _steepness(h, surrogate, alpha, steep)
                _through_reset(later, h, steep, detached)
                upstream = grad[t, here]
                for i in range(len(out)):
                    later[i] += upstream[i] * steep[i]
                for i in range(len(out)):
                    out[i] = later[i] * slope[i]
                if wanted:
                    for i in range(len(out)):
                        plain[i] += later[i]
                    for i in range(len(out)):
                        weighted[i] += np.float64(later[i]) * np.float64(current[i])
        if wanted:
            sums[part, 0], sums[part, 1] = plain, weighted


@njit(error_model="numpy")
def _charge(x, here, scale, shift, potential):
    """Potentials before the reset of the lanes `here`, as `fire` has them."""
    one = x.dtype.type(1)
    first, h = x[0, here], potential[0]
    for i in range(len(first)):
        h[i] = first[i] * scale[i] + shift[i]
    for t in range(1, len(x)):
        current, h, before = x[t, here], potential[t], potential[t - 1]
        for i in range(len(current)):
            v = before[i]
            s = one if v >= one else one - one
            h[i] = v - s * v + (current[i] * scale[i] + shift[i])


@njit(error_model="numpy")
def _steepness(h, surrogate, alpha, steep):
    """The surrogate derivative at h - 1; formulas in surrogates.SURROGATES."""
    one = h.dtype.type(1)
    a, floor, bend = alpha[0], alpha[1], alpha[2]
    if surrogate == ATAN:
        for i in range(len(h)):
            u = h[i] - one
            steep[i] = one / (floor + bend * u * u)
    elif surrogate == SIGMOID:
        for i in range(len(h)):
            s = one / (one + np.exp(-a * (h[i] - one)))
            steep[i] = a * s * (one - s)
    elif surrogate == RECTANGULAR:
        for i in range(len(h)):
            steep[i] = a if abs(h[i] - one) <= bend else one - one
    else:
        for i in range(len(h)):
            steep[i] = a * max(one - a * abs(h[i] - one), one - one)


@njit(error_model="numpy")
def _through_reset(later, h, steep, detached):
    """Multiply delta[t+1] by d v[t] / d h[t]: the open gate of the reset, and its slope unless detached."""
    one = h.dtype.type(1)
    if detached:
        for i in range(len(h)):
            later[i] *= one if h[i] < one else one - one
    else:
        for i in range(len(h)):
            gate = one if h[i] < one else one - one
            later[i] *= gate - steep[i] * h[i]


@loop
def subtract_means(delta, x, scale, shift, by_x):
    """In place: delta <- scale * delta - shift - by_x * x, the last step of BatchNorm's backward pass; [T*M]."""
    L = len(scale)
    for block in prange(-(-len(x) // L)):
        out, current = delta[block * L : (block + 1) * L], x[block * L : (block + 1) * L]
        for i in range(len(out)):
            out[i] = scale[i] * out[i] - shift[i] - by_x[i] * current[i]
