"""Verdicts as HTML: claims with answers, the matrix by witness, the box of a section."""

import math
import re
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from ..analysis.estimate import number
from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement, Read, evidence, judged
from ..claims.overviews import distinct
from ..claims.questions import QUESTIONS
from ..claims.statements import UNITS
from ..config import DATASETS
from . import parameters
from .picture import inline
from .style import COLORS

PAGE = "12_verdicts"
STYLE = Path(__file__).with_suffix(".css")
MARKS = {
    rules.REPRODUCED: "●",
    rules.COMPATIBLE: "○",
    rules.DIRECTION: "◐",
    rules.NOT: "✕",
    rules.DATA: "…",
    rules.UNTESTABLE: "–",
    rules.CONSISTENT: "=",
    rules.INCONSISTENT: "≠",
    rules.UNCHECKABLE: "?",
}
# The colours say what the words beside them say: green yes, pale green not against it, orange half, red no,
# blue and grey not told.
SHADES = {
    rules.REPRODUCED: COLORS["mnist"],
    rules.COMPATIBLE: "#9BD3BF",
    rules.DIRECTION: COLORS["synthetic-1k"],
    rules.NOT: COLORS["cifar10"],
    rules.DATA: COLORS["synthetic-10k"],
    rules.UNTESTABLE: "#999999",
}
LEADS = {question.leads for question in QUESTIONS}
SHORT = 30  # letters of a first sentence that says too little alone


def answers(judgements: list[Judgement], ours: Evidence) -> HTML:
    """The distinct claims as a list: the question, its answer in a sentence, and where the paper says it."""
    rows = "".join(
        f"<dt>{escape(row.claim)}</dt><dd>{escape(brief(row.answer))} <small>{escape(row.where)}</small></dd>"
        for row in distinct(judgements, ours).itertuples()
    )
    return HTML(f'{_style()}<dl class="bbatch-answers">{rows}</dl>')


def answers_at_length(judgements: list[Judgement], ours: Evidence) -> HTML:
    """The same with the whole answer, the statement that stands for each claim, and what both witnesses say
    of it."""
    leads, rows = {j.claim.question: j for j in judgements if j.claim.id in LEADS}, []
    for row in distinct(judgements, ours).itertuples():
        lead = leads[row.id]
        printed = f": {lead.claim.printed}" if lead.claim.printed else ""
        reads = {"Our runs": lead.ours, "Its own tables": lead.paper}
        told = "".join(f"<li>{name}: {badge(r[0].verdict)}{_alike(r)}</li>" for name, r in reads.items())
        command = f"<li>What would tell: <code>{escape(lead.command)}</code></li>" if lead.command else ""
        rows.append(
            f"<dt>{escape(row.claim)}</dt><dd><p>{inline(row.answer)}</p><ul><li>The paper: "
            f'<a href="../notebooks/{PAGE}.html#claim-{lead.claim.id}">{escape(lead.claim.text)}</a>'
            f"{escape(printed)}</li>{told}{command}</ul></dd>"
        )
    return HTML(f'{_style()}<dl class="bbatch-answers">{"".join(rows)}</dl>')


def brief(answer: str) -> str:
    """The first sentence of an answer; the second with it where the first is short."""
    sentences = re.split(r"(?:(?<=\.)|(?<=\.\))) (?=\(?[A-Z])", answer)
    return " ".join(sentences[: 2 if len(sentences[0]) < SHORT else 1])


def matrix(judgements: list[Judgement]) -> HTML:
    """Claims by witness: what the paper's own tables and our runs say of each distinct claim, and the
    verdicts of our runs on its statements as a strip."""
    names, rows = ("Claim", "The paper's own tables", "Our runs", "Its statements"), []
    by_id = {j.claim.id: j for j in judgements}
    for question in (q for q in QUESTIONS if q.leads in by_id):
        lead = by_id[question.leads]
        mine = [j.verdict for j in judgements if j.claim.question == question.id]
        rows.append(
            f'<th scope="row">{escape(question.asks)}</th>{_tile(names[1], lead.paper)}'
            f'{_tile(names[2], lead.ours)}<td data-label="{names[3]}">{_strip(mine)}</td>'
        )
    key = "".join(f'<li style="--bbatch-line: {shade}">{verdict}</li>' for verdict, shade in SHADES.items())
    caption = (
        "Claims by witness; the strips hold the verdicts of our runs on all statements and cells of a claim"
    )
    return _table("matrix", caption, names, rows, f'<ul class="bbatch-totals-key">{key}</ul>')


def _tile(label: str, reads: tuple[Read, ...]) -> str:
    """The verdict of the reading that decides; where others disagree, how many of all agree."""
    verdict, more = reads[0].verdict, _alike(reads)
    more = f"<br>{more}" if more else ""
    return f'<td class="bbatch-tile" data-label="{label}" data-is="{verdict}">{badge(verdict)}{more}</td>'


