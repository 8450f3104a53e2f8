"""The figure of Section IV-C: what a larger batch saves and costs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..analysis.efficiency import printed_speedup
from ..config import BASE, DATASETS
from ..statistics import from_to
from . import parameters
from .efficiency_tables import ratio_text
from .picture import describe, series, tip
from .style import COLORS, INK, PAPER, batch_size_axis, drawing, log_numbers, with_ends

PANELS = {
    "epoch": "Speed-up of an epoch",
    "epochs": "Epochs to the accuracy",
    "effective": "Speed-up to the accuracy",
}


@drawing
def efficiency(speedups: pd.DataFrame, titles: tuple[str, ...] = tuple(PANELS.values())) -> Figure:
    """Epoch time, epochs and time to an accuracy against batch size, as ratios to B = 32: a line a data set.

    `speedups` as `efficiency.all_speedups` makes it; the paper's points come from its printed epoch times.
    `titles`: what the three panels show.
    """
    lines: dict[str, list] = {}
    paper = published.printed_frame()
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4))
    for axis, (column, title), finding in zip(axes, PANELS.items(), titles, strict=True):
        axis.axhline(1, color=INK, linewidth=0.8)
        for name, table in speedups.groupby("dataset", sort=False):
            sizes, drawn = table["batch_size"], lines.setdefault(DATASETS[name].title, [])
            mean, reach = map(np.array, with_ends(table[column]))
            below, above = reach * (sizes != BASE).to_numpy()  # the base to itself is 1, whatever the runs
            label = f"{DATASETS[name].title} (n = {from_to(table['n'])})"
            drawn += axis.plot(sizes, mean, color=COLORS[name], marker="o", markersize=5, label=label)
            band = dict(color=COLORS[name], alpha=0.22, linewidth=0)
            drawn.append(axis.fill_between(sizes, mean - below, mean + above, **band))
            texts = [
                f"{DATASETS[name].title}, B = {b}\n{title.lower()} {ratio_text(i)} (n = {i.n})"
                for b, i in zip(sizes, table[column], strict=True)
            ]
            tip(axis, sizes, mean, texts, [f"data={name}&metric=epoch_time_s&B={b}" for b in sizes])
            if column == "epoch":
                grid = DATASETS[name].protocol.batch_sizes
                ratios = pd.Series({b: printed_speedup(paper, name, BASE, b).value for b in grid})
                theirs = ratios.dropna()  # empty for a data set that the paper does not have
                marks = PAPER | {"color": COLORS[name], "markersize": 5, "alpha": 0.8, "label": None}
                drawn += axis.plot(theirs.index, theirs, **marks)
                texts = [
                    f"{DATASETS[name].title}, B = {b}\nthe paper: {title.lower()} ×{ratio:.3g}"
                    for b, ratio in theirs.items()
                ]
                tip(axis, theirs.index, theirs, texts)
        axis.set_yscale("log")
        log_numbers(axis.yaxis)
        batch_size_axis(axis, DATASETS["mnist"].protocol.batch_sizes)
        axis.set(title=parameters.finding(finding), ylabel=f"{title} (ratio to B = {BASE}, log scale)")
    for name, drawn in lines.items():
        series(axes[0], name, *drawn)
    axes[0].plot([], [], **PAPER | {"label": "the paper's epoch times"})
    axes[0].legend(fontsize=8.5)
    return describe(
        figure,
        f"Ratios to B = {BASE} on one data set, paired by seed, with 95 % intervals, log scale. Dotted: from "
        "the epoch times that the paper prints. No point: never reached, or both within their first epoch.",
        runs="metric=epoch_time_s",
    )
