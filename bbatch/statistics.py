"""Means, intervals and paired differences over seeds, correlations and power laws."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .errors import BadInput

LEVEL = 0.95
Values = Sequence[float] | np.ndarray  # of one dimension


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `low` and `high` are NaN where `n` is too small to give one."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    @property
    def symmetric(self) -> bool:
        """Whether "±" says where the interval ends."""
        return math.isclose(self.high - self.mean, self.mean - self.low, rel_tol=0.02, abs_tol=1e-9)

    def text(self, decimals: int = 2, sign: str = "") -> str:
        """As in "95.43 ± 0.21", with no line break inside; "1.75 (1.20 to 2.55)" where it is not symmetric,
        as where it ends at what is possible; the bare mean where n gives no interval, "–" where there is no
        mean.

        `sign` is "+" for differences. No zero has a minus.
        """
        if not self.symmetric:  # nor is one without bounds
            return span(self, decimals, sign)
        half = decimal_text(self.half_width, decimals)
        return f"{decimal_text(self.mean, decimals, sign)}\u00a0±\u00a0{half}"


def decimal_text(value: float, decimals: int = 2, sign: str = "") -> str:
    """A number with its decimals and a true minus sign; `sign` is "+" for differences, no zero has a minus.

    Means of few counts often end in a 5 where the text ends. It is rounded the same way on every machine,
    whatever the last bits of the sum are.
    """
    return f"{round(value, 9):{sign}z.{decimals}f}".replace("-", "−")


def from_to(values, told: Callable[[float], str] = str) -> str:
    """The least and the largest of some values, as `told` writes them: "3 to 20", or "3" where they read the
    same, as those of a single run."""
    return " to ".join(dict.fromkeys(told(value) for value in (min(values), max(values))))


def span(interval, decimals: int = 2, sign: str = "") -> str:
    """As in "0.48 (0.43 to 0.52)", of anything with mean, low and high: intervals need not be symmetric. "–"
    where there is no mean, the bare mean where there is no interval.

    `sign` is "+" for differences. No zero has a minus.
    """
    if math.isnan(interval.mean):
        return "–"
    value, low, high = (decimal_text(x, decimals, sign) for x in (interval.mean, interval.low, interval.high))
    return value if math.isnan(interval.low) else f"{value} ({low} to {high})"


@dataclass(frozen=True)
class Correlation:
    """A correlation with its confidence interval, its two-sided p-value and the number of pairs."""

    r: float
    low: float
    high: float
    p: float
    n: int


@dataclass(frozen=True)
class PowerLaw:
    """y in proportion to x^exponent, and the R^2 of the straight line through the logarithms."""

    exponent: Interval
    r_squared: float


def mean_interval(values: Values, level: float = LEVEL) -> Interval:
    """Student's t interval for the mean of independent values; NaN bounds for n = 1, all NaN for n = 0."""
    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else math.nan, math.nan, math.nan, len(x))
    half = stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def satterthwaite(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent variances that are themselves estimated (Welch, 1947;
    Satterthwaite, 1946); infinite where all are 0."""
    v, f = np.asarray(variances, float), np.asarray(freedoms, float)
    squares = float((v**2 / f).sum()) if v.sum() > 0 else 0.0  # 0, too, where all are known exactly
    return float(v.sum()) ** 2 / squares if squares > 0 else math.inf


def geometric_mean(values: Values) -> Interval:
    """The geometric mean of positive values, with the t interval of their mean logarithm."""
    i = mean_interval(np.log(np.asarray(values, float)))
    return Interval(math.exp(i.mean), math.exp(i.low), math.exp(i.high), i.n)


def paired_difference(a: Values, b: Values, level: float = LEVEL) -> Interval:
    """t interval for the mean of a - b over pairs (same seed, same position).

    Raises `BadInput` where the two differ in length.
    """
    if len(a) != len(b):
        raise BadInput(f"a paired difference needs pairs, not {len(a)} values against {len(b)}.")
    return mean_interval(np.asarray(a, float) - np.asarray(b, float), level)


def proportion_interval(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson score interval for a proportion, in percent: the test set's sampling error of one accuracy.

    Raises `BadInput` unless 0 <= correct <= n and n > 0.
    """
    if not 0 <= correct <= n or n == 0:
        raise BadInput(
            f"{correct} right answers of {n} is no proportion; 0 <= correct <= n and n > 0 are allowed."
        )
    found = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
    return Interval(100 * correct / n, 100 * float(found.low), 100 * float(found.high), n)


def pearson(x: Values, y: Values) -> Correlation:
    """Pearson's r with the interval of Fisher's z transform and the two-sided p-value of r = 0.

    Raises `BadInput` for fewer than four pairs, or where x or y does not vary.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) != len(y) or len(x) < 4 or x.std() == 0 or y.std() == 0:
        raise BadInput(
            f"a correlation needs four pairs or more that vary in both, not {len(x)} against {len(y)}."
        )
    found = stats.pearsonr(x, y)
    low, high = found.confidence_interval(LEVEL)
    return Correlation(float(found.statistic), float(low), float(high), float(found.pvalue), len(x))


def spearman(x: Values, y: Values, level: float = LEVEL, cells: Sequence | None = None) -> Interval:
    """Spearman's rank correlation with the interval of Bonett & Wright (2000).

    Fisher's z of the ranks with the standard error sqrt((1 + r²/2) / (n - 3)). With `cells`, a label for each
    pair, ranks are taken within each cell and their cell mean away, so that only differences inside a cell
    count; each cell after the first costs one of n. Where the ranks agree in full, z is that of half a swap
    of neighbours less, so that few pairs do not make an interval of one point. Raises `BadInput` for fewer
    than four pairs net of that, or where x or y does not vary."""
    table = np.array([np.asarray(x, float), np.asarray(y, float)]) if len(x) == len(y) else np.zeros((2, 0))
    groups = np.unique(np.zeros(len(x)) if cells is None else np.asarray(cells), return_inverse=True)[1]
    n = table.shape[1] - len(set(groups.tolist())) + 1
    ranks = np.zeros_like(table)
    for g in set(groups.tolist()) if table.size else ():
        inside = stats.rankdata(table[:, groups == g], axis=1)
        ranks[:, groups == g] = inside - inside.mean(1, keepdims=True)
    if n < 4 or (ranks == 0).all(1).any():
        raise BadInput(
            f"a rank correlation needs four pairs or more that vary in both, not {len(x)} against {len(y)}."
        )
    r = float(np.clip((ranks[0] @ ranks[1]) / np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])), -1, 1))
    most = 1 - 6 / (n * (n * n - 1))
    z, error = np.arctanh(np.clip(r, -most, most)), math.sqrt((1 + r * r / 2) / (n - 3))
    half = stats.norm.ppf((1 + level) / 2) * error
    low, high = float(np.tanh(z - half)), float(np.tanh(z + half))
    return Interval(r, -1.0 if r == -1 else low, 1.0 if r == 1 else high, n)


def power_law(x: Values, y: Values) -> PowerLaw:
    """Least squares of log y on log x, with the t interval (n - 2 degrees of freedom) of the exponent.

    Raises `BadInput` for fewer than three points or values that are not above 0.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) != len(y) or len(x) < 3 or (x <= 0).any() or (y <= 0).any():
        raise BadInput(f"a power law needs three points or more above 0, not {len(x)} against {len(y)}.")
    fit = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * fit.stderr
    exponent = Interval(float(fit.slope), float(fit.slope - half), float(fit.slope + half), len(x))
    return PowerLaw(exponent, float(fit.rvalue**2))


def power_laws(frame, by: str, x: str, y: str) -> tuple[list[PowerLaw], Interval | None]:
    """The power law of column `y` on `x` for each group of `by`, and the interval of their mean exponent.

    A group needs three points or more, all above 0. With one such group the interval is that of its fit;
    without any it is None.
    """
    groups = (one.dropna(subset=[y]) for _, one in frame.groupby(by))
    fits = [power_law(one[x], one[y]) for one in groups if len(one) >= 3 and (one[y] > 0).all()]
    if len(fits) < 2:
        return fits, fits[0].exponent if fits else None
    return fits, mean_interval([f.exponent.mean for f in fits])
