"""What does a larger batch cost, and what a wrong rate? Read from a map of batch sizes and constant rates
(`rate_map`, which says how the best rate is chosen, and what the intervals cover)."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..config import BASE, DATASETS
from ..errors import BadInput, one_of
from ..statistics import Interval
from .critical_batch_size import DROP, Critical, critical_batch_size, critical_batch_sizes
from .estimate import Estimate, lacking
from .rate_map import CHOICES, Grid, interval_of, map_by_batch_size


def best_rates(runs: pd.DataFrame, by: str = CHOICES[0]) -> pd.DataFrame:
    """The best rate at each batch size. Columns: batch_size, chosen (the best of the rates tried), at_edge
    (it is the lowest or highest of them: the range was too small), optimum (rate between the tried ones where
    the mean score peaks, see `Grid.optimum`; `Interval`), accuracy (test accuracy in percent at the chosen
    rate, `Interval`)."""
    rows = []
    for b, grid in map_by_batch_size(runs, by).items():
        intervals = (interval_of(values, grid.seeds) for values in (2**grid.optimum, grid.accuracy))
        rows.append([b, grid.rate, grid.at_edge, *intervals])
    return pd.DataFrame(rows, columns=["batch_size", "chosen", "at_edge", "optimum", "accuracy"])


def cost_of_batch(runs: pd.DataFrame, by: str = CHOICES[0]) -> pd.DataFrame:
    """Does batch size itself cost anything? Test accuracy at each size's best rate minus that at `BASE`'s.

    Columns: batch_size, difference (points, `Interval`). Both are of the same seeds, in every draw.
    """
    found = map_by_batch_size(runs, by)
    one_of("batch size to compare with", BASE, found)
    base = found[BASE]
    rows = [[b, interval_of(grid.accuracy - base.accuracy, base.seeds)] for b, grid in found.items()]
    return pd.DataFrame(rows, columns=["batch_size", "difference"])


def critical_at_best_rate(runs: pd.DataFrame, drop: float = DROP) -> tuple[Critical, pd.Series]:
    """B* by the paper's definition (Section IV-G), each batch size at its best rate.

    Returns that of all seeds, and the share of draws that give each B*, by B* (missing: the draw has none).
    """
    accuracy = pd.DataFrame({b: grid.accuracy for b, grid in map_by_batch_size(runs).items()})
    drawn = critical_batch_sizes(accuracy.iloc[1:], drop)["critical"]
    found = critical_batch_size(accuracy.iloc[0], drop)
    return found, drawn.value_counts(normalize=True, dropna=False).sort_index()


@dataclass(frozen=True)
class Exponents:
    """Powers of B that the best rate follows.

    `straight`: one line over all sizes. `below`, `above`: a continuous line with one bend, up to the batch
    size `bend` and from it on, and `change`, the former minus the latter.

    `bends`: the interval of the change leaves out 0. Where it does not, `straight` is what the data say.
    """

    straight: Interval
    below: Interval
    above: Interval
    change: Interval
    bend: int

    @property
    def bends(self) -> bool:
        return self.change.low > 0 or self.change.high < 0


def bent_line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of a continuous line with one bend, for each row of `y` [..., points]: index of the bend,
    slope before it, slope after.

    The bend lies at that point, of those with two others on either side, where the squared error is smallest;
    of equal ones at the first. Raises `BadInput` for fewer than five points.
    """
    if len(x) < 5:
        raise BadInput(f"a line with a bend needs five batch sizes or more, not {len(x)}.")
    errors, slopes = [], []
    for k in range(2, len(x) - 2):
        parts = np.column_stack([np.ones_like(x), np.minimum(x - x[k], 0), np.maximum(x - x[k], 0)])
        coefficients = y @ np.linalg.pinv(parts).T
        errors.append(((coefficients @ parts.T - y) ** 2).sum(-1))
        slopes.append(coefficients[..., 1:])
    errors, slopes = np.array(errors), np.array(slopes)
    k = (errors <= errors.min(0) + 1e-12).argmax(0)  # the first of those that are equal but for rounding
    below, above = np.moveaxis(np.take_along_axis(slopes, k[None, ..., None], 0)[0], -1, 0)
    return k + 2, below, above


