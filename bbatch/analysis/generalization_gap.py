"""The generalization gap: which training accuracy the paper's is made of, and whether it goes with the batch size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..statistics import pearson


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
