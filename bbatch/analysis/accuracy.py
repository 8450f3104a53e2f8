"""What a frame of runs says, as values with their intervals: the sentences of the notebooks are made of these."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS, SYNTHETIC
from ..errors import BadInput
from ..metrics import interval
from ..statistics import Interval, paired_difference, pearson, power_law, prediction_interval
from . import critical_batch_size


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


def which_training_accuracy(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Mean distance, over the published batch sizes, of the paper's gap from ours under each reading of "Train Acc"."""
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


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Pearson's correlation between log B and the gap (Section IV-B): pooled and for each data set.

    A pair is one cell: the mean over seeds of our running gap (the paper's reading) at one batch size of one data set,
    or a cell of the paper's tables. Columns: source, pairs of, r, low, high (95 %), p, n. Rows with fewer than four
    pairs are left out.
    """
    ours = frame.groupby(["dataset", "batch_size"])["gap_running"].mean().reset_index(name="gap")
    paper = published.results()[["dataset", "batch_size", "gap"]]
    rows = []
    for source, cells in (("the paper's tables", paper), ("our runs", ours)):
        groups = [
            ("all data sets", cells),
            *((DATASETS[d].title, cells[cells["dataset"] == d]) for d in DATASETS),
        ]
        for title, group in groups:
            if len(group) >= 4:
                c = pearson(np.log(group["batch_size"]), group["gap"])
                rows.append(
                    {
                        "source": source,
                        "pairs of": title,
                        "r": c.r,
                        "low": c.low,
                        "high": c.high,
                        "p": c.p,
                        "n": c.n,
                    }
                )
    return pd.DataFrame(rows, columns=["source", "pairs of", "r", "low", "high", "p", "n"])


def correlation_sentence(frame: pd.DataFrame) -> str:
    """The paper's r, what its own tables give, and what our runs give."""
    pooled = correlations(frame).query("`pairs of` == 'all data sets'").set_index("source")
    text = f"The paper states r = {published.value('iv-b-correlation'):.2f}."
    for source, c in pooled.iterrows():
        text += f" From {source}, pooled over {c['n']:.0f} cells, r = {c['r']:.2f} (95 % interval {c['low']:.2f} to {c['high']:.2f})."
    return text.replace("-", "−")


def exponent_sentences(frame: pd.DataFrame) -> list[str]:
    """The exponent of N in the paper's own critical batch sizes (Table VI), over all data sets and over the synthetic;
    then what our runs give of it."""
    table = published.critical().set_index("dataset")["critical_batch_size"]
    sentences = []
    for what, names in (
        ("all five data sets", list(DATASETS)),
        ("the three synthetic sets", list(SYNTHETIC)),
    ):
        fit = power_law([critical_batch_size.printed_n(n) for n in names], table[names])
        a = fit.exponent
        sentences.append(
            f"Table VI over {what}: B* grows as N to the power {a.mean:.2f} (95 % interval {a.low:.2f} to "
            f"{a.high:.2f}, {a.n} points).".replace("-", "−")
        )
    return sentences + _our_exponent(frame)


def _our_exponent(frame: pd.DataFrame) -> list[str]:
    sizes = frame.groupby("dataset")["batch_size"].nunique()
    found = {
        n: critical_batch_size.from_runs(frame, n)
        for n in DATASETS
        if sizes.get(n, 0) >= len(DATASETS[n].protocol.batch_sizes)
    }
    have = [f"{DATASETS[n].title} (B* = {c.critical})" for n, c in found.items() if c.critical]
    text = (
        f"By the definition, our means give a B* on {len(have)} of the {len(found)} data sets with runs at "
        f"every batch size{': ' + ', '.join(have) if have else ''}"
    )
    sentences = [text + ("." if len(have) > 2 else ", too few for an exponent.")]
    if len(have) > 2:
        names = [n for n, c in found.items() if c.critical]
        a = power_law(
            [critical_batch_size.printed_n(n) for n in names], [found[n].critical for n in names]
        ).exponent
        sentences.append(
            f"B* over them grows as N to the power {a.mean:.2f} (95 % interval {a.low:.2f} to {a.high:.2f})."
        )
    draws = critical_batch_size.bootstraps(frame, SYNTHETIC)
    if len(draws) == len(SYNTHETIC):
        a = critical_batch_size.optimum_exponent(draws)
        sentences.append(
            f"The best batch size itself, over the three synthetic sets, follows N to the power {a.mean:.2f} "
            f"(middle 95 % of the bootstrap over seeds: {a.low:.2f} to {a.high:.2f})."
        )
    return [s.replace(" -", " −") for s in sentences]


def precision_effect(frame: pd.DataFrame) -> pd.DataFrame:
    """bf16 minus fp32 where both are recorded with all else equal, seed included: a row for each configuration.

    Columns: data set, B, epochs, training samples, the range of test accuracies in fp32 and in bf16 (percent), the effect on
    test accuracy and on the clean gap (points, ± half of the 95 % interval), n.
    """
    cell, rows = ["dataset", "batch_size", "epochs", "n_train"], []
    columns = [
        "data set",
        "B",
        "epochs",
        "training samples",
        "fp32 (%)",
        "bf16 (%)",
        "test accuracy",
        "gap, clean",
        "n",
    ]
    for (name, b, epochs, samples), runs in frame[frame["lr_rule"] == "linear"].groupby(cell):
        wide = runs.pivot_table(index="seed", columns="precision", values=["test_acc", "gap"])
        if {"fp32", "bf16"} <= set(runs["precision"]) and len(pairs := wide.dropna()):
            effect = {
                m: paired_difference(pairs[m, "bf16"], pairs[m, "fp32"]).text(sign="+")
                for m in ("test_acc", "gap")
            }
            spans = [
                f"{pairs['test_acc', p].min():.2f} to {pairs['test_acc', p].max():.2f}"
                for p in ("fp32", "bf16")
            ]
            rows.append(
                dict(
                    zip(
                        columns,
                        (
                            DATASETS[name].title,
                            int(b),
                            int(epochs),
                            int(samples),
                            *spans,
                            effect["test_acc"],
                            effect["gap"],
                            len(pairs),
                        ),
                    )
                )
            )
    return pd.DataFrame(rows, columns=columns)
