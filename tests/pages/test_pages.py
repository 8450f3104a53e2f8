"""Tables, findings, figures and sentences, against values worked out by hand from made-up records."""

import json
import math
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import metrics, published
from bbatch.analysis import accuracy, generalization_gap
from bbatch.cli import main
from bbatch.config import DATASETS
from bbatch.data import load
from bbatch.errors import BadInput
from bbatch.pages import figures, landing, origin, picture, protocol_figures, report, tables
from bbatch.publishing import book
from bbatch.records.store import Store
from factories import record


@pytest.fixture
def runs():
    counts = {8: (190, 188, 192), 64: (192, 193, 191), 512: (186, 189, 180)}
    return metrics.frame(
        record(batch_size=b, seed=42 + k, test_correct=c)
        for b, cs in counts.items()
        for k, c in enumerate(cs)
    )


def test_compare_gives_mean_interval_paper_and_difference(runs):
    table = tables.compare(runs, "synthetic-1k").set_index("batch_size")
    cells = np.array([[95.0, 94.0, 96.0], [96.0, 96.5, 95.5], [93.0, 94.5, 90.0]])
    own, pooled = cells[0].var(ddof=1), cells.var(ddof=1, axis=1).mean()  # as claims are judged: `estimate`
    # Six degrees of freedom are pooled from three equal cells; two are the cell's own, and count once.
    lent = 1 / (1 / 10 + 1 / 30 + 1 / 4)
    half = stats.t.ppf(0.975, 2 + lent) * math.sqrt((2 * own + lent * pooled) / (2 + lent) / 3)
    row = table.loc[8]
    assert row["n"] == 3 and row["test_acc"] == pytest.approx(95.0)
    assert (row["test_acc_low"], row["test_acc_high"]) == pytest.approx((95 - half, 95 + half))
    paper = published.results("synthetic-1k").set_index("batch_size").loc[8, "test_acc"]
    assert row["test_acc_paper"] == paper and row["test_acc_difference"] == pytest.approx(95.0 - paper)
    assert row["gap_running"] == pytest.approx(97.5 - 95.0) and row["gap"] == pytest.approx(98.75 - 95.0)


def test_compare_marks_holes_and_keeps_every_batch_size(runs):
    table = tables.compare(runs, "synthetic-1k").set_index("batch_size")
    assert list(table.index) == [1, 8, 16, 32, 64, 128, 256, 512]
    assert table.loc[16, "n"] == 0 and math.isnan(table.loc[16, "test_acc"])
    text = tables.formatted(tables.compare(runs, "synthetic-1k"))
    assert text.iloc[2].tolist()[1:5] == ["0", "–", "–", "–"]  # B = 16: neither paper nor runs


def test_a_single_seed_carries_the_sampling_error_of_the_test_set():
    row = tables.compare(metrics.frame([record()]), "synthetic-1k").set_index("batch_size").loc[8]
    low, high = stats.binomtest(190, 200).proportion_ci(method="wilson")
    assert (row["test_acc_low"], row["test_acc_high"]) == pytest.approx((100 * low, 100 * high))
    assert row["n"] == 1 and math.isnan(row["gap_low"])


def test_paired_change(runs):
    fall, by_hand = accuracy.fall(runs, "synthetic-1k", 64, 512), [96.0 - 93.0, 96.5 - 94.5, 95.5 - 90.0]
    assert (fall.value, fall.n) == (pytest.approx(np.mean(by_hand)), 3)
    assert accuracy.fall(runs, "synthetic-1k", 64, 128).n == 0  # no run at 128


