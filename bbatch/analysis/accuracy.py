"""Test accuracy against batch size (Section IV-A): levels, falls, trends, and the paper's values.

Every function takes a frame of runs, ours or the paper's (`published.printed_frame`), and returns an
`Estimate` or several."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..statistics import proportion_interval
from .cells import by_seed, combine, command, is_printed, learned, linear, sizes
from .estimate import Estimate, lacking, minus

FEW = 5  # seeds; a share of fewer says nothing
FLAT = 0.5  # points; less than this a reader would not choose a batch size for


def level(runs, dataset: str, batch_size: int, metric: str = "test_acc", lr_rule: str = "linear") -> Estimate:
    """Mean of a metric at one batch size (percent; gaps in points). `one_run`: where one more run falls."""
    return combine(runs, dataset, {(batch_size, lr_rule): 1}, metric)


def fall(
    runs, dataset: str, small: int, large: int, metric: str = "test_acc", lr_rule: str = "linear"
) -> Estimate:
    """The metric at the small batch size minus that at the large one, paired by seed, in points. Of a batch
    size and itself exactly 0: the best one of a data set may be the one that it is compared with."""
    if small == large:
        own = level(runs, dataset, small, metric, lr_rule)
        none = dict(value=0.0, error=0.0, one_run=0.0, bounds=(np.nan, np.nan), shown="") if own.n else {}
        return replace(own, unit="points", **none)
    return combine(runs, dataset, {(small, lr_rule): 1, (large, lr_rule): -1}, metric)


def change(runs, dataset: str, small: int, large: int, metric: str = "test_acc") -> Estimate:
    """The metric at the large batch size minus that at the small one: `fall` with the other sign."""
    return fall(runs, dataset, large, small, metric)


def falls(runs, datasets: Iterable[str], small: Iterable[int], large: Iterable[int]) -> list[Estimate]:
    """`fall` on each data set, from each small batch size to each large one."""
    return [fall(runs, d, s, b) for d in datasets for s in small for b in large]


def from_end_to_end(runs, datasets: Iterable[str]) -> list[Estimate]:
    """`fall` from the smallest batch size to the largest."""
    return [fall(runs, d, min(sizes(runs, d)), max(sizes(runs, d))) for d in datasets]


def rises(runs, datasets: Iterable[str], metric: str = "test_acc") -> list[Estimate]:
    """The rise from each batch size to the next larger one."""
    pairs = [(d, a, b) for d in datasets for a, b in zip(sizes(runs, d), sizes(runs, d)[1:], strict=False)]
    return [fall(runs, d, b, a, metric) for d, a, b in pairs]


def slope(runs, dataset: str, metric: str = "test_acc") -> Estimate:
    """Points for each doubling of B: the line of least squares through the means at all batch sizes."""
    x = np.log2(sizes(runs, dataset))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    found = {(b, "linear"): float(w) for b, w in zip(sizes(runs, dataset), weights, strict=False)}
    return combine(runs, dataset, found, metric)


def slopes(runs, datasets: Iterable[str]) -> list[Estimate]:
    """`slope` of test accuracy on each data set."""
    return [slope(runs, d) for d in datasets]


def excess(runs, pairs: Iterable[tuple[str, str]], small: int, large: int) -> list[Estimate]:
    """By how much the fall on the first data set of each pair exceeds that on the second."""
    return [
        minus(fall(runs, a, small, large), fall(runs, b, small, large), one_over_other(a, b))
        for a, b in pairs
    ]


def floor(runs, dataset: str, start: int) -> list[Estimate]:
    """Falls from each batch size below `start` to each from it on."""
    found = sizes(runs, dataset)
    return falls(runs, [dataset], [b for b in found if b < start], [b for b in found if b >= start])


def peak(runs, dataset: str) -> Estimate:
    """The level at the best batch size, where all batch sizes are recorded."""
    means = by_seed(runs, dataset, "test_acc").mean()
    if set(sizes(runs, dataset)) - set(means.index):
        return lacking(DATASETS[dataset].title, command(dataset), unit="percent")
    return level(runs, dataset, int(means.idxmax()))


def seeds_that_agree(runs, datasets: Iterable[str]) -> list[Estimate]:
    """Percent of seeds whose accuracy changes from end to end as the mean does; Wilson's interval.

    The paper prints one run a cell, which says nothing of it.
    """
    found = []
    for d in datasets:
        ends, about = [min(sizes(runs, d)), max(sizes(runs, d))], DATASETS[d].title
        first, last = (_accuracies(runs, d, b) for b in ends)
        changes = (last - first).dropna()
        if len(changes) < FEW:
            missing = "" if is_printed(runs) else command(d)
            found.append(lacking(about, missing, unit="percent of seeds"))
        else:
            agree = np.sign(changes) == np.sign(changes.mean())
            found.append(_share(agree, about, linear(runs, d).query("batch_size in @ends")["id"]))
    return found


def share_at_most(runs, dataset: str, batch_size: int, accuracy: float) -> Estimate:
    """Share of seeds, in percent, that end with at most `accuracy` percent right; Wilson's interval.

    Whether a training collapses may hang on its seed, so that a mean says little: one run out of one leaves
    the share between 0 and 79 %, or 21 and 100 %. Of the paper's one run, the share is what it is."""
    values, about = _accuracies(runs, dataset, batch_size), f"{DATASETS[dataset].title}, B = {batch_size}"
    if values.empty:
        return lacking(about, command(dataset), unit="percent of seeds")
    if is_printed(runs):
        share, shown = 100.0 if values.iloc[0] <= accuracy else 0.0, f"{values.iloc[0]:.2f} %"
        return Estimate(share, 1, "percent of seeds", "one run", about, bounds=(share, share), shown=shown)
    return _share(values <= accuracy, about, linear(runs, dataset).query("batch_size == @batch_size")["id"])


