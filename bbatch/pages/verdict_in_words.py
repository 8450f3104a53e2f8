"""The verdicts in words: totals, the rules and how often they are wrong, and the distinct claims under what
holds, what does not, what is open.

The answers are those of `claims.questions`; every number in them comes from the records or from what
is printed.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement, counted
from ..claims.questions import QUESTIONS
from ..claims.statements import without_a_claim
from ..statistics import proportion_interval
from .picture import describe, tip, titled
from .style import INK, STYLE
from .verdicts import brief

HEADINGS = {
    "What it gets right, or may get right": (rules.REPRODUCED, rules.COMPATIBLE),
    "What it does not": (rules.DIRECTION, rules.NOT),
    "What we could not tell": (rules.DATA, rules.UNTESTABLE),
}


def split(judgements: list[Judgement]) -> tuple[list[Judgement], list[Judgement]]:
    """The statements of the prose, and the cells of the tables."""
    return [j for j in judgements if not j.claim.cell], [j for j in judgements if j.claim.cell]


def totals_sentence(judgements: list[Judgement]) -> str:
    """The totals at a glance: prose and tables, each against our runs and the paper itself."""
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


def strongest(ours: Evidence) -> str:
    """What can be said most firmly, said first: whose the numbers of the tables are."""
    first = next(question for question in QUESTIONS if question.id == "values")
    return f"**{first.asks}** {brief(first.answered(ours))}"


def left_out_sentence() -> str:
    """How many statements are no claims."""
    return (
        f"Another {len(without_a_claim())} statements say what was done, or define something; they claim "
        "nothing that could fail, and are left out."
    )


def figure_calibration(table: pd.DataFrame) -> Figure:
    """Wrong firm verdicts against the number of runs: the worst of its truths for each kind of claim, a panel
    a kind, with the interval that so many draws leave."""
    worst = table.sort_values("wrong").groupby(["kind", "n"], sort=False).last().reset_index()
    kinds, limit = list(dict.fromkeys(table["kind"])), 100 * (1 - rules.LEVEL)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(4, 3, figsize=(7.2, 7.0), sharex=True, sharey=True)
        for axis, kind in zip(axes.flat, kinds, strict=False):
            rows = worst[worst["kind"] == kind].sort_values("n").reset_index()
            found = [
                proportion_interval(round(w * d / 100), int(d))
                for w, d in zip(rows["wrong"], rows["draws"], strict=True)
            ]
            share = rows["wrong"]
            spread = [[max(0.0, i.mean - i.low) for i in found], [max(0.0, i.high - i.mean) for i in found]]
            axis.axhline(limit, color=INK, linewidth=0.9, linestyle="--")
            axis.errorbar(rows.index, share, spread, color="#0072B2", marker="o", markersize=4, linewidth=1)
            axis.set_title(kind, fontsize=8.5)
            axis.set_xticks(rows.index, rows["n"])
            axis.tick_params(labelleft=True, labelbottom=True, labelsize=8)  # where a phone shows each alone
            tip(axis, rows.index, share, [f"{kind}, n = {r.n}: {r.wrong:.1f} %" for r in rows.itertuples()])
        for axis in axes[-1]:
            axis.set_xlabel("Runs of each cell")
        figure.supylabel("Wrong firm verdicts (%)", fontsize=9)
        axes[0, 0].set_ylim(0, None)
    plt.close(figure)
    most = worst["wrong"].max()
    said = (
        "Wrong firm verdicts in simulated papers, for the truth that misleads most, by the kind of claim. "
        f"Dashed is what the rules allow, {limit:.0f} %; bars are {100 * rules.LEVEL:g} % intervals of "
        f"{int(table['draws'].iloc[0])} draws."
    )
    return titled(describe(figure, said), f"A firm verdict is wrong in at most {most:.1f} % of the draws")


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
    """A distinct claim, its answer, the statement that stands for it, and how the others fare."""
    lead = next(j for j in statements if j.claim.id == question.leads)
    printed = f": {lead.claim.printed}" if lead.claim.printed else ""
    text = f"**{question.asks}** {question.answer(ours)}\n\n- *The paper:* {lead.claim.text}{printed}.\n"
    text += f"- *Verdict:* {lead.verdict}; against the paper's own tables, {lead.check}."
    text += f" {said}" if (said := counted(lead.ours)) else ""
    text += f" Against the paper: {said[0].lower()}{said[1:]}" if (said := counted(lead.paper)) else ""
    if len(statements) > 1:
        verdicts = pd.Series([j.verdict for j in statements]).value_counts()
        listed = ", ".join(f"{verdicts[v]} {v}" for v in rules.VERDICTS if v in verdicts)
        text += f"\n- *Its {len(statements)} statements and cells:* {listed}."
    return text + (f"\n- *What would tell:* `{lead.command}`" if lead.command else "")
