"""B* by the paper's definition, on accuracies made for each case, and the bootstrap over seeds."""

import numpy as np
import pandas as pd
import pytest

from bbatch import published
from bbatch.analysis import critical_batch_size as module
from bbatch.analysis.critical_batch_size import BELOW, FOUND, NEVER, Critical, critical_batch_size
from bbatch.errors import BadInput


@pytest.mark.parametrize(
    "accuracy, expected",
    [
        ({8: 95.0, 32: 96.0, 128: 95.5, 512: 94.9}, Critical(32, 512, 512, FOUND)),
        ({8: 94.0, 32: 96.0, 128: 95.5, 512: 94.9}, Critical(32, 512, 8, FOUND)),  # to the letter, B* is 8
        ({1: 92.0, 32: 95.9, 512: 96.0}, Critical(512, None, 1, BELOW)),
        ({1: 95.5, 32: 96.0, 512: 95.0}, Critical(32, None, None, NEVER)),  # exactly 1 % is not more than 1 %
        ({1: 96.0, 32: 96.0, 512: 90.0}, Critical(1, 512, 512, FOUND)),  # a tie goes to the smallest
    ],
)
def test_every_case_by_name(accuracy, expected):
    assert critical_batch_size(accuracy) == expected


def test_definition_applied_to_printed_cells_by_brute_force():
    for name in ("mnist", "cifar10", "synthetic-1k"):
        cells = dict(zip(*(published.results(name)[c] for c in ("batch_size", "test_acc")), strict=True))
        peak = max(cells.values())
        below = [b for b in cells if cells[b] < peak - 1]
        assert module.from_paper(name).literal == (min(below) if below else None)


def test_bootstrap_draws_seeds_in_pairs():
    # B = 32 beats B = 8 for every seed, though the seeds differ by far more than the batch sizes do
    rows = [("made", 8, s, 50.0 + 10 * s) for s in range(4)] + [
        ("made", 32, s, 50.5 + 10 * s) for s in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "test_acc"])
    draws = module.bootstrap(frame, "made", draws=200)
    assert (draws["optimal"] == 32).all() and (draws["case"] == NEVER).all()
    assert list(module.bootstraps(frame, ["made", "other"])) == ["made"]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: critical_batch_size({8: 95.0}), "two batch sizes"),
        (lambda: critical_batch_size({8: 95.0, 16: 94.0}, drop=0), "drop above 0"),
        (
            lambda: module.bootstrap(
                pd.DataFrame({"dataset": ["a"], "batch_size": [8], "seed": [1], "test_acc": [9.0]}), "a"
            ),
            "two or more",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(BadInput, match=words):
        call()


def test_the_exponent_of_the_optimum_is_fitted_draw_by_draw():
    draws = {
        name: pd.DataFrame({"optimal": b})
        for name, b in (("synthetic-1k", [8, 64]), ("synthetic-10k", [32, 64]), ("synthetic-50k", [128, 64]))
    }
    n = np.log([1_000, 10_000, 50_000])
    slope = np.polyfit(n, np.log([8, 32, 128]), 1)[0]
    found = module.optimum_exponent(draws)
    assert found.mean == pytest.approx(slope / 2) and found.n == 3  # the second draw has no slope
    assert (found.low, found.high) == pytest.approx((0.025 * slope, 0.975 * slope))
    with pytest.raises(BadInput, match="three data sets"):
        module.optimum_exponent({})