def _accuracies(runs, dataset: str, batch_size: int) -> pd.Series:
    """Test accuracy by seed, of the runs that there are."""
    return by_seed(runs, dataset, "test_acc").get(batch_size, pd.Series(dtype=float)).dropna()


def _share(held: pd.Series, about: str, ids: Iterable[str]) -> Estimate:
    """The percentage of seeds of which something holds."""
    wilson = partial(_wilson, int(held.sum()), len(held))
    more = dict(unit="percent of seeds", how="Wilson's interval", about=about, ids=tuple(ids))
    return Estimate(100 * float(held.mean()), len(held), by_level=wilson, **more)


def _wilson(held: int, n: int, level: float) -> tuple[float, float]:
    i = proportion_interval(held, n, level)
    return i.low, i.high


def learning_runs(
    runs: pd.DataFrame, dataset: str, batch_size: int, base: int = 32
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """The runs of a batch size under the linear rule, those of them that have `learned`, and how far the test
    accuracy of these lies below the mean of batch size `base`, in points."""
    mine = linear(runs, dataset)
    trained = mine[mine["batch_size"] == batch_size]
    kept = trained[learned(trained)]
    return trained, kept, mine.loc[mine["batch_size"] == base, "test_acc"].mean() - kept["test_acc"]


def flat_range(means: pd.Series) -> tuple[int, int]:
    """The smallest and the largest batch size around the best one, without a gap, whose mean test accuracy
    lies within `FLAT` points of the best mean. `means`: by batch size, ascending."""
    near, best = means >= means.max() - FLAT, means.idxmax()
    below, above = near.loc[best::-1], near.loc[best:]
    return int(below[below.cummin()].index[-1]), int(above[above.cummin()].index[-1])


def at_a_glance(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each data set that has runs under the linear rule: the answer of the landing page.

    Columns: dataset, sizes (recorded, of the protocol's), flat (`flat_range`, as a pair), best (batch size of
    the highest mean), cost_of_512 (mean accuracy there minus that at 512, points, `Estimate`; the best is
    chosen on the same runs, which makes it a little too large)."""
    rows = []
    for name in (d for d in DATASETS if d in set(runs["dataset"])):
        found = linear(runs, name)
        means = found.groupby("batch_size")["test_acc"].mean()
        recorded = f"{len(means)} of {len(DATASETS[name].protocol.batch_sizes)}"
        best = int(means.idxmax())
        rows.append([name, recorded, flat_range(means), best, fall(found, name, best, 512)])
    return pd.DataFrame(rows, columns=["dataset", "sizes", "flat", "best", "cost_of_512"])


def one_more_run(runs: pd.DataFrame, dataset: str, metric: str = "test_acc") -> pd.DataFrame:
    """Could each published value be one more run of ours? A row for each batch size that both have.

    Columns: batch_size, n, paper, low, high (95 % prediction interval for a single run), inside. A printed
    value counts as inside where its rounding reaches. Left out are cells without an interval, and those where
    it lies inside one that is wider than all runs of the data set lie apart: that decides nothing
    (rule 2 of the page of verdicts)."""
    paper = published.printed_frame().query("dataset == @dataset").set_index("batch_size")
    rows = []
    for b in sorted(set(runs[runs["dataset"] == dataset]["batch_size"]) & set(paper.index)):
        printed, give = paper.loc[b, metric], paper.loc[b, f"{metric}_rounding"]
        found = level(runs, dataset, int(b), metric)
        low, high = found.interval(one_run=True)
        inside = bool(low - give <= printed <= high + give)
        if not np.isnan(low) and not np.isnan(printed) and (not inside or found.narrow()):
            rows.append((int(b), found.n, float(printed), low, high, inside))
    return pd.DataFrame(rows, columns=["batch_size", "n", "paper", "low", "high", "inside"])


def cells_inside(runs: pd.DataFrame, datasets: Iterable[str], metrics: Iterable[str]) -> tuple[int, int]:
    """How many published values lie in the 95 % interval of one more run of ours, and of how many."""
    tables = [one_more_run(runs, d, m)["inside"] for d in datasets for m in metrics]
    return sum(int(t.sum()) for t in tables), sum(map(len, tables))


def one_over_other(a: str, b: str) -> str:
    """What an estimate on one data set minus that on another is about."""
    return f"{DATASETS[a].title} over {DATASETS[b].title}"
