"""The search on scripted trainings, whose losses are a known function of batch size, rate and length; its
arithmetic by brute force."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from torch import nn

from bbatch.choosing import bench
from bbatch.choosing import search as module
from bbatch.choosing.bench import Bench
from bbatch.choosing.judging import Judged, Late, Lead, lead_of
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

    def posed(self, deadline=2000.0, epochs=18, largest=800, say=lambda text: None):
        """A search that is yet to be made."""
        return Search(self.task, epochs, deadline, 0.001, 0, largest, say)

    def search(self, budget):
        found = self.posed(self.now + budget)
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


# Step by step: which trainings are made, in which order, as the module's four stages say.


def steps(world, base=0.001):
    """(batch size, half decades from the square-root rule's rate, epochs, seed) of each training."""
    return [
        (b, round(2 * math.log10(lr / (base * math.sqrt(b / 32))), 6), round(e, 3), seed)
        for b, lr, e, seed in world.trained
    ]


@pytest.mark.parametrize(
    "best, third, order, checked",
    [
        (128, 512, (128, 128, 32, 512, 32, 512), [(128, -1), (256, 0), (64, 0)]),
        (8, 8, (8, 8, 32, 32, 128, 128), [(8, -1), (16, 0), (4, 0)]),
    ],
)
def test_the_stages_one_after_the_other(best, third, order, checked, monkeypatch):
    """Three rates at 32, 128 and beyond the better of them; two of each size by a third of the length; the
    default and the two best to the end; the leader's neighbors; four pairs with other seeds."""
    world = World(monkeypatch, bowl(best, 0.001 * math.sqrt(best / 32)))
    found = world.search(2000)
    made = steps(world)
    assert made[:9] == [(b, k, 2, 0) for b in (32, 128, third) for k in (0, 1, -1)]
    assert [b for b, *_ in made[9:15]] == list(order) and {e for _, _, e, _ in made[9:15]} == {6}
    assert {k for _, k, *_ in made[9:15]} == {0, 1}
    assert made[15:18] == [(32, 0, 18, 0), (best, 0, 18, 0), (best, 1, 18, 0)]
    assert made[18:21] == [(b, k, 18, 0) for b, k in checked]
    assert made[21:] == [(b, 0, 18, seed) for seed in (1, 2, 3, 4) for b in (best, 32)]
    assert found.duels == 4 and found.leader.batch_size == best and not found.cut and found.lost is None


def test_where_32_and_128_do_alike_the_search_goes_up_and_stops_where_it_gets_worse(monkeypatch):
    def loss(b, lr, epochs, seed):
        return 0.5 + 0.3 * math.log10(lr / (0.001 * math.sqrt(b / 32))) ** 2 + 0.1 * (b > 128)

    world = World(monkeypatch, loss)
    world.search(2000)
    assert {b for b, _, e, _ in world.trained if e == 2} == {32, 128, 512}
    down = World(monkeypatch, lambda b, lr, e, s: loss(b, lr, e, s) + 0.01 * math.log2(b))
    down.search(4000)  # 8 is the smallest that is looked at: 2 would be below it
    assert {b for b, _, e, _ in down.trained if e == 2} == {8, 32, 128}


@pytest.mark.parametrize(
    "largest, sizes", [(512, {32, 128, 512}), (511, {32, 128}), (32, {32}), (64, {32, 64})]
)
def test_no_batch_is_larger_than_may_be_tried(largest, sizes, monkeypatch):
    world = World(monkeypatch, bowl(2048, 0.008))
    found = world.posed(largest=largest)
    found.run()
    assert {b for b, _, e, _ in world.trained if e == 2} == sizes
    assert max(b for b, *_ in world.trained) <= largest


@pytest.mark.parametrize("falls", [0.0, 0.01])
def test_the_search_goes_up_while_larger_batches_do_no_worse(falls, monkeypatch):
    """Of equal rates only the neighbors of the middle are tried: a side ends where it gets no better."""
    world = World(monkeypatch, lambda b, lr, e, s: 0.5 - falls * math.log2(b), n=32_000)
    world.posed(4000.0, largest=8192).run()
    looks = [(b, k) for b, k, epochs, _ in steps(world) if epochs == 2]
    assert looks == [(b, k) for b in (32, 128, 512, 2048) for k in (0, 1, -1)]


@pytest.mark.parametrize("spare, slow", [(10.0, True), (3.0, False)])
def test_a_third_of_the_length_is_trained_where_it_fits_before_the_default(spare, slow, monkeypatch):
    """From 2 to 6 epochs it is 4 s at B = 32, 1 s at B = 128; 16 s of the default are set aside."""
    world = World(monkeypatch, bowl(32, 0.001))
    found = world.posed(largest=128)
    found.length = 18.0
    found._look_around(700.0)
    found.deadline = world.now + 16.1 + spare
    found._halve()
    thirds = [b for b, _, epochs, _ in steps(world) if epochs == 6]
    assert 128 in thirds and (32 in thirds) == slow


def test_the_largest_batch_may_be_a_neighbor(monkeypatch):
    world = World(monkeypatch, bowl(128, 0.002))
    world.posed(largest=256).run()
    assert 256 not in {b for b, _, e, _ in world.trained if e == 2}
    found = world.posed(world.now + 2000.0, largest=256)
    found.run()
    assert 256 in {b for b, _, e, _ in world.trained if e == 18}


def test_no_batch_is_smaller_than_trains(monkeypatch):
    world = World(monkeypatch, bowl(2, 0.00025))
    world.task.smallest = 9  # of the looks, 8 falls away; of the neighbors of 32, 16 stays
    found = world.search(4000)
    assert min(b for b, *_ in world.trained) == 16 and found.leader.batch_size == 16
    least = World(monkeypatch, bowl(2, 0.00025))
    assert least.search(10_000).leader.batch_size == 2, "one row is no batch, two are"


@pytest.mark.parametrize("budget", [4 * 18, 8 * 18, 60 * 18])
def test_looks_at_a_slow_size_are_made_where_they_fit(budget, monkeypatch):
    """Looks have 0.35 of the time: after three at 32 (1 s an epoch) and at 128 (0.25 s), three at 8 (4 s)."""
    world = World(monkeypatch, bowl(8, 0.0005))
    epochs = min(18, budget / 7) / 9
    found = world.search(budget)
    assert 0.35 * budget - 3 * epochs * 1.25 > 3 * epochs * 4
    assert 8 in {b for b, *_ in world.trained} and "B = 8" not in found.cut


def test_the_clock_decides_what_is_looked_at(monkeypatch):
    """An epoch at 8 takes 40 s, ten times what it would: there is no time for three looks."""
    world = World(monkeypatch, bowl(8, 0.0005))
    pace = world.pace
    world.pace = lambda b: pace(b) * (10 if b < 32 else 1)
    found = world.search(400)
    assert 3 * 2 * 40 > 0.35 * 400 - 3 * 2 * 1.25 and "B = 8" in found.cut
    assert {b for b, _, e, _ in world.trained if e == 2} == {32, 128}


def test_of_two_that_cannot_be_told_apart_the_much_faster_leads(monkeypatch):
    """At the end 32 is better by a hair; 128, four times as fast, is taken, 48 (1.5 times) is not."""
    world = World(monkeypatch, lambda *a: 0.5)
    found = world.search(2000)
    found.leader, found.difference = None, None
    for c in found.candidates:
        c.judged.clear()

    def at(b, value, wiggle=0.01):
        c = found.candidate(b, 0.001)
        c.judged[2] = judged(np.full(10, value) + wiggle * np.resize([1, -1, -1, 1], 10) * (b != 32))
        return c

    best, much = at(32, -0.5), at(128, -0.501)
    found._lead()
    assert found.leader is much
    little = at(48, -0.5005)
    found._lead()
    assert found.leader is much
    much.judged.clear()
    found._lead()
    assert found.leader is best, "1.5 times as fast is not more than 1.5 times"
    little.judged.clear()
    clearly = at(128, -0.6)
    found._lead()
    assert found.leader is best and clearly.at(2) is not None


def test_neighbors_are_tried_only_while_two_duels_stay_affordable(monkeypatch):
    world = World(monkeypatch, bowl(32, 0.001))
    found = world.search(2000)
    before = len(found.candidates)
    found.candidates[:] = [c for c in found.candidates if c is found.default or c.batch_size in (32, 128)]
    found.candidates[:] = [c for c in found.candidates if 2 in c.judged and c.lr in (0.001,)]
    assert before > len(found.candidates) == 1 and found.leader is found.default
    # the leader is the default at 32: an epoch takes 1 s; each neighbor at 32 costs 18 s, two duels 4 * 18
    for spare, tried in ((18 + 72 - 1, {64}), (18 + 72 + 1, {32})):
        world.trained.clear()
        found.candidates[:] = [found.default]
        found.deadline = world.now + spare
        found._check()
        assert {b for b, *_ in world.trained} == tried, (spare, world.trained)


def test_a_duel_that_does_not_fit_is_not_begun(monkeypatch):
    for spare, duels in ((0.9, 0), (1.1, 1), (2.3, 2)):
        world = World(monkeypatch, bowl(128, 0.002))
        found = world.search(2000)
        found.leader, found.duels, found.difference = found.candidate(128, 0.002), 0, None
        found.candidates[:] = [c for c in found.candidates if c.seed == 0]
        found.deadline = world.now + spare * 18 * 1.25 + 0.5
        found._duel()
        assert found.duels == duels and found.difference.n == max(duels, 1), spare


def test_what_a_bench_expects_warms_up_and_ranks(monkeypatch):
    world = World(monkeypatch, bowl(32, 0.001))
    found = world.posed()
    c = found.candidate(64, 0.002)
    assert found.expected(c, 10) == pytest.approx(10 * 0.5 + 1.2 * found.judging)
    c.epochs, c.training = 4.0, object()
    assert found.expected(c, 10) == pytest.approx(6 * 0.5 + 1.2 * found.judging)
    assert found.expected(c, 3) == pytest.approx(1.2 * found.judging)
    assert found.takes(32, 18) == pytest.approx(18 * 1.0 + 1.2 * found.judging)
    assert [found.warmup(b) for b in (255, 256, 1024)] == [0, 1, 1]
    for epochs, warm in ((3, 0), (4, 1), (60, 3), (50, 2)):
        assert world.posed(epochs=epochs).warmup(256) == warm
    assert found.candidate(64, 0.002 * (1 + 1e-10)) is c and found.candidate(64, 0.002, 1) is not c
    other = found.candidate(64, 0.002 * (1 + 1.5e-9))
    assert other is not c and (other.epochs, other.seconds, other.cpu_seconds) == (0, 0, 0)
    assert found.judged_rows == 1000 and found.judging == pytest.approx(
        1000 * 1e-6 / 64
    )  # takes no time here
    # before the end the loss decides, at the end the value, and where there is a metric the value always
    one, two = found.candidate(16, 0.001), found.candidate(16, 0.003)
    for rung in (0, 2):
        one.judged[rung], two.judged[rung] = judged([1.0, 1.0], [0.1, 0.1]), judged([2.0, 2.0], [0.9, 0.9])
    assert found.ranked(0) == [one, two] and found.ranked(2) == [two, one]
    world.task.metric = "own"
    assert found.ranked(0) == [two, one]
    two.judged[2] = judged([1.0, 1.0], [0.9, 0.9])
    assert found.ranked(2) == [one, two], "of equal values the lower loss"
    two.diverged = True
    assert found.ranked(2) == [one]


@pytest.mark.parametrize("n, largest, reference, most", [(3200, 800, 32, 800), (3200, 9999, 32, 800),
    (40, 800, 20, 20), (3200, 16, 16, 16), (10**6, 10**6, 32, 8192), (100, 800, 32, 32)])  # fmt: skip
def test_the_sizes_that_a_search_may_try(n, largest, reference, most, monkeypatch):
    world = World(monkeypatch, bowl(32, 0.001))
    world.task.train = range(n)
    found = world.posed(largest=largest)
    assert (found.reference, found.largest) == (reference, most) and found.default.batch_size == reference


@pytest.mark.parametrize("budget, rows", [(2000, 1000), (0.1, 64), (100.0, 500)])
def test_a_judgement_has_as_many_rows_as_a_share_of_the_budget_allows(budget, rows, monkeypatch):
    world, asked = World(monkeypatch, bowl(32, 0.001)), []

    def timed(task, model, validation, most):
        asked.append(most)
        world.now += most * 0.001
        return judged([-9.0] * 10)

    found = world.posed()
    monkeypatch.setattr(bench, "judge", timed)
    found.time_judging(budget)
    assert found.judged_rows == rows and found.judging == pytest.approx(rows * 0.001)
    assert asked[1:] == [64] + [rows] * (rows > 64)
    world.task.validation = range(10_000)
    found.time_judging(10**6)
    assert found.judged_rows == 5000
    world.task.validation = range(40)
    found.time_judging(10**6)
    assert found.judged_rows == 40


@pytest.mark.parametrize(
    "epochs, budget, runs", [(18, 0.19, False), (18, 4.0, True), (1, 3.1, False), (1, 3.2, True)]
)
def test_too_little_time_is_less_than_45_steps_or_half_of_a_training(epochs, budget, runs, monkeypatch):
    """A step takes 0.01 s, an epoch has 100: a seventh of the budget for 45 of them; of 100 steps, 50 are
    half, and 45 fewer."""
    world = World(monkeypatch, bowl(32, 0.001))
    found = world.posed(budget, epochs)
    found.run()
    share = min(1.0, budget / 7 / epochs)
    assert runs == (share * 100 * epochs >= 45) == bool(found.length)


def test_half_of_a_short_training_is_enough(monkeypatch):
    """60 steps in all: 30 of them, not 45, tell something."""
    for budget, runs in ((7 * 0.29, False), (7 * 0.31, True)):
        world = World(monkeypatch, bowl(32, 0.001), n=1920)
        world.pace = lambda b: 0.6 * 32 / b
        found = world.posed(budget, 1, 480)
        found.run()
        assert bool(found.length) == runs


# One candidate on the bench


def benched(world, **more):
    """A search that trains for nine epochs at most: 1, 3 and 9; two unfinished trainings stay."""
    found = world.posed(epochs=9, **more)
    found.length, found._keep = 9.0, 2
    world.trained.clear()
    return found


def test_unfinished_trainings_are_taken_up_again_or_begin_anew(monkeypatch):
    world, said = World(monkeypatch, bowl(32, 0.001)), []
    found = benched(world, say=said.append)
    one, two, three = (found.candidate(b, 0.001) for b in (32, 64, 128))
    for c in (one, two, three):
        assert found.bring(c, 0) and c.epochs == 1 and c.seconds == pytest.approx(world.pace(c.batch_size))
    assert said[0] == "B = 32, rate 0.001, 1 epochs" and said[2] == "B = 128, rate 0.001, 1 epochs"
    assert one.training and two.training and three.training is None  # memory holds two
    begun = world.now
    assert found.bring(one, 1) and world.now - begun == pytest.approx(2 * 1.0)  # goes on from one epoch
    begun = world.now
    assert found.bring(three, 1) and world.now - begun == pytest.approx(3 * 0.25)  # from none
    assert one.training and three.training is None
    assert (
        found.bring(one, 2) and one.training is None and one.epochs == 9 and sorted(one.judged) == [0, 1, 2]
    )
    assert said[-1] == "B = 32, rate 0.001, 9 epochs"
    before = len(world.trained)
    assert found.bring(one, 1) and len(world.trained) == before, "what was judged is not trained again"
    assert found.bring(three, 2) and three.training is None, "at its end nothing is kept"


def test_what_is_late_or_diverges_has_no_score(monkeypatch):
    world = World(monkeypatch, lambda b, lr, e, s: math.nan if b == 64 else 0.5)
    found = benched(world)
    slow, lost = found.candidate(32, 0.001), found.candidate(64, 0.001)
    assert not found.bring(slow, 0, world.now + 0.9) and slow.late and not slow.judged
    assert slow.training and slow.at(0) is None
    assert found.bring(slow, 0, world.now + 1.1) and not slow.late and slow.at(0) is slow.judged[0]
    assert found.bring(lost, 0) and lost.diverged and not lost.judged and lost.training is None
    before = len(world.trained)
    assert found.bring(lost, 1) and len(world.trained) == before
    found.deadline = world.now + 1.9
    assert not found.bring(slow, 1, world.now + 100), "the search's own deadline holds as well"
    slow.judged[1] = judged([1.0, 1.0], [math.inf, 1.0])
    assert slow.at(1) is None


def test_a_judgement_that_comes_too_late_counts_as_late(monkeypatch):
    def judge(self, most=None, deadline=math.inf):
        asked.append((most, deadline))
        raise Late

    world, asked = World(monkeypatch, bowl(32, 0.001)), []
    found = benched(world)
    found.judged_rows = 77
    monkeypatch.setattr(bench.Training, "judge", judge)
    assert not found.bring(found.default, 0) and found.default.late and found.default.epochs == 1
    assert asked == [(77, 2000.0)] and found.default.training


def test_the_pace_is_the_latest_and_the_speed_the_best_that_was_seen(monkeypatch):
    """More than twenty steps tell; an epoch at 32 has a hundred, at 152 twenty-one, at 160 twenty."""
    world = World(monkeypatch, bowl(32, 0.001))
    found = benched(world)
    usual = world.pace
    for b in (32, 152, 160):
        assert found.speed(b) == usual(b)
    world.pace = lambda b: 3 * usual(b)
    for b, pace in ((32, 3.0), (152, 3 * usual(152)), (160, 0.2)):
        found.bring(found.candidate(b, 0.001), 0)
        assert found.pace[b] == pytest.approx(pace) and found.speed(b) == pytest.approx(usual(b))
    world.pace = lambda b: usual(b) / 2
    found.bring(found.candidate(32, 0.002), 0)
    assert found.pace[32] == found.speed(32) == pytest.approx(0.5)


def test_as_many_unfinished_trainings_stay_as_a_quarter_of_the_memory_holds(monkeypatch):
    """Ten numbers of four bytes, four times: weights, gradients, two moments."""
    task = SimpleNamespace(device="cpu", model=lambda seed: nn.Linear(4, 2))
    for free, keep in ((4 * 160 * 5, 5), (4 * 160 * 5 - 1, 4), (0, 2)):
        monkeypatch.setattr(bench, "available", lambda device, free=free: free)
        assert Bench._alive(SimpleNamespace(task=task, seed=0)) == keep


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
