"""Epochs and time to an accuracy, on runs whose curves are written by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import metrics, published
from bbatch.analysis import efficiency
from bbatch.analysis.costs import by_run
from bbatch.analysis.costs import reached as reached_by
from bbatch.analysis.estimate import ratio
from bbatch.analysis.scatter import PRIOR
from bbatch.config import DATASETS, PUBLISHED
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
    return reached_by(by_run(runs, "synthetic-1k"), accuracy)


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
    more = curves({(32, 45): ([70, 80, 80, 80], 11.0)})  # a mean of 4, 6 and 11 is 7, their median 6
    again = efficiency.speedups(pd.concat([runs, more]), "synthetic-1k", 89).set_index("batch_size").loc[512]
    assert again["epoch"].value == pytest.approx(math.sqrt(7 / 1 * 4 / 2))
    assert row["effective"].n == 1 and row["effective"].value == pytest.approx(
        3 * 5 / 4
    )  # 3 epochs of 5 against 4 of 1


def test_a_sitting_ends_with_a_pause_and_not_with_the_day():
    runs = curves({(32, seed): ([70], 1.0) for seed in range(4)})
    runs["started"] = pd.to_datetime(
        ["2026-01-01 20:00Z", "2026-01-02 08:01Z", "2026-01-02 01:00Z", "2026-01-01 20:00Z"]
    )
    first, late, night, same = by_run(runs, "synthetic-1k")["clock"]
    assert first == night == same != late
    for pause, ends in (("06:00:00", False), ("06:00:01", True)):
        both = curves({(32, 0): ([70], 1.0), (32, 1): ([70], 1.0)})
        start = pd.Timestamp("2026-01-01 20:00Z")
        both["started"] = [start, start + pd.Timedelta(pause)]
        assert (by_run(both, "synthetic-1k")["clock"].nunique() == 2) == ends


def test_a_clock_is_the_processors_where_every_epoch_has_its_time():
    """Of the first run one epoch lacks it: what it cost is its elapsed time, 8 seconds an epoch."""
    runs = curves({(32, 42): ([70, 79], 4.0), (32, 43): ([70, 79], 4.0)})
    runs.loc[0, "cpu_seconds"] = np.nan
    elapsed, processor = by_run(runs, "synthetic-1k").to_dict("records")
    assert elapsed["epoch_cost"] == 8.0 and elapsed["clock"] == "one machine fp32 elapsed 0"
    assert processor["epoch_cost"] == 4.0 and processor["clock"] == "one machine fp32 processor 0"


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
    assert epochs == "1.33, n = 1"  # and one pair beside lends it too little for an interval
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
    found = efficiency.against_base(by_run(first, "synthetic-1k"), "synthetic-1k", 32, 512, 80)["epochs"]
    assert found.n == 0 and math.isnan(found.value) and "unresolved" in found.shown
    assert efficiency_tables.ratio_text(found) == "unresolved"


def test_a_collapsed_run_has_no_accuracy_to_get_to():
    collapsed = {(32, s): ([60, 90], 1.0) for s in range(3)} | {(512, s): ([51, 52], 1.0) for s in range(3)}
    runs = by_run(curves(collapsed), "synthetic-1k")  # two classes: chance is 50 %
    assert efficiency.against_base(runs, "synthetic-1k", 32, 512, "own")["epochs"].n == 0
    learnt = collapsed | {
        (512, s): ([60, 70, 80], 1.0) for s in range(3)
    }  # to 79 %: the second epoch, the third
    runs = by_run(curves(learnt), "synthetic-1k")
    assert efficiency.against_base(runs, "synthetic-1k", 32, 512, "own")["epochs"].value == pytest.approx(1.5)
    never = efficiency.against_base(runs, "synthetic-1k", 32, 512, 85)["epochs"]
    assert never.n == 3 and math.isnan(never.value) and "never reached" in never.shown


def test_without_runs_there_are_holes_and_no_crash():
    empty, none = metrics.frame([]), metrics.curves([])
    assert efficiency.all_speedups(empty, none).empty
    assert len(efficiency_figures.efficiency(efficiency.all_speedups(empty, none)).axes) == 3


def test_runs_of_two_rules_are_refused_in_a_sentence():
    both = pd.concat([curves(RUNS), curves(RUNS).assign(id=lambda t: t["id"] + "-constant")])
    with pytest.raises(BadInput, match="2 runs of synthetic-1k at B = 32 and seed 42 were given where one"):
        by_run(both, "synthetic-1k")
    once = both[~both["id"].str.endswith("constant") | both["id"].str.startswith("512-43")]
    with pytest.raises(BadInput, match="2 runs of synthetic-1k at B = 512 and seed 43 were given where one"):
        by_run(once, "synthetic-1k")
    assert len(by_run(curves(RUNS), "synthetic-1k")) == 4


def of(runs):
    return by_run(curves(runs), "synthetic-1k")


def against(runs, accuracy):
    return efficiency.against_base(of(runs), "synthetic-1k", 32, 512, accuracy)


def test_the_interval_of_a_ratio_borrows_from_runs_of_one_size_and_clock():
    rng = np.random.default_rng(2)
    costs = {(b, s): float(c) for b in (8, 32, 512) for s, c in enumerate(np.exp(rng.normal(0, 0.3, 4)))}
    found = against({k: ([70, 80, 90], c) for k, c in costs.items()}, 75)["epoch"]
    logs = np.log([[costs[b, s] for s in range(4)] for b in (8, 32, 512)])
    pairs = logs[1] - logs[2]

    def by_hand(variances, cells, each):
        """`cells` of `each` degrees of freedom; three of all are the pairs' own."""
        lent = 1 / (1 / PRIOR + 1 / (PRIOR * cells) + 1 / (cells * each - 3))
        # of a ratio: twice that of one run
        variance = (3 * pairs.var(ddof=1) + lent * 2 * variances.mean()) / (3 + lent)
        half = stats.t.ppf(0.975, 3 + lent) * math.sqrt(variance / 4)
        return pytest.approx((math.exp(pairs.mean() - half), math.exp(pairs.mean() + half)))

    assert found.value == pytest.approx(math.exp(pairs.mean())) and found.n == 4
    assert found.interval() == by_hand(logs.var(axis=1, ddof=1), 3, 3)
    assert set(found.ids) == {f"{b}-{s}" for b in (32, 512) for s in range(4)}
    assert found.about == "Synthetic 1K, B = 512 over 32"
    two_clocks = curves({k: ([70], c) for k, c in costs.items()})
    two_clocks.loc[two_clocks["seed"] > 1, "device_name"] = "another"
    apart = efficiency.against_base(by_run(two_clocks, "synthetic-1k"), "synthetic-1k", 32, 512, 75)["epoch"]
    assert apart.interval() == by_hand(logs.reshape(3, 2, 2).var(axis=2, ddof=1), 6, 1)
    lone = against({(32, 0): ([70], 1.0), (512, 0): ([70], 1.0)}, 75)["epoch"]
    assert lone.n == 1 and math.isnan(lone.low)