def test_one_more_run_uses_the_scatter_of_single_runs(runs):
    low, high = accuracy.level(runs, "synthetic-1k", 8).interval(one_run=True)
    cells = [95.0, 94.0, 96.0], [96.0, 96.5, 95.5], [93.0, 94.5, 90.0]
    pooled = (
        sum(np.var(c, ddof=1) for c in cells) / 3
    )  # of six degrees of freedom, two of them the cell's own
    lent = 1 / (1 / 10 + 1 / 30 + 1 / 4)
    variance = (2 * np.var(cells[0], ddof=1) + lent * pooled) / (2 + lent)
    half = stats.t.ppf(0.975, 2 + lent) * math.sqrt(variance * (1 + 1 / 3))
    assert (low, high) == pytest.approx((95 - half, min(95 + half, 100)))
    assert high - low > 96.5 - 90  # all runs lie nearer to each other
    other = runs.assign(batch_size=1)  # seldom right: now the interval tells something
    other[["test_acc"]] = 60 + other[["test_acc"]] / 100
    table = accuracy.one_more_run(pd.concat([runs, other]), "synthetic-1k").set_index("batch_size")
    assert {8, 64, 512} <= set(table.index) and 16 not in table.index  # the paper has no such cell
    assert accuracy.one_more_run(runs, "synthetic-1k").query("inside").empty
    give = 0.005  # half of the last digit that is printed
    assert all(table["inside"] == table["paper"].between(table["low"] - give, table["high"] + give))


def test_which_training_accuracy_prefers_the_nearer_reading(runs):
    table = generalization_gap.which_training_accuracy(runs, "synthetic-1k").set_index("reading")[
        "mean_distance"
    ]
    paper = published.results("synthetic-1k").set_index("batch_size")["gap"]
    means = runs.groupby("batch_size")[["gap_running", "gap"]].mean()
    assert table.iloc[0] == pytest.approx(
        np.mean([abs(means.loc[b, "gap_running"] - paper[b]) for b in (8, 64, 512)])
    )
    assert table.iloc[1] == pytest.approx(
        np.mean([abs(means.loc[b, "gap"] - paper[b]) for b in (8, 64, 512)])
    )


def test_figures_draw_every_mean_and_every_published_point(runs):
    figure = figures.against_batch_size(runs, ["synthetic-1k"])
    axis = figure.axes[0]
    drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
    paper = drawn[figures.PAPER["label"]]
    published_points = published.results("synthetic-1k").set_index("batch_size")["test_acc"]
    assert {b: y for b, y in paper if not np.isnan(y)} == published_points.to_dict()
    means = axis.containers[0].lines[0].get_xydata()
    assert {b: y for b, y in means if not np.isnan(y)} == pytest.approx({8: 95.0, 64: 96.0, 512: 92.5})
    assert np.isnan(dict(means)[32])  # no line across a batch size without runs
    assert axis.get_xlabel() and axis.get_ylabel()
    assert any("n = 3 seeds" in text.get_text() for text in axis.get_legend().get_texts())


def test_pages_without_records_say_so_and_draw_the_paper_alone():
    empty = metrics.frame([])
    assert len(figures.glance(empty).axes) == 6
    assert "No records" in report.provenance([]).data
    assert tables.compare(empty, "mnist")["n"].sum() == 0
    caption, *rows = repr(report.inventory([], ["mnist"], "paper", 2)).splitlines()
    assert "trains those that are missing" in caption and sum("0 of 2" in row for row in rows) == 9


def test_a_run_in_mixed_precision_fills_a_hole_until_32_bits_lead(tmp_path):
    def put(store, precision, correct, seed=42):
        store.put(record("mnist", 64, seed, correct, 59_000, 59_500, precision=precision))

    store = Store(tmp_path, frozen=None).prepare()
    put(store, "bf16", 9_000)
    found = report.obtain(["mnist"], seeds=1, store=store)
    assert [r["run"]["precision"] for r in found] == ["bf16"]
    rows = repr(report.inventory(found, ["mnist"], seeds=1)).splitlines()
    assert (
        sum("0 of 1" in row for row in rows) == 8
        and [row for row in rows if "bf16" in row][0].split()[0] == "64"
    )
    assert report.obtain(["mnist"], seeds=1, precision="fp32", store=store) == []
    put(store, "fp32", 9_100)
    found = report.obtain(["mnist"], seeds=1, store=store)
    assert [r["run"]["precision"] for r in found] == ["fp32"]
    assert "bf16" not in repr(report.inventory(found, ["mnist"], seeds=1))
    put(store, "fp32", 9_200, seed=99)  # beyond the planned ones: shown unless a number of seeds is asked for
    assert [r["run"]["seed"] for r in report.obtain(["mnist"], store=store)] == [42, 99]
    assert [r["run"]["seed"] for r in report.obtain(["mnist"], seeds=1, store=store)] == [42]


