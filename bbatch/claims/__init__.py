"""Every claim of the paper, judged twice: by its own tables and by our runs.

`ledger` says what is claimed, `rules` how a claim is judged, `witnesses` and `quantities*` measure it, `judging` brings
them together, `explanations` says why a claim fails.
"""

from .judging import COLUMNS, Judgement, Reading, frame, judge, judged, totals, witness

__all__ = ["COLUMNS", "Judgement", "Reading", "frame", "judge", "judged", "totals", "witness"]
