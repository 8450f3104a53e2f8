"""Loss landscapes as surfaces that a reader can turn, from the tables of `geometry` (Figs. 9 and 10)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..geometry.measurements import pictured
from .style import INK

SCALE = "Viridis"


def grids(
    points: pd.DataFrame, dataset: str, split: str = "test", rule: str = "linear", sizes=None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The recorded surfaces under a rule by their labels: axis a, axis b, losses [a, b].

    In the order of batch sizes: those of `sizes`, or of the paper's figures.
    """
    t = pictured(points, dataset, rule, sizes)
    found = {}
    for (size, precision), part in t[t["split"] == split].groupby(["batch_size", "precision"]):
        wide = part.pivot(index="a", columns="b", values="loss")
        label = f"B = {size}" if precision == "fp32" else f"B = {size}, {precision}"
        found[label] = wide.index.to_numpy(), wide.columns.to_numpy(), wide.to_numpy()
    return found


def rotatable_surfaces(points: pd.DataFrame, dataset: str, split: str = "test") -> go.Figure:
    """A scene for each batch size of the paper's figures, on one scale of height and colour.

    An empty figure where no surface is recorded.
    """
    found = grids(points, dataset, split)
    return _scenes([{label: grid} for label, grid in found.items()], list(found)) if found else go.Figure()


def walk(points: pd.DataFrame, dataset: str, split: str = "test") -> go.Figure:
    """The surface of every recorded batch size in turn, by a slider: a scene for each learning-rate rule.

    At the base batch size the rules are one, and both scenes show its network.
    """
    drawn = (points["dataset"] == dataset) & (points["kind"] == "surface")
    sizes = sorted(points.loc[drawn, "batch_size"].unique())
    linear, constant = (grids(points, dataset, split, rule, sizes) for rule in ("linear", "constant"))
    constant = {label: constant.get(label) or linear[label] for label in linear}
    return _scenes([linear, constant], ["linear rule", "constant rate"]) if linear else go.Figure()


def _scenes(scenes: list[dict], titles: list[str]) -> go.Figure:
    """Scenes side by side, each with its title and its surfaces; a slider where a scene has several."""
    low, high = log_range([grid for scene in scenes for grid in scene.values()])
    kinds = [[{"type": "surface"}] * len(scenes)]
    figure = make_subplots(cols=len(scenes), specs=kinds, subplot_titles=titles, horizontal_spacing=0.02)
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
    margin = dict(l=0, r=85, t=64, b=0)  # on the right for the key, on top for the buttons
    figure.update_layout(template="none", height=450, margin=margin, font_color=INK, paper_bgcolor="white")
    if len(labels := list(scenes[0])) > 1:
        steps = [
            dict(method="restyle", label=label, args=["visible", [t.name == label for t in figure.data]])
            for label in labels
        ]
        figure.update_layout(height=500, sliders=[dict(steps=steps, pad=dict(l=30, r=30, t=0, b=10))])
    return figure


def log_range(surfaces) -> tuple[float, float]:
    """log10 of the lowest and the highest finite loss of surfaces as `grids` gives them."""
    values = np.concatenate([loss.ravel() for *_, loss in surfaces])
    values = np.log10(values[np.isfinite(values) & (values > 0)])
    return float(values.min()), float(values.max()) + 1e-3


def _decades(low: float, high: float) -> dict:
    ticks = [v for v in (np.log10(m) + d for d in range(-4, 6) for m in (1, 3)) if low <= v <= high]
    return {"tickvals": ticks, "ticktext": [f"{10**v:.2g}" for v in ticks]}
