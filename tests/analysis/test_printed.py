"""What the paper's numbers say of each other, each worked out by hand from its tables and text."""

import pandas as pd
import pytest

from bbatch import published
from bbatch.analysis import printed

PAPER = published.printed_frame()


def test_what_the_tables_hold():
    tables = pd.DataFrame(
        {"dataset": ["mnist", "cifar10", "synthetic-1k", "synthetic-10k"], "batch_size": [8, 512, 2, 8]}
    )
    for what, value, shown in (
        ("data sets", 4, "the tables hold 4: MNIST, CIFAR-10, Synthetic 1K, Synthetic 10K"),
        ("networks", 3, "Section III-B describes 3"),
        ("batch sizes", 3, "the tables hold 3: 2, 8, 512"),
        ("orders", 2.408, "log10(512 / 2) = 2.41"),
    ):
        found = printed.counts_itself(tables, what)
        assert (found.value, found.shown) == (pytest.approx(value, abs=1e-3), shown)
        assert (found.n, found.about, found.interval()) == (1, what, (found.value, found.value))


@pytest.mark.parametrize("claimed, value, more", [("IV-E", 1, ""), ("IV-D", 0, ", not IV-D")])
def test_where_a_statement_stands(claimed, value, more):
    found = printed.stands_in(PAPER, "iv-e-sharpness-b32", claimed)
    assert (found.value, found.shown) == (value, f"the measurement stands in Section IV-E{more}")


def test_line_9_of_algorithm_2_at_both_ends_of_a_branch():
    small, large = printed.branch_rates(PAPER, "large")
    assert (small.about, small.value, small.shown) == ("B = 64", 0.002, "0.001 × 64 / 32 = 0.002")
    assert (large.about, large.value, large.shown) == ("B = 128", 0.004, "0.001 × 128 / 32 = 0.004")


def test_one_base_rate_keeps_every_branch_of_algorithm_2_within_its_rates(monkeypatch):
    """Twice the default one, and no other: below it the first branch, above it the second leaves them."""
    found = printed.fitting_base_rate(PAPER)
    assert found.value == pytest.approx(0.002) == 2 * published.value("vi-default-lr")
    assert found.shown == "0.002 to 0.003; 0.001 to 0.0025; 0.001 to 0.002"
    ranges = {"small": (0.001, 0.003), "medium": (0.001, 0.005), "large": (0.002, 0.008)}
    for branch, (low, high) in ranges.items():
        rates = [e.value for e in printed.branch_rates(PAPER, branch, fitting=True)]
        assert low - 1e-12 <= min(rates) and max(rates) <= high + 1e-12
    monkeypatch.setattr(published, "value", lambda id: 64 if id == "vi-base-batch" else 0.0)
    assert printed.fitting_base_rate(PAPER).value == pytest.approx(0.004)


def test_the_time_that_the_tables_add_up_to():
    mnist = 36.38 + 5.19 + 2.72 + 1.48 + 1.16 + 1.07 + 1.02 + 1.12 + 1.15  # Table III
    small = 0.297 + 0.039 + 0.011 + 0.007 + 0.004 + 0.003 + 0.003  # Table VII
    found = printed.budget(PAPER, ["mnist", "synthetic-1k"], 60.0, "minutes")
    assert found.value == pytest.approx((12 * mnist + 50 * small) / 60) and found.about == "minutes"
    assert found.shown == "51.29 s × 12 + 0.36 s × 50 = 10.56 minutes"


def cell(dataset, metric, value, half):
    return pd.DataFrame(
        {
            "dataset": [dataset],
            "batch_size": 8,
            "lr_rule": "linear",
            metric: value,
            f"{metric}_rounding": half,
            "printed": True,
        }
    )


@pytest.mark.parametrize(
    "metric, value, half, beyond, shown",
    [
        ("test_acc", 95.5, 0.05, 0.0, "191 of 200 samples are 95.500 %"),  # Synthetic 1K tests on 200
        ("test_acc", 95.2, 0.05, 0.15, "190 of 200 samples are 95.000 %"),
        ("test_acc", 95.4, 0.05, 0.05, "191 of 200 samples are 95.500 %"),
        ("train_acc", 96.63, 0.005, 0.0, "773 of 800 samples are 96.625 %"),  # and learns from 800
        ("train_acc", 96.6, 0.005, 0.02, "773 of 800 samples are 96.625 %"),
    ],
)
def test_how_far_an_accuracy_is_from_a_count(metric, value, half, beyond, shown):
    [found] = printed.off_a_count(cell("synthetic-1k", metric, value, half), "synthetic-1k", 8, metric)
    assert found.value == (pytest.approx(beyond, abs=1e-8) if beyond else 0) and found.shown == shown
    assert found.about == "Synthetic 1K, B = 8"


def test_every_number_is_a_count_where_the_samples_are_many():
    def tested(half):
        return printed.off_a_count(cell("mnist", "test_acc", 99.1, half), "mnist", 8, "test_acc")

    assert tested(0.005) == []  # one of 10,000 is as much as the last digit
    assert len(tested(0.0005)) == 1
    assert printed.off_a_count(PAPER, "mnist", 8, "train_acc") == []  # not printed


def test_the_difference_of_two_printed_accuracies():
    [found] = printed.difference_of_accuracies(PAPER, "synthetic-1k", 1)
    assert found.value == pytest.approx(92.13 - 93.00) and found.shown == "(92.13) − (93.00) = −0.87"
    assert found.interval() == pytest.approx((-0.88, -0.86)) and found.unit == "points"
    assert printed.difference_of_accuracies(PAPER, "mnist", 1) == []


def test_which_data_sets_are_warmed_up():
    found = {e.about: e for e in printed.warmed_up(PAPER.iloc[::-1])}
    assert {name: e.value for name, e in found.items()} == {
        "Synthetic 1K": 0,
        "Synthetic 10K": 0,
        "Synthetic 50K": 0,
        "MNIST": 1,
        "CIFAR-10": 0,
    }
    assert found["MNIST"].shown == "5 epochs of warm-up at B = 256, 512, 1024"
    assert found["CIFAR-10"].shown == ("none at B = 256, 512, 1024, where accuracy is 65.11, 48.10, 10.00 %")


def test_a_number_of_the_text_and_the_ratio_of_two_with_their_rounding():
    small, large = (printed.stated(PAPER, f"iv-e-sharpness-b{b}") for b in (32, 512))
    assert (small.value, small.shown, small.about) == (0.023, "0.023", "Section IV-E")
    assert small.interval() == pytest.approx((0.0225, 0.0235)) and small.n == 1
    assert small.how == "rounding of what is printed" and large.value == 0.158
    found = printed.stated_ratio(PAPER)
    assert (found.value, found.shown) == (pytest.approx(0.158 / 0.023), "0.158 / 0.023 = 6.87")
    assert found.interval() == pytest.approx((0.1575 / 0.0235, 0.1585 / 0.0225))
    assert (found.n, found.unit, found.about) == (1, "ratio", "Section IV-E")
    assert found.how == "rounding of what is printed"
