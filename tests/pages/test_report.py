"""Tables with their captions, what a page obtains, and where it says that its numbers come from."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from bbatch import published
from bbatch.analysis import generalization_gap
from bbatch.config import LR_RULES
from bbatch.errors import BadInput
from bbatch.metrics import frame
from bbatch.pages import explorer, parameters, picture, report, shown
from bbatch.profiles import grid
from bbatch.records.store import Store
from factories import record

NB = "\u00a0"


def page(shown):
    return BeautifulSoup(shown.data, "html.parser")


def test_a_cell_keeps_what_is_short_on_one_line():
    assert shown.cell_text("ab cd-ef") == f"ab{NB}cd-\N{WORD JOINER}ef"
    letters = "a" * 24 + " b"
    assert (
        shown.cell_text(letters) == letters.replace(" ", NB)
        and shown.cell_text(f"{letters}c") == f"{letters}c"
    )
    assert shown.cell_text("1.25 " * 9) == f"1.25{NB}" * 9  # numbers alone, however many
    assert [shown.cell_text(n) for n in (9_999, 10_000, 1.5)] == [9_999, "10,000", 1.5]


def test_a_table_has_numbers_of_four_digits_titles_and_no_holes():
    table = pd.DataFrame({"dataset": ["mnist"], "best_size": [-1.23456], "none": [None]})
    found = report.show(table, "What `code` says, at B = 8")
    assert [th.text for th in page(found).find_all("th")] == ["data set", "best size", "none"]
    assert [td.text for td in page(found).find_all("td")] == ["MNIST", "−1.235", "–"]
    assert page(found).figcaption.code.text == "code" and f"B{NB}={NB}8" in page(found).figcaption.text
    assert "border" not in page(found).table.attrs and page(found).table["class"] == [
        "dataframe",
        "bbatch-table",
    ]
    caption, _, head, row = repr(found).splitlines()
    assert caption == "What `code` says, at B = 8" and head.split() == ["data", "set", "best", "size", "none"]
    assert row.split() == ["MNIST", "−1.235", "–"]
    none = report.show(table.iloc[:0], "A caption")
    assert page(none).figcaption.text == "A caption (no runs recorded for it yet)"
    two = pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_tuples([("a_b", "c"), ("a_b", "d")], names=["x", "y"])
    )
    assert [th.text for th in page(report.show(two, "")).find_all("th")] == ["a_b", "c", "d"]


def test_a_table_is_wide_of_six_columns_or_of_71_letters():
    def wide(table):
        return "bbatch-wide" in page(report.show(table, "")).figure["class"]

    assert [wide(pd.DataFrame({k: [1] for k in range(n)})) for n in (5, 6)] == [False, True]
    cells = [{"a": ["x" * 35, "x"], "b": ["y", "y" * n]} for n in (35, 36)]
    assert [wide(pd.DataFrame(c)) for c in cells] == [False, True]
    prose = [f"{'word ' * 7}{'x' * n}" for n in (4, 5)]
    kinds = [td.get("class") for td in page(report.show(pd.DataFrame({"a": prose}), "")).find_all("td")]
    assert kinds == [None, ["bbatch-prose"]]  # of 39 and 40 letters


def test_pieces_stand_one_below_the_other():
    assert report.paragraphs(["At B = 8.", "Two."]).data == f"At B{NB}={NB}8.\n\nTwo."
    told = report.paragraphs(["-0.6 (-1 to 2)", "CIFAR-10, 04-2, `--seeds 3`, page-5", "to\n-7"]).data
    assert told == "−0.6 (−1 to 2)\n\nCIFAR-10, 04-2, `--seeds 3`, page-5\n\nto\n−7"
    tables = report.stack(shown.Table(f"<p>{k}</p>", k) for k in "ab")
    assert tables.data == "<p>a</p><p>b</p>" and repr(tables) == "a\n\nb"


def test_what_of_a_pages_grid_is_recorded():
    records = [
        record("mnist", b, s, precision=p)
        for b, s, p in ((32, 42, "fp32"), (64, 42, "bf16"), (64, 43, "bf16"))
    ]
    found = report.inventory(records, ["mnist"], seeds=2)
    caption, _, head, *rows = repr(found).splitlines()
    assert head.split() == ["B", "MNIST"] and caption == (
        "Runs recorded for this page, by batch size; `compute = True`, or `bbatch sweep`, trains those that "
        "are missing"
    )
    said = {row.split()[0]: " ".join(row.split()[1:]) for row in rows}
    assert said.pop("32") == "1 of 2" and said.pop("64") == "2, in bf16" and set(said.values()) == {"0 of 2"}
    both = repr(report.inventory(records, ["mnist", "cifar10"], seeds=2, rules=("linear", "constant")))
    names = ["MNIST (linear)", "CIFAR-10 (linear)", "MNIST (constant)", "CIFAR-10 (constant)"]
    places = [both.index(name) for name in names]
    assert places == sorted(places)
    whole = [{"run": run.as_dict()} for run in grid(["synthetic-1k"], "smoke", 1)]
    assert repr(report.inventory(whole, ["synthetic-1k"], "smoke", 1)).splitlines()[0] == (
        "Runs recorded for this page, by batch size"
    )


def test_a_page_trains_what_is_missing_in_the_leading_arithmetic(tmp_path, monkeypatch):
    store, swept = Store(tmp_path, frozen=None).prepare(), []
    low = [record("mnist", b, s, 9_000, precision="bf16") for b, s in ((8, 42), (8, 43), (16, 42))]
    failed = record("mnist", 32, 42, 9_000, precision="bf16")
    failed["observed"]["failure"], failed["history"], failed["final"] = "it fell over", {}, {}
    for one in (*low, record("mnist", 8, 42, 9_000), record("mnist", 64, 42, 9_000), failed):
        store.put(one)
    monkeypatch.setattr(report.dask_cluster, "executor", lambda *given: nullcontext(given))
    monkeypatch.setattr(report, "sweep", lambda *given, **named: swept.append((*given, named)))
    with pytest.raises(BadInput, match="executor 'threads' is unknown"):  # though nothing is to be trained
        report.obtain(["synthetic-1k"], "smoke", store=store, executor="threads")
    given = dict(seeds=1, store=store, device="cuda", jobs=3, executor="dask")
    found = report.obtain(["mnist"], **given)
    cells = [(r["run"]["batch_size"], r["run"]["precision"]) for r in found]
    assert not swept and sorted(cells) == [(8, "bf16"), (16, "bf16"), (64, "fp32")]
    report.obtain(["mnist"], compute=True, **given)
    [(missing, where, named)] = swept
    planned = grid(["mnist"], seeds=1, precision="bf16")
    assert missing == [run for run in planned if run.batch_size not in (8, 16)] and where is store
    assert named == {"device": "cuda", "jobs": 3, "executor": ("dask", 3, "cuda")}
    report.obtain(["mnist"], compute=True, precision="fp32", **given)
    planned = grid(["mnist"], seeds=1)
    assert swept[1][0] == [run for run in planned if run.batch_size not in (8, 64)]


def test_the_committed_runs_of_some_data_sets(monkeypatch):
    rows = [record(d, 8, 42) for d in ("synthetic-1k", "mnist")] + [record("synthetic-1k", 8, 43, epochs=3)]
    monkeypatch.setattr(
        report, "Store", lambda: SimpleNamespace(frozen_records=lambda: {r["id"]: r for r in rows})
    )
    assert list(report.committed_runs(["synthetic-1k"])["id"]) == [rows[0]["id"]]
    assert len(report.committed_runs()) == 2


@pytest.mark.parametrize("low, is_left_out", [((), False), ((42,), True), ((42, 43), False)])
def test_times_of_two_arithmetics_have_no_mean(low, is_left_out):
    runs = frame(record(seed=s, precision="bf16" if s in low else "fp32") for s in (42, 43))
    found = report.comparison(runs, "synthetic-1k").text
    assert ("epoch times are left out" in found) == is_left_out == ("Epoch time" not in found)


def test_times_of_some_batch_sizes_alone_are_left_out():
    """A column of a few numbers, which other machines gave than the rest, would be compared."""
    low = record(batch_size=8, seed=43, precision="bf16")
    runs = frame([record(batch_size=8, seed=42), low, *(record(batch_size=64, seed=s) for s in (42, 43))])
    found = report.comparison(runs, "synthetic-1k").text
    assert "epoch times are left out" in found and "Epoch time" not in found


def test_readings_of_the_training_accuracy_side_by_side(monkeypatch):
    def compared(runs, name):
        sizes = {"mnist": [9, 8], "cifar10": [3, 0]}[name]
        return pd.DataFrame(
            {"reading": ["running", "clean"], "mean_distance": [0.125, 1.5], "batch_sizes": sizes}
        )

    monkeypatch.setattr(generalization_gap, "which_training_accuracy", compared)
    text = report.readings(None, ["mnist", "cifar10"]).text.splitlines()
    assert [line.split() for line in text[2:]] == [
        ["data", "set", "running", "clean", "batch", "sizes"],
        ["MNIST", "0.12", "1.50", "9"],
    ]


def test_provenance_in_full():
    several = [record(seed=s) for s in (42, 43, 44)]
    several[1]["data"] = several[1]["data"] | {"source": "a <mirror>", "fingerprint": "0123456789abcdef"}
    several[1]["observed"] = several[1]["observed"] | {"threads": 2, "engine": "torch"}
    for one, commit, day in zip(several, "abc", (3, 4, 2), strict=True):
        one["observed"] = one["observed"] | {"commit": commit, "finished": f"2026-01-0{day}T00:00:00+00:00"}
    assert report.provenance(several).data == (
        "**Where this page's numbers come from.** 3 recorded runs · data: a &lt;mirror&gt; (`0123456789ab`); "
        "made up (`f`) · precision: fp32 · hardware: a processor, 1, 2 thread a run · engine: compiled, "
        "torch · PyTorch 2, NumPy 2, Python 3.11 · code: 3 commits from a to c · trained 2026-01-01 "
        "to 2026-01-04 (UTC). Every run is a row of `bbatch results`."
    )


def test_provenance_counts_a_record_that_is_named_twice_once():
    assert report.provenance([record(), record(seed=43), record()]).data == (
        report.provenance([record(), record(seed=43)]).data
    )


def test_the_records_of_tables_are_those_of_their_runs(monkeypatch):
    kept = {r["id"]: r for r in (record(), record(seed=43), record(seed=44))}
    monkeypatch.setattr(Store, "frozen_records", lambda self: kept)
    first, second, third = kept
    tables = [pd.DataFrame({"id": [third, first]}), pd.DataFrame({"id": [first]})]
    assert report.records_of(*tables) == [kept[third], kept[first], kept[first]]
    assert report.records_of() == [] and second not in tables[0]["id"].tolist()


def test_a_notebook_shows_figures_as_the_book_does_and_says_what_it_was_asked(monkeypatch):
    import IPython
    import IPython.display
    from matplotlib_inline import backend_inline

    displayed, drawn, formats = [], {}, []
    of = SimpleNamespace(for_type=drawn.__setitem__)
    cells = ["seeds = 0", "# Parameters\nseeds = 2"]
    shell = SimpleNamespace(
        user_ns={"In": cells, "seeds": 2}, display_formatter=SimpleNamespace(formatters={"text/html": of})
    )
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", displayed.append)
    monkeypatch.setattr(backend_inline, "set_matplotlib_formats", lambda *given: formats.append(given))
    try:
        report.setup()
        assert displayed[0].data == (
            "**Made with other parameters than the committed page** (2 seeds at most). What is written by "
            "hand speaks of the committed runs."
        )
        assert drawn == {Figure: picture.html} and formats == [()]
        shell.user_ns = {}
        report.setup()
        assert len(displayed) == 1
    finally:
        parameters.remember([], {})


def test_the_explorer_holds_numbers_as_a_browser_reads_them():
    rows = [record(seed=42, seconds=1.23456), record(seed=43, seconds=1.5, test_correct=191)]
    rows.append(record(seed=44, lr_rule="constant"))
    runs = frame(rows)
    found = explorer.data(runs)
    constant, linear = found["cells"]
    assert (linear["data"], linear["rule"], linear["B"]) == ("synthetic-1k", "linear", 8)
    assert linear["lr"] == 0.001 * 8 / 32 and constant["lr"] == 0.001
    half = 12.7062047 * (1.5 - 1.23456) / 2  # of two values, by Student's t
    ends = [1.36728, 1.36728 - half, 1.36728 + half, 2]
    assert linear["values"]["epoch_time_s"] == pytest.approx(ends, abs=6e-6)
    assert {"train_acc", "train_acc_running", "test_acc", "gap"} <= set(found["metrics"])
    assert linear["values"]["test_acc"][0::3] == [95.25, 2] and constant["values"]["gap"][1:] == [
        None,
        None,
        1,
    ]
    columns = found["columns"]
    assert columns[:6] == ["seed", "lr", "precision", "device_name", "commit", "id"]
    first = dict(zip(columns, linear["runs"][0], strict=True))
    assert first["seed"] == 42 and type(first["seed"]) is int and first["id"] == rows[0]["id"]
    assert first["epoch_time_s"] == 1.23456 and first["precision"] == "fp32"
    runs["convergence_epoch"] = runs["seed"].map({42: 3.0})
    some = explorer.data(runs)["cells"][1]
    assert some["values"]["convergence_epoch"] == [3, None, None, 1]
    assert [dict(zip(columns, run, strict=True))["convergence_epoch"] for run in some["runs"]] == [3, None]
    assert found["rules"] == list(LR_RULES) and found["sets"]["mnist"]["title"] == "MNIST"
    rounded = [explorer._number(1.234567, metric) for metric in ("gap", "epoch_time_s")]
    assert rounded == [1.2346, 1.23457] and explorer._number(np.inf, "gap") is None
    assert explorer._plain(1.23456789) == 1.234568 and explorer._plain("x") == "x"


def test_the_papers_points_in_the_explorer():
    points = explorer.data(frame([]))["paper"]
    printed = published.results("mnist").set_index("batch_size")
    [mnist] = [p for p in points if (p["data"], p["B"]) == ("mnist", 64)]
    assert mnist["lr"] == 0.1 * 64 / 256
    assert mnist["rule"] == "linear" and mnist["table"] == "III"
    assert mnist["values"]["test_acc"] == printed.loc[64, "test_acc"]
    assert mnist["values"]["gap_running"] == printed.loc[64, "gap"]
    assert all(value == value for p in points for value in p["values"].values())
    five = published.learning_rate_ablation().set_index(["batch_size", "lr_rule"])
    for b, rule in five.index:
        [point] = [p for p in points if (p["table"], p["B"], p["rule"]) == ("V", b, rule)]
        assert (point["data"], point["lr"]) == ("synthetic-50k", five.loc[(b, rule), "lr"])
        assert point["values"] == {
            "test_acc": five.loc[(b, rule), "test_acc"],
            "gap_running": five.loc[(b, rule), "gap"],
        }
