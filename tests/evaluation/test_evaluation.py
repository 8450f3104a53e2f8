"""The evaluation of the ways to choose: problems, rivals, and regrets by brute force."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from bbatch import data
from bbatch.choosing.task import Task
from bbatch.choosing.training import Fit
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.evaluation import __main__, other_sets, problems, tables, ways
from bbatch.evaluation.problems import problem
from bbatch.trainer import train, train_network
from factories import AMPLE, HELD, TRAIN, net

# Problems


def test_a_problem_of_ours_trains_as_the_records_do_to_the_bit():
    on = data.load("synthetic-1k")
    ours = replace(problem("synthetic-1k"), name="wine").train(32, 0.001, 3, 42, on)
    theirs = train(plan("synthetic-1k", 32, 42, epochs=3), on)
    assert list(ours.curve) == pytest.approx([c / 2 for c in theirs.history["test_correct"]])
    assert list(ours.losses) == theirs.history["test_loss"]
    assert ours.train_score == pytest.approx(theirs.final["train_correct"] / 8)
    digits, old = problem("digits"), tables.table("runs", tables.RUNS)
    row = old[(old["problem"] == "digits") & (old["batch_size"] == 128)].iloc[0]
    again = tables._trained(digits, row[tables.CELL].to_dict())
    assert again["test_acc"] == pytest.approx(row["test_acc"], abs=0.6)  # two of 360, on other processors


def test_a_part_of_the_images_is_drawn_once_and_follows_the_protocol_in_bf16(monkeypatch, real):
    n, whole, seen = problems.IMAGES, real("mnist"), []
    monkeypatch.setattr(
        problems,
        "train_network",
        lambda net, on, recipe: seen.append(recipe) or train_network(net, on, replace(recipe, epochs=1)),
    )
    p = problem("mnist-512")
    assert len(p.whole.train_y) == len(p.whole.test_y) == n and p.batch_sizes == (
        1,
        8,
        16,
        32,
        64,
        128,
        256,
        512,
    )
    assert {x.numpy().tobytes() for x in p.whole.train_x} <= {x.numpy().tobytes() for x in whole.train_x}
    assert {x.numpy().tobytes() for x in p.whole.test_x} <= {x.numpy().tobytes() for x in whole.test_x}
    cells = tables.cells(p, 42)
    for cell in cells[-2:]:
        tables._trained(p, cell)
    wanted = [plan("mnist", b, 42, n_train=n, precision="bf16") for b in (256, 512)]
    assert [(r.epochs, r.n_train, r.precision) for r in seen] == [(12, n, "bf16")] * 2
    for recipe, run in zip(seen, wanted, strict=True):
        assert [r.tolist() for r in map(recipe.rates, range(12))] == [
            pytest.approx(r.tolist()) for r in map(run.rates, range(12))
        ]
    assert tables.cells(problem("synthetic-1k"), 42) == []


@pytest.mark.parametrize("name", ["wine", "synthetic-1k"])
def test_a_problem_decides_without_the_test_set(name):
    p = problem(name)
    n = len(p.whole.train_y)
    assert len(p.split.test_y) == round(0.2 * n) and len(p.split.train_y) + len(p.split.test_y) == n
    rows = {tuple(r) for part in (p.split.train_x, p.split.test_x) for r in part.tolist()}
    assert rows == {tuple(r) for r in p.whole.train_x.tolist()}
    task = p.task()
    assert torch.equal(task.train.tensors[0], p.split.train_x)
    assert torch.equal(task.validation.tensors[1], p.split.test_y)
    found = p.train(32, 0.001, 2, 1, on=p.split)
    assert len(found.curve) == 2 and found.validation_score == pytest.approx(found.curve[-1])


def test_what_is_finished_of_an_evaluation_stays_when_it_is_interrupted(tmp_path, monkeypatch):
    trained, stop = [], True

    def training(self, b, lr, epochs, seed, on, warmup_epochs=0):
        if stop and seed == 43:
            raise KeyboardInterrupt
        trained.append((b, seed))
        return Fit(b, lr, 0, 1, seed, 99.0, 98.0, 0.1, 1.0, 1.0, True, False, (98.0,))

    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    monkeypatch.setattr(tables, "METHODS", ("Algorithm 2", "always 32"))
    monkeypatch.setattr(problems.Problem, "train", training)
    with pytest.raises(KeyboardInterrupt):
        tables.evaluate(["wine"], 2, progress=False)
    kept = tables.table("choices", ways.CHOICES), tables.table("runs", tables.RUNS)
    assert kept[0]["seed"].tolist() == [42, 42] and sorted(kept[1]["batch_size"]) == [1, 8, 16, 32, 64, 128]
    stop = False
    tables.evaluate(["wine"], 2, progress=False)
    assert tables.table("runs", tables.RUNS).iloc[:6].equals(kept[1])
    runs = tables.table("runs", tables.RUNS)
    assert runs.groupby("seed").size().tolist() == [6, 6] and not tables.keys(runs).duplicated().any()
    trained.clear()
    tables.evaluate(["wine"], 2, progress=False)
    assert trained == []


def test_the_committed_tables_are_of_one_piece():
    choices, runs = tables.table("choices", ways.CHOICES), tables.runs()
    assert set(choices["method"]) <= set(ways.METHODS)
    assert not choices.duplicated(["problem", "method", "seed"]).any()
    assert not tables.keys(runs).duplicated().any()
    assert set(tables.keys(choices)) <= set(tables.keys(runs)), "every choice has been trained"
    fixed = choices[choices["method"] == "always 32"]
    assert (fixed["batch_size"] == 32).all() and (fixed["cpu_seconds"] == 0).all()


def test_an_unknown_problem_is_refused_by_name(capsys):
    assert (
        __main__.main(["iris"]) == 2 and "problem 'iris' is unknown; allowed are" in capsys.readouterr().err
    )
    with pytest.raises(BadInput, match="problem 'x' is unknown"):
        problem("x")


# Rivals


def test_the_grid_takes_the_best_of_its_cells_and_the_range_test_the_steepest_descent():
    task = Task(net, TRAIN, HELD)
    found = ways.grid_search(task, 1, AMPLE, 0.001, 0)
    rates = [0.001 * 10 ** (k / 2) for k in range(-2, 3)]
    assert found["batch_size"] in (8, 16, 32, 64, 128) and found["trainings"] == 25
    assert any(math.isclose(found["lr"], rate) for rate in rates)
    found = ways.range_test(task, AMPLE, 0)
    assert found["batch_size"] == 300 and 1e-8 < found["lr"] <= 1


def test_the_plain_problems_train_and_are_scored_in_percent():
    text, friedman = problem("text"), problem("friedman")
    assert text.whole.train_x.shape == (2000, 16) and friedman.epochs == text.epochs == 10
    y = friedman.whole.test_y
    assert other_sets.explained(y, y) == 100 and other_sets.explained(
        y.mean().expand_as(y), y
    ) == pytest.approx(0, abs=1e-3)
    found = friedman.train(32, 0.01, 2, 1, on=friedman.split)
    assert 20 < found.validation_score < 100 and len(found.curve) == 2
    scores = text.task().run(text.network(), (text.whole.train_x[:4], text.whole.train_y[:4])).scores
    assert scores.shape == (4, text.whole.train_y.max().item() + 1)


def test_a_way_decides_a_row(monkeypatch):
    monkeypatch.setattr(ways, "BUDGET", {"wine": 3.0})
    monkeypatch.setattr(problems.Problem, "epochs", 2)
    for method in ways.METHODS:
        row = ways.decide(problem("wine"), method, 42)
        assert row.keys() == set(ways.CHOICES) and row["batch_size"] >= 1 and row["lr"] > 0
        assert (row["seconds"] == 0) == (method == "always 32")


def test_the_least_time_of_a_step_stands_over_rounds_and_calls(tmp_path, monkeypatch):
    """Three rounds at two sizes; what an earlier call had timed faster stays, and other problems stay."""
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    chosen = pd.DataFrame({"problem": ["digits"] * 3, "batch_size": [8, 64, 8]})
    tables._write("choices", chosen)
    earlier = [("digits", 8, 1437, 0.4), ("wine", 8, 142, 0.1)]
    tables._write("steps", pd.DataFrame(earlier, columns=tables.STEPS))
    took = iter([9.0, 0.5, 0.7, 0.6, 0.3, 0.8, 0.2])  # the first is thrown away; then 8, 64, 8, 64, 8, 64
    monkeypatch.setattr(tables, "step_seconds", lambda task, size: next(took))
    tables.time_steps(["digits"])
    found = tables.table("steps", tables.STEPS).set_index(["problem", "batch_size"])["step_s"]
    assert found.to_dict() == {("wine", 8): 0.1, ("digits", 8): 0.4, ("digits", 64): 0.2}
