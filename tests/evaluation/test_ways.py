"""The ways to choose, on trainings made up here whose best cell and steepest descent are known by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from bbatch.evaluation import tables, ways
from bbatch.evaluation.problems import PROBLEMS


class Clock:
    """Seconds that pass only where something says so."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def made(monkeypatch):
    """A task of `rows` samples, and what was trained on it: a second an epoch of each training; its value,
    its loss and whether it diverged come from `judged(batch size, rate)`."""

    def make(rows=300, judged=lambda b, lr: (50.0, 1.0, False), losses=()):
        clock, trained, given = Clock(), [], iter(losses)

        class Training:
            def __init__(self, task, batch_size, lr, seed, epochs):
                self.batch_size, self.lr, self.seed, self.epochs, self.done = batch_size, lr, seed, epochs, 0
                self.optimizer = SimpleNamespace(param_groups=[{"lr": lr}, {"lr": lr}])
                self.value, self.loss, self.diverged = judged(batch_size, lr)
                self.rates = []
                trained.append(self)

            def advance(self, epoch):
                self.done, clock.now = epoch, clock.now + 1

            def judge(self):
                return SimpleNamespace(value=self.value, loss=self.loss)

            def step_loss(self):
                self.rates.append([group["lr"] for group in self.optimizer.param_groups])
                return next(given)

        monkeypatch.setattr(ways, "Training", Training)
        return SimpleNamespace(clock=clock, train=range(rows), smallest=8, fits=0), trained

    return make


def test_the_grid_tries_five_rates_half_a_decade_apart_at_five_sizes_around_32(made):
    task, trained = made(judged=lambda b, lr: (100 - abs(b - 64) - abs(math.log10(lr) + 2.5), 1.0, False))
    found = ways.grid_search(task, 3, math.inf, 0.001, 7)
    assert sorted({t.batch_size for t in trained}) == [8, 16, 32, 64, 128]
    rates = sorted({t.lr for t in trained})
    assert rates == pytest.approx([1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2])
    assert {(t.seed, t.epochs, t.done) for t in trained} == {(7, 3, 3)} and len(trained) == 25
    assert (found["batch_size"], found["trainings"]) == (64, 25) and found["lr"] == pytest.approx(10**-2.5)


def test_the_grid_keeps_to_what_the_task_can_train(made):
    task, trained = made(rows=32)
    ways.grid_search(task, 1, math.inf, 0.001, 0)
    assert {t.batch_size for t in trained} == {8, 16, 32}


@pytest.mark.parametrize(
    "budget, rounds", [(0.5, 1), (24.0, 1), (49.0, 1), (50.0, 2), (74.0, 2), (75.0, 3), (1e9, 4)]
)
def test_the_grid_ends_before_a_round_that_the_budget_does_not_hold(made, budget, rounds):
    """25 trainings of a second an epoch: the next round takes as long as the last one."""
    task, trained = made()
    task.clock.now = 1000.0
    ways.grid_search(task, 4, budget, 0.001, 0)
    assert {t.done for t in trained} == {rounds}


def test_of_equal_cells_the_grid_takes_the_lower_loss_and_none_that_failed(made):
    def judged(b, lr):
        rate = round(2 * math.log10(lr / 0.001))
        return {
            (8, 0): (99.0, 1.0, True),  # diverged
            (16, 0): (98.0, math.inf, False),
            (32, 1): (90.0, 0.4, False),
            (64, -1): (90.0, 0.3, False),
        }.get((b, rate), (80.0, 0.1, False))

    task, _ = made(judged=judged)
    found = ways.grid_search(task, 1, math.inf, 0.001, 0)
    assert found["batch_size"] == 64 and found["lr"] == pytest.approx(10**-3.5)
    task, _ = made(judged=lambda b, lr: (99.0, math.nan, False))
    found = ways.grid_search(task, 1, math.inf, 0.001, 0)
    assert (found["batch_size"], found["lr"]) == (32, 0.001)  # where all fail, the default


def smoothed(losses, beta=0.98):
    """Means of the losses so far, a step back weighing 0.98 times as much: what averaging with a start of
    zero and its correction comes to."""
    return [np.average(losses[: k + 1], weights=beta ** np.arange(k, -1, -1.0)) for k in range(len(losses))]


def steepest(losses):
    """The rate of PyTorch Lightning's suggestion: of 100 rates from 1e-8 to 1, the one at which the smoothed
    losses fall most from the step before to the step after; ten steps and the last are left out."""
    kept = smoothed(losses)[10:-1]
    falls = [kept[1] - kept[0], *(np.subtract(kept[2:], kept[:-2]) / 2), kept[-1] - kept[-2]]
    return 10 ** (-8 + 8 * (10 + int(np.argmin(falls))) / 99)


