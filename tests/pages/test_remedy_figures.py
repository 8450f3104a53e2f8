"""The figures of the remedies draw what the analysis says."""

import math

import pandas as pd
import pytest

import artists
from bbatch.pages import picture, remedy_figures
from bbatch.statistics import Interval

MISSING = Interval(math.nan, math.nan, math.nan, 5)


@pytest.fixture
def closed():
    rows = [
        ("linear rule", 256, Interval(0.5, -2.0, 0.9, 10)),
        ("tuned rate", 256, Interval(1.0, 0.8, 1.1, 10)),
        ("growing", 256, MISSING),
        ("linear rule", 1024, Interval(0.4, 0.1, 0.6, 10)),
        ("tuned rate", 1024, Interval(0.9, 0.7, 0.95, 10)),
        ("growing", 1024, Interval(1.2, 1.1, 1.3, 10)),
    ]
    table = pd.DataFrame(rows, columns=["remedy", "batch_size", "share"])
    return table.assign(accuracy=[Interval(97, 96, 98, 10)] * 5 + [Interval(97, 96, 98, 5)], precision="fp32")


def test_a_marker_and_an_interval_for_each_share(closed):
    figure = remedy_figures.shares_closed({"synthetic-50k": closed})
    axis = figure.axes[0]
    for container, b in zip(axis.containers, (256, 1024), strict=True):
        mine = closed[(closed["batch_size"] == b) & closed["share"].map(lambda i: i is not MISSING)]
        assert container.lines[0].get_xdata() == pytest.approx([i.mean for i in mine["share"]])
        ends = [segment[:, 0].tolist() for segment in container.lines[2][0].get_segments()]
        assert ends == [pytest.approx([i.low, i.high]) for i in mine["share"]]
        names = [axis.get_yticklabels()[round(y)].get_text() for y in container.lines[0].get_ydata()]
        assert names == mine["remedy"].tolist()
    offsets = [[y for _, y in artists.points(bars.lines[0])] for bars in axis.containers]
    assert offsets == [pytest.approx([-0.15, 0.85]), pytest.approx([0.15, 1.15, 2.15])]
    assert artists.ticks(axis, "y") == {0: "linear rule", 1: "tuned rate", 2: "growing"}
    assert axis.get_xlim() == (-0.75, 2.75) and artists.key(figure) == ["B = 256", "B = 1024"]
    upright = [ln.get_xdata()[0] for ln in axis.lines if list(ln.get_ydata()) == [0, 1]]
    assert upright == [0, 1] and artists.named(figure)
    tips = {text: (x, y) for x, y, text, _ in artists.tips(figure)}
    assert tips["growing, B = 1024: 1.20 (1.10 to 1.30)"] == (1.2, pytest.approx(2.15))
    assert axis.yaxis_inverted() and len(picture.notes(figure).tips) == 5
    insides = [bars.lines[0].get_markerfacecolor() for bars in axis.containers]
    assert insides == ["white", axis.containers[0].lines[0].get_color()]


def test_what_lies_beyond_the_frame_is_an_arrow_at_its_edge(closed):
    far = closed.assign(share=[Interval(m, m - 1, m + 1, 3) for m in (-3.9, -0.7, 0.1, 3.0, 1.7, 0.5)])
    figure = remedy_figures.shares_closed({"synthetic-50k": closed, "mnist": far})
    above, below = figure.axes
    assert not [line for line in above.lines if line.get_marker() in "<>"]
    arrows = [(ln.get_marker(), *ln.get_xydata()[0]) for ln in below.lines if ln.get_marker() in ("<", ">")]
    assert arrows == [("<", -0.75, pytest.approx(-0.15)), (">", 2.75, pytest.approx(0.15))]
    assert artists.key(figure) and not artists.key(above) + artists.key(below)
    far["share"] = [Interval(m, m - 1, m + 1, 3) for m in (-0.75, 2.75, -0.75, 2.75, 0, 1)]
    [on_the_edge] = remedy_figures.shares_closed({"mnist": far}).axes
    assert not [line for line in on_the_edge.lines if line.get_marker() in ("<", ">")]
    words = picture.notes(figure).caption
    assert "Synthetic 50K: n = 10 or 5, fp32." in words and "MNIST: n = 10 or 5, fp32." in words


def test_networks_are_drawn_with_their_intervals():
    rows = [
        [name, b, Interval(95 + k, 94 + k, 97 + k, 5), Interval(0.01 * b, 0.005 * b, 0.03 * b, 5), b == 4096]
        for k, name in enumerate(("mlp-batch-norm", "mlp"))
        for b in (256, 1024, 4096)
    ]
    table = pd.DataFrame(rows, columns=["network", "batch_size", "accuracy", "optimum", "at_edge"])
    figure = remedy_figures.networks_compared(table, "synthetic-50k")
    left, right = figure.axes
    assert artists.named(figure, titles=False) and artists.key(left) == [
        "with batch normalization",
        "the paper's",
    ]
    assert not artists.key(right) and right.get_ylabel().startswith("Best learning rate")
    assert artists.scales(left) == ("log", "linear") and artists.scales(right) == ("log", "log")
    assert list(artists.ticks(left)) == [256, 1024, 4096] and right.yaxis.get_major_formatter()(0.5) == "0.5"
    for axis, what in zip(figure.axes, ("accuracy", "optimum"), strict=True):
        for container, (name, mine) in zip(
            axis.containers, table.groupby("network", sort=False), strict=True
        ):
            assert container.get_label() == remedy_figures.TITLES[name]
            assert container.lines[0].get_ydata() == pytest.approx([i.mean for i in mine[what]])
            ends = [segment[:, 1].tolist() for segment in container.lines[2][0].get_segments()]
            assert ends == [pytest.approx([i.low, i.high]) for i in mine[what]]
    hollow = [line for line in right.lines if line.get_markerfacecolor() == "white"]
    assert [artists.points(line) for line in hollow] == [[(4096, pytest.approx(40.96))]] * 2
    assert [line.get_marker() for line in hollow] == ["o", "s"] and "hollow" in picture.notes(figure).caption
    assert not [line for line in left.lines if line.get_markerfacecolor() == "white"]
    assert "Synthetic 50K (seeds: with batch normalization 5, the paper's 5)" in picture.notes(figure).caption
