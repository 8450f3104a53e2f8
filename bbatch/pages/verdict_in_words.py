"""What the pages of verdicts show beside the answers: which claims hold, which do not, which are open;
totals; the tolerances, and how often the rules are wrong."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement
from ..claims.questions import QUESTIONS
from ..statistics import proportion_interval
from .picture import describe, tip, titled
from .style import INK, drawing, with_ends
from .verdicts import LEADS, brief

GROUPS = ((rules.REPRODUCED, rules.COMPATIBLE), (rules.DIRECTION, rules.NOT), (rules.DATA, rules.UNTESTABLE))


def by_answer(judgements: list[Judgement]) -> list[list[Judgement]]:
    """The statements of the distinct claims that hold or may hold, of those that do not, and of those that
    could not be told: by the verdict on the statement that stands for each claim."""
    lead = {j.claim.question: j.verdict for j in judgements if j.claim.id in LEADS}
    return [[j for j in judgements if lead.get(j.claim.question) in group] for group in GROUPS]


def totals_table(judgements: list[Judgement]) -> pd.DataFrame:
    """Statements of the text and cells of the tables by verdict: a row a witness and verdict."""
    witnesses = {
        "our runs": (rules.VERDICTS, [j.verdict for j in judgements]),
        "the paper's own tables": (rules.CHECKS, [j.check for j in judgements]),
    }
    cell = [j.claim.cell for j in judgements]
    rows = []
    for witness, (known, found) in witnesses.items():
        counts = pd.Series(zip(found, cell, strict=True)).value_counts()
        rows += [(witness, v, counts.get((v, False), 0), counts.get((v, True), 0)) for v in known]
    return pd.DataFrame(rows, columns=["witness", "verdict", "statements of the text", "cells of its tables"])


def strongest(ours: Evidence) -> str:
    """What can be said most firmly, said first: whose the numbers of the tables are."""
    first = next(question for question in QUESTIONS if question.id == "values")
    return f"**{first.asks}** {brief(first.answered(ours))}"


@drawing
def figure_calibration(table: pd.DataFrame) -> Figure:
    """Wrong firm verdicts against the number of runs: the worst of its truths for each kind of claim, a panel
    a kind, with the interval that so many draws leave."""
    worst = table.sort_values("wrong").groupby(["kind", "n"], sort=False).last().reset_index()
    kinds, limit = list(dict.fromkeys(table["kind"])), 100 * (1 - rules.LEVEL)
    figure, axes = plt.subplots(4, 3, figsize=(7.2, 7.0), sharex=True, sharey=True)
    for axis, kind in zip(axes.flat, kinds, strict=False):
        rows = worst[worst["kind"] == kind].sort_values("n").reset_index()
        found = [
            proportion_interval(round(w * d / 100), int(d))
            for w, d in zip(rows["wrong"], rows["draws"], strict=True)
        ]
        share, (_, spread) = rows["wrong"], with_ends(found)
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
    names = {"percent": "percent (accuracies)", "points": "points (gaps, differences)"}
    names |= {"r": "correlation", "R^2": "R²"}
    rows = [
        (names.get(u, u), f"{size:g}{fits if u in ('percent', 'points') else ''}")
        for u, size in rules.ABSOLUTE.items()
    ]
    rows += [(unit, f"{100 * share:g} % of the printed number") for unit, share in rules.RELATIVE.items()]
    return pd.DataFrame(rows, columns=["unit", "tolerance"])
