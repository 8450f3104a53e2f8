"""What remedies close, on tables whose accuracies are known: shares by hand, intervals by drawing again."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch.analysis import arms_compared, rate_map, remedies
from bbatch.analysis.rate_map import Grid
from bbatch.errors import BadInput
from bbatch.statistics import Interval
from bbatch.studies.remedies import PATIENCE, Arm, arm_trials, optimizers_of, remedies_of

NAME = "synthetic-50k"
# Best rate and test accuracy there of each arm by batch size; both fall off by the octave.
PEAKS = {
    "plain at 32": {32: (0.002, 98.0)},
    "plain": {256: (0.008, 97.8), 1024: (0.016, 97.0)},
    "warm-up": {256: (0.008, 98.0), 1024: (0.016, 97.5)},
    "growing": {256: (0.004, 98.5), 1024: (0.004, 98.2)},
    "equal steps": {256: (0.002, 98.0), 1024: (0.002, 98.0)},
    "early stopping": {256: (0.002, 98.0), 1024: (0.004, 98.1)},
    "SGD, rate decays": {256: (0.16, 97.0)},
    "SGD, batch grows": {4096: (0.16, 97.1)},
    "batch norm": {256: (0.008, 98.4), 1024: (0.016, 97.6)},
    "ghost batch norm": {256: (0.008, 98.4), 1024: (0.016, 97.7)},
    "batch norm, averages anew": {256: (0.008, 98.5), 1024: (0.016, 97.8)},
    "ghost batch norm, averages anew": {256: (0.008, 98.5), 1024: (0.016, 97.8)},
}


def rows_of(name, arm):
    for t in arm_trials(NAME, arm):
        r = t.run
        best, top = PEAKS.get(name, {}).get(r.batch_size, (0.004, 97.5))
        away = abs(math.log2(r.base_lr / best))
        scatter = 0.1 * math.sin(
            7 * r.seed + 13 * r.batch_size + len(name)
        )  # as good as drawn, and the same again
        accuracy = top - 0.5 * away + scatter * (1 + away)
        yield vars(r) | {
            "network": r.network_name,
            "lr": r.lr,
            "patience": t.patience,
            "averages": t.averages,
            "held_out_acc": accuracy - 0.1,
            "test_acc": accuracy,
            "epochs_run": 20 if t.patience == PATIENCE else r.epochs,
            "cpu_seconds": float(r.epochs),
            "engine": "torch",
            "device": "cpu",
        }


def table_of(*names):
    arms = remedies_of(NAME) | optimizers_of(NAME)
    table = pd.DataFrame([row for name in names or arms for row in rows_of(name, arms[name])])
    return table.astype({"patience": "Int64"}).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def runs():
    return table_of()


@pytest.fixture(scope="module")
def few():
    """The plain arms and two others: what is asked of all of them takes long."""
    return table_of("plain at 32", "plain", "warm-up", "growing")


@pytest.fixture(scope="module")
def closed(runs):
    return remedies.gap_closed(NAME, runs).set_index(["batch_size", "remedy"])


def mean_at(runs, rate, **cell):
    """Mean test accuracy of the plain Adam runs at a batch size and rate."""
    cell = {
        "optimizer": "adam",
        "network": "mlp",
        "batch_schedule": "fixed",
        "warmup_epochs": 0,
        "epochs": 4,
    } | cell
    chosen = runs[runs["patience"].isna() & (runs["lr"] == rate)]
    for column, value in cell.items():
        chosen = chosen[chosen[column] == value]
    return chosen.set_index("seed").sort_index()["test_acc"]


def test_the_gap_is_at_one_rate(runs):
    row = remedies.gaps_to_close(NAME, runs).set_index("batch_size").loc[1024]
    assert row["rate"] == 0.002 and row["gap"].n == 10
    base, kept = (mean_at(runs, 0.002, batch_size=b).mean() for b in (32, 1024))
    assert (row["at_base"].mean, row["kept"].mean) == pytest.approx((base, kept))
    assert row["gap"].mean == pytest.approx(base - kept)


def test_shares_and_their_intervals_by_drawing_again(runs, closed):
    """Growing batches against plain ones; each draw chooses all three rates anew, in plain loops."""
    rates = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
    base = {r: mean_at(runs, r, batch_size=32).to_numpy() for r in rates[:5]}
    plain = {r: mean_at(runs, r, batch_size=1024).to_numpy() for r in rates}
    grown = {r: mean_at(runs, r, batch_size=1024, batch_schedule="growing").to_numpy() for r in rates[1:]}
    drawn = []
    for counts in [np.ones(10), *np.random.default_rng(0).multinomial(10, np.full(10, 0.1), 2000)]:
        w = counts / counts.sum()
        # held-out accuracy is test accuracy less a constant
        best = [max(cells, key=lambda r: w @ cells[r]) for cells in (base, grown)]  # noqa: B023
        of_base, kept = w @ base[best[0]], w @ plain[best[0]]
        drawn.append((w @ grown[best[1]] - kept) / (of_base - kept))
    share = closed.loc[(1024, "growing"), "share"]
    assert share.mean == pytest.approx(drawn[0])
    assert (share.low, share.high) == pytest.approx(tuple(np.quantile(drawn[1:], (0.025, 0.975))))
    gain = closed.loc[(1024, "growing"), "over_tuned"]
    assert (
        gain.mean == pytest.approx(grown[0.004].mean() - plain[0.016].mean())
        and gain.low < gain.mean < gain.high
    )
    assert closed.loc[(1024, "tuned rate"), "over_tuned"] == closed.loc[(256, "tuned rate"), "over_tuned"]
    assert closed.loc[(1024, "growing"), "left"].mean < 0 < closed.loc[(1024, "tuned rate"), "left"].mean


def test_an_optimizer_loses_what_lies_between_its_own_best_rates(runs):
    """Of two optimizers, the other rows left out; the mean at each rate by a plain loop."""
    lost = arms_compared.lost_by_optimizer(NAME, runs).set_index("optimizer")
    assert list(lost.index) == ["plain", "SGD", "AdamW", "LAMB", "Muon"]
    for name, how in (("plain", {}), ("Muon", {"optimizer": "muon"})):
        best = []
        for b in (32, 1024):
            rates = sorted(set(runs.query(f"optimizer == '{how.get('optimizer', 'adam')}'")["lr"]))
            cells = [mean_at(runs, rate, batch_size=b, **how)[: 5 if how else 10] for rate in rates]
            best.append(max(cell.mean() for cell in cells if len(cell)))
        row = lost.loc[name]
        assert [row["at_base"].mean, row["at_large"].mean] == pytest.approx(best)
        assert row["lost"].mean == pytest.approx(best[0] - best[1]) and row["lost"].n == (5 if how else 10)
        assert row["lost"].low <= row["lost"].mean <= row["lost"].high
    part = runs[(runs["optimizer"] != "lamb") | (runs["batch_size"] != 32)]
    assert "LAMB" not in set(arms_compared.lost_by_optimizer(NAME, part)["optimizer"])


def test_rules_start_at_the_best_rate_of_32(runs, closed):
    kept = mean_at(runs, 0.002, batch_size=1024).mean()
    gap = mean_at(runs, 0.002, batch_size=32).mean() - kept
    linear = mean_at(runs, 0.064, batch_size=1024).mean()
    assert closed.loc[(1024, "linear rule"), "share"].mean == pytest.approx((linear - kept) / gap)
    root = (mean_at(runs, 0.008, batch_size=1024).mean() + mean_at(runs, 0.016, batch_size=1024).mean()) / 2
    assert closed.loc[(1024, "square-root rule"), "share"].mean == pytest.approx((root - kept) / gap)
    assert math.isnan(closed.loc[(1024, "linear rule"), "rate"])


def test_five_seeds_are_compared_with_the_same_five(runs, closed):
    found = closed.loc[(256, "batch norm")]
    first = runs["seed"] < 47
    few = runs[first | (runs["network"] != "mlp") | (runs["optimizer"] != "adam")]
    kept, base = (mean_at(few, 0.002, batch_size=b).mean() for b in (256, 32))
    treated = mean_at(runs, 0.008, batch_size=256, network="mlp-batch-norm", averages="running")
    assert found["share"].n == 5 == len(treated) and found["rate"] == 0.008
    assert found["share"].mean == pytest.approx((treated.mean() - kept) / (base - kept))


def test_costs_are_those_at_the_chosen_rate(closed):
    assert closed.loc[(1024, "tuned rate"), ["epochs", "steps"]].tolist() == [4, 4 * 32]
    assert closed.loc[(1024, "equal steps"), ["epochs", "steps"]].tolist() == [125, 125 * 32]
    assert closed.loc[(1024, "early stopping"), ["epochs", "steps"]].tolist() == [20, 20 * 32]
    growing = 2 * 500 + 125 + 32  # batches of 64, 64, 256, 1024
    assert closed.loc[(1024, "growing"), ["epochs", "steps"]].tolist() == [4, growing]
    assert closed.loc[(1024, "equal steps"), "cpu_seconds"] == 125
    assert closed.loc[(256, "growing"), "at_edge"] == False  # noqa: E712 (a NumPy bool)


def test_a_share_of_no_gap_is_missing(few):
    flat = few.assign(test_acc=95 + 0.1 * np.sin(few["seed"]), held_out_acc=95.0)
    closed = remedies.gap_closed(NAME, flat)
    assert all(math.isnan(i.mean) for i in closed["share"]) and all(i.mean == 0 for i in closed["left"])
    assert closed["over_tuned"].map(lambda i: i.mean).dropna().eq(0).all()


def test_growth_beside_decay(runs):
    found = arms_compared.growth_and_decay(NAME, runs)
    assert found.difference.mean == pytest.approx(found.growth.mean - found.decay.mean)
    assert (found.growth_steps, found.decay_steps) == (2 * 125 + 32 + 8, 4 * 125)
    assert not found.at_edge  # 0.16 is the middle of growth's rates
    low = runs["base_lr"].where(runs["batch_size"] == 4096)
    higher = runs.assign(held_out_acc=runs["held_out_acc"].mask(low == low.max(), 99.9))
    assert arms_compared.growth_and_decay(NAME, higher).at_edge


# The parts, on grids of two seeds and tables of a few rows.


def test_what_is_incomplete_is_left_out_and_the_plain_arms_are_needed(monkeypatch):
    """A study of four arms of a few trainings, two of them twice in the tables."""
    own = {"octaves": (0, 1), "seeds": 2}
    arms = {"plain at 32": Arm((32,), **own), "plain": Arm((256,), **own)}
    arms["growing"] = Arm((256,), {"batch_schedule": "growing"}, **own)
    others = {"SGD": Arm((256,), {"optimizer": "sgd"}, **own)}
    monkeypatch.setattr(remedies, "remedies_of", lambda dataset: arms)
    monkeypatch.setattr(remedies, "optimizers_of", lambda dataset: others)
    rows = [row | {"arm": name} for name, arm in (arms | others).items() for row in rows_of(name, arm)]
    table = pd.DataFrame(rows).astype({"patience": "Int64"})
    found = remedies.by_arm(NAME, pd.concat([table, table.head(2)]))
    assert list(found) == ["plain at 32", "plain", "growing", "SGD"]
    for name, part in found.items():
        assert set(part["arm"]) == {name} and len(part) == 4

    def without(name, count):
        return table.drop(table.index[table["arm"] == name][-count:])

    assert list(remedies.by_arm(NAME, without("growing", 1))) == ["plain at 32", "plain", "SGD"]
    for name, count in (("plain", 1), ("plain at 32", 3)):
        with pytest.raises(BadInput, match=f"{NAME} lacks {count} runs of its arm '{name}'; train them"):
            remedies.by_arm(NAME, without(name, count))
    with pytest.raises(BadInput, match="study of remedies"):
        remedies.by_arm("no such", table)


def test_weights_are_all_alike_and_then_drawn():
    weights = rate_map.weights_of(4)
    assert weights.shape == (2001, 4) and weights[0].tolist() == [0.25] * 4
    assert weights.sum(1) == pytest.approx(np.ones(2001)) and set(weights[1:].flat) == {0, 0.25, 0.5, 0.75, 1}


def test_few_seeds_drawn_again_cover_too_seldom():
    """Of two values a, b the interval is from the lower to the higher: it holds 0 where signs differ, in half
    of the cases. Of many it holds it about as often as it says."""
    assert remedies.coverage(2) == pytest.approx(0.5, abs=0.04)
    assert remedies.coverage(2) < remedies.coverage(3) < remedies.coverage(10) < 0.95
    assert remedies.coverage(100, 500) == pytest.approx(0.95, abs=0.04)


def untreated(batch_size):
    """Two seeds, drawn together, then each alone. At 32 the best rate is 0.2, of the second seed alone 0.1;
    at the larger batch the best is 0.8."""
    base = np.array([[90.0, 95], [96, 93]])
    plain = np.array([[80.0, 84, 88, 92], [70, 72, 74, 76]])
    weights = np.array([[0.5, 0.5], [1, 0], [0, 1]])
    return remedies.Untreated(
        batch_size,
        Grid(np.array([0.1, 0.2]), base, base, weights),
        Grid(np.array([0.1, 0.2, 0.4, 0.8]), plain, plain, weights),
    )


def test_a_rule_multiplies_the_best_rate_of_each_draw():
    u = untreated(4 * 32)
    assert u.base.accuracy.tolist() == [94, 95, 96]
    assert u.by_rule("constant") == pytest.approx([78, 84, 70])  # at 0.2, 0.2 and 0.1
    assert u.by_rule("sqrt") == pytest.approx([81, 88, 72])  # twice that
    assert u.by_rule("linear") == pytest.approx([84, 92, 74])
    beyond = untreated(8 * 32).by_rule("linear")  # 1.6 was not tried
    assert np.isnan(beyond[:2]).all() and beyond[2] == pytest.approx(76)


def test_what_a_remedy_has_over_the_untreated_in_each_draw():
    """Gaps 16, 11 and 26; quantiles of two draws lie 2.5 % from each."""
    row = remedies._compared(untreated(4 * 32), "it", np.array([80.0, 90, 73]))
    wanted = {
        "accuracy": (80, 73 + 0.025 * 17, 90 - 0.025 * 17),
        "left": (14, 5 + 0.025 * 18, 23 - 0.025 * 18),
        "share": (2 / 16, 3 / 26 + 0.025 * (6 / 11 - 3 / 26), 6 / 11 - 0.025 * (6 / 11 - 3 / 26)),
        "over_tuned": (-4, -3 + 0.025, -2 - 0.025),
    }
    assert list(row) == ["remedy", "batch_size", *wanted] and (row["remedy"], row["batch_size"]) == (
        "it",
        128,
    )
    for name, (value, low, high) in wanted.items():
        i = row[name]
        assert (i.mean, i.low, i.high, i.n) == pytest.approx((value, low, high, 2))
    unsure = untreated(4 * 32)
    unsure.base.test_acc[0] -= 12  # the gap of the first seed alone is −1
    share = remedies._compared(unsure, "it", np.array([80.0, 90, 73]))["share"]
    assert math.isnan(share.mean) and share.n == 2


@pytest.mark.parametrize("least, told", [(0.5, True), (0.0, False)])
@pytest.mark.parametrize("gained", [0.0, 2.0])
def test_a_share_is_told_where_the_interval_of_the_gap_lies_above_0(least, told, gained):
    """Gaps of 6 and of `least`, which is the lower end where a tenth of the draws have it; one draw has none,
    hence no share, or an infinite one."""
    base = np.array([[90.0], [84 + least], [84]])
    plain = np.full((3, 1), 84.0)
    weights = np.array([[0.5, 0.5, 0], *[[1, 0, 0]] * 89, *[[0, 1, 0]] * 10, [0, 0, 1]])
    rate = np.array([0.1])
    u = remedies.Untreated(256, *(Grid(rate, of, of, weights) for of in (base, plain)))
    share = remedies._compared(u, "it", np.full(len(weights), 84.0 + gained))["share"]
    assert share.mean == pytest.approx(gained / (3 + least / 2)) if told else math.isnan(share.mean)


def test_an_interval_is_that_of_the_draws_that_have_a_value():
    found = rate_map.interval_of(np.array([1.5, math.nan, 1, 2]), 7)
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((1.5, 1.025, 1.975, 7))
    none = rate_map.interval_of(np.array([math.nan, 1, 2]), 7)
    assert all(map(math.isnan, (none.mean, none.low, none.high))) and none.n == 7


def arm(tops, seeds=3, engine="torch"):
    """Runs of {batch size: {rate: accuracy}}; seeds differ by 0, 1 and 5 points, the same everywhere, and
    train 2, 4 and 3 of six epochs of 100 samples, in 10, 20 and 60 seconds times the rate."""
    rows = [
        (b, rate, 42 + k, accuracy + (0, 1, 5)[k], (2, 4, 3)[k], rate * (10, 20, 60)[k])
        for b, tops_at in tops.items()
        for rate, accuracy in tops_at.items()
        for k in range(seeds)
    ]
    names = ["batch_size", "lr", "seed", "test_acc", "epochs_run", "cpu_seconds"]
    table = pd.DataFrame(rows, columns=names).assign(
        dataset=NAME, engine=engine, device="cpu", precision="fp32"
    )
    table = table.assign(held_out_acc=table["test_acc"], n_train=100, epochs=6, batch_schedule="fixed")
    return table.sample(frac=1, random_state=0)


ARMS = {
    "plain at 32": arm({32: {0.1: 90, 0.2: 80}}),
    "plain": arm({256: {0.1: 84, 0.2: 86, 0.4: 85}, 1024: {0.1: 80, 0.2: 81, 0.4: 82}}),
    "warm-up": arm({1024: {0.1: 85, 0.2: 83, 0.4: 81}}),
    "SGD, rate decays": arm({256: {0.1: 70, 0.2: 71}}, seeds=2),
    "SGD, batch grows": arm({4096: {0.1: 69, 0.2: 68}}, seeds=2).assign(batch_schedule="growing"),
    "Muon at 32": arm({32: {0.1: 92, 0.2: 91}}),
    "Muon": arm({256: {0.1: 50}, 1024: {0.1: 88, 0.2: 89}}, seeds=2),
    "LAMB": arm({1024: {0.1: 88}}),
}


@pytest.fixture
def by_arm(monkeypatch):
    monkeypatch.setattr(remedies, "by_arm", lambda dataset, runs: ARMS)


def test_gaps_of_a_few_runs(by_arm):
    found = remedies.gaps_to_close(NAME, None)
    values = [[row.batch_size, row.rate, *(i.mean for i in row[3:])] for row in found.itertuples()]
    assert values == [[256, 0.1, 92, 86, pytest.approx(6)], [1024, 0.1, 92, 82, pytest.approx(10)]]
    assert [end for i in found["gap"] for end in (i.low, i.high)] == pytest.approx([6, 6, 10, 10])


def test_shares_and_costs_of_a_few_runs(by_arm):
    """The seeds' own points are the same everywhere, and cancel in each draw."""
    found = remedies.gap_closed(NAME, None)
    assert list(zip(found["batch_size"], found["remedy"], strict=True)) == [
        *((256, name) for name in ("square-root rule", "linear rule", "tuned rate", "Muon")),
        *(
            (1024, name)
            for name in ("square-root rule", "linear rule", "tuned rate", "warm-up", "Muon", "LAMB")
        ),
    ]
    rows = found.set_index(["batch_size", "remedy"])
    share = rows["share"].map(lambda i: i.mean)
    # 0.1 · √8 lies log2(√2) = half of the way from 0.2 to 0.4: 85.5 of 84 and 90
    assert share[256, "square-root rule"] == pytest.approx(1.5 / 6)
    assert math.isnan(share[256, "linear rule"])  # at 0.8
    assert [share[256, "tuned rate"], share[1024, "tuned rate"]] == pytest.approx([2 / 6, 2 / 10])
    assert share[1024, "warm-up"] == pytest.approx(5 / 10)
    assert share[1024, "Muon"] == pytest.approx(9 / 10)  # of its two seeds, as the plain ones
    assert rows.loc[(1024, "Muon"), "share"].n == 2 and rows.loc[(1024, "warm-up"), "share"].n == 3
    assert rows["rate"].tolist() == pytest.approx(
        [*[math.nan] * 2, 0.2, 0.1, *[math.nan] * 2, 0.4, 0.1, 0.2, 0.1], nan_ok=True
    )
    edges = [(256, "Muon"), (1024, "tuned rate"), (1024, "warm-up"), (1024, "Muon"), (1024, "LAMB")]
    assert rows.index[rows["at_edge"]].tolist() == edges
    costs = rows.loc[(256, "tuned rate"), ["epochs", "steps", "cpu_seconds", "engine", "precision"]]
    assert costs.tolist() == [3, 3, 6, "torch", "fp32"]  # one batch holds all 100 samples
    # the rules' costs are those of the lowest plain rate
    assert rows["cpu_seconds"].tolist() == pytest.approx([3, 3, 6, 1.5, 3, 3, 12, 3, 3, 3])


