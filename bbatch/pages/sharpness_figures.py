"""Figures of sharpness (Section IV-E), from the tables of `geometry`; nothing is measured here."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from ..geometry.one_network import BALLS, EPSILON, KESKAR_DIMENSIONS, KESKAR_EPSILON
from .picture import describe, tip, titled
from .style import COLORS, INK, drawing

NAMES = {f"sharpness_{ball}": f"{name}, searched" for ball, name in BALLS.items()}
NAMES |= {f"sharpness_{ball}_random": f"{name}, random" for ball, name in BALLS.items()}
NAMES |= {
    "keskar_full": "Keskar's box, full",
    "keskar_subspace": "Keskar's box, subspace",
    "hessian_top": "Hessian, top eigenvalue",
    "hessian_trace": "Hessian, trace",
}
VARIED = {  # by name: what is varied, with ‖δ‖ its size, and where that is from
    BALLS["l2"]: (f"all weights together: ‖δ‖₂ ≤ ε = {EPSILON}", "Eq. (3) to the letter"),
    BALLS["linf"]: ("each weight alone: |δᵢ| ≤ ε", "Eq. (3) in another norm"),
    BALLS["relative"]: ("all weights together: ‖δ‖₂ ≤ ε‖w‖₂", "Eq. (3), in proportion to the weights"),
    BALLS["filter"]: (
        "each filter f alone: ‖δ_f‖₂ ≤ ε‖w_f‖₂; biases stay",
        "Eq. (3), normalized as Algorithm 1",
    ),
    "Keskar's box": (
        f"each weight alone: |δᵢ| ≤ {KESKAR_EPSILON:g} (|wᵢ| + 1); in full, or within "
        f"{KESKAR_DIMENSIONS} random directions",
        "Metric 2.1 of Keskar et al. (2017)",
    ),
    "Hessian": ("a step without length: in the steepest direction, or the sum over all", "not of the paper"),
}
MEASURES_NAMED = (
    "Measures of sharpness, and how far each may move the weights. Searched: the maximum is looked for; "
    "random: the largest rise along random directions"
)
FEW = 5  # seeds below which their own values are drawn: an interval of three would cover the axis


def measures_named() -> pd.DataFrame:
    """A row for each measure of sharpness: its name, what is varied, and its source."""
    rows = [(name, *told) for name, told in VARIED.items()]
    return pd.DataFrame(rows, columns=["measure", "what is varied", "source"])


@drawing
def forest(
    series: Mapping[str, tuple[pd.DataFrame, str]],
    value: str,
    lines: Mapping[float, str],
    words: tuple[str, str, str],
    *,
    log: bool = True,
) -> Figure:
    """A row for each measure and loss, in it a mark for each series: its mean with the 95 % interval, or, of
    fewer than `FEW` seeds, the values of the single seeds.

    series  by label: a colour, and a table with the columns measure, split, `value`, low, high, n and single,
            as `sharpness_and_batch_size.ratios` and `growth` give it
    lines   what upright lines say, by where they stand
    words   title, label of the axis, caption
    """
    keys = [key for t, _ in series.values() for key in zip(t["measure"], t["split"], strict=True)]
    rows = list(dict.fromkeys(keys))
    title, label, caption = words
    figure, axis = plt.subplots(figsize=(6.0, 1.9 + 0.4 * max(len(rows), 1)))
    handles = {}
    for number, (name, (table, color)) in enumerate(series.items()):
        down = 0.56 * (number / max(len(series) - 1, 1) - 0.5)
        for _, row in table.iterrows():
            y = len(rows) - rows.index((row["measure"], row["split"])) - down
            handles[f"{name} (n = {row['n']})"] = _mark(axis, row, value, y, color, name)
    for at, said in lines.items():
        axis.axvline(at, color=INK, linewidth=1.2, linestyle="--" if said else "-", zorder=0)
        where = dict(xy=(at, 1), xycoords=("data", "axes fraction"), xytext=(-4, -9), ha="right")
        axis.annotate(said, textcoords="offset points", fontsize=9.5, **where)
    names = [f"{NAMES[m]}; {split}" for m, split in rows]
    axis.set_yticks(range(len(rows), 0, -1), names, fontsize=9.5)
    axis.set(ylim=(0.4, len(rows) + 1), xlabel=label)
    if log:
        axis.set_xscale("log")
        axis.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10, 20])
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="y", visible=False)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, fontsize=9.5)
    return titled(describe(figure, caption), title)


def _mark(axis, row: pd.Series, value: str, y: float, color: str, name: str):
    """One mark of a forest, with what a reader sees who points at it; returns its handle for the key."""
    text = f"{name}\n{NAMES[row['measure']]}; {row['split']} loss\n{row[value]:.3g}"
    if row["n"] < FEW:
        (drawn,) = axis.plot(row["single"], [y] * len(row["single"]), "d", color=color, markersize=3.5)
    else:
        bars = [[row[value] - row["low"]], [row["high"] - row[value]]]
        drawn = axis.errorbar(row[value], y, xerr=bars, fmt="o", color=color, markersize=4, capsize=2)
        text += f" ({row['low']:.3g} to {row['high']:.3g})"
    tip(axis, [row[value]], [y], [f"{text}, n = {row['n']}".replace("-", "−")])
    return drawn


@drawing
def rescaled(table: pd.DataFrame) -> Figure:
    """Each reading of Eq. (3) on one network whose layers are rescaled without changing its function."""
    figure, axis = plt.subplots(figsize=(7.2, 4.2))
    looks = zip(COLORS.values(), "osD^", strict=False)  # any four colours that are told apart
    for (norm, line), (color, mark) in zip(table.groupby("norm", sort=False), looks, strict=False):
        at_one = line.loc[np.isclose(line["factor"], 1), "value"].iloc[0]
        axis.plot(line["factor"], line["value"] / at_one, marker=mark, color=color, label=BALLS[norm])
    axis.set_xscale("log", base=2)
    axis.set(yscale="log", ylabel="Times as sharp as at 1 (log scale)")
    axis.set_xticks(table["factor"].unique(), [f"{f:g}" for f in table["factor"].unique()])
    axis.set_xlabel("First layer multiplied, second divided by (log scale)")
    axis.set_title("Only the filter-wise ball does not notice")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5)
    return describe(
        figure,
        f"Sharpness of one and the same function by Eq. (3), four balls, ε = {EPSILON} (n = 1 network, "
        "Synthetic 50K, B = 32): its first layer is multiplied and its second divided by the factor.",
    )
