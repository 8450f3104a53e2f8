"""A data set that a reader adds: claims, tables and figures of the paper go on without it, and with it."""

import pytest

from bbatch import claims, config, metrics
from bbatch.analysis import generalization_gap
from bbatch.config import DATASETS
from bbatch.pages import figures, picture, report, tables
from factories import record


@pytest.fixture
def runs(added):
    """One run on it, and one on synthetic-1k."""
    found = [record("digits", 32, test_correct=340, running=1400, clean=1420), record("synthetic-1k", 32)]
    return metrics.frame(found)


def test_the_claims_are_about_the_papers_own(added):
    assert "digits" in DATASETS and "digits" not in config.PUBLISHED and len(config.PUBLISHED) == 5
    judged = claims.judged(claims.evidence({}))
    assert len(judged) > 100 and not any("Digits" in str(j) for j in judged)


def test_tables_sentences_and_figures_show_it(runs):
    assert "Digits" in report.comparison(runs, "digits").data
    assert len(generalization_gap.correlations(runs)) > 0
    for number in range(1, 9):
        assert len(tables.by_number(number, runs))
    for draw in (figures.glance(runs), figures.against_batch_size(runs, ["digits"])):
        assert "Digits" in picture.html(draw)
    figures.learning_curves(metrics.curves([]), "digits")
