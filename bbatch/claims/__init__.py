"""Every claim of the paper, judged twice: by its own tables and by our runs.

`ledger` says what is claimed, `rules` how a claim is judged, `evidence` and `quantities*` measure it, `judging` brings them
together, `reasons` says why a claim fails; `verdicts` and `verdict_words` show it.
"""

from .judging import COLUMNS, Judgement, Reading, frame, judge, judged, totals, witness

__all__ = ["COLUMNS", "Judgement", "Reading", "frame", "judge", "judged", "totals", "witness"]
