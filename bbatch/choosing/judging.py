"""A model's scores on rows: its loss, and what decides; and how sure a difference between two models is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from ..adapter import Result, wants_model
from ..nests import leaves, mapped
from ..statistics import LEVEL, Interval, satterthwaite
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


def pieces(task: Task, rows: Rows, most: int | None = None) -> Iterator[tuple[object, float]]:
    """`most` of the rows (all) in pieces that memory holds, the same at each call: (batch, its share)."""
    n = min(len(rows), most or len(rows))
    size = max(1, min(PIECE, math.ceil(n / PIECES), task.fits or PIECE))
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of a sampler that draws
        for batch, count in rows.batches(size, most=most):
            yield batch, count / n


@torch.no_grad()
def judge(task: Task, model, rows: Rows, most: int | None = None, deadline: float = math.inf) -> Judged:
    """The model on `rows` (on `most` of them), piece by piece, in eval mode. Raises `Late`."""
    model.eval()
    per_batch = task.metric is not None and wants_model(task.metric)
    losses, values, shares, kept = [], [], [], []
    for batch, share in pieces(task, rows, most):
        if task.clock() > deadline:
            raise Late
        result = task.run(model, batch)
        losses.append(result.loss.item())
        shares.append(share)
        if per_batch:
            values.append(task.measured(model, batch, result))
        elif task.metric is not None:
            scores = result.scores if result.scores is not None else result.outputs
            kept.append(mapped(_kept, (scores, result.targets)))
        elif task.accuracy:
            right = result.scores.argmax(1) == result.targets
            values.append(100 * right.float().mean().item())
    losses, shares = np.array(losses), np.array(shares)
    loss = float(losses @ shares)
    if kept:
        outputs, targets = (_joined(part) for part in zip(*kept, strict=True))
        value = task.measured(model, None, Result(torch.tensor(loss), outputs, targets))
        return Judged(loss, value, losses, None, shares)
    values = np.array(values) if values else -losses
    return Judged(loss, float(values @ shares), losses, values, shares)


def _kept(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float().cpu() if tensor.is_floating_point() else tensor.cpu()


def _joined(pieces: tuple):
    """Nests of tensors laid end to end, [n, ...]."""
    columns = zip(*([t for _, t in leaves(piece)] for piece in pieces), strict=True)
    whole = iter([torch.cat(column) for column in columns])
    return mapped(lambda _: next(whole), pieces[0])


@dataclass(frozen=True)
class Lead(Interval):
    """A difference. `error`: its standard error; 0 where it is not known."""

    error: float = 0.0


def lead_of(mine: list[Judged | None], theirs: list[Judged | None]) -> Lead:
    """What decides, mine less theirs, in the mean over pairs of equal seeds, with its interval: the scatter
    over pieces of the validation rows (which all share) and that over seeds add up, with the degrees of
    freedom of Welch and Satterthwaite. Infinite where one side diverged; NaN bounds where nothing tells the
    scatter."""
    mine_lost, theirs_lost = (sum(j is None for j in side) for side in (mine, theirs))
    if mine_lost or theirs_lost:
        value = 0.0 if mine_lost == theirs_lost else math.copysign(math.inf, theirs_lost - mine_lost)
        return Lead(value, math.nan, math.nan, len(mine))
    seeds = np.array([a.value - b.value for a, b in zip(mine, theirs, strict=True)])
    variances, freedoms = [], []
    if mine[0].values is not None and len(mine[0].values) > 1:
        pieces = np.mean([a.values - b.values for a, b in zip(mine, theirs, strict=True)], axis=0)
        shares, k = mine[0].shares, len(pieces)
        centre = float(pieces @ shares)
        variances.append(float((shares**2 * (pieces - centre) ** 2).sum() * k / (k - 1)))
        freedoms.append(k - 1)
    if len(seeds) > 1:
        variances.append(float(seeds.var(ddof=1) / len(seeds)))
        freedoms.append(len(seeds) - 1)
    mean, total = float(seeds.mean()), sum(variances)
    if not variances:
        return Lead(mean, math.nan, math.nan, len(seeds))
    if total == 0:
        return Lead(mean, mean, mean, len(seeds))
    half = float(stats.t.ppf((1 + LEVEL) / 2, satterthwaite(variances, freedoms))) * math.sqrt(total)
    return Lead(mean, mean - half, mean + half, len(seeds), math.sqrt(total))