def test_the_first_remedy_of_a_few_runs(by_arm):
    """Muon and LAMB close more, but change more than the rate."""
    first = remedies.first_remedy(NAME, None)
    assert first.about == "warm-up" and (first.value, first.n) == (pytest.approx(0.5), 3)


def test_costs_are_means_over_the_runs_at_one_rate():
    cells = pd.concat(
        [
            arm({32: {0.1: 90, 0.2: 80}, 64: {0.1: 90}}),
            arm({32: {0.1: 90}}, 1, engine="compiled").assign(precision="bf16", epochs_run=7, cpu_seconds=3),
        ]
    )
    cells.loc[(cells["lr"] != 0.1) | (cells["batch_size"] != 32), ["epochs_run", "cpu_seconds"]] = 100
    # 2, 4, 3 and 7 epochs of four steps each: the last batch has four samples
    assert remedies.cost_of_run(cells, 32, 0.1) == {
        "epochs": 4,
        "steps": 16,
        "cpu_seconds": 3,
        "engine": "compiled, torch",
        "precision": "bf16, fp32",
    }
    on_a_gpu = remedies.cost_of_run(cells.assign(device="cuda"), 32, 0.1)
    assert np.isnan(on_a_gpu["cpu_seconds"]) and on_a_gpu["steps"] == 16, (
        "its host's time is no cost of a run"
    )


