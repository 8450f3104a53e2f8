"""Verdicts: the rules by hand, the arithmetic recomputed, records and CSV files changed, and words without numbers."""

import ast
import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from scipy import stats

import browser
from bbatch import claims, cli, published
from bbatch.claims import explanations, ledger, rules
from bbatch.claims.quantities import QUANTITIES
from bbatch.claims.rules import (
    CONSISTENT,
    DATA,
    DIRECTION,
    INCONSISTENT,
    NOT,
    REPRODUCED,
    UNCHECKABLE,
    UNTESTABLE,
    Part,
    Proposition,
)
from bbatch.claims.witnesses import Paper, Runs
from bbatch.config import DATASETS, SYNTHETIC
from bbatch.errors import BadInput
from bbatch.pages import verdict_in_words, verdicts
from bbatch.records.store import ROOT
from factories import record

NAN = math.nan


def p(relation, value, unit, upper=NAN, rounding=0.0):
    return Proposition(relation, value, upper, unit, rounding)


def part(value, low=NAN, high=NAN, n=20, **more):
    return Part("somewhere", value, low, high, n, **more)


@pytest.fixture(scope="module")
def empty() -> Runs:
    return claims.witness({})


@pytest.fixture(scope="module")
def nothing_run(empty):
    """Every claim, judged without a single record."""
    return {j.claim.id: j for j in claims.judged(empty)}


def grid(dataset="synthetic-50k", seeds=6, rule="linear", noise=0.1, **accuracy) -> list[dict]:
    """Records of some batch sizes (b8=99.0, ...) whose accuracies scatter by `noise` points, the same way at each."""
    n, shifts = DATASETS[dataset].n_test, np.linspace(-noise, noise, seeds)
    return [
        record(dataset, int(b[1:]), 42 + k, round((a + shift) * n / 100), lr_rule=rule)
        for b, a in accuracy.items()
        for k, shift in enumerate(shifts)
    ]


def witness(*records) -> Runs:
    return claims.witness({r["id"]: r for r in records})


def verdict(id, ours) -> str:
    return claims.judged(ours, ids=[id])[0].verdict


# The rules, case by case.


@pytest.mark.parametrize(
    "put, found, expected",
    [
        (p("=", 90.0, "percent"), part(90.4, 90.3, 90.5), REPRODUCED),  # within the tolerance
        (p("=", 90.0, "percent"), part(91.5, 89.0, 94.0), REPRODUCED),  # one more run might give it
        (p("=", 90.0, "percent"), part(91.5, 89.0, 94.0, n=3), DATA),  # but three seeds do not say so
        (p("=", 90.0, "percent"), part(91.5, 90.8, 92.2), NOT),
        (p("=", 90.0, "percent"), part(91.0, 89.8, 92.0, n=1), REPRODUCED),  # one seed, sampling error
        (p("=", 90.0, "percent"), part(90.0, n=1), DATA),  # one run and no interval
        (p("=", 4.0, "points"), part(4.2, 3.9, 4.5), REPRODUCED),
        (p("=", 4.0, "points"), part(1.0, 0.5, 1.5), DIRECTION),
        (p("=", 4.0, "points"), part(-1.0, -1.5, -0.5), NOT),
        (p("=", 4.0, "points"), part(0.1, -0.5, 0.7), NOT),
        (p("=", 4.0, "points"), part(2.0, -1.0, 5.0), DATA),  # holds both what is claimed and nothing
        (p("=", 4.0, "points"), part(2.0, 0.2, 5.0, n=3), DATA),
        (p("=", 0.3, "points"), part(0.1, -0.1, 0.3), REPRODUCED),  # little is claimed, and little is there
        (p("=", 6.9, "ratio"), part(7.2, 6.8, 7.6), REPRODUCED),
        (p("=", 6.9, "ratio"), part(1.5, 1.2, 1.9), DIRECTION),
        (p("=", 6.9, "ratio"), part(0.8, 0.7, 0.9), NOT),
        (p("range", 10, "ratio", 50), part(20.0, 15.0, 25.0), REPRODUCED),
        (p("range", 10, "ratio", 50), part(54.0, 53.0, 54.9), REPRODUCED),  # a tenth of 50 above it
        (p("range", 10, "ratio", 50), part(60.0, 56.0, 64.0), DIRECTION),
        (p("range", 10, "ratio", 50), part(4.0, 3.0, 5.0), DIRECTION),
        (p(">", 0, "points"), part(0.2, 0.1, 0.3), REPRODUCED),
        (p(">", 0, "points"), part(-0.2, -0.3, -0.1), NOT),
        (
            p(">", 0, "points"),
            part(0.1, -0.2, 0.4),
            NOT,
        ),  # if there is an effect, it is within the tolerance of none
        (p("<=", 0, "points"), part(0.1, -0.2, 0.4), REPRODUCED),  # and this claims none
        (p(">", 0, "points"), part(0.1, -0.9, 1.1), DATA),
        (p("<", 2, "points"), part(1.9, 1.7, 2.1), REPRODUCED),
        (p("<", 2, "points"), part(2.5, 2.2, 2.8), NOT),
        (p("<", 0.001, "p"), part(0.3), NOT),
        (p("<", 0.001, "p"), part(0.0001), REPRODUCED),
        (p("=", 64, "samples"), part(32, 16, 128, among=(16, 64, 128)), REPRODUCED),
        (p("=", 64, "samples"), part(32, 16, 128, among=(16, 32, 128)), NOT),
        (p("range", 32, "samples", 64), part(16, 16, 128, among=(16, 128)), NOT),
        (p("=", 64, "samples"), part(math.inf, math.inf, math.inf, among=(math.inf,)), NOT),
        (p("=", 64, "samples"), part(32, 1, 512, missing="more seeds", among=(1, 64)), DATA),
        (p("=", 3, "ratio"), part(NAN), NOT),  # there is no such ratio
        (p("=", 3, "ratio"), Part("nothing"), DATA),
    ],
)
def test_the_verdict_on_a_part(put, found, expected):
    assert rules.judge_part(put, found) == expected


