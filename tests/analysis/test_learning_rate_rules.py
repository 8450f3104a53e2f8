"""Learning-rate rules side by side, on made-up records whose answers are known."""

import numpy as np
import pytest
from scipy import stats

from bbatch import metrics
from bbatch.analysis import learning_rate_rules
from factories import record
from made_up import lent


def images(rule, correct, epochs, seed=42, precision="bf16", dataset="cifar10", batch_size=1024):
    """A record of `epochs` epochs with the same number of right answers after each."""
    r = record(dataset, batch_size, seed, correct, 40_000, 41_000, lr_rule=rule, precision=precision)
    r["history"] = {k: (v * epochs)[:epochs] for k, v in r["history"].items()} | {
        "test_correct": [correct] * epochs
    }
    r["observed"] |= {"seconds": [1.0] * epochs, "cpu_seconds": [1.0] * epochs}
    return r


def table(*records):
    return learning_rate_rules.side_by_side(metrics.curves(records), "cifar10", 1024).set_index("rule")


def test_rules_are_compared_seed_by_seed():
    runs = [
        record(dataset="synthetic-50k", batch_size=512, seed=42 + k, test_correct=c, lr_rule=rule)
        for rule, cs in (("linear", (9900, 9910, 9890)), ("constant", (9890, 9905, 9870)))
        for k, c in enumerate(cs)
    ]
    effect = learning_rate_rules.effect(metrics.frame(runs)).set_index(["batch_size", "rule"])["test_acc"]
    cells = [99.0, 99.1, 98.9], [98.9, 99.05, 98.7]
    # Four degrees of freedom, of which the differences' own two count once.
    pooled = sum(np.var(c, ddof=1) for c in cells) / 2
    prior = lent([2, 2], own=2)
    variance = (2 * np.var([-0.1, -0.05, -0.2], ddof=1) + prior * 2 * pooled) / (2 + prior)
    low, high = stats.t.interval(0.95, 2 + prior, -0.35 / 3, np.sqrt(variance / 3))
    constant = effect[512, "constant"]
    assert (constant.value, constant.low, constant.high) == pytest.approx((-0.35 / 3, low, high))
    assert effect[512, "sqrt"].n == 0


def test_rules_stand_side_by_side_after_equally_many_epochs():
    found = table(images("linear", 1_000, 5), images("constant", 5_000, 3), images("sqrt", 6_000, 5))
    assert found["epoch"].to_dict() == {"constant": 3, "sqrt": 5} and found["n"].tolist() == [1, 1]
    assert found.loc["constant", "other"].mean == pytest.approx(50.0)
    assert found.loc["constant", "linear"].mean == pytest.approx(10.0)
    assert (
        found.loc["sqrt", "difference"].mean == pytest.approx(50.0) and found.loc["sqrt", "difference"].n == 1
    )
    low, high = stats.binomtest(5_000, 10_000).proportion_ci(method="wilson")
    assert (found.loc["constant", "other"].low, found.loc["constant", "other"].high) == pytest.approx(
        (100 * low, 100 * high)
    )


def test_only_seeds_of_both_rules_in_one_arithmetic_are_paired():
    found = table(
        images("linear", 1_000, 5),
        images("linear", 2_000, 5, 43),
        images("linear", 9_000, 5, 44),
        images("constant", 5_000, 5),
        images("constant", 6_500, 5, 43),
        images("constant", 7_000, 5, 44, "fp32"),
    )
    assert found.loc["constant", "n"] == 2 and found.loc["sqrt", ["n", "epoch"]].tolist() == [0, 0]
    difference = found.loc["constant", "difference"]
    low, high = stats.t.interval(0.95, 1, 42.5, stats.sem([40, 45]))
    assert (difference.mean, difference.low, difference.high) == pytest.approx((42.5, low, high))
    twice = table(
        images("linear", 1_000, 5),
        images("linear", 1_200, 5, precision="fp32"),
        images("constant", 5_000, 5),
        images("constant", 5_200, 5, precision="fp32"),
    )
    # fp32 first
    assert twice.loc["constant", "n"] == 1 and twice.loc["constant", "other"].mean == pytest.approx(52.0)


def test_runs_on_part_of_the_samples_and_failed_ones_stay_out():
    whole, part, failed = (
        images("linear", 1_000, 5),
        images("linear", 1_000, 5, 43),
        images("linear", 1_000, 5, 44),
    )
    part["run"]["n_train"] = 2048
    failed["observed"]["failure"] = "out of memory"
    records = dict(enumerate([whole, part, failed, record("synthetic-1k")]))
    assert learning_rate_rules.of_images(records) == [whole]


def test_rules_without_a_run_have_a_row_that_says_so():
    curves = metrics.curves([images("linear", 1_000, 50), images("constant", 5_000, 3)])
    found = learning_rate_rules.at_large_sizes(curves)
    # two rules; from 128 up CIFAR-10 has four sizes, MNIST three and its base, where rules are one
    assert len(found) == 14
    assert not ((found["dataset"] == "mnist") & (found["batch_size"] == 256)).any()
    found = found.set_index(["dataset", "batch_size", "rule"])
    done = found.loc[("cifar10", 1024, "constant")]
    assert done["epoch"] == 3 and done["difference"].mean == pytest.approx(40.0)
    assert found.loc[("mnist", 128, "sqrt"), "n"] == 0
