"""Answers of a few made-up rows, worked out by hand: with another sign, bound or mean one of them fails."""

import math

import pandas as pd
import pytest

from bbatch import metrics
from bbatch.analysis import accuracy, learning_rate_rules, regret
from bbatch.analysis import sharpness_and_batch_size as sharp
from bbatch.analysis.estimate import Estimate
from factories import record
from small_geometry import sharpness_table


def test_the_best_batch_size_is_that_of_the_highest_mean_and_not_of_the_highest_median():
    counts = {8: (190, 190, 160), 64: (186, 185, 187)}
    runs = metrics.frame(
        record(batch_size=b, seed=42 + k, test_correct=c) for b in counts for k, c in enumerate(counts[b])
    )
    assert accuracy.at_a_glance(runs)["best"].tolist() == [64]


@pytest.mark.parametrize(
    "e, text",
    [
        (Estimate(5.0, 3, error=1.0), "5.00\u00a0±\u00a01.96"),
        (Estimate(2.0, 3, "ratio", error=0.5, scale="log"), "2.00 (0.75 to 5.33)"),
        (Estimate(1.0, 3, "ratio", error=0.015, scale="log"), "1.00 (0.97 to 1.03)"),  # 3 % longer above
        (Estimate(1.0, 3, "ratio", error=0.005, scale="log"), "1.00\u00a0±\u00a00.01"),  # 1 %
        (Estimate(99.5, 3, "percent", error=1.0), "99.50 (97.54 to 100.00)"),
        (Estimate(5.0, 1), "5.00"),
        (Estimate(), "–"),
    ],
)
def test_an_interval_is_printed_as_half_of_it_only_where_it_is_symmetric(e, text):
    assert e.text() == text


def gaps(linear, constant=(400, 420, 410)) -> pd.DataFrame:
    """Runs on synthetic-50k at B = 512 whose running gaps are these counts of 40,000."""
    return metrics.frame(
        record("synthetic-50k", 512, 42 + k, 9_000, 36_000 + c, 39_000, lr_rule=rule)
        for rule, counts in (("linear", linear), ("constant", constant))
        for k, c in enumerate(counts)
    )


def test_a_ratio_of_gaps_has_a_number_only_where_the_lower_one_is_told_apart_from_nothing():
    def of(*linear):
        return learning_rate_rules.gap_ratio(gaps(linear), 512, "gap_running")

    clear = of(200, 210, 205)
    assert clear.value == pytest.approx(2.0) and 1.8 < clear.low < 2 < clear.high < 2.2
    assert "sweep synthetic-50k" in of(-100, 300, 10).missing  # may be above 0, may be below
    below = of(-200, -210, -205)
    assert math.isnan(below.value) and below.n == 3 and "is not above 0" in below.shown and not below.missing


def test_a_summary_of_choices_names_the_usual_size_and_the_range():
    rows = pd.DataFrame(
        {
            "problem": "synthetic-1k",
            "method": "always 32",
            "batch_size": [64, 32, 64, 512],
            "test_acc": [95.0, 96.0, 97.0, 94.0],
            "best_acc": [97.0, 97.0, 97.0, 97.0],
            "target_epochs": [3.0, None, 5.0, None],
            "followed": [True, True, True, False],
            "target_s": 2.0,
            "cpu_seconds": [1.0, 2.0, 3.0, 6.0],
        }
    )
    [row] = regret.summary(rows).to_dict("records")
    assert row["batch_sizes"] == "64 (32 to 512)" and (row["n"], row["reached"], row["followed"]) == (4, 2, 3)
    assert row["regret"].mean == pytest.approx(1.5) and row["choice_cpu_s"] == 3.0
    [same] = regret.summary(rows.assign(batch_size=[32, 32, 32, 32]))["batch_sizes"]
    assert same == "32"


def test_sharpness_at_one_batch_size_knows_its_runs_and_the_range_of_all():
    table = sharpness_table()  # S = (seed factor) · B^−0.5 under the linear rule
    other = table.assign(dataset="mnist", id="other" + table["id"])
    found = sharp.sharpness_at(
        sharp.minima(pd.concat([table, other])), "synthetic-50k", 32, "sharpness_l2", "train"
    )
    assert found.value == pytest.approx(6 ** (1 / 3) * 32**-0.5) and found.n == 3
    assert found.span == pytest.approx(3 * 8**-0.5 - 512**-0.5)
    assert set(found.ids) == {"linear320", "linear321", "linear322"}


@pytest.mark.parametrize("networks, said", [(4, False), (5, True)])
def test_a_rank_correlation_needs_five_networks_that_differ(networks, said):
    table = sharpness_table(seeds=1).query("measure == 'sharpness_l2'").head(networks)
    runs = pd.DataFrame({"id": table["id"], "gap": range(networks)})
    assert len(sharp.against_gap(table, runs, "synthetic-50k")) == said
    assert sharp.against_gap(table, runs.assign(gap=1.0), "synthetic-50k").empty
    assert sharp.against_gap(table.assign(value=1.0), runs, "synthetic-50k").empty
