"""A step as one CUDA graph: thousands of small kernels, launched by a single call."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Captured:
    """`step`, captured.

    `step` maps CUDA tensors of fixed shapes to one or several and must not wait for the device. `state` is
    everything it changes (weights, buffers, optimiser state): the warm-up that capture needs runs the step
    for real, and the state, that of the device's random numbers included, is put back afterwards. What a call
    returns is overwritten by the next call.
    """

    def __init__(self, step: Callable, inputs: Iterable[Tensor], state: Callable[[], list[Tensor]]):
        self._inputs = [i.clone() for i in inputs]
        with torch.cuda.device(self._inputs[0].device):
            self._capture(step, state)

    def _capture(self, step: Callable, state: Callable[[], list[Tensor]]) -> None:
        before, random = [t.clone() for t in state()], torch.cuda.get_rng_state()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        # on a stream of its own: graphs captured on one stream share cuBLAS's workspace, and may be replayed at once
        with torch.cuda.graph(self._graph, stream=side):
            self._output = step(*self._inputs)
        torch.cuda.set_rng_state(random)
        after = state()
        for i, tensor in enumerate(after):  # state that did not exist before (Adam's moments) starts at zero
            tensor.copy_(before[i]) if i < len(before) else tensor.zero_()

    def __call__(self, *inputs: Tensor):
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._output
