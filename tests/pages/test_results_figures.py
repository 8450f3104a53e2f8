"""What the figures of accuracy, speed, rates and studies draw, from made-up runs worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

import artists
import made_up
from bbatch import published
from bbatch.analysis import accuracy
from bbatch.analysis.estimate import Estimate
from bbatch.config import DATASETS
from bbatch.pages import (
    efficiency_figures,
    efficiency_tables,
    figures,
    landing,
    learning_rate_figures,
    optimum_figures,
    parameters,
    picture,
)
from bbatch.pages.style import COLORS

RUNS = made_up.runs(precision="fp32")
LINEAR = RUNS[RUNS["lr_rule"] == "linear"]


def printed(name, column="test_acc"):
    return published.results(name).set_index("batch_size")[column].dropna()


# --- the landing page ---


@pytest.fixture(scope="module")
def overview():
    one = (RUNS["dataset"] == "cifar10") & (RUNS["batch_size"] == 128) & (RUNS["seed"] > 40)
    return landing.overview(RUNS[~one], ("a", "b"))


def test_the_overview_draws_differences_from_32_paired_by_seed(overview):
    left, right = overview.axes
    for bars, name in zip(
        left.containers, ("synthetic-1k", "synthetic-10k", "synthetic-50k", "mnist"), strict=True
    ):
        cells = made_up.cells(RUNS, name)
        expected = {b: made_up.summed(cells, {b: 1, 32: -1}) for b in cells if b != 32}
        values = {b: e["value"] for b, e in expected.items()} | {32: 0}
        halves = {b: e["half"] for b, e in expected.items()} | {32: 0}
        assert artists.points(bars.lines[0]) == [(b, pytest.approx(values[b])) for b in sorted(cells)]
        ends = [(values[b] - halves[b], values[b] + halves[b]) for b in sorted(cells)]
        assert artists.ends(bars) == [pytest.approx(e) for e in ends]
        theirs = {b: v - printed(name)[32] for b, v in printed(name).items()}
        diamonds = [ln for ln in left.lines if ln.get_marker() == "D" and ln.get_color() == COLORS[name]]
        assert [dict(artists.points(ln)) for ln in diamonds] == [pytest.approx(theirs)]
        [said] = [t for t in left.texts if t.get_text() == f"{DATASETS[name].title} (n = 3)"]
        at = max(cells) if name == "mnist" else min(cells)
        assert said.xy == (at, pytest.approx(values[at])) and said.get_color() == COLORS[name]
        tips = {a: (x, y, text) for x, y, text, a in artists.tips(overview) if f"={name}&" in a}
        assert len(tips) == len(cells)
        for b in expected:
            x, y, text = tips[f"data={name}&metric=test_acc&B={b}"]
            number = f"{values[b]:+.2f}\u00a0±\u00a0{halves[b]:.2f}".replace("-", "−")
            assert (x, y) == (b, pytest.approx(values[b]))
            assert text == f"{DATASETS[name].title}, B = {b}\n{number} points (n = 3)"
    assert picture.notes(overview).runs == "metric=test_acc"
    assert artists.switched(overview) == ["Synthetic 1K", "Synthetic 10K", "Synthetic 50K", "MNIST"]
    assert artists.points(left.lines[0]) == [(0, 0), (1, 0)]
    assert [t.split(":")[0] for t in artists.key(left)] == ["ours", "the paper"]
    sizes = DATASETS["cifar10"].protocol.batch_sizes
    assert list(artists.ticks(left)) == list(artists.ticks(right)) == list(sizes)


def test_the_overview_draws_the_level_of_cifar10(overview):
    left, right = overview.axes
    cells = made_up.cells(RUNS, "cifar10")
    cells[128] = {40: cells[128][40]}
    expected = {b: made_up.summed(cells, {b: 1}) for b in cells}
    one = round(2 * cells[128][40]) / 2  # a single seed is counted in samples, of 200
    expected[128]["value"] = one
    [bars] = right.containers
    assert artists.points(bars.lines[0]) == [(b, pytest.approx(expected[b]["value"])) for b in sorted(cells)]
    ends = dict(zip(sorted(cells), artists.ends(bars), strict=True))
    for b in sorted(set(cells) - {128}):
        value, half = expected[b]["value"], expected[b]["half"]
        assert ends[b] == pytest.approx((value - half, min(value + half, 100)))
    filled, hollow = (ln for ln in right.lines if ln.get_marker() == "o" and ln is not bars.lines[0])
    assert [b for b, _ in artists.points(hollow)] == [128]
    assert [b for b, _ in artists.points(filled)] == sorted(set(cells) - {128})
    diamonds = [ln for ln in right.lines if ln.get_marker() == "D"]
    assert dict(artists.points(diamonds[0])) == printed("cifar10").to_dict()
    assert list(right.lines[0].get_ydata()) == [10, 10] and right.texts[0].xy == (1, 10)
    assert right.get_ylim() == (0, 100) and artists.named(overview)
    tips = {a: text for *_, text, a in artists.tips(overview, 1)}
    said = f"CIFAR-10, B = 8\n{expected[8]['value']:.2f} % (n = 4)"
    assert tips["data=cifar10&metric=test_acc&B=8"] == said


def test_the_overview_draws_no_mean_of_trainings_of_which_one_is_lost():
    """It would lie far below all others, and like none of them: each that learns is a dot."""
    lost = (RUNS["dataset"] == "mnist") & (RUNS["batch_size"] == 1024) & (RUNS["seed"] == 41)
    runs = RUNS.assign(test_acc=RUNS["test_acc"].mask(lost, 11.0))
    left, _ = landing.overview(runs).axes
    assert dict(artists.points(left.containers[3].lines[0])).keys() == {1, 8, 16, 32, 64, 128, 256, 512}
    cells = made_up.cells(runs, "mnist")
    kept = [cells[1024][s] - cells[32][s] for s in cells[32] if s != 41]
    dots = [p for ln in left.lines if ln.get_marker() == "." for p in artists.points(ln) if p[0] == 1024]
    assert sorted(y for _, y in dots) == pytest.approx(sorted(kept))
    said = [text.get_text() for text in left.texts]
    assert "1 of 4 at chance: no mean drawn" in said and "MNIST (n = 3)" in said


def test_a_data_set_that_the_paper_does_not_have_leaves_the_landing_page_as_it_is(monkeypatch):
    """`bbatch freeze` draws it; a reader's own data set is in DATASETS then."""
    before = artists.switched(landing.overview(RUNS))
    monkeypatch.setitem(DATASETS, "mine", DATASETS["mnist"])
    mine = RUNS[RUNS["dataset"] == "mnist"].assign(dataset="mine")
    assert artists.switched(landing.overview(pd.concat([RUNS, mine]))) == before


