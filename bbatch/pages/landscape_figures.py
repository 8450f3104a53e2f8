"""Loss landscapes in figures, from the tables of `geometry`; nothing is measured here."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..analysis.landscapes import Grids
from ..config import DATASETS
from .landscape_surfaces import ROUND, log_range
from .picture import describe
from .style import COLORS, INK, drawing, legend, panels_of


@drawing
def contours(found: Grids, caption: str, loss: str = "Test loss") -> Figure:
    """Surfaces from above, side by side: lines of equal loss, the same levels in each panel."""
    figure, axes = panels_of(len(found), width=3.6, height=4.3, least=5.2)
    levels = np.logspace(*log_range(found.values()), 15) if found else []
    for axis, (label, (a, b, height)) in zip(axes, found.items(), strict=False):  # one panel for none
        filled = axis.contourf(a, b, height.T, levels, norm=LogNorm(levels[0], levels[-1]), cmap="viridis")
        axis.contour(a, b, height.T, levels, colors="white", linewidths=0.4)
        axis.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.6)
        axis.set(xlabel="a, along $d_1$", ylabel="b, along $d_2$", title=label, aspect="equal")
        axis.grid(visible=False)
    if found:
        ticks = [v for v in ROUND if levels[0] <= v <= levels[-1]] or levels[[0, -1]]
        below = dict(orientation="horizontal", shrink=0.6, aspect=30)  # where a phone has room
        bar = figure.colorbar(filled, ax=axes, ticks=ticks, format="%.3g", **below)
        bar.set_label(f"{loss} (nats, log scale)")
    else:
        axes[0].set_title("No landscape recorded yet")
    return describe(figure, caption)


@drawing
def loss_paths(points: pd.DataFrame, datasets) -> Figure:
    """A panel a data set: the loss on the straight way from B = 32 to the larger batches."""
    t = points[(points["kind"] == "path") & points["dataset"].isin(datasets)]
    names = [name for name in datasets if (t["dataset"] == name).any()]
    figure, axes = panels_of(len(names), width=4.9, height=3.9)
    for axis, name in zip(axes, names, strict=False):  # one empty panel where there is none
        colors = iter((COLORS[name], INK, "#CC79A7"))  # three at most
        for other, lines in t[t["dataset"] == name].groupby("to_batch_size"):
            color = next(colors)
            for split, dash in (("test", "-"), ("train", "--")):
                line, label = lines[lines["split"] == split], f"{split}, to B = {other}"
                axis.plot(line["a"], line["loss"], dash, color=color, label=label)
        for at in (0, 1):
            axis.axvline(at, color=INK, linewidth=0.8, linestyle=":")
        axis.set(xlabel="From B = 32 (0) to the larger batch (1)", title=DATASETS[name].title)
        axis.set(yscale="log", ylabel="Loss (nats, log scale)", xticks=[-0.5, 0, 0.5, 1, 1.5])
        legend(axis)
    said = "Loss on the straight way between two trained networks (n = 1 each); dotted lines mark the two."
    return describe(figure, said)
