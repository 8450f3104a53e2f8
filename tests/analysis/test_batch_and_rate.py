"""Answers read from maps of batch and rate, against plain loops over small tables made up here."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch.analysis import batch_and_rate as asks
from bbatch.analysis import rate_map
from bbatch.analysis.critical_batch_size import critical_batch_size
from bbatch.errors import BadInput
from bbatch.statistics import Interval

RATES = [0.001 * 2.0**k for k in range(-3, 5)]


def made_up(sizes=(1, 4, 16, 32, 64, 256), seeds=6, noise=0.4, peak=lambda b: 0.001 * (b / 32) ** 0.5):
    """Accuracy falls with the squared distance, in octaves, from the best rate; a seed has its noise."""
    rng, rows = np.random.default_rng(1), []
    for b in sizes:
        for lr in RATES:
            for seed in range(42, 42 + seeds):
                far = math.log2(lr / peak(b)) ** 2
                held, test = (
                    95 - far + noise * rng.standard_normal(),
                    94 - far + noise * rng.standard_normal(),
                )
                rows.append(["synthetic-1k", b, lr, seed, held, 0.1 + far / 50, test, 0.1 + far / 40, False])
    columns = [
        "dataset",
        "batch_size",
        "lr",
        "seed",
        "held_out_acc",
        "held_out_loss",
        "test_acc",
        "test_loss",
    ]
    return pd.DataFrame(rows, columns=[*columns, "diverged"])


def best_by_hand(rows, seeds):
    """(rate, test accuracy) of one batch size for these seeds, one counted as often as it is listed."""
    best, columns = (
        (-math.inf, None, None),
        [rows[c].tolist() for c in ("lr", "seed", "held_out_acc", "test_acc")],
    )
    held, test = {}, {}
    for lr, seed, a, b in zip(*columns, strict=True):
        held[lr, seed], test[lr, seed] = a, b
    for lr in sorted(set(rows["lr"])):
        score = sum(held[lr, s] for s in seeds) / len(seeds)
        if score > best[0] + 1e-9:
            best = (score, lr, sum(test[lr, s] for s in seeds) / len(seeds))
    return best[1:]


def octave_by_hand(rows, seeds):
    """log2 of the rate at the vertex of the parabola through the best mean and its two neighbours."""
    held = dict(zip(zip(rows["lr"], rows["seed"], strict=True), rows["held_out_acc"], strict=True))
    means = [sum(held[lr, s] for s in seeds) / len(seeds) for lr in RATES]
    k = means.index(max(means))
    if k in (0, len(RATES) - 1):
        return math.log2(RATES[k])
    left, middle, right = means[k - 1 : k + 2]  # an octave apart
    return math.log2(RATES[k]) + (right - left) / (2 * (2 * middle - left - right))


def draws_by_hand(seeds, draws):
    """The seeds that each bootstrap draw holds, from the same random numbers as the module's weights."""
    counts = np.random.default_rng(0).multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), draws)
    return [[s for s, k in zip(seeds, row, strict=True) for _ in range(k)] for row in counts]


def middle(values):
    return np.quantile(values, (0.025, 0.975))


def test_best_rates_their_accuracy_and_the_cost_of_batch(monkeypatch):
    monkeypatch.setattr(rate_map, "DRAWS", 100)
    runs = made_up()
    found = asks.best_rates(runs).set_index("batch_size")
    costs = asks.cost_of_batch(runs).set_index("batch_size")["difference"]
    seeds = sorted(set(runs["seed"]))
    drawn = draws_by_hand(seeds, 100)
    of = dict(list(runs.groupby("batch_size")))
    against = [best_by_hand(of[32], d)[1] for d in drawn]
    for b, cell in of.items():
        rate, accuracy = best_by_hand(cell, seeds)
        assert found.loc[b, "chosen"] == rate and found.loc[b, "at_edge"] == (rate in (RATES[0], RATES[-1]))
        assert found.loc[b, "accuracy"].mean == pytest.approx(accuracy)
        again = [best_by_hand(cell, d)[1] for d in drawn]
        interval = found.loc[b, "accuracy"]
        assert (interval.low, interval.high) == pytest.approx(tuple(middle(again)))
        assert costs[b].mean == pytest.approx(accuracy - best_by_hand(of[32], seeds)[1])
        assert (costs[b].low, costs[b].high) == pytest.approx(tuple(middle(np.subtract(again, against))))
        drawn_optima = [2 ** octave_by_hand(cell, d) for d in (seeds, *drawn)]
        i = found.loc[b, "optimum"]
        assert (i.mean, i.low, i.high) == pytest.approx((drawn_optima[0], *middle(drawn_optima[1:])))
    assert costs[32] == Interval(0, 0, 0, 6)


