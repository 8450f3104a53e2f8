"""The quantities that the ledger names: accuracies, gaps and optima. Each is asked of either of the `witnesses`.

A quantity takes a witness and the words after its name in the ledger, and returns a list of `rules.Part`: one for each
data set or batch size that the claim speaks of, none where this witness cannot know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..config import DATASETS, SYNTHETIC
from ..statistics import Correlation, pearson, proportion_interval
from .rules import FEW, Part
from .witnesses import Paper, Runs, command, number

Witness = Paper | Runs
GAPS = {"running": "gap_running", "clean": "gap"}
QUANTITIES: dict[str, Callable[..., list[Part]]] = {}


def quantity(function):
    """Enter a function under its name, written as the ledger writes it."""
    QUANTITIES[function.__name__.replace("_", "-").strip("-")] = function
    return function


def names(text: str) -> list[str]:
    """Data sets: names joined by +, with "all" and "synthetic" for several at once."""
    groups = {"all": DATASETS, "synthetic": SYNTHETIC}
    return [d for name in text.split("+") for d in groups.get(name, (name,))]


@quantity
def accuracy(w: Witness, dataset: str, b: str, rule: str | None = None) -> list[Part]:
    return [w.cell(dataset, int(b), "test_acc", rule)]


@quantity
def train(w: Witness, dataset: str, b: str) -> list[Part]:
    """Training accuracy: in our runs the running one, which is the paper's (see the page of ambiguities)."""
    return [w.cell(dataset, int(b), "train_acc" if isinstance(w, Paper) else "train_acc_running")]


@quantity
def gap(w: Witness, dataset: str, b: str, rule: str | None = None, reading: str = "running") -> list[Part]:
    return [w.cell(dataset, int(b), GAPS[reading], rule)]


@quantity
def gaps(w: Witness, largest: str, reading: str = "running") -> list[Part]:
    """The mean gap at each batch size up to `largest` of every data set."""
    return [
        w.combination(d, GAPS[reading], {(b, None): 1})
        for d in DATASETS
        for b in w.sizes(d)
        if b <= int(largest)
    ]


@quantity
def time(w: Witness, dataset: str, b: str) -> list[Part]:
    return [w.cell(dataset, int(b), "epoch_time_s")]


def fall(w: Witness, dataset: str, small: int, large: int) -> Part:
    """Test accuracy at the small batch size minus that at the large one."""
    return w.combination(dataset, "test_acc", {(small, None): 1, (large, None): -1})


@quantity
def falls(w: Witness, small: str, large: str, datasets: str) -> list[Part]:
    """Falls of accuracy on each data set; several batch sizes are joined by +."""
    return [
        fall(w, d, int(s), int(b))
        for d in names(datasets)
        for s in small.split("+")
        for b in large.split("+")
    ]


@quantity
def ends(w: Witness, datasets: str) -> list[Part]:
    """Fall from the smallest batch size to the largest."""
    return [fall(w, d, min(w.sizes(d)), max(w.sizes(d))) for d in names(datasets)]


@quantity
def steps(w: Witness, datasets: str) -> list[Part]:
    """Rise of accuracy from each batch size to the next larger one."""
    return [
        w.combination(d, "test_acc", {(b, None): 1, (a, None): -1})
        for d in names(datasets)
        for a, b in zip(w.sizes(d), w.sizes(d)[1:])
    ]


def slope(w: Witness, dataset: str, metric: str) -> Part:
    """Points for each doubling of B: the line of least squares through all batch sizes."""
    x = np.log2(w.sizes(dataset))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    part = w.combination(dataset, metric, {(b, None): float(c) for b, c in zip(w.sizes(dataset), weights)})
    return replace(part, shown=f"{number(part.value)} a doubling of B") if part.shown and part.n else part


@quantity
def trend(w: Witness, datasets: str) -> list[Part]:
    return [slope(w, d, "test_acc") for d in names(datasets)]


@quantity
def gap_steps(w: Witness, dataset: str, reading: str = "running") -> list[Part]:
    """Rise of the gap from each batch size to the next larger one."""
    return [
        w.combination(dataset, GAPS[reading], {(b, None): 1, (a, None): -1})
        for a, b in zip(w.sizes(dataset), w.sizes(dataset)[1:])
    ]


@quantity
def excess(w: Witness, dataset: str, others: str, small: str, large: str) -> list[Part]:
    """By how much the fall on one data set exceeds that on each of the others."""
    mine = fall(w, dataset, int(small), int(large))
    return [
        w.minus(
            mine, fall(w, d, int(small), int(large)), f"{DATASETS[dataset].title} over {DATASETS[d].title}"
        )
        for d in names(others)
    ]


@quantity
def chain_of_falls(w: Witness, small: str, large: str) -> list[Part]:
    """Excess of the fall on each smaller synthetic set over the next larger, and on CIFAR-10 over MNIST."""
    pairs = [*zip(SYNTHETIC, SYNTHETIC[1:]), ("cifar10", "mnist")]
    return [part for a, b in pairs for part in excess(w, a, b, small, large)]


