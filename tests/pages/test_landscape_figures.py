"""Figures and sentences of landscapes, sharpness and noise, from tiny networks, and from nothing."""

import re

import numpy as np
import pytest

from bbatch import metrics
from bbatch.analysis import noise_and_batch_size, sharpness_and_batch_size
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
    figure = landscape_surfaces.rotatable_surfaces(points, "synthetic-50k")
    assert [trace.name for trace in figure.data] == ["B = 32", "B = 512"]
    assert len({(trace.cmin, trace.cmax) for trace in figure.data}) == 1
    assert figure.layout.scene.zaxis.range == figure.layout.scene2.zaxis.range
    a, b, loss = landscape_surfaces.grids(points, "synthetic-50k")["B = 512"]
    of_512 = points.query(
        "lr_rule == 'linear' and batch_size == 512 and split == 'test' and kind == 'surface'"
    )
    point = of_512.query("a == -1 and b == 0")["loss"].item()
    assert loss[list(a).index(-1), list(b).index(0)] == np.float32(point)
    assert np.asarray(figure.data[1].z)[list(b).index(0), list(a).index(-1)] == pytest.approx(
        np.log10(point), rel=1e-5
    )
    assert "at the centre" in landscape_figures.landscape_sentence(points, "synthetic-50k")


def test_the_slider_shows_one_batch_size_in_both_scenes_and_the_shared_network_in_each(place):
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    points = measurements.surfaces()
    figure = landscape_surfaces.walk(points, "synthetic-50k")
    sizes = sorted(points.loc[points["kind"] == "surface", "batch_size"].unique())
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == [f"B = {size}" for size in sizes] and sizes == [32, 512]
    for step in steps:
        shown = [trace for trace, visible in zip(figure.data, step.args[1], strict=True) if visible]
        assert {trace.name for trace in shown} == {step.label} and {trace.scene for trace in shown} == {
            "scene",
            "scene2",
        }
    assert [trace.name for trace in figure.data if trace.visible] == [steps[0].label] * 2
    left, right = (trace.z for trace in figure.data if trace.name == "B = 32")
    assert np.array_equal(left, right)  # at the base batch size the rules are one
    said = landscape_figures.walk_sentence(points, "synthetic-50k")
    assert said.count("(B = 32)") == 2 and "under the constant rule" in said


def test_every_figure_and_sentence_can_be_made_of_nothing():
    table, points = measurements.measured(["no such set"]), measurements.surfaces(["no such set"])
    runs = metrics.frame([])
    made = [
        landscape_surfaces.rotatable_surfaces(points, "mnist"),
        landscape_surfaces.walk(points, "mnist"),
        landscape_figures.contours(points, "mnist"),
        landscape_figures.loss_paths(points, "mnist"),
        landscape_figures.slices(points, "mnist"),
        sharpness_figures.sharpness_against_batch(sharpness_and_batch_size.final(table, "mnist"), "mnist"),
        noise_figures.variance(table, list(DATASETS)),
        noise_figures.noise_scale_in_training(table, "mnist"),
    ]
    assert all(made)
    said = [
        sharpness_and_batch_size.growth_sentence(table, "mnist"),
        sharpness_and_batch_size.gap_sentence(table, runs, "mnist"),
        landscape_figures.landscape_sentence(points, "mnist"),
        landscape_figures.walk_sentence(points, "mnist"),
        measured_networks.which_networks(table, points, ["mnist"]),
        sharpness_and_batch_size.ratio_sentence(table, "mnist"),
        measured_networks.origins(table, points),
        noise_and_batch_size.share_sentence(table),
        *noise_and_batch_size.variance_sentences(table),
        *noise_and_batch_size.noise_sentences(table, runs),
    ]
    assert all(re.search(r"yet|fewer|too few", text) for text in said)
    for frame in (
        sharpness_and_batch_size.ratio_table(table, "mnist"),
        sharpness_and_batch_size.growth_table(table, "mnist"),
        sharpness_and_batch_size.gap_table(table, runs, "mnist"),
        noise_and_batch_size.noise_table(table, runs),
    ):
        assert len(frame) <= 1


def test_an_interactive_figure_asks_no_network_and_speaks_to_who_cannot_see_it():
    import plotly.graph_objects as go

    figure = go.Figure(go.Surface(z=np.arange(4.0).reshape(2, 2)))
    static = landscape_figures.contours(measurements.surfaces(["no such set"]), "mnist")
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
