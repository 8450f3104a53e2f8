"""The rules by which a claim is judged, and their tolerances: fixed before any claim was evaluated, the same for all.

A claim is put as a `Proposition` (a relation of a quantity to a number), the quantity is computed twice, from the
paper's tables and from our runs, and comes as one `Part` or several (a data set each, say). A claim with several
parts says "each of them", so the worst part decides, and the level of their intervals is raised by Bonferroni's
correction before they come here. The rules, in words, are `EXPLAINED`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..statistics import LEVEL

REPRODUCED, DIRECTION, NOT, DATA, UNTESTABLE = (
    "reproduced",
    "direction only",
    "not reproduced",
    "not enough data",
    "not testable",
)
VERDICTS = (REPRODUCED, DIRECTION, NOT, DATA, UNTESTABLE)
CONSISTENT, INCONSISTENT, UNCHECKABLE = "consistent", "inconsistent", "not checkable"
CHECKS = (CONSISTENT, INCONSISTENT, UNCHECKABLE)
FAVOUR = (REPRODUCED, DIRECTION, DATA, NOT, UNTESTABLE)  # of several readings, the first of these is named
CHECKS_FAVOUR = (CONSISTENT, UNCHECKABLE, INCONSISTENT)

# How far from the published number ours may lie and still count as the same. Half a point is half of what the paper
# itself calls a fall worth naming (Section IV-G); a share of the number where the quantity has no scale of its own.
ABSOLUTE = {"percent": 0.5, "points": 0.5, "exponent": 0.05, "r": 0.05, "R^2": 0.01}
RELATIVE = {"ratio": 0.1, "loss": 0.1}
FEW = 5  # seeds; with fewer, an interval over seeds is too wide to confirm anything by being wide
NEUTRAL = {"points": 0.0, "ratio": 1.0, "exponent": 0.0, "r": 0.0}  # no effect; units not listed are levels

EXPLAINED = {
    "level": "An accuracy, a gap, a loss or an R² is reproduced where the printed number lies in the interval of *one "
    "more run* of ours (with one seed: in the sampling error of the test set), widened by the tolerance.",
    "effect": f"A difference, a ratio, an exponent or a correlation is reproduced where the printed number lies in the "
    f"{100 * LEVEL:g} % interval of our mean, widened by the tolerance, and the effect is told apart from "
    "none. Clear of none on the same side but of another size: direction only. An interval that holds both "
    "the printed number and no effect decides nothing: not enough data.",
    "few seeds": f"With fewer than {FEW} seeds, but more than one, an interval is so wide that it confirms little: a "
    'printed level or effect that only its width takes in gets "not enough data". So does a single run '
    "of a quantity that has no interval.",
    "range": "As an effect or a level, with a range in the place of the printed number.",
    "bound": 'A bound, or a claim in words put as one ("falls" is a change below nothing), is reproduced where our '
    "whole interval keeps to it and not reproduced where none of it does. Where the interval holds the bound "
    "but nothing farther from it than the tolerance, a claim that something differs from nothing is not "
    "reproduced, any other is. A wider interval decides nothing: not enough data.",
    "batch size": f"An optimum or a B* is drawn again and again, from our seeds with replacement (from the sampling "
    f"error of the test set where there are fewer than {FEW}). It is reproduced where it lies among the "
    f"likeliest outcomes that make up {100 * LEVEL:g} % of the draws; where these are all batch sizes, "
    "not enough data.",
    "each": "A claim about several data sets or batch sizes is judged at each, with Bonferroni's correction of the "
    "intervals, and is as good as its worst part. One part that fails settles it; a part not yet run leaves "
    "it open.",
    "readings": "What the paper leaves open is judged in each reading. The claim has the most favourable verdict of them; "
    "of several readings with that verdict, the one nearest to the printed number is named.",
    "the paper": "The printed number must follow from its tables within the rounding of what is printed (within the "
    'tolerance where the paper writes "approximately").',
}


@dataclass(frozen=True)
class Proposition:
    """quantity `relation` value (to `upper` for a range), in `unit`; `rounding` is half of the last printed digit."""

    relation: str
    value: float
    upper: float
    unit: str
    rounding: float

    def tolerance(self, of: float) -> float:
        return ABSOLUTE.get(self.unit, RELATIVE.get(self.unit, 0.0) * abs(of))

    @property
    def ends(self) -> tuple[float, float]:
        """The published number twice, or the two ends of its range."""
        return self.value, (self.upper if self.relation == "range" else self.value)


@dataclass(frozen=True)
class Part:
    """One value of a quantity with its interval.

    `low` and `high` are NaN where there is no interval; `n` counts seeds (or cells, where `counted` says so), 0 where
    nothing is recorded; `missing` names what is not recorded although the value needs it; `shown` is the arithmetic
    as text; `of` says what the interval is of; `among` lists the outcomes that a batch size was found to be one of.
    """

    label: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    shown: str = ""
    missing: str = ""
    of: str = ""
    counted: str = "seeds"
    among: tuple[float, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        return (
            (self.value, self.value)
            if math.isnan(self.low) or math.isnan(self.high)
            else (self.low, self.high)
        )


def judge(p: Proposition, parts: list[Part]) -> str:
    """The verdict of our runs on a proposition: one of `VERDICTS`; the worst part decides."""
    found = {judge_part(p, part) for part in parts}
    return next((verdict for verdict in (NOT, DATA, DIRECTION, REPRODUCED) if verdict in found), UNTESTABLE)


def judge_part(p: Proposition, part: Part) -> str:
    """The verdict on one part."""
    if part.n == 0 or part.missing:
        return DATA
    if math.isnan(part.value):  # computed, and found to have no meaning: a ratio to nothing
        return NOT
    if part.n == 1 and math.isnan(part.low):  # a single run, with nothing that says how far it may be off
        return DATA
    if part.among:
        return REPRODUCED if _among(p, part) else NOT
    low, high = part.bounds
    if p.relation in ("<", "<=", ">", ">="):
        return _bound(p, low, high)
    (first, last), neutral = p.ends, NEUTRAL.get(p.unit)
    tolerance = p.tolerance(first)
    inside = low <= last + p.tolerance(last) and first - tolerance <= high
    near = first - tolerance <= part.value <= last + p.tolerance(last)
    confirmed = REPRODUCED if near or part.n == 1 or part.n >= FEW else DATA
    if neutral is None:
        return confirmed if inside else NOT
    clear = low > neutral or high < neutral
    if not clear:
        if abs(first - neutral) <= tolerance and high - low <= 2 * tolerance:
            return REPRODUCED  # little is claimed, and little is there
        return DATA if low <= last and first <= high else NOT
    same = (part.value - neutral) * (first - neutral) > 0
    return confirmed if inside and same else DIRECTION if same else NOT


def distance(p: Proposition, parts: Iterable[Part]) -> float:
    """How far the worst part lies from the printed number or range, to choose between readings with one verdict."""
    if p.relation in ("<", "<=", ">", ">="):
        return 0.0
    first, last = p.ends
    far = [max(first - part.value, part.value - last, 0.0) for part in parts]
    return max((x if math.isfinite(x) else math.inf for x in far), default=math.inf)


def _bound(p: Proposition, low: float, high: float) -> str:
    kept = [_keeps(p, low), _keeps(p, high)]
    if all(kept):
        return REPRODUCED
    if not any(kept):
        return NOT
    if max(high - p.value, p.value - low) > p.tolerance(p.value):
        return DATA
    claims_an_effect = p.relation in ("<", ">") and p.value == NEUTRAL.get(p.unit)
    return NOT if claims_an_effect else REPRODUCED


def _keeps(p: Proposition, x: float) -> bool:
    return {"<": x < p.value, "<=": x <= p.value, ">": x > p.value, ">=": x >= p.value}[p.relation]


def check(p: Proposition, parts: list[Part]) -> str:
    """What the paper's own tables say of a proposition: one of `CHECKS`. Parts carry the rounding of their cells."""
    parts = [part for part in parts if part.n]
    if not parts:
        return UNCHECKABLE
    if not all(_agrees(p, part) for part in parts):  # a value that is NaN agrees with nothing
        return INCONSISTENT
    return UNCHECKABLE if any(_empty(p, part) for part in parts) else CONSISTENT


def _among(p: Proposition, part: Part) -> bool:
    first, last = p.ends
    return any(first <= outcome <= last for outcome in part.among)


def _agrees(p: Proposition, part: Part) -> bool:
    if part.among:
        return _among(p, part)
    low, high = part.bounds
    if p.relation in ("<", "<=", ">", ">="):
        return _keeps(p, low) or _keeps(p, high)
    first, last = p.ends
    give = (p.tolerance(first) if p.relation == "~" else p.rounding) + 1e-9
    return low <= last + give and first - give <= high


def _empty(p: Proposition, part: Part) -> bool:
    """A fit so loose that it agrees with the claim and with no effect at all."""
    neutral, (low, high) = NEUTRAL.get(p.unit), part.bounds
    return p.relation in ("=", "~") and neutral is not None and low <= neutral <= high and p.value != neutral
