"""Intervals as claims show them, and the bars of the calibration."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch.analysis.estimate import Estimate
from bbatch.pages import statement_table, verdict_in_words

Z = stats.norm.ppf(0.975)


def test_an_interval_says_where_the_mean_lies_and_where_one_more_run_would():
    e = Estimate(5.0, 3, "points", "over seeds", error=1 / Z, one_run=2 / Z)
    text = statement_table._interval(e, "points")
    assert "(4.00 to 6.00; one more run 3.00 to 7.00), over seeds, n = 3 seeds" in text
    bare = statement_table._interval(Estimate(5.0, 3, "points", error=1 / Z, counted="cells"), "points")
    assert bare.endswith("(4.00 to 6.00), n = 3 cells")
    assert statement_table._interval(Estimate(5.0, 1, "points"), "points").endswith(", n = 1 seeds")
    among = statement_table._interval(Estimate(64.0, 4, "samples", "draws", among=(64.0,)), "samples")
    assert among.endswith("(draws, n = 4)")


def test_the_bars_of_the_calibration_are_the_worst_of_each_kind_with_what_the_draws_leave():
    rows = [("a", 1, 2.0), ("a", 1, 5.0), ("a", 20, 1.0), ("a", 3, 4.0), ("b", 1, 0.0), ("b", 3, 100.0)]
    table = pd.DataFrame(rows, columns=["kind", "n", "wrong"]).assign(draws=400)
    figure = verdict_in_words.figure_calibration(table)
    for axis, expected in zip(figure.axes, ([5.0, 4.0, 1.0], [0.0, 100.0]), strict=False):
        [bars] = axis.containers
        assert bars.lines[0].get_ydata().tolist() == expected
        ends = [segment[:, 1] for segment in bars.lines[2][0].get_segments()]
        for share, (low, high) in zip(expected, ends, strict=True):
            wilson = stats.binomtest(round(4 * share), 400).proportion_ci(method="wilson")
            assert (low, high) == pytest.approx((100 * wilson.low, 100 * wilson.high), abs=1e-9)
        assert [line.get_ydata() for line in axis.lines if np.allclose(line.get_ydata(), 5.0)]
