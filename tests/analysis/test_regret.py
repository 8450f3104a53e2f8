"""What a way to choose a batch size costs: regrets, times and their means, by brute force."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch.analysis import regret
from bbatch.config import DATASETS, PUBLISHED
from bbatch.evaluation import tables, ways
from bbatch.pages import choice_comparison, choice_figures


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


def _all_followed(made):
    """Rows of problem, method, seed and target_s of runs whose losses are recorded."""
    return pd.DataFrame(made, columns=["problem", "method", "seed", "target_s"]).assign(followed=True)


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
    [versus] = regret.by_problem(found, "range test", "always 32").values()
    differences = [80 + k - acc[32, 42 + k] for k in range(3)]
    assert versus.mean == pytest.approx(np.mean(differences)) and versus.high < 0
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
    found = regret.sooner(_all_followed(made))
    assert regret.sooner(_all_followed(made).assign(followed=False)).empty, "its losses are not recorded"
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


def test_a_grid_with_a_hole_gives_no_regret_and_is_named(rows, monkeypatch):
    runs, choices = rows
    mnist = runs[runs["batch_size"] != 142].assign(problem="mnist")
    mnist["lr"] = 0.1 * mnist["batch_size"] / 256
    assert regret.whole_grid(mnist, "mnist").empty and len(regret.whole_grid(runs, "wine")) == 18
    monkeypatch.setattr(regret, "all_runs", lambda: mnist)  # the records have this grid whole
    results = regret.method_results(runs, choices)
    tried = choice_comparison.tried(results).set_index("problem")
    assert (tried.loc["MNIST"] == 0).all() and list(tried) == list(ways.METHODS)
    wine = results[results["problem"] == "wine"].drop_duplicates(["method", "seed"])["method"].tolist()
    assert tried.loc["Wine"].to_dict() == {way: wine.count(way) for way in ways.METHODS} and wine


def test_a_whole_grid_is_of_the_linear_rule_and_of_seeds_with_every_batch_size(rows):
    runs, _ = rows
    grid = runs[runs["batch_size"] != 142]
    faster = grid[grid["batch_size"] == 64].assign(lr=0.004, test_acc=99.0)  # not the rate of Eq. (2)
    odd = grid[grid["batch_size"] == 64].assign(batch_size=20, lr=0.001 * 20 / 32)
    lone = grid[(grid["seed"] == 44) & (grid["batch_size"] != 8)].assign(seed=45)
    twice = grid[grid["seed"] == 43].assign(test_acc=10.0)
    found = regret.whole_grid(pd.concat([faster, grid, odd, lone, twice]), "wine")
    assert found.sort_values(["seed", "batch_size"])["test_acc"].tolist() == pytest.approx(
        grid.sort_values(["seed", "batch_size"])["test_acc"].tolist()
    )
    assert regret.whole_grid(grid, "digits").empty
    # of a data set of the paper, the grid is the protocol's, whatever the rows hold
    sizes = DATASETS["synthetic-1k"].protocol.batch_sizes
    ours = pd.DataFrame(
        [("synthetic-1k", s, b, 0.001 * b / 32, 90.0) for s in (42, 43) for b in sizes],
        columns=["problem", "seed", "batch_size", "lr", "test_acc"],
    )
    assert len(regret.whole_grid(ours, "synthetic-1k")) == 2 * len(sizes)
    assert regret.whole_grid(ours[ours["batch_size"] != 8], "synthetic-1k").empty


def test_the_best_cell_has_the_highest_mean():
    cells = pd.DataFrame({"batch_size": [8] * 3 + [64] * 3, "test_acc": [95.0, 95, 80, 93, 92, 94]})
    assert regret.best_cell(cells) == 64


def test_results_row_by_row(rows):
    """Every column of `method_results` by plain loops; a choice without a run, or of a seed outside the grid,
    gives none, and a grid of one seed no regret."""
    runs, choices = rows
    choices = choices.assign(cpu_seconds=np.arange(len(choices)) + 1.0, reason="because")
    away = choices[choices["method"] == "always 32"].iloc[:1]
    more = [away.assign(seed=99), away.assign(method="grid of 25", lr=0.5), away.assign(problem="digits")]
    steps = pd.DataFrame({"problem": "wine", "batch_size": [32], "n_train": 70, "step_s": [0.5]})
    found = regret.method_results(runs, pd.concat([choices, *more], ignore_index=True), steps)
    runs_of = {(r["seed"], r["batch_size"]): r for r in runs.to_dict("records")}
    lowest = np.mean([min(runs_of[s, 32]["losses"]) for s in (42, 43, 44)])
    wanted = []
    for c in choices.to_dict("records"):
        run = runs_of[c["seed"], c["batch_size"]]
        near = [k for k, loss in enumerate(run["losses"], 1) if loss <= 1.05 * lowest]
        epochs = near[0] if near else math.nan
        seconds = epochs * 3 * 0.5 if c["batch_size"] == 32 else math.nan  # three batches of 32 in 70
        scores = {"test_acc": run["test_acc"], "best_acc": runs_of[c["seed"], 64]["test_acc"]}
        wanted.append(c | scores | {"target_epochs": epochs, "target_s": seconds, "followed": True})
    pd.testing.assert_frame_equal(found, pd.DataFrame(wanted), check_dtype=False)
    assert list(found)[-5:] == ["test_acc", "best_acc", "target_epochs", "target_s", "followed"]
    assert 0 < found["target_epochs"].notna().sum() < len(found)
    assert regret.method_results(runs[runs["seed"] == 42], choices, steps).empty
    assert len(regret.method_results(runs[runs["seed"] < 44], choices, steps)) == 4


def test_a_loss_just_within_five_percent_counts(rows):
    runs, choices = rows
    of = {32: [1.0, 0.2099, 0.2], 142: [1.0, 0.2101, 0.3]}
    runs = runs.assign(losses=[of.get(b, [1.0]) for b in runs["batch_size"]])
    found = regret.method_results(runs, choices).groupby("method")["target_epochs"].apply(list)
    assert found["always 32"] == [2, 2, 2] and np.isnan(found["range test"]).all()


def test_a_summary_is_in_the_order_of_the_ways_with_means_and_intervals_by_hand():
    rng = np.random.default_rng(4)
    made = [
        (name, method, seed, 2 ** (5 + seed % 2), 90 + rng.normal(), 92 + rng.normal(), t, 2.0 * t, seed + k)
        for name in ("wine", "digits")
        for k, method in enumerate(("range test", "always 32", "recommended"))
        for seed, t in enumerate((1.0, 2.0, math.nan, 6.0, 4.0))
    ]
    columns = "problem method seed batch_size test_acc best_acc target_epochs target_s cpu_seconds".split()
    rows = pd.DataFrame(made, columns=columns).assign(followed=True)
    found = regret.summary(rows)
    order = [(p, m) for p in ("Wine", "Digits") for m in ("recommended", "always 32", "range test")]
    assert list(zip(found["problem"], found["method"], strict=True)) == order
    for row in found.to_dict("records"):
        here = rows[(rows["problem"] == row["problem"].lower()) & (rows["method"] == row["method"])]
        assert (row["n"], row["reached"], row["followed"], row["batch_sizes"]) == (5, 4, 5, "32 (32 to 64)")
        assert row["seconds"] == pytest.approx(2 * 13 / 4)
        assert row["choice_cpu_s"] == pytest.approx(sum(here["cpu_seconds"]) / 5)
        for name, values in (("test_acc", here["test_acc"]), ("regret", here["best_acc"] - here["test_acc"])):
            low, high = stats.t.interval(0.95, 4, values.mean(), values.sem())
            assert (row[name].mean, row[name].low, row[name].high) == pytest.approx(
                (values.mean(), low, high)
            )
    skewed = rows.assign(cpu_seconds=[9.0 if s == 4 else 1.0 for s in rows["seed"]])
    assert regret.summary(skewed)["choice_cpu_s"].tolist() == pytest.approx([2.6] * 6)


def test_each_problem_has_its_own_paired_difference():
    base = np.array([-1.0, 0.0, 1.0, 0.5, -0.5])
    half = stats.t.ppf(0.975, 4) * base.std(ddof=1) / math.sqrt(5)
    gains = {"wine": 1.0, "digits": 0.25, "text": -1.0}
    made = [
        (name, method, seed, 90 + (gain + base[seed]) * (method == "recommended"))
        for name, gain in gains.items()
        for method in ("always 32", "recommended", "grid of 25")
        for seed in range(5)
    ]
    found = regret.by_problem(pd.DataFrame(made, columns=["problem", "method", "seed", "test_acc"]))
    assert list(found) == list(gains)
    for name, gain in gains.items():
        i = found[name]
        assert (i.mean, i.low, i.high, i.n) == pytest.approx((gain, gain - half, gain + half, 5))


def test_the_interval_of_sooner_is_that_of_the_logarithms():
    made = [
        ("wine", method, s, t)
        for method, times in (("recommended", [1.0, 2, 3, 4, 5]), ("always 32", [2.0, 3, 9, 4, math.nan]))
        for s, t in enumerate(times)
    ]
    [row] = regret.sooner(_all_followed(made)).to_dict("records")
    logs = np.log([2, 1.5, 3, 1])
    bounds = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    i = row["ratio"]
    assert (i.mean, i.low, i.high, i.n) == pytest.approx((math.exp(logs.mean()), *np.exp(bounds), 4))
    assert (row["both"], row["either"]) == (4, 4)


def test_the_best_cell_and_defaults_stand_for_the_recommended_against_32(compared):
    assert regret.mean_difference(compared) == regret.mean_difference(compared, "recommended", "always 32")
    assert regret.mean_difference(compared).mean == pytest.approx(
        np.mean(
            [
                some[some["method"] == "recommended"]["test_acc"].mean()
                - some[some["method"] == "always 32"]["test_acc"].mean()
                for _, some in compared.groupby("problem")
            ]
        )
    )
    none = regret.mean_difference(compared.iloc[:0])
    assert math.isnan(none.mean) and none.n == 0
    lone = regret.comparable(compared[(compared["problem"] != "wine") | (compared["seed"] == 2)])
    assert set(lone["problem"]) == {"digits", "text"}, "one seed alone is no comparison"


def test_three_problems_of_unequal_seeds_by_hand():
    """Of two seeds on: the squared errors of the means of problems add up, each a ninth."""
    differences = {"wine": [1.0, 3.0], "digits": [0.5, 1.0, 1.5], "text": [-1.0, 0.0, 1.0, 2.0]}
    made = [
        (name, method, seed, 90 + d * (method == "recommended"))
        for name, values in differences.items()
        for method in ("recommended", "always 32")
        for seed, d in enumerate(values)
    ]
    found = regret.mean_difference(pd.DataFrame(made, columns=["problem", "method", "seed", "test_acc"]))
    parts = [2 / 2 / 9, 0.25 / 3 / 9, 5 / 3 / 4 / 9]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 1 + parts[1] ** 2 / 2 + parts[2] ** 2 / 3)
    assert (found.value, found.n, found.counted) == (pytest.approx(3.5 / 3), 9, "pairs")
    assert (found.error, found.freedom) == pytest.approx((math.sqrt(sum(parts)), freedom))


def test_two_seeds_are_enough_for_how_much_sooner_and_one_is_not():
    def sooner(own, others):
        made = [("wine", "recommended", s, t) for s, t in enumerate(own)]
        made += [("wine", "always 32", s, t) for s, t in enumerate(others)]
        table = _all_followed(made)
        return regret.sooner(table).to_dict("records")

    [row] = sooner([1.0, 2.0], [2.0, 16.0])
    assert (row["ratio"].mean, row["both"], row["either"]) == (pytest.approx(4), 2, 2)
    [row] = sooner([1.0, math.nan], [2.0, 16.0])
    assert (row["ratio"], row["both"], row["either"]) == (None, 1, 2)
    assert sooner([1.0, 1.0], [2.0, math.nan]) == []


def test_what_algorithm_2_loses_by_its_own_choices_on_each_data_set():
    rows = [
        ("mnist", "Algorithm 2", 99.0, 98.0),
        ("mnist", "Algorithm 2", 99.5, 97.5),
        ("mnist", "Algorithm 2", 99.5, None),  # not trained yet
        ("mnist", "always 32", 99.0, 90.0),
        ("cifar10", "Algorithm 2", 70.0, 60.0),
    ]
    choices = pd.DataFrame(rows, columns=["problem", "method", "best_acc", "test_acc"])
    by_name = dict(zip(PUBLISHED, regret.lost_by_algorithm_2(choices), strict=True))
    mnist, none = by_name["mnist"], by_name["synthetic-1k"]
    assert (mnist.value, mnist.n, mnist.unit) == (1.5, 2, "points")
    assert (mnist.about, mnist.how) == ("MNIST", "paired by seed")
    # Student's t with one degree of freedom, 12.706, times the standard error of 1 and 2
    assert mnist.interval() == pytest.approx((1.5 - 12.706 / 2, 1.5 + 12.706 / 2), rel=1e-4)
    assert (none.n, none.unit, none.about) == (0, "points", "Synthetic 1K")
    each = regret.regrets_by_problem(choices).xs("Algorithm 2", level="method")
    assert each.to_dict() == {"mnist": 1.5, "cifar10": 10.0}
    assert none.missing == "python -m bbatch.evaluation synthetic-1k"
