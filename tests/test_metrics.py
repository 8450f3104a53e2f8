"""The metrics of Section III-D against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from bbatch import metrics, models
from bbatch.config import plan
from factories import record as whole_record
from factories import record_of_four_epochs as record


def test_a_row_by_hand():
    row = metrics.row(record())
    assert row["test_acc"] == pytest.approx(85.0)  # 170 of 200
    assert row["train_acc"] == pytest.approx(87.5)  # 700 of 800
    assert row["train_acc_running"] == pytest.approx(80.0)  # 640 of 800
    assert row["gap"] == pytest.approx(2.5) and row["gap_running"] == pytest.approx(-5.0)
    assert row["epoch_time_s"] == 2.0  # evaluation left out
    assert row["convergence_epoch"] == 3  # 160 of 200 is 80 %, not more
    assert row["diverged"] is False
    assert (row["dataset"], row["batch_size"], row["seed"], row["epochs"]) == ("synthetic-1k", 32, 42, 4)
    assert (row["lr"], row["lr_rule"], row["optimizer"], row["n_train"], row["n_test"]) == (
        0.001,
        "linear",
        "adam",
        800,
        200,
    )
    assert (row["data_source"], row["data_fingerprint"], row["commit"]) == ("somewhere", "f" * 64, "abc")
    assert set(row) == set(metrics.COLUMNS)


def test_a_run_that_never_converges_and_one_that_diverges():
    assert metrics.row(record(test=(100, 160, 160, 160)))["convergence_epoch"] is None
    # the first, though it fell again
    assert metrics.row(record(test=(161, 10, 10, 10)))["convergence_epoch"] == 1
    assert metrics.row(record(diverged=4))["diverged"] is True


def test_frame_is_sorted_and_typed():
    records = [
        record(64, 43),
        record(8, 43),
        record(64, 42, test=(0, 0, 0, 0)),
        record(8, 43, lr_rule="constant"),
    ]
    table = metrics.frame(records)
    assert list(table.columns) == metrics.COLUMNS
    assert table[["lr_rule", "batch_size", "seed"]].values.tolist() == [
        ["constant", 8, 43],
        ["linear", 8, 43],
        ["linear", 64, 42],
        ["linear", 64, 43],
    ]
    assert table["convergence_epoch"].isna().tolist() == [False, False, True, False]
    assert str(table["convergence_epoch"].dtype) == "Int64"
    pd.testing.assert_frame_equal(table, metrics.frame(records[::-1]))


def test_empty_tables_have_their_columns():
    assert list(metrics.frame([]).columns) == metrics.COLUMNS and len(metrics.frame([])) == 0
    assert len(metrics.curves([])) == 0 and list(metrics.curves([]).columns) == list(
        metrics.curves([record()]).columns
    )


def test_curves_by_hand():
    table = metrics.curves([record(), record(64)])
    assert len(table) == 8
    first = table[table.batch_size == 32]
    assert first["epoch"].tolist() == [1, 2, 3, 4]
    assert first["seconds"].tolist() == [2.0, 3.0, 4.0, 8.0]
    assert np.allclose(first["test_acc"], [75, 80, 80.5, 85])
    assert np.allclose(first["train_acc_running"], [50, 62.5, 75, 80])
    assert first["train_loss"].tolist() == [0.4, 0.3, 0.2, 0.1]
    assert (table["started"] == pd.Timestamp("2026-01-01 08:00", tz="UTC")).all()


def made(batch, seed, precision, rule="linear", dataset="synthetic-1k"):
    run = plan(dataset, batch, seed, precision=precision, lr_rule=rule)
    return record(batch, seed) | {"run": run.as_dict(), "id": f"{dataset}-{rule}-{batch}-{seed}-{precision}"}


def test_each_mean_is_over_the_arithmetic_that_more_runs_of_the_data_set_have():
    low = [made(8, 42, "bf16"), made(8, 43, "bf16"), made(16, 42, "bf16"), made(8, 42, "bf16", "sqrt")]
    full = [made(8, 42, "fp32"), made(32, 42, "fp32"), made(8, 43, "fp32", "sqrt")]
    elsewhere = [made(8, 42, "fp32", dataset="synthetic-10k"), record(64)]  # the last: 4 epochs
    kept = set(metrics.full_protocol(metrics.frame([*low, *full, *elsewhere]))["id"])
    # B = 32 has no run in bf16, and the other data set none at all
    assert kept == {r["id"] for r in (*low, full[1], elsewhere[0])}
    as_many = [*low, *full, made(64, 42, "fp32")]
    kept = set(metrics.full_protocol(metrics.frame(as_many))["id"])
    assert kept == {r["id"] for r in (*as_many[4:], low[2])}  # of equal counts, 32 bits
    assert metrics.full_protocol(metrics.frame([])).empty


def test_the_leading_arithmetic_of_groups():
    table = pd.DataFrame(
        [(1, 1, "bf16"), (1, 1, "fp32"), (1, 2, "bf16"), (2, 1, "fp32")], columns=["a", "b", "precision"]
    )
    assert metrics.leading(table, "a").to_dict() == {1: "bf16", 2: "fp32"}
    assert metrics.leading(table, ["a", "b"]).to_dict() == {(1, 1): "fp32", (1, 2): "bf16", (2, 1): "fp32"}


def test_a_pause_of_hours_ends_a_sitting():
    hours = pd.Series([13, 0, 6, 6, 12.5], index=[7, 5, 3, 2, 1])
    found = metrics.sittings(pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h"))
    assert found.to_dict() == {5: 0, 3: 0, 2: 0, 1: 1, 7: 1}


@pytest.mark.parametrize(
    "name, value",
    [("device_name", "another"), ("precision", "bf16"), ("started", pd.Timestamp("2027-01-01", tz="UTC"))],
)
def test_times_of_two_machines_arithmetics_or_days_have_no_mean(name, value):
    cell = metrics.frame([record(8, 42), record(8, 43)])
    alike = metrics.interval(cell, "epoch_time_s")
    assert (alike.mean, alike.n) == (2.0, 2)
    other = cell.assign(**{name: [cell[name].iloc[0], value]})
    for metric in ("epoch_time_s", "epoch_cpu_s"):
        found = metrics.interval(other, metric)
        assert np.isnan([found.mean, found.low, found.high]).all() and found.n == 2
    assert metrics.interval(other, "test_acc").mean == metrics.interval(cell, "test_acc").mean


@pytest.mark.parametrize(
    "how", [{"base_lr": 0.5}, {"epochs": 3}, {"n_train": 700}, {"warmup_epochs": 5}, {"network": "wide"}]
)
def test_another_experiment_does_not_enter_the_protocols_means(monkeypatch, how):
    """The same data set, batch size, seed and rule, and one thing changed."""
    monkeypatch.setitem(models.NETWORKS, "wide", lambda: models.mlp())
    table = metrics.frame([whole_record("synthetic-1k", 32, 42), whole_record("synthetic-1k", 32, 42, **how)])
    assert len(table) == 2 and table["follows_the_paper"].sum() == 1
    kept = metrics.full_protocol(table)
    assert list(kept["id"]) == [plan("synthetic-1k", 32).key("f")]


def test_a_run_that_shared_its_gpu_has_no_epoch_time():
    alone, beside = whole_record("synthetic-1k", 32, 42), whole_record("synthetic-1k", 32, 43)
    beside["observed"]["side_by_side"] = 3
    table = metrics.frame([alone, beside]).set_index("seed")
    assert table.loc[42, "epoch_time_s"] == 2.0 and pd.isna(table.loc[43, "epoch_time_s"])
    curves = metrics.curves([alone, beside]).groupby("seed")["seconds"].last()
    assert curves[42] == 100.0 and pd.isna(curves[43])


def test_the_hosts_processor_time_is_no_cost_of_a_run_on_a_gpu():
    card = whole_record("synthetic-1k", 32, 42)
    card["observed"]["device"] = "cuda"
    table = metrics.frame([card, whole_record("synthetic-1k", 32, 43)]).set_index("seed")
    assert pd.isna(table.loc[42, "epoch_cpu_s"]) and table.loc[43, "epoch_cpu_s"] == 1.0
    spent = metrics.curves([card, whole_record("synthetic-1k", 32, 43)]).groupby("seed")["cpu_seconds"].last()
    assert pd.isna(spent[42]) and spent[43] == 50.0


def test_an_epoch_that_other_work_delayed_is_left_out_of_the_epoch_time():
    """One epoch of four took a minute for two seconds of work; where all did, their mean stands."""
    delayed, asleep = record(seed=42), record(seed=43)  # four epochs each
    delayed["observed"] |= {"seconds": [2.0, 60.0, 3.0, 4.0], "cpu_seconds": [2.0, 2.0, 2.5, 4.0]}
    asleep["observed"] |= {"seconds": [30.0, 60.0, 90.0, 60.0], "cpu_seconds": [2.0] * 4}
    table = metrics.frame([delayed, asleep]).set_index("seed")
    assert list(table["epoch_time_s"]) == [3.0, 60.0] and list(table["disturbed_epochs"]) == [1, 4]
