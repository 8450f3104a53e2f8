"""Levels, falls, trends and shares of made-up runs, against sums over cells written out."""

import math
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import published
from bbatch.analysis import accuracy
from bbatch.config import DATASETS
from made_up import cells, runs, same, summed

RUNS = runs()
MNIST = cells(RUNS, "mnist")
SIZES = list(DATASETS["mnist"].protocol.batch_sizes)


def line(sizes):
    x = [math.log2(b) for b in sizes]
    return {b: (v - fmean(x)) / sum((u - fmean(x)) ** 2 for u in x) for b, v in zip(sizes, x, strict=True)}


def test_levels_falls_and_slopes_are_sums_over_cells():
    other = cells(RUNS, "mnist", "gap")
    constant = cells(RUNS, "mnist", rules=("constant",))
    assert same(accuracy.level(RUNS, "mnist", 32), summed(MNIST, {32: 1}))
    assert same(accuracy.level(RUNS, "mnist", 8, "gap"), summed(other, {8: 1}))
    assert same(accuracy.level(RUNS, "mnist", 8, lr_rule="constant"), summed(constant, {8: 1}))
    assert same(accuracy.fall(RUNS, "mnist", 8, 32), summed(MNIST, {8: 1, 32: -1}))
    assert same(accuracy.fall(RUNS, "mnist", 8, 32, "gap"), summed(other, {8: 1, 32: -1}))
    assert same(accuracy.fall(RUNS, "mnist", 8, 64, lr_rule="constant"), summed(constant, {8: 1, 64: -1}))
    assert same(accuracy.change(RUNS, "mnist", 8, 32, "gap"), summed(other, {32: 1, 8: -1}))
    assert same(accuracy.change(RUNS, "mnist", 8, 32), summed(MNIST, {32: 1, 8: -1}))
    assert same(accuracy.rises(RUNS, ["mnist"])[0], summed(MNIST, {SIZES[1]: 1, SIZES[0]: -1}))
    assert same(accuracy.slope(RUNS, "mnist", "gap"), summed(other, line(SIZES)))
    units = [e.unit for e in (accuracy.level(RUNS, "mnist", 32), accuracy.level(RUNS, "mnist", 8, "gap"))]
    assert units == ["percent", "points"] and accuracy.slope(RUNS, "mnist").unit == "points"
    fall = accuracy.fall(RUNS, "mnist", 8, 32)  # B = 32 lacks a seed: pairs alone count, and their runs
    assert set(fall.ids) == {f"mnist {b} {s} linear" for b in (8, 32) for s in (40, 41, 42)}
    assert (fall.about, fall.how) == ("MNIST, B = 8 and 32", "paired by seed")
    assert accuracy.level(RUNS, "mnist", 32).how == "over seeds"
    assert accuracy.slope(RUNS, "mnist").about == f"MNIST, B = {SIZES[0]} to {SIZES[-1]}"


def test_lists_hold_every_pair_once_in_order():
    names = ["mnist", "synthetic-1k"]
    values = {d: {b: fmean(v.values()) for b, v in cells(RUNS, d).items() if b != 32} for d in names}
    found = accuracy.falls(RUNS, names, [8, 16], [128, 256])
    expected = [values[d][s] - values[d][b] for d in names for s in (8, 16) for b in (128, 256)]
    assert [e.value for e in found] == pytest.approx(expected)
    ends = accuracy.from_end_to_end(RUNS, names)
    grids = [DATASETS[d].protocol.batch_sizes for d in names]
    assert [e.value for e in ends] == pytest.approx(
        [values[d][g[0]] - values[d][g[-1]] for d, g in zip(names, grids, strict=True)]
    )
    up = accuracy.rises(RUNS, ["mnist"], "gap")
    gap = cells(RUNS, "mnist", "gap")
    assert len(up) == len(SIZES) - 1
    for e, a, b in zip(up, SIZES, SIZES[1:], strict=False):
        assert same(e, summed(gap, {b: 1, a: -1}))
    for e, d, grid in zip(accuracy.slopes(RUNS, names), names, grids, strict=True):
        assert same(e, summed(cells(RUNS, d), line(grid)))
    lower, upper = [b for b in SIZES if b < 64], [b for b in SIZES if b >= 64]
    found = accuracy.floor(RUNS, "mnist", 64)
    assert [e.about for e in found] == [f"MNIST, B = {a} and {b}" for a in lower for b in upper]
    assert found[0].value == pytest.approx(summed(MNIST, {lower[0]: 1, upper[0]: -1})["value"])


@pytest.mark.parametrize("runs", [RUNS, published.printed_frame()])
def test_a_batch_size_does_not_fall_against_itself(runs):
    found = accuracy.fall(runs, "mnist", 512, 512)
    assert (found.value, *found.interval(), found.unit) == (0, 0, 0, "points") and found.n
    assert math.isnan(accuracy.fall(runs, "mnist", 7, 7).value)


