"""The rules' error rates by simulation, in short, and what becomes of a verdict where seeds are dropped."""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bbatch import metrics, published
from bbatch.analysis import accuracy
from bbatch.claims import calibration, rules
from bbatch.claims.rules import DATA, FIRM, Says
from bbatch.config import SYNTHETIC
from bbatch.records.store import Store

DRAWS = 60


@pytest.fixture(scope="module")
def simulated():
    return calibration.simulate(DRAWS, seeds=(1, 3, 20))


def test_few_firm_verdicts_are_wrong_in_simulated_papers(simulated):
    table = simulated
    most = stats.binom.ppf(1 - 0.01 / len(table), DRAWS, 0.05)  # what 5 % gives at most, in this many rows
    wrong = table[table["wrong"] / 100 * DRAWS > most + 1e-6]
    assert wrong.empty, wrong.to_string()
    assert (table.loc[table["truth"] == calibration.OTHER, rules.NOT] > 0).any()  # they decide, too


def test_a_short_simulation_is_like_the_recorded_one(simulated):
    """Each kind of claim: counts of verdicts against the recorded shares, by a chi-squared sum over rows."""
    keys = ["kind", "truth", "n"]
    both = simulated.merge(calibration.error_counts(), on=keys, suffixes=("", "_long"))
    assert len(both) == len(simulated) and (simulated["draws"] == DRAWS).all()
    np.testing.assert_allclose(simulated[list(rules.VERDICTS)].sum(axis=1), 100)
    for kind, rows in both.groupby("kind"):
        chi, freedom = 0.0, 0
        for _, row in rows.iterrows():
            short = np.array([row[v] for v in rules.VERDICTS]) * DRAWS / 100
            long = np.array([row[f"{v}_long"] for v in rules.VERDICTS]) * row["draws_long"] / 100
            seen = short + long > 0
            if seen.sum() > 1:
                found = stats.chi2_contingency([short[seen], long[seen]], correction=False)
                chi, freedom = chi + found.statistic, freedom + found.dof
        assert stats.chi2.sf(chi, freedom) > 1e-3, (kind, chi, freedom)


def test_the_simulation_finds_rules_that_are_too_sure(monkeypatch):
    monkeypatch.setattr(rules, "LEVEL", 0.3)
    table = calibration.simulate(DRAWS, seeds=(3,), kinds=("it falls",))
    assert table["wrong"].max() > 15


def test_the_long_form_is_recorded_and_keeps_to_five_percent():
    table = calibration.error_counts()
    assert set(table["kind"]) == set(calibration.KINDS) and set(table["n"]) == set(calibration.SEEDS)
    assert (table["wrong"] <= 5).all(), table[table["wrong"] > 5].to_string()


def propositions(kind: str, dataset: str):
    """(what is said, the question that is asked of runs, its batch sizes) of one kind, on the printed
    numbers."""
    paper = published.printed_frame()
    sizes = sorted(int(b) for b in paper.loc[paper["dataset"] == dataset, "batch_size"])
    if kind in ("test_acc", "gap_running"):
        unit = "points" if kind == "gap_running" else "percent"
        for b in sizes:
            ask = partial(accuracy.level, dataset=dataset, batch_size=b, metric=kind)
            yield Says("=", ask(paper).value, unit=unit), ask, [b]
    else:
        relation, nothing = ("=", 0.0) if kind == "an effect" else (">", 0.0)
        for small, large in combinations(sizes, 2):
            ask = partial(accuracy.fall, dataset=dataset, small=small, large=large)
            value = ask(paper).value if kind == "an effect" else 0.0
            yield Says(relation, value, unit="points", nothing=nothing), ask, [small, large]


@pytest.mark.parametrize("kind", ["test_acc", "gap_running", "an effect", "it falls"])
def test_no_verdict_is_firmer_for_less_data(kind):
    """Of what 20 seeds leave undecided, little is decided by fewer of the same: no more than the level
    allows."""
    runs = metrics.full_protocol(metrics.frame(Store().records().values()))
    runs, rng = runs[runs["lr_rule"] == "linear"], np.random.default_rng(0)
    firmer = drawn = 0
    for d in SYNTHETIC:
        mine = runs[runs["dataset"] == d]
        seeds = sorted(mine["seed"].unique())
        undecided = [p for p in propositions(kind, d) if rules.judge_part(p[0], p[1](mine)) not in FIRM]
        for says, ask, sizes in undecided[:8]:
            for n in (1, 2, 3, 5) * 6:
                kept = rng.choice(seeds, n, replace=False)
                few = mine[~mine["batch_size"].isin(sizes) | mine["seed"].isin(kept)]
                drawn += 1
                firmer += rules.judge_part(says, ask(few)) in FIRM
    assert drawn > 150 and firmer <= stats.binom.ppf(0.99, drawn, 0.05), (firmer, drawn)


def test_test_set_sampling_error_alone_decides_nothing():
    """One run a cell, of every cell: whatever is printed, there is no verdict."""
    runs = metrics.full_protocol(metrics.frame(Store().records().values()))
    one = runs[(runs["lr_rule"] == "linear") & (runs["seed"] == 42) & (runs["dataset"] == "synthetic-10k")]
    for printed in (50.0, 90.0, 98.9):
        says = Says("=", printed, unit="percent")
        assert rules.judge_part(says, accuracy.level(one, "synthetic-10k", 32)) == DATA
