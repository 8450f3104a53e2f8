"""Pairs of batch size and rate on trial: trained as far as is asked for, judged, and timed.

Where the clock cuts a training short, it says so, and the pair has no score at that length.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from .. import published
from .judging import Judged, Late, judge
from .memory_limit import available, of_weights
from .rows import LEAST
from .task import Task
from .training import Training, epoch_seconds

MOST = 8192  # samples in a batch: no model for which this is meant wants more
APART = 4  # between batch sizes
RUNGS = (9, 3, 1)  # parts of the length
LAST = len(RUNGS) - 1
WARM_SHARE = 0.05  # part of the training over which the rate of a large batch climbs at first
# Validation rows at most, and what part of the budget one judgement may take.
JUDGED, JUDGED_SHARE = 5000, 0.005


@dataclass(eq=False)
class Candidate:
    """A pair and what became of it. `judged`: by rung, 0 to 2; `late`: cut short; `seconds`: trained."""

    batch_size: int
    lr: float
    seed: int
    training: Training | None = None
    judged: dict[int, Judged] = field(default_factory=dict)
    epochs: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    diverged: bool = False
    late: bool = False

    def at(self, rung: int) -> Judged | None:
        found = self.judged.get(rung)
        usable = found is not None and math.isfinite(found.loss) and math.isfinite(found.value)
        return found if usable and not self.diverged else None


class Bench:
    """Trains candidates for a task, length by length, within the time that there is.

    epochs     of a whole training
    deadline   of the task's clock
    base_lr    the default's rate, at a batch of 32
    largest    batch size that may be tried
    say        is told what is being done
    """

    def __init__(
        self,
        task: Task,
        epochs: int,
        deadline: float,
        base_lr: float,
        seed: int,
        largest: int,
        say: Callable[[str], object],
    ):
        self.task, self.epochs, self.deadline, self.base_lr = task, epochs, deadline, base_lr
        self.seed, self.say = seed, say
        self.reference = min(int(published.value("vi-base-batch")), len(task.train) // 2, largest)
        self.largest = max(min(largest, len(task.train) // APART, MOST), self.reference)
        self.begun, self.candidates, self.cut = self.task.clock(), [], []
        self.pace, self.quickest = {}, {}  # seconds of an epoch by batch size: the latest, and the least
        self.length = 0.0  # epochs that the longest trainings are allowed
        self.default = self.candidate(self.reference, base_lr)
        self._keep = self._alive()
        self.time_judging(deadline - self.begun)

    def warmup(self, batch_size: int) -> int:
        """Epochs over which the rate climbs: from B = 256 on, a twentieth, where there are four or more."""
        climbs = batch_size >= published.value("vi-warmup-from") and self.epochs >= 4
        return max(1, round(WARM_SHARE * self.epochs)) if climbs else 0

    def ranked(self, rung: int) -> list[Candidate]:
        """Candidates of the first seed that got as far as a rung, the best first: by what decides at the end,
        before by the loss, which is finer."""
        found = [c for c in self.candidates if c.seed == self.seed and c.at(rung)]
        if rung == LAST or self.task.metric is not None:
            return sorted(found, key=lambda c: (-c.at(rung).value, c.at(rung).loss))
        return sorted(found, key=lambda c: c.at(rung).loss)

    def speed(self, batch_size: int) -> float:
        """Seconds of an epoch of training, the least that was seen: what other work disturbs least."""
        if batch_size not in self.pace:
            took = epoch_seconds(self.task, batch_size, deadline=self.deadline)
            self.pace[batch_size] = self.quickest[batch_size] = took
        return self.quickest[batch_size]

    def candidate(self, batch_size: int, lr: float, seed: int | None = None) -> Candidate:
        """The one candidate of these values; rates equal to nine digits are the same."""
        seed = self.seed if seed is None else seed
        for c in self.candidates:
            if c.batch_size == batch_size and c.seed == seed and math.isclose(c.lr, lr, rel_tol=1e-9):
                return c
        self.candidates.append(Candidate(batch_size, lr, seed))
        return self.candidates[-1]

    def time_judging(self, budget: float) -> None:
        """How many validation rows a judgement may have, and what it takes."""
        model, few = self.task.model(self.seed), min(64, len(self.task.validation))
        judge(self.task, model, self.task.validation, LEAST)  # the first one loads what it needs
        at = self.task.clock()
        self.untrained = judge(self.task, model, self.task.validation, few)
        row = max(self.task.clock() - at, 1e-6) / few
        self.judged_rows = min(
            len(self.task.validation), max(few, min(JUDGED, int(JUDGED_SHARE * budget / row)))
        )
        self.judging = row * self.judged_rows
        if self.judged_rows > few:
            self.untrained = judge(self.task, model, self.task.validation, self.judged_rows)

    def _alive(self) -> int:
        """How many unfinished trainings may stay in memory; others begin anew when taken up again."""
        size = of_weights(self.task.model(self.seed))
        return max(2, int(available(self.task.device) / 4 / size))

    def expected(self, c: Candidate, epochs: float) -> float:
        """Seconds that it takes to bring a candidate to so many epochs."""
        return self.takes(c.batch_size, max(0.0, epochs - c.epochs) if c.training else epochs)

    def takes(self, batch_size: int, epochs: float) -> float:
        """Seconds of so many epochs of training, and of a judgement."""
        self.speed(batch_size)
        return epochs * self.pace[batch_size] + 1.2 * self.judging

    def bring(self, c: Candidate, rung: int, deadline: float | None = None) -> bool:
        """Bring a candidate to a rung and judge it there. False where the clock came first."""
        if rung in c.judged or c.diverged:
            return True
        deadline = min(self.deadline, deadline or self.deadline)
        epochs = self.length / RUNGS[rung]
        self.say(f"B = {c.batch_size}, rate {c.lr:.3g}, {epochs:.2g} epochs")
        training = c.training or Training(
            self.task, c.batch_size, c.lr, c.seed, self.epochs, self.warmup(c.batch_size)
        )
        before = training.done
        try:
            c.late = not training.advance(epochs, deadline)
            c.epochs, c.diverged = training.epochs_done, training.diverged
            c.seconds, c.cpu_seconds = training.seconds, training.cpu_seconds
            if training.done - before > 20:
                took = self.pace[c.batch_size] = training.seconds / training.epochs_done
                known = self.quickest.get(c.batch_size, took)
                self.quickest[c.batch_size] = min(known, training.quickest_epoch)
            if not c.late and not c.diverged:
                c.judged[rung] = training.judge(most=self.judged_rows, deadline=deadline)
        except Late:
            c.late = True
        alive = sum(other.training is not None for other in self.candidates)
        over = rung == LAST or c.diverged or (c.training is None and alive >= self._keep)
        c.training = None if over else training
        return not c.late