def test_an_excess_is_the_difference_of_two_independent_falls():
    [found] = accuracy.excess(RUNS, [("mnist", "synthetic-1k")], 8, 128)
    a, b = (summed(cells(RUNS, d), {8: 1, 128: -1}) for d in ("mnist", "synthetic-1k"))
    error = math.hypot(a["error"], b["error"])
    freedom = error**4 / (a["error"] ** 4 / a["freedom"] + b["error"] ** 4 / b["freedom"])
    half = stats.t.ppf(0.975, freedom) * error
    assert found.value == pytest.approx(a["value"] - b["value"])
    assert found.interval() == pytest.approx((found.value - half, found.value + half))
    assert found.about == "MNIST over Synthetic 1K" and found.n == 4
    assert found.span == max(a["span"], b["span"]) and len(found.ids) == 16


def test_the_peak_is_the_level_at_the_highest_mean_and_wants_every_batch_size():
    best = max(SIZES, key=lambda b: fmean(MNIST[b].values()))
    assert same(accuracy.peak(RUNS, "mnist"), summed(MNIST, {best: 1}))
    lone = RUNS.copy()  # one seed of B = 8 lifts its mean above all, and not its median
    eight = (lone["dataset"] == "mnist") & (lone["batch_size"] == 8) & (lone["lr_rule"] == "linear")
    lone.loc[eight, "test_acc"] = 75.0 + 75 * (lone["seed"] == 40)
    assert accuracy.peak(lone, "mnist").about == "MNIST, B = 8"
    lacks = RUNS[~((RUNS["dataset"] == "mnist") & (RUNS["batch_size"] == SIZES[0]))]
    for some in (lacks, RUNS.iloc[:0]):
        none = accuracy.peak(some, "mnist")
        assert none.n == 0 and none.missing == "bbatch sweep mnist" and none.unit == "percent"


def test_the_share_of_seeds_that_move_with_the_mean():
    many = runs(seeds=9)
    table = cells(many, "mnist")
    moved = [table[SIZES[-1]][s] - table[SIZES[0]][s] for s in table[SIZES[0]]]
    agree = sum((m > 0) == (fmean(moved) > 0) for m in moved)
    [found] = accuracy.seeds_that_agree(many, ["mnist"])
    test = stats.binomtest(agree, 9).proportion_ci(method="wilson")
    assert 0 < agree < 9 and found.value == pytest.approx(100 * agree / 9) and found.n == 9
    assert found.interval() == pytest.approx((100 * test.low, 100 * test.high))
    wider = stats.binomtest(agree, 9).proportion_ci(0.98, method="wilson")
    assert found.interval(0.98) == pytest.approx((100 * wider.low, 100 * wider.high))
    assert set(found.ids) == {f"mnist {b} {s} linear" for b in (SIZES[0], SIZES[-1]) for s in range(40, 49)}
    assert (found.unit, found.about) == ("percent of seeds", "MNIST")
    assert accuracy.seeds_that_agree(runs(seeds=5), ["mnist"])[0].n == 5
    for few in (RUNS, many[many["batch_size"] != SIZES[0]], many[many["batch_size"] != SIZES[-1]]):
        [none] = accuracy.seeds_that_agree(few, ["mnist"])  # four seeds, or an end that is missing
        assert none.n == 0 and none.missing == "bbatch sweep mnist"
        assert none.unit == "percent of seeds"
    assert found.how == "Wilson's interval"
    ends_alone = many[many["batch_size"].isin([SIZES[0], SIZES[-1]])]
    assert accuracy.seeds_that_agree(ends_alone, ["mnist"])[0].value == found.value
    one_far = many.assign(test_acc=89.0 + 50 * (many["seed"] == 40))  # the mean goes up by one seed alone
    one_far.loc[many["batch_size"] == SIZES[0], "test_acc"] = 90.0
    assert accuracy.seeds_that_agree(one_far, ["mnist"])[0].value == pytest.approx(100 / 9)
    [printed] = accuracy.seeds_that_agree(published.printed_frame(), ["mnist"])
    assert printed.n == 0 and printed.missing == ""


def test_the_share_of_seeds_at_or_below_an_accuracy():
    values = sorted(MNIST[8].values())
    for aim, right in ((values[1], 2), (values[1] - 1e-6, 1), (values[0] - 1, 0)):
        found = accuracy.share_at_most(RUNS, "mnist", 8, aim)
        test = stats.binomtest(right, 4).proportion_ci(method="wilson")
        assert found.value == 25 * right and found.n == 4
        assert found.interval() == pytest.approx((100 * test.low, 100 * test.high))
    assert set(found.ids) == {f"mnist 8 {s} linear" for s in range(40, 44)}
    assert (found.unit, found.about) == ("percent of seeds", "MNIST, B = 8")
    none = accuracy.share_at_most(RUNS, "mnist", 7, 50)
    assert none.n == 0 and none.unit == "percent of seeds" and none.missing == "bbatch sweep mnist"
    paper = published.printed_frame()
    printed = paper.set_index(["dataset", "batch_size"]).loc[("mnist", 8), "test_acc"]
    for aim, share in ((printed, 100.0), (printed - 0.01, 0.0)):
        found = accuracy.share_at_most(paper, "mnist", 8, aim)
        assert (found.value, *found.interval(), found.n) == (share, share, share, 1)
        assert found.shown == f"{printed:.2f} %"


