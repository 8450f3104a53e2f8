"""Learning-rate rules beside each other, on made-up records whose answers are known."""

import math

import numpy as np
import pytest
from scipy import stats

import made_up
from bbatch import metrics, published
from bbatch.analysis import learning_rate_rules
from bbatch.analysis.estimate import Estimate
from bbatch.config import DATASETS
from factories import record


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
    prior = made_up.lent([2, 2], own=2)
    variance = (2 * np.var([-0.1, -0.05, -0.2], ddof=1) + prior * 2 * pooled) / (2 + prior)
    low, high = stats.t.interval(0.95, 2 + prior, -0.35 / 3, np.sqrt(variance / 3))
    constant = effect[512, "constant"]
    assert (constant.value, constant.low, constant.high) == pytest.approx((-0.35 / 3, low, high))
    assert effect[512, "sqrt"].n == 0


MADE = made_up.runs(datasets=["synthetic-50k"])
SIZES = DATASETS["synthetic-50k"].protocol.batch_sizes
BOTH = made_up.cells(MADE, "synthetic-50k", rules=("linear", "constant"))


def test_what_leaving_the_linear_rule_costs_is_a_sum_over_cells():
    for b in (8, 512):
        by_hand = made_up.summed(BOTH, {(b, "linear"): 1, (b, "constant"): -1})
        lost = learning_rate_rules.loss_without(MADE, b)
        assert made_up.same(lost, by_hand) and lost.about == f"Synthetic 50K, B = {b}"
        share = learning_rate_rules.share_lost(MADE, b)
        whole = made_up.summed(made_up.cells(MADE, "synthetic-50k"), {b: 1})["value"]
        scaled = {k: v * (1 if k in ("n", "freedom") else 100 / whole) for k, v in by_hand.items()}
        assert made_up.same(share, scaled) and share.shown == ""
    fixed = made_up.cells(MADE, "synthetic-50k", rules=("constant",))
    assert made_up.same(learning_rate_rules.fall_without(MADE, 512), made_up.summed(fixed, {32: 1, 512: -1}))
    none = learning_rate_rules.share_lost(MADE[MADE["lr_rule"] == "linear"], 512)
    assert none.n == 0 and "--lr-rule constant" in none.missing


def test_the_papers_share_is_told_with_its_arithmetic():
    paper = published.ablation_frame()
    share = learning_rate_rules.share_lost(paper, 512)
    assert share.value == pytest.approx(100 * (90.2 - 82.1) / 90.2)
    assert share.shown == "(90.2 − 82.1 = 8.10), of 90.2 = 8.98 %"
    low, high = learning_rate_rules.loss_without(paper, 512).interval()
    assert share.interval() == pytest.approx((100 * low / 90.2, 100 * high / 90.2))


def test_the_largest_of_several_losses_has_bounds_that_allow_for_the_choice():
    found = learning_rate_rules.largest(MADE, learning_rate_rules.loss_without)
    larger = [b for b in SIZES if b > 32]
    each = [made_up.summed(BOTH, {(b, "linear"): 1, (b, "constant"): -1}) for b in larger]
    halves = [stats.t.ppf(1 - 0.025 / len(larger), e["freedom"]) * e["error"] for e in each]
    best = max(each, key=lambda e: e["value"])
    assert found.value == pytest.approx(best["value"]) and found.n == best["n"]
    assert found.interval() == pytest.approx(
        tuple(max(e["value"] + side * h for e, h in zip(each, halves, strict=True)) for side in (-1, 1))
    )
    assert found.how == f"paired by seed, the largest of {len(larger)}"
    two = MADE[(MADE["lr_rule"] == "linear") | MADE["batch_size"].isin([64, 32])]
    assert learning_rate_rules.largest(two, learning_rate_rules.loss_without).how.endswith("largest of 1")
    none = learning_rate_rules.largest(two[two["batch_size"] == 32], learning_rate_rules.loss_without)
    assert none.n == 0 and none.missing and none.about == f"Synthetic 50K, B = {max(SIZES)}"


