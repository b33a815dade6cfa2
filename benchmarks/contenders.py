"""What is timed against what: a plain implementation, ours, variants of ours, and the floor beneath all.

Each contender offers `train_step()` and `attack()` on one batch of uint8 images; the attack is PGD-7 in
spike space at the paper's eps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from spikingjelly.activation_based import encoding, functional, neuron, surrogate
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snnpaper.attacks.early import pgd_any_iterate
from snnpaper.attacks.standard import Attack, threat
from snnpaper.coding import PHASES
from snnpaper.config import Run
from snnpaper.models import Block, SpikingResNet, build
from snnpaper.neurons import IF
from snnpaper.train import optimiser_of, train_step

EPS, STEP, STEPS = 8 / 255, 0.01, 7


class Ours:
    """The engine of `snnpaper`: `attack` is the published PGD on one batch, `early` stops where it fools.

    `early` takes all images given (several batches), so that batches stay full while images drop out.
    """

    def __init__(self, run: Run, x: Tensor, y: Tensor, weights: dict | None = None) -> None:
        self.run, self.many = run, (x, y)
        self.x, self.y = x[: run.batch_size], y[: run.batch_size]
        self.net = build(run).to(x.device)
        if weights:
            self.net.load_state_dict(weights)
        self.change(self.net)
        self.net.train()
        self.optimiser = optimiser_of(run, self.net)
        self.published = Attack(space="spike", eps=EPS, alpha=STEP, steps=STEPS)

    def change(self, net: SpikingResNet) -> None:
        """What a variant does to the network."""

    def train_step(self) -> None:
        train_step(self.net, self.optimiser, self.run, self.x, self.y)

    def attack(self) -> None:
        model, clean = threat(self.net.eval(), self.run, self.x, self.published)
        self.published.on(model)(clean, self.y)
        self.net.train()

    def early(self) -> None:
        x, y = self.many
        model, clean = threat(self.net.eval(), self.run, x, self.published)
        pgd_any_iterate(model, clean, y, EPS, STEP, STEPS, batch_size=self.run.batch_size)
        self.net.train()


def _replace(net: nn.Module, kind: type, make) -> None:
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, kind):
                setattr(module, name, make(child))


class LibraryNeuron(Ours):
    """Ours with SpikingJelly's IFNode in place of our operator."""

    def change(self, net: SpikingResNet) -> None:
        def node(ours: IF) -> nn.Module:
            sharpness = surrogate.ATan(ours.alpha)
            return neuron.IFNode(surrogate_function=sharpness, detach_reset=ours.detach_reset, step_mode="m")

        _replace(net, IF, node)

    def train_step(self) -> None:
        functional.reset_net(self.net)
        super().train_step()

    def attack(self) -> None:
        self.net.register_forward_pre_hook(lambda net, _: functional.reset_net(net))
        super().attack()


class LoopNeuron(Ours):
    """Ours with the reference loop as the neuron."""

    def change(self, net: SpikingResNet) -> None:
        _replace(net, IF, lambda ours: IF(ours.surrogate, ours.alpha, ours.detach_reset, plain=True))


class LibraryStem(Ours):
    """Ours with torch's own input gradient of the stem."""

    def change(self, net: SpikingResNet) -> None:
        stem = nn.Conv2d(3, net.conv1.out_channels, 7, 2, 3, bias=False).to(net.conv1.weight.device)
        stem.weight = net.conv1.weight
        net.conv1 = stem


class DefaultOrder(Ours):
    """Ours in torch's default memory order."""

    def change(self, net: SpikingResNet) -> None:
        net.to(memory_format=torch.contiguous_format)


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


class Folded(Ours):
    """Ours with BatchNorm folded into the convolutions before it (attack only: in eval mode)."""

    def change(self, net: SpikingResNet) -> None:
        net.eval()
        for block in [net, *(m for m in net.modules() if isinstance(m, Block))]:
            for i in range(1, 2 if block is net else block.depth + 1):
                fused = fuse_conv_bn_eval(getattr(block, f"conv{i}"), getattr(block, f"bn{i}"))
                setattr(block, f"conv{i}", fused)
                setattr(block, f"bn{i}", nn.Identity())
            if block is not net and block.downsample is not None:
                block.downsample[0] = fuse_conv_bn_eval(block.downsample[0], block.downsample[1])
                block.downsample[1] = nn.Identity()


class HalfPrecision(Ours):
    """Ours with convolutions in bfloat16."""

    def change(self, net: SpikingResNet) -> None:
        net.precision = "bf16"


class Plain(LibraryNeuron):
    """SpikingJelly used the way the published code uses it: nothing done for speed.

    The encoder loops over time, the library's IFNode does the neurons, memory is in torch's default
    order, and under attack loss.backward() also computes the gradients of all weights.
    """

    def change(self, net: SpikingResNet) -> None:
        super().change(net)
        LibraryStem.change(self, net)
        DefaultOrder.change(self, net)
        self.encoder = encoding.WeightedPhaseEncoder(PHASES)

    def encode(self) -> Tensor:
        self.encoder.reset()
        scaled = self.x.float() / 256
        return torch.stack([self.encoder(scaled) for _ in range(self.run.T)])

    def train_step(self) -> None:
        functional.reset_net(self.net)
        loss = F.cross_entropy(self.net(self.encode()), self.y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def attack(self) -> None:
        self.net.eval()
        clean = self.encode()
        spikes = (clean + torch.empty_like(clean).uniform_(-EPS, EPS)).clamp(0, 1).detach()
        for _ in range(STEPS):
            functional.reset_net(self.net)
            spikes.requires_grad_()
            F.cross_entropy(self.net(spikes), self.y).backward()
            moved = spikes.detach() + STEP * spikes.grad.sign()
            spikes = torch.clamp(clean + (moved - clean).clamp(-EPS, EPS), 0, 1).detach()
        self.net.train()


class Floor:
    """The convolutions and matrix products of the same network alone, on inputs of the same shapes.

    Training: forward, input gradient (but for the first layer) and weight gradient. Attack: seven times
    forward and input gradient of every layer. torch's own operators, in `order`.
    """

    order = torch.channels_last

    def __init__(self, run: Run, x: Tensor, y: Tensor, weights: dict | None = None) -> None:
        net, x = build(run, "plain").to(x.device).eval(), x[: run.batch_size]
        self.layers: list[tuple[nn.Module, Tensor]] = []
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                m.register_forward_hook(lambda m, i, out: self.layers.append((m, i[0].detach())))
        with torch.no_grad():
            net(torch.zeros(run.T, *x.shape, device=x.device))
        for m, _ in self.layers:
            m._forward_hooks.clear()
        net.to(memory_format=self.order)
        self.layers = [(m, x.contiguous(memory_format=self.order) if x.ndim == 4 else x) for m, x in self.layers]

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


class FloorDefault(Floor):
    """The floor in torch's default memory order, in which the plain implementation runs."""

    order = torch.contiguous_format


CONTENDERS = {"plain": Plain, "ours": Ours, "floor": Floor, "floor, default order": FloorDefault}
VARIANTS = {
    "ours": Ours,
    "SpikingJelly's neuron": LibraryNeuron,
    "the reference loop as neuron": LoopNeuron,
    "torch's stem gradient": LibraryStem,
    "torch's default memory order": DefaultOrder,
    "planes 9 and 10 reused": PlanesReused,
    "BatchNorm folded": Folded,
    "bfloat16": HalfPrecision,
}
# In eval mode only; and only where the ten planes are the code's own, which a spike-space attack makes untrue.
ONLY = {"BatchNorm folded": "attack", "planes 9 and 10 reused": "train_step"}
