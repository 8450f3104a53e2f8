"""Which of the choices that the paper leaves open matters, and by how much, where runs of both exist.

A choice has several readings: one for each data set and batch size. Each is a difference of test accuracy
and, where it is known, of the clean generalization gap, in points: the other choice minus ours."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS, SYNTHETIC
from ..metrics import curves, full_protocol
from ..statistics import Interval, mean_interval
from ..studies.other_choices import STAIRS, WIDER
from . import warm_up

COLUMNS = ["choice", "dataset", "batch_size", "accuracy", "gap"]
METRICS = ["test_acc", "gap"]  # of which accuracy and gap are differences
SIZES, BELOW = (32, 512), (1, 8, 16)  # batch sizes: of Section IV-E, and below the base of the rule
WARMED = "warm-up: from B = 256 on, on CIFAR-10, too"
NOTHING = Interval(0.0, 0.0, 0.0, 0)


def effects(
    runs: pd.DataFrame, records: Iterable[dict], others: pd.DataFrame, studies: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Every reading, with `COLUMNS`: accuracy and gap are `Interval`s in points, or None where not known.

    runs     `metrics.frame` of our runs, both arithmetics included
    records  all records: of learning curves, and of runs with a warm-up that Table II does not have
    others   `other_choices.recorded_choices()`
    studies  tables of studies by name: warm-up, data-size (five problems of one kind), and maps of rates
    """
    whole = full_protocol(runs)
    linear = whole[whole["lr_rule"] == "linear"]
    two_sizes = linear[linear["batch_size"].isin(SIZES)]
    in_both = runs[runs["follows_the_paper"].astype(bool) & (runs["lr_rule"] == "linear")]
    low, full = (in_both[in_both["precision"] == p] for p in ("bf16", "fp32"))
    wide = others[others["choice"] == WIDER].assign(gap=lambda t: t["train_acc"] - t["test_acc"])
    stairs, warmed = others[others["choice"] == STAIRS], studies["warm-up"].query("warmup_epochs > 0")
    rows = [
        *_differences("initialization: √6 times as wide", wide, linear),
        *_differences("warm-up: in five stairs", stairs, warmed, ["test_acc"]),
        *_warmed(records),
        *_training_accuracy(two_sizes),
        *_differences("arithmetic: bf16, not fp32", low, full),
        *_scaled_downward(whole, {name: t for name, t in studies.items() if name.startswith("map-")}),
        *_best_epoch(two_sizes, records),
        *_problem(studies["data-size"]),
        *_seed(two_sizes),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _differences(choice: str, other: pd.DataFrame, ours: pd.DataFrame, metrics=METRICS) -> list[tuple]:
    """A reading for each data set and batch size: `other` minus `ours` over the seeds that both have."""
    keys, rows = ["dataset", "batch_size", "seed"], []
    pairs = other[[*keys, *metrics]].merge(ours[[*keys, *metrics]], on=keys, suffixes=("", "_ours"))
    for (name, b), cell in pairs.groupby(keys[:2]):
        apart = {m: (cell[m] - cell[f"{m}_ours"]).dropna() for m in metrics}
        accuracy, gap = (mean_interval(apart[m]) if len(apart.get(m, ())) else None for m in METRICS)
        rows.append((choice, name, b, accuracy, gap))
    return rows


def starts_against_table_vii(linear: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Which start of the network the paper's own numbers speak for: running training accuracy in percent on
    Synthetic 1K where the wider start was trained with it kept, a row a batch size.

    Columns: batch_size, paper (Table VII), ours and wider (`Interval`s over seeds)."""
    name, rows = "synthetic-1k", []
    printed = published.results(name).set_index("batch_size")["train_acc"]
    found = others[(others["choice"] == WIDER) & (others["dataset"] == name)]
    for b, wide in found.dropna(subset=["train_acc_running"]).groupby("batch_size"):
        ours = linear[(linear["dataset"] == name) & (linear["batch_size"] == b)]
        both = (mean_interval(cell["train_acc_running"]) for cell in (ours, wide))
        rows.append((int(b), float(printed[b]), *both))
    return pd.DataFrame(rows, columns=["batch_size", "paper", "ours", "wider"])


def _warmed(records: Iterable[dict]) -> list[tuple]:
    """Table II has a warm-up for MNIST alone; Section II-C calls one "typically required" from B = 256 on,
    and line 7 of Algorithm 2 asks for it there."""
    pairs = warm_up.image_pairs(records).query("dataset == 'cifar10'")
    return _differences(WARMED, pairs[pairs["warmup_epochs"] > 0], pairs[pairs["warmup_epochs"] == 0])


def _training_accuracy(runs: pd.DataFrame) -> list[tuple]:
    found = _differences("training accuracy: running", runs.assign(gap=runs["gap_running"]), runs)
    return [(choice, name, b, NOTHING, gap) for choice, name, b, _, gap in found]


def _scaled_downward(runs: pd.DataFrame, maps: Mapping[str, pd.DataFrame]) -> list[tuple]:
    choice, below = "rate: not scaled below B = 32", runs[runs["batch_size"].isin(BELOW)]
    rows = _differences(choice, *(below[below["lr_rule"] == rule] for rule in ("constant", "linear")))
    have = {name for _, name, *_ in rows}
    for t in maps.values():  # trained on four fifths of the samples, at rates an octave apart
        name = t["dataset"].iloc[0]
        base, t = DATASETS[name].protocol, t[t["batch_size"].isin(BELOW)]
        if name not in have:
            rates = base.base_lr, t["batch_size"].map(base.rate)
            kept, scaled = (t[np.isclose(t["lr"], rate, rtol=0.01)] for rate in rates)
            rows += _differences(choice, kept, scaled, ["test_acc"])
    return rows


def _best_epoch(runs: pd.DataFrame, records: Iterable[dict]) -> list[tuple]:
    best = curves(records).groupby("id")["test_acc"].max()
    return _differences(
        "test accuracy: of the best epoch", runs.assign(test_acc=runs["id"].map(best)), runs, ["test_acc"]
    )


def _problem(cut: pd.DataFrame) -> list[tuple]:
    """Each of five problems of the size of a synthetic set against their mean."""
    names, rows = {DATASETS[name].n_train: name for name in SYNTHETIC}, []
    there = cut[cut["n_train"].isin(names) & cut["batch_size"].isin(SIZES)]
    for (n, b), cell in there.groupby(["n_train", "batch_size"]):
        means = cell.groupby("problem")["test_acc"].mean()
        rows += [("data: another problem", names[n], b, _alone(off), None) for off in means - means.mean()]
    return rows


def _seed(runs: pd.DataFrame) -> list[tuple]:
    """Each seed against the mean of its cell: what a single run of the paper may be off by."""
    rows = []
    for (name, b), cell in runs.groupby(["dataset", "batch_size"]):
        off = (cell[METRICS] - cell[METRICS].mean()).to_numpy()
        rows += [("seed: another one", name, b, *map(_alone, both)) for both in off if len(cell) > 1]
    return rows


def _alone(value: float) -> Interval:
    return Interval(float(value), math.nan, math.nan, 1)


def ranking(found: pd.DataFrame) -> pd.DataFrame:
    """The choices, the one that moves accuracy most first. Columns: choice, accuracy and gap (the largest
    change in either direction, points; missing where not known), dataset and batch_size (where the former
    is, or the latter where accuracy does not change), readings."""
    rows = []
    for choice, cells in found.groupby("choice", sort=False):
        size = {m: cells[m].map(lambda i: abs(i.mean) if i else math.nan) for m in ("accuracy", "gap")}
        only_gap = size["accuracy"].max() == 0 and size["gap"].max() > 0
        leading = size["gap"] if only_gap else size["accuracy"]
        at = cells.loc[leading.idxmax()]
        rows.append(
            (choice, size["accuracy"].max(), size["gap"].max(), at["dataset"], at["batch_size"], len(cells))
        )
    columns = ["choice", "accuracy", "gap", "dataset", "batch_size", "readings"]
    return pd.DataFrame(rows, columns=columns).sort_values("accuracy", ascending=False, ignore_index=True)
