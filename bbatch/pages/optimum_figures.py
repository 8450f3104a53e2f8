"""Figures of Section IV-G: the best and the critical batch size against N, and how sure the best one is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, StrMethodFormatter
from scipy.stats import gmean

from .. import published
from ..analysis import data_size
from ..analysis.critical_batch_size import printed_n
from ..config import DATASETS
from .picture import describe, tip
from .shown import grouped
from .style import COLORS, INK, PAPER, drawing, panels_of, with_ends


@drawing
def against_size(optima: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """The best batch size and B* against N: each problem, the geometric mean with its 95 % interval over
    problems, and Table VI.

    optima   columns problem, N, optimal, critical (missing where there is none)
    printed  `published.critical()`
    """
    panels = {"optimal": "The best batch size falls", "critical": "B* grows, far above Table VI"}
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True)
    for axis, (what, title) in zip(axes, panels.items(), strict=True):
        t = optima.dropna(subset=[what]).astype({what: float})
        nudge = 1.06 ** (t["problem"] - t["problem"].median()).astype(float)
        label = f"one problem, mean of its seeds (n = {t['problem'].nunique()})"
        axis.plot(t["N"] * nudge, t[what], "o", color=COLORS["synthetic-50k"], alpha=0.4, label=label)
        means = data_size.over_problems(optima, what)
        middle, reach = with_ends(means.values())
        bars = dict(color=COLORS["synthetic-50k"], marker="s", capsize=4, label="their mean, 95 % interval")
        axis.errorbar(list(means), middle, reach, **bars)
        paper = [printed_n(name) for name in printed["dataset"]]
        marks = PAPER | {"linestyle": "", "label": "Table VI, five data sets"}
        axis.plot(paper, printed[f"{what}_batch_size"], **marks)
        n = np.array([min(optima["N"]), max(paper)], float)
        c = gmean(printed[f"{what}_batch_size"] / np.sqrt(paper))  # the root that fits Table VI best
        axis.plot(n, c * np.sqrt(n), color=INK, linewidth=1, linestyle=":", label="the square root of N")
        axis.set(xscale="log", title=title, xlabel="Number of samples N (log scale)")
        axis.tick_params(labelleft=True)  # also where a phone shows one panel below the other
        axis.set_yscale("log", base=2)
        axis.yaxis.set_major_formatter(FuncFormatter(grouped))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes[0].set_ylabel("Batch size (log scale)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5)
    return describe(
        figure,
        "Five generator problems, each cut to four sizes and trained at every power of two up to the whole "
        "training set, under the linear rule. Left: the batch size of the highest mean accuracy. Right: the "
        "smallest above it that lies more than a point lower; at N = 1,000 there is none.",
    )


@drawing
def optimum_scatter(draws: dict[str, pd.DataFrame]) -> Figure:
    """How often each batch size comes out best when means are drawn again.

    `draws`: tables of `critical_batch_size.drawn` by data set.
    """
    found = []
    figure, axes = panels_of(len(draws), width=4.1, height=3.6, least=6)
    if not draws:
        axes[0].set_title("No data set has runs at every batch size, and two at one of them")
    for axis, (name, table) in zip(axes, draws.items(), strict=False):  # one panel, too, for none
        sizes, title = DATASETS[name].protocol.batch_sizes, DATASETS[name].title
        share = 100 * table["optimal"].value_counts(normalize=True).reindex(sizes, fill_value=0)
        axis.bar(range(len(sizes)), share, color=COLORS[name])
        axis.set_xticks(range(len(sizes)), map(str, sizes), fontsize=8.5)
        printed = published.critical().set_index("dataset").loc[name, "optimal_batch_size"]
        mark = PAPER | {"linestyle": "", "label": "Table VI"}
        axis.plot([sizes.index(printed)], [share[printed] + 5], **mark)
        texts = [f"{title}, B = {b}\nbest in {v:.1f} % of the draws" for b, v in share.items()]
        address = [f"data={name}&metric=test_acc&B={b}" for b in sizes]
        tip(axis, range(len(sizes)), share, texts, address)
        axis.set(xlabel="Batch size B", title=title, ylim=(0, 108), yticks=range(0, 101, 20))
        axis.grid(axis="x", visible=False)
        axis.set_axisbelow(True)
        axis.legend(fontsize=8.5)
        best = f"B = {share.idxmax()} in {share.max():.0f} %"
        found.append(f"{title}: {best}, the paper's B = {printed} in {share[printed]:.0f} %")
    axes[0].set_ylabel("Best in % of bootstrap draws")
    if not found:
        said = "No data set has runs of the protocol at every batch size: nothing is drawn."
        return describe(figure, said)
    n = max(map(len, draws.values()))
    return describe(
        figure,
        f"How often each batch size has the highest mean accuracy in {n:,} draws of the means from their "
        f"intervals. {'; '.join(found)}. Diamonds: the optima of Table VI.",
    )
