"""The rules' error rates by simulation, in short, and what becomes of a verdict where seeds are dropped."""

import math
from functools import partial
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import metrics, published
from bbatch.analysis import accuracy
from bbatch.analysis.estimate import Estimate
from bbatch.claims import calibration, rules
from bbatch.claims import simulated as simulated_papers
from bbatch.claims.rules import DATA, FIRM, Says
from bbatch.claims.simulated import NOTHING, OTHER, TRUE, TWO_OFF, Scatter
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


def test_shares_are_in_percent_and_the_data_sets_take_turns(monkeypatch):
    asked, verdicts = [], [rules.NOT, rules.REPRODUCED, rules.DATA, rules.NOT]

    def made_up(scatter, truth, n):
        asked.append((scatter, truth, n))
        return verdicts[len(asked) - 1]

    for name, value in {
        "KINDS": {"one": made_up},
        "WRONG": {"one": {TRUE: (rules.NOT,)}},
        "Scatter": lambda runs, dataset, rng: dataset,
        "Store": lambda: SimpleNamespace(records=dict),
    }.items():
        monkeypatch.setattr(calibration, name, value)
    [row] = calibration.simulate(4, seeds=(3,), kinds=("one",)).to_dict("records")
    assert asked == [(d, TRUE, 3) for d in (*SYNTHETIC, SYNTHETIC[0])]
    shares = dict.fromkeys(rules.VERDICTS, 0.0) | {rules.NOT: 50.0, rules.REPRODUCED: 25.0, rules.DATA: 25.0}
    assert row == {"kind": "one", "truth": TRUE, "n": 3, **shares, "wrong": 50.0, "draws": 4}


def test_the_simulation_finds_rules_that_are_too_sure(monkeypatch):
    monkeypatch.setattr(rules, "LEVEL", 0.3)
    table = calibration.simulate(DRAWS, seeds=(3,), kinds=("it falls",))
    assert table["wrong"].max() > 15


def test_the_long_form_is_recorded_and_keeps_to_five_percent():
    table = calibration.error_counts()
    assert set(table["kind"]) == set(calibration.KINDS) and set(table["n"]) == set(calibration.SEEDS)
    assert (table["wrong"] <= 5).all(), table[table["wrong"] > 5].to_string()


class Still(Scatter):
    """Cells whose runs do not scatter: what a simulated paper prints, and what it is judged by, is exact."""

    def __init__(self, means=(80.0, 84.0, 81.0, 79.0), tolerance=0.25):
        self.means, self.sizes, self.tolerance = np.array(means), [8, 16, 32, 64][: len(means)], tolerance
        self.residuals, self.rng = np.zeros((3, len(means))), np.random.default_rng(0)


@pytest.fixture
def judged(monkeypatch):
    """What the rules were asked: (what is said, values of the parts, how many readings)."""
    asked = []

    def verdict_of(says, parts, readings=1):
        asked.append((says, [p.value for p in parts], readings))
        return rules.NOT

    monkeypatch.setattr(rules, "verdict_of", verdict_of)
    return asked


def test_of_the_cells_that_are_not_asked_for_one_has_five_runs():
    s, lenders = Still(), set()
    for _ in range(30):
        table = s.table({1: 50.0}, 2)
        assert table.shape == (5, 4) and (table[:2] == [80.0, 50.0, 81.0, 79.0]).all()
        more = ~np.isnan(table[2:])
        assert (more.sum(axis=1) == 1).all() and not more[:, 1].any()
        lenders.add(int(more[0].argmax()))
    assert lenders == {0, 2, 3}


def test_the_other_readings_of_a_right_number_lie_two_tolerances_off(judged):
    simulated_papers._number(Still(), TRUE, 3, readings=4)
    printed = judged[0][0].value
    assert [readings for *_, readings in judged] == [4] * 4 and printed in Still().means
    assert judged[0][1] == [printed]
    assert sorted({abs(values[0] - printed) for _, values, _ in judged[1:]}) == [0.5]


@pytest.mark.parametrize("truth, off", [(calibration.ONE_OFF, 1), (TWO_OFF, 2)])
def test_no_other_reading_of_a_wrong_number_is_right(judged, truth, off):
    for _ in range(8):  # either side
        judged.clear()
        simulated_papers._number(Still(), truth, 3, readings=4)
        printed = judged[0][0].value
        away = [(values[0] - printed) / 0.25 for _, values, _ in judged]
        assert {round(abs(a), 9) for a in away[1:]} == {off + 2.0} and abs(away[0]) == pytest.approx(off)
        assert len(set(np.sign(away))) == 1


