"""One number, how sure it is, and where it comes from.

A question is asked of a tidy frame (`metrics.frame`): of our runs, or of the paper's tables as
`published.printed_frame` gives them, one run a cell. Our intervals come from the scatter between seeds, the
paper's from the rounding of what it prints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import special

from ..statistics import LEVEL, Interval, decimal_text, satterthwaite
from .scatter import moderated

# What a quantity can be, by its unit.
LIMITS = {"percent": (0.0, 100.0), "points": (-100.0, 100.0), "R^2": (0.0, 1.0), "r": (-1.0, 1.0)}
LIMITS |= {
    "p": (0.0, 1.0),
    "percent of seeds": (0.0, 100.0),
    "ratio": (0.0, math.inf),
    "loss": (0.0, math.inf),
}
PRINTED = "rounding of what is printed"  # how the paper's intervals come about
TO = {"linear": lambda x: x, "log": math.log, "fisher": math.atanh}  # the scale on which errors are symmetric
BACK = {"linear": lambda x: x, "log": math.exp, "fisher": math.tanh}


@dataclass(frozen=True)
class Estimate:
    """A value with what its interval is made of.

    `error` is its standard error on `scale`, with `freedom` degrees of freedom (t; infinite: normal),
    `one_run` that of the distance of one more run from it. In their place, `bounds` is what rounding leaves
    open, and `by_level` gives the interval at a level where it is not Student's t. `n` counts seeds (or what
    `counted` says), and is 0 where nothing is recorded; `missing` is then the command that gives it. `value`
    is NaN where there is no such number (a ratio to nothing), and `shown` says why; of the paper, `shown` is
    the arithmetic. `span` is how far single runs lie apart on the data set, over all batch sizes, those at
    chance left out: what tolerances are fitted to. `among` lists the batch sizes that an optimum was found to
    be one of, of `span` in all."""

    value: float = math.nan
    n: int = 0
    unit: str = ""
    how: str = ""
    about: str = ""
    ids: tuple[str, ...] = ()
    error: float = math.nan
    one_run: float = math.nan
    freedom: float = math.inf
    scale: str = "linear"
    bounds: tuple[float, float] = (math.nan, math.nan)
    by_level: Callable[[float], tuple[float, float]] | None = None
    span: float = math.nan
    among: tuple[float, ...] = ()
    counted: str = "seeds"
    shown: str = ""
    missing: str = ""

    low = property(lambda self: self.interval()[0])
    high = property(lambda self: self.interval()[1])
    mean = property(lambda self: self.value)  # as `statistics.Interval` has it: either is shown alike
    half_width = property(lambda self: (self.high - self.low) / 2)

    def interval(self, level: float = LEVEL, one_run: bool = False) -> tuple[float, float]:
        """Bounds of the value, or of one more run (the paper's is one). NaN without any."""
        if self.by_level:
            return self.by_level(level)
        if not math.isnan(self.bounds[0]):
            return self.bounds
        error = self.one_run if one_run and not math.isnan(self.one_run) else self.error
        if math.isnan(self.value) or math.isnan(error):
            return math.nan, math.nan
        half = special.stdtrit(self.freedom, (1 + level) / 2) * error  # Student's t
        centre, (least, most) = TO[self.scale](self.value), LIMITS.get(self.unit, (-math.inf, math.inf))
        low, high = (BACK[self.scale](centre + side * half) for side in (-1, 1))
        return float(min(max(low, least), most)), float(min(max(high, least), most))

    def narrow(self, level: float = LEVEL) -> bool:
        """Whether the interval of one more run is no wider than single runs of the data set lie apart. A
        wider one tells nothing apart, nor does one whose span is not known."""
        low, high = self.interval(level, one_run=True)
        return bool(high - low <= self.span)

    def text(self, decimals: int = 2, sign: str = "") -> str:
        """As `Interval.text`: "95.43 ± 0.21", or "1.75 (1.20 to 2.55)" where it is not symmetric."""
        return Interval(self.value, *self.interval(), self.n).text(decimals, sign)

    __str__ = text


def lacking(about: str, missing: str, **more) -> Estimate:
    """Nothing recorded, and the command that gives it."""
    return Estimate(about=about, missing=missing, **more)


def minus(a: Estimate, b: Estimate, about: str) -> Estimate:
    """The difference of two independent estimates, of percentages in points; degrees of freedom by Welch and
    Satterthwaite."""
    unit = "points" if a.unit == "percent" else a.unit
    if not (a.n and b.n):
        return lacking(about, a.missing or b.missing, unit=unit, shown=a.shown if not a.n else b.shown)
    printed = not math.isnan(a.bounds[0])
    return replace(
        a,
        value=a.value - b.value,
        n=min(a.n, b.n),
        unit=unit,
        about=about,
        ids=a.ids + b.ids,
        error=math.hypot(a.error, b.error),
        one_run=math.hypot(a.one_run, b.one_run),
        freedom=satterthwaite((a.error**2, b.error**2), (a.freedom, b.freedom)),
        bounds=(a.bounds[0] - b.bounds[1], a.bounds[1] - b.bounds[0]),
        span=max(a.span, b.span),
        shown=f"({a.shown}) − ({b.shown}) = {number(a.value - b.value)}" if printed else "",
    )


def largest_of(found: Sequence[Estimate]) -> Estimate:
    """The largest of several estimates. That is a choice, and its interval allows for it: it reaches from the
    largest lower bound to the largest upper one, each of them at a level that is corrected (Bonferroni)."""
    have = [e for e in found if e.n]
    if not have:
        return found[-1]
    most = max(have, key=lambda e: e.value)
    how = f"{most.how}, the largest of {len(have)}"
    return replace(most, by_level=partial(_largest, tuple(have)), how=how)


def _largest(found: Sequence[Estimate], level: float) -> tuple[float, float]:
    ends = [e.interval(1 - (1 - level) / len(found)) for e in found]
    return max(low for low, _ in ends), max(high for _, high in ends)


def sampled(values: np.ndarray, prior: float, freedom: float, unit: str, about: str, **more) -> Estimate:
    """The mean of values, one a seed, whose scatter is drawn towards the variance `prior` that counts for
    `freedom` runs (`scatter.moderated`); without a value where there is none."""
    n = len(values)
    if not n:
        return Estimate(unit=unit, about=about)
    deviation, freedom = moderated(values, prior, freedom)
    error, one_run = deviation / math.sqrt(n), deviation * math.sqrt(1 + 1 / n)
    more |= {"error": error, "one_run": one_run, "freedom": freedom}
    return Estimate(float(values.mean()), n, unit, about=about, **more)


def ratio(values, about: str, ids=(), prior: tuple[float, float] = (math.nan, 0.0), **more) -> Estimate:
    """The geometric mean of ratios, one a seed; `prior`: pooled variance of their logarithms, if any."""
    more = {"how": "ratios paired by seed", "scale": "log", "ids": tuple(ids)} | more
    found = sampled(np.log(np.asarray(values, float)), *prior, "ratio", about, **more)
    return replace(found, value=float(np.exp(found.value)))


def mean(values, unit: str, about: str, ids=(), **more) -> Estimate:
    """The mean of independent values, one a seed, by their own scatter alone."""
    more = {"how": "over seeds", "ids": tuple(ids)} | more
    return sampled(np.asarray(values, float), math.nan, 0.0, unit, about, **more)


def printed_ratio(a: Estimate, b: Estimate, about: str, decimals: int = 2) -> Estimate:
    """One number that the paper prints over another, as far as their rounding tells."""
    value = a.value / b.value
    shown = f"{a.shown} / {b.shown} = {number(value, decimals)}"
    bounds = a.low / b.high, a.high / b.low
    return Estimate(value, 1, "ratio", PRINTED, about, bounds=bounds, shown=shown)


def digits(half: float) -> int:
    """Digits after the point of a number that was rounded to within `half`."""
    return max(0, round(-math.log10(2 * half)))


def number(value: float, decimals: int = 2) -> str:
    """A number as text, with a true minus sign; "none" for what is not finite."""
    return decimal_text(value, decimals) if math.isfinite(value) else "none"
