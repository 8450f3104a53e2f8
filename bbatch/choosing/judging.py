"""A model's scores on rows: its loss, and what decides; with the scatter between pieces of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..adapter import Result, wants_model
from ..nests import leaves, mapped
from .rows import Rows
from .task import Task

PIECE = 128  # rows evaluated at a time, or the batch size where it is larger: what trains without harm fits
PIECES = 10  # or more, where there are as many rows: their scatter tells how sure a difference is


@dataclass(frozen=True)
class Judged:
    """A model on rows in eval mode. `loss`: mean; `value`: what decides, the higher the better (the metric,
    accuracy in percent, or minus the loss). `losses`, `values`: of each piece [pieces], rows in the same
    order each time; `values` is None for a metric over all rows at once. `shares`: of the rows, for each
    piece."""

    loss: float
    value: float
    losses: np.ndarray
    values: np.ndarray | None
    shares: np.ndarray


class Late(Exception):
    """The deadline came first."""


@torch.no_grad()
def judge(task: Task, model, rows: Rows, most: int | None = None, deadline: float = math.inf) -> Judged:
    """The model on `rows` (on `most` of them), in pieces that memory holds, in eval mode. Raises `Late`."""
    model.eval()
    n = min(len(rows), most or len(rows))
    size = max(1, min(PIECE, math.ceil(n / PIECES), task.fits or PIECE))
    per_batch = task.metric is not None and wants_model(task.metric)
    losses, values, shares, kept = [], [], [], []
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of a sampler that draws: the same rows each time
        for batch, count in rows.batches(size, most=most):
            if task.clock() > deadline:
                raise Late
            result = task.run(model, batch)
            losses.append(result.loss.item())
            shares.append(count / n)
            if per_batch:
                values.append(task.measured(model, batch, result))
            elif task.metric is not None:
                scores = result.scores if result.scores is not None else result.outputs
                kept.append(
                    mapped(
                        lambda t: t.float().cpu() if t.is_floating_point() else t.cpu(),
                        (scores, result.targets),
                    )
                )
            elif task.accuracy:
                right = result.scores.argmax(1) == result.targets
                values.append(100 * right.float().mean().item())
    losses, shares = np.array(losses), np.array(shares)
    loss = float(losses @ shares)
    if kept:
        outputs, targets = (_joined(part) for part in zip(*kept, strict=True))
        return Judged(
            loss,
            task.measured(model, None, Result(torch.tensor(loss), outputs, targets)),
            losses,
            None,
            shares,
        )
    values = np.array(values) if values else -losses
    return Judged(loss, float(values @ shares), losses, values, shares)


def _joined(pieces: tuple):
    """Nests of tensors laid end to end, [n, ...]."""
    columns = zip(*([t for _, t in leaves(piece)] for piece in pieces), strict=True)
    whole = iter([torch.cat(column) for column in columns])
    return mapped(lambda _: next(whole), pieces[0])
