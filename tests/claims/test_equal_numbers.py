"""Equal questions, equal numbers: every claim and every table of the pages that ask the same must say the
same."""

import math

import pytest

from bbatch import published
from bbatch.analysis import critical_batch_size, efficiency, generalization_gap, learning_rate_rules
from bbatch.analysis import sharpness_and_batch_size as sharp
from bbatch.config import DATASETS
from bbatch.pages import tables


@pytest.fixture(scope="module")
def linear(committed):
    return committed.runs[committed.runs["lr_rule"] == "linear"]


def parts(real, id, label=""):
    """Estimates of the reading with a label, by what they are about."""
    read = next(r for r in real[id].ours if r.label == label or not label)
    return {part.about: part for part in read.parts if part.n}


def same(a, b) -> bool:
    return a == pytest.approx(b) or (math.isnan(a) and math.isnan(b))


def test_cells_of_tables_iii_iv_and_vii(real, linear):
    """Each cell that the page shows beside the paper's is the one that is judged."""
    seen = 0
    for name in DATASETS:
        table = tables.compare(linear, name).set_index("batch_size")
        for row in published.results(name).itertuples():
            id = f"table-{row.table.lower()}-{name}-b{row.batch_size}"
            for metric, cell in (("test_acc", "test-acc"), ("gap_running", "gap"), ("gap", "gap")):
                label = {"gap_running": "running training accuracy", "gap": "clean training accuracy"}
                found = parts(real, f"{id}-{cell}", label.get(metric, ""))
                assert len(found) == (table.loc[row.batch_size, "n"] > 0), id
                for part in found.values():
                    assert same(part.value, table.loc[row.batch_size, metric]), (id, metric)
                    assert part.n == table.loc[row.batch_size, "n"], id
                    seen += 1
            assert table.loc[row.batch_size, "test_acc_paper"] == real[f"{id}-test-acc"].claim.says.value
    assert seen > 90


def test_table_v(real, committed):
    for row in tables.ablation(committed.runs).itertuples():
        rate = {"linear": "scaled", "constant": "fixed"}[row.lr_rule]
        id = f"table-v-synthetic-50k-b{row.batch_size}-{rate}"
        for part in parts(real, f"{id}-test-acc").values():
            assert same(part.value, row.test_acc) and part.n == row.n
    effects = learning_rate_rules.effect(committed.runs).set_index(["batch_size", "rule"])["test_acc"]
    [lost] = parts(real, "iv-d-drop").values()
    assert same(lost.value, -effects[512, "constant"].value) and same(
        lost.low, -effects[512, "constant"].high
    )


def test_table_vi(real, linear):
    table = tables.critical_sizes(linear).set_index("data set")
    for name, spec in DATASETS.items():
        for what, column in (("optimum", "optimum, ours"), ("critical", "B*, ours")):
            for part in parts(real, f"table-vi-{name}-{what}").values():
                shown = table.loc[spec.title, column]
                assert shown == part.value if math.isfinite(part.value) else isinstance(shown, str)
        own = critical_batch_size.from_paper(name)
        assert table.loc[spec.title, "optimum, the paper's accuracies"] == own.optimal


def test_epochs_and_times(real, committed):
    """The table of notebook 06 and the claims of Section IV-C."""
    for label, accuracy in (
        ("to the accuracy of Section III-D, from B = 32", 80),
        ("to a point below the best mean accuracy, from B = 32", None),
    ):
        table = efficiency.at_the_largest(efficiency.all_speedups(committed.runs, committed.curves, accuracy))
        by_name = table.set_index("dataset")["epochs"]
        found = parts(real, "iv-c-more-epochs", label)
        for name in by_name.index:
            mine = by_name[name]
            if mine.n and mine.about in found:
                assert same(found[mine.about].value, mine.value) and same(found[mine.about].low, mine.low)
    pages = efficiency.per_epoch(committed.curves).set_index(["dataset", "base"])["ours"]
    found = parts(real, "i-epoch-speedup", "from B = 1 to the largest")
    for name in ("synthetic-1k", "synthetic-10k", "synthetic-50k"):
        mine = pages[name, 1]
        assert same(found[mine.about].value, mine.value) and same(found[mine.about].high, mine.high)


def test_sharpness(real, committed):
    for title, name in (("1K", "synthetic-1k"), ("10K", "synthetic-10k"), ("50K", "synthetic-50k")):
        table = sharp.ratios(committed.measures, name).set_index(["measure", "split"])
        for label, how in (
            ("Euclidean ball, searched, train loss", ("sharpness_l2", "train")),
            ("relative to all weights, searched, test loss", ("sharpness_relative", "test")),
        ):
            [part] = parts(real, "iv-e-sharpness-ratio", f"{title}, {label}").values()
            row = table.loc[how]
            assert same(part.value, row["ratio"]) and same(part.low, row["low"]) and part.n == row["n"]


def test_the_correlation(real, committed, linear):
    table = generalization_gap.correlations(linear).set_index(["source", "pairs of"])
    read = next(r for r in real["iv-b-correlation"].ours if r.key == "running training accuracy")
    row = table.loc[("our runs", "all data sets")]
    assert same(read.parts[0].value, row["r"]) and same(read.parts[0].low, row["low"])
    theirs = real["iv-b-correlation"].paper[0].parts[0]
    assert same(theirs.value, table.loc[("the paper's tables", "all data sets"), "r"])


def test_claims_that_ask_the_same_say_the_same(real):
    asked = {}
    for j in real.values():
        for reading in j.claim.ours:
            key = (
                (reading.of, reading.asks.func, repr(reading.asks.keywords))
                if hasattr(reading.asks, "func")
                else None
            )
            read = next(r for r in j.ours if r.label == reading.label)
            if key:
                assert asked.setdefault(key, read.parts) == read.parts or read.parts != read.parts, j.claim.id
    verdicts = {}
    for j in real.values():
        key = (j.claim.says, tuple(r.label for r in j.ours), tuple(map(str, j.ours[0].parts)), j.claim.unit)
        assert verdicts.setdefault(key, j.verdict) == j.verdict, j.claim.id
