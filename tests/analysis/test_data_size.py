"""Optimum and B* against the number of samples, on curves whose powers are known."""

import math

import pandas as pd
import pytest

from bbatch.analysis import data_size
from bbatch.statistics import mean_interval, power_laws

N = (1_000, 4_000, 16_000, 64_000)


def made_up(optimum, sizes=tuple(2**k for k in range(12)), problems=(1, 2, 3)):
    """Accuracy peaks at `optimum(problem, N)` and is 1.1 points lower from three octaves above it on; the two
    seeds lie as far above and below, further in small batches."""
    rows = []
    for p in problems:
        for n in N:
            for b in sizes:
                octaves = math.log2(b / optimum(p, n))
                accuracy = 95 - (0.1 * abs(octaves) if octaves < 3 else 1.1)
                rows += [[p, n * 4 // 5, b, 42 + s, accuracy + (s - 0.5) * 4 / b] for s in (0, 1)]
    return pd.DataFrame(rows, columns=["problem", "n_train", "batch_size", "seed", "test_acc"])


def test_powers_that_were_put_in():
    """Problem 1 does not grow with N, problem 2 as its square root, problem 3 in proportion."""
    table = data_size.optima(made_up(lambda p, n: 2 * (n // 1000) ** ((p - 1) / 2)))
    assert table.columns.tolist() == ["problem", "N", "optimal", "critical"]
    at = table.set_index(["problem", "N"])
    assert at.loc[(2, 16_000)].tolist() == [8, 64] and list(at.loc[1].index) == list(N)
    expected = mean_interval([0, 0.5, 1])
    for what in ("optimal", "critical"):
        fits, mean = power_laws(table, "problem", "N", what)
        assert [fit.exponent.mean for fit in fits] == pytest.approx([0, 0.5, 1])
        assert (mean.mean, mean.low, mean.high) == pytest.approx((0.5, expected.low, expected.high))


def test_a_size_without_b_star_is_missing_and_left_out_of_its_power_alone():
    """Of problem 3 B* at N = 64,000, eight times 128, lies beyond the batch sizes tried."""
    runs = made_up(lambda p, n: 2 * (n // 1000) ** ((p - 1) / 2), sizes=tuple(2**k for k in range(10)))
    table = data_size.optima(runs)
    lacks = table[table["critical"].isna()]
    assert lacks[["problem", "N"]].values.tolist() == [[3, 64_000]]
    fits = power_laws(table, "problem", "N", "critical")[0]
    assert [fit.exponent.n for fit in fits] == [4, 4, 3] and fits[2].exponent.mean == pytest.approx(1)
    assert [fit.exponent.n for fit in power_laws(table, "problem", "N", "optimal")[0]] == [4, 4, 4]


def test_the_mean_over_problems_is_geometric_and_counts_those_that_have_one():
    table = pd.DataFrame(
        [(1, 100, 8, pd.NA), (2, 100, 32, 64), (3, 100, 2, 256), (1, 400, 4, pd.NA)],
        columns=["problem", "N", "optimal", "critical"],
    )
    found = data_size.over_problems(table, "critical")
    assert list(found) == [100] and (found[100].mean, found[100].n) == pytest.approx((128, 2))
    best = data_size.over_problems(table, "optimal")
    logs = [math.log(b) for b in (8, 32, 2)]
    spread = math.sqrt(sum((x - math.log(8)) ** 2 for x in logs) / 2 / 3) * 4.302653  # t of 2 degrees
    assert (best[100].low, best[100].high) == pytest.approx((8 / math.exp(spread), 8 * math.exp(spread)))
    assert best[400].mean == 4 and math.isnan(best[400].low)
