"""A map of batch sizes and constant learning rates: what was tried, and which rate is best.

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

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..errors import BadInput, one_of
from ..statistics import LEVEL, Interval

CHOICES = ("held_out_acc", "held_out_loss")
DRAWS = 2_000


@dataclass(frozen=True)
class Grid:
    """One batch size of a map: `rates` ascending [R]; `score` (higher is better), `test_acc` [seeds, R];
    `weights` of the seeds, all alike and then drawn (`weights_of`), [1 + draws, seeds]. What is chosen is
    chosen in each draw."""

    rates: np.ndarray
    score: np.ndarray
    test_acc: np.ndarray
    weights: np.ndarray

    seeds = property(lambda self: len(self.test_acc))
    best = property(lambda self: int(self.chosen[0]), doc="Index of the best rate over all seeds alike.")
    rate = property(lambda self: self.rates[self.best])
    at_edge = property(lambda self: self.best in (0, len(self.rates) - 1))

    @cached_property
    def chosen(self) -> np.ndarray:
        """Index of the best rate, [1 + draws]."""
        return (self.weights @ self.score).argmax(-1)

    @property
    def optimum(self) -> np.ndarray:
        """log2 of the rate where the mean score peaks, [1 + draws]: the vertex of the parabola through the
        best rate and its two neighbours, which lies between them; at an edge the best rate itself."""
        k, x = self.chosen, np.log2(self.rates)
        inside = np.clip(k, 1, len(x) - 2)
        y = self.weights @ self.score
        left, middle, right = (np.take_along_axis(y, (inside + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
        a, b = x[inside] - x[inside - 1], x[inside + 1] - x[inside]
        rise, fall = (middle - left) / a, (middle - right) / b
        bow = rise + fall
        # a plateau of three has no bow, and its middle will do
        shift = np.divide(rise * b - fall * a, 2 * bow, out=np.zeros_like(bow), where=bow > 0)
        return np.where(inside == k, x[inside] + shift, x[k])

    @cached_property
    def accuracy(self) -> np.ndarray:
        """Test accuracy at the best rate, [1 + draws]."""
        at_all = self.weights @ self.test_acc
        return np.take_along_axis(at_all, self.chosen[..., None], -1)[..., 0]

    def at(self, rate: float) -> np.ndarray:
        """Test accuracy of each seed at `rate`, [seeds]; NaN outside the rates tried."""
        x, at = np.log(self.rates), math.log(rate)
        if not x[0] - 1e-9 <= at <= x[-1] + 1e-9:
            at = math.nan
        return np.array([np.interp(at, x, row) for row in self.test_acc])


def map_by_batch_size(runs: pd.DataFrame, by: str = CHOICES[0]) -> dict[int, Grid]:
    """The map of one data set, by batch size. Raises `BadInput` where runs are missing."""
    one_of("choice of the rate", by, CHOICES)
    if runs["dataset"].nunique() != 1:
        raise BadInput(f"a map is of one data set, not of {runs['dataset'].nunique()}.")
    seeds, found = sorted(runs["seed"].unique()), {}
    weights = weights_of(len(seeds))
    for b, rows in runs.groupby("batch_size"):
        score, test = (
            rows.pivot(index="seed", columns="lr", values=c).reindex(seeds).astype(float)
            for c in (by, "test_acc")
        )
        if (lacking := int(test.isna().sum().sum())) > 0:
            raise BadInput(f"the map lacks {lacking} of its {test.size} runs at B = {b}; train them first.")
        if by == "held_out_loss":
            # a loss that is not finite is worse than any other
            score = -score.fillna(np.finfo(np.float32).max)
        found[int(b)] = Grid(test.columns.to_numpy(float), score.to_numpy(), test.to_numpy(), weights)
    return found


def weights_of(seeds: int) -> np.ndarray:
    """Weights of the seeds, [1 + draws, seeds]: all alike in the first row, drawn again in the others."""
    alike = np.full(seeds, 1 / seeds)
    return np.vstack([alike, np.random.default_rng(0).multinomial(seeds, alike, DRAWS) / seeds])


def tails(level: float = LEVEL) -> tuple[float, float]:
    """The shares of draws below the lower and below the upper end of a percentile interval."""
    return (1 - level) / 2, (1 + level) / 2


def interval_of(values: np.ndarray, seeds: int, level: float = LEVEL) -> Interval:
    """The first value with the percentile interval of the others; all missing where it is."""
    if np.isnan(values[0]):
        return Interval(math.nan, math.nan, math.nan, seeds)
    return Interval(float(values[0]), *map(float, np.nanquantile(values[1:], tails(level))), seeds)
