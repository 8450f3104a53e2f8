"""The verdicts in words and at a glance: totals, and the distinct claims under what holds, what does not,
what is open.

The answers are `claims.answers`; every number in them comes from the records or from what is printed.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement, counted, totals
from ..claims.questions import QUESTIONS
from ..claims.statements import protocol
from .figures import STYLE
from .picture import describe, tip

COLORS = {
    rules.REPRODUCED: "#009E73",
    rules.COMPATIBLE: "#9BD3BF",
    rules.DIRECTION: "#E69F00",
    rules.NOT: "#D55E00",
    rules.DATA: "#56B4E9",
    rules.UNTESTABLE: "#BBBBBB",
}
HEADINGS = {
    "What it gets right, or may get right": (rules.REPRODUCED, rules.COMPATIBLE),
    "What it does not": (rules.DIRECTION, rules.NOT),
    "What we could not tell": (rules.DATA, rules.UNTESTABLE),
}


def split(judgements: list[Judgement]) -> tuple[list[Judgement], list[Judgement]]:
    """The statements of the prose, and the cells of the tables."""
    return [j for j in judgements if not j.claim.cell], [j for j in judgements if j.claim.cell]


def totals_sentence(judgements: list[Judgement]) -> str:
    """The totals at a glance: of the prose and of the tables, each against our runs and against the paper
    itself."""
    said, kinds = [], ("claims of the paper's text", "cells of its tables")
    for what, some in zip(kinds, split(judgements), strict=False):
        if not some:
            continue
        verdicts = pd.Series([j.verdict for j in some]).value_counts()
        checks = pd.Series([j.check for j in some]).value_counts()
        listed = ", ".join(f"{verdicts[v]} {v}" for v in rules.VERDICTS if v in verdicts)
        against = ", ".join(f"{checks[v]} {v}" for v in rules.CHECKS if v in checks)
        said.append(
            f"Of **{len(some)} {what}**, our runs leave {listed}; against the paper's own tables, {against}."
        )
    return " ".join(said)


def left_out_sentence() -> str:
    """How many statements are no claims."""
    return (
        f"Another {len(protocol())} statements say what was done, or define something; they claim nothing "
        "that could fail, and are left out."
    )


def figure_totals(judgements: list[Judgement]) -> Figure:
    """One stacked bar for each section and table: how many claims have each verdict."""
    counts = totals(judgements).iloc[::-1].rename(index=lambda section: section[0].upper() + section[1:])
    total = counts.sum(axis=1)
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.4, 0.27 * len(counts) + 1.6))
        left = pd.Series(0.0, index=counts.index)
        for verdict, color in COLORS.items():
            share = 100 * counts[verdict] / total
            axis.barh(counts.index, share, left=left, color=color, edgecolor="white", label=verdict)
            some = counts[verdict] > 0
            for row in counts.index[some]:
                axis.text(
                    left[row] + share[row] / 2,
                    row,
                    counts.loc[row, verdict],
                    ha="center",
                    va="center",
                    fontsize=8.5,
                )
            tip(
                axis,
                (left + share / 2)[some],
                np.flatnonzero(some),
                [f"{row}: {n} of {total[row]} {verdict}" for row, n in counts.loc[some, verdict].items()],
            )
            left = left + share
        axis.set(
            xlabel="Share of the claims (%; in the bars: their number)",
            xlim=(0, 100),
            ylim=(-0.6, len(counts) - 0.4),
        )
        axis.grid(visible=False)
        axis.tick_params(axis="y", labelsize=9)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=9)
    plt.close(figure)
    all_of = counts.sum()
    said = ", ".join(f"{all_of[v]} {v}" for v in COLORS if all_of[v])
    return describe(
        figure,
        f"Verdicts of our runs on the {total.sum()} claims, by section of the paper and by table: {said}. "
        "Times on another machine count among the untestable.",
    )


def figure_calibration(table: pd.DataFrame) -> Figure:
    """Wrong firm verdicts against the number of runs, a line for each kind of claim: the worst of its
    truths."""
    worst = table.groupby(["kind", "n"], sort=False)["wrong"].max().unstack("n")
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 4.0))
        at = range(len(worst.columns))
        for kind, row in worst.iterrows():
            axis.plot(at, row, marker="o", markersize=4, label=kind)
            tip(axis, at, row, [f"{kind}, n = {n}: {wrong:.1f} %" for n, wrong in row.items()])
        axis.axhline(100 * (1 - rules.LEVEL), color="#333333", linewidth=0.8)
        axis.set_xticks(at, worst.columns)
        axis.set(xlabel="Runs of each cell", ylabel="Wrong firm verdicts (%)", ylim=(0, None))
        axis.legend(fontsize=8.5)
    plt.close(figure)
    most = worst.to_numpy().max()
    return describe(
        figure, f"Wrong firm verdicts in simulated papers: at most {most:.1f} % for any kind of claim."
    )


def rules_table() -> pd.DataFrame:
    """The tolerances, a row a unit."""
    fits = f", and no more than {100 * rules.OF_SPAN:g} % of what single runs of the data set differ by"
    names = {
        "percent": "percent (accuracies)",
        "points": "points (gaps, differences)",
        "r": "correlation",
        "R^2": "R²",
    }
    rows = [
        (names.get(u, u), f"{size:g}{fits if u in ('percent', 'points') else ''}")
        for u, size in rules.ABSOLUTE.items()
    ]
    rows += [(unit, f"{100 * share:g} % of the printed number") for unit, share in rules.RELATIVE.items()]
    return pd.DataFrame(rows, columns=["unit", "tolerance"])


def rules_in_words() -> str:
    """The rules, a paragraph each."""
    return "\n\n".join(f"**{name}.** {text}" for name, text in rules.EXPLAINED.items())


def in_words(judgements: list[Judgement], ours: Evidence) -> dict[str, list[str]]:
    """For each of `HEADINGS`, a paragraph on every distinct claim that was judged so."""
    by_id = {j.claim.id: j for j in judgements}
    said = {heading: [] for heading in HEADINGS}
    for question in QUESTIONS:
        lead = by_id[question.leads]
        heading = next(h for h, verdicts in HEADINGS.items() if lead.verdict in verdicts)
        said[heading].append(
            paragraph(question, [j for j in judgements if j.claim.question == question.id], ours)
        )
    return {heading: some or ["Nothing, so far."] for heading, some in said.items()}


def paragraph(question, statements: list[Judgement], ours: Evidence) -> str:
    """A distinct claim, its answer, and a list: the statement that stands for it with its verdicts, and how
    the others fare."""
    lead = next(j for j in statements if j.claim.id == question.leads)
    printed = f": {lead.claim.printed}" if lead.claim.printed else ""
    text = f"**{question.asks}** {question.answer(ours)}\n\n- *The paper:* {lead.claim.text}{printed}.\n"
    text += f"- *Verdict:* {lead.verdict}; against the paper's own tables, {lead.check}."
    text += f" {said}" if (said := counted(lead.ours)) else ""
    if len(statements) > 1:
        verdicts = pd.Series([j.verdict for j in statements]).value_counts()
        listed = ", ".join(f"{verdicts[v]} {v}" for v in rules.VERDICTS if v in verdicts)
        text += f"\n- *Its {len(statements)} statements and cells:* {listed}."
    return text + (f"\n- *What would tell:* `{lead.command}`" if lead.command else "")
