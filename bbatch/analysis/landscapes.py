"""The recorded loss landscapes (Figs. 9 and 10) as grids, and what each says in four numbers."""

import numpy as np
import pandas as pd

from ..geometry.measurements import pictured

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
