"""The sets that the paper never touched, against their sources, and the problems made of them."""

import json
import math
import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

from bbatch.choosing.answer import restored
from bbatch.config import DATASETS
from bbatch.data import Data
from bbatch.evaluation import __main__, example, other_sets, problems, tables
from bbatch.evaluation.problems import problem
from factories import record_of_four_epochs


@pytest.mark.parametrize("name, features, classes", [("digits", 64, 10), ("wine", 13, 3)])
def test_a_borrowed_set_is_split_four_to_one_with_seed_42(name, features, classes):
    whole, labels = problem(name).whole, getattr(datasets, f"load_{name}")().target
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=42)
    assert whole.train_y.tolist() == labels[train].tolist() and whole.test_y.tolist() == labels[test].tolist()
    assert len(test) == math.ceil(len(labels) / 5)
    x = whole.train_x.double()
    assert x.mean(0).abs().max() < 1e-5 and ((x.std(0, correction=0) - 1).abs() < 1e-4)[x.std(0) > 0].all()
    shapes = [tuple(p.shape) for p in problem(name).network().parameters()]
    assert shapes == [(64, features), (64,), (32, 64), (32,), (classes, 32), (classes,)]


def test_the_text_is_cut_into_windows_of_which_the_first_half_trains():
    from pydoc_data.topics import topics

    known = " abcdefghijklmnopqrstuvwxyz.,()_'"
    text = " ".join(" ".join(topics[name] for name in sorted(topics)).lower().split())
    text = "".join(c if c in known else "?" for c in text)
    whole = problem("text").whole

    def told(x, y):
        return [
            "".join(("?" + known)[c] for c in [*row, last])
            for row, last in zip(x.tolist(), y.tolist(), strict=True)
        ]

    windows = told(whole.train_x, whole.train_y) + told(whole.test_x, whole.test_y)
    assert len(whole.train_y) == len(whole.test_y) == 2000
    for k, window in enumerate(windows):  # evenly from the first to the last, to a character
        at = int(k * (len(text) - 17) / 3999)
        assert window in text[max(at - 1, 0) : at + 18], k
    assert windows[0] == text[:17] and windows[-1] == text[-17:]


def test_the_next_character_is_read_off_the_last_place_of_a_layer_of_two_heads():
    net, x = problem("text").network().eval(), problem("text").whole.train_x[:3]
    layer = net.layer
    assert (layer.self_attn.num_heads, layer.self_attn.embed_dim) == (2, 32)
    assert (layer.linear1.out_features, layer.dropout.p, net.out.out_features) == (64, 0.1, 34)
    places = torch.stack([net.places(torch.tensor(k)) for k in range(16)])
    h = layer(net.characters(x) + places)
    torch.testing.assert_close(net(x), h[:, 15] @ net.out.weight.T + net.out.bias)


def test_the_regression_is_friedmans_with_noise_of_one():
    whole = problem("friedman").whole
    u = (torch.cat([whole.train_x, whole.test_x]).double().numpy() + 1) / 2  # uniform in 0 to 1
    assert u.shape == (2500, 10) and len(whole.train_y) == 2000
    assert 0 <= u.min() < 0.001 and 0.999 < u.max() <= 1
    f = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2 + 10 * u[:, 3] + 5 * u[:, 4]
    y = torch.cat([whole.train_y, whole.test_y]).double().numpy()[:, 0]
    assert y[:2000].mean() == pytest.approx(0, abs=1e-5) and y[:2000].std() == pytest.approx(1, abs=1e-5)
    slope, start = np.polyfit(f, y, 1)
    assert np.std(y - slope * f - start) / slope == pytest.approx(1, abs=0.05)


def test_the_share_of_the_variance_that_is_explained():
    """An error of 1 in one of four, of a sum of squares of 4 + 1 + 1 + 4."""
    outputs, targets = torch.tensor([1.0, 2.0, 3.0, 5.0]), torch.tensor([1.0, 2.0, 4.0, 5.0])
    assert other_sets.explained(outputs, targets) == pytest.approx(90)


def test_a_problem_follows_the_protocol_of_its_set():
    assert problem("friedman").batch_sizes == problem("text").batch_sizes == (8, 16, 32, 64, 128, 256, 512)
    assert problem("wine").batch_sizes == (1, 8, 16, 32, 64, 128)  # of 142 samples
    assert len(problem("synthetic-1k").whole.train_y) == 800  # the whole of it
    synthetic, mnist = DATASETS["synthetic-1k"].protocol, DATASETS["mnist"].protocol
    assert problems.protocol("wine") == problems.protocol("synthetic-1k") == synthetic
    assert problems.protocol("mnist-512") == problems.protocol("mnist") == mnist
    assert problems.protocol("text").epochs == 10 and problems.protocol("text").optimizer == "adam"
    assert problems.base_rate("wine") == synthetic.base_lr * 32 / synthetic.base_batch
    assert problems.base_rate("cifar10-512") == pytest.approx(
        DATASETS["cifar10"].protocol.base_lr * 32 / DATASETS["cifar10"].protocol.base_batch
    )


