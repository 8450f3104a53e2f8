"""Figures and tables of the ways to choose a batch size, against made-up choices worked out by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import artists
from bbatch.choosing.answer import TRIALS, Answer
from bbatch.config import DATASETS
from bbatch.evaluation.problems import PROBLEMS
from bbatch.evaluation.ways import METHODS
from bbatch.geometry.gradient_noise import NoiseScale
from bbatch.pages import choice_comparison, choice_figures, choices_figure, picture
from bbatch.pages.style import COLORS
from bbatch.statistics import Interval

NAMES = ["synthetic-1k", "wine", "text", "mnist-512"]


@pytest.fixture(scope="module")
def rows():
    """Four problems, five ways, three seeds (two of the first problem): no two numbers are equal."""
    rng, found = np.random.default_rng(1), []
    for name in NAMES:
        for method in METHODS:
            for seed in (42, 43, 44)[: 2 if name == "wine" else 3]:
                late = method == "range test" and seed == 43
                found.append(
                    {
                        "problem": name,
                        "method": method,
                        "seed": seed,
                        "batch_size": 32 if method == "always 32" else int(2 ** rng.integers(3, 9)),
                        "lr": 0.001,
                        "test_acc": 90 + rng.normal(0, 2),
                        "best_acc": 93 + 0.1 * seed,
                        "target_epochs": math.nan if late else 7.0,
                        "followed": seed < 44,
                        "target_s": math.nan if late or name == "text" else rng.uniform(1, 300),
                        "cpu_seconds": rng.uniform(0, 200),
                    }
                )
    return pd.DataFrame(found)


def cell(rows, name, method):
    return rows[(rows["problem"] == name) & (rows["method"] == method)]


def student(values) -> tuple[float, float, float]:
    """Mean and ends of the 95 % interval of independent values."""
    values = np.asarray(values, float)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return values.mean(), values.mean() - half, values.mean() + half


def signed(value: float, decimals: int = 2) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def over_problems(rows, other, without=None) -> tuple[float, float, float, float]:
    """`recommended` less another way, each problem counted once, and the degrees of freedom (Welch and
    Satterthwaite)."""
    means, parts, freedoms = [], [], []
    names = [n for n in NAMES if n != without]
    for name in names:
        a, b = (cell(rows, name, m).set_index("seed")["test_acc"] for m in ("recommended", other))
        means.append((a - b).mean())
        parts.append((a - b).var() / len(a) / len(names) ** 2)
        freedoms.append(len(a) - 1)
    freedom = sum(parts) ** 2 / sum(p**2 / f for p, f in zip(parts, freedoms, strict=True))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    return np.mean(means), np.mean(means) - half, np.mean(means) + half, freedom


def test_each_regret_stands_at_its_problem_with_its_interval(rows):
    figure = choice_figures.regrets(rows)
    [axis] = figure.axes
    titles = [PROBLEMS[name] for name in NAMES]
    names = artists.ticks(axis, "y")
    assert [names[k].split("\n")[0] for k in range(4)] == titles and axis.yaxis_inverted()
    assert [names[k].split("\n")[1] for k in range(4)] == ["n = 3", "n = 2", "n = 3", "n = 3"]
    for number, (bars, method) in enumerate(zip(axis.containers, METHODS, strict=True)):
        regret = [student(93 + 0.1 * c["seed"] - c["test_acc"]) for c in
                  (cell(rows, name, method) for name in NAMES)]  # fmt: skip
        at = artists.points(bars.lines[0])
        assert [x for x, _ in at] == pytest.approx([r[0] for r in regret])
        assert [y for _, y in at] == pytest.approx([k + 0.15 * (number - 2) for k in range(4)])
        several = [r for name, r in zip(NAMES, regret, strict=True) if len(cell(rows, name, method)) > 2]
        assert artists.ends(bars, "x") == [pytest.approx(r[1:]) for r in several]  # of two, the points
        assert bars.get_label() == method and bars.lines[0].get_color() == choice_figures.SHADES[method]
        for name, place, (mean, low, high) in zip(NAMES, at, regret, strict=True):
            [said] = [text for x, y, text, _ in artists.tips(figure) if (x, y) == place]
            sizes = cell(rows, name, method)["batch_size"]
            assert said.startswith(f"{PROBLEMS[name]}, {method}, B = {sizes.mode()[0]}")
            half = f"{(high - low) / 2:.2f}"
            assert f"regret {signed(mean)}\u00a0±\u00a0{half} points (n = {len(sizes)})" in said
    assert artists.key(axis) == list(METHODS) == artists.switched(figure)
    assert artists.points(axis.lines[-1]) == [(0, 0), (0, 1)]  # the best cell of the grid
    assert axis.get_xscale() == "symlog" and axis.xaxis.get_transform().linthresh == 1
    ticks = {v: t for v, t in artists.ticks(axis).items() if abs(v) < 55}
    expected = [-10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20, 50]
    assert list(ticks) == expected and ticks[-0.5] == "−0.5"
    assert axis.get_xlim() == (-10, 20) and artists.named(figure, titles=False)
    said = picture.notes(figure).caption
    assert (
        "on 4 problems" in said
        and "n = 2 to 3 seeds, the single seeds where they are two. Of 20 such intervals about 1 may" in said
    )


def test_the_axis_of_regrets_reaches_every_mean_but_not_every_interval(rows):
    far = rows.copy()
    far.loc[far["method"] == "range test", "test_acc"] -= 40
    far.loc[far["method"] == "grid of 25", "test_acc"] += 60
    regret = (far["best_acc"] - far["test_acc"]).groupby([far["problem"], far["method"]]).mean()
    limits = choice_figures.regrets(far).axes[0].get_xlim()
    assert limits == pytest.approx((1.5 * regret.min(), 1.5 * regret.max()))
    some = rows[(rows["seed"] == 42) | (rows["problem"] != "text")]
    sizes = artists.ticks(choice_figures.regrets(some).axes[0], "y")
    assert sizes[2].endswith("n = 1") and sizes[1].endswith("n = 2")
    mixed = rows[(rows["seed"] == 42) | (rows["method"] != "range test")]
    assert artists.ticks(choice_figures.regrets(mixed).axes[0], "y")[0].endswith("n = 1 to 3")
    assert choice_figures.regrets(rows[:0]).axes[0].get_xlim() == (-10, 20)


def test_problems_are_shown_in_order_and_counts_are_computed(rows):
    few = rows[(rows["problem"] != NAMES[1]) | (rows["seed"] == 42)]
    figure = choice_figures.regrets(few)
    shown = [text.split("\n")[0] for text in artists.ticks(figure.axes[0], "y").values()]
    assert shown == [PROBLEMS[name] for name in NAMES]
    assert "on 4 problems, of which 3, with two seeds or more, are in" in picture.notes(figure).caption
    titles = set(choice_comparison.comparison_table(few)["problem"]) - {""}
    assert titles == {PROBLEMS[name].removesuffix(" images") for name in NAMES}


def test_the_gain_over_each_way_without_each_problem(rows):
    figure = choice_figures.one_out(rows)
    assert len(figure.axes) == 4 and artists.named(figure)
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 2)
    for panel, (axis, other) in enumerate(zip(figure.axes, METHODS[1:], strict=True)):
        found = [over_problems(rows, other, out) for out in (None, *NAMES)]
        assert other in axis.get_title(loc="left") and axis.yaxis_inverted()
        names = artists.ticks(axis, "y")
        assert [names[k] for k in range(5)] == ["none left out", *(f"without {PROBLEMS[n]}" for n in NAMES)]
        [bars] = axis.containers
        assert artists.ends(bars, "x") == [pytest.approx(f[1:3]) for f in found if f[3] >= 2]
        dots = axis.collections[-1].get_offsets().tolist()
        assert dots == [[pytest.approx(f[0]), k] for k, f in enumerate(found)]
        colours = [tuple(c) for c in axis.collections[-1].get_facecolors()]
        assert colours[1:] == [colours[1]] * 4 and colours[0] != colours[1]
        assert (0, 0) in artists.points(axis.lines[-1])
        for k, (x, y, text, _) in enumerate(artists.tips(figure, panel)):
            assert (x, y) == (pytest.approx(found[k][0]), k)
            half = (found[k][2] - found[k][1]) / 2
            assert text == f"{names[k]}: {signed(found[k][0])}\u00a0±\u00a0{half:.2f} points"
    few = rows[rows["method"].isin(METHODS[:4])]
    assert len(choice_figures.one_out(few).axes) == 3  # no empty panel


def test_the_search_draws_times_and_losses_of_the_first_seed():
    trials = [
        (8, 0.01, 42, 0.7, 0.5, True),
        (8, 0.001, 42, 0.9, math.nan, False),
        (64, 0.02, 42, 0.6, 0.4, True),
        (64, 0.04, 42, 0.8, 0.55, False),
        (64, 0.02, 43, 0.3, 0.2, True),
    ]
    of = dict(warmup_epochs=0, epochs=5.0, value=0.0, seconds=1.0, cpu_seconds=1.0, diverged=False)
    table = pd.DataFrame(
        [
            of | dict(zip(("batch_size", "lr", "seed", "short_loss", "loss", "complete"), t, strict=True))
            for t in trials
        ]
    )
    times = pd.DataFrame({"batch_size": [8, 64], "seconds_per_epoch": [2.5, 0.75]})
    more = (
        0,
        1,
        "high",
        "accuracy",
        None,
        (32, 0.001),
        ("because",),
        "go on",
        table[list(TRIALS)],
        times,
        "",
    )
    answer = Answer(64, 0.02, *more, 9.0, 8.0)
    figure = choice_figures.search(answer)
    left, right = figure.axes
    assert artists.points(left.lines[0]) == [(8, 2.5), (64, 0.75)]
    assert artists.ticks(left) == {8: "8", 64: "64"} and artists.scales(left) == ("log", "log")
    drawn = [(line.get_label(), line.get_marker(), artists.points(line)) for line in right.lines[:4]]
    assert drawn == [
        ("B = 8", "o", [(0.001, 0.9), (0.01, 0.7)]),
        ("_", "s", [(0.01, 0.5)]),
        ("B = 64", "o", [(0.02, 0.6), (0.04, 0.8)]),
        ("_", "s", [(0.02, 0.4)]),
    ]
    assert len({tuple(line.get_color()) for line in right.lines[:4]}) == 2
    assert [axis.lines[-1].get_xdata() for axis in (left, right)] == [[64, 64], [0.02, 0.02]]
    assert artists.key(right) == ["B = 8", "B = 64"] and artists.scales(right) == ("log", "log")
    assert artists.named(figure) and picture.notes(figure).title == answer.headline
    none = Answer(None, None, *more[:8], table[:0][list(TRIALS)], times, "", 9.0, 8.0)
    left, right = choice_figures.search(none).axes
    assert len(left.lines) == 1 and not right.lines and right.get_legend() is None


def test_the_noise_scale_is_drawn_where_it_is_known():
    missing = NoiseScale(1.0, -1.0, Interval(math.nan, math.nan, math.nan, 3))
    scales = {
        0: NoiseScale(1, 1, Interval(9, 4, 30, 3)),
        2: missing,
        5: NoiseScale(1, 1, Interval(70, 50, 99, 3)),
    }
    figure = choice_figures.noise(scales, 128)
    [axis] = figure.axes
    assert artists.named(figure, titles=False)
    [bars] = axis.containers
    assert artists.points(bars.lines[0]) == [(0, 9), (5, 70)]
    assert artists.ends(bars) == [(4, 30), (50, 99)]
    assert artists.labelled(axis, "the answer, B = 128").get_ydata() == [128, 128]
    assert axis.get_yscale() == "log" and axis.get_legend()


def test_the_comparison_is_a_row_for_each_problem_and_way(rows):
    table = choice_comparison.comparison_table(rows)
    assert table["way"].tolist() == [*METHODS] * 4
    titles = [PROBLEMS[n].removesuffix(" images") for n in NAMES]
    assert table["problem"].tolist() == [t for title in titles for t in (title, "", "", "", "")]
    number = 0
    for name in NAMES:
        for method in METHODS:
            of, row = cell(rows, name, method), table.iloc[number]
            number += 1
            mean, low, high = student(of["test_acc"])
            half = f"\u00a0±\u00a0{(high - low) / 2:.2f}" if len(of) > 2 else ""
            assert row["test accuracy, %"] == f"{mean:.2f}{half}"
            mean, low, high = student(of["best_acc"] - of["test_acc"])
            half = f"\u00a0±\u00a0{(high - low) / 2:.2f}" if len(of) > 2 else ""
            assert row["regret, points"] == f"{signed(mean)}{half}"
            assert row["reached"] == f"{of['target_epochs'].notna().sum()} of {of['followed'].sum()}"
            for column, values in (("training, s", of["target_s"]), ("choosing, s", of["cpu_seconds"])):
                mean = values.mean()
                text = "–" if math.isnan(mean) else f"{mean:.0f}" if mean >= 99.5 else f"{mean:.2g}"
                assert row[column] == text
    assert [choice_comparison._short(v) for v in (math.inf, 0.123, 99.4, 99.5, 1234.5)] == [
        "–", "0.12", "99", "100", "1234"
    ]  # fmt: skip
    assert "within 5 %" in choice_comparison.CAPTION


def test_mean_regrets_with_and_without_each_problem(rows):
    table = choice_comparison.means(rows).set_index("way")
    order = []
    for method in METHODS:
        each = [(c["best_acc"] - c["test_acc"]).mean() for c in (cell(rows, n, method) for n in NAMES)]
        out = [np.mean(each[:k] + each[k + 1 :]) for k in range(4)]
        row = table.loc[method]
        assert row["mean regret"] == signed(np.mean(each)) and row["worst problem"] == signed(max(each))
        assert row["without one problem"] == f"{signed(min(out))} to {signed(max(out))}"
        order.append((np.mean(each), method))
    assert choice_comparison.means(rows).columns[0] == "way" and choice_comparison.means(rows).index[0] == 0
    assert list(table.index) == [method for _, method in sorted(order)]
    table = choice_comparison.without_each(rows)
    names = [n for n in PROBLEMS if n in NAMES]
    assert table["left out"].tolist() == ["none", *(PROBLEMS[n] for n in names)]
    for other in METHODS[1:]:
        found = [over_problems(rows, other, out) for out in (None, *names)]
        texts = [
            f"{signed(m)} ({signed(low)} to {signed(high)})" if freedom >= 2 else signed(m)
            for m, low, high, freedom in found
        ]
        assert table[other].tolist() == texts
    one = rows[(rows["problem"] != "text") | (rows["method"] != "range test")]
    table = choice_comparison.without_each(one).set_index("left out")
    assert table.loc["Text", "range test"] == "–" and table.loc["Wine", "range test"] != "–"


def test_each_way_and_problem_has_the_number_of_its_seeds(rows):
    table = choice_comparison.tried(rows[(rows["problem"] != "text") | (rows["method"] != "range test")])
    assert list(table) == ["problem", *METHODS] and table["problem"].tolist() == list(PROBLEMS.values())
    for name, (_, row) in zip(PROBLEMS, table.iterrows(), strict=True):
        lacks = {"range test"} if name == "text" else set()
        seeds = {m: 0 if m in lacks or name not in NAMES else len(cell(rows, name, m)) for m in METHODS}
        assert row[list(METHODS)].to_dict() == seeds


def test_where_choices_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(choice_comparison, "FOLDER", tmp_path)
    assert choice_comparison.origin() == "No choices recorded."
    written = dict(date="2026-01-02", device_name="a processor", threads=3, commit="abc", python="3.12")
    (tmp_path / "provenance.json").write_text(
        json.dumps(written | {"versions": {"torch": "9", "numpy": "8"}})
    )
    said = choice_comparison.origin()
    assert "on a processor, 2026-01-02, code abc, Python 3.12, torch 9, numpy 8;" in said


def test_every_reading_of_a_choice_has_its_mark():
    found = [
        ("seed", "mnist", 32, Interval(0.5, 0.2, 0.9, 3), Interval(-1.0, -2.0, 0.5, 3)),
        ("seed", "mnist", 512, Interval(-0.25, -0.75, 0.5, 4), None),
        ("seed", "cifar10", 8, Interval(2.0, math.nan, math.nan, 1), Interval(7.25, math.nan, math.nan, 1)),
        ("seed", "cifar10", 16, None, Interval(9.0, math.nan, math.nan, 1)),
        ("start", "cifar10", 8, Interval(-6.5, -9, -4, 5), None),
        ("edge", "mnist", 8, Interval(5.5, 5.0, 5.75, 2), Interval(1.0, 0.5, 1.75, 1)),
    ]
    effects = pd.DataFrame(found, columns=["choice", "dataset", "batch_size", "accuracy", "gap"])
    ranking = pd.DataFrame({"choice": ["edge", "start", "seed"]})
    figure = choices_figure.multiverse(effects, ranking)
    left, right = figure.axes
    assert artists.ticks(left, "y") == {0: "seed", 1: "start", 2: "edge"}
    assert left.get_xlim() == (-5.5, 5.5) and left.get_title(loc="left") != right.get_title(loc="left")
    assert "ccuracy" in left.get_title(loc="left") and "gap" in right.get_title(loc="left")
    bars = [(artists.points(b.lines[0])[0], artists.ends(b, "x")[0]) for b in left.containers]
    assert bars == [((0.5, 0.3), (0.2, 0.9)), ((-0.25, 0.0), (-0.75, 0.5))]
    bars = [(artists.points(b.lines[0])[0], artists.ends(b, "x")[0]) for b in right.containers]
    assert bars == [((-1.0, 0.3), (-2.0, 0.5))]
    within = [bars.lines[0] for bars in left.containers]
    alone = [line for line in left.lines if line.get_marker() in "o<>" and line not in within]
    single = [(line.get_marker(), artists.points(line)) for line in alone if len(line.get_xdata()) == 1]
    two = ("o", [(5.5, 2.0)])  # no bar of two
    assert single == [("o", [(2.0, -0.3)]), ("<", [(pytest.approx(-0.97 * 5.5), 1.0)]), two]
    assert any(artists.points(line) == [(1.0, 2.0)] for line in right.lines)  # of one seed: no bar
    arrow = [ln for ln in right.lines if ln.get_marker() == ">"]
    assert [artists.points(ln) for ln in arrow] == [[(pytest.approx(0.97 * 5.5), y)] for y in (0.0, -0.3)]
    assert arrow[0].get_color() == COLORS["cifar10"]
    told = {t.get_text().strip(): t.get_position() for t in (*left.texts, *right.texts)}
    assert told["not known"] == (0.15, 1)
    assert told["−6.5\u00a0±\u00a02.5"] == (pytest.approx(-0.92 * 5.5), 1.0)
    assert told["+7.2, +9.0"] == (pytest.approx(0.92 * 5.5), 0.0)
    tips = {text: (x, y) for x, y, text, _ in artists.tips(figure)}
    assert tips["seed\nMNIST, B = 512: −0.25 (−0.75 to +0.50)"] == (-0.25, 0.0)
    assert tips["seed\nMNIST, B = 32: +0.50 (+0.20 to +0.90)"]
    assert tips["start\nCIFAR-10, B = 8: −6.50\u00a0±\u00a02.50"] == (-5.5, 1.0)
    assert artists.named(figure) and artists.key(figure) == ["MNIST", "CIFAR-10"]
    assert list(DATASETS).index("mnist") == 3
    assert any(artists.points(line) == [(0, 0), (0, 1)] for line in left.lines)
