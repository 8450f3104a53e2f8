"""The generalization gap (Section IV-B): which training accuracy it is made of; does it go with B?

Every question is asked of a frame of runs, ours or the paper's; `metric` is "gap_running" or "gap" (see
`metrics`)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS, PUBLISHED
from ..statistics import Correlation, pearson
from .accuracy import level, one_over_other, slope
from .cells import combine, command, is_printed, sizes
from .estimate import Estimate, lacking, largest_of, minus


def gaps(runs, metric: str, largest: int) -> list[Estimate]:
    """The mean gap at each batch size up to `largest` of every data set, in points."""
    return [level(runs, d, b, metric) for d in PUBLISHED for b in sizes(runs, d) if b <= largest]


def spread(runs, dataset: str, metric: str, largest: int) -> Estimate:
    """The largest mean gap minus the smallest, over the batch sizes up to `largest`: of all pairs of them the
    one that lies furthest apart."""
    means = {b: level(runs, dataset, b, metric) for b in sizes(runs, dataset) if b <= largest}
    if not all(e.n for e in means.values()):
        return lacking(DATASETS[dataset].title, command(dataset), unit="points")
    pairs = combinations(sorted(means, key=lambda b: means[b].value, reverse=True), 2)
    return largest_of(
        [combine(runs, dataset, {(a, "linear"): 1, (b, "linear"): -1}, metric) for a, b in pairs]
    )


def steeper(runs, dataset: str, metric: str) -> list[Estimate]:
    """Points of gap for each doubling of B (least squares), on one data set minus on each other."""
    slopes = {d: slope(runs, d, metric) for d in PUBLISHED}
    pairs = [(dataset, d) for d in PUBLISHED if d != dataset]
    return [minus(slopes[a], slopes[b], one_over_other(a, b)) for a, b in pairs]


def between(runs, datasets: Iterable[str], metric: str) -> list[Estimate]:
    """Mean gap over the batch sizes that all sets share: each data set over MNIST, and CIFAR-10 over each."""
    shared = sorted(set.intersection(*(set(sizes(runs, d)) for d in PUBLISHED)))
    weights = {(b, "linear"): 1 / len(shared) for b in shared}
    means = {d: combine(runs, d, weights, metric) for d in PUBLISHED}
    pairs = [pair for d in datasets for pair in ((d, "mnist"), ("cifar10", d))]
    return [minus(means[a], means[b], one_over_other(a, b)) for a, b in pairs]


def correlation(runs, metric: str, datasets: Iterable[str] = PUBLISHED) -> Estimate:
    """Pearson's correlation of log B with the mean gap, a pair a cell; the interval by Fisher's z.

    No interval over seeds enters: the question is about cells. Fewer than four cells give none; where cells
    of the protocol are not recorded, `missing` says so beside the value."""
    means = _cells(runs, metric, datasets)
    wanted = [(d, b) for d in datasets for b in sizes(runs, d)]
    absent = [d for d, b in wanted if (d, b) not in means.index]
    missing = "" if is_printed(runs) or not absent else command(absent[0])
    if len(means) < 4:
        return lacking("all cells", missing, unit="r")
    found = correlation_of(np.log(means.index.get_level_values("batch_size")), means["runs"])
    p = _pearson(means).p
    shown = f"r = {found.value:.2f} over {found.n} cells, p = {p:.2g}".replace("-", "−")
    return replace(found, shown=shown, missing=missing, ids=tuple(means["ids"].sum()))


def correlation_of(x, cells: Sequence) -> Estimate:
    """Pearson's correlation of x with the means of cells (the values of their runs); the interval by Fisher's
    z.

    The scatter between runs makes a correlation of single ones smaller. So `one_run`, for a paper with one
    run a cell, is wider by how far those of one run a cell lie from that of the means (root mean square)."""
    means, most = [np.mean(cell) for cell in cells], max(map(len, cells))
    # A column holds one run of each cell; cells with fewer runs begin again.
    single = np.array([np.resize(cell, most) for cell in cells])
    z = np.arctanh(np.clip(np.corrcoef([x, means, *single.T])[0, 1:], -1 + 1e-9, 1 - 1e-9))
    error, apart = 1 / math.sqrt(len(means) - 3), float(np.sqrt(np.mean((z[1:] - z[0]) ** 2)))
    more = dict(how="Fisher's z", about="all cells", scale="fisher", counted="cells")
    return Estimate(
        float(np.tanh(z[0])), len(means), "r", error=error, one_run=math.hypot(error, apart), **more
    )


def p_value(runs, metric: str) -> Estimate:
    """The two-sided p-value of that correlation (Student's t)."""
    means, found = _cells(runs, metric, PUBLISHED), correlation(runs, metric)
    if not found.n:
        return lacking("all cells", found.missing, unit="p")
    p, none = _pearson(means).p, {"error": math.nan, "one_run": math.nan, "scale": "linear"}
    return replace(found, value=p, unit="p", how="Student's t", bounds=(p, p), **none)


def _cells(runs, metric: str, datasets: Iterable[str]) -> pd.DataFrame:
    """Gaps by data set and batch size under the linear rule: their mean, those of the runs, and their ids."""
    mine = runs[(runs["lr_rule"] == "linear") & runs["dataset"].isin(list(datasets))]
    cells = mine.dropna(subset=metric).groupby(["dataset", "batch_size"])
    return cells.agg(gap=(metric, "mean"), runs=(metric, list), ids=("id", list))


def _pearson(cells: pd.DataFrame) -> Correlation:
    return pearson(np.log(cells.index.get_level_values("batch_size")), cells["gap"])


def which_training_accuracy(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Mean distance of the paper's gap from ours over batch sizes, under each reading of "Train Acc"."""
    paper = published.results(dataset).set_index("batch_size")["gap"]
    ours = frame[frame["dataset"] == dataset].groupby("batch_size")[["gap_running", "gap"]].mean()
    both = ours.index.intersection(paper.index)
    distance = ours.loc[both].sub(paper[both], axis=0).abs().mean()
    return pd.DataFrame(
        {
            "reading": ["running: counted during the last epoch", "clean: measured after training"],
            "mean_distance": distance.to_numpy(),
            "batch_sizes": len(both),
        }
    )


def correlations(runs: pd.DataFrame) -> pd.DataFrame:
    """`correlation` of the running gap, pooled and for each data set, in the paper's tables and in our runs.

    Columns: source, pairs of, r (`Estimate`), p, n. Rows with fewer than four pairs are left out.
    """
    rows = []
    for source, table in (("the paper's tables", published.printed_frame()), ("our runs", runs)):
        for title, names in (("all data sets", PUBLISHED), *((DATASETS[d].title, [d]) for d in PUBLISHED)):
            found = correlation(table, "gap_running", names)
            if found.n:
                p = _pearson(_cells(table, "gap_running", names)).p
                rows.append((source, title, found, p, found.n))
    return pd.DataFrame(rows, columns=["source", "pairs of", "r", "p", "n"])
