"""Loss landscapes as surfaces that a reader can turn (Figs. 9 and 10)."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..analysis.landscapes import Grids
from .style import INK

ROUND = [m * 10.0**d for d in range(-4, 6) for m in (1, 3)]  # losses that a scale names


def rotatable_surfaces(found: Grids) -> go.Figure:
    """Surfaces side by side, on one scale of height and colour; an empty figure where there is none."""
    if not found:
        return go.Figure()
    low, high = log_range(found.values())
    figure = make_subplots(
        cols=len(found),
        specs=[[{"type": "surface"}] * len(found)],
        subplot_titles=list(found),
        horizontal_spacing=0.02,
    )
    for k, (label, (a, b, loss)) in enumerate(found.items(), 1):
        surface = go.Surface(
            x=a.astype("float32"),
            y=b.astype("float32"),
            z=np.log10(loss.T.astype("float32")),
            cmin=low,
            cmax=high,
            colorscale="Viridis",
            showscale=k == len(found),
            colorbar=dict(title="Loss", len=0.7, x=1, **_decades(low, high)),
            name=label,
            hovertemplate=label + ", a %{x:.2f}, b %{y:.2f}<br>log₁₀ loss %{z:.2f}<extra></extra>",
        )
        figure.add_trace(surface, 1, k)
    # The key names what is high: a title beside the axis would be cut off on a phone.
    # A flat box in a scene that is about as high as wide, from so far that the numbers to its left are seen.
    far = 1.75
    figure.update_scenes(
        xaxis_title="a",
        yaxis_title="b",
        aspectratio=dict(x=1, y=1, z=0.6),
        camera=dict(eye=dict(x=far, y=far, z=0.6 * far), center=dict(x=0, y=0, z=-0.12)),
        zaxis=dict(title="", range=[low, high], **_decades(low, high)),
    )
    margin = dict(l=0, r=85, t=64, b=0)  # on the right for the key, on top for the buttons
    figure.update_layout(template="none", height=360, margin=margin, font_color=INK, paper_bgcolor="white")
    return figure


def log_range(surfaces) -> tuple[float, float]:
    """log10 of the lowest and the highest finite loss of surfaces."""
    values = np.concatenate([loss.ravel() for *_, loss in surfaces])
    values = np.log10(values[np.isfinite(values) & (values > 0)])
    return float(values.min()), float(values.max()) + 1e-3


def _decades(low: float, high: float) -> dict:
    inside = [v for v in ROUND if low <= np.log10(v) <= high]
    return {"tickvals": [np.log10(v) for v in inside], "ticktext": [f"{v:g}" for v in inside]}