def test_each_optimizer_loses_from_its_own_best_rate_on_the_seeds_of_both(by_arm, monkeypatch):
    found = arms_compared.lost_by_optimizer(NAME, None)
    values = {row.optimizer: [i.mean for i in row[2:]] for row in found.itertuples()}
    assert values == {"plain": pytest.approx([92, 84, 8]), "Muon": pytest.approx([92.5, 89.5, 3])}
    assert [i.n for i in found["lost"]] == [3, 2]
    assert [end for i in found["lost"] for end in (i.low, i.high)] == pytest.approx([8, 8, 3, 3])
    monkeypatch.setattr(remedies, "by_arm", lambda dataset, runs: dict(list(ARMS.items())[:2]))
    assert arms_compared.lost_by_optimizer(NAME, None)["optimizer"].tolist() == ["plain"]


def test_growth_beside_decay_of_a_few_runs(by_arm):
    """At the best rates; a step an epoch, as one batch holds all samples, of two epochs and of four."""
    found = arms_compared.growth_and_decay(NAME, None)
    assert (found.growth.mean, found.decay.mean, found.difference.mean) == pytest.approx((69.5, 71.5, -2))
    assert (found.difference.low, found.difference.high, found.difference.n) == pytest.approx((-2, -2, 2))
    assert (found.growth_steps, found.decay_steps) == (3, 3)


