"""Figures of Sections IV-C, IV-D and IV-G: efficiency, learning-rate rules, the best batch size.

As in `figures`: tidy tables in, a matplotlib Figure out; nothing here reads a file or trains.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from .. import published
from ..analysis.efficiency import BASE, finding, ratio_text
from ..config import DATASETS, plan
from .figures import COLORS, INK, PAPER, STYLE, seeds_text
from .picture import describe, series, tip
from .tables import METRICS, compare

RULE_COLORS = {"constant": "#CC79A7", "linear": "#0072B2", "sqrt": "#009E73"}


def efficiency(speedups: pd.DataFrame) -> Figure:
    """Epoch time, epochs and time to an accuracy against batch size, as ratios to B = 32, a line for each data set.

    `speedups` as `efficiency.all_speedups` makes it; the paper's points come from its printed epoch times.
    """
    panels = (
        ("epoch", "An epoch is shorter by"),
        ("epochs", "Epochs to the accuracy, more by"),
        ("effective", "Time to the accuracy, shorter by"),
    )
    lines: dict[str, list] = {}
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(13, 4.4))
        for axis, (column, title) in zip(axes, panels):
            axis.axhline(1, color=INK, linewidth=0.8)
            for name, table in speedups.groupby("dataset", sort=False):
                sizes, drawn = table["batch_size"], lines.setdefault(DATASETS[name].title, [])
                mean, low, high = (
                    np.array([getattr(i, k) for i in table[column]], float) for k in ("mean", "low", "high")
                )
                seeds = " to ".join(dict.fromkeys(f"{n}" for n in (table["n"].min(), table["n"].max())))
                drawn += axis.plot(
                    sizes,
                    mean,
                    color=COLORS[name],
                    marker="o",
                    markersize=5,
                    label=f"{DATASETS[name].title} (n = {seeds})",
                )
                drawn.append(axis.fill_between(sizes, low, high, color=COLORS[name], alpha=0.22, linewidth=0))
                tip(
                    axis,
                    sizes,
                    mean,
                    [
                        f"{DATASETS[name].title}, B = {b}\n{title.lower()} {ratio_text(i)} (n = {i.n})"
                        for b, i in zip(sizes, table[column])
                    ],
                    [f"data={name}&metric=epoch_time_s&B={b}" for b in sizes],
                )
                if column == "epoch":
                    printed = published.results(name).set_index("batch_size")["epoch_time_s"]
                    drawn += axis.plot(
                        printed.index,
                        printed[BASE] / printed,
                        **PAPER | {"color": COLORS[name], "markersize": 5, "alpha": 0.8, "label": None},
                    )
                    tip(
                        axis,
                        printed.index,
                        printed[BASE] / printed,
                        [
                            f"{DATASETS[name].title}, B = {b}\nthe paper: {title.lower()} ×{printed[BASE] / t:.3g}"
                            for b, t in printed.items()
                        ],
                    )
            _ratio_axes(axis)
            axis.set(xlabel="Batch size B (log scale)", title=title)
        for name, drawn in lines.items():
            series(axes[0], name, *drawn)
        axes[0].set_ylabel(f"Ratio to B = {BASE} (log scale)")
        axes[0].plot([], [], **PAPER | {"label": "the paper's epoch times"})
        axes[0].legend(fontsize=8.5)
    plt.close(figure)
    return describe(
        figure,
        f"{finding(speedups)} Ratios on one data set, paired by seed, with 95 % intervals; "
        "dotted: from the epoch times that the paper prints.".strip(),
        runs="metric=epoch_time_s",
    )


def rules_over_epochs(curves: pd.DataFrame, dataset: str, batch_size: int) -> Figure:
    """Test accuracy after each epoch at one batch size, a line for each rule (mean over the seeds that are there)."""
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
                series(
                    axis,
                    rule,
                    *axis.plot(
                        mean.index,
                        mean,
                        color=color,
                        marker="o",
                        markersize=3,
                        label=f"{rule}, rate {lr:.3g} (n = {cell['seed'].nunique()})",
                    ),
                )
                found.append(f"{mean[last]:.1f} % under the {rule} rule")
        printed = published.results(dataset).set_index("batch_size")["test_acc"].get(batch_size)
        if printed is not None:
            axis.plot(
                [DATASETS[dataset].protocol.epochs],
                [printed],
                **PAPER | {"linestyle": "", "label": "the paper, one run"},
            )
        axis.set(
            xlabel="Epoch", ylabel=METRICS["test_acc"], title=f"{DATASETS[dataset].title}, B = {batch_size}"
        )
        axis.legend(fontsize=8.5)
    plt.close(figure)
    said = (
        f"After {last} epochs, the last that all have, test accuracy is {', '.join(found)}; " if found else ""
    )
    return describe(
        figure,
        f"Test accuracy after each epoch at B = {batch_size}, mean over n seeds. {said}"
        f"chance is {100 / DATASETS[dataset].classes:g} %.",
    )


def _ratio_axes(axis) -> None:
    sizes = DATASETS["mnist"].protocol.batch_sizes
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, map(str, sizes), fontsize=8.5)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"×{v:g}"))
    axis.minorticks_off()


def rules(frame: pd.DataFrame, dataset: str = "synthetic-50k") -> Figure:
    """Test accuracy against batch size under each learning-rate rule, with the cells of the paper's Table V."""
    runs, paper = frame[frame["dataset"] == dataset], published.learning_rate_ablation()
    lines: dict[str, list] = {}
    found = []
    with mpl.rc_context(STYLE):
        figure, (near, far) = plt.subplots(1, 2, figsize=(11.5, 4.2))
        for (rule, color), mark in zip(RULE_COLORS.items(), "sod"):
            table = compare(runs[runs["lr_rule"] == rule], dataset, ("test_acc",))
            have = table[table["n"] > 0]
            if len(have):
                found.append(f"{rule} {have['test_acc'].iloc[-1]:.2f}")
            drawn = lines.setdefault(rule, [])
            for axis in (near, far):
                drawn += axis.plot(
                    have["batch_size"],
                    have["test_acc"],
                    color=color,
                    marker=mark,
                    markersize=5,
                    label=f"{rule} {seeds_text(have['n'])}" if len(have) else f"{rule} (no runs yet)",
                )
                drawn.append(
                    axis.fill_between(
                        have["batch_size"],
                        have["test_acc_low"],
                        have["test_acc_high"],
                        color=color,
                        alpha=0.2,
                        linewidth=0,
                    )
                )
            cells = paper[paper["lr_rule"] == rule]
            if len(cells):
                drawn += far.plot(
                    cells["batch_size"],
                    cells["test_acc"],
                    **PAPER
                    | {"color": color, "label": f"Table V, {'fixed' if rule == 'constant' else 'scaled'}"},
                )
        for rule, drawn in lines.items():
            series(near, rule, *drawn)
        for axis in (near, far):
            axis.set_xscale("log", base=2)
            axis.set_xticks(
                DATASETS[dataset].protocol.batch_sizes,
                map(str, DATASETS[dataset].protocol.batch_sizes),
                fontsize=8.5,
            )
            axis.minorticks_off()
            axis.set(xlabel="Batch size B (log scale)", ylabel=METRICS["test_acc"])
            axis.legend(fontsize=8.5)
        near.set_title(f"{DATASETS[dataset].title}: ours, close up")
        far.set_title("With the cells of Table V")
    plt.close(figure)
    largest = paper["batch_size"].max()
    printed = ", ".join(
        f"{cell.lr_rule} {cell.test_acc:g}" for cell in paper[paper["batch_size"] == largest].itertuples()
    )
    said = f"At B = {largest}: {', '.join(found)} % in our runs; {printed} % in Table V. " if found else ""
    return describe(
        figure,
        f"{said}Mean test accuracy under each learning-rate rule, with 95 % intervals over seeds: left ours "
        "alone, right with the paper's cells, one run each.",
        runs=f"data={dataset}&rule={','.join(RULE_COLORS)}&metric=test_acc",
    )


