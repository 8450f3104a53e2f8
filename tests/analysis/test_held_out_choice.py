"""Choice on held-out data, on counts written by hand and on one small network trained for real."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bbatch import data
from bbatch.analysis import held_out_choice
from bbatch.config import DATASETS
from bbatch.studies import trial
from factories import tiny


def table(counts):
    """{(batch size, seed): (held-out right of 50, test right of 40)}"""
    return pd.DataFrame(
        [["synthetic-1k", b, seed, 200, 50, h, 40, t] for (b, seed), (h, t) in counts.items()],
        columns=held_out_choice.COLUMNS,
    )


def test_choices_by_hand():
    rows = table(
        {
            (8, 42): (40, 36),
            (32, 42): (45, 34),
            (512, 42): (45, 40),
            (8, 43): (50, 38),
            (32, 43): (40, 38),
            (512, 43): (41, 30),
        }
    )
    found = held_out_choice.choices(rows).set_index("seed")
    # a tie on held-out data goes to the smallest
    assert found.loc[42, ["by_test", "by_heldout"]].tolist() == [512, 32]
    assert found.loc[42, ["printed", "attained"]].tolist() == [100.0, 85.0]
    assert found.loc[43, ["by_test", "by_heldout"]].tolist() == [8, 8]
    assert held_out_choice.optimism(rows, "synthetic-1k").mean == pytest.approx(7.5)
    assert held_out_choice.choices(table({})).empty


def test_training_leaves_out_what_is_held_out(monkeypatch, tmp_path):
    source = tiny("synthetic-1k")
    monkeypatch.setattr(data, "load", lambda name, device="cpu": source)
    seen = {}

    def engine_for(run, given, device):
        from bbatch.engines.eager import TorchEngine

        seen["engine"] = TorchEngine.of(run, given, device)
        return seen["engine"]

    monkeypatch.setattr(trial, "engine_for", engine_for)
    monkeypatch.setitem(
        held_out_choice.DATASETS,
        "synthetic-1k",
        held_out_choice.DATASETS["synthetic-1k"].__class__(
            "Synthetic 1K", 600, 100, 20, 2, "mlp", held_out_choice.DATASETS["synthetic-1k"].protocol, 1
        ),
    )
    row = held_out_choice._one("synthetic-1k", 256, 42)
    used = set(seen["engine"].chosen.tolist())
    rest = [i for i in range(600) if i not in used]
    assert (row["n_train"], row["n_heldout"], row["n_test"]) == (480, 120, 100) and len(rest) == 120
    net = seen["engine"].net.eval()
    assert row["heldout_correct"] == int((net(source.train_x[rest]).argmax(1) == source.train_y[rest]).sum())
    assert row["test_correct"] == int((net(source.test_x).argmax(1) == source.test_y).sum())


def test_a_fifth_is_held_out(monkeypatch):
    asked = []

    def train_trial(trial):
        asked.append(trial)
        return dict.fromkeys(held_out_choice.COLUMNS, 0) | {"n_held_out": 160, "held_out_correct": 150}

    monkeypatch.setattr(held_out_choice, "train_trial", train_trial)
    row = held_out_choice._one("synthetic-1k", 32, 43)
    assert (row["n_heldout"], row["heldout_correct"]) == (160, 150) and list(row) == held_out_choice.COLUMNS
    [one] = asked
    assert (one.run.n_train, one.held_out) == (640, 160)  # of 800
    assert (one.run.batch_size, one.run.seed) == (32, 43)


SIZES = DATASETS["synthetic-1k"].protocol.batch_sizes


@pytest.fixture
def trained(monkeypatch):
    """What is asked to be trained: (data set, batch size, seed)."""
    calls = []

    def one(name, b, seed):
        calls.append((name, b, seed))
        counts = (640, 160, 100 + b % 7, 200, 150)
        return dict(zip(held_out_choice.COLUMNS, (name, b, seed, *counts), strict=True))

    monkeypatch.setattr(held_out_choice, "_one", one)
    return calls


def test_what_is_measured_is_not_measured_again(trained, tmp_path):
    path = tmp_path / "heldout.csv"
    for seeds in (1, 2):
        assert len(held_out_choice.measure(["synthetic-1k"], seeds, path, progress=False)) == 8
    assert trained == [("synthetic-1k", b, seed) for seed in (42, 43) for b in SIZES]
    table = held_out_choice.held_out_rows(path)
    assert list(table) == held_out_choice.COLUMNS
    assert table[["batch_size", "seed"]].values.tolist() == [[b, s] for b in sorted(SIZES) for s in (42, 43)]


def test_the_committed_table_lacks_nothing(trained, tmp_path):
    path = Path(shutil.copy(held_out_choice.FILE, tmp_path))
    assert held_out_choice.measure(path=path, progress=False) == []


def test_what_is_finished_stays_when_it_is_interrupted(trained, monkeypatch, tmp_path):
    path, one = tmp_path / "heldout.csv", held_out_choice._one

    def stop(name, b, seed):
        if (b, seed) == (SIZES[2], 43):
            raise KeyboardInterrupt
        return one(name, b, seed)

    monkeypatch.setattr(held_out_choice, "_one", stop)
    with pytest.raises(KeyboardInterrupt):
        held_out_choice.measure(["synthetic-1k"], 2, path, progress=False)
    assert held_out_choice.held_out_rows(path)["seed"].tolist() == [42] * 8
