"""What is timed against what: a plain implementation, ours, variants of ours, and the floor beneath all.

Each contender offers `train_step()` and `attack()` on one batch of uint8 images; the attack is PGD-7 in
spike space at the paper's eps.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from spikingjelly.activation_based import encoding, functional, neuron, surrogate
from torch import Tensor, nn

from snnpaper.attacks.pgd import pgd_any_iterate
from snnpaper.attacks.standard import Attack
from snnpaper.config import Run
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.coding import PHASES
from snnpaper.nets.hooks import tensors_at
from snnpaper.nets.models import SpikingResNet, build
from snnpaper.nets.neurons import IF
from snnpaper.train import captured_step, optimiser_of, train_step

EPS, STEP, STEPS = 8 / 255, 0.01, 7


class Ours:
    """The engine of `snnpaper`: `attack` is the published PGD on one batch, `early` stops where it fools.

    `early` takes all images given (several batches), so that batches stay full while images drop out.
    """

    engine, captured = "fast", True  # on CUDA, one graph a step

    def __init__(self, run: Run, x: Tensor, y: Tensor, weights: dict | None = None) -> None:
        self.run, self.many = run, (x, y)
        self.x, self.y = x[: run.batch_size], y[: run.batch_size]
        self.coded = CodedNet.of(run, self.engine).to(x.device)
        self.net = self.coded.net
        if weights:
            self.net.load_state_dict(weights)
        self.change(self.net)
        self.coded.train()
        self.optimiser = optimiser_of(run, self.coded)
        self.published = Attack(space="spike", eps=EPS, step_size=STEP, steps=STEPS)
        self._graph = None

    def change(self, net: SpikingResNet) -> None:
        """What a variant does to the network."""

    def train_step(self) -> None:
        if not (self.x.is_cuda and self.captured):
            train_step(self.coded, self.optimiser, self.x, self.y)
            return
        if self._graph is None:
            self._graph = captured_step(self.coded, self.optimiser, self.x, self.y)
        self._graph(self.x, self.y)

    def attack(self) -> None:
        model = self.coded.threat("spike")
        self.published.on(model)(model.inputs(self.x), self.y)
        self.coded.train()

    def early(self) -> None:
        x, y = self.many
        model = self.coded.threat("spike")
        pgd_any_iterate(model, model.inputs(x), y, EPS, STEP, STEPS, batch_size=self.run.batch_size)
        self.coded.train()


def _replace(net: nn.Module, kind: type, make) -> None:
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, kind):
                setattr(module, name, make(child))


class LibraryNeuron(Ours):
    """Ours with SpikingJelly's IFNode in place of our operator; its state is reset in Python, between steps."""

    captured = False

    def change(self, net: SpikingResNet) -> None:
        def node(ours: IF) -> nn.Module:
            sharpness = surrogate.ATan(ours.alpha)
            return neuron.IFNode(surrogate_function=sharpness, detach_reset=ours.detach_reset, step_mode="m")

        _replace(net, IF, node)
        net.register_forward_pre_hook(lambda net, _: functional.reset_net(net))


class LoopNeuron(Ours):
    """Ours with the reference loop as the neuron."""

    def change(self, net: SpikingResNet) -> None:
        _replace(net, IF, lambda ours: IF(ours.surrogate, ours.alpha, ours.detach_reset, plain=True))


class EveryTap(Ours):
    """Ours with torch's convolutions, which multiply what meets only padding too."""

    def change(self, net: SpikingResNet) -> None:
        for m in net.modules():
            if isinstance(m, nn.Conv2d):
                m.forward = partial(nn.Conv2d.forward, m)


class PlanesReused(Ours):
    """Ours with the stem's convolution of planes 9 and 10 taken from planes 1 and 2."""

    def change(self, net: SpikingResNet) -> None:
        stem, T = net.conv1, self.run.T

        class Reuse(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                n = len(x) // T
                y = stem(x[: PHASES * n])
                return torch.cat([y, y[: (T - PHASES) * n]])

        net.conv1 = Reuse()


class HalfPrecision(Ours):
    """Ours with convolutions in bfloat16."""

    def change(self, net: SpikingResNet) -> None:
        net.precision = "bf16"


class Plain(LibraryNeuron):
    """SpikingJelly used the way the published code uses it: nothing done for speed.

    The encoder loops over time, the library's IFNode does the neurons, convolutions multiply padding too,
    memory is in torch's default order, and under attack loss.backward() also computes the gradients of all
    weights.
    """

    engine = "plain"

    def change(self, net: SpikingResNet) -> None:
        super().change(net)
        self.encoder = encoding.WeightedPhaseEncoder(PHASES)

    def encode(self) -> Tensor:
        self.encoder.reset()
        scaled = self.x.float() / 256
        return torch.stack([self.encoder(scaled) for _ in range(self.run.T)])

    def train_step(self) -> None:
        loss = F.cross_entropy(self.net(self.encode()), self.y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def attack(self) -> None:
        self.net.eval()
        clean = self.encode()
        spikes = (clean + torch.empty_like(clean).uniform_(-EPS, EPS)).clamp(0, 1).detach()
        for _ in range(STEPS):
            spikes.requires_grad_()
            F.cross_entropy(self.net(spikes), self.y).backward()
            moved = spikes.detach() + STEP * spikes.grad.sign()
            spikes = torch.clamp(clean + (moved - clean).clamp(-EPS, EPS), 0, 1).detach()
        self.net.train()


class Floor:
    """The convolutions and matrix products of the same network alone, on inputs of the same shapes.

    Training: forward, input gradient (but for the first layer) and weight gradient. Attack: seven times
    forward and input gradient of every layer. Channels last, and without the taps that meet only padding, as
    ours does it.
    """

    engine = "fast"

    def __init__(self, run: Run, x: Tensor, y: Tensor, weights: dict | None = None) -> None:
        net, x = build(run, self.engine).to(x.device).eval(), x[: run.batch_size]
        products = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        with torch.no_grad(), tensors_at(products, inputs=True) as inputs:
            net(torch.zeros(run.T, *x.shape, device=x.device))
        order = torch.channels_last
        net.to(memory_format=order)
        self.layers: list[tuple[nn.Module, Tensor]] = [
            (products[name], x.contiguous(memory_format=order) if x.ndim == 4 else x) for name, x in inputs.items()
        ]

    def train_step(self) -> None:
        for k, (m, x) in enumerate(self.layers):
            self._pass(m, x, [*m.parameters()] if k == 0 else [x, *m.parameters()])

    def attack(self) -> None:
        for _ in range(STEPS):
            for m, x in self.layers:
                self._pass(m, x, [x])

    @staticmethod
    def _pass(m: nn.Module, x: Tensor, wrt: list[Tensor]) -> None:
        x.requires_grad_(any(w is x for w in wrt))
        out = m(x)
        torch.autograd.grad(out, wrt, out.detach())


class FloorEveryTap(Floor):
    """The floor with torch's convolutions, every tap multiplied."""

    engine = "plain"


CONTENDERS = {"plain": Plain, "ours": Ours, "floor": Floor, "floor, every tap": FloorEveryTap}
VARIANTS = {
    "ours": Ours,
    "SpikingJelly's neuron": LibraryNeuron,
    "the reference loop as neuron": LoopNeuron,
    "every tap of the kernels": EveryTap,
    "planes 9 and 10 reused": PlanesReused,
    "bfloat16": HalfPrecision,
}
# Only where the ten planes are the code's own, which a spike-space attack makes untrue.
ONLY = {
    "planes 9 and 10 reused": "train_step",
}
