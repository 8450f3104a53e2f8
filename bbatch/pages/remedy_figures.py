"""Figures of the remedies (the part of the gap that each closes) and of networks compared."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..config import DATASETS
from ..errors import BadInput
from ..statistics import span
from ..studies.remedies import SETTINGS
from .picture import describe, tip
from .style import COLORS, INK, batch_size_axis, drawing, log_numbers, with_ends

LIMITS = (-0.75, 2.75)  # of the share drawn; intervals that reach further are cut
LINES = (("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^:"), ("#E69F00", "v-."))  # of networks
APART = 0.3  # between the batch sizes of a remedy, in rows
# Networks by the names that a reader knows them by.
TITLES = {
    "mlp": "the paper's",
    "mlp-batch-norm": "with batch normalization",
    "cifar-cnn": "the paper's",
    "resnet-8-batch-norm": "ResNet-8, batch norm",
    "resnet-8-group-norm": "ResNet-8, group norm",
    "small-vit": "vision transformer",
}


@drawing
def shares_closed(tables: dict[str, pd.DataFrame]) -> Figure:
    """A panel a study, a row a remedy, a marker a batch size, with intervals (`remedies.gap_closed`)."""
    if not tables:
        raise BadInput(f"studies are []; one or more are needed, of {', '.join(SETTINGS)}.")
    rows = [table["remedy"].nunique() for table in tables.values()]
    figsize = (6.8, 1.4 * len(rows) + 0.42 * sum(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=figsize, squeeze=False, height_ratios=rows)
    for axis, (name, table) in zip(axes[:, 0], tables.items(), strict=True):
        _panel(axis, name, table)
    # below all panels: marks stand anywhere in them
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return describe(
        figure,
        "Each remedy at its own best rate, chosen on held-out samples. 0: the large batch at the rate of "
        "B = 32; 1: as accurate as B = 32. 95 % intervals from seeds drawn again, some of them cut at the "
        f"frame; an arrow stands for a value beyond it. {' '.join(map(_seeds, tables, tables.values()))}",
    )


def _seeds(name: str, table: pd.DataFrame) -> str:
    counts = sorted({share.n for share in table["accuracy"]}, reverse=True)
    told = f"n = {' or '.join(map(str, counts))}, {', '.join(sorted(table['precision'].unique()))}"
    return f"{DATASETS[SETTINGS[name].dataset].title}: {told}."


def _panel(axis, name: str, table: pd.DataFrame) -> None:
    dataset, order = SETTINGS[name].dataset, list(dict.fromkeys(table["remedy"]))
    color, sizes, (low, high) = COLORS[dataset], sorted(table["batch_size"].unique()), LIMITS
    told = table[[not math.isnan(share.mean) for share in table["share"]]]
    for k, b in enumerate(sizes):
        mine = told[told["batch_size"] == b]
        y = [order.index(r) + APART * (k - (len(sizes) - 1) / 2) for r in mine["remedy"]]
        means, ends = with_ends(mine["share"])
        filled = {"markerfacecolor": "white" if k == 0 else color, "label": f"B = {b}"}
        axis.errorbar(means, y, xerr=ends, fmt="so"[k], color=color, capsize=2, **filled)
        for mean, row in zip(means, y, strict=True):
            if not low <= mean <= high:
                edge, arrow = (low, "<") if mean < low else (high, ">")
                axis.plot(edge, row, arrow, color=color, clip_on=False, zorder=3)
        texts = [f"{r}, B = {b}: {span(i)}" for r, i in zip(mine["remedy"], mine["share"], strict=True)]
        tip(axis, means, y, texts)
    for at, style in ((0, ":"), (1, "-")):
        axis.axvline(at, color=INK, linestyle=style, linewidth=1)
    axis.set_yticks(range(len(order)), order)
    axis.set(title=DATASETS[dataset].title, xlabel="Share of the gap to B = 32 that is closed", xlim=LIMITS)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")


@drawing
def networks_compared(table: pd.DataFrame, dataset: str) -> Figure:
    """Best accuracy and rate against batch size, a line a network (`architectures.by_network`). A rate at the
    edge of those tried is hollow: the best may lie beyond."""
    figure, axes = plt.subplots(1, 2, figsize=(10.0, 4.0))
    for (network, rows), (color, style) in zip(table.groupby("network", sort=False), LINES, strict=False):
        for axis, what in zip(axes, ("accuracy", "optimum"), strict=True):
            how = {"color": color, "fmt": style, "capsize": 2, "label": TITLES.get(network, network)}
            axis.errorbar(rows["batch_size"], *with_ends(rows[what]), **how)
        beyond = rows[rows["at_edge"]]
        hollow = dict(color=color, marker=style[0], markerfacecolor="white", zorder=3, linestyle="")
        axes[1].plot(beyond["batch_size"], [i.mean for i in beyond["optimum"]], **hollow)
    for axis in axes:
        batch_size_axis(axis, sorted(table["batch_size"].unique()))
    counts = {name: rows["accuracy"].iloc[0].n for name, rows in table.groupby("network", sort=False)}
    seeds = ", ".join(f"{TITLES.get(name, name)} {n}" for name, n in counts.items())
    axes[0].set_ylabel("Test accuracy at the best rate (%)")
    axes[1].set(ylabel="Best learning rate (log scale)", yscale="log")
    log_numbers(axes[1].yaxis)
    axes[0].legend(loc="lower left", fontsize=9)
    return describe(
        figure,
        f"{DATASETS[dataset].title} (seeds: {seeds}): what each batch size attains at its best "
        "rate, and that rate; hollow where the lowest or highest rate tried did best. Rates chosen on "
        "held-out samples; 95 % intervals from three or more seeds drawn again.",
    )
