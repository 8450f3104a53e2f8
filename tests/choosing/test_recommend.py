"""The whole: one answer, or none with its reason; in Python and in the terminal."""

import json
import math
import re
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bbatch
from bbatch import cli
from bbatch.choosing import learned
from bbatch.choosing.answer import restored
from bbatch.choosing.memory_limit import Ceiling
from bbatch.choosing.task import Task
from bbatch.errors import BadInput
from bbatch.pages import choice_figures
from factories import HELD, MODULE, TRAIN, X, net

BUDGET = 12.0


@pytest.fixture(scope="module")
def found():
    return bbatch.recommend(net, (TRAIN, HELD), epochs=3, budget=BUDGET, progress=False)


def test_there_is_one_answer_with_reasons_and_the_next_step(found):
    assert found.batch_size >= 2 and found.lr > 0 and found.sure in ("high", "medium", "low")
    assert 2 <= len(found.reasons) and found.following.endswith(".") and "B = " in found.algorithm_2
    assert found.default == (32, 0.001) and found.unit == "% accuracy" and found.accumulate == 1
    text = repr(found)
    assert f"batch size {found.batch_size}, learning rate {found.lr:.3g}" in text and found.reasons[0] in text
    table = found.table()
    assert found._repr_html_().count("<tr>") == len(found.rows()) + len(table)
    assert (
        table["B"].tolist() == sorted(set(found.trials["batch_size"]))
        and table.to_string(index=False) in text
    )
    row = found.trials[(found.trials["batch_size"] == found.batch_size) & (found.trials["lr"] == found.lr)]
    assert row["complete"].any() and found.seconds < 1.5 * BUDGET
    with pytest.raises(AttributeError):
        found.batch_size = 7


def test_an_answer_comes_back_from_json_as_it_went_and_is_drawn(found):
    back = restored(json.loads(json.dumps(found.to_dict())))
    assert (
        repr(back) == repr(found) and back.difference == found.difference and back.times.equals(found.times)
    )
    assert len(choice_figures.search(back).axes) == 2


def test_nothing_learned_is_no_recommendation():
    rare = (torch.arange(400) % 40 == 0).long()
    told = bbatch.recommend(
        net, ((X[:300], rare[:300]), (X[300:], rare[300:])), epochs=2, budget=12, progress=False
    )
    assert told.batch_size is None and "always answering the largest class" in told.headline
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(3))
    told = bbatch.recommend(
        lambda: nn.Linear(6, 1),
        ((X[:300], noise[:300]), (X[300:], noise[300:])),
        F.mse_loss,
        epochs=2,
        budget=12,
        progress=False,
    )
    assert told.batch_size is None and "no better than that of always answering the same" in told.headline

    def broken(outputs, targets):
        return F.cross_entropy(outputs, targets) * (math.nan if outputs.requires_grad else 1)

    told = bbatch.recommend(net, (TRAIN, HELD), broken, epochs=2, budget=12, progress=False)
    assert told.batch_size is None and "diverged" in told.headline and choice_figures.search(told)
    assert restored(json.loads(json.dumps(told.to_dict()))).batch_size is None


def test_without_time_there_is_no_recommendation_and_it_says_what_would_do():
    def slow(outputs, targets):
        time.sleep(0.05)
        return F.cross_entropy(outputs, targets)

    begun = time.perf_counter()
    told = bbatch.recommend(net, (TRAIN, HELD), slow, epochs=500, budget=4, progress=False)
    assert told.batch_size is None and "no time: one training of the 500 epochs takes about" in told.headline
    assert re.search(r"give a budget of \d+ s or more", told.following) and time.perf_counter() - begun < 20


def test_a_constant_answer_is_what_there_is_to_beat():
    y = torch.tensor([0, 0, 0, 1] * 25)
    loss, share = learned.nothing(Task(net, TRAIN, (X[300:], y)), 100)
    assert share == 75 and loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), rel=1e-4)
    value = X[300:, :1]
    task = Task(lambda: nn.Linear(6, 1), (X[:300], X[:300, :1]), (X[300:], value), F.mse_loss)
    assert learned.nothing(task, 100)[0] == pytest.approx(value.var(correction=0).item(), rel=1e-4)
    chance = (value > 0.5).float()
    task = Task(
        lambda: nn.Linear(6, 1),
        (X[:300], X[:300, :1].sign().relu()),
        (X[300:], chance),
        F.binary_cross_entropy_with_logits,
    )
    p = chance.mean().item()
    assert learned.nothing(task, 100)[0] == pytest.approx(
        -p * math.log(p) - (1 - p) * math.log(1 - p), rel=1e-3
    )