def test_the_answer_table_says_where_accuracy_is_flat():
    shown = landing.answer_table(RUNS).text
    for row in accuracy.at_a_glance(RUNS).to_dict("records"):
        [line] = [text for text in shown.splitlines() if DATASETS[row["dataset"]].title in text]
        low, high = row["flat"]
        assert (f"{low} to {high}" if low < high else f"{low} alone") in line
        assert row["cost_of_512"].text() in line and row["sizes"] in line and f" {row['best']} " in line
    some = RUNS[(RUNS["dataset"] != "mnist") | (RUNS["batch_size"] != 32)]
    assert "MNIST" not in artists.switched(landing.overview(some))


# --- efficiency ---


def speedup(value, low=math.nan, high=math.nan, n=3, shown=""):
    known = (low, high) if low == low else (math.nan, math.nan)
    return Estimate(value, n, "ratio", bounds=known, shown=shown)


@pytest.fixture
def speedups():
    never, both = (speedup(math.nan, shown=text) for text in ("never reached", "both: unresolved"))
    few, long, one = speedup(0.5, n=1), speedup(123.4, 110, 140), speedup(1.0)
    fall = speedup(0.75, 0.5, 0.8)
    rows = [
        ("mnist", 99.125, 32, 3, "3 of 3", one, one, one),
        ("mnist", 99.125, 512, 3, "2 of 3", speedup(2.5, 2.25, 3.0), few, long),
        ("mnist", 99.125, 1024, 2, "0 of 2", speedup(1.2), never, both),
        ("synthetic-1k", 90.0, 512, 3, "1 of 3", speedup(3.5, 3.0, 4.0), speedup(1.75, 1.5, 2.0), fall),
    ]
    return pd.DataFrame(
        rows, columns=["dataset", "accuracy", "batch_size", "n", "reached", "epoch", "epochs", "effective"]
    )


