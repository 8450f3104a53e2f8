"""The rules, case by case, by hand."""

import math

import pytest

from bbatch.analysis.estimate import Estimate
from bbatch.claims import rules
from bbatch.claims.rules import (
    COMPATIBLE,
    CONSISTENT,
    DATA,
    DIRECTION,
    INCONSISTENT,
    NOT,
    REPRODUCED,
    UNCHECKABLE,
    UNTESTABLE,
    Says,
)

NAN, INF = math.nan, math.inf


def p(relation, value, unit, upper=NAN, rounding=0.0, level=False):
    return Says(relation, value, unit, upper, rounding, level)


def around(value, mean, run=None, unit="points", span=10.0, n=20, **more):
    """An estimate whose interval reaches `mean` to either side, and that of one more run `run`."""
    z = 1.959964
    run = mean if run is None else run
    return Estimate(value, n, unit, error=mean / z, one_run=run / z, span=span, **more)


def ratio(value, mean, run=None, n=20):
    """The same on the scale of logarithms: a factor of `mean` to either side."""
    run = mean if run is None else run
    return Estimate(value, n, "ratio", error=math.log(mean) / 1.96, one_run=math.log(run) / 1.96, scale="log")


@pytest.mark.parametrize(
    "put, found, expected",
    [
        # A number: one more run within two tolerances, outside of one, or too wide to say.
        (p("=", 90.0, "percent"), around(90.1, 0.1, 0.4), REPRODUCED),
        (p("=", 90.0, "percent"), around(90.1, 0.1, 1.5), COMPATIBLE),
        (
            p("=", 90.0, "percent"),
            around(90.1, 0.1, 6.0),
            DATA,
        ),  # 12 points wide, where all runs lie within 10
        (p("=", 90.0, "percent"), around(47.7, 130, 130, span=60), DATA),  # and not for its centre, either
        (p("=", 90.0, "percent"), around(92.0, 0.1, 1.4), NOT),
        (p("=", 99.0, "percent"), around(99.2, 0.1, 0.1, span=0.8), NOT),  # the tolerance fits the range
        (p("=", 99.0, "percent"), around(99.2, 0.1, 0.1, span=8), REPRODUCED),
        (p("=", 90.0, "percent"), Estimate(90.0, 1, "percent"), DATA),  # one run and no scatter
        # An effect: there, of that size, of another, on the other side, within the tolerance of nothing.
        (p("=", 4.0, "points"), around(4.1, 0.3, 0.6), REPRODUCED),
        (p("=", 4.0, "points"), around(4.1, 0.3, 1.5), COMPATIBLE),
        (
            p("=", 4.0, "points"),
            around(4.1, 2.0, 4.0),
            DATA,
        ),  # one more run could be nothing, or twice as much
        (p("=", 4.0, "points"), around(1.6, 0.5, 0.8), DIRECTION),
        (p("=", 4.0, "points"), around(-1.0, 0.5), NOT),
        (p("=", 4.0, "points"), around(0.1, 0.3), NOT),
        (p("=", 4.0, "points"), around(2.0, 3.0), DATA),
        (p("=", 10.0, "points"), around(0.10, 0.04), NOT),  # no smaller effect, but none worth the name
        (p("=", 2.0, "points"), around(0.09, 0.03, span=0.5), NOT),
        (p("=", 0.3, "points"), around(0.1, 0.2, 0.4), REPRODUCED),  # little is claimed, and little is there
        (p("=", 6.9, "ratio"), ratio(7.0, 1.05), REPRODUCED),
        (p("=", 6.9, "ratio"), ratio(1.7, 1.2), DIRECTION),
        (p("=", 6.9, "ratio"), ratio(1.1, 1.05), NOT),
        (p("=", 6.9, "ratio"), ratio(0.8, 1.1), NOT),
        (p("=", 6.9, "ratio"), ratio(2.0, 4.0), DATA),
        # A range.
        (p("range", 10, "ratio", 50), ratio(20.0, 1.3), REPRODUCED),
        (p("range", 10, "ratio", 50), ratio(10.0, 1.3), DATA),  # both inside and outside
        (p("range", 10, "ratio", 50), ratio(4.0, 1.2), DIRECTION),
        (p("range", 10, "ratio", 50), ratio(70.0, 1.1), DIRECTION),
        (p("range", 2, "points", 6), around(0.1, 0.1), NOT),
        # ... whose ends have a tolerance each: from 9 to 55.
        (p("range", 10, "ratio", 50), ratio(9.5, 1.04), REPRODUCED),
        (p("range", 10, "ratio", 50), ratio(8.0, 1.05), DIRECTION),
        (p("range", 10, "ratio", 50), ratio(52.0, 1.04), REPRODUCED),
        (p("range", 10, "ratio", 50), ratio(57.0, 1.03), DIRECTION),
        # A bound.
        (p(">", 0, "points"), around(0.7, 0.2), REPRODUCED),
        (p(">", 0, "points"), around(-0.7, 0.2), NOT),
        (
            p(">", 0, "points"),
            around(0.1, 0.3),
            NOT,
        ),  # if there is an effect, it is within the tolerance of none
        (p("<=", 0, "points"), around(0.1, 0.3), REPRODUCED),  # and this claims none
        (p("<=", 0, "points"), around(0.1, 0.6), DATA),
        (p(">", 0, "points"), around(0.1, 0.9), DATA),
        (p("<", 2, "points", level=True), around(1.5, 0.3), REPRODUCED),
        (p("<", 2, "points", level=True), around(2.5, 0.3), NOT),
        (p("<", 2, "points", level=True), around(1.9, 0.3), DATA),
        (p("<", 0.001, "p"), Estimate(0.3, 9, "p", bounds=(0.3, 0.3)), NOT),
        (p("<", 0.001, "p"), Estimate(0.0001, 9, "p", bounds=(0.0001, 0.0001)), REPRODUCED),
        # Batch sizes, of nine.
        (p("=", 64, "samples"), Estimate(64, 20, among=(64.0,), span=9), REPRODUCED),
        (p("=", 64, "samples"), Estimate(32, 20, among=(32.0, 64.0, 128.0), span=9), REPRODUCED),
        (p("=", 64, "samples"), Estimate(32, 20, among=(16.0, 64.0), span=9), COMPATIBLE),
        (p("=", 64, "samples"), Estimate(32, 20, among=(16.0, 32.0), span=9), NOT),
        (p("=", 64, "samples"), Estimate(64, 20, among=(64.0, 129.0), span=9), COMPATIBLE),
        (p("=", 64, "samples"), Estimate(64, 20, among=(31.0, 64.0), span=9), COMPATIBLE),
        (p("=", 64, "samples"), Estimate(32, 20, among=tuple(map(float, range(60, 69))), span=9), DATA),
        (p("=", 64, "samples"), Estimate(INF, 20, among=(INF,), span=9), NOT),
        (p("range", 32, "samples", 64), Estimate(16, 20, among=(16.0, 128.0), span=9), NOT),
        (p("=", 3, "ratio"), Estimate(NAN, 5), NOT),  # there is no such ratio
        (p("=", 3, "ratio"), Estimate(), DATA),
    ],
)
def test_the_verdict_on_a_part(put, found, expected):
    assert rules.judge_part(put, found) == expected


