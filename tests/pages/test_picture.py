"""Figures as a page shows them, and the explorer's data: every value where it is drawn, legible in the
dark."""

import json
import re
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bbatch import metrics, published
from bbatch.config import DATASETS
from bbatch.pages import explorer, figures, picture, protocol_figures, report, style
from factories import record
from made_up import lent


@pytest.fixture
def runs():
    counts = {8: (190, 188, 192), 64: (192, 193, 191)}
    return metrics.frame(
        record(batch_size=b, seed=42 + k, test_correct=c)
        for b, cs in counts.items()
        for k, c in enumerate(cs)
    )


def half_width(own: np.ndarray, other: np.ndarray) -> float:
    """Half of the interval of `own`'s mean: three runs that borrow the scatter of three others. The pool of
    both has four degrees of freedom, two of them not its own."""
    prior, pooled = lent([2, 2], own=2), (own.var(ddof=1) + other.var(ddof=1)) / 2
    variance = (2 * own.var(ddof=1) + prior * pooled) / (2 + prior)
    return stats.t.ppf(0.975, 2 + prior) * np.sqrt(variance / 3)


def contrast(a: str, b: str) -> float:
    """WCAG 2.2's contrast ratio, written out."""
    light = []
    for colour in (a, b):
        linear = []
        for k in (1, 3, 5):
            v = int(colour[k : k + 2], 16) / 255
            linear.append(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_any_colour_is_seen_in_the_dark(rgb):
    colour = "#" + "".join(f"{v:02x}" for v in rgb)
    if colour not in style.TWINS and max(rgb) - min(rgb) > 8:
        assert contrast(style.dark(colour), style.GROUND) >= style.LEGIBLE - 0.02


def test_ink_turns_over_and_data_sets_stay_apart_in_the_dark():
    assert contrast(style.dark(figures.INK.lower()), style.GROUND) > 7
    twins = [style.dark(colour.lower()) for colour in figures.COLORS.values()]
    assert len(set(twins)) == len(DATASETS) and all(contrast(t, style.GROUND) > 3 for t in twins)


def test_a_point_is_told_where_it_is_drawn():
    """The place given for a tip is that of the marker in the drawing itself, in the last of several panels
    too."""
    with mpl.rc_context(style.STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(12, 3))
        plt.close(figure)
        for axis in axes:
            axis.set(xlabel="x", ylabel="a label that takes room", xscale="log")
        axes[2].plot([1, 10, 100], [3.0, 5.0, 4.0], "o-", color="#123456")
        picture.tip(axes[2], [1, 10, 100], [3.0, 5.0, 4.0], ["a", "b", "c"], ["x=1", "x=2", "x=3"])
        page = BeautifulSoup(picture.html(figure), "html.parser")
    marks = page.find_all("use", style=re.compile("123456"))
    drawn = [(float(use["x"]), float(use["y"])) for use in marks if use.get("x")]
    tips = json.loads(page.find("script").string)["tips"]
    assert [t[2:] for t in tips] == [["a", "x=1"], ["b", "x=2"], ["c", "x=3"]]
    assert np.array([t[:2] for t in tips]) == pytest.approx(np.array(drawn), abs=0.2)
    boxes = [[float(v) for v in panel["viewbox"].split()] for panel in page.select(".bbatch-panel")]
    # None shows its neighbour.
    assert all(x + w <= following + 3 for (x, _, w, _), (following, *_) in pairwise(boxes))


def test_a_figure_is_enlarged_until_its_labels_are_as_large_as_the_pages_words():
    """Which have sixteen pixels."""
    with mpl.rc_context(style.STYLE):
        figure, axis = plt.subplots(figsize=(5, 3))
        plt.close(figure)
        points = axis.xaxis.label.get_fontsize()
        whole = BeautifulSoup(picture.html(figure), "html.parser").select_one(".bbatch-whole")
    width = float(whole["viewbox"].split()[2])
    widest = float(re.fullmatch(r"max-width: min\(100%, (\d+)px\)", whole["style"])[1])
    assert widest / width == pytest.approx(16 / points, rel=0.01)


def test_a_figure_tells_mean_interval_n_and_the_papers_value(runs):
    figure = figures.against_batch_size(runs, ["synthetic-1k"])
    page = BeautifulSoup(picture.html(figure), "html.parser")
    tips = {tip[2].split("\n")[0]: tip for tip in json.loads(page.find("script").string)["tips"]}
    values = np.array([95.0, 94.0, 96.0])
    half = half_width(values, np.array([96.0, 96.5, 95.5]))
    printed = published.results("synthetic-1k").set_index("batch_size").loc[8, "test_acc"]
    text = tips["Synthetic 1K, B = 8"][2].replace("\xa0", " ")
    assert (
        f"{values.mean():.2f} ± {half:.2f}" in text
        and "n = 3" in text
        and f"the paper: {printed:.2f}" in text
    )
    assert tips["Synthetic 1K, B = 8"][3] == "data=synthetic-1k&metric=test_acc&B=8"
    assert "no run recorded" in tips["Synthetic 1K, B = 32"][2]
    caption = page.find("figcaption").get_text().replace("\xa0", " ")
    assert "means over seeds with 95 % intervals" in caption and "the paper's single runs" in caption
    assert "(%)" in caption
    assert "Test accuracy (%) against Batch size B" in page.find("svg")["aria-label"]


def test_ids_do_not_clash_and_nothing_dangles(runs):
    one, two = (
        picture.html(figures.against_batch_size(runs, ["synthetic-1k"], metric))
        for metric in ("test_acc", "gap")
    )
    assert one == picture.html(figures.against_batch_size(runs, ["synthetic-1k"])), (
        "the same figure, other bytes"
    )
    ids = re.findall(r'\bid="([^"]+)"', one + two)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', one + two)) <= set(ids)


def test_every_line_of_the_learning_curves_can_be_switched():
    curves = metrics.curves([record(batch_size=b, seed=s) for b in (8, 64) for s in (42, 43)])
    page = BeautifulSoup(picture.html(figures.learning_curves(curves, "synthetic-1k")), "html.parser")
    series = json.loads(page.find("script").string)["series"]
    assert list(series) == ["B = 8", "B = 64"]
    assert all(page.find(id=one) is not None for ids in series.values() for one in ids)


def test_several_panels_can_stand_one_below_the_other(runs):
    page = BeautifulSoup(picture.html(figures.glance(runs)), "html.parser")
    panels = page.select(".bbatch-panel")
    assert len(panels) == len(DATASETS) + 1  # and the key
    width = float(page.select_one(".bbatch-whole")["viewbox"].split()[2])
    assert all(float(panel["viewbox"].split()[2]) < width / 2 for panel in panels)


def test_a_caption_keeps_numbers_whole_and_shows_code_as_code():
    assert picture.inline("B = 8: 5 % of `a < b`") == "B\u00a0=\u00a08: 5\u00a0% of <code>a &lt; b</code>"


def test_the_finding_and_the_key_below_all_panels_reach_a_phone():
    with mpl.rc_context(style.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9, 4))
        plt.close(figure)
        for axis in axes:
            axis.plot([1, 2], [3, 4], "o-", label="a line")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
        page = BeautifulSoup(picture.html(picture.titled(figure, "a < b")), "html.parser")
    assert page.select_one("p.bbatch-finding").text == "a < b"
    assert page.find("svg")["aria-label"].startswith("a < b. Chart")
    *panels, key = ([float(v) for v in panel["viewbox"].split()] for panel in page.select(".bbatch-panel"))
    assert len(panels) == 2 and all(y + height <= key[1] + 3 for _, y, _, height in panels)
    assert 5 < key[3] < 40 and key[1] + key[3] <= 4 * 72 + 2