@pytest.fixture
def mixed():
    """MNIST as it may be: a run in 32 bits at B = 8, three in mixed precision at 32, none at all at 64."""
    return metrics.frame(
        [
            record("mnist", b, s, right, 59_500, 59_600, precision=p)
            for b, s, right, p in (
                (8, 42, 9_890, "fp32"),
                (32, 42, 9_900, "bf16"),
                (32, 43, 9_910, "bf16"),
                (32, 44, 9_920, "bf16"),
                (128, 42, 9_885, "bf16"),
            )
        ]
    )


def test_a_page_says_which_runs_of_a_cell_are_in_mixed_precision(mixed):
    text = tables.formatted(tables.compare(mixed, "mnist")).set_index(("B", ""))["n", ""]
    assert (text[8], text[32], text[64], text[128]) == ("1", "3 (bf16)", "0", "1 (bf16)")
    figure = figures.against_batch_size(mixed, ["mnist"])
    assert "n = 1 to 3 seeds; in bf16: 4 of 5 runs on MNIST, the others" in picture.notes(figure).caption
    assert any("n = 3, in bf16; 95 % interval" in text for *_, text, _ in picture.notes(figure).tips)
    alone = figures.against_batch_size(mixed[mixed["precision"] == "fp32"], ["mnist"])
    assert picture.notes(alone).caption.endswith("; n = 1 seed, in fp32.")
    assert figures.behind(mixed[mixed["batch_size"] == 128]) == "n = 1 seed, in bf16"
    assert figures.behind(mixed[:0]) == "no runs yet"


def test_single_seeds_are_drawn_apart_from_means(mixed):
    axis = figures.against_batch_size(mixed, ["mnist"]).axes[0]
    hollow = next(line for line in axis.lines if line.get_label().startswith("ours, one seed"))
    assert list(hollow.get_xdata()) == [8, 128] and "test-set sampling" in hollow.get_label()
    assert any("n = 3 seeds" in text.get_text() for text in axis.get_legend().get_texts())
    key = [text.get_text() for text in figures.glance(mixed).axes[-1].get_legend().get_texts()]
    assert "MNIST (n = 1 to 3)" in key and "one seed; bar: test-set sampling" in key
    assert "no interval" in picture.notes(figures.against_batch_size(mixed, ["mnist"], "gap_running")).caption


def test_learning_curves_show_the_error_and_no_zero(runs):
    curves = metrics.curves([record(batch_size=8, seed=s, test_correct=c) for s, c in ((42, 190), (43, 200))])
    axis = figures.learning_curves(curves, "synthetic-1k").axes[0]
    errors = axis.lines[0].get_ydata()
    assert errors[0] == 50 and errors[1:] == pytest.approx(2.5) and axis.get_yscale() == "log"
    # half of one of 200 samples
    assert axis.collections[0].get_datalim(axis.transData).y0 == pytest.approx(0.25)


def test_runs_trained_again_are_summed_up_by_agreement():
    from bbatch.sweeping import verify

    table = verify.sweep_again("synthetic-1k", "smoke", 1)
    # no smoke run is committed
    assert list(table["runs"]) == [1] * len(table) and (table["not committed"] == 1).all()
    assert verify.sweep_again("synthetic-1k", "smoke", 0).empty


