"""The tables of geometry: how they are filled and resumed, and what is read from made-up ones."""

import io
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from bbatch import data
from bbatch.analysis import landscapes, sharpness_and_batch_size
from bbatch.errors import BadInput, StoreError
from bbatch.files import seal
from bbatch.geometry import drawing, measurements, measuring, networks, objective, one_network, sharpness
from bbatch.models import build
from small_geometry import TINY, plan_effort


def keep(store, run) -> str:
    """Weights of a run in the store, as a sweep leaves them; returns the run's key."""
    buffer = io.BytesIO()
    torch.save(build("mnist-cnn", 5).state_dict(), buffer)
    key = run.key(data.load("mnist").fingerprint)
    (store.weights / f"{key}.pt").write_bytes(seal(buffer.getvalue()))
    return key


def test_an_empty_table_has_the_columns(place):
    for table in (
        measurements.measured(),
        measurements.surfaces(),
        measurements.rescaling(["synthetic-50k"]),
    ):
        assert table.empty and list(table.columns)[:5] == measurements.RUN_COLUMNS
    assert {"measure", "value", "n_samples", "settings", "id", "commit"} <= set(
        measurements.measured().columns
    )


def test_what_is_missing_is_measured_once_and_every_measure_is_documented(place):
    first = measuring.measure_missing(["synthetic-50k"], store=place, progress=False)
    assert first == [{"dataset": "synthetic-50k", "measured": 3, "without_weights": 0, "needs": None}]
    table = measurements.measured()
    assert set(table["measure"]) == set(one_network.MEASURES) and table["value"].notna().all()
    assert set(table["epoch"]) == {0, 1, 2} and set(table["source"]) == {
        "initial",
        "retrained",
        "retrained, no record",
    }
    assert measuring.measure_missing(["synthetic-50k"], store=place, progress=False)[0]["measured"] == 0
    # as if cut short before this run
    measurements.write_measurements("", "synthetic-50k", table[table["id"] != table["id"].iloc[0]])
    assert measuring.measure_missing(["synthetic-50k"], store=place, progress=False)[0]["measured"] == 1
    again = measurements.measured()
    both = table.merge(again, on=["id", "epoch", "split", "measure", "batch_size"], suffixes=("", "_again"))
    assert len(both) == len(table) == len(again) and both["value"].tolist() == pytest.approx(
        both["value_again"].tolist()
    )


def test_networks_of_images_are_read_from_the_store_or_named_as_missing(place):
    run = networks.plan("mnist", 32, precision="bf16")  # 20 mini-batches of 512 would take half a minute
    report = measuring.measure_missing(["mnist"], store=place, progress=False)[0]
    # the reference run: its first network alone
    assert (report["measured"], report["without_weights"]) == (1, 1)
    assert report["needs"] == "bbatch run mnist --batch-size 32 --seed 42"
    key = keep(place, run)
    assert measuring.measure_missing(["mnist"], store=place, progress=False)[0]["measured"] == 1
    rows = measurements.measured(["mnist"]).query("id == @key")
    assert set(rows["source"]) == {"kept"} and set(rows["precision"]) == {"bf16"}
    x, y = networks.fixed_samples(data.load("mnist"), "test", 8)
    expected = F.cross_entropy(build("mnist-cnn", 5).eval()(data.load("mnist").inputs(x)), y).item()
    assert rows.query("measure == 'loss' and split == 'test'")["value"].item() == pytest.approx(
        expected, rel=1e-5
    )
    (place.weights / f"{key}.pt").write_bytes(b"damaged")
    assert networks.kept(place.weights / f"{key}.pt") is None


def test_a_network_in_either_precision_will_do_and_first_networks_need_no_weights(place):
    """Three seeds asked for: three first networks; of the weights, those of one seed in bf16 are at hand."""
    key = keep(place, networks.plan("mnist", 32, 43, precision="bf16"))
    report = measuring.measure_missing(["mnist"], seeds=3, store=place, progress=False)[0]
    assert (report["measured"], report["without_weights"]) == (4, 2) and report["needs"].endswith("--seed 42")
    rows = measurements.measured(["mnist"])
    assert sorted(rows.query("epoch == 0")["seed"].unique()) == [42, 43, 44] and set(
        rows.query("epoch > 0")["id"]
    ) == {key}


def test_of_a_seed_in_both_precisions_the_one_with_more_networks_is_given(place):
    """Seed 42: one network in 32 bits, two in bf16; seed 43: one of each."""
    rows = [
        {
            "dataset": "mnist",
            "batch_size": b,
            "lr_rule": "linear",
            "precision": p,
            "seed": seed,
            "epoch": e,
            "split": "train",
            "measure": "sharpness_l2",
            "value": value,
            "n_samples": 8,
            "id": f"{p}{b}{seed}",
        }
        for p, b, seed, e, value in (
            ("fp32", 32, 42, 0, 9),
            ("fp32", 512, 42, 12, 5),
            ("bf16", 32, 42, 12, 1),
            ("bf16", 512, 42, 12, 2),
            ("fp32", 512, 43, 12, 7),
            ("bf16", 512, 43, 12, 8),
        )
    ]
    measurements.write_measurements(
        "", "mnist", pd.DataFrame(rows).assign(settings="", source="kept", commit="")[measurements.COLUMNS]
    )
    table = measurements.measured(["mnist"])
    assert sorted(table["value"]) == [1, 2, 7, 9]
    ratio = sharpness_and_batch_size.ratios(table, "mnist").iloc[0]
    # never 5 over 1, nor a mean of the two precisions
    assert (ratio["ratio"], ratio["n"]) == (pytest.approx(2), 1)


