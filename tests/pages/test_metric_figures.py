"""Figures of one metric and of learning curves: cells of four seeds, of two, of one and of none, word by
word."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import artists
import made_up
from bbatch import metrics, published
from bbatch.config import DATASETS
from bbatch.pages import figures, picture
from bbatch.pages.style import COLORS
from bbatch.pages.tables import METRICS
from factories import record

NB = "\u00a0"


@pytest.fixture
def runs():
    """Synthetic 1K: B = 16 has one seed, 32 three, 64 two, 128 none, the others four, one of each in bf16;
    MNIST has one seed at each batch size, CIFAR-10 none."""
    frame = made_up.runs(precision="fp32", datasets=("synthetic-1k", "mnist"))
    frame = frame[frame["lr_rule"] == "linear"]
    few = {16: 1, 64: 2, 128: 0}
    at_most = frame["batch_size"].map(few).fillna(4).where(frame["dataset"] == "synthetic-1k", 1)
    frame = frame[frame["seed"] - 40 < at_most].copy()
    low = (frame["dataset"] == "synthetic-1k") & (frame["seed"] == 41)
    return frame.assign(precision=np.where(low, "bf16", "fp32"))


def values(frame, name, metric):
    return {b: list(v.values()) for b, v in sorted(made_up.cells(frame, name, metric).items())}


def test_panels_name_what_they_draw(runs):
    figure = figures.against_batch_size(runs, ["synthetic-1k", "mnist"], title="the finding")
    one, mnist = figure.axes
    for axis, name in ((one, "synthetic-1k"), (mnist, "mnist")):
        assert axis.get_title(loc="left") == DATASETS[name].title
        assert axis.get_ylabel() == "Test accuracy (%)" and axis.get_xlabel().startswith("Batch size")
        assert list(artists.ticks(axis)) == list(DATASETS[name].protocol.batch_sizes)
        assert axis.lines[-1].get_color() == COLORS[name]
    assert artists.key(one) == [
        "the paper, one run each",
        "ours, one seed;\nbar: test-set sampling",
        "ours, single runs",
        "ours, mean and 95 % interval\n(n = 2 to 4 seeds)",
    ]
    assert artists.key(mnist) == ["the paper, one run each", "ours, one seed;\nbar: test-set sampling"]
    notes = picture.notes(figure)
    assert notes.title == "the finding" and notes.runs == "data=synthetic-1k,mnist&metric=test_acc"
    assert notes.caption == (
        "Test accuracy (%) against batch size. Circles: means over seeds with 95 % intervals; hollow: one "
        "seed, bar: test-set sampling; diamonds: the paper's single runs; n = 1 to 4 "
        "seeds; in bf16: 6 of 22 runs on Synthetic 1K, the others in fp32."
    )
    alone = figures.against_batch_size(runs, ["mnist"], "gap", title="on top")
    assert alone.axes[0].get_title(loc="left") == "on top" and not picture.notes(alone).title
    assert picture.notes(alone).caption == (
        "Gap, clean (%) against batch size. Circles: one seed, no interval; n = 1 seed, in fp32."
    )
    assert artists.key(alone.axes[0]) == ["ours, one seed;\nno interval"]
    two = runs[(runs["dataset"] == "synthetic-1k") & (runs["batch_size"] == 64)]
    assert picture.notes(figures.against_batch_size(two, ["synthetic-1k"], "gap")).caption == (
        "Gap, clean (%) against batch size. Circles: means over seeds with 95 % intervals; "
        "n = 2 seeds; in bf16: 1 of 2 runs on Synthetic 1K, the others in fp32."
    )
    nothing = figures.against_batch_size(runs, ["cifar10"], "gap")
    assert nothing.axes[0].get_legend() is None and not nothing.axes[0].lines
    assert picture.notes(nothing).caption == "Gap, clean (%) against batch size. no runs yet."


def test_a_mean_has_its_interval_and_a_lone_seed_that_of_the_test_set(runs):
    axis = figures.against_batch_size(runs, ["synthetic-1k"]).axes[0]
    cells = made_up.cells(runs, "synthetic-1k")
    found = values(runs, "synthetic-1k", "test_acc")
    mean = {b: np.mean(x) for b, x in found.items()}
    mean[16] = round(2 * mean[16]) / 2  # counted in samples, of 200
    [bars] = axis.containers
    assert artists.points(bars.lines[0]) == [(b, pytest.approx(m)) for b, m in mean.items()]
    ends = {}
    for b in set(cells) - {16}:
        half = made_up.summed(cells, {b: 1})["half"]
        ends[b] = mean[b] - half, min(100, mean[b] + half)
    wilson = stats.binomtest(round(2 * mean[16]), 200).proportion_ci(method="wilson")
    ends[16] = 100 * wilson.low, 100 * wilson.high
    assert artists.ends(bars) == [pytest.approx(ends[b]) for b in mean]
    band = artists.band(axis.collections[0])
    assert {b: band[b] for b in (1, 8, 256, 512)} == {b: pytest.approx(ends[b]) for b in (1, 8, 256, 512)}
    assert artists.points(artists.labelled(axis, "ours, one seed")) == [(16, pytest.approx(mean[16]))]
    dots = artists.points(artists.labelled(axis, "ours, single runs"))
    singles = sorted((b, x) for b, one in found.items() for x in one)
    assert sorted(dots) == [pytest.approx(point) for point in singles]


def test_the_margin_of_an_axis_does_not_reach_beyond_what_an_accuracy_can_be():
    for right, low in (((0, 10_000), 0), ((9_500, 9_700), 5)):
        counts = metrics.frame(
            record("cifar10", b, 42, n, 45_000, 45_000) for b, n in zip((8, 64), right, strict=True)
        )
        bottom, top = figures.against_batch_size(counts, ["cifar10"]).axes[0].get_ylim()
        assert top <= 101 and (bottom == 0 if low == 0 else bottom > low)


def told(mean, low, high):
    """As in "95.43 ± 0.21"; the ends where they lie more than 2 % of the longer arm askew."""
    arms = sorted((mean - low, high - mean))
    if arms[1] - arms[0] > 0.02 * arms[1]:
        return f"{mean:.2f} ({low:.2f} to {high:.2f})"
    return f"{mean:.2f}{NB}±{NB}{(high - low) / 2:.2f}"


@pytest.mark.parametrize("metric", ["test_acc", "gap"])
def test_who_points_at_a_mean_or_at_the_papers_point_reads_both(runs, metric):
    figure = figures.against_batch_size(runs, ["synthetic-1k"], metric)
    printed = published.results("synthetic-1k").set_index("batch_size")["test_acc"]
    cells, sizes = made_up.cells(runs, "synthetic-1k", metric), DATASETS["synthetic-1k"].protocol.batch_sizes
    tips = artists.tips(figure)
    assert len(tips) == len(sizes) * (2 if metric == "test_acc" else 1)
    for k, b in enumerate(sizes):
        values = list(cells.get(b, {}).values())
        kind = "bar: test-set sampling" if metric == "test_acc" else "no interval"
        text = "no run recorded"
        mean = np.mean(values) if values else math.nan
        if len(values) > 1:
            low, high = mean - made_up.summed(cells, {b: 1})["half"], math.nan
            high = min(2 * mean - low, 100 if metric == "test_acc" else math.inf)
            text = f"{told(mean, low, high)} (n = {len(values)}, in bf16; 95 % interval)"
        elif values:
            text = f"{mean:.2f}"
            if metric == "test_acc":
                right = round(2 * mean)
                mean, wilson = right / 2, stats.binomtest(right, 200).proportion_ci(method="wilson")
                text = told(mean, 100 * wilson.low, 100 * wilson.high)
            text += f" (n = 1; {kind})"
        text = f"Synthetic 1K, B = {b}\nours: {text}"
        if metric == "test_acc" and b in printed:
            text += f"\nthe paper: {printed[b]:.2f}"
        address = f"data=synthetic-1k&metric={metric}&B={b}"
        assert tips[k][0] == b and tips[k][2:] == (text, address)
        assert tips[k][1] == pytest.approx(mean, nan_ok=True)
        if metric == "test_acc":
            assert tips[len(sizes) + k][2:] == (text, address)
            assert tips[len(sizes) + k][1] == pytest.approx(printed.get(b, math.nan), nan_ok=True)


def test_an_axis_of_accuracies_ends_where_accuracies_do(runs):
    def limits(metric, *scale):
        low, high = scale
        wide = runs[runs["dataset"] == "mnist"].copy()
        wide[metric] = np.linspace(low, high, len(wide))
        return figures.against_batch_size(wide, ["mnist"], metric).axes[0].get_ylim()

    assert limits("test_acc", 0.0, 100.0) == (0, 100)
    low, high = limits("test_acc", 94.0, 100.0)
    assert 80 < low < 94 and 100 < high < 101  # there is room for the points at the top
    low, high = limits("gap", -10.0, 110.0)
    assert low < -10 and high > 110


def test_seeds_as_text():
    assert figures.seeds_text(pd.Series([4, 4])) == "(n = 4 seeds)"
    assert figures.seeds_text(pd.Series([4, 3])) == "(n = 3 to 4 seeds)"
    assert figures.seeds_text(pd.Series([1])) == "(n = 1 seed; bar: test-set sampling)"
    assert figures.seeds_text(pd.Series([1, 2]), "gap") == "(n = 1 to 2 seeds; where 1, no interval)"


def test_what_stands_behind_a_figure(runs):
    assert figures.behind(pd.concat([runs, runs])) == (  # each run counts once
        "n = 1 to 4 seeds; in bf16: 6 of 22 runs on Synthetic 1K, the others in fp32"
    )
    four = runs[(runs["dataset"] == "synthetic-1k") & runs["batch_size"].isin([1, 8])]
    assert figures.behind(four.assign(precision="bf16")) == "n = 4 seeds, in bf16"


def test_every_data_set_at_a_glance(runs):
    figure = figures.glance(runs, title="the finding")
    *panels, last = figure.axes
    assert [axis.get_title(loc="left") for axis in panels] == [spec.title for spec in DATASETS.values()]
    assert all(axis.get_ylabel() == METRICS["test_acc"] and axis.axison for axis in panels)
    assert not last.axison and last.get_legend().get_title().get_text() == "Mean over seeds, 95 % interval"
    assert artists.key(last) == [
        "Synthetic 1K (n = 1 to 4)",
        "Synthetic 10K (no runs yet)",
        "Synthetic 50K (no runs yet)",
        "MNIST (n = 1)",
        "CIFAR-10 (no runs yet)",
        "one seed; bar: test-set sampling",
        "the paper, one run each",
    ]
    drawn = [line.get_color() for line in last.get_legend().get_lines()]
    assert drawn[: len(DATASETS)] == [COLORS[name] for name in DATASETS]
    found = values(runs, "mnist", "test_acc")
    points = artists.points(artists.labelled(panels[3], "ours, one seed"))
    assert points == [(b, pytest.approx(round(2 * x) / 2)) for b, [x] in found.items()]
    notes = picture.notes(figure)
    assert notes.title == "the finding"
    assert notes.runs == "data=synthetic-1k,synthetic-10k,synthetic-50k,mnist,cifar10&metric=test_acc"
    assert notes.caption.startswith("Test accuracy (%) against batch size. Circles: means over seeds")
    four = runs[(runs["dataset"] == "synthetic-1k") & runs["batch_size"].isin([1, 8])]
    assert artists.key(figures.glance(four, "gap").axes[-1])[0] == "Synthetic 1K (n = 4)"
    assert not [said for said in artists.key(figures.glance(four).axes[-1]) if "one seed" in said]


@pytest.fixture
def curves():
    """Three epochs of Synthetic 1K: two seeds at B = 64, which ends without an error, and one at B = 8."""
    rows = [("a", 64, [80.0, 96.0, 100.0]), ("b", 64, [82.0, 95.0, 99.5]), ("c", 8, [70.0, 90.0, 97.0])]
    return pd.DataFrame(
        ("synthetic-1k", "linear", b, "fp32", id, epoch, acc)
        for id, b, accuracies in rows
        for epoch, acc in enumerate(accuracies, 1)
    ).set_axis(["dataset", "lr_rule", "batch_size", "precision", "id", "epoch", "test_acc"], axis=1)


def test_learning_curves_are_mean_and_range_of_the_error_by_epoch(curves):
    figure = figures.learning_curves(curves, "synthetic-1k", title="the finding")
    [axis] = figure.axes
    assert artists.points(artists.labelled(axis, "B = 8 (n = 1)")) == [(1, 30), (2, 10), (3, 3)]
    assert artists.points(artists.labelled(axis, "B = 64 (n = 2)")) == [(1, 19), (2, 4.5), (3, 0.25)]
    [band] = axis.collections  # 0.25: half of one of 200 samples, as a log scale has no zero
    assert artists.band(band) == {1: (18, 20), 2: (4, 5), 3: (0.25, 0.5)}
    assert axis.get_yscale() == "log" and axis.get_xlabel() == "Epoch"
    assert axis.get_ylabel() == "Test error (%, log scale)"
    assert axis.yaxis.get_major_formatter()(0.5, 0) == "0.5"
    ticks = axis.yaxis.get_major_locator().tick_values(0.5, 20)
    assert {0.5, 1, 2, 5, 10, 20} <= set(np.round(ticks, 6)) and 3 not in np.round(ticks, 6)
    assert axis.get_title(loc="left") == "Synthetic 1K"
    assert artists.key(figure) == ["B = 8 (n = 1)", "B = 64 (n = 2)", "range over seeds"]
    ids = picture.notes(figure).series
    assert [len(of) for of in ids.values()] == [1, 2] and list(ids) == ["B = 8", "B = 64"]
    tips = artists.tips(figure)
    assert tips[1] == (
        2,
        10,
        "B = 8, epoch 2\naccuracy 90.00 % (n = 1)",
        "data=synthetic-1k&metric=test_acc&B=8",
    )
    said = "B = 64, epoch 2\naccuracy 95.50 % (mean of n = 2)\nrange 95.00 to 96.00 %"
    assert tips[4] == (2, 4.5, said, "data=synthetic-1k&metric=test_acc&B=64") and len(tips) == 6
    notes = picture.notes(figure)
    assert (notes.title, notes.runs) == ("the finding", "data=synthetic-1k&metric=test_acc")
    assert notes.caption == (
        "Test error after each epoch on Synthetic 1K. Lines: means over seeds; bands: the range of all "
        "seeds; n = 1 to 2 seeds, in fp32."
    )
    one = figures.learning_curves(curves[curves["batch_size"] == 8], "synthetic-1k")
    assert artists.key(one) == ["B = 8 (n = 1)"] and not picture.notes(one).title
    assert ". One run each; n = 1 seed, in fp32." in picture.notes(one).caption
    first = figures.learning_curves(curves[curves["epoch"] == 1], "synthetic-1k")
    assert artists.key(first) == ["B = 8 (n = 1)", "B = 64 (n = 2)", "range over seeds"]
    none = figures.learning_curves(curves, "mnist")
    assert not none.axes[0].lines and picture.notes(none).caption.endswith("One run each; no runs yet.")


def lost_and_found():
    """MNIST as it may be: at 1024 two trainings of three learn, and at 512 all three."""
    counts = {512: (9_900, 9_910, 9_920), 1024: (9_880, 1_135, 9_890)}
    return [
        record("mnist", b, 42 + k, n, 59_500, 59_600)
        for b, all_ in counts.items()
        for k, n in enumerate(all_)
    ]


def test_runs_at_chance_do_not_flatten_the_others():
    runs = metrics.frame(lost_and_found())
    axis = figures.against_batch_size(runs, ["mnist"]).axes[0]
    printed = published.results("mnist")["test_acc"]
    bottom, top = axis.get_ylim()
    assert 97 < bottom < printed.min() and printed.max() < top < 100
    assert [text.get_text() for text in axis.texts] == ["1 of 3 at chance: no mean drawn"]
    means = axis.containers[0].lines[0].get_xydata()
    assert {b: y for b, y in means if not np.isnan(y)} == {512: pytest.approx(99.1)}
    dots = artists.points(artists.labelled(axis, "ours, single runs"))
    assert sorted(y for b, y in dots if b == 1024) == pytest.approx([11.35, 98.8, 98.9])
    whole = figures.against_batch_size(runs, ["mnist"], "gap").axes[0]
    assert not whole.texts and np.isfinite(whole.containers[0].lines[0].get_ydata()[-1])
    steady = figures.against_batch_size(runs[runs["batch_size"] == 512], ["mnist"]).axes[0]
    assert not steady.texts


def test_where_the_paper_is_at_chance_too_nothing_is_out_of_sight():
    counts = {256: (7_800, 1_000), 512: (7_700, 7_600)}
    runs = metrics.frame(
        record("cifar10", b, 42 + k, n, 40_000, 40_000)
        for b, two in counts.items()
        for k, n in enumerate(two)
    )
    axis = figures.against_batch_size(runs, ["cifar10"]).axes[0]
    assert axis.get_ylim()[0] < 10 and not axis.texts
    assert artists.points(axis.containers[0].lines[0])[0] == (256, pytest.approx(44))


def test_a_training_at_chance_has_a_learning_curve_of_its_own():
    curves = metrics.curves(lost_and_found())
    figure = figures.learning_curves(curves, "mnist")
    axis = figure.axes[0]
    dotted = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[-1] for line in dotted] == [pytest.approx(88.65)]
    means = {line.get_label(): line.get_ydata()[-1] for line in axis.lines if line not in dotted}
    assert means == {"B = 512 (n = 3)": pytest.approx(0.9), "B = 1024 (n = 2)": pytest.approx(1.15)}
    assert "dotted: single runs that end at chance, left out of the means" in picture.notes(figure).caption
    alone = curves[curves["batch_size"] == 512]
    assert "at chance" not in picture.notes(figures.learning_curves(alone, "mnist")).caption
    lost = figures.learning_curves(curves[curves["test_acc"] < 15], "mnist")
    assert all(line.get_linestyle() == ":" for line in lost.axes[0].lines if len(line.get_ydata()))
