"""Figures of one metric against batch size, and of learning curves.

Every function takes tidy tables and returns a matplotlib Figure; none reads a file or trains.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..analysis.cells import learned
from ..config import DATASETS
from ..published import COLUMN_OF
from ..statistics import Interval, decimal_text, from_to
from . import parameters, style
from .picture import describe, series, tip, titled
from .style import COLORS, INK, PAPER, drawing
from .tables import METRICS, compare

# What a single seed's interval is; other metrics have none (`metrics.interval`).
ALONE = {"test_acc": "bar: test-set sampling"}
KEY = dict(loc="center left", fontsize=10, alignment="left", labelspacing=0.7)


@drawing
def against_batch_size(frame: pd.DataFrame, datasets, metric: str = "test_acc", *, title: str = "") -> Figure:
    """A panel a data set: our means with 95 % intervals, every single run, and the paper's points."""
    figure, axes = style.panels_of(len(datasets), width=4.1, height=4.0, least=5.2)
    for axis, name in zip(axes, datasets, strict=True):
        _panel(axis, frame[frame["dataset"] == name], name, metric)
        style.legend(axis)
    if title and len(datasets) == 1:
        axes[0].set_title(parameters.finding(title))
    else:
        titled(figure, title)
    return _described(figure, frame, datasets, metric)


def behind(runs: pd.DataFrame) -> str:
    """What stands behind a figure, for its caption: how many seeds a cell has, and in which arithmetic they
    were trained. `runs` has columns dataset, lr_rule, batch_size, precision and id."""
    each = runs.drop_duplicates("id")
    if each.empty:
        return "no runs yet"
    n, low = each.groupby(["dataset", "lr_rule", "batch_size"]).size(), each[each["precision"] == "bf16"]
    seeds = f"n = {from_to(n)} {'seeds' if n.max() > 1 else 'seed'}"
    if len(low) in (0, len(each)):
        return f"{seeds}, in {'bf16' if len(low) else 'fp32'}"
    of = each.groupby("dataset").size()
    counts = [f"{k} of {of[d]} runs on {DATASETS[d].title}" for d, k in low.groupby("dataset").size().items()]
    return f"{seeds}; in bf16: {', '.join(counts)}, the others in fp32"


def _described(figure: Figure, frame: pd.DataFrame, datasets, metric: str) -> Figure:
    """The figure with its caption: what is drawn, circles and diamonds, and the runs behind them."""
    runs = frame[frame["dataset"].isin(datasets)]
    n = runs.groupby(["dataset", "batch_size"]).size()
    said = []
    if (n > 1).any():
        said.append("Circles: means over seeds with 95 % intervals")
    if (n == 1).any():
        said.append(f"{'hollow' if said else 'Circles'}: one seed, {ALONE.get(metric, 'no interval')}")
    if metric in COLUMN_OF:
        said.append("diamonds: the paper's single runs")
    caption = f"{METRICS[metric]} against batch size. {'; '.join([*said, behind(runs)])}."
    return describe(figure, caption, f"data={','.join(datasets)}&metric={metric}")