def test_critical_batch_size_at_the_best_rates(monkeypatch):
    monkeypatch.setattr(rate_map, "DRAWS", 50)
    runs = made_up(seeds=4, noise=0.3)
    runs.loc[runs["batch_size"] == 256, "test_acc"] -= 0.7
    found, shares = asks.critical_at_best_rate(runs)
    seeds, of = sorted(set(runs["seed"])), dict(list(runs.groupby("batch_size")))
    expected = critical_batch_size({b: best_by_hand(cell, seeds)[1] for b, cell in of.items()})
    assert found == expected
    again = [
        critical_batch_size({b: best_by_hand(cell, d)[1] for b, cell in of.items()}).critical
        for d in draws_by_hand(seeds, 50)
    ]
    assert 0 < again.count(256) < 50 and shares[256] == pytest.approx(again.count(256) / 50)
    assert shares[shares.index.isna()].sum() == pytest.approx(again.count(None) / 50)


def test_of_equal_rates_the_smallest_is_chosen_and_edges_are_named():
    runs = made_up(noise=0, peak=lambda b: 0.001 * 2**0.5)  # half way between two rates
    found = asks.best_rates(runs)
    assert set(found["chosen"]) == {0.001} and not found["at_edge"].any()
    assert [i.mean for i in found["optimum"]] == pytest.approx([0.001 * 2**0.5] * 6)
    above = asks.best_rates(made_up(noise=0, peak=lambda b: 0.1))
    assert above["at_edge"].all() and set(above["chosen"]) == {RATES[-1]}
    assert [i.mean for i in above["optimum"]] == pytest.approx([RATES[-1]] * 6)


def test_the_optimum_between_rates_is_the_vertex_of_a_parabola():
    y = np.array([1.0, 4.0, 5.5, 5.0, 2.0])
    rates = np.array([0.1, 0.2, 0.5, 1.7, 2.0])  # not equally far from each other
    for k in (1, 2, 3):  # the best rate has a neighbour on either side
        score = np.roll(y, k - 2)
        a, b, _ = np.polyfit(np.log2(rates[k - 1 : k + 2]), score[k - 1 : k + 2], 2)
        found = rate_map.Grid(rates, score[None], score[None], np.ones((1, 1))).optimum
        assert found == pytest.approx(-b / (2 * a))
    flat = rate_map.Grid(rates, np.ones((1, 5)), y[None], np.ones((1, 1)))
    assert flat.optimum == pytest.approx(math.log2(0.1))


def test_choosing_by_loss_never_takes_one_that_is_not_finite():
    runs = made_up(noise=0)
    best = (runs["batch_size"] == 32) & (runs["lr"] == 0.001)
    runs.loc[best & (runs["seed"] == 42), "held_out_loss"] = np.nan
    by_loss = asks.best_rates(runs, by="held_out_loss").set_index("batch_size")
    assert by_loss.loc[32, "chosen"] in (0.0005, 0.002) and by_loss.loc[16, "chosen"] in (0.0005, 0.001)
    with pytest.raises(BadInput, match="allowed are held_out_acc, held_out_loss"):
        rate_map.map_by_batch_size(runs, by="test_acc")


def test_a_map_with_holes_or_of_two_data_sets_is_refused():
    runs = made_up()
    with pytest.raises(BadInput, match="lacks 1 of its 48 runs at B = 1"):
        rate_map.map_by_batch_size(runs.drop(index=0))
    with pytest.raises(BadInput, match="one data set, not of 2"):
        rate_map.map_by_batch_size(pd.concat([runs, runs.assign(dataset="synthetic-10k")]))
    with pytest.raises(BadInput, match="batch size to compare with 32"):
        asks.cost_of_batch(runs[runs["batch_size"] != 32])


