"""What does a warm-up change? Read from the table of study `warm-up`: the same runs with and without one."""

from __future__ import annotations

import pandas as pd

from ..statistics import paired_difference


def warm_up_effect(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with the warm-up minus without, in points, paired by seed.

    Columns: dataset, batch_size, difference (`Interval`), with_it and without (mean accuracy in percent).
    """
    rows = []
    for (name, b), cell in runs.groupby(["dataset", "batch_size"]):
        on, off = (cell[cell["warmup_epochs"] > 0], cell[cell["warmup_epochs"] == 0])
        both = pd.concat(
            {k: part.set_index("seed")["test_acc"] for k, part in (("on", on), ("off", off))},
            axis=1,
            join="inner",
        )
        difference = paired_difference(both["on"], both["off"])
        rows.append([name, int(b), difference, both["on"].mean(), both["off"].mean()])
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "difference", "with_it", "without"])
