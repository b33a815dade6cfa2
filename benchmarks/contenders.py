"""What is timed against what: a plain implementation, ours, and the floor beneath both.

Each contender offers `train_step()` and `attack()` on one batch of uint8 images; the attack is PGD-7 in
spike space, as published.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from spikingjelly.activation_based import encoding, functional, neuron, surrogate
from torch import Tensor, nn

from snnpaper.attacks.standard import Attack, threat
from snnpaper.config import Run
from snnpaper.models import build
from snnpaper.neurons import IF
from snnpaper.train import optimiser_of, train_step

EPS, STEP, STEPS = 8 / 255, 0.01, 7


class Plain:
    """SpikingJelly used the way the published code uses it: nothing done for speed.

    The encoder loops over time, the library's IFNode does the neurons, memory is in torch's default
    order, and under attack loss.backward() also computes the gradients of all weights.
    """

    name = "plain"

    def __init__(self, run: Run, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.T = x, y, run.T
        self.net = build(run).to(memory_format=torch.contiguous_format).to(x.device).train()
        for module in list(self.net.modules()):
            for child_name, child in module.named_children():
                if isinstance(child, IF):
                    node = neuron.IFNode(
                        surrogate_function=surrogate.ATan(child.alpha), detach_reset=child.detach_reset, step_mode="m"
                    )
                    setattr(module, child_name, node)
        self.encoder = encoding.WeightedPhaseEncoder(8)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=run.lr, weight_decay=run.weight_decay)

    def encode(self) -> Tensor:
        self.encoder.reset()
        scaled = self.x.float() / 256
        return torch.stack([self.encoder(scaled) for _ in range(self.T)])

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


class Ours:
    """The engine of `snnpaper`; `attack` is the published PGD, `attack_early` drops solved images."""

    name = "ours"

    def __init__(self, run: Run, x: Tensor, y: Tensor) -> None:
        self.run, self.x, self.y = run, x, y
        self.net = build(run).to(x.device).train()
        self.optimiser = optimiser_of(run, self.net)
        self.published = Attack(space="spike", eps=EPS, alpha=STEP, steps=STEPS)

    def train_step(self) -> None:
        train_step(self.net, self.optimiser, self.run, self.x, self.y)

    def attack(self) -> None:
        model, clean = threat(self.net.eval(), self.run, self.x, self.published)
        self.published.on(model)(clean, self.y)
        self.net.train()


class Floor:
    """The convolutions and matrix products of the same network alone, on inputs of the same shapes.

    Training: forward, input gradient (but for the first layer) and weight gradient. Attack: seven times
    forward and input gradient of every layer.
    """

    name = "floor"

    def __init__(self, run: Run, x: Tensor, y: Tensor) -> None:
        net = build(run).to(x.device).eval()
        self.layers: list[tuple[nn.Module, Tensor]] = []
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                m.register_forward_hook(lambda m, i, out: self.layers.append((m, i[0].detach())))
        with torch.no_grad():
            net(torch.zeros(run.T, *x.shape, device=x.device))
        for m, _ in self.layers:
            m._forward_hooks.clear()

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