def test_half_of_the_seeds_decide():
    there, late, never = [70, 90, 90], [70, 80, 90], [70, 70, 70]
    base = {(32, s): (there, 1.0) for s in range(4)}
    half = against(base | {(512, s): (late if s < 2 else never, 1.0) for s in range(4)}, 85)
    assert half["epochs"].n == 2 and half["epochs"].value == pytest.approx(1.5)
    for name in ("epochs", "effective"):
        assert half[name].how == "ratios paired by seed, without 2 of 4 that never got there"
    assert half["epoch"].how == "ratios paired by seed"
    most = against(base | {(512, s): (late if s < 1 else never, 1.0) for s in range(4)}, 85)
    for name in ("epochs", "effective"):
        assert most[name].shown == "never reached by B = 512 in 3 of 4 seeds"
        assert most[name].n == 4 and most[name].unit == "ratio" and len(most[name].ids) == 8
    first = [90, 90, 90]
    base = {(32, s): (first, 2.0) for s in range(4)}
    tied = against(base | {(512, s): (first if s < 2 else late, 1.0) for s in range(4)}, 85)
    assert tied["epochs"].shown == "both within the first epoch in 2 of 4 seeds: unresolved"
    assert tied["epochs"].unit == "ratio"
    assert tied["effective"].value == pytest.approx((2 * 2 * 2 / 3 * 2 / 3) ** 0.25)
    rest = against(base | {(512, s): (first if s < 1 else late, 1.0) for s in range(4)}, 85)
    assert rest["epochs"].n == 3 and rest["epochs"].value == pytest.approx(3.0)
    late_base = {(32, s): (late, 1.0) for s in range(2)}
    one_side = against(late_base | {(512, s): (first, 1.0) for s in range(2)}, 85)
    assert one_side["epochs"].value == pytest.approx(1 / 3)  # in the first epoch one of the two alone


