"""Algorithm 2 on scripted trials, against a second reading of the steps; training; what a reader may give
wrongly."""

import json
import math
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bbatch
from bbatch import published
from bbatch.choosing import algorithm_2
from bbatch.choosing.algorithm_2 import follow, start
from bbatch.choosing.selecting import select_batch_size
from bbatch.choosing.training import Fit
from bbatch.errors import BadInput
from factories import AMPLE, HELD, TRAIN, X, Y, net


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
    """The same procedure written down another way: a walk over exponents of two, halving first, then
    doubling."""
    c = math.prod(
        (b / math.sqrt(m)) ** 0.2
        for b, m in zip(
            published.critical()["critical_batch_size"], (800, 8000, 40000, 60000, 50000), strict=True
        )
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
def test_the_start_is_the_branch_member_nearest_to_32_within_the_bound_at_a_rate_of_the_interval(n):
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
    c = (
        math.prod(
            b / math.sqrt(n[d]) for b, d in zip(table["critical_batch_size"], table["dataset"], strict=True)
        )
        ** 0.2
    )
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


def test_a_score_that_is_just_acceptable_is_acceptable():
    slow = scripted(gaps=lambda b: 1.0, seconds=lambda b: 9.0, score=lambda b: 90.0)
    for acceptable, doubled in ((90.0, True), (90.1, False)):
        trials = follow(slow, 40_000, seconds_per_training=1.0, acceptable=acceptable)[1]
        assert (len(trials) > 1) == doubled


def test_divergence_halves_and_a_trial_cut_short_ends_it():
    best, trials = follow(scripted(lambda b: 0, diverged=lambda b: b > 8), 1000)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8] and best.batch_size == 8
    best, trials = follow(scripted(lambda b: 9, complete=lambda b: b > 8), 1000)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8] and best.batch_size == 32
    cut = scripted(lambda b: 9, diverged=lambda b: b > 16, complete=lambda b: b > 16)
    best, trials = follow(cut, 1000)  # one that diverged is no choice, whatever was cut short
    assert [t.batch_size for t, _ in trials] == [32, 16] and best.batch_size == 16 and not best.diverged


def test_a_model_that_needs_two_samples_is_not_tried_with_one():
    _, trials = follow(scripted(lambda b: 9), 1000, smallest=2)
    assert [t.batch_size for t, _ in trials] == [32, 16, 8, 4, 2]


ACCURACY_FALLS = scripted(lambda b: 0, lambda b: 99.0, lambda b: 90 - (b > 64) * 1.5)


@pytest.mark.parametrize(
    "training, n, more, decisions",
    [
        (
            scripted(lambda b: 9.0 * (b > 16)),
            1000,
            {},
            ["gap 9.0 above 5 points: halved", "kept: the gap is within the limit and the time too"],
        ),
        (
            scripted(lambda b: 9.0),
            1000,
            {"smallest": 16},
            [
                "gap 9.0 above 5 points: halved",
                "gap 9.0 above 5 points, but B = 8 is too small to train: the end",
            ],
        ),
        (
            scripted(lambda b: 9.0 * (b > 64), lambda b: 99.0),
            10**6,
            {"seconds_per_training": 3.0},
            ["99 s above 3 s: doubled", "gap 9.0 above 5 points, but B = 64 was tried before: the end"],
        ),
        (
            scripted(lambda b: 0.0, lambda b: 640 / b),
            10**5,
            {"seconds_per_training": 4.0},
            [
                "10 s above 4 s: doubled",
                "5 s above 4 s: doubled",
                "kept: the gap is within the limit and the time too",
            ],
        ),
        (
            scripted(lambda b: 0.0, lambda b: 640 / b),
            10**5,
            {"seconds_per_training": 0.1},
            [
                "10 s above 0.1 s: doubled",
                "5 s above 0.1 s: doubled",
                "2.5 s above 0.1 s, but B = 512 exceeds the bound c√N = 379: the end",
            ],
        ),
        (
            ACCURACY_FALLS,
            10**6,
            {"seconds_per_training": 1.0},
            ["99 s above 1 s: doubled", "99 s above 1 s, but accuracy not acceptable: the end"],
        ),
        (
            scripted(lambda b: 0.0, diverged=lambda b: b > 16, complete=lambda b: b > 16),
            1000,
            {},
            ["diverged: halved", "cut short by the budget"],
        ),
    ],
)
def test_each_decision_says_why(training, n, more, decisions):
    assert [why for _, why in follow(training, n, **more)[1]] == decisions


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


# The whole


def test_a_selection_says_what_it_did_and_why(capsys):
    at, worked = time.perf_counter(), time.process_time()
    found = select_batch_size(net, TRAIN, HELD, epochs=3, budget=AMPLE)
    assert 0 < found.seconds <= time.perf_counter() - at
    assert 0 < found.cpu_seconds <= time.process_time() - worked
    err = capsys.readouterr().err
    assert "an epoch at B = 16; " in err
    assert found.reasons[0] == (
        "N = 300 rows: the paper starts from B = 16 or 32 with rates from 0.001 to 0.003, and bounds B by "
        f"c√N = {algorithm_2.bound(300):.0f}; this starts at 16."
    )
    assert "Algorithm 2: about" in err and "3600 s at most" in err
    assert found.batch_size == found.trials["batch_size"].iloc[-1] == start(
        300
    ) and found.lr == pytest.approx(0.0005)
    assert found.trials["gap"].equals(found.trials["train_score"] - found.trials["validation_score"])
    assert "batch size 16, learning rate 0.0005" in repr(found) and "N = 300 rows" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found.rows()) >= 4
    assert json.loads(json.dumps(found.to_dict()))["trials"][0]["batch_size"] == found.batch_size
    with pytest.raises(AttributeError):
        found.batch_size = 7


def test_the_package_exports_it_and_is_light():
    import subprocess
    import sys

    assert bbatch.select_batch_size is select_batch_size and callable(bbatch.recommend)
    with pytest.raises(AttributeError):
        _ = bbatch.nothing
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


BAD = [
    *[
        (dict(budget=b), "budget is .*; it must be a finite number above 0")
        for b in (0, -1, math.nan, math.inf, "60", True)
    ],
    (dict(budget=1e-9), "a budget of 1e-09 s is too small for one epoch, which takes about"),
    *[(dict(epochs=e), "number of epochs is .*; it must be a whole number") for e in (0, -1, 2.5, "3", True)],
    *[(dict(seed=s), "seed is .*; it must be a whole number") for s in (-1, 0.5, None)],
    *[(dict(base_lr=r), "base_lr is .*; it must be a finite number above 0") for r in (-1, math.nan, "0.1")],
    (dict(seed=2**32 - 1, budget=-1), "budget is -1"),  # the largest seed that there is
    (dict(seed=2**32), "seed is 4294967296"),
    (dict(seconds_per_training=-1), "seconds_per_training is -1"),
    (dict(acceptable=101), "acceptable is 101"),
    (dict(validation=(X[300:], Y[300:] + 5)), "validation labels run from 5"),
]


@pytest.mark.parametrize("wrong, said", BAD, ids=[str(k) for k in range(len(BAD))])
def test_bad_input_is_one_sentence(wrong, said, capsys):
    given = dict(model=net, train=TRAIN, validation=HELD, epochs=1, progress=False) | wrong
    with pytest.raises(BadInput) as refusal:
        select_batch_size(**given)
    text = str(refusal.value)
    assert re.search(said, text) and text.endswith(".") and "\n" not in text and len(text) > 20, text
    assert capsys.readouterr().out == ""
