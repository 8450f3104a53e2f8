"""Training and judging, against the same arithmetic by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from bbatch.choosing import judging
from bbatch.choosing import training as module
from bbatch.choosing.judging import Late, judge
from bbatch.choosing.task import Task
from bbatch.choosing.training import Training, epoch_seconds, fit
from bbatch.errors import BadInput
from factories import HELD, TRAIN, X, Y, net

W = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, -1.0])


def line():
    return nn.Linear(6, 1, bias=False)


def plain(parameters, lr):
    return torch.optim.SGD(parameters, lr)


def regression(n=64, **more):
    y = (X @ W)[:, None]
    return Task(line, (X[:n], y[:n]), (X[300:], y[300:]), F.mse_loss, **{"optimizer": plain} | more)


def weights(training):
    return torch.cat([p.detach().flatten() for p in training.model.parameters()])


def test_a_full_batch_of_plain_descent_is_what_the_formula_says():
    task = regression()
    found = fit(task, 64, 0.1, 7, seed=3)
    v, w = task.model(3).weight.detach().double().numpy()[0], W.double().numpy()
    a, held = X[:64].double().numpy(), X[300:].double().numpy()
    first = np.mean((held @ (v - w)) ** 2)
    for _ in range(7):
        v = v - 0.1 * 2 / 64 * a.T @ (a @ (v - w))
    last = np.mean((held @ (v - w)) ** 2)
    assert found.validation_loss == pytest.approx(last, rel=1e-4)
    assert found.validation_score == pytest.approx(100 * (1 - last / first), rel=1e-4)
    assert found.gap == pytest.approx(found.train_score - found.validation_score) and len(found.curve) == 7


def test_a_batch_that_memory_does_not_hold_is_accumulated_and_comes_to_the_same():
    whole, cut = Training(regression(100), 40, 0.05, 1, 3), regression(100)
    cut.fits = 8
    parts = Training(cut, 40, 0.05, 1, 3)
    assert (parts.micro, parts.accumulate, parts.steps_per_epoch) == (8, 5, 3)
    for training in (whole, parts):
        training.advance(3)
    assert parts.done == whole.done == 9 and torch.allclose(weights(parts), weights(whole), atol=1e-6)


def test_a_training_in_stretches_sees_the_same_rows_at_the_same_rates():
    def scheduled(parameters, lr, steps):
        made = torch.optim.SGD(parameters, lr)
        return made, torch.optim.lr_scheduler.LambdaLR(made, lambda k: 1 - k / steps)

    for optimizer, warmup in ((plain, 1.5), (scheduled, 0)):
        one, other = (
            Training(regression(100, optimizer=optimizer), 16, 0.05, 1, 4, warmup) for _ in range(2)
        )
        assert one.advance(4)
        for epochs in (0.3, 1, 2.7, 4):
            assert other.advance(epochs)
            other.judge()
        assert one.done == other.done == 28 and torch.equal(weights(one), weights(other))


def test_warm_up_climbs_from_a_step_to_the_rate_and_a_scheduler_does_without():
    rates = []

    class Noted(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    def scheduled(parameters, lr, steps):
        made = Noted(parameters, lr)
        return made, torch.optim.lr_scheduler.LambdaLR(made, lambda k: 1 - k / steps)

    def by_epoch(parameters, lr):
        made = Noted(parameters, lr)
        return made, torch.optim.lr_scheduler.ExponentialLR(made, 0.5)

    for optimizer, expected in (
        (lambda p, lr: Noted(p, lr), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6]),
        (scheduled, [0.6 * (1 - k / 9) for k in range(9)]),
        (by_epoch, [0.6] * 3 + [0.3] * 3 + [0.15] * 3),
    ):
        rates.clear()
        Training(Task(net, TRAIN, HELD, optimizer=optimizer), 100, 0.6, 0, 3, warmup=2).advance(3)
        assert rates[-9:] == pytest.approx(expected)


def test_a_step_alone_draws_as_a_training_does_and_goes_on_from_where_it_stands():
    """`step_loss`, step by step, makes the weights that `advance` makes without dropout; with dropout its
    numbers are those of the seed and of the step."""
    one, other = (Training(regression(100), 16, 0.05, 3, 2) for _ in range(2))
    losses = [one.step_loss() for _ in range(10)]  # seven make an epoch
    other.advance(10 / 7)
    assert one.done == other.done == 10 and torch.allclose(weights(one), weights(other), atol=1e-7)
    assert len(set(losses)) == 10

    task = Task(net, TRAIN, HELD)
    found = Training(task, 300, 1e-9, 5, 3)
    drawn = []
    for step in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(5 * 1_000_003 + step + 1)
            order = torch.randperm(300, generator=torch.Generator().manual_seed(5 * 1_000_003 + step))
            model = task.model(5).train()
            drawn.append(F.cross_entropy(model(TRAIN[0][order]), TRAIN[1][order]).item())
    assert [found.step_loss() for _ in range(2)] == pytest.approx(drawn, rel=1e-5)

    one, other = (Training(task, 100, 0.1, 5, 3) for _ in range(2))
    for step in range(4):
        one.advance((step + 1) / 3)
        other.step_loss()
    assert torch.equal(weights(one), weights(other)), "a stretch of one step draws as a step does"


def test_an_advance_ends_with_true_where_the_training_diverged_or_is_done():
    def broken(out, y):
        return F.cross_entropy(out, y) * math.nan

    diverged = Training(Task(net, TRAIN, HELD, broken), 10, 0.01, 0, 5)
    assert diverged.advance(5) and diverged.diverged and diverged.done == module.LOOK < 5 * 30
    whole = Training(Task(net, TRAIN, HELD), 100, 0.01, 0, 2)
    assert whole.advance(1) and whole.advance(2) and not whole.diverged and whole.done == 6
    assert not whole.advance(3, deadline=0.0) and whole.done == 7


def test_no_stretch_is_shorter_than_a_step():
    training = Training(Task(net, TRAIN, HELD), 100, 0.1, 0, 1)
    training.advance(1e-9)
    assert training.done == 1
    training.advance(1e-9)
    assert training.done == 1


def test_half_an_epoch_is_half_the_steps():
    training = Training(Task(net, TRAIN, HELD), 30, 0.1, 0, 1)
    training.advance(0.5)
    assert (training.done, training.epochs_done) == (5, 0.5)


def test_equal_seeds_give_equal_results_and_the_callers_random_numbers_stay_as_they_were():
    task, state = Task(net, TRAIN, HELD), torch.get_rng_state()
    one, two, other = (fit(task, 32, 0.01, 2, seed=s) for s in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert (one.curve, one.validation_loss) == (two.curve, two.validation_loss)
    assert one.validation_loss != other.validation_loss


class Listed(Dataset):
    def __len__(self):
        return 300

    def __getitem__(self, k):
        return TRAIN[0][k], int(TRAIN[1][k])


def test_tensors_arrays_and_data_sets_give_the_same():
    arrays = (TRAIN[0].double().numpy(), TRAIN[1].to(torch.int32).numpy())
    sources = (TRAIN, TensorDataset(*TRAIN), Listed(), arrays)
    # without dropout: a loader draws numbers of its own
    losses = [
        fit(Task(lambda: nn.Linear(6, 2), source, HELD), 50, 0.01, 2).validation_loss for source in sources
    ]
    assert losses == [losses[0]] * 4


def test_batch_normalization_survives_a_last_batch_of_one():
    def factory():
        return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

    task = Task(factory, (X[:65], Y[:65]), HELD)
    assert task.smallest == 2 and fit(task, 32, 0.01, 1).epochs == 1


def test_a_diverged_training_stops_and_says_so():
    def broken(out, y):
        return F.cross_entropy(out, y) * (math.nan if out.requires_grad and calls.append(1) is None else 1)

    calls = []
    found = fit(Task(net, TRAIN, HELD, broken), 100, 0.01, 5)
    assert found.diverged and found.epochs == 1


# Judging


def test_a_judgement_is_the_mean_over_rows_and_its_pieces_add_up_to_it():
    task = Task(net, TRAIN, HELD)
    model = task.model(0)
    found = judge(task, model, task.validation)
    out = model.eval()(HELD[0])
    assert found.loss == pytest.approx(F.cross_entropy(out, HELD[1]).item())
    assert found.value == pytest.approx(100 * (out.argmax(1) == HELD[1]).float().mean().item())
    assert len(found.losses) >= 10 and found.shares.sum() == pytest.approx(1)
    assert found.losses @ found.shares == pytest.approx(found.loss)
    assert found.values @ found.shares == pytest.approx(found.value)
    rough = judge(task, model, task.validation, most=40)
    assert rough.loss != found.loss and rough.loss == judge(task, model, task.validation, most=40).loss


def test_a_metric_is_of_all_rows_at_once_and_one_of_model_and_batch_a_mean():
    def spread(outputs, targets):
        return (outputs[:, 1] - outputs[:, 0]).std()

    def share(model, batch):
        return (model(batch[0]).argmax(1) == batch[1]).float().mean()

    for metric in (spread, share):
        task = Task(net, TRAIN, HELD, metric=metric)
        model = task.model(0)
        found, out = judge(task, model, task.validation), model.eval()(HELD[0])
        expected = spread(out, HELD[1]) if metric is spread else (out.argmax(1) == HELD[1]).float().mean()
        assert found.value == pytest.approx(expected.item(), rel=1e-5) and (found.values is None) == (
            metric is spread
        )


def test_evaluation_takes_pieces_that_memory_holds_and_keeps_its_deadline():
    largest = []

    class Noted(nn.Linear):
        def forward(self, x):
            largest.append(len(x))
            return super().forward(x)

    many = (X.repeat(10, 1), Y.repeat(10))
    task = Task(lambda: Noted(6, 2), TRAIN, many)
    largest.clear()
    judge(task, task.model(0), task.validation)
    assert max(largest) == judging.PIECE
    task.fits = 4
    largest.clear()
    judge(task, task.model(0), task.validation)
    assert max(largest) == 4 and sum(largest) == 4000
    with pytest.raises(Late):
        judge(task, task.model(0), task.validation, deadline=0.0)


def test_the_deadline_is_kept_and_steps_are_timed(monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now, process_time=lambda: clock.now / 2)
    monkeypatch.setattr(module, "time", clock)

    def slow(out, y):
        clock.now += 0.25 * out.requires_grad
        return F.cross_entropy(out, y)

    task = Task(net, TRAIN, HELD, slow, clock=clock.perf_counter)
    clock.now = 0.0
    found = fit(task, 1, 0.01, 50, deadline=10.0)
    assert not found.complete and found.epochs == 41 / 300  # begun at 10.0, the last is allowed
    assert (found.seconds, found.cpu_seconds) == (41 / 4, 41 / 8)
    assert epoch_seconds(task, 4) == pytest.approx(75 * 0.25)


@pytest.mark.parametrize(
    "took, stretches, quickest",
    [
        ([0.5] * 25 + [0.25] * 25 + [0.125] * 10, [60], 75.0),  # ten are too few to tell
        ([0.25] * 25 + [0.5] * 25, [50], 75.0),
        ([0.25] * 49, [24, 49], 75.0),
        ([0.25] * 49, [24, 48, 49], math.inf),
    ],
)
def test_the_quickest_25_steps_of_a_stretch_tell_the_pace_of_an_epoch(took, stretches, quickest):
    clock, left = SimpleNamespace(now=0.0), iter([0.0] * 100)

    def timed(out, y):
        clock.now += next(left) if out.requires_grad else 0.0
        return F.cross_entropy(out, y)

    task = Task(net, TRAIN, HELD, timed, clock=lambda: clock.now)
    left, training = iter(took), Training(task, 1, 1e-9, 0, 1)
    for steps in stretches:
        training.advance(steps / 300)
    assert training.quickest_epoch == quickest and training.seconds == sum(took)


class Timed:
    """A training of ten steps an epoch that take what `took` says, the last of it again and again."""

    def __init__(self, clock, took):
        self.clock, self.took, self.asked = clock, took, []
        self.steps_per_epoch, self.done, self.seconds, self.diverged = 10, 0, 0.0, False

    def advance(self, epochs, deadline=math.inf):
        self.asked.append((round(epochs * 10), deadline))
        assert not self.diverged
        while self.done < round(epochs * 10):
            step = self.took[min(self.done, len(self.took) - 1)]
            self.clock.now, self.seconds, self.done = (
                self.clock.now + step,
                self.seconds + step,
                self.done + 1,
            )
        self.diverged = True


@pytest.mark.parametrize(
    "took, more, ends, epoch",
    [
        # a first step in less than the second that is wanted: rounds of three until the second is over
        ([0.5, 0.0625], {}, [1, 4, 7, 10], 0.625),
        ([0.5] + [0.25] * 3 + [0.125] * 3, {}, [1, 4, 7], 1.25),  # the quicker round
        ([0.5] + [0.125] * 3 + [0.25] * 3, {}, [1, 4, 7], 1.25),
        ([1.0, 0.5], {}, [1, 2, 3], 5.0),  # a first step that takes the second: two rounds of one
        ([0.0], {}, [1, *range(4, 62, 3)], 0.0),  # no more than twenty
        ([15.0, 6.0], {}, [1, 2], 60.0),  # no more than twenty seconds
        ([14.0, 6.0], {}, [1, 2, 3], 60.0),  # they are over at 26
        ([1.0, 0.5], {"deadline": 101.25}, [1, 2], 5.0),
        ([1.0, 0.5], {"deadline": 101.5}, [1, 2, 3], 5.0),
        ([0.5, 0.0625], {"workers": 2}, [1, 11, 21], 0.625),
    ],
)
def test_an_epoch_is_timed_by_the_quickest_of_a_few_rounds(took, more, ends, epoch, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    training, asked = Timed(clock, took), []
    monkeypatch.setattr(module, "Training", lambda *given: asked.append(given) or training)
    loader = SimpleNamespace(num_workers=more.get("workers", 0))
    task = SimpleNamespace(clock=lambda: clock.now, train=SimpleNamespace(loader=loader))
    deadline = more.get("deadline", math.inf)
    assert epoch_seconds(task, 32, 1.0, deadline) == pytest.approx(epoch)
    assert asked == [(task, 32, 1e-9, 0, 1)] and [end for end, _ in training.asked] == ends
    assert {late for _, late in training.asked[1:]} == {min(deadline, 120.0)}
    task.train.loader, training.diverged = None, False
    assert epoch_seconds(task, 32, 1.0) >= 0


@pytest.mark.parametrize("took, ends", [([0.06, 0.001], [1, 2, 3]), ([0.06, 1.0], [1, 2])])
def test_a_twentieth_of_a_second_is_enough_to_time_an_epoch_and_a_second_the_most(took, ends, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    training = Timed(clock, took)
    monkeypatch.setattr(module, "Training", lambda *given: training)
    epoch_seconds(SimpleNamespace(clock=lambda: clock.now, train=SimpleNamespace(loader=None)), 32)
    assert [end for end, _ in training.asked] == ends
    assert {late for _, late in training.asked[1:]} == {1.0}


def test_a_judgement_that_the_deadline_cuts_short_ends_a_training():
    """Ten pieces of the validation rows, a second each: the untrained model, the first epoch, half of the
    second."""
    clock = SimpleNamespace(now=0.0)

    def timed(out, y):
        clock.now += not out.requires_grad
        return F.cross_entropy(out, y)

    task = Task(net, TRAIN, HELD, timed, clock=lambda: clock.now)
    clock.now = 0.0
    found = fit(task, 100, 0.01, 3, deadline=25.0)
    assert not found.complete and not found.diverged and len(found.curve) == 1 and found.epochs == 2


def test_a_step_is_its_share_of_an_epoch(monkeypatch):
    monkeypatch.setattr(module, "epoch_seconds", lambda task, batch_size: 6.0)
    assert module.step_seconds(SimpleNamespace(train=range(100)), 40) == 2.0


@pytest.mark.parametrize(
    "fits, size, cut",
    [(0, 40, (40, 1)), (40, 40, (40, 1)), (39, 40, (20, 2)), (8, 40, (8, 5)), (7, 40, (7, 6))],
)
def test_a_batch_is_cut_into_as_few_equal_parts_as_memory_holds(fits, size, cut):
    assert module.parts(SimpleNamespace(fits=fits), size) == cut


def test_a_loss_below_zero_cannot_be_judged_in_percent():
    task = Task(net, TRAIN, HELD, lambda model, batch: -model(batch[0]).square().mean())
    with pytest.raises(BadInput, match="not above 0 cannot be judged in percent"):
        fit(task, 32, 0.01, 1)


def test_few_rows_are_pieces_of_one_and_one_piece_is_whole():
    task = regression()
    shares = [share for _, share in judging.pieces(task, task.validation, most=5)]
    assert shares == pytest.approx([0.2] * 5)
    whole = judging._joined(({"a": torch.ones(2), "b": torch.zeros(2, 3)},))
    assert whole["a"].tolist() == [1, 1] and whole["b"].shape == (2, 3)
    both = judging._joined((torch.ones(2), torch.zeros(1)))
    assert both.tolist() == [1, 1, 0]


def test_what_a_metric_is_given_has_32_bits_where_it_is_a_score_and_stays_a_class():
    assert judging._kept(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32
    assert judging._kept(torch.ones(2, dtype=torch.int64)).dtype == torch.int64


@pytest.mark.parametrize(
    "where, said",
    [
        ("optimizer", "training with B = 8 fails at step 3 .TypeError: no more"),
        ("scheduler", "training with B = 8 fails at step 2 .TypeError: no more"),  # called once at the start
        ("loss", "no more"),
    ],
)
def test_what_fails_in_the_middle_is_named_with_its_step(where, said):
    """The checks before any training make one step; the reader's code may fail at a later one."""
    calls = []

    def third(result=None):
        calls.append(1)
        if len(calls) == 3:
            raise TypeError("no more")
        return result

    class Failing(torch.optim.SGD):
        def step(self, closure=None):
            third()
            return super().step(closure)

    def scheduled(parameters, lr, steps):
        optimizer = torch.optim.SGD(parameters, lr)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: third(1.0))

    more = {"optimizer": Failing, "scheduler": scheduled, "loss": plain}[where]
    task = regression(optimizer=more)
    if where == "loss":
        task.adapter.loss = lambda o, t: third(F.mse_loss(o, t))
    calls.clear()
    with pytest.raises(BadInput, match=said):
        Training(task, 8, 0.1, 1, 3).advance(3)
