"""The visual language of all figures: a colour for each data set, its twin on dark pages, and one marker for
the paper."""

from colorsys import hls_to_rgb, rgb_to_hls
from functools import wraps
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from ..analysis.estimate import Estimate


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
GROUND = "#121212"  # the theme's page in the dark
LEGIBLE = 3.0  # contrast with it that a line needs (WCAG 2.2, 1.4.11)
# The colours of data sets in the dark, picked by hand so that the two blues stay apart.
TWINS = {"#0072b2": "#3f97d8", "#56b4e9": "#a6dbf7", "#ffffff": GROUND, "#dddddd": "#3a4048"}
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


def drawing(draw):
    """A function that makes a figure, made to draw in `STYLE`; the notebook shows the figure, once."""

    @wraps(draw)
    def styled(*args, **kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            figure = draw(*args, **kwargs)
        plt.close(figure)
        return figure

    return styled


def panels_of(n: int, *, width: float, height: float, least: float = 0.0, rows: int = 1, **shared):
    """A figure and its `n` panels, in a row or several: one, empty, where n is 0. `width`: of a panel,
    `height`: of the figure, in inches; the figure is at least `least` wide."""
    n, columns = max(n, 1), -(-max(n, 1) // rows)
    figsize = (max(least, width * columns), height)
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, **shared)
    for axis in axes.flat[n:]:
        axis.remove()
    return figure, axes.flat[:n]


def shades(n: int, last: float = 0.88) -> np.ndarray:
    """`n` colours from dark to light, for lines that follow each other: [n, 4]."""
    return mpl.colormaps["viridis"](np.linspace(0, last, n))


def log_numbers(axis) -> None:
    """Numbers at 1, 2 and 5 of each power of ten along one axis of a panel (`xaxis` or `yaxis`)."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def batch_size_axis(axis, sizes, label: str = "Batch size B (log scale)") -> None:
    """Batch sizes from left to right on a log scale, each with its number."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(b) for b in sizes], fontsize=8.5)
    axis.minorticks_off()
    axis.set_xlabel(label)


def below(axis, x: float, text: str) -> None:
    """What lies at x, far below the end of an axis, in words with an arrow down to it."""
    place = dict(xytext=(-10, 16), textcoords="offset points", ha="right", va="bottom", fontsize=8.5)
    arrow = dict(arrowstyle="->", color=INK, shrinkA=0, shrinkB=0)
    axis.annotate(text, (x, 0), xycoords=("data", "axes fraction"), color=INK, arrowprops=arrow, **place)


def legend(axis) -> None:
    """A legend where there is anything to name."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8.5)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG that comes out the same, byte for byte, each time."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None})


def with_ends(intervals) -> tuple[list[float], list[list[float]]]:
    """Means, and how far the bounds lie from them; NaN for what no figure draws as a bar (`has_bar`)."""
    reach = [(i.mean - i.low, i.high - i.mean) if has_bar(i) else (np.nan, np.nan) for i in intervals]
    return [i.mean for i in intervals], [[low for low, _ in reach], [high for _, high in reach]]


def has_bar(interval) -> bool:
    """Whether a figure of differences or ratios draws an interval as a bar. Not of two seeds, nor where it
    rests on the distance of two seeds: it would cover the axis, and the points say more. An accuracy of one
    seed has the bar of its test set; what else is of one seed, and borrows its scatter (`Estimate`), has
    none."""
    if np.isnan(interval.low) or not isinstance(interval, Estimate):
        return not np.isnan(interval.low) and interval.n != 2
    return interval.n > 2 and interval.freedom >= 2


def drawn_bounds(table, metric: str):
    """The bounds of a table of `tables.compare` as a figure draws them, all that the table prints: two
    columns, the mean itself where there is none."""
    return tuple(table[f"{metric}_{end}"].fillna(table[metric]) for end in ("low", "high"))


def dark(colour: str) -> str:
    """The twin of #rrggbb on a dark page: greys turned over, colours lightened until seen."""
    if colour in TWINS:
        return TWINS[colour]
    hue, light, strength = rgb_to_hls(*to_rgb(colour))
    if is_grey(colour):
        return to_hex(hls_to_rgb(hue, max(0.12 + 0.78 * (1 - light), 0.2), strength))
    while contrast(to_hex(hls_to_rgb(hue, light, strength))) < LEGIBLE:
        light += 0.01
    return to_hex(hls_to_rgb(hue, light, strength))


def contrast(colour: str, ground: str = GROUND) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(c):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(c)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(colour), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def is_grey(colour: str) -> bool:
    return max(to_rgb(colour)) - min(to_rgb(colour)) < 0.03
