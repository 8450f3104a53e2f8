"""The evaluation of the ways to choose: problems, rivals, and regrets by brute force."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from bbatch import data
from bbatch.analysis import regret
from bbatch.choosing.task import Task
from bbatch.choosing.training import Fit
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.evaluation import __main__, other_sets, problems, tables, ways
from bbatch.evaluation.problems import problem
from bbatch.pages import choice_comparison, choice_figures
from bbatch.trainer import train, train_network
from factories import AMPLE, HELD, TRAIN, net

# Problems


def test_a_problem_of_ours_trains_as_the_records_do_to_the_bit():
    on = data.load("synthetic-1k")
    ours = replace(problem("synthetic-1k"), name="wine").train(32, 0.001, 3, 42, on)
    theirs = train(plan("synthetic-1k", 32, 42, epochs=3), on)
    assert list(ours.curve) == pytest.approx([c / 2 for c in theirs.history["test_correct"]])
    assert list(ours.losses) == theirs.history["test_loss"]
    assert ours.train_score == pytest.approx(theirs.final["train_correct"] / 8)
    digits, old = problem("digits"), tables.table("runs", tables.RUNS)
    row = old[(old["problem"] == "digits") & (old["batch_size"] == 128)].iloc[0]
    again = tables._trained(digits, row[tables.CELL].to_dict())
    assert again["test_acc"] == pytest.approx(row["test_acc"], abs=0.6)  # two of 360, on other processors


def test_a_part_of_the_images_is_drawn_once_and_follows_the_protocol_in_bf16(monkeypatch, real):
    n, whole, seen = problems.IMAGES, real("mnist"), []
    monkeypatch.setattr(
        problems,
        "train_network",
        lambda net, on, recipe: seen.append(recipe) or train_network(net, on, replace(recipe, epochs=1)),
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
    cells = tables.cells(p, 42)
    for cell in cells[-2:]:
        tables._trained(p, cell)
    wanted = [plan("mnist", b, 42, n_train=n, precision="bf16") for b in (256, 512)]
    assert [(r.epochs, r.n_train, r.precision) for r in seen] == [(12, n, "bf16")] * 2
    for recipe, run in zip(seen, wanted, strict=True):
        assert [r.tolist() for r in map(recipe.rates, range(12))] == [
            pytest.approx(r.tolist()) for r in map(run.rates, range(12))
        ]
    assert tables.cells(problem("synthetic-1k"), 42) == []


@pytest.mark.parametrize("name", ["wine", "synthetic-1k"])
def test_a_problem_decides_without_the_test_set(name):
    p = problem(name)
    n = len(p.whole.train_y)
    assert len(p.split.test_y) == round(0.2 * n) and len(p.split.train_y) + len(p.split.test_y) == n
    rows = {tuple(r) for part in (p.split.train_x, p.split.test_x) for r in part.tolist()}
    assert rows == {tuple(r) for r in p.whole.train_x.tolist()}
    task = p.task()
    assert torch.equal(task.train.tensors[0], p.split.train_x)
    assert torch.equal(task.validation.tensors[1], p.split.test_y)
    found = p.train(32, 0.001, 2, 1, on=p.split)
    assert len(found.curve) == 2 and found.validation_score == pytest.approx(found.curve[-1])


@pytest.fixture
def rows():
    """A full grid of made-up accuracies on wine, best at 64, and choices beside it."""
    rng, runs, choices = np.random.default_rng(1), [], []
    for seed in (42, 43, 44):
        for k, b in enumerate((1, 8, 16, 32, 64, 128)):
            acc = 90 + k - 3 * (b == 128) + rng.normal(scale=0.1)
            curves = [50.0, 93.5, acc], [1.0, 0.5, 1 - acc / 100]
            runs.append(("wine", seed, b, 0.001 * b / 32, 0, acc, *curves, 2.0, 3.0, False))
        curves = [50.0, 60.0, 80.0], [1.0, 0.5, 0.2]
        runs.append(("wine", seed, 142, 0.001, 0, 80.0 + seed - 42, *curves, 1.0, 1.5, False))
        choices += [ways.fixed("wine", m, seed, 0.001) for m in ("always 32", "range test")]
        choices[-1]["batch_size"] = 142
    return pd.DataFrame(runs, columns=tables.RUNS), pd.DataFrame(choices, columns=ways.CHOICES)


def test_regret_is_paired_with_the_best_cell_and_time_counts_to_the_loss_of_the_default(rows):
    runs, choices = rows
    steps = pd.DataFrame({"problem": "wine", "batch_size": [32, 142], "n_train": 142, "step_s": [0.01, 0.02]})
    found = regret.method_results(runs, choices, steps)
    acc = runs.set_index(["batch_size", "seed"])["test_acc"]
    target = 1.05 * np.mean([min(1.0, 0.5, 1 - acc[32, k] / 100) for k in (42, 43, 44)])
    for r in found.to_dict("records"):
        curve = [1.0, 0.5, 1 - acc[32, r["seed"]] / 100] if r["batch_size"] == 32 else [1.0, 0.5, 0.2]
        epochs = next((k for k, loss in enumerate(curve, 1) if loss <= target), math.nan)
        steps_of_one, step = (5, 0.01) if r["batch_size"] == 32 else (1, 0.02)
        assert r["target_epochs"] == pytest.approx(epochs, nan_ok=True)
        assert r["target_s"] == pytest.approx(epochs * steps_of_one * step, nan_ok=True)
    s = regret.summary(found).set_index("method")
    for method, b in (("always 32", 32), ("range test", 142)):
        difference = [acc[64, k] - acc[b, k] for k in (42, 43, 44)]
        assert s.loc[method, "regret"].mean == pytest.approx(np.mean(difference)) and s.loc[method, "n"] == 3
    assert s.loc["always 32", "reached"] >= 1 and s.loc["range test", "reached"] == 0
    poor = regret.method_results(
        runs.assign(test_acc=runs["test_acc"].where(runs["batch_size"] != 142, -1e9)), choices
    )
    assert poor.query("method == 'range test'")["test_acc"].tolist() == [0, 0, 0]
    bare = regret.method_results(runs.assign(losses=None), choices, steps)
    assert bare["target_s"].isna().all() and bare["test_acc"].equals(found["test_acc"])
    spread = found.assign(method="recommended", batch_size=found["batch_size"].where(found["seed"] < 44, 64))
    assert regret.summary(spread)["batch_sizes"].tolist() == ["32 (32 to 142)"]
    versus = regret.by_problem(found, "range test", "always 32")
    assert versus["lost"].tolist() == [True] and versus["won"].tolist() == [False]
    assert (
        len(choice_comparison.comparison_table(found)) == 2 and len(choice_figures.regrets(found).axes) == 1
    )


def test_sooner_is_the_geometric_mean_over_the_seeds_with_which_both_got_there():
    made = [
        (name, method, seed, s)
        for name, times in {
            "wine": {"always 32": [4.0, 1, 8, 2], "recommended": [1.0, 1, 1, math.nan]},
            "text": {"always 32": [1.0, 2, 3, math.nan], "recommended": [math.nan] * 4},
            "digits": {"always 32": [1.0] + [math.nan] * 3, "recommended": [1.0] * 4},
        }.items()
        for method, values in times.items()
        for seed, s in enumerate(values)
    ]
    found = regret.sooner(pd.DataFrame(made, columns=["problem", "method", "seed", "target_s"]))
    found = found.set_index("problem")
    assert list(found.index) == ["wine", "text"]
    assert found.loc["wine", "ratio"].mean == pytest.approx((4 * 1 * 8) ** (1 / 3))
    assert found[["both", "either"]].values.tolist() == [[3, 4], [0, 3]] and not found.loc["text", "ratio"]


@pytest.fixture
def compared():
    """Made-up results of three ways on three problems with four seeds, and their mean accuracies."""
    rng, made = np.random.default_rng(3), []
    gains = {"wine": 1.0, "digits": -2.0, "text": 0.5}
    for name, gain in gains.items():
        for seed in range(4):
            for method, more in (("recommended", gain), ("always 32", 0.0), ("grid of 25", 0.3)):
                made.append((name, method, seed, 90 + more + rng.normal(0, 0.1), 91.0, 32))
    columns = ["problem", "method", "seed", "test_acc", "best_acc", "batch_size"]
    return pd.DataFrame(made, columns=columns).assign(lr=0.001)


def test_leaving_a_problem_out_is_the_mean_over_the_others(compared):
    each = compared.groupby(["problem", "method"])["test_acc"].mean().unstack()
    found = regret.leave_one_out(compared)
    for name in each.index:
        others = each.drop(name)
        expected = (others["recommended"] - others["always 32"]).mean()
        assert found[name].mean == pytest.approx(expected) and found[name].n == 8
    assert found["digits"].low > 0 > found["wine"].high, "the headline hangs on one problem, and it shows"
    shown = choice_comparison.without_each(compared)
    assert shown["left out"].tolist() == ["none", "Digits", "Wine", "Text"]
    assert shown["always 32"][0].startswith("−0.1") and len(choice_figures.one_out(compared).axes) == 2


def test_means_are_over_the_seeds_that_every_way_has(compared):
    lone = (compared["problem"] == "text") & (compared["seed"] > 0) & (compared["method"] == "grid of 25")
    hole = (compared["problem"] == "wine") & (compared["seed"] == 2) & (compared["method"] == "always 32")
    found = regret.comparable(compared[~lone & ~hole])
    seeds = {name: sorted(set(some["seed"])) for name, some in found.groupby("problem")}
    assert seeds == {"wine": [0, 1, 3], "digits": [0, 1, 2, 3]} and len(found) == 3 * 7


def test_mean_regrets_count_each_problem_once_and_show_the_worst(compared):
    found = regret.mean_regrets(compared)
    each = 91 - compared.groupby(["problem", "method"])["test_acc"].mean().unstack()
    for method in each:
        without = [each[method].drop(name).mean() for name in each.index]
        expected = each[method].mean(), min(without), max(without), each[method].max()
        assert found.loc[method, ["mean", "low", "high", "worst"]].tolist() == pytest.approx(expected)
    assert found["mean"].is_monotonic_increasing
    few = compared[(compared["problem"] != "text") | (compared["method"] != "grid of 25")]
    assert regret.mean_regrets(few)["worst"].max() == pytest.approx(each.drop("text").max().max())
    assert choice_comparison.means(compared)["way"].tolist() == list(found.index)


def test_problems_with_fewer_seeds_count_as_much_and_the_pooled_interval_is_welchs():
    rng = np.random.default_rng(2)
    one, two = rng.normal(1, 1, 10), rng.normal(-2, 3, 4)
    frames = [
        pd.DataFrame(
            {
                "problem": name,
                "method": method,
                "seed": range(len(d)),
                "test_acc": 90 + d * (method == "recommended"),
            }
        )
        for name, d in (("wine", one), ("digits", two))
        for method in ("recommended", "always 32")
    ]
    found = regret.mean_difference(pd.concat(frames), "recommended", "always 32")
    welch = stats.ttest_ind(
        one, -two, equal_var=False
    ).confidence_interval()  # the mean of two is half a difference
    assert (2 * found.low, 2 * found.high) == pytest.approx((welch.low, welch.high)) and found.n == 14
    assert 2 * found.mean == pytest.approx(one.mean() + two.mean())
    same = regret.mean_difference(
        pd.concat([frames[1], frames[1].assign(method="recommended")]), "recommended", "always 32"
    )
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    alone = regret.mean_difference(pd.concat([f[f["seed"] < 1 + (k < 2)] for k, f in enumerate(frames)]))
    assert math.isnan(alone.low) and alone.n == 3, "a problem with one seed tells nothing of the scatter"


def test_what_is_finished_of_an_evaluation_stays_when_it_is_interrupted(tmp_path, monkeypatch):
    trained, stop = [], True

    def training(self, b, lr, epochs, seed, on, warmup_epochs=0):
        if stop and seed == 43:
            raise KeyboardInterrupt
        trained.append((b, seed))
        return Fit(b, lr, 0, 1, seed, 99.0, 98.0, 0.1, 1.0, 1.0, True, False, (98.0,))

    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    monkeypatch.setattr(tables, "METHODS", ("Algorithm 2", "always 32"))
    monkeypatch.setattr(problems.Problem, "train", training)
    with pytest.raises(KeyboardInterrupt):
        tables.evaluate(["wine"], 2, progress=False)
    kept = tables.table("choices", ways.CHOICES), tables.table("runs", tables.RUNS)
    assert kept[0]["seed"].tolist() == [42, 42] and sorted(kept[1]["batch_size"]) == [1, 8, 16, 32, 64, 128]
    stop = False
    tables.evaluate(["wine"], 2, progress=False)
    assert tables.table("runs", tables.RUNS).iloc[:6].equals(kept[1])
    runs = tables.table("runs", tables.RUNS)
    assert runs.groupby("seed").size().tolist() == [6, 6] and not tables.keys(runs).duplicated().any()
    trained.clear()
    tables.evaluate(["wine"], 2, progress=False)
    assert trained == []


def test_a_grid_with_a_hole_gives_no_regret_and_is_named(rows, monkeypatch):
    runs, choices = rows
    mnist = runs[runs["batch_size"] != 142].assign(problem="mnist")
    mnist["lr"] = 0.1 * mnist["batch_size"] / 256
    assert regret.whole_grid(mnist, "mnist").empty and len(regret.whole_grid(runs, "wine")) == 18
    monkeypatch.setattr(regret, "all_runs", lambda: mnist)  # the records have this grid whole
    monkeypatch.setattr(choice_comparison, "runs", lambda: mnist)
    text = choice_comparison.not_computed(regret.method_results(runs, choices))
    assert "MNIST (all ways)" in text and "Wine (recommended, Algorithm 2, grid of 25)" in text
    assert "`python -m bbatch.evaluation" in text
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
            None,
            1.0,
            1.0,
            0,
        )
        for s in (42, 43)
        for b in (1, 8, 16, 32, 64, 128, 256, 512, 1024)
    ]
    found = regret.method_results(pd.DataFrame(made, columns=tables.RUNS), pd.DataFrame(columns=ways.CHOICES))
    assert set(found["method"]) == {"always 32"}
    assert (found["best_acc"] - found["test_acc"]).tolist() == pytest.approx([0.1, 0.1])
    assert found["target_s"].isna().all()


def test_the_committed_tables_are_of_one_piece():
    choices, runs = tables.table("choices", ways.CHOICES), tables.runs()
    assert set(choices["method"]) <= set(ways.METHODS)
    assert not choices.duplicated(["problem", "method", "seed"]).any()
    assert not tables.keys(runs).duplicated().any()
    assert set(tables.keys(choices)) <= set(tables.keys(runs)), "every choice has been trained"
    fixed = choices[choices["method"] == "always 32"]
    assert (fixed["batch_size"] == 32).all() and (fixed["cpu_seconds"] == 0).all()


def test_an_unknown_problem_is_refused_by_name(capsys):
    assert (
        __main__.main(["iris"]) == 2 and "problem 'iris' is unknown; allowed are" in capsys.readouterr().err
    )
    with pytest.raises(BadInput, match="problem 'x' is unknown"):
        problem("x")


# Rivals


def test_the_grid_takes_the_best_of_its_cells_and_the_range_test_the_steepest_descent():
    task = Task(net, TRAIN, HELD)
    found = ways.grid_search(task, 1, AMPLE, 0.001, 0)
    rates = [0.001 * 10 ** (k / 2) for k in range(-2, 3)]
    assert found["batch_size"] in (8, 16, 32, 64, 128) and found["trainings"] == 25
    assert any(math.isclose(found["lr"], rate) for rate in rates)
    found = ways.range_test(task, AMPLE, 0)
    assert found["batch_size"] == 300 and 1e-8 < found["lr"] <= 1


def test_the_plain_problems_train_and_are_scored_in_percent():
    text, friedman = problem("text"), problem("friedman")
    assert text.whole.train_x.shape == (2000, 16) and friedman.epochs == text.epochs == 10
    y = friedman.whole.test_y
    assert other_sets.explained(y, y) == 100 and other_sets.explained(
        y.mean().expand_as(y), y
    ) == pytest.approx(0, abs=1e-3)
    found = friedman.train(32, 0.01, 2, 1, on=friedman.split)
    assert 20 < found.validation_score < 100 and len(found.curve) == 2
    scores = text.task().run(text.network(), (text.whole.train_x[:4], text.whole.train_y[:4])).scores
    assert scores.shape == (4, text.whole.train_y.max().item() + 1)


def test_a_way_decides_a_row(monkeypatch):
    monkeypatch.setattr(ways, "BUDGET", {"wine": 3.0})
    monkeypatch.setattr(problems.Problem, "epochs", 2)
    for method in ways.METHODS:
        row = ways.decide(problem("wine"), method, 42)
        assert row.keys() == set(ways.CHOICES) and row["batch_size"] >= 1 and row["lr"] > 0
        assert (row["seconds"] == 0) == (method == "always 32")


def test_the_least_time_of_a_step_stands_over_rounds_and_calls(tmp_path, monkeypatch):
    """Three rounds at two sizes; what an earlier call had timed faster stays, and other problems stay."""
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    chosen = pd.DataFrame({"problem": ["digits"] * 3, "batch_size": [8, 64, 8]})
    tables._write("choices", chosen)
    earlier = [("digits", 8, 1437, 0.4), ("wine", 8, 142, 0.1)]
    tables._write("steps", pd.DataFrame(earlier, columns=tables.STEPS))
    took = iter([9.0, 0.5, 0.7, 0.6, 0.3, 0.8, 0.2])  # the first is thrown away; then 8, 64, 8, 64, 8, 64
    monkeypatch.setattr(tables, "step_seconds", lambda task, size: next(took))
    tables.time_steps(["digits"])
    found = tables.table("steps", tables.STEPS).set_index(["problem", "batch_size"])["step_s"]
    assert found.to_dict() == {("wine", 8): 0.1, ("digits", 8): 0.4, ("digits", 64): 0.2}
