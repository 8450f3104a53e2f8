"""Figures of gradient noise, from the tables of `geometry`; none measures anything."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import gmean

from .. import published
from ..analysis.noise_and_batch_size import noise_scales
from ..config import DATASETS
from ..geometry.gradient_noise import expected_variance
from ..geometry.measurements import converged
from . import parameters
from .picture import describe
from .style import COLORS, INK, PAPER, batch_size_axis, drawing, legend, panels_of, shades


@drawing
def shares(table: pd.DataFrame, datasets) -> Figure:
    """What the 1 % of samples with the largest gradients carry, before and after training."""
    t = table[table["measure"] == "gradient_top_share"]
    shown = [d for d in datasets if (t["dataset"] == d).any()]
    trained = t[t["epoch"] > 0].groupby("dataset")["value"].size()
    counts = ", ".join(f"{DATASETS[name].title} {trained.get(name, 0)}" for name in shown)
    figure, axis = plt.subplots(figsize=(6.6, 1.7 + 0.5 * max(len(shown), 1)))
    for k, name in enumerate(reversed(shown)):
        mine = t[t["dataset"] == name]
        ends = mine[mine["epoch"] == 0]["value"], mine[mine["epoch"] > 0]["value"]
        for values, color in zip(ends, (INK, COLORS[name]), strict=True):
            axis.plot(values, [k] * len(values), "o", color=color, alpha=0.45, markersize=5)
            axis.plot(values.mean(), k, "|", color=color, markersize=22, markeredgewidth=2)
        axis.plot([i.mean() for i in ends], [k, k], color=COLORS[name], linewidth=1, alpha=0.5, zorder=0)
    axis.set_yticks(range(len(shown)), [DATASETS[name].title for name in reversed(shown)])
    axis.set(xlim=(0, 101), ylim=(-0.6, len(shown) - 0.2))
    axis.set_xlabel("Part of Σ|g|² in 1 % of the samples (%)")
    axis.set_title(parameters.finding("1 % of the samples come to carry the gradient"))
    axis.grid(axis="y", visible=False)
    axis.text(5, len(shown) - 0.45, "before training", color=INK, fontsize=9.5)
    axis.text(99, len(shown) - 0.45, "after", ha="right", color=INK, fontsize=9.5)
    return describe(
        figure,
        "How unevenly samples carry the gradient of the first layer's weights, before training (grey) and "
        f"after it: each network ({counts} trained ones), and the mean (bar). All samples alike would give "
        "1 %.",
    )


@drawing
def live(found: dict[str, pd.Series]) -> Figure:
    """Variance by mini-batch size of networks measured on the page, and the best line of slope −1."""
    figure, axis = plt.subplots(figsize=(6.2, 3.9))
    for (name, values), color in zip(found.items(), (INK, COLORS["synthetic-1k"]), strict=False):
        sigma2 = gmean(values * values.index)  # least squares of the logarithms
        axis.plot(values.index, values, "o", color=color, label=name)
        axis.plot(values.index, sigma2 / values.index, color=color, linewidth=1)
    axis.set_yscale("log")
    batch_size_axis(axis, values.index, "Mini-batch size B (log scale)")
    axis.set_ylabel("Gradient variance (log scale)")
    axis.set_title("Synthetic 1K: on the line before training, off it after", fontsize=11)
    legend(axis)
    return describe(
        figure,
        "Eq. (4) on one network before and after training, twenty mini-batches a size (n = 1); the lines "
        "fall as 1/B.",
    )


@drawing
def variance(table: pd.DataFrame, datasets) -> Figure:
    """Fig. 11: Eq. (4) against B on each network, before and after training, with what theory expects."""
    one, own = "gradient_variance_one_network", "gradient_variance"
    t = converged(table)
    t = t[t["measure"].isin([one, own]) & (t["lr_rule"] == "linear")]
    shown = [d for d in datasets if (t["dataset"] == d).any()]
    rows = 2 if len(shown) > 3 else 1  # of more in a row nobody could read the numbers
    figure, axes = panels_of(len(shown), width=4.1, height=0.4 + 3.6 * rows, least=6, rows=rows)
    for axis, name in zip(axes, shown, strict=False):  # one empty panel where nothing is shown
        mine, end = t[t["dataset"] == name], DATASETS[name].protocol.epochs
        for measure, epoch, color, mark, label in (
            (one, 0, INK, "o", "before training"),
            (one, end, COLORS[name], "o", "after training, one network (in colour)"),
            (own, end, "#CC79A7", "s", "after training, each B its own"),
        ):
            found = mine[(mine["measure"] == measure) & (mine["epoch"] == epoch)]
            if found.empty:
                continue
            points = dict(color=color, alpha=0.6, markersize=4.5, label=label)
            axis.plot(found["batch_size"], found["value"], mark, **points)
            if measure == one:  # the law itself, with the one σ² that fits best
                n, sizes = int(found["n_samples"].max()), sorted(found["batch_size"].unique())
                unit = {b: expected_variance(1.0, int(b), n) for b in sizes}
                sigma2 = gmean(found["value"] / found["batch_size"].map(unit))
                axis.plot(sizes, [sigma2 * unit[b] for b in sizes], color=color, linewidth=1)
        axis.set_yscale("log")
        batch_size_axis(axis, sorted(mine["batch_size"].unique()), "Mini-batch size B (log scale)")
        axis.set_title(f"{DATASETS[name].title} (n = {mine['seed'].nunique()})")
        axis.set_ylabel("Gradient variance, first layer")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=10)
    return describe(
        figure,
        "Variance over 20 mini-batches of the first layer's gradient, a point for each network and "
        "mini-batch size; the lines are what sampling theory expects for the σ² that fits best. "
        "Networks whose training collapsed to chance are left out.",
    )


@drawing
def noise_scale_in_training(table: pd.DataFrame, dataset: str) -> Figure:
    """The gradient noise scale through training, a line a batch size: mean over seeds, and every network.

    Networks whose gradient is not told apart from zero have no scale, and are not drawn.
    """
    t = noise_scales(table)
    t = t[t["dataset"] == dataset].dropna(subset="value")
    figure, axis = plt.subplots(figsize=(7.2, 4.0))
    sizes = sorted(t["batch_size"].unique())
    for size, color in zip(sizes, shades(len(sizes), last=0.9), strict=True):
        part = t[t["batch_size"] == size]
        means = part.groupby("epoch")["value"].mean()
        label = f"trained with B = {size} (n = {part['seed'].nunique()})"
        axis.plot(means.index, means, "-o", color=color, markersize=4, label=label)
        axis.plot(part["epoch"], part["value"], ".", color=color, alpha=0.4, markersize=4)
    printed = published.critical().set_index("dataset").loc[dataset]
    line = PAPER | {"marker": "", "label": "the paper's critical B* (Table VI)"}
    axis.axhline(printed["critical_batch_size"], **line)
    axis.set_yscale("log")
    axis.set_xscale("symlog", linthresh=1)
    ticks = sorted(t["epoch"].unique())
    axis.set_xticks(ticks, map(str, ticks))
    axis.minorticks_off()
    axis.set(xlabel="Epochs trained (0: initialization)", xlim=(-0.15, None))
    axis.set_ylabel("tr(Σ) / |G|² (samples, log scale)")
    legend(axis)
    return describe(
        figure,
        "Gradient noise scale through training, in samples: each network, and the mean over seeds; "
        "n in the key.",
    )