@pytest.mark.parametrize(
    "relation, truth, parts, falls",
    [
        (">", TRUE, 3, [2, 2, 2]),
        (">", NOTHING, 2, [0, 2]),
        (">", OTHER, 2, [-2, 2]),
        ("<=", TRUE, 1, [-2]),
        ("<=", TWO_OFF, 1, [2]),
    ],
)
def test_a_simulated_fall_is_of_two_tolerances(judged, relation, truth, parts, falls):
    simulated_papers._falls(Still(), truth, 3, parts, relation)
    [(says, values, _)] = judged
    assert values == pytest.approx([0.25 * f for f in falls])
    assert (says.relation, says.value, says.nothing, says.unit) == (relation, 0.0, 0.0, "points")


def test_a_simulated_difference_is_of_its_two_cells():
    s = Scatter.__new__(Scatter)
    vars(s).update(vars(Still()))
    s.residuals = np.array([[0.5, 2.0, 8.0, 32.0]] * 2)
    found, noise = simulated_papers._difference(s, 3.0, 4)
    gaps = {abs(a - b) for a, b in combinations(s.residuals[0], 2)}
    assert abs(noise) in gaps and found.value == pytest.approx(3.0 + noise) and found.n == 4


def test_a_simulated_best_batch_size_is_one_of_the_grid(judged, monkeypatch):
    monkeypatch.setattr(simulated_papers, "likely_optima", lambda *_, **more: (8.0,))
    s = Still()
    for truth, off in ((TRUE, 0), (calibration.ONE_OFF, 1), (TWO_OFF, 2)):
        judged.clear()
        for _ in range(12):  # either side
            simulated_papers._batch_size(s, truth, 3)
        assert {says.unit for says, *_ in judged} == {"samples"}
        assert {says.value for says, *_ in judged} == {[8, 16, 32, 64][(1 + k) % 4] for k in (-off, off)}


def test_a_simulated_correlation_is_printed_from_one_run_a_cell(judged):
    s = Still()
    printed, ours, runs = simulated_papers._cells(s, TRUE, 3)
    assert runs.shape == (20, 3) and (runs == runs[:, :1]).all()
    assert ours.value == pytest.approx(printed)  # without scatter both have the same cells
    for truth, off in ((TRUE, 0), (TWO_OFF, 2)):
        judged.clear()
        s = Still()
        simulated_papers._correlation(s, truth, 3)
        [(says, [value], _)] = judged
        assert abs(says.value - value) == pytest.approx(off * rules.ABSOLUTE["r"])
        assert (says.unit, says.nothing) == ("r", 0.0)


# What a simulated paper prints, and what a reproduction finds, where the draws are set.


@pytest.fixture
def asked(monkeypatch):
    """What the rules were asked, whole; a difference of two cells is exact, with half a point of noise."""
    asked = []

    def difference(s, effect, n):
        return Estimate(effect, n, "points", error=2.0, one_run=3.0, freedom=7.0, span=10.0), 0.5

    def verdict_of(says, parts):
        asked.append((says, parts[0]))
        return rules.NOT

    monkeypatch.setattr(simulated_papers, "_difference", difference)
    monkeypatch.setattr(rules, "verdict_of", verdict_of)
    return asked


def drawn(kind, truth, asked, s, times=12):
    """What is claimed, and the values that were found, of so many draws."""
    asked.clear()
    for _ in range(times):
        kind(s, truth, 5)
    return [says for says, _ in asked], {round(e.value, 9) for _, e in asked}


@pytest.mark.parametrize(
    "truth, off, value",
    [(TRUE, 0, 5.0), (calibration.ONE_OFF, 1, 5.0), (TWO_OFF, 2, 5.0), (NOTHING, 0, 0.0), (OTHER, 0, -5.0)],
)
def test_simulated_effects_ratios_and_ranges(truth, off, value, asked):
    """An effect of 5 points, its tolerance half a point; a ratio of 6.9, to a tenth; a range from 5, or to
    it, as wide as ten tolerances of 0.25."""
    s = Still()
    says, values = drawn(simulated_papers._effect, truth, asked, s)
    assert values == {value} and all((x.unit, x.nothing) == ("points", 0.0) for x in says)
    assert {x.value for x in says} == {5.5 + 0.5 * off, 5.5 - 0.5 * off}

    s.residuals = np.array([[1.0, -1.0, 1.0, -1.0]])  # whose scatter stands for 15 %
    says, values = drawn(simulated_papers._ratio, truth, asked, s)
    assert values == {round(6.9 ** (value / 5), 9)} and all(
        (x.unit, x.nothing) == ("ratio", 1.0) for x in says
    )
    logs = {round(math.log(x.value / 6.9) - 0.5 * 0.15, 9) for x in says}
    assert logs == {round(side * off * math.log(1.1), 9) for side in (1, -1)}
    e = asked[0][1]
    assert (e.error, e.one_run) == pytest.approx((0.3, 0.45)) and (e.freedom, e.scale) == (7.0, "log")

    if truth != NOTHING:
        says, values = drawn(simulated_papers._range, truth, asked, s)
        assert values == {value} and all((x.unit, x.nothing) == ("points", 0.0) for x in says)
        assert {(x.value, x.upper) for x in says} == {
            (5 + 0.5 * off, 7.5 + 0.5 * off),
            (2.5 - 0.5 * off, 5 - 0.5 * off),
        }


