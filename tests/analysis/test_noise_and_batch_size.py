"""Noise scales and slopes against values worked out apart from the module."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch import geometry
from bbatch.analysis import noise_and_batch_size as noise
from bbatch.config import DATASETS


@pytest.fixture(scope="module")
def table():
    return geometry.measured()


def test_over_the_whole_training_set_the_mean_gradient_is_exact(table):
    """The mean over seeds of tr(Σ)/|ḡ|² after training at B = 32: 14,200 samples on 50K and 922 on 1K."""
    found = noise.noise_scales(table)
    for name, expected in (("synthetic-50k", 14_200), ("synthetic-1k", 922)):
        at = (found["dataset"] == name) & (found["batch_size"] == 32) & (found["epoch"] == 50)
        assert found[at]["whole"].all() and found[at]["value"].mean() == pytest.approx(expected, rel=0.01)
    assert (found["value"].dropna() > 0).all()


def test_a_scale_beyond_the_samples_is_no_number(table):
    found = noise.noise_scales(table)
    partial = found[~found["whole"]]
    assert (partial["value"].dropna() < partial["n_samples"].max()).all()
    rows = [("gradient_trace", 10.0), ("gradient_norm2", -1e-3)]
    made = pd.DataFrame(rows, columns=["measure", "value"]).assign(
        dataset="mnist",
        batch_size=32,
        seed=42,
        epoch=12,
        n_samples=2000,
        id="x",
        lr_rule="linear",
        precision="fp32",
        split="train",
    )
    assert math.isnan(noise.noise_scales(made)["value"].iloc[0])


def test_one_rule_for_slopes_where_sizes_are_missing(table):
    """The slope of a seed is fitted over the sizes that it has: by hand, and equal in the table and for the
    claims."""
    t = table[
        (table["measure"] == "gradient_variance") & (table["epoch"] > 0) & (table["lr_rule"] == "linear")
    ]
    fits = noise.variance_fits(table).set_index(["dataset", "at", "measure"])
    for name in t["dataset"].unique():
        mine = t[t["dataset"] == name]
        by_hand = [
            np.polyfit(np.log(one["batch_size"].astype(float)), np.log(one["value"]), 1)[0]
            for _, one in mine.groupby("seed")
            if len(one) >= 3
        ]
        if name == "mnist" or len(by_hand) > 1:
            found = noise.variance_fit(table, name, "gradient_variance", "convergence", "exponent")
            assert found.value == pytest.approx(np.mean(by_hand)), DATASETS[name].title
            assert fits.loc[(name, "convergence", "gradient_variance"), "exponent"].mean == pytest.approx(
                found.value
            )


def test_the_fit_of_the_variance_is_the_law_that_made_the_table():
    rows = [
        {
            "dataset": "mnist",
            "batch_size": b,
            "lr_rule": "linear",
            "precision": "fp32",
            "seed": 42 + k,
            "epoch": e,
            "split": "train",
            "measure": "gradient_variance_one_network",
            "value": (2 + k) / b,
            "n_samples": 60_000,
            "id": "x",
        }
        for b in (1, 8, 64, 512)
        for k in range(2)
        for e in (0, 12)
    ]
    table = pd.DataFrame(rows).assign(settings="", source="", commit="")
    fits = noise.variance_fits(table)
    assert fits["at"].tolist() == ["initialization", "convergence"] and fits["seeds"].tolist() == [2, 2]
    assert [f.mean for f in fits["exponent"]] == pytest.approx([-1, -1]) and [
        r.mean for r in fits["r_squared"]
    ] == pytest.approx([1, 1])


ROW = dict(dataset="mnist", lr_rule="linear", precision="fp32", split="train", n_samples=2_000, commit="")


def measured(*rows):
    """Rows of (batch size, seed, epoch, measure, value), each network by a name of its own."""
    table = pd.DataFrame(rows, columns=["batch_size", "seed", "epoch", "measure", "value"])
    return table.assign(
        **ROW, id=[f"{b}-{s}" for b, s in zip(table["batch_size"], table["seed"], strict=True)]
    )


def test_noise_scales_by_hand():
    """On part of the samples |G|² is as recorded; on all of them tr(Σ)/n comes back to it."""
    parts = {(8, 42): (10.0, 0.02), (8, 43): (10.0, 0.0), (32, 42): (10.0, 0.005), (32, 43): (30.0, 0.0149)}
    rows = [
        (*cell, 12, name, value)
        for cell, values in parts.items()
        for name, value in zip(("gradient_trace", "gradient_norm2"), values, strict=True)
    ]
    table = measured(*rows, (8, 42, 12, "accuracy", 99.0), (32, 42, 12, "accuracy", 14.0))
    other = table.assign(lr_rule="constant", id="other" + table["id"])
    found = noise.noise_scales(pd.concat([table, other])).set_index(["batch_size", "seed"])
    assert list(found.index) == [(8, 42), (8, 43), (32, 43)]  # (32, 42) collapsed: 14 % of ten classes
    assert found.loc[(8, 42), "value"] == pytest.approx(500) and not found["whole"].any()
    assert math.isnan(found.loc[(8, 43), "value"])  # no gradient is told apart from zero
    assert math.isnan(found.loc[(32, 43), "value"])  # 2,013 samples, of 2,000
    whole = noise.noise_scales(table.assign(n_samples=60_000)).set_index(["batch_size", "seed"])
    assert whole["whole"].all()
    assert whole.loc[(8, 42), "value"] == pytest.approx(10 / (0.02 + 10 / 60_000))
    assert whole.loc[(8, 43), "value"] == pytest.approx(60_000)
    assert list(noise.noise_scales(table.iloc[:0])) == list(noise.noise_scales(table))


def test_fits_of_the_variance_by_hand():
    """log σ² on log B: σ² = 1/B for one seed, 1/√B for another, which has three sizes of four."""
    name = "gradient_variance_one_network"
    rows = [(b, 42, 12, name, 1 / b) for b in (1, 8, 32, 64)]
    rows += [(b, 43, 12, name, b**-0.5) for b in (1, 32, 64)]
    rows += [(b, 44, 12, name, 1.0) for b in (1, 32)]  # two sizes are too few
    rows += [(b, 42, 0, name, b**-0.25) for b in (1, 8, 32)]
    rows += [(b, 42, epoch, "gradient_variance", b**-0.75) for b in (1, 8, 32) for epoch in (0, 12)]
    table = measured(*rows)
    table = pd.concat([table, table.assign(lr_rule="constant", value=1.0)])
    fits = noise.variance_fits(table).set_index(["at", "measure"])
    assert list(fits.index) == [
        ("convergence", name), ("initialization", name), ("convergence", "gradient_variance")
    ]  # fmt: skip
    row = fits.loc[("convergence", name)]
    assert row["exponent"].mean == pytest.approx(-0.75) and row["r_squared"].mean == pytest.approx(1)
    assert (row["seeds"], row["sizes"]) == (2, 4)
    assert (row["r_squared"].unit, row["r_squared"].about) == ("R^2", "MNIST")
    found = noise.variance_fit(table, "mnist", name, "convergence", "exponent")
    assert (found.value, found.n, found.unit) == (pytest.approx(-0.75), 2, "exponent")
    assert set(found.ids) == {"32-42", "32-43", "32-44"} and found.how == "a fit a seed"  # trained at 32
    first = noise.variance_fit(table, "mnist", name, "initialization", "exponent")
    assert (first.value, first.n) == (pytest.approx(-0.25), 1)
    squared = noise.variance_fit(table, "mnist", "gradient_variance", "convergence", "r_squared")
    assert (squared.value, squared.unit) == (pytest.approx(1), "R^2") and len(squared.ids) == 3
    none = noise.variance_fit(table, "cifar10", name, "convergence", "exponent")
    assert (none.n, none.missing, none.unit) == (0, "bbatch geometry cifar10", "exponent")
