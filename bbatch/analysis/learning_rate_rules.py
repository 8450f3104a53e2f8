"""Learning-rate rules beside each other (Section IV-D): the cost of leaving the linear rule."""

import math
from dataclasses import replace
from functools import partial

import pandas as pd
from scipy import stats

from ..config import DATASETS, LR_RULES, PUBLISHED, SYNTHETIC
from ..statistics import LEVEL
from .accuracy import fall, level
from .cells import combine, command, is_printed, sizes
from .estimate import Estimate, lacking, largest_of, number, printed_ratio

IMAGES = tuple(name for name in PUBLISHED if name not in SYNTHETIC)
OTHERS = tuple(rule for rule in LR_RULES if rule != "linear")
UNSCALED = "synthetic-50k"  # the data set of Section IV-D


def loss_without(runs, batch_size: int) -> Estimate:
    """Test accuracy under the linear rule minus the fixed rate, on Section IV-D's data set, in points."""
    return combine(runs, UNSCALED, {(batch_size, "linear"): 1, (batch_size, "constant"): -1})


def gains_without(runs) -> list[Estimate]:
    """Minus `loss_without`, at each batch size above the base one: what the fixed rate is ahead by."""
    found, base = effect(runs, UNSCALED), DATASETS[UNSCALED].protocol.base_batch
    return list(found[(found["rule"] == "constant") & (found["batch_size"] > base)]["test_acc"])


def share_lost(runs, batch_size: int) -> Estimate:
    """`loss_without` as a share of the accuracy with scaling, in percent of it (unit: points)."""
    lost, whole = loss_without(runs, batch_size), level(runs, UNSCALED, batch_size)
    if not lost.n:
        return lost
    per = 100 / whole.value
    shown = f"({lost.shown}), of {whole.shown} = {number(lost.value * per)} %" if lost.shown else ""
    scaled = {name: getattr(lost, name) * per for name in ("value", "error", "one_run", "span")}
    return replace(lost, **scaled, bounds=tuple(per * end for end in lost.bounds), shown=shown)


def fall_without(runs, batch_size: int) -> Estimate:
    """Fall of test accuracy from B = 32 at the fixed rate: what is lost without scaling."""
    return fall(runs, UNSCALED, 32, batch_size, lr_rule="constant")


def largest(runs, loss) -> Estimate:
    """The largest of a loss over the batch sizes above 32."""
    return largest_of([loss(runs, b) for b in sizes(runs, UNSCALED) if b > 32])


def gap_ratio(runs, batch_size: int, metric: str) -> Estimate:
    """Gap without scaling over gap with it; no number where the gap with scaling is not above 0, and none yet
    where it is not told apart from it. The interval is Fieller's, of independent means."""
    without, with_ = (level(runs, UNSCALED, batch_size, metric, rule) for rule in ("constant", "linear"))
    about, ids = with_.about, without.ids + with_.ids
    for part in (without, with_):
        if not part.n:
            return lacking(about, part.missing, unit="ratio", shown=part.shown)
    if with_.high <= 0:
        shown = f"the gap with scaling, {number(with_.value)}, is not above 0: it has no multiples"
        return Estimate(n=with_.n, unit="ratio", about=about, ids=ids, shown=shown)
    found = partial(_fieller, without, with_)
    if with_.low <= 0 or not is_printed(runs) and math.isinf(found(LEVEL)[0]):
        return lacking(about, command(UNSCALED, seeds=2 * with_.n), unit="ratio", ids=ids)
    if is_printed(runs):
        return printed_ratio(without, with_, about)
    value = without.value / with_.value
    shown = f"{number(without.value)} / {number(with_.value)} = {number(value)}"
    return Estimate(value, with_.n, "ratio", "Fieller's interval", about, ids, by_level=found, shown=shown)


def _fieller(a: Estimate, b: Estimate, level_: float) -> tuple[float, float]:
    """Fieller (1954): the interval of a / b; without end where b is not told apart from 0. Of the two degrees
    of freedom the fewer, which makes it a little wide."""
    t = stats.t.ppf((1 + level_) / 2, min(a.freedom, b.freedom))
    if t * b.error >= abs(b.value):
        return -math.inf, math.inf
    g = (t * b.error / b.value) ** 2
    r = a.value / b.value
    half = t / abs(b.value) * math.sqrt(a.error**2 * (1 - g) + r**2 * b.error**2)
    return (r - half) / (1 - g), (r + half) / (1 - g)


def effect(frame: pd.DataFrame, dataset: str = "synthetic-50k") -> pd.DataFrame:
    """Each other rule minus the linear one, by batch size, paired by seed: accuracy and gap, in points.

    Columns: batch_size, rule, then for test_acc and gap_running the difference as an `Estimate`, and n.
    """
    runs, rows = frame[frame["dataset"] == dataset], []
    for b in sorted(int(size) for size in runs["batch_size"].unique()):
        for rule in OTHERS:
            weights = {(b, rule): 1, (b, "linear"): -1}
            found = {m: combine(runs, dataset, weights, m) for m in ("test_acc", "gap_running")}
            rows.append({"batch_size": b, "rule": rule, **found, "n": found["test_acc"].n})
    return pd.DataFrame(rows, columns=["batch_size", "rule", "test_acc", "gap_running", "n"])