def test_a_claim_is_as_good_as_its_worst_part():
    put, good, weak, bad = (
        p("=", 4.0, "points"),
        part(4.0, 3.9, 4.1),
        part(1.0, 0.5, 1.5),
        part(-1.0, -1.5, -0.5),
    )
    hole = Part("hole")
    assert rules.judge(put, [good, good]) == REPRODUCED and rules.judge(put, [good, weak]) == DIRECTION
    assert rules.judge(put, [good, weak, hole]) == DATA and rules.judge(put, [good, weak, hole, bad]) == NOT
    assert rules.judge(put, []) == UNTESTABLE


@pytest.mark.parametrize(
    "put, low, high, expected",
    [
        (p("=", 7.9, "points", rounding=0.05), 8.0, 8.2, INCONSISTENT),
        (p("=", 8.1, "points", rounding=0.05), 8.0, 8.2, CONSISTENT),
        (p("=", 8.25, "points", rounding=0.05), 8.0, 8.2, CONSISTENT),
        (p("~", 3.0, "ratio", rounding=0.5), 2.7, 2.8, CONSISTENT),
        (p("~", 0.5, "exponent", rounding=0.05), -0.1, 0.6, UNCHECKABLE),
        (p("~", 0.5, "exponent", rounding=0.05), 0.1, 0.3, INCONSISTENT),
        (
            p("~", -1.0, "exponent", rounding=0.5),
            -0.81,
            -0.79,
            INCONSISTENT,
        ),  # "about": the tolerance, not the digits
        (p("range", 2, "points", 6), 1.0, 1.4, INCONSISTENT),
        (p("range", 2, "points", 6, 0.5), 1.0, 1.6, CONSISTENT),
        (p("<", 2, "points"), 2.0, 2.01, INCONSISTENT),
        (p("<", 2, "points"), 1.99, 2.01, CONSISTENT),
    ],
)
def test_the_check_against_the_paper(put, low, high, expected):
    assert rules.check(put, [part((low + high) / 2, low, high, n=1)]) == expected


def test_what_the_paper_cannot_give_is_not_checkable_and_what_has_no_value_is_inconsistent():
    assert (
        rules.check(p("=", 1, "ratio"), [Part("nowhere")])
        == UNCHECKABLE
        == rules.check(p("=", 1, "ratio"), [])
    )
    assert rules.check(p("=", 1, "ratio"), [part(NAN)]) == INCONSISTENT


# The ledger.


def test_every_statement_is_put_in_some_way_and_every_quantity_is_known():
    rows = published.ledger()
    assert list(rows["id"]) == list(published.statements()["id"]) and (rows["quantity"] != "").all()
    for claim in ledger.claims():
        for label, text in (*claim.ours, *claim.paper):
            assert text.split()[0] in QUANTITIES, (claim.id, text)
        assert len(claim.ours) <= 1 or all(label for label, _ in claim.ours), claim.id
        assert (
            claim.proposition.relation in ("=", "~", "<", "<=", ">", ">=", "range") or not claim.testable
        ), claim.id
        assert claim.proposition.unit or not claim.testable, claim.id


def test_the_ledger_holds_more_than_fifty_claims_and_every_printed_cell_once():
    found = ledger.claims()
    prose, cells = ([c for c in found if c.cell == cell] for cell in (False, True))
    tables = published.results()
    expected = int(tables[["train_acc", "test_acc", "gap", "epoch_time_s"]].notna().to_numpy().sum())
    expected += 2 * len(published.learning_rate_ablation()) + 2 * len(published.critical())
    assert len(prose) > 50 and len(cells) == expected and len({c.id for c in found}) == len(found)
    assert len(prose) + len(ledger.protocol()) == len(published.statements())
    every = published.ledger()
    assert set(ledger.protocol()["id"]) == set(every.loc[every["quantity"] == ledger.NO_CLAIM, "id"])


def test_printed_numbers_of_the_ledger_are_those_of_the_published_tables():
    found = {c.id: c for c in ledger.claims()}
    cell = published.results("cifar10").set_index("batch_size").loc[64]
    assert found["table-iv-cifar10-b64-test-acc"].printed == f"{cell['test_acc']:.2f} %"
    assert found["table-iv-cifar10-b64-gap"].proposition.value == cell["gap"]
    assert found["iv-b-correlation"].proposition.value == published.value("iv-b-correlation")
    assert found["iv-a-1k-b512"].printed == "85.0 %" and found["iv-a-1k-b512"].proposition.rounding == 0.05
    # What the ledger repeats of a definition is what the paper prints.
    assert found["iv-c-cifar10-never"].proposition.value == published.value("iii-d-converged")
    assert found["iv-d-prerequisite"].proposition.value == published.value("iv-g-critical-drop")


# Against the paper: its arithmetic, recomputed in another way.


