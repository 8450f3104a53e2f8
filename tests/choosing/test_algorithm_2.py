"""Algorithm 2 on scripted trials, against a second reading of the steps; training; what a reader may give wrongly."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import bbatch
from bbatch import cli, published
from bbatch.choosing import algorithm_2, fitting
from bbatch.choosing.algorithm_2 import follow, select_batch_size, start
from bbatch.choosing.fitting import Fit, fit, step_seconds
from bbatch.choosing.recommendation import TRIALS
from bbatch.choosing.task import Rows, Task
from bbatch.errors import BadInput
from factories import AMPLE, HELD, MODULE, TRAIN, X, Y, net


def scripted(
    gaps, seconds=lambda b: 1.0, score=lambda b: 90.0, diverged=lambda b: False, complete=lambda b: True
):
    """A stand-in for training: what it gives depends on the batch size alone."""

    def train(b):
        return Fit(
            b,
            algorithm_2.rate(0.001, b),
            0,
            1,
            0,
            score(b) + gaps(b),
            score(b),
            0.3,
            seconds(b),
            seconds(b),
            complete(b),
            diverged(b),
            (),
        )

    return train


def second_reading(gaps, seconds, score, n, limit_s):
    """The same procedure written down another way: a walk over exponents of two, halving first, then doubling."""
    c = math.prod(
        (b / math.sqrt(m)) ** 0.2
        for b, m in zip(published.critical()["critical_batch_size"], (800, 8000, 40000, 60000, 50000))
    )
    k = 5 if n < 20_000 else 6
    while 2**k > c * math.sqrt(n):
        k -= 1
    walked = [k]
    while gaps(2 ** walked[-1]) > 5 and walked[-1] > 0:
        walked.append(walked[-1] - 1)
    best = max(score(2**j) for j in walked)
    halved = len(walked) > 1
    if gaps(2 ** walked[-1]) <= 5 and not halved:
        while (
            seconds(2 ** walked[-1]) > limit_s
            and score(2 ** walked[-1]) >= best - 1
            and (2 ** (walked[-1] + 1) <= c * math.sqrt(n) and gaps(2 ** walked[-1]) <= 5)
        ):
            best = max(best, score(2 ** walked[-1]))
            walked.append(walked[-1] + 1)
    return [2**j for j in walked]


@pytest.mark.parametrize("n", [16, 113, 711, 712, 4999, 5000, 19_999, 20_000, 60_000, 10**6])
def test_the_start_is_the_branch_member_nearest_to_32_within_the_bound_and_its_rate_lies_in_the_printed_interval(
    n,
):
    pair, (low, high) = algorithm_2.branch(n)
    b = start(n)
    assert b <= algorithm_2.bound(n) and (b in pair or b < min(pair))
    if algorithm_2.bound(n) >= min(pair, key=lambda m: abs(m - 32)):
        assert abs(b - 32) == min(abs(m - 32) for m in pair)
        assert low - 1e-12 <= algorithm_2.rate(published.value("vi-default-lr"), b) <= high
    else:
        assert 2 * b > algorithm_2.bound(n)


def test_branches_meet_where_the_paper_says():
    assert [algorithm_2.branch(n)[0] for n in (4999, 5000, 19_999, 20_000)] == [
        (16, 32),
        (32, 64),
        (32, 64),
        (64, 128),
    ]
    assert [algorithm_2.branch(n)[1] for n in (1, 5000, 20_000)] == [
        (0.001, 0.003),
        (0.001, 0.005),
        (0.002, 0.008),
    ]


def test_the_bound_is_the_geometric_mean_of_table_vi():
    table = published.critical()
    n = {
        "synthetic-1k": 800,
        "synthetic-10k": 8000,
        "synthetic-50k": 40_000,
        "mnist": 60_000,
        "cifar10": 50_000,
    }
    c = math.prod(b / math.sqrt(n[d]) for b, d in zip(table["critical_batch_size"], table["dataset"])) ** 0.2
    assert algorithm_2.bound(10_000) == pytest.approx(100 * c)


CASES = [  # N, gap by B, seconds by B, T; batch sizes tried, chosen
    (1000, lambda b: 3, lambda b: 9, math.inf, [32], 32),
    (1000, lambda b: 5, lambda b: 9, math.inf, [32], 32),  # exactly the limit is not above it
    (1000, lambda b: b / 4, lambda b: 9, math.inf, [32, 16], 16),
    (10**5, lambda b: b / 4, lambda b: 9, math.inf, [64, 32, 16], 16),
    (10**6, lambda b: 0, lambda b: 640 / b, 3, [64, 128, 256], 256),  # doubled until the time suffices
    (
        10**5,
        lambda b: 0,
        lambda b: 640 / b,
        0.1,
        [64, 128, 256],
        256,
    ),  # ... or the bound c√N = 379 is reached
    (
        10**6,
        lambda b: 9 * (b > 64),
        lambda b: 99,
        3,
        [64, 128],
        64,
    ),  # doubling opens the gap; 64 was tried before
    (
        1000,
        lambda b: 9 * (b > 16),
        lambda b: 99,
        3,
        [32, 16],
        16,
    ),  # halving costs time; forth to 32 was tried before
]


@pytest.mark.parametrize("n, gaps, seconds, limit, tried, chosen", CASES)
def test_scripted_trials(n, gaps, seconds, limit, tried, chosen):
    best, trials = follow(scripted(gaps, seconds), n, seconds_per_training=limit)
    assert [t.batch_size for t, _ in trials] == tried and best.batch_size == chosen
    assert all(t.lr == pytest.approx(0.001 * t.batch_size / 32) for t, _ in trials)
    assert all(why for _, why in trials)


def test_where_nothing_keeps_the_limit_the_best_validation_score_wins():
    best, trials = follow(scripted(lambda b: 20, score=lambda b: {8: 95}.get(b, 90)), 1000)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8, 4, 2, 1] and best.batch_size == 8


def test_a_doubling_that_costs_accuracy_is_not_kept():
    training = scripted(lambda b: 0, lambda b: 99, lambda b: 90 - (b > 64) * 1.5)
    best, trials = follow(training, 10**6, seconds_per_training=1)
    assert [t.batch_size for t, _ in trials] == [64, 128] and best.batch_size == 64
    best, _ = follow(training, 10**6, seconds_per_training=1, acceptable=80)
    assert best.batch_size == 1024  # the caller finds 80 acceptable: on to the bound


def test_divergence_halves_and_a_trial_cut_short_ends_it():
    best, trials = follow(scripted(lambda b: 0, diverged=lambda b: b > 8), 1000)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8] and best.batch_size == 8
    best, trials = follow(scripted(lambda b: 9, complete=lambda b: b > 8), 1000)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8] and best.batch_size == 32


def test_a_model_that_needs_two_samples_is_not_tried_with_one():
    _, trials = follow(scripted(lambda b: 9), 1000, smallest=2)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8, 4, 2]


def test_warm_up_comes_with_256_and_takes_half_of_the_training_at_most():
    assert [algorithm_2.warmup(b, 50) for b in (128, 255, 256, 1024)] == [0, 0, 5, 5] and algorithm_2.warmup(
        256, 4
    ) == 2


@settings(deadline=None, max_examples=50)
@given(st.integers(16, 10**7), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, math.inf]))
def test_it_always_ends_never_repeats_and_agrees_with_a_second_reading(n, seed, limit):
    draws = np.random.default_rng(seed).uniform(size=(24, 3))
    gaps, seconds, score = (
        lambda b, j=j, s=s: s * draws[int(math.log2(b)), j] for j, s in ((0, 8), (1, 2), (2, 1.5))
    )
    best, trials = follow(scripted(gaps, seconds, score), n, seconds_per_training=limit)
    tried = [t.batch_size for t, _ in trials]
    assert len(set(tried)) == len(tried) and max(tried) <= algorithm_2.bound(n) and best.batch_size in tried
    assert tried == second_reading(gaps, seconds, score, n, limit)


# Training


def test_a_full_batch_of_plain_descent_is_what_the_formula_says():
    x, w = X[:64].double().float(), torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, -1.0])
    y = (x @ w)[:, None]

    def factory():
        m = nn.Linear(6, 1, bias=False)
        nn.init.normal_(m.weight)
        return m

    held = Rows((X[64:128], (X[64:128] @ w)[:, None]), "validation")
    task = Task(
        factory, Rows((x, y), "training"), held, nn.functional.mse_loss, lambda p, lr: torch.optim.SGD(p, lr)
    )
    found = fit(task, 64, 0.1, 7, seed=3)
    v = task.model(3).weight.detach().double().numpy()[0]
    a, b = x.double().numpy(), y.double().numpy()[:, 0]
    first = np.mean((X[64:128].double().numpy() @ (v - w.double().numpy())) ** 2)
    for _ in range(7):
        v = v - 0.1 * 2 / 64 * a.T @ (a @ v - b)
    last = np.mean((X[64:128].double().numpy() @ (v - w.double().numpy())) ** 2)
    assert found.validation_loss == pytest.approx(last, rel=1e-4)
    assert found.validation_score == pytest.approx(100 * (1 - found.validation_loss / first), rel=1e-4)
    assert found.gap == pytest.approx(found.train_score - found.validation_score) and len(found.curve) == 7


def test_accuracy_of_the_weights_that_training_ends_with():
    kept = []
    task = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"))
    found = fit(
        task, 20, 0.01, 3, watch=lambda m, e: kept.append((e, [p.detach().clone() for p in m.parameters()]))
    )
    model = net()
    for p, value in zip(model.parameters(), kept[-1][1]):
        p.data = value
    model.eval()
    assert [e for e, _ in kept] == [1, 2, 3]
    assert found.validation_score == pytest.approx(
        100 * (model(HELD[0]).argmax(1) == HELD[1]).float().mean().item()
    )
    assert found.train_score == pytest.approx(
        100 * (model(TRAIN[0]).argmax(1) == TRAIN[1]).float().mean().item()
    )


def test_equal_seeds_give_equal_results_and_the_callers_random_numbers_stay_as_they_were():
    task = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"))
    state = torch.get_rng_state()
    one, two, other = (fit(task, 32, 0.01, 2, seed=s) for s in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert (one.curve, one.validation_loss) == (two.curve, two.validation_loss)
    assert one.validation_loss != other.validation_loss


class Listed(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, k):
        return self.x[k], int(self.y[k])


def test_tensors_arrays_and_data_sets_give_the_same():
    losses = [
        fit(Task(net, Rows(a, "training"), Rows(b, "validation")), 50, 0.01, 2).validation_loss
        for a, b in (
            (TRAIN, HELD),
            (TensorDataset(*TRAIN), TensorDataset(*HELD)),
            (Listed(*TRAIN), Listed(*HELD)),
            tuple((x.double().numpy(), y.to(torch.int32).numpy()) for x, y in (TRAIN, HELD)),
        )
    ]
    assert losses == [losses[0]] * 4


def test_half_an_epoch_is_half_the_steps_and_warm_up_climbs_from_a_step_to_the_rate():
    rates = []

    class Noted(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    task = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"), optimizer=lambda p, lr: Noted(p, lr))
    assert fit(task, 30, 0.1, 0.5).epochs == 0.5 and len(rates) == 5
    rates.clear()
    fit(task, 100, 0.6, 3, warmup_epochs=2)
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6])


def test_batch_normalization_survives_a_last_batch_of_one():
    def factory():
        return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

    task = Task(factory, Rows((X[:65], Y[:65]), "training"), Rows(HELD, "validation"))
    assert task.smallest == 2 and fit(task, 32, 0.01, 1).epochs == 1


def test_a_diverged_training_stops_and_says_so():
    def broken(out, y):
        return nn.functional.cross_entropy(out, y) * (math.nan if out.requires_grad else 1)

    task = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"), broken)
    found = fit(task, 100, 0.01, 5)
    assert found.diverged and found.epochs == 1


def test_the_deadline_is_kept_within_an_epoch_and_steps_are_timed(monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now, process_time=lambda: clock.now / 2)
    monkeypatch.setattr(fitting, "time", clock)

    def slow(out, y):
        clock.now += 0.25 * out.requires_grad
        return nn.functional.cross_entropy(out, y)

    task = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"), slow)
    clock.now = 0.0
    found = fit(task, 1, 0.01, 50, deadline=10.0)
    assert not found.complete and found.epochs == 41 / 300  # begun at 10.0, the last is allowed
    assert (found.seconds, found.cpu_seconds) == (41 / 4, 41 / 8)
    assert step_seconds(task, 4) == 0.25


# The whole


def test_a_selection_says_what_it_did_and_why(capsys):
    found = select_batch_size(net, TRAIN, HELD, epochs=3, budget=AMPLE)
    err = capsys.readouterr().err
    assert "Algorithm 2: about" in err and "3600 s at most" in err
    assert found.batch_size == found.trials["batch_size"].iloc[-1] == start(
        300
    ) and found.lr == pytest.approx(0.0005)
    assert list(found.trials.columns) == TRIALS and found.trials["gap"].equals(
        found.trials["train_score"] - found.trials["validation_score"]
    )
    assert "batch size 16, learning rate 0.0005" in repr(found) and "N = 300 rows" in repr(found)
    assert found._repr_html_().count("<li>") == len(found.reasons) >= 2
    with pytest.raises(AttributeError):
        found.batch_size = 7


def test_the_package_exports_it_and_is_light():
    import subprocess
    import sys

    assert bbatch.select_batch_size is select_batch_size and callable(bbatch.measure_batch_size)
    with pytest.raises(AttributeError):
        bbatch.nothing
    code = "import bbatch, sys; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_time_leads_to_larger_batches_and_budget_to_an_end():
    found = select_batch_size(
        net,
        (X.repeat(30, 1), Y.repeat(30)),
        HELD,
        epochs=2,
        seconds_per_training=1e-6,
        budget=AMPLE,
        progress=False,
    )
    assert (
        found.trials["batch_size"].tolist() == [32, 64, 128][: len(found.trials)] and len(found.trials) >= 2
    )
    assert found.trials["decision"].iloc[-1].endswith(": the end")


SHARED = net()


class Odd(nn.Module):
    def __init__(self, out=None):
        super().__init__()
        self.a, self.out = nn.Linear(6, 2), out

    def forward(self, x):
        return self.out if self.out is not None else (self.a(x), 1)


def _fails():
    raise KeyError("no such file")


def _fitted():
    m = net()
    m.load_state_dict(SHARED.state_dict())
    return m


def _counted():
    m = nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2))
    m(torch.randn(4, 6))
    return m


NAN = X.clone()
NAN[3, 2] = math.nan
NAN[7, 1] = math.inf
BAD = [
    (dict(train=(X[:0], Y[:0])), "training data has 0 rows; at least 16 are needed"),
    (dict(train=(X[:15], Y[:15])), "training data has 15 rows; at least 16"),
    (dict(validation=(X[:3], Y[:3])), "validation data has 3 rows; at least 16"),
    (dict(train=(X[:20], Y[:19])), "20 rows of features and 19 targets"),
    (dict(train=(NAN, Y)), "NaN or infinite features in 2 of 400 rows"),
    (dict(train=Listed(NAN, Y)), "NaN or infinite features"),
    (dict(train=TRAIN, validation=TRAIN), "validation data is the training data itself"),
    (
        dict(train=(X, Y + 1)),
        "training labels run from 1 to 2; the model has 2 outputs, so 0 to 1 are allowed",
    ),
    (dict(train=(X, Y - 1)), "training labels run from -1 to 0"),
    (dict(train=Listed(X, Y + 5)), "training labels run from 5 to 6"),
    (dict(train=(X, Y.float())), "classification needs whole numbers"),
    (dict(train=(X, Y[:, None])), "classification needs whole numbers"),
    (dict(train=(X[:, :4], Y)), "model cannot take features of shape"),
    (dict(train="mnist"), "training data is of type str; give a pair"),
    (dict(train=7), "training data is of type int; give a pair"),
    (dict(train=None), "training data is of type NoneType"),
    (dict(train=(["a"] * 20, Y[:20])), "holds what no tensor can|no tensor"),
    (dict(train=[1, 2, 3] * 9), "does not give pairs"),
    (dict(model_factory=lambda: SHARED), "returns the same model twice"),
    (dict(model_factory=SHARED), "model factory is of type Sequential; give a function"),
    (dict(model_factory=_fitted), "returns a fitted model"),
    (dict(model_factory=_counted), "returns a fitted model"),
    (dict(model_factory=lambda: None), "returns a NoneType|failed with AttributeError"),
    (dict(model_factory=_fails), "model factory failed with KeyError"),
    (dict(model_factory=None), "model factory is of type NoneType"),
    (dict(model_factory=nn.ReLU), "without trainable parameters"),
    (dict(model_factory=Odd), "returns a tuple; it must return a tensor"),
    (dict(loss=lambda o, y: (o.sum(1) - y) ** 2), "more than one number"),
    (dict(loss=lambda o, y: 1 / 0), "loss cannot be computed .ZeroDivisionError"),
    (dict(loss="mse"), "the loss is 'mse'"),
    (dict(optimizer="lion"), "optimizer 'lion' is unknown; allowed are adam, sgd"),
    *[
        (dict(budget=b), "budget is .*; it must be a finite number above 0")
        for b in (0, -1, math.nan, math.inf, "60", True)
    ],
    (dict(budget=1e-9), "a budget of 1e-09 s is too small for one epoch, which takes about"),
    *[(dict(epochs=e), "number of epochs is .*; it must be a whole number") for e in (0, -1, 2.5, "3", True)],
    *[(dict(seed=s), "seed is .*; it must be a whole number") for s in (-1, 0.5, None)],
    *[(dict(base_lr=r), "base_lr is .*; it must be a finite number above 0") for r in (-1, math.nan, "0.1")],
    (dict(seconds_per_training=-1), "seconds_per_training is -1"),
    (dict(acceptable=101), "acceptable is 101"),
]


@pytest.mark.parametrize("wrong, said", BAD, ids=[str(k) for k in range(len(BAD))])
def test_bad_input_is_one_sentence(wrong, said, capsys):
    given = dict(model_factory=net, train=TRAIN, validation=HELD, epochs=1, progress=False) | wrong
    its_own = wrong.keys() & {"seconds_per_training", "acceptable"}
    ways = (select_batch_size,) if its_own else (select_batch_size, bbatch.measure_batch_size)
    for way in ways:
        with pytest.raises(BadInput) as refusal:
            way(**given)
        text = str(refusal.value)
        assert re.search(said, text) and text.endswith(".") and "\n" not in text and len(text) > 20, text
    assert capsys.readouterr().out == ""


MINE = ["recommend", "--model", "mine:make", "--data"]
WORDS = [
    (["recommend"], "give either a built-in problem, or both --model"),
    (["recommend", "wine", "--model", "a:b"], "give either a built-in problem"),
    (["recommend", "--model", "mine:make"], "give either"),
    (["recommend", "wien"], "problem 'wien' is unknown; allowed are synthetic-1k"),
    (
        ["recommend", "--model", "mine", "--data", "mine:data"],
        "--model 'mine' cannot be read; write module:function",
    ),
    (["recommend", "--model", "nowhere:make", "--data", "mine:data"], "module 'nowhere' cannot be imported"),
    (["recommend", "--model", "mine:nothing", "--data", "mine:data"], "module 'mine' has no 'nothing'"),
    ([*MINE, "mine:number"], "is of type int; it must be a function"),
    ([*MINE, "mine:short"], "returns a Tensor; it must return .train, validation."),
    ([*MINE, "mine:broken"], "failed with OSError .gone."),
    (["recommend", "wine", "--epochs", "0"], "number of epochs is 0"),
    (["recommend", "wine", "--budget", "-3"], "budget is -3"),
    (["recommend", "wine", "--budget", "nan"], "budget is nan"),
    (["recommend", "wine", "--optimizer", "lion"], "optimizer 'lion' is unknown"),
    (["recommend", "wine", "--epochs", "x"], "invalid int value"),
]


@pytest.mark.parametrize("words, said", WORDS, ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "")
def test_command_line_refuses_in_a_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(MODULE)
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and re.search(said, printed.err), printed.err
