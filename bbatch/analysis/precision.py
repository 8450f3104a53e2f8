"""What 16-bit arithmetic changes: runs recorded in bf16 and in fp32 with all else equal."""

from functools import partial

import pandas as pd

from ..config import DATASETS
from ..statistics import decimal_text, from_to, mean_interval

COLUMNS = "data set;B;epochs;training samples;fp32 (%);bf16 (%);Δ test accuracy;Δ gap, clean;n".split(";")
WIDE = 20.0  # points; half an interval beyond that tells less than the values themselves


def precision_effect(frame: pd.DataFrame) -> pd.DataFrame:
    """bf16 minus fp32 where both are recorded with all else equal, seed included: a row a configuration.

    Columns: data set, B, epochs, training samples, the range of test accuracies in fp32 and in bf16
    (percent), the effect on test accuracy and on the clean gap (points), n."""
    cell, rows = ["dataset", "batch_size", "epochs", "n_train", "warmup_epochs"], []
    for (name, b, epochs, samples, _), runs in frame[frame["lr_rule"] == "linear"].groupby(cell):
        wide = runs.pivot_table(index="seed", columns="precision", values=["test_acc", "gap"])
        if {"fp32", "bf16"} <= set(runs["precision"]) and len(pairs := wide.dropna()):
            spans = (from_to(pairs["test_acc", p], decimal_text) for p in ("fp32", "bf16"))
            effects = (_told(pairs[m, "bf16"] - pairs[m, "fp32"]) for m in ("test_acc", "gap"))
            at = DATASETS[name].title, int(b), int(epochs), int(samples)
            rows.append([*at, *spans, *effects, len(pairs)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _told(differences: pd.Series) -> str:
    """The mean with ± half of its 95 % interval over pairs; where that is very wide, as where some runs
    collapse, from the lowest difference to the highest."""
    i = mean_interval(differences)
    if i.half_width <= WIDE or i.n < 2:
        return i.text(sign="+")
    return from_to(differences, partial(decimal_text, sign="+"))
