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
from ..statistics import Interval, mean_interval, paired_difference
from ..studies.other_choices import STAIRS, WIDER
from . import warm_up

COLUMNS = ["choice", "dataset", "batch_size", "accuracy", "gap"]
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
    rows = [
        *_initialisation(linear, others),
        *_warm_up(others, studies["warm-up"]),
        *_warmed(records),
        *_training_accuracy(linear),
        *_arithmetic(runs[runs["follows_the_paper"].astype(bool) & (runs["lr_rule"] == "linear")]),
        *_scaled_downward(whole, {name: t for name, t in studies.items() if name.startswith("map-")}),
        *_best_epoch(linear, records),
        *_problem(studies["data-size"]),
        *_seed(linear),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _paired(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> Interval | None:
    """a minus b over the seeds that both have."""
    both = a[["seed", metric]].merge(b[["seed", metric]], on="seed", suffixes=("", "_ours")).dropna()
    return paired_difference(both[metric], both[f"{metric}_ours"]) if len(both) else None


def _initialisation(linear: pd.DataFrame, others: pd.DataFrame) -> list[tuple]:
    found = others[others["choice"] == WIDER].assign(gap=lambda t: t["train_acc"] - t["test_acc"])
    rows = []
    for (name, b), wide in found.groupby(["dataset", "batch_size"]):
        ours = linear[(linear["dataset"] == name) & (linear["batch_size"] == b)]
        accuracy, gap = (_paired(wide, ours, metric) for metric in ("test_acc", "gap"))
        rows.append(("initialisation: √6 times as wide", name, b, accuracy, gap))
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


def _warm_up(others: pd.DataFrame, study: pd.DataFrame) -> list[tuple]:
    rows, stairs = [], others[others["choice"] == STAIRS]
    for (name, b), steps in study[study["warmup_epochs"] > 0].groupby(["dataset", "batch_size"]):
        there = stairs[(stairs["dataset"] == name) & (stairs["batch_size"] == b)]
        if len(there):
            rows.append(("warm-up: in five stairs", name, b, _paired(there, steps, "test_acc"), None))
    return rows


def _warmed(records: Iterable[dict]) -> list[tuple]:
    """Table II has a warm-up for MNIST alone; Section II-C calls one "typically required" from B = 256 on,
    and line 7 of Algorithm 2 asks for it there."""
    pairs, rows = warm_up.image_pairs(records).query("dataset == 'cifar10'"), []
    pairs = pairs.assign(gap=pairs["train_acc"] - pairs["test_acc"])
    for (name, b), cell in pairs.groupby(["dataset", "batch_size"]):
        on, off = cell[cell["warmup_epochs"] > 0], cell[cell["warmup_epochs"] == 0]
        rows.append((WARMED, name, b, _paired(on, off, "test_acc"), _paired(on, off, "gap")))
    return rows


def _training_accuracy(linear: pd.DataFrame) -> list[tuple]:
    rows = []
    for (name, b), cell in _two_sizes(linear):
        running = cell[["seed", "gap_running"]].rename(columns={"gap_running": "gap"})
        rows.append(("training accuracy: running", name, b, NOTHING, _paired(running, cell, "gap")))
    return rows


def _two_sizes(linear: pd.DataFrame):
    return linear[linear["batch_size"].isin(SIZES)].groupby(["dataset", "batch_size"])


def _arithmetic(linear: pd.DataFrame) -> list[tuple]:
    rows = []
    for (name, b), cell in linear.groupby(["dataset", "batch_size"]):
        low, full = (cell[cell["precision"] == p] for p in ("bf16", "fp32"))
        accuracy, gap = (_paired(low, full, metric) for metric in ("test_acc", "gap"))
        if accuracy:
            rows.append(("arithmetic: bf16", name, b, accuracy, gap))
    return rows


def _scaled_downward(runs: pd.DataFrame, maps: Mapping[str, pd.DataFrame]) -> list[tuple]:
    choice, rows = "rate: not scaled below B = 32", []
    for (name, b), cell in runs[runs["batch_size"].isin(BELOW)].groupby(["dataset", "batch_size"]):
        kept, scaled = (cell[cell["lr_rule"] == rule] for rule in ("constant", "linear"))
        accuracy, gap = (_paired(kept, scaled, metric) for metric in ("test_acc", "gap"))
        if accuracy:
            rows.append((choice, name, b, accuracy, gap))
    have = {name for _, name, *_ in rows}
    for t in maps.values():  # trained on four fifths of the samples, at rates an octave apart
        name = t["dataset"].iloc[0]
        base = DATASETS[name].protocol
        for b, cell in t[t["batch_size"].isin(BELOW)].groupby("batch_size") if name not in have else ():
            rates = base.base_lr, base.base_lr * b / base.base_batch
            kept, scaled = (cell[np.isclose(cell["lr"], rate, rtol=0.01)] for rate in rates)
            rows.append((choice, name, int(b), _paired(kept, scaled, "test_acc"), None))
    return rows


def _best_epoch(linear: pd.DataFrame, records: Iterable[dict]) -> list[tuple]:
    best, rows = curves(records).groupby("id")["test_acc"].max(), []
    for (name, b), cell in _two_sizes(linear):
        change = cell["id"].map(best) - cell["test_acc"]
        rows.append(("test accuracy: of the best epoch", name, b, mean_interval(change.dropna()), None))
    return rows


def _problem(cut: pd.DataFrame) -> list[tuple]:
    """Each of five problems of the size of a synthetic set against their mean."""
    names, rows = {DATASETS[name].n_train: name for name in SYNTHETIC}, []
    there = cut[cut["n_train"].isin(names) & cut["batch_size"].isin(SIZES)]
    for (n, b), cell in there.groupby(["n_train", "batch_size"]):
        means = cell.groupby("problem")["test_acc"].mean()
        rows += [("data: another problem", names[n], b, _alone(off), None) for off in means - means.mean()]
    return rows


def _seed(linear: pd.DataFrame) -> list[tuple]:
    """Each seed against the mean of its cell: what a single run of the paper may be off by."""
    rows = []
    for (name, b), cell in _two_sizes(linear):
        off = (cell[["test_acc", "gap"]] - cell[["test_acc", "gap"]].mean()).to_numpy()
        rows += [("seed: another one", name, b, *map(_alone, both)) for both in off if len(cell) > 1]
    return rows


def _alone(value: float) -> Interval:
    return Interval(float(value), math.nan, math.nan, 1)


def ranking(found: pd.DataFrame) -> pd.DataFrame:
    """The choices, the one that moves accuracy most first. Columns: choice, accuracy and gap (the largest
    change in either direction, points; missing where not known), where (data set and batch size of the
    former, or of the latter where accuracy does not change), readings."""
    rows = []
    for choice, cells in found.groupby("choice", sort=False):
        size = {m: cells[m].map(lambda i: abs(i.mean) if i else math.nan) for m in ("accuracy", "gap")}
        leading = size["gap"] if size["gap"].max() > 0 == size["accuracy"].max() else size["accuracy"]
        at = cells.loc[leading.idxmax()]
        rows.append(
            (choice, size["accuracy"].max(), size["gap"].max(), at["dataset"], at["batch_size"], len(cells))
        )
    columns = ["choice", "accuracy", "gap", "dataset", "batch_size", "readings"]
    return pd.DataFrame(rows, columns=columns).sort_values("accuracy", ascending=False, ignore_index=True)