def _panel(axis, runs: pd.DataFrame, name: str, metric: str) -> None:
    table, color = compare(runs, name, (metric,)), COLORS[name]
    _tips(axis, table, name, metric)
    if f"{metric}_paper" in table:
        axis.plot(table["batch_size"], table[f"{metric}_paper"], **PAPER)
    have, ends = table[table["n"] > 0], _out_of_sight(runs, table) if metric == "test_acc" else None
    if ends:  # the mean of trainings of which some collapse is like none of them
        lost = table["batch_size"].isin(runs.loc[~learned(runs), "batch_size"])
        table.loc[lost, ["test_acc", "test_acc_low", "test_acc_high"]] = np.nan
    if len(have):
        # The mean is missing where there is no run: no line is drawn across a hole.
        b, mean = table["batch_size"], table[metric]
        many, one = table["n"] > 1, table["n"] == 1
        low, high = style.drawn_bounds(table, metric)
        axis.fill_between(b, low, high, where=many, color=color, alpha=0.22, linewidth=0)
        label = f"ours, mean and 95 % interval\n{seeds_text(table['n'][many], metric)}" if any(many) else None
        bars = dict(marker="o", markersize=5, capsize=3, linewidth=1.8)
        axis.errorbar(b, mean, [mean - low, high - mean], color=color, label=label, **bars)
        if any(one):  # its interval, where it has one, is of another kind
            label = f"ours, one seed;\n{ALONE.get(metric, 'no interval')}"
            hollow = dict(markerfacecolor="white", markeredgewidth=1.4, markersize=5.5, zorder=3)
            axis.plot(b[one], mean[one], "o", color=color, label=label, **hollow)
        if any(many):
            dots = dict(color=color, alpha=0.4, markersize=6, zorder=1)
            axis.plot(runs["batch_size"], runs[metric], ".", label="ours, single runs", **dots)
    if ends:
        axis.set_ylim(*ends)
        lost_below(axis, runs)
    elif metric == "test_acc":  # the margin may reach beyond what an accuracy can be
        bottom, top = axis.get_ylim()
        axis.set_ylim(max(bottom, 0), 100 if top > 101 else top)
    style.batch_size_axis(axis, table["batch_size"])
    axis.set(title=DATASETS[name].title, ylabel=METRICS[metric])


def _out_of_sight(runs: pd.DataFrame, table: pd.DataFrame) -> tuple[float, float] | None:
    """The ends of an axis of accuracies that leaves the runs at chance out, where these lie far below all
    others and the paper's points; else None."""
    steady = learned(runs)
    shown = pd.concat([runs.loc[steady, "test_acc"], table["test_acc_paper"].dropna()])
    if not steady.any() or steady.all() or runs.loc[~steady, "test_acc"].max() >= shown.min():
        return None
    span = shown.max() - shown.min()
    return max(shown.min() - 0.6 * span, 0), min(shown.max() + 0.3 * span, 100)


def lost_below(axis, runs: pd.DataFrame) -> None:
    """How many runs of a batch size are at chance, where any is: at the lower end of the axis."""
    for b, steady in learned(runs).groupby(runs["batch_size"]):
        if not steady.all():
            style.below(axis, b, f"{(~steady).sum()} of {len(steady)} at chance: no mean drawn")


def _tips(axis, table: pd.DataFrame, name: str, metric: str) -> None:
    """What a reader sees who points at a mean or at one of the paper's points."""
    address = [f"data={name}&metric={metric}&B={b}" for b in table["batch_size"]]
    paper = table.get(f"{metric}_paper", pd.Series(np.nan, table.index))
    texts = []
    for row, printed in zip(table.to_dict("records"), paper, strict=True):
        ours = "no run recorded"
        if row["n"]:
            mean = Interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"], 0).text()
            low = ", in bf16" if "bf16" in row["precision"] else ""
            bar = "95 % interval" if row["n"] > 1 else ALONE.get(metric, "no interval")
            ours = f"{mean} (n = {row['n']}{low}; {bar})"
        theirs = "" if np.isnan(printed) else f"\nthe paper: {decimal_text(printed)}"
        texts.append(f"{DATASETS[name].title}, B = {row['batch_size']}\nours: {ours}{theirs}")
    for column in (metric, f"{metric}_paper"):
        if column in table:
            tip(axis, table["batch_size"], table[column], texts, address)


def seeds_text(n: pd.Series, metric: str = "test_acc") -> str:
    """How many seeds, and what the interval is where there is but one (see `metrics.interval`)."""
    many = n.max() > 1
    alone = f"; {'where 1, ' if many else ''}{ALONE.get(metric, 'no interval')}" if n.min() == 1 else ""
    return f"(n = {from_to(n)} seed{'s' if many else ''}{alone})"