def test_the_own_aim_is_a_point_below_the_lower_end_and_needs_more_than_chance():
    runs = {(32, s): ([54, 70, 80], 1.0) for s in (0, 1)} | {(512, s): ([54, 54, 55.1], 1.0) for s in (0, 1)}
    found = against(runs, "own")["epochs"]  # to 54.1 %: the second epoch, the third
    assert found.n == 2 and found.value == pytest.approx(1.5)
    at_chance = runs | {(512, s): ([54, 54, 55.0], 1.0) for s in (0, 1)}
    assert against(at_chance, "own")["epochs"].n == 0
    base_at_chance = runs | {(32, s): ([54, 54, 55.0], 1.0) for s in (0, 1)}
    assert against(base_at_chance, "own")["epochs"].n == 0


def test_the_near_aim_is_a_point_below_the_best_mean():
    frame = pd.DataFrame(
        {
            "dataset": ["mnist"] * 4 + ["cifar10"],
            "batch_size": [8, 8, 64, 64, 8],
            "test_acc": [90, 92, 95, 80, 99],
            "lr_rule": "linear",
        }
    )
    assert efficiency.target(frame, "mnist") == 90.0 and math.isnan(efficiency.target(frame, "synthetic-1k"))


def evidence(large=512):
    """Runs of synthetic-1k on a CPU, of MNIST partly on a GPU; none elsewhere."""
    ours = curves({(b, s): ([70, 80, 90] if b == 32 else [60, 70, 90], 4.0 if b == 32 else 1.0)
                   for b in (32, large) for s in (0, 1)})  # fmt: skip
    last = DATASETS["mnist"].protocol.batch_sizes[-1]
    images = ours.assign(
        dataset="mnist",
        batch_size=ours["batch_size"].replace(large, last),
        id="m" + ours["id"],
        device=np.where(ours["seed"] == 0, "cuda", "cpu"),
        cpu_seconds=ours["cpu_seconds"] * (1 + ours["seed"]),
    )
    both = pd.concat([ours, images])
    frame = both.groupby(["dataset", "batch_size", "seed", "id"], as_index=False)["test_acc"].last()
    trained = {d: by_run(both, d) for d in DATASETS}
    return SimpleNamespace(runs=frame.assign(lr_rule="linear"), trained=trained, curves=both)