def rate_exponents(runs: pd.DataFrame) -> Exponents:
    """The exponent of the best rate against the batch size, over all sizes and below and above its bend.

    Each draw of seeds chooses the rates and places the bend anew.
    """
    found, n = map_by_batch_size(runs), runs["seed"].nunique()
    sizes = list(found)
    x, y = np.log2(sizes), np.column_stack([grid.optimum for grid in found.values()])
    bend, below, above = bent_line(x, y)
    straight = np.polyfit(x, y.T, 1)[0]
    intervals = (interval_of(values, n) for values in (straight, below, above, below - above))
    return Exponents(*intervals, sizes[bend[0]])


def rules_on_map(runs: pd.DataFrame) -> pd.DataFrame:
    """Where the three rules lie on the map, and what each loses against the best rate. They pass through the
    rate that the paper gives to the data set, at the batch size for which it gives it (Section III-C).

    Columns: batch_size, rule, rate, loss (test accuracy at the best rate minus that at the rule's, points,
    `Interval`: seeds drawn again, choice made anew). Between two rates accuracy is interpolated in the rate's
    logarithm; where a rule leads out of the range tried, `loss` is missing (NaN).
    """
    base, rows = DATASETS[runs["dataset"].iloc[0]].protocol, []
    for b, grid in map_by_batch_size(runs).items():
        for rule in ("constant", "sqrt", "linear"):
            rate = base.rate(b, rule)
            rows.append([b, rule, rate, interval_of(_lost(grid, rate), grid.seeds)])
    return pd.DataFrame(rows, columns=["batch_size", "rule", "rate", "loss"])


def lost_by(maps: pd.DataFrame, rule: str, dataset: str, batch_size: int) -> Interval:
    """What a rule loses against the best rate for that batch size, in points (`rules_on_map`); `maps`: the
    tables of maps, one below the other."""
    rules = rules_on_map(maps[maps["dataset"] == dataset]).set_index(["batch_size", "rule"])
    return rules.loc[(batch_size, rule), "loss"]


def _lost(grid: Grid, rate: float, against: float | None = None) -> np.ndarray:
    """Test accuracy at the best rate, or at the rate `against`, minus that at `rate`, [1 + draws]."""
    other = grid.accuracy if against is None else grid.weights @ grid.at(against)
    return other - grid.weights @ grid.at(rate)


def lost_in_proportion(maps: pd.DataFrame, against: str, largest: int) -> list[Estimate]:
    """What the linear rule loses, in points of test accuracy, at each batch size up to `largest`; data set by
    data set, and without the base batch size, whose rate it leaves alone.

    `maps`: the tables of maps, one below the other.

    `against`: "best", the best rate for that batch size, or "constant", the base rate left as it is. The
    intervals are those of `rules_on_map`: seeds drawn again. A size is left out where the rule leads out of
    the rates tried. Raises `BadInput` for another word.
    """
    one_of("rate to compare with", against, ("best", "constant"))
    if maps.empty:
        return [lacking("maps of batch size and rate", "python -m bbatch.studies map-mnist", unit="points")]
    found = []
    for name, runs in maps.groupby("dataset", sort=False):
        base = DATASETS[name].protocol
        for b, grid in map_by_batch_size(runs).items():
            if b <= largest and b != base.base_batch:
                other = base.rate(b, "constant") if against == "constant" else None
                draws = _lost(grid, base.rate(b), other)
                found.append(_estimated(draws, grid.seeds, f"{DATASETS[name].title}, B = {b}"))
    return [e for e in found if not math.isnan(e.value)]  # its rate is among those tried


def _estimated(draws: np.ndarray, seeds: int, about: str) -> Estimate:
    """The first value as an `Estimate` whose interval, at any level, is the percentiles of the others."""

    def ends(level: float) -> tuple[float, float]:
        interval = interval_of(draws, seeds, level)
        return interval.low, interval.high

    return Estimate(float(draws[0]), seeds, "points", "seeds drawn again", about, by_level=ends)