@drawing
def learning_curves(curves: pd.DataFrame, dataset: str, *, title: str = "") -> Figure:
    """Test error after each epoch, a line for each batch size: the mean and the range over seeds. A training
    that ends at chance has a line of its own: a mean over it and others is like none of them.

    Error, not accuracy, and on a log scale: else the first epochs would flatten all that comes after. No
    error is drawn below half a test sample, since a log scale has no zero.
    """
    every, least = curves[curves["dataset"] == dataset], 50 / DATASETS[dataset].n_test
    last = every.sort_values("epoch").drop_duplicates("id", keep="last")
    lost = every["id"].isin(last.loc[~learned(last), "id"])
    runs = every[~lost]
    sizes = sorted(every["batch_size"].unique())
    several = False
    figure, axis = plt.subplots(figsize=(5.2, 4.6))
    for size, shade in zip(sizes, style.shades(len(sizes)), strict=True):
        for _, run in every[lost & (every["batch_size"] == size)].groupby("id"):
            axis.plot(run["epoch"], 100 - run["test_acc"], ":", color=shade, linewidth=1.4)
        cell = runs[runs["batch_size"] == size].groupby("epoch")["test_acc"]
        by_epoch = cell.agg(["mean", "min", "max", "count"])
        if by_epoch.empty:
            continue
        error = (100 - by_epoch).clip(lower=least)
        n = int(by_epoch["count"].iloc[0])
        label = f"B = {size} (n = {n})"
        drawn = axis.plot(error.index, error["mean"], color=shade, linewidth=1.7, label=label)
        if n > 1:
            several = True
            band = dict(color=shade, alpha=0.15, linewidth=0)
            drawn.append(axis.fill_between(error.index, error["max"], error["min"], **band))
        series(axis, f"B = {size}", *drawn)
        texts = []
        for epoch, row in by_epoch.iterrows():
            spread = f"mean of n = {n})\nrange {row['min']:.2f} to {row['max']:.2f} %" if n > 1 else "n = 1)"
            texts.append(f"B = {size}, epoch {epoch}\naccuracy {row['mean']:.2f} % ({spread}")
        address = f"data={dataset}&metric=test_acc&B={size}"
        tip(axis, error.index, error["mean"], texts, [address] * len(by_epoch))
    axis.set(xlabel="Epoch", ylabel="Test error (%, log scale)", yscale="log")
    axis.set_title(DATASETS[dataset].title)
    style.log_numbers(axis.yaxis)
    handles, labels = axis.get_legend_handles_labels()
    if several:
        handles.append(Line2D([], [], color=INK, alpha=0.2, linewidth=7))
        labels.append("range over seeds")
    if lost.any():
        handles.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.4))
        labels.append("one run, at chance")
    figure.legend(handles, labels, fontsize=9, loc="outside lower center", ncols=3)
    drawn = "Lines: means over seeds; bands: the range of all seeds" if several else "One run each"
    drawn += "; dotted: single runs that end at chance, left out of the means" if lost.any() else ""
    said = f"Test error after each epoch on {DATASETS[dataset].title}. {drawn}; {behind(every)}."
    return titled(describe(figure, said, f"data={dataset}&metric=test_acc"), title)


@drawing
def glance(frame: pd.DataFrame, metric: str = "test_acc", *, title: str = "") -> Figure:
    """One metric at a glance: a panel a data set with our means and intervals, and the paper's points."""
    columns = -(-(len(DATASETS) + 1) // 2)  # the last panel holds the key
    figure, axes = plt.subplots(2, columns, figsize=(12.5 / 3 * columns, 4.5))
    for axis in axes.flat[len(DATASETS) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, DATASETS, strict=False):
        _panel(axis, frame[frame["dataset"] == name], name, metric)
    handles = [
        Line2D([], [], color=COLORS[name], marker="o", label=_glance_label(frame, name)) for name in DATASETS
    ]
    if (frame.groupby(["dataset", "batch_size"]).size() == 1).any():
        hollow = dict(color=INK, marker="o", markerfacecolor="white", linestyle="")
        handles.append(Line2D([], [], label=f"one seed; {ALONE.get(metric, 'no interval')}", **hollow))
    handles.append(Line2D([], [], **PAPER))
    axes.flat[-1].legend(handles=handles, title="Mean over seeds, 95 % interval", **KEY)
    return _described(titled(figure, title), frame, DATASETS, metric)


def _glance_label(frame: pd.DataFrame, name: str) -> str:
    n = frame[frame["dataset"] == name].groupby("batch_size").size()
    seeds = "no runs yet" if n.empty else f"n = {from_to(n)}"
    return f"{DATASETS[name].title} ({seeds})"
