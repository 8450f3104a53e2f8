"""What the revision of the rules changed: the verdicts under the first rules, on the records that were
committed when the rules were revised, beside those of today.

`paper/first-verdicts.csv` holds the former; it is history, and nothing is judged by it.
"""

from collections.abc import Iterable

import pandas as pd

from .. import published
from .judging import Judgement
from .rules import COMPATIBLE, DATA, DIRECTION, NOT, REPRODUCED

# Why a verdict moved, by what it was and is.
BORROWED = "The scatter that few seeds lack is borrowed from the data set's other cells (rule 1)."
REASONS = {
    (REPRODUCED, COMPATIBLE): (
        "The printed number could be a run of ours, but so could numbers beyond two tolerances, which fit "
        "the range of the data set now; an optimum with many likely places is not pinned down (rules 3, "
        "5, 7)."
    ),
    (REPRODUCED, DATA): (
        "The interval is wider than what single runs of the data set differ by, or rests on one run (rules "
        "1, 2)."
    ),
    (REPRODUCED, NOT): "The tolerance fits the range of the data set: half a point was all of it (rule 5).",
    (NOT, COMPATIBLE): (
        "The interval of one more run is that of the pooled scatter, and the set of likely optima that of "
        "99 % of the draws (rules 1, 7)."
    ),
    (NOT, DATA): (
        "The interval is widened for the number of readings, or a lone run is no longer enough (rules 1, 8)."
    ),
    (DATA, NOT): BORROWED,
    (DATA, COMPATIBLE): BORROWED,
    (DATA, REPRODUCED): BORROWED,
    (DIRECTION, NOT): (
        "Ours is less than a tenth of the printed effect, or within the tolerance of none: no smaller "
        "effect, but none worth the name (rule 4)."
    ),
    (DIRECTION, DATA): "The interval is widened for the number of readings (rule 8).",
}
# Where another reason holds.
SPECIAL = {
    "iv-e-sharpness-b512": "Read in the same way as S at B = 32 and their ratio (rule 8).",
    "iv-f-variance-r2": "Read in the same way as the slope (rule 8).",
    "iv-a-cifar10-random": "Put anew: as the share of runs that end near chance (rule 1).",
    "iv-a-cifar10-collapse": "Split from the claim on chance, and put as strong degradation.",
    "ii-c-warmup-from": "Put to the test: runs with and without a warm-up were made.",
    "v-c-large": "Put anew: of sharpness, as the statement is, and no longer of accuracy.",
}


def changed(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row a claim whose verdict differs from the first rules': id, claim, before, now, reason."""
    first = pd.read_csv(published.FOLDER / "first-verdicts.csv").set_index("id")["verdict"]
    rows = []
    for j in judgements:
        before = first.get(j.claim.id)
        if before is not None and before != j.verdict:
            reason = SPECIAL.get(j.claim.id) or REASONS.get((before, j.verdict), "Other records.")
            rows.append((j.claim.id, j.claim.text, before, j.verdict, reason))
    return pd.DataFrame(rows, columns=["id", "claim", "before", "now", "reason"])


def summed_up(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """The same summed up: before, now, reason, how many claims, and which of the prose."""
    table = changed(judgements)
    rows = []
    for (before, now, reason), some in table.groupby(["before", "now", "reason"], sort=False):
        prose = [id for id in some["id"] if not id.startswith("table-")]
        listed = ", ".join(prose[:6]) + (f" and {len(prose) - 6} more" if len(prose) > 6 else "")
        rows.append((before, now, len(some), listed or "cells of tables", reason))
    return pd.DataFrame(rows, columns=["before", "now", "claims", "among them", "reason"])
