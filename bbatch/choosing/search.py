"""The search for batch size and rate: many short trainings, few long ones, a duel with the default.

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

import math

from .bench import APART, LAST, RUNGS, Bench, Candidate
from .judging import Lead, lead_of

FEWEST = 8  # samples in a batch, where the search goes down: still smaller ones cost more time than they gain
STEP = math.sqrt(10)  # between rates: half a decade
LOOKED = 0.35  # of the time, at most, for the short trainings
PLAN = 7.0  # whole trainings of the default that a full search costs
ENOUGH = 45  # steps of the default: less tells nothing
SEEDS = 4  # of the duel, at most
AS_GOOD = 0.5  # standard errors: of two that differ by less, the faster is taken if it is FASTER
FASTER = 1.5


class Search(Bench):
    """One search, with what a `Bench` takes. `run` makes it; then `leader`, `default`, `difference`, `lost`
    (a leader that lost the duel), `duels` (seeds of it), `candidates` and `cut` (what was not tried) tell."""

    leader: Candidate | None = None
    lost: Candidate | None = None
    difference: Lead | None = None
    duels = 0
    decided = LAST  # the rung whose scores decided

    def run(self) -> None:
        """Make the whole search. Where there is no time for anything, `leader` stays None."""
        left = self.deadline - self.task.clock()
        share = min(1.0, left / (PLAN * self.takes(self.reference, self.epochs)))
        steps = self.epochs * math.ceil(len(self.task.train) / self.reference)
        if share * steps < min(ENOUGH, steps / 2):
            return
        self.length = self.epochs * share
        self._look_around(self.task.clock() + LOOKED * left)
        self._halve()
        if self.decided == LAST:
            self._check()
            self._duel()

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
            c = self.candidate(batch_size, middle * STEP**k)
            if self.task.clock() > deadline or not self.bring(c, 0, deadline):
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
        """Stage 2: each size's two best rates to a third, the two best of all and the default to the end."""
        reserve = self.expected(self.default, self.length)
        chosen, per_size = [], {}
        for c in self.ranked(0):
            if per_size.setdefault(c.batch_size, 0) < 2:
                per_size[c.batch_size] += 1
                chosen.append(c)
        for c in chosen:
            if self.task.clock() + self.expected(c, self.length / RUNGS[1]) < self.deadline - reserve:
                self.bring(c, 1)
        if not self.bring(self.default, LAST):
            self._fall_back()
            return
        for c in self.ranked(1)[:2]:
            if self.task.clock() + self.expected(c, self.length) < self.deadline:
                self.bring(c, LAST)
            else:
                self.cut.append(f"the whole training of B = {c.batch_size} at {c.lr:.3g}")
        self._lead()

    def _fall_back(self) -> None:
        """The clock came before the default's end: what the longest trainings say that it shares with others,
        where they say it beyond doubt."""
        self.cut.append("whole trainings")
        for rung in range(LAST - 1, -1, -1):
            if default := self.default.at(rung):
                self.decided, self.length = rung, self.length / RUNGS[rung]
                best = self.leader = self.ranked(rung)[0]
                if best is not self.default:
                    self.difference = lead_of([best.at(rung)], [default])
                    if not self.difference.mean >= self._bar():
                        self.lost, self.leader = best, self.default
                return

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
                c = self.candidate(size, rate)
                if LAST in c.judged or c.diverged or c.late:
                    continue
                duels = 2 * (self.takes(b, self.length) + self.takes(self.reference, self.length))
                if self.task.clock() + self.expected(c, self.length) + duels > self.deadline:
                    continue
                self.bring(c, LAST)
                break
            else:
                return
            self._lead()

    def _duel(self) -> None:
        """Stage 4: leader against default with other seeds."""
        if self.leader is None or self.leader is self.default:
            return
        mine, theirs = [self.leader.at(LAST)], [self.default.at(LAST)]
        for k in range(1, SEEDS + 1):
            pair = [self.candidate(c.batch_size, c.lr, self.seed + k) for c in (self.leader, self.default)]
            if self.task.clock() + sum(self.expected(c, self.length) for c in pair) > self.deadline:
                break
            if not all(self.bring(c, LAST) for c in pair):
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
        it with no other seed; two where both are so, or trainings were short; half of one less than nothing
        where it is faster."""
        one, ratio = self.difference.error, self.speed(self.leader.batch_size) / self.speed(self.reference)
        slower, alone = ratio > FASTER, not self.duels
        if self.length < self.epochs / 2 or (slower and alone):
            return 2 * one
        if slower or alone:
            return one
        return -AS_GOOD * one if ratio < 1 / FASTER else 0.0
