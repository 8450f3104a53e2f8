"""Figures of the choice of a batch size: what was measured for it, and what each way of choosing costs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from ..analysis.regret import by_problem_and_way, comparable, leave_one_out, mean_difference, summary
from ..choosing.answer import Answer
from ..evaluation.problems import PROBLEMS
from ..evaluation.ways import METHODS
from ..geometry.gradient_noise import NoiseScale
from ..statistics import from_to
from . import style
from .picture import describe, series, tip, titled
from .style import COLORS, FAINT, INK, batch_size_axis, drawing, has_bar, log_numbers, shades, with_ends

MARKS = dict(zip(METHODS, "oDs^v", strict=True))
_FIVE = (COLORS["cifar10"], COLORS["synthetic-50k"], INK, COLORS["mnist"], COLORS["synthetic-1k"])
SHADES = dict(zip(METHODS, _FIVE, strict=True))


@drawing
def search(found: Answer) -> Figure:
    """Seconds an epoch against B; validation loss against rate for each B, early and at the end."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.0))
    times = found.times
    left.plot("batch_size", "seconds_per_epoch", "o-", data=times, color=COLORS["synthetic-50k"])
    left.set(yscale="log", ylabel="Seconds an epoch (log scale)", title="Time")
    batch_size_axis(left, times["batch_size"])
    first = found.trials[found.trials["seed"] == found.trials["seed"].min()]
    colors = shades(first["batch_size"].nunique(), last=0.85)
    for (b, trials), color in zip(first.sort_values("lr").groupby("batch_size"), colors, strict=True):
        right.plot("lr", "short_loss", "o:", data=trials, color=color, markersize=4, label=f"B = {b}")
        done = trials[trials["complete"].astype(bool)]
        right.plot("lr", "loss", "s", data=done, color=color, markersize=7, label="_")
    right.set(xscale="log", yscale="log", xlabel="Learning rate (log scale)")
    log_numbers(right.yaxis)
    right.set(ylabel="Validation loss (log scale)", title="Dots: short; squares: whole trainings")
    if len(first):
        right.legend(fontsize=9)
    if found.batch_size is not None:
        left.axvline(found.batch_size, color=FAINT, linewidth=9, zorder=0)
        right.axvline(found.lr, color=FAINT, linewidth=9, zorder=0)
    return describe(
        titled(figure, found.headline),
        "Left: elapsed seconds of an epoch at each batch size that was timed. Right: "
        "validation loss against the rate, after the short trainings that the search begins with (dots) and "
        "of those that went to the end (squares), one seed. The grey bands are the answer.",
    )


@drawing
def regrets(rows: pd.DataFrame) -> Figure:
    """Regret of each way on each problem, with its 95 % interval; 0 is the best cell of the grid. Of two
    seeds, the points."""
    s = summary(rows)
    single = {(PROBLEMS[p], way): values for (p, way), values in by_problem_and_way(rows)}
    names, seeds = list(dict.fromkeys(s["problem"])), s.groupby("problem")["n"].agg(from_to)
    fig, axis = plt.subplots(figsize=(8.6, 1.6 + 0.75 * max(len(names), 1)))
    for k, method in enumerate(METHODS):
        some = s[s["method"] == method]
        at = [names.index(p) + 0.15 * (k - 2) for p in some["problem"]]
        mean, bars = with_ends(some["regret"])
        look = dict(fmt=MARKS[method], color=SHADES[method], capsize=3, markersize=6, linestyle="none")
        marks = axis.errorbar(mean, at, xerr=bars, label=method, **look)
        points = [
            axis.plot(single[p, method], [y] * i.n, ".", color=SHADES[method], alpha=0.5)[0]
            for p, y, i in zip(some["problem"], at, some["regret"], strict=True)
            if not has_bar(i)
        ]
        series(axis, method, *marks.get_children(), *points)
        texts = [
            f"{p}, {method}, B = {b}: regret {i.text(sign='+')} points (n = {i.n})"
            for p, b, i in zip(some["problem"], some["batch_sizes"], some["regret"], strict=True)
        ]
        tip(axis, mean, at, texts)
    axis.axvline(0, color=INK, linewidth=1)
    axis.set_xscale("symlog", linthresh=1, linscale=1.2)
    axis.set_xticks([-10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20, 50])
    middle = [i.mean for i in s["regret"]]  # an interval of two seeds may be a hundred times as wide
    axis.set_xlim(min(-10, 1.5 * min(middle, default=0)), max(20, 1.5 * max(middle, default=0)))
    axis.set_yticks(range(len(names)), [f"{name}\nn = {seeds[name]}" for name in names])
    axis.invert_yaxis()
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set(xlabel="Regret in test accuracy, points (linear up to 1, then logarithmic)")
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return describe(
        fig,
        f"Regret in test accuracy of each way to choose a batch size on {len(names)} problems, of which "
        f"{comparable(rows)['problem'].nunique()}, with two seeds or more, are in the means: the best "
        "batch size of the full grid less the choice, in percentage points, paired by seed; mean and 95 % "
        f"interval over n = {s['n'].min()} to {s['n'].max()} seeds, the single seeds where they are two. Of "
        f"{len(s)} such intervals about {0.05 * len(s):.0f} may be expected to miss.",
    )


