"""Two arms of the remedies beside each other: optimizers at a small and a large batch, a remedy and another,
a batch that grows and a rate that decays. Each at its own best rate."""

from dataclasses import dataclass

import pandas as pd

from ..config import BASE
from ..statistics import Interval
from ..studies.remedies import LARGE, PLAIN, optimizers_of
from . import rate_map, remedies


def lost_by_optimizer(dataset: str, runs: pd.DataFrame) -> pd.DataFrame:
    """What each optimizer loses from B = 32 to the largest batch, each at its own best rates, as far as both
    are trained. Columns: optimizer (`PLAIN`: the data set's own); at_base and at_large (test accuracy,
    percent), lost (their difference, points), all `Interval`."""
    arms, large, rows = remedies.by_arm(dataset, runs), max(LARGE), []
    for name in (PLAIN, *optimizers_of(dataset)):
        if {name, f"{name} at {BASE}"} <= set(arms):
            both = arms[f"{name} at {BASE}"], arms[name]
            seeds = min(part["seed"].nunique() for part in both)
            small = remedies.arm_grid(both[0], BASE, seeds).accuracy
            big = remedies.arm_grid(both[1], large, seeds).accuracy
            rows.append([name, *(rate_map.interval_of(v, seeds) for v in (small, big, small - big))])
    return pd.DataFrame(rows, columns=["optimizer", "at_base", "at_large", "lost"])


def gained_by_seed(
    dataset: str, runs: pd.DataFrame, remedy: str, batch_size: int, over: str = PLAIN
) -> pd.Series:
    """What a remedy has over another arm, each at its best rate over the seeds of both: points, by seed."""
    arms = remedies.by_arm(dataset, runs)
    of = [arms[name][arms[name]["batch_size"] == batch_size] for name in (remedy, over)]
    shared = sorted(set(of[0]["seed"]) & set(of[1]["seed"]))
    found = []
    for part in of:
        grid = remedies.arm_grid(part, batch_size, len(shared))
        found.append(grid.test_acc[:, grid.best])
    return pd.Series(found[0] - found[1], index=shared)


@dataclass(frozen=True)
class Equivalence:
    """Growth of the batch beside decay of the rate, each at its own best rate: test accuracy in percent,
    growth minus decay in points, steps, and whether growth did best at the lowest or highest rate tried."""

    growth: Interval
    decay: Interval
    difference: Interval
    growth_steps: float
    decay_steps: float
    at_edge: bool


def growth_and_decay(dataset: str, runs: pd.DataFrame) -> Equivalence:
    """Does a batch that grows do what a rate that decays does (Smith et al. 2018)? Of SGD with momentum."""
    arms = remedies.by_arm(dataset, runs)
    grids, steps = [], []
    for name in ("SGD, batch grows", "SGD, rate decays"):
        found = arms[name]
        b = int(found["batch_size"].iloc[0])
        grids.append(remedies.arm_grid(found, b, found["seed"].nunique()))
        steps.append(remedies.cost_of_run(found, b, grids[-1].rate)["steps"])
    grown, decayed = (grid.accuracy for grid in grids)
    made = (rate_map.interval_of(values, grids[0].seeds) for values in (grown, decayed, grown - decayed))
    return Equivalence(*made, *steps, grids[0].at_edge)
