"""Cells of a data set, a batch size under a rule of the learning rate, and the sums of them that most
questions come down to: a level, a difference, a mean or a slope over many."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..config import DATASETS
from ..metrics import near_chance
from .estimate import PRINTED, Estimate, digits, lacking, number, sampled
from .scatter import pooled_variance

Cell = tuple[int, str]  # batch size and rule of the learning rate


def command(dataset: str, rule: str = "linear", seeds: int = 0, more: str = "") -> str:
    """What computes the runs that are missing."""
    rule = f" --lr-rule {rule}" if rule != "linear" else ""
    count = f" --seeds {seeds}" if seeds else ""
    return f"bbatch sweep {dataset}{rule}{count}{more}"


def linear(runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The runs of a data set under the linear rule, the paper's."""
    return runs[(runs["dataset"] == dataset) & (runs["lr_rule"] == "linear")]


def sizes(runs: pd.DataFrame, dataset: str) -> list[int]:
    """The batch sizes that a question about a data set is about: of our runs, those of the protocol; of the
    paper's tables, those that are printed."""
    if is_printed(runs):
        return sorted(int(b) for b in linear(runs, dataset)["batch_size"])
    return list(DATASETS[dataset].protocol.batch_sizes)


def learned(runs: pd.DataFrame) -> pd.Series:
    """Which runs end above `near_chance`, a bool a row."""
    return runs["test_acc"] > runs["dataset"].map(near_chance).astype(float)


def is_printed(table: pd.DataFrame) -> bool:
    """Whether a frame holds what the paper prints."""
    return "printed" in table


def by_seed(runs: pd.DataFrame, dataset: str, metric: str) -> pd.DataFrame:
    """A row a seed, a column a batch size, of one data set under the linear rule."""
    seeds, cells, values = _grid(_under(runs, dataset, ["linear"], [metric]), metric)
    return pd.DataFrame(values, seeds, [b for b, _ in cells])


def _under(runs: pd.DataFrame, dataset: str, rules: Iterable[str], columns: list[str]) -> pd.DataFrame:
    under = (runs["dataset"] == dataset) & runs["lr_rule"].isin(list(rules))
    return runs.loc[under, ["seed", "batch_size", "lr_rule", *columns]]  # to select all columns is slow


def _grid(runs: pd.DataFrame, metric: str) -> tuple[list[int], list[Cell], np.ndarray]:
    """Seeds, cells, and the first value of each seed in each cell [seeds, cells], NaN where there is none.

    In NumPy: hundreds of claims ask, and pandas takes ten times as long."""
    keys = list(zip(runs["seed"], runs["batch_size"], runs["lr_rule"], strict=True))
    seeds, cells = sorted({seed for seed, *_ in keys}), sorted({tuple(cell) for _, *cell in keys})
    row, column = {s: k for k, s in enumerate(seeds)}, {c: k for k, c in enumerate(cells)}
    values = np.full((len(seeds), len(cells)), np.nan)
    for (seed, *cell), value in zip(reversed(keys), reversed(runs[metric].to_numpy(float)), strict=True):
        values[row[seed], column[tuple(cell)]] = value
    return seeds, cells, values


def combine(runs: pd.DataFrame, dataset: str, weights: Mapping[Cell, float], metric="test_acc") -> Estimate:
    """The weighted sum of cells: one cell, a difference of two, a mean or a slope over many. Paired by seed.

    In percent of one accuracy, else in points. The scatter is that of `scatter`; of the paper, rounding."""
    unit = "percent" if list(weights.values()) == [1] and metric.endswith("acc") else "points"
    about = _along(dataset, [b for b, _ in weights])
    if is_printed(runs):
        return _printed(runs, dataset, weights, metric, unit, about)
    rules = {rule for _, rule in weights}
    mine = _under(runs, dataset, rules, ["id", *dict.fromkeys([metric, "test_acc"])])
    seeds, cells, table = _grid(mine, metric)
    absent = [cell for cell in weights if cell not in cells]
    if absent:
        return lacking(about, command(dataset, absent[0][1]), unit=unit)
    # A run at chance tells nothing of how finely the others can be told apart.
    steady = (table if metric == "test_acc" else _grid(mine, "test_acc")[2]) > near_chance(dataset)
    found = weighted(table, [weights.get(cell, 0.0) for cell in cells], unit, about, steady)
    if not found.n:
        return lacking(about, command(dataset), unit=unit)
    whole = ~np.isnan(table[:, [cells.index(cell) for cell in weights]]).any(axis=1)
    paired = {seed for seed, it in zip(seeds, whole, strict=True) if it}
    held = zip(mine["id"], mine["seed"], mine["batch_size"], mine["lr_rule"], strict=True)
    return replace(found, ids=tuple(id for id, s, *cell in held if s in paired and tuple(cell) in weights))


def weighted(
    table: np.ndarray, weights: Sequence[float], unit: str, about: str = "", steady: np.ndarray | None = None
) -> Estimate:
    """The weighted sum of cells from single runs [seeds, cells], NaN where there is none, with the scatter of
    `scatter`. Weights [cells]; those that are 0 take part in the scatter alone. `steady`, bool [seeds,
    cells], tells which runs the span is taken over (all, where it is not given)."""
    used = np.asarray(weights, float)
    of, weights = table[:, used != 0], used[used != 0]
    sums = of @ weights
    sums = sums[~np.isnan(sums)]
    if not len(sums):
        return Estimate(about=about, unit=unit)
    variance, freedom = pooled_variance(table.T, own=len(sums) - 1)
    total = float(abs(weights).sum()) / (2 if abs(weights.sum()) < 1e-9 else 1)
    spread = table[~np.isnan(table) if steady is None else steady & ~np.isnan(table)]
    span = total * float(np.ptp(spread)) if spread.size else math.nan
    how = "paired by seed" if len(weights) > 1 else "over seeds"
    prior = variance * float(weights @ weights)
    return sampled(sums, prior, freedom, unit, about, how=how, span=span)


def _printed(runs, dataset: str, weights, metric: str, unit: str, about: str) -> Estimate:
    """`combine` of the paper's tables: each cell may lie half of its last printed digit off."""
    mine = runs[runs["dataset"] == dataset]
    keys = zip(mine["batch_size"], mine["lr_rule"], strict=True)
    values = zip(mine[metric], mine[f"{metric}_rounding"], strict=True)
    printed = dict(zip(keys, values, strict=True))
    if any(cell not in printed or pd.isna(printed[cell][0]) for cell in weights):
        return Estimate(about=about, unit=unit, shown="no cell of the paper's tables")
    cells = {cell: printed[cell] for cell in weights}
    value = float(sum(w * cells[c][0] for c, w in weights.items()))
    give = float(sum(abs(w) * cells[c][1] for c, w in weights.items()))
    told = [
        (w, number(v, digits(half))) for w, (v, half) in zip(weights.values(), cells.values(), strict=False)
    ]
    if [w for w, _ in told] == [1]:
        shown = told[0][1]
    elif [w for w, _ in told] == [1, -1]:
        shown = f"{told[0][1]} − {_bracketed(told[1][1])} = {number(value)}"
    else:
        shown = f"{number(value)} from {', '.join(text for _, text in told)}"
    return Estimate(value, 1, unit, PRINTED, about, bounds=(value - give, value + give), shown=shown)


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def _along(dataset: str, batch_sizes: list[int]) -> str:
    found = list(dict.fromkeys(batch_sizes))
    listed = " and ".join(map(str, found)) if len(found) < 3 else f"{found[0]} to {found[-1]}"
    return f"{DATASETS[dataset].title}, B = {listed}"
