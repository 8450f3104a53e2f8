"""The search for a batch size and a rate: short trainings of many pairs, long ones of few, and a duel with
the default.

1. Look. Short trainings (a ninth of the whole) at B = 32 and 128, at rates half a decade apart from the
   middle outwards, each side for as long as it gets better; then at B four times larger, or smaller, on the
   side of the better of the two.
2. Halve. The two best rates of each size go on to a third of the length, the two best of those to its end,
   the default with them: successive halving (Jamieson & Talwalkar 2016). Each training goes on from where it
   stood.
3. Check. What time is left tries the leader's neighbors at full length: a third of the rate, three times,
   half and twice the batch; and those of the one that leads then. Short trainings favor rates that are wrong
   for long ones (Wu et al. 2018).
4. Duel. Leader and default anew, with other seeds than those that made the leader one, so that luck is not
   counted twice. A leader that loses is not the answer; the default is.

Where the budget does not allow whole trainings, all lengths are cut by the same factor, and the answer says
so. What the clock cut short decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from .. import published
from ..statistics import LEVEL, Interval
from .memory_limit import available
from .rows import LEAST
from .task import Task
from .training import Judged, Late, Training, epoch_seconds, judge

FEWEST = 8  # samples in a batch, where the search goes down: still smaller ones cost more time than they gain
MOST = 8192  # samples in a batch: no model for which this is meant wants more
STEP = math.sqrt(10)  # between rates: half a decade
APART = 4  # between batch sizes
RUNGS = (9, 3, 1)  # parts of the length
LAST = len(RUNGS) - 1
LOOKED = 0.35  # of the time, at most, for the short trainings
PLAN = 7.0  # whole trainings of the default that a full search costs
ENOUGH = 45  # steps of the default: less tells nothing
SEEDS = 4  # of the duel, at most
AS_GOOD = 0.5  # standard errors: of two that differ by less, the faster is taken if it is FASTER
FASTER = 1.5
# Batch size from which the rate climbs at first (Table II), and over what part of the training.
WARM_FROM, WARM_SHARE = 256, 0.05
# Validation rows at most, and what part of the budget one judgement may take.
JUDGED, JUDGED_SHARE = 5000, 0.005


@dataclass(eq=False)
class Candidate:
    """A pair and what became of it. `judged`: by rung, 0 to 2; `late`: the clock cut it short; `seconds`: of
    training."""

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
        return found if found is not None and not self.diverged and math.isfinite(found.loss) else None


class Search:
    """One search for a task. `run` makes it; then `leader`, `default`, `difference`, `candidates` and the
    rest tell.

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
        say: Callable[[str], object] = lambda text: None,
    ):
        self.task, self.epochs, self.deadline, self.base_lr = task, epochs, deadline, base_lr
        self.seed, self.say = seed, say
        self.reference = min(int(published.value("vi-base-batch")), len(task.train) // 2)
        self.largest = max(min(largest, len(task.train) // APART, MOST), self.reference)
        self.begun, self.candidates, self.cut = self.task.clock(), [], []
        self.pace, self.quickest = {}, {}  # seconds of an epoch by batch size: the latest, and the least
        self.length, self.leader, self.lost, self.difference, self.duels = 0.0, None, None, None, 0
        self.default = self._candidate(self.reference, base_lr)

    def run(self) -> None:
        """Make the whole search. Where there is no time for anything, `leader` stays None."""
        budget = self.deadline - self.begun
        self._time_judging(budget)
        whole = self._expected(self.default, self.epochs)
        left = self.deadline - self.task.clock()
        share = min(1.0, left / (PLAN * whole))
        steps = self.epochs * math.ceil(len(self.task.train) / self.reference)
        if share * steps < min(ENOUGH, steps / 2):
            return
        self.length = self.epochs * share
        self._keep = self._alive()
        looks = self.task.clock() + LOOKED * left
        self._look_around(looks)
        self._halve()
        self._check()
        self._duel()

    def warmup(self, batch_size: int) -> int:
        """Epochs over which the rate climbs: from 256 on a twentieth of the training, of four epochs or
        more."""
        return max(1, round(WARM_SHARE * self.epochs)) if batch_size >= WARM_FROM and self.epochs >= 4 else 0

    @property
    def confirmed(self) -> bool:
        """Whether full-length trainings decided."""
        return self.length >= self.epochs

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

    def _candidate(self, batch_size: int, lr: float, seed: int | None = None) -> Candidate:
        """The candidate of these values: the same one at each call, rates equal to nine digits being the
        same."""
        seed = self.seed if seed is None else seed
        for c in self.candidates:
            if c.batch_size == batch_size and c.seed == seed and math.isclose(c.lr, lr, rel_tol=1e-9):
                return c
        self.candidates.append(Candidate(batch_size, lr, seed))
        return self.candidates[-1]

    def _time_judging(self, budget: float) -> None:
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
        """How many unfinished trainings may be kept in memory; others begin anew where they are taken up
        again."""
        size = 4 * sum(p.numel() * p.element_size() for p in self.task.model(self.seed).parameters())
        return max(2, int(available(self.task.device) / 4 / size))

    def _expected(self, c: Candidate, epochs: float) -> float:
        """Seconds that it takes to bring a candidate to so many epochs."""
        done = c.epochs if c.training else 0.0
        self.speed(c.batch_size)
        return max(0.0, epochs - done) * self.pace[c.batch_size] + 1.2 * self.judging

    def _to(self, c: Candidate, rung: int, deadline: float | None = None) -> bool:
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

    def _look_around(self, deadline: float) -> None:
        """Stage 1: which pairs are worth more."""
        first, second = self.reference, min(self.largest, APART * self.reference)
        self._look(first, deadline)
        if second == first:
            return
        self._look(second, deadline)
        best = self._best_looks()
        up = second in best and (first not in best or best[second] <= best[first])
        b = second if up else first
        while self.task.clock() < deadline:
            following = APART * b if up else b // APART
            if not max(self.task.smallest, FEWEST) <= following <= self.largest:
                return
            if 3 * self.length / RUNGS[0] * self.speed(following) > (deadline - self.task.clock()):
                self.cut.append(f"B = {following}")
                return
            self._look(following, deadline)
            best = self._best_looks()
            if following not in best or best[following] > best.get(b, math.inf):
                return
            b = following

    def _look(self, batch_size: int, deadline: float) -> None:
        """Rates at one batch size, from the square-root rule's outwards, each side while it gets better."""
        middle = self.base_lr * math.sqrt(batch_size / self.reference)
        losses: dict[int, float] = {}

        def tried(k: int) -> float:
            c = self._candidate(batch_size, middle * STEP**k)
            if self.task.clock() > deadline or not self._to(c, 0, deadline):
                self.cut.append(f"rate {c.lr:.3g} at B = {batch_size}")
                losses[k] = math.nan
            else:
                losses[k] = c.at(0).loss if c.at(0) else math.inf
            return losses[k]

        tried(0)
        for side in (1, -1):
            k = side
            while abs(k) <= 6 and tried(k) < losses[k - side]:
                k += side

    def _best_looks(self) -> dict[int, float]:
        best: dict[int, float] = {}
        for c in self.ranked(0):
            best[c.batch_size] = min(best.get(c.batch_size, math.inf), c.at(0).loss)
        return best

    def _halve(self) -> None:
        """Stage 2: the two best rates of each size to a third, the two best of all and the default to the
        end."""
        reserve = self._expected(self.default, self.length)
        chosen, per_size = [], {}
        for c in self.ranked(0):
            if per_size.setdefault(c.batch_size, 0) < 2:
                per_size[c.batch_size] += 1
                chosen.append(c)
        for c in chosen:
            if self.task.clock() + self._expected(c, self.length / RUNGS[1]) < self.deadline - reserve:
                self._to(c, 1)
        if not self._to(self.default, LAST):
            return
        for c in self.ranked(1)[:2]:
            if self.task.clock() + self._expected(c, self.length) < self.deadline:
                self._to(c, LAST)
            else:
                self.cut.append(f"the whole training of B = {c.batch_size} at {c.lr:.3g}")
        self._lead()

    def _lead(self) -> None:
        """The leader: the best at full length, or a much faster one that cannot be told from it."""
        found = self.ranked(LAST)
        if not found:
            return
        best = self.leader = found[0]
        for c in sorted(found[1:], key=lambda c: self.speed(c.batch_size)):
            if self.speed(c.batch_size) * FASTER < self.speed(best.batch_size):
                lost = lead_of([c.at(LAST)], [best.at(LAST)])
                if lost.mean >= -AS_GOOD * lost.error and lost.mean > -math.inf:
                    self.leader = c
                    return

    def _check(self) -> None:
        """Stage 3: the leader's neighbors at full length, while the time of two duels is left."""
        while self.leader:
            b, lr = self.leader.batch_size, self.leader.lr
            near = [(b, lr / STEP), (b, lr * STEP), (2 * b, lr * 2**0.5), (b // 2, lr / 2**0.5)]
            for size, rate in near:
                if not max(self.task.smallest, 2) <= size <= self.largest:
                    continue
                c = self._candidate(size, rate)
                if LAST in c.judged or c.diverged or c.late:
                    continue
                duels = 2 * self._expected(Candidate(b, lr, 0), self.length) + 2 * self.whole_default(
                    self.length
                )
                if self.task.clock() + self._expected(c, self.length) + duels > self.deadline:
                    continue
                self._to(c, LAST)
                break
            else:
                return
            self._lead()

    def whole_default(self, epochs: float) -> float:
        """Seconds that one training of the default takes."""
        return self._expected(Candidate(self.reference, self.base_lr, 0), epochs)

    def _duel(self) -> None:
        """Stage 4: leader against default with other seeds."""
        if self.leader is None or self.leader is self.default:
            return
        mine, theirs = [self.leader.at(LAST)], [self.default.at(LAST)]
        for k in range(1, SEEDS + 1):
            pair = [self._candidate(c.batch_size, c.lr, self.seed + k) for c in (self.leader, self.default)]
            if self.task.clock() + sum(self._expected(c, self.length) for c in pair) > self.deadline:
                break
            if not all(self._to(c, LAST) for c in pair):
                break
            if k == 1:
                mine, theirs = [], []
            mine.append(pair[0].at(LAST))
            theirs.append(pair[1].at(LAST))
            self.duels = k
        self.difference = lead_of(mine, theirs)
        if not self.difference.mean >= self._bar():
            self.lost, self.leader = self.leader, self.default

    def _bar(self) -> float:
        """What the leader must win by: nothing; a standard error where it is slower than the default, or met
        it with no other seed; half of one less than nothing where it is faster; everything beyond doubt after
        short trainings."""
        one, ratio = self.difference.error, self.speed(self.leader.batch_size) / self.speed(self.reference)
        if self.length < self.epochs / 2:
            return 2 * one
        if not self.duels or ratio > FASTER:
            return one
        return -AS_GOOD * one if ratio < 1 / FASTER else 0.0


@dataclass(frozen=True)
class Lead(Interval):
    """A difference. `error`: its standard error; 0 where it is not known."""

    error: float = 0.0


def lead_of(mine: list[Judged | None], theirs: list[Judged | None]) -> Lead:
    """What decides, mine less theirs, in the mean over pairs of equal seeds, with its interval: the scatter
    over pieces of the validation rows (which all share) and that over seeds add up, with the degrees of
    freedom of Welch and Satterthwaite. Infinite where one side diverged; NaN bounds where nothing tells the
    scatter."""
    if any(j is None for j in (*mine, *theirs)):
        sign = sum(j is None for j in theirs) - sum(j is None for j in mine)
        value = math.copysign(math.inf, sign) if sign else 0.0
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
    freedom = total**2 / sum(v * v / f for v, f in zip(variances, freedoms, strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(total)
    return Lead(mean, mean - half, mean + half, len(seeds), math.sqrt(total))
