"""The measured alternative: each part on numbers made for it, then the whole; problems, and regrets by brute force."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from bbatch import cli, data
from bbatch.analysis import regret
from bbatch.choosing import by_measurement, evaluation, limits, problems
from bbatch.choosing.fitting import Fit
from bbatch.choosing.memory_limit import Ceiling, memory_ceiling
from bbatch.choosing.problems import _train_dense, problem
from bbatch.choosing.task import Rows, Task
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.pages import choice_comparison, choice_figures
from bbatch.trainer import train
from factories import AMPLE, HELD, MODULE, TRAIN, net

TASK = Task(net, Rows(TRAIN, "training"), Rows(HELD, "validation"))


def made(b, lr, seed, loss, diverged=False):
    return Fit(b, lr, 0, 1, seed, 99.0, 98.0, loss, 1.0, 1.0, True, diverged, ())


def test_the_knee_is_the_smallest_within_a_quarter_of_the_fastest():
    times = pd.DataFrame({"batch_size": [4, 8, 16, 32, 64], "seconds_per_epoch": [8.0, 4.0, 2.49, 2.0, 2.3]})
    assert limits.knee(times) == 16
    assert limits.knee(times.assign(seconds_per_epoch=[8.0, 4.0, 2.51, 2.0, 2.3])) == 32


@pytest.mark.parametrize(
    "knee, noise, fits, chosen",
    [
        (64, 1000, 512, 64),
        (64, 40.0, 512, 32),
        (64, 1000, 16, 16),
        (64, None, 0, 64),
        (64, math.inf, 0, 64),
        (64, 0.3, 0, 1),
    ],
)
def test_the_choice_is_the_largest_power_of_two_up_to_every_limit_that_is_known(knee, noise, fits, chosen):
    assert limits.choose(knee, noise, fits) == chosen


def test_the_optimum_of_a_parabola_in_the_logarithm_is_found_exactly_and_an_end_is_none():
    rates = 10.0 ** np.array([-4, -3.5, -3, -2.5, -2])
    assert limits.optimum(rates, 0.3 + (np.log(rates) - math.log(7e-4)) ** 2) == pytest.approx(7e-4)
    assert limits.optimum(rates, np.log(rates)) is None and limits.optimum(rates, -np.log(rates)) is None
    assert limits.optimum(rates, np.array([3, 2, 1, math.inf, 5.0])) is None


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_exponent_of_a_known_law_is_found_with_its_interval(power):
    rng = np.random.default_rng(0)
    fits = []
    for seed in range(3):
        for b in (8, 64):
            best = math.log(1e-3 * b**power) + rng.normal(scale=0.01)
            rates = 1e-3 * b**0.5 * 10.0 ** np.linspace(-1.5, 1.5, 7)
            fits += [made(b, lr, seed, 0.2 + (math.log(lr) - best) ** 2) for lr in rates]
    found = limits.scaling_exponent(fits, 64, 8)
    assert found.n == 3 and found.low <= power <= found.high and found.mean == pytest.approx(power, abs=0.02)


def test_the_range_of_rates_grows_where_the_best_is_at_an_end_and_a_rate_that_diverges_is_out():
    tried = []

    def training(b, lr, epochs, seed):
        tried.append((b, lr, epochs, seed))
        return made(b, lr, seed, abs(math.log10(lr) - math.log10(0.1)) + 0.1, diverged=lr > 0.2)

    fits, short = limits.rate_test(training, 100, {16: 1e-2}, 20, 10_000.0, 0, math.inf)
    rates = sorted({round(lr, 9) for b, lr, e, s in tried if e == short})
    assert rates == pytest.approx([1e-3, 10**-2.5, 1e-2, 10**-1.5, 0.1, 10**-0.5]) and short == 20
    assert limits.best_rate(fits, 16) == pytest.approx(0.1) and limits.best_rate(fits, 99) is None
    assert {s for *_, s in tried} == {0, 1, 2}


def test_short_of_time_trainings_get_shorter_then_fewer():
    def training(b, lr, epochs, seed):
        return made(b, lr, seed, 1.0)

    assert (
        limits.rate_test(training, 100, {16: 1e-2}, 20, 75.0, 0, math.inf)[1] == 5
    )  # 3 seeds, 5 rates, 1 s an epoch
    fits, short = limits.rate_test(training, 100, {16: 1e-2}, 20, 2.5, 0, math.inf)
    assert short == 0.5 and {f.seed for f in fits} == {0}
    assert limits.rate_test(training, 100, {16: 1e-2}, 20, 75.0, 0, 0.0)[0] == []  # past the deadline


def test_throughput_doubles_and_an_epoch_takes_positive_time():
    times = limits.throughput(TASK, 256, 0.5)
    assert times["batch_size"].tolist() == [4 * 2**k for k in range(len(times))]
    assert (times["seconds_per_epoch"] > 0).all()


def test_the_gradient_noise_scale_is_looked_at_after_1_2_and_4_epochs():
    found = limits.noise_over_training(TASK, 0.001, 5, 0, math.inf)
    assert found["epoch"].tolist() == [1, 2, 4] and (found["low"] < found["high"]).all()
    normed = Task(
        lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        TASK.train,
        TASK.validation,
    )
    assert limits.noise_over_training(normed, 0.001, 5, 0, math.inf).empty


class Crash(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 2)

    def forward(self, x):
        if len(x) == 64:
            import os

            os.abort()
        return self.a(x)


class Hungry(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 2)

    def forward(self, x):
        return self.a(x * x.repeat(1, 50_000).relu().mean(1, keepdim=True))  # above a megabyte a sample


@pytest.mark.parametrize(
    "model, allowance, fits", [(Crash, None, (32, 32)), (Hungry, 300_000_000, (16, 128))]
)
def test_what_ends_the_child_leaves_the_parent_with_the_answer(model, allowance, fits):
    found = memory_ceiling(Task(model, TASK.train, TASK.validation), 256, seconds=AMPLE, allowance=allowance)
    assert fits[0] <= found.fits <= fits[1] and found.failed == 2 * found.fits and "failed" in found.why


def test_a_model_that_cannot_be_sent_is_not_probed():
    import threading

    lock = threading.Lock()
    task = Task(lambda: net() if lock else None, TASK.train, TASK.validation)
    assert memory_ceiling(task, 8).fits == 0


def test_the_whole_gives_four_reasons_a_picture_and_every_training(monkeypatch):
    monkeypatch.setattr(
        by_measurement, "memory_ceiling", lambda *a, **k: Ceiling(64, 128, "the next one failed")
    )
    found = by_measurement.measure_batch_size(net, TRAIN, HELD, epochs=2, budget=AMPLE, progress=False)
    assert [r.split(":")[0].split()[0] for r in found.reasons] == ["Time", "Memory", "Gradient", "Rate"]
    assert found.batch_size <= min(64, found.knee) and math.log2(found.batch_size).is_integer()
    here = (
        found.trials[found.trials["batch_size"] == found.batch_size].groupby("lr")["validation_loss"].mean()
    )
    assert found.lr == here.idxmin() and len(choice_figures.measurements(found).axes) == 2


def test_recommend_prints_both_ways_and_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_too.py").write_text(MODULE)
    monkeypatch.setattr(by_measurement, "memory_ceiling", lambda *a, **k: Ceiling(0, None, "not probed"))
    words = [
        "recommend",
        "--model",
        "mine_too:make",
        "--data",
        "mine_too:data",
        "--epochs",
        "1",
        "--budget",
        f"{AMPLE}",
    ]
    assert cli.main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    first, second = json.loads(printed.out)
    assert (first["method"], second["method"]) == ("Algorithm 2", "Measured") and len(second["reasons"]) == 4
    assert first["trials"][0]["batch_size"] == first["batch_size"] and printed.err == ""
    assert cli.main(words) == 0 and "\nMeasured: batch size " in capsys.readouterr().out


# Problems


def test_the_compiled_loop_at_the_synthetic_widths_is_the_trainer_to_the_bit():
    on = data.load("synthetic-1k")
    ours = _train_dense((20, 64, 32, 2), 32, 0.001, 3, 42, on)
    theirs = train(plan("synthetic-1k", 32, 42, epochs=3), on)
    assert list(ours.curve) == pytest.approx([c / 2 for c in theirs.history["test_correct"]])
    assert ours.validation_loss == pytest.approx(theirs.final["test_loss"], rel=1e-5)
    assert ours.train_score == pytest.approx(theirs.final["train_correct"] / 8)


def test_a_part_of_the_images_is_drawn_once_and_follows_the_protocol_in_bf16(monkeypatch):
    n, whole, seen = problems.IMAGES, data.load("mnist"), []
    monkeypatch.setattr(
        problems, "train", lambda run, on: seen.append(run) or train(replace(run, epochs=1), on)
    )
    p = problem("mnist-512")
    assert len(p.whole.train_y) == len(p.whole.test_y) == n and p.batch_sizes == (
        1,
        8,
        16,
        32,
        64,
        128,
        256,
        512,
    )
    assert {x.numpy().tobytes() for x in p.whole.train_x} <= {x.numpy().tobytes() for x in whole.train_x}
    assert {x.numpy().tobytes() for x in p.whole.test_x} <= {x.numpy().tobytes() for x in whole.test_x}
    cells = evaluation.cells(p, 42)
    for cell in cells[-2:]:
        evaluation._trained(p, cell)
    wanted = [plan("mnist", b, 42, n_train=n, precision="bf16") for b in (256, 512)]
    assert [(r.lr, r.warmup_epochs, r.epochs, r.n_train, r.precision) for r in seen] == [
        (pytest.approx(r.lr), r.warmup_epochs, r.epochs, n, "bf16") for r in wanted
    ]
    assert evaluation.cells(problem("synthetic-1k"), 42) == []


@pytest.mark.parametrize("name", ["wine", "synthetic-1k"])
def test_a_problem_decides_without_the_test_set(name):
    p = problem(name)
    n = len(p.whole.train_y)
    assert len(p.split.test_y) == round(0.2 * n) and len(p.split.train_y) + len(p.split.test_y) == n
    rows = {tuple(r) for part in (p.split.train_x, p.split.test_x) for r in part.tolist()}
    assert rows == {tuple(r) for r in p.whole.train_x.tolist()}
    task = p.task()
    assert torch.equal(task.train.pair[0], p.split.train_x) and torch.equal(
        task.validation.pair[1], p.split.test_y
    )
    found = p.train(32, 0.001, 2, 1, on=p.split)
    assert len(found.curve) == 2 and found.validation_score == pytest.approx(found.curve[-1])


def test_fixed_ways():
    sizes = {
        n: [evaluation.fixed("x", m, 1, n, 0.1)["batch_size"] for m in evaluation.METHODS[2:]]
        for n in (142, 8000, 60_000)
    }
    assert sizes == {142: [32, 142, 142], 8000: [32, 200, 8000], 60_000: [32, 200, 8192]}


@pytest.fixture
def rows():
    """A full grid of made-up accuracies on wine, best at 64, and choices beside it."""
    rng, runs, choices = np.random.default_rng(1), [], []
    for seed in (42, 43, 44):
        for k, b in enumerate((1, 8, 16, 32, 64, 128)):
            acc = 90 + k - 3 * (b == 128) + rng.normal(scale=0.1)
            runs.append(("wine", seed, b, 0.001 * b / 32, 0, acc, [50.0, 93.5, acc], 2.0, 3.0, False))
        runs.append(("wine", seed, 142, 0.001, 0, 80.0 + seed - 42, [50.0, 60.0, 80.0], 1.0, 1.5, False))
        choices += [evaluation.fixed("wine", m, seed, 142, 0.001) for m in ("always 32", "Lightning")]
    return pd.DataFrame(runs, columns=evaluation.RUNS), pd.DataFrame(choices, columns=evaluation.CHOICES)


def test_regret_is_paired_with_the_best_cell_and_time_counts_to_within_a_point(rows):
    runs, choices = rows
    steps = pd.DataFrame({"problem": "wine", "batch_size": [32, 142], "n_train": 142, "step_s": [0.01, 0.02]})
    found = regret.results(runs, choices, steps.set_index(["problem", "batch_size"]))
    assert found.query("batch_size == 32")["to_target_torch_s"].dropna().tolist() == pytest.approx(
        [e * 5 * 0.01 for e in found.query("batch_size == 32")["to_target_epochs"].dropna()]
    )
    acc = runs.set_index(["batch_size", "seed"])["test_acc"]
    s = regret.summary(found).set_index("method")
    for method, b in (("always 32", 32), ("Lightning", 142)):
        difference = [acc[64, k] - acc[b, k] for k in (42, 43, 44)]
        assert s.loc[method, "regret"].mean == pytest.approx(np.mean(difference)) and s.loc[method, "n"] == 3
    near = [
        max(50, 93.5, acc[32, k]) >= np.mean([acc[64, j] for j in (42, 43, 44)]) - 1 for k in (42, 43, 44)
    ]
    assert s.loc["always 32", "reached"] == sum(near) and s.loc["Lightning", "reached"] == 0
    spread = found.assign(method="measured", batch_size=found["batch_size"].where(found["seed"] < 44, 64))
    assert regret.summary(spread)["batch_sizes"].tolist() == ["32 (32 to 142)"]
    versus = regret.against(found, "Lightning", "always 32")
    assert versus["lost"].tolist() == [True] and versus["won"].tolist() == [False]
    text = choice_comparison.sentence(found, "Lightning", "always 32")
    assert "loses to always 32" in text and "worse on Wine (−1" in text and "same choice" not in text
    assert "the same choice" in choice_comparison.sentence(found, "always 32", "always 32")
    better = found["test_acc"] + 2 * (found["method"] == "Lightning")
    twice = pd.concat([found, found.assign(problem="digits", test_acc=better)])
    differences = [acc[142, k] - acc[32, k] + 1 for k in (42, 43, 44)]
    assert regret.pooled(twice, "Lightning", "always 32").mean == pytest.approx(np.mean(differences))
    sooner = found.assign(to_target_torch_s=[4.0, 1, 8, 1, 2, 1])  # always 32 and Lightning in turn, by seed
    assert "Wine 4 (" in choice_comparison.time_sentence(
        sooner, "Lightning", "always 32"
    )  # geometric mean of 4, 8, 2
    assert len(choice_comparison.formatted(found)) == 2 and len(choice_figures.regrets(found).axes) == 1


def test_problems_with_fewer_seeds_count_as_much_and_the_pooled_interval_is_welchs():
    rng = np.random.default_rng(2)
    one, two = rng.normal(1, 1, 10), rng.normal(-2, 3, 4)
    frames = [
        pd.DataFrame(
            {
                "problem": name,
                "method": method,
                "seed": range(len(d)),
                "test_acc": 90 + d * (method == "measured"),
            }
        )
        for name, d in (("wine", one), ("digits", two))
        for method in ("measured", "always 32")
    ]
    found = regret.pooled(pd.concat(frames), "measured", "always 32")
    welch = stats.ttest_ind(
        one, -two, equal_var=False
    ).confidence_interval()  # the mean of two is half a difference
    assert (2 * found.low, 2 * found.high) == pytest.approx((welch.low, welch.high)) and found.n == 14
    assert 2 * found.mean == pytest.approx(one.mean() + two.mean())
    same = regret.pooled(pd.concat([frames[1], frames[1].assign(method="measured")]), "measured", "always 32")
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_what_is_finished_of_an_evaluation_stays_when_it_is_interrupted(tmp_path, monkeypatch):
    trained, stop = [], True

    def training(b, lr, epochs, seed, on, warmup_epochs=None):
        if stop and seed == 43:
            raise KeyboardInterrupt
        trained.append((b, seed))
        return Fit(b, lr, 0, 1, seed, 99.0, 98.0, 0.1, 1.0, 1.0, True, False, (98.0,))

    monkeypatch.setattr(evaluation, "FOLDER", tmp_path)
    monkeypatch.setattr(evaluation, "METHODS", ("Algorithm 2", "always 32"))
    monkeypatch.setattr(evaluation, "problem", lambda name: replace(problem(name), train=training))
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(["wine"], 2, progress=False)
    kept = evaluation.table("choices", evaluation.CHOICES), evaluation.table("runs", evaluation.RUNS)
    assert kept[0]["seed"].tolist() == [42, 42] and sorted(kept[1]["batch_size"]) == [1, 8, 16, 32, 64, 128]
    stop = False
    evaluation.evaluate(["wine"], 2, progress=False)
    assert evaluation.table("runs", evaluation.RUNS).iloc[:6].equals(kept[1])
    runs = evaluation.table("runs", evaluation.RUNS)
    assert runs.groupby("seed").size().tolist() == [6, 6] and not evaluation.keys(runs).duplicated().any()
    trained.clear()
    evaluation.evaluate(["wine"], 2, progress=False)
    assert trained == []


def test_what_parts_do_not_say_of_the_whole_sets_comes_from_the_records():
    made = pd.DataFrame(
        [
            ("mnist", s, b, lr, 0, acc, [acc], 1.0, 1.0, False)
            for s, b, lr, acc in [
                (42, 32, 0.0125, 99.0),
                (42, 64, 0.025, 98.0),
                (42, 128, 0.05, 99.9),
                (43, 32, 0.0125, 98.5),
                (43, 64, 0.025, 98.1),
                (42, 64, 0.3, 99.99),
                (44, 32, 0.0125, 10.0),
            ]
        ],
        columns=evaluation.RUNS,
    )
    text = choice_comparison.parts_sentence(made)
    assert "starts at B = 16. On the whole sets" in text and "start at 64 on MNIST, at 64 on CIFAR-10" in text
    assert "MNIST 98.05" in text and "+0.70" in text and "B = 32, the best of 2 sizes (n = 2)" in text
    assert "CIFAR-10 none" in text and "CIFAR-10 none" in choice_comparison.parts_sentence(made.iloc[:0])


def test_a_grid_with_a_hole_gives_no_regret_and_is_named(rows, monkeypatch):
    runs, choices = rows
    mnist = runs[runs["batch_size"] != 142].assign(problem="mnist")
    mnist["lr"] = 0.1 * mnist["batch_size"] / 256
    assert regret.grid(mnist, "mnist").empty and len(regret.grid(runs, "wine")) == 18
    for module in (regret, choice_comparison):  # the records have this grid whole
        monkeypatch.setattr(module, "all_runs", lambda: mnist)
    text = choice_comparison.holes(regret.results(runs, choices))
    assert (
        "Fewer than 10 seeds: Wine (3)." in text
        and "MNIST (all ways)" in text
        and "Wine (Algorithm 2, measured, scikit-learn)" in text
    )
    assert "`python -m bbatch.choosing.evaluation" in text
    assert "mnist" in text.partition("bbatch sweep")[2]


def test_a_grid_that_gets_full_brings_its_fixed_row_with_it():
    made = [
        (
            "mnist",
            s,
            b,
            0.1 * b / 256,
            5 * (b >= 256),
            99 - abs(math.log2(b) - 6) / 10,
            [99.0] * 12,
            1.0,
            1.0,
            0,
        )
        for s in (42, 43)
        for b in (1, 8, 16, 32, 64, 128, 256, 512, 1024)
    ]
    found = regret.results(
        pd.DataFrame(made, columns=evaluation.RUNS), pd.DataFrame(columns=evaluation.CHOICES)
    )
    assert set(found["method"]) == {"always 32"}
    assert (found["best_acc"] - found["test_acc"]).tolist() == pytest.approx([0.1, 0.1])
    assert np.isnan(found["to_target_torch_s"]).all() and (found["to_target_epochs"] == 1).all()


def test_the_committed_tables_are_of_one_piece():
    choices, runs = evaluation.table("choices", evaluation.CHOICES), evaluation.runs()
    assert set(choices["method"]) <= set(evaluation.METHODS)
    assert not choices.duplicated(["problem", "method", "seed"]).any()
    assert not evaluation.keys(runs).duplicated().any()
    assert set(evaluation.keys(choices)) <= set(evaluation.keys(runs)), "every choice has been trained"
    fixed = choices[choices["method"] == "always 32"]
    assert (fixed["batch_size"] == 32).all() and (fixed["cpu_seconds"] == 0).all()


def test_an_unknown_problem_is_refused_by_name(capsys):
    assert (
        evaluation.main(["iris"]) == 2 and "problem 'iris' is unknown; allowed are" in capsys.readouterr().err
    )
    with pytest.raises(BadInput, match="problem 'x' is unknown"):
        problem("x")


def test_a_recommendation_comes_back_from_json_as_it_went(monkeypatch):
    from bbatch.choosing.recommend import _restored

    monkeypatch.setattr(
        by_measurement, "memory_ceiling", lambda *a, **k: Ceiling(64, 128, "the next one failed")
    )
    found = by_measurement.measure_batch_size(net, TRAIN, HELD, epochs=1, budget=AMPLE, progress=False)
    for sent in (found, replace(found, trials=found.trials.iloc[:0])):  # where there was no time to train
        back = _restored(json.loads(json.dumps(sent.to_dict())))
        assert repr(back) == repr(sent) and back.ceiling == found.ceiling and back.knee == found.knee
        assert back.throughput.equals(found.throughput) and len(choice_figures.measurements(back).axes) == 2


def test_samples_are_written_as_people_read_them():
    written = [
        by_measurement.samples(v) for v in (0.3, 42.5, 4560.0, 999_600.0, 4560451.9, math.inf, -3.0, math.nan)
    ]
    assert written == [
        "less than 1 sample",
        "42 samples",
        "4,600 samples",
        "1 million samples",
        "4.6 million samples",
        *["beyond measure"] * 3,
    ]
