"""Epochs and time to an accuracy, on runs whose curves are written by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch import metrics
from bbatch.analysis import efficiency
from bbatch.analysis.estimate import ratio
from bbatch.errors import BadInput
from bbatch.pages import efficiency_figures, efficiency_tables


def curves(runs):
    """{(batch size, seed): (test accuracies, seconds an epoch)} as `metrics.curves` gives them."""
    parts = [
        pd.DataFrame(
            {
                "dataset": "synthetic-1k",
                "batch_size": b,
                "seed": seed,
                "id": f"{b}-{seed}",
                "device": "cpu",
                "device_name": "one machine",
                "precision": "fp32",
                "started": pd.Timestamp("2026-01-01 08:00Z"),
                "epoch": np.arange(1, len(acc) + 1),
                "test_acc": acc,
                "seconds": 2 * each * np.arange(1, len(acc) + 1),
                "cpu_seconds": each * np.arange(1, len(acc) + 1),
            }
        )
        for (b, seed), (acc, each) in runs.items()
    ]
    return pd.concat(parts, ignore_index=True)


RUNS = {
    (32, 42): ([70, 79, 91, 80], 4.0),
    (32, 43): ([70, 92, 80, 80], 4.0),
    (512, 42): ([60, 70, 80, 90], 1.0),
    (512, 43): ([60, 70, 80, 80], 2.0),
}


def reached(runs, accuracy):
    return efficiency.reached(efficiency.by_run(runs, "synthetic-1k"), accuracy)


def test_the_first_epoch_above_the_accuracy_counts_though_it_falls_again():
    table = reached(curves(RUNS), 89).set_index(["batch_size", "seed"])
    assert table.loc[(32, 42), "epochs"] == 3 and table.loc[(32, 42), "cost"] == 12.0
    assert table.loc[(32, 43), "epochs"] == 2 and table.loc[(512, 42), "epochs"] == 4
    exactly = reached(curves(RUNS), 90).set_index(["batch_size", "seed"])  # above, as Section III-D says
    assert math.isnan(exactly.loc[(512, 42), "epochs"]) and exactly.loc[(32, 42), "epochs"] == 3
    assert math.isnan(table.loc[(512, 43), "epochs"])  # never
    assert table["epoch_cost"].tolist() == [4.0, 4.0, 1.0, 2.0]


def test_elapsed_time_stands_in_where_processor_time_was_not_recorded():
    without = curves(RUNS).assign(cpu_seconds=np.nan)
    assert reached(without, 90)["epoch_cost"].tolist() == [8.0, 8.0, 2.0, 4.0]


def test_speedups_by_hand():
    table = efficiency.speedups(curves(RUNS), "synthetic-1k", 89).set_index("batch_size")
    large = table.loc[512]
    assert large["n"] == 2 and large["reached"] == "1 of 2"
    assert large["epoch"].value == pytest.approx(math.sqrt(4.0 * 2.0))  # geometric mean over the two seeds
    assert large["epochs"].value == pytest.approx(4 / 3) and large["epochs"].n == 1  # seed 42 alone
    assert large["effective"].value == pytest.approx(12.0 / 4.0)
    assert table.loc[32, "effective"].value == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"device_name": "another"},
        {"cpu_seconds": np.nan},
        {"precision": "bf16"},
        {"started": pd.Timestamp("2026-01-02 08:00Z")},
    ],
)
def test_times_of_two_clocks_are_not_compared_but_epochs_are(change):
    runs = curves(RUNS)
    other = runs[(runs["batch_size"] == 512) & (runs["seed"] == 42)].assign(**change)
    mixed = pd.concat([runs.drop(other.index), other])
    row = efficiency.speedups(mixed, "synthetic-1k", 89).set_index("batch_size").loc[512]
    assert row["epoch"].n == 1 and row["epoch"].value == pytest.approx(4.0 / 2.0)  # seed 43 alone
    assert row["epochs"].n == 1 and row["effective"].n == 0


def test_an_epoch_at_the_base_costs_what_other_seeds_paid_on_the_same_clock():
    """Seed 42's base run has a clock of its own, with epochs of 40 seconds; the others' took 4 and 6."""
    runs = curves(RUNS | {(32, 42): ([70, 79, 91, 80], 40.0), (32, 44): ([70, 80, 80, 80], 6.0)})
    own = (runs["batch_size"] == 32) & (runs["seed"] == 42)
    runs.loc[own, "started"] = pd.Timestamp("2026-01-02 08:00Z")
    row = efficiency.speedups(runs, "synthetic-1k", 89).set_index("batch_size").loc[512]
    assert row["epoch"].n == 2 and row["epoch"].value == pytest.approx(math.sqrt(5 / 1 * 4 / 2))
    assert row["effective"].n == 1 and row["effective"].value == pytest.approx(
        3 * 5 / 4
    )  # 3 epochs of 5 against 4 of 1


def test_a_sitting_ends_with_a_pause_and_not_with_the_day():
    runs = curves({(32, seed): ([70], 1.0) for seed in range(4)})
    runs["started"] = pd.to_datetime(
        ["2026-01-01 20:00Z", "2026-01-02 08:01Z", "2026-01-02 01:00Z", "2026-01-01 20:00Z"]
    )
    first, late, night, same = efficiency.by_run(runs, "synthetic-1k")["clock"]
    assert first == night == same != late


def test_a_ratio_is_written_with_its_interval_where_there_is_one():
    assert efficiency_tables.ratio_text(ratio([2.0], "")) == "2.00"
    assert efficiency_tables.ratio_text(ratio([], "")) == "–"
    assert "(" in efficiency_tables.ratio_text(ratio([2.0, 2.5], ""))
    assert efficiency_tables.ratio_text(ratio([110.4], "")) == "110"


def test_the_page_says_what_the_ratios_say():
    table = efficiency.speedups(curves(RUNS), "synthetic-1k", 89).assign(
        dataset="synthetic-1k", accuracy=90.0
    )
    text = efficiency_tables.ratio_table(table).set_index("B")
    assert set(text.loc[32, ["an epoch: speed-up", "time to it: speed-up"]]) == {"base"}
    # of two seeds one has it
    epochs = text.loc[512, "epochs to it: ratio"].replace("\N{NO-BREAK SPACE}", " ")
    assert epochs.startswith("1.33 (") and epochs.endswith(", n = 1")
    assert (
        text.loc[512, "an epoch: speed-up"].startswith("2.83 (")
        and "n =" not in text.loc[512, "an epoch: speed-up"]
    )
    short = efficiency_tables.in_short(
        table
    )  # of 512 and the largest, here one: the paper prints 0.011 s and 0.003 s
    assert list(short["B"]) == [512] and list(short["an epoch: the paper"]) == ["3.67"]
    figure = efficiency_figures.efficiency(table, ("one", "two", "three"))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["one", "two", "three"]


def test_both_within_the_first_epoch_is_unresolved_and_not_as_fast():
    first = curves({(b, seed): ([90, 91, 92], 1.0) for b in (32, 512) for seed in range(4)})
    found = efficiency.against_base(efficiency.by_run(first, "synthetic-1k"), "synthetic-1k", 32, 512, 80)[
        "epochs"
    ]
    assert found.n == 0 and math.isnan(found.value) and "unresolved" in found.shown
    assert efficiency_tables.ratio_text(found) == "unresolved"


def test_a_collapsed_run_has_no_accuracy_to_get_to():
    collapsed = {(32, s): ([60, 90], 1.0) for s in range(3)} | {(512, s): ([51, 52], 1.0) for s in range(3)}
    runs = efficiency.by_run(curves(collapsed), "synthetic-1k")  # two classes: chance is 50 %
    assert efficiency.against_base(runs, "synthetic-1k", 32, 512, "own")["epochs"].n == 0
    learnt = collapsed | {
        (512, s): ([60, 70, 80], 1.0) for s in range(3)
    }  # to 79 %: the second epoch, the third
    runs = efficiency.by_run(curves(learnt), "synthetic-1k")
    assert efficiency.against_base(runs, "synthetic-1k", 32, 512, "own")["epochs"].value == pytest.approx(1.5)
    never = efficiency.against_base(runs, "synthetic-1k", 32, 512, 85)["epochs"]
    assert never.n == 3 and math.isnan(never.value) and "never reached" in never.shown


def test_without_runs_there_are_holes_and_no_crash():
    empty, none = metrics.frame([]), metrics.curves([])
    assert efficiency.all_speedups(empty, none).empty
    assert len(efficiency_figures.efficiency(efficiency.all_speedups(empty, none)).axes) == 3
    printed = efficiency.per_epoch(none)
    assert printed["paper"].notna().all() and all(i.n == 0 for i in printed["ours"])


def test_runs_of_two_rules_are_refused_in_a_sentence():
    both = pd.concat([curves(RUNS), curves(RUNS).assign(id=lambda t: t["id"] + "-constant")])
    with pytest.raises(BadInput, match="2 runs of synthetic-1k at B = 32 and seed 42 were given where one"):
        efficiency.by_run(both, "synthetic-1k")
    assert len(efficiency.by_run(curves(RUNS), "synthetic-1k")) == 4
