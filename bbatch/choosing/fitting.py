"""One whole training, scored epoch by epoch: what Algorithm 2 and the evaluation are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BadInput
from .judging import Judged, Late
from .task import Task
from .training import Training

ROUGHLY = 512  # rows that a training is scored on where there is no time for more


@dataclass(frozen=True)
class Fit:
    """One whole training. Scores in percent: accuracy where there is one (the task's metric, if it has one),
    else the share of the untrained model's validation loss that training removed, so that the gap between the
    two scores reads alike. `seconds` elapsed and `cpu_seconds` of the training steps alone; `curve`,
    `losses`: validation score and loss after each epoch; `complete`: not cut short."""

    batch_size: int
    lr: float
    warmup_epochs: float
    epochs: float
    seed: int
    train_score: float
    validation_score: float
    validation_loss: float
    seconds: float
    cpu_seconds: float
    complete: bool
    diverged: bool
    curve: tuple[float, ...]
    losses: tuple[float, ...] = ()

    @property
    def gap(self) -> float:
        """Training minus validation score, in points: the paper's Delta with validation data in place of test
        data."""
        return self.train_score - self.validation_score


def fit(
    task: Task,
    batch_size: int,
    lr: float,
    epochs: int,
    seed: int = 0,
    *,
    warmup_epochs: float = 0,
    deadline: float = math.inf,
    tick: Callable[[], object] = lambda: None,
) -> Fit:
    """Train a new model and score it; `tick` is called after each epoch. What the deadline cuts short is
    scored on as many rows as there is a moment for."""
    training = Training(task, batch_size, lr, seed, epochs, warmup_epochs)
    curve, losses, complete = [], [], True
    start = training.judge(most=ROUGHLY).loss
    percent = task.accuracy or task.metric is not None
    if not percent and not start > 0:
        raise BadInput(
            f"the untrained model's loss is {start:.3g}; a loss that is not above 0 cannot be judged in "
            "percent of where it began."
        )

    def score(judged: Judged) -> float:
        return judged.value if percent else 100 * (1 - judged.loss / start)

    try:
        for epoch in range(1, epochs + 1):
            complete = training.advance(epoch, deadline)
            if training.diverged or not complete:
                break
            last = training.judge(deadline=deadline)
            curve.append(score(last))
            losses.append(last.loss)
            tick()
        complete = complete and (training.diverged or len(curve) == epochs)
    except Late:
        complete = False
    most = None if complete else ROUGHLY
    last = training.judge(most=most) if training.diverged or not complete else last
    return Fit(
        batch_size,
        lr,
        warmup_epochs,
        training.epochs_done,
        seed,
        score(training.judge(task.train, most)),
        score(last),
        last.loss,
        training.seconds,
        training.cpu_seconds,
        complete,
        training.diverged,
        tuple(curve),
        tuple(losses),
    )