def test_ratios_as_text(speedups):
    text = efficiency_tables.ratio_table(speedups)
    assert text["data set, accuracy"].tolist() == ["MNIST, 99.12 %"] * 3 + ["Synthetic 1K, 90 %"]
    assert text["B"].tolist() == [32, 512, 1024, 512] and text["seeds"].tolist() == [3, 3, 2, 3]
    assert text["reached it"].tolist() == speedups["reached"].tolist()
    one = ", n\u00a0=\u00a01"
    assert text["an epoch: speed-up"].tolist() == [
        "base",
        "2.50 (2.25 to 3.00)",
        "1.20",
        "3.50 (3.00 to 4.00)",
    ]
    assert text["epochs to it: ratio"].tolist() == ["base", "0.500" + one, "never", "1.75 (1.50 to 2.00)"]
    assert text["time to it: speed-up"].tolist() == [
        "base", "123 (110 to 140)", "unresolved", "0.750 (0.500 to 0.800)"
    ]  # fmt: skip
    assert efficiency_tables.ratio_text(speedup(math.nan)) == "–"
    nothing = speedups.assign(epochs=[speedup(math.nan, n=0)] * 4)  # no count of seeds where there is none
    assert efficiency_tables.ratio_table(nothing)["epochs to it: ratio"].tolist() == ["base", "–", "–", "–"]
    short = efficiency_tables.in_short(speedups)
    assert short["B"].tolist() == [512, 1024, 512] and "seeds" not in short and "reached it" not in short
    times = {name: printed(name, "epoch_time_s") for name in ("mnist", "synthetic-1k")}
    ratios = [times[d][32] / times[d][b] for d, b in (("mnist", 512), ("mnist", 1024), ("synthetic-1k", 512))]
    assert list(short.columns)[2] == "an epoch: the paper"
    assert [float(v) for v in short["an epoch: the paper"]] == pytest.approx(ratios, rel=5e-3)


def test_ratios_are_drawn_with_their_bands_and_the_papers(speedups):
    speedups = pd.concat([speedups.iloc[3:], speedups.iloc[:3]], ignore_index=True)  # rows order the lines
    for column in ("epoch", "epochs", "effective"):
        speedups.at[1, column] = speedup(1.0, 0.5, 2.0)  # the base to itself is 1, whatever the runs
    figure = efficiency_figures.efficiency(speedups, ("x", "y", "z"))
    for panel, (axis, column) in enumerate(zip(figure.axes, ("epoch", "epochs", "effective"), strict=True)):
        for k, (name, rows) in enumerate(speedups.groupby("dataset", sort=False)):
            line = artists.labelled(axis, DATASETS[name].title)
            known = [
                (b, i) for b, i in zip(rows["batch_size"], rows[column], strict=True) if i.value == i.value
            ]
            assert artists.points(line) == [(b, i.value) for b, i in known]
            band = artists.band(axis.collections[k])
            assert {b: band[b] for b in band if b == b} == {
                b: (1, 1) if b == 32 else (i.low, i.high) for b, i in known if i.low == i.low
            }
            tips = [tip for tip in artists.tips(figure, panel) if f"={name}&" in tip[3]]
            for (x, y, text, at), b, i in zip(tips, rows["batch_size"], rows[column], strict=True):
                assert x == b and (y == i.value or i.value != i.value)
                assert text.startswith(f"{DATASETS[name].title}, B = {b}\n")
                assert text.endswith(f"{efficiency_tables.ratio_text(i)} (n = {i.n})")
                assert at == f"data={name}&metric=epoch_time_s&B={b}"
        diamonds = [
            dict(artists.points(ln)) for ln in axis.lines if ln.get_marker() == "D" and artists.points(ln)
        ]
        theirs = [printed(n, "epoch_time_s") for n in ("synthetic-1k", "mnist")]
        assert diamonds == ([pytest.approx((t[32] / t).to_dict()) for t in theirs] if panel == 0 else [])
        assert artists.points(axis.lines[0]) == [(0, 1), (1, 1)] and axis.get_yscale() == "log"
        assert axis.get_title(loc="left") == "xyz"[panel]
        assert axis.yaxis.get_major_formatter()(2.0, 0) == "2"
    labels = artists.key(figure.axes[0])
    assert labels == ["Synthetic 1K (n = 3)", "MNIST (n = 2 to 3)", "the paper's epoch times"]
    assert artists.switched(figure) == ["Synthetic 1K", "MNIST"] and artists.named(figure)
    assert picture.notes(figure).runs == "metric=epoch_time_s"
    mine = [text for *_, text, at in artists.tips(figure) if not at and "MNIST, B = 512\n" in text]
    assert mine[0].endswith(f"×{theirs[1][32] / theirs[1][512]:.3g}")