def test_a_claim_is_as_good_as_its_worst_part():
    put = p("=", 4.0, "points")
    good, weak, bad, hole = around(4.0, 0.2), around(1.6, 0.3), around(-1.0, 0.3), Estimate()
    assert (
        rules.verdict_of(put, [good, good]) == REPRODUCED and rules.verdict_of(put, [good, weak]) == DIRECTION
    )
    assert (
        rules.verdict_of(put, [good, weak, hole]) == DATA
        and rules.verdict_of(put, [good, weak, hole, bad]) == NOT
    )
    assert rules.verdict_of(put, []) == UNTESTABLE


def test_parts_and_readings_widen_the_intervals():
    put, found = p(">", 0, "points"), around(0.8, 0.7, span=1.0)  # clear at 95 %, not at 99.8 %
    assert (
        rules.verdict_of(put, [found]) == REPRODUCED and rules.verdict_of(put, [found], readings=24) == DATA
    )
    assert rules.verdict_of(put, [found] * 24) == DATA


def test_tolerances_fit_the_range_of_the_data_set():
    put = p("=", 99.0, "percent")
    assert put.tolerance(99.0, 60.0) == 0.5 and put.tolerance(99.0, 0.83) == pytest.approx(0.083)
    assert p("=", 6.9, "ratio").tolerance(6.9) == pytest.approx(0.69)
    assert p("=", 6.9, "ratio").tolerance(6.9, 1.0) == pytest.approx(0.69)  # a ratio's does not


@pytest.mark.parametrize(
    "put, low, high, expected",
    [
        (p("=", 7.9, "points", rounding=0.05), 8.0, 8.2, INCONSISTENT),
        (p("=", 8.1, "points", rounding=0.05), 8.0, 8.2, CONSISTENT),
        (p("=", 8.25, "points", rounding=0.05), 8.0, 8.2, CONSISTENT),
        (p("~", 3.0, "ratio", rounding=0.5), 2.7, 2.8, CONSISTENT),
        (p("~", 0.5, "exponent", rounding=0.05), -0.1, 0.6, UNCHECKABLE),
        (p("~", 0.5, "exponent", rounding=0.05), 0.1, 0.3, INCONSISTENT),
        (p("range", 2, "points", 6), 1.0, 1.4, INCONSISTENT),
        (p("range", 2, "points", 6, 0.5), 1.0, 1.6, CONSISTENT),
        (p("<", 2, "points"), 2.0, 2.01, INCONSISTENT),
        (p("<", 2, "points"), 1.99, 2.01, CONSISTENT),
    ],
)
def test_the_check_against_the_paper(put, low, high, expected):
    assert rules.check(put, [Estimate((low + high) / 2, 1, bounds=(low, high))]) == expected


def test_what_the_paper_cannot_give_is_not_checkable_and_what_has_no_value_is_inconsistent():
    assert rules.check(p("=", 1, "ratio"), [Estimate()]) == UNCHECKABLE == rules.check(p("=", 1, "ratio"), [])
    assert rules.check(p("=", 1, "ratio"), [Estimate(NAN, 3)]) == INCONSISTENT
