"""What following Algorithm 2 of the paper costs against the best batch size, from what
`regret.method_results` gives."""

from collections.abc import Iterable

import pandas as pd

from ..config import DATASETS, PUBLISHED
from ..evaluation.tables import COMMAND
from .estimate import Estimate, lacking, mean


def losses(choices: pd.DataFrame, datasets: Iterable[str] = PUBLISHED) -> list[Estimate]:
    """Test accuracy of the best batch size minus that of Algorithm 2's choice, paired by seed, in points."""
    found = []
    for d in datasets:
        rows = choices[(choices["problem"] == d) & (choices["method"] == "Algorithm 2")]
        lost = (rows["best_acc"] - rows["test_acc"]).dropna()
        about = DATASETS[d].title
        nothing = lacking(about, f"{COMMAND} {d}", unit="points")
        found.append(mean(lost, "points", about, how="paired by seed") if len(lost) else nothing)
    return found
