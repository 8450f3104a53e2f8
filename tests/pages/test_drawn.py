"""What figures draw and tables print, mark by mark: ends of bars and bands, points of the paper, signs of
differences. No two numbers are equal, and no difference is zero."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import metrics, published
from bbatch.analysis.estimate import Estimate
from bbatch.config import DATASETS
from bbatch.pages import choice_figures, figures, picture, report, style, tables
from bbatch.statistics import Interval
from factories import record

COUNTS = {8: (190, 188, 195), 64: (192, 193, 187), 512: (186, 189, 178)}  # right of 200, by seed
RUNNING = {8: (771, 783, 768), 64: (788, 779, 790), 512: (760, 765, 782)}  # of 800, in the last epoch
CLEAN = {8: (791, 789, 796), 64: (795, 793, 798), 512: (770, 774, 781)}  # of 800, after training


@pytest.fixture
def runs():
    return metrics.frame(
        record(
            "synthetic-1k", b, 42 + k, COUNTS[b][k], RUNNING[b][k], CLEAN[b][k], seconds=1.0 + k / 7 + 3 / b
        )
        for b in COUNTS
        for k in range(3)
    )


def values(metric: str, b: int) -> np.ndarray:
    test = np.array(COUNTS[b]) / 2
    train = {"gap_running": RUNNING, "gap": CLEAN}
    return np.array(train[metric][b]) / 8 - test if metric in train else test


def by_hand(metric: str, b: int) -> tuple[float, float, float]:
    """Mean of three seeds and the ends of its interval: the scatter of all three batch sizes counts, each run
    once. Two degrees of freedom are the cell's own; the four others count for 60 / 23 (see `scatter`)."""
    x = values(metric, b)
    squares = {size: ((values(metric, size) - values(metric, size).mean()) ** 2).sum() for size in COUNTS}
    lent = 60 / 23  # 1 / (1/10 + 1/30 + 1/4)
    variance = (squares[b] + lent * sum(squares.values()) / 6) / (2 + lent)
    half = stats.t.ppf(0.975, 2 + lent) * math.sqrt(variance / 3)
    most = 100 if metric == "test_acc" else math.inf
    return x.mean(), x.mean() - half, min(x.mean() + half, most)


@pytest.mark.parametrize("metric", ["test_acc", "gap_running", "gap"])
@pytest.mark.parametrize("draw", ["against_batch_size", "glance"])
def test_bars_and_bands_end_where_the_interval_does(runs, metric, draw):
    if draw == "glance":
        axis = figures.glance(runs, metric).axes[list(DATASETS).index("synthetic-1k")]
    else:
        axis = figures.against_batch_size(runs, ["synthetic-1k"], metric).axes[0]
    [bars] = axis.containers
    [lines] = bars.lines[2]
    ends = {s[0][0]: (s[0][1], s[1][1]) for s in lines.get_segments() if len(s) and not np.isnan(s).any()}
    assert ends == {b: pytest.approx(by_hand(metric, b)[1:]) for b in COUNTS}
    drawn = {b: y for b, y in bars.lines[0].get_xydata() if not np.isnan(y)}
    assert drawn == pytest.approx({b: by_hand(metric, b)[0] for b in COUNTS})
    band = np.concatenate([path.vertices for path in axis.collections[0].get_paths()])
    for b in COUNTS:
        heights = band[band[:, 0] == b, 1]
        assert (heights.min(), heights.max()) == pytest.approx(by_hand(metric, b)[1:])
    dots = next(line for line in axis.lines if line.get_label() == "ours, single runs")
    singles = np.array(sorted((b, v) for b in COUNTS for v in values(metric, b)))
    assert np.allclose(sorted(map(tuple, dots.get_xydata())), singles)
    paper = [line for line in axis.lines if line.get_label() == figures.PAPER["label"]]
    if metric == "gap":  # the paper's gap is the running one
        assert not paper
    else:
        column = {"gap_running": "gap"}.get(metric, metric)
        printed = published.results("synthetic-1k").set_index("batch_size")[column]
        points = {b: y for b, y in paper[0].get_xydata() if not np.isnan(y)}
        assert points == printed.to_dict()