def test_a_bent_line_is_found_and_a_straight_one_has_no_bend():
    x = np.arange(9.0)
    for bend in (2, 6, 5):
        y = np.where(x < bend, 0.9 * x, 0.9 * bend + 0.1 * (x - bend))
        assert asks.bent_line(x, y) == (bend, pytest.approx(0.9), pytest.approx(0.1))
    assert asks.bent_line(x[:5], np.abs(x[:5] - 2)) == (2, pytest.approx(-1), pytest.approx(1))
    k, below, above = asks.bent_line(x, 0.5 * x)
    assert k == 2 and below == pytest.approx(0.5) and above == pytest.approx(0.5)
    rng = np.random.default_rng(3)
    y = y + 0.3 * rng.standard_normal(9)
    errors = {}
    # the same by the residual of each fit
    for k in range(2, 7):
        parts = np.column_stack([np.ones(9), np.clip(x - k, None, 0), np.clip(x - k, 0, None)])
        errors[k] = np.linalg.lstsq(parts, y)[1].item()
    assert asks.bent_line(x, y)[0] == min(errors, key=errors.get)
    several = np.stack([y, 0.5 * x, np.abs(x - 4)])  # many lines at once are each as alone
    together = zip(*asks.bent_line(x, several), strict=True)
    for one, alone in zip(together, map(asks.bent_line, [x] * 3, several), strict=True):
        assert one == pytest.approx(alone)
    with pytest.raises(BadInput, match="five batch sizes"):
        asks.bent_line(x[:4], y[:4])


def test_exponents_of_a_square_root_and_of_one_that_saturates(monkeypatch):
    monkeypatch.setattr(rate_map, "DRAWS", 200)
    sizes = tuple(2**k for k in range(9))
    root = asks.rate_exponents(made_up(sizes[2:], noise=0.1))  # optima well inside the rates
    assert root.straight.mean == pytest.approx(0.5, abs=0.03) and root.straight.low < 0.5 < root.straight.high
    assert not root.bends
    flat = asks.rate_exponents(made_up(sizes, noise=0.02, peak=lambda b: 0.0005 * min(b, 16) ** 0.75))
    assert flat.bends and flat.bend == 16
    assert flat.below.mean == pytest.approx(0.75, abs=0.03) and flat.above.mean == pytest.approx(0, abs=0.03)
    assert flat.change.mean == pytest.approx(flat.below.mean - flat.above.mean)


def test_rules_on_the_map():
    runs = made_up(noise=0, peak=lambda b: 0.001)
    found = asks.rules_on_map(runs).set_index(["batch_size", "rule"])
    assert found.loc[(64, "linear"), "rate"] == pytest.approx(0.002)
    assert found.loc[(64, "linear"), "loss"].mean == pytest.approx(1)  # one octave off
    assert found.loc[(64, "sqrt"), "loss"].mean == pytest.approx(0.5)  # half way between 0 and 1 octave
    assert found.loc[(64, "constant"), "loss"].mean == pytest.approx(0)
    assert found.loc[(256, "linear"), "loss"].mean == pytest.approx(9)
    assert math.isnan(found.loc[(1, "linear"), "loss"].mean)  # 1/32 of the base rate was not tried


def test_rules_pass_through_the_rate_and_batch_size_that_the_paper_gives_to_the_data_set():
    runs = made_up(noise=0, peak=lambda b: 0.001).assign(dataset="mnist")  # Section III-C: 0.1 at B = 256
    rate = asks.rules_on_map(runs).set_index(["batch_size", "rule"])["rate"]
    assert rate[256, "linear"] == rate[256, "constant"] == rate[64, "constant"] == 0.1
    assert rate[64, "linear"] == pytest.approx(0.025) and rate[64, "sqrt"] == pytest.approx(0.05)


def test_a_bend_is_one_only_where_the_interval_of_the_change_leaves_out_zero():
    def bends(low, high):
        i = Interval(0.0, 0.0, 0.0, 3)
        return asks.Exponents(i, i, i, Interval(0.5, low, high, 3), 16).bends

    assert bends(0.1, 0.9) and bends(-0.9, -0.1)
    assert not (bends(-0.1, 0.9) or bends(0.0, 0.9) or bends(-0.9, 0.0))


def test_between_two_rates_accuracy_is_a_line_in_the_logarithm_and_outside_there_is_none():
    test = np.array([[80.0, 90.0, 70.0], [60.0, 80.0, 90.0]])
    grid = rate_map.Grid(np.array([0.1, 0.4, 1.6]), test, test, np.eye(2))
    assert grid.at(0.2) == pytest.approx([85, 70]) and grid.at(0.8) == pytest.approx([80, 85])
    for rate, column in ((0.1, 0), (1.6, 2)):  # the ends are inside, whatever their last bits are
        for factor in (1 - 1e-10, 1, 1 + 1e-10):
            assert grid.at(rate * factor) == pytest.approx(test[:, column])
    for outside in (0.1 * (1 - 1e-6), 1.6 * (1 + 1e-6)):
        assert np.isnan(grid.at(outside)).tolist() == [True, True]