@drawing
def one_out(rows: pd.DataFrame) -> Figure:
    """`recommend` less each other way in test accuracy: over all problems, and without each in turn."""
    others = [m for m in METHODS[1:] if m in set(rows["method"])]
    in_rows = 2 if len(others) > 2 else 1
    fig, axes = style.panels_of(len(others), width=5.25, height=3.6 * in_rows, least=10.5, rows=in_rows)
    for axis, other in zip(axes, others, strict=False):
        found = {"none": mean_difference(rows, other=other)} | leave_one_out(rows, other=other)
        labels = ["none left out", *(f"without {PROBLEMS[name]}" for name in list(found)[1:])]
        values = list(found.values())
        mean, bars = with_ends(values)
        color = [INK, *[SHADES["recommended"]] * (len(values) - 1)]
        axis.errorbar(mean, range(len(values)), xerr=bars, fmt="none", ecolor="#999999", capsize=3)
        axis.scatter(mean, range(len(values)), c=color, zorder=3, s=28)
        texts = [f"{a}: {i.text(sign='+')} points" for a, i in zip(labels, values, strict=True)]
        tip(axis, mean, range(len(values)), texts)
        axis.axvline(0, color=INK, linewidth=1)
        axis.set(title=f"against {other}", xlabel="points")
        axis.set_yticks(range(len(values)), labels)
        axis.invert_yaxis()
    return describe(
        fig,
        "The mean over the problems of what `recommend` gains in test accuracy over each other way, in "
        "points, and the same without one problem in turn; bars: 95 % intervals over seeds. No bar: the "
        "interval would rest on two seeds.",
    )


@drawing
def noise(scales: dict[float, NoiseScale], batch_size: int) -> Figure:
    """The gradient noise scale after so many epochs of one training, beside the batch size that it has."""
    at = [epoch for epoch, found in scales.items() if np.isfinite(found.scale.mean)]
    mean, bars = with_ends([scales[epoch].scale for epoch in at])
    fig, axis = plt.subplots(figsize=(6.4, 3.6))
    axis.errorbar(at, mean, bars, fmt="o-", color=COLORS["synthetic-50k"], capsize=3)
    axis.axhline(batch_size, color=FAINT, linewidth=6, zorder=0, label=f"the answer, B = {batch_size}")
    axis.set(yscale="log", xlabel="Epochs of training", ylabel="Noise scale (samples, log scale)")
    axis.legend(fontsize=9)
    return describe(
        fig,
        "The gradient noise scale tr(Σ)/|G|² through one training, on the training samples, with its 95 % "
        "interval by the jackknife. Epochs without a point: the gradient was too small beside its noise to "
        "tell. The grey band is the batch size.",
    )
