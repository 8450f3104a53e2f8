"""Every claim of the paper, judged twice: against its own tables and against our runs.

A claim is a row of `published/ledger.csv`, or a cell of Tables III-VII; how it is judged stands in `rules`, what is
measured in `quantities*`, who is asked in `evidence`. A verdict is a function of the records and the published CSV
files, computed here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import pandas as pd

from . import geometry, metrics, published, quantities_costs, quantities_scaling, rules  # noqa: F401 (fill QUANTITIES)
from .config import DATASETS
from .errors import BadInput, one_of
from .evidence import Paper, Runs, _places, number
from .quantities import QUANTITIES
from .rules import DATA, UNCHECKABLE, UNTESTABLE, Part, Proposition
from .statistics import LEVEL
from .store import Store

COLUMNS = ["id", "section", "claim", "published", "paper_check", "measured", "low", "high", "n", "verdict",
           "unit", "at", "reading", "command", "note"]
UNITS = {"percent": " %", "points": " points", "ratio": "×", "exponent": "", "r": "", "R^2": "", "p": "", "samples": "",
         "percent of seeds": " % of seeds", "seconds": " s"}
CHOSEN = ("samples", "learning rate", "data sets", "networks", "batch sizes", "places")  # exact; all else is rounded
NO_CLAIM, OTHERS, NONE = "protocol", "others", "none"  # words of the ledger in the place of a quantity
WHY_NOT = {OTHERS: "Reports work of others; nothing of it was run, by the paper or here.",
           "itself": "A statement of the paper about itself; runs cannot bear on it.",
           "seconds": "Seconds on another machine do not compare; their ratios are judged as claims of Section IV-C."}
TABLES = {"III": "IV-A", "IV": "IV-A", "V": "IV-D", "VI": "IV-G", "VII": "IV-A"}

Readings = tuple[tuple[str, str], ...]  # (label, quantity with its arguments); one of no label where there is no choice


@dataclass(frozen=True)
class Claim:
    """What the paper says and how it is put; `section` is "Table IV" for a cell, `page` the section it belongs to."""

    id: str
    section: str
    page: str
    text: str
    printed: str
    words: str
    ours: Readings
    paper: Readings
    proposition: Proposition
    paper_proposition: Proposition

    @property
    def testable(self) -> bool:
        return self.ours != () and self.proposition.unit != "seconds"


@dataclass(frozen=True)
class Reading:
    """One reading of a claim, its parts, and what a witness says of it."""

    label: str
    verdict: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """A claim with what each witness says: every reading, the most favourable first."""

    claim: Claim
    ours: tuple[Reading, ...]
    paper: tuple[Reading, ...]
    notes: tuple[str, ...]

    verdict = property(lambda self: self.ours[0].verdict)
    check = property(lambda self: self.paper[0].verdict)

    @property
    def deciding(self) -> Part | None:
        """The part that decides the most favourable reading: the first that is judged like the whole."""
        reading = self.ours[0]
        same = [p for p in reading.parts if rules.judge_part(self.claim.proposition, p) == reading.verdict]
        return next(iter(same or reading.parts), None)

    @property
    def command(self) -> str:
        """What would give the data that a verdict lacks."""
        return next((p.missing for p in self.ours[0].parts if p.missing), "") if self.verdict == DATA else ""

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(id for reading in self.ours for part in reading.parts for id in part.ids))


def ledger() -> list[Claim]:
    """Every claim: the prose in the order of the paper, then Tables III-VII cell by cell. Protocol is left out."""
    return [*(_prose(row) for row in published.ledger().itertuples() if row.quantity != NO_CLAIM), *sorted(_cells(), key=lambda c: list(TABLES).index(c.section.split()[1]))]


def protocol() -> pd.DataFrame:
    """The statements that claim nothing, since they say what was done or define: id, section, text."""
    table = published.ledger()
    return table.loc[table["quantity"] == NO_CLAIM, ["id", "section", "text"]].reset_index(drop=True)


def _prose(row) -> Claim:
    relation, value = row.put_relation or row.relation, row.put_value or row.value
    upper, unit = row.put_upper or row.upper, row.put_unit or row.unit
    rounding = 0.0 if row.put_value else 0.5 * 10.0 ** -len(value.partition(".")[2])
    p = Proposition(relation, float(value or math.nan), float(upper or math.nan), unit, rounding)
    p = replace(p, rounding=0.0) if unit in CHOSEN else p
    ours = () if row.quantity in (OTHERS, NONE) else _readings(row.quantity)
    words = row.words.format(value=p.value) or WHY_NOT.get(row.quantity, "")
    return Claim(row.id, row.section, row.section, row.text.replace("<=", "≤"), _printed(row), words, ours,
                 () if row.paper == NONE else _readings(row.paper) if row.paper else ours, p, p)


def _printed(row) -> str:
    if not row.value:
        return ""
    unit = UNITS.get(row.unit, f" {row.unit}")
    span = f"{row.value} to {row.upper}" if row.upper else row.value
    sign = {"=": "", "range": "", "~": "about ", "<=": "≤ ", ">=": "≥ "}.get(row.relation, f"{row.relation} ")
    return f"{sign}{span}{unit}".replace("-", "−")


def _readings(text: str) -> Readings:
    parts = [part.strip().rpartition(": ") for part in text.split("|")]
    return tuple((label, quantity) for label, _, quantity in parts)


def _cells() -> Iterable[Claim]:
    """Tables III, IV, V, VI and VII. Accuracies must be counts of whole samples, gaps differences of accuracies."""
    def cell(table, d, b, column, value, places, ours, paper, put=None, rule=""):
        unit = {"gap": "points", "epoch_time_s": "seconds"}.get(column, "percent")
        p = Proposition("=", value, math.nan, unit if column != "gap" else "percent", 0.5 * 10.0**-places)
        name = {"test_acc": "test accuracy", "train_acc": "training accuracy", "gap": "gap", "epoch_time_s": "time of an epoch"}
        id = f"table-{table.lower()}-{d}-b{b}-{f'{rule}-' if rule else ''}{column.replace('_', '-')}"
        text = f"{name[column]} on {DATASETS[d].title} at B = {b}" + (f", {rule} rate" if rule else "")
        words = WHY_NOT["seconds"] if column == "epoch_time_s" else ""
        return Claim(id, f"Table {table}", TABLES[table], text, number(value, places) + UNITS[unit], words, ours,
                     (("", paper),) if paper else (), p, put or p)

    both = (("running training accuracy", "gap {} {} {} running"), ("clean training accuracy", "gap {} {} {} clean"))
    whole = Proposition("<=", 0.0, math.nan, "points", 0.0)
    for row in published.results().itertuples():
        at = f"{row.dataset} {row.batch_size}"
        for column in ("test_acc", "train_acc", "gap", "epoch_time_s"):
            value = getattr(row, column)
            if pd.isna(value):
                continue
            ours = {"test_acc": (("", f"accuracy {at}"),), "train_acc": (("", f"train {at}"),),
                    "gap": tuple((label, q.format(row.dataset, row.batch_size, "linear")) for label, q in both),
                    "epoch_time_s": (("", f"time {at}"),)}[column]
            paper = {"gap": f"printed-gap {at}", "epoch_time_s": ""}.get(column, f"whole-count {row.dataset} {column} {row.batch_size}")
            yield cell(row.table, row.dataset, row.batch_size, column, value, _places(row.table, column), ours, paper,
                       whole if column.endswith("acc") else None)
    for row in published.learning_rate_ablation().itertuples():
        at, d = f"synthetic-50k {row.batch_size}", "synthetic-50k"
        same = row.lr == DATASETS[d].protocol.base_lr * row.batch_size / DATASETS[d].protocol.base_batch  # as Table VII
        named = {"linear": "scaled", "constant": "fixed"}[row.lr_rule]
        yield cell("V", d, row.batch_size, "test_acc", row.test_acc, 1, (("", f"accuracy {at} {row.lr_rule}"),),
                   f"accuracy {at}" if same else "", rule=named)
        yield cell("V", d, row.batch_size, "gap", row.gap, 1,
                   tuple((label, q.format(d, row.batch_size, row.lr_rule)) for label, q in both),
                   f"gap {at}" if same else "", rule=named)
    for row in published.critical().itertuples():
        for column, what in (("optimal_batch_size", "optimum"), ("critical_batch_size", "critical")):
            value, title = getattr(row, column), DATASETS[row.dataset].title
            text = f"{'best' if what == 'optimum' else 'critical'} batch size on {title}"
            p = Proposition("=", value, math.nan, "samples", 0.0)
            q = (("", f"{what} {row.dataset}"),)
            yield Claim(f"table-vi-{row.dataset}-{what}", "Table VI", "IV-G", text, f"{value}", "", q, q, p, p)


def witness(records: dict[str, dict] | None = None) -> Runs:
    """Our runs as a witness: the given records and nothing else, or all there is, measurements and choices included."""
    given = records is not None
    records = records if given else Store().records()
    frame = metrics.full_protocol(metrics.frame(records.values()))
    return Runs(frame, records) if given else Runs(frame, records, geometry.measured(), _selected)


@cache
def _selected() -> pd.DataFrame:
    """What Algorithm 2 and others chose, and how that did. Read when a claim asks: the module behind it trains."""
    from . import regret

    return regret.results()


def judged(ours: Runs | None = None, section: str | None = None, ids: Iterable[str] = ()) -> list[Judgement]:
    """The claims with their verdicts: all of them, those of a section ("IV-D", "Table V"), or those named.

    Raises `BadInput` for a section or an id that no claim has.
    """
    claims, ids = ledger(), list(ids)
    if section is not None:
        one_of("section", section, dict.fromkeys([*(c.page for c in claims), *(c.section for c in claims)]))
        claims = [c for c in claims if section in (c.page, c.section)]
    for id in ids:
        if id not in {c.id for c in claims}:
            raise BadInput(f"claim {id!r} is unknown" + (f" in section {section}" if section else "")
                           + "; `bbatch claims` lists those there are.")
    ours, memo = witness() if ours is None else ours, {}
    return [judge(c, ours, memo) for c in claims if not ids or c.id in ids]


def judge(claim: Claim, ours: Runs, memo: dict | None = None) -> Judgement:
    """Both judgements of one claim. `memo` keeps what quantities gave, for other claims that ask the same."""
    memo = {} if memo is None else memo

    def parts(who, text):
        if (key := (type(who), text)) not in memo:
            name, *words = text.split()
            found = QUANTITIES[name](who, *words)
            if len(found) > 1 and isinstance(who, Runs):
                found = QUANTITIES[name](replace(who, level=1 - (1 - LEVEL) / len(found)), *words)
            memo[key] = tuple(found)
        return memo[key]

    def read(who, readings, verdict_of, order):
        found = [Reading(label, verdict_of(asked), asked) for label, asked in ((k, parts(who, q)) for k, q in readings)]
        return tuple(sorted(found, key=lambda r: order.index(r.verdict)))

    mine = read(ours, claim.ours, lambda p: rules.judge(claim.proposition, p) if claim.testable else UNTESTABLE, rules.FAVOUR)
    theirs = read(Paper(), claim.paper, lambda p: rules.check(claim.paper_proposition, p),
                  (rules.CONSISTENT, UNCHECKABLE, rules.INCONSISTENT))
    judgement = Judgement(claim, mine or (Reading("", UNTESTABLE),), theirs or (Reading("", UNCHECKABLE),), ())
    return replace(judgement, notes=_notes(judgement, ours.frame))


def _notes(j: Judgement, frame: pd.DataFrame) -> tuple[str, ...]:
    """Where the protocol of the runs behind a judgement differs from the paper's, and why there is none."""
    rows, notes = frame[frame["id"].isin(j.ids)], []
    if j.verdict == UNTESTABLE and j.claim.ours and j.claim.testable:
        notes.append(WHY_NOT["itself"])
    images = rows[rows["dataset"].isin(["mnist", "cifar10"])]
    if images["data_source"].str.contains("JPEG").any():
        notes.append("CIFAR-10 from a mirror that compressed the images once, as JPEG.")
    if (rows["precision"] == "bf16").any():
        notes.append("Trained in mixed precision (bf16); the paper has 32 bits.")
    if (images["device"] == "cpu").any():
        notes.append("Trained on a CPU; the paper has a GPU for this data set.")
    if j.deciding is not None and j.deciding.n == 1 and rows.groupby(["dataset", "batch_size"]).size().min() == 1:
        notes.append("One seed: the interval is the test set's sampling error, without the scatter between seeds.")
    return tuple(notes)


def frame(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row a claim, columns `COLUMNS`: what `bbatch claims` prints. `at` names the part that decides."""
    rows = []
    for j in judgements:
        part, p = j.deciding or Part(""), j.claim.proposition
        several = len(j.ours[0].parts) > 1
        rows.append({"id": j.claim.id, "section": j.claim.section, "claim": j.claim.text, "published": j.claim.printed,
                     "paper_check": j.check, "measured": part.value, "low": part.low, "high": part.high, "n": part.n,
                     "verdict": j.verdict, "unit": p.unit, "at": part.label if several else "",
                     "reading": j.ours[0].label, "command": j.command, "note": " ".join(j.notes)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _chapter(section: str) -> str:
    part = section if section.startswith("IV") else section.split("-")[0]
    return part if " " in part or part == "abstract" else f"Section {part}"


def totals(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """How many claims have each verdict: a row a section in the order of the paper (Section IV by its parts, then each
    table), columns `rules.VERDICTS`."""
    found = pd.DataFrame([{"section": _chapter(j.claim.section), "verdict": j.verdict} for j in judgements])
    counts = pd.crosstab(found["section"], found["verdict"])
    return counts.reindex(index=found["section"].drop_duplicates(), columns=list(rules.VERDICTS), fill_value=0)
