"""Figures of landscapes, sharpness and noise, from tiny networks, and from nothing."""

import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from bbatch.analysis import landscapes, sharpness_and_batch_size
from bbatch.config import DATASETS
from bbatch.geometry import drawing, measurements
from bbatch.pages import interactive, landscape_figures, landscape_surfaces, noise_figures, sharpness_figures


def test_surfaces_share_their_scale_and_show_the_recorded_loss(place):
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    points = measurements.surfaces()
    grids = landscapes.grids(points, "synthetic-50k")
    figure = landscape_surfaces.rotatable_surfaces(grids)
    assert [trace.name for trace in figure.data] == ["B = 32", "B = 512", "B = 512, constant rate"]
    assert len({(trace.cmin, trace.cmax) for trace in figure.data}) == 1
    assert figure.layout.scene.zaxis.range == figure.layout.scene2.zaxis.range
    a, b, loss = grids["B = 512"]
    of_512 = points.query(
        "lr_rule == 'linear' and batch_size == 512 and split == 'test' and kind == 'surface'"
    )
    point = of_512.query("a == -1 and b == 0")["loss"].item()
    assert loss[list(a).index(-1), list(b).index(0)] == np.float32(point)
    assert np.asarray(figure.data[1].z)[list(b).index(0), list(a).index(-1)] == pytest.approx(
        np.log10(point), rel=1e-5
    )
    centre = of_512.query("a == 0 and b == 0")["loss"].item()
    edges = of_512.query("a != 0 or b != 0")["loss"]  # of nine points, all but the centre lie near the circle
    row = landscapes.around(grids).set_index("network").loc["B = 512"]
    assert (row["centre"], row["border"]) == pytest.approx((centre, edges.median()))


def test_every_figure_can_be_made_of_nothing():
    table, points = measurements.measured(["no such set"]), measurements.surfaces(["no such set"])
    made = [
        landscape_surfaces.rotatable_surfaces(landscapes.grids(points, "mnist")),
        landscape_figures.contours(landscapes.grids(points, "mnist"), "none"),
        landscape_figures.loss_paths(points, ["mnist"]),
        sharpness_figures.forest(
            {"none": (sharpness_and_batch_size.ratios(table, "mnist"), "red")}, "ratio", {1: ""}, ("",) * 3
        ),
        noise_figures.shares(table, list(DATASETS)),
        noise_figures.variance(table, list(DATASETS)),
        noise_figures.noise_scale_in_training(table, "mnist"),
    ]
    assert all(made)


def test_an_interactive_figure_asks_no_network_and_speaks_to_who_cannot_see_it():
    import plotly.graph_objects as go

    figure = go.Figure(go.Surface(z=np.arange(4.0).reshape(2, 2)))
    static = landscape_figures.contours({}, "none")
    assert interactive.embedded(go.Figure(), "empty", "nothing", static)._repr_mimebundle_() == {
        "text/html": ""
    }
    shown = interactive.embedded(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_()
    html = shown["text/html"]
    assert (
        html.count('class="plotly-graph-div"') == 1
        and 'id="a-name"' in html
        and html.count("Plotly.newPlot(") == 1
    )
    assert not re.search(r'(src|href)="(?!data:)', html) and "cdn" not in html
    assert 'aria-label="a &quot;hill&quot; &lt;b&gt;"' in html and re.search(
        r'<noscript><img src="data:image/png;base64,\w+', html
    )
    assert "<figcaption>a &quot;hill&quot; &lt;b&gt;</figcaption>" in html  # seen, not only heard
    assert shown["application/vnd.plotly.v1+json"]["data"][0]["type"] == "surface"
    assert interactive.embedded(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_() == shown
    assert '"displaylogo": false' in html and '"responsive": true' in html and "<html" not in html
    assert html.index('id="a-name"') < html.index('addEventListener("load"') < html.index("<noscript>")
    assert "bbatch-finding" not in html


@pytest.mark.parametrize("scenes, many", [(2, False), (3, True)])
def test_many_surfaces_take_the_margin_and_a_finding_stands_above(scenes, many):
    grids = {f"{k}": (np.arange(2.0), np.arange(2.0), np.full((2, 2), k + 1.0)) for k in range(scenes)}
    figure, flat = landscape_surfaces.rotatable_surfaces(grids), landscape_figures.contours({}, "none")
    shown = interactive.embedded(figure, "a-name", "words", flat, "What is found")._repr_mimebundle_()
    page = BeautifulSoup(shown["text/html"], "html.parser").figure
    assert ("full-width" in page["class"]) is many and page.p.text == "What is found"


def test_the_shares_are_those_of_the_table_before_and_after_training():
    rows = [(0, 4.0), (0, 2.0), (12, 90.0), (12, 98.0)]
    table = pd.DataFrame(rows, columns=["epoch", "value"])
    figure = noise_figures.shares(table.assign(dataset="mnist", measure="gradient_top_share"), ["mnist"])
    drawn = {line.get_marker(): [] for line in figure.axes[0].lines}
    for line in figure.axes[0].lines:
        drawn[line.get_marker()].append(list(np.atleast_1d(line.get_xdata())))
    assert drawn["o"] == [[4.0, 2.0], [90.0, 98.0]] and drawn["|"] == [[3.0], [94.0]]
