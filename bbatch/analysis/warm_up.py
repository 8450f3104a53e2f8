"""What does a warm-up change? Read from the table of study `warm-up`: the same runs with and without one."""

from __future__ import annotations

import pandas as pd

from ..config import DATASETS
from .estimate import Estimate, lacking, mean


def warm_up_effect(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with the warm-up minus without, in points, paired by seed.

    Columns: dataset, batch_size, difference (`Estimate`), with_it and without (mean accuracy in percent).
    """
    rows = []
    for (name, b), cell in runs.groupby(["dataset", "batch_size"]):
        on, off = (cell[cell["warmup_epochs"] > 0], cell[cell["warmup_epochs"] == 0])
        both = pd.concat(
            {k: part.set_index("seed")["test_acc"] for k, part in (("on", on), ("off", off))},
            axis=1,
            join="inner",
        )
        about = f"{DATASETS[name].title}, B = {b}"
        difference = mean(both["on"] - both["off"], "points", about, cell["id"], how="paired by seed")
        rows.append([name, int(b), difference, both["on"].mean(), both["off"].mean()])
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "difference", "with_it", "without"])


def gains(runs: pd.DataFrame) -> list[Estimate]:
    """The differences of `warm_up_effect`, at every batch size of every data set that was tried."""
    if runs.empty:
        return [lacking("warm-up", "python -m bbatch.studies warm-up", unit="points")]
    return list(warm_up_effect(runs)["difference"])
