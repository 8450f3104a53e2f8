"""The figures of the studies draw what the analysis says: cells, intervals, rules."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import artists
from bbatch.analysis import batch_and_rate
from bbatch.pages import picture, study_figures

RATES = [0.0005, 0.001, 0.002, 0.004]


@pytest.fixture(scope="module")
def runs():
    """Accuracy peaks at 0.001 for B = 8, at 0.002 for 32, 64 and 128; three seeds scatter about it."""
    rows = []
    for b, lr, seed in itertools.product((8, 32, 64, 128, 256), RATES, (42, 43, 44)):
        away = abs(np.log2(lr / (0.001 if b == 8 else 0.002)))
        accuracy = 95 - 2 * away - b / 64 + 0.1 * (seed - 43) * (1 + away)
        rows.append(["synthetic-1k", "fp32", b, lr, seed, accuracy, accuracy - 1, 0.2, 0.3, False])
    columns = "dataset precision batch_size lr seed test_acc held_out_acc test_loss held_out_loss diverged"
    return pd.DataFrame(rows, columns=columns.split())


def test_the_map_is_points_below_its_best_cell(runs):
    axis = study_figures.maps({"synthetic-1k": runs}).axes[0]
    drawn = np.asarray(axis.collections[0].get_array()).reshape(len(RATES), 5)
    means = runs.groupby(["lr", "batch_size"])["test_acc"].mean().unstack().to_numpy()
    assert drawn == pytest.approx(means.max() - means)
    assert drawn.min() == 0 and np.unravel_index(drawn.argmin(), drawn.shape) == (1, 0)  # 0.001 at B = 8


def test_each_rule_passes_through_the_papers_rate_with_its_own_power(runs):
    axis = study_figures.maps({"synthetic-1k": runs}).axes[0]
    for name, power in (("constant rule", 0), ("square root rule", 0.5), ("linear rule", 1)):
        line = next(line for line in axis.lines if line.get_label() == name)
        (b0, b1), (r0, r1) = line.get_data()
        assert np.log(r1 / r0) / np.log(b1 / b0) == pytest.approx(power)
        assert r0 * (32 / b0) ** power == pytest.approx(0.001)
    axis = study_figures.maps({"mnist": runs.assign(dataset="mnist")}, deepest=20).axes[0]
    (b0, b1), (r0, r1) = artists.labelled(axis, "linear rule").get_data()
    assert (r0, r1) == pytest.approx((0.1 * b0 / 256, 0.1 * b1 / 256))  # Section III-C
    assert axis.collections[0].get_clim() == (0, 20)


def test_bars_end_where_the_intervals_do(runs):
    best = batch_and_rate.best_rates(runs)
    for figure, what in (
        (study_figures.maps({"synthetic-1k": runs}), "optimum"),
        (study_figures.accuracy_by_rule({"synthetic-1k": runs}), "accuracy"),
    ):
        container = figure.axes[0].containers[0]
        ends = [segment[:, 1] for segment in container.lines[2][0].get_segments()]
        assert np.array(ends) == pytest.approx(np.array([[i.low, i.high] for i in best[what]]))
        assert container.lines[0].get_ydata() == pytest.approx([i.mean for i in best[what]])


def test_a_rules_line_lies_below_the_best_by_what_the_rule_loses(runs):
    axis = study_figures.accuracy_by_rule({"synthetic-1k": runs}).axes[0]
    line = next(line for line in axis.lines if line.get_label() == "constant rule")
    at_base = runs[runs["lr"] == 0.001].groupby("batch_size")["test_acc"].mean()
    assert line.get_ydata() == pytest.approx(at_base.to_numpy())


def test_every_cell_of_the_map_stands_around_its_size_and_rate(runs):
    two = {
        "synthetic-1k": runs,
        "mnist": runs[runs["batch_size"] > 8].assign(dataset="mnist", precision="bf16"),
    }
    figure = study_figures.maps(two)
    for axis, (name, table) in zip(figure.axes, two.items(), strict=False):
        x, y = sorted(table["batch_size"].unique()), RATES
        corners = axis.collections[0].get_coordinates()
        for at, centres in ((corners[0, :, 0], x), (corners[:, 0, 1], y)):
            middle = [np.sqrt(a * b) for a, b in itertools.pairwise(centres)]
            assert list(at) == pytest.approx(
                [centres[0] ** 2 / middle[0], *middle, centres[-1] ** 2 / middle[-1]]
            )
        assert axis.get_ylim() == pytest.approx((RATES[0] / 2**0.5, RATES[-1] * 2**0.5))
        assert axis.collections[0].get_clim() == (0, 5) and artists.scales(axis) == ("log", "log")
        for label in ("constant", "square root", "linear"):
            line = artists.labelled(axis, f"{label} rule")
            assert list(line.get_xdata()) == [x[0], x[-1]]
        best = batch_and_rate.best_rates(table)
        [bars] = axis.containers
        middle = [i.mean for i in best["optimum"]]
        assert artists.points(bars.lines[0]) == list(zip(best["batch_size"], middle, strict=True))
        assert axis.xaxis.get_major_formatter()(2048.0) == "2048"
        assert axis.get_title(loc="left") == {"synthetic-1k": "Synthetic 1K", "mnist": "MNIST"}[name]
    assert artists.key(figure) == ["constant rule", "square root rule", "linear rule", "best rate"]
    assert (
        artists.named(figure)
        and "(Synthetic 1K n = 3, fp32; MNIST n = 3, bf16)" in picture.notes(figure).caption
    )
    assert figure.axes[-1].get_label() == "<colorbar>" and figure.axes[-1].get_xlabel()


def test_accuracies_by_rule_have_one_line_a_rule(runs):
    figure = study_figures.accuracy_by_rule({"synthetic-1k": runs})
    [axis] = figure.axes
    best = batch_and_rate.best_rates(runs)
    top = max(i.mean for i in best["accuracy"])
    assert axis.get_ylim() == (pytest.approx(top - 12), pytest.approx(top + 1))
    far = runs.assign(test_acc=runs["test_acc"].where(runs["batch_size"] < 256, 40.0))
    [axis_of_far] = study_figures.accuracy_by_rule({"synthetic-1k": far}).axes
    assert axis_of_far.get_ylim()[0] == pytest.approx(39)  # a point below the lowest end of an interval
    for label, power in (("constant", 0), ("square root", 0.5), ("linear", 1)):
        drawn = dict(artists.points(artists.labelled(axis, f"{label} rule")))
        for b, rows in runs.groupby("batch_size"):
            rate = 0.001 * (b / 32) ** power
            if not RATES[0] <= rate <= RATES[-1]:
                assert b not in drawn  # the rule leads out of the map
                continue
            means = rows.groupby("lr")["test_acc"].mean()
            assert drawn[b] == pytest.approx(np.interp(np.log(rate), np.log(means.index), means))
    assert [text.split(" ")[-1] for text in artists.key(axis)] == ["rule"] * 3 + ["rate"]
    assert artists.named(figure) and "(Synthetic 1K n = 3, fp32)" in picture.notes(figure).caption


@pytest.mark.parametrize("largest, base", [(9_999, 4), (10_000, 16)])
def test_sizes_that_reach_far_have_a_number_at_each_fourth_power_of_two(largest, base):
    axis = Figure().subplots()
    study_figures._size_axis(axis, [8, largest])
    found = axis.xaxis.get_major_locator().tick_values(1, 4096)
    assert {1, base, base**2} <= set(found) and not {2, 3, base // 2, 2 * base} & set(found)
    assert axis.xaxis.get_major_formatter()(65536.0) == "65,536" and axis.get_xscale() == "log"
