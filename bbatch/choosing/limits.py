"""What bounds a batch size, measured: the time of an epoch and the gradient noise; and the rate that goes with it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from .. import published
from ..errors import BadInput
from ..geometry.gradient_noise import noise_scale
from ..statistics import Interval, mean_interval
from .fitting import Fit, fit, step_seconds
from .task import Task

NEAR = 1.25  # an epoch within a quarter of the fastest is as good as the fastest
HALF_DECADES = (
    -2,
    -1,
    0,
    1,
    2,
)  # rates tried, around the square-root guess; two more where the best is at an end
SEEDS = 3
PASSES = 4  # over the batch sizes that are timed
PROBED = 10  # steps that a training is timed by before many of them begin
NOISE_ROWS, NOISE_BATCH, NOISE_BYTES = (
    1000,
    25,
    2**29,
)  # rows looked at, in mini-batches; memory for their gradients


def reference(task: Task) -> int:
    """The batch size of the trainings that serve a measurement: 32, or what the rows allow."""
    return min(int(published.value("vi-base-batch")), len(task.train) // 2)


def throughput(task: Task, largest: int, seconds: float) -> pd.DataFrame:
    """Elapsed seconds of an epoch at powers of two up to `largest`: batch_size, seconds_per_epoch.

    Goes up until two doublings in a row have not made an epoch a tenth shorter, or the time is up; then over the same
    sizes again, `PASSES` times in all, and keeps the least of each: other work on the machine comes and goes.
    """
    b = min(max(task.smallest, 4), largest)
    step_seconds(task, b, 0)  # the first step of a process loads half of PyTorch
    deadline, best, idle = time.perf_counter() + seconds, {}, 0

    def epoch_at(size):
        return step_seconds(task, size) * math.ceil(len(task.train) / size)

    while b <= largest and idle < 2 and (len(best) < 2 or time.perf_counter() < deadline):
        took = epoch_at(b)
        idle = idle + 1 if best and took > 0.9 * min(best.values()) else 0
        best[b] = took
        b *= 2
    for size in [*best] * (PASSES - 1):
        if time.perf_counter() < deadline:
            best[size] = min(best[size], epoch_at(size))
    return pd.DataFrame({"batch_size": best.keys(), "seconds_per_epoch": best.values()})


def knee(times: pd.DataFrame) -> int:
    """The smallest batch size whose epoch takes at most `NEAR` times the fastest one."""
    near = times["seconds_per_epoch"] <= NEAR * times["seconds_per_epoch"].min()
    return int(times.loc[near, "batch_size"].min())


def noise_over_training(task: Task, lr: float, epochs: int, seed: int, deadline: float) -> pd.DataFrame:
    """The gradient noise scale after 1, 2, 4, ... epochs of one training at the reference batch size, dropout off.

    Columns: epoch, scale, low, high (samples; 95 % interval). Empty where the model cannot be measured (batch
    normalization, gradients too large to keep, no epoch within the time).
    """
    rows = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(seed))[:NOISE_ROWS]
    x, y = (part.to(task.device) for part in task.train.take(rows))
    size = max(1, min(NOISE_BATCH, len(rows) // 8))
    kept = NOISE_BYTES // (
        12 * sum(p.numel() for p in task.model(seed).parameters())
    )  # gradients, in float and double
    x, y, found = x[: kept * size], y[: kept * size], []

    def look(model, epoch):
        if epoch & (epoch - 1) == 0:
            model.eval()
            scale = noise_scale(model, task.loss, x, y, size).scale
            found.append({"epoch": epoch, "scale": scale.mean, "low": scale.low, "high": scale.high})

    try:
        fit(task, reference(task), lr, epochs, seed, deadline=deadline, watch=look)
    except BadInput:  # of `noise_scale`: the task itself has been checked
        pass
    return pd.DataFrame(found, columns=["epoch", "scale", "low", "high"])


def choose(at_knee: int, noise: float | None, fits: int, smallest: int = 1) -> int:
    """The largest power of two up to each limit that is known (`noise` None, `fits` 0: not known)."""
    least = min(at_knee, noise or math.inf, fits or math.inf)
    return max(smallest, 2 ** int(math.log2(max(1, least))))


def rate_test(
    train: Callable[..., Fit],
    n: int,
    guess: dict[int, float],
    epochs: int,
    budget: float,
    seed: int,
    deadline: float,
) -> tuple[list[Fit], float]:
    """Short trainings over rates half a decade apart, at each batch size; returns them and their length in epochs.

    `guess`: the rate in the middle, by batch size. As many epochs as the budget allows with `SEEDS` seeds; with one
    seed, and less than an epoch, where it allows no more.
    """
    timed = [train(b, lr, min(1.0, PROBED * b / n), seed) for b, lr in guess.items()]
    once = len(HALF_DECADES) * sum(f.seconds / f.epochs for f in timed if f.epochs)
    seeds = SEEDS if budget / (SEEDS * once) >= 1 else 1
    short = min(epochs, budget / (seeds * max(once, 1e-9)))
    short = math.floor(short) if short >= 1 else max(short, 0.02)
    fits = []
    for b in guess:
        tried = dict.fromkeys(HALF_DECADES)
        while None in tried.values() and time.perf_counter() < deadline:
            step = next(s for s in tried if tried[s] is None)
            some = [train(b, guess[b] * 10 ** (step / 2), short, seed + k) for k in range(seeds)]
            fits += [f for f in some if f.complete]
            tried[step] = float(np.mean([math.inf if f.diverged else f.validation_loss for f in some]))
            if None not in tried.values() and len(tried) < len(HALF_DECADES) + 2:
                best = min(tried, key=tried.get)
                if best in (min(tried), max(tried)):
                    tried[best + (1 if best == max(tried) else -1)] = None
    return fits, short


def best_rate(fits: list[Fit], b: int) -> float | None:
    """The rate with the least mean validation loss at `b`; a rate that diverged under any seed is out."""
    losses = _losses(fits, b)
    return None if losses.empty else float(losses.mean(axis=0).idxmin())


def _losses(fits: list[Fit], b: int) -> pd.DataFrame:
    """Validation losses at one batch size: a row a seed, a column a rate."""
    rows = [
        (f.seed, f.lr, math.inf if f.diverged or not math.isfinite(f.validation_loss) else f.validation_loss)
        for f in fits
        if f.batch_size == b
    ]
    return pd.DataFrame(rows, columns=["seed", "lr", "loss"]).pivot(index="seed", columns="lr", values="loss")


def optimum(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """The rate of least loss: the vertex of the parabola in log rate through the best and its neighbours.

    None where the best stands at an end, or beside a training that diverged: the optimum may lie elsewhere.
    """
    k = int(np.argmin(losses))
    if not 0 < k < len(rates) - 1 or not np.isfinite(losses[k - 1 : k + 2]).all():
        return None
    a, slope, _ = np.polyfit(np.log(rates[k - 1 : k + 2]), losses[k - 1 : k + 2], 2)
    return float(math.exp(-slope / (2 * a))) if a > 0 else float(rates[k])


def scaling_exponent(fits: list[Fit], b: int, other: int) -> Interval:
    """d log(best rate) / d log(B) between two batch sizes, with its interval over the seeds that show both optima."""
    here, there = (_losses(fits, size).dropna() for size in (b, other))
    pairs = [
        tuple(optimum(t.columns.to_numpy(float), t.loc[s].to_numpy(float)) for t in (here, there))
        for s in here.index.intersection(there.index)
    ]
    return mean_interval([math.log(p / q) / math.log(b / other) for p, q in pairs if p and q])
