"""What 16-bit arithmetic changes: runs recorded in bf16 and in fp32 with all else equal."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import pandas as pd

from ..config import DATASETS, Run
from ..metrics import frame
from ..statistics import decimal_text, from_to, mean_interval

COLUMNS = "data set;B;epochs;training samples;fp32 (%);bf16 (%);Δ test accuracy;Δ gap, clean;n".split(";")
OTHER = {"fp32": "bf16", "bf16": "fp32"}
WIDE = 20.0  # points; half an interval beyond that tells less than the values themselves


def precision_effect(runs: pd.DataFrame) -> pd.DataFrame:
    """bf16 minus fp32 where both are recorded with all else equal, seed included: a row a configuration.

    Columns: data set, B, epochs, training samples, the range of test accuracies in fp32 and in bf16
    (percent), the effect on test accuracy and on the clean gap (points), n."""
    cell, rows = ["dataset", "batch_size", "epochs", "n_train", "warmup_epochs"], []
    for (name, b, epochs, samples, _), of in runs[runs["lr_rule"] == "linear"].groupby(cell):
        wide = of.pivot_table(index="seed", columns="precision", values=["test_acc", "gap"])
        if {"fp32", "bf16"} <= set(of["precision"]) and len(pairs := wide.dropna()):
            spans = (from_to(pairs["test_acc", p], decimal_text) for p in ("fp32", "bf16"))
            effects = (_told(pairs[m, "bf16"] - pairs[m, "fp32"]) for m in ("test_acc", "gap"))
            at = DATASETS[name].title, int(b), int(epochs), int(samples)
            rows.append([*at, *spans, *effects, len(pairs)])
    return pd.DataFrame(rows, columns=COLUMNS)


def in_the_other(records: Mapping[str, dict], ids: Iterable[str]) -> pd.DataFrame:
    """The trainings with these ids as they went in the other arithmetic, all else equal: the rows of
    `metrics.frame` of those that are recorded. `records` by id."""
    known = [records[key] for key in ids]
    runs = [(Run.from_dict(record["run"]), record["data"]["fingerprint"]) for record in known]
    keys = [replace(run, precision=OTHER[run.precision]).key(data) for run, data in runs]
    return frame(records[key] for key in keys if key in records)


def _told(differences: pd.Series) -> str:
    """The mean with ± half of its 95 % interval over pairs; where that is very wide, as where some runs
    collapse, from the lowest difference to the highest."""
    i = mean_interval(differences)
    if i.half_width <= WIDE or i.n < 2:
        return i.text(sign="+")
    return from_to(differences, partial(decimal_text, sign="+"))
