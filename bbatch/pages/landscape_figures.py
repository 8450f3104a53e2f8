"""Figures of loss landscapes, sharpness and gradient noise, from the tables of `geometry`; none measures anything."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from ..config import DATASETS
from ..geometry.measurements import pictured
from ..geometry.one_network import EPSILON, LITERAL, MEASURES
from ..statistics import mean_interval
from .figures import COLORS, INK, STYLE
from .picture import describe

RULE_STYLE = {"linear": "-", "constant": ":"}
NORM_LABELS = {"l2": "‖δ‖₂ ≤ ε", "linf": "‖δ‖∞ ≤ ε", "relative": "‖δ‖₂ ≤ ε‖w‖₂", "filter": "by filter"}
SCALE = "Viridis"


def grids(
    points: pd.DataFrame, dataset: str, split: str = "test", rule: str = "linear", sizes=None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The recorded surfaces under a rule: label -> axis a, axis b, losses [a, b]; in the order of batch
    sizes, those of `sizes` or of the paper's figures."""
    t = pictured(points, dataset, rule, sizes)
    found = {}
    for (size, precision, seed), part in t[t["split"] == split].groupby(["batch_size", "precision", "seed"]):
        wide = part.pivot(index="a", columns="b", values="loss")
        found[f"B = {size}" + (f", {precision}" if precision != "fp32" else "")] = (
            wide.index.to_numpy(),
            wide.columns.to_numpy(),
            wide.to_numpy(),
        )
    return found


def surfaces(points: pd.DataFrame, dataset: str, split: str = "test") -> go.Figure:
    """Rotatable surfaces, a scene for each batch size of the paper's figures, on one scale of height and
    colour (Figs. 9 and 10); nothing where none is recorded."""
    found = grids(points, dataset, split)
    return _scenes([{label: grid} for label, grid in found.items()], list(found)) if found else go.Figure()


def walk(points: pd.DataFrame, dataset: str, split: str = "test") -> go.Figure:
    """The surface of every recorded batch size in turn, by a slider: a scene for each learning-rate rule.

    At the base batch size the rules are one, and both scenes show its network.
    """
    sizes = sorted(
        points.loc[(points["dataset"] == dataset) & (points["kind"] == "surface"), "batch_size"].unique()
    )
    linear, constant = (grids(points, dataset, split, rule, sizes) for rule in ("linear", "constant"))
    constant = {label: constant.get(label) or linear[label] for label in linear}
    return _scenes([linear, constant], ["linear rule", "constant rate"]) if linear else go.Figure()


def _scenes(scenes: list[dict], titles: list[str]) -> go.Figure:
    """A scene beside the other for each title, with the surfaces of each; a slider where a scene has several."""
    low, high = _span(
        {f"{k} {label}": grid for k, scene in enumerate(scenes) for label, grid in scene.items()}
    )
    figure = make_subplots(
        cols=len(scenes),
        specs=[[{"type": "surface"}] * len(scenes)],
        subplot_titles=titles,
        horizontal_spacing=0.02,
    )
    for k, scene in enumerate(scenes, 1):
        for number, (label, (a, b, loss)) in enumerate(scene.items()):
            figure.add_trace(
                go.Surface(
                    x=a.astype("float32"),
                    y=b.astype("float32"),
                    z=np.log10(loss.T.astype("float32")),
                    cmin=low,
                    cmax=high,
                    colorscale=SCALE,
                    showscale=k == len(scenes),
                    colorbar=dict(title="Loss", len=0.7, x=1, **_decades(low, high)),
                    name=label,
                    visible=number == 0,
                    hovertemplate=label + ", a %{x:.2f}, b %{y:.2f}<br>log₁₀ loss %{z:.2f}<extra></extra>",
                ),
                1,
                k,
            )
    far = 1.7 if len(scenes) < 3 else 2.1  # a narrow scene shows all of its box from further away
    figure.update_scenes(
        xaxis_title="a",
        yaxis_title="b",
        camera_eye=dict(x=far, y=far, z=0.6 * far),
        zaxis=dict(title="Loss", range=[low, high], **_decades(low, high)),
    )
    # for the key; the buttons
    figure.update_layout(
        template="none", height=450, margin=dict(l=0, r=85, t=64, b=0), font_color=INK, paper_bgcolor="white"
    )
    if len(labels := list(scenes[0])) > 1:
        steps = [
            dict(method="restyle", label=label, args=["visible", [t.name == label for t in figure.data]])
            for label in labels
        ]
        figure.update_layout(height=500, sliders=[dict(steps=steps, pad=dict(l=30, r=30, t=0, b=10))])
    return figure


def contours(points: pd.DataFrame, dataset: str, split: str = "test") -> Figure:
    """The same surfaces from above: lines of equal loss, the same levels in each panel."""
    found = grids(points, dataset, split)
    seeds = ", ".join(map(str, pictured(points, dataset)["seed"].unique()))
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = plt.subplots(
            1, max(len(found), 1), figsize=(max(5.2, 4.0 * len(found)), 5.0), squeeze=False
        )
        levels = np.logspace(*_span(found), 15) if found else []
        for axis, (label, (a, b, loss)) in zip(axes[0], found.items()):
            filled = axis.contourf(
                a, b, loss.T, levels, norm=mpl.colors.LogNorm(levels[0], levels[-1]), cmap="viridis"
            )
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
                orientation="horizontal",
                shrink=0.6,
                aspect=30,
            )  # level: a phone shows it below the panels
        else:
            axes[0, 0].set_title(f"{DATASETS[dataset].title}: no landscape recorded yet")
    plt.close(figure)
    return describe(
        figure,
        f"{DATASETS[dataset].title}: {split} loss around trained networks seen from above, on a plane of "
        f"two filter-normalised directions (n = 1 network each, seed {seeds}; the same levels in each panel; "
        "cross-entropy, nats). The cross marks the trained weights.",
    )