def test_the_flat_range_is_what_lies_around_the_best_without_a_gap(runs):
    """Means 95, 96 and 92.5 %; the best is 64, and a good size beyond a bad one does not count."""
    more = pd.concat([runs, runs[runs["batch_size"] == 64].assign(batch_size=1)])
    [flat] = accuracy.at_a_glance(more.assign(lr_rule="linear"))["flat"]
    assert flat == (1, 1)  # of equal ones the smallest is the best
    [row] = accuracy.at_a_glance(runs.assign(lr_rule="linear")).to_dict("records")
    assert (row["sizes"], row["best"], row["flat"]) == ("3 of 8", 64, (64, 64))
    assert row["cost_of_512"].value == pytest.approx(3.5) and row["cost_of_512"].n == 3


def test_the_figure_of_the_landing_page_draws_differences_from_32_and_the_level_of_cifar10():
    rows = [
        record(batch_size=b, seed=s, test_correct=c + s) for b, c in ((8, 140), (32, 148)) for s in (42, 43)
    ]
    rows += [record("cifar10", 8, s, 7_700 + s, 40_000, 40_000) for s in (42, 43)]
    left, right = landing.overview(metrics.frame(rows), ("one", "two")).axes
    drawn = [dict(line.get_xydata()) for line in left.lines]
    assert {8: pytest.approx(-4.0), 32: 0.0} in drawn  # eight of 200 samples
    assert any(dict(line.get_xydata()) == {8: pytest.approx(77.425)} for line in right.lines)
    assert left.get_title(loc="left") == "one" and right.get_title(loc="left") == "two"


def test_the_networks_are_drawn_with_the_shapes_that_they_have():
    assert [shape for _, shape in protocol_figures.stages("mlp")] == [(20,), (64,), (32,), (2,)]
    assert [shape for _, shape in protocol_figures.stages("mnist-cnn")][3:] == [
        (64, 14, 14),
        (128, 14, 14),
        (25088,),
        (10,),
    ]
    assert protocol_figures.stages("cifar-cnn")[1] == ("conv 3×3: 896", (32, 32, 32))


@pytest.mark.slow
def test_the_sample_images_are_the_first_of_each_class():
    with np.load(protocol_figures.SAMPLES) as samples:
        for name in samples:
            try:
                data = load(name, download=False)
            except BadInput:
                pytest.skip(f"{name} is not on this machine")
            first = [int(np.flatnonzero(data.test_y.numpy() == k)[0]) for k in range(10)]
            assert np.array_equal(samples[name], data.test_x[first].numpy())


def test_provenance_is_one_range_of_commits_and_of_days():
    several = [record(seed=s) for s in (42, 43, 44)]
    for one, commit, day in zip(several, ("b", "a", "c"), (2, 1, 3), strict=True):
        when = {"started": f"2026-01-0{day}T00:00:00+00:00", "finished": f"2026-01-0{day}T01:00:00+00:00"}
        one["observed"] = one["observed"] | {"commit": commit} | when
    text = report.provenance(several).data
    assert "code: 3 commits from a to c ·" in text and "trained 2026-01-01 to 2026-01-03 (UTC)" in text


def test_provenance_names_data_hardware_and_commit():
    text = report.provenance([record()]).data
    assert all(
        word in text for word in ("1 recorded runs", "made up", "a processor", "abc", "2026-01-01", "fp32")
    )


def test_provenance_of_studies_names_what_their_tables_hold(monkeypatch):
    row = dict(source="made up", precision="bf16", engine="torch", device_name="a processor")
    row |= dict(python="3.11.7", versions="numpy 2, torch 3")
    one = [row | {"id": f"a{k}", "fingerprint": "0123456789abcdef", "commit": "abc"} for k in range(2)]
    two = [row | {"id": f"b{k}", "fingerprint": f"{k}", "commit": f"c{k}"} for k in range(5)]
    found = {"one": pd.DataFrame(one), "two": pd.DataFrame([*two, one[0]])}  # a run of both counts once
    monkeypatch.setattr(origin, "read_table", found.get)
    assert report.provenance([], ["one", "one"]).data == (
        "**Where this page's numbers come from.** 2 runs of the study `one` · "
        "data: made up (`0123456789ab`) · precision: bf16 · hardware: a processor · engine: torch · "
        "numpy 2, torch 3, Python 3.11.7 · code: abc. "
        "Every run is a row of a table under `results/studies/`."
    )
    both = report.provenance([record()], ["one", "two"]).data
    assert both.count("Where this page") == 1 and "1 recorded runs" in both
    assert (
        "7 runs of the studies `one`, `two` · data: made up (6 sets)" in both and "code: 6 commits." in both
    )


