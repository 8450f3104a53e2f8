"""Quantities of the ledger, continued: what depends on the learning rate, on N, and on the geometry of minima."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from .. import published
from ..analysis import critical_batch_size
from ..config import DATASETS
from ..statistics import mean_interval, paired_difference, power_law, prediction_interval
from .quantities import GAPS, Witness, names, quantity
from .rules import Part
from .witnesses import ONE_RUN, PAIRED, Paper, Runs, command, number

BASE, LARGE = 32, 512  # the batch sizes that the paper compares where it names two
UNSCALED = "synthetic-50k"  # the data set of Section IV-D
MEASURE = "bbatch geometry"  # what computes sharpness and gradient variance
SELECT = "python -m bbatch.choosing.evaluation"


def _at(w: Witness, b: str, loss: Callable[[Witness, int], Part]) -> list[Part]:
    """A loss at B or, "most", at the batch size where it is largest."""
    if b != "most":
        return [loss(w, int(b))]
    sizes = [b for b in w.sizes(UNSCALED) if b > BASE]
    if isinstance(w, Runs):
        w = w.at(1 - (1 - w.level) / len(sizes))  # the largest of several is a choice
    parts = [part for size in sizes if (part := loss(w, size)).n]
    return [max(parts, key=lambda part: part.value) if parts else loss(w, LARGE)]


def _loss(w: Witness, b: int) -> Part:
    return w.combination(UNSCALED, "test_acc", {(b, "linear"): 1, (b, "constant"): -1})


def _share(w: Witness, b: int) -> Part:
    part, whole = _loss(w, b), w.cell(UNSCALED, b, "test_acc", "linear")
    if not part.n:
        return part
    low, high = (100 * end / whole.value for end in part.bounds)
    value = 100 * part.value / whole.value
    shown = f"({part.shown}), of {whole.shown} = {number(value)} %" if part.shown else ""
    return Part(part.label, value, low, high, part.n, shown, of=part.of, ids=part.ids)


def _fall(w: Witness, b: int) -> Part:
    return w.combination(UNSCALED, "test_acc", {(BASE, "constant"): 1, (b, "constant"): -1})


@quantity
def unscaled_loss(w: Witness, b: str) -> list[Part]:
    """Test accuracy under the linear rule minus that under a fixed rate, in points."""
    return _at(w, b, _loss)


@quantity
def unscaled_share(w: Witness, b: str) -> list[Part]:
    """The same as a share of the accuracy with scaling, in percent."""
    return _at(w, b, _share)


@quantity
def unscaled_fall(w: Witness, b: str) -> list[Part]:
    """Fall of test accuracy from B = 32 at the fixed rate: what is lost without scaling, not only by not scaling."""
    return _at(w, b, _fall)


@quantity
def unscaled_gap_ratio(w: Witness, b: str, reading: str = "running") -> list[Part]:
    """Gap without scaling over gap with it; no number where the gap with scaling is not above 0."""
    without, with_ = (
        w.combination(UNSCALED, GAPS[reading], {(int(b), rule): 1}) for rule in ("constant", "linear")
    )
    if not (without.n and with_.n):
        return [Part(without.label, missing=without.missing or with_.missing)]
    (a, c), (d, e), ids = without.bounds, with_.bounds, without.ids + with_.ids
    if d <= 0 < e:
        return [Part(without.label, missing=command(UNSCALED, seeds=2 * with_.n), ids=ids)]
    if e <= 0:
        return [
            Part(
                without.label,
                n=with_.n,
                ids=ids,
                of=PAIRED,
                shown=f"the gap with scaling, {number(with_.value)}, is not above 0: it has no multiples",
            )
        ]
    value = without.value / with_.value
    return [
        Part(
            without.label,
            value,
            min(a / d, a / e),
            max(c / d, c / e),
            with_.n,
            of=with_.of,
            ids=ids,
            shown=f"{number(without.value)} / {number(with_.value)} = {number(value)}",
        )
    ]


def _exponent(sizes: dict[str, float], level: float, n: int, of: str, ids=()) -> list[Part]:
    """The power of N that batch sizes by data set follow; no number where one of them is not there."""
    lacking = [DATASETS[d].title for d, b in sizes.items() if not math.isfinite(b)]
    if lacking:
        return [
            Part("B* against N", n=n, shown=f"no B* on {', '.join(lacking)}: nothing to fit", of=of, ids=ids)
        ]
    fit = power_law([critical_batch_size.printed_n(d) for d in sizes], list(sizes.values()), level)
    i = fit.exponent
    return [
        Part(
            "B* against N",
            i.mean,
            i.low,
            i.high,
            n,
            of=of,
            counted="data sets",
            ids=ids,
            shown=f"{', '.join(f'{b:g}' for b in sizes.values())} fitted to a power of N: {number(i.mean)} "
            f"({number(i.low)} to {number(i.high)})",
        )
    ]


@quantity
def printed_exponent(w: Witness, datasets: str) -> list[Part]:
    table = published.critical().set_index("dataset")["critical_batch_size"]
    return _exponent(
        {d: float(table[d]) for d in names(datasets)}, w.level, len(names(datasets)), "a fit to Table VI"
    )


@quantity
def critical_exponent(w: Runs, datasets: str) -> list[Part]:
    """The exponent of our own B*; settled as soon as one data set is found to have none."""
    parts = {d: w.outcomes(d, "critical") for d in names(datasets)}
    have = {d: part.value for d, part in parts.items() if part.n}
    ids = tuple(id for part in parts.values() for id in part.ids)
    n = min((part.n for part in parts.values() if part.n), default=0)
    missing = next((part.missing for part in parts.values() if part.missing), "")
    if missing and all(map(math.isfinite, have.values())):
        return [Part("B* against N", missing=missing)]
    return _exponent(have, w.level, n, "a fit to B*", ids)


def log_ratio(label: str, ratios, level: float, ids=(), of: str = PAIRED) -> Part:
    """Geometric mean of ratios, one a seed, with its interval."""
    i = mean_interval(np.log(np.asarray(ratios, float)), level)
    return Part(label, *map(float, np.exp([i.mean, i.low, i.high])), i.n, of=of, ids=tuple(ids))


def _ids(w: Runs, dataset: str, sizes, seeds) -> tuple[str, ...]:
    """The runs whose networks were measured."""
    found = (w.runs(dataset, int(b))["id"] for b in sizes)
    return tuple(id for some in found for id in some[some.index.isin(seeds)])


@quantity
def sharpness(w: Witness, b: str, measure: str, datasets: str) -> list[Part]:
    """Sharpness, Eq. (3), at one batch size."""
    if isinstance(w, Paper):
        return []  # printed once, in the sentence itself
    parts = []
    for d in names(datasets):
        table = w.measured(measure, d)
        values = table[int(b)].dropna() if int(b) in table else pd.Series(dtype=float)
        i = prediction_interval(values, w.level)
        parts.append(
            Part(
                f"{DATASETS[d].title}, B = {b}",
                i.mean,
                i.low,
                i.high,
                i.n,
                of=ONE_RUN,
                missing="" if i.n else f"{MEASURE} {d}",
                ids=_ids(w, d, [b], values.index),
            )
        )
    return parts


@quantity
def sharpness_ratio(w: Witness, measure: str, datasets: str) -> list[Part]:
    """Sharpness at the large batch size over that at B = 32; on MNIST the large one is that of Fig. 10."""
    if isinstance(w, Paper):
        small, large = (_printed(f"iv-e-sharpness-b{b}", "Section IV-E") for b in (BASE, LARGE))
        value = large.value / small.value
        return [
            Part(
                small.label,
                value,
                large.low / small.high,
                large.high / small.low,
                1,
                f"{large.shown} / {small.shown} = {number(value)}",
                of="rounding",
            )
        ]
    parts = []
    for d in names(datasets):
        table, large = w.measured(measure, d), 256 if d == "mnist" else LARGE
        label = f"{DATASETS[d].title}, B = {large} over {BASE}"
        pairs = table[[BASE, large]].dropna() if {BASE, large} <= set(table) else table.iloc[:0]
        pairs = pairs[(pairs > 0).all(axis=1)]  # along random directions the loss need not rise
        parts.append(
            log_ratio(label, pairs[large] / pairs[BASE], w.level, _ids(w, d, (BASE, large), pairs.index))
            if len(pairs)
            else Part(label, missing=f"{MEASURE} {d}")
        )
    return parts


def _variance(w: Witness, measure: str, dataset: str, fit_of, interval, of: str) -> list[Part]:
    """A number of the fit log variance = slope log B + C, seed by seed. The paper names no data set for it."""
    table = w.measured(measure, dataset).dropna()
    if table.empty or len(table.columns) < 3:
        return [Part(DATASETS[dataset].title, missing=f"{MEASURE} {dataset}")]
    i = interval([fit_of(power_law(table.columns, row)) for row in table.to_numpy()], w.level)
    trained = [BASE] if "one_network" in measure else table.columns
    return [
        Part(
            DATASETS[dataset].title,
            i.mean,
            i.low,
            i.high,
            i.n,
            of=of,
            ids=_ids(w, dataset, trained, table.index),
        )
    ]


def _printed(id: str, label: str) -> Part:
    """A number of the text with its rounding, half of the last digit that is printed."""
    text = published.ledger().set_index("id").loc[id, "value"]
    value, half = float(text), 0.5 * 10.0 ** -len(text.partition(".")[2])
    return Part(label, value, value - half, value + half, 1, text.replace("-", "−"), of="rounding")


@quantity
def variance_slope(w: Witness, measure: str = "paper", dataset: str = "") -> list[Part]:
    if isinstance(w, Paper):
        return [_printed("iv-f-variance-slope", "Eq. (5)")]
    return _variance(w, measure, dataset, lambda fit: fit.exponent.mean, mean_interval, "our mean")


@quantity
def variance_fit(w: Witness, measure: str = "paper", dataset: str = "") -> list[Part]:
    if isinstance(w, Paper):
        return [_printed("iv-f-variance-r2", "Eq. (5)")]
    return _variance(w, measure, dataset, lambda fit: fit.r_squared, prediction_interval, ONE_RUN)


@quantity
def algorithm_loss(w: Witness, datasets: str) -> list[Part]:
    """Test accuracy of the best batch size minus that of what Algorithm 2 chose, paired by seed (`regret.results`)."""
    if isinstance(w, Paper):
        return []
    parts, table = [], w.selected()
    for d in names(datasets):
        rows = table[(table["problem"] == d) & (table["method"] == "Algorithm 2")]
        i = paired_difference(rows["best_acc"], rows["test_acc"], w.level)
        missing = "" if i.n else f"{SELECT} {d}"
        parts.append(Part(DATASETS[d].title, i.mean, i.low, i.high, i.n, missing=missing, of=PAIRED))
    return parts
