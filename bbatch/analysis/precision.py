"""What 16-bit arithmetic changes: runs recorded in bf16 and in fp32 with all else equal."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter

import pandas as pd

from ..config import DATASETS, Run
from ..metrics import frame
from ..statistics import decimal_text, from_to, mean_interval

COLUMNS = "data set;B;epochs;training samples;fp32 (%);bf16 (%);Δ test accuracy;Δ gap, clean;n".split(";")
OTHER = {"fp32": "bf16", "bf16": "fp32"}
WIDE = 20.0  # points; half an interval beyond that tells less than the values themselves


def precision_effect(records: Iterable[dict]) -> pd.DataFrame:
    """bf16 minus fp32 where both are recorded with all else equal, seed included, under the linear rule: a
    row a configuration.

    Columns: data set, B, epochs, training samples, the range of test accuracies in fp32 and in bf16
    (percent), the effect on test accuracy and on the clean gap (points), n."""
    ended = {Run.from_dict(r["run"]): r for r in records if not r["observed"].get("failure")}
    cells: dict[Run, list[tuple[dict, dict]]] = {}
    for run, record in ended.items():
        twin = ended.get(_other(run))
        if run.precision == "fp32" and run.lr_rule == "linear" and twin:
            cells.setdefault(replace(run, seed=0), []).append((record, twin))
    order = ["dataset", "batch_size", "epochs", "n_train"]
    rows = []
    for cell in sorted(cells, key=attrgetter(*order)):
        full, low = (frame(side).set_index("seed") for side in zip(*cells[cell], strict=True))
        spans = (from_to(side["test_acc"], decimal_text) for side in (full, low))
        effects = (_told(low[metric] - full[metric]) for metric in ("test_acc", "gap"))
        at = DATASETS[cell.dataset].title, *(getattr(cell, name) for name in order[1:])
        rows.append([*at, *spans, *effects, len(full)])
    return pd.DataFrame(rows, columns=COLUMNS)


def in_the_other(records: Mapping[str, dict], ids: Iterable[str]) -> pd.DataFrame:
    """The trainings with these ids as they went in the other arithmetic, all else equal: the rows of
    `metrics.frame` of those that are recorded. `records` by id."""
    known = [records[key] for key in ids]
    runs = [(Run.from_dict(record["run"]), record["data"]["fingerprint"]) for record in known]
    keys = [_other(run).key(data) for run, data in runs]
    return frame(records[key] for key in keys if key in records)


def _other(run: Run) -> Run:
    """The same training in the other arithmetic."""
    return replace(run, precision=OTHER[run.precision])


def _told(differences: pd.Series) -> str:
    """The mean with ± half of its 95 % interval over pairs; where that is very wide, as where some runs
    collapse, from the lowest difference to the highest."""
    i = mean_interval(differences)
    if i.half_width <= WIDE or i.n < 2:
        return i.text(sign="+")
    return from_to(differences, partial(decimal_text, sign="+"))
