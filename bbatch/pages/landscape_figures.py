"""Loss landscapes in figures and in words, from the tables of `geometry`; nothing is measured here."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config import DATASETS
from ..geometry.measurements import pictured
from .landscape_surfaces import grids, log_range
from .picture import describe
from .style import COLORS, INK, STYLE, legend


def contours(points: pd.DataFrame, dataset: str, split: str = "test") -> Figure:
    """The same surfaces from above: lines of equal loss, the same levels in each panel."""
    found = grids(points, dataset, split)
    seeds = ", ".join(map(str, pictured(points, dataset)["seed"].unique()))
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        size = (max(5.2, 4.0 * len(found)), 5.0)
        figure, axes = plt.subplots(1, max(len(found), 1), figsize=size, squeeze=False)
        levels = np.logspace(*log_range(found.values()), 15) if found else []
        for axis, (label, (a, b, loss)) in zip(axes[0], found.items(), strict=False):  # one panel for none
            norm = mpl.colors.LogNorm(levels[0], levels[-1])
            filled = axis.contourf(a, b, loss.T, levels, norm=norm, cmap="viridis")
            axis.contour(a, b, loss.T, levels, colors="white", linewidths=0.4)
            axis.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.6)
            axis.set(xlabel="a, along $d_1$", title=label, aspect="equal")
        axes[0, 0].set_ylabel("b, along $d_2$")
        if found:
            ticks = [10.0**k for k in range(-4, 6) if levels[0] <= 10.0**k <= levels[-1]]
            figure.colorbar(
                filled,
                ax=axes,
                label=f"{split} loss (nats, log scale)",
                ticks=ticks or levels[[0, -1]],
                format="%.3g",
                orientation="horizontal",  # a phone shows it below the panels
                shrink=0.6,
                aspect=30,
            )
        else:
            axes[0, 0].set_title(f"{DATASETS[dataset].title}: no landscape recorded yet")
    plt.close(figure)
    return describe(
        figure,
        f"{DATASETS[dataset].title}: {split} loss around trained networks seen from above, on a plane of "
        f"two filter-normalised directions (n = 1 network each, seed {seeds}; the same levels in each panel; "
        "cross-entropy, nats). The cross marks the trained weights.",
    )


def loss_paths(points: pd.DataFrame, dataset: str) -> Figure:
    """Test and training loss on the straight way from the network of B = 32 to that of another batch size."""
    t = points[(points["dataset"] == dataset) & (points["kind"] == "path")]
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 3.9))
        sizes = sorted(t["to_batch_size"].unique(), reverse=True)
        colors = dict(zip(sizes, (COLORS[dataset], INK, "#CC79A7"), strict=False))  # three at most
        for (size, other, split), line in t.groupby(["batch_size", "to_batch_size", "split"]):
            label, dash = f"{split} loss, B = {size} to {other}", "-" if split == "test" else "--"
            axis.plot(line["a"], line["loss"], dash, color=colors[other], label=label)
        for at in (0, 1):
            axis.axvline(at, color=INK, linewidth=0.8, linestyle=":")
        axis.set(
            xlabel="0: the network of B = 32;  1: that of the larger batch",
            ylabel="Cross-entropy (nats, log scale)",
            yscale="log",
            title=DATASETS[dataset].title + ("" if len(t) else ": no path recorded yet"),
        )
        legend(axis)
    plt.close(figure)
    return describe(
        figure,
        "Loss on the straight way from one trained network to another (n = 1 each), in nats; "
        "the dotted lines mark the two.",
    )


def slices(points: pd.DataFrame, dataset: str) -> Figure:
    """Fig. 1 from real networks: training and test loss on one line through each recorded minimum.

    The line, filter-normalised, is the middle row of each surface; dots mark the lowest points.
    """
    t = pictured(points, dataset)
    t = t[t["b"].abs() < 1e-6]
    sizes = sorted(t["batch_size"].unique())
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, max(1, len(sizes)), figsize=(10.5, 3.9), sharey=True, squeeze=False)
        for axis, size in zip(axes[0], sizes, strict=False):  # one panel, too, for none
            lowest = {}
            for split, line in t[t["batch_size"] == size].groupby("split"):
                color, dash = (COLORS[dataset], "--") if split == "test" else (INK, "-")
                axis.plot(line["a"], line["loss"], dash, color=color, linewidth=1.8, label=f"{split} loss")
                lowest[split] = line.loc[line["loss"].idxmin(), ["a", "loss"]]
                axis.plot(*lowest[split], "o", color=color, markersize=5)
            axis.set(
                xlabel="Step along a filter-normalised direction",
                title=f"B = {size} (seed {t['seed'].iloc[0]})",
            )
            legend(axis)
        axes[0, 0].set(ylabel="Cross-entropy (nats, log scale)", yscale="log")
    plt.close(figure)
    return describe(
        figure,
        "The picture of Fig. 1 drawn from two trained networks (n = 1 each): training and test loss along "
        "one filter-normalised direction; the dots are the lowest points.",
    )


def _around(surface: pd.DataFrame, radius: float) -> float:
    """Median loss of a surface on the circle of this radius; at 0, the loss at its centre."""
    away = np.hypot(surface["a"], surface["b"])
    if not radius:
        return surface.loc[away.idxmin(), "loss"]
    return surface.loc[abs(away - radius) < 0.05, "loss"].median()


def landscape_sentence(points: pd.DataFrame, dataset: str, split: str = "test") -> str:
    """Each recorded surface in numbers: the loss at its centre, half way to the border, and at the border."""
    t = pictured(points, dataset)
    t, parts = t[t["split"] == split], []
    for (size, precision), surface in t.groupby(["batch_size", "precision"]):
        centre, half, border = (_around(surface, radius) for radius in (0, 0.5, 1))
        parts.append(
            f"B = {size}{'' if precision == 'fp32' else ', ' + precision}: {split} loss {centre:.3g} "
            f"at the centre, {half:.3g} half way to the border, {border:.3g} at it (medians around the "
            "circle)"
        )
    if not parts:
        return f"**{DATASETS[dataset].title}**, no landscape recorded yet."
    n, seed = t["n_samples"].iloc[0], t["seed"].iloc[0]
    parts.append(f"{n:,} {split} samples, seed {seed}, directions drawn once")
    return f"**{DATASETS[dataset].title}**, {'; '.join(parts)}."


def walk_sentence(points: pd.DataFrame, dataset: str, split: str = "test") -> str:
    """How far each recorded surface rises above its centre, batch size by batch size, under each rule."""
    t = points[(points["dataset"] == dataset) & (points["kind"] == "surface") & (points["split"] == split)]
    parts = []
    for rule in t["lr_rule"].unique():
        shared = t["batch_size"] == DATASETS[dataset].protocol.base_batch  # there the rules are one
        rises = []
        for size, surface in t[shared | (t["lr_rule"] == rule)].groupby("batch_size"):
            rises.append(f"{_around(surface, 1) - _around(surface, 0):.2f} (B = {size})")
        parts.append(f"{', '.join(rises)} under the {rule} rule")
    if not parts:
        return "No landscape recorded yet."
    return (
        f"From the centre to the border the {split} loss rises, in nats (medians around the circle, "
        f"n = 1 network each), by {'; by '.join(parts)}."
    )
