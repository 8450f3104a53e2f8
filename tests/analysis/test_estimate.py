"""Estimates against textbook formulas, and the model of the scatter against the records it was taken from."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import polygamma

from bbatch import metrics, published
from bbatch.analysis import accuracy, cells, estimate
from bbatch.analysis.cells import combine
from bbatch.analysis.estimate import Estimate, lacking, minus, ratio
from bbatch.analysis.scatter import PRIOR, moderated, pooled_variance
from bbatch.config import SYNTHETIC
from bbatch.records.store import Store
from factories import record


def frame(accuracies: dict[int, list[int]], dataset="mnist"):
    runs = [
        record(dataset, b, 42 + k, right) for b, all_ in accuracies.items() for k, right in enumerate(all_)
    ]
    return metrics.frame(runs)


def test_a_difference_is_paired_and_its_scatter_drawn_towards_that_of_the_data_set():
    runs = frame({8: [9900, 9910, 9890], 64: [9930, 9925, 9920]})
    found = combine(runs, "mnist", {(8, "linear"): 1, (64, "linear"): -1})
    differences = np.array([-0.30, -0.15, -0.30])
    pooled = (np.var([99.0, 99.1, 98.9], ddof=1) + np.var([99.3, 99.25, 99.2], ddof=1)) / 2
    # two cells of three seeds have four degrees of freedom: two are the differences' own, and count once
    prior = 1 / (1 / PRIOR + 1 / (2 * PRIOR) + 1 / (4 - 2))
    variance = (2 * differences.var(ddof=1) + prior * 2 * pooled) / (2 + prior)
    half = stats.t.ppf(0.975, 2 + prior) * math.sqrt(variance / 3)
    assert (found.value, found.n, found.freedom) == (pytest.approx(differences.mean()), 3, 2 + prior)
    assert found.interval() == pytest.approx((found.value - half, found.value + half))
    run = stats.t.ppf(0.975, 2 + prior) * math.sqrt(variance * (1 + 1 / 3))
    assert found.interval(one_run=True)[1] - found.value == pytest.approx(run)


def test_a_single_run_borrows_the_scatter_and_has_none_where_no_cell_has_two():
    runs = frame({8: [9900, 9910, 9890], 64: [9930]})
    lone = accuracy.level(runs, "mnist", 64)
    deviation = np.std([99.0, 99.1, 98.9], ddof=1)
    assert (
        lone.n == 1
        and lone.error == pytest.approx(deviation)
        and lone.freedom == pytest.approx(1 / (2 / PRIOR + 1 / 2))
    )
    assert lone.one_run == pytest.approx(deviation * math.sqrt(2))
    alone = accuracy.level(frame({8: [9900], 64: [9930]}), "mnist", 64)
    assert alone.value == pytest.approx(99.3) and math.isnan(alone.low)


def test_the_example_of_the_first_rule_is_true():
    """One run with what five of another cell lend it, and five of its own of the same scatter."""
    five = [9900, 9910, 9890, 9905, 9895]
    runs = frame({8: five, 256: [9900]})
    own, lent = (np.ptp(accuracy.level(runs, "mnist", b).interval(one_run=True)) for b in (8, 256))
    assert 1.75 < lent / own < 2


def test_the_only_cell_that_has_seeds_borrows_nothing_from_itself():
    found = accuracy.level(frame({8: [9900, 9910, 9890], 64: [9930]}), "mnist", 8)
    assert found.interval() == pytest.approx(stats.t.interval(0.95, 2, 99.0, stats.sem([99.0, 99.1, 98.9])))


@pytest.mark.parametrize("runs, counts_for", [([5], 2.222), ([20] * 8, 8.398), ([5, 3, 3], 3.810)])
def test_what_is_borrowed_counts_for_less_the_fewer_lend_it(runs, counts_for):
    cells = [np.random.default_rng(n).normal(size=n) for n in (*runs, 1)]  # a lone run lends nothing
    variance, freedom = pooled_variance(cells)
    weights = [n - 1 for n in runs]
    assert variance == pytest.approx(np.average([x.var(ddof=1) for x in cells[:-1]], weights=weights))
    assert freedom == pytest.approx(counts_for, abs=0.001)


def test_a_borrowed_interval_holds_at_least_what_its_level_says():
    """Cells whose variances scatter as the model says, one run of each: intervals hold the mean."""
    rng, missed = np.random.default_rng(0), 0
    for _ in range(2000):
        own, lender = PRIOR / rng.chisquare(PRIOR, 2)
        variance, freedom = pooled_variance([rng.normal(0, math.sqrt(lender), 5)])
        missed += abs(rng.normal(0, math.sqrt(own))) > stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert 0.005 < missed / 2000 < 0.055  # few are missed: the sum of doubts is on the safe side


def test_intervals_stay_inside_what_a_quantity_can_be():
    assert Estimate(99.9, 3, "percent", error=1.0).interval() == (pytest.approx(97.94, abs=0.01), 100.0)
    assert Estimate(0.999, 3, "R^2", error=0.01).high == 1.0
    assert Estimate(0.9, 5, "r", error=1.0, scale="fisher").high < 1


def test_a_ratio_has_the_interval_of_its_logarithm():
    found, logs = ratio([2.0, 3.0, 2.5], "somewhere"), np.log([2.0, 3.0, 2.5])
    low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert found.value == pytest.approx(math.exp(logs.mean()))
    assert found.interval() == pytest.approx((math.exp(low), math.exp(high)))


def test_a_difference_of_independent_estimates_is_welchs():
    a, b = [5.0, 6.0, 7.0, 5.5], [1.0, 1.5, 0.5]
    left, right = (estimate.mean(x, "points", "") for x in (a, b))
    found, textbook = minus(left, right, ""), stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.interval() == pytest.approx((textbook.low, textbook.high))


def test_the_paper_is_asked_the_same_and_answers_with_its_rounding():
    found = accuracy.fall(published.printed_frame(), "synthetic-50k", 8, 512)
    assert (found.value, found.shown) == (pytest.approx(99.32 - 99.27), "99.32 − 99.27 = 0.05")
    assert found.interval() == pytest.approx((0.04, 0.06))
    level = accuracy.level(published.printed_frame(), "mnist", 1, "gap")
    assert level.shown == "0.360" and level.high == pytest.approx(0.3605)
    assert (
        accuracy.level(published.printed_frame(), "cifar10", 1024).shown == "10.00"
    )  # two digits, as its column has
    assert accuracy.level(published.printed_frame(), "synthetic-1k", 16).n == 0
    assert accuracy.level(published.ablation_frame(), "synthetic-50k", 512, lr_rule="constant").value == 82.1


def test_of_a_run_that_is_recorded_twice_the_first_counts():
    rows = [("mnist", "linear", 8, 42, 99.0, "a"), ("mnist", "linear", 8, 42, 50.0, "b")]
    runs = pd.DataFrame(rows, columns=["dataset", "lr_rule", "batch_size", "seed", "test_acc", "id"])
    table = cells.by_seed(runs, "mnist", "test_acc")
    assert table.to_numpy().tolist() == [[99.0]] and table.index.tolist() == [42]
    assert table.columns.tolist() == [8]
    assert accuracy.level(runs, "mnist", 8).value == 99.0


def test_a_missing_cell_names_the_command_that_gives_it():
    runs = frame({8: [9900, 9910]})
    assert accuracy.fall(runs, "mnist", 8, 64).missing == "bbatch sweep mnist"
    constant = accuracy.level(runs, "synthetic-50k", 512, lr_rule="constant")
    assert constant.missing == "bbatch sweep synthetic-50k --lr-rule constant" and constant.n == 0


def test_the_records_scatter_as_the_model_says():
    """The variances of cells of one data set scatter about a common one no more than `PRIOR` says (the method
    of moments of Smyth 2004: the variance of log s² is the trigamma function of half of either degrees of
    freedom)."""
    runs = metrics.full_protocol(metrics.frame(Store().records().values()))
    for d in SYNTHETIC:
        for metric in ("test_acc", "gap_running", "gap"):
            table = cells.by_seed(runs, d, metric)
            own = table.count().mean() - 1
            more = np.log(table.var()).var(ddof=1) - polygamma(1, own / 2)
            assert more < polygamma(1, PRIOR / 2), (d, metric)


@pytest.mark.parametrize(
    "unit, least, most",
    [
        ("percent", 0, 100),
        ("points", -100, 100),
        ("R^2", 0, 1),
        ("r", -1, 1),
        ("p", 0, 1),
        ("percent of seeds", 0, 100),
        ("ratio", 0, math.inf),
        ("loss", 0, math.inf),
        ("steps", -math.inf, math.inf),
    ],
)
def test_no_interval_leaves_what_its_unit_allows(unit, least, most):
    low, high = Estimate(0.5, 3, unit, error=1e6).interval()
    half = 1e6 * stats.norm.ppf(0.975)
    assert low == (least if math.isfinite(least) else pytest.approx(0.5 - half))
    assert high == (most if math.isfinite(most) else pytest.approx(0.5 + half))
    assert Estimate(0.5, 3, unit, error=0.01).interval() == pytest.approx((0.4804, 0.5196), abs=1e-4)


def test_an_interval_is_symmetric_on_its_scale_and_of_the_level_asked_for():
    e = Estimate(2.0, 4, "ratio", error=0.3, one_run=0.7, freedom=3, scale="log")
    for level, once in ((0.95, False), (0.8, False), (0.8, True)):
        half = stats.t.ppf((1 + level) / 2, 3) * (0.7 if once else 0.3)
        assert e.interval(level, once) == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))
    assert Estimate(2.0, 4, error=0.3).interval(one_run=True) == Estimate(2.0, 4, error=0.3).interval()
    r = Estimate(0.5, 9, "r", error=0.2, scale="fisher")
    assert r.interval() == pytest.approx(np.tanh(math.atanh(0.5) + np.array([-1, 1]) * 1.959964 * 0.2))
    assert (r.mean, r.half_width) == (0.5, pytest.approx((r.high - r.low) / 2))
    assert Estimate(1.0, 2, error=0.3, bounds=(0.0, 5.0)).interval() == (0.0, 5.0)
    for none in (Estimate(error=1.0), Estimate(1.0)):
        assert all(map(math.isnan, none.interval()))


@pytest.mark.parametrize(
    "span, level, narrow", [(3.93, 0.95, True), (3.91, 0.95, False), (3.93, 0.99, False)]
)
def test_an_interval_tells_something_where_it_is_no_wider_than_runs_lie_apart(span, level, narrow):
    """Of one more run, 2 · 1.96 of its errors wide at 95 %, and not of the mean."""
    assert Estimate(90.0, 9, "percent", error=0.01, one_run=1.0, span=span).narrow(level) is narrow
    assert Estimate(90.0, 9, bounds=(89.0, 91.0), span=2.0).narrow()
    assert not Estimate(90.0, 9, bounds=(89.0, 91.0)).narrow(), "nothing is known to hold it against"
    assert not Estimate(90.0, 9, span=2.0).narrow(), "there is no interval"


def test_a_difference_keeps_what_both_were_made_of():
    a = Estimate(5.0, 4, "points", "h", "a", ("1", "2"), 0.3, 0.6, 3.0, span=2.0)
    b = Estimate(2.0, 3, "points", "h", "b", ("3",), 0.4, 0.8, 2.0, span=7.0)
    found = minus(a, b, "both")
    assert (found.value, found.n, found.about, found.ids, found.span) == (3, 3, "both", ("1", "2", "3"), 7)
    assert (found.error, found.one_run) == (pytest.approx(0.5), pytest.approx(1.0))
    assert found.freedom == pytest.approx(0.25**2 / (0.3**4 / 3 + 0.4**4 / 2)) and found.shown == ""
    exact = minus(Estimate(5.0, 1, error=0.0), Estimate(2.0, 1, error=0.0), "")
    assert exact.freedom == math.inf and exact.interval() == (3.0, 3.0)
    below = minus(Estimate(1.0, 3, "percent", error=1.0), Estimate(2.0, 3, "percent", error=1.0), "")
    assert below.unit == "points" and below.low < -1 < below.high, "a difference may lie below zero"
    x = Estimate(5.0, 1, bounds=(4.9, 5.1), shown="five")
    y = Estimate(2.0, 1, bounds=(1.0, 4.0), shown="two")
    printed = minus(x, y, "")
    assert printed.interval() == pytest.approx((0.9, 4.1)) and printed.shown == "(five) − (two) = 3.00"
    gone, said = lacking("", "do this", unit="p"), Estimate(unit="p", shown="no cell")
    for none, missing, shown in (
        (minus(gone, a, "c"), "do this", ""),
        (minus(a, gone, "c"), "do this", ""),
        (minus(said, a, "c"), "", "no cell"),
        (minus(x, said, "c"), "", "no cell"),
    ):
        assert (none.n, none.missing, none.shown, none.about) == (0, missing, shown, "c")
        assert math.isnan(none.value)


def test_means_and_ratios_of_none_and_of_one():
    values = [3.0, 5.0, 4.5]
    found = estimate.mean(values, "steps", "here", ids=["x"], counted="fits")
    assert (found.value, found.n, found.unit, found.about) == (pytest.approx(12.5 / 3), 3, "steps", "here")
    assert (found.ids, found.counted, found.how, found.freedom) == (("x",), "fits", "over seeds", 2)
    assert found.error == pytest.approx(stats.sem(values))
    assert found.one_run == pytest.approx(np.std(values, ddof=1) * math.sqrt(4 / 3))
    assert estimate.mean(values, "", "", how="as said").how == "as said"
    one, none = estimate.mean([3.0], "", ""), estimate.mean([], "steps", "here")
    assert (one.value, one.n) == (3.0, 1) and math.isnan(one.low) and math.isnan(one.one_run)
    assert none.n == 0 and math.isnan(none.value) and (none.unit, none.about) == ("steps", "here")
    found = ratio([2.0, 8.0], "here", ids=["x"], prior=(0.5, 3.0))
    logs = np.log([2.0, 8.0])
    deviation = math.sqrt((logs.var(ddof=1) + 3 * 0.5) / 4)
    assert (found.value, found.n, found.freedom, found.unit) == (pytest.approx(4.0), 2, 4, "ratio")
    assert found.error == pytest.approx(deviation / math.sqrt(2)) and found.ids == ("x",)
    assert found.one_run == pytest.approx(deviation * math.sqrt(1.5)) and found.scale == "log"
    one = ratio([2.0], "", prior=(0.5, 3.0))  # one pair borrows all
    assert one.error == pytest.approx(math.sqrt(0.5)) and one.freedom == 3
    assert ratio([], "here").n == 0 and ratio([], "here").unit == "ratio"


def test_pooled_scatter_is_that_within_columns():
    table = pd.DataFrame(
        {"a": [1.0, 3.0, np.nan], "b": [np.nan, 5.0, np.nan], "c": [2.0, 2.0, 5.0], "d": np.nan}
    )
    squares = 2 * 1.0 + 0 + (1 + 1 + 4)
    doubt = 1 / PRIOR + 1 / (PRIOR * 9 / 5)  # one and two degrees of freedom: (1 + 2)² / (1² + 2²) cells
    for own in (0, 2):
        found = pooled_variance(table.to_numpy().T, own=own)
        assert found == pytest.approx((squares / 3, 1 / (doubt + 1 / (3 - own))))
    nothing = pooled_variance(table.to_numpy().T, own=3)
    assert math.isnan(nothing[0]) and nothing[1] == 0
    many = np.random.default_rng(0).normal(size=(400, 60))
    assert 0.98 * PRIOR < pooled_variance(many)[1] < PRIOR
    assert all(map(math.isnan, moderated(np.array([1.0]), math.nan, 0.0)))


def test_a_sum_over_cells_that_no_seed_shares_is_missing():
    apart = pd.concat([frame({8: [9900, 9910]}), frame({64: [9900, 9910]}).assign(seed=[7, 8])])
    found = combine(apart, "mnist", {(8, "linear"): 1, (64, "linear"): -1})
    assert (found.n, found.missing, found.unit) == (0, "bbatch sweep mnist", "points")
    assert found.about == "MNIST, B = 8 and 64"
    twice = pd.concat(
        [frame({8: [9900, 9910]})] * 2, ignore_index=True
    )  # the same runs given twice count once
    assert combine(twice, "mnist", {(8, "linear"): 1}).n == 2


def test_printed_cells_and_their_arithmetic_in_words():
    paper = pd.DataFrame(
        {
            "dataset": "mnist",
            "batch_size": [8, 16, 32, 64],
            "lr_rule": "linear",
            "gap": [3.0, -1.25, 0.5, np.nan],
            "gap_rounding": [0.05, 0.005, 0.5, np.nan],
            "printed": True,
        }
    )

    def asked(**weights):
        return combine(paper, "mnist", {(int(b[1:]), "linear"): w for b, w in weights.items()}, "gap")

    assert (asked(b8=1).shown, asked(b8=1).interval(), asked(b8=1).n) == ("3.0", (2.95, 3.05), 1)
    found = asked(b8=1, b16=-1)
    assert found.shown == "3.0 − (−1.25) = 4.25" and found.interval() == pytest.approx((4.195, 4.305))
    three = asked(b8=0.5, b16=-2, b32=1)
    assert three.value == pytest.approx(4.5) and three.shown == "4.50 from 3.0, −1.25, 0"
    assert three.interval() == pytest.approx((4.5 - 0.535, 4.5 + 0.535))
    assert three.about == "MNIST, B = 8 to 32" and three.unit == "points"
    for absent in (asked(b64=1), asked(b8=1, b128=-1)):
        assert absent.n == 0 and absent.shown == "no cell of the paper's tables" and math.isnan(absent.value)
    assert cells.sizes(paper.iloc[::-1], "mnist") == [8, 16, 32, 64]
    assert cells.sizes(paper.assign(lr_rule="constant"), "mnist") == []
    assert [estimate.digits(h) for h in (0.5, 0.05, 0.0005, 5.0)] == [0, 1, 3, 0]
    assert (estimate.number(math.inf), estimate.number(-1.234), estimate.number(2, 0)) == (
        "none",
        "−1.23",
        "2",
    )
    assert cells.command("mnist", "sqrt", 3, " --x") == "bbatch sweep mnist --lr-rule sqrt --seeds 3 --x"
    assert cells.command("mnist") == "bbatch sweep mnist"


def test_a_sum_over_cells_knows_its_runs_its_unit_and_the_range_of_all():
    """Seed 44 is missing at B = 64: its run at B = 8 takes no part. Accuracies lie between 98.9 and 99.3."""
    runs = frame({8: [9900, 9910, 9890], 64: [9930, 9925], 512: [9900]})
    ids = runs.set_index(["batch_size", "seed"])["id"]
    level = combine(runs, "mnist", {(8, "linear"): 1})
    assert (level.unit, level.how) == ("percent", "over seeds") and set(level.ids) == set(ids[8])
    assert level.span == pytest.approx(0.4)
    fall = combine(runs, "mnist", {(8, "linear"): 1, (64, "linear"): -1})
    assert (fall.unit, fall.how, fall.n) == ("points", "paired by seed", 2)
    assert set(fall.ids) == {ids[b, s] for b in (8, 64) for s in (42, 43)}
    assert fall.span == pytest.approx(0.4)  # as far as two runs can lie apart
    double = combine(runs, "mnist", {(8, "linear"): 1, (64, "linear"): 1})
    assert double.span == pytest.approx(0.8)
    assert combine(runs, "mnist", {(8, "linear"): 1}, "gap").unit == "points"


def test_a_run_at_chance_does_not_widen_the_range():
    """Else one collapse would make every printed value of the data set near enough."""
    runs = frame({8: [9900, 9910, 9890], 64: [9930, 9925], 512: [9920, 1500, 980]})
    found = combine(runs, "mnist", {(8, "linear"): 1})
    assert found.span == pytest.approx(0.4)
    learned = runs[runs["test_acc"] > 15]
    gaps = combine(runs, "mnist", {(8, "linear"): 1}, "gap").span
    assert gaps == pytest.approx(learned["gap"].max() - learned["gap"].min())
    assert combine(runs, "mnist", {(512, "linear"): 1}).value == pytest.approx((99.2 + 15 + 9.8) / 3)
    assert math.isnan(combine(frame({8: [1500, 980]}), "mnist", {(8, "linear"): 1}).span)
    assert combine(frame({8: [1501, 1511]}), "mnist", {(8, "linear"): 1}).span == pytest.approx(0.1)
