"""Recorded surfaces as grids, and their numbers, on grids whose points can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from bbatch.analysis import landscapes


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
