"""The explorer page's data: cells and runs of the full protocol and the paper's points, as one JSON block.

Means and intervals are computed here, by the functions that make the tables; the page's script
(book/_js/explorer.js) chooses and draws, and computes nothing.
"""

import math

import pandas as pd
from IPython.display import HTML

from .. import published
from ..config import DATASETS, LR_RULES
from ..metrics import interval
from .picture import json_block
from .style import COLORS, dark
from .tables import DECIMALS, METRICS, of_cell

SHOWN = METRICS | {
    "train_acc": "Training accuracy, clean (%)",
    "train_acc_running": "Training accuracy, running (%)",
    "convergence_epoch": "First epoch above 80 % test accuracy",
}
LISTED = ["seed", "lr", "precision", "device_name", "commit", "id"]  # of each run, beside its metrics


def data(runs: pd.DataFrame) -> dict:
    """What the page chooses from: names and colours; cells (mean, low, high, n) and runs of each data set,
    rule and batch size; the published points, with the learning rate that the paper's rule gives them.

    `runs`: the frame of `metrics.frame`, full protocol (`metrics.full_protocol`), all learning-rate rules.
    """
    cells, columns = [], LISTED + list(SHOWN)
    for name, mine in runs.groupby("dataset"):
        for (rule, b), cell in mine.groupby(["lr_rule", "batch_size"]):
            listed = [[_plain(v) for v in row] for row in cell[columns].itertuples(index=False)]
            about = {"data": name, "rule": rule, "B": int(b), "lr": float(cell["lr"].iloc[0])}
            cells.append(about | {"values": _values(cell, mine), "runs": listed})
    sets = {
        name: {"title": spec.title, "color": COLORS[name], "dark": dark(COLORS[name].lower())}
        for name, spec in DATASETS.items()
    }
    found = {"sets": sets, "metrics": SHOWN, "rules": list(LR_RULES)}
    return found | {"columns": columns, "cells": cells, "paper": _paper()}


def _values(cell: pd.DataFrame, runs: pd.DataFrame) -> dict[str, list]:
    """Mean, low, high and n of each metric over the runs of a cell; `runs`: all of its data set."""
    name, rule, b = cell[["dataset", "lr_rule", "batch_size"]].iloc[0]
    values = {}
    for metric in SHOWN:
        have = cell.dropna(subset=[metric]).astype({metric: float})
        whole = len(have) == len(cell)
        i = of_cell(runs, name, int(b), metric, rule) if whole else interval(have, metric)
        values[metric] = [_number(v, metric) for v in (i.mean, i.low, i.high)] + [len(have)]
    return values


def _paper() -> list[dict]:
    """The points of Tables III, IV and VII (linear rule) and of Table V (both rules, on Synthetic 50K)."""
    points = []
    for row in pd.concat([published.printed_frame(), published.ablation_frame()]).to_dict("records"):
        p, b = DATASETS[row["dataset"]].protocol, int(row["batch_size"])
        rate = p.rate(b) if pd.isna(row["lr"]) else row["lr"]  # Table V prints its own
        point = {"data": row["dataset"], "rule": row["lr_rule"], "B": b, "table": row["table"], "lr": rate}
        points.append(point | {"values": {m: row[m] for m in published.COLUMN_OF if not pd.isna(row[m])}})
    return points


def page(runs: pd.DataFrame) -> HTML:
    """The explorer: an element for the script to fill, its data, and a word to readers without JavaScript."""
    return HTML(
        '<div id="explorer" class="bbatch-explorer"><noscript><p>Choosing needs JavaScript. The figures and '
        "tables of the results pages show the same records.</p></noscript>"
        f"{json_block(data(runs))}</div>"
    )


def _number(value: float, metric: str) -> float | None:
    if pd.isna(value) or math.isinf(value):
        return None
    return round(float(value), 2 + DECIMALS.get(metric, 2))


def _plain(value):
    if pd.isna(value):
        return None
    if isinstance(value, str):
        return value
    return round(float(value), 6) if isinstance(value, float) else int(value)
