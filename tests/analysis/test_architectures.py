"""Maps of networks among the runs of several studies, their best rates and B*, on a table made by hand."""

import itertools
import math

import pandas as pd
import pytest

from bbatch.analysis import architectures
from bbatch.errors import BadInput

NAME = "synthetic-50k"
SIZES = (32, 256, 1024, 4096, 8192)
RATES = [0.001 * 2**k for k in range(8)]
BEST = {"mlp": (2, 3, 4, 5, 6), "mlp-batch-norm": (1, 2, 3, 4, 5)}  # octave of the best rate by batch size
LOST = {"mlp": (0, 0, 0.1, 0.4, 1.5), "mlp-batch-norm": (0, 0, 0.2, 1.2, 3.0)}


@pytest.fixture
def runs():
    rows = []
    for network, (k, b), lr, seed in itertools.product(BEST, enumerate(SIZES), RATES, range(42, 52)):
        away = abs(math.log2(lr / RATES[BEST[network][k]]))
        accuracy = 98 - LOST[network][k] - 0.3 * away + 0.01 * math.sin(seed * (k + 1))
        rows.append({"network": network, "batch_size": b, "lr": lr, "seed": seed, "test_acc": accuracy})
    table = pd.DataFrame(rows).assign(dataset=NAME, optimizer="adam", epochs=4, warmup_epochs=0)
    table = table.assign(batch_schedule="fixed", lr_schedule="fixed", patience=pd.NA, held_out_loss=0.1)
    table["averages"] = "running"
    table["held_out_acc"] = table["test_acc"]
    others = [table.assign(**{c: v}, held_out_acc=100.0, test_acc=0.0) for c, v in (
        ("optimizer", "sgd"), ("epochs", 125), ("warmup_epochs", 1), ("batch_schedule", "growing"),
        ("lr_schedule", "decaying"), ("patience", 10), ("averages", "precise"),
    )]  # fmt: skip
    return pd.concat([table, table.sample(50, random_state=0), *others]).sample(frac=1, random_state=0)


def test_only_plain_runs_of_the_network_on_the_seeds_in_common(runs):
    found = architectures.map_of(NAME, runs, "mlp-batch-norm")
    assert len(found) == len(SIZES) * len(RATES) * 5 and set(found["seed"]) == set(range(42, 47))
    assert set(found["network"]) == {"mlp-batch-norm"} and found["test_acc"].min() > 0
    with pytest.raises(BadInput, match="no runs of network 'small-vit' on synthetic-50k"):
        architectures.map_of(NAME, runs, "small-vit")


def test_where_batch_sizes_have_unlike_seeds_only_those_in_common_count(runs):
    without = runs[(runs["batch_size"] != 256) | runs["seed"].isin((43, 45, 46, 50))]
    found = architectures.map_of(NAME, without, "mlp")
    assert set(found["seed"]) == {43, 45, 46} and set(found["batch_size"]) == set(SIZES)
    first = runs.iloc[::-1].assign(test_acc=50.0)  # the same runs, on another machine
    assert set(architectures.map_of(NAME, pd.concat([first, runs]), "mlp")["test_acc"]) == {50.0}


def test_best_rates_and_differences_are_those_that_were_put_in(runs):
    found = architectures.by_network(NAME, runs, BEST)
    assert found.index.tolist() == list(range(2 * len(SIZES)))  # of both networks
    found = found.set_index(["network", "batch_size"])
    for network, (k, b) in itertools.product(BEST, enumerate(SIZES)):
        row = found.loc[(network, b)]
        assert row["optimum"].mean == pytest.approx(RATES[BEST[network][k]], rel=0.02)
        assert row["difference"].mean == pytest.approx(-LOST[network][k], abs=0.02)


def test_critical_batch_sizes(runs):
    found = architectures.critical_by_network(NAME, runs, BEST).set_index("network")
    assert found["critical"].tolist() == [8192, 4096] and (found["share"] == 1).all()
    none = architectures.critical_by_network(NAME, runs, ["mlp"], drop=2.0).iloc[0]
    assert pd.isna(none["critical"]) and none["share"] == 1
