"""B* by the paper's definition, on accuracies made for each case, and the scatter of the optimum."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bbatch import published
from bbatch.analysis import accuracy
from bbatch.analysis import critical_batch_size as module
from bbatch.analysis.critical_batch_size import BELOW, FOUND, NEVER, Critical, critical_batch_size
from bbatch.config import DATASETS
from bbatch.errors import BadInput


@pytest.mark.parametrize(
    "accuracy, expected",
    [
        ({8: 95.0, 32: 96.0, 128: 95.5, 512: 94.9}, Critical(32, 512, FOUND)),
        ({8: 94.0, 32: 96.0, 128: 95.5, 512: 94.9}, Critical(32, 512, FOUND)),  # to the letter, B* is 8
        ({1: 92.0, 32: 95.9, 512: 96.0}, Critical(512, None, BELOW)),
        ({1: 95.5, 32: 96.0, 512: 95.0}, Critical(32, None, NEVER)),  # exactly 1 % is not more than 1 %
        ({1: 96.0, 32: 96.0, 512: 90.0}, Critical(1, 512, FOUND)),  # a tie goes to the smallest
    ],
)
def test_every_case_by_name(accuracy, expected):
    assert critical_batch_size(accuracy) == expected


def test_definition_applied_to_printed_cells_by_brute_force():
    for name in ("mnist", "cifar10", "synthetic-1k"):
        cells = dict(zip(*(published.results(name)[c] for c in ("batch_size", "test_acc")), strict=True))
        peak = max(cells, key=cells.get)
        low = [b for b in cells if b > peak and cells[b] < cells[peak] - 1]
        found = module.from_paper(name)
        assert (found.optimal, found.critical) == (peak, min(low, default=None))


def frame(accuracies, dataset="synthetic-1k", seeds=4):
    rows = [
        (dataset, b, s, "linear", a + 0.01 * (s % 2), f"{b}-{s}")
        for b, a in accuracies.items()
        for s in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "lr_rule", "test_acc", "id"])


def test_the_optimum_is_drawn_from_the_intervals_of_the_means():
    sizes = DATASETS["synthetic-1k"].protocol.batch_sizes
    clear = frame({b: 96.0 if b == 32 else 95.5 for b in sizes})
    draws = module.drawn(clear, "synthetic-1k")
    assert (draws["optimal"] == 32).all() and draws["critical"].isna().all()
    assert module.outcomes(clear, "synthetic-1k", "optimal").among == (32.0,)
    assert module.outcomes(clear, "synthetic-1k", "critical").among == (np.inf,)
    assert list(module.bootstraps(clear, ["synthetic-1k", "mnist"])) == ["synthetic-1k"]
    once = clear[(clear["seed"] == 0)]
    assert module.bootstraps(once, ["synthetic-1k"]) == {}  # nothing tells how means of one run scatter
    assert (
        len(module.bootstraps(clear[(clear["seed"] == 0) | (clear["batch_size"] == 8)], ["synthetic-1k"]))
        == 1
    )
    tie = frame({b: 96.0 if b in (32, 128) else 95.5 for b in sizes})
    share = module.drawn(tie, "synthetic-1k")["optimal"].value_counts(normalize=True)
    assert set(share.index) == {32, 128} and share.max() < 0.6  # either, about as often
    assert module.outcomes(tie, "synthetic-1k", "optimal").among == (32.0, 128.0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: critical_batch_size({8: 95.0}), "two batch sizes"),
        (lambda: critical_batch_size({8: 95.0, 16: 94.0}, drop=0), "drop above 0"),
        (lambda: module.drawn(frame({8: 90.0}), "synthetic-1k"), "no run at some batch sizes"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(BadInput, match=words):
        call()


def test_the_exponent_of_the_optimum_is_fitted_draw_by_draw():
    draws = {
        name: pd.DataFrame({"optimal": b})
        for name, b in (("synthetic-1k", [8, 64]), ("synthetic-10k", [32, 64]), ("synthetic-50k", [128, 64]))
    }
    n = np.log([1_000, 10_000, 50_000])
    slope = np.polyfit(n, np.log([8, 32, 128]), 1)[0]
    found = module.optimum_exponent(draws)
    assert found.mean == pytest.approx(slope / 2) and found.n == 3  # the second draw has no slope
    assert (found.low, found.high) == pytest.approx((0.025 * slope, 0.975 * slope))
    with pytest.raises(BadInput, match="three data sets"):
        module.optimum_exponent({})


NAME, SIZES = "synthetic-1k", DATASETS["synthetic-1k"].protocol.batch_sizes


def scattered(**more):
    rng = np.random.default_rng(4)
    table = frame(dict.fromkeys(SIZES, 95.0))
    table["test_acc"] += rng.normal(0, 0.5, len(table)) - 0.8 * (table["batch_size"] == SIZES[-1])
    return pd.concat([table, table.assign(lr_rule="constant", test_acc=50.0, id="other" + table["id"])])


def test_a_draw_moves_each_mean_by_its_own_error():
    runs = scattered()
    found = module.drawn(runs, NAME)
    levels = {b: accuracy.level(runs, NAME, b) for b in SIZES}
    rng = np.random.default_rng(0)
    moved = {b: e.value + e.error * rng.standard_t(e.freedom, module.DRAWS) for b, e in levels.items()}
    each = [critical_batch_size({b: moved[b][k] for b in SIZES}) for k in range(module.DRAWS)]
    assert found["optimal"].tolist() == [c.optimal for c in each] and found["optimal"].nunique() > 1
    assert [None if pd.isna(c) else c for c in found["critical"]] == [c.critical for c in each]
    best = pd.Series([float(max(SIZES, key=lambda b: moved[b][k])) for k in range(module.DRAWS)])
    assert module.likely_optima(levels) == module.likeliest(best)[0]


@pytest.mark.parametrize(
    "counts, likely",
    [
        ({8: 980, 1: 15, 64: 5}, (1, 8)),
        ({8: 990, 1: 10}, (8,)),
        ({8: 989, 1: 10, 2: 1}, (1, 8)),
        ({4: 1}, (4,)),
    ],
)
def test_the_commonest_outcomes_make_up_99_percent(counts, likely):
    found, shares = module.likeliest(pd.Series([b for b, n in counts.items() for _ in range(n)]))
    assert found == likely and shares.to_dict() == {b: n / sum(counts.values()) for b, n in counts.items()}


def test_an_outcome_says_how_often_it_was_drawn_and_of_which_runs():
    runs = scattered()
    draws = module.drawn(runs, NAME)
    shares = draws["critical"].astype(float).fillna(np.inf).value_counts(normalize=True)
    found = module.outcomes(runs, NAME, "critical")
    linear = runs[runs["lr_rule"] == "linear"]
    means = {b: linear[linear["batch_size"] == b]["test_acc"].mean() for b in SIZES}
    expected = critical_batch_size(means)
    assert module.from_runs(runs, NAME) == expected and found.value == (expected.critical or np.inf)
    said = [f"B = {b:.0f}" if np.isfinite(b) else "no such B" for b in found.among]
    listed = "; ".join(f"{s} in {100 * shares[b]:.0f} %" for s, b in zip(said, found.among, strict=True))
    assert found.shown == f"{listed} of the draws" and len(said) > 1
    assert set(found.ids) == set(linear["id"]) and found.n == 4 and found.span == len(SIZES)
    assert (found.unit, found.how, found.about) == ("samples", "99 % of the draws", "Synthetic 1K")
    fewer = linear.drop(linear[(linear["batch_size"] == 8) & (linear["seed"] > 1)].index)
    assert module.outcomes(fewer, NAME, "optimal").n == 2
    hole = module.outcomes(linear[linear["batch_size"] > SIZES[0]], NAME, "optimal")
    assert hole.n == 0 and hole.missing == "bbatch sweep synthetic-1k"
    single = module.outcomes(linear[linear["seed"] == 0], NAME, "optimal")
    assert single.n == 0 and single.missing == "bbatch sweep synthetic-1k --seeds 2"
    assert [e.value for e in module.optima_of(runs, [NAME])] == [expected.optimal]


def printed(values, dataset="mnist"):
    columns = {"dataset": dataset, "batch_size": list(values), "test_acc": list(values.values())}
    return pd.DataFrame(columns).assign(lr_rule="linear", printed=True)


@pytest.mark.parametrize(
    "values, what, value, among, shown",
    [
        (
            {1: 96.0, 8: 95.5, 16: 96.0, 64: 94.9, 128: 94.8},
            "optimal",
            1,
            (1, 16),
            "highest accuracy 96.00 at B = 1",
        ),
        (
            *({1: 95.0, 8: 96.0, 64: 94.9, 128: 94.0, 256: 94.2}, "critical", 64, (64,)),
            "highest accuracy 96.00 at B = 8; above it, the lowest is 94.00 at B = 128; B* = 64",
        ),
        (
            *({1: 90.0, 8: 96.0, 64: 95.9}, "critical", np.inf, (np.inf,)),
            "highest accuracy 96.00 at B = 8; above it, the lowest is 95.90 at B = 64; no B*",
        ),
        ({1: 90.0, 8: 96.0}, "critical", np.inf, (np.inf,), "highest accuracy 96.00 at B = 8"),
    ],
)
def test_printed_accuracies_decide_and_ties_are_all_likely(values, what, value, among, shown):
    found = module.outcomes(printed(values), "mnist", what)
    assert (found.value, found.among, found.shown) == (value, among, shown)
    assert (found.n, found.ids, found.span) == (1, (), len(values)) and found.how.startswith("the definition")


def test_b_star_against_n_is_a_line_through_logarithms():
    sizes = [module.printed_n(d) for d in ("mnist", "cifar10", "synthetic-1k", "synthetic-50k")]
    assert sizes == [60_000, 50_000, 1_000, 50_000]
    table = published.critical().set_index("dataset")["critical_batch_size"]
    names = ["mnist", "synthetic-1k", "synthetic-10k", "synthetic-50k"]
    line = stats.linregress(np.log([module.printed_n(d) for d in names]), np.log([table[d] for d in names]))
    found = module.printed_exponent(None, names)
    half = stats.t.ppf(0.975, 2) * line.stderr
    assert found.value == pytest.approx(line.slope) and found.n == 4
    assert (found.counted, found.about) == ("data sets", "B* against N")
    assert found.interval() == pytest.approx((line.slope - half, line.slope + half))
    assert found.shown.startswith(", ".join(f"{table[d]:g}" for d in names) + " fitted to a power of N: ")


def test_an_exponent_wants_a_b_star_that_is_settled_on_every_data_set():
    three = ["mnist", "synthetic-1k", "synthetic-10k"]
    paper = pd.concat(printed({8: 96.0, b: 90.0}, d) for d, b in zip(three, (64, 16, 32), strict=True))
    found = module.exponent(paper, three)
    n = np.log([module.printed_n(d) for d in three])
    assert found.value == pytest.approx(np.polyfit(n, np.log([64, 16, 32]), 1)[0]) and found.n == 3
    flat = pd.concat([paper[paper["dataset"] != "mnist"], printed({8: 96.0, 64: 96.0})])
    none = module.exponent(flat, three)
    assert none.shown == "no B* on MNIST: nothing to fit" and np.isnan(none.value) and none.n == 1
    grids = {d: DATASETS[d].protocol.batch_sizes for d in three}

    def ours(drops, seeds=4):
        return pd.concat(
            frame({b: 96.0 - drop * (b == grids[d][-1]) for b in grids[d]}, d, seeds)
            for d, drop in zip(three, drops, strict=True)
        )

    clear = module.exponent(ours((3.0, 3.0, 3.0)), three)
    assert clear.value == pytest.approx(np.polyfit(n, np.log([grids[d][-1] for d in three]), 1)[0])
    never = module.exponent(ours((3.0, 0.0, 0.0)), three)
    assert never.shown == "no B* on Synthetic 1K, Synthetic 10K: nothing to fit" and never.n == 4
    assert len(never.ids) == sum(4 * len(grids[d]) for d in three) and never.unit == "exponent"
    open_ = module.exponent(ours((3.0, 0.995, 3.0)), three)  # now below by more than a point, now not
    assert open_.n == 0 and open_.missing == "bbatch sweep synthetic-1k" and open_.unit == "exponent"
