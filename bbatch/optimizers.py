"""The optimizers by name (Table II). Another is added by another entry of `OPTIMIZERS`.

The paper names no betas and no epsilon for Adam: PyTorch's defaults stand, (0.9, 0.999) and 1e-8.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn


def adam(
    parameters: Iterable[nn.Parameter], lr: float | torch.Tensor, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015) with PyTorch's defaults; it has no use for `momentum`.

    A learning rate that is a tensor on a GPU makes it capturable: nothing of it is then read on the host.
    """
    on_device = isinstance(lr, torch.Tensor) and lr.is_cuda
    return torch.optim.Adam(parameters, lr, weight_decay=weight_decay, fused=True, capturable=on_device)


def sgd(
    parameters: Iterable[nn.Parameter], lr: float | torch.Tensor, *, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, neither dampened nor Nesterov's."""
    return torch.optim.SGD(parameters, lr, momentum, weight_decay=weight_decay, fused=True)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": adam, "sgd": sgd}
