"""The rules against their words (the page of verdicts), written down a second time, for intervals on a grid
that meets every edge: an end that lies exactly on a bound or a tolerance decides."""

import math
from itertools import product

import pytest

from bbatch.analysis.estimate import Estimate
from bbatch.claims import rules
from bbatch.claims.rules import COMPATIBLE, DATA, DIRECTION, NOT, REPRODUCED, Says

ENDS = [x / 4 for x in range(-8, 25)]  # -2 to 6 by quarters: exact in binary, as half a point is
INTERVALS = [(low, high) for low, high in product(ENDS, ENDS) if low <= high and (high - low) < 5]


def fits(unit, value, span):
    """Tolerance: half a point at most, and a tenth of the span; elsewhere a share of the number."""
    if unit == "points":
        return 0.5 if math.isnan(span) else min(0.5, span / 10)
    return {"exponent": 0.05, "ratio": 0.1 * abs(value), "samples": 0.0}[unit]


def within(inner, outer):
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def apart(one, other):
    return one[1] < other[0] or one[0] > other[1]


def like_a_number(found, value, give, span):
    if apart(found, (value - give, value + give)):
        return NOT
    if within(found, (value - 2 * give, value + 2 * give)):
        return REPRODUCED
    return COMPATIBLE if found[1] - found[0] <= span else DATA


def effect(found, mean, value, give, give_none, span):
    """Of a claimed value above nothing, which is 0."""
    little = max(give_none, value / 10)
    if found[1] < 0 or within(found, (-little, little)):
        return NOT
    if found[0] <= 0:
        return DATA
    size = like_a_number(found, value, give, span)
    if size == REPRODUCED:
        return REPRODUCED
    if size == NOT:
        return NOT if mean <= little else DIRECTION
    return DATA if found[1] - found[0] > value else COMPATIBLE


def mirrored(found):
    return -found[1], -found[0]


