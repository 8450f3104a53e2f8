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
from .training import Late, Training, epoch_seconds

SIDE = 5  # batch sizes, and rates, of the grid
TESTED = (
    1e-6,
    10.0,
    100,
)  # rates of the range test, from and to, and its steps: as torch-lr-finder and Lightning do
SMOOTH, STOP = 0.05, 5.0  # of its losses; it ends where the loss is so many times the least


def grid(task: Task, epochs: int, budget: float, base_lr: float, seed: int) -> tuple[int, float, int]:
    """The best of 25 pairs on the validation rows, each trained for as many epochs as the budget (seconds)
    allows for all; (batch size, rate, trainings). Batch sizes: five powers of two around 32; rates: half a
    decade apart."""
    deadline = time.perf_counter() + budget
    middle, half = int(published.value("vi-base-batch")), SIDE // 2
    sizes = [b for k in range(SIDE) if task.smallest <= (b := middle * 4**k // 4) <= len(task.train) // 2]
    paces = {b: epoch_seconds(task, b) for b in sizes}
    length = min(epochs, 0.9 * (deadline - time.perf_counter()) / (SIDE * sum(paces.values())))
    found = []
    for b in sizes:
        for k in range(-half, half + 1):
            training = Training(task, b, base_lr * STEP**k, seed, epochs)
            try:
                if training.advance(length, deadline) and not training.diverged:
                    judged = training.judge(deadline=deadline)
                    if math.isfinite(judged.loss):
                        found.append((judged.value, -judged.loss, b, training.lr))
            except Late:
                break
    _, _, b, lr = max(found, default=(0, 0, middle, base_lr))
    return b, lr, len(found)


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
