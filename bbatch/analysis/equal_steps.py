"""How much of a large batch's gap is left when it makes as many steps? Read from study `equal-steps`, and,
where the rate is chosen anew as well, from `equal-steps-tuned`.

The gap of a batch size is the test accuracy of B = 32 minus its own, paired by seed (Hoffer et al. 2017). It
is taken twice: after the paper's 50 epochs, and after as many steps as B = 32 makes in them.
"""

import pandas as pd

from ..config import BASE, DATASETS
from ..errors import BadInput
from ..statistics import paired_difference
from .batch_and_rate import cost_of_batch


def gaps_closed(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each data set, rule and batch size but 32, on the seeds that all three cells have.

    Columns: dataset, rule, batch_size, at_equal_epochs and at_equal_steps (gap in points, `Interval`: t
    interval of the paired difference).
    """
    rows = []
    for (name, rule, b), cell in runs[runs["batch_size"] != BASE].groupby(
        ["dataset", "lr_rule", "batch_size"]
    ):
        accuracy = _paired(runs[runs["dataset"] == name], cell, DATASETS[name].protocol.epochs)
        gaps = (paired_difference(accuracy["base"], accuracy[way]) for way in ("epochs", "steps"))
        rows.append([name, rule, int(b), *gaps])
    return pd.DataFrame(rows, columns="dataset rule batch_size at_equal_epochs at_equal_steps".split())


def _paired(of_dataset: pd.DataFrame, cell: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """Test accuracy of the seeds in common: columns base, epochs, steps."""
    base = of_dataset[(of_dataset["batch_size"] == BASE) & (of_dataset["epochs"] == epochs)]
    longer = cell[cell["epochs"] > epochs]
    if longer["epochs"].nunique() != 1:
        raise BadInput(
            f"B = {cell['batch_size'].iloc[0]} needs runs of one length above {epochs} epochs; "
            f"there are {longer['epochs'].nunique()}."
        )
    parts = {"base": base, "epochs": cell[cell["epochs"] == epochs], "steps": longer}
    return pd.concat({k: p.set_index("seed")["test_acc"] for k, p in parts.items()}, axis=1, join="inner")


def cost_at_best_rates(by_epochs: pd.DataFrame, by_steps: pd.DataFrame) -> pd.DataFrame:
    """Does a batch size cost anything where neither the rate nor the number of steps is tied to it?

    Of one data set, on the seeds that both have: test accuracy at the best rate after as many steps as B = 32
    makes in 50 epochs (`by_steps`, the table of study `equal-steps-tuned`) minus that of B = 32 at its own
    best rate (`by_epochs`, its map). Columns as in `batch_and_rate.cost_of_batch`."""
    longer = by_steps[by_steps["dataset"].isin(by_epochs["dataset"])]
    base = by_epochs[(by_epochs["batch_size"] == BASE) & by_epochs["seed"].isin(longer["seed"])]
    return cost_of_batch(pd.concat([base, longer], ignore_index=True))
