"""What others do, as far as it can be done in the same time on the same task: a grid search, and a rate range
test at the largest batch. They stand here to be compared with, and give no advice.
"""

from __future__ import annotations

import math
import time

import numpy as np

from .. import published
from .search import MOST, STEP
from .task import Task
from .training import Training

SIDE = 5  # batch sizes, and rates, of the grid
TESTED = (
    1e-6,
    10.0,
    100,
)  # rates of the range test, from and to, and its steps: as torch-lr-finder and Lightning do
SMOOTH, STOP = 0.05, 5.0  # of its losses; it ends where the loss is so many times the least


def grid(task: Task, epochs: int, budget: float, base_lr: float, seed: int) -> tuple[int, float, int]:
    """The best of 25 pairs on the validation rows; (batch size, rate, trainings).

    Batch sizes: five powers of two around 32; rates: half a decade apart. All train in turn, an epoch at a
    time, until `epochs` are done or the budget (seconds) is: each has as many as the others.
    """
    deadline, pace = time.perf_counter() + budget, 0.0
    middle, half = int(published.value("vi-base-batch")), SIDE // 2
    sizes = [
        b for k in range(-half, half + 1) if task.smallest <= (b := int(middle * 2**k)) <= len(task.train)
    ]
    cells = [
        Training(task, b, base_lr * STEP**k, seed, epochs) for b in sizes for k in range(-half, half + 1)
    ]
    for epoch in range(1, epochs + 1):
        begun = time.perf_counter()
        if begun + pace > deadline:  # the last round is one that all have finished
            break
        for cell in cells:
            cell.advance(epoch)
        pace = time.perf_counter() - begun
    found = []
    for cell in cells:
        judged = None if cell.diverged else cell.judge()
        if judged and math.isfinite(judged.loss):
            found.append((judged.value, -judged.loss, cell.batch_size, cell.lr))
    _, _, b, lr = max(found, default=(0, 0, middle, base_lr))
    return b, lr, len(cells)


def range_test(task: Task, seed: int) -> tuple[int, float]:
    """The largest batch, and the rate of steepest descent while it grows from step to step (Smith 2017)."""
    b = min(len(task.train), task.fits or MOST, MOST)
    low, high, steps = TESTED
    rates, losses, smooth = np.geomspace(low, high, steps), [], 0.0
    training = Training(task, b, low, seed, steps / math.ceil(len(task.train) / b))
    for k, rate in enumerate(rates):
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        loss = training.step_loss()
        smooth = loss if not losses else SMOOTH * loss + (1 - SMOOTH) * smooth
        if not math.isfinite(loss) or (losses and smooth > STOP * min(losses)):
            rates = rates[:k]
            break
        losses.append(smooth)
    if len(losses) < 3:
        return b, low
    return b, float(rates[int(np.argmin(np.gradient(np.array(losses), np.log(rates[: len(losses)]))))])
