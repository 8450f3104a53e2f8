"""The paper's tables beside made-up runs, cell by cell; and numbers as text."""

import math

import numpy as np
import pandas as pd
import pytest

import made_up
from bbatch import published
from bbatch.analysis import accuracy
from bbatch.analysis.critical_batch_size import critical_batch_size, from_paper
from bbatch.config import DATASETS, SYNTHETIC
from bbatch.errors import BadInput
from bbatch.metrics import interval
from bbatch.pages import tables

RUNS = made_up.runs(precision="fp32")
LINEAR = RUNS[RUNS["lr_rule"] == "linear"]


@pytest.mark.parametrize("seeds, by_estimate", [(1, False), (2, True), (3, True)])
def test_of_two_seeds_a_cell_shows_what_claims_are_judged_by(seeds, by_estimate):
    few = LINEAR[(LINEAR["batch_size"] != 8) | (LINEAR["seed"] < 40 + seeds)]
    cell = few[(few["dataset"] == "mnist") & (few["batch_size"] == 8)]
    found = tables.of_cell(few, "mnist", 8, "test_acc")
    expected = accuracy.level(few, "mnist", 8) if by_estimate else interval(cell, "test_acc")
    assert (found.mean, found.low, found.high) == (expected.mean, expected.low, expected.high)
    time = tables.of_cell(few, "mnist", 8, "epoch_time_s")  # no claim is judged by it
    assert (time.mean, time.n) == (pytest.approx(cell["epoch_time_s"].mean()), seeds)
    both = tables.of_cell(RUNS, "mnist", 8, "test_acc", "constant")
    assert both.mean == accuracy.level(RUNS, "mnist", 8, lr_rule="constant").mean


def test_optimum_and_b_star_of_three_sources_stand_side_by_side():
    some = LINEAR[~((LINEAR["dataset"] == "mnist") & (LINEAR["batch_size"] > 64))]
    some = some[(some["dataset"] != "cifar10") | (some["batch_size"] == 8)]
    table = tables.critical_sizes(some)
    printed = published.critical()
    assert table["data set"].tolist() == [DATASETS[d].title for d in printed["dataset"]]
    for row, cell in zip(table.to_dict("records"), printed.to_dict("records"), strict=True):
        name = cell["dataset"]
        own, mine = from_paper(name), made_up.cells(some, name)
        assert row["optimum, Table VI"] == cell["optimal_batch_size"]
        assert row["B*, Table VI"] == cell["critical_batch_size"]
        assert row["optimum, the paper's accuracies"] == own.optimal
        assert row["B*, the paper's accuracies"] == (own.case if own.critical is None else own.critical)
        assert row["batch sizes"] == f"{len(mine)} of {len(DATASETS[name].protocol.batch_sizes)}"
        fewest, most = min(map(len, mine.values())), max(map(len, mine.values()))
        assert row["seeds"] == (f"{fewest} to {most}" if fewest < most else f"{most}")
        if name == "cifar10":  # one batch size has no optimum
            assert pd.isna(row["optimum, ours"]) and row["B*, ours"] == "no runs yet"
        else:
            ours = critical_batch_size({b: np.mean(list(v.values())) for b, v in mine.items()})
            assert row["optimum, ours"] == ours.optimal
            assert row["B*, ours"] == (ours.case if ours.critical is None else ours.critical)
    assert set(tables.critical_sizes(LINEAR.iloc[:0])["seeds"]) == {"0"}


def test_the_text_of_the_paper_beside_its_table_and_our_means():
    table = tables.text_against_table(LINEAR)
    cells = [(name, b) for name in SYNTHETIC for b in (8, 512)]
    ids = ["1k-b8", "1k-b512", "10k-small", "10k-large", "50k-small", "50k-large"]
    for row, (name, b), id in zip(table.to_dict("records"), cells, ids, strict=True):
        printed = published.results(name).set_index("batch_size").loc[b, "test_acc"]
        assert (row["data set"], row["B"]) == (DATASETS[name].title, b)
        assert row["text"] == f"{published.value(f'iv-a-{id}'):.2f}"
        assert row["Table VII"] == f"{printed:.2f}" and row["n"] == 4
        assert row["ours"] == accuracy.level(LINEAR, name, b).text()


