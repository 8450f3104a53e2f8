"""What each run cost, by which clock, and when it first had an accuracy: learning curves as a row a run."""

import numpy as np
import pandas as pd

from ..errors import BadInput
from ..metrics import sittings


def by_run(curves: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """A row for each run of a data set: batch_size, seed, id, device, `clock` (what its costs are measured
    with, as a name), epoch_cost (mean cost of an epoch, seconds), last (its final test accuracy, percent),
    and as arrays over epochs accuracy and cost (since the start: processor time where recorded, else
    elapsed).

    Raises `BadInput` where a batch size and seed have more than one run, as under two rules of the rate."""
    mine = curves[curves["dataset"] == dataset].sort_values("epoch")
    several = mine.groupby(["batch_size", "seed"])["id"].nunique()
    if (several > 1).any():
        b, seed = several.idxmax()
        raise BadInput(
            f"{several.max()} runs of {dataset} at B = {b} and seed {seed} were given where one is meant; "
            "give the curves of one rule of the learning rate."
        )
    mine = mine.assign(sitting=sittings(mine["started"]))
    rows = []
    for (b, seed), run in mine.groupby(["batch_size", "seed"]):
        processor = run["cpu_seconds"].notna().all()
        cost = run["cpu_seconds" if processor else "seconds"].to_numpy()
        one = run.iloc[0]
        kind = "processor" if processor else "elapsed"
        clock = f"{one['device_name']} {one['precision']} {kind} {one['sitting']}"
        accuracy = run["test_acc"].to_numpy()
        costs = cost[-1] / len(cost), accuracy[-1], accuracy, cost
        rows.append((int(b), seed, one["id"], one["device"], clock, *costs))
    names = "batch_size seed id device clock epoch_cost last accuracy cost".split()
    return pd.DataFrame(rows, columns=names)


def reached(runs: pd.DataFrame, accuracy) -> pd.DataFrame:
    """`by_run` with the first epoch (from 1) that had more than `accuracy` percent right, and the cost until
    then, as epochs and cost: NaN where none had. `accuracy`: one number, or one for each row."""
    aims = np.broadcast_to(np.asarray(accuracy, float), len(runs))
    firsts = [np.flatnonzero(curve > aim) for curve, aim in zip(runs["accuracy"], aims, strict=False)]
    costs = [
        cost[first[0]] if len(first) else np.nan for cost, first in zip(runs["cost"], firsts, strict=False)
    ]
    epochs = [first[0] + 1.0 if len(first) else np.nan for first in firsts]
    return runs.assign(epochs=np.array(epochs, float), cost=np.array(costs, float))
