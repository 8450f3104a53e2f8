"""Every claim of the paper, judged twice: against its own tables and against our runs.

What is claimed and how it is put stands in `ledger`, the rules in `rules`, what is measured in `quantities*`, who is
asked in `witnesses`. A verdict is a function of the records and the published CSV files, computed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import pandas as pd

from .. import geometry, metrics
from ..config import DATASETS, PRECISIONS
from ..errors import BadInput, one_of
from ..records.store import Store
from ..statistics import LEVEL
from . import ledger, quantities_costs, quantities_scaling, rules  # noqa: F401 (fill QUANTITIES)
from .ledger import WHY_NOT, Claim
from .quantities import QUANTITIES
from .rules import DATA, UNCHECKABLE, UNTESTABLE, Part
from .witnesses import Paper, Runs, command

COLUMNS = [
    "id",
    "section",
    "claim",
    "published",
    "paper_check",
    "measured",
    "low",
    "high",
    "n",
    "verdict",
    "unit",
    "at",
    "reading",
    "command",
    "note",
]


@dataclass(frozen=True)
class Reading:
    """One reading of a claim, its parts, and what a witness says of it."""

    label: str
    verdict: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """A claim with what each witness says: every reading, the most favourable first, of several the nearest."""

    claim: Claim
    ours: tuple[Reading, ...]
    paper: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    command: str = ""  # what would give the data that a verdict lacks

    verdict = property(lambda self: self.ours[0].verdict)
    check = property(lambda self: self.paper[0].verdict)

    @property
    def deciding(self) -> Part | None:
        """The part that decides the most favourable reading: the first that is judged like the whole."""
        reading = self.ours[0]
        same = [p for p in reading.parts if rules.judge_part(self.claim.proposition, p) == reading.verdict]
        return next(iter(same or reading.parts), None)

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(id for reading in self.ours for part in reading.parts for id in part.ids))


def witness(records: dict[str, dict] | None = None, *, seeds: int = 0, precision: str = "recorded") -> Runs:
    """Our runs as a witness: the given records and nothing else, or all there is, measurements and choices included.

    `seeds` keeps the runs of the first so many seeds, `precision` those in one arithmetic ("recorded": in any);
    measurements and choices stay. A run recorded on official data and on a mirror's counts once, on the official.
    Raises `BadInput` for an unknown precision or a number of seeds below 0.
    """
    one_of("precision", precision, ("recorded", *PRECISIONS))
    if seeds < 0:
        raise BadInput(f"number of seeds is {seeds}; it must be 0, for all, or more.")
    given = records is not None
    records = records if given else Store().records()
    frame = metrics.full_protocol(metrics.frame(records.values()))
    frame = frame.sort_values("data_source", key=lambda source: source.str.contains("mirror"), kind="stable")
    frame = frame.drop_duplicates(["dataset", "lr_rule", "batch_size", "seed"])
    if precision in PRECISIONS:
        frame = frame[frame["precision"] == precision]
    if seeds:
        frame = frame[frame["seed"].isin(sorted(frame["seed"].unique())[:seeds])]
    return Runs(frame, records) if given else Runs(frame, records, geometry.measured(), _selected)


@cache
def _selected() -> pd.DataFrame:
    """What Algorithm 2 and others chose, and how that did. Read when a claim asks: the module behind it trains."""
    from ..analysis import regret

    return regret.results()


def judged(ours: Runs | None = None, section: str | None = None, ids: Iterable[str] = ()) -> list[Judgement]:
    """The claims with their verdicts: all of them, those of a section ("IV-D", "Table V"), or those named.

    Raises `BadInput` for a section or an id that no claim has.
    """
    found, ids = ledger.claims(), list(ids)
    if section is not None:
        one_of("section", section, dict.fromkeys([*(c.page for c in found), *(c.section for c in found)]))
        found = [c for c in found if section in (c.page, c.section)]
    for id in ids:
        if id not in {c.id for c in found}:
            raise BadInput(
                f"claim {id!r} is unknown"
                + (f" in section {section}" if section else "")
                + "; `bbatch claims` lists those there are."
            )
    ours, memo = witness() if ours is None else ours, {}
    return [judge(c, ours, memo) for c in found if not ids or c.id in ids]


def judge(claim: Claim, ours: Runs, memo: dict | None = None) -> Judgement:
    """Both judgements of one claim. `memo` keeps what quantities gave, for other claims that ask the same."""
    memo = {} if memo is None else memo
    paper = memo.setdefault(Paper, Paper())

    def parts(who, text):
        if (key := (type(who), text)) not in memo:
            name, *words = text.split()
            found = QUANTITIES[name](who, *words)
            if len(found) > 1 and isinstance(who, Runs):
                found = QUANTITIES[name](who.at(1 - (1 - LEVEL) / len(found)), *words)
            memo[key] = tuple(found)
        return memo[key]

    def read(who, readings, put, verdict_of, favour):
        asked = [(label, parts(who, text)) for label, text in readings]
        return tuple(
            sorted(
                (Reading(label, verdict_of(found), found) for label, found in asked),
                key=lambda reading: (favour.index(reading.verdict), far(put, reading.parts)),
            )
        )

    def far(put, found):  # the cells of a table keep to one reading, as far as the verdicts allow
        return 0.0 if claim.cell else rules.distance(put, found)

    def verdict_of(found):
        return rules.judge(claim.proposition, found) if claim.testable else UNTESTABLE

    mine = read(ours, claim.ours, claim.proposition, verdict_of, rules.FAVOUR)
    theirs = read(
        paper,
        claim.paper,
        claim.paper_proposition,
        lambda found: rules.check(claim.paper_proposition, found),
        rules.CHECKS_FAVOUR,
    )
    judgement = Judgement(claim, mine or (Reading("", UNTESTABLE),), theirs or (Reading("", UNCHECKABLE),))
    return replace(judgement, notes=_notes(judgement, ours.frame), command=_command(judgement, ours.frame))


def _command(j: Judgement, frame: pd.DataFrame) -> str:
    """What would give the data that a verdict lacks: the runs that are missing, else twice as many seeds."""
    if j.verdict != DATA:
        return ""
    undecided = [p for p in j.ours[0].parts if rules.judge_part(j.claim.proposition, p) == DATA]
    missing = next((p.missing for p in undecided if p.missing), "")
    rows = frame[frame["id"].isin(undecided[0].ids)]
    if missing or rows.empty:
        return missing
    name = rows["dataset"].iloc[0]
    if j.claim.ours[0][1].startswith(("sharpness", "variance")):
        return f"{quantities_scaling.MEASURE} {name} --seeds {2 * undecided[0].n}"
    return command(name, seeds=2 * max(rows["seed"].nunique(), DATASETS[name].seeds))


def counted(readings: tuple[Reading, ...]) -> str:
    """How the readings of a claim fare; empty where there is one."""
    counts = pd.Series([reading.verdict for reading in readings]).value_counts()
    if len(readings) < 2 or len(counts) < 2:
        all_ = "Both" if len(readings) == 2 else f"All {len(readings)}"
        return f"{all_} readings: {counts.index[0]}." if len(readings) > 1 else ""
    said = ", ".join(
        f"{counts[verdict]} {verdict}" for verdict in (*rules.VERDICTS, *rules.CHECKS) if verdict in counts
    )
    return f"Of {len(readings)} readings: {said}."


def _notes(j: Judgement, frame: pd.DataFrame) -> tuple[str, ...]:
    """How the readings fare, where the protocol of the runs behind a judgement differs from the paper's, and why there
    is no judgement."""
    notes = [WHY_NOT["itself"]] if j.verdict == UNTESTABLE and j.claim.testable else []
    notes += [said] if (said := counted(j.ours)) and j.claim.testable else []
    if not j.ids:
        return tuple(notes)
    rows = frame[frame["id"].isin(j.ids)]
    images = rows[rows["dataset"].isin(["mnist", "cifar10"])]
    if images["data_source"].str.contains("JPEG").any():
        notes.append("CIFAR-10 from a mirror that compressed the images once, as JPEG.")
    if low := int((rows["precision"] == "bf16").sum()):
        notes.append(f"{low} of {len(rows)} runs trained in mixed precision (bf16); the paper has 32 bits.")
    if (images["device"] == "cpu").any():
        notes.append("Trained on a CPU; the paper has a GPU for this data set.")
    if (
        j.deciding is not None
        and j.deciding.n == 1
        and rows.groupby(["dataset", "batch_size"]).size().min() == 1
    ):
        notes.append(
            "One seed: the interval is the test set's sampling error, without the scatter between seeds."
        )
    return tuple(notes)


def frame(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row a claim, columns `COLUMNS`: what `bbatch claims` prints. `at` names the part that decides."""
    rows = []
    for j in judgements:
        part = j.deciding or Part("")
        several = len(j.ours[0].parts) > 1
        rows.append(
            {
                "id": j.claim.id,
                "section": j.claim.section,
                "claim": j.claim.text,
                "published": j.claim.printed,
                "paper_check": j.check,
                "measured": part.value,
                "low": part.low,
                "high": part.high,
                "n": part.n,
                "verdict": j.verdict,
                "unit": j.claim.unit,
                "at": part.label if several else "",
                "reading": j.ours[0].label,
                "command": j.command,
                "note": " ".join(j.notes),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _chapter(section: str) -> str:
    part = section if section.startswith("IV") else section.split("-")[0]
    return part if " " in part or part == "abstract" else f"Section {part}"


def totals(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """How many claims have each verdict: a row a section in the order of the paper (Section IV by its parts, then each
    table), columns `rules.VERDICTS`."""
    found = pd.DataFrame([{"section": _chapter(j.claim.section), "verdict": j.verdict} for j in judgements])
    counts = pd.crosstab(found["section"], found["verdict"])
    return counts.reindex(
        index=found["section"].drop_duplicates(), columns=list(rules.VERDICTS), fill_value=0
    )
