"""Figures of the choice of a batch size: what was measured for it, and what each way of choosing costs."""

from __future__ import annotations

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..analysis.regret import summary
from ..choosing.by_measurement import Measured
from ..choosing.evaluation import METHODS
from ..choosing.limits import PASSES
from .choice_comparison import mean_sentence
from .figures import COLORS, FAINT, INK, STYLE
from .picture import describe, series, tip

MARKS = dict(zip(METHODS, ("o", "D", "s", "^", "v")))
SHADES = dict(
    zip(METHODS, (COLORS["cifar10"], COLORS["synthetic-50k"], INK, COLORS["mnist"], COLORS["synthetic-1k"]))
)


def measurements(found: Measured) -> Figure:
    """Seconds an epoch against B with the limits; validation loss against the rate at the two batch sizes."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.0))
        left.plot(
            "batch_size",
            "seconds_per_epoch",
            "o-",
            data=found.throughput,
            color=COLORS["synthetic-50k"],
            label="an epoch",
        )
        if found.noise_limit and found.noise_limit < math.inf:
            left.axvline(
                found.noise_limit, color=COLORS["cifar10"], linestyle="--", label="noise scale, median"
            )
        left.axvline(found.knee, color=COLORS["mnist"], linestyle=":", linewidth=2, label="knee of the time")
        left.axvline(found.batch_size, color=FAINT, linewidth=9, zorder=0, label="recommended")
        left.set(
            xscale="log",
            yscale="log",
            xlabel="Batch size B (log scale)",
            ylabel="Seconds an epoch (log scale)",
            title="Time and limits",
        )
        left.set_xticks(
            found.throughput["batch_size"], found.throughput["batch_size"].astype(str), fontsize=8.5
        )
        left.minorticks_off()
        left.legend(fontsize=9)
        finite = found.trials[
            ~found.trials["diverged"].astype(bool)
            & np.isfinite(found.trials["validation_loss"].astype(float))
        ]
        for (b, trials), color in zip(finite.groupby("batch_size"), (COLORS["synthetic-1k"], INK)):
            loss = trials.groupby("lr")["validation_loss"].agg(["mean", "min", "max"])
            bars = [loss["mean"] - loss["min"], loss["max"] - loss["mean"]]
            right.errorbar(
                loss.index, loss["mean"], bars, color=color, marker="o", capsize=3, label=f"B = {b}"
            )
        right.axvline(found.lr, color=FAINT, linewidth=9, zorder=0)
        right.set(
            xscale="log",
            yscale="log",
            xlabel="Learning rate (log scale)",
            ylabel="Validation loss (log scale)",
            title="Rates (mean and range over seeds)",
        )
        if len(finite):  # else there was no time for any
            right.legend(fontsize=9)
    plt.close(figure)
    return describe(
        figure,
        f"{found.headline}. Left: elapsed seconds of an epoch at each batch size, the least of up to "
        f"{PASSES} timings, with the limits on B. Right: validation loss of short trainings against their rate, "
        f"mean and range over {found.trials['seed'].nunique()} seeds. The grey bands are what is recommended.",
    )


def regrets(rows: pd.DataFrame) -> Figure:
    """Regret of each way on each problem, with its 95 % interval; 0 is the best cell of the grid."""
    s = summary(rows)
    names, seeds = list(dict.fromkeys(s["problem"])), s.groupby("problem")["n"].max()
    with mpl.rc_context(STYLE):
        fig, axis = plt.subplots(figsize=(8.6, 1.6 + 0.75 * max(len(names), 1)))
        for k, method in enumerate(METHODS):
            some = s[s["method"] == method]
            at = [names.index(p) + 0.15 * (k - 2) for p in some["problem"]]
            mean = np.array([i.mean for i in some["regret"]])
            bars = np.array([[i.mean - i.low, i.high - i.mean] for i in some["regret"]]).reshape(-1, 2).T
            drawn = axis.errorbar(
                mean,
                at,
                xerr=np.nan_to_num(bars),
                fmt=MARKS[method],
                color=SHADES[method],
                capsize=3,
                markersize=6,
                linestyle="none",
                label=method,
            )
            series(axis, method, *drawn.get_children())
            tip(
                axis,
                mean,
                at,
                [
                    f"{p}, {method}, B = {b}: regret {i.text(sign='+')} points (n = {i.n})"
                    for p, b, i in zip(some["problem"], some["batch_sizes"], some["regret"])
                ],
            )
        axis.axvline(0, color=INK, linewidth=1)
        axis.set_xscale("symlog", linthresh=1, linscale=1.2)
        axis.set_xticks([-10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20])
        axis.set_yticks(range(len(names)), [f"{name}\nn = {seeds[name]}" for name in names])
        axis.invert_yaxis()
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axis.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
        axis.set(
            xlabel="Regret in test accuracy, points (linear up to 1, then logarithmic)",
            title="What each choice costs against the best batch size",
        )
        axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.close(fig)
    n = sorted(set(s["n"]))
    return describe(
        fig,
        f"Regret in test accuracy of each way to choose a batch size on {len(names)} problems: the best batch "
        f"size of the full grid less the choice, in percentage points, paired by seed; mean and 95 % interval, n = "
        f"{' or '.join(map(str, n))} seeds; {len(s)} intervals, of which about {0.05 * len(s):.0f} may be "
        f"expected to miss. {mean_sentence(rows)}",
    )