def check(id, nothing_run):
    return nothing_run[id].check


def shown(id, nothing_run):
    return " ".join(part.shown for reading in nothing_run[id].paper for part in reading.parts)


def test_the_correlation_is_recomputed_from_the_cells(nothing_run):
    cells = published.results()
    r, probability = stats.pearsonr(np.log(cells["batch_size"]), cells["gap"])
    found = nothing_run["iv-b-correlation"].paper[0].parts[0]
    assert (found.value, found.n) == (pytest.approx(r), len(cells))
    assert nothing_run["iv-b-p-value"].paper[0].parts[0].value == pytest.approx(probability)
    assert check("iv-b-correlation", nothing_run) == check("iv-b-p-value", nothing_run) == INCONSISTENT
    assert f"{r:.2f}".replace("-", "−") in shown("iv-b-correlation", nothing_run)


def test_the_definition_of_the_critical_batch_size_is_applied_to_the_printed_accuracies(nothing_run):
    for name in DATASETS:
        accuracy = published.results(name).set_index("batch_size")["test_acc"]
        peak = accuracy.max()
        best = [b for b, a in accuracy.items() if a == peak]
        fallen = [
            b
            for b, a in accuracy.items()
            if b > min(best) and a < peak - published.value("iv-g-critical-drop")
        ]
        cell = published.critical().set_index("dataset").loc[name]
        assert check(f"table-vi-{name}-optimum", nothing_run) == (
            CONSISTENT if cell["optimal_batch_size"] in best else INCONSISTENT
        )
        assert check(f"table-vi-{name}-critical", nothing_run) == (
            CONSISTENT if fallen and min(fallen) == cell["critical_batch_size"] else INCONSISTENT
        )


def test_a_falling_trend_is_a_line_through_the_cells(nothing_run):
    at_each_step, as_trend = nothing_run["iv-a-monotone"].paper
    for found, name in zip(as_trend.parts, SYNTHETIC):
        cells = published.results(name)
        assert found.value == pytest.approx(np.polyfit(np.log2(cells["batch_size"]), cells["test_acc"], 1)[0])
    assert at_each_step.verdict == as_trend.verdict == INCONSISTENT


def test_the_exponent_is_fitted_to_table_vi(nothing_run):
    table = published.critical().set_index("dataset")["critical_batch_size"]
    fits = {
        r.label: r.parts[0]
        for r in nothing_run["iv-g-critical-exponent"].paper
        if "printed accur" not in r.label
    }
    for label, names in (
        ("over all data sets", list(DATASETS)),
        ("over the synthetic sets", list(SYNTHETIC)),
    ):
        printed = {
            "synthetic-1k": 1e3,
            "synthetic-10k": 1e4,
            "synthetic-50k": 5e4,
            "mnist": 6e4,
            "cifar10": 5e4,
        }
        n = [printed[d] for d in names]  # as Table VI prints them
        slope = np.polyfit(np.log(n), np.log(table[names]), 1)[0]
        assert fits[label].value == pytest.approx(slope) and f"{slope:.2f}" in fits[label].shown


def test_the_drops_of_the_text_against_table_v_and_table_vii(nothing_run):
    v = published.learning_rate_ablation().set_index(["batch_size", "lr_rule"])["test_acc"]
    lost = v[512, "linear"] - v[512, "constant"]
    agrees = abs(lost - published.value("iv-d-drop")) <= 0.05 + 0.1 + 1e-9
    assert (check("iv-d-drop", nothing_run) == CONSISTENT) == agrees
    fallen = v[32, "constant"] - v[512, "constant"]  # the one difference in Table V that makes "10%"
    found = nothing_run["v-d-unscaled-loss"].paper
    assert (abs(fallen - 10) < 0.5 < 10 - lost) and [r.verdict for r in found] == [
        CONSISTENT,
        INCONSISTENT,
        INCONSISTENT,
    ]
    assert "B = 32" in found[0].label and f"{fallen:.2f}" in found[0].parts[0].shown
    vii = published.results("synthetic-1k").set_index("batch_size")["test_acc"]
    assert abs(vii[8] - vii[512] - published.value("iv-a-1k-drop")) > 0.1
    assert check("iv-a-1k-drop", nothing_run) == INCONSISTENT
    for b in (32, 128, 512):  # Table V cannot come from the data of Table VII
        apart = published.results("synthetic-50k").set_index("batch_size")["test_acc"][b] - v[b, "linear"]
        expected = INCONSISTENT if abs(apart) > 0.06 else CONSISTENT
        assert check(f"table-v-synthetic-50k-b{b}-scaled-test-acc", nothing_run) == expected
    assert check("table-v-synthetic-50k-b512-fixed-test-acc", nothing_run) == UNCHECKABLE


