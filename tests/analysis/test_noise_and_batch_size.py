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
    assert fits["at"].tolist() == ["initialisation", "convergence"] and fits["seeds"].tolist() == [2, 2]
    assert [f.mean for f in fits["exponent"]] == pytest.approx([-1, -1]) and [
        r.mean for r in fits["r_squared"]
    ] == pytest.approx([1, 1])
