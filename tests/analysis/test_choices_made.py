"""What a choice moves, against differences taken by hand, and the ranking of made-up effects."""

import math

import pandas as pd
import pytest

from bbatch import metrics
from bbatch.analysis import choices_made
from bbatch.config import SYNTHETIC, plan
from bbatch.pages import choices_figure
from bbatch.records.store import Store
from bbatch.statistics import Interval
from bbatch.studies import other_choices, table
from factories import record


@pytest.fixture(scope="module")
def effects():
    records = list(Store().frozen_records().values())
    names = ("warm-up", "data-size", "map-synthetic-1k", "map-synthetic-10k")
    studies = {name: table.read_table(name) for name in names}
    return choices_made.effects(
        metrics.frame(records), records, other_choices.recorded_choices(), studies
    ).set_index(["choice", "dataset", "batch_size"])


def mean_of(records, key, what):
    chosen = [r for r in records if (r["run"]["dataset"], r["run"]["batch_size"], r["run"]["lr_rule"]) == key]
    return {r["run"]["seed"]: what(r) for r in chosen}


def test_a_wider_start_is_compared_with_the_recorded_runs_of_equal_seed(effects):
    records = list(Store().frozen_records().values())
    ours = mean_of(records, ("synthetic-10k", 32, "linear"), lambda r: r["final"]["test_correct"] / 20)
    others = other_choices.recorded_choices().query(
        "choice == @other_choices.WIDER and dataset == 'synthetic-10k' and batch_size == 32"
    )
    by_hand = [row.test_correct / 20 - ours[row.seed] for row in others.itertuples()]
    found = effects.loc[("initialization: √6 times as wide", "synthetic-10k", 32), "accuracy"]
    assert found.n == len(by_hand) == 10 and found.mean == pytest.approx(sum(by_hand) / 10)


def test_the_best_epoch_is_the_highest_of_the_history(effects):
    records = list(Store().frozen_records().values())
    gain = mean_of(
        records,
        ("synthetic-1k", 512, "linear"),
        lambda r: (max(r["history"]["test_correct"]) - r["final"]["test_correct"]) / 2,
    )
    found = effects.loc[("test accuracy: of the best epoch", "synthetic-1k", 512), "accuracy"]
    assert found.n == 20 and found.mean == pytest.approx(sum(gain.values()) / 20)


def test_the_rate_below_the_base_is_taken_from_runs_or_from_the_map(effects):
    runs = table.read_table("map-synthetic-1k").query("batch_size == 1")
    kept, scaled = (
        runs[(runs["lr"] / rate - 1).abs() < 0.01]["test_acc"].mean() for rate in (1e-3, 1e-3 / 32)
    )
    found = effects.loc[("rate: not scaled below B = 32", "synthetic-1k", 1), "accuracy"]
    assert found.mean == pytest.approx(kept - scaled) and found.n == 10
    assert effects.loc[("rate: not scaled below B = 32", "synthetic-50k", 1), "accuracy"].n == 20


def test_another_choice_trained_again_is_the_row_of_its_table():
    """With the usual start, 22 more of the 800 would be counted right while training at B = 8."""
    kept = other_choices.recorded_choices().set_index(other_choices.COLUMNS[:4])
    for choice, b, counts in (
        (other_choices.WIDER, 8, ["test_correct", "running_correct"]),
        (other_choices.STAIRS, 512, ["train_correct", "test_correct"]),
    ):
        row = other_choices.train_choice(choice, plan("synthetic-1k", b))
        recorded = kept.loc[tuple(row[c] for c in other_choices.COLUMNS[:4])]
        for count in counts:  # of 200 and 800: processors round differently
            assert abs(row[count] - recorded[count]) <= 4, (choice, count)
    every = other_choices.choice_runs()
    assert {c for c, _ in every} == set(kept.reset_index()["choice"])
    assert len(every) == len(kept) == 10 * (3 * len(SYNTHETIC) + 2)


def test_table_vii_speaks_for_the_start_that_pytorch_gives():
    """Training accuracies while training, recomputed from counts: ours lie at the printed ones, those of the
    wider start points below."""
    records = list(Store().frozen_records().values())
    linear = metrics.full_protocol(metrics.frame(records)).query("lr_rule == 'linear'")
    others = other_choices.recorded_choices()
    found = choices_made.starts_against_table_vii(linear, others).set_index("batch_size")
    assert list(found.index) == [1, 8] and list(found["paper"]) == [92.13, 96.63]
    for b in found.index:
        wide = others.query(
            "choice == @other_choices.WIDER and dataset == 'synthetic-1k' and batch_size == @b"
        )
        ours = mean_of(
            records, ("synthetic-1k", b, "linear"), lambda r: r["history"]["train_correct"][-1] / 8
        )
        assert found.loc[b, "wider"].mean == pytest.approx((wide["running_correct"] / 8).mean())
        assert found.loc[b, "ours"].mean == pytest.approx(sum(ours.values()) / 20)
        assert found.loc[b, "wider"].high < found.loc[b, "paper"] < found.loc[b, "ours"].high + 0.2