def test_counts_sections_and_rates_of_the_paper_are_checked(nothing_run):
    assert check("vii-orders", nothing_run) == INCONSISTENT and math.log10(1024) < 3.5
    assert (
        check("vii-batch-sizes", nothing_run) == CONSISTENT
        and published.results()["batch_size"].nunique() == 9
    )
    assert check("v-a-section", nothing_run) == check("v-b-section", nothing_run) == INCONSISTENT
    assert check("v-d-section", nothing_run) == CONSISTENT
    assert check("v-a-agnostic", nothing_run) == UNCHECKABLE  # one network's sharpness says nothing of others
    assert (
        check("vi-small-lr", nothing_run) == INCONSISTENT
    )  # 0.001 * 16 / 32 lies below the branch's own range
    assert check("vi-medium-lr", nothing_run) == check("vi-large-lr", nothing_run) == CONSISTENT
    seconds = published.results("mnist")["epoch_time_s"].sum() * DATASETS["mnist"].protocol.epochs
    assert f"{seconds / 60:.2f} minutes" in shown("c-mnist-minutes", nothing_run)
    times = published.results("mnist").set_index("batch_size")["epoch_time_s"]
    slow, fast = (times[32] / times[1024] / more for more in (2, 1.5))  # too few to be a gain of 2 to 5 times
    assert f"{slow:.2f} to {fast:.2f}" in shown("v-e-wall-clock", nothing_run) and fast < 1
    assert check("v-e-wall-clock", nothing_run) == INCONSISTENT


def test_accuracies_are_counts_of_whole_samples_and_gaps_are_differences(nothing_run):
    for row in published.results("synthetic-1k").itertuples():
        whole = min(abs(row.test_acc - k / 2) for k in range(201)) <= 0.005
        id = f"table-vii-synthetic-1k-b{row.batch_size}"
        assert check(f"{id}-test-acc", nothing_run) == (CONSISTENT if whole else INCONSISTENT)
        differs = abs(row.train_acc - row.test_acc - row.gap) > 0.015 + 1e-9
        assert check(f"{id}-gap", nothing_run) == (INCONSISTENT if differs else CONSISTENT)
    assert (
        check("table-iii-mnist-b64-test-acc", nothing_run) == UNCHECKABLE
    )  # any two digits are a count of 10,000


def test_a_changed_csv_changes_the_check(tmp_path, monkeypatch, empty):
    shutil.copytree(published.FOLDER, tmp_path / "published")
    path = tmp_path / "published" / "text.csv"
    monkeypatch.setattr(published, "FOLDER", tmp_path / "published")
    published._read.cache_clear()
    try:
        assert claims.judged(empty, ids=["iv-d-drop"])[0].check == INCONSISTENT
        path.write_text(re.sub(r"(iv-d-drop,IV-D,=,)7\.9", r"\g<1>8.1", path.read_text()))
        published._read.cache_clear()
        assert claims.judged(empty, ids=["iv-d-drop"])[0].check == CONSISTENT
    finally:
        published._read.cache_clear()


# Against our runs.


def test_without_records_a_claim_lacks_data_and_names_a_command_or_cannot_be_tested(nothing_run):
    for id, j in nothing_run.items():
        assert j.verdict in (DATA, UNTESTABLE), id
        assert (j.verdict == DATA) == bool(j.command), id
        assert j.verdict != UNTESTABLE or j.claim.words or j.notes, id
        assert math.isnan((j.deciding or Part("")).value), id


def test_a_verdict_follows_the_records():
    agree = grid(b512=90.2) + grid(b512=82.1, rule="constant")
    assert verdict("iv-d-fixed", witness(*agree)) == REPRODUCED
    assert verdict("iv-d-prerequisite", witness(*agree)) == REPRODUCED
    assert verdict("v-d-unscaled-loss", witness(*agree)) == DIRECTION
    less = grid(b512=90.2) + grid(b512=90.2, rule="constant")
    assert verdict("iv-d-prerequisite", witness(*less)) == NOT == verdict("iv-d-fixed", witness(*less))
    assert verdict("iv-d-fixed", witness(*grid(b512=90.2))) == DATA


def test_intervals_are_those_of_the_textbook():
    ours = witness(*grid(b8=99.0, b512=98.0, seeds=6, noise=0.5))
    values = np.array([round((99.0 + s) * 100) / 100 for s in np.linspace(-0.5, 0.5, 6)])
    half = stats.t.ppf(0.975, 5) * values.std(ddof=1) * math.sqrt(1 + 1 / 6)
    cell = ours.cell("synthetic-50k", 8)
    assert (cell.value, cell.low, cell.high, cell.n) == pytest.approx((99.0, 99 - half, 99 + half, 6))
    fall = QUANTITIES["falls"](ours, "8", "512", "synthetic-50k")[0]  # every seed falls by the same point
    assert (fall.value, fall.n) == pytest.approx((1.0, 6)) and fall.high - fall.low < 0.02


def test_two_single_runs_are_compared_by_newcombes_interval():
    ours = witness(record("mnist", 64, 42, 9900), record("mnist", 1024, 42, 9800))
    (l1, u1), (l2, u2) = (stats.binomtest(k, 10_000).proportion_ci(method="wilson") for k in (9900, 9800))
    low, high = 0.01 - math.hypot(0.99 - l1, u2 - 0.98), 0.01 + math.hypot(u1 - 0.99, 0.98 - l2)
    a, b = (ours.cell("mnist", size) for size in (64, 1024))
    assert [100 * x for x in (low, high)] == pytest.approx([(d := ours.minus(a, b, "")).low, d.high])
    fall = ours.combination("mnist", "test_acc", {(64, None): 1, (1024, None): -1})
    assert (
        fall.n == 1
        and fall.low <= d.low
        and fall.high >= d.high
        and fall.high - fall.low < 1.1 * (d.high - d.low)
    )
    assert any(
        "One seed" in note for note in claims.judged(ours, ids=["table-iii-mnist-b64-test-acc"])[0].notes
    )


