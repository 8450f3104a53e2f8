"""Gaps of made-up runs, against sums over cells written out."""

import math
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import published
from bbatch.analysis import accuracy, generalization_gap
from bbatch.config import DATASETS, PUBLISHED
from made_up import cells, runs, same, summed

RUNS = runs()


def sizes(d):
    return list(DATASETS[d].protocol.batch_sizes)


def test_gaps_up_to_a_batch_size_and_their_spread():
    found = generalization_gap.gaps(RUNS, "gap", 64)
    wanted = [(d, b) for d in PUBLISHED for b in sizes(d) if b <= 64]
    assert len(found) == len(wanted)
    for e, (d, b) in zip(found, wanted, strict=True):
        assert same(e, summed(cells(RUNS, d, "gap"), {b: 1}))
    mine = cells(RUNS, "mnist", "gap_running")
    means = {b: fmean(mine[b].values()) for b in sizes("mnist") if b <= 256}
    pairs = [(a, b) for a in means for b in means if means[a] > means[b]]
    differences = {(a, b): summed(mine, {a: 1, b: -1}) for a, b in pairs}
    found = generalization_gap.spread(RUNS, "mnist", "gap_running", 256)
    assert found.value == pytest.approx(max(means.values()) - min(means.values()))
    assert found.how == f"paired by seed, the largest of {len(pairs)}"
    for level in (0.95, 0.99):
        each = 1 - (1 - level) / len(pairs)
        halves = [d["error"] * stats.t.ppf((1 + each) / 2, d["freedom"]) for d in differences.values()]
        ends = [(d["value"] - h, d["value"] + h) for d, h in zip(differences.values(), halves, strict=True)]
        expected = max(low for low, _ in ends), max(high for _, high in ends)
        assert found.interval(level) == pytest.approx(expected)
    hole = RUNS[(RUNS["dataset"] != "mnist") | (RUNS["batch_size"] != 256)]
    none = generalization_gap.spread(hole, "mnist", "gap", 256)
    assert none.missing == "bbatch sweep mnist" and none.unit == "points"
    assert generalization_gap.spread(hole, "mnist", "gap", 128).n > 0


def test_cells_that_are_equal_do_not_seem_apart():
    """The largest of many gaps and the smallest are chosen by their luck; the interval allows for that. Of
    60 draws of nine equal cells it may miss one in twenty, and a few more by chance."""
    rng, missed = np.random.default_rng(3), 0
    cells_of = [(b, seed) for b in sizes("mnist") for seed in range(42, 47)]
    table = pd.DataFrame(cells_of, columns=["batch_size", "seed"]).assign(dataset="mnist", lr_rule="linear")
    table = table.assign(id=table.index.astype(str), test_acc=99.0)
    for _ in range(60):
        drawn = table.assign(gap=rng.normal(1, 0.2, len(table)))
        missed += generalization_gap.spread(drawn, "mnist", "gap", 1024).low > 0
    assert missed <= 8, "with 5 % each, more come in one of 250 cases; without the correction it is near 27"


def test_one_data_set_over_another():
    found = generalization_gap.steeper(RUNS, "mnist", "gap")
    others = [d for d in PUBLISHED if d != "mnist"]
    slopes = {d: accuracy.slope(RUNS, d, "gap").value for d in PUBLISHED}
    assert [e.value for e in found] == pytest.approx([slopes["mnist"] - slopes[d] for d in others])
    assert [e.about for e in found] == [f"MNIST over {DATASETS[d].title}" for d in others]
    shared = set.intersection(*(set(sizes(d)) for d in PUBLISHED))
    weights = {b: 1 / len(shared) for b in sorted(shared)}
    means = {d: summed(cells(RUNS, d, "gap"), weights) for d in PUBLISHED}
    found = generalization_gap.between(RUNS, ["synthetic-1k", "synthetic-50k"], "gap")
    pairs = [(d, *p) for d in ("synthetic-1k", "synthetic-50k") for p in (("mnist", 0), ("cifar10", 1))]
    for e, (d, other, turned) in zip(found, pairs, strict=True):
        a, b = (other, d) if turned else (d, other)
        assert e.value == pytest.approx(means[a]["value"] - means[b]["value"])
        assert e.error == pytest.approx(math.hypot(means[a]["error"], means[b]["error"]))
        assert e.about == f"{DATASETS[a].title} over {DATASETS[b].title}"


@pytest.mark.parametrize("names", [PUBLISHED, ["mnist"]])
def test_correlation_is_that_of_the_means_of_cells(names):
    pairs = [
        (math.log(b), fmean(values.values())) for d in names for b, values in cells(RUNS, d, "gap").items()
    ]
    book = stats.pearsonr(*zip(*pairs, strict=True))
    found = generalization_gap.correlation(RUNS, "gap", names)
    assert found.value == pytest.approx(book.statistic) and found.n == len(pairs)
    assert found.interval() == pytest.approx(tuple(book.confidence_interval()))
    assert found.shown == (
        f"r = {book.statistic:.2f} over {len(pairs)} cells, p = {book.pvalue:.2g}".replace("-", "−")
    )
    assert (found.unit, found.counted, found.missing) == ("r", "cells", "")
    assert (found.how, found.about) == ("Fisher's z", "all cells")
    linear = RUNS[RUNS["dataset"].isin(list(names)) & (RUNS["lr_rule"] == "linear")]
    assert sorted(found.ids) == sorted(linear["id"])
    if names is PUBLISHED:
        p = generalization_gap.p_value(RUNS, "gap")
        assert (p.value, *p.interval()) == pytest.approx((book.pvalue,) * 3)
        assert (p.unit, p.n, p.counted, p.ids) == ("p", len(pairs), "cells", found.ids)
        assert (p.how, p.about) == ("Student's t", "all cells")
        table = generalization_gap.correlations(RUNS.assign(gap_running=RUNS["gap"]))
        ours = table[(table["source"] == "our runs") & (table["pairs of"] == "all data sets")].iloc[0]
        assert (ours["r"].value, ours["p"], ours["n"]) == pytest.approx(
            (book.statistic, book.pvalue, len(pairs))
        )
        assert ours["r"].interval() == pytest.approx(book.confidence_interval())
        assert table["pairs of"].tolist() == 2 * ["all data sets", *(DATASETS[d].title for d in PUBLISHED)]


