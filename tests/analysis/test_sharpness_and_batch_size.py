"""Ratios, growth and correlations of sharpness, against tables made to hold them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch.analysis import sharpness_and_batch_size
from bbatch.analysis.sharpness_and_batch_size import minima
from bbatch.config import DATASETS
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
    assert c.mean == pytest.approx(stats.spearmanr(x, y).statistic) and c.n == 40
    assert np.arctanh(c.high) - np.arctanh(c.low) == pytest.approx(
        2 * 1.959964 * np.sqrt((1 + c.mean**2 / 2) / 37), rel=1e-5
    )
    assert spearman(x, y, cells=[1] * 40) == c
    shifted = spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100], cells=[0] * 20 + [1] * 20)
    assert (
        abs(shifted.mean) < 0.6
        and shifted.n == 39
        and spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100]).mean > 0.6
    )
    for bad in (([1, 2, 3], [1, 2, 3]), ([1] * 9, range(9)), (range(5), range(4))):
        with pytest.raises(BadInput, match="a rank correlation needs four pairs"):
            spearman(*bad)
    assert cell.nunique() == 7


def test_intervals_borrow_the_scatter_of_the_other_cells():
    """Four cells of three seeds scatter alike, so that what is borrowed changes degrees of freedom alone; the
    ratios do not scatter, and all that they have is borrowed."""
    table, variance = sharpness_table(), np.var(np.log([1, 2, 3]), ddof=1)  # factors of the seeds
    prior = lent([2] * 4, own=2)
    t = stats.t.ppf(0.975, 2 + prior)
    found = sharpness_and_batch_size.sharpness_at(minima(table), "synthetic-50k", 32, "sharpness_l2", "train")
    middle = 6 ** (1 / 3) * 32**-0.5
    assert found.interval() == pytest.approx(
        tuple(middle * np.exp(side * t * np.sqrt(variance / 3)) for side in (-1, 1))
    )
    assert (found.unit, found.how) == ("loss", "geometric mean over seeds")
    ratio = sharpness_and_batch_size.sharpness_ratio(
        minima(table), "synthetic-50k", 32, 512, "sharpness_l2", "train"
    )
    half = t * np.sqrt(prior * 2 * variance / (2 + prior) / 3)
    assert ratio.interval() == pytest.approx((0.25 * np.exp(-half), 0.25 * np.exp(half)))
    assert (ratio.value, ratio.n, ratio.unit) == (pytest.approx(0.25), 3, "ratio")
    assert set(ratio.ids) == {f"linear{b}{k}" for b in (32, 512) for k in range(3)}
    one = table[table["batch_size"] == 32]
    none = sharpness_and_batch_size.sharpness_ratio(
        minima(one), "synthetic-50k", 32, 512, "sharpness_l2", "train"
    )
    assert (none.n, none.unit, none.missing) == (0, "ratio", "bbatch geometry synthetic-50k")


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_sharpness_that_is_not_above_0_has_a_mean_and_no_ratio(value):
    table = sharpness_table()
    table.loc[(table["seed"] == 42) & (table["batch_size"] == 32), "value"] = value
    at_32, at_512 = (
        sharpness_and_batch_size.sharpness_at(minima(table), "synthetic-50k", b, "sharpness_l2", "train")
        for b in (32, 512)
    )
    assert at_32.value == pytest.approx((value + (2 + 3) * 32**-0.5) / 3) and at_32.unit == "loss"
    assert at_512.value == pytest.approx(6 ** (1 / 3) * 512**-0.5) and at_512.low < at_512.value < at_512.high
    ratio = sharpness_and_batch_size.sharpness_ratio(
        minima(table), "synthetic-50k", 32, 512, "sharpness_l2", "train"
    )
    assert ratio.value == pytest.approx(0.25) and ratio.n == 2


def test_a_row_a_seed_and_a_column_a_batch_size_of_one_measure_on_one_split():
    table = at_the_end(
        batch_size=[32, 512, 32, 512], seed=[42, 42, 43, 43], id=list("abcd"), value=[1, 2, 3, 6.0]
    )
    others = [{"split": "test"}, {"measure": "hessian_trace"}, {"lr_rule": "constant"}, {"epoch": 25}]
    table = pd.concat([table, *(table.assign(**other, value=9.0) for other in others)])
    asked = "synthetic-50k", "sharpness_l2", "train"
    rows = sharpness_and_batch_size._of(minima(table)[asked[0]], *asked[1:])
    found = sharpness_and_batch_size._wide(rows)
    assert found.to_dict() == {32: {42: 1, 43: 3}, 512: {42: 2, 43: 6}}
    # two batch sizes are enough
    assert sharpness_and_batch_size.sharpness_ratio(
        minima(table), asked[0], 32, 512, *asked[1:]
    ).value == pytest.approx(2)
    none = sharpness_and_batch_size.sharpness_at(minima(table), asked[0], 64, *asked[1:])
    assert (none.n, none.unit, none.missing) == (0, "loss", "bbatch geometry synthetic-50k")


def test_a_network_that_collapsed_is_no_run_that_a_ratio_comes_from():
    """Of one seed and batch size there are two runs, one of which learned nothing."""
    table = at_the_end(batch_size=[32, 512], seed=42, id=["small", "large"], value=[1.0, 2.0])
    dead = at_the_end(batch_size=[512], seed=42, id="dead", value=[9.0])
    right = dead.assign(measure="accuracy", value=52.0)
    ends = minima(pd.concat([table, dead, right], ignore_index=True))
    asked = "sharpness_l2", "train"
    ratio = sharpness_and_batch_size.sharpness_ratio(ends, "synthetic-50k", 32, 512, *asked)
    assert ratio.value == pytest.approx(2) and ratio.ids == ("small", "large")
    assert sharpness_and_batch_size.sharpness_at(ends, "synthetic-50k", 512, *asked).ids == ("large",)


def at_the_end(dataset="synthetic-50k", **columns):
    """Rows of one measure of networks under the linear rule."""
    alike = {"measure": "sharpness_l2", "split": "train", "lr_rule": "linear", "precision": "fp32"}
    return pd.DataFrame(columns).assign(dataset=dataset, epoch=DATASETS[dataset].protocol.epochs, **alike)


def test_ratios_of_the_figures_are_those_of_the_end_of_training_on_each_data_set():
    sizes = [32, 256, 512, 1024]
    mnist = at_the_end("mnist", batch_size=sizes, seed=42, id=list("abcd"), value=[1 / b for b in sizes])
    ends = pd.concat([sharpness_table(), mnist, mnist.assign(seed=43)], ignore_index=True)
    table = pd.concat([ends, ends.assign(epoch=25, value=7.0)], ignore_index=True)
    names = ["synthetic-50k", "mnist"]
    found = sharpness_and_batch_size.sharpness_ratios(minima(table), names, "sharpness_l2", "train")
    assert [e.value for e in found] == pytest.approx([0.25, 1 / 8])
    assert [e.about for e in found] == ["Synthetic 50K, B = 512 over 32", "MNIST, B = 256 over 32"]
    more = sharpness_and_batch_size.sharpness_ratios(minima(table), ["mnist"], "sharpness_l2", "train", 1024)
    assert [e.value for e in more] == pytest.approx([1 / 32])
    whole = sharpness_and_batch_size.ratios(table, "synthetic-50k")
    assert whole["ratio"].tolist() == pytest.approx([0.25, 0.25]) and whole["n"].tolist() == [3, 3]


def test_growth_is_fitted_seed_by_seed():
    table = sharpness_table().query("measure == 'hessian_trace'")
    noisy = table.assign(value=table["value"] * np.random.default_rng(0).lognormal(0, 0.1, len(table)))
    found = sharpness_and_batch_size.growth(noisy, "synthetic-50k")
    assert found["lr_rule"].tolist() == ["linear", "constant"]  # as they come
    of_seeds = noisy[noisy["lr_rule"] == "linear"].groupby("seed")
    slopes = [np.polyfit(np.log(x["batch_size"]), np.log(x["value"]), 1)[0] for _, x in of_seeds]
    low, high = stats.t.interval(0.95, 2, np.mean(slopes), stats.sem(slopes))
    row = found.iloc[0]
    assert (row["exponent"], row["low"], row["high"]) == pytest.approx((np.mean(slopes), low, high))
    assert row["single"] == pytest.approx(tuple(slopes)) and row["n"] == 3


def test_rank_correlations_are_clear_only_where_all_of_them_leave_zero_out():
    """Twelve networks of three batch sizes, two measures. Squared distances of the ranks by hand: 104, so
    that rho is 1 − 6·104/1716; its interval leaves 0 out, but not with half the doubt. And 544, of −0.90."""
    gaps = np.arange(1.0, 13)
    orders = {
        "sharpness_l2": [5, 1, 4, 7, 2, 3, 11, 12, 6, 10, 8, 9],
        "hessian_trace": [12, 10, 11, 9, 4, 8, 7, 6, 5, 1, 3, 2],
    }
    n = len(gaps)
    k, ids = np.arange(n), list(map(str, range(n)))
    table = at_the_end(batch_size=8 * 4 ** (k // 4), seed=k % 4, id=ids)
    table = pd.concat([table.assign(measure=name, value=order) for name, order in orders.items()])
    runs = pd.DataFrame({"id": ids, "gap": gaps})
    found = sharpness_and_batch_size.against_gap(table, runs, "synthetic-50k").set_index(["measure", "over"])
    assert found.xs("all runs", level="over").index.tolist() == ["sharpness_l2", "hessian_trace"]
    for name, order in orders.items():
        row = found.loc[(name, "all runs")]
        rho = 1 - 6 * ((np.array(order) - gaps) ** 2).sum() / (n * (n * n - 1))
        far = abs(np.arctanh(rho)) / np.sqrt((1 + rho**2 / 2) / (n - 3))
        assert row["rho"] == pytest.approx(rho) and far > 1.959964  # leaves 0 out at 95 %
        assert row["clear"] == (far > 2.241403)  # at 97.5 %
    assert found.xs("all runs", level="over")["clear"].tolist() == [False, True]
    assert found["n"].tolist() == [12, 10, 12, 10]


@pytest.mark.parametrize("networks, rows", [(6, 2), (5, 1)])
def test_each_cell_after_the_first_costs_one_network(networks, rows):
    """Of two cells: five networks net of the second are enough, four are not."""
    k = np.arange(networks)
    table = at_the_end(batch_size=32 * (1 + k % 2), seed=k, id=k, value=k + 1.0)
    runs = pd.DataFrame({"id": k, "gap": k * 0.1})
    assert len(sharpness_and_batch_size.against_gap(table, runs, "synthetic-50k")) == rows


def test_two_values_are_enough_to_rank():
    """Of six networks the three sharper ones have the wider gap."""
    k = np.arange(6)
    table = at_the_end(batch_size=32, seed=k, id=k, value=1.0 + k // 3)
    found = sharpness_and_batch_size.against_gap(
        table, pd.DataFrame({"id": k, "gap": k // 3}), "synthetic-50k"
    )
    assert found["rho"].tolist() == pytest.approx([1, 1]) and found["n"].tolist() == [6, 6]


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
