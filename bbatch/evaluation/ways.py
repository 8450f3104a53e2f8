"""The ways to choose a batch size that the evaluation compares. Beside `recommend` and Algorithm 2 what
others do: take 32, search a grid in the same time, or make a rate range test at the largest batch.
"""

import math
import time

import numpy as np

from .. import published
from ..choosing import algorithm_2
from ..choosing.bench import MOST
from ..choosing.recommend import recommend
from ..choosing.search import STEP
from ..choosing.task import Task
from ..choosing.training import Training, step_seconds
from .problems import Problem

METHODS = ("recommended", "Algorithm 2", "always 32", "grid of 25", "range test")
# Processor seconds for `recommended`, the grid and the range test: seven or eight whole trainings of the
# default in plain PyTorch where that can be repeated for several seeds; less on what is larger.
BUDGET = {"synthetic-10k": 12.0, "synthetic-50k": 16.0, "text": 8.0, "mnist-512": 96.0}
BUDGET |= dict.fromkeys(("synthetic-1k", "digits", "breast-cancer", "wine", "friedman"), 4.0)
BUDGET |= dict.fromkeys(("cifar10-512", "mnist", "cifar10"), 400.0)
CHOICES = "problem method seed batch_size lr warmup_epochs trainings seconds cpu_seconds reason".split()

SIDE = 5  # batch sizes, and rates, of the grid
# The range test is that of PyTorch Lightning with its defaults: rates from and to, and as many steps; how its
# losses are smoothed, and at how many times the least it ends; steps left out at both ends.
TESTED = (1e-8, 1.0, 100)
SMOOTH, STOP, SKIPPED = 0.98, 4.0, (10, 1)


def fixed(name: str, method: str, seed: int, base_lr: float) -> dict:
    """A row of `CHOICES`: what `always 32` chooses, which measures nothing; of another way, its frame."""
    values = (name, method, seed, int(published.value("vi-base-batch")), base_lr, 0, 0, 0.0, 0.0, "fixed")
    return dict(zip(CHOICES, values, strict=True))


def decide(on: Problem, method: str, seed: int) -> dict:
    """What a method chooses on a problem, from its training samples alone: a row of `CHOICES`.

    Budgets count processor time: on a machine shared with other work, elapsed seconds would give less to
    whichever way ran when it was busy. Algorithm 2 and the range test end by themselves.
    """
    row, budget = fixed(on.name, method, seed, on.base_lr), BUDGET[on.name]
    begun, worked = time.perf_counter(), time.process_time()
    if method == "recommended":
        chosen = _recommended(on, budget, seed)
    elif method == "Algorithm 2":
        chosen = _by_algorithm_2(on, seed)
    elif method == "grid of 25":
        chosen = grid_search(on.task(clock=time.process_time), on.epochs, budget, on.base_lr, seed)
    elif method == "range test":
        chosen = range_test(on.task(clock=time.process_time), budget, seed)
    else:
        return row
    took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - worked}
    return row | chosen | took


def _recommended(on: Problem, budget: float, seed: int) -> dict:
    more = {"seed": seed, "progress": False, "clock": time.process_time}
    found = recommend(**on.posed(), epochs=on.epochs, budget=budget, **more)
    told = {"trainings": len(found.trials), "reason": " ".join(found.reasons)}
    if found.batch_size is None:  # without an answer, the default stands
        return told
    return told | {"batch_size": found.batch_size, "lr": found.lr, "warmup_epochs": found.warmup_epochs}


def _by_algorithm_2(on: Problem, seed: int) -> dict:
    def at(b):
        lr, warm = algorithm_2.rate(on.base_lr, b), algorithm_2.warmup(b, on.epochs)
        return on.train(b, lr, on.epochs, seed, on=on.split, warmup_epochs=warm)

    chosen, trials = algorithm_2.follow(at, len(on.split.train_y))
    return {
        "batch_size": chosen.batch_size,
        "lr": chosen.lr,
        "warmup_epochs": chosen.warmup_epochs,
        "trainings": len(trials),
        "reason": "; ".join(why for _, why in trials),
    }


def grid_search(task: Task, epochs: int, budget: float, base_lr: float, seed: int) -> dict:
    """The best of 25 pairs on the validation rows.

    Batch sizes: five powers of two around 32; rates: half a decade apart. All train in turn, an epoch at a
    time, until `epochs` are done or the budget (seconds) is: each has as many as the others.
    """
    deadline, pace = task.clock() + budget, 0.0
    middle, half = int(published.value("vi-base-batch")), SIDE // 2
    sizes = [
        b for k in range(-half, half + 1) if task.smallest <= (b := int(middle * 2**k)) <= len(task.train)
    ]
    cells = [
        Training(task, b, base_lr * STEP**k, seed, epochs) for b in sizes for k in range(-half, half + 1)
    ]
    for epoch in range(1, epochs + 1):
        begun = task.clock()
        if begun + pace > deadline:  # the last round is one that all have finished
            break
        for cell in cells:
            cell.advance(epoch)
        pace = task.clock() - begun
    found = []
    for cell in cells:
        judged = None if cell.diverged else cell.judge()
        if judged and math.isfinite(judged.loss):
            found.append((judged.value, -judged.loss, cell.batch_size, cell.lr))
    _, _, b, lr = max(found, default=(0, 0, middle, base_lr))
    return {"batch_size": b, "lr": lr, "trainings": len(cells), "reason": "the best on validation data"}


def range_test(task: Task, budget: float, seed: int) -> dict:
    """The largest batch whose test fits in the budget, and the rate of steepest descent while
    it grows from step to step (Smith 2017), as PyTorch Lightning's `lr_find` suggests it."""
    b, (low, high, steps) = min(len(task.train), MOST), TESTED
    while b > task.smallest and steps * step_seconds(task, b) > budget:
        b //= 2
    training = Training(task, b, low, seed, steps / math.ceil(len(task.train) / b))
    rates, losses, average = np.geomspace(low, high, steps), [], 0.0
    for k, rate in enumerate(rates):
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        average = SMOOTH * average + (1 - SMOOTH) * training.step_loss()
        losses.append(average / (1 - SMOOTH ** (k + 1)))
        if not losses[-1] <= STOP * min(losses):
            break
    first, last = SKIPPED
    told = {"batch_size": b, "lr": low, "trainings": 1, "reason": "steepest descent"}
    kept = np.array(losses[first : len(losses) - last])
    if len(kept) < 2 or not np.isfinite(kept).all():
        return told
    return told | {"lr": float(rates[first + int(np.gradient(kept).argmin())])}
