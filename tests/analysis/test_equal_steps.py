"""Gaps at equal epochs and at equal steps, and what a warm-up changes, on tables written by hand."""

import pandas as pd
import pytest

from bbatch.analysis import equal_steps, warm_up
from bbatch.errors import BadInput
from bbatch.statistics import paired_difference

COLUMNS = ["dataset", "lr_rule", "batch_size", "epochs", "seed", "test_acc"]


def table(cells):
    """{(rule, batch size, epochs): accuracies of seeds 42, 43, ...}"""
    rows = [
        ["synthetic-1k", rule, b, epochs, 42 + k, value]
        for (rule, b, epochs), values in cells.items()
        for k, value in enumerate(values)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_gaps_by_hand():
    base = [95, 96.2, 94.1, 95.7, 96.4, 94.9, 95.5, 96.1]
    epochs = [91, 92.3, 89.2, 93.9, 90.4, 88.7, 92.2, 91.1]
    steps = [94, 95.1, 94.4, 93.1, 95.6, 92.8, 94.7, 95.9]
    runs = table({("linear", 32, 50): base, ("sqrt", 512, 50): epochs, ("sqrt", 512, 625): steps})
    row = equal_steps.gaps_closed(runs).iloc[0]
    assert (row["dataset"], row["rule"], row["batch_size"]) == ("synthetic-1k", "sqrt", 512)
    assert row["at_equal_epochs"] == paired_difference(base, epochs) and row["at_equal_epochs"].n == 8
    assert row["at_equal_steps"] == paired_difference(base, steps)


def test_seeds_without_all_three_are_left_out():
    runs = table(
        {
            ("linear", 32, 50): [95, 96, 94, 90],
            ("linear", 64, 50): [95, 95, 94.5, None],
            ("linear", 64, 96): [96, 95, 94, 1],
        }
    )
    row = equal_steps.gaps_closed(runs).iloc[0]
    assert row["at_equal_steps"].n == 3 and row["at_equal_epochs"].mean == pytest.approx(0.5 / 3)
    with pytest.raises(BadInput, match="B = 64 needs runs of one length above 50 epochs; there are 2"):
        equal_steps.gaps_closed(pd.concat([runs, table({("linear", 64, 97): [1]})]))


def test_warm_up_is_paired_by_seed():
    rows = [
        ["synthetic-1k", 256, w, 42 + k, a, f"{w}-{k}"]
        for w, values in ((0, [90, 92, 97, 50]), (1, [91, 94, 97.5]))  # the last seed has no twin
        for k, a in enumerate(values)
    ]
    runs = pd.DataFrame(rows, columns=["dataset", "batch_size", "warmup_epochs", "seed", "test_acc", "id"])
    row = warm_up.warm_up_effect(runs.sample(frac=1, random_state=0)).iloc[0]
    by_hand = paired_difference([91, 94, 97.5], [90, 92, 97])
    assert (row["difference"].value, row["difference"].n) == (by_hand.mean, 3)
    assert (row["difference"].how, row["difference"].unit) == ("paired by seed", "points")
    assert row["difference"].interval() == pytest.approx((by_hand.low, by_hand.high))
    assert (row["with_it"], row["without"]) == pytest.approx((282.5 / 3, 93))
    assert [e.value for e in warm_up.gains(runs)] == pytest.approx([by_hand.mean])
    none = warm_up.gains(runs.iloc[:0])[0]
    assert "studies warm-up" in none.missing and none.unit == "points"


def test_where_neither_rate_nor_steps_are_tied_to_the_batch():
    """Each size at the rate that the held-out samples choose: 0.1 for B = 32, 0.2 for 512; two seeds."""

    def runs(dataset, b, seeds, accuracies):
        """{rate: held-out and test accuracy}"""
        return pd.DataFrame(
            [[dataset, b, rate, seed, *pair] for rate, pair in accuracies.items() for seed in seeds],
            columns=["dataset", "batch_size", "lr", "seed", "held_out_acc", "test_acc"],
        )

    at_32, at_512 = {0.1: (95, 91), 0.2: (94, 99)}, {0.1: (90, 98), 0.2: (92, 91.5)}
    by_epochs = pd.concat(
        [
            runs("synthetic-1k", 32, (42, 43), at_32),
            runs("synthetic-1k", 32, (44,), {0.1: (10, 10), 0.2: (99, 99)}),  # has no run of equal steps
            runs("synthetic-1k", 512, (42, 43, 44), {0.1: (95, 80), 0.2: (94, 80)}),  # equal epochs
        ]
    )
    by_steps = pd.concat([runs(name, 512, (42, 43), at_512) for name in ("synthetic-1k", "synthetic-10k")])
    found = equal_steps.cost_at_best_rates(by_epochs, by_steps).set_index("batch_size")["difference"]
    assert list(found.index) == [32, 512] and (found[32].mean, found[512].n) == (0, 2)
    assert [found[512].mean, found[512].low, found[512].high] == [0.5] * 3
