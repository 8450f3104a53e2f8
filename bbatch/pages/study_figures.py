"""Figures of the studies: the map of batch size and rate, and what a batch size costs at the right rate."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ..analysis import batch_and_rate
from ..config import DATASETS
from .picture import describe
from .shown import grouped
from .style import COLORS, INK, drawing, panels_of, with_ends

DEEPEST = 5.0  # points below the best cell from which a map is one colour: what matters lies above
RULES = {
    "constant": ("constant", (0, (1, 1.5))),
    "sqrt": ("square root", (0, (4, 2))),
    "linear": ("linear", "-"),
}


@drawing
def maps(tables: dict[str, pd.DataFrame], deepest: float = DEEPEST) -> Figure:
    """A panel a data set: test accuracy of each batch size and constant rate, the rules of the learning rate
    as lines, and the best rate of each size (chosen on held-out data) with its interval. Colours end
    `deepest` points below the best cell."""
    figure, axes = panels_of(len(tables), width=4.3, height=4.6)
    for axis, (name, runs) in zip(axes, tables.items(), strict=True):
        drawn = _map(axis, name, runs, deepest)
        axis.set_ylabel("Learning rate (log scale)")
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.5, aspect=40)
    bar.set_label("Test accuracy below the best cell of the map (points)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return describe(
        figure,
        f"Each cell is the mean over seeds ({_seeds(tables)}); circles are the rates chosen on held-out "
        "samples, with 95 % intervals.",
    )


def _seeds(tables: dict[str, pd.DataFrame]) -> str:
    """How many seeds stand behind a data set's means, and in which arithmetic they were trained."""
    told = []
    for name, runs in tables.items():
        [arithmetic] = runs["precision"].unique()
        told.append(f"{DATASETS[name].title} n = {runs['seed'].nunique()}, {arithmetic}")
    return "; ".join(told)


def _size_axis(axis, sizes) -> None:
    """Batch sizes over so wide a range that only every second or fourth power of two has its number."""
    axis.set(xscale="log", xlabel="Batch size B (log scale)")
    axis.xaxis.set_major_locator(LogLocator(base=4 if max(sizes) < 10_000 else 16, numticks=20))
    axis.xaxis.set_major_formatter(FuncFormatter(grouped))
    axis.xaxis.set_minor_locator(NullLocator())


def _map(axis, name: str, runs: pd.DataFrame, deepest: float):
    wide = runs.pivot_table(index="lr", columns="batch_size", values="test_acc")
    below = np.nanmax(wide.to_numpy()) - wide.to_numpy()
    x, y = np.log2(wide.columns.to_numpy(float)), np.log2(wide.index.to_numpy(float))
    look = dict(cmap="viridis_r", vmin=0, vmax=deepest, rasterized=True)
    drawn = axis.pcolormesh(2 ** _edges(x), 2 ** _edges(y), below, **look)
    base = DATASETS[name].protocol
    for rule, (title, style) in RULES.items():
        sizes = 2.0 ** np.array([x[0], x[-1]])
        rate = [base.rate(b, rule) for b in sizes.tolist()]
        axis.plot(sizes, rate, color="white", linewidth=3.2)
        axis.plot(sizes, rate, color=INK, linestyle=style, linewidth=1.5, label=f"{title} rule")
    best = batch_and_rate.best_rates(runs)
    middle, ends = with_ends(best["optimum"])
    hollow = dict(fmt="o", color=INK, markerfacecolor="white")
    axis.errorbar(best["batch_size"], middle, ends, label="best rate", **hollow)
    axis.set(yscale="log", title=DATASETS[name].title)
    axis.set_ylim(2 ** _edges(y)[0], 2 ** _edges(y)[-1])
    _size_axis(axis, wide.columns)
    axis.grid(visible=False)
    return drawn


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of cells around these centres, half-way to the neighbours: [n] -> [n + 1]."""
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]])


@drawing
def accuracy_by_rule(tables: dict[str, pd.DataFrame]) -> Figure:
    """A panel a data set: test accuracy against batch size at the best rate and by the rules."""
    figure, axes = panels_of(len(tables), width=4.3, height=4.0)
    for axis, (name, runs) in zip(axes, tables.items(), strict=True):
        _accuracies(axis, name, runs)
        axis.set_ylabel("Test accuracy (%)")
    axes[0].legend(loc="lower left", fontsize=9)
    return describe(
        figure,
        "Line with intervals: the rate chosen for each batch size on held-out samples. Others: the paper's "
        f"base rate under three rules. Means over seeds ({_seeds(tables)}); 95 % intervals from seeds drawn "
        "again.",
    )


def _accuracies(axis, name: str, runs: pd.DataFrame) -> None:
    best = batch_and_rate.best_rates(runs)
    lost = batch_and_rate.rules_on_map(runs)
    means, ends = with_ends(best["accuracy"])
    for rule, (title, style) in RULES.items():
        of_rule = lost[lost["rule"] == rule]
        at_rule = means - np.array([i.mean for i in of_rule["loss"]])
        axis.plot(
            of_rule["batch_size"], at_rule, color=INK, linestyle=style, label=f"{title} rule", alpha=0.8
        )
    look = dict(fmt="o-", color=COLORS[name], linewidth=2.2, capsize=2)
    axis.errorbar(best["batch_size"], means, ends, label="best rate", **look)
    bottom = min(max(means) - 12, *(i.low - 1 for i in best["accuracy"]))  # the best rates are never cut off
    axis.set(title=DATASETS[name].title, ylim=(bottom, max(means) + 1))
    _size_axis(axis, best["batch_size"])