@pytest.mark.parametrize("seeds", [4, 3])
def test_a_ratio_of_gaps_has_fiellers_interval(seeds):
    """The ratios r for which a − r·b is not told apart from 0: between the roots of a square equation. Of the
    fixed rate there may be fewer seeds."""
    gaps = MADE.assign(gap=MADE["gap"] - 76 + 3 * (MADE["lr_rule"] == "constant"))
    gaps = gaps[(gaps["lr_rule"] == "linear") | (gaps["batch_size"] != 512) | (gaps["seed"] < 40 + seeds)]
    a, b = (
        made_up.summed(made_up.cells(gaps, "synthetic-50k", "gap", rules=(rule,)), {512: 1})
        for rule in ("constant", "linear")
    )
    found = learning_rate_rules.gap_ratio(gaps, 512, "gap")
    t = stats.t.ppf(0.975, min(a["freedom"], b["freedom"]))
    roots = np.roots(
        [
            b["value"] ** 2 - (t * b["error"]) ** 2,
            -2 * a["value"] * b["value"],
            a["value"] ** 2 - (t * a["error"]) ** 2,
        ]
    )
    assert found.interval() == pytest.approx(tuple(sorted(roots)))
    wide = found.interval(0.99)
    assert wide[0] < found.low and found.high < wide[1], "wider where more is asked at once"
    assert found.interval(1 - 1e-9) == (-math.inf, math.inf), "so sure that the gap may be nothing"
    assert found.value == pytest.approx(a["value"] / b["value"]) and found.n == b["n"] == 4
    assert found.shown == f"{a['value']:.2f} / {b['value']:.2f} = {a['value'] / b['value']:.2f}"
    assert (found.unit, found.about) == ("ratio", "Synthetic 50K, B = 512")
    assert len(found.ids) == 4 + seeds
    one = gaps[gaps["lr_rule"] == "linear"]
    none = learning_rate_rules.gap_ratio(one, 512, "gap")
    assert none.n == 0 and none.unit == "ratio" and "--lr-rule constant" in none.missing
    near = learning_rate_rules.gap_ratio(gaps.assign(gap=gaps["gap"] - b["value"]), 512, "gap")
    assert near.missing == "bbatch sweep synthetic-50k --seeds 8" and len(near.ids) == 4 + seeds
    paper = learning_rate_rules.gap_ratio(published.ablation_frame(), 512, "gap_running")
    assert paper.value == pytest.approx(7.9 / 2.8) and paper.shown == "7.9 / 2.8 = 2.82"
    assert paper.interval() == pytest.approx((7.85 / 2.85, 7.95 / 2.75))


def test_fiellers_interval_where_the_fewer_seeds_of_one_part_leave_the_other_open():
    """By its own 40 degrees of freedom the lower gap is told apart from 0, but the ratio counts with 3."""
    few, many = Estimate(1.0, 4, error=0.3, freedom=3), Estimate(1.0, 41, error=0.4, freedom=40)
    assert many.low > 0 and learning_rate_rules._fieller(few, many, 0.95) == (-math.inf, math.inf)
    low, high = learning_rate_rules._fieller(few, many, 0.8)
    assert low < 1 < high


@pytest.mark.parametrize("gap", [0.05, -0.05])
def test_no_multiple_of_a_printed_gap_that_may_be_nothing(gap):
    """Printed to a tenth: 0.05 may lie at 0, and −0.05 at most there."""
    paper = published.ablation_frame()
    with_ = (paper["batch_size"] == 512) & (paper["lr_rule"] == "linear")
    paper.loc[with_, ["gap_running", "gap_running_rounding"]] = gap, 0.05
    none = learning_rate_rules.gap_ratio(paper, 512, "gap_running")
    assert np.isnan(none.value) and none.unit == "ratio"
    said = "the gap with scaling, −0.05, is not above 0: it has no multiples"
    assert (none.n, none.shown) == ((0, "") if gap > 0 else (1, said))


@pytest.mark.parametrize("rule", ["linear", "constant"])
def test_a_ratio_with_a_cell_that_is_not_printed_says_so(rule):
    paper = published.ablation_frame()
    rest = paper[(paper["batch_size"] != 512) | (paper["lr_rule"] != rule)]
    none = learning_rate_rules.gap_ratio(rest, 512, "gap_running")
    assert (none.n, none.unit, none.shown) == (0, "ratio", "no cell of the paper's tables")


def test_each_rule_at_each_batch_size_in_both_metrics():
    table = learning_rate_rules.effect(MADE).set_index(["batch_size", "rule"])
    assert list(table.index) == [(b, r) for b in sorted(SIZES) for r in learning_rate_rules.OTHERS]
    gaps = made_up.cells(MADE, "synthetic-50k", "gap_running", rules=("linear", "constant"))
    for metric, cells in (("test_acc", BOTH), ("gap_running", gaps)):
        by_hand = made_up.summed(cells, {(64, "constant"): 1, (64, "linear"): -1})
        assert made_up.same(table.loc[(64, "constant"), metric], by_hand)
    assert table.loc[(64, "constant"), "n"] == 4 and table.loc[(64, "sqrt"), "n"] == 0