def test_rates_and_steps_are_those_of_all_seeds_and_not_of_a_draw(monkeypatch):
    """The first seed, which is drawn alone first, does best at the lower rate; both together, over all six
    epochs, at the higher."""
    higher = arm({b: {0.2: 80} for b in (32, 256, 1024, 4096)}, 2).assign(epochs_run=6)
    lower = higher.assign(lr=0.1, epochs_run=3)
    lower["test_acc"] += lower["seed"].map({42: 5, 43: -9})
    both = pd.concat([lower, higher])
    both["held_out_acc"] = both["test_acc"]
    arms = {"plain at 32": both[both["batch_size"] == 32], "plain": both[both["batch_size"] > 32]}
    arms |= {"SGD, rate decays": both[both["batch_size"] == 256]}
    arms |= {"SGD, batch grows": both[both["batch_size"] == 4096]}
    monkeypatch.setattr(remedies, "by_arm", lambda dataset, runs: arms)
    monkeypatch.setattr(rate_map, "weights_of", lambda seeds: np.array([[0.5, 0.5], [1, 0], [0, 1]]))
    assert remedies.gaps_to_close(NAME, None)["rate"].tolist() == [0.2, 0.2]
    closed = remedies.gap_closed(NAME, None).set_index("remedy")
    assert closed.loc["tuned rate", "rate"].tolist() == [0.2, 0.2]
    found = arms_compared.growth_and_decay(NAME, None)
    assert (found.growth_steps, found.decay_steps) == (6, 6)


