"""What the table of `geometry` says of minima: does sharpness grow with B, and does it go with the gap?"""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..config import DATASETS
from ..geometry.measurements import PAIRS, converged
from ..geometry.one_network import MEASURES
from ..statistics import LEVEL, power_laws, spearman
from .estimate import Estimate, lacking, mean, ratio
from .scatter import pooled_variance

SHARP = [name for name in MEASURES if name.startswith(("sharpness", "keskar", "hessian"))]


def final(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The measures of sharpness of a data set's networks at the end of training, without those that
    `collapsed`. Where the rules of the learning rate coincide, at the base batch size, the one run stands
    under each."""
    spec, rows = DATASETS[dataset].protocol, _ends(table, dataset)
    both = rows[(rows["batch_size"] == spec.base_batch) & (rows["lr_rule"] == "linear")]
    others = [rule for rule in rows["lr_rule"].unique() if rule != "linear"]
    return pd.concat([rows, *(both.assign(lr_rule=rule) for rule in others)])


def _ends(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    t = converged(table)
    return t[
        (t["dataset"] == dataset)
        & (t["epoch"] == DATASETS[dataset].protocol.epochs)
        & t["measure"].isin(SHARP)
    ]


def minima(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`final` by data set, under the linear rule alone: what hundreds of readings of claims are asked of."""
    ends = {dataset: _ends(table, dataset) for dataset in DATASETS}
    return {dataset: rows[rows["lr_rule"] == "linear"] for dataset, rows in ends.items()}


def _of(rows: pd.DataFrame, measure: str, split: str) -> pd.DataFrame:
    return rows[(rows["measure"] == measure) & (rows["split"] == split)]


def _wide(cell: pd.DataFrame) -> pd.DataFrame:
    """A row a seed, a column a batch size."""
    return cell.groupby(["seed", "batch_size"])["value"].mean().unstack()


def sharpness_at(
    minima: dict[str, pd.DataFrame], dataset: str, batch_size: int, measure: str, split: str
) -> Estimate:
    """Sharpness at one batch size; its scatter is that of logarithms, as sharpness differs by factors."""
    rows, about = _of(minima[dataset], measure, split), f"{DATASETS[dataset].title}, B = {batch_size}"
    wide = _wide(rows)
    values = wide[batch_size].dropna() if batch_size in wide else pd.Series(dtype=float)
    if values.empty:
        return lacking(about, f"bbatch geometry {dataset}", unit="loss")
    logs = np.log(wide.where(wide > 0))
    ids = _ids(rows, [batch_size], values.index)
    if (values <= 0).any():  # along random directions the loss need not rise
        return mean(values, "loss", about, ids)
    prior = pooled_variance(logs.to_numpy().T, own=len(values) - 1)
    span = float(wide.max().max() - wide.min().min())
    found = ratio(values, about, ids, prior=prior, span=span)
    return replace(found, unit="loss", how="geometric mean over seeds")


def sharpness_ratio(
    minima: dict[str, pd.DataFrame], dataset: str, small: int, large: int, measure: str, split: str
) -> Estimate:
    """Sharpness at the large batch size over that at the small one: geometric mean of the seeds' ratios."""
    rows, about = _of(minima[dataset], measure, split), f"{DATASETS[dataset].title}, B = {large} over {small}"
    pairs = _pairs(wide := _wide(rows), small, large)
    if not len(pairs):
        return lacking(about, f"bbatch geometry {dataset}", unit="ratio")
    return _ratio(wide, pairs, about, _ids(rows, (small, large), pairs.index))


def _pairs(wide: pd.DataFrame, small: int, large: int) -> pd.DataFrame:
    """The seeds that have both batch sizes, with a sharpness above 0 at both: columns small, large."""
    pairs = wide[[small, large]].dropna() if {small, large} <= set(wide) else wide.iloc[:0]
    return pairs[(pairs > 0).all(axis=1)]


def _ratio(wide: pd.DataFrame, pairs: pd.DataFrame, about: str, ids=()) -> Estimate:
    logs = np.log(wide.where(wide > 0).to_numpy())
    variance, freedom = pooled_variance(logs.T, own=len(pairs) - 1)
    small, large = pairs.columns
    return ratio(pairs[large] / pairs[small], about, ids, prior=(2 * variance, freedom))


def sharpness_ratios(
    minima: dict[str, pd.DataFrame], datasets, measure: str, split: str, large: int | None = None
) -> list[Estimate]:
    """`sharpness_ratio` of B = `large` over 32 on each data set; None: of the large ones of Figs. 9 and 10,
    512 and on MNIST 256."""
    sizes = {d: large or PAIRS.get(d, (32, 512))[1] for d in datasets}
    return [sharpness_ratio(minima, d, 32, b, measure, split) for d, b in sizes.items()]


def _ids(rows: pd.DataFrame, batch_sizes, seeds) -> tuple[str, ...]:
    """The runs whose networks were measured."""
    return tuple(rows[rows["batch_size"].isin(batch_sizes) & rows["seed"].isin(seeds)]["id"].unique())


def ratios(table: pd.DataFrame, dataset: str, large: int = 512) -> pd.DataFrame:
    """Sharpness at B = `large` over that at 32 under the linear rule, by every measure: the geometric mean
    over seeds, paired.

    Columns: measure, split, ratio, low, high (95 % over seeds; missing for one), n,
    single (the ratio of each seed).
    """
    rows, t = [], _ends(table, dataset)
    for (measure, split), cell in _each(t[t["lr_rule"] == "linear"]):
        pairs = _pairs(wide := _wide(cell), 32, large)
        if len(pairs):
            i = _ratio(wide, pairs, "")
            rows.append((measure, split, i.value, *i.interval(), i.n, tuple(pairs[large] / pairs[32])))
    return pd.DataFrame(rows, columns="measure split ratio low high n single".split())


def growth(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How sharpness follows B: the exponent a of S ∝ B^a, fitted seed by seed, with the interval of its mean
    over seeds (of the one fit, for one seed).

    Columns: lr_rule, measure, split, exponent, low, high, n (seeds), single (the exponent of each seed).
    A seed needs three batch sizes."""
    rows, t = [], final(table, dataset)
    for rule, part in t.groupby("lr_rule", sort=False):
        for (measure, split), cell in _each(part):
            fits, i = power_laws(cell, "seed", "batch_size", "value")
            if fits:
                single = tuple(fit.exponent.mean for fit in fits)
                rows.append((rule, measure, split, i.mean, i.low, i.high, len(fits), single))
    return pd.DataFrame(rows, columns="lr_rule measure split exponent low high n single".split())


def against_gap(table: pd.DataFrame, runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Does a sharpness measure rank the runs as their gap does? Spearman's rho over single runs.

    `runs` as from `metrics.frame`; the gap is that of clean training accuracy, in points. Columns: measure,
    split, over ("all runs", or "runs of equal B and rule": only what differs inside each such cell), rho,
    n (net of cells), clear (whether the interval at the level divided by the number of
    measures, Bonferroni, leaves zero out). Five runs or more are needed, net of cells."""
    rows = []
    t = _ends(table, dataset).merge(runs.drop_duplicates("id")[["id", "gap"]], on="id").dropna(subset=["gap"])
    groups = list(_each(t))
    for (measure, split), cell in groups:
        labels = cell["lr_rule"].astype(str) + cell["batch_size"].astype(str)
        for over, cells in (("all runs", None), ("runs of equal B and rule", labels)):
            n = len(cell) - (labels.nunique() - 1 if cells is not None else 0)
            if n >= 5 and cell["value"].nunique() > 1 and cell["gap"].nunique() > 1:
                i = spearman(cell["value"], cell["gap"], 1 - (1 - LEVEL) / len(groups), cells)
                rows.append((measure, split, over, i.mean, i.n, i.low > 0 or i.high < 0))
    return pd.DataFrame(rows, columns="measure split over rho n clear".split())


def _each(table: pd.DataFrame):
    """(measure, split) groups in the order of `MEASURES`."""
    for measure in SHARP:
        for split in ("train", "test"):
            cell = _of(table, measure, split)
            if len(cell):
                yield (measure, split), cell
