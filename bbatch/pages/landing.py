"""What the landing page shows beside its figure: how many of the paper's claims our runs bear out."""

from __future__ import annotations

from html import escape

from IPython.display import HTML

from .. import claims
from .verdicts import SHADES


def verdicts(judgements: list[claims.Judgement], page: str = "../notebooks/12_verdicts.html") -> HTML:
    """Statements of the paper's prose, and cells of its tables, by verdict: two bars with their keys."""
    parts = []
    for what, of in (
        ("statements of the paper's text", [j for j in judgements if not j.claim.cell]),
        ("values in its tables", [j for j in judgements if j.claim.cell]),
    ):
        counts = claims.totals(of).sum()
        kept = [(verdict, int(n)) for verdict, n in counts.items() if n]
        bar = "".join(
            f'<span style="flex: {n}; background: {SHADES[verdict]}"></span>' for verdict, n in kept
        )
        key = "".join(
            f'<li style="--bbatch-line: {SHADES[verdict]}"><b>{n}</b> {escape(verdict)}</li>'
            for verdict, n in kept
        )
        parts.append(
            f'<div><p><a href="{page}">{len(of)} {what}</a></p><div class="bbatch-totals" aria-hidden="true">'
            f'{bar}</div><ul class="bbatch-totals-key">{key}</ul></div>'
        )
    return HTML(f'<div class="bbatch-verdicts">{"".join(parts)}</div>')
