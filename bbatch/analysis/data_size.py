"""How do the best and the critical batch size grow with the number of samples N? Read from study `data-size`.

Each problem gives one curve of accuracy against batch size at each N (a mean over training seeds), hence one
optimum, one B* by the paper's definition (Section IV-G) and, over the four N, one exponent of each. Intervals
are over the problems: they cover the scatter between data sets, and the training seeds' share in it.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from ..errors import BadInput
from ..statistics import Interval, mean_interval
from .critical_batch_size import DROP, FOUND, critical_batch_size

TRAIN_SHARE = 0.8  # of N: the paper's split


def accuracy_curves(runs: pd.DataFrame, largest: int | None = None) -> pd.DataFrame:
    """What the figure shows: mean test accuracy over seeds by problem, N and batch size, in percent.

    `largest` leaves out greater batch sizes (512 ends the paper's grid). N counts the samples that Table I
    would list, test set included: n_train / 0.8.
    """
    groups = _up_to(runs, largest).groupby(["problem", "N", "batch_size"], as_index=False)
    return groups.agg(test_acc=("test_acc", "mean"), n=("seed", "size"))


def _up_to(runs: pd.DataFrame, largest: int | None) -> pd.DataFrame:
    """The runs up to this batch size, with a column N."""
    kept = runs if largest is None else runs[runs["batch_size"] <= largest]
    return kept.assign(N=(kept["n_train"] / TRAIN_SHARE).round().astype(int))


def optima(runs: pd.DataFrame, largest: int | None = None, drop: float = DROP) -> pd.DataFrame:
    """Optimum and B* of each problem at each N, from the mean over its training seeds.

    Columns: problem, N, optimal, critical (missing where there is none), case (see `critical_batch_size`).
    """
    rows = []
    for (problem, n), curve in accuracy_curves(runs, largest).groupby(["problem", "N"]):
        c = critical_batch_size(curve.set_index("batch_size")["test_acc"].to_dict(), drop)
        rows.append([int(problem), int(n), c.optimal, c.critical, c.case])
    table = pd.DataFrame(rows, columns=["problem", "N", "optimal", "critical", "case"])
    return table.astype({"critical": "Int64"})


def size_exponents(runs: pd.DataFrame, largest: int | None = None, drop: float = DROP) -> dict[str, Interval]:
    """The powers of N that the optimum (`optimal`) and B* (`critical`) follow.

    One least-squares fit of the logarithms for each problem; mean and t interval over problems. A problem
    without a B* at every N is left out of the latter; `n` counts those that are in. Raises `BadInput` unless
    all problems have the same N, two or more.
    """
    table = optima(runs, largest, drop)
    sizes = table.groupby("problem")["N"].agg(tuple)
    if sizes.nunique() != 1 or len(sizes.iloc[0]) < 2:
        raise BadInput("an exponent over N needs the same sizes, two or more, of every problem.")
    found = table.assign(whole=(table["case"] == FOUND).groupby(table["problem"]).transform("all"))
    return {
        "optimal": mean_interval(powers_of_size(table, "optimal")),
        "critical": mean_interval(powers_of_size(found[found["whole"]], "critical")),
    }


def powers_of_size(table: pd.DataFrame, what: str) -> list[float]:
    """The power of N that `what`, a column of `optima`, follows on each problem: least squares of the
    logarithms."""
    return [
        float(np.polyfit(np.log(rows["N"]), np.log(rows[what].astype(float)), 1)[0])
        for _, rows in table.groupby("problem")
    ]


def _log_optimal(accuracy: dict[int, float]) -> float:
    return math.log2(critical_batch_size(accuracy).optimal)


def _log_critical(accuracy: dict[int, float]) -> float:
    found = critical_batch_size(accuracy).critical
    return math.nan if found is None else math.log2(found)


QUANTITIES: dict[str, Callable[[dict[int, float]], float]] = {
    "test accuracy at B = 32 (%)": lambda accuracy: accuracy[32],
    "optimum (octaves)": _log_optimal,
    "B* (octaves)": _log_critical,
}


def scatter(runs: pd.DataFrame, largest: int | None = None) -> pd.DataFrame:
    """Scatter of single runs' readings between data sets, and between training seeds on one data set.

    Columns: N, quantity (a key of `QUANTITIES`), between (problems; the seeds' part taken away), within
    (seeds of one problem), missing (readings without a value, such as no B*). One-way analysis of variance
    with random effects; where readings are missing the groups differ in size, and their harmonic mean serves
    for it (unweighted means).
    """
    readings = []
    for (n, problem, _), curve in _up_to(runs, largest).groupby(["N", "problem", "seed"]):
        accuracy = curve.set_index("batch_size")["test_acc"].to_dict()
        readings += [[n, problem, name, reads(accuracy)] for name, reads in QUANTITIES.items()]
    table = pd.DataFrame(readings, columns=["N", "problem", "quantity", "value"])
    rows = []
    for name in QUANTITIES:
        for n, cell in table[table["quantity"] == name].groupby("N"):
            between, within = components([g["value"].dropna().to_numpy() for _, g in cell.groupby("problem")])
            rows.append([int(n), name, between, within, int(cell["value"].isna().sum())])
    return pd.DataFrame(rows, columns=["N", "quantity", "between", "within", "missing"])


def components(groups: list[np.ndarray]) -> tuple[float, float]:
    """Standard deviations between and within groups; the former is 0 where the latter explains all.

    Groups of fewer than two values are left out; NaN where fewer than two groups remain.
    """
    groups = [g for g in groups if len(g) > 1]
    if len(groups) < 2:
        return math.nan, math.nan
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / sum(len(g) - 1 for g in groups)
    size = len(groups) / sum(1 / len(g) for g in groups)
    between = np.var([g.mean() for g in groups], ddof=1) - within / size
    return math.sqrt(max(between, 0.0)), math.sqrt(within)
