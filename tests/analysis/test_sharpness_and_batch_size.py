"""Ratios, growth and correlations of sharpness, against tables made to hold them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch.analysis import sharpness_and_batch_size
from bbatch.errors import BadInput
from bbatch.geometry import measurements
from bbatch.pages import sharpness_figures
from bbatch.statistics import spearman
from made_up import lent
from small_geometry import sharpness_table


def test_ratio_and_growth_are_those_of_a_table_made_by_them():
    table = sharpness_table()
    ratio = sharpness_and_batch_size.ratios(table, "synthetic-50k").set_index("measure").loc["sharpness_l2"]
    assert ratio["ratio"] == pytest.approx(0.25) and ratio["n"] == 3
    assert (
        ratio["low"] < 0.25 < ratio["high"]
    )  # the seeds of a batch size scatter, though all ratios are equal
    # at the base batch size, where the rules are one, the linear run counts
    assert sharpness_and_batch_size.ratios(table, "synthetic-50k", lr_rule="constant")[
        "ratio"
    ].tolist() == pytest.approx([512**0.25 / 32**-0.5] * 2)
    found = sharpness_and_batch_size.growth(table, "synthetic-50k").set_index(["lr_rule", "measure"])
    assert found.loc[("linear", "sharpness_l2"), "exponent"] == pytest.approx(-0.5)
    assert found.loc[("linear", "sharpness_l2"), "n"] == 3
    noisy = table.assign(value=table["value"] * np.random.default_rng(0).lognormal(0, 0.1, len(table)))
    pairs = noisy.query("measure == 'hessian_trace' and lr_rule == 'linear'").pivot(
        index="seed", columns="batch_size", values="value"
    )
    logs, cells = np.log(pairs[512] / pairs[32]), np.log(pairs)
    prior = lent([2] * len(cells.columns), own=2)
    variance = (2 * logs.var() + prior * 2 * cells.var().mean()) / (2 + prior)
    half = stats.t.ppf(0.975, 2 + prior) * np.sqrt(variance / 3)
    low, high = np.exp(logs.mean() - half), np.exp(logs.mean() + half)
    row = sharpness_and_batch_size.ratios(noisy, "synthetic-50k").set_index("measure").loc["hessian_trace"]
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["single"] == pytest.approx(tuple(pairs[512] / pairs[32]))


def test_a_network_that_collapsed_and_seeds_of_other_sizes_leave_the_growth_of_the_rest():
    table = sharpness_table()
    dead = (table["seed"] == 43) & (table["batch_size"] == 512) & (table["lr_rule"] == "linear")
    table["id"] += table["seed"].astype(str)
    table.loc[dead, "value"] = 0.0
    right = table[table["measure"] == "hessian_trace"].assign(
        measure="accuracy", value=lambda t: np.where(t["value"] == 0, 54.0, 99.0)
    )
    table = pd.concat(
        [table[~((table["seed"] == 44) & (table["batch_size"] == 8))], right], ignore_index=True
    )
    gone = measurements.collapsed(table)
    assert gone[["batch_size", "lr_rule", "seed"]].values.tolist() == [[512, "linear", 43]]
    found = sharpness_and_batch_size.growth(table, "synthetic-50k").set_index(["lr_rule", "measure"])
    assert found["exponent"]["linear"].tolist() == pytest.approx([-0.5, -0.5]) and set(found["n"]) == {3}
    assert sharpness_and_batch_size.ratios(table, "synthetic-50k")["n"].tolist() == [2, 2]


def test_rank_correlation_with_the_gap_and_inside_cells():
    table = sharpness_table().query("measure == 'sharpness_l2'")
    cell = table["lr_rule"] + table["batch_size"].astype(str)
    runs = pd.DataFrame({"id": table["id"], "gap": table["value"].rank() * 0.1})
    found = sharpness_and_batch_size.against_gap(table, runs, "synthetic-50k").set_index("over")
    assert (
        found["rho"].tolist() == pytest.approx([1, 1])
        and found["n"].tolist() == [21, 15]
        and found["clear"].all()
    )
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 40))
    c = spearman(x, y)
    assert c.r == pytest.approx(stats.spearmanr(x, y).statistic) and c.n == 40
    assert np.arctanh(c.high) - np.arctanh(c.low) == pytest.approx(
        2 * 1.959964 * np.sqrt((1 + c.r**2 / 2) / 37), rel=1e-5
    )
    assert spearman(x, y, cells=[1] * 40) == c
    shifted = spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100], cells=[0] * 20 + [1] * 20)
    assert (
        abs(shifted.r) < 0.6
        and shifted.n == 39
        and spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100]).r > 0.6
    )
    for bad in (([1, 2, 3], [1, 2, 3]), ([1] * 9, range(9)), (range(5), range(4))):
        with pytest.raises(BadInput, match="a rank correlation needs four pairs"):
            spearman(*bad)
    assert cell.nunique() == 7


def test_a_forest_draws_intervals_and_of_few_seeds_each_value():
    table = sharpness_table(seeds=6)
    noisy = table.assign(value=table["value"] * np.random.default_rng(0).lognormal(0, 0.1, len(table)))
    many = sharpness_and_batch_size.ratios(noisy, "synthetic-50k")
    few = sharpness_and_batch_size.ratios(noisy[noisy["seed"] < 45], "synthetic-50k")
    words = ("title", "label", "caption")
    series = {"many": (many, "#0072B2"), "few": (few, "#009E73")}
    (axis,) = sharpness_figures.forest(series, "ratio", {1: "", 6.9: "the paper"}, words).axes
    assert [tick.get_text() for tick in axis.get_yticklabels()] == [
        "Euclidean ball, searched; train",
        "Hessian, trace; train",
    ]
    dots = [line.get_xdata() for line in axis.lines if line.get_marker() == "d"]
    assert [tuple(x) for x in dots] == [tuple(single) for single in few["single"]] and len(dots[0]) == 3
    bars = [bar.get_segments()[0][:, 0] for bar in axis.collections]
    assert np.allclose(bars, many[["low", "high"]])
    upright = [line.get_xdata()[0] for line in axis.lines if len(set(line.get_xdata())) == 1]
    assert {1, 6.9} <= set(upright)
