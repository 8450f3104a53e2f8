"""What the figures of noise, sharpness and landscapes draw, from made-up tables worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

import artists
from bbatch.claims import on_geometry
from bbatch.config import DATASETS
from bbatch.geometry.one_network import EPSILON
from bbatch.pages import landscape_figures, landscape_surfaces, noise_figures, picture, sharpness_figures
from bbatch.pages.style import COLORS, INK
from bbatch.published import critical

RNG = np.random.default_rng(2)


def measured(rows, **more):
    """A table of `geometry`: measure, data set, rule, batch size, epoch, seed, value."""
    columns = "measure dataset lr_rule batch_size epoch seed value".split()
    table = pd.DataFrame(rows, columns=columns).assign(
        n_samples=1_000, split="train", source="retrained", precision="fp32"
    )
    table["id"] = [f"{d} {rule} {seed}" for d, rule, seed in table[["dataset", "lr_rule", "seed"]].values]
    return table.assign(**more)


def single_points(axis, marker):
    return [artists.points(line) for line in axis.lines if line.get_marker() == marker]


def test_shares_stand_in_the_row_of_their_data_set():
    values = {("mnist", 0): (4.0, 2.5), ("mnist", 1): (90.0, 98.5), ("synthetic-1k", 0): (3.0,),
              ("synthetic-1k", 50): (30.0, 41.0, 52.5)}  # fmt: skip
    rows = [("gradient_top_share", d, "linear", 32, e, k, v) for (d, e), vs in values.items() for k, v in
            enumerate(vs)]  # fmt: skip
    rows.append(("gradient_trace", "mnist", "linear", 32, 1, 0, 77.0))
    figure = noise_figures.shares(measured(rows), ["synthetic-1k", "cifar10", "mnist"])
    [axis] = figure.axes
    assert artists.ticks(axis, "y") == {0: "MNIST", 1: "Synthetic 1K"}
    dots = {tuple(p): line.get_color() for line in axis.lines if (p := artists.points(line))}
    for row, name in enumerate(("mnist", "synthetic-1k")):
        ends = []
        for (d, epoch), some in values.items():
            if d == name:
                color = COLORS[name] if epoch else INK
                assert dots[tuple((v, row) for v in some)] == color
                assert dots[((np.mean(some), row),)] == color
                ends.append((np.mean(some), row))
        assert tuple(ends) in dots
    assert artists.named(figure) and axis.get_xlim() == (0, 101) and axis.get_ylim() == (-0.6, 1.8)
    said = {t.get_text(): t.get_position() for t in axis.texts}
    assert said == {"before training": (5, 1.55), "after": (99, 1.55)}
    assert "(Synthetic 1K 3, MNIST 2 trained ones)" in picture.notes(figure).caption
    figure = noise_figures.shares(measured([r for r in rows if r[4] == 0]), ["mnist"])
    assert "(MNIST 0 trained ones)" in picture.notes(figure).caption


def test_the_variance_on_the_page_has_the_line_through_its_geometric_mean():
    found = {
        "before": pd.Series([8.0, 1.0, 0.25], [1, 4, 32]),
        "after": pd.Series([90.0, 30.0, 2.0], [1, 4, 32]),
    }
    figure = noise_figures.live(found)
    [axis] = figure.axes
    assert artists.named(figure)
    for number, (name, values) in enumerate(found.items()):
        dots, law = axis.lines[2 * number : 2 * number + 2]
        assert artists.points(dots) == list(values.items()) and dots.get_label() == name
        sigma2 = math.prod(v * b for b, v in values.items()) ** (1 / 3)
        assert artists.points(law) == [(b, pytest.approx(sigma2 / b)) for b in (1, 4, 32)]
        assert dots.get_color() == law.get_color()
    assert artists.scales(axis) == ("log", "log") and artists.key(axis) == ["before", "after"]
    assert artists.ticks(axis) == {1: "1", 4: "4", 32: "32"}


def variances():
    one, own = "gradient_variance_one_network", "gradient_variance"
    rows = [
        (measure, d, rule, b, epoch, seed, RNG.uniform(1, 9) / b)
        for d in ("synthetic-1k", "mnist")
        for measure, epochs in (
            (one, (0, 5, DATASETS[d].protocol.epochs)),
            (own, (DATASETS[d].protocol.epochs,)),
        )
        for rule in ("linear", "constant")
        for b in ((8, 64, 128) if d == "mnist" else (8, 32, 128))
        for epoch in epochs
        for seed in ((42, 43) if d == "mnist" else (42,))
    ]
    return measured(rows)


def test_the_variance_is_that_of_each_network_with_the_law_of_sampling():
    table = variances()
    figure = noise_figures.variance(table, ["cifar10", "synthetic-1k", "mnist"])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Synthetic 1K (n = 1)", "MNIST (n = 2)"]
    assert artists.named(figure)
    for axis, name in zip(figure.axes, ("synthetic-1k", "mnist"), strict=True):
        t = table[(table["dataset"] == name) & (table["lr_rule"] == "linear")]
        sizes = (8, 64, 128) if name == "mnist" else (8, 32, 128)
        end, laws = DATASETS[name].protocol.epochs, [ln for ln in axis.lines if ln.get_marker() == "None"]
        wanted = (
            ("gradient_variance_one_network", 0, "before", laws[0]),
            ("gradient_variance_one_network", end, "after training, one", laws[1]),
            ("gradient_variance", end, "after training, each", None),
        )
        for measure, epoch, label, law in wanted:
            cells = t[(t["measure"] == measure) & (t["epoch"] == epoch)]
            dots = artists.labelled(axis, label)
            assert artists.points(dots) == list(zip(cells["batch_size"], cells["value"], strict=True))
            if law:
                b = cells["batch_size"].to_numpy()
                unit = (1_000 - b) / 999 / b * 19 / 20  # of 1,000 samples; 20 mini-batches
                sigma2 = np.exp(np.log(cells["value"] / unit).mean())
                expected = [(k, sigma2 * (1_000 - k) / 999 / k * 19 / 20) for k in sizes]
                assert artists.points(law) == [pytest.approx(p) for p in expected]
                assert law.get_color() == dots.get_color() == (COLORS[name] if epoch else INK)
        assert len(laws) == 2 and artists.scales(axis) == ("log", "log")
        assert artists.ticks(axis) == {k: str(k) for k in sizes}
    assert [text.split(",")[0] for text in artists.key(figure)] == [
        "before training",
        *["after training"] * 2,
    ]
    early = table[table["epoch"] == 0]
    [axis] = noise_figures.variance(early, ["mnist"]).axes
    assert len(axis.lines) == 2 and list(artists.ticks(axis)) == [8, 64, 128]


def test_more_than_three_data_sets_stand_in_two_rows():
    """In one row of five the batch sizes on the axes would run together."""
    one = variances().query("dataset == 'mnist'")
    five = pd.concat([one.assign(dataset=name) for name in DATASETS])
    for names, rows in ((list(DATASETS), [3, 2]), (list(DATASETS)[:3], [3])):
        figure = noise_figures.variance(five, names)
        heights = [round(axis.get_position().y0, 3) for axis in figure.axes]
        assert [heights.count(y) for y in sorted(set(heights), reverse=True)] == rows


def test_the_noise_scale_is_a_line_a_batch_size_of_means_over_seeds():
    rows, scale = [], {}
    for seed in (42, 43, 44):
        for b in (8, 512):
            for epoch in (0, 1, 50):
                scale[b, epoch, seed] = value = RNG.uniform(2, 900)
                for measure, v in (("gradient_trace", value * 0.5), ("gradient_norm2", 0.5)):
                    rows.append((measure, "synthetic-50k", "linear", b, epoch, seed, v))
                    rows.append((measure, "mnist", "linear", b, epoch, seed, v + 0.1))
    for measure, v in (("gradient_trace", 1e9), ("gradient_norm2", 1.0)):  # no number
        rows.append((measure, "synthetic-50k", "linear", 8, 9, 42, v))
    figure = noise_figures.noise_scale_in_training(measured(rows), "synthetic-50k")
    [axis] = figure.axes
    assert artists.named(figure, titles=False)
    for number, b in enumerate((8, 512)):
        means, dots = axis.lines[2 * number : 2 * number + 2]
        assert means.get_label() == f"trained with B = {b} (n = 3)"
        assert artists.points(means) == [
            (e, pytest.approx(sum(scale[b, e, s] for s in (42, 43, 44)) / 3)) for e in (0, 1, 50)
        ]
        singles = sorted((e, v) for (size, e, _), v in scale.items() if size == b)
        assert sorted(artists.points(dots)) == [pytest.approx(p) for p in singles]
        assert tuple(means.get_color()) == tuple(dots.get_color())
    printed = critical().set_index("dataset").loc["synthetic-50k", "critical_batch_size"]
    assert artists.labelled(axis, "the paper").get_ydata() == [printed, printed]
    assert artists.scales(axis) == ("symlog", "log") and axis.xaxis.get_transform().linthresh == 1
    assert artists.ticks(axis) == {0: "0", 1: "1", 50: "50"} and axis.get_xlim()[0] == -0.15
    assert tuple(axis.lines[0].get_color()) != tuple(axis.lines[2].get_color())


def forest_table(n, scale=1.0):
    kinds = [("sharpness_l2", "train"), ("hessian_trace", "test")]
    rows = [
        (
            m,
            split,
            scale * (1.5 + k),
            scale * (1.1 + k),
            scale * (2.3 + k),
            n,
            [scale * (1.2 + k + 0.1 * s) for s in range(n)],
        )
        for k, (m, split) in enumerate(kinds)
    ]
    return pd.DataFrame(rows, columns=["measure", "split", "ratio", "low", "high", "n", "single"])


@pytest.mark.parametrize("log", [True, False])
def test_a_forest_has_a_row_a_measure_and_a_mark_a_series(log):
    series = {
        "first": (forest_table(5), "red"),
        "second": (forest_table(4, -2.0 if not log else 2.0), "blue"),
    }
    words = ("a finding", "a label", "a caption")
    figure = sharpness_figures.forest(series, "ratio", {1: "", 2: "said"}, words, log=log)
    [axis] = figure.axes
    sign, bars = 1 if log else -1, axis.containers
    assert [artists.points(b.lines[0]) for b in bars] == [
        [pytest.approx((1.5, 2.28))],
        [pytest.approx((2.5, 1.28))],
    ]
    assert [artists.ends(b, "x")[0] for b in bars] == [pytest.approx((1.1, 2.3)), pytest.approx((2.1, 3.3))]
    dots = [line for line in axis.lines if line.get_marker() == "d"]
    for k, line in enumerate(dots):
        y = 2 - k - 0.28
        assert artists.points(line) == [pytest.approx((sign * 2 * (1.2 + k + 0.1 * s), y)) for s in range(4)]
    names = artists.ticks(axis, "y")
    assert names == {2: "Euclidean ball, searched; train", 1: "Hessian, trace; test"}
    assert axis.get_ylim() == (0.4, 3) and artists.key(figure) == ["first (n = 5)", "second (n = 4)"]
    upright = [line for line in axis.lines if list(line.get_ydata()) == [0, 1]]
    assert [(line.get_xdata()[0], line.get_linestyle()) for line in upright] == [(1, "-"), (2, "--")]
    assert [(note.get_text(), note.xy) for note in axis.texts] == [("", (1, 1)), ("said", (2, 1))]
    assert axis.get_xscale() == ("log" if log else "linear")
    if log:
        assert list(artists.ticks(axis)) == [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    tips = {text: (x, pytest.approx(y)) for x, y, text, _ in artists.tips(figure)}
    assert tips["first\nHessian, trace; test loss\n2.5 (2.1 to 3.3), n = 5"] == (2.5, 1.28)
    value = "3, n = 4" if log else "−3, n = 4"
    assert tips[f"second\nEuclidean ball, searched; train loss\n{value}"] == (sign * 3.0, 1.72)
    about = picture.notes(figure)
    assert (about.title, about.caption, axis.get_xlabel()) == ("a finding", "a caption", "a label")


def test_marks_of_three_series_stand_apart_in_their_row():
    series = {f"s{k}": (forest_table(2), "red") for k in range(3)}
    [axis] = sharpness_figures.forest(series, "ratio", {}, ("", "", "")).axes
    rows = [[y for _, y in artists.points(ln)][0] for ln in axis.lines if ln.get_marker() == "d"]
    assert rows == pytest.approx([2.28, 1.28, 2.0, 1.0, 1.72, 0.72]) and axis.get_xscale() == "log"
    [axis] = sharpness_figures.forest({"one": series["s0"]}, "ratio", {}, ("", "", "")).axes
    assert artists.points(axis.lines[0])[0][1] == pytest.approx(2.28)


def test_sharpness_of_a_rescaled_network_is_divided_by_that_at_one():
    sharp = {"l2": (8.0, 2.0, 5.0), "filter": (3.0, 4.0, 4.4)}
    rows = [(n, f, v) for n, vs in sharp.items() for f, v in zip((0.5, 1.0, 4.0), vs, strict=True)]
    figure = sharpness_figures.rescaled(pd.DataFrame(rows, columns=["norm", "factor", "value"]))
    [axis] = figure.axes
    assert [artists.points(line) for line in axis.lines] == [
        [(0.5, 4.0), (1.0, 1.0), (4.0, 2.5)],
        [(0.5, 0.75), (1.0, 1.0), (4.0, pytest.approx(1.1))],
    ]
    assert artists.named(figure) and artists.key(figure) == ["Euclidean ball", "filter-wise ball"]
    assert artists.ticks(axis) == {0.5: "0.5", 1: "1", 4: "4"} and artists.scales(axis) == ("log", "log")
    assert axis.xaxis.get_transform().base == 2 and f"ε = {EPSILON}" in picture.notes(figure).caption


def surfaces():
    """Two surfaces of unequal sides: [a, b]."""
    a, b = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, -0.5, 0.5, 1.0])
    height = np.arange(1.0, 13.0).reshape(3, 4)
    return {"one": (a, b, height / 4), "two": (a, b, 5 * height**2)}


def test_surfaces_side_by_side_have_one_scale():
    found = surfaces()
    low, high = landscape_surfaces.log_range(found.values())
    assert (low, high) == pytest.approx((math.log10(0.25), math.log10(720) + 1e-3))
    odd = {"x": (0, 0, np.array([[math.inf, 0.0], [10.0, 100.0]]))}
    assert landscape_surfaces.log_range(odd.values()) == pytest.approx((1, 2.001))
    figure = landscape_surfaces.rotatable_surfaces(found)
    for k, (trace, (label, (a, b, loss))) in enumerate(zip(figure.data, found.items(), strict=True)):
        assert list(trace.x) == list(a) and list(trace.y) == list(b) and trace.name == label
        assert np.asarray(trace.z) == pytest.approx(np.log10(loss).T, rel=1e-6)
        assert (trace.cmin, trace.cmax) == (low, high) and trace.showscale == (k == 1)
        assert trace.scene == ("scene" if k == 0 else "scene2")
        assert trace.hovertemplate.startswith(label)
        assert "%{x:.2f}" in trace.hovertemplate and "log₁₀ loss %{z:.2f}" in trace.hovertemplate
    ticks = [0.3, 1, 3, 10, 30, 100, 300]
    key, *heights = figure.data[1].colorbar, figure.layout.scene.zaxis, figure.layout.scene2.zaxis
    for scale in (key, *heights):
        assert list(scale.tickvals) == pytest.approx(np.log10(ticks))
        assert list(scale.ticktext) == ["0.3", "1", "3", "10", "30", "100", "300"]
    assert [scale.title.text for scale in (key, *heights)] == ["Loss", "", ""]
    assert figure.layout.scene2.zaxis.range == (low, high)
    assert (figure.layout.scene.xaxis.title.text, figure.layout.scene.yaxis.title.text) == ("a", "b")
    assert [note.text for note in figure.layout.annotations] == ["one", "two"]
    assert landscape_surfaces._decades(-4.6, -3.4)["ticktext"] == ["0.0001", "0.0003"]
    assert landscape_surfaces._decades(5, 6.2)["tickvals"] == pytest.approx([5, 5 + math.log10(3)])
    assert list(landscape_surfaces.rotatable_surfaces({}).data) == []


def test_contours_share_their_levels():
    found = surfaces()
    figure = landscape_figures.contours(found, "a caption", "Training loss")
    assert artists.named(figure)
    low, high = math.log10(0.25), math.log10(720) + 1e-3
    levels = np.logspace(low, high, 15)
    for axis, (label, (*_, loss)) in zip(figure.axes, found.items(), strict=False):
        filled, lines = axis.collections
        assert filled.levels == pytest.approx(levels) and lines.levels == pytest.approx(levels)
        assert (filled.norm.vmin, filled.norm.vmax) == pytest.approx((levels[0], levels[-1]))
        assert (filled.zmin, filled.zmax) == (loss.min(), loss.max()) and axis.get_title(loc="left") == label
        inside = np.concatenate([path.vertices for path in lines.get_paths() if len(path.vertices)])
        assert abs(inside).max() <= 1 and artists.points(axis.lines[0]) == [(0, 0)]
    # a level crosses row a = −1 where the loss has it: between b = −1 (5) and b = −0.5 (20) on the second
    at_edge = [v for path in figure.axes[1].collections[1].get_paths() for v in path.vertices if v[0] == -1]
    level = levels[levels > 5][0]
    assert min(v[1] for v in at_edge) == pytest.approx(-1 + 0.5 * (level - 5) / 15)
    bar = figure.axes[-1]
    assert bar.get_xlabel() == "Training loss (nats, log scale)"
    assert list(artists.ticks(bar)) == pytest.approx([0.3, 1, 3, 10, 30, 100, 300])
    assert list(artists.ticks(bar).values())[:4] == ["0.3", "1", "3", "10"]
    flat = {"flat": (*surfaces()["one"][:2], np.linspace(1.2, 1.4, 12).reshape(3, 4))}
    panel, bar = landscape_figures.contours(flat, "").axes
    assert panel.get_title(loc="left") == "flat"
    assert list(artists.ticks(bar)) == pytest.approx([1.2, 1.4 * 10**0.001])
    wide = {"wide": (*surfaces()["one"][:2], np.logspace(-4.6, 6.2, 12).reshape(3, 4))}
    ticks = list(artists.ticks(landscape_figures.contours(wide, "").axes[-1]))
    assert (ticks[0], ticks[-1]) == pytest.approx((1e-4, 3e5))
    assert "o landscape" in landscape_figures.contours({}, "").axes[0].get_title(loc="left")


def test_the_path_between_two_networks_is_drawn_for_both_losses():
    rows = [
        (kind, d, to, split, a, RNG.uniform(1, 9))
        for kind in ("path", "surface")
        for d in ("mnist", "synthetic-1k")
        for to in ((512, 64) if d == "mnist" else (128,))
        for split in ("test", "train")
        for a in (-0.5, 0.0, 1.5)
    ]
    points = pd.DataFrame(rows, columns=["kind", "dataset", "to_batch_size", "split", "a", "loss"])
    figure = landscape_figures.loss_paths(points, ["mnist", "cifar10", "synthetic-1k"])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["MNIST", "Synthetic 1K"]
    assert artists.named(figure)
    for axis, name, others in zip(figure.axes, ("mnist", "synthetic-1k"), ((64, 512), (128,)), strict=True):
        for to in others:
            for split, dash in (("test", "-"), ("train", "--")):
                line = artists.labelled(axis, f"{split}, to B = {to}")
                mine = points[(points["kind"] == "path") & (points["dataset"] == name)]
                mine = mine[(mine["to_batch_size"] == to) & (mine["split"] == split)]
                assert artists.points(line) == list(zip(mine["a"], mine["loss"], strict=True))
                assert line.get_linestyle() == dash
        ends = [line.get_xdata()[0] for line in axis.lines if list(line.get_ydata()) == [0, 1]]
        assert ends == [0, 1] and axis.get_yscale() == "log" and axis.get_xscale() == "linear"
        assert list(artists.ticks(axis)) == [-0.5, 0, 0.5, 1, 1.5] and artists.key(axis)
    assert len({line.get_color() for line in figure.axes[0].lines[:4]}) == 2
    assert len(landscape_figures.loss_paths(points, ["mnist"]).axes) == 1


def test_every_measure_in_a_figure_of_sharpness_stands_in_the_table_of_measures():
    named = sharpness_figures.measures_named()["measure"].tolist()
    assert len(named) == len(set(named)) == 6
    for name in sharpness_figures.NAMES.values():
        assert name.split(",")[0] in named
    readings = {label.split(",")[0] for label in on_geometry.EQ3}
    assert readings == set(named[:4])  # a claim is read under the same names