def test_what_is_trained_stays_when_the_rest_is_interrupted(tmp_path, monkeypatch):
    def cut(choice, run):
        if run.batch_size == 512:
            raise KeyboardInterrupt
        return dict.fromkeys(other_choices.COLUMNS, 1) | {"choice": choice, "dataset": run.dataset}

    runs = [
        ("a", plan("synthetic-1k", 32)),
        ("b", plan("synthetic-1k", 32)),
        ("c", plan("synthetic-1k", 512)),
    ]
    monkeypatch.setattr(other_choices, "FILE", tmp_path / "other.csv")
    monkeypatch.setattr(other_choices, "choice_runs", lambda: runs)
    monkeypatch.setattr(other_choices, "train_choice", cut)
    with pytest.raises(KeyboardInterrupt):
        other_choices.main()
    assert other_choices.recorded_choices()["choice"].tolist() == ["a", "b"]


def test_a_wider_start_is_wider_and_stairs_climb_once_an_epoch():
    run = other_choices.choice_runs()[0][1]
    plain, wide = (
        dict(net.named_parameters()) for net in (other_choices.network_of(run), other_choices.wider(run))
    )
    for name, p in plain.items():
        factor = math.sqrt(6) if p.dim() > 1 else 1
        assert wide[name].detach().numpy() == pytest.approx(factor * p.detach().numpy())
    rates = other_choices.in_stairs(run).rates
    assert [rates(epoch)[0] / run.lr for epoch in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert len(set(rates(0))) == 1


def test_the_largest_change_leads_and_the_figure_shows_what_lies_beyond_its_edge():
    def one(choice, b, accuracy, gap=None):
        return (choice, "mnist", b, Interval(accuracy, math.nan, math.nan, 1), gap)

    rows = [one("small", 32, 0.5), one("large", 32, 1.0), one("large", 512, -9.0), one("none", 32, 0.0)]
    found = pd.DataFrame(rows, columns=choices_made.COLUMNS)
    ranking = choices_made.ranking(found)
    assert ranking["choice"].tolist() == ["large", "small", "none"]
    assert ranking.loc[0, ["accuracy", "batch_size", "readings"]].tolist() == [9.0, 512, 2]
    left, right = choices_figure.multiverse(found, ranking).axes
    assert [text.get_text().strip() for text in left.texts] == ["−9.0"]
    assert [text.get_text() for text in right.texts] == ["not known"] * 3


def made(b, seed, test, running, clean, **more):
    """A run of 800 training and 200 test samples, from its accuracies in percent."""
    return record("synthetic-1k", b, seed, round(2 * test), round(8 * running), round(8 * clean), **more)


def recorded():
    """Records whose differences are taken by hand below."""
    better = made(32, 42, 95, 95, 98)
    better["history"]["test_correct"][3] = 194
    return [
        better,
        made(32, 43, 96, 95.5, 99.5),
        made(512, 42, 90, 90, 92),
        made(512, 43, 92, 91, 94),
        made(32, 42, 93, 95, 98, precision="bf16"),
        made(8, 42, 94, 94, 96),
        made(8, 43, 93, 95, 96),
        made(8, 42, 97, 94, 99, lr_rule="constant"),
        made(8, 43, 95, 95, 97, lr_rule="constant"),
        record("cifar10", 1024, 42, 5_600, 0, 30_000),
        record("cifar10", 1024, 42, 7_600, 0, 41_000, warmup_epochs=5),
        record("mnist", 1024, 42, 9_900),
        record("mnist", 1024, 42, 980, warmup_epochs=0),
    ]


OTHERS = pd.DataFrame(
    [
        (other_choices.WIDER, "synthetic-1k", 32, 42, 91.0, 95.0, None),
        (other_choices.WIDER, "synthetic-1k", 32, 43, 94.0, 96.0, None),
        (other_choices.WIDER, "synthetic-1k", 32, 44, 0.0, 96.0, None),  # no run of ours has this seed
        (other_choices.STAIRS, "synthetic-1k", 512, 42, 88.0, None, None),
        (other_choices.STAIRS, "synthetic-1k", 512, 43, 90.0, None, None),
        (other_choices.STAIRS, "synthetic-50k", 512, 42, 1.0, None, None),
    ],
    columns=["choice", "dataset", "batch_size", "seed", "test_acc", "train_acc", "train_acc_running"],
)


def studies():
    warm = [("synthetic-1k", 512, 5, 42, 89.0), ("synthetic-1k", 512, 5, 43, 92.0)]
    warm += [("synthetic-1k", 512, 0, 42, 1.0), ("synthetic-10k", 512, 5, 42, 1.0)]
    sizes = [
        (800, 32, 1, 90.0),
        (800, 32, 1, 92.0),
        (800, 32, 2, 94.0),
        (800, 32, 3, 100.0),
        (3_200, 32, 1, 1.0),
        (800, 64, 1, 1.0),
    ]
    rates = [(16, 0.001004, 42, 96.0), (16, 0.001, 43, 97.0), (16, 0.0005, 42, 95.0), (16, 0.0005, 43, 95.0)]
    rates += [
        (16, 0.001015, 44, 1.0),
        (16, 0.0005, 44, 95.0),
        (16, 0.00025, 42, 1.0),
        (64, 0.001, 42, 1.0),
        (64, 0.002, 42, 9.0),
    ]
    far = pd.DataFrame(rates, columns=["batch_size", "lr", "seed", "test_acc"])
    return {
        "warm-up": pd.DataFrame(warm, columns=["dataset", "batch_size", "warmup_epochs", "seed", "test_acc"]),
        "data-size": pd.DataFrame(sizes, columns=["n_train", "batch_size", "problem", "test_acc"]),
        "map-synthetic-10k": far.assign(dataset="synthetic-10k"),
        "map-synthetic-1k": far.assign(dataset="synthetic-1k"),  # our own runs go before
        "remedies-synthetic-10k": far.assign(dataset="synthetic-50k"),  # no map
    }


def test_every_reading_by_hand():
    """The other choice minus ours, in accuracy and clean gap, over the seeds that both have."""
    records = recorded()
    found = choices_made.effects(metrics.frame(records), records, OTHERS, studies())
    told = [
        (c.split(":")[0], d, int(b), *(i and (round(i.mean, 6), i.n) for i in both))
        for c, d, b, *both in found.itertuples(index=False)
    ]
    one = "synthetic-1k"
    assert told == [
        ("initialization", one, 32, (-3, 2), (-0.25, 2)),  # 91 − 95, 94 − 96; 4 − 3, 2 − 3.5
        ("warm-up", one, 512, (-1.5, 2), None),
        ("warm-up", "cifar10", 1024, (20, 1), (2, 1)),  # 82 − 76 less 60 − 56
        ("training accuracy", one, 32, (0, 0), (-3.5, 2)),
        ("training accuracy", one, 512, (0, 0), (-2.5, 2)),
        ("arithmetic", one, 32, (-2, 1), (2, 1)),
        ("rate", one, 8, (2.5, 2), (-0.5, 2)),
        ("rate", "synthetic-10k", 16, (1.5, 2), None),
        ("test accuracy", one, 32, (1, 2), None),
        ("test accuracy", one, 512, (0, 2), None),
        ("data", one, 32, (-4, 1), None),
        ("data", one, 32, (-1, 1), None),
        ("data", one, 32, (5, 1), None),
        ("seed", one, 32, (-0.5, 1), (-0.25, 1)),
        ("seed", one, 32, (0.5, 1), (0.25, 1)),
        ("seed", one, 512, (-1, 1), (0, 1)),
        ("seed", one, 512, (1, 1), (0, 1)),
    ]
    nothing = found[found["choice"] == "training accuracy: running"].iloc[0]["accuracy"]
    assert (nothing.low, nothing.high) == (0, 0), "accuracy is the same number under both"


def test_starts_beside_table_vii_by_hand():
    wide = OTHERS.iloc[:2].assign(batch_size=8, train_acc_running=[90.0, 92.0])
    linear = metrics.frame(recorded()).query("lr_rule == 'linear'")
    others = pd.concat([OTHERS, wide, wide.assign(dataset="synthetic-10k"), wide.assign(choice="other")])
    [row] = choices_made.starts_against_table_vii(linear, others).to_dict("records")
    assert (row["batch_size"], row["paper"]) == (8, 96.63)
    assert (row["ours"].mean, row["wider"].mean, row["ours"].n) == (94.5, 91, 2)


def test_where_accuracy_does_not_move_the_largest_change_of_the_gap_is_named():
    def one(b, accuracy, gap):
        return ("choice", "mnist", b, *(Interval(v, v, v, 2) for v in (accuracy, gap)))

    def ranked(*rows):
        return choices_made.ranking(pd.DataFrame(rows, columns=choices_made.COLUMNS)).iloc[0].tolist()

    assert ranked(one(32, 0, 1), one(512, 0, -3)) == ["choice", 0, 3, "mnist", 512, 2]
    assert ranked(one(32, -0.1, 1), one(512, 0, 3)) == ["choice", 0.1, 3, "mnist", 32, 2]
