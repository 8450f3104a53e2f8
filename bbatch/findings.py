"""What a frame of runs says, as values with their intervals: the sentences of the notebooks are made of these."""

from __future__ import annotations

import pandas as pd

from . import published
from .config import DATASETS
from .errors import BadInput
from .statistics import Interval, paired_difference, prediction_interval
from .tables import PUBLISHED, interval


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
    paper = published.results(dataset).set_index("batch_size")[PUBLISHED[metric]]
    rows = []
    for b, cell in frame[frame["dataset"] == dataset].groupby("batch_size"):
        if b in paper.index and len(cell) > 1:
            i = prediction_interval(cell[metric])
            rows.append({"batch_size": int(b), "n": i.n, "paper": paper[b], "low": i.low, "high": i.high,
                         "inside": bool(i.low <= paper[b] <= i.high)})
    return pd.DataFrame(rows, columns=["batch_size", "n", "paper", "low", "high", "inside"])


def which_training_accuracy(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Mean distance, over the published batch sizes, of the paper's gap from ours under each reading of "Train Acc"."""
    paper = published.results(dataset).set_index("batch_size")["gap"]
    ours = frame[frame["dataset"] == dataset].groupby("batch_size")[["gap_running", "gap"]].mean()
    both = ours.index.intersection(paper.index)
    distance = ours.loc[both].sub(paper[both], axis=0).abs().mean()
    return pd.DataFrame({"reading": ["running average during the last epoch", "clean training set, eval mode"],
                         "mean_distance": distance.to_numpy(), "batch_sizes": len(both)})


def accuracy_sentence(frame: pd.DataFrame, dataset: str) -> str:
    """Where the accuracy peaks, and what the largest batch size costs against that peak, paired by seed."""
    title, runs = DATASETS[dataset].title, frame[frame["dataset"] == dataset]
    if runs.empty:
        return f"**{title}**: no run recorded yet."
    best, peak = best_batch_size(frame, dataset)
    sizes = sorted(runs["batch_size"].unique())
    text = f"**{title}**: the highest mean test accuracy is {peak.text()} %, at B = {best}"
    for other in dict.fromkeys((sizes[0], sizes[-1])):
        if other != best:
            i = change(frame, dataset, best, other)
            text += f"; B = {other} lies {i.text(sign='+')} points from it ({_verdict(i)})"
    return text + "."


def _verdict(i: Interval) -> str:
    if i.n < 2:
        return "one pair of runs: no interval over seeds"
    settled = i.low > 0 or i.high < 0
    return f"paired over {i.n} seeds, " + ("95 % interval clear of zero" if settled else "not told apart from zero")


def one_more_run_sentence(frame: pd.DataFrame, dataset: str) -> str:
    """How many of the paper's accuracies could be one more run of ours, and which could not."""
    table = one_more_run(frame, dataset)
    if table.empty:
        return f"**{DATASETS[dataset].title}**: fewer than two seeds at every batch size."
    text = f"**{DATASETS[dataset].title}**: {int(table['inside'].sum())} of {len(table)} printed accuracies lie inside"
    outside = table.loc[~table["inside"], "batch_size"]
    return text + (f"; outside: B = {', '.join(map(str, outside))}." if len(outside) else ".")


def glance_sentence(frame: pd.DataFrame) -> str:
    """One sentence a data set for the landing page, and how many runs stand behind them."""
    have = [name for name in DATASETS if (frame["dataset"] == name).any()]
    return "\n".join(f"- {accuracy_sentence(frame, name)}" for name in DATASETS if name in have)


def _runs(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    runs = frame[frame["dataset"] == dataset]
    if runs.empty:
        raise BadInput(f"no run of {dataset} is recorded; `bbatch sweep {dataset}` computes them.")
    return runs