def test_the_range_test_takes_the_rate_of_steepest_descent(made, monkeypatch):
    monkeypatch.setattr(ways, "step_seconds", lambda task, b: 0.0)
    for turn in (30, 60, 94, 97):  # a fall that is steepest there
        losses = [2 - math.tanh((k - turn) / 3) for k in range(100)]
        task, _ = made(losses=losses)
        found = ways.range_test(task, 1.0, 0)
        assert found["lr"] == pytest.approx(steepest(losses)), turn
        assert (found["batch_size"], found["trainings"]) == (300, 1)


def test_the_range_test_goes_from_rate_to_rate_and_ends_where_the_loss_is_four_times_the_least(
    made, monkeypatch
):
    monkeypatch.setattr(ways, "step_seconds", lambda task, b: 0.0)
    losses = [1.0] * 40 + [20.0] * 60
    task, trained = made(losses=losses)
    ways.range_test(task, 1.0, 0)
    rates = trained[0].rates
    last = next(k for k, mean in enumerate(smoothed(losses)) if mean > 4)
    assert len(rates) == last + 1 and trained[0].epochs == 100
    assert [r for r, _ in rates] == [r for _, r in rates]  # every group of parameters
    np.testing.assert_allclose([r for r, _ in rates], [10 ** (-8 + 8 * k / 99) for k in range(last + 1)])


@pytest.mark.parametrize("steps, told", [(12, False), (13, True)])
def test_a_range_test_that_ends_early_takes_the_least_rate(made, monkeypatch, steps, told):
    """Ten steps and the last are left out; of what is left it takes two to see a descent."""
    monkeypatch.setattr(ways, "step_seconds", lambda task, b: 0.0)
    losses = [5.0 - 0.1 * k for k in range(steps - 1)] + [1e6]
    task, _ = made(losses=losses)
    assert (ways.range_test(task, 1.0, 0)["lr"] > 1e-8) == told
    task, _ = made(losses=[math.nan] + losses)
    assert ways.range_test(task, 1.0, 0)["lr"] == 1e-8


def test_the_range_test_halves_the_batch_until_its_hundred_steps_fit(made, monkeypatch):
    monkeypatch.setattr(ways, "step_seconds", lambda task, b: b / 100)
    for budget, size in ((300.0, 300), (299.0, 150), (75.0, 75), (74.0, 37), (0.0, 4)):
        task, trained = made(losses=[1.0] * 100)
        assert ways.range_test(task, budget, 0)["batch_size"] == size
        assert trained[0].epochs == pytest.approx(100 / math.ceil(300 / size))


@pytest.mark.parametrize("method", ways.METHODS)
def test_each_way_is_asked_for_its_own_choice_and_its_time_is_taken(monkeypatch, method):
    elapsed, worked = iter([5.0, 7.5]), iter([1.0, 2.25])
    clocks = SimpleNamespace(perf_counter=lambda: next(elapsed), process_time=lambda: next(worked))
    monkeypatch.setattr(ways, "time", clocks)
    asked = {
        "recommended": "_recommended",
        "Algorithm 2": "_by_algorithm_2",
        "grid of 25": "grid_search",
        "range test": "range_test",
    }
    for name, function in asked.items():
        monkeypatch.setattr(ways, function, lambda *given, name=name: {"reason": name})
    on = SimpleNamespace(name="wine", base_lr=0.001, epochs=50, task=lambda clock: None)
    row = ways.decide(on, method, 43)
    assert (row["problem"], row["method"], row["seed"]) == ("wine", method, 43)
    if method == "always 32":
        assert (row["batch_size"], row["lr"], row["reason"]) == (32, 0.001, "fixed")
        nothing = {row[what] for what in ("warmup_epochs", "trainings", "seconds", "cpu_seconds")}
        assert nothing == {0}
    else:
        assert (row["reason"], row["seconds"], row["cpu_seconds"]) == (method, 2.5, 1.25)


def test_recorded_choices_took_the_budgets():
    """The grid, which takes all that it gets unless it is done, used more than half of each budget; so was
    every problem given one."""
    assert set(ways.BUDGET) == set(PROBLEMS)
    table = tables.table("choices", ways.CHOICES)
    grid = table[table["method"] == "grid of 25"].groupby("problem")["cpu_seconds"].median()
    for name, used in grid.items():
        assert 0.6 < used / ways.BUDGET[name] < 2, name
