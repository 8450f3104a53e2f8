"""The best and the critical batch size at each number of samples N, from study `data-size`.

Each problem gives one curve of accuracy against batch size at each N (a mean over training seeds), hence one
optimum, one B* by the paper's definition (Section IV-G) and, over the four N, one power of each
(`statistics.power_laws`). Intervals are over the problems: they cover the scatter between data sets, and the
training seeds' share in it.
"""

import pandas as pd

from ..statistics import Interval, geometric_mean
from .critical_batch_size import critical_batch_size

TRAIN_SHARE = 0.8  # of N: the paper's split


def optima(runs: pd.DataFrame) -> pd.DataFrame:
    """Optimum and B* of each problem at each N, from the mean over its training seeds.

    Columns: problem, N (the samples that Table I would list, test set included: n_train / 0.8), optimal,
    critical (missing where there is none).
    """
    rows = []
    for (problem, n_train), curve in runs.groupby(["problem", "n_train"]):
        c = critical_batch_size(curve.groupby("batch_size")["test_acc"].mean().to_dict())
        rows.append([int(problem), round(n_train / TRAIN_SHARE), c.optimal, c.critical])
    return pd.DataFrame(rows, columns=["problem", "N", "optimal", "critical"]).astype({"critical": "Int64"})


def over_problems(optima: pd.DataFrame, what: str) -> dict[int, Interval]:
    """The geometric mean over problems of column `what` of `optima`, "optimal" or "critical", at each N at
    which a problem has one; its 95 % interval is that of the mean logarithm."""
    there = optima.dropna(subset=[what])
    return {n: geometric_mean(cell) for n, cell in there.groupby("N")[what]}
