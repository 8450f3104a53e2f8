"""Every claim of the paper, judged twice: by its own tables and by our runs.

`on_accuracy`, `on_training` and `on_geometry` put the statements of the prose, `statements` brings them
together with the cells of the tables, `questions` holds the distinct claims with their answers, `rules` say
how a claim is judged, `judging` judges, and `calibration` counts how often the rules are wrong."""

from .judging import COLUMNS, Judgement, Read, distinct, evidence, frame, in_text, judged, totals

__all__ = ["COLUMNS", "Judgement", "Read", "distinct", "evidence", "frame", "in_text", "judged", "totals"]