def test_a_data_set_that_the_paper_does_not_have_has_our_ratios_alone(speedups, monkeypatch):
    monkeypatch.setitem(DATASETS, "mine", DATASETS["mnist"])
    own = speedups.assign(dataset=speedups["dataset"].replace("mnist", "mine"))
    assert efficiency_tables.in_short(own)["an epoch: the paper"].tolist()[:2] == ["–", "–"]
    axis = efficiency_figures.efficiency(own).axes[0]
    drawn = [ln for ln in axis.lines if ln.get_marker() == "D" and artists.points(ln)]
    assert len(drawn) == 1 and drawn[0].get_color() == COLORS["synthetic-1k"]


# --- rules of the learning rate ---


def test_runs_with_a_warm_up_stand_beside_those_without():
    plain = RUNS[(RUNS["dataset"] == "synthetic-1k") & (RUNS["lr_rule"] == "linear")]
    large = plain[plain["batch_size"] >= 256]
    warm = large.assign(test_acc=large["test_acc"] + 5, warmup_epochs=5, id="w" + large["id"])
    pairs = pd.concat([large.assign(warmup_epochs=0), warm])
    figure = learning_rate_figures.runs_with_warm_up(RUNS[RUNS["lr_rule"] == "linear"], pairs, "synthetic-1k")
    circles, squares, chance = figure.axes[0].lines
    assert circles.get_xydata().tolist() == plain[["batch_size", "test_acc"]].to_numpy(float).tolist()
    assert squares.get_ydata().tolist() == warm["test_acc"].tolist()
    beside = squares.get_xdata() / warm["batch_size"].to_numpy()
    assert ((1 < beside) & (beside < 1.4)).all() and chance.get_ydata()[0] == 100 / 2
    assert picture.notes(figure).caption.startswith("Synthetic 1K: test accuracy of every run")


