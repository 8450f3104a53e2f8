"""The form of a claim: what the paper says, which question it comes down to, and under which readings.

A `Reading` asks one function of `analysis`, of our runs as of the paper's tables. `Put` says how a statement
of the prose is put; `claims.statements` brings it together with the statement's text and number, which
`published` holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from .. import published
from ..analysis.costs import by_run
from ..config import DATASETS
from ..metrics import curves
from .rules import NOTHING, Says


@dataclass(frozen=True)
class Evidence:
    """What a question is asked of: tables of our runs, or of the paper's.

    runs: `metrics.frame` of the full protocol, or `published.printed_frame`; ablation: the same, or Table V;
    measures: what `geometry.measured` gives; choices: what `regret.method_results` gives; warm_up: the
    table of that study and `warm_up.image_pairs`; records: ours by id."""

    runs: pd.DataFrame
    ablation: pd.DataFrame
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = field(default_factory=pd.DataFrame)
    warm_up: pd.DataFrame = field(default_factory=pd.DataFrame)
    records: dict = field(default_factory=dict)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Learning curves of the runs under the linear rule."""
        linear = self.runs[self.runs["lr_rule"] == "linear"]
        return curves(self.records[id] for id in linear["id"])

    @cached_property
    def trained(self) -> dict[str, pd.DataFrame]:
        """The same, a row a run, by data set."""
        return {d: by_run(self.curves, d) for d in DATASETS}

    @property
    def all(self) -> Evidence:
        return self


def paper() -> Evidence:
    """The paper's tables as evidence."""
    return Evidence(published.printed_frame(), published.ablation_frame())


@dataclass(frozen=True)
class Reading:
    """One way to understand a claim: a question, the part of the evidence it is asked of, the label of the
    reading, and the `key` under which claims that were computed together must agree (`Claim.shares`)."""

    asks: Callable
    of: str = "runs"
    label: str = ""
    key: str = ""


@dataclass(frozen=True)
class Put:
    """How a statement is put. Readings of ours and of the paper's tables (none where it cannot know); `says`
    where it replaces the printed relation, as for a claim in words; `words` explain it, or why nothing can be
    asked."""

    ours: tuple[Reading, ...] = ()
    paper: tuple[Reading, ...] = ()
    says: Says | None = None
    words: str = ""
    shares: str = ""
    level: bool = False  # judged as a level although its unit has a value for no effect


@dataclass(frozen=True)
class Claim:
    """A statement of the prose or a cell of a table, ready to be judged. `section` is "Table IV" for a cell;
    `page` the section that it belongs to; `printed` the number as text; `question` the distinct claim that it
    is evidence of."""

    id: str
    section: str
    page: str
    text: str
    printed: str
    question: str
    says: Says
    ours: tuple[Reading, ...] = ()
    paper: tuple[Reading, ...] = ()
    paper_says: Says | None = None
    words: str = ""
    shares: str = ""

    testable = property(lambda self: bool(self.ours))
    cell = property(lambda self: self.section.startswith("Table"))
    unit = property(lambda self: self.says.unit)


def says(
    relation: str, value: float = math.nan, unit: str = "", rounding: float = 0.0, level: bool = False
) -> Says:
    """What a claim is put as, where that is not the printed relation."""
    return Says(relation, value, math.nan, unit, rounding, math.nan if level else NOTHING.get(unit, math.nan))


def one(asks: Callable, of: str = "runs") -> tuple[Reading, ...]:
    """The only reading of a claim."""
    return (Reading(asks, of),)


@dataclass(frozen=True)
class Question:
    """A distinct claim: what is asked, the statements of the paper that are evidence of it, the one whose
    verdict stands for it (`leads`), and the answer, a function of the committed evidence. The words of an
    answer are written by a person, its numbers are computed, and every word that other records could overturn
    is asserted beside it."""

    id: str
    asks: str
    statements: dict[str, Put]
    leads: str
    answer: Callable[[Evidence], str]

    def answered(self, evidence: Evidence) -> str:
        """The answer; where the evidence overturns its words, that it does."""
        try:
            return self.answer(evidence)
        except AssertionError as error:
            return (
                f"What was written here for the records of the book ({error}) does not hold for these; see "
                "the verdicts on its statements."
            )