def means(values: dict, dataset="mnist"):
    rows = [
        (dataset, b, s, "linear", v + (-1) ** k * off, 200, f"{b} {s}")
        for k, (b, v) in enumerate(values.items())
        for s, off in enumerate((0.5, 0.5, 0.5, -1.5, 0.0))  # the median is another
    ]
    columns = ["dataset", "batch_size", "seed", "lr_rule", "test_acc", "n_test", "id"]
    return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=2)


@pytest.mark.parametrize(
    "values, flat",
    [
        ({8: 90.0, 16: 90.5, 32: 91.0, 64: 90.4, 128: 91.0}, (16, 32)),  # not over the hollow at 64
        ({8: 90.0, 16: 90.6, 32: 90.2, 64: 90.7, 128: 90.6}, (16, 128)),
        ({8: 91.0, 16: 90.0, 32: 90.9}, (8, 8)),
        ({8: 90.0, 16: 90.0, 32: 91.0}, (32, 32)),
    ],
)
def test_the_flat_range_holds_what_lies_near_the_best_without_a_gap(values, flat):
    assert accuracy.at_a_glance(means(values))["flat"].tolist() == [flat]


def test_one_line_of_the_landing_page():
    two = means({8: 90.0, 512: 88.5}), means({8: 80.0, 16: 82.0, 512: 79.0}, "synthetic-1k")
    table = accuracy.at_a_glance(pd.concat([*two, two[0].assign(test_acc=99.0, lr_rule="constant")]))
    assert table["dataset"].tolist() == [d for d in DATASETS if d in ("mnist", "synthetic-1k")]
    row = table.set_index("dataset").loc["mnist"]
    assert row["sizes"] == f"2 of {len(SIZES)}" and row["flat"] == (8, 8) and row["best"] == 8
    assert row["cost_of_512"].value == pytest.approx(1.5)
    assert table.set_index("dataset").loc["synthetic-1k", "best"] == 16


@pytest.mark.parametrize("metric, column", [("test_acc", "test_acc"), ("gap", "gap"), ("gap_running", "gap")])
def test_one_more_run_by_hand(metric, column):
    paper = published.results("mnist").set_index("batch_size")[column]
    near = runs()
    near[metric] = near["batch_size"].map(paper).fillna(0) + (near[metric] - 80) / 5
    table = accuracy.one_more_run(near, "mnist", metric).set_index("batch_size")
    mine = cells(near, "mnist", metric)
    assert list(table.index) == SIZES
    for b in SIZES:
        hand = summed(mine, {b: 1})
        low, high = hand["value"] - hand["run"], hand["value"] + hand["run"]
        assert table.loc[b, ["low", "high"]].tolist() == pytest.approx([low, high])
        assert table.loc[b, "paper"] == paper[b] and table.loc[b, "n"] == hand["n"]
        assert table.loc[b, "inside"] == (low <= paper[b] <= high)
    assert 0 < table["inside"].sum()
    names = ["mnist", "synthetic-1k"]
    tables = [accuracy.one_more_run(near, d, metric) for d in names]
    printed = 0
    for d in names:
        mine = cells(near, d, metric)
        every = [value for cell in mine.values() for value in cell.values()]
        for b, value in published.results(d).set_index("batch_size")[column].items():
            hand = summed(mine, {b: 1})
            wide = 2 * hand["run"] > max(every) - min(every)
            printed += abs(value - hand["value"]) > hand["run"] + 0.005 or not wide  # else it decides nothing
    inside = accuracy.cells_inside(near, names, [metric])
    assert inside == (sum(sum(t["inside"]) for t in tables), printed)


@pytest.mark.parametrize("distance, inside", [(0.0049, True), (0.0051, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_printed_value_is_inside_where_its_rounding_reaches(distance, inside, side):
    """MNIST's accuracies are printed with two digits; seeds 1 and 2 give an interval of known length."""
    printed = published.results("mnist").set_index("batch_size")["test_acc"][8]
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 * 0.01**2) * math.sqrt(1.5)
    centre = printed + side * (half + distance)
    one = means({8: centre, 2: 0}).query("seed < 2")  # B = 2, which is not printed, sets them apart
    one = one[(one["batch_size"] == 8) | (one["seed"] == 1)]
    one["test_acc"] = np.where(one["batch_size"] == 8, centre, 20) + np.where(one["seed"] == 1, 0.01, -0.01)
    assert accuracy.one_more_run(one, "mnist")["inside"].tolist() == [inside]
    assert accuracy.one_more_run(one[one["seed"] == 1], "mnist").empty  # one run: no interval, no row
    alone = one[
        one["batch_size"] == 8
    ]  # the interval is wider than the runs lie apart: what it holds says nothing
    assert accuracy.one_more_run(alone, "mnist")["inside"].tolist() == ([] if inside else [False])
