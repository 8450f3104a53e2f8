"""Every claim of the paper, judged twice: by its own tables and by our runs.

The modules `on_...` put the statements of the prose, `statements` brings them together with the cells of the
tables, `questions` holds the distinct claims and the modules `answers_on_...` their answers, `rules` say how
a claim is judged, `judging` judges, `overviews` make tables of judgements, and `calibration` counts how
often the rules are wrong."""

from .judging import Judgement, Read, evidence, judged
from .overviews import COLUMNS, distinct, in_text, verdict_frame

__all__ = ["COLUMNS", "Judgement", "Read", "distinct", "evidence", "in_text", "judged", "verdict_frame"]