def _span(found: dict) -> tuple[float, float]:
    """log10 of the lowest and the highest finite loss of all surfaces."""
    values = np.concatenate([loss.ravel() for *_, loss in found.values()])
    values = np.log10(values[np.isfinite(values) & (values > 0)])
    return float(values.min()), float(values.max()) + 1e-3


def _decades(low: float, high: float) -> dict:
    ticks = [v for v in (np.log10(m) + d for d in range(-4, 6) for m in (1, 3)) if low <= v <= high]
    return {"tickvals": ticks, "ticktext": [f"{10**v:.2g}" for v in ticks]}


def _around(surface: pd.DataFrame, radius: float) -> float:
    """Median loss of a surface on the circle of this radius; at 0, the loss at its centre."""
    away = np.hypot(surface["a"], surface["b"])
    return (
        surface.loc[abs(away - radius) < 0.05, "loss"].median()
        if radius
        else surface.loc[away.idxmin(), "loss"]
    )


def surface_sentence(points: pd.DataFrame, dataset: str, split: str = "test") -> str:
    """Each recorded surface in two numbers: the loss at its centre, and how far it rises on the way to the border."""
    t = pictured(points, dataset)
    t, parts = t[t["split"] == split], []
    for (size, precision), surface in t.groupby(["batch_size", "precision"]):
        parts.append(
            f"B = {size}{'' if precision == 'fp32' else ', ' + precision}: {split} loss {_around(surface, 0):.3g} "
            f"at the centre, {_around(surface, 0.5):.3g} half way to the border, {_around(surface, 1):.3g} at it "
            "(medians around the circle)"
        )
    n = (
        f"; {t['n_samples'].iloc[0]:,} {split} samples, seed {t['seed'].iloc[0]}, directions drawn once"
        if parts
        else ""
    )
    return (
        f"**{DATASETS[dataset].title}**, "
        + ("; ".join(parts) + n if parts else "no landscape recorded yet")
        + "."
    )


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
    return (
        (
            f"From the centre to the border the {split} loss rises, in nats (medians around the circle, n = 1 network each), by "
            f"{'; by '.join(parts)}."
        )
        if parts
        else "No landscape recorded yet."
    )


def paths(points: pd.DataFrame, dataset: str) -> Figure:
    """Loss on the straight way from the network of B = 32 to that of another batch size, test and training."""
    t = points[(points["dataset"] == dataset) & (points["kind"] == "path")]
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 3.9))
        colors = dict(
            zip(sorted(t["to_batch_size"].unique(), reverse=True), (COLORS[dataset], INK, "#CC79A7"))
        )
        for (size, other, split), line in t.groupby(["batch_size", "to_batch_size", "split"]):
            axis.plot(
                line["a"],
                line["loss"],
                "-" if split == "test" else "--",
                color=colors[other],
                label=f"{split} loss, B = {size} to {other}",
            )
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
    """Fig. 1 from real networks: training and test loss on one line through each recorded minimum,
    filter-normalised.

    The line is the middle row of each surface; dots mark the lowest points.
    """
    t = pictured(points, dataset)
    t = t[t["b"].abs() < 1e-6]
    sizes = sorted(t["batch_size"].unique())
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, max(1, len(sizes)), figsize=(10.5, 3.9), sharey=True, squeeze=False)
        for axis, size in zip(axes[0], sizes):
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


def rescaled(table: pd.DataFrame) -> Figure:
    """Each reading of Eq. (3) on one network whose layers are rescaled without changing its function."""
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 3.9))
        for (norm, line), mark in zip(table.groupby("norm", sort=False), "osD^"):
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
    """Measures of sharpness against B under each rule: every network, and geometric means with 95 % intervals
    over seeds.

    `table` as from `sharpness_and_batch_size.final`.
    """
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(measures), figsize=(3.5 * len(measures), 3.9), squeeze=False)
        for axis, (measure, split) in zip(axes[0], measures):
            t = table[(table["measure"] == measure) & (table["split"] == split)]
            for (rule, part), color in zip(t.groupby("lr_rule", sort=False), (COLORS[dataset], "#CC79A7")):
                cells = {b: mean_interval(np.log(cell)) for b, cell in part.groupby("batch_size")["value"]}
                mean, low, high = (
                    np.exp([getattr(i, end) for i in cells.values()]) for end in ("mean", "low", "high")
                )
                axis.errorbar(
                    list(cells),
                    mean,
                    np.nan_to_num([mean - low, high - mean]),
                    color=color,
                    marker="o",
                    markersize=4,
                    capsize=3,
                    linestyle=RULE_STYLE[rule],
                    label=f"{rule} rule {seeds_of(part)}",
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
    mixed = (
        table.groupby(["lr_rule", "batch_size"])["seed"]
        .agg(frozenset)
        .groupby("lr_rule")
        .nunique()
        .gt(1)
        .any()
    )
    return describe(
        figure,
        "Sharpness at the end of training against batch size: each network, and geometric means with 95 % "
        "intervals; n in the key." + " The batch sizes do not all have the same seeds." * bool(mixed),
    )


def seeds_of(part: pd.DataFrame) -> str:
    """ "(n = 5)", or "(n = 4 to 5)" where batch sizes differ in it."""
    counts = part.groupby("batch_size")["seed"].nunique()
    return (
        f"(n = {counts.min()})" if counts.min() == counts.max() else f"(n = {counts.min()} to {counts.max()})"
    )


def legend(axis, **more) -> None:
    """A legend where there is anything to name."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8.5, **more)
