"""What a choice moves, against differences taken by hand, and the ranking of made-up effects."""

import math

import pandas as pd
import pytest

from bbatch import metrics
from bbatch.analysis import choices_made
from bbatch.config import SYNTHETIC
from bbatch.pages import choices_figure
from bbatch.records.store import Store
from bbatch.statistics import Interval
from bbatch.studies import other_choices, table


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
        "choice == 'initialisation' and dataset == 'synthetic-10k' and batch_size == 32"
    )
    by_hand = [row.test_correct / 20 - ours[row.seed] for row in others.itertuples()]
    found = effects.loc[("initialisation: √6 times as wide", "synthetic-10k", 32), "accuracy"]
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
    choice, run = other_choices.choice_runs()[0]
    row = other_choices.train_choice(choice, run)
    kept = other_choices.recorded_choices().set_index(other_choices.COLUMNS[:4])
    correct = kept.loc[tuple(row[c] for c in other_choices.COLUMNS[:4]), "test_correct"]
    assert abs(row["test_correct"] - correct) <= 4  # of 200: processors round differently
    assert {c for c, _ in other_choices.choice_runs()} == set(kept.reset_index()["choice"])
    assert len(other_choices.choice_runs()) == len(kept) == 10 * (3 * len(SYNTHETIC) + 2)


def test_table_vii_speaks_for_the_start_that_pytorch_gives():
    """Training accuracies while training, recomputed from counts: ours lie at the printed ones, those of the
    wider start points below."""
    records = list(Store().frozen_records().values())
    linear = metrics.full_protocol(metrics.frame(records)).query("lr_rule == 'linear'")
    others = other_choices.recorded_choices()
    found = choices_made.starts_against_table_vii(linear, others).set_index("batch_size")
    assert list(found.index) == [1, 8] and list(found["paper"]) == [92.13, 96.63]
    for b in found.index:
        wide = others.query("choice == 'initialisation' and dataset == 'synthetic-1k' and batch_size == @b")
        ours = mean_of(
            records, ("synthetic-1k", b, "linear"), lambda r: r["history"]["train_correct"][-1] / 8
        )
        assert found.loc[b, "wider"].mean == pytest.approx((wide["running_correct"] / 8).mean())
        assert found.loc[b, "ours"].mean == pytest.approx(sum(ours.values()) / 20)
        assert found.loc[b, "wider"].high < found.loc[b, "paper"] < found.loc[b, "ours"].high + 0.2


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
    assert any("−9.0: MNIST, B = 512" in text.get_text() for text in left.texts)
    assert [text.get_text() for text in right.texts] == ["not known"] * 3