def test_parts_share_their_error_by_bonferroni():
    accuracies = dict(b1=99.0, b8=99.0, b16=99.0, b32=99.0, b64=99.0, b128=99.0, b256=99.0, b512=98.9)
    ours, rng = witness(*grid(noise=0.0, **accuracies)), np.random.default_rng(0)
    frame = ours.frame.assign(test_acc=ours.frame["test_acc"] + rng.normal(0, 0.1, len(ours.frame)))
    ours = replace(ours, frame=frame)
    steps = [part for part in claims.judged(ours, ids=["iv-a-monotone"])[0].ours[0].parts if part.n]
    wide = frame.pivot(index="seed", columns="batch_size", values="test_acc")
    difference = wide[8] - wide[1]
    low, high = stats.t.interval(
        1 - 0.05 / 21, 5, difference.mean(), stats.sem(difference)
    )  # 7 steps on 3 sets
    assert (steps[0].low, steps[0].high) == pytest.approx((low, high))


def test_an_optimum_is_drawn_again():
    sizes = DATASETS["mnist"].protocol.batch_sizes
    clear = witness(*[record("mnist", b, 42, 9910 if b == 64 else 9000) for b in sizes])
    found = claims.judged(clear, ids=["iv-a-mnist-optimum"])[0]
    assert found.verdict == REPRODUCED and found.deciding.among == (64.0,) and found.deciding.n == 1
    other = witness(*[record("mnist", b, 42, 9910 if b == 8 else 9000) for b in sizes])
    assert verdict("iv-a-mnist-optimum", other) == NOT
    level = witness(*[record("mnist", b, 42, 9900) for b in sizes])
    undecided = claims.judged(level, ids=["iv-a-mnist-optimum"])[0]
    assert undecided.verdict == DATA and "--seeds" in undecided.command
    falls = {b: 9910 if b <= 64 else 9850 if b == 128 else 9600 for b in sizes}
    steep = witness(*[record("mnist", b, 42, falls[b]) for b in sizes])
    assert verdict("table-vi-mnist-critical", steep) == REPRODUCED


def test_a_missing_optimum_settles_the_exponent():
    flat = [
        r
        for d in SYNTHETIC
        for b in DATASETS[d].protocol.batch_sizes
        for r in grid(d, **{f"b{b}": 97.0 + (b == 32)}, noise=0.01)
    ]
    j = claims.judged(witness(*flat), ids=["iv-g-critical-exponent"])[0]
    assert j.verdict == NOT and "no B*" in j.deciding.shown


def test_the_most_favourable_reading_is_named_and_the_others_are_kept():
    clean_only = [record("synthetic-50k", 512, 42 + k, 9020, running=30_000, clean=37_200) for k in range(6)]
    j = claims.judged(witness(*clean_only), ids=["iv-d-gap-scaled"])[0]
    assert [(r.label, r.verdict) for r in j.ours] == [
        ("clean training accuracy", REPRODUCED),
        ("running training accuracy", NOT),
    ]
    assert [(r.label, r.verdict) for r in j.paper] == [("Table V", CONSISTENT), ("Table VII", INCONSISTENT)]


def test_of_readings_with_one_verdict_the_nearest_is_named():
    flat = [record("synthetic-50k", 512, 42 + k, 9900, running=39_640, clean=39_800) for k in range(6)]
    j = claims.judged(witness(*flat), ids=["iv-d-gap-scaled"])[0]
    assert [(r.label.split()[0], r.parts[0].value) for r in j.ours] == [
        ("clean", pytest.approx(0.5)),
        ("running", pytest.approx(0.1)),
    ]
    assert j.verdict == NOT and "Both readings: not reproduced." in j.notes
    cell = claims.judged(witness(*flat), ids=["table-v-synthetic-50k-b512-scaled-gap"])[0]
    assert cell.ours[0].label.startswith("running")  # a table keeps to one reading
    put = p("range", 2, "ratio", 5)
    assert rules.distance(put, [part(3.0), part(5.5)]) == 0.5 and rules.distance(put, [part(NAN)]) == math.inf


def test_what_the_paper_leaves_open_is_read_in_every_way():
    found = {c.id: c for c in ledger.claims()}
    balls, sets = len(ledger.OPEN["<eq3>"]), len(ledger.OPEN["<synthetic>"])
    assert len(found["iv-e-sharpness-ratio"].ours) == balls * sets == 36
    assert {q.split()[-1] for _, q in found["iv-f-variance-slope"].ours} == set(DATASETS)
    assert not any("<" in q for c in found.values() for _, q in (*c.ours, *c.paper))


