"""Optimum and B* against the number of samples, on curves whose exponents are known."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch.analysis import data_size
from bbatch.analysis.critical_batch_size import FOUND, NEVER
from bbatch.errors import BadInput
from bbatch.statistics import mean_interval

N = (1_000, 4_000, 16_000, 64_000)


def made_up(optimum, width=3, sizes=tuple(2**k for k in range(12)), seeds=2, problems=(1, 2, 3), noise=0.0):
    """Accuracy peaks at `optimum(problem, N)` and is 1.1 points lower from `width` octaves above it on."""
    rng, rows = np.random.default_rng(2), []
    for p in problems:
        for n in N:
            for b in sizes:
                octaves = math.log2(b / optimum(p, n))
                accuracy = 95 - (0.1 * abs(octaves) if octaves < width else 1.1)
                for s in range(seeds):
                    rows.append([p, n * 4 // 5, b, s, accuracy + noise * rng.standard_normal()])
    return pd.DataFrame(rows, columns=["problem", "n_train", "batch_size", "seed", "test_acc"])


def test_exponents_that_were_put_in():
    """Problem 1 does not grow with N, problem 2 as its square root, problem 3 in proportion."""
    runs = made_up(lambda p, n: 2 * (n // 1000) ** ((p - 1) / 2))
    table = data_size.optima(runs).set_index(["problem", "N"])
    assert table.loc[(2, 16_000), "optimal"] == 8 and table.loc[(2, 16_000), "critical"] == 64
    found = data_size.size_exponents(runs)
    assert found["optimal"].mean == pytest.approx(0.5)
    expected = mean_interval([0, 0.5, 1])
    assert (found["optimal"].low, found["optimal"].high) == pytest.approx((expected.low, expected.high))
    assert found["critical"].mean == pytest.approx(0.5) and found["critical"].n == 3
    assert table.loc[(3, 64_000), "case"] == FOUND


def test_a_problem_without_b_star_is_left_out_of_its_exponent_alone():
    runs = made_up(lambda p, n: 2 * (n // 1000) ** ((p - 1) / 2))
    few = data_size.size_exponents(runs, largest=256)
    assert data_size.optima(runs, 256).set_index(["problem", "N"]).loc[(3, 64_000), "case"] == NEVER
    assert few["critical"].n == 2 and few["optimal"].n == 3
    assert few["critical"].mean == pytest.approx(0.25)  # of 0 and a half
    assert few["optimal"].mean == pytest.approx(0.5)


def test_one_size_or_unequal_sizes_give_no_exponent():
    runs = made_up(lambda p, n: 2)
    with pytest.raises(BadInput, match="same sizes, two or more"):
        data_size.size_exponents(runs[runs["n_train"] == 800])
    with pytest.raises(BadInput, match="same sizes, two or more"):
        data_size.size_exponents(runs[(runs["n_train"] == 800) | (runs["problem"] > 1)])


def test_two_sizes_of_one_problem_are_enough():
    """From 1,000 to 4,000 samples the optimum doubles: a power of one half."""
    runs = made_up(lambda p, n: 4 if n == 1000 else 8, problems=(1,))
    found = data_size.size_exponents(runs[runs["n_train"] <= 3_200])
    for name in ("optimal", "critical"):
        assert found[name].mean == pytest.approx(0.5) and found[name].n == 1


def test_curves_count_all_samples_and_average_seeds():
    runs = made_up(lambda p, n: 8, seeds=3, noise=1)
    curve = data_size.accuracy_curves(runs, largest=64).set_index(["problem", "N", "batch_size"])
    picked = runs[(runs["problem"] == 2) & (runs["n_train"] == 3_200) & (runs["batch_size"] == 16)]
    assert curve.loc[(2, 4_000, 16), "test_acc"] == pytest.approx(picked["test_acc"].mean())
    assert curve["n"].eq(3).all() and curve.reset_index()["batch_size"].max() == 64


def test_scatter_between_problems_and_between_seeds():
    rng = np.random.default_rng(5)
    groups = [10 + 3 * rng.standard_normal() + 0.5 * rng.standard_normal(400) for _ in range(400)]
    between, within = data_size.components(groups)
    assert between == pytest.approx(3, rel=0.12) and within == pytest.approx(0.5, rel=0.02)
    assert data_size.components([np.array([1.0, 3.0]), np.array([1.0, 3.0])])[0] == 0
    assert math.isnan(data_size.components([np.array([1.0, 3.0]), np.array([1.0])])[0])
    a, b = np.array([1.0, 2.0, 3.0]), np.array([7.0, 8.0, 9.0])  # variance 1 within; means 2 and 8
    assert data_size.components([a, b]) == (pytest.approx(math.sqrt(18 - 1 / 3)), pytest.approx(1))
    # squares 6 and 18 within, of 3 degrees of freedom; means 1 and 13; 2 / (1/3 + 1/2) values a group
    uneven = [np.array([0.0, 0.0, 3.0]), np.array([10.0, 16.0]), np.array([99.0])]
    assert data_size.components(uneven) == pytest.approx((math.sqrt(72 - 8 / 2.4), math.sqrt(8)))


def test_scatter_reads_each_run_by_itself():
    runs = made_up(lambda p, n: 2 * p, sizes=(2, 4, 8, 16, 32, 64, 128), problems=(1, 2), seeds=3)
    found = data_size.scatter(runs).set_index(["N", "quantity"])
    optimum = found.loc[(1_000, "optimum (octaves)")]
    assert optimum["between"] == pytest.approx(math.sqrt(0.5)) and optimum["within"] == 0  # octaves 1 and 2
    assert optimum["missing"] == 0
    cut = data_size.scatter(runs, largest=32).set_index(["N", "quantity"])
    assert cut.loc[(1_000, "B* (octaves)"), "missing"] == 0
    none = data_size.scatter(made_up(lambda p, n: 512), largest=1024)
    assert none[none["quantity"] == "B* (octaves)"]["missing"].tolist() == [6] * 4
