"""Test accuracy against batch size (Section IV-A): levels, falls, trends, and whether the paper's values fit
in.

Every function takes a frame of runs, ours or the paper's (`published.frame`), and returns an `Estimate` or
several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..errors import BadInput
from ..metrics import interval
from ..statistics import LEVEL, Interval, proportion_interval
from .estimate import Estimate, by_seed, combine, command, is_printed, lacking, minus, sizes

FEW = 5  # seeds; a share of fewer says nothing


def level(runs, dataset: str, batch_size: int, metric: str = "test_acc", lr_rule: str = "linear") -> Estimate:
    """The mean of a metric at one batch size (percent; gaps in points); `one_run`: where one more run
    falls."""
    return combine(runs, dataset, {(batch_size, lr_rule): 1}, metric)


def fall(
    runs, dataset: str, small: int, large: int, metric: str = "test_acc", lr_rule: str = "linear"
) -> Estimate:
    """The metric at the small batch size minus that at the large one, paired by seed, in points."""
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
    return [minus(fall(runs, a, small, large), fall(runs, b, small, large), _over(a, b)) for a, b in pairs]


def floor(runs, dataset: str, start: int) -> list[Estimate]:
    """Falls from each batch size below `start` to each from it on."""
    found = sizes(runs, dataset)
    return falls(runs, [dataset], [b for b in found if b < start], [b for b in found if b >= start])


def peak(runs, dataset: str) -> Estimate:
    """The level at the best batch size, where all batch sizes are recorded."""
    table = by_seed(runs, dataset, "test_acc").mean().droplevel("lr_rule") if len(runs) else pd.Series()
    if set(sizes(runs, dataset)) - set(table.index):
        return lacking(DATASETS[dataset].title, command(dataset), unit="percent")
    return level(runs, dataset, int(table.idxmax()))


def seeds_that_agree(runs, datasets: Iterable[str]) -> list[Estimate]:
    """Share of seeds, in percent, whose accuracy changes from end to end in the direction of the mean;
    Wilson's interval.

    The paper prints one run a cell, which says nothing of it.
    """
    found = []
    for d in datasets:
        ends = min(sizes(runs, d)), max(sizes(runs, d))
        table = by_seed(runs, d, "test_acc")
        changes = (
            (table[ends[1], "linear"] - table[ends[0], "linear"]).dropna()
            if {(b, "linear") for b in ends} <= set(table)
            else pd.Series(dtype=float)
        )
        if len(changes) < FEW:
            found.append(
                lacking(DATASETS[d].title, "" if is_printed(runs) else command(d), unit="percent of seeds")
            )
            continue
        agree = int((np.sign(changes) == np.sign(changes.mean())).sum())
        i = proportion_interval(agree, len(changes), LEVEL)
        ids = tuple(
            runs[(runs["dataset"] == d) & runs["batch_size"].isin(ends) & (runs["lr_rule"] == "linear")]["id"]
        )
        more = dict(unit="percent of seeds", how="Wilson's interval", about=DATASETS[d].title, ids=ids)
        found.append(Estimate(i.mean, len(changes), bounds=(i.low, i.high), **more))
    return found


def share_at_most(runs, dataset: str, batch_size: int, accuracy: float) -> Estimate:
    """Share of seeds, in percent, that end with at most `accuracy` percent right; Wilson's interval.

    Whether a training collapses may hang on its seed, so that a mean says little: one run out of one leaves
    the share between 0 and 79 %, or 21 and 100 %. Of the paper's one run, the share is what it is."""
    table = by_seed(runs, dataset, "test_acc")
    values = (
        table[batch_size, "linear"].dropna() if (batch_size, "linear") in table else pd.Series(dtype=float)
    )
    about = f"{DATASETS[dataset].title}, B = {batch_size}"
    if values.empty:
        return lacking(about, command(dataset), unit="percent of seeds")
    right, mine = int((values <= accuracy).sum()), runs[runs["batch_size"] == batch_size]
    i = proportion_interval(right, len(values), LEVEL)
    if is_printed(runs):
        shown = f"{values.iloc[0]:.2f} %"
        return Estimate(i.mean, 1, "percent of seeds", "one run", about, bounds=(i.mean, i.mean), shown=shown)
    ids = tuple(mine[(mine["dataset"] == dataset) & (mine["lr_rule"] == "linear")]["id"])
    return Estimate(
        i.mean, len(values), "percent of seeds", "Wilson's interval", about, ids, bounds=(i.low, i.high)
    )


def best_batch_size(frame: pd.DataFrame, dataset: str, metric: str = "test_acc") -> tuple[int, Interval]:
    """The batch size with the highest mean, and that mean with its interval.

    Raises `BadInput` where the frame holds no run of the data set.
    """
    runs = _runs(frame, dataset)
    best = runs.groupby("batch_size")[metric].mean().idxmax()
    return int(best), interval(runs[runs["batch_size"] == best], metric)


