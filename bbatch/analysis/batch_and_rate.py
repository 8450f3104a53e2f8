"""What does a larger batch cost, and what a wrong rate? Read from a map of batch sizes and constant rates.

A map is the table of a study `map-NAME` (see `studies.table`): a row for each batch size, rate (`lr`) and
seed.

How the best rate is chosen. At each batch size it is the rate with the highest held-out accuracy, averaged
over the seeds; of equal ones the smallest. Accuracy, because accuracy is what the question is about. The
loss, which training lowers and whose optimum is sharper, can be asked for instead (`by="held_out_loss"`); it
prefers smaller rates, since it also counts how sure a network is of its errors. The test set takes no part in
the choice.

Averaging over the seeds makes one choice where a practitioner with one seed would make ten noisier ones. So
that the intervals cover what is left of its luck, each bootstrap draw (seeds drawn again with replacement,
the same for all batch sizes) makes the choice anew. They are percentile intervals from few seeds, hence
somewhat narrow: with ten seeds by about a tenth. They are of the one test set: another would shift all batch
sizes together, and their differences by less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import BadInput, one_of
from ..statistics import LEVEL, Interval
from .critical_batch_size import DROP, Critical, critical_batch_size

CHOICES = ("held_out_acc", "held_out_loss")
DRAWS = 2_000
BASE = 32  # the batch size that all others are compared with: the paper's base batch
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Grid:
    """One batch size of a map: `rates` ascending [R]; `score` (higher is better), `test_acc` [seeds, R]."""

    rates: np.ndarray
    score: np.ndarray
    test_acc: np.ndarray

    def chosen(self, weights: np.ndarray) -> np.ndarray:
        """Index of the best rate under weights of the seeds, [..., seeds] -> [...]."""
        return (weights @ self.score).argmax(-1)

    def optimum(self, weights: np.ndarray) -> np.ndarray:
        """log2 of the rate where the mean score peaks, [..., seeds] -> [...]: the vertex of the parabola
        through the best rate and its two neighbours, which lies between them; at an edge the best rate
        itself."""
        k, x = self.chosen(weights), np.log2(self.rates)
        inside = np.clip(k, 1, len(x) - 2)
        y = weights @ self.score
        left, middle, right = (np.take_along_axis(y, (inside + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
        a, b = x[inside] - x[inside - 1], x[inside + 1] - x[inside]
        rise, fall = (middle - left) / a, (middle - right) / b
        bow = rise + fall
        # a plateau of three has no bow, and its middle will do
        shift = np.divide(rise * b - fall * a, 2 * bow, out=np.zeros_like(bow), where=bow > 0)
        return np.where(inside == k, x[inside] + shift, x[k])

    def accuracy(self, weights: np.ndarray) -> np.ndarray:
        """Test accuracy at the rate that is best under these weights, averaged with them."""
        at_all = weights @ self.test_acc
        return np.take_along_axis(at_all, self.chosen(weights)[..., None], -1)[..., 0]

    def at(self, rate: float) -> np.ndarray | None:
        """Test accuracy of each seed at `rate`, [seeds]; None outside the rates tried."""
        x, at = np.log(self.rates), math.log(rate)
        if not x[0] - 1e-9 <= at <= x[-1] + 1e-9:
            return None
        return np.array([np.interp(at, x, row) for row in self.test_acc])


def map_by_batch_size(runs: pd.DataFrame, by: str = CHOICES[0]) -> dict[int, Grid]:
    """The map of one data set, by batch size. Raises `BadInput` where runs are missing."""
    one_of("choice of the rate", by, CHOICES)
    if runs["dataset"].nunique() != 1:
        raise BadInput(f"a map is of one data set, not of {runs['dataset'].nunique()}.")
    seeds, found = sorted(runs["seed"].unique()), {}
    for b, rows in runs.groupby("batch_size"):
        score, test = (
            rows.pivot(index="seed", columns="lr", values=c).reindex(seeds).astype(float)
            for c in (by, "test_acc")
        )
        if (lacking := int(test.isna().sum().sum())) > 0:
            raise BadInput(f"the map lacks {lacking} of its {test.size} runs at B = {b}; train them first.")
        if by == "held_out_loss":
            score = -score.fillna(
                np.finfo(np.float32).max
            )  # a loss that is not finite is worse than any other
        found[int(b)] = Grid(test.columns.to_numpy(float), score.to_numpy(), test.to_numpy())
    return found


def seed_weights(count: int, draws: int) -> np.ndarray:
    """Bootstrap weights of the seeds, [draws, seeds]; each row sums to 1."""
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws) / count


def _seeds(found: dict[int, Grid]) -> int:
    return len(next(iter(found.values())).score)


def _all(found: dict[int, Grid]) -> np.ndarray:
    return np.full(_seeds(found), 1 / _seeds(found))


def _interval(value: float, drawn: np.ndarray, n: int) -> Interval:
    """The value for all seeds with the percentile interval of the draws."""
    return Interval(float(value), *map(float, np.quantile(drawn, TAILS)), n)


def map_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """What the figure of the map shows: a row for each batch size and rate, with means over seeds.

    Columns: batch_size, lr, test_acc, held_out_acc (percent), test_loss, held_out_loss, n (seeds), diverged
    (of them). A mean over losses that are not all finite is missing.
    """
    means = {
        c: (c, lambda v: v.mean(skipna=False))
        for c in ("test_acc", "held_out_acc", "test_loss", "held_out_loss")
    }
    counts = {"n": ("seed", "size"), "diverged": ("diverged", "sum")}
    return runs.groupby(["batch_size", "lr"], as_index=False).agg(**means, **counts)


def best_rates(runs: pd.DataFrame, by: str = CHOICES[0], draws: int = DRAWS) -> pd.DataFrame:
    """The best rate at each batch size. Columns: batch_size, chosen (the best of the rates tried), at_edge
    (it is the lowest or highest of them: the range was too small), optimum (rate between the tried ones where
    the mean score peaks, see `Grid.optimum`; `Interval`), accuracy (test accuracy in percent at the chosen
    rate, `Interval`)."""
    found = map_by_batch_size(runs, by)
    whole, drawn, n = _all(found), seed_weights(_seeds(found), draws), _seeds(found)
    rows = []
    for b, grid in found.items():
        k = int(grid.chosen(whole))
        optimum = _interval(2 ** grid.optimum(whole), 2 ** grid.optimum(drawn), n)
        accuracy = _interval(grid.accuracy(whole), grid.accuracy(drawn), n)
        rows.append([b, grid.rates[k], k in (0, len(grid.rates) - 1), optimum, accuracy])
    return pd.DataFrame(rows, columns=["batch_size", "chosen", "at_edge", "optimum", "accuracy"])


def cost_of_batch(
    runs: pd.DataFrame, by: str = CHOICES[0], base: int = BASE, draws: int = DRAWS
) -> pd.DataFrame:
    """Does batch size itself cost anything? Test accuracy at each size's best rate minus that at `base`'s.

    Columns: batch_size, difference (points, `Interval`). Both are of the same seeds, in every draw.
    """
    found = map_by_batch_size(runs, by)
    one_of("batch size to compare with", base, found)
    whole, drawn = _all(found), seed_weights(_seeds(found), draws)
    rows = []
    for b, grid in found.items():
        difference, differences = (grid.accuracy(w) - found[base].accuracy(w) for w in (whole, drawn))
        rows.append([b, _interval(difference, differences, _seeds(found))])
    return pd.DataFrame(rows, columns=["batch_size", "difference"])


def unbiased_choice(runs: pd.DataFrame, by: str = CHOICES[0]) -> pd.DataFrame:
    """How much of the accuracy at the best rate is luck? Here no seed takes part in choosing its own rate.

    Columns: batch_size, chosen (test accuracy at the rate that all seeds chose, percent), others (the mean
    over seeds of the accuracy at the rate that the other seeds chose).
    """
    found = map_by_batch_size(runs, by)
    n = _seeds(found)
    others = (1 - np.eye(n)) / (n - 1)
    rows = []
    for b, grid in found.items():
        at = grid.test_acc[np.arange(n), grid.chosen(others)]
        rows.append([b, float(grid.accuracy(_all(found))), float(at.mean())])
    return pd.DataFrame(rows, columns=["batch_size", "chosen", "others"])


def critical_at_best_rate(
    runs: pd.DataFrame, by: str = CHOICES[0], drop: float = DROP, draws: int = DRAWS
) -> tuple[Critical, pd.Series]:
    """B* by the paper's definition (Section IV-G), each batch size at its best rate.

    Returns that of all seeds, and the share of draws that give each B*, by B* (missing: the draw has none).
    """
    found = map_by_batch_size(runs, by)
    whole, drawn = _all(found), seed_weights(_seeds(found), draws)
    again = pd.DataFrame({b: grid.accuracy(drawn) for b, grid in found.items()})
    each = [critical_batch_size(row, drop).critical for row in again.to_dict("records")]
    shares = pd.Series(each, dtype="Int64").value_counts(normalize=True, dropna=False).sort_index()
    return critical_batch_size({b: float(g.accuracy(whole)) for b, g in found.items()}, drop), shares


@dataclass(frozen=True)
class Exponents:
    """Powers of B that the best rate follows.

    `straight`: one line over all sizes. `below`, `above`: a continuous line with one bend, up to the batch
    size `bend` and from it on, and `change`, the former minus the latter; `bend_low`, `bend_high`: the bend's
    interval.

    `bends`: the interval of the change leaves out 0. Where it does not, `straight` is what the data say.
    """

    straight: Interval
    below: Interval
    above: Interval
    change: Interval
    bend: int
    bend_low: int
    bend_high: int

    @property
    def bends(self) -> bool:
        return self.change.low > 0 or self.change.high < 0


def bent_line(x: np.ndarray, y: np.ndarray) -> tuple[int, float, float]:
    """Least squares of a continuous line with one bend: index of the bend, slope before it, slope after.

    The bend lies at that point, of those with two others on either side, where the squared error is smallest;
    of equal ones at the first. Raises `BadInput` for fewer than five points.
    """
    if len(x) < 5:
        raise BadInput(f"a line with a bend needs five batch sizes or more, not {len(x)}.")
    best = (math.inf, 0, math.nan, math.nan)
    for k in range(2, len(x) - 2):
        parts = np.column_stack([np.ones_like(x), np.minimum(x - x[k], 0), np.maximum(x - x[k], 0)])
        coefficients = np.linalg.lstsq(parts, y, rcond=None)[0]
        error = float(((parts @ coefficients - y) ** 2).sum())
        if error < best[0] - 1e-12:
            best = (error, k, float(coefficients[1]), float(coefficients[2]))
    return best[1:]


def rate_exponents(runs: pd.DataFrame, by: str = CHOICES[0], draws: int = DRAWS) -> Exponents:
    """The exponent of the best rate against the batch size, over all sizes and below and above its bend.

    Each draw of seeds chooses the rates and places the bend anew.
    """
    found = map_by_batch_size(runs, by)
    sizes, n = np.array(list(found)), _seeds(found)
    x = np.log2(sizes)

    def fit(weights):
        y = np.array([g.optimum(weights) for g in found.values()])
        k, below, above = bent_line(x, y)
        return float(np.polyfit(x, y, 1)[0]), below, above, below - above, sizes[k]

    whole = fit(_all(found))
    drawn = np.array([fit(w) for w in seed_weights(n, draws)])
    intervals = [_interval(whole[i], drawn[:, i], n) for i in range(4)]
    # the bend is one of the sizes, and so are its bounds
    bends = np.quantile(drawn[:, 4], TAILS, method="inverted_cdf")
    return Exponents(*intervals, int(whole[4]), *map(int, bends))


def rules_on_map(
    runs: pd.DataFrame, base_lr: float, base_batch: int = BASE, by: str = CHOICES[0]
) -> pd.DataFrame:
    """Where the linear, square-root and constant rules lie on the map, and what each loses against the best
    rate.

    Columns: batch_size, rule, rate, loss (test accuracy at the best rate minus that at the rule's, points,
    `Interval`: seeds drawn again, choice made anew). Between two rates accuracy is interpolated in the rate's
    logarithm; where a rule leads out of the range tried, `loss` is missing (NaN).
    """
    found = map_by_batch_size(runs, by)
    whole, drawn, n = _all(found), seed_weights(_seeds(found), DRAWS), _seeds(found)
    rows = []
    for b, grid in found.items():
        for rule, power in (("constant", 0), ("sqrt", 0.5), ("linear", 1)):
            rate = base_lr * (b / base_batch) ** power
            at = grid.at(rate)
            if at is None:
                loss = Interval(math.nan, math.nan, math.nan, n)
            else:
                loss = _interval(*(grid.accuracy(w) - w @ at for w in (whole, drawn)), n)
            rows.append([b, rule, rate, loss])
    return pd.DataFrame(rows, columns=["batch_size", "rule", "rate", "loss"])
