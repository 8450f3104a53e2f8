"""The loss along chosen directions through a network's weights (Algorithm 1; Li et al. 2018).

A direction is Gaussian, each filter scaled to the norm of the network's own filter, biases left out: so that
the picture does not change when a ReLU network's layers are rescaled without changing its function.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..errors import BadInput
from .objective import Objective, finite, generator, vector


def filter_directions(net: nn.Module, count: int = 2, seed: int = 0) -> torch.Tensor:
    """`count` random filter-normalized directions, [count, P] (Algorithm 1, line 2).

    "Unit scale" in the paper is read as in Li et al.: each filter (a row of a linear layer, an output channel
    of a convolution) gets the norm of the network's own. Parameters of one dimension, biases, get 0.
    """
    draw, rows = generator(seed), []
    for _ in range(count):
        parts = []
        for w in (p.detach() for p in net.parameters() if p.requires_grad):
            d = torch.randn(w.shape, generator=draw).to(w)
            if w.dim() < 2:
                parts.append(torch.zeros_like(w).flatten())
            else:
                scale = w.flatten(1).norm(dim=1, keepdim=True) / d.flatten(1).norm(dim=1, keepdim=True)
                parts.append((d.flatten(1) * scale).flatten())
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def landscape(
    net: nn.Module,
    loss: Callable | None,
    inputs,
    targets,
    directions: torch.Tensor,
    axes: Sequence[Sequence[float]],
    *,
    piece: int | None = None,
    progress: bool = True,
) -> np.ndarray:
    """L(w + a·d1 + b·d2 + ...) over the grid that `axes` span, float32 of shape [len(axis) for axis in axes].

    directions  [k, P]: one for each axis, such as `filter_directions`, or `toward` another network
    axes        k sequences of coordinates, any number of points each: one gives a line, two a surface

    For the other arguments see `objective.Objective`. One point is held at a time: memory does not grow with
    the grid. A loss that is not finite away from the centre is kept as it is. Raises `BadInput` for what
    cannot be measured.
    """
    objective = Objective(net, loss, inputs, targets, piece)
    finite(objective.value(objective.start))
    if directions.dim() != 2 or directions.shape[1] != len(objective.start) or len(directions) != len(axes):
        raise BadInput(
            f"directions of shape {list(directions.shape)} do not fit; {len(axes)} axes in a network of "
            f"{len(objective.start)} parameters need [{len(axes)}, {len(objective.start)}]."
        )
    points = np.array(list(product(*axes)), dtype=np.float32)
    if not np.isfinite(points).all():
        raise BadInput("a coordinate of the grid is not finite; only finite ones are allowed.")
    losses = [
        objective.value(objective.start + torch.from_numpy(point).to(directions) @ directions)
        for point in tqdm(
            points,
            desc="landscape",
            unit="point",
            disable=not progress,
            mininterval=0.1 if sys.stderr.isatty() else 10,
        )
    ]
    return np.array(losses, dtype=np.float32).reshape([len(axis) for axis in axes])


def toward(net: nn.Module, other: nn.Module) -> torch.Tensor:
    """The direction from a network's weights to another's, [1, P]: coordinate 0 is the first, 1 the second.

    Raises `BadInput` for networks of different parameters.
    """
    a, b = vector(net), vector(other)
    if len(a) != len(b):
        raise BadInput(
            f"networks of {len(a)} and {len(b)} parameters have no line between them; give two of one kind."
        )
    return (b - a)[None]