def test_the_first_remedy_is_a_free_one_at_the_largest_batch(monkeypatch):
    shares = [
        (256, "warm-up", 0.9),
        (1024, "square-root rule", 0.3),
        (1024, "linear rule", math.nan),
        (1024, "warm-up", 0.2),
        (1024, "growing", 0.8),
    ]
    rows = [(b, name, Interval(x, x - 0.1, x + 0.2, 4)) for b, name, x in shares]
    table = pd.DataFrame(rows, columns=["batch_size", "remedy", "share"])
    monkeypatch.setattr(remedies, "gap_closed", lambda dataset, runs: table)
    first = remedies.first_remedy(NAME, None)
    assert (first.about, first.value, first.n) == ("square-root rule", 0.3, 4)
    assert first.how == "of the gap at B = 1024, seeds drawn again"
    assert (first.low, first.high) == pytest.approx((0.2, 0.5))


def test_what_one_remedy_gains_over_another_is_the_difference_of_what_both_gain(runs):
    of = {
        name: arms_compared.gained_by_seed(NAME, runs, name, 1024)
        for name in ("batch norm", "ghost batch norm")
    }
    found = arms_compared.gained_by_seed(NAME, runs, "ghost batch norm", 1024, over="batch norm")
    apart = of["ghost batch norm"] - of["batch norm"]
    assert found.to_dict() == pytest.approx(apart.to_dict()) and found.abs().max() > 0.01


def test_what_a_remedy_gains_by_seed_is_at_one_rate_for_all_seeds(runs):
    found = arms_compared.gained_by_seed(NAME, runs, "equal steps", 1024)
    here = runs[(runs["batch_size"] == 1024) & (runs["optimizer"] == "adam") & (runs["network"] == "mlp")]
    here = here[(here["batch_schedule"] == "fixed") & (here["warmup_epochs"] == 0) & here["patience"].isna()]
    longer = here[(here["epochs"] > 4) & (here["base_lr"] == 0.002)].set_index("seed")["test_acc"]
    plain = here[(here["epochs"] == 4) & (here["base_lr"] == 0.016)].set_index("seed")["test_acc"]
    assert list(found.index) == [42, 43, 44, 45, 46] and len(plain) == 10  # those of both
    assert list(found) == pytest.approx([longer[s] - plain[s] for s in found.index])