@quantity
def floor(w: Witness, dataset: str, start: str) -> list[Part]:
    """Falls from each batch size below `start` to each from it on."""
    sizes = w.sizes(dataset)
    return [fall(w, dataset, a, b) for a in sizes if a < int(start) for b in sizes if b >= int(start)]


@quantity
def optimum(w: Witness, datasets: str) -> list[Part]:
    return [w.outcomes(d, "optimal") for d in names(datasets)]


@quantity
def critical(w: Witness, datasets: str) -> list[Part]:
    return [w.outcomes(d, "critical") for d in names(datasets)]


@quantity
def peak(w: Witness, dataset: str) -> list[Part]:
    """Test accuracy at the best batch size; of our runs, where all are recorded."""
    means = w.accuracies(dataset)
    if set(means) < set(w.sizes(dataset)):
        return [Part(DATASETS[dataset].title, missing=command(dataset))]
    return [w.cell(dataset, max(means, key=means.get))]


@quantity
def trend_shared(w: Witness, datasets: str) -> list[Part]:
    """Share of seeds, in percent, whose accuracy changes from end to end in the direction of the mean."""
    if isinstance(w, Paper):
        return []
    parts = []
    for d in names(datasets):
        first, last = (w.runs(d, b)["test_acc"] for b in (min(w.sizes(d)), max(w.sizes(d))))
        change = (last - first).dropna()
        if len(change) < FEW:
            parts.append(Part(DATASETS[d].title, missing=command(d)))
        else:
            agree = int((np.sign(change) == np.sign(change.mean())).sum())
            i = proportion_interval(agree, len(change), w.level)
            ids = tuple(id for b in (min(w.sizes(d)), max(w.sizes(d))) for id in w.runs(d, b)["id"])
            parts.append(Part(DATASETS[d].title, i.mean, i.low, i.high, i.n, of="share of seeds", ids=ids))
    return parts


@quantity
def gap_spread(w: Witness, dataset: str, largest: str, reading: str = "running") -> list[Part]:
    """The largest mean gap minus the smallest, over batch sizes up to `largest`."""
    cells = {
        b: w.combination(dataset, GAPS[reading], {(b, None): 1})
        for b in w.sizes(dataset)
        if b <= int(largest)
    }
    if not all(part.n for part in cells.values()):
        return [Part(DATASETS[dataset].title, missing=command(dataset))]
    high, low = (pick(cells, key=lambda b: cells[b].value) for pick in (max, min))
    return [w.combination(dataset, GAPS[reading], {(high, None): 1, (low, None): -1})]


@quantity
def gap_slope_excess(w: Witness, dataset: str, reading: str = "running") -> list[Part]:
    """Points of gap for each doubling of B (least squares), on one data set minus on each other."""
    slopes = {d: slope(w, d, GAPS[reading]) for d in DATASETS}
    return [
        w.minus(slopes[dataset], slopes[d], f"{DATASETS[dataset].title} over {DATASETS[d].title}")
        for d in DATASETS
        if d != dataset
    ]


@quantity
def gaps_between(w: Witness, datasets: str, reading: str = "running") -> list[Part]:
    """Mean gap over the batch sizes that all share: each set over MNIST, and CIFAR-10 over each set."""
    shared = sorted(set.intersection(*(set(w.sizes(d)) for d in DATASETS)))
    mean = {
        d: w.combination(d, GAPS[reading], {(b, None): 1 / len(shared) for b in shared}) for d in DATASETS
    }
    pairs = [pair for d in names(datasets) for pair in ((d, "mnist"), ("cifar10", d))]
    return [w.minus(mean[a], mean[b], f"{DATASETS[a].title} over {DATASETS[b].title}") for a, b in pairs]


def _pooled(w: Witness, reading: str) -> tuple[Correlation | None, Part]:
    """Pearson's correlation of log B with the gap over all cells there are, and the part that tells of them: what is
    missing, how many there are, whose records they are."""
    cells = [(b, w.combination(d, GAPS[reading], {(b, None): 1})) for d in DATASETS for b in w.sizes(d)]
    have = [(b, part) for b, part in cells if part.n]
    lacking = Part("all cells", missing=next((part.missing for _, part in cells if part.missing), ""))
    if len(have) < 4:
        return None, lacking
    c = pearson(np.log([b for b, _ in have]), [part.value for _, part in have], w.level)
    return c, replace(lacking, n=c.n, counted="cells", ids=tuple(id for _, part in have for id in part.ids))


@quantity
def correlation(w: Witness, reading: str = "running") -> list[Part]:
    c, part = _pooled(w, reading)
    return [
        replace(
            part,
            value=c.r,
            low=c.low,
            high=c.high,
            of="Fisher's z",
            shown=f"r = {number(c.r)} over {c.n} cells, p = {c.p:.2g}",
        )
        if c
        else part
    ]


@quantity
def p_value(w: Witness, reading: str = "running") -> list[Part]:
    c, part = _pooled(w, reading)
    return [
        replace(
            part, value=c.p, of="Student's t", shown=f"p = {c.p:.2g} for r = {number(c.r)} over {c.n} cells"
        )
        if c
        else part
    ]
