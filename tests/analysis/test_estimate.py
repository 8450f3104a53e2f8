"""Estimates against textbook formulas, and the model of the scatter against the records it was taken from."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import polygamma

from bbatch import metrics, published
from bbatch.analysis import accuracy, estimate
from bbatch.analysis.estimate import PRIOR, Estimate, combine, minus, ratio
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
    prior = min(PRIOR, 4 - 2)
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
    assert lone.n == 1 and lone.error == pytest.approx(deviation) and lone.freedom == 2
    assert lone.one_run == pytest.approx(deviation * math.sqrt(2))
    alone = accuracy.level(frame({8: [9900], 64: [9930]}), "mnist", 64)
    assert alone.value == pytest.approx(99.3) and math.isnan(alone.low)


def test_the_only_cell_that_has_seeds_borrows_nothing_from_itself():
    found = accuracy.level(frame({8: [9900, 9910, 9890], 64: [9930]}), "mnist", 8)
    assert found.interval() == pytest.approx(stats.t.interval(0.95, 2, 99.0, stats.sem([99.0, 99.1, 98.9])))


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
    found = accuracy.fall(published.frame(), "synthetic-50k", 8, 512)
    assert (found.value, found.shown) == (pytest.approx(99.32 - 99.27), "99.32 − 99.27 = 0.05")
    assert found.interval() == pytest.approx((0.04, 0.06))
    level = accuracy.level(published.frame(), "mnist", 1, "gap")
    assert level.shown == "0.360" and level.high == pytest.approx(0.3605)
    assert (
        accuracy.level(published.frame(), "cifar10", 1024).shown == "10.00"
    )  # two digits, as its column has
    assert accuracy.level(published.frame(), "synthetic-1k", 16).n == 0
    assert accuracy.level(published.ablation_frame(), "synthetic-50k", 512, lr_rule="constant").value == 82.1


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
            cells = estimate.by_seed(runs, d, metric)
            own = cells.count().mean() - 1
            more = np.log(cells.var()).var(ddof=1) - polygamma(1, own / 2)
            assert more < polygamma(1, PRIOR / 2), (d, metric)