def test_simulated_p_values_and_shares_of_seeds(asked, monkeypatch):
    s, runs = Still(), np.random.default_rng(1).normal(size=(20, 3))
    monkeypatch.setattr(simulated_papers, "_cells", lambda s, truth, n: (0.0, None, runs))
    [says], _ = drawn(simulated_papers._p_value, TRUE, asked, s, times=1)
    p = stats.pearsonr(np.log(s.sizes * 5), runs.mean(axis=1)).pvalue
    assert (says.relation, says.value, says.unit) == ("<", 0.001, "p")
    assert asked[0][1].value == pytest.approx(p) and asked[0][1].bounds == pytest.approx((p, p))
    chances = []
    s.rng = SimpleNamespace(binomial=lambda n, chance: chances.append(chance) or 3)
    for truth in (TRUE, OTHER):
        [says], values = drawn(simulated_papers._most_seeds, truth, asked, s, times=1)
        assert (says.relation, says.value) == (">=", 50.0) and values == {60.0}  # 3 of 5
        assert asked[0][1].low < 60 < asked[0][1].high
    assert chances == [0.7, 0.3]


@pytest.mark.parametrize("truth, sign", [(TRUE, 1), (NOTHING, 0), (OTHER, -1)])
def test_simulated_cells_lie_about_a_line_of_the_printed_correlation(truth, sign):
    s, r = Still(), sign * published.value("iv-b-correlation")
    x, noise = stats.zscore(np.log(s.sizes * 5)), np.random.default_rng(0).standard_normal(20)
    cells = s.means.std() * (r * x + math.sqrt(1 - r**2) * noise)
    np.testing.assert_allclose(simulated_papers._cells(s, truth, 3)[2], np.tile(cells[:, None], 3))


def test_the_scatter_of_runs_is_not_made_smaller_by_their_mean(monkeypatch):
    """Of three runs the mean takes a third of the variance: √(3/2) gives it back."""
    table = pd.DataFrame([[80.0, 81.0], [82.0, 81.5], [84.0, 82.0]], columns=[8, 16])
    monkeypatch.setattr(simulated_papers, "by_seed", lambda *_: table)
    s = Scatter(None, "mnist", np.random.default_rng(0))
    assert s.sizes == [8, 16] and s.means.tolist() == [82.0, 81.5] and s.tolerance == pytest.approx(0.4)
    np.testing.assert_allclose(s.residuals.std(axis=0), [2.0, 0.5])
    s.residuals = np.array([[1.0, -2.0]])
    assert s.runs([0, 1], [10.0, 20.0], 2).tolist() == [[11.0, 18.0]] * 2


def test_kinds_that_differ_in_parts_readings_and_relation(monkeypatch):
    monkeypatch.setattr(simulated_papers, "_falls", lambda *_, **more: more)
    monkeypatch.setattr(simulated_papers, "_number", lambda *_, **more: more)
    for name, more in {
        "it does not rise": {"relation": "<="},
        "it falls on each of three": {"parts": 3},
        "a number, best of six readings": {"readings": 6},
    }.items():
        assert calibration.KINDS[name](None, TRUE, 5) == more


def propositions(kind: str, dataset: str):
    """(what is said, the question that is asked of runs, its batch sizes) of one kind, on the printed
    numbers."""
    paper = published.printed_frame()
    sizes = sorted(int(b) for b in paper.loc[paper["dataset"] == dataset, "batch_size"])
    if kind in ("test_acc", "gap_running"):
        unit = "points" if kind == "gap_running" else "percent"
        for b in sizes:
            ask = partial(accuracy.level, dataset=dataset, batch_size=b, metric=kind)
            yield Says("=", ask(paper).value, unit, level=True), ask, [b]
    else:
        relation = "=" if kind == "an effect" else ">"
        for small, large in combinations(sizes, 2):
            ask = partial(accuracy.fall, dataset=dataset, small=small, large=large)
            value = ask(paper).value if kind == "an effect" else 0.0
            yield Says(relation, value, unit="points"), ask, [small, large]


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
