"""Which batch size is the most accurate, what another costs against it, and whether the paper's values fit in."""

from __future__ import annotations

import pandas as pd

from .. import published
from ..config import DATASETS
from ..errors import BadInput
from ..metrics import interval
from ..statistics import Interval, paired_difference, prediction_interval


def best_batch_size(frame: pd.DataFrame, dataset: str, metric: str = "test_acc") -> tuple[int, Interval]:
    """The batch size with the highest mean, and that mean with its interval.

    Raises `BadInput` where the frame holds no run of the data set.
    """
    runs = _runs(frame, dataset)
    best = runs.groupby("batch_size")[metric].mean().idxmax()
    return int(best), interval(runs[runs["batch_size"] == best], metric)


def change(frame: pd.DataFrame, dataset: str, small: int, large: int, metric: str = "test_acc") -> Interval:
    """Mean of `metric` at batch size `large` minus that at `small`, paired by seed."""
    wide = _runs(frame, dataset).pivot(index="seed", columns="batch_size", values=metric)
    if not {small, large} <= set(wide.columns):
        return paired_difference([], [])
    pairs = wide[[small, large]].dropna()
    return paired_difference(pairs[large], pairs[small])


def one_more_run(frame: pd.DataFrame, dataset: str, metric: str = "test_acc") -> pd.DataFrame:
    """Could each published value be one more run of ours? A row for each batch size that both have.

    Columns: batch_size, n, paper, low, high (95 % prediction interval for a single run), inside. Needs two seeds or
    more; batch sizes with fewer are left out.
    """
    paper = published.results(dataset).set_index("batch_size")[published.COLUMN_OF[metric]]
    rows = []
    for b, cell in frame[frame["dataset"] == dataset].groupby("batch_size"):
        if b in paper.index and len(cell) > 1:
            i = prediction_interval(cell[metric])
            rows.append(
                {
                    "batch_size": int(b),
                    "n": i.n,
                    "paper": paper[b],
                    "low": i.low,
                    "high": i.high,
                    "inside": bool(i.low <= paper[b] <= i.high),
                }
            )
    return pd.DataFrame(rows, columns=["batch_size", "n", "paper", "low", "high", "inside"])


def accuracy_sentence(frame: pd.DataFrame, dataset: str) -> str:
    """Where the accuracy peaks, and what the smallest and largest batch sizes cost against that peak, paired by seed."""
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
            text += (
                f" {_against_best(change(frame, dataset, other, best), other, _unlike(runs, best, other))}"
            )
    return text


def _against_best(i: Interval, other: int, unlike: int) -> str:
    """A sentence: how far `other` lies from the best batch size (`i`: best minus other), and how sure that is."""
    if i.n == 0:
        return f"B = {other} shares no seed with it."
    sure = "one pair of runs: no interval over seeds" if i.n == 1 else f"paired over {i.n} seeds"
    sure += "" if i.n == 1 or i.low > 0 or i.high < 0 else ", not told apart from zero"
    sure += f"; in {unlike} of the pairs one run is in bf16, the other in 32 bits" if unlike else ""
    size = Interval(abs(i.mean), i.low, i.high, i.n).text()
    apart = (
        f"{size} points {'higher' if i.mean < 0 else 'lower'}"
        if i.n > 1 or abs(i.mean) >= 0.005
        else "the same"
    )
    return f"At B = {other} it is {apart} ({sure})."


def _unlike(runs: pd.DataFrame, small: int, large: int) -> int:
    """Pairs of runs with equal seeds, at two batch sizes of one data set, of which one is in mixed precision."""
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
        f"**{DATASETS[dataset].title}**: {int(table['inside'].sum())} of {len(table)} printed accuracies lie inside "
        f"the intervals from {seeds} seeds"
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
