"""Choice on held-out data, on counts written by hand and on one small network trained for real."""

import pandas as pd
import pytest

from bbatch import data
from bbatch.analysis import held_out_choice
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


def test_what_is_measured_is_not_measured_again(monkeypatch, tmp_path):
    calls = []

    def one(name, b, seed):
        calls.append((name, b, seed))
        return dict(
            zip(held_out_choice.COLUMNS, (name, b, seed, 640, 160, 100 + b % 7, 200, 150), strict=True)
        )

    monkeypatch.setattr(held_out_choice, "_one", one)
    path = tmp_path / "heldout.csv"
    assert len(held_out_choice.measure(["synthetic-1k"], 1, path, progress=False)) == 8
    assert (
        len(held_out_choice.measure(["synthetic-1k"], 2, path, progress=False)) == 8 and len(set(calls)) == 16
    )
    assert len(held_out_choice.held_out_rows(path)) == 16
