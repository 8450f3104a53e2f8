"""Cells whose scatter differs far more than the model has it: what they lend each other, and how often an
interval then misses."""

import numpy as np
import pytest
from scipy import stats

from bbatch.analysis.cells import weighted
from bbatch.analysis.scatter import LIKELY, PRIOR, REFUTED, moderated, pooled_variance

# Values of eight cells; the last three collapse now and then, as CIFAR-10 does at large batches.
STEADY = [[76.3, 77.0, 76.1, 77.4, 78.2], [78.6, 79.1], [79.7, 79.2], [78.0, 77.8], [76.4, 76.7, 68.2]]
COLLAPSING = [[68.8, 10.0, 68.4], [60.3, 48.2, 10.0], [56.4, 53.0, 44.4]]


def columns(cells) -> np.ndarray:
    table = np.full((max(map(len, cells)), len(cells)), np.nan)
    for k, values in enumerate(cells):
        table[: len(values), k] = values
    return table


def by_hand(cells) -> tuple[float, float, float]:
    """The likeliest common variance and degrees of freedom, each tried on a fine grid with SciPy's F; and how
    much likelier they are than `PRIOR` at its best."""
    own = np.array([len(c) - 1 for c in cells])
    seen = np.array([np.var(c, ddof=1) for c in cells])
    common = np.exp(np.linspace(np.log(seen.min()), np.log(seen.max()), 4001))[:, None]
    found = []
    for prior in LIKELY:
        likelihood = (stats.f.logpdf(seen / common, own, prior) - np.log(common)).sum(axis=1)
        found.append((likelihood.max(), common[likelihood.argmax(), 0], prior))
    best = max(found)
    return best[1], best[2], best[0] - found[0][0]


def test_cells_that_scatter_far_more_than_others_lend_them_little():
    cells = STEADY + COLLAPSING
    common, prior, better = by_hand(cells)
    assert better > REFUTED and prior < 1
    found, freedom = pooled_variance(columns(cells).T)
    freedoms = np.array([len(c) - 1 for c in cells])
    lenders = freedoms.sum() ** 2 / (freedoms**2).sum()
    assert found == pytest.approx(common, rel=0.01)
    assert freedom == pytest.approx(1 / (1 / prior + 1 / (prior * lenders) + 1 / freedoms.sum()))
    level = weighted(columns(cells), [1, *[0] * 7], "percent")  # five steady runs
    assert level.half_width == pytest.approx(stats.t.ppf(0.975, 4) * stats.sem(STEADY[0]), rel=0.15)
    collapsed = weighted(columns(cells), [0] * 5 + [1, 0, 0], "percent")
    assert (collapsed.low, collapsed.high) == (0, 100)  # three runs, of which one is at chance, tell nothing


def test_where_the_likelihood_does_not_refute_the_model_it_stands():
    rng = np.random.default_rng(0)
    cells = list(rng.normal(size=(8, 5)) * np.sqrt(PRIOR / rng.chisquare(PRIOR, (8, 1))))
    assert by_hand(cells)[2] <= REFUTED
    within = np.mean([np.var(c, ddof=1) for c in cells])
    assert pooled_variance(cells)[0] == pytest.approx(within)
    assert pooled_variance([np.array([1.0, 1.0]), np.array([2.0, 2.0])])[0] == 0
    for equal in ([3.0, 3.0], [0.1 + 0.2, 0.3, 0.3]):  # counts of answers are equal by chance
        found, freedom = pooled_variance([cells[0], np.array(equal)])
        squares = 4 * np.var(cells[0], ddof=1)
        assert found == pytest.approx(squares / (4 + len(equal) - 1)) and freedom > 2


def test_two_cells_are_enough_to_refute_it_and_one_is_not():
    assert LIKELY[0] == PRIOR and np.allclose(np.diff(np.log2(LIKELY)), -0.25)
    rng = np.random.default_rng(0)
    two = [rng.normal(0, deviation, 30) for deviation in (1.0, 1e-3)]
    common, prior, better = by_hand(two)
    assert better > REFUTED and prior < PRIOR
    for more in ([], [np.array([5.0, 5.0])]):  # a cell without scatter tells nothing of it
        found, freedom = pooled_variance([*two, *more])
        assert found == pytest.approx(common, rel=0.01) and freedom < PRIOR / 2
    assert pooled_variance(two[:1])[0] == pytest.approx(two[0].var(ddof=1))


@pytest.mark.parametrize("spread", [0, 1, 4])
def test_an_interval_misses_no_more_often_than_it_says(spread):
    """`spread`: half the range of the logarithms of the cells' deviations, 0 for equal ones."""
    rng, missed, draws = np.random.default_rng(1), 0, 400
    for _ in range(draws):
        deviations = np.exp(rng.uniform(-spread, spread, 8))
        values = rng.normal(size=(3, 8)) * deviations
        missed += not (found := weighted(values, [1, *[0] * 7], "steps")).low <= 0 <= found.high
    assert missed <= stats.binom.ppf(0.999, draws, 0.05)


def test_less_than_one_degree_of_freedom_is_no_ground_for_an_interval():
    one = np.array([66.1])
    assert all(map(np.isnan, moderated(one, 0.7, 0.99)))
    assert moderated(one, 0.49, 1.0) == (pytest.approx(0.7), 1.0)
    alone = [*STEADY, *COLLAPSING, [66.1]]  # one run beside cells that lend it less than that
    found = weighted(columns(alone), [*[0] * 8, 1], "percent")
    assert (found.value, found.n) == (66.1, 1) and np.isnan(found.low) and found.text() == "66.10"