def test_a_share_of_seeds_has_an_interval():
    def trend(seeds, wrong=0):
        return witness(
            *[
                record(d, b, 42 + k, DATASETS[d].n_test * (9 if (b == 1) == (k >= wrong) else 8) // 10)
                for d in SYNTHETIC
                for b in (1, 512)
                for k in range(seeds)
            ]
        )

    few = claims.judged(trend(20), ids=["iii-g-stable"])[0]
    assert few.verdict == DATA and few.deciding.value == 100 and "--seeds 40" in few.command
    assert (
        verdict("iii-g-stable", trend(60)) == REPRODUCED
        and verdict("iii-g-stable", trend(40, wrong=15)) == NOT
    )


def test_a_gap_not_told_apart_from_nothing_has_no_multiples_yet():
    def ratio(*running):
        runs = [
            record("synthetic-50k", 512, 42 + k, 9900, running=39_600 + more, lr_rule=rule)
            for rule in ("linear", "constant")
            for k, more in enumerate(running)
        ]
        return QUANTITIES["unscaled-gap-ratio"](witness(*runs), "512")[0]

    assert ratio(-40, 40, -40, 44, 0).missing and math.isnan(ratio(-40, -44, -40, -44, -48).value)
    assert ratio(40, 44, 40, 44, 48).value == pytest.approx(1)


def test_a_row_says_where_the_protocol_differs():
    r = record("cifar10", 512, 42, 4810, precision="bf16")
    r["data"]["source"] = "CIFAR-10, JPEG-75 mirror"
    notes = " ".join(claims.judged(witness(r), ids=["table-iv-cifar10-b512-test-acc"])[0].notes)
    assert all(word in notes for word in ("JPEG", "bf16", "CPU", "One seed"))
    assert claims.judged(witness(*grid(b512=90.0)), ids=["iv-d-scaled"])[0].notes == ()


def test_a_run_on_official_data_and_on_a_mirrors_counts_once():
    mirror, official = record("cifar10", 64, 42, 7000), record("cifar10", 64, 42, 8000) | {"id": "another"}
    mirror["data"]["source"] = "CIFAR-10, JPEG-75 mirror"
    found = witness(mirror, official).cell("cifar10", 64)
    assert (found.value, found.n, found.ids) == (80.0, 1, ("another",))


def test_sharpness_and_noise_are_read_from_the_measurements(empty):
    import pandas as pd

    rows = [
        ("synthetic-1k", b, 42 + k, "sharpness_l2", s * (1 + k / 100))
        for k in range(5)
        for b, s in ((32, 0.02), (512, 0.138))
    ]
    rows += [
        ("synthetic-1k", b, 42 + k, "gradient_variance", 3 / b * (1 + k / 50))
        for k in range(5)
        for b in (8, 32, 128)
    ]
    table = pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "measure", "value"]).assign(
        lr_rule="linear", split="train", epoch=50
    )
    ours = replace(empty, measures=table)
    j = claims.judged(ours, ids=["abstract-sharpness-ratio"])[0]
    assert (
        j.verdict == REPRODUCED
        and j.ours[0].label.startswith("1K")
        and j.deciding.value == pytest.approx(6.9)
    )
    level = QUANTITIES["sharpness"](ours, "32", "sharpness_l2", "synthetic-1k")[0]  # a level: of one more run
    values = np.array([0.02 * (1 + k / 100) for k in range(5)])
    assert level.high - level.value == pytest.approx(
        stats.t.ppf(0.975, 4) * values.std(ddof=1) * math.sqrt(1 + 1 / 5)
    )
    table.loc[(table["seed"] == 42) & (table["measure"] == "sharpness_l2"), "value"] = 0.0
    ratio = QUANTITIES["sharpness-ratio"](replace(empty, measures=table), "sharpness_l2", "synthetic-1k")[0]
    assert (ratio.value, ratio.n) == (pytest.approx(6.9), 4)  # nothing has no ratio
    slope = claims.judged(ours, ids=["iv-f-variance-slope"])[0]
    assert slope.verdict == REPRODUCED and slope.deciding.value == pytest.approx(-1)
    table.loc[table["measure"] == "gradient_variance", "value"] = 1 / table["batch_size"] ** 0.5
    assert verdict("iv-f-variance-slope", replace(empty, measures=table)) == DIRECTION


def test_epochs_to_an_accuracy_are_counted_on_the_curves():
    runs = [record("synthetic-1k", b, 42 + k, 190) for b in (32, 512) for k in range(5)]
    for r in runs:
        slow = r["run"]["batch_size"] == 512
        r["history"]["test_correct"] = [100] * (3 if slow else 1) + [
            190
        ] * 5  # 95 % from the fourth or second epoch on
    found = {r.label: r.parts[0] for r in claims.judged(witness(*runs), ids=["iv-c-more-epochs"])[0].ours}
    assert all(
        part.value == pytest.approx(2.0) and part.n == 5 for label, part in found.items() if "B = 32" in label
    )
    for r in runs:
        if r["run"]["batch_size"] == 512:
            r["history"]["test_correct"] = [100] * 8
    found = {r.label: r.verdict for r in claims.judged(witness(*runs), ids=["iv-c-more-epochs"])[0].ours}
    assert found["to the accuracy of Section III-D, from B = 32"] == NOT
    for r in runs:  # neither gets there: it cannot be said which needs more
        r["history"]["test_correct"] = [100] * 8
    parts = QUANTITIES["more-epochs"](witness(*runs), "converged", "32")
    assert [part.label.split(",")[0] for part in parts] == [
        s.title for d, s in DATASETS.items() if d != "synthetic-1k"
    ]
    parts = QUANTITIES["wall-clock"](witness(*runs), "converged", "32")
    assert not any(part.label.startswith(DATASETS["synthetic-1k"].title) for part in parts)


# Reasons and words.


def test_reasons_are_given_for_what_fails_alone_and_are_computed():
    fixed = grid(b512=90.2) + grid(b512=90.1, rule="constant")
    ours = witness(*fixed)
    failed = claims.judged(ours, ids=["iv-d-fixed"])[0]
    text = " ".join(explanations.reasons(failed, ours))
    scaled = published.learning_rate_ablation().set_index(["batch_size", "lr_rule"])["test_acc"][
        512, "linear"
    ]
    apart = published.results("synthetic-50k").set_index("batch_size")["test_acc"][512] - scaled
    assert failed.verdict == NOT and f"{apart:.2f}" in text
    held = claims.judged(ours, ids=["iv-d-scaled"])[0]
    assert held.verdict == REPRODUCED and explanations.reasons(held, ours) == []
    alone = witness(record("mnist", 64, 42, 9000))
    unexplained = claims.judged(alone, ids=["table-iii-mnist-b64-test-acc"])[0]
    assert explanations.reasons(unexplained, alone) == [explanations.UNEXPLAINED]


