"""The loss along chosen directions through a network's weights (Algorithm 1; Li et al. 2018).

A direction is Gaussian, each filter scaled to the norm of the network's own filter, biases left out: so that
the picture does not change when a ReLU network's layers are rescaled without changing its function.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..errors import BadInput
from ..files import seal, set_aside, unseal, write_whole
from ..nests import leaves
from .objective import Objective, finite, generator, vector

SAVE_EVERY = 10.0  # seconds


def filter_directions(net: nn.Module, count: int = 2, seed: int = 0) -> torch.Tensor:
    """`count` random filter-normalised directions, [count, P] (Algorithm 1, line 2).

    "Unit scale" in the paper is read as in Li et al.: each filter (a row of a linear layer, an output channel
    of a convolution) gets the norm of the network's own. Parameters of one dimension, biases, get 0.
    """
    draw, rows = generator(seed, "cpu"), []
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
    resume: Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """L(w + a·d1 + b·d2 + ...) over the grid that `axes` span, float32 of shape [len(axis) for axis in axes].

    directions  [k, P]: one for each axis, such as `filter_directions`, or `toward` another network
    axes        k sequences of coordinates, any number of points each: one gives a line, two a surface
    resume      a file to save what is done to, every 10 seconds; the same call finds it there and goes on

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
    key = _fingerprint(objective.start, directions, points, *(t for _, t in leaves(objective.batch)))
    losses = _saved(resume, key, len(points))
    saved = time.monotonic()
    for k in tqdm(
        range(len(losses), len(points)),
        initial=len(losses),
        total=len(points),
        desc="landscape",
        unit="point",
        disable=not progress,
        mininterval=0.1 if sys.stderr.isatty() else 10,
    ):
        w = objective.start + torch.from_numpy(points[k]).to(directions) @ directions
        losses.append(objective.value(w))
        if resume and time.monotonic() - saved > SAVE_EVERY:
            _save(resume, key, losses)
            saved = time.monotonic()
    if resume:
        _save(resume, key, losses)
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


def _fingerprint(*arrays) -> bytes:
    digest = hashlib.sha256()
    for a in arrays:
        a = a.detach().cpu().contiguous().numpy() if torch.is_tensor(a) else a
        digest.update(f"{a.shape}{a.dtype}".encode() + np.ascontiguousarray(a).tobytes())
    return digest.digest()


def _save(path: Path, key: bytes, losses: list[float]) -> None:
    buffer = BytesIO()
    np.save(buffer, np.array(losses), allow_pickle=False)
    write_whole(Path(path), seal(key + buffer.getvalue()), durable=False)


def _saved(path: Path | None, key: bytes, most: int) -> list[float]:
    """The losses that an earlier, equal call saved; none where the file is damaged or another's."""
    if path is None or not Path(path).is_file():
        return []
    if (payload := unseal(Path(path).read_bytes())) is None:
        set_aside(Path(path))
        return []
    return list(np.load(BytesIO(payload[32:]), allow_pickle=False))[:most] if payload[:32] == key else []
