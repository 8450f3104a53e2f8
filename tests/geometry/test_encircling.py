"""Circles around trained networks: points against networks whose weights are set by hand, and the tables."""

import math

import numpy as np
import pandas as pd
import pytest
from torch.nn import functional as F

from bbatch import data, geometry
from bbatch.config import DATASETS
from bbatch.errors import BadInput
from bbatch.geometry import encircling, measurements, networks
from bbatch.geometry.landscape import filter_directions
from bbatch.geometry.networks import EFFORT, fixed_samples
from factories import small_mlp
from small_geometry import TINY, moved


def test_a_point_of_a_circle_is_the_loss_of_the_moved_network():
    net, x, y = small_mlp()
    found = encircling.circle_losses(net, x, y, seed=5)
    first, second = filter_directions(net, 2, 5)
    assert found.shape == (encircling.ANGLES, 3) and found.dtype == np.float32
    for k in (0, 1, 7, 23):
        turn = 2 * math.pi * k / 24
        for r, loss in zip((0.0, 0.5, 1.0), found[k], strict=True):
            step = r * math.cos(turn) * first + r * math.sin(turn) * second
            assert loss == pytest.approx(F.cross_entropy(moved(net, step)(x), y).item(), rel=1e-5)
    assert not np.allclose(found[:, 1:], encircling.circle_losses(net, x, y, seed=6)[:, 1:])


def test_circles_are_drawn_once_of_every_seed_that_is_asked_for(place):
    wanted = [{"dataset": "synthetic-50k", "encircled": 6}]  # two seeds of B = 32, of 512 under two rules
    assert encircling.encircle_missing(["synthetic-50k"], 2, place, progress=False) == wanted
    table = measurements.circles()
    assert table.columns.tolist() == measurements.CIRCLE_COLUMNS and table.index.is_unique
    assert table.groupby(["seed", "lr_rule", "batch_size", "split"]).size().to_dict() == {
        (seed, rule, b, split): 3 * encircling.ANGLES
        for seed in (42, 43)
        for rule, b in (("linear", 32), ("linear", 512), ("constant", 512))
        for split in ("train", "test")
    }
    assert encircling.encircle_missing(["synthetic-50k"], 2, place, progress=False)[0]["encircled"] == 0
    assert encircling.encircle_missing(["synthetic-50k"], 3, place, progress=False)[0]["encircled"] == 3
    grown = measurements.circles()
    assert grown.iloc[: len(table)].equals(table) and set(grown["seed"]) == {42, 43, 44}
    source, run = data.load("synthetic-50k"), networks.plan("synthetic-50k", 512, 43)
    net = next(networks.networks(run, "none", source, place, [run.epochs]))[1]
    x, y = fixed_samples(source, "test", TINY["synthetic-50k"].n)
    rows = table.query("seed == 43 and lr_rule == 'linear' and batch_size == 512 and split == 'test'")
    assert set(table["source"]) == {"retrained, no record"}
    assert set(rows["n_samples"]) == {len(y)} and set(rows["id"]) == {run.key(source.fingerprint)}
    expected = encircling.circle_losses(net, x, y, 43)
    for k, of_turn in rows.groupby("turn"):
        assert of_turn["radius"].tolist() == [0.0, 0.5, 1.0]
        assert of_turn["loss"].to_numpy() == pytest.approx(expected[round(24 * k)])


def test_what_was_drawn_before_an_interruption_stays(place, monkeypatch):
    points, drawn = encircling._points, []

    def cut(*given):
        drawn.append(1)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return points(*given)

    monkeypatch.setattr(encircling, "_points", cut)
    with pytest.raises(KeyboardInterrupt):
        encircling.encircle_missing(["synthetic-50k"], 1, place, progress=False)
    kept = measurements.circles()
    assert kept["id"].nunique() == 2
    assert encircling.encircle_missing(["synthetic-50k"], 1, place, progress=False)[0]["encircled"] == 1
    assert (
        measurements.circles().iloc[: len(kept)].equals(kept) and measurements.circles()["id"].nunique() == 3
    )


def test_without_weights_there_is_nothing_to_draw_of_images(place):
    nothing = [{"dataset": "mnist", "encircled": 0}]
    assert encircling.encircle_missing(["mnist"], 1, place, progress=False) == nothing
    assert measurements.circles(["mnist"]).empty
    assert list(measurements.circles(["mnist"])) == measurements.CIRCLE_COLUMNS


def test_as_many_seeds_as_a_data_set_is_trained_with_where_none_are_named(place, monkeypatch):
    asked = []
    monkeypatch.setattr(encircling, "planned", lambda name, seeds, *_: asked.append((name, seeds)) or [])
    encircling.encircle_missing(["synthetic-50k", "mnist"], store=place, progress=False)
    assert asked == [(name, DATASETS[name].seeds) for name in ("synthetic-50k", "mnist")]


def test_of_a_seed_in_both_precisions_one_counts(place):
    def rows(precision, *sizes):
        table = pd.DataFrame({"batch_size": sizes, "id": [f"{precision}{b}" for b in sizes]})
        return table.assign(precision=precision)

    table = pd.concat([rows("bf16", 32), rows("fp32", 32, 256)]).assign(
        dataset="mnist",
        lr_rule="linear",
        seed=42,
        split="test",
        radius=0.0,
        turn=0.0,
        loss=1.0,
        n_samples=1,
        source="kept",
        commit="c",
    )
    measurements.write_measurements("-circles", "mnist", table[measurements.CIRCLE_COLUMNS])
    assert set(measurements.circles(["mnist"])["id"]) == {"fp3232", "fp32256"}


@pytest.mark.parametrize("name", [name for name in measurements.PAIRS if name.startswith("synthetic")])
def test_the_centre_of_a_committed_circle_is_the_loss_that_was_measured_there(name):
    """Where the network is the same: processors round in their own ways, and `source` says so."""
    table = measurements.circles([name])
    assert set(table["radius"]) == {0.0, 0.5, 1.0} and table["seed"].nunique() == DATASETS[name].seeds
    assert set(table["batch_size"]) == set(measurements.PAIRS[name])
    assert set(table["source"]) <= {"retrained", "retrained, differs"}
    centre = table[table["radius"] == 0].groupby(["id", "split", "source"])["loss"].agg(["min", "max"])
    assert (centre["min"] == centre["max"]).all()
    spec = DATASETS[name]
    whole = {split: min(EFFORT[name].n, n) for split, n in (("train", spec.n_train), ("test", spec.n_test))}
    assert (table["n_samples"] == table["split"].map(whole)).all()
    measured = measurements.measured([name]).query("measure == 'loss' and epoch == 50")
    both = measured.set_index(["id", "split", "source"])["value"].to_frame().join(centre, how="inner")
    assert both["value"].to_numpy() == pytest.approx(both["min"].to_numpy(), rel=1e-3)


def test_one_call_measures_draws_and_encircles_what_is_missing(place):
    of_50k, of_mnist = geometry.complete(["synthetic-50k", "mnist"], 1, place, progress=False)
    counts = {"measured": 3, "without_weights": 0, "needs": None, "landscapes": 3, "circles": 3}
    assert of_50k == {"dataset": "synthetic-50k"} | counts
    assert (of_mnist["landscapes"], of_mnist["circles"], of_mnist["without_weights"]) == (0, 0, 1)
    again = geometry.complete(["synthetic-50k"], 1, place, progress=False)
    assert again == [of_50k | {"measured": 0, "landscapes": 0, "circles": 0}]
    with pytest.raises(BadInput, match="digits"):
        geometry.complete(["digits"])