def optimum_scatter(draws: dict[str, pd.DataFrame]) -> Figure:
    """How often each batch size comes out best when seeds are drawn again, for `critical.bootstrap` tables by data set."""
    found = []
    with mpl.rc_context(STYLE):
        panels = max(1, len(draws))
        figure, axes = plt.subplots(1, panels, figsize=(max(6, 4.1 * panels), 3.6), squeeze=False)
        if not draws:
            axes[0, 0].set_title("No data set has two seeds at every batch size yet")
        for axis, (name, table) in zip(axes[0], draws.items()):
            sizes, title = DATASETS[name].protocol.batch_sizes, DATASETS[name].title
            share = 100 * table["optimal"].value_counts(normalize=True).reindex(sizes, fill_value=0)
            axis.bar(range(len(sizes)), share, color=COLORS[name])
            axis.set_xticks(range(len(sizes)), map(str, sizes), fontsize=8.5)
            printed = published.critical().set_index("dataset").loc[name, "optimal_batch_size"]
            axis.plot(
                [sizes.index(printed)], [share[printed] + 5], **PAPER | {"linestyle": "", "label": "Table VI"}
            )
            tip(
                axis,
                range(len(sizes)),
                share,
                [f"{title}, B = {b}\nbest in {v:.1f} % of the draws" for b, v in share.items()],
                [f"data={name}&metric=test_acc&B={b}" for b in sizes],
            )
            axis.set(xlabel="Batch size B", title=title, ylim=(0, 108), yticks=range(0, 101, 20))
            axis.grid(axis="x", visible=False)
            axis.set_axisbelow(True)
            axis.legend(fontsize=8.5)
            found.append(
                f"{title}: B = {share.idxmax()} in {share.max():.0f} %, the paper's B = {printed} in {share[printed]:.0f} %"
            )
        axes[0, 0].set_ylabel("Best in % of bootstrap draws")
    plt.close(figure)
    return describe(
        figure,
        f"How often each batch size has the highest mean accuracy in {max(map(len, draws.values()), default=0):,} "
        f"draws of the seeds with replacement. {'; '.join(found)}. Diamonds: the optima of Table VI.",
    )