def test_where_memory_holds_less_gradients_are_accumulated(monkeypatch):
    from bbatch.choosing import recommend as module

    monkeypatch.setattr(module, "memory_ceiling", lambda *a: Ceiling(8, 16, "the next one failed"))
    told = bbatch.recommend(net, (TRAIN, HELD), epochs=2, budget=10, progress=False)
    assert told.accumulate == max(1, told.batch_size // 8)
    assert any("Memory holds 8 rows" in reason for reason in told.reasons)
    assert told.accumulate == 1 or f"8 fits: accumulate {told.accumulate}" in told.headline
    monkeypatch.setattr(module, "memory_ceiling", lambda *a: Ceiling(0, 1, "the next one failed"))
    with pytest.raises(BadInput, match="not even the smallest batch fits"):
        bbatch.recommend(net, (TRAIN, HELD), epochs=2, budget=10, progress=False)


def test_limits_are_kept():
    told = bbatch.recommend(net, (TRAIN, HELD), epochs=2, budget=6, max_batch_size=32, progress=False)
    assert told.trials["batch_size"].max() <= 32
    for wrong, said in ((dict(budget=-1), "budget is -1"), (dict(max_batch_size=1), "max_batch_size is 1")):
        with pytest.raises(BadInput, match=said):
            bbatch.recommend(net, (TRAIN, HELD), **wrong)


# The terminal


def test_the_terminal_prints_a_table_or_json_and_its_exit_code_tells(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(
        MODULE + "\ndef loss(o, t): return nn.functional.cross_entropy(o, t)\nprint('here')\n"
    )
    words = ["recommend", "--model", "mine:make", "--data", "mine:data", "--epochs", "2", "--budget", "6"]
    assert (
        cli.main(
            [
                *words,
                "--loss",
                "mine:loss",
                "--optimizer",
                "nadam",
                "--seed",
                "1",
                "--base-lr",
                "0.01",
                "--json",
            ]
        )
        == 0
    )
    printed = capsys.readouterr()
    values = json.loads(printed.out)
    assert values["batch_size"] >= 2 and values["default"][1] == 0.01 and printed.err == "here\n"
    assert cli.main([*words, "--loss", "cross_entropy", "--algorithm-2"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Algorithm 2  batch size ") and "Algorithm 2: about" in printed.err
    (tmp_path / "bad.py").write_text(MODULE + "\ny[:] = 0\n")
    assert (
        cli.main(["recommend", "--model", "bad:make", "--data", "bad:data", "--epochs", "2", "--budget", "6"])
        == 1
    )
    assert "no recommendation: nothing was learned" in capsys.readouterr().out


MINE = ["recommend", "--model", "mine:make", "--data"]
WORDS = [
    (["recommend"], "give either a built-in problem, or both --model"),
    (["recommend", "wine", "--model", "a:b"], "give either a built-in problem"),
    (["recommend", "--model", "mine:make"], "give either"),
    (["recommend", "wien"], "problem 'wien' is unknown; allowed are synthetic-1k"),
    (
        ["recommend", "--model", "mine", "--data", "mine:data"],
        "--model 'mine' cannot be read; write module:function",
    ),
    (["recommend", "--model", "nowhere:make", "--data", "mine:data"], "module 'nowhere' cannot be imported"),
    (["recommend", "--model", "mine:nothing", "--data", "mine:data"], "module 'mine' has no 'nothing'"),
    ([*MINE, "mine:number"], "is of type int; it must be a function"),
    ([*MINE, "mine:short"], "the whole data has 5 rows; at least 16"),
    ([*MINE, "mine:data", "--loss", "tea"], "--loss 'tea' is no loss"),
    ([*MINE, "mine:data", "--metric", "mine:nothing"], "has no 'nothing'"),
    (["recommend", "wine", "--device", "tpu"], "device 'tpu' cannot be used"),
    (["recommend", "wine", "--precision", "fp8"], "precision 'fp8' is unknown"),
    (["recommend", "wine", "--max-batch-size", "1"], "max_batch_size is 1"),
    (["recommend", "wine", "--algorithm-2", "--max-batch-size", "8"], "knows neither"),
    ([*MINE, "mine:broken"], "failed with OSError .gone."),
    (["recommend", "wine", "--epochs", "0"], "number of epochs is 0"),
    (["recommend", "wine", "--budget", "-3"], "budget is -3"),
    (["recommend", "wine", "--budget", "nan"], "budget is nan"),
    (["recommend", "wine", "--optimizer", "lion"], "optimizer 'lion' is unknown"),
    (["recommend", "wine", "--epochs", "x"], "invalid int value"),
]


@pytest.mark.parametrize("words, said", WORDS, ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "")
def test_command_line_refuses_in_a_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(MODULE)
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and re.search(said, printed.err), printed.err
