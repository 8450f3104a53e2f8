"""AdamW and Muon, under the signature of `bbatch.optimizers`."""

from collections.abc import Iterable

import torch
from torch import nn

from ..errors import BadInput


def adamw(
    parameters: Iterable[nn.Parameter], lr: float | torch.Tensor, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019); it has no use for `momentum`."""
    on_device = isinstance(lr, torch.Tensor) and lr.is_cuda
    return torch.optim.AdamW(parameters, lr, weight_decay=weight_decay, fused=True, capturable=on_device)


class Together(torch.optim.Optimizer):
    """Several optimizers, each for parameters of its own, as one."""

    def __init__(self, *parts: torch.optim.Optimizer):
        self.parts = parts
        self.defaults: dict = {}

    param_groups = property(lambda self: [group for part in self.parts for group in part.param_groups])
    state = property(lambda self: {p: s for part in self.parts for p, s in part.state.items()})

    def step(self, closure: None = None) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def muon(
    parameters: Iterable[nn.Parameter], lr: float | torch.Tensor, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) for matrices, AdamW for the rest: biases, convolutions, and the last matrix,
    which is the classifier.

    Muon's steps are scaled to the size of AdamW's, so that both share one rate. Raises `BadInput` where
    this PyTorch has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise BadInput(
            f"optimizer 'muon' needs a PyTorch that has torch.optim.Muon; {torch.__version__} has not."
        )
    parameters = list(parameters)
    matrices = [p for p in parameters if p.ndim == 2][:-1]
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters if id(p) not in chosen]
    how = {"lr": lr, "weight_decay": weight_decay}
    if not matrices:
        return torch.optim.AdamW(rest, **how)
    of_matrices = torch.optim.Muon(matrices, momentum=momentum, adjust_lr_fn="match_rms_adamw", **how)
    return Together(of_matrices, torch.optim.AdamW(rest, **how))
