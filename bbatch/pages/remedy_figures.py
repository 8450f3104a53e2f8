"""The figure of the remedies: the part of the gap to B = 32 that each closes."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..config import DATASETS
from ..statistics import span
from .picture import describe, tip
from .style import COLORS, INK, STYLE

LIMITS = (-0.75, 1.75)  # of the share drawn; intervals that reach further are cut
APART = 0.3  # between the batch sizes of a remedy, in rows


def shares_closed(tables: dict[str, pd.DataFrame]) -> Figure:
    """A panel a data set, a row a remedy, a marker a batch size, with intervals. Tables by data set, as
    `remedies.gap_closed` gives them."""
    rows = max(table["remedy"].nunique() for table in tables.values())
    with mpl.rc_context(STYLE):
        size = (6.4 * len(tables), 1.4 + 0.42 * rows)
        figure, axes = plt.subplots(1, len(tables), figsize=size, squeeze=False)
        for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
            _panel(axis, name, table)
        axes[0, 0].legend(loc="lower left", fontsize=9)
    plt.close(figure)
    return describe(
        figure,
        "Most of the gap closes with the right learning rate alone. Each remedy at its own best rate, chosen "
        "on held-out samples. 0: the large batch at the rate of B = 32; 1: as accurate as B = 32. "
        "95 % intervals from seeds drawn again; some are cut at the frame.",
    )


def _panel(axis, name: str, table: pd.DataFrame) -> None:
    order = list(dict.fromkeys(table["remedy"]))
    sizes = sorted(table["batch_size"].unique())
    for k, b in enumerate(sizes):
        mine = table[table["batch_size"] == b].dropna(subset=["share"])
        y = [order.index(r) + APART * (k - (len(sizes) - 1) / 2) for r in mine["remedy"]]
        means = [i.mean for i in mine["share"]]
        ends = [[i.mean - i.low for i in mine["share"]], [i.high - i.mean for i in mine["share"]]]
        filled = {"markerfacecolor": "white" if k == 0 else COLORS[name], "label": f"B = {b:,}"}
        axis.errorbar(means, y, xerr=ends, fmt="so"[k], color=COLORS[name], capsize=2, **filled)
        tip(
            axis,
            means,
            y,
            [f"{r}, B = {b:,}: {span(i)}" for r, i in zip(mine["remedy"], mine["share"], strict=True)],
        )
    for at, style in ((0, ":"), (1, "-")):
        axis.axvline(at, color=INK, linestyle=style, linewidth=1)
    axis.set_yticks(range(len(order)), order)
    axis.set(title=DATASETS[name].title, xlabel="Share of the gap to B = 32 that is closed", xlim=LIMITS)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
