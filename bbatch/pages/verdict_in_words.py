"""The verdicts in words and at a glance: totals for the landing page, and what holds, what does not, what is open.

The words are typed; every number in them comes from a judgement or from the published statements.
"""

from __future__ import annotations

import math
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..claims import rules
from ..claims.explanations import UNEXPLAINED, reasons
from ..claims.judging import Judgement, Runs, counted, totals
from ..claims.ledger import UNITS, protocol
from ..claims.witnesses import number
from .figures import STYLE
from .picture import describe, tip

COLORS = {
    rules.REPRODUCED: "#009E73",
    rules.DIRECTION: "#E69F00",
    rules.NOT: "#D55E00",
    rules.DATA: "#56B4E9",
    rules.UNTESTABLE: "#BBBBBB",
}
# What a reader comes for: a claim that stands for its subject, and the subject in plain words.
SUBJECTS = (
    ("i-smaller-better", "Do small batches give better accuracy, on every data set?"),
    ("iv-a-monotone", "Does accuracy fall steadily as batches grow, on the synthetic sets?"),
    ("iv-a-cifar10-collapse", "Does CIFAR-10 collapse at large batches?"),
    ("vii-drop", "Is the fall from B = 32 to 512 as large as the conclusions say?"),
    ("iv-b-correlation", "Does the generalization gap go with the logarithm of the batch size?"),
    ("iv-d-prerequisite", "Must the learning rate be scaled with the batch?"),
    ("abstract-sharpness-ratio", "Do large batches end in minima as much sharper as the abstract says?"),
    ("iv-f-variance-slope", "Does gradient noise fall like one over the batch size?"),
    ("iv-g-critical-exponent", "Does the critical batch size grow like the root of the data?"),
    ("iv-c-more-epochs", "Do large batches need more epochs?"),
    ("i-epoch-speedup", "Do large batches make an epoch as much faster as is said?"),
    ("vi-algorithm", "Does Algorithm 2 choose well?"),
)
HEADINGS = {
    "What it gets right": (rules.REPRODUCED,),
    "What it does not": (rules.DIRECTION, rules.NOT),
    "What we could not tell": (rules.DATA, rules.UNTESTABLE),
}


def split(judgements: list[Judgement]) -> tuple[list[Judgement], list[Judgement]]:
    """The statements of the prose, and the cells of the tables."""
    return [j for j in judgements if not j.claim.cell], [j for j in judgements if j.claim.cell]


def totals_sentence(judgements: list[Judgement]) -> str:
    """The totals at a glance: of the prose and of the tables, each against our runs and against the paper itself."""
    said, kinds = [], ("claims of the paper's text", "cells of its tables")
    for what, some in zip(kinds, split(judgements)):
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
        f"Another {len(protocol())} statements say what was done, or define something; they claim nothing that "
        "could fail, and are left out."
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


def rules_table() -> pd.DataFrame:
    """The tolerances, a row a unit."""
    rows = [
        {
            "unit": {
                "percent": "percent (accuracies, gaps)",
                "points": "points (differences)",
                "r": "correlation",
                "R^2": "R²",
            }.get(unit, unit),
            "tolerance": f"{size:g}",
        }
        for unit, size in rules.ABSOLUTE.items()
    ]
    return pd.DataFrame(
        rows
        + [
            {"unit": unit, "tolerance": f"{100 * share:g} % of the printed number"}
            for unit, share in rules.RELATIVE.items()
        ]
    )


def rules_in_words() -> str:
    """The rules, a paragraph each."""
    return "\n\n".join(f"**{name[0].upper()}{name[1:]}.** {text}" for name, text in rules.EXPLAINED.items())


def in_words(judgements: list[Judgement], ours: Runs) -> dict[str, list[str]]:
    """For each of `HEADINGS`, a paragraph on every subject whose claim was judged so."""
    by_id, told = {j.claim.id: j for j in judgements}, set()
    said = {heading: [] for heading in HEADINGS}
    for heading, text in _tables(split(judgements)[1]).items():
        said[heading].append(text)
    for id, question in SUBJECTS:
        said[_heading(by_id[id].verdict)].append(paragraph(by_id[id], question, ours, told))
    return {
        heading: some or ["Nothing of the subjects of this page, so far."] for heading, some in said.items()
    }


def _heading(verdict: str) -> str:
    return next(heading for heading, verdicts in HEADINGS.items() if verdict in verdicts)


def _tables(cells: list[Judgement]) -> dict[str, str]:
    """The tables, each under the heading of the commonest verdict on its cells (what cannot be tested left out)."""
    said = {}
    for table in dict.fromkeys(j.claim.section for j in cells):
        verdicts = pd.Series(
            [j.verdict for j in cells if j.claim.section == table and j.claim.testable]
        ).value_counts()
        listed = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        said.setdefault(_heading(verdicts.idxmax()), []).append(f"{table}: {listed}")
    return {
        heading: f"**Cell by cell, times left out.** {'; '.join(some)}." for heading, some in said.items()
    }


def paragraph(j: Judgement, question: str, ours: Runs, told: set[str]) -> str:
    """A question, and a list: what the paper says, what its tables say of that, what our runs say, and why unless it was
    `told`."""
    printed = f": {j.claim.printed}" if j.claim.printed else ""
    claim = re.sub(r' \("[^)]*\)$', "", j.claim.text)  # without the paper's own word for it
    text = f"**{question}**\n\n- *The paper:* {claim}{printed}.\n- *Its tables* "
    several = len(j.paper[0].parts) > 1
    shown = [
        f"{p.label}: {p.shown}" if several else p.shown
        for p in j.paper[0].parts
        if p.shown and p.n and rules.check(j.claim.paper_proposition, [p]) == j.check
    ]
    arithmetic = f" ({shown[0]})" if shown else ""
    text += {
        rules.CONSISTENT: f"agree with it{arithmetic}.",
        rules.INCONSISTENT: f"contradict it{arithmetic}.",
        rules.UNCHECKABLE: "cannot settle it.",
    }[j.check]
    text += f" {said}" if (said := counted(j.paper)) else ""
    text += (
        "\n- *Our runs* "
        + {
            rules.REPRODUCED: "confirm it",
            rules.DIRECTION: "go that way, by another amount",
            rules.NOT: "do not confirm it",
            rules.DATA: "leave it open",
            rules.UNTESTABLE: "cannot test it",
        }[j.verdict]
        + f"{_found(j)}."
    )
    if said := counted(j.ours):
        text += f" Read as: {j.ours[0].label}. {said}"
    why = [] if j.verdict == rules.DATA else [s for s in reasons(j, ours) if s not in told | {UNEXPLAINED}]
    told.update(why[:1])
    missing = f"\n- *What would tell:* `{j.command}`" if j.command else ""
    return text + (f"\n- *Why:* {why[0]}" if why else "") + missing


def _found(j: Judgement) -> str:
    """What was measured, for the end of a sentence."""
    part, unit = j.deciding, UNITS.get(j.claim.unit, f" {j.claim.unit}")
    if part is None or part.n == 0:
        return ""
    if math.isnan(part.value):
        return f": {part.shown}"
    span = "" if math.isnan(part.low) else f", {number(part.low)} to {number(part.high)}"
    where = f"{part.label}: " if len(j.ours[0].parts) > 1 else ""
    return f" ({where}{number(part.value)}{unit}{span}, n = {part.n})"
