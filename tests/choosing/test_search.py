"""The search on scripted trainings, whose losses are a known function of batch size, rate and length; its
arithmetic by brute force."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from bbatch.choosing import bench
from bbatch.choosing import search as module
from bbatch.choosing.bench import Bench
from bbatch.choosing.judging import Judged, Lead, lead_of
from bbatch.choosing.search import Search


def judged(values, losses=None):
    values = np.asarray(values, float)
    losses = -values if losses is None else np.asarray(losses, float)
    shares = np.full(len(values), 1 / len(values))
    return Judged(float(losses.mean()), float(values.mean()), losses, values, shares)


class World:
    """Trainings that take no time but on a clock of their own. `loss(b, lr, epochs, seed)`; an epoch of n =
    3,200 rows takes 100 steps / B of `step` seconds, a judgement nothing."""

    def __init__(self, monkeypatch, loss, step=0.01, n=3200):
        self.now, self.loss, self.step, self.trained = 0.0, loss, step, []
        world = self

        class Training:
            def __init__(self, task, batch_size, lr, seed, epochs, warmup=0):
                self.b, self.lr, self.seed, self.epochs_done, self.diverged = batch_size, lr, seed, 0.0, False
                self.done, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
                self.quickest_epoch = world.pace(batch_size)

            def advance(self, epochs, deadline=math.inf):
                took = (epochs - self.epochs_done) * world.pace(self.b)
                late = world.now + took > deadline
                took = min(took, max(0.0, deadline - world.now))
                world.now, self.seconds = world.now + took, self.seconds + took
                if late:
                    return False
                self.epochs_done, self.done = epochs, round(epochs * n / self.b)
                value = world.loss(self.b, self.lr, epochs, self.seed)
                self.diverged = not math.isfinite(value)
                world.trained.append((self.b, self.lr, epochs, self.seed))
                return True

            def judge(self, most=None, deadline=math.inf):
                value = world.loss(self.b, self.lr, self.epochs_done, self.seed)
                wiggle = np.resize([0.01, -0.01], 10)
                return judged(-value + wiggle)

        monkeypatch.setattr(bench, "Training", Training)
        monkeypatch.setattr(bench, "epoch_seconds", lambda task, b, deadline=None: self.pace(b))
        monkeypatch.setattr(bench, "judge", lambda *a, **k: judged([-9.0] * 10))
        monkeypatch.setattr(Search, "_alive", lambda self: 100)
        self.task = SimpleNamespace(
            train=range(n),
            validation=range(1000),
            metric=None,
            smallest=1,
            device="cpu",
            clock=lambda: self.now,
            model=lambda seed: None,
        )

    def pace(self, b):
        return 3200 / b * self.step

    def search(self, budget, epochs=18, **more):
        found = Search(self.task, epochs, self.now + budget, 0.001, 0, 800, **more)
        found.run()
        return found


def bowl(b_best, lr_best, seed_noise=0.0):
    """Least at a batch size and a rate that grows as its root; falls with the length of the training."""

    def loss(b, lr, epochs, seed):
        away = math.log10(lr / (lr_best * math.sqrt(b / b_best)))
        noise = seed_noise * math.sin(seed * 12.9898 + b + 1000 * lr)
        return 0.2 + 0.3 * away**2 + 0.05 * math.log2(b / b_best) ** 2 + 0.5 / (1 + epochs) + noise

    return loss


@pytest.mark.parametrize("b, lr", [(32, 0.001), (128, 0.02), (8, 0.0003), (512, 0.05), (64, 0.1)])
def test_the_least_of_a_bowl_is_found_to_within_a_step(b, lr, monkeypatch):
    found = World(monkeypatch, bowl(b, lr)).search(budget=2000)
    assert abs(math.log2(found.leader.batch_size / b)) <= 1
    off = math.log10(found.leader.lr / (lr * math.sqrt(found.leader.batch_size / b)))
    assert abs(off) <= 0.3 and found.length >= found.epochs and not found.cut
    if found.leader is not found.default:
        assert found.duels == module.SEEDS and found.difference.low > 0


def test_rates_are_tried_from_the_middle_outwards_until_they_get_worse(monkeypatch):
    world = World(monkeypatch, bowl(32, 0.001 * 10**0.9))
    world.search(2000)
    first = [
        round(2 * math.log10(lr / 0.001)) for b, lr, epochs, _ in world.trained if b == 32 and epochs == 2
    ]
    assert first[:5] == [0, 1, 2, 3, -1]


def test_the_budget_is_kept_and_lengths_are_cut_alike_where_it_is_short(monkeypatch):
    whole = 18 * 1.0  # seconds of the default's training
    for budget in (1.5 * whole, 3 * whole, 7.1 * whole, 30 * whole):
        world = World(monkeypatch, bowl(128, 0.01))
        found = world.search(budget)
        assert world.now <= 1.01 * budget
        assert found.length == pytest.approx(18 * min(1, budget / module.PLAN / whole), rel=1e-4)
        assert found.leader is not None and (found.length >= found.epochs) == (budget > 7 * whole)


def test_without_time_for_anything_there_is_no_leader(monkeypatch):
    found = World(monkeypatch, bowl(32, 0.001)).search(budget=0.4)
    assert found.leader is None and not any(c.epochs for c in found.candidates)


def test_a_leader_by_luck_loses_the_duel_and_the_default_is_the_answer(monkeypatch):
    def loss(b, lr, epochs, seed):
        lucky = seed == 0 and b != 32
        return 0.5 + 0.2 * math.log10(lr / 0.001) ** 2 - 0.1 * lucky + 0.5 / (1 + epochs) + 0.02 * (b != 32)

    found = World(monkeypatch, loss).search(2000)
    assert found.lost is not None and found.lost.batch_size != 32 and found.leader is found.default
    assert found.difference.mean == pytest.approx(-0.02, abs=0.3) and found.difference.mean < 0


def test_where_the_default_does_not_come_to_its_end_shorter_trainings_decide(monkeypatch):
    """The clock runs ten times as fast in whole trainings."""

    def search(loss):
        world = World(monkeypatch, loss)
        longer = Bench.bring

        def bring(self, c, rung, deadline=None):
            world.step = 0.1 if rung == 2 else 0.01
            return longer(self, c, rung, deadline)

        monkeypatch.setattr(Search, "bring", bring)
        return world.search(budget=8 * 18)

    found = search(bowl(128, 0.02))
    assert found.default.late and found.decided == 0 and found.leader is found.ranked(0)[0]
    assert found.leader is not found.default and found.length == 18 / 9 and "whole trainings" in found.cut
    assert found.difference.mean >= 2 * found.difference.error
    alike = search(lambda *a: 0.5)
    assert alike.leader is alike.default and alike.difference is None


def test_divergence_everywhere_and_of_the_default_alone(monkeypatch):
    found = World(monkeypatch, lambda *a: math.nan).search(2000)
    assert found.leader is None and all(c.diverged for c in found.candidates if c.epochs)
    found = World(
        monkeypatch, lambda b, lr, e, s: math.nan if lr > 5e-4 else bowl(32, 1e-4)(b, lr, e, s)
    ).search(2000)
    assert found.leader is not found.default and found.difference.mean == math.inf


def test_a_slower_leader_must_be_better_beyond_its_error_and_a_much_faster_one_need_not(monkeypatch):
    def near(best):
        return lambda b, lr, e, s: 0.5 + (0 if b == best else 0.0005) + 0.3 * abs(math.log10(lr / 0.001))

    assert World(monkeypatch, near(8)).search(4000).leader.batch_size >= 32
    faster = World(monkeypatch, lambda b, lr, e, s: 0.5 - 1e-6 * (b == 32 and lr == 0.001)).search(4000)
    assert faster.leader.batch_size >= 32


def test_two_other_seeds_are_enough_for_a_leader_that_is_far_better(monkeypatch):
    """With two seeds an interval is a dozen standard errors wide: what must be won by is the error itself."""

    def loss(b, lr, epochs, seed):
        worse = 0.1 * seed if b < 32 else 1.0 + 0.1 * (b > 32)
        return worse + abs(math.log10(lr / 0.001)) + 0.5 / (1 + epochs)

    monkeypatch.setattr(module, "SEEDS", 2)
    found = World(monkeypatch, loss).search(4000)
    assert found.duels == 2 and found.lost is None and found.leader.batch_size < 32
    assert found.difference.half_width > 4 * found.difference.error


def test_what_the_clock_cuts_short_is_named_and_decides_nothing(monkeypatch):
    world = World(monkeypatch, bowl(512, 0.1))
    found = world.search(budget=7 * 18.0)
    for c in found.candidates:
        assert c.late <= (2 not in c.judged)
    assert all(isinstance(text, str) for text in found.cut)


# Arithmetic


def test_a_difference_is_the_mean_over_pairs_with_the_scatter_of_pieces_and_of_seeds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, (3, 20)), rng.normal(0, 1, (3, 20))
    found = lead_of([judged(v) for v in a], [judged(v) for v in b])
    d = a - b
    assert found.mean == pytest.approx(d.mean()) and found.n == 3
    pieces, seeds = d.mean(0).var(ddof=1) / 20, d.mean(1).var(ddof=1) / 3
    freedom = (pieces + seeds) ** 2 / (pieces**2 / 19 + seeds**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(pieces + seeds)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))
    one = lead_of([judged(a[0])], [judged(b[0])])
    t = stats.ttest_rel(a[0], b[0]).confidence_interval()
    assert (one.low, one.high) == pytest.approx((t.low, t.high))
    assert one.error == pytest.approx((a[0] - b[0]).std(ddof=1) / math.sqrt(20))
    assert found.error == pytest.approx(math.sqrt(pieces + seeds))


def test_a_difference_from_what_diverged_is_infinite_and_equal_ones_have_none():
    fine = judged([1.0, 2.0])
    assert lead_of([fine], [None]).mean == math.inf and lead_of([None], [fine]).mean == -math.inf
    assert lead_of([None], [None]).mean == 0 and lead_of([fine], [fine]) == Lead(0, 0, 0, 1)
    bare = Judged(0.1, 0.9, np.zeros(2), None, np.full(2, 0.5))
    assert math.isnan(lead_of([bare], [bare]).low) and lead_of([bare], [bare]).error == 0


def test_a_leader_must_win_by_more_the_less_is_known_and_the_slower_it_is(monkeypatch):
    found = World(monkeypatch, bowl(32, 0.001)).search(2000)
    found.difference = Lead(0.0, -1.0, 1.0, 1, error=1.0)
    for b, duels, length, bar in (
        (8, 0, 18, 2.0),  # slower, and met with no other seed
        (8, 2, 18, 1.0),
        (32, 0, 18, 1.0),
        (32, 2, 18, 0.0),
        (128, 0, 18, 1.0),
        (128, 2, 18, -0.5),  # faster
        (128, 2, 8, 2.0),  # after short trainings
    ):
        found.leader, found.duels, found.length = found.candidate(b, 0.001), duels, length
        assert found._bar() == bar, (b, duels, length)
