"""The rules by which a claim is judged. Whatever is not written here does not enter a verdict.

A claim says something of a quantity (`Says`): that it has a value, lies in a range, keeps to a bound. The
quantity is an `Estimate`, or several where a claim speaks of several data sets. A verdict is firm where it
could be wrong: *reproduced*, *direction only*, *not reproduced*. Each firm verdict needs the whole of an
interval, so that it is wrong in few cases whatever the number of runs; `python -m bbatch.claims.calibration`
counts them. Where the interval is too wide, the verdict is not firm: *not enough data* or, for a number that
our runs could have given but not pinned down, *compatible*. The rules were revised after the first results
were known; they were tuned on simulated papers alone.

The page of verdicts says the rules in words, with an example each.
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