@pytest.mark.parametrize("path", [*book.pages()], ids=lambda path: path.stem)
def test_a_page_that_shows_recorded_runs_says_where_they_come_from(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    shows = r"committed_runs\(|report\.obtain\(|read_table\(|claims\.evidence\(|frame\(Store\(\)"
    if re.search(shows, code):
        assert re.search(r"provenance\(|choice_comparison\.origin\(", code)
    told = "".join(cell.source for cell in cells if "provenance(" in cell.source)
    if "committed_runs(" in code:  # the text speaks of them, whatever the parameters obtain
        assert "records_of(" in told
    for name in re.findall(r'read_table\("([\w-]+)"\)', code):
        assert name in told or f"{name.split('-')[0]}-{{" in told, name


def test_text_and_table_of_the_paper_stand_side_by_side(runs):
    table = tables.text_against_table(runs)
    assert len(table) == 6 and list(table["n"]) == [3, 3, 0, 0, 0, 0]
    assert (table["text"] < table["Table VII"]).all()  # the sentence of notebook 02 says so


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store").prepare()


def test_results_as_json_have_the_documented_keys(store, capsys):
    store.put(record(batch_size=4))  # a batch size outside the grid: no frozen record has it
    assert main(["results", "synthetic-1k", "--json"]) == 0
    rows = [r for r in json.loads(capsys.readouterr().out) if r["batch_size"] == 4]
    keys = (
        "dataset batch_size seed lr_rule lr optimizer epochs test_acc train_acc train_acc_running gap "
        "epoch_time_s convergence_epoch diverged device data_source data_fingerprint commit"
    ).split()
    assert set(keys) <= set(rows[0]) and rows[0]["test_acc"] == 95.0 and rows[0]["convergence_epoch"] == 2


@pytest.mark.parametrize("number", range(1, 9))
def test_every_table_of_the_paper_prints(store, capsys, number):
    assert main(["tables", str(number), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 0


def test_run_trains_records_and_prints_its_row(store, capsys):
    assert main(["run", "synthetic-1k", "--batch-size", "400", "--epochs", "1", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert row["batch_size"] == 400 and row["epochs"] == 1 and row["id"] in store.live()


def test_data_lists_all_five_with_fingerprints(capsys):
    assert main(["data", "--json"]) == 0
    rows = {r["dataset"]: r for r in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(DATASETS)
    assert all(len(rows[name]["fingerprint"]) == 64 for name in rows if rows[name]["available"])


def test_correlation_of_the_papers_own_cells_is_recomputed_not_quoted():
    cells = published.results()
    expected = stats.pearsonr(np.log(cells["batch_size"]), cells["gap"])
    row = generalization_gap.correlations(metrics.frame([])).iloc[0]
    assert (row["r"].value, row["p"], row["n"]) == pytest.approx(
        (expected.statistic, expected.pvalue, len(cells))
    )


def test_a_table_sets_numbers_to_the_right_and_sentences_to_the_left_and_takes_room_where_it_is_wide():
    reason = "The interval is wider than what single runs differ by."
    html = report.show(pd.DataFrame({"who": ["mlp-batch-norm"], "why": [reason]}), "c").data
    assert f'<td class="bbatch-prose">{reason}</td>' in html and html.count("bbatch-prose") == 1
    assert "mlp-\N{WORD JOINER}batch-\N{WORD JOINER}norm" in html and "bbatch-wide" not in html
    wide = pd.DataFrame({k: ["+0.99 (+0.61 to +1.41) points"] for k in "abc"})
    assert "bbatch-wide" in report.show(wide, "c").data
