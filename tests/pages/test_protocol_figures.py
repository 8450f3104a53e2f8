"""The figures of what is run, and of how fast: samples, rates, one run, networks, measured times."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import artists
from bbatch.config import DATASETS, plan
from bbatch.errors import BadInput
from bbatch.models import NETWORKS
from bbatch.pages import benchmarks, parameters, picture, protocol_figures, shown
from bbatch.pages.style import COLORS
from factories import tiny


def test_synthetic_samples_on_their_two_widest_directions():
    sets = {"synthetic-1k": tiny("synthetic-1k", 300), "synthetic-10k": tiny("synthetic-10k", 2_500)}
    figure = protocol_figures.synthetic_sets(sets)
    for axis, (name, data) in zip(figure.axes, sets.items(), strict=True):
        x, y = data.train_x.numpy().astype(float), data.train_y.numpy()
        values, directions = np.linalg.eigh(np.cov(x.T))
        at = (x - x.mean(0)) @ directions[:, [-1, -2]]
        drawn = {
            label: np.array(artists.points(artists.labelled(axis, label))) for label in ("class 0", "class 1")
        }
        assert sum(map(len, drawn.values())) == min(len(x), 2_000)
        for k, points in enumerate(drawn.values()):
            mine = np.abs(at[y == k])  # a direction may be turned
            order = np.lexsort(mine.T[::-1]), np.lexsort(np.abs(points).T[::-1])
            if len(x) <= 2_000:
                assert np.abs(points)[order[1]] == pytest.approx(mine[order[0]])
        share = 100 * values[-2:].sum() / values.sum()
        assert f"{share:.0f} % on {DATASETS[name].title}" in picture.notes(figure).caption
        shown = f"{min(len(x), 2_000):,} of {len(x):,}"
        assert axis.get_title(loc="left") == f"{DATASETS[name].title} ({shown})"
        assert artists.labelled(axis, "class 0").get_color() == COLORS[name]
        assert artists.key(axis) == ["class 0", "class 1"]
    assert artists.named(figure)


def test_the_rates_of_table_ii_under_each_rule():
    figure = protocol_figures.learning_rates()
    for axis, name, optimizer in zip(
        figure.axes, ("synthetic-50k", "mnist", "cifar10"), ("Adam", "SGD", "Adam"), strict=True
    ):
        p = DATASETS[name].protocol
        assert (p.optimizer == "adam") == (optimizer == "Adam")
        for rule, power in (("constant", 0), ("linear", 1), ("sqrt", 0.5)):
            expected = [(b, pytest.approx(p.base_lr * (b / p.base_batch) ** power)) for b in p.batch_sizes]
            assert artists.points(artists.labelled(axis, rule)) == expected
        assert axis.get_title(loc="left") == f"{DATASETS[name].title}, {optimizer}"
        assert artists.scales(axis) == ("log", "log") and list(artists.ticks(axis)) == list(p.batch_sizes)
        assert len({line.get_linestyle() for line in axis.lines}) == 3 and len(artists.key(axis)) == 3
        ratio = p.batch_sizes[-1] / p.batch_sizes[0]
        assert f"{ratio:g} on {DATASETS[name].title}" in picture.notes(figure).caption
    assert artists.named(figure)


def test_one_run_is_drawn_as_test_error():
    run = plan("synthetic-1k", 64, 43)
    figure = protocol_figures.one_run([150, 190, 195], [151, 188, 196], run)
    [axis] = figure.axes
    assert artists.points(artists.labelled(axis, "trained on this page")) == [(1, 25), (2, 5), (3, 2.5)]
    assert artists.points(artists.labelled(axis, "the committed record")) == [(1, 24.5), (2, 6), (3, 2)]
    assert axis.get_ylim()[0] == 0 and axis.get_title(loc="left") == "Synthetic 1K, B = 64, seed 43"
    said = "195 of the 200 test samples right after 3 epochs (one run, no interval)."
    assert picture.notes(figure).caption == said and artists.named(figure) and artists.key(axis)
    assert len(protocol_figures.one_run([150], [], run).axes[0].lines) == 1


def test_every_image_stands_in_the_row_of_its_set():
    figure = protocol_figures.images()
    with np.load(protocol_figures.SAMPLES) as samples:
        assert len(figure.axes) == sum(map(len, samples.values())) == 20
        axes = iter(figure.axes)
        for name in samples:
            for number, image in enumerate(samples[name]):
                axis = next(axes)
                assert np.array_equal(axis.images[0].get_array(), image.squeeze())
                assert axis.get_ylabel() == ("" if number else DATASETS[name].title)
                assert not len(axis.get_xticks()) and not len(axis.get_yticks())
            assert DATASETS[name].title in picture.notes(figure).caption


def test_every_layer_of_a_network_is_named_with_its_parameters():
    assert protocol_figures.stages("mlp") == [
        ("input", (20,)), ("linear: 1,344", (64,)), ("linear: 2,080", (32,)), ("linear: 66", (2,))
    ]  # fmt: skip
    figure = protocol_figures.drawn_networks()
    for axis, name in zip(figure.axes, ("mlp", "mnist-cnn", "cifar-cnn"), strict=True):
        parts = protocol_figures.stages(name)
        told = {t.get_text(): t.xy for t in axis.texts if hasattr(t, "xy") and t.get_text()}
        expected = {"×".join(f"{n:,}" for n in shape): (0.66, -k) for k, (_, shape) in enumerate(parts)}
        layers = [(layer, (0.07, 0.5 - k)) for k, (layer, _) in enumerate(parts) if k]
        assert told == expected | dict(layers)
        total = sum(p.numel() for p in NETWORKS[name]().parameters())
        titles = ", ".join(s.title for s in DATASETS.values() if s.network == name)
        assert axis.get_title(loc="left") == f"{name}: {total:,} parameters" and not axis.axison
        assert titles in [t.get_text() for t in axis.texts]
        arrows = [(t.xyann, t.xy) for t in axis.texts if t.get_text() == ""]  # from below a box to the next
        ends = [(k - 0.73, k - 0.27) for k in range(1, len(parts))]
        assert arrows == [((0, pytest.approx(-a)), (0, pytest.approx(-b))) for a, b in ends]
        (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
        assert left < 0 < 0.66 < right and low < 1 - len(parts) < 0 < high


# --- how fast ---


@pytest.fixture
def steps():
    rows = [
        ("plain loop, one process", 1, 300.0, 290, 320, 1, 1, 1),
        ("bbatch", 1, 2.5, 2.25, 3, 120, 110, 133),
        ("plain loop, one process", 512, 900.0, 890, 930, 1, 1, 1),
        ("bbatch", 512, 1234.5, 1200, 1300, 0.75, 0.5, 0.875),
    ]
    columns = "contestant batch_size median low high ratio ratio_low ratio_high".split()
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(dataset="synthetic-1k", unit="us a step and seed", rounds=7)


def test_microseconds_a_step_with_their_quartiles(steps):
    figure = benchmarks.figure_steps(steps)
    [axis] = figure.axes
    for bars, (who, rows) in zip(axis.containers, steps.groupby("contestant", sort=False), strict=True):
        assert artists.points(bars.lines[0]) == list(zip(rows["batch_size"], rows["median"], strict=True))
        assert artists.ends(bars) == list(zip(rows["low"], rows["high"], strict=True))
        assert bars.get_label() == who and bars.lines[0].get_color() == benchmarks.CONTESTANTS[who]
    tips = {text: (x, y) for x, y, text, _ in artists.tips(figure)}
    assert tips["bbatch, B = 1\n2.50 µs (2.25 to 3.00)"] == (1, 2.5)
    assert tips["bbatch, B = 512\n1,234 µs (1,200 to 1,300)"] == (512, 1234.5)
    assert artists.switched(figure) == artists.key(figure) == ["plain loop, one process", "bbatch"]
    assert artists.scales(axis) == ("log", "log") and artists.ticks(axis) == {1: "1", 512: "512"}
    said = picture.notes(figure).caption
    assert "medians over 7 rounds" in said and artists.named(figure, titles=False)
    assert said.endswith("Least: bbatch at B = 1; plain loop, one process at B = 512.")
    turned = benchmarks.figure_steps(steps.assign(batch_size=[512, 512, 1, 1]))
    said = picture.notes(turned).caption
    assert said.endswith("Least: plain loop, one process at B = 1; bbatch at B = 512.")
    table = benchmarks.times_faster(steps)
    assert table.columns.tolist() == ["B", "who", "µs a step and seed", "times faster"]
    assert table["times faster"].tolist() == ["base", "120 (110 to 133)", "base", "0.750 (0.500 to 0.875)"]
    assert table["µs a step and seed"].tolist() == ["300", "2.50", "900", "1,234"]
    both = benchmarks.times_faster(pd.concat([steps, steps.assign(dataset="mnist")]))
    assert both["data set"].unique().tolist() == ["Synthetic 1K", "MNIST"]
    texts = {0.5: "0.500", 1.2: "1.20", 99.9: "99.9", 99.96: "100", 267_900: "267,900", math.nan: "–"}
    assert [shown.three_digits(v) for v in texts] == list(texts.values())


def test_whole_runs_with_one_quantity_varied():
    rows = [
        (what, v, s, s - 0.25 * k, s + 0.5 * k)
        for k, what in enumerate(("B", "N", "epochs", "seeds"), 1)
        for v, s in ((64, 9.0 + k), (1, 2.0 + k), (8, 5.0 * k), (512, 20.0), (32, 7.0 * k))
    ]
    table = pd.DataFrame(rows, columns=["varied", "value", "seconds", "low", "high"])
    figure = benchmarks.figure_scaling(table)
    for axis, (what, mine) in zip(figure.axes, table.groupby("varied", sort=False), strict=True):
        mine, [bars] = mine.sort_values("value"), axis.containers
        assert artists.points(bars.lines[0]) == list(zip(mine["value"], mine["seconds"], strict=True))
        assert artists.ends(bars) == [pytest.approx(e) for e in zip(mine["low"], mine["high"], strict=True)]
        shown = {"B": [1, 64], "N": [1, 32, 512]}.get(what, [1, 8, 32, 64, 512])
        assert list(artists.ticks(axis).values()) == list(map(str, shown))
        assert axis.get_xlabel().startswith(
            {"B": "Batch", "N": "Training", "epochs": "Epochs", "seeds": "Seeds"}[what]
        )
        assert artists.scales(axis) == ("log", "log")
    assert artists.named(figure, titles=False)


def test_what_each_check_took_and_on_what_machine(tmp_path, monkeypatch):
    times = {"seconds": [0.99, 1, 119.4, 120], "processor_seconds": [5.4, 90, 3600, 0]}
    table = pd.DataFrame(times | {"command": list("abcd"), "date": "d"})
    took = benchmarks.checks(table)
    assert took["elapsed"].tolist() == ["under 1 s", "1 s", "119 s", "2 min"]
    assert took["processor time"].tolist() == ["5 s", "90 s", "60 min", "under 1 s"]
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    about = dict(commit="abc+", device_name="P", cores=3, date="today", python="3.12")
    (tmp_path / "x.json").write_text(json.dumps(about | {"versions": {"torch": "9", "numpy": "8"}}))
    assert benchmarks.machine_sentence("x") == (
        "Measured on P (3 cores seen), today, code abc with changes not yet committed, "
        "Python 3.12, torch 9, numpy 8."
    )


# --- what a page was asked to show ---


def test_a_finding_titles_the_committed_page_alone():
    figure = Figure()
    figure.subplots().plot([1, 2])
    picture.titled(figure, "All is well")
    cells = ["x = 1", 'datasets: list[str] = ["mnist"]', "# Parameters\ndatasets = ['mnist']\n"]
    try:
        for injected, titled in ((cells[2], True), (cells[2].replace("mnist", "cifar10"), False)):
            parameters.remember([*cells[:2], injected], {})
            assert ("All is well" in picture.html(figure)) is titled
    finally:
        parameters.remember([], {})
    assert "All is well" in picture.html(figure)


def test_a_page_says_what_differs_from_the_committed_one():
    def said(**asked):
        parameters.remember([], asked)
        return parameters.note()

    try:
        assert said(profile="paper", seeds=0, precision="recorded") == said() == ""
        assert said(profile="quick", seeds=1) == " (quick profile, 1 seed at most)"
        assert said(seeds=2, precision="bf16", dataset="mnist") == " (2 seeds at most, bf16 alone)"
        cells = ["x = 1", "profile = 'paper'\nseeds: int = 0\nprint()", "# Parameters\nseeds = 3"]
        parameters.remember(cells, {"seeds": 3})
        flag = ["compute: bool = False  # no", "# Parameters\ncompute = 'false'"]
        with pytest.raises(BadInput, match="parameter 'compute' is 'false'; it must be of type bool"):
            parameters.remember(flag, {"compute": "false"})
        parameters.remember(flag, {"compute": True})
        parameters.remember(cells, {"seeds": 3})
        assert parameters.note() == " (3 seeds at most)"
        for wrong, value in {
            "datasets": [],
            "dataset": "x",
            "accuracy": 0,
            "seeds": -1,
            "precision": "fp8",
        }.items():
            with pytest.raises(BadInput):
                parameters.remember([], {wrong: value})
            assert parameters.note() == ""
        for accuracy in (100, True, "x"):
            with pytest.raises(BadInput, match="percentage above 0 and below 100"):
                parameters.remember([], {"accuracy": accuracy})
        parameters.remember([], {"accuracy": 0.5})
        parameters.remember([], {"accuracy": 99.5, "datasets": ("mnist", "cifar10"), "live_seeds": 2})
        with pytest.raises(BadInput, match="each may be named once"):
            parameters.remember([], {"datasets": ["mnist", "mnist"]})
        with pytest.raises(BadInput, match="seed"):
            parameters.remember([*cells[:2], "# Parameters\nseedz = 3"], {})
    finally:
        parameters.remember([], {})
    fits = [(1, "int"), (1, "float"), (1.5, "float"), (True, "bool"), ([1, 2], "list[int]"), ("a", "str")]
    assert all(parameters.fits(*one) for one in fits)
    unfit = [(1.5, "int"), (True, "int"), (True, "float"), ([1, "a"], "list[int]"), ((1,), "list[int]")]
    assert not any(parameters.fits(*one) for one in unfit)