def test_pictures_in_rows_stay_in_rows():
    """Twenty images one below the other would fill a phone five times over."""
    page = BeautifulSoup(picture.html(protocol_figures.images()), "html.parser")
    assert page.select_one(".bbatch-whole") and not page.select(".bbatch-panel")


def test_the_explorer_holds_every_run_every_mean_and_every_published_value(runs):
    data = explorer.data(runs)
    assert sum(len(cell["runs"]) for cell in data["cells"]) == len(runs)
    cell = next(cell for cell in data["cells"] if cell["B"] == 8)
    half = half_width(np.array([95.0, 94.0, 96.0]), np.array([96.0, 96.5, 95.5]))
    assert cell["values"]["test_acc"] == pytest.approx([95.0, 95 - half, 95 + half, 3], abs=1e-4)
    ids = {run[data["columns"].index("id")] for run in cell["runs"]}
    assert ids == set(runs[runs["batch_size"] == 8]["id"])
    printed = published.results()
    assert len(data["paper"]) == len(printed) + len(published.learning_rate_ablation())
    assert {(p["data"], p["B"], p["values"]["test_acc"]) for p in data["paper"] if p["table"] != "V"} == set(
        printed[["dataset", "batch_size", "test_acc"]].itertuples(index=False, name=None)
    )
    json.dumps(data, allow_nan=False)  # as a browser reads it


def test_the_explorer_of_no_runs_shows_the_paper():
    data = explorer.data(metrics.frame([]))
    assert data["cells"] == [] and data["paper"]