def test_numbers_as_text():
    table = pd.DataFrame({"batch_size": [8, 16, 32, 64], "n": [3, 2, 4, 0]})
    table["precision"] = ["bf16", "bf16", "fp32", ""]
    for metric in ("test_acc", "epoch_time_s"):
        table[metric] = [97.125, 0.01234, 12.345, math.nan]
        table[f"{metric}_low"], table[f"{metric}_high"] = table[metric] - 0.5, table[metric] + 0.5
        table[f"{metric}_paper"] = [97.5, 0.011, 12.0, math.nan]
        table[f"{metric}_difference"] = table[metric] - table[f"{metric}_paper"]
    text = tables.formatted(table)
    assert text[("n", "")].tolist() == ["3 (bf16)", "2 (bf16)", "4", "0"]
    accuracy_, time = tables.METRICS["test_acc"], tables.METRICS["epoch_time_s"]
    pm = "\u00a0±\u00a0"
    assert text[(accuracy_, "ours")].tolist() == [f"97.12{pm}0.50", f"0.01{pm}0.50", f"12.35{pm}0.50", "–"]
    assert text[(accuracy_, "difference")].tolist() == ["−0.38", "+0.00", "+0.34", "–"]
    assert text[(accuracy_, "paper")].tolist() == ["97.50", "0.01", "12.00", "–"]  # two of its three
    assert text[(time, "ours")].tolist() == [f"97.1{pm}0.5", f"0.0123{pm}0.5000", f"12.3{pm}0.5", "–"]
    assert text[(time, "paper")].tolist() == ["97.5", "0.011", "12", "–"]
    assert (time, "difference") not in text
    table["test_acc_paper"] = [92.3, 90.0, 87.8, math.nan]  # one decimal is all that the paper prints
    assert tables.formatted(table)[accuracy_, "paper"].tolist() == ["92.3", "90.0", "87.8", "–"]
    assert [tables._digits(v) for v in (0.0123, 0.5, 1.0, 99.0, 100.0, 1234.0, 0.0)] == [4, 3, 2, 1, 0, 0, 0]


def test_two_batch_sizes_have_a_best_one_and_table_v_counts_its_runs():
    two = LINEAR[(LINEAR["dataset"] == "mnist") & LINEAR["batch_size"].isin([8, 64])]
    row = tables.critical_sizes(two).set_index("data set").loc["MNIST"]
    means = {b: np.mean(list(v.values())) for b, v in made_up.cells(two, "mnist").items()}
    assert row["optimum, ours"] == max(means, key=means.get)
    five = tables.formatted(tables.ablation(RUNS))
    assert set(five["n", ""]) == {"3", "4"}  # B = 32 lacks a seed
    assert five[tables.METRICS["gap_running"], "paper"].tolist() == "1.2 1.2 4.5 2.1 7.9 2.8".split()


def test_every_table_has_its_number():
    seven = tables.by_number(7, RUNS)
    assert seven.columns[0] == "dataset" and seven["dataset"].unique().tolist() == list(SYNTHETIC)
    for number, name in ((3, "mnist"), (4, "cifar10")):
        expected = tables.compare(LINEAR, name)
        assert tables.by_number(number, RUNS).equals(expected) and len(expected) >= 9
    assert len(tables.by_number(1, RUNS)) == len(tables.by_number(2, RUNS)) == len(DATASETS)
    assert tables.by_number(6, RUNS).equals(tables.critical_sizes(LINEAR))
    assert tables.by_number(5, RUNS)["n"].sum() > 0 and len(tables.by_number(8, RUNS)) > 0
    for number in (0, 9):
        with pytest.raises(BadInput, match=f"table {number} is unknown; the paper has tables 1 to 8"):
            tables.by_number(number, RUNS)