ALLOWED = re.compile(
    r"B (?:=|>=|≥) \d+(?:(?:,| and| to| or) \d+)*"
    r"|(?:Table|Section|Algorithm|Eq\.|Fig\.|line|Line)s? \(?[\dIVX]+[-\w]*\)?"
    r"|`[^`]*`|Tables III to VII|CIFAR-10|synthetic-\d+k|\b\d+K\b|\b10k\b|\b50k\b|R²|float 32"
)
NUMBER = re.compile(
    r"\d|\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|hundred|thousand"
    r"|half|third)\b",
    re.I,
)


def typed_numbers(text: str) -> list[str]:
    """Numbers that are typed rather than computed: batch sizes, sections and names are no numbers in this sense."""
    sizes = {b for spec in DATASETS.values() for b in spec.protocol.batch_sizes}
    named = [
        int(n)
        for span in re.findall(r"B (?:=|>=|≥) \d+(?:(?:,| and| to| or) \d+)*", text)
        for n in re.findall(r"\d+", span)
    ]
    return [m[0] for m in NUMBER.finditer(ALLOWED.sub("", text))] + [str(n) for n in named if n not in sizes]


def literals(path):
    """Texts typed in a module, without docstrings, format specifications and names that hold no space."""
    tree = ast.parse(path.read_text())
    skip = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    skip |= {
        id(sub)
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.format_spec
        for sub in ast.walk(node.format_spec)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " " in node.value.strip()
        and id(node) not in skip
    ]


def test_the_search_for_typed_numbers_finds_them():
    assert (
        typed_numbers("falls by 3 points") and typed_numbers("about ten seeds") and typed_numbers("at B = 48")
    )
    assert not typed_numbers("at B = 32 to 512, see Section IV-D, Table V and Eq. (3) on CIFAR-10")


def test_words_of_explanation_name_no_number_that_is_not_computed():
    words = {row.id: row.words.replace("{value:g}", "") for row in published.ledger().itertuples()}
    assert {id: found for id, text in words.items() if (found := typed_numbers(text))} == {}
    labels = [label for c in ledger.claims() for label, _ in (*c.ours, *c.paper)]
    assert [label for label in labels if typed_numbers(label)] == []
    for module in ("claims/explanations", "pages/verdict_in_words", "claims/rules"):
        assert [t for t in literals(ROOT / "bbatch" / f"{module}.py") if typed_numbers(t)] == [], module


def test_the_page_in_words_puts_every_subject_under_its_verdict(empty, nothing_run):
    judged = list(nothing_run.values())
    said = verdict_in_words.in_words(judged, empty)
    open_ = " ".join(said["What we could not tell"])
    assert all(question in open_ for _, question in verdict_in_words.SUBJECTS)
    ours = witness(*grid(b512=90.2), *grid(b512=82.1, rule="constant"))
    said = verdict_in_words.in_words(claims.judged(ours), ours)
    question = dict(verdict_in_words.SUBJECTS)["iv-d-prerequisite"]
    assert question in " ".join(said["What it gets right"]) and "8.10 points" in " ".join(
        said["What it gets right"]
    )


def test_totals_add_up(nothing_run):
    judged = list(nothing_run.values())
    counts = claims.totals(judged)
    assert counts.to_numpy().sum() == len(judged) and list(counts.columns) == list(rules.VERDICTS)
    text = verdict_in_words.totals_sentence(judged)
    prose = [j for j in judged if not j.claim.cell]
    assert f"Of **{len(prose)} claims" in text and f"{sum(j.verdict == DATA for j in prose)} {DATA}" in text
    axis = verdict_in_words.figure_totals(judged).axes[0]
    widths = [bar.get_width() for bars in axis.containers for bar in bars]
    assert sum(widths) == pytest.approx(100 * len(counts))  # a bar of shares for each section
    assert sum(int(text.get_text()) for text in axis.texts) == len(judged)


def test_a_witness_of_some_seeds_or_one_precision():
    kept = [record("mnist", 64, seed, 9900) for seed in (42, 43, 44)]
    low = [record("mnist", 64, 45, 9900, precision="bf16")]
    records = {r["id"]: r for r in kept + low}
    assert sorted(claims.witness(records, seeds=2).frame["seed"]) == [42, 43]
    assert (
        list(claims.witness(records, precision="bf16").frame["seed"]) == [45]
        and len(claims.witness(records).frame) == 4
    )
    with pytest.raises(BadInput, match="allowed are recorded, fp32, bf16"):
        claims.witness(records, precision="fp16")
    with pytest.raises(BadInput, match="number of seeds is -1"):
        claims.witness(records, seeds=-1)


# Where it shows.