def test_nothing_that_a_record_says_is_run_by_a_page(runs):
    """A data source, a processor or a commit that is a script stays text: in the explorer, at its foot, in a
    figure."""
    attack = "</script><script>alert(1)</script><!--<script>"
    bad = record(batch_size=8) | {"data": {"source": attack, "fingerprint": attack, "n_test": 200}}
    for field in ("device_name", "engine", "commit", "python"):
        bad["observed"][field] = attack
    bad["observed"]["versions"] = {"torch": attack, "numpy": attack}
    figure = figures.against_batch_size(runs, ["synthetic-1k"])
    picture.tip(figure.axes[0], [8], [95.0], [attack])
    for html in (
        explorer.page(metrics.frame([bad])).data,
        report.provenance([bad]).data,
        picture.html(picture.describe(figure, attack, attack)),
    ):
        page = BeautifulSoup(html, "html.parser")
        assert [tag.get("type") for tag in page.find_all("script")] in ([], ["application/json"])
        assert "alert(1)" in html and "<!--" not in html
    data = json.loads(
        BeautifulSoup(explorer.page(metrics.frame([bad])).data, "html.parser").find("script").string
    )
    assert data["cells"][0]["runs"][0][data["columns"].index("device_name")] == attack  # nothing is lost


def test_marked_points_are_told_where_no_text_is_given_and_a_drawing_has_its_size():
    figure = mpl.figure.Figure(figsize=(3, 2))
    axis = figure.subplots()
    axis.plot([1, 2], [3, 4], "o", label="a\nline")
    axis.plot([5], [6], "o")  # one point is no line
    axis.plot([1, 2], [7, 8], "s")
    told = ["a line: x 1, y 3", "a line: x 2, y 4", "x 1, y 7", "x 2, y 8"]
    assert [text for *_, text, _ in picture._tips(figure)] == told
    axis.set(xlabel="size (log scale)", ylabel="share (log scale)")
    axis.set_title("a title", loc="left")
    named = [text.replace("x ", "size ").replace("y ", "share ") for text in told]
    assert [text for *_, text, _ in picture._tips(figure)] == named
    assert picture.words(figure) == "Chart. a title: share (log scale) against size (log scale)."
    assert 'viewBox="0 0 216 144" width="288" height="192"' in picture.html(figure)
    axis.axis("off")
    assert picture._tips(figure) == [] and picture.words(figure) == "Chart. a title."
    axis.set_title("", loc="left")
    assert picture.words(figure) == "Chart."


def test_of_a_line_with_more_marks_than_a_reader_can_point_at_none_is_told():
    figure = mpl.figure.Figure()
    axis = figure.subplots()
    axis.plot(range(65), "o")
    assert picture._tips(figure) == []
    axis.plot(range(64), "o")
    assert len(picture._tips(figure)) == 64


def test_colours_have_a_twin_for_the_dark_where_they_are_no_scale():
    figure = mpl.figure.Figure(figsize=(3, 2))
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#0072B2")
    drawing = picture.html(figure)
    assert "stroke: #0072b2; stroke: light-dark(#0072b2, #3f97d8)" in drawing
    letters = (
        "fill: #000000; fill: light-dark(#000000, #e6e6e6)"  # black that no element names is turned, too
    )
    assert letters in drawing and re.search('<g id="fig-[0-9a-f]{8}">', drawing)
    figure.colorbar(axis.imshow([[0, 1]]))
    scale = picture.html(figure)
    assert "stroke: #0072b2" in scale and "light-dark(#0072b2" not in scale and letters in scale


def level_bar(figure, axes):
    figure.colorbar(axes[0].imshow([[0, 1]]), ax=axes, orientation="horizontal")


def upright_bar(figure, axes):
    figure.colorbar(axes[0].imshow([[0, 1]]), ax=axes)


def rows_of_pictures(figure, axes):
    axes[0].imshow([[0, 1]])
    axes[0].set(xticks=[])


@pytest.mark.parametrize(
    "boxes, change",
    [
        (2, lambda figure, axes: None),
        (3, level_bar),
        (0, upright_bar),
        (0, rows_of_pictures),
        (0, lambda figure, axes: axes[1].set_visible(False)),
        (0, lambda figure, axes: figure.add_subplot(projection="3d")),
    ],
)
def test_panels_stand_one_below_the_other_where_nothing_ties_them(boxes, change):
    figure = mpl.figure.Figure(figsize=(8, 3), layout="constrained")
    change(figure, figure.subplots(1, 2))
    assert picture.html(figure).count('class="bbatch-panel"') == boxes
