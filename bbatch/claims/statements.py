"""Every claim of the paper: the statements of its prose, and Tables III to VII cell by cell.

The modules `on_...` say how the prose is put; the cells are put here, from the published tables. Nothing is
evaluated."""

import math
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from .. import published
from ..analysis import accuracy, critical_batch_size, printed
from ..analysis.estimate import digits, number
from ..config import DATASETS
from .claim import PAGES, TRAINED, Claim, Put, Question, each, one
from .questions import QUESTIONS
from .rules import Says

UNITS = {
    "percent": " %",
    "points": " points",
    "ratio": "×",
    "percent of seeds": " % of seeds",
    "seconds": " s",
}
UNITS |= dict.fromkeys(("exponent", "r", "R^2", "p", "samples"), "")
# What was chosen or counted is exact; all else is rounded.
CHOSEN = ("samples", "learning rate", "data sets", "networks", "batch sizes", "places")
SIGNS = {"=": "", "range": "", "~": "about ", "<=": "≤ ", ">=": "≥ "}
COLUMNS = {  # of a cell: its title, its unit, and its name in the id of a claim
    "test_acc": ("test accuracy", "percent", "test-acc"),
    "train_acc_running": ("training accuracy", "percent", "train-acc"),
    "gap_running": ("gap", "points", "gap"),
    "epoch_time_s": ("time of an epoch", "seconds", "epoch-time-s"),
}
SECONDS = "Seconds on another machine do not compare; their ratios are judged as claims of Section IV-C."
ITSELF = "A statement of the paper about itself; runs cannot bear on it."


def claims() -> list[Claim]:
    """Every claim: the prose in the paper's order, then Tables III-VII. What claims nothing is left out."""
    put = {id: (question, one_put) for question in QUESTIONS for id, one_put in question.statements.items()}
    prose = [_prose(row, *put[row.id]) for row in published.statements().itertuples() if row.id in put]
    return prose + sorted([*_results(), *_ablation(), *_critical()], key=lambda c: [*PAGES].index(c.section))


def without_a_claim() -> pd.DataFrame:
    """The statements that claim nothing, since they say what was done or define: id, section, text."""
    table, put = published.statements(), {id for question in QUESTIONS for id in question.statements}
    return table.loc[~table["id"].isin(put), ["id", "section", "text"]].reset_index(drop=True)


def _prose(row, question: Question, put: Put) -> Claim:
    text, half = published.printed(row.id)
    relation, unit = (x if isinstance(x, str) else "" for x in (row.relation, row.unit))
    rounding = half if text and unit not in CHOSEN else 0.0
    printed_says = Says(relation, row.value, unit, row.upper, rounding, put.level)
    words = put.words or (ITSELF if put.paper and not put.ours else "")
    about = row.id, row.section, row.text.replace("<=", "≤"), _printed(printed_says, text), question.id
    return Claim(*about, put.says or printed_says, put.ours, put.paper, words, put.shares)


def _printed(said: Says, text: str) -> str:
    if not text:
        return ""
    span = f"{text} to {said.upper:g}" if said.relation == "range" else text
    told = f"{SIGNS.get(said.relation, said.relation + ' ')}{span}{UNITS.get(said.unit, ' ' + said.unit)}"
    return told.replace("-", "−")


def _cell(row, column: str, of: str = "runs", rate: str = "") -> Claim:
    """The claim of one cell, a level: our runs must give it, in both readings where it is a gap."""
    value, half = getattr(row, column), getattr(row, f"{column}_rounding")
    title, unit, name = COLUMNS[column]
    id = "-".join(filter(None, (f"table-{row.table.lower()}", row.dataset, f"b{row.batch_size}", rate, name)))
    text = f"{title} on {DATASETS[row.dataset].title} at B = {row.batch_size}"
    text += f", {rate} rate" if rate else ""
    at = {"dataset": row.dataset, "batch_size": row.batch_size, "lr_rule": row.lr_rule}
    ours, shares, words = one(accuracy.level, of, **at, metric=column), "", ""
    if unit == "points":
        ours, shares = each(TRAINED, accuracy.level, of, **at), "training accuracy"
    elif unit == "seconds":
        ours, words = (), SECONDS
    question = "scaling" if row.table == "V" else "epoch-time" if unit == "seconds" else "values"
    shown, said = number(value, digits(half)) + UNITS[unit], Says("=", value, unit, rounding=half, level=True)
    return Claim(id, f"Table {row.table}", text, shown, question, said, ours, words=words, shares=shares)


def _results() -> Iterable[Claim]:
    """Tables III, IV, VII: accuracies are counts of whole samples, gaps differences of accuracies."""
    whole = Says("<=", 0, "points", level=True)
    for row in published.printed_frame().itertuples():
        at = {"dataset": row.dataset, "batch_size": row.batch_size}
        for column, (_, unit, _) in COLUMNS.items():
            if pd.isna(getattr(row, column)):
                continue
            cell = _cell(row, column)
            if unit == "percent":
                off = one(printed.off_a_count, metric=column, **at)
                cell = replace(cell, paper=off, paper_says=whole)
            elif unit == "points":
                cell = replace(cell, paper=one(printed.difference_of_accuracies, **at))
            yield cell


def _ablation() -> Iterable[Claim]:
    """Table V; where its rate is that of Table VII, the cells of the two must be equal."""
    protocol_ = DATASETS["synthetic-50k"].protocol
    for row in published.ablation_frame().itertuples():
        rate = {"linear": "scaled", "constant": "fixed"}[row.lr_rule]
        same = math.isclose(row.lr, protocol_.rate(row.batch_size))
        for column in ("test_acc", "gap_running"):
            seven = one(accuracy.level, dataset=row.dataset, batch_size=row.batch_size, metric=column)
            yield replace(_cell(row, column, "ablation", rate), paper=seven if same else ())


def _critical() -> Iterable[Claim]:
    """Table VI, which must follow from the other tables by the definition of Section IV-G."""
    for row in published.critical().itertuples():
        for what, outcome, name, question, value in (
            ("optimum", "optimal", "best", "best", row.optimal_batch_size),
            ("critical", "critical", "critical", "critical", row.critical_batch_size),
        ):
            asked = one(critical_batch_size.outcomes, dataset=row.dataset, what=outcome)
            id, text = f"table-vi-{row.dataset}-{what}", f"{name} batch size on {DATASETS[row.dataset].title}"
            said = Says("=", float(value), "samples")
            yield Claim(id, "Table VI", text, str(value), question, said, asked, asked)
