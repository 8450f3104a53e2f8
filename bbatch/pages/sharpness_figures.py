"""Figures of sharpness (Section IV-E), from the tables of `geometry`; nothing is measured here."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..geometry.one_network import EPSILON, LITERAL, MEASURES
from ..statistics import mean_interval
from .picture import describe
from .style import COLORS, STYLE, legend

RULE_STYLE = {"linear": "-", "constant": ":"}
NORM_LABELS = {"l2": "‖δ‖₂ ≤ ε", "linf": "‖δ‖∞ ≤ ε", "relative": "‖δ‖₂ ≤ ε‖w‖₂", "filter": "by filter"}


def rescaled(table: pd.DataFrame) -> Figure:
    """Each reading of Eq. (3) on one network whose layers are rescaled without changing its function."""
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 3.9))
        for (norm, line), mark in zip(table.groupby("norm", sort=False), "osD^", strict=False):
            at_one = line.loc[np.isclose(line["factor"], 1), "value"].iloc[0]
            axis.plot(line["factor"], line["value"] / at_one, marker=mark, label=NORM_LABELS[norm])
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set(
            xlabel="First layer times, second layer divided by (log scale)",
            ylabel="Sharpness over that at 1 (log)",
            title=f"One function, many sharpnesses (ε = {EPSILON})",
        )
        legend(axis)
    plt.close(figure)
    return describe(
        figure,
        "Sharpness of one and the same function (n = 1 network): one layer multiplied, the next divided "
        "by the factor. A reading that depends on the function alone would be flat.",
    )


def sharpness_against_batch(
    table: pd.DataFrame,
    dataset: str,
    measures=(LITERAL, ("sharpness_filter", "train"), ("keskar_full", "train"), ("hessian_top", "train")),
) -> Figure:
    """Measures of sharpness against B by rule: every network, and geometric means with 95 % intervals.

    `table` as from `sharpness_and_batch_size.final`.
    """
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(measures), figsize=(3.5 * len(measures), 3.9), squeeze=False)
        for axis, (measure, split) in zip(axes[0], measures, strict=True):
            t = table[(table["measure"] == measure) & (table["split"] == split)]
            rules = t.groupby("lr_rule", sort=False)
            for (rule, part), color in zip(rules, (COLORS[dataset], "#CC79A7"), strict=False):
                cells = {b: mean_interval(np.log(cell)) for b, cell in part.groupby("batch_size")["value"]}
                mean, low, high = (
                    np.exp([getattr(i, end) for i in cells.values()]) for end in ("mean", "low", "high")
                )
                bars = dict(color=color, marker="o", markersize=4, capsize=3, linestyle=RULE_STYLE[rule])
                label = f"{rule} rule {_seeds_shown(part)}"
                axis.errorbar(
                    list(cells), mean, np.nan_to_num([mean - low, high - mean]), label=label, **bars
                )
                axis.plot(part["batch_size"], part["value"], ".", color=color, alpha=0.35, markersize=4)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            sizes = sorted(t["batch_size"].unique())
            axis.set_xticks(sizes, map(str, sizes), fontsize=8.5)
            axis.xaxis.minorticks_off()
            axis.set(xlabel="Batch size B (log scale)")
            title = MEASURES[measure].replace(", ", ",\n", 1)
            axis.set_title(f"{title}\n({split} loss, log scale)", fontsize=9, fontweight="normal")
        legend(axes[0, 0])
    plt.close(figure)
    seeds = table.groupby(["lr_rule", "batch_size"])["seed"].agg(frozenset)
    mixed = seeds.groupby("lr_rule").nunique().gt(1).any()
    said = (
        "Sharpness at the end of training against batch size: each network, and geometric means with 95 % "
        "intervals; n in the key."
    )
    return describe(figure, f"{said} The batch sizes do not all have the same seeds." if mixed else said)


def _seeds_shown(part: pd.DataFrame) -> str:
    """ "(n = 5)", or "(n = 4 to 5)" where batch sizes differ in it."""
    counts = part.groupby("batch_size")["seed"].nunique()
    low, high = counts.min(), counts.max()
    return f"(n = {low})" if low == high else f"(n = {low} to {high})"
