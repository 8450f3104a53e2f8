"""The figure of Section IV-G: how sure the best batch size is."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..config import DATASETS
from .picture import describe, tip
from .style import COLORS, PAPER, STYLE


def optimum_scatter(draws: dict[str, pd.DataFrame]) -> Figure:
    """How often each batch size comes out best when means are drawn again.

    `draws`: tables of `critical_batch_size.drawn` by data set.
    """
    found = []
    with mpl.rc_context(STYLE):
        panels = max(1, len(draws))
        figure, axes = plt.subplots(1, panels, figsize=(max(6, 4.1 * panels), 3.6), squeeze=False)
        if not draws:
            axes[0, 0].set_title("No data set has runs at every batch size yet")
        for axis, (name, table) in zip(axes[0], draws.items(), strict=False):  # one panel, too, for none
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
            best, theirs = share.max(), share[printed]
            found.append(
                f"{title}: B = {share.idxmax()} in {best:.0f} %, the paper's B = {printed} in {theirs:.0f} %"
            )
        axes[0, 0].set_ylabel("Best in % of bootstrap draws")
    plt.close(figure)
    n = max(map(len, draws.values()), default=0)
    return describe(
        figure,
        f"How often each batch size has the highest mean accuracy in {n:,} draws of the means from "
        f"their intervals. {'; '.join(found)}. Diamonds: the optima of Table VI.",
    )