def first_of_mnist(n):
    return RUNS[(RUNS["dataset"] == "mnist") & RUNS["batch_size"].isin(sizes("mnist")[:n])]


def test_three_cells_have_no_correlation_and_four_have():
    none = generalization_gap.correlation(first_of_mnist(3), "gap", ["mnist"])
    assert none.n == 0 and none.missing == "bbatch sweep mnist" and none.unit == "r"
    four = generalization_gap.correlation(first_of_mnist(4), "gap", ["mnist"])
    assert four.n == 4 and four.missing == "bbatch sweep mnist"


def test_correlations_are_of_the_running_gap(monkeypatch):
    four = first_of_mnist(4)
    monkeypatch.setattr(published, "printed_frame", lambda: four)
    mine = cells(four, "mnist", "gap_running")
    book = stats.pearsonr(np.log(list(mine)), [fmean(values.values()) for values in mine.values()])
    for row in generalization_gap.correlations(four).to_dict("records"):
        found = [row["r"].value, *row["r"].interval(), row["p"], row["n"]]
        assert found == pytest.approx([book.statistic, *book.confidence_interval(), book.pvalue, 4])


def test_rows_and_p_values_of_what_is_recorded_so_far():
    p = generalization_gap.p_value(first_of_mnist(3), "gap")
    assert p.n == 0 and p.unit == "p" and p.missing.startswith("bbatch sweep")
    table = generalization_gap.correlations(first_of_mnist(4))
    assert table[table["source"] == "our runs"]["pairs of"].tolist() == ["all data sets", "MNIST"]
    printed = generalization_gap.correlation(published.printed_frame(), "gap")
    assert printed.missing == ""


def test_one_run_of_each_cell_correlates_otherwise_than_their_means():
    """Fisher's z of the means and of the first, second and third run of each cell; one has only two."""
    x, cells_ = [1.0, 2, 3, 4, 5], [[1, 2, 6], [3, 4], [2, 9, 4], [5, 3, 4], [9, 6, 7]]
    single = [(1, 3, 2, 5, 9), (2, 4, 9, 3, 6), (6, 3, 4, 4, 7)]
    of_means = math.atanh(stats.pearsonr(x, [3, 3.5, 5, 4, 22 / 3]).statistic)
    apart = [math.atanh(stats.pearsonr(x, runs_).statistic) - of_means for runs_ in single]
    found = generalization_gap.correlation_of(x, cells_)
    assert found.value == pytest.approx(math.tanh(of_means)) and found.error == pytest.approx(0.5**0.5)
    assert found.one_run == pytest.approx(math.sqrt(0.5 + fmean(a * a for a in apart)))


@pytest.mark.parametrize("side", [1, -1])
def test_cells_on_a_line_correlate_fully(side):
    """Fisher's z of 1 is infinite; what is taken for it is not."""
    found = generalization_gap.correlation_of([1, 2, 3, 4], [[side * k] for k in (1, 2, 3, 4)])
    assert found.value == pytest.approx(side) and found.one_run == pytest.approx(found.error) == 1
    assert found.low < found.value < found.high


def test_a_missing_cell_is_that_of_its_data_set():
    hole = RUNS[(RUNS["dataset"] != "synthetic-10k") | (RUNS["batch_size"] != 8)]
    found = generalization_gap.correlation(hole, "gap")
    assert found.missing == "bbatch sweep synthetic-10k"
    assert found.n == sum(len(sizes(d)) for d in PUBLISHED) - 1
    p = generalization_gap.p_value(hole, "gap")
    assert (p.missing, p.shown, p.n) == (found.missing, found.shown, found.n)
    assert (p.how, p.about, p.counted, p.unit) == ("Student's t", "all cells", "cells", "p")


def test_which_training_accuracy_by_hand():
    paper = published.results("mnist").set_index("batch_size")["gap"]
    far = {8: 0.5, 64: 0.6, 256: 1.9, 7: 0}  # B = 7 is not printed
    rows = [
        ("mnist", b, s, paper.get(b, 0) + away + off, paper.get(b, 0) - 2 + 3 * (b == 8))
        for b, away in far.items()
        for s, off in enumerate((-0.4, -0.2, 0.6))
    ]
    rows.append(("cifar10", 8, 1, 0.0, 0.0))
    frame = pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "gap_running", "gap"])
    table = generalization_gap.which_training_accuracy(frame, "mnist")
    assert table["mean_distance"].tolist() == pytest.approx([1.0, 5 / 3])
    assert table["batch_sizes"].tolist() == [3, 3]
    assert [r.split(":")[0] for r in table["reading"]] == ["running", "clean"]
