"""The figure of Section IV-G: how sure the best batch size is."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .. import published
from ..config import DATASETS
from .figures import COLORS, PAPER, STYLE
from .picture import describe, tip


def optimum_scatter(draws: dict[str, pd.DataFrame]) -> Figure:
    """How often each batch size comes out best when seeds are drawn again, for `critical_batch_size.bootstrap` tables by data set."""
    found = []
    with mpl.rc_context(STYLE):
        panels = max(1, len(draws))
        figure, axes = plt.subplots(1, panels, figsize=(max(6, 4.1 * panels), 3.6), squeeze=False)
        if not draws:
            axes[0, 0].set_title("No data set has two seeds at every batch size yet")
        for axis, (name, table) in zip(axes[0], draws.items()):
            sizes, title = DATASETS[name].protocol.batch_sizes, DATASETS[name].title
            share = 100 * table["optimal"].value_counts(normalize=True).reindex(sizes, fill_value=0)
            axis.bar(range(len(sizes)), share, color=COLORS[name])
            axis.set_xticks(range(len(sizes)), map(str, sizes), fontsize=8.5)
            printed = published.critical().set_index("dataset").loc[name, "optimal_batch_size"]
            axis.plot(
                [sizes.index(printed)], [share[printed] + 5], **PAPER | {"linestyle": "", "label": "Table VI"}
            )
            tip(
                axis,
                range(len(sizes)),
                share,
                [f"{title}, B = {b}\nbest in {v:.1f} % of the draws" for b, v in share.items()],
                [f"data={name}&metric=test_acc&B={b}" for b in sizes],
            )
            axis.set(xlabel="Batch size B", title=title, ylim=(0, 108), yticks=range(0, 101, 20))
            axis.grid(axis="x", visible=False)
            axis.set_axisbelow(True)
            axis.legend(fontsize=8.5)
            found.append(
                f"{title}: B = {share.idxmax()} in {share.max():.0f} %, the paper's B = {printed} in {share[printed]:.0f} %"
            )
        axes[0, 0].set_ylabel("Best in % of bootstrap draws")
    plt.close(figure)
    return describe(
        figure,
        f"How often each batch size has the highest mean accuracy in {max(map(len, draws.values()), default=0):,} "
        f"draws of the seeds with replacement. {'; '.join(found)}. Diamonds: the optima of Table VI.",
    )
