"""Attacks of a second library (ART): a decision-based one for the ensemble, and an outsider to test it with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ensemble import Connected, Find

# Of HopSkipJump, and the most it spends an iteration on one estimate of the direction; ART's own are 50 and 10,000
ITERATIONS, EVALUATIONS = 3, 100


def hop_skip_jump(eps: float, classes: int) -> Find:
    """HopSkipJump: sees only the predicted class. Its input is then brought into the ball."""

    def make(evasion, classifier):
        return evasion.HopSkipJump(
            classifier, norm="inf", max_iter=ITERATIONS, max_eval=EVALUATIONS, init_eval=50, init_size=50, verbose=False
        )

    return _art(make, eps, classes)


def auto_pgd(eps: float, classes: int, loss: str, steps: int = 50) -> Find:
    """ART's Auto-PGD; `loss` is "cross_entropy" or "difference_logits_ratio"."""

    def make(evasion, classifier):
        return evasion.AutoProjectedGradientDescent(
            classifier, eps=eps, eps_step=2 * eps, max_iter=steps, nb_random_init=1, batch_size=50,
            loss_type=loss, verbose=False,
        )  # fmt: skip

    return _art(make, eps, classes)


def _art(make, eps: float, classes: int) -> Find:
    def find(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import numpy as np
        from art.attacks import evasion  # seven seconds, which only these attacks should cost
        from art.estimators.classification import PyTorchClassifier

        state = np.random.get_state()
        np.random.seed(0)
        try:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                classifier = PyTorchClassifier(
                    _Single(Connected(model)).eval(), nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes,
                    clip_values=(0.0, 1.0), device_type="cpu" if x.device.type == "cpu" else "gpu",
                )  # fmt: skip
                found = make(evasion, classifier).generate(x.cpu().numpy(), y.cpu().numpy())
        finally:
            np.random.set_state(state)
        found = torch.from_numpy(found).to(x)
        return torch.clamp(found, x - eps, x + eps).clamp(0, 1)

    return find


class _Single(nn.Module):
    """ART computes in double precision between its calls."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.float())
