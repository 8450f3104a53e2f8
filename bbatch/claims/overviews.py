"""Judgements as tables: a row a statement, or a row a distinct claim."""

from collections.abc import Iterable
from textwrap import fill

import pandas as pd

from ..analysis.estimate import Estimate
from . import rules
from .claim import Evidence
from .judging import Judgement
from .questions import QUESTIONS

COLUMNS = ["id", "section", "claim", "published", "paper_check", "measured", "low", "high", "n", "verdict"]
COLUMNS += ["unit", "at", "reading", "question", "command", "note"]
INDENT = {"initial_indent": "  ", "subsequent_indent": "  "}


def verdict_frame(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row a statement, columns `COLUMNS`. `at` names the part that decides."""
    rows = []
    for j in judgements:
        c, part = j.claim, j.deciding or Estimate()
        about = part.about if len(j.ours[0].parts) > 1 else ""
        at = (c.id, c.section, c.text, c.printed, j.check, part.value, *part.interval(), part.n, j.verdict)
        rows.append((*at, c.unit, about, j.ours[0].label, c.question, j.command, " ".join(j.notes)))
    return pd.DataFrame(rows, columns=COLUMNS)


def distinct(judgements: Iterable[Judgement], ours: Evidence | None = None) -> pd.DataFrame:
    """A row a distinct claim: id, claim (a question), verdict (of the statement that stands for it),
    paper_check, statements (how many there are, cells included), reproduced, not_reproduced (how many of
    them), where (the sections that make it), and of `ours` the answer in words."""
    by_question: dict[str, list[Judgement]] = {}
    for j in judgements:
        by_question.setdefault(j.claim.question, []).append(j)
    rows = []
    for question in QUESTIONS:
        found = by_question.get(question.id, [])
        lead = next((j for j in found if j.claim.id == question.leads), None)
        if lead:
            counts = [sum(j.verdict == v for j in found) for v in (rules.REPRODUCED, rules.NOT)]
            where = ", ".join(dict.fromkeys(j.claim.section for j in found))
            answer = [] if ours is None else [question.answered(ours)]
            rows.append(
                (question.id, question.asks, lead.verdict, lead.check, len(found), *counts, where, *answer)
            )
    names = ["id", "claim", "verdict", "paper_check", "statements", "reproduced", "not_reproduced", "where"]
    return pd.DataFrame(rows, columns=names if ours is None else [*names, "answer"])


def in_text(table: pd.DataFrame) -> str:
    """`distinct` with its answers, for a terminal."""
    parts = []
    for row in table.itertuples():
        verdicts = f"{row.verdict}; by the paper's own tables, {row.paper_check}"
        parts.append(f"{row.claim}\n{fill(verdicts, 96, **INDENT)}\n{fill(row.answer, 96, **INDENT)}")
    return "\n\n".join(parts)