def test_the_command_line_prints_the_documented_columns(capsys):
    assert cli.main(["claims", "--section", "IV-D", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert list(rows[0])[:10] == "id section claim published paper_check measured low high n verdict".split()
    assert {row["section"] for row in rows} == {"IV-D", "Table V"}
    assert all(len(row["records"]) >= row["n"] for row in rows)
    assert cli.main(["claims", "--id", "vii-orders", "iv-d-drop"]) == 0
    out = capsys.readouterr().out
    assert "vii-orders" in out and "iv-d-drop" in out and len(out.splitlines()) == 3


@pytest.mark.parametrize(
    "words, names",
    [
        (["--section", "IX"], "section 'IX' is unknown; allowed are abstract"),
        (["--id", "iv-d"], "claim 'iv-d' is unknown"),
        (["--id", "iv-d-drop", "--section", "IV-A"], "claim 'iv-d-drop' is unknown in section IV-A"),
        (["--section"], "expected one argument"),
        (["--id"], "expected at least one argument"),
        (["IV-D"], "unrecognized arguments: IV-D"),
    ],
)
def test_bad_input_to_the_command_is_one_sentence(capsys, words, names):
    assert cli.main(["claims", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and names in err and len(err.splitlines()) == 1 and err.rstrip().endswith(".")


def test_the_table_holds_every_claim_with_its_reasoning(empty, nothing_run):
    page = BeautifulSoup(verdicts.table(list(nothing_run.values()), empty).data, "html.parser")
    rows = page.select("tr.bbatch-claim")
    assert [row["id"] for row in rows] == [f"claim-{id}" for id in nothing_run]
    assert len({tag["id"] for tag in page.find_all(id=True)}) == len(page.find_all(id=True))
    for row in rows:
        button, why = row.find("button"), row.find_next_sibling("tr")
        assert button["aria-controls"] == why["id"] and row["data-verdict"] in row.get_text()
        assert "Against the paper" in why.get_text() and "Against our runs" in why.get_text()
    assert "90.2 − 82.1" in page.find(id="claim-iv-d-drop-why").get_text()
    assert "bbatch sweep cifar10" in page.find(id="claim-iv-a-cifar10-collapse-why").get_text()


def test_a_box_lists_the_claims_of_its_section(empty):
    page = BeautifulSoup(verdicts.box("IV-A", "mnist", empty).data, "html.parser")
    links = [a["href"] for a in page.select("td a")]
    assert "12_verdicts.html#claim-iv-a-mnist-optimum" in links and not any("1k" in link for link in links)
    assert "cells of Table III:" in page.get_text()
    with pytest.raises(BadInput, match="section 'IX'"):
        verdicts.box("IX")


USE = """(() => {
  const shown = () => [...document.querySelectorAll(".bbatch-claim")].filter((row) => !row.hidden).map((row) => row.id);
  const type = (element, value) => {
    element.value = value;
    element.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const controls = document.querySelector(".bbatch-claims-controls"), selects = controls.querySelectorAll("select");
  const seen = {labels: [...controls.querySelectorAll("input, select")].every((e) => e.labels.length === 1),
                hash: shown().length && document.querySelector("#claim-iv-d-drop-why").hidden === false,
                start: shown().length};
  type(selects[1], "IV-D"); seen.section = shown(); type(selects[1], "");
  type(controls.querySelector("input"), "monotonic increase"); seen.search = shown();
  type(controls.querySelector("input"), "");
  const head = document.querySelectorAll(".bbatch-claims-table th button")[0];
  head.click(); seen.rising = shown()[0]; head.click(); seen.falling = shown()[0];
  seen.sorted = head.parentElement.getAttribute("aria-sort");
  type(selects[4], "0"); seen.back = shown()[0];
  const button = document.querySelector("#claim-iv-a-monotone button");
  button.click(); seen.open = !document.querySelector("#claim-iv-a-monotone-why").hidden
    && button.getAttribute("aria-expanded") === "true";
  button.click(); seen.closed = document.querySelector("#claim-iv-a-monotone-why").hidden;
  seen.wide = document.documentElement.scrollWidth - window.innerWidth;
  return seen;
})()"""


@pytest.mark.skipif(browser.find() is None, reason="no Chromium on this machine")
def test_the_table_filters_sorts_and_opens_in_a_browser(tmp_path, empty, nothing_run):
    prose = [j for j in nothing_run.values() if not j.claim.cell]
    html = verdicts.table(list(nothing_run.values()), empty).data
    path = tmp_path / "page.html"
    path.write_text(f'<!doctype html><meta charset="utf-8"><body class="bd-article">{html}')
    with browser.Browser() as chromium:
        seen, troubles = chromium.visit(f"{path.as_uri()}#claim-iv-d-drop", 390, USE)
    assert (
        troubles == []
        and seen["labels"]
        and seen["hash"]
        and seen["open"]
        and seen["closed"]
        and seen["wide"] <= 0
    )
    assert seen["start"] == len(prose) and seen["back"] == f"claim-{prose[0].claim.id}"
    assert seen["section"] == [f"claim-{j.claim.id}" for j in prose if j.claim.section == "IV-D"]
    assert seen["search"] == ["claim-iv-b-cifar10-steepest"] and seen["sorted"] == "descending"
    names = sorted((j.claim.text.lower() for j in prose))
    first, last = (
        {j.claim.text.lower() for j in prose if f"claim-{j.claim.id}" == seen[k]}
        for k in ("rising", "falling")
    )
    assert first == {names[0]} and last == {names[-1]}


def test_the_witness_of_the_paper_quotes_cells_as_they_are_printed():
    assert Paper().cell("mnist", 1, "gap").shown == "0.360" and Paper().cell("cifar10", 1024).shown == "10.00"
    assert Paper().cell("synthetic-1k", 16).n == 0