def test_a_part_of_the_images_is_drawn_with_seed_42(monkeypatch):
    monkeypatch.setattr(problems, "IMAGES", 3)
    x, y = torch.arange(20.0)[:, None], torch.arange(20)
    part = problems._part(Data("made", "here", "digest", x[:12], y[:12], x[12:], y[12:]))
    generator = torch.Generator().manual_seed(42)
    train, test = torch.randperm(12, generator=generator)[:3], torch.randperm(8, generator=generator)[:3] + 12
    assert part.train_y.tolist() == part.train_x[:, 0].tolist() == train.tolist()
    assert part.test_y.tolist() == part.test_x[:, 0].tolist() == test.tolist()


def test_a_record_becomes_a_row():
    r = record_of_four_epochs(lr_rule="constant") | {}
    whole = record_of_four_epochs()
    whole["run"]["epochs"] = DATASETS["synthetic-1k"].protocol.epochs
    more = {"cpu_seconds": [0.5, 0.25, 0.25, 1.0]}
    observed = whole["observed"] | more
    found = tables.recorded({"x": whole | {"id": "x", "observed": observed}, "y": r | {"id": "y"}})
    [row] = found.to_dict("records")  # four epochs are no full protocol
    assert row["curve"] == [75.0, 80.0, 80.5, 85.0] and row["test_acc"] == 85.0
    assert (row["seconds"], row["cpu_seconds"], row["diverged"]) == (8.0, 2.0, False)
    assert (row["problem"], row["seed"], row["batch_size"], row["lr"]) == ("synthetic-1k", 42, 32, 0.001)


def cells(*rows):
    frame = pd.DataFrame([dict.fromkeys(tables.RUNS, 0) | row for row in rows])
    return frame[tables.RUNS]


def test_runs_of_the_store_come_first_and_each_cell_once(monkeypatch):
    stored = cells({"problem": "a", "lr": 0.1, "test_acc": 1}, {"problem": "a", "lr": 0.1, "test_acc": 2})
    made = cells({"problem": "a", "lr": 0.1, "test_acc": 3}, {"problem": "b", "lr": 0.1, "test_acc": 4})
    monkeypatch.setattr(tables, "recorded", lambda: stored)
    monkeypatch.setattr(tables, "table", lambda name, columns: made)
    found = tables.runs()
    assert found["test_acc"].tolist() == [1, 4] and found.index.tolist() == [0, 1]


def test_rows_are_added_below():
    old, new = pd.DataFrame({"a": [1, 2]}), [{"a": 3}]
    joined = tables._with(old, new)
    assert joined["a"].tolist() == [1, 2, 3] and joined.index.tolist() == [0, 1, 2]
    assert tables._with(old.iloc[:0], new)["a"].tolist() == [3] and tables._with(old, []).equals(old)


def test_the_usual_problems_are_all_but_the_two_in_full():
    assert set(problems.PROBLEMS) - set(tables.USUAL) == {"mnist", "cifar10"}


def test_the_command_evaluates_or_times_steps(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(tables, "evaluate", lambda names, seeds: asked.append(("evaluate", names, seeds)))
    monkeypatch.setattr(tables, "time_steps", lambda names: asked.append(("steps", names)))
    assert __main__.main(["wine", "--seeds", "3"]) == __main__.main(["wine", "--steps"]) == 0
    assert __main__.main([]) == 0
    assert asked == [("evaluate", ["wine"], 3), ("steps", ["wine"]), ("evaluate", tables.USUAL, tables.SEEDS)]
    with pytest.raises(SystemExit):
        __main__.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m bbatch.evaluation ")


def test_the_example_is_recorded_as_it_is_found(tmp_path, monkeypatch):
    answer = example.example()
    monkeypatch.setattr("bbatch.records.store.FROZEN", tmp_path / "results")
    monkeypatch.setattr("bbatch.choosing.recommend.recommend", lambda **asked: answer)
    for _ in range(2):  # the second finds the folder there
        monkeypatch.delitem(sys.modules, "bbatch.evaluation.example", raising=False)
        runpy.run_module("bbatch.evaluation.example", run_name="__main__")
    written = json.loads((tmp_path / "results" / "selection" / "example.json").read_text())
    assert json.dumps(restored(written).to_dict()) == json.dumps(answer.to_dict())


def test_the_usual_number_of_seeds_is_that_of_most_problems():
    seeds = tables.table("choices", ["problem", "seed"]).groupby("problem")["seed"].nunique()
    assert list(seeds.mode()) == [tables.SEEDS] == [seeds.max()]