def test_one_seed_has_the_bar_of_its_test_set():
    axis = figures.against_batch_size(metrics.frame([record(test_correct=190)]), ["synthetic-1k"]).axes[0]
    [bars] = axis.containers
    [ends] = [s[:, 1] for s in bars.lines[2][0].get_segments() if len(s) and not np.isnan(s).any()]
    expected = stats.binomtest(190, 200).proportion_ci(method="wilson")
    assert ends == pytest.approx([100 * expected.low, 100 * expected.high])


def test_a_table_subtracts_the_papers_cell_from_ours(runs):
    table = tables.compare(runs, "synthetic-1k").set_index("batch_size")
    printed = published.results("synthetic-1k").set_index("batch_size")
    text = tables.formatted(table.reset_index()).set_index(("B", ""))
    for b in COUNTS:
        for metric, column in (("test_acc", "test_acc"), ("gap_running", "gap")):
            mean, low, high = by_hand(metric, b)
            row = table.loc[b]
            assert row[[metric, f"{metric}_low", f"{metric}_high"]].tolist() == pytest.approx(
                [mean, low, high]
            )
            difference = mean - printed.loc[b, column]
            assert abs(difference) > 0.1 and row[f"{metric}_difference"] == pytest.approx(difference)
            shown = text.loc[b, tables.METRICS[metric]]
            assert shown["difference"] == f"{round(difference, 9):+.2f}".replace("-", "−")
            assert shown["ours"] == f"{mean:.2f}\u00a0±\u00a0{(high - low) / 2:.2f}".replace("-", "−")
            assert shown["paper"] == f"{printed.loc[b, column]:.2f}".replace("-", "−")
        assert "gap_paper" not in table and "gap_difference" not in table
        times = np.array([1.0 + k / 7 + 3 / b for k in range(3)])
        assert table.loc[b, "epoch_time_s"] == pytest.approx(times.mean())
        assert table.loc[b, "epoch_time_s_difference"] == pytest.approx(
            times.mean() - printed.loc[b, "epoch_time_s"]
        )


def test_table_v_subtracts_the_papers_cell_from_ours():
    accuracies = {"constant": (9_731, 9_702, 9_778), "linear": (9_811, 9_840, 9_869)}
    runs = metrics.frame(
        record("synthetic-50k", 512, 42 + k, right, 39_100 + 37 * k, 39_500, lr_rule=rule)
        for rule, counts in accuracies.items()
        for k, right in enumerate(counts)
    )
    table = tables.ablation(runs).set_index(["batch_size", "lr_rule"])
    for rule, paper, gap in (("constant", 82.1, 7.9), ("linear", 90.2, 2.8)):
        row, x = table.loc[512, rule], np.array(accuracies[rule]) / 100
        running = (39_100 + 37 * np.arange(3)) / 400 - x
        assert row["n"] == 3 and row["test_acc_difference"] == pytest.approx(x.mean() - paper)
        assert row["gap_running_difference"] == pytest.approx(running.mean() - gap)
        half = 4.302652729696142 * x.std(ddof=1) / math.sqrt(3)
        assert (row["test_acc_low"], row["test_acc_high"]) == pytest.approx(
            (x.mean() - half, x.mean() + half)
        )
    assert (table.loc[32, "n"] == 0).all()


def test_the_tip_of_a_point_says_what_is_drawn_there(runs):
    figure = figures.against_batch_size(runs, ["synthetic-1k"], "gap_running")
    mean, low, high = by_hand("gap_running", 512)
    tips = [text for *_, text, _ in picture.notes(figure).tips if "B = 512\n" in text]
    shown = f"ours: {mean:.2f}\u00a0±\u00a0{(high - low) / 2:.2f} (n = 3; 95 % interval)"
    assert tips and all(shown in text and "the paper: 2.25" in text for text in tips)


