"""How a network is trained, with no name of the paper in it: what an engine takes besides a network and data.

`Run` says it in names (a data set, a rule, an optimizer); here the names are looked up, once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from . import streams
from .config import Run
from .models import build
from .optimizers import OPTIMIZERS

MakeOptimizer = Callable[[Iterable[nn.Parameter], "float | torch.Tensor"], torch.optim.Optimizer]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training but the network and the data.

    `optimizer(parameters, lr)` makes the optimizer; `lr` is a float, or a tensor where steps are captured.
    `batch_size(epoch)`: samples in a batch; `rates(epoch)`: learning rate of each step, float64 [steps], the
    last, partial batch's among them. Epochs count from 0.
    """

    seed: int
    epochs: int
    n_train: int  # the first n samples of a seeded order of the training set
    optimizer: MakeOptimizer
    batch_size: Callable[[int], int]
    rates: Callable[[int], np.ndarray]
    precision: str = "fp32"  # the paper's; "bf16": the layers compute in bfloat16, weights stay in 32 bits


def recipe_of(run: Run) -> Recipe:
    """The recipe that a run's names stand for."""
    make = partial(OPTIMIZERS[run.optimizer], momentum=run.momentum, weight_decay=run.weight_decay)
    return Recipe(run.seed, run.epochs, run.n_train, make, run.batch, run.rates, run.precision)


def network_of(run: Run) -> nn.Module:
    """The run's network with its initial weights."""
    return build(run.network_name, streams.seeds_of(run.seed).init)
