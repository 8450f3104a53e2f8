"""One training of the reader's model, at one batch size and learning rate, in plain PyTorch: it can be
stopped, judged and taken up again. Everything in `choosing` trains through here, and nowhere else.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..errors import BadInput
from ..nests import told
from .judging import Judged, Late, judge
from .rows import Rows
from .task import Task

LOOK = 25  # steps between two looks at whether the loss is still a number
ROUGHLY = 512  # rows that a training is scored on where there is no time for more


class Training:
    """A training of `epochs` epochs, none of which has been made yet. `fit` makes one to its end.

    seed       decides weights, order and dropout
    warmup     epochs over which the rate climbs linearly, step by step; not with a scheduler of the reader's
    micro, accumulate      rows in memory at a time, and how many such parts make a step
    done, diverged         steps so far; whether the loss was no number
    seconds, cpu_seconds   of the training steps so far, by the task's clock and of the processor
    quickest_epoch         seconds of an epoch at the pace of the quickest `LOOK` steps
    """

    def __init__(self, task: Task, batch_size: int, lr: float, seed: int, epochs: float, warmup: float = 0.0):
        self.task, self.batch_size, self.lr, self.seed, self.epochs = task, batch_size, lr, seed, epochs
        self.micro, self.accumulate = parts(task, batch_size)
        self.steps_per_epoch = math.ceil(len(task.train) / (self.micro * self.accumulate))
        self.model = task.model(seed)
        self._modes = [m.training for m in self.model.modules()]
        self.planned = max(1, round(epochs * self.steps_per_epoch))
        with torch.random.fork_rng():
            self.optimizer, self.scheduler, self._each_step = task.optimizer_of(self.model, lr, self.planned)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._warm = 0.0 if self.scheduler else warmup * self.steps_per_epoch
        self.done, self.diverged, self.seconds, self.cpu_seconds = 0, False, 0.0, 0.0
        self.quickest_epoch = math.inf

    @property
    def epochs_done(self) -> float:
        return self.done / self.steps_per_epoch

    def advance(self, epochs: float, deadline: float = math.inf) -> bool:
        """Go on until `epochs` epochs are done. False where `deadline` (the task's clock) came first.

        Where it is cut into stretches changes neither the order of the rows nor the rates, only what dropout
        draws.
        """
        target = max(1, round(epochs * self.steps_per_epoch))
        begun, worked, late = self.task.clock(), time.process_time(), False
        before, at = self.done, begun
        for module, mode in zip(self.model.modules(), self._modes, strict=True):
            module.training = mode
        with torch.random.fork_rng():
            torch.manual_seed(self.seed * 1_000_003 + self.done + 1)  # dropout's, and a sampler's
            batches = self._batches()
            while self.done < target and not self.diverged and not late:
                loss = self._step(batches)
                if self.done % LOOK == 0 or self.done == target:
                    self.diverged = not math.isfinite(loss.item())  # a NaN stays one
                late = (now := self.task.clock()) > deadline
                if self.done - before == LOOK:
                    took = (now - at) / LOOK * self.steps_per_epoch
                    self.quickest_epoch, before, at = min(self.quickest_epoch, took), self.done, now
            batches.close()
        self.seconds += self.task.clock() - begun
        self.cpu_seconds += time.process_time() - worked
        return self.done >= target or self.diverged

    def step_loss(self) -> float:
        """Make one step, at whatever rate the optimizer has; its loss."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed * 1_000_003 + self.done + 1)
            return self._step(self._batches()).item()

    def judge(self, rows: Rows | None = None, most: int | None = None, deadline: float = math.inf) -> Judged:
        """The model as it stands on the validation rows, or others. Raises `Late`."""
        return judge(self.task, self.model, rows or self.task.validation, most, deadline)

    def _step(self, batches: Iterator) -> torch.Tensor:
        """One step of the optimizer; returns the loss of its last part. Raises `BadInput` for whatever the
        reader's code raises."""
        with told(f"training with B = {self.batch_size} fails at step {self.done + 1}"):
            return self._step_unguarded(batches)

    def _step_unguarded(self, batches: Iterator) -> torch.Tensor:
        whole, loss = self.micro * self.accumulate, torch.zeros(())
        left = size = min(whole, len(self.task.train) - self.done % self.steps_per_epoch * whole)
        self.optimizer.zero_grad()
        if self._warm:
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * min(1.0, (self.done + 1) / self._warm)
        while left > 0:
            batch, rows = next(batches)
            left -= rows
            if rows >= self.task.smallest:  # a last row alone is nothing that batch normalization takes
                loss = self.task.run(self.model, batch).loss
                (loss if rows == size else loss * (rows / size)).backward()
        self.optimizer.step()
        self.done += 1
        more = self.done <= self.planned  # a schedule may know no rate beyond its end
        if self.scheduler and more and (self._each_step or self.done % self.steps_per_epoch == 0):
            self.scheduler.step()
        return loss.detach()

    def _batches(self) -> Iterator[tuple[object, int]]:
        """Parts of `micro` rows from where the training stands on, epoch after epoch."""
        epoch, within = divmod(self.done, self.steps_per_epoch)
        skip = within * self.micro * self.accumulate
        while True:
            yield from self.task.train.batches(self.micro, self.seed * 1_000_003 + epoch, skip=skip)
            epoch, skip = epoch + 1, 0


def parts(task: Task, batch_size: int) -> tuple[int, int]:
    """(rows in memory at a time, parts that make a step) for a batch size on this machine."""
    count = math.ceil(batch_size / (task.fits or batch_size))
    return math.ceil(batch_size / count), count


def epoch_seconds(task: Task, batch_size: int, at_least: float = 0.05, deadline: float = math.inf) -> float:
    """Seconds, by the task's clock, of an epoch of training at a batch size, by some steps of it: the least
    of two rounds or more, which other work on the machine disturbs least. Raises an error of memory where it
    does not fit."""
    training, took, begun = Training(task, batch_size, 1e-9, 0, 1), [], task.clock()
    training.advance(1 / training.steps_per_epoch)  # the first step allocates
    steps = 3 if training.seconds < at_least else 1
    if task.train.loader and task.train.loader.num_workers:  # which take a while at the first batch alone
        steps = training.steps_per_epoch
    while len(took) < 2 or (task.clock() < begun + at_least and len(took) < 20):
        before, at, training.diverged = training.done, training.seconds, False  # time is all that is asked
        training.advance((before + steps) / training.steps_per_epoch, min(deadline, begun + 20 * at_least))
        took.append((training.seconds - at) / (training.done - before))
        if task.clock() > min(deadline, begun + 20 * at_least):
            break
    return min(took) * training.steps_per_epoch


def step_seconds(task: Task, batch_size: int) -> float:
    """As `epoch_seconds`, of a single step."""
    return epoch_seconds(task, batch_size) / math.ceil(len(task.train) / batch_size)


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
        """Training minus validation score, in points: the paper's Delta with validation for test data."""
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
    how = batch_size, lr, warmup_epochs, training.epochs_done, seed
    scores = score(training.judge(task.train, most)), score(last), last.loss
    took, ended = (training.seconds, training.cpu_seconds), (complete, training.diverged)
    return Fit(*how, *scores, *took, *ended, tuple(curve), tuple(losses))