def test_each_rule_is_drawn_close_up_and_beside_table_v():
    figure = learning_rate_figures.rules(RUNS, titles=("a", "b"))
    near, far = figure.axes
    table = published.learning_rate_ablation()
    for axis in (near, far):
        for number, rule in enumerate(("constant", "linear")):
            cells = made_up.cells(RUNS, "synthetic-50k", rules=(rule,))
            expected = {b: made_up.summed(cells, {b: 1}) for b in sorted(cells)}
            line = artists.labelled(axis, f"{rule} (n = 3 to 4 seeds")
            assert artists.points(line) == [(b, pytest.approx(e["value"])) for b, e in expected.items()]
            ends = {
                b: (e["value"] - e["half"], min(100, e["value"] + e["half"])) for b, e in expected.items()
            }
            assert artists.band(axis.collections[number]) == {b: pytest.approx(e) for b, e in ends.items()}
        assert artists.points(artists.labelled(axis, "sqrt (no runs yet)")) == []
        assert list(artists.ticks(axis)) == list(DATASETS["synthetic-50k"].protocol.batch_sizes)
    for rule, word in (("constant", "fixed"), ("linear", "scaled")):
        mine = table[table["lr_rule"] == rule]
        line = artists.labelled(far, f"Table V, {word}")
        assert artists.points(line) == list(zip(mine["batch_size"], mine["test_acc"], strict=True))
        assert line.get_color() == artists.labelled(far, rule).get_color()
    assert not [ln for ln in near.lines if "Table V" in str(ln.get_label())] and artists.named(figure)
    assert len(artists.key(far)) == 5 and artists.switched(figure) == ["constant", "linear", "sqrt"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["a", "b"]


def test_table_v_stands_beside_its_own_data_set_alone():
    figure = learning_rate_figures.rules(RUNS, "synthetic-1k")
    assert not [line for axis in figure.axes for line in axis.lines if "Table V" in str(line.get_label())]
    assert picture.notes(figure).caption.endswith("Right: the same; Table V has other data.")


@pytest.fixture
def asked_otherwise():
    """A page with another parameter than the committed one."""
    cells = ["x = 1", "seeds: int = 0", "# Parameters\nseeds = 3"]
    parameters.remember(cells, {"seeds": 3})
    yield
    parameters.remember([], {})


def test_the_findings_of_the_committed_page_title_no_other(asked_otherwise):
    one = figures.against_batch_size(RUNS, ["synthetic-1k"], title="flat from 1 to 512")
    assert [axis.get_title(loc="left") + axis.get_title() for axis in one.axes] == [""]
    rules = learning_rate_figures.rules(RUNS, titles=("a", "b"))
    assert [axis.get_title(loc="left") for axis in rules.axes] == list(learning_rate_figures.TITLES)


# --- the best batch size ---


def test_the_best_batch_size_against_n():
    rows = [(p, n, 8 * p * k, 64 * p * k if n > 1_000 else pd.NA)
            for p in (1, 2, 4) for k, n in enumerate((1_000, 10_000), 1)]  # fmt: skip
    optima = pd.DataFrame(rows, columns=["problem", "N", "optimal", "critical"])
    table = published.critical()
    figure = optimum_figures.against_size(optima, table)
    for axis, what in zip(figure.axes, ("optimal", "critical"), strict=True):
        t = optima.dropna(subset=[what])
        dots = artists.points(artists.labelled(axis, "one problem, mean of its seeds (n = 3)"))
        beside = t["N"] * 1.06 ** (t["problem"] - 2)
        assert dots == [pytest.approx(p) for p in zip(beside, t[what], strict=True)]
        [bars] = axis.containers
        sizes = sorted(t["N"].unique())
        half = 4.302652729696142 * math.log(2) / math.sqrt(3)  # logarithms one doubling apart
        means = [t[t["N"] == n].loc[t["problem"] == 2, what].item() for n in sizes]
        assert artists.points(bars.lines[0]) == [pytest.approx(p) for p in zip(sizes, means, strict=True)]
        assert artists.ends(bars) == [pytest.approx((m * math.exp(-half), m * math.exp(half))) for m in means]
        paper = artists.points(artists.labelled(axis, "Table VI"))
        assert [v for _, v in paper] == table[f"{what}_batch_size"].tolist()
        root = artists.points(artists.labelled(axis, "the square root"))
        assert [n for n, _ in root] == [1_000, max(n for n, _ in paper)]
        c = math.prod(v / math.sqrt(n) for n, v in paper) ** (1 / len(paper))
        assert [v for _, v in root] == pytest.approx([c * math.sqrt(n) for n, _ in root])
        assert artists.scales(axis) == ("log", "log") and axis.yaxis.get_transform().base == 2
        told = axis.yaxis.get_major_formatter()(1024.0, 0), axis.xaxis.get_major_formatter()(1024.0, 0)
        assert told == ("1024", "1,024")  # a batch size; a number of samples
    assert len(artists.key(figure)) == 4 and artists.named(figure)


def test_how_often_each_batch_size_is_best():
    draws = {"synthetic-1k": pd.DataFrame({"optimal": [8] * 5 + [64] * 3 + [512] * 2})}
    draws["mnist"] = pd.DataFrame({"optimal": [32] * 15 + [16] * 5})
    figure = optimum_figures.optimum_scatter(draws)
    for panel, (axis, (name, table)) in enumerate(zip(figure.axes, draws.items(), strict=True)):
        sizes = DATASETS[name].protocol.batch_sizes
        share = [100 * (table["optimal"] == b).mean() for b in sizes]
        assert [bar.get_height() for bar in axis.patches] == pytest.approx(share)
        assert [bar.get_x() + bar.get_width() / 2 for bar in axis.patches] == pytest.approx(range(len(sizes)))
        assert list(artists.ticks(axis).values()) == list(map(str, sizes))
        best = published.critical().set_index("dataset").loc[name, "optimal_batch_size"]
        at = sizes.index(best)
        assert artists.points(axis.lines[0]) == [(at, share[at] + 5)] and artists.key(axis) == ["Table VI"]
        assert axis.get_ylim() == (0, 108) and list(artists.ticks(axis, "y")) == [0, 20, 40, 60, 80, 100]
        for k, (x, y, text, address) in enumerate(artists.tips(figure, panel)):
            assert (x, y) == (k, share[k]) and address == f"data={name}&metric=test_acc&B={sizes[k]}"
            assert text == f"{DATASETS[name].title}, B = {sizes[k]}\nbest in {share[k]:.1f} % of the draws"
        first, theirs = sizes[int(np.argmax(share))], f"the paper's B = {best} in {share[at]:.0f} %"
        said = f"{DATASETS[name].title}: B = {first} in {max(share):.0f} %, {theirs}"
        assert said in picture.notes(figure).caption
    assert "in 20 draws" in picture.notes(figure).caption and artists.named(
        figure.axes[0].figure, titles=True
    )
    empty = optimum_figures.optimum_scatter({})
    assert "othing is drawn" in picture.notes(empty).caption and len(empty.axes) == 1
    assert (
        empty.axes[0].get_title(loc="left")
        == "No data set has runs at every batch size, and two at one of them"
    )
