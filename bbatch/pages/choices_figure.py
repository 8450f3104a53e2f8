"""The figure of the page "Resolved ambiguities": every choice, and what it moves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..config import DATASETS
from .picture import describe, tip
from .style import COLORS, INK, drawing, has_bar, with_ends

EDGE = 5.5  # points: what lies beyond is drawn at the border, with its number


@drawing
def multiverse(effects: pd.DataFrame, ranking: pd.DataFrame) -> Figure:
    """A row for each choice, in it a mark for each reading of `choices_made.effects`: what the other choice
    changes. Above test accuracy, below the gap, in points: their rows have long names."""
    order = list(ranking["choice"])[::-1]
    figure, axes = plt.subplots(2, 1, figsize=(7.6, 2.0 + 0.84 * len(order)), sharex=True)
    panels = {"accuracy": "Test accuracy", "gap": "Generalization gap"}
    for axis, (what, title) in zip(axes, panels.items(), strict=True):
        for k, choice in enumerate(order):
            cells = effects[(effects["choice"] == choice) & effects[what].notna()]
            spread = np.linspace(0.3, -0.3, len(cells)) if len(cells) != 1 else [0.0]
            for (_, cell), nudge in zip(cells.iterrows(), spread, strict=True):
                _mark(axis, cell, what, k + nudge)
            _beyond(axis, cells[what], k)
            if cells.empty:
                axis.text(0.15, k, "not known", fontsize=9, color=INK, va="center")
        axis.axvline(0, color=INK, linewidth=1, zorder=0)
        axis.set(title=title, xlabel="Other choice − ours (points)", xlim=(-EDGE, EDGE))
        axis.set_yticks(range(len(order)), order)
        axis.tick_params(labelbottom=True)
        axis.grid(axis="y", visible=False)
    shown = [name for name in DATASETS if name in set(effects["dataset"])]
    handles = [Line2D([], [], color=COLORS[n], marker="o", ls="", label=DATASETS[n].title) for n in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9.5)
    return describe(
        figure,
        "What the other choice changes, one mark for each data set and batch size, with 95 % intervals over "
        "seeds where several seeds have both. Of problems and seeds, each one's distance from their mean. "
        "Arrows: beyond the frame, with the number.",
    )


def _beyond(axis, intervals: pd.Series, y: float) -> None:
    """The numbers of a row that lie beyond the frame, in one line on each side."""
    for side, align in ((-1, "left"), (1, "right")):
        told = [i.text(1, sign="+") for i in intervals if side * i.mean > EDGE]
        if told:
            how = {"fontsize": 8.5, "va": "center", "ha": align}
            axis.text(0.92 * side * EDGE, y, f" {', '.join(told)} ", **how)


def _mark(axis, cell: pd.Series, what: str, y: float) -> None:
    i, color, title = cell[what], COLORS[cell["dataset"]], DATASETS[cell["dataset"]].title
    said = f"{cell['choice']}\n{title}, B = {cell['batch_size']}: {i.text(sign='+')}"
    tip(axis, [np.clip(i.mean, -EDGE, EDGE)], [y], [said])
    if abs(i.mean) > EDGE:
        side = np.sign(i.mean)
        axis.plot(0.97 * side * EDGE, y, "<" if side < 0 else ">", color=color, markersize=7, clip_on=False)
    elif has_bar(i) and i.n > 1:
        look = dict(fmt="o", color=color, markersize=3.5, capsize=1.5, linewidth=1)
        axis.errorbar(i.mean, y, xerr=with_ends([i])[1], **look)
    else:
        axis.plot(i.mean, y, "o", color=color, markersize=3, alpha=0.6)
