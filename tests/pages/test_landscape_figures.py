"""Figures and sentences of landscapes, sharpness and noise, from tiny networks, and from nothing."""

import re

import numpy as np
import pytest

from bbatch import metrics
from bbatch.analysis import landscapes, noise_and_batch_size, sharpness_and_batch_size
from bbatch.config import DATASETS
from bbatch.geometry import drawing, measurements
from bbatch.pages import (
    interactive,
    landscape_figures,
    landscape_surfaces,
    measured_networks,
    noise_figures,
    sharpness_figures,
)
from small_geometry import sharpness_table


def test_origins_count_each_network_once():
    table = sharpness_table()
    assert "21 trained again with the record's scores" in measured_networks.origins(table)
    assert "points" not in measured_networks.origins(
        table
    ) and "2 points of landscapes" in measured_networks.origins(table, table.iloc[:2])


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


def test_every_figure_and_sentence_can_be_made_of_nothing():
    table, points = measurements.measured(["no such set"]), measurements.surfaces(["no such set"])
    runs = metrics.frame([])
    made = [
        landscape_surfaces.rotatable_surfaces(landscapes.grids(points, "mnist")),
        landscape_figures.contours(landscapes.grids(points, "mnist"), "none"),
        landscape_figures.loss_paths(points, ["mnist"]),
        sharpness_figures.forest(
            {"none": (sharpness_and_batch_size.ratios(table, "mnist"), "red")}, "ratio", {1: ""}, ("",) * 3
        ),
        noise_figures.variance(table, list(DATASETS)),
        noise_figures.noise_scale_in_training(table, "mnist"),
    ]
    assert all(made)
    said = [
        measured_networks.which_networks(table, points, ["mnist"]),
        measured_networks.origins(table, points),
        noise_and_batch_size.share_sentence(table),
        *noise_and_batch_size.variance_sentences(table),
        *noise_and_batch_size.noise_sentences(table, runs),
    ]
    assert all(re.search(r"yet|fewer|too few", text) for text in said)
    for frame in (noise_and_batch_size.noise_table(table, runs),):
        assert len(frame) <= 1


def test_an_interactive_figure_asks_no_network_and_speaks_to_who_cannot_see_it():
    import plotly.graph_objects as go

    figure = go.Figure(go.Surface(z=np.arange(4.0).reshape(2, 2)))
    static = landscape_figures.contours({}, "none")
    assert interactive.show(go.Figure(), "empty", "nothing", static)._repr_mimebundle_() == {"text/html": ""}
    shown = interactive.show(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_()
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
    assert shown["application/vnd.plotly.v1+json"]["data"][0]["type"] == "surface"
    assert interactive.show(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_() == shown
    assert (
        "<noscript><p>words</p></noscript>"
        in interactive.show(figure, "n", "words")._repr_mimebundle_()["text/html"]
    )
