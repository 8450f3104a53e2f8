"""The verdicts under the first rules, on the records of that time, beside those of today.

`paper/first-verdicts.csv` holds the former; it is history, and nothing is judged by it. Records came in
since, so a difference may be theirs and not the rules'.
"""

from collections.abc import Iterable

import pandas as pd

from .. import published
from .judging import Judgement


def changed(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row a claim whose verdict differs from the first one: id, claim, before, now."""
    first = pd.read_csv(published.FOLDER / "first-verdicts.csv").set_index("id")["verdict"]
    rows = []
    for j in judgements:
        before = first.get(j.claim.id)
        if before is not None and before != j.verdict:
            rows.append((j.claim.id, j.claim.text, before, j.verdict))
    return pd.DataFrame(rows, columns=["id", "claim", "before", "now"])


def summed_up(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """The same summed up: before, now, how many claims, and which of the prose."""
    rows = []
    for (before, now), some in changed(judgements).groupby(["before", "now"], sort=False):
        prose = [id for id in some["id"] if not id.startswith("table-")]
        listed = ", ".join(prose[:6]) + (f" and {len(prose) - 6} more" if len(prose) > 6 else "")
        rows.append((before, now, len(some), listed or "cells of tables"))
    return pd.DataFrame(rows, columns=["before", "now", "claims", "among them"])
