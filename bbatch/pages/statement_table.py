"""The table of all statements and cells as HTML: a row each, which opens to its reasoning.

It is whole without its script, every row open; `verdicts.js` closes the rows and shows the controls.
"""

import math
from html import escape
from pathlib import Path

from IPython.display import HTML

from ..analysis.estimate import Estimate, number
from ..claims import rules
from ..claims.claim import Evidence
from ..claims.judging import Judgement, Read
from ..claims.questions import QUESTIONS
from ..claims.statements import UNITS
from ..config import DATASETS
from ..records.store import ROOT
from .picture import inline
from .verdicts import STYLE, badge, capital, measured_cell, number_cell, places_of, size_text

SCRIPT = Path(__file__).with_name("verdicts.js")
# Which notebook shows the subject of a distinct claim; one of a single image set has its own.
PAGES = {"gap": "05", "epoch-time": "06", "epochs": "06", "wall-clock": "06", "scaling": "07"}
PAGES |= {"warm-up": "07", "sharpness": "08", "variance": "09", "mechanism": "09", "critical": "10"}
PAGES |= {"best": "10", "algorithm": "11"}
IMAGES = {"mnist": "03", "cifar10": "04"}
COLUMNS = ("Claim", "Where", "Printed", "Against the paper", "Ours", "Against our runs")


def statement_table(judgements: list[Judgement], ours: Evidence) -> HTML:
    """Every judgement as a row that opens to the reasoning."""
    head = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in COLUMNS)
    rows = "".join(_row(j, ours) for j in judgements)
    return HTML(
        f"<style>{STYLE.read_text()}</style><details class='bbatch-all'><summary>All {len(judgements)} "
        'statements and cells</summary><div class="bbatch-claims bbatch-wide full-width">'
        '<table class="bbatch-claims-table" role="table">'
        f"<caption>{len(judgements)} claims; each opens to its reasoning</caption>"
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></div></details>'
        f"<script>{SCRIPT.read_text()}</script>"
    )


def _row(j: Judgement, ours: Evidence) -> str:
    c, id = j.claim, f"claim-{j.claim.id}"
    button = (
        f'<button type="button" class="bbatch-open" aria-expanded="true" aria-controls="{id}-why">'
        f"{escape(capital(c.text))}</button>"
    )
    where, printed, mine = escape(_where(c.section)), number_cell(c.printed), measured_cell(j)
    cells = (button, where, printed, badge(j.check), mine, badge(j.verdict))
    keys = (c.text, "", "", j.check, "", str(rules.VERDICTS.index(j.verdict)))  # to sort rows by
    tds = "".join(
        f'<td role="cell" data-label="{label}" data-key="{escape(key)}">{html}</td>'
        for label, html, key in zip(COLUMNS, cells, keys, strict=True)
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
    blocks += [f"<h4>Against the paper: {j.check}</h4>", *(_reading(r, j, False) for r in j.paper)]
    blocks += [f"<h4>Against our runs: {j.verdict}</h4>", *(_reading(r, j, True) for r in j.ours)]
    if c.testable:
        blocks.append(f"<p>Rule: {_rule(j)}</p>")
    asks = next(question.asks for question in QUESTIONS if question.id == c.question)
    notes = [*j.notes, *([f"What is missing: `{j.command}` gives it."] if j.command else [])]
    notes.append(f"Evidence of the claim: {asks}")
    blocks += [f"<p>{inline(text)}</p>" for text in notes]
    blocks.append(f"<p>{_records(j, ours)}{_link(j)} <span class='bbatch-id'>{c.id}</span></p>")
    return "".join(blocks)


def _reading(read: Read, j: Judgement, ours: bool) -> str:
    """One reading, against our runs or the paper's tables: its name where there are several, its parts."""
    named, lines = "", []
    if len(j.ours if ours else j.paper) > 1 and read.label:
        named = f"<p><em>Read as {escape(read.label)}: {read.verdict}.</em></p>"
    for part in read.parts:
        said = [escape(part.about)]
        if ours and part.n and not math.isnan(part.value):
            said.append(_interval(part, j.claim.unit))
        if ours and j.claim.testable and len(read.parts) > 1:
            said.append(rules.judge_part(j.claim.says, part, j.level))
        said += [escape(part.shown)] if part.shown else []
        said += [inline(f"needs `{part.missing}`")] if part.missing and ours else []
        more = "".join(f" · {text}" for text in said[2:])
        lines.append(f"<li>{': '.join(said[:2])}{more}</li>")
    return named + (f"<ul>{''.join(lines)}</ul>" if lines else "")


def _interval(part: Estimate, unit: str) -> str:
    places = places_of(unit)
    how = f"{part.how}, " if part.how else ""
    if part.among:
        return f"{size_text(part.value)} ({how}n = {part.n})"
    text = number(part.value, places) + UNITS.get(unit, f" {unit}")
    if not math.isnan(part.low):
        text += f" ({number(part.low, places)} to {number(part.high, places)}"
        if not math.isnan(part.one_run):
            low, high = part.interval(one_run=True)
            text += f"; one more run {number(low, places)} to {number(high, places)}"
        text += ")"
    return f"{text}, {how}n = {part.n} {part.counted}"


def _rule(j: Judgement) -> str:
    p, many, part = j.claim.says, len(j.ours[0].parts), j.deciding
    kind = "a number" if math.isnan(p.nothing) else "an effect"
    if p.bound:
        kind = "bound"
    elif p.unit == "samples":
        kind = "batch size"
    elif p.relation == "range":
        kind = "range"
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
    return inline(f"Records: {len(rows)} runs: {'; '.join(said)}. ") if said else ""


def _link(j: Judgement) -> str:
    image = next((digits for name, digits in IMAGES.items() if name in j.claim.id), "02")
    # the first: a reader may add another page with the number
    page = min((ROOT / "notebooks").glob(f"{PAGES.get(j.claim.question, image)}_*.ipynb"))
    return f'<a href="{page.stem}.html">The page with its figures</a>.'


def _where(section: str) -> str:
    return capital(section) if " " in section or section == "abstract" else f"Section {section}"
