"""Every claim, judged by `rules` against the paper's own tables and against our runs, here alone."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from .. import geometry, metrics
from ..analysis import regret, warm_up
from ..analysis.cells import command
from ..analysis.estimate import Estimate
from ..config import DATASETS, PRECISIONS, PUBLISHED
from ..errors import BadInput, one_of
from ..geometry import measurements
from ..records.store import Store
from ..studies.table import read_table
from . import rules
from .claim import Claim, Evidence, Reading, paper
from .rules import DATA, UNCHECKABLE, UNTESTABLE
from .statements import claims


@dataclass(frozen=True)
class Read:
    """One reading of a claim, its parts, and what the evidence says of it."""

    label: str
    verdict: str
    parts: tuple[Estimate, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Judgement:
    """A claim with every reading against our runs and against the paper's tables, the one that decides first.

    `level`: of the intervals that decided, raised for the number of parts and readings; `command`: what would
    give the data that a verdict lacks."""

    claim: Claim
    ours: tuple[Read, ...]
    paper: tuple[Read, ...]
    notes: tuple[str, ...] = ()
    command: str = ""

    verdict = property(lambda self: self.ours[0].verdict)
    check = property(lambda self: self.paper[0].verdict)
    level = property(lambda self: rules.raised(len(self.ours[0].parts), len(self.claim.ours)))

    @property
    def deciding(self) -> Estimate | None:
        """The part that decides: of those judged like the whole, the one furthest from what is claimed."""
        first, says = self.ours[0], self.claim.says
        same = [p for p in first.parts if rules.judge_part(says, p, self.level) == first.verdict]
        return max(same or first.parts, key=lambda part: (part.n > 0, _beyond(says, part)), default=None)

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(id for read in self.ours for part in read.parts for id in part.ids))


def evidence(
    records: dict[str, dict] | None = None, *, seeds: int = 0, precision: str = "recorded"
) -> Evidence:
    """Our runs as evidence: the given records and nothing else, or all that there is.

    `seeds` keeps the runs of the first so many seeds, `precision` those in one arithmetic ("recorded": as
    `metrics.one_arithmetic` has them); measurements and choices stay. Raises `BadInput` for an unknown
    precision or a number of seeds below 0."""
    one_of("precision", precision, ("recorded", *PRECISIONS))
    if seeds < 0:
        raise BadInput(f"number of seeds is {seeds}; it must be 0, for all, or more.")
    given = records is not None
    records = records if given else Store().records()
    frame = metrics.frame(records.values())
    if precision in PRECISIONS:  # before a run in both is counted once
        frame = frame[frame["precision"] == precision]
    frame = metrics.full_protocol(frame).drop_duplicates(["dataset", "lr_rule", "batch_size", "seed"])
    if seeds:
        frame = frame[frame["seed"].isin(sorted(frame["seed"].unique())[:seeds])]
    warmed = warm_up.image_pairs(records.values())
    if given:
        return Evidence(
            frame,
            frame,
            measures=pd.DataFrame(columns=measurements.COLUMNS),
            choices=pd.DataFrame(columns=regret.RESULTS),
            circles=pd.DataFrame(columns=measurements.CIRCLE_COLUMNS),
            warm_up=warmed,
            records=records,
        )
    return Evidence(
        frame,
        frame,
        measures=geometry.measured(),
        choices=regret.method_results(),
        circles=geometry.circles(),
        warm_up=pd.concat([read_table("warm-up"), warmed], ignore_index=True),
        maps=pd.concat([read_table(f"map-{name}") for name in PUBLISHED], ignore_index=True),
        records=records,
    )


def judged(
    ours: Evidence | None = None, section: str | None = None, ids: Iterable[str] = ()
) -> list[Judgement]:
    """The claims with their verdicts: all of them, those of a section ("IV-D", "Table V"), or those named.

    Raises `BadInput` for a section or an id that no claim has.
    """
    found, ids = claims(), list(ids)
    if section is not None:
        one_of("section", section, dict.fromkeys([*(c.page for c in found), *(c.section for c in found)]))
    there = {c.id: c for c in found if section in (None, c.page, c.section)}
    for id in ids:
        if id not in there:
            where = f" in section {section}" if section else ""
            raise BadInput(
                f"claim {id!r} is unknown{where}; `bbatch claims --statements` lists those there are."
            )
    asked = {id: c for id, c in there.items() if not ids or id in ids}
    shared = {c.shares for c in asked.values()} - {""}
    ours, theirs, answers = evidence() if ours is None else ours, paper(), {}
    raw = [_judge(c, ours, theirs, answers) for c in found if c.id in asked or c.shares in shared]
    runs = ours.runs[["id", "dataset", "seed", "precision", "device"]]  # to select all columns is slow
    judgements = [j for j in _shared(raw) if j.claim.id in asked]
    return [replace(j, notes=_notes(j, runs), command=_command(j, runs)) for j in judgements]


def _judge(claim: Claim, ours: Evidence, theirs: Evidence, answers: dict) -> Judgement:
    """Both judgements of a claim under each reading. `answers` keeps what was asked before."""

    def read(reading: Reading, of: Evidence, verdict: Callable) -> Read:
        asks = reading.asks
        key = (id(of), reading.of, getattr(asks, "func", asks), repr(getattr(asks, "keywords", {})))
        if key not in answers:
            found = asks(getattr(of, reading.of))
            answers[key] = tuple(found) if isinstance(found, list) else (found,)
        return Read(reading.label, verdict(answers[key]), answers[key], reading.key)

    judge = partial(rules.verdict_of, claim.says, readings=len(claim.ours))
    check = partial(rules.check, claim.paper_says or claim.says)
    mine = [read(reading, ours, judge) for reading in claim.ours] or [Read("", UNTESTABLE)]
    against = [read(reading, theirs, check) for reading in claim.paper] or [Read("", UNCHECKABLE)]
    mine.sort(key=lambda read: (rules.FAVOUR.index(read.verdict), _distance(claim, read)))
    against.sort(key=lambda read: rules.CHECKS.index(read.verdict))
    return Judgement(claim, tuple(mine), tuple(against))


def _distance(claim: Claim, read: Read) -> float:
    """How far the worst part lies from what is printed, to choose between readings with one verdict."""
    if claim.says.bound or claim.cell:
        return 0.0
    return max((min(_beyond(claim.says, part), 1e9) for part in read.parts), default=1e9)


def _beyond(says: rules.Says, part: Estimate) -> float:
    """How far a part lies from what is claimed: past a bound, where it is below 0 inside, or off a number or
    a range; infinite where there is no number."""
    if math.isnan(part.value):
        return math.inf
    if says.bound:
        return (part.value - says.value) * (1 if says.relation.startswith("<") else -1)
    first, last = says.ends
    return max(first - part.value, part.value - last, 0.0)


def _shared(raw: list[Judgement]) -> list[Judgement]:
    """Claims that share a reading (`Claim.shares`) are decided by the one under which they fare best."""
    best = {}
    for name in {j.claim.shares for j in raw} - {""}:
        group = [j for j in raw if j.claim.shares == name]
        keys = list(dict.fromkeys(read.key for j in group for read in j.ours if read.key))

        def fares(key: str, group=group) -> tuple:
            got = [(j.claim, _under(j, key).ours[0]) for j in group]
            ranks = sum(rules.FAVOUR.index(read.verdict) for _, read in got)
            return ranks, sum(_distance(claim, read) for claim, read in got)

        best[name] = min(keys, key=fares, default="")
    return [_under(j, best.get(j.claim.shares, "")) for j in raw]


def _under(j: Judgement, key: str) -> Judgement:
    """A judgement with the reading of a key first."""
    return replace(j, ours=tuple(sorted(j.ours, key=lambda read: read.key != key))) if key else j


def _command(j: Judgement, runs: pd.DataFrame) -> str:
    """What would give the data that a verdict lacks: the runs that are missing, else twice as many seeds."""
    if j.verdict != DATA:
        return ""
    open_ = [p for p in j.ours[0].parts if rules.judge_part(j.claim.says, p, j.level) == DATA]
    rows = runs[runs["id"].isin(open_[0].ids)]
    missing = next((p.missing for p in open_ if p.missing), "")
    if missing or rows.empty:
        return missing
    name, of = rows["dataset"].iloc[0], j.claim.ours[0].of
    if of in ("measures", "minima", "circles"):
        return f"bbatch geometry {name} --seeds {2 * open_[0].n}"
    return command(name, seeds=2 * max(rows["seed"].nunique(), DATASETS[name].seeds))


def counted(reads: tuple[Read, ...]) -> str:
    """How the readings of a claim fare; empty where there is one."""
    if len(reads) < 2:
        return ""
    counts = pd.Series([read.verdict for read in reads]).value_counts()
    if len(counts) == 1:
        every = "Both" if len(reads) == 2 else f"All {len(reads)}"
        return f"{every} readings: {counts.index[0]}."
    told = [f"{counts[v]} {v}" for v in (*rules.VERDICTS, *rules.CHECKS) if v in counts]
    return f"Of {len(reads)} readings: {', '.join(told)}."


def _notes(j: Judgement, runs: pd.DataFrame) -> tuple[str, ...]:
    """How the readings fare, where runs differ from the paper's, and whose scatter they have."""
    notes = [said] if (said := counted(j.ours)) and j.claim.testable else []
    rows = runs[runs["id"].isin(j.ids)]
    if low := int((rows["precision"] == "bf16").sum()):
        notes.append(f"{low} of {len(rows)} runs trained in mixed precision (bf16); the paper has 32 bits.")
    if (rows["device"] == "cpu").any() and rows["dataset"].isin(["mnist", "cifar10"]).any():
        notes.append("Trained on a CPU; the paper has a GPU for this data set.")
    few = (p for p in j.ours[0].parts if 0 < p.n < 5 and p.counted == "seeds" and p.ids)
    if any(p.n - 1 < p.freedom < math.inf for p in few):  # more degrees of freedom than its own runs have
        notes.append(
            "Fewer than five seeds: the scatter is drawn towards that of the data set's other batch sizes."
        )
    return tuple(notes)