def test_landscapes_of_images_are_of_one_seed_and_grow_as_networks_arrive(place, monkeypatch):
    plan_effort(monkeypatch, {"mnist": replace(TINY["mnist"], seeds=2, n_landscape=6)})
    assert drawing.draw_missing(["mnist"], place, progress=False) == [{"dataset": "mnist", "drawn": 0}]
    keep(place, networks.plan("mnist", 512, 43, precision="bf16"))
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 1
    before = measurements.surfaces(["mnist"])
    keep(place, networks.plan("mnist", 32, 43, precision="bf16"))
    keep(place, networks.plan("mnist", 512, 42, precision="bf16"))  # another seed's, which has fewer
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 1
    points = measurements.surfaces(["mnist"])
    assert set(points["seed"]) == {43} and points.iloc[: len(before)].equals(before)
    assert points.groupby(["batch_size", "kind", "split"]).size().to_dict() == {
        (b, k, s): n
        for b, k, n in ((32, "path", 3), (32, "surface", 9), (512, "surface", 9))
        for s in ("test", "train")
    }
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 0
    damaged = keep(place, networks.plan("mnist", 256, 43, precision="bf16"))
    (place.weights / f"{damaged}.pt").write_bytes(b"cut short")
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 0
    # as if another session had drawn one of another seed
    other = points.assign(seed=44)[points["batch_size"] == 512]
    assert landscapes.grids(pd.concat([other, points]), "mnist").keys() == {"B = 32, bf16", "B = 512, bf16"}
    assert set(measurements.pictured(pd.concat([other, points]), "mnist")["seed"]) == {43}


def test_landscapes_are_drawn_once_with_the_network_at_the_centre(place):
    assert drawing.draw_missing(["synthetic-50k"], place, progress=False) == [
        {"dataset": "synthetic-50k", "drawn": 3}
    ]
    points = measurements.surfaces()
    assert points.loc[
        points["lr_rule"] == "constant", ["batch_size", "kind"]
    ].drop_duplicates().values.tolist() == [[512, "surface"]]
    points = points[points["lr_rule"] == "linear"]
    assert points.groupby(["batch_size", "split", "kind"]).size().to_dict() == {
        (b, s, k): n
        for b in (32, 512)
        for s in ("test", "train")
        for k, n in (("path", 3), ("surface", 9))
        if (b, k) != (512, "path")
    }
    path = points.query("kind == 'path' and split == 'test'").set_index("a")["loss"]
    assert list(path.index) == [-0.5, 0.5, 1.5]
    surface = points.query("kind == 'surface'")
    assert set(surface["a"]) == set(surface["b"]) == {-1, 0, 1} and points.index.is_unique
    table = measurements.rescaling()
    assert set(table["norm"]) == set(sharpness.NORMS) and table["factor"].nunique() == 7
    assert drawing.draw_missing(["synthetic-50k"], place, progress=False)[0]["drawn"] == 0
    source = data.load("synthetic-50k")
    run = networks.plan("synthetic-50k", 512)
    net = next(networks.networks(run, "none", source, place, [2]))[1]
    centre = points.query(
        "batch_size == 512 and split == 'test' and a == 0 and b == 0 and kind == 'surface'"
    )["loss"].item()
    x, y = networks.fixed_samples(source, "test", 50)
    assert centre == pytest.approx(F.cross_entropy(net(x), y).item(), rel=1e-5)


def test_of_landscapes_that_are_cut_off_the_finished_ones_stay(place, monkeypatch):
    value, counted = objective.Objective.value, []

    def cut(self, w):
        counted.append(1)
        if len(counted) == 17:  # 14 are a surface and a path
            raise KeyboardInterrupt
        return value(self, w)

    monkeypatch.setattr(objective.Objective, "value", cut)
    with pytest.raises(KeyboardInterrupt):
        drawing.draw_missing(["synthetic-50k"], place, progress=False)
    assert list(measurements.surfaces()["kind"]) == ["surface"] * 9 + ["path"] * 3
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    resumed = measurements.surfaces()
    for path in measurements.FOLDER.iterdir():
        path.unlink()
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    assert measurements.surfaces().equals(resumed)


def test_bad_input(place):
    for call in (measuring.measure_missing, drawing.draw_missing):
        with pytest.raises(
            BadInput, match="data set with measurements of geometry 'minst' is unknown; allowed are"
        ):
            call(["minst"])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\xfe\x00" * 9])
def test_a_damaged_table_is_told_in_a_sentence(content, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "FOLDER", tmp_path)
    (tmp_path / "mnist.parquet").write_bytes(content)
    with pytest.raises(StoreError, match=r"of mnist is damaged \(.*\); restore it from the repository\.$"):
        measurements.measured(["mnist"])