@pytest.mark.parametrize("span", [10.0, 2.5, math.nan])
@pytest.mark.parametrize("value", [3.0, 0.25, 4.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_and_effects(value, span, sign):
    give = fits("points", value, span)
    for found in INTERVALS:
        mean = sum(found) / 2
        turned = found if sign > 0 else mirrored(found)
        e = Estimate(sign * mean, 5, "points", bounds=turned, span=span)
        number = like_a_number(found, value, give, span)
        assert rules.judge_part(Says("=", sign * value, "points", level=True), e) == number, found
        said = number if value <= give else effect(found, mean, value, give, give, span)
        assert rules.judge_part(Says("=", sign * value, "points"), e) == said, found


@pytest.mark.parametrize("at, nothing", [(0.0, 0.0), (2.0, 0.0), (2.0, math.nan)])
@pytest.mark.parametrize("span", [10.0, 2.5])
def test_bounds(at, nothing, span):
    give = fits("points", at, span)
    for found in INTERVALS:
        upper = Estimate(sum(found) / 2, 5, "points", bounds=found, span=span)
        lower = Estimate(-sum(found) / 2, 5, "points", bounds=mirrored(found), span=span)
        if found[1] < at:
            strict = REPRODUCED
        elif found[0] >= at or (at == nothing and within(found, (at - give, at + give))):
            strict = NOT
        else:
            strict = DATA
        loose = REPRODUCED if found[1] <= at + give else NOT if found[0] > at else DATA
        for relation, expected in (("<", strict), ("<=", loose)):
            says = Says(relation, at, "points", level=math.isnan(nothing))
            assert rules.judge_part(says, upper) == expected, found
            turned = Says(relation.replace("<", ">"), -at, "points", level=math.isnan(nothing))
            assert rules.judge_part(turned, lower) == expected, found


@pytest.mark.parametrize("span", [10.0, 2.5])
def test_ranges(span):
    give = fits("points", 2.0, span)
    for found in INTERVALS:
        mean = sum(found) / 2
        room = (2 - give, 3.5 + give)
        little = max(give, 0.2)
        if within(found, room):
            expected = REPRODUCED
        elif not apart(found, room):
            expected = DATA
        else:
            expected = DIRECTION if found[0] > 0 and abs(mean) > little else NOT
        says = Says("range", 2.0, "points", 3.5)
        assert rules.judge_part(says, Estimate(mean, 5, bounds=found, span=span)) == expected, found
        if expected in (REPRODUCED, DATA):
            level = Says("range", 2.0, "points", 3.5, level=True)
            assert rules.judge_part(level, Estimate(mean, 5, bounds=found, span=span)) == expected


@pytest.mark.parametrize(
    "unit, value, found, expected",
    [
        # A tenth of a claimed ratio is taken on logarithms: of 4 it is 4 ** 0.1, ×1.149.
        ("ratio", 4.0, (1.01, 1.148), NOT),
        ("ratio", 4.0, (1.12, 1.2), DIRECTION),
        ("ratio", 0.25, (0.90, 0.99), NOT),
        ("ratio", 0.25, (0.85, 0.88), DIRECTION),  # ×0.871 and further is more than a tenth of ×0.25
        ("ratio", 4.0, (3.3, 4.7), REPRODUCED),
        ("ratio", 4.0, (3.1, 4.81), COMPATIBLE),
        ("exponent", 0.5, (0.45, 0.6), REPRODUCED),
        ("exponent", 0.5, (0.02, 0.049), NOT),
        ("exponent", 0.5, (0.2, 0.3), DIRECTION),
        ("r", -0.6, (-0.69, -0.51), REPRODUCED),
        ("r", -0.6, (0.1, 0.2), NOT),
        ("R^2", 0.95, (0.935, 0.965), REPRODUCED),
        ("R^2", 0.95, (0.5, 0.93), NOT),
        ("loss", 2.0, (1.61, 2.39), REPRODUCED),
        ("steps", 5.0, (5.0, 5.0), REPRODUCED),  # a unit without a tolerance: exactly
        ("steps", 5.0, (5.01, 5.02), NOT),
    ],
)
def test_tolerances_and_nothing_by_unit(unit, value, found, expected):
    says = Says("=", value, unit)
    e = Estimate(sum(found) / 2, 5, unit, bounds=found, span=math.nan if unit != "r" else 2.0)
    assert rules.judge_part(says, e) == expected


@pytest.mark.parametrize("first, last", [(64, 64), (16, 64)])
def test_batch_sizes(first, last):
    says = Says("=" if first == last else "range", first, "samples", last)
    grid = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    for a in range(7):
        for b in range(a, 7):
            for span in (7, 3):
                among = tuple(grid[a : b + 1])
                hits = [x for x in among if first <= x <= last]
                near = all(first / 2 <= x <= 2 * last for x in among)
                expected = (
                    NOT if not hits else DATA if len(among) >= span else REPRODUCED if near else COMPATIBLE
                )
                e = Estimate(among[0], 9, among=among, span=span)
                assert rules.judge_part(says, e) == expected


def test_what_is_missing_decides_before_what_is_there():
    says = Says("=", 3.0, "points")
    there = dict(n=5, bounds=(2.9, 3.1), span=9.0)
    assert rules.judge_part(says, Estimate(3.0, **there)) == REPRODUCED
    assert rules.judge_part(says, Estimate(3.0, **there, missing="a command")) == DATA
    assert rules.judge_part(says, Estimate(3.0, **there | {"n": 0})) == DATA
    assert rules.judge_part(says, Estimate(math.nan, **there)) == NOT
    assert rules.judge_part(says, Estimate(3.0, n=5, span=9.0)) == DATA
    sizes = Says("=", 8, unit="samples")
    assert rules.judge_part(sizes, Estimate(8, 5, among=(8.0,), span=9, missing="more")) == REPRODUCED


def test_an_interval_is_widened_for_parts_times_readings():
    """Half an interval is 1.959964 errors at 95 %, 2.575829 at 99 %: five parts or readings."""
    says = Says(">", 0.0, "points")
    for half, one, five in (
        (1.959, DATA, DATA),
        (1.961, REPRODUCED, DATA),
        (2.575, REPRODUCED, DATA),
        (2.577, REPRODUCED, REPRODUCED),
    ):
        e = Estimate(0.9, 5, "points", error=0.9 / half, span=1.0)
        assert rules.verdict_of(says, [e]) == one
        assert rules.verdict_of(says, [e], readings=5) == rules.verdict_of(says, [e] * 5) == five


@pytest.mark.parametrize(
    "relation, value, rounding, found, nothing, expected",
    [
        ("=", 3.0, 0.05, (3.05, 3.2), 0.0, "consistent"),
        ("=", 3.0, 0.05, (3.06, 3.2), 0.0, "inconsistent"),
        ("=", 3.0, 0.05, (2.8, 2.95), 0.0, "consistent"),
        ("=", 3.0, 0.05, (2.8, 2.94), 0.0, "inconsistent"),
        ("~", 3.0, 0.05, (3.5, 3.6), 0.0, "consistent"),  # half a point
        ("~", 3.0, 0.05, (3.51, 3.6), 0.0, "inconsistent"),
        ("=", 3.0, 0.05, (0.0, 3.2), 0.0, "not checkable"),
        ("=", 3.0, 0.05, (0.01, 3.2), 0.0, "consistent"),
        ("=", 0.0, 0.05, (-0.1, 0.2), 0.0, "consistent"),
        ("~", 3.0, 0.05, (-3.0, 3.2), 0.0, "not checkable"),
        ("range", 2.0, 0.5, (3.99, 5.0), 0.0, "consistent"),
        ("range", 2.0, 0.5, (-3.0, 2.5), 0.0, "consistent"),
        ("<=", 2.0, 0.0, (2.0, 2.1), 0.0, "consistent"),
        ("<=", 2.0, 0.0, (2.1, 2.2), 0.0, "inconsistent"),
        ("<", 2.0, 0.0, (2.0, 2.1), 0.0, "inconsistent"),
        (">=", 2.0, 0.0, (1.9, 2.0), 0.0, "consistent"),
        (">=", 2.0, 0.0, (1.8, 1.9), 0.0, "inconsistent"),
        (">", 2.0, 0.0, (1.9, 2.0), 0.0, "inconsistent"),
        (">", 2.0, 0.0, (1.9, 2.1), 0.0, "consistent"),
    ],
)
def test_what_the_papers_own_tables_say(relation, value, rounding, found, nothing, expected):
    says = Says(
        relation, value, "points", 3.5 if relation == "range" else math.nan, rounding, math.isnan(nothing)
    )
    part = Estimate(sum(found) / 2, 1, bounds=found)
    assert rules.check(says, [part]) == expected
    assert rules.check(says, [part, Estimate()]) == expected  # a part that has no cell is not asked
    sure = Estimate(value, 1, bounds=(value, value))
    if relation in ("=", "~", "range", "<=", ">="):
        assert rules.check(says, [sure, part]) == expected


def test_printed_optima_agree_where_one_of_the_likely_ones_does():
    says = Says("range", 16, "samples", 64)
    for among, expected in (
        ((8.0, 64.0), "consistent"),
        ((8.0, 128.0), "inconsistent"),
        ((16.0,), "consistent"),
    ):
        assert rules.check(says, [Estimate(among[0], 1, among=among)]) == expected
