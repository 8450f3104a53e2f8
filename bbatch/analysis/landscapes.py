"""The recorded loss landscapes (Figs. 9 and 10): surfaces of single networks as grids, and how high the walls
around the networks of all seeds are."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..config import DATASETS, LR_RULES
from ..geometry.measurements import PAIRS, pictured
from .estimate import Estimate, lacking, ratio

Grids = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # by label: axis a, axis b, losses [a, b]


def grids(points: pd.DataFrame, dataset: str, split: str = "test") -> Grids:
    """The recorded surfaces at the batch sizes of the paper's figures: those of the linear rule first, then
    those at a constant rate."""
    found = {}
    for rule in ("linear", "constant"):
        t = pictured(points, dataset, rule)
        for (size, precision), part in t[t["split"] == split].groupby(["batch_size", "precision"]):
            wide = part.pivot(index="a", columns="b", values="loss")
            label = f"B = {size}" + (", constant rate" if rule == "constant" else "")
            label += "" if precision == "fp32" else f", {precision}"
            found[label] = wide.index.to_numpy(), wide.columns.to_numpy(), wide.to_numpy()
    return found


def around(found: Grids) -> pd.DataFrame:
    """Each surface in numbers: the loss at its centre, and the medians around the circles half way to the
    border and at it. Columns: network, centre, half way, border (nats)."""
    rows = []
    for label, (a, b, loss) in found.items():
        away = np.hypot(*np.meshgrid(a, b, indexing="ij"))
        near = 0.6 * (a[1] - a[0])  # of a circle: a little more than half a step of the grid
        circles = [float(np.median(loss[abs(away - radius) < near])) for radius in (0.5, 1)]
        rows.append((label, float(loss[away == away.min()].mean()), *circles))
    return pd.DataFrame(rows, columns=["network", "centre", "half way", "border"])


def walls(circles: pd.DataFrame) -> pd.DataFrame:
    """How far the loss rises around each network, in nats: its median on the circle minus its value in the
    centre. `circles` as `geometry.circles` gives them; columns: the run's, id, split, radius, rise."""
    keys = ["dataset", "batch_size", "lr_rule", "precision", "seed", "id", "split"]
    of = circles.groupby([*keys, "radius"], sort=False)["loss"].median().reset_index(name="loss")
    centre = of[of["radius"] == 0].set_index(keys)["loss"].rename("centre")
    around_it = of[of["radius"] > 0].join(centre, keys)
    return around_it.assign(rise=around_it["loss"] - around_it["centre"]).drop(columns=["loss", "centre"])


def steeper_walls(
    circles: pd.DataFrame, dataset: str, split: str, radius: float, lr_rule: str = "linear"
) -> Estimate:
    """How many times as high as at the small batch size of Figs. 9 and 10 the walls are at the large one: the
    geometric mean of the ratios of those seeds at which the loss rises around both. At the base batch size
    the rules are one."""
    small, large = PAIRS[dataset]
    about = f"{DATASETS[dataset].title}, B = {large} over {small}"
    rows = circles[(circles["dataset"] == dataset) & (circles["split"] == split)]
    rows = walls(rows).query("radius == @radius")
    base = "linear" if small == DATASETS[dataset].protocol.base_batch else lr_rule
    low, high = (
        rows[(rows["batch_size"] == b) & (rows["lr_rule"] == rule)].set_index("seed")
        for b, rule in ((small, base), (large, lr_rule))
    )
    seeds = low.index[low["rise"] > 0].intersection(high.index[high["rise"] > 0])
    if seeds.empty:
        return lacking(about, f"bbatch geometry {dataset}", unit="ratio")
    low, high = low.loc[seeds], high.loc[seeds]
    return ratio(high["rise"] / low["rise"], about, [*low["id"], *high["id"]])


def steeper_walls_on_each(
    circles: pd.DataFrame, datasets: Iterable[str], split: str, radius: float
) -> list[Estimate]:
    """`steeper_walls` on each data set."""
    return [steeper_walls(circles, name, split, radius) for name in datasets]


def all_steeper_walls(circles: pd.DataFrame) -> pd.DataFrame:
    """`steeper_walls` in every way that was measured. Columns: dataset, lr_rule, split, half_way and border
    (each an `Estimate`)."""
    measured = set(zip(circles["dataset"], circles["lr_rule"], strict=True))
    kinds = [(name, rule) for name in PAIRS for rule in LR_RULES if (name, rule) in measured]
    rows = [
        (name, rule, split, *(steeper_walls(circles, name, split, radius, rule) for radius in (0.5, 1.0)))
        for name, rule in kinds
        for split in ("train", "test")
    ]
    return pd.DataFrame(rows, columns=["dataset", "lr_rule", "split", "half_way", "border"])