def test_unless_asked_otherwise_the_rate_is_chosen_by_accuracy():
    runs = made_up(sizes=(32,), seeds=2)
    grid = rate_map.map_by_batch_size(runs)[32]
    assert (
        grid.score.tolist() == runs.pivot(index="seed", columns="lr", values="held_out_acc").values.tolist()
    )


def test_each_draw_chooses_its_rates_and_places_its_bend(monkeypatch):
    """By hand, with a dozen draws of four seeds."""
    monkeypatch.setattr(rate_map, "DRAWS", 12)
    sizes = [2**k for k in range(8)]
    runs = made_up(sizes, 4, 3.0, lambda b: 0.0005 * b**0.3)
    seeds = sorted(set(runs["seed"]))
    of, fits = dict(list(runs.groupby("batch_size"))), []
    for drawn in (seeds, *draws_by_hand(seeds, 12)):
        y = np.array([octave_by_hand(of[b], drawn) for b in sizes])
        k, below, above = asks.bent_line(np.log2(sizes), y)
        fits.append((np.polyfit(np.log2(sizes), y, 1)[0], below, above, below - above, sizes[k]))
    found = asks.rate_exponents(runs)
    assert found.bend == fits[0][4] and len({fit[4] for fit in fits}) > 1
    for name, *values in zip(("straight", "below", "above", "change"), *fits, strict=False):
        i = getattr(found, name)
        assert (i.mean, i.low, i.high) == pytest.approx((values[0], *middle(values[1:])))


def test_what_a_rate_in_proportion_loses_is_that_of_each_draw(monkeypatch):
    """Against the best rate and the base one, on two data sets whose base batch sizes differ."""
    monkeypatch.setattr(rate_map, "DRAWS", 100)
    images = made_up(seeds=4).assign(dataset="mnist")
    images["lr"] *= 100  # MNIST's base rate, 0.1 at B = 256
    both = pd.concat([made_up(), images])

    def mean(rows, lr, seeds):
        test = dict(zip(zip(rows["lr"], rows["seed"], strict=True), rows["test_acc"], strict=True))
        return sum(test[lr, s] for s in seeds) / len(seeds)

    def by_hand(rows, rate, other, seeds):
        against = best_by_hand(rows, seeds)[1] if other is None else mean(rows, other, seeds)
        return against - mean(rows, rate, seeds)

    expected = {
        # at B = 1 of 1K the rule leads below the rates tried, and at 32 it leaves the rate alone
        "best": [("Synthetic 1K", b, 0.001 * b / 32, None) for b in (4, 16, 64)],
        "constant": [("Synthetic 1K", b, 0.001 * b / 32, 0.001) for b in (4, 16, 64)],
    }
    expected["best"] += [("MNIST", b, 0.1 * b / 256, None) for b in (32, 64)]
    expected["constant"] += [("MNIST", b, 0.1 * b / 256, 0.1) for b in (32, 64)]
    for against, cells in expected.items():
        found = asks.lost_in_proportion(both, against, 64)
        assert [e.about for e in found] == [f"{name}, B = {b}" for name, b, *_ in cells]
        for e, (name, b, rate, other) in zip(found, cells, strict=True):
            rows = both[(both["dataset"] == name.lower().replace(" ", "-")) & (both["batch_size"] == b)]
            rate = min(RATES if name != "MNIST" else [100 * r for r in RATES], key=lambda r: abs(r - rate))
            seeds = sorted(set(rows["seed"]))
            assert (e.n, e.unit) == (len(seeds), "points")
            assert e.value == pytest.approx(by_hand(rows, rate, other, seeds))
            drawn = [by_hand(rows, rate, other, d) for d in draws_by_hand(seeds, 100)]
            for level in (0.95, 0.5):
                ends = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
                assert e.interval(level) == pytest.approx(tuple(ends))
    one = both[both["dataset"] == "synthetic-1k"]
    loss = asks.rules_on_map(one).set_index(["batch_size", "rule"]).loc[(64, "linear"), "loss"]
    assert asks.lost_by(both, "linear", "synthetic-1k", 64) == loss
    assert loss.mean == pytest.approx(asks.lost_in_proportion(both, "best", 64)[2].value)
    [nothing] = asks.lost_in_proportion(both.iloc[:0], "best", 64)
    assert nothing.n == 0 and nothing.missing.startswith("python -m bbatch.studies map-")
    with pytest.raises(BadInput, match="rate to compare with"):
        asks.lost_in_proportion(both, "sqrt", 64)
