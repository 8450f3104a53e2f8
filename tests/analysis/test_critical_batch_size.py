"""B* by the paper's definition, on accuracies made for each case, and the scatter of the optimum."""

import numpy as np
import pandas as pd
import pytest

from bbatch import published
from bbatch.analysis import critical_batch_size as module
from bbatch.analysis.critical_batch_size import BELOW, FOUND, NEVER, Critical, critical_batch_size
from bbatch.config import DATASETS
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


def frame(accuracies, dataset="synthetic-1k", seeds=4):
    rows = [
        (dataset, b, s, "linear", a + 0.01 * (s % 2), f"{b}-{s}")
        for b, a in accuracies.items()
        for s in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "lr_rule", "test_acc", "id"])


def test_the_optimum_is_drawn_from_the_intervals_of_the_means():
    sizes = DATASETS["synthetic-1k"].protocol.batch_sizes
    clear = frame({b: 96.0 if b == 32 else 95.5 for b in sizes})
    draws = module.drawn(clear, "synthetic-1k", draws=200)
    assert (draws["optimal"] == 32).all() and (draws["case"] == NEVER).all()
    assert module.outcomes(clear, "synthetic-1k", "optimal").among == (32.0,)
    assert module.outcomes(clear, "synthetic-1k", "critical").among == (np.inf,)
    assert list(module.bootstraps(clear, ["synthetic-1k", "mnist"])) == ["synthetic-1k"]
    tie = frame({b: 96.0 if b in (32, 128) else 95.5 for b in sizes})
    share = module.drawn(tie, "synthetic-1k")["optimal"].value_counts(normalize=True)
    assert set(share.index) == {32, 128} and share.max() < 0.6  # either, about as often
    assert module.outcomes(tie, "synthetic-1k", "optimal").among == (32.0, 128.0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: critical_batch_size({8: 95.0}), "two batch sizes"),
        (lambda: critical_batch_size({8: 95.0, 16: 94.0}, drop=0), "drop above 0"),
        (lambda: module.drawn(frame({8: 90.0}), "synthetic-1k"), "no run at some batch sizes"),
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