def test_ratios_at_the_largest_batch_size_of_each_data_set():
    large = DATASETS["synthetic-1k"].protocol.batch_sizes[-1]
    given = evidence(large)
    found = {e.about.split(",")[0]: e for e in efficiency.epoch_speedups(given, 32)}
    assert list(found) == [DATASETS[d].title for d in PUBLISHED]
    assert (found["Synthetic 1K"].value, found["Synthetic 1K"].n) == (4.0, 2)
    assert (found["MNIST"].value, found["MNIST"].n) == (4.0, 1)  # on a GPU alone, as the paper
    assert found["CIFAR-10"].missing == "bbatch sweep cifar10 --device cuda" and found["CIFAR-10"].n == 0
    assert found["Synthetic 10K"].missing == "bbatch sweep synthetic-10k"
    more = {e.about.split(",")[0]: e for e in efficiency.more_epochs(given, 75, 32)}
    assert (more["Synthetic 1K"].value, more["MNIST"].n) == (pytest.approx(1.5), 2)  # epochs on any machine
    near = {e.about.split(",")[0]: e for e in efficiency.more_epochs(given, "near", 32)}
    assert near["Synthetic 1K"].value == pytest.approx(1.0)  # to 89 %: the third epoch for both
    wall = {e.about.split(",")[0]: e for e in efficiency.wall_clock(given, 75, 32)}
    assert wall["Synthetic 1K"].value == pytest.approx(2 * 4 / 3) and wall["MNIST"].n == 1
    assert "Synthetic 1K" not in {e.about.split(",")[0] for e in efficiency.more_epochs(given, 95, 32)}
    table = efficiency.all_speedups(given.runs, given.curves)
    assert table["dataset"].unique().tolist() == [d for d in DATASETS if d in ("mnist", "synthetic-1k")]
    assert list(table.index) == list(range(len(table)))
    assert set(table["accuracy"]) == {89.0} and set(
        efficiency.all_speedups(*[given.runs, given.curves, 75.0])["accuracy"]
    ) == {75.0}
    row = table[(table["dataset"] == "synthetic-1k") & (table["batch_size"] == large)].iloc[0]
    assert row["n"] == 2 and row["reached"] == "2 of 2"


def test_the_papers_own_speedups_by_hand():
    paper = published.printed_frame()
    times = paper.set_index(["dataset", "batch_size"])["epoch_time_s"]
    large = DATASETS["cifar10"].protocol.batch_sizes[-1]
    a, b = times["cifar10", 32], times["cifar10", large]
    found = efficiency.printed_speedup(paper, "cifar10", 32)
    assert (found.value, found.n, found.unit) == (pytest.approx(a / b), 1, "ratio")
    rounding = paper.set_index(["dataset", "batch_size"])["epoch_time_s_rounding"]
    ra, rb = rounding["cifar10", 32], rounding["cifar10", large]
    assert found.interval() == pytest.approx(((a - ra) / (b + rb), (a + ra) / (b - rb)))
    assert found.shown.endswith(f" = {a / b:.1f}") and found.about == f"CIFAR-10, B = {large} over 32"
    assert efficiency.printed_speedup(paper, "cifar10", 7).n == 0
    given = SimpleNamespace(runs=paper, trained={})
    speeds = efficiency.epoch_speedups(given, 32)
    assert [e.value for e in speeds if e.n] == [
        efficiency.printed_speedup(paper, d, 32).value for d in PUBLISHED
    ]
    few, many = published.statement("iv-c-more-epochs")[["value", "upper"]]
    wall = efficiency.wall_clock(given, 80, 32)
    for e, w in zip(speeds, wall, strict=True):
        assert w.interval() == pytest.approx((e.low / many, e.high / few))
        assert w.value == pytest.approx(e.value / ((few + many) / 2))
        assert w.shown == f"({e.shown}) / ({few:g} to {many:g}) = {e.value / many:.2f} to {e.value / few:.2f}"


def test_the_accuracy_to_reach_is_that_of_the_papers_rule_alone():
    """Runs of another rule, better ones at that, are not the best of the rule that is asked about."""
    rows = [("linear", 8, 90.0), ("linear", 8, 92.0), ("linear", 64, 89.0), ("sqrt", 8, 99.0)]
    frame = pd.DataFrame(rows, columns=["lr_rule", "batch_size", "test_acc"]).assign(dataset="synthetic-1k")
    assert efficiency.target(frame, "synthetic-1k") == 90.0
    assert math.isnan(efficiency.target(frame, "mnist"))
