"""Choosing the batch size on held-out training data, beside the paper's way, on the test set (IV-G).

The best of eight accuracies on one test set is the best partly by luck on that test set, and is then reported
on it. In a map (`rate_map`) a fifth of the training samples is held out: each network learns from the rest,
the batch size is chosen by held-out accuracy, and the test set only judges. Both ways choose among the same
networks, so that the difference between the accuracy that the paper's way prints and the one that an honest
choice attains is paired by seed. It holds the optimism of the first way and the luck of the second, and so
bounds the optimism from above."""

import numpy as np
import pandas as pd

from ..config import DATASETS
from ..statistics import Interval, paired_difference


def optimism(runs: pd.DataFrame) -> Interval:
    """Printed minus attained test accuracy in points, paired by seed; of a choice, ties go to the smallest.

    `runs`: the map of a data set, of which the paper's batch sizes at the rates of its linear rule count."""
    p = DATASETS[runs["dataset"].iloc[0]].protocol
    rule = runs["batch_size"].map(p.rate)
    at_rule = runs[np.isclose(runs["lr"], rule, atol=0) & runs["batch_size"].isin(p.batch_sizes)]
    wide = at_rule.pivot(index="seed", columns="batch_size", values=["held_out_acc", "test_acc"])
    test, chosen = wide["test_acc"], wide["held_out_acc"].idxmax(axis=1)
    return paired_difference(test.max(axis=1), [test.loc[seed, b] for seed, b in chosen.items()])
