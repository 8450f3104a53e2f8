"""The form of a claim: what the paper says, which question it comes down to, and under which readings.

A `Reading` asks one function of `analysis`, of our runs as of the paper's tables. `Put` says how a statement
of the prose is put; `claims.statements` brings it together with the statement's text and number, which
`published` holds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Self

import pandas as pd

from .. import published
from ..analysis import sharpness_and_batch_size
from ..analysis.costs import by_run
from ..config import DATASETS
from ..metrics import curves
from .rules import Says

# What the training accuracy of a gap is: the paper does not say, and all claims on gaps share one reading.
TRAINED = {
    "running training accuracy": {"metric": "gap_running"},
    "clean training accuracy": {"metric": "gap"},
}


@dataclass(frozen=True)
class Evidence:
    """What a question is asked of: tables of our runs, or of the paper's.

    runs: `metrics.frame` of the full protocol, or `published.printed_frame`; ablation: the same, or Table V;
    measures: what `geometry.measured` gives; choices: what `regret.method_results` gives; warm_up: the
    table of that study and `warm_up.image_pairs`; maps: the tables of batch sizes and rates, one below the
    other; circles: what `geometry.circles` gives; records: ours by id."""

    runs: pd.DataFrame
    ablation: pd.DataFrame
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = field(default_factory=pd.DataFrame)
    warm_up: pd.DataFrame = field(default_factory=pd.DataFrame)
    maps: pd.DataFrame = field(default_factory=pd.DataFrame)
    circles: pd.DataFrame = field(default_factory=pd.DataFrame)
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

    @cached_property
    def minima(self) -> dict[str, pd.DataFrame]:
        """Of the measures, those of sharpness at the end of training, by data set."""
        return sharpness_and_batch_size.minima(self.measures)

    @property
    def all(self) -> Self:
        return self


# The section that each table belongs to.
PAGES = {"Table III": "IV-A", "Table IV": "IV-A", "Table V": "IV-D", "Table VI": "IV-G", "Table VII": "IV-A"}


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
    `printed` the number as text; `question` the distinct claim that it is evidence of; `paper_says` what the
    paper's tables must keep, if not `says`."""

    id: str
    section: str
    text: str
    printed: str
    question: str
    says: Says
    ours: tuple[Reading, ...] = ()
    paper: tuple[Reading, ...] = ()
    words: str = ""
    shares: str = ""
    paper_says: Says | None = None

    page = property(lambda self: PAGES.get(self.section, self.section), doc="The section it belongs to.")
    testable = property(lambda self: bool(self.ours))
    cell = property(lambda self: self.section.startswith("Table"))
    unit = property(lambda self: self.says.unit)


def one(asks: Callable, of: str = "runs", label: str = "", /, **given) -> tuple[Reading, ...]:
    """One reading: a question with what it is given."""
    return (Reading(partial(asks, **given), of, label, label),)


def each(
    ways: dict[str, dict], asks: Callable, of: str = "runs", before: str = "", /, **given
) -> tuple[Reading, ...]:
    """A reading for each way, which by its label gives the question more; `before` begins every label, and
    is not part of the key."""
    return tuple(
        Reading(partial(asks, **given, **way), of, before + label, label) for label, way in ways.items()
    )


def crossed(first: dict[str, dict], second: dict[str, dict]) -> dict[str, dict]:
    """Each of the first ways with each of the second."""
    return {f"{a}, {b}": {**one, **two} for a, one in first.items() for b, two in second.items()}


def both(asked: tuple[Reading, ...], says: Says | None = None, words: str = "", shares: str = "") -> Put:
    """The same question to our runs and to the paper's tables."""
    return Put(asked, asked, says, words, shares)


@dataclass(frozen=True)
class Question:
    """A distinct claim: what is asked, the statements of the paper that are evidence of it, of which the
    first leads: its verdict stands for the claim; and the answer, a function of the committed evidence. The
    words of an answer are written by a person for the committed records. Its numbers are computed by the same
    functions as verdicts and tables, and every word that other records could overturn is asserted beside it:
    where an assertion fails, a test does, and a person writes a better sentence."""

    id: str
    asks: str
    statements: dict[str, Put]
    answer: Callable[[Evidence], str]

    leads = property(lambda self: next(iter(self.statements)))

    def answered(self, evidence: Evidence) -> str:
        """The answer; where the evidence overturns its words, that it does."""
        try:
            return self.answer(evidence)
        except AssertionError as error:
            return (
                f"What was written here for the records of the book ({error}) does not hold for these; see "
                "the verdicts on its statements."
            )
