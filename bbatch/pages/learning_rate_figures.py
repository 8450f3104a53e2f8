"""Figures of Section IV-D: the rules of the learning rate beside each other."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..config import DATASETS
from . import parameters
from .figures import behind, seeds_text
from .picture import describe, series
from .style import COLORS, INK, PAPER, batch_size_axis, drawing, drawn_bounds
from .tables import METRICS, compare

TITLES = ("Our runs, close up", "With the cells of Table V")
BESIDE = 1.12  # squares stand a little to the right of the circles of their batch size
RULE_COLORS = {"constant": "#CC79A7", "linear": "#0072B2", "sqrt": "#009E73"}


@drawing
def runs_with_warm_up(runs: pd.DataFrame, pairs: pd.DataFrame, dataset: str = "cifar10") -> Figure:
    """Single runs against batch size, of the paper's rule (`runs`) and with a warm-up (those of `pairs`, as
    `warm_up.image_pairs` gives them, that have one)."""
    plain, warm = runs[runs["dataset"] == dataset], pairs[pairs["warmup_epochs"] > 0]
    warm = warm[warm["dataset"] == dataset]
    figure, axis = plt.subplots(figsize=(6.8, 4.0))
    hollow = dict(markersize=5, color=RULE_COLORS["linear"], markerfacecolor="white")
    label = "the paper's rule: no warm-up"
    axis.plot(plain["batch_size"], plain["test_acc"], "o", label=label, **hollow)
    squares = dict(markersize=4, color=COLORS[dataset], label="the same rate after a warm-up")
    axis.plot(warm["batch_size"] * BESIDE, warm["test_acc"], "s", **squares)
    axis.axhline(100 / DATASETS[dataset].classes, color=INK, linestyle=":", linewidth=1, label="chance")
    batch_size_axis(axis, DATASETS[dataset].protocol.batch_sizes)
    axis.set(ylabel=METRICS["test_acc"], ylim=(0, 100))
    axis.legend(loc="center left", fontsize=9)
    both = pd.concat([plain, warm.assign(lr_rule="linear, warmed up")])
    return describe(
        figure,
        f"{DATASETS[dataset].title}: test accuracy of every run under the linear rule; {behind(both)}.",
    )


@drawing
def rules(frame: pd.DataFrame, dataset: str = "synthetic-50k", titles: tuple[str, str] = TITLES) -> Figure:
    """Test accuracy against batch size under each learning-rate rule, with the cells of Table V, if they are
    of this data set. `titles`: what the two panels show."""
    runs, paper = frame[frame["dataset"] == dataset], published.ablation_frame()
    paper = paper[paper["dataset"] == dataset]
    figure, (near, far) = plt.subplots(1, 2, figsize=(11.5, 4.2))
    for (rule, color), mark in zip(RULE_COLORS.items(), "sod", strict=True):
        table = compare(runs[runs["lr_rule"] == rule], dataset, ("test_acc",))
        have = table[table["n"] > 0]
        drawn, b = [], have["batch_size"]
        label = f"{rule} {seeds_text(have['n'])}" if len(have) else f"{rule} (no runs yet)"
        band = dict(color=color, alpha=0.2, linewidth=0)
        for axis in (near, far):
            drawn += axis.plot(b, have["test_acc"], color=color, marker=mark, markersize=5, label=label)
            drawn.append(axis.fill_between(b, *drawn_bounds(have, "test_acc"), **band))
        cells = paper[paper["lr_rule"] == rule]
        if len(cells):
            label = f"Table V, {'fixed' if rule == 'constant' else 'scaled'}"
            marks = PAPER | {"color": color, "label": label}
            drawn += far.plot(cells["batch_size"], cells["test_acc"], **marks)
        series(near, rule, *drawn)
    for axis, title, plain in zip((near, far), titles, TITLES, strict=True):
        batch_size_axis(axis, DATASETS[dataset].protocol.batch_sizes)
        axis.set(ylabel=METRICS["test_acc"], title=parameters.finding(title) or plain)
        axis.legend(fontsize=8.5)
    return describe(
        figure,
        f"{DATASETS[dataset].title}: mean test accuracy under each learning-rate rule, with 95 % intervals "
        f"over seeds; {behind(runs)}. Left: ours alone. Right: "
        + ("with the paper's cells, one run each." if len(paper) else "the same; Table V has other data."),
        runs=f"data={dataset}&rule={','.join(RULE_COLORS)}&metric=test_acc",
    )
