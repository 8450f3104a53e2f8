"""Recorded surfaces as grids, and their numbers, on grids whose points can be counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch.analysis import landscapes
from bbatch.geometry.measurements import PAIRS


def surface(rule, b, precision="fp32", split="test", dataset="synthetic-50k"):
    """Losses 10·a + b + 100·(batch size), in no order."""
    rows = [(x, y, 10 * x + y + 100 * b) for x in (-1, 0, 1) for y in (0, 1)]
    found = pd.DataFrame(rows, columns=["a", "b", "loss"]).sample(frac=1, random_state=0)
    more = {"batch_size": b, "lr_rule": rule, "precision": precision, "split": split, "dataset": dataset}
    return found.assign(**more, seed=42, kind="surface")


def test_grids_are_those_of_one_split_under_their_names():
    points = pd.concat(
        [
            surface("constant", 512),
            surface("linear", 512, "bf16"),
            surface("linear", 32, "bf16"),
            surface("linear", 32, "bf16", "train").assign(loss=0.0),
            surface("linear", 32, dataset="mnist").assign(loss=0.0),
        ]
    )
    found = landscapes.grids(points, "synthetic-50k")
    assert list(found) == ["B = 32, bf16", "B = 512, bf16", "B = 512, constant rate"]
    a, b, loss = found["B = 32, bf16"]
    assert (a.tolist(), b.tolist()) == ([-1, 0, 1], [0, 1])
    assert loss.tolist() == [[3190, 3191], [3200, 3201], [3210, 3211]]
    assert found["B = 512, constant rate"][2][0, 0] == 51190
    train = landscapes.grids(points, "synthetic-50k", "train")
    assert list(train) == ["B = 32, bf16"] and not train["B = 32, bf16"][2].any()


def test_a_surface_in_numbers():
    """A step is 0.5, so that a circle is 0.6 wide. Half way lie the five points at a distance of 0.5 or 0.71;
    at the border seven more at 1 or 1.12, and again those at 0.71. A grid without a centre has four."""
    a, b = np.array([-1, -0.5, 0, 0.5, 1]), np.array([-0.5, 0, 1])
    loss = np.array([[11, 12, 99], [5, 1, 17], [2, 0.5, 14], [6, 3, 18], [13, 15, 99]])
    even = np.array([-1, -1 / 3, 1 / 3, 1])
    four = np.full((4, 4), 50.0)
    four[1:3, 1:3] = [[1, 2], [3, 10]]
    found = landscapes.around({"one": (a, b, loss), "four": (even, even, four)})
    assert found.columns.tolist() == ["network", "centre", "half way", "border"]
    border = [11, 12, 13, 15, 14, 17, 18, 5, 6]
    assert found.values.tolist() == [
        ["one", 0.5, np.median([1, 2, 3, 5, 6]), np.median(border)],
        ["four", pytest.approx(4.0), 2.5, 50.0],
    ]


def circle(name, b, seed, border, half=0.5, rule="linear", split="test", centre=0.25):
    """Points whose median is `centre` plus the rise; the mean is another."""
    losses = {0.0: [centre] * 3, 0.5: [centre, centre + half, 9.0], 1.0: [centre + border, centre, 99.0]}
    rows = [(radius, k / 3, loss) for radius, points in losses.items() for k, loss in enumerate(points)]
    found = pd.DataFrame(rows, columns=["radius", "turn", "loss"])
    more = {"dataset": name, "batch_size": b, "seed": seed, "lr_rule": rule, "split": split}
    return found.assign(**more, precision="fp32", n_samples=9, id=f"{name}{b}{seed}{rule}")


def test_walls_are_the_median_of_a_circle_above_its_centre():
    found = landscapes.walls(pd.concat([circle("mnist", 32, 42, 2.0), circle("mnist", 256, 42, 3.0, 1.5)]))
    assert found.set_index(["batch_size", "radius"])["rise"].to_dict() == {
        (32, 0.5): 0.5, (32, 1.0): 2.0, (256, 0.5): 1.5, (256, 1.0): 3.0,
    }  # fmt: skip
    assert set(found["id"]) == {"mnist3242linear", "mnist25642linear"}


def test_how_many_times_as_high_the_walls_are_pairs_the_seeds():
    """Ratios 2, 3 and 4 on Synthetic 50K; a seed without its pair, another split and another rule take no
    part; a wall that does not rise has no ratio."""
    rises = {42: (1.0, 2.0), 43: (2.0, 6.0), 44: (0.5, 2.0)}
    parts = [
        circle("synthetic-50k", b, s, r)
        for s, two in rises.items()
        for b, r in zip((32, 512), two, strict=True)
    ]
    parts += [circle("synthetic-50k", 32, 45, 1.0), circle("synthetic-50k", 512, 46, 1.0)]
    parts += [circle("synthetic-50k", b, 47, r) for b, r in ((32, -0.125), (512, 1.0))]
    parts += [circle("synthetic-50k", 512, s, 0.25, rule="constant") for s in rises]
    parts += [
        circle("synthetic-50k", b, s, r, split="train") for s in rises for b, r in ((32, 1.0), (512, 7.0))
    ]
    table = pd.concat(parts)
    found = landscapes.steeper_walls(table, "synthetic-50k", "test", 1.0)
    logs = np.log([2, 3, 4])
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert (found.n, found.unit, found.about) == (3, "ratio", "Synthetic 50K, B = 512 over 32")
    assert found.value == pytest.approx(24 ** (1 / 3)) and len(found.ids) == 6
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(logs.mean() + np.array([-half, half]))))
    # at B = 32, the base, the rules are one
    constant = landscapes.steeper_walls(table, "synthetic-50k", "test", 1.0, "constant")
    assert constant.value == pytest.approx((0.25 * 0.125 * 0.5) ** (1 / 3)) and constant.n == 3
    assert landscapes.steeper_walls(table, "synthetic-50k", "train", 1.0).value == pytest.approx(7)
    assert landscapes.steeper_walls(table, "synthetic-50k", "test", 0.5).value == pytest.approx(1)
    lacks = landscapes.steeper_walls(table, "mnist", "test", 1.0)
    assert (lacks.n, lacks.missing, lacks.about) == (0, "bbatch geometry mnist", "MNIST, B = 256 over 32")
    each = landscapes.steeper_walls_on_each(table, PAIRS, "test", 1.0)
    names = ["Synthetic 1K, B = 512 over 32", "Synthetic 10K, B = 512 over 32", found.about, lacks.about]
    assert [e.about for e in each] == names and [e.n for e in each] == [0, 0, 3, 0]
    rows = landscapes.all_steeper_walls(table)
    assert rows[["dataset", "lr_rule", "split"]].values.tolist() == [
        ["synthetic-50k", rule, split] for rule in ("constant", "linear") for split in ("train", "test")
    ]
    assert rows["border"].iloc[3].value == found.value and rows["half_way"].iloc[3].value == pytest.approx(1)
    assert rows["border"].iloc[0].n == 0 and landscapes.all_steeper_walls(table.iloc[:0]).empty
