"""How long would a study take on a GPU? From what steps took on one that was measured (`make bench`)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..studies.trial import Trial

REPLAYED = ("sgd", "adam", "adamw")  # optimizers whose steps are: `engines.cuda_graph.CAPTURED` by name


def gpu_hours(trials: Iterable[Trial], cuda: pd.DataFrame) -> float:
    """Hours for these trials, one after the other, with the paper's networks; early stopping not counted.

    `cuda` has the columns dataset, batch_size, contestant ("bbatch": replayed steps; "bbatch, eager") and
    median (microseconds a step). Between its batch sizes time is interpolated on logarithms, beyond them a
    sample costs what it does at the nearest.
    """
    total = 0.0
    for run in (trial.run for trial in trials):
        replayed = run.batch_schedule == "fixed" and run.optimizer in REPLAYED
        who = "bbatch" if replayed else "bbatch, eager"
        mine = cuda[(cuda["dataset"] == run.dataset) & (cuda["contestant"] == who)].sort_values("batch_size")
        sizes, cost = np.log(mine["batch_size"].to_numpy(float)), np.log(mine["median"].to_numpy(float))
        for epoch in range(run.epochs):
            b = np.log(run.batch(epoch))
            beyond = b - np.clip(b, sizes[0], sizes[-1])
            total += run.steps(epoch) * np.exp(np.interp(b, sizes, cost) + beyond)
    return total / 3.6e9
