"""Papers and reproductions to calibrate the rules on, simulated with the scatter of our records.

A simulated paper prints what its protocol gave in one run, or a number that is off by one or two tolerances,
or an effect of the other sign or none at all. A simulated reproduction has n runs of the cells in question,
and, as on CIFAR-10, five of one other cell, whose scatter it borrows. Runs are drawn from the records: the
mean of a cell of the synthetic sets plus the distance of one of its 20 runs from it. For a correlation over
cells, their means scatter about a line, and paper and reproduction have the same cells."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from .. import published
from ..analysis.cells import by_seed, weighted
from ..analysis.critical_batch_size import likely_optima
from ..analysis.estimate import Estimate
from ..analysis.generalization_gap import correlation_of
from ..statistics import pearson, proportion_interval
from . import rules
from .rules import Says

LENDER = 5  # runs of the one cell that has more
TRUE, ONE_OFF, TWO_OFF = "as printed", "off by one tolerance", "off by two tolerances"
NOTHING, OTHER = "no effect", "the other sign"
OFF = {TRUE: 0, ONE_OFF: 1, TWO_OFF: 2, NOTHING: 0, OTHER: 0}  # tolerances from the truth to what is printed


class Scatter:
    """Runs of a data set to draw from: `means` of cells [cells], how far each run lies from its own, as of
    the runs and not of their mean [seeds, cells], and the tolerance of its accuracies (points)."""

    def __init__(self, runs: pd.DataFrame, dataset: str, rng: np.random.Generator):
        table = by_seed(runs, dataset, "test_acc").dropna()
        self.sizes, values, n = list(table), table.to_numpy(), len(table)
        self.means = values.mean(axis=0)
        self.residuals = (values - self.means) * math.sqrt(n / (n - 1))
        self.tolerance = min(rules.ABSOLUTE["points"], rules.OF_SPAN * float(np.ptp(values)))
        self.rng = rng

    def runs(self, cells, means, n: int) -> np.ndarray:
        """n runs of each of these cells, whose means are set, with their scatter [n, cells]."""
        drawn = self.rng.integers(len(self.residuals), size=(n, len(cells)))
        return np.asarray(means) + self.residuals[drawn, cells]

    def table(self, means: dict[int, float], n: int) -> np.ndarray:
        """n runs of each cell, those given with these means; one of the others has `LENDER`, if more."""
        cells, more = range(len(self.means)), max(n, LENDER)
        table = self.runs(cells, [means.get(k, self.means[k]) for k in cells], more)
        lender = self.rng.choice([k for k in cells if k not in means] or list(means))
        table[n:, [k for k in cells if k != lender]] = np.nan
        return table

    def estimate(self, table: np.ndarray, weights: dict[int, float], unit: str) -> Estimate:
        """A weighted sum of cells."""
        return weighted(table, [weights.get(k, 0.0) for k in range(len(self.means))], unit)


def _shift(truth: str, tolerance: float, rng) -> float:
    """How far the printed number lies from the truth, apart from its scatter."""
    return OFF[truth] * tolerance * rng.choice([-1, 1])


def _number(s: Scatter, truth: str, n: int, readings: int = 1) -> str:
    k = int(s.rng.integers(len(s.means)))
    shift = _shift(truth, s.tolerance, s.rng)
    printed = float(s.runs([k], [s.means[k] + shift], 1)[0, 0])
    # The other readings ask for something else: on either side of the first where that is right, away from
    # the printed number where it is wrong, so that none is right by chance.
    sides = s.rng.choice([-1, 1], readings - 1) if shift == 0 else np.full(readings - 1, -np.sign(shift))
    means = [s.means[k], *(s.means[k] + 2 * s.tolerance * sides)]
    found = [s.estimate(s.table({k: mean}, n), {k: 1}, "percent") for mean in means]
    says = Says("=", printed, "percent")
    return min((rules.verdict_of(says, [e], readings) for e in found), key=rules.FAVOUR.index)


def _difference(s: Scatter, effect: float, n: int) -> tuple[Estimate, float]:
    """A difference of two cells whose truth is `effect`, and the scatter of one more pair of runs."""
    a, b = (int(k) for k in s.rng.choice(len(s.means), 2, replace=False))
    table, noise = s.table({a: s.means[b] + effect, b: s.means[b]}, n), s.runs([a, b], [0.0, 0.0], 1)[0]
    return s.estimate(table, {a: 1, b: -1}, "points"), float(noise[0] - noise[1])


def _effect(s: Scatter, truth: str, n: int) -> str:
    effect = 20 * s.tolerance  # far beyond the scatter of a pair of runs, so that its sign is the printed one
    found, noise = _difference(s, {NOTHING: 0.0, OTHER: -effect}.get(truth, effect), n)
    tolerance = Says("=", effect, "points").tolerance(effect, found.span)  # the effect widens the span
    printed = effect + _shift(truth, tolerance, s.rng) + noise
    return rules.verdict_of(Says("=", printed, "points"), [found])


def _ratio(s: Scatter, truth: str, n: int) -> str:
    """On the scale of logarithms: accuracies stand in for logarithms, scaled to the scatter of sharpness, 15
    %."""
    scale = 0.15 / float(s.residuals.std())
    effect = math.log(6.9) * {NOTHING: 0.0, OTHER: -1.0}.get(truth, 1.0)
    found, noise = _difference(s, effect / scale, n)
    errors = {"error": found.error * scale, "one_run": found.one_run * scale, "span": math.nan}
    ratio = replace(found, value=math.exp(found.value * scale), unit="ratio", scale="log", **errors)
    printed = math.exp(math.log(6.9) + _shift(truth, math.log(1.1), s.rng) + noise * scale)
    return rules.verdict_of(Says("=", printed, "ratio"), [ratio])


def _range(s: Scatter, truth: str, n: int) -> str:
    effect, width = 20 * s.tolerance, 10 * s.tolerance
    found, _ = _difference(s, -effect if truth == OTHER else effect, n)
    tolerance = Says("=", effect, "points").tolerance(effect, found.span)
    off = OFF[truth] * tolerance
    # The effect lies at an end, or outside.
    first = effect + off if s.rng.random() < 0.5 else effect - off - width
    return rules.verdict_of(Says("range", first, "points", first + width), [found])


def _falls(s: Scatter, truth: str, n: int, parts: int = 1, relation: str = ">") -> str:
    """Strict: a fall of two tolerances, none, a rise of two. Not strict: it must not rise by two."""
    falls = {TRUE: 2.0 if relation == ">" else -2.0, NOTHING: 0.0, OTHER: -2.0, TWO_OFF: 2.0}[truth]
    effects = [falls, *[2.0] * (parts - 1)]  # of several parts, one is not as said
    found = [_difference(s, effect * s.tolerance, n)[0] for effect in effects]
    return rules.verdict_of(Says(relation, 0.0, "points"), found)


def _batch_size(s: Scatter, truth: str, n: int) -> str:
    table, grid = s.table({}, n), s.sizes
    cells = {b: s.estimate(table, {k: 1}, "percent") for k, b in enumerate(grid)}
    among = likely_optima(cells, draws=400, seed=int(s.rng.integers(1 << 30)))
    off = OFF[truth] * int(s.rng.choice([-1, 1]))
    says = Says("=", float(grid[(int(s.means.argmax()) + off) % len(grid)]), "samples")
    return rules.verdict_of(says, [Estimate(says.value, n, "samples", among=among, span=len(grid))])


def _cells(s: Scatter, truth: str, n: int) -> tuple[float, Estimate, np.ndarray]:
    """Log B against accuracy over five data sets: the correlation in a paper with one run a cell, where it is
    that of Section IV-B; and in a reproduction with n, where the truth may be another, with its runs [cells,
    n]."""
    r, cells = published.value("iv-b-correlation"), list(range(len(s.means))) * 5
    x, noise = stats.zscore(np.log(s.sizes * 5)), s.rng.standard_normal(len(cells))

    def runs(r: float, n: int) -> np.ndarray:
        return s.runs(cells, s.means.std() * (r * x + math.sqrt(1 - r * r) * noise), n).T

    ours = runs(r * {NOTHING: 0.0, OTHER: -1.0}.get(truth, 1.0), n)
    return correlation_of(x, runs(r, 1)).value, correlation_of(x, ours), ours


def _correlation(s: Scatter, truth: str, n: int) -> str:
    printed, ours, _ = _cells(s, truth, n)
    says = Says("=", printed, "r")
    off = _shift(truth, says.tolerance(printed), s.rng)
    return rules.verdict_of(replace(says, value=printed + off), [ours])


def _p_value(s: Scatter, truth: str, n: int) -> str:
    x, runs = np.log(s.sizes * 5), _cells(s, truth, n)[2]
    p = pearson(x, runs.mean(axis=1)).p
    return rules.verdict_of(Says("<", 0.001, "p"), [Estimate(p, n, "p", bounds=(p, p))])


def _most_seeds(s: Scatter, truth: str, n: int) -> str:
    """Half of the runs or more do something; in truth it is seven of ten, or three."""
    do = int(s.rng.binomial(n, 0.7 if truth == TRUE else 0.3))
    i = proportion_interval(do, n)
    found = Estimate(i.mean, n, "percent of seeds", bounds=(i.low, i.high))
    return rules.verdict_of(Says(">=", 50.0, "percent of seeds"), [found])


KINDS = {
    "a number": _number,
    "an effect": _effect,
    "a ratio": _ratio,
    "a range": _range,
    "it falls": _falls,
    "it does not rise": lambda s, truth, n: _falls(s, truth, n, relation="<="),
    "it falls on each of three": lambda s, truth, n: _falls(s, truth, n, parts=3),
    "a number, best of six readings": lambda s, truth, n: _number(s, truth, n, readings=6),
    "a best batch size": _batch_size,
    "a correlation": _correlation,
    "its p-value": _p_value,
    "most seeds": _most_seeds,
}
