"""What does each optimizer lose from a small batch to a large one, at its own best rates?"""

from __future__ import annotations

import pandas as pd

from ..studies.remedies import BASE, LARGE, PLAIN, optimizers_of
from . import remedies


def lost_by_optimizer(dataset: str, runs: pd.DataFrame) -> pd.DataFrame:
    """What each optimizer loses from B = 32 to the largest batch, each at its own best rates, as far as both
    are trained. Columns: optimizer (`PLAIN`: the data set's own); at_base and at_large (test accuracy,
    percent), lost (their difference, points), all `Interval`."""
    arms, large, rows = remedies.by_arm(dataset, runs), max(LARGE), []
    for name in (PLAIN, *optimizers_of(dataset)):
        if {name, f"{name} at {BASE}"} <= set(arms):
            both = arms[f"{name} at {BASE}"], arms[name]
            seeds = min(part["seed"].nunique() for part in both)
            weights = remedies.weights_of(seeds)
            small = remedies.arm_grid(both[0], BASE, seeds).accuracy(weights)
            big = remedies.arm_grid(both[1], large, seeds).accuracy(weights)
            rows.append([name, *(remedies.interval_of(v, seeds) for v in (small, big, small - big))])
    return pd.DataFrame(rows, columns=["optimizer", "at_base", "at_large", "lost"])