def one_more_run(
    runs: pd.DataFrame, dataset: str, metric: str = "test_acc", level_: float = LEVEL
) -> pd.DataFrame:
    """Could each published value be one more run of ours? A row for each batch size that both have.

    Columns: batch_size, n, paper, low, high (95 % prediction interval for a single run), inside. A printed
    value counts as inside where its rounding reaches. Cells without an interval are left out."""
    paper = published.frame().query("dataset == @dataset").set_index("batch_size")
    column, rows = metric if metric in paper else "gap_running", []
    for b in sorted(set(runs[runs["dataset"] == dataset]["batch_size"]) & set(paper.index)):
        printed, give = paper.loc[b, column], paper.loc[b, f"{column}_rounding"]
        found = level(runs, dataset, int(b), metric)
        low, high = found.interval(level_, one_run=True)
        if not np.isnan(low) and not np.isnan(printed):
            inside = bool(low - give <= printed <= high + give)
            rows.append((int(b), found.n, float(printed), low, high, inside))
    return pd.DataFrame(rows, columns=["batch_size", "n", "paper", "low", "high", "inside"])


def cells_inside(runs: pd.DataFrame, datasets: Iterable[str], metrics: Iterable[str]) -> tuple[int, int]:
    """How many published values lie in the 95 % interval of one more run of ours, and of how many."""
    tables = [one_more_run(runs, d, m)["inside"] for d in datasets for m in metrics]
    return sum(int(t.sum()) for t in tables), sum(map(len, tables))


def _over(a: str, b: str) -> str:
    return f"{DATASETS[a].title} over {DATASETS[b].title}"


def accuracy_sentence(frame: pd.DataFrame, dataset: str) -> str:
    """Where the accuracy peaks, and what the smallest and largest batch sizes cost against that peak, paired
    by seed."""
    title, runs = DATASETS[dataset].title, frame[frame["dataset"] == dataset]
    if runs.empty:
        return f"**{title}**: no run recorded yet."
    best, peak = best_batch_size(frame, dataset)
    sizes, planned = sorted(runs["batch_size"].unique()), DATASETS[dataset].protocol.batch_sizes
    among = "" if set(planned) <= set(sizes) else f", of the {len(sizes)} batch sizes recorded,"
    seeds = f"n = {peak.n} seeds" if peak.n > 1 else "one seed; ± from the size of the test set"
    low = int((runs.loc[runs["batch_size"] == best, "precision"] == "bf16").sum())
    seeds += f", {low} of them in bf16" if 0 < low < peak.n else ""
    text = f"**{title}**: test accuracy is highest{among} at B = {best}, {peak.text()} % ({seeds})."
    for other in dict.fromkeys((sizes[0], sizes[-1])):
        if other != best:
            text += f" {_against_best(fall(frame, dataset, best, other), other, _unlike(runs, best, other))}"
    return text


def _against_best(i: Estimate, other: int, unlike: int) -> str:
    """A sentence: how far `other` lies from the best batch size (`i`: best minus other), and how sure that
    is."""
    if i.n == 0:
        return f"B = {other} shares no seed with it."
    sure = "one pair of runs" if i.n == 1 else f"paired over {i.n} seeds"
    sure += ", scatter of the data set's other cells" if i.n < FEW and not np.isnan(i.low) else ""
    sure += "" if i.low > 0 or i.high < 0 else ", not told apart from zero"
    sure += f"; in {unlike} of the pairs one run is in bf16, the other in 32 bits" if unlike else ""
    size = replace(i, value=abs(i.value)).text()
    apart = f"{size} points {'higher' if i.value < 0 else 'lower'}" if abs(i.value) >= 0.005 else "the same"
    return f"At B = {other} it is {apart} ({sure})."


def _unlike(runs: pd.DataFrame, small: int, large: int) -> int:
    """Pairs of runs with equal seeds, at two batch sizes of one data set, of which one is in mixed
    precision."""
    wide = (
        runs.pivot(index="seed", columns="batch_size", values="precision")
        .reindex(columns=[small, large])
        .dropna()
    )
    return int((wide[small] != wide[large]).sum())


def one_more_run_sentence(frame: pd.DataFrame, dataset: str) -> str:
    """How many of the paper's accuracies could be one more run of ours, and which could not."""
    table = one_more_run(frame, dataset)
    if table.empty:
        return f"**{DATASETS[dataset].title}**: fewer than two seeds at every batch size."
    seeds = " to ".join(dict.fromkeys((str(table["n"].min()), str(table["n"].max()))))
    text = (
        f"**{DATASETS[dataset].title}**: {int(table['inside'].sum())} of {len(table)} printed accuracies "
        f"lie inside the intervals from {seeds} seeds"
    )
    outside = table.loc[~table["inside"], "batch_size"]
    return text + (f"; outside: B = {', '.join(map(str, outside))}." if len(outside) else ".")


def glance_sentence(frame: pd.DataFrame) -> str:
    """One sentence a data set for the landing page."""
    return "\n".join(f"- {accuracy_sentence(frame, name)}" for name in DATASETS)


def _runs(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    runs = frame[frame["dataset"] == dataset]
    if runs.empty:
        raise BadInput(f"no run of {dataset} is recorded; `bbatch sweep {dataset}` computes them.")
    return runs
