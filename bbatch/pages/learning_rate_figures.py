"""Figures of Section IV-D: the rules of the learning rate beside each other."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..config import DATASETS, plan
from .figures import seeds_text
from .picture import describe, series
from .style import PAPER, STYLE, batch_size_axis
from .tables import METRICS, compare

RULE_COLORS = {"constant": "#CC79A7", "linear": "#0072B2", "sqrt": "#009E73"}


def rules_over_epochs(curves: pd.DataFrame, dataset: str, batch_size: int) -> Figure:
    """Test accuracy after each epoch at one batch size: a line for each rule, the mean over its seeds."""
    runs = curves[(curves["dataset"] == dataset) & (curves["batch_size"] == batch_size)]
    last = int(runs.groupby("lr_rule")["epoch"].max().min()) if len(runs) else 0
    found = []
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.4, 4.1))
        for rule, color in RULE_COLORS.items():
            cell = runs[runs["lr_rule"] == rule].drop_duplicates(["seed", "epoch"])
            if len(cell):
                mean, lr = (
                    cell.groupby("epoch")["test_acc"].mean(),
                    plan(dataset, batch_size, lr_rule=rule).lr,
                )
                label = f"{rule}, rate {lr:.3g} (n = {cell['seed'].nunique()})"
                line = axis.plot(mean.index, mean, color=color, marker="o", markersize=3, label=label)
                series(axis, rule, *line)
                found.append(f"{mean[last]:.1f} % under the {rule} rule")
        printed = published.results(dataset).set_index("batch_size")["test_acc"].get(batch_size)
        if printed is not None:
            marks = PAPER | {"linestyle": "", "label": "the paper, one run"}
            axis.plot([DATASETS[dataset].protocol.epochs], [printed], **marks)
        axis.set(xlabel="Epoch", ylabel=METRICS["test_acc"])
        axis.set_title(f"{DATASETS[dataset].title}, B = {batch_size}")
        axis.legend(fontsize=8.5)
    plt.close(figure)
    said = f"After {last} epochs, the last that all have, test accuracy is {', '.join(found)}; "
    return describe(
        figure,
        f"Test accuracy after each epoch at B = {batch_size}, mean over n seeds. {said if found else ''}"
        f"chance is {100 / DATASETS[dataset].classes:g} %.",
    )


def rules(frame: pd.DataFrame, dataset: str = "synthetic-50k") -> Figure:
    """Test accuracy against batch size under each learning-rate rule, with the cells of Table V."""
    runs, paper = frame[frame["dataset"] == dataset], published.learning_rate_ablation()
    lines: dict[str, list] = {}
    found = []
    with mpl.rc_context(STYLE):
        figure, (near, far) = plt.subplots(1, 2, figsize=(11.5, 4.2))
        for (rule, color), mark in zip(RULE_COLORS.items(), "sod", strict=True):
            table = compare(runs[runs["lr_rule"] == rule], dataset, ("test_acc",))
            have = table[table["n"] > 0]
            if len(have):
                found.append(f"{rule} {have['test_acc'].iloc[-1]:.2f}")
            drawn, b = lines.setdefault(rule, []), have["batch_size"]
            label = f"{rule} {seeds_text(have['n'])}" if len(have) else f"{rule} (no runs yet)"
            band = dict(color=color, alpha=0.2, linewidth=0)
            for axis in (near, far):
                drawn += axis.plot(b, have["test_acc"], color=color, marker=mark, markersize=5, label=label)
                drawn.append(axis.fill_between(b, have["test_acc_low"], have["test_acc_high"], **band))
            cells = paper[paper["lr_rule"] == rule]
            if len(cells):
                label = f"Table V, {'fixed' if rule == 'constant' else 'scaled'}"
                marks = PAPER | {"color": color, "label": label}
                drawn += far.plot(cells["batch_size"], cells["test_acc"], **marks)
        for rule, drawn in lines.items():
            series(near, rule, *drawn)
        for axis in (near, far):
            batch_size_axis(axis, DATASETS[dataset].protocol.batch_sizes)
            axis.set_ylabel(METRICS["test_acc"])
            axis.legend(fontsize=8.5)
        near.set_title(f"{DATASETS[dataset].title}: ours, close up")
        far.set_title("With the cells of Table V")
    plt.close(figure)
    largest = paper["batch_size"].max()
    printed = ", ".join(
        f"{cell.lr_rule} {cell.test_acc:g}" for cell in paper[paper["batch_size"] == largest].itertuples()
    )
    said = f"At B = {largest}: {', '.join(found)} % in our runs; {printed} % in Table V. "
    return describe(
        figure,
        f"{said if found else ''}Mean test accuracy under each learning-rate rule, with 95 % intervals over "
        "seeds: left ours alone, right with the paper's cells, one run each.",
        runs=f"data={dataset}&rule={','.join(RULE_COLORS)}&metric=test_acc",
    )
