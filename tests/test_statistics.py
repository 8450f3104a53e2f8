"""Intervals against scipy and textbook values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import statistics
from bbatch.errors import BadInput
from bbatch.statistics import mean_interval, paired_difference, proportion_interval


def test_t_interval_of_a_textbook_sample():
    """Mean 10 and sd 2 over n = 16: 10 +- t(0.975, 15) * 2 / 4, with t = 2.131 in every table."""
    x = np.array([-1.0, 1.0] * 8)
    x = 10 + 2 * x / x.std(ddof=1)
    got = mean_interval(x)
    assert got.mean == pytest.approx(10) and got.n == 16
    assert got.half_width == pytest.approx(2.131 / 2, abs=5e-4)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 10, 50])
def test_t_interval_is_scipys(n, level):
    x = np.random.default_rng(n).normal(80, 3, n)
    expected = stats.ttest_1samp(x, 0).confidence_interval(level)
    got = mean_interval(x.tolist(), level)
    assert (got.low, got.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_t_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    trials = [mean_interval(rng.normal(5, 2, 5)) for _ in range(2000)]
    covered = np.mean([t.low <= 5 <= t.high for t in trials])
    assert abs(covered - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 2000)


def test_small_samples_give_no_interval():
    one, none = mean_interval([3.0]), mean_interval([])
    assert one.mean == 3.0 and math.isnan(one.low) and math.isnan(one.high) and one.n == 1
    assert math.isnan(none.mean) and math.isnan(none.half_width) and none.n == 0
    same = mean_interval([2.0, 2.0, 2.0])
    assert same.low == same.high == 2.0


@pytest.mark.parametrize(
    "mean, half, sign, text",
    [
        (-0.001, math.nan, "", "0.00"),
        (math.nan, math.nan, "+", "–"),
        (-0.001, math.nan, "+", "+0.00"),
        (-0.004, 0.012, "", "0.00\u00a0±\u00a00.01"),
        (-0.006, math.nan, "", "−0.01"),
        (2.345, 0.25, "+", "+2.35\u00a0±\u00a00.25"),
    ],
)
def test_an_interval_reads_as_text_and_no_zero_has_a_minus(mean, half, sign, text):
    assert statistics.Interval(mean, mean - half, mean + half, 3).text(sign=sign) == text


def test_an_interval_that_is_not_symmetric_is_told_by_its_ends():
    """As where it ends at what is possible: 39.48 ± 44.71 would reach below 0."""
    assert statistics.Interval(39.484, 0.0, 89.412, 3).text() == "39.48 (0.00 to 89.41)"
    assert statistics.Interval(-1.0, -100.0, 2.5, 3).text(1, "+") == "−1.0 (−100.0 to +2.5)"
    assert statistics.span(statistics.Interval(math.nan, 0.0, 1.0, 3)) == "–"
    assert statistics.span(statistics.Interval(2.0, math.nan, math.nan, 1), 1, "+") == "+2.0"
    # a hundredth more to one side is not seen in the digits
    assert statistics.Interval(66.14, 65.21, 67.06, 1).text() == "66.14\u00a0±\u00a0" + "0.93"


def test_paired_difference_is_scipys():
    rng = np.random.default_rng(1)
    a = rng.normal(80, 5, 12)
    b = a - rng.normal(1, 0.5, 12)  # paired: the interval is far narrower than either spread
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    got = paired_difference(a, b)
    assert (got.low, got.high, got.n) == (pytest.approx(expected.low), pytest.approx(expected.high), 12)
    back = paired_difference(b, a)
    assert (back.low, back.high) == (pytest.approx(-got.high), pytest.approx(-got.low))


def test_unpaired_values_are_refused():
    with pytest.raises(BadInput, match="needs pairs, not 2 values against 3."):
        paired_difference([1, 2], [1, 2, 3])


@pytest.mark.parametrize("correct, n", [(0, 10), (1, 10), (81, 263), (9_870, 10_000), (10, 10)])
def test_wilson_interval_is_scipys(correct, n):
    expected = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    got = proportion_interval(correct, n)
    assert (got.low, got.high) == (
        pytest.approx(100 * expected.low, abs=1e-9),
        pytest.approx(100 * expected.high),
    )
    assert got.mean == pytest.approx(100 * correct / n) and got.n == n


@pytest.mark.parametrize("n", [30, 100, 200, 2000])  # in whose sums the last bit is off
def test_a_bar_of_nothing_and_of_everything_right_ends_at_its_mean(n):
    """What reached a bit beyond was no bar that matplotlib draws."""
    assert proportion_interval(0, n).low == 0 and proportion_interval(n, n).high == 100


@pytest.mark.parametrize("correct, n", [(-1, 10), (11, 10), (0, 0)])
def test_what_is_no_proportion_is_refused(correct, n):
    with pytest.raises(BadInput, match=f"{correct} right answers of {n} is no proportion"):
        proportion_interval(correct, n)


def test_pearson_agrees_with_numpy_and_fishers_z():
    rng = np.random.default_rng(3)
    x = rng.normal(size=30)
    y = 0.6 * x + rng.normal(size=30)
    c = statistics.pearson(x, y)
    r = np.corrcoef(x, y)[0, 1]
    low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * stats.norm.ppf(0.975) / np.sqrt(27))
    assert (c.r, c.low, c.high, c.n) == pytest.approx((r, low, high, 30))


def test_power_laws_are_those_of_the_groups_that_have_three_points_above_zero():
    rows = [(k, x, (k + 1) * x**a) for k, a in enumerate((0.5, 1.0, 2.0)) for x in (1, 2, 4, 8)]
    frame = pd.DataFrame(
        [*rows, (3, 1, 1.0), (3, 2, 5.0), (4, 1, 0.0), (4, 2, 1.0), (4, 4, 1.0)], columns=["k", "x", "y"]
    )
    fits, mean = statistics.power_laws(frame, "k", "x", "y")
    assert [f.exponent.mean for f in fits] == pytest.approx([0.5, 1, 2])
    low, high = stats.t.interval(0.95, 2, 3.5 / 3, stats.sem([0.5, 1, 2]))
    assert (mean.mean, mean.low, mean.high) == pytest.approx((3.5 / 3, low, high))
    fits, alone = statistics.power_laws(frame[frame["k"] == 1], "k", "x", "y")
    assert alone == fits[0].exponent and statistics.power_laws(frame[frame["k"] > 2], "k", "x", "y") == (
        [],
        None,
    )


def test_power_law_finds_the_exponent():
    x = np.array([1.0, 2, 4, 8, 16])
    fit = statistics.power_law(x, 3 * x**0.5)
    assert (fit.exponent.mean, fit.r_squared) == pytest.approx((0.5, 1))
    noisy = statistics.power_law(x, 3 * x**0.5 * np.exp([0.1, -0.2, 0.15, 0.05, -0.1]))
    design = np.column_stack([np.ones(5), np.log(x)])
    target = np.log(3 * x**0.5) + [0.1, -0.2, 0.15, 0.05, -0.1]
    beta, residual, *_ = np.linalg.lstsq(design, target, rcond=None)
    half = stats.t.ppf(0.975, 3) * np.sqrt(residual[0] / 3 * np.linalg.inv(design.T @ design)[1, 1])
    assert (noisy.exponent.mean, noisy.exponent.half_width) == pytest.approx((beta[1], half))


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.pearson([1, 2, 3], [1, 2, 3]),
        lambda: statistics.pearson([1] * 5, range(5)),
        lambda: statistics.power_law([1, 2], [1, 2]),
        lambda: statistics.power_law([1, 2, 0], [1, 2, 3]),
    ],
)
def test_fits_refuse_what_they_cannot_fit(call):
    with pytest.raises(BadInput):
        call()


def test_full_rank_agreement_of_few_has_no_interval_of_one_point():
    found = statistics.spearman([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])
    # half a swap of neighbours less than 1 is 1 - 6 / (5 * 24)
    z, half = np.arctanh(0.95), stats.norm.ppf(0.975) * math.sqrt(1.5 / 2)
    assert (found.mean, found.low, found.high, found.n) == (1.0, pytest.approx(np.tanh(z - half)), 1.0, 5)


def test_a_tie_is_rounded_alike_whatever_the_last_bits_are():
    """Means of accuracies end in a 5 where the text ends, give or take an error of rounding."""
    around = [-0.205, np.nextafter(-0.205, 0), np.nextafter(-0.205, -1), -0.205 + 1e-13]
    assert len({statistics.decimal_text(value) for value in around}) == 1
    assert statistics.decimal_text(-1e-12, 2, "+") == "+0.00" and statistics.decimal_text(-1.5, 1) == "−1.5"


def test_ends_of_values_are_one_where_they_read_the_same():
    assert statistics.from_to([5, 20, 3]) == "3 to 20" and statistics.from_to([7, 7]) == "7"
    assert statistics.from_to([-1.0, 0.5], statistics.decimal_text) == "−1.00 to 0.50"
    assert statistics.from_to([78.551, 78.549], statistics.decimal_text) == "78.55"


def test_a_geometric_mean_has_the_interval_of_its_logarithm():
    found, logs = statistics.geometric_mean([2.0, 8.0, 32.0]), np.log([2.0, 8.0, 32.0])
    half = 4.302653 * math.sqrt(((logs - logs.mean()) ** 2).sum() / 2 / 3)  # t of two degrees of freedom
    expected = (8, 8 / math.exp(half), 8 * math.exp(half))
    assert (found.mean, found.low, found.high) == pytest.approx(expected) and found.n == 3
    assert statistics.geometric_mean([5.0]).mean == pytest.approx(5) and math.isnan(
        statistics.geometric_mean([5.0]).low
    )


def test_degrees_of_freedom_of_two_samples_are_those_of_welch():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 7), rng.normal(0, 3, 4)
    parts = [x.var(ddof=1) / len(x) for x in (a, b)]
    found = statistics.satterthwaite(parts, [len(a) - 1, len(b) - 1])
    assert found == pytest.approx(stats.ttest_ind(a, b, equal_var=False).df)
    assert statistics.satterthwaite([2.0], [5]) == pytest.approx(5)
    assert statistics.satterthwaite([0.0, 0.0], [3, 4]) == math.inf  # nothing scatters
    assert statistics.satterthwaite([1.0, 2.0], [math.inf, math.inf]) == math.inf
    assert statistics.satterthwaite([1.0, 1.0], [math.inf, 3]) == pytest.approx(12)
    assert statistics.satterthwaite([math.nan, 1.0], [0, 3]) == math.inf
