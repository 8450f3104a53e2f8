"""The figure and the table of the landing page."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..analysis import accuracy
from ..analysis.cells import learned
from ..analysis.estimate import Estimate
from ..config import BASE, DATASETS
from . import report
from .figures import behind, lost_below
from .picture import describe, series, tip
from .shown import Table
from .style import COLORS, INK, PAPER, batch_size_axis, drawing, drawn_bounds, has_bar, with_ends
from .tables import compare

TITLES = "Four data sets, beside B = 32", "CIFAR-10"  # where no notebook says what is found
APART = "cifar10"  # the data set with a panel of its own: there accuracy moves by tens of points
# Where the name of a line stands: beside its first (0) or last (-1) point, and how far from there.
NAMED = {
    "synthetic-1k": (0, (8, -2)),
    "synthetic-10k": (0, (9, -4)),
    "synthetic-50k": (0, (4, 26)),
    "mnist": (-1, (0, -36)),
}


@drawing
def overview(runs: pd.DataFrame, titles: tuple[str, str] = TITLES) -> Figure:
    """Test accuracy under the linear rule against batch size, with the paper's single runs: on four data sets
    as the difference from B = 32, paired by seed, on CIFAR-10 as it is. `titles`: what the panels show."""
    linear = runs[runs["lr_rule"] == "linear"]
    paper = published.results().set_index(["dataset", "batch_size"])["test_acc"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.3), width_ratios=(1.2, 1))
    left.axhline(0, color=INK, linewidth=0.8)
    for name in NAMED:
        _changes(left, linear, paper[name] - paper[name, BASE], name)
    _levels(right, linear, paper[APART])
    left.plot([], [], label="ours: mean, 95 % interval", color=INK, marker="o", markersize=5)
    left.plot([], [], **_diamonds(INK) | {"label": "the paper: one run each"})
    left.legend(fontsize=9, loc="lower right", bbox_to_anchor=(1, 0.12))
    left.set(ylabel=f"Test accuracy, difference from B = {BASE} (points)", title=titles[0])
    right.set(ylabel="Test accuracy (%)", title=titles[1], ylim=(0, 100))
    for axis in (left, right):
        batch_size_axis(axis, DATASETS[APART].protocol.batch_sizes)
    said = (
        "Test accuracy against batch size under the paper's rule for the learning rate. Left: difference "
        f"from B = {BASE}, paired by seed. Right: {DATASETS[APART].title}; hollow circles: one seed, with "
        f"the sampling error of the test set. Diamonds: the paper's single runs. Ours: {behind(linear)}."
    )
    return describe(figure, said, runs="metric=test_acc")


def _diamonds(color: str) -> dict:
    return PAPER | {"color": color, "linestyle": "", "markersize": 5, "label": None}


def _changes(axis, runs: pd.DataFrame, printed: pd.Series, name: str) -> None:
    """One data set's differences from the base, named at one end."""
    color, title = COLORS[name], DATASETS[name].title
    sizes = sorted(int(b) for b in runs[runs["dataset"] == name]["batch_size"].unique())
    if BASE not in sizes:
        return
    found = [accuracy.change(runs, name, BASE, b) for b in sizes]
    mine = runs[runs["dataset"] == name].set_index("seed")
    steady = learned(mine)
    lost = (~steady).groupby(mine["batch_size"]).sum()
    # The mean of trainings of which some collapse is like none of them, and far below this panel.
    value, reach = with_ends([Estimate() if lost[b] else i for b, i in zip(sizes, found, strict=True)])
    line, *_ = axis.errorbar(sizes, value, reach, color=color, marker="o", markersize=5, capsize=3).lines
    wide = mine[steady].pivot_table(index="seed", columns="batch_size", values="test_acc")
    for b, i in zip(sizes, found, strict=True):
        if lost[b] or not has_bar(i):
            pairs = (wide[b] - wide[BASE]).dropna()
            axis.plot([b] * len(pairs), pairs, ".", color=color, alpha=0.5)
    axis.plot(printed.index, printed, **_diamonds(color))
    lost_below(axis, mine)
    at, offset = NAMED[name]
    label = f"{title} (n = {max(i.n for i in found)})"
    ground = dict(facecolor="white", edgecolor="none", pad=0.5)  # so that no line crosses the letters
    where = dict(xytext=offset, textcoords="offset points", ha="right" if at else "left", va="center")
    look = dict(color=color, fontweight="bold", fontsize=9.5, bbox=ground)
    ends = [point for point in zip(sizes, value, strict=True) if not math.isnan(point[1])]
    axis.annotate(label, ends[at], **where, **look)
    series(axis, title, line)
    texts = [
        f"{title}, B = {b}\n{i.text(sign='+')} points (n = {i.n})" for b, i in zip(sizes, found, strict=True)
    ]
    tip(axis, sizes, value, texts, [f"data={name}&metric=test_acc&B={b}" for b in sizes])


def _levels(axis, runs: pd.DataFrame, printed: pd.Series) -> None:
    """The accuracies of the data set apart, with single runs as dots; the mean of a single seed is hollow."""
    color, title, chance = COLORS[APART], DATASETS[APART].title, 100 / DATASETS[APART].classes
    axis.axhline(chance, color=INK, linewidth=0.8, linestyle="--")
    axis.annotate("chance", (1, chance), xytext=(0, 4), textcoords="offset points", fontsize=9)
    axis.plot(printed.index, printed, **_diamonds(INK))
    table = compare(runs, APART, ("test_acc",)).query("n > 0")
    size, value, n = table["batch_size"], table["test_acc"], table["n"]
    low, high = drawn_bounds(table, "test_acc")
    bars = dict(color=color, linestyle=":", linewidth=1, capsize=3)
    axis.errorbar(size, value, [value - low, high - value], **bars)
    for some, inside in ((n > 1, color), (n == 1, "white")):
        axis.plot(size[some], value[some], "o", color=color, markerfacecolor=inside, markersize=6)
    # The mean of trainings of which some collapse is like none of them.
    single = runs[(runs["dataset"] == APART) & runs["batch_size"].isin(size[n > 1])]
    axis.plot(single["batch_size"], single["test_acc"], ".", color=color, alpha=0.5)
    texts = [f"{title}, B = {b}\n{v:.2f} % (n = {k})" for b, v, k in zip(size, value, n, strict=True)]
    tip(axis, size, value, texts, [f"data={APART}&metric=test_acc&B={b}" for b in size])


def answer_table(runs: pd.DataFrame) -> Table:
    """The small table: where a data set's accuracy is flat, where it is best, and what B = 512 costs."""
    found = accuracy.at_a_glance(runs)
    columns = {
        "dataset": found["dataset"],
        "flat": [f"{a} to {b}" if a < b else f"{a} alone" for a, b in found["flat"]],
        "best B": found["best"],
        "cost of B = 512 (points)": [i.text() for i in found["cost_of_512"]],
        "seeds": [i.n for i in found["cost_of_512"]],
        "batch sizes recorded": found["sizes"],
    }
    caption = "The batch size on each data set, under the paper's rule; ± half of the 95 % interval"
    return report.show(pd.DataFrame(columns), caption)