def _alike(reads: tuple[Read, ...]) -> str:
    """In how many readings the verdict is that of the one that decides; empty where in all."""
    alike = sum(read.verdict == reads[0].verdict for read in reads)
    return f" <small>in {alike} of {len(reads)} readings</small>" if alike < len(reads) else ""


def _strip(verdicts: list[str]) -> str:
    """Verdicts as a bar of shares, with their number; the words are for who cannot see it."""
    counts = {v: verdicts.count(v) for v in SHADES if v in verdicts}
    bar = "".join(f'<span style="flex: {n}; background: {SHADES[v]}"></span>' for v, n in counts.items())
    said = ", ".join(f"{n} {v}" for v, n in counts.items())
    return (
        f'<div class="bbatch-strip" role="img" aria-label="{said}" title="{said}">'
        f"<span>{len(verdicts)}</span>{bar}</div>"
    )


def box(section: str, about: str = "", ours: Evidence | None = None) -> HTML:
    """The verdicts on the claims of one section ("IV-D"), for its page, with links to the reasoning.

    `about` keeps the claims on data sets whose names begin with it. Cells of tables are counted, not listed.
    Raises `BadInput` for an unknown section.
    """
    found = [j for j in judged(ours or evidence(), section) if not about or _names(j, about)]
    names, rows = ("Claim", "Printed", "Against the paper", "Ours", "Against our runs"), []
    for j in found:
        if not j.claim.cell:
            text = f'<a href="{PAGE}.html#claim-{j.claim.id}">{escape(capital(j.claim.text))}</a>'
            printed, mine = number_cell(j.claim.printed), measured_cell(j) + _of_what(j)
            cells = zip(names, (text, printed, badge(j.check), mine, badge(j.verdict)), strict=True)
            rows.append("".join(f'<td data-label="{name}">{html}</td>' for name, html in cells))
    of_all = "; of all recorded runs, not of those on this page" if parameters.note() and not ours else ""
    caption = (
        f"What Section {section} claims, judged (rules and reasoning: "
        f'<a href="{PAGE}.html">Verdicts</a>{of_all})'
    )
    return _table("claims-box", caption, names, rows, _counted([j for j in found if j.claim.cell]))


def _table(kind: str, caption: str, names: tuple[str, ...], rows: list[str], below: str) -> HTML:
    """A table in a box: `rows` are cells as HTML; `below` stands under them."""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return HTML(
        f'{_style()}<figure class="bbatch-table-box bbatch-{kind} bbatch-wide full-width">'
        f'<figcaption>{caption}</figcaption><table class="bbatch-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</figure>"
    )


def _names(j: Judgement, about: str) -> bool:
    titles = [spec.title for name, spec in DATASETS.items() if name.startswith(about)]
    parts = [part for read in (*j.ours, *j.paper) for part in read.parts]
    return any(part.about.startswith(title) for part in parts for title in titles)


def _counted(cells: list[Judgement]) -> str:
    if not cells:
        return ""
    where = ", ".join(dict.fromkeys(j.claim.section for j in cells))
    counts = pd.Series([j.verdict for j in cells]).value_counts()
    said = ", ".join(f"{counts[v]} {v}" for v in rules.VERDICTS if v in counts)
    counted = escape(f"Of the {len(cells)} cells of {where}: {said}.")
    return f"<p>{counted}</p>"


def _style() -> str:
    return f"<style>{STYLE.read_text()}</style>"


def measured_cell(j: Judgement) -> str:
    """The deciding part, briefly, for a cell of a table."""
    part, unit = j.deciding, j.claim.unit
    if part is None or part.n == 0:
        return "–"
    if math.isnan(part.value):
        return "no such number"
    if part.among:
        return size_text(part.value)
    places, span = places_of(unit), ""
    low, high = number(part.low, places), number(part.high, places)
    if not math.isnan(part.low) and low != high:  # one without width, as printed, says nothing
        span = f" <br><small>{low} to {high}</small>"
    return number_cell(number(part.value, places) + UNITS.get(unit, f" {unit}")) + span


def _of_what(j: Judgement) -> str:
    """Which part that number is of, and in which reading where there are several."""
    part, read = j.deciding, j.ours[0]
    if part is None or part.n == 0:
        return ""
    said = [part.about, f"read as {read.label}" if len(j.ours) > 1 and read.label else ""]
    told = "; ".join(filter(None, said))
    return f" <br><small>{inline(told)}</small>" if told else ""


def badge(verdict: str) -> str:
    mark = f'<span aria-hidden="true">{MARKS[verdict]}</span>'
    return f'<span class="bbatch-badge" data-is="{verdict}">{mark}\N{NO-BREAK SPACE}{verdict}</span>'


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def number_cell(text: str) -> str:
    return f'<span class="bbatch-number">{escape(text)}</span>' if text else "in words"


def size_text(b: float) -> str:
    return f"B = {b:.0f}" if math.isfinite(b) else "none"


def places_of(unit: str) -> int:
    return {"p": 4, "loss": 4, "R^2": 4, "seconds": 3}.get(unit, 2)
