"""Every claim of the paper: the statements of its prose, and Tables III to VII cell by cell.

The prose is put in words of `analysis` by `on_accuracy`, `on_training` and `on_geometry`; the cells are put
here, from the published tables. Nothing is evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import pandas as pd

from .. import published
from ..analysis import accuracy, critical_batch_size, printed
from ..analysis.estimate import digits, number
from ..config import DATASETS
from .claim import Claim, Put, Question, Reading, one, says
from .questions import QUESTIONS
from .rules import NOTHING, Says

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
# Each table, and the section that it belongs to.
TABLES = {"III": "IV-A", "IV": "IV-A", "V": "IV-D", "VI": "IV-G", "VII": "IV-A"}
COLUMNS = {
    "test_acc": "test accuracy",
    "train_acc_running": "training accuracy",
    "gap_running": "gap",
    "epoch_time_s": "time of an epoch",
}
SECONDS = "Seconds on another machine do not compare; their ratios are judged as claims of Section IV-C."
ITSELF = "A statement of the paper about itself; runs cannot bear on it."
GAPS = (("running training accuracy", "gap_running"), ("clean training accuracy", "gap"))


def claims() -> list[Claim]:
    """Every claim: the prose in the paper's order, then Tables III-VII. What claims nothing is left out."""
    put = {id: (question, one_put) for question in QUESTIONS for id, one_put in question.statements.items()}
    prose = [_prose(row, *put[row.id]) for row in published.statements().itertuples() if row.id in put]
    order = [f"Table {table}" for table in TABLES]
    return prose + sorted([*_results(), *_ablation(), *_critical()], key=lambda c: order.index(c.section))


def without_a_claim() -> pd.DataFrame:
    """The statements that claim nothing, since they say what was done or define: id, section, text."""
    table, put = published.statements(), {id for question in QUESTIONS for id in question.statements}
    return table.loc[~table["id"].isin(put), ["id", "section", "text"]].reset_index(drop=True)


def _prose(row, question: Question, put: Put) -> Claim:
    text, half = published.printed(row.id)
    printed_says = Says(
        row.relation if isinstance(row.relation, str) else "",
        row.value,
        row.upper,
        row.unit if isinstance(row.unit, str) else "",
        0.0 if row.unit in CHOSEN or not text else half,
        math.nan if put.level else NOTHING.get(row.unit, math.nan),
    )
    said = put.says or printed_says
    words = put.words or (ITSELF if put.paper and not put.ours else "")
    shown = _printed(printed_says, text)
    what = row.text.replace("<=", "≤")
    return Claim(
        row.id,
        row.section,
        row.section,
        what,
        shown,
        question.id,
        said,
        put.ours,
        put.paper,
        said,
        words,
        put.shares,
    )


def _printed(said: Says, text: str) -> str:
    if not text:
        return ""
    span = f"{text} to {said.upper:g}" if said.relation == "range" else text
    told = f"{SIGNS.get(said.relation, said.relation + ' ')}{span}{UNITS.get(said.unit, ' ' + said.unit)}"
    return told.replace("-", "−")


def _cell(table: str, row, column: str, ours, paper, put: Says | None = None, rate: str = "") -> Claim:
    """The claim of one cell; `put`: what the paper's tables must keep, if not the printed number."""
    value, half = getattr(row, column), getattr(row, f"{column}_rounding")
    unit = {"gap_running": "points", "epoch_time_s": "seconds"}.get(column, "percent")
    said = Says(
        "=", value, math.nan, unit, half
    )  # a level, also where it is a gap: not an effect of anything
    old = {"gap_running": "gap", "train_acc_running": "train_acc"}.get(column, column).replace("_", "-")
    id = "-".join(filter(None, (f"table-{table.lower()}", row.dataset, f"b{row.batch_size}", rate, old)))
    text = f"{COLUMNS[column]} on {DATASETS[row.dataset].title} at B = {row.batch_size}"
    text += f", {rate} rate" if rate else ""
    shown = number(value, digits(half)) + UNITS[unit]
    question = "scaling" if table == "V" else "epoch-time" if unit == "seconds" else "values"
    shares = "training accuracy" if column == "gap_running" else ""
    words = SECONDS if unit == "seconds" else ""
    section = f"Table {table}"
    return Claim(
        id, section, TABLES[table], text, shown, question, said, ours, paper, put or said, words, shares
    )


def _asked(row, column: str, of: str = "runs", rule: str = "linear") -> tuple[Reading, ...]:
    """The readings of a cell: a gap has two."""
    level = partial(accuracy.level, dataset=row.dataset, batch_size=row.batch_size, lr_rule=rule)
    if column == "gap_running":
        return tuple(Reading(partial(level, metric=metric), of, label, label) for label, metric in GAPS)
    return () if column == "epoch_time_s" else one(partial(level, metric=column), of)


def _results() -> Iterable[Claim]:
    """Tables III, IV, VII: accuracies are counts of whole samples, gaps differences of accuracies."""
    whole = says("<=", 0, "points", level=True)
    for row in published.printed_frame().itertuples():
        at = {"dataset": row.dataset, "batch_size": row.batch_size}
        for column in COLUMNS:
            if pd.isna(getattr(row, column)):
                continue
            count = column in ("test_acc", "train_acc_running")
            paper = {
                "gap_running": one(partial(printed.difference_of_accuracies, **at)),
                "epoch_time_s": (),
            }.get(column, one(partial(printed.off_a_count, metric=column, **at)))
            yield _cell(row.table, row, column, _asked(row, column), paper, whole if count else None)


def _ablation() -> Iterable[Claim]:
    """Table V; where its rate is that of Table VII, the cells of the two must be equal."""
    protocol_ = DATASETS["synthetic-50k"].protocol
    for row in published.ablation_frame().itertuples():
        rate = {"linear": "scaled", "constant": "fixed"}[row.lr_rule]
        same = math.isclose(row.lr, protocol_.base_lr * row.batch_size / protocol_.base_batch)
        for column in ("test_acc", "gap_running"):
            level = partial(accuracy.level, dataset=row.dataset, batch_size=row.batch_size, metric=column)
            ours = _asked(row, column, "ablation", row.lr_rule)
            yield _cell("V", row, column, ours, one(level) if same else (), rate=rate)


def _critical() -> Iterable[Claim]:
    """Table VI, which must follow from the other tables by the definition of Section IV-G."""
    for row in published.critical().itertuples():
        for what, outcome, name, question, value in (
            ("optimum", "optimal", "best", "best", row.optimal_batch_size),
            ("critical", "critical", "critical", "critical", row.critical_batch_size),
        ):
            asked = one(partial(critical_batch_size.outcomes, dataset=row.dataset, what=outcome))
            said = Says("=", float(value), unit="samples")
            id, text = f"table-vi-{row.dataset}-{what}", f"{name} batch size on {DATASETS[row.dataset].title}"
            yield Claim(id, "Table VI", TABLES["VI"], text, str(value), question, said, asked, asked, said)
