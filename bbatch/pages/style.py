"""The visual language of all figures: a colour for each data set, and one marker for the paper."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


class _Colors(dict):
    """A data set that a reader adds is grey."""

    def __missing__(self, name: str) -> str:
        return "#5B5B5B"


# Okabe and Ito's colours, told apart by readers with any of the common forms of colour blindness.
COLORS = _Colors(
    {
        "synthetic-1k": "#E69F00",
        "synthetic-10k": "#56B4E9",
        "synthetic-50k": "#0072B2",
        "mnist": "#009E73",
        "cifar10": "#D55E00",
    }
)
INK, FAINT = "#333333", "#DDDDDD"
PAPER = dict(
    color=INK,
    marker="D",
    markersize=6,
    markerfacecolor="white",
    markeredgewidth=1.4,
    linestyle=":",
    linewidth=1.1,
    label="the paper, one run each",
)
STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "font.size": 10.5,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "bbatch",
}


def batch_size_axis(axis, sizes, label: str = "Batch size B (log scale)") -> None:
    """Batch sizes from left to right on a log scale, each with its number."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(b) for b in sizes], fontsize=8.5)
    axis.minorticks_off()
    axis.set_xlabel(label)


def legend(axis, **more) -> None:
    """A legend where there is anything to name."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8.5, **more)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG that comes out the same, byte for byte, each time."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None})


def with_ends(intervals) -> tuple[list[float], list[list[float]]]:
    """Means, and how far the bounds lie from them."""
    ends = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
    return [i.mean for i in intervals], ends
