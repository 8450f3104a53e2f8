"""What remedies close, on tables whose accuracies are known: shares by hand, intervals by drawing again."""

import math

import numpy as np
import pandas as pd
import pytest

from bbatch.analysis import remedies
from bbatch.errors import BadInput
from bbatch.studies.remedies import PATIENCE, arm_trials, optimizers_of, remedies_of

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
            "held_out_acc": accuracy - 0.1,
            "test_acc": accuracy,
            "epochs_run": 20 if t.patience == PATIENCE else r.epochs,
            "cpu_seconds": float(r.epochs),
            "engine": "torch",
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
    lost = remedies.lost_by_optimizer(NAME, runs).set_index("optimizer")
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
    assert "LAMB" not in set(remedies.lost_by_optimizer(NAME, part)["optimizer"])


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
    treated = mean_at(runs, 0.008, batch_size=256, network="mlp-batch-norm")
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


def test_the_first_remedy_changes_the_rate_alone(few, closed):
    first = remedies.first_remedy(NAME, few)
    share = closed.loc[(1024, "warm-up"), "share"]
    assert first.about == "warm-up" and (first.value, first.low, first.high) == (
        share.mean,
        share.low,
        share.high,
    )
    assert first.n == share.n and first.how == "of the gap at B = 1024, seeds drawn again"
    assert closed.loc[(1024, "growing"), "share"].mean > first.value


def test_growth_beside_decay(runs):
    found = remedies.growth_and_decay(NAME, runs)
    assert found.difference.mean == pytest.approx(found.growth.mean - found.decay.mean)
    assert (found.growth_steps, found.decay_steps) == (2 * 125 + 32 + 8, 4 * 125)


def test_what_is_incomplete_is_left_out_and_the_plain_arm_is_needed(few):
    runs = few
    growing = runs[runs["batch_schedule"] == "growing"]
    assert list(remedies.by_arm(NAME, runs)) == ["plain at 32", "plain", "warm-up", "growing"]
    assert "growing" not in remedies.by_arm(NAME, runs.drop(growing.index[0]))
    plain = runs[(runs["network"] == "mlp") & (runs["optimizer"] == "adam") & (runs["batch_size"] == 32)]
    with pytest.raises(
        BadInput, match="remedies-synthetic-50k lacks 1 runs of its arm 'plain at 32'; train them"
    ):
        remedies.gaps_to_close(NAME, runs.drop(plain.index[0]))