def test_learning_curves_draw_mean_and_range_of_the_error():
    curves = metrics.curves(
        record(batch_size=8, seed=42 + k, test_correct=c) for k, c in enumerate((190, 197, 188))
    )
    axis = figures.learning_curves(curves, "synthetic-1k").axes[0]
    assert axis.lines[0].get_ydata()[1:] == pytest.approx((5 + 1.5 + 6) / 3)
    band = axis.collections[0].get_paths()[0].vertices
    last = band[band[:, 0] == band[:, 0].max(), 1]
    assert (last.min(), last.max()) == pytest.approx((1.5, 6.0))


def test_a_figure_draws_the_intervals_that_its_table_prints():
    """Also of two seeds, and where they end at what an accuracy can be: one collapsed training of two."""
    counts = {8: (9_000, 9_020), 64: (9_010, 9_024), 512: (1_000, 8_000)}
    runs = metrics.frame(
        record("cifar10", b, 42 + k, right, 45_000, 45_000)
        for b, pair in counts.items()
        for k, right in enumerate(pair)
    )
    table = tables.compare(runs, "cifar10").set_index("batch_size")
    row = table.loc[512]
    assert (row["test_acc_low"], row["test_acc_high"]) == (0, 100) and row["test_acc"] == 45
    text = report.comparison(runs, "cifar10").text
    assert (
        "45.00 (0.00 to 100.00)" in text and "(± half of the 95 % interval, or its ends; of a single" in text
    )
    steady = report.comparison(runs[runs["batch_size"] < 512], "cifar10").text
    assert "90.10\u00a0±" in steady
    figure = figures.against_batch_size(runs, ["cifar10"])
    bars = figure.axes[0].containers[0].lines[2][0].get_segments()
    drawn = {round(x): (low, high) for (x, low), (_, high) in filter(len, bars)}
    assert {*counts} <= {*drawn}
    for b in counts:
        assert drawn[b] == pytest.approx(tuple(table.loc[b, ["test_acc_low", "test_acc_high"]]))
    assert "45.00 (0.00 to 100.00) (n = 2; 95 % interval)" in str(picture.notes(figure).tips)
    assert "no interval" not in picture.notes(figure).caption


def test_a_bar_of_a_difference_rests_on_more_than_two_seeds():
    alone, two, three = (Interval(1.0, low, 2.0, n) for low, n in ((0.5, 1), (-9.0, 2), (0.0, 3)))
    assert [style.has_bar(i) for i in (alone, two, three)] == [True, False, True]
    of_three = (3, 2.0, True)  # three seeds that borrow nothing
    for n, freedom, is_drawn in (
        (1, 3.2, False),
        (2, 3.2, False),
        of_three,
        (3, 4.2, True),
        (26, 1.04, False),
    ):
        assert style.has_bar(Estimate(1.0, n, error=0.5, freedom=freedom)) == is_drawn
    assert not style.has_bar(Interval(1.0, math.nan, math.nan, 5))
    means, (below, above) = style.with_ends([two, three])
    assert (
        means == [1, 1] and math.isnan(below[0]) and math.isnan(above[0]) and (below[1], above[1]) == (1, 1)
    )


def test_a_way_with_two_seeds_shows_both_and_no_bar():
    row = dict(problem="wine", batch_size=32, lr=0.001, best_acc=90.0, cpu_seconds=0.0)
    accuracies = {"always 32": (89, 60), "grid of 25": (80, 80)}  # a problem with one way alone is left out
    rows = pd.DataFrame(
        row | dict(method=way, seed=42 + k, test_acc=a, target_epochs=1, target_s=1.0, followed=True)
        for way, of in accuracies.items()
        for k, a in enumerate(of)
    )
    axis = choice_figures.regrets(rows).axes[0]
    drawn = [one for one in axis.containers if len(one.lines[0].get_xdata())]
    assert len(drawn) == 2
    for segments in (bars.lines[2][0] for bars in drawn):
        assert all(np.isnan(s).any() for s in segments.get_segments() if len(s))
    dots = [line.get_xdata() for line in axis.lines if line.get_marker() == "."]
    assert sorted(x for one in dots for x in one) == [1, 10, 10, 30]
