"""What makes a step cheap around its arithmetic: freed memory kept, and CUDA graphs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names in malloc.h


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks instead of returning them; whether it could be asked to.

    A training step frees and asks again for the same hundreds of MiB; returned to the system, every page
    is faulted in and zeroed anew. For the process that owns the machine (a command), not for a library
    import. False where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 32 * 2**20) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))


class Captured:
    """A step as one CUDA graph: the same kernels, launched by a single call.

    `step` maps CUDA tensors of fixed shapes to one tensor and must not wait for the device. `state` is
    everything it changes (weights, buffers, optimiser state): the warm-up that capture needs runs the step
    for real, and the state is put back afterwards. What a call returns is overwritten by the next call.
    """

    def __init__(self, step: Callable[..., Tensor], inputs: Iterable[Tensor], state: Callable[[], list[Tensor]]):
        self._inputs = [i.clone() for i in inputs]
        before = [t.clone() for t in state()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = step(*self._inputs)
        after = state()
        for i, tensor in enumerate(after):  # state that did not exist before (Adam's moments) starts at zero
            tensor.copy_(before[i]) if i < len(before) else tensor.zero_()

    def __call__(self, *inputs: Tensor) -> Tensor:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._output
