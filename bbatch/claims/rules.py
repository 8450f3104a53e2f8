"""The rules by which a claim is judged. Whatever is not written here does not enter a verdict.

A claim says something of a quantity (`Says`): that it has a value, lies in a range, keeps to a bound. The
quantity is an `Estimate`, or several where a claim speaks of several data sets. A verdict is firm where it
could be wrong: *reproduced*, *direction only*, *not reproduced*. Each firm verdict needs the whole of an
interval, so that it is wrong in few cases whatever the number of runs; `python -m bbatch.claims.calibration`
counts them. Where the interval is too wide, the verdict is not firm: *not enough data* or, for a number that
our runs could have given but not pinned down, *compatible*. The rules were revised after the first results
were known; they were tuned on simulated papers alone.

The rules in words, with an example each, are `EXPLAINED`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.estimate import Estimate
from ..statistics import LEVEL

REPRODUCED, COMPATIBLE, DIRECTION = "reproduced", "compatible", "direction only"
NOT, DATA, UNTESTABLE = "not reproduced", "not enough data", "not testable"
VERDICTS = (REPRODUCED, COMPATIBLE, DIRECTION, NOT, DATA, UNTESTABLE)
FIRM = (REPRODUCED, DIRECTION, NOT)
WORST_FIRST = (NOT, DATA, DIRECTION, COMPATIBLE, REPRODUCED)
# Of several readings, the first of these is named.
FAVOUR = (REPRODUCED, COMPATIBLE, DIRECTION, DATA, NOT, UNTESTABLE)
CONSISTENT, INCONSISTENT, UNCHECKABLE = "consistent", "inconsistent", "not checkable"
CHECKS = (CONSISTENT, UNCHECKABLE, INCONSISTENT)  # the most favourable first

# How far two values may differ and still count as one: at most this (half a point is half of what Section
# IV-G calls a fall), and no more than a tenth of how far single runs of that data set lie apart. A share of
# the number elsewhere.
ABSOLUTE = {"percent": 0.5, "points": 0.5, "exponent": 0.05, "r": 0.05, "R^2": 0.01}
RELATIVE = {"ratio": 0.1, "loss": 0.1}
OF_SPAN, OF_CLAIM = 0.1, 0.1
# The value that means no effect, by unit; other units are levels.
NOTHING = {"points": 0.0, "ratio": 1.0, "exponent": 0.0, "r": 0.0}

EXPLAINED = {
    "1. Few runs": (
        "The scatter of a cell with few seeds is borrowed from the cells of its data set that have more. It "
        "counts for little where few of them lend it, since the scatter of one cell is not that of "
        "another. *Example:* one run of CIFAR-10 at B = 1 has no scatter of its own; that of the five runs "
        "at B = 8 stands in for it, and the interval of one more run is nearly twice as wide as five runs of "
        "its own would make it. Where no cell has two seeds, there is no verdict."
    ),
    "2. Wide intervals": (
        "An interval that holds more than the claim could tell apart decides nothing, wherever its centre "
        "lies. *Example:* an accuracy of 85 ± 60 % is not enough data, though the paper's 83 % lies near "
        "the middle. Intervals stay inside what a quantity can be: an accuracy in 0 to 100 %, R² at most 1."
    ),
    "3. A number": (
        "An accuracy, a gap or a loss is *reproduced* where all that one more run of ours could give lies "
        "within two tolerances of the printed number, *not reproduced* where none of it lies within one, "
        "and *compatible* where the printed number could be a run of ours but numbers further off could be, "
        "too. *Example:* 96.0 printed, one more run of ours between 93.8 and 98.4: compatible, as the paper "
        "has one run of it."
    ),
    "4. An effect": (
        "A difference or a ratio must first be there: our interval for its mean clear of none, on the "
        "printed side. Where all of it lies on the other side, or nearer to none than the tolerance or a "
        "tenth of the printed effect, the effect is *not reproduced*. Then its size is judged like a number; "
        "a wrong size is *direction only*, unless ours is that near to none. Where it is not clear of none, "
        "it stays open whether there is a smaller effect or none, even if the printed size lies far outside: "
        "*not enough data*. *Example:* 0.10 points against the printed 10 is no such effect, not a smaller "
        "one."
    ),
    "5. Tolerances": (
        "Half a point at most, and a tenth of what single runs of the data set differ by over all batch "
        "sizes. *Example:* on MNIST all runs lie within half a point, so the tolerance is a twentieth of a "
        "point."
    ),
    "6. Bounds, ranges and words": (
        'A claim in words is put as a bound: "falls" is a change below nothing. It is *reproduced* where '
        "the whole interval keeps to the bound, *not reproduced* where none of it does, or where all of it "
        "lies within the tolerance of nothing. A range is treated alike. *Example:* a fall between −0.2 and "
        "0.3 points, where the tolerance is 0.5, is no fall; one between −2 and 3 may be."
    ),
    "7. Batch sizes": (
        "An optimum is *reproduced* where all its likely places are the printed one or its neighbours, "
        "*compatible* where the printed one is likely among others, *not reproduced* where it is not likely, "
        "and nothing is told where every batch size is likely. A number for what our runs show not to exist, "
        "as a critical batch size where none costs a point, is *not reproduced*. *Example:* a best batch "
        "size between 1 and 256 is compatible with 64, no more."
    ),
    "8. Parts and readings": (
        "A claim about several data sets holds where it holds on each; the worst part decides. Where the "
        "paper leaves open what it means, every reading is judged and the most favourable one decides. "
        "Intervals are widened for the number of parts and readings (Bonferroni), and what the paper "
        "computed together is read in one way. *Example:* with 48 readings of Eq. (3), an interval must "
        "hold at 99.9 % to count for one of them; S at both batch sizes and their ratio must come from the "
        "same one."
    ),
    "9. Correlations and shares": (
        "The scatter between runs makes a correlation over cells smaller. So the paper's, of one run a "
        "cell, is compared with where those of single runs of ours lie, too. A share of seeds has Wilson's "
        "interval. *Example:* 18 of 20 seeds are 90 % (70 to 97)."
    ),
}


@dataclass(frozen=True)
class Says:
    """What is claimed of a quantity: `relation` value (to `upper` for a range). `rounding` is half of the
    last printed digit; `level` says that it is no effect, although its unit has a value for none."""

    relation: str
    value: float
    unit: str = ""
    upper: float = math.nan
    rounding: float = 0.0
    level: bool = False

    nothing = property(lambda self: math.nan if self.level else NOTHING.get(self.unit, math.nan))
    bound = property(lambda self: self.relation in ("<", "<=", ">", ">="))
    ends = property(lambda self: (self.value, self.upper if self.relation == "range" else self.value))

    def tolerance(self, of: float, span: float = math.nan) -> float:
        """How far from `of` a value may lie and still be the same."""
        most = ABSOLUTE.get(self.unit, RELATIVE.get(self.unit, 0.0) * abs(of))
        fits = self.unit in ("percent", "points") and not math.isnan(span)
        return min(most, OF_SPAN * span) if fits else most


def verdict_of(says: Says, parts: Sequence[Estimate], readings: int = 1) -> str:
    """The verdict on a claim under one of `readings` readings: that of its worst part."""
    found = {judge_part(says, part, raised(len(parts), readings)) for part in parts}
    return next((verdict for verdict in WORST_FIRST if verdict in found), UNTESTABLE)


def raised(parts: int, readings: int) -> float:
    """The level of an interval, raised for the number of parts and readings (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(parts, 1) / max(readings, 1)


def judge_part(says: Says, e: Estimate, level: float = LEVEL) -> str:
    """The verdict on one part."""
    if e.n == 0 or (e.missing and not e.among):
        return DATA
    if math.isnan(e.value):  # computed, and found to have no meaning: a ratio to nothing
        return NOT
    if e.among:
        return _batch_size(says, e)
    if math.isnan(e.low):
        return DATA
    if says.bound:
        return _bound(says, e, level)
    if says.relation == "range":
        return _range(says, e, level)
    if math.isnan(says.nothing) or abs(says.value - says.nothing) <= says.tolerance(says.value, e.span):
        return _number(says, e, level)
    return _effect(says, e, level)


def _number(says: Says, e: Estimate, level: float) -> str:
    low, high = e.interval(level, one_run=True)
    give = says.tolerance(says.value, e.span)
    if low > says.value + give or high < says.value - give:
        return NOT
    if says.value - 2 * give <= low and high <= says.value + 2 * give:
        return REPRODUCED
    return COMPATIBLE if e.narrow(level) else DATA


def _effect(says: Says, e: Estimate, level: float) -> str:
    (low, high), none = e.interval(level), says.nothing
    little, up = _little(says, says.value, e.span), says.value > none
    if (high < none if up else low > none) or (none - little <= low and high <= none + little):
        return NOT
    if low <= none if up else high >= none:
        return DATA
    verdict = _number(says, e, level)
    if verdict == NOT:
        return NOT if abs(e.value - none) <= little else DIRECTION
    low, high = e.interval(level, one_run=True)
    too_wide = high - low > abs(says.value - none)  # it could not tell the printed number from none
    return verdict if verdict == REPRODUCED else DATA if too_wide else COMPATIBLE


def _range(says: Says, e: Estimate, level: float) -> str:
    (low, high), (first, last), none = e.interval(level), says.ends, says.nothing
    give = says.tolerance(first, e.span), says.tolerance(last, e.span)
    if low > last + give[1] or high < first - give[0]:
        same = low > none if first > none else high < none
        away = abs(e.value - none) > _little(says, first, e.span)
        return DIRECTION if same and away else NOT
    return REPRODUCED if first - give[0] <= low and high <= last + give[1] else DATA


def _little(says: Says, claimed: float, span: float) -> float:
    """The size below which an effect is none: the tolerance, or a tenth of what is claimed."""
    tenth = abs(claimed) ** OF_CLAIM - 1 if says.unit == "ratio" else OF_CLAIM * abs(claimed - says.nothing)
    return max(says.tolerance(says.nothing, span), tenth if claimed > 0 or says.unit != "ratio" else 0.0)


def _bound(says: Says, e: Estimate, level: float) -> str:
    (low, high), at = e.interval(level), says.value
    if says.relation.startswith(">"):
        low, high, at = -high, -low, -at  # as if an upper bound
    strict, give = not says.relation.endswith("="), says.tolerance(says.value, e.span)
    little = _little(says, says.value, e.span)
    if high < at if strict else high <= at + give:
        return REPRODUCED
    if low >= at if strict else low > at:
        return NOT
    if strict and says.value == says.nothing and at - little <= low and high <= at + little:
        return NOT  # if something differs from nothing, it does so by less than the tolerance
    return DATA


def _batch_size(says: Says, e: Estimate) -> str:
    first, last = says.ends
    if not any(first <= b <= last for b in e.among):
        return NOT
    if len(e.among) >= e.span:
        return DATA
    return REPRODUCED if all(first / 2 <= b <= 2 * last for b in e.among) else COMPATIBLE


def check(says: Says, parts: Sequence[Estimate]) -> str:
    """What the paper's tables say of a claim: one of `CHECKS`. Parts carry their cells' rounding."""
    parts = [part for part in parts if part.n]
    if not parts:
        return UNCHECKABLE
    if not all(_agrees(says, part) for part in parts):  # a value that is NaN agrees with nothing
        return INCONSISTENT
    return UNCHECKABLE if any(_empty(says, part) for part in parts) else CONSISTENT


def _agrees(says: Says, e: Estimate) -> bool:
    first, last = says.ends
    if e.among:
        return any(first <= b <= last for b in e.among)
    low, high = e.interval()
    if says.bound:
        keeps = {"<": low < first, "<=": low <= first, ">": high > first, ">=": high >= first}
        return keeps[says.relation]
    give = (says.tolerance(first) if says.relation == "~" else says.rounding) + 1e-9
    return low <= last + give and first - give <= high


def _empty(says: Says, e: Estimate) -> bool:
    """A fit so loose that it agrees with the claim and with no effect at all."""
    low, high = e.interval()
    return says.relation in ("=", "~") and low <= says.nothing <= high and says.value != says.nothing
