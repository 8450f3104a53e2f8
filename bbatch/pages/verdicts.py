"""Verdicts as HTML: the table of all statements, which a reader filters and sorts, and the box of one
section's.

The table is whole without its script, every row open; `verdicts.js` closes the rows and shows the controls.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from ..analysis.estimate import Estimate, number
from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement, Read, evidence, judged
from ..claims.questions import QUESTIONS
from ..claims.statements import UNITS
from ..config import DATASETS
from ..records.store import ROOT
from . import parameters

PAGE = "12_verdicts"
STYLE, SCRIPT = (Path(__file__).with_suffix(kind) for kind in (".css", ".js"))
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
# Which notebook shows the subject of a distinct claim; one of a single image set has its own.
PAGES = {
    "gap": "05",
    "epoch-time": "06",
    "epochs": "06",
    "wall-clock": "06",
    "scaling": "07",
    "warm-up": "07",
}
PAGES |= {
    "sharpness": "08",
    "variance": "09",
    "mechanism": "09",
    "critical": "10",
    "best": "10",
    "algorithm": "11",
}
IMAGES = {"mnist": "03", "cifar10": "04"}


def table(judgements: list[Judgement], ours: Evidence) -> HTML:
    """Every judgement as a row that opens to the reasoning."""
    head = "".join(
        f'<th role="columnheader" scope="col">{name}</th>'
        for name in ("Claim", "Where", "Printed", "Against the paper", "Ours", "Against our runs")
    )
    rows = "".join(_row(j, ours) for j in judgements)
    return HTML(
        f'{_style()}<div class="bbatch-claims bbatch-wide full-width">'
        '<table class="bbatch-claims-table" role="table">'
        f"<caption>{len(judgements)} claims; each opens to its reasoning</caption>"
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></div>'
        f"<script>{SCRIPT.read_text()}</script>"
    )


def box(section: str, about: str = "", ours: Evidence | None = None) -> HTML:
    """The verdicts on the claims of one section ("IV-D"), for the section's own page, with links to their
    reasoning.

    `about` keeps the claims on data sets whose names begin with it. Cells of tables are counted, not listed.
    Raises `BadInput` for an unknown section.
    """
    found = [j for j in judged(ours or evidence(), section) if not about or _names(j, about)]
    names = ("Claim", "Printed", "Against the paper", "Ours", "Against our runs")
    rows = [
        (
            f'<a href="{PAGE}.html#claim-{j.claim.id}">{escape(_sentence(j.claim.text))}</a>',
            _span(j.claim.printed),
            _badge(j.check),
            _measured(j),
            _badge(j.verdict),
        )
        for j in found
        if not j.claim.cell
    ]
    lines = "".join(
        "<tr>"
        + "".join(f'<td data-label="{name}">{html}</td>' for name, html in zip(names, row, strict=False))
        + "</tr>"
        for row in rows
    )
    cells = [j for j in found if j.claim.cell]
    counted = f"<p>{escape(_counted(cells))}</p>" if cells else ""
    of_all = "; of all recorded runs, not of those on this page" if parameters.note() and not ours else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return HTML(
        f'{_style()}<figure class="bbatch-table-box bbatch-claims-box bbatch-wide full-width">'
        f"<figcaption>What Section {section} claims, judged (rules and reasoning: "
        f'<a href="{PAGE}.html">Verdicts</a>{of_all})</figcaption><table class="bbatch-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>{counted}</figure>"
    )


def _names(j: Judgement, about: str) -> bool:
    titles = [spec.title for name, spec in DATASETS.items() if name.startswith(about)]
    parts = [part for read in (*j.ours, *j.paper) for part in read.parts]
    return any(part.about.startswith(title) for part in parts for title in titles)


def _counted(cells: list[Judgement]) -> str:
    where = ", ".join(dict.fromkeys(j.claim.section for j in cells))
    counts = pd.Series([j.verdict for j in cells]).value_counts()
    said = ", ".join(f"{counts[v]} {v}" for v in rules.VERDICTS if v in counts)
    return f"Of the {len(cells)} cells of {where}: {said}."


def _style() -> str:
    return f"<style>{STYLE.read_text()}</style>"


def _row(j: Judgement, ours: Evidence) -> str:
    c, id = j.claim, f"claim-{j.claim.id}"
    cells = (
        (
            "Claim",
            f'<button type="button" class="bbatch-open" aria-expanded="true" aria-controls="{id}-why">'
            f"{escape(_sentence(c.text))}</button>",
            c.text,
        ),
        ("Where", escape(_where(c.section)), ""),
        ("Printed", _span(c.printed), ""),
        ("Against the paper", _badge(j.check), j.check),
        ("Ours", _measured(j), ""),
        ("Against our runs", _badge(j.verdict), str(rules.VERDICTS.index(j.verdict))),
    )
    tds = "".join(
        f'<td role="cell" data-label="{label}" data-key="{escape(key)}">{html}</td>'
        for label, html, key in cells
    )
    kind = "table" if c.cell else "text"
    return (
        f'<tr role="row" class="bbatch-claim" id="{id}" data-section="{escape(c.section)}" '
        f'data-verdict="{j.verdict}" data-check="{j.check}" data-kind="{kind}">{tds}</tr>'
        f'<tr role="row" class="bbatch-why" id="{id}-why"><td role="cell" colspan="6">'
        f"{_why(j, ours)}</td></tr>"
    )


def _why(j: Judgement, ours: Evidence) -> str:
    """The reasoning behind a row."""
    c, blocks = j.claim, []
    if c.words:
        blocks.append(f"<p>{escape(c.words)}</p>")
    blocks.append(
        f"<h4>Against the paper: {j.check}</h4>"
        + "".join(_reading(r, j, len(j.paper), False) for r in j.paper)
    )
    blocks.append(
        f"<h4>Against our runs: {j.verdict}</h4>" + "".join(_reading(r, j, len(j.ours), True) for r in j.ours)
    )
    if c.testable:
        blocks.append(f"<p>Rule: {_rule(j)}</p>")
    asks = next(question.asks for question in QUESTIONS if question.id == c.question)
    notes = [*j.notes, *([f"What is missing: `{j.command}` gives it."] if j.command else [])]
    notes.append(f"Evidence of the claim: {asks}")
    blocks += [f"<p>{_code(text)}</p>" for text in notes]
    blocks.append(f"<p>{_records(j, ours)}{_link(j)} <span class='bbatch-id'>{c.id}</span></p>")
    return "".join(blocks)


def _reading(read: Read, j: Judgement, readings: int, ours: bool) -> str:
    named = (
        f"<p><em>Read as {escape(read.label)}: {read.verdict}.</em></p>"
        if readings > 1 and read.label
        else ""
    )
    lines = []
    for part in read.parts:
        said = [escape(part.about)]
        if ours and part.n and not math.isnan(part.value):
            said.append(_interval(part, j.claim.unit))
        if ours and j.claim.testable and len(read.parts) > 1:
            said.append(rules.judge_part(j.claim.says, part, j.level))
        said += [escape(part.shown)] if part.shown else []
        said += [_code(f"needs `{part.missing}`")] if part.missing and ours else []
        more = "".join(f" · {text}" for text in said[2:])
        lines.append(f"<li>{': '.join(said[:2])}{more}</li>")
    return named + (f"<ul>{''.join(lines)}</ul>" if lines else "")


def _interval(part: Estimate, unit: str) -> str:
    places = _places(unit)
    how = f"{part.how}, " if part.how else ""
    if part.among:
        return f"{_size(part.value)} ({how}n = {part.n})"
    text = number(part.value, places) + UNITS.get(unit, f" {unit}")
    if not math.isnan(part.low):
        text += f" ({number(part.low, places)} to {number(part.high, places)}"
        if not math.isnan(part.one_run):
            low, high = part.interval(one_run=True)
            text += f"; one more run {number(low, places)} to {number(high, places)}"
        text += ")"
    return f"{text}, {how}n = {part.n} {part.counted}"


def _measured(j: Judgement) -> str:
    """The deciding part, briefly, for a cell of a table."""
    part, unit = j.deciding, j.claim.unit
    if part is None or part.n == 0:
        return "–"
    if math.isnan(part.value):
        return "no such number"
    if part.among:
        return f"{_size(part.value)}"
    places = _places(unit)
    span = (
        ""
        if math.isnan(part.low) or math.isnan(part.high)
        else (f" <br><small>{number(part.low, places)} to {number(part.high, places)}</small>")
    )
    return _span(number(part.value, places) + UNITS.get(unit, f" {unit}")) + span


def _rule(j: Judgement) -> str:
    p, many = j.claim.says, len(j.ours[0].parts)
    kind = (
        "bound"
        if p.bound
        else "batch size"
        if p.unit == "samples"
        else "range"
        if p.relation == "range"
        else ""
    )
    kind = kind or ("a number" if math.isnan(p.nothing) else "an effect")
    part = j.deciding
    tolerance = p.tolerance(p.value, part.span if part else math.nan)
    said = f"{kind}; tolerance {tolerance:.2g}{UNITS.get(p.unit, ' ' + p.unit)}" if tolerance else kind
    if many * len(j.claim.ours) > 1:
        said += f"; {many} parts and {len(j.claim.ours)} readings, intervals at {100 * j.level:.4g} %"
    return said


def _records(j: Judgement, ours: Evidence) -> str:
    """Which records stand behind a judgement."""
    rows = ours.runs[ours.runs["id"].isin(j.ids)]
    said = []
    for (name, rule), some in rows.groupby(["dataset", "lr_rule"], sort=False):
        sizes = ", ".join(map(str, sorted(some["batch_size"].unique())))
        seeds = sorted(some["seed"].unique())
        said.append(
            f"{DATASETS[name].title}, {rule} rule, B = {sizes}, seeds {seeds[0]}"
            + (f" to {seeds[-1]}" if len(seeds) > 1 else "")
            + f" (`bbatch results {name}`)"
        )
    return _code(f"Records: {len(rows)} runs: {'; '.join(said)}. ") if said else ""


def _link(j: Judgement) -> str:
    image = next((digits for name, digits in IMAGES.items() if name in j.claim.id), "02")
    page = next(iter(_pages(PAGES.get(j.claim.question, image))), None)
    return f'<a href="{page}.html">The page with its figures</a>.' if page else ""


def _pages(digits: str) -> list[str]:
    return [path.stem for path in sorted((ROOT / "notebooks").glob(f"{digits}_*.ipynb"))]


def _badge(verdict: str) -> str:
    mark = f'<span aria-hidden="true">{MARKS[verdict]}</span>'
    return f'<span class="bbatch-badge" data-is="{verdict}">{mark}\N{NO-BREAK SPACE}{verdict}</span>'


def _where(section: str) -> str:
    return _sentence(section) if " " in section or section == "abstract" else f"Section {section}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _span(text: str) -> str:
    return f'<span class="bbatch-number">{escape(text)}</span>' if text else "in words"


def _size(b: float) -> str:
    return f"B = {b:.0f}" if math.isfinite(b) else "none"


def _places(unit: str) -> int:
    return {"p": 4, "loss": 4, "R^2": 4, "seconds": 3}.get(unit, 2)


def _code(text: str) -> str:
    """Escaped text with `...` as code."""
    return "".join(
        f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(escape(text).split("`"))
    )
