"""LAMB (You et al. 2020, Algorithm 2): Adam's step, made as long as the layer's weights are large.

Written by hand: it is some twenty lines, and the libraries that hold it bring dozens of other optimizers.
"""

from collections.abc import Iterable

import torch
from torch import nn

BETAS, EPSILON = (0.9, 0.999), 1e-6  # the paper's


class Lamb(torch.optim.Optimizer):
    """With m and v Adam's bias-corrected means of gradient and squared gradient, and w a layer's weights:

    r = m / (sqrt(v) + eps),  u = r + weight_decay w,  w <- w - lr (|w| / |u|) u

    A layer is one tensor of parameters; where either norm is 0 the ratio is 1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group["lr"], group["weight_decay"])

    def _update(self, p: nn.Parameter, lr: float, weight_decay: float) -> None:
        state = self.state[p]
        if not state:
            state["step"], state["m"], state["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        state["m"].lerp_(p.grad, 1 - BETAS[0])
        state["v"].mul_(BETAS[1]).addcmul_(p.grad, p.grad, value=1 - BETAS[1])
        m, v = (state[k] / (1 - beta ** state["step"]) for k, beta in zip("mv", BETAS, strict=True))
        update = m / (v.sqrt_() + EPSILON) + weight_decay * p
        weights, length = p.norm(), update.norm()
        ratio = torch.where((weights > 0) & (length > 0), weights / length, 1.0)
        p.sub_(update * (lr * ratio))


def lamb(
    parameters: Iterable[nn.Parameter], lr: float | torch.Tensor, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """LAMB with its paper's betas and epsilon; it has no use for `momentum`."""
    return Lamb(parameters, lr, weight_decay)
