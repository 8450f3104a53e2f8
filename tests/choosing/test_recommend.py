"""The whole: one answer, or none with its reason; in Python and in the terminal."""

import inspect
import json
import math
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

import bbatch
from bbatch import cli, parser
from bbatch.choosing import advice, learned
from bbatch.choosing.answer import restored
from bbatch.choosing.judging import Judged
from bbatch.choosing.task import Task
from bbatch.errors import BadInput
from bbatch.pages import choice_figures
from factories import HELD, MODULE, TRAIN, X, net

WORK = time.process_time  # counts the budget: other work on the machine must not decide a test
BUDGET = 12.0


@pytest.fixture(scope="module")
def found():
    return bbatch.recommend(net, (TRAIN, HELD), epochs=3, budget=BUDGET, progress=False, clock=WORK)


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
        net, ((X[:300], rare[:300]), (X[300:], rare[300:])), epochs=2, budget=12, progress=False, clock=WORK
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
        clock=WORK,
    )
    assert (
        told.batch_size is None
        and "not clearly better than that of always answering the same" in told.headline
    )

    def broken(outputs, targets):
        return F.cross_entropy(outputs, targets) * (math.nan if outputs.requires_grad else 1)

    told = bbatch.recommend(net, (TRAIN, HELD), broken, epochs=2, budget=12, progress=False, clock=WORK)
    assert told.batch_size is None and "diverged" in told.headline and choice_figures.search(told)
    assert restored(json.loads(json.dumps(told.to_dict()))).batch_size is None


def test_a_metric_that_is_no_number_and_steps_too_large_are_said():
    for endless in (math.nan, math.inf):

        def metric(outputs, targets, endless=endless):
            return endless

        told = bbatch.recommend(
            net, (TRAIN, HELD), metric=metric, epochs=2, budget=8, progress=False, clock=WORK
        )
        assert told.batch_size is None and f"the metric is {endless} after training" in told.headline
    told = bbatch.recommend(
        net, (TRAIN, HELD), epochs=2, budget=8, base_lr=1e30, optimizer="sgd", progress=False, clock=WORK
    )
    assert told.batch_size is None and "diverged" in told.headline and "no time" not in told.headline


def test_algorithm_2_gives_no_batch_size_that_it_has_not_trained_with():
    def broken(outputs, targets):
        return F.cross_entropy(outputs, targets) * (math.nan if outputs.requires_grad else 1)

    how = dict(epochs=2, budget=20, progress=False)
    with pytest.raises(BadInput, match=r"all trainings diverged \(.*, the last at B = "):
        bbatch.select_batch_size(net, TRAIN, HELD, loss=broken, **how)


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
    constant, share = learned.nothing(Task(net, TRAIN, (X[300:], y)), 100)
    assert share == 75 and constant.loss == pytest.approx(
        -0.75 * math.log(0.75) - 0.25 * math.log(0.25), rel=1e-4
    )
    value = X[300:, :1]
    task = Task(lambda: nn.Linear(6, 1), (X[:300], X[:300, :1]), (X[300:], value), F.mse_loss)
    assert learned.nothing(task, 100)[0].loss == pytest.approx(value.var(correction=0).item(), rel=1e-4)
    chance = (value > 0.5).float()
    task = Task(
        lambda: nn.Linear(6, 1),
        (X[:300], X[:300, :1].sign().relu()),
        (X[300:], chance),
        F.binary_cross_entropy_with_logits,
    )
    p = chance.mean().item()
    assert learned.nothing(task, 100)[0].loss == pytest.approx(
        -p * math.log(p) - (1 - p) * math.log(1 - p), rel=1e-3
    )


def test_what_is_better_by_luck_is_not_learned():
    """The paired t-test between pieces of the rows, at the level that the number of pairs asks for."""
    rng, shares, told = np.random.default_rng(4), np.full(10, 0.1), set()
    for shift in np.linspace(0, 0.2, 9):
        bar = rng.normal(1, 0.3, 10)
        mine = bar - rng.normal(shift, 0.1, 10)
        judged = [Judged(v.mean(), 7.0, v, np.full(10, 7.0), shares) for v in (mine, bar)]
        for level in (0.95, 0.998):
            p = stats.ttest_1samp(bar - mine, 0, alternative="greater").pvalue
            assert learned._lower(*judged, level) == (p < 1 - level)
            told.add(p < 1 - level)
    assert told == {True, False}


def test_where_memory_holds_less_gradients_are_accumulated(monkeypatch):
    from bbatch.choosing import recommend as module

    monkeypatch.setattr(module, "memory_ceiling", lambda *a: 8)
    told = bbatch.recommend(net, (TRAIN, HELD), epochs=2, budget=10, progress=False, clock=WORK)
    assert told.accumulate == max(1, told.batch_size // 8)
    assert any(
        "Memory holds 8 rows at a time while training; 16 failed." in reason for reason in told.reasons
    )
    assert told.accumulate == 1 or f"8 fits: accumulate {told.accumulate}" in told.headline


def test_a_few_trials_are_told_in_words():
    task, judged = SimpleNamespace(unit="loss", metric=None), SimpleNamespace(loss=0.5)
    one, two = (
        SimpleNamespace(batch_size=32, lr=lr, seed=0, epochs=1, at=lambda k: judged) for lr in (0.1, 0.2)
    )
    for leader, tried, said in (
        (
            one,
            [one],
            "B = 32 at 0.1, the default, gives loss 0.5 after 2 epochs; there was no time for another",
        ),
        (one, [one, two], "of 1 other pair tried (all at B = 32) none was shown to do better"),
        (two, [one, two], "Of 2 pairs tried (all at B = 32, rates 0.1 to 0.2), 2 for 2 epochs, it did best"),
    ):
        found = {"task": task, "leader": leader, "default": one, "candidates": tried, "length": 2, "seed": 0}
        ranked = {"decided": 2, "ranked": lambda rung, tried=tried: tried}
        assert said in advice._tried(SimpleNamespace(**found, **ranked))


@pytest.fixture
def stubbed(monkeypatch):
    """`recommend` on a clock at 10 s, with no task, search and answer but these: three seconds for the task,
    two of them to load PyTorch; one for the memory, five to search. `searches`: what each was given."""
    from bbatch.choosing import recommend as module

    clock = SimpleNamespace(now=10.0)
    task = SimpleNamespace(train=range(300), loading=2.0, default_rate=0.25, fits=0)
    made = SimpleNamespace(clock=clock, task=task, fits=None, searches=[], memory=[], worked=iter([4.0, 4.5]))

    def passes(seconds, result):
        clock.now += seconds
        return result

    class Search:
        def __init__(self, *given):
            made.searches.append(given[:-1])
            self.tell = given[-1]

        def run(self):
            self.tell("before")
            clock.now += 5
            self.tell("B = 32")
            clock.now += 100
            self.tell("too late")
            clock.now -= 100

    monkeypatch.setattr(module, "Task", lambda *asked: passes(3, task))
    monkeypatch.setattr(
        module, "memory_ceiling", lambda *asked: passes(1, made.memory.append(asked)) or made.fits
    )
    monkeypatch.setattr(module, "Search", Search)
    monkeypatch.setattr(module, "answer", lambda search, seconds, cpu_seconds: (seconds, cpu_seconds))
    monkeypatch.setattr(module, "time", SimpleNamespace(process_time=lambda: next(made.worked)))
    made.ask = lambda **more: module.recommend(net, (TRAIN, HELD), clock=lambda: clock.now, **more)
    return made


def test_the_search_has_the_rest_of_the_budget(stubbed, capsys):
    stubbed.fits = 16
    asked = {"budget": 40.0, "epochs": 1, "base_lr": 0.5, "seed": 2**32 - 1, "max_batch_size": 2}
    assert stubbed.ask(**asked) == (3 + 1 + 5 - 2, 0.5)
    assert stubbed.searches == [(stubbed.task, 1, 10.0 + 2 + 40, 0.5, 2**32 - 1, 2)]
    assert stubbed.memory == [(stubbed.task, 2, 8.0)] and stubbed.task.fits == 16
    shown = capsys.readouterr().err
    for text, blocks in ((" 39 s left: memory", 1), (" 38 s left: before", 1), (" 33 s left: B = 32", 4)):
        bar = re.search(re.escape(text) + r" \|(.{20})\|", shown)[1]
        assert len(bar.strip()) == blocks  # of 20 for 40 s
    assert "  0 s left: too late" in shown


def test_what_is_not_asked_for(stubbed, capsys):
    stubbed.ask()
    assert stubbed.searches == [(stubbed.task, 20, 10.0 + 2 + 60, 0.25, 0, 128)]
    assert stubbed.task.fits == 0 and "s left: memory" in capsys.readouterr().err


def test_what_is_not_said_is_the_same_in_python_and_in_the_terminal():
    options = vars(parser.parser().parse_args(["recommend"]))
    for function in (bbatch.recommend, bbatch.select_batch_size):
        usual = {name: p.default for name, p in inspect.signature(function).parameters.items()}
        both = {"epochs", "budget", "base_lr", "device", "precision", "seed"}
        assert {name: usual[name] for name in both} == {name: options[name] for name in both}


def test_a_quiet_search_says_nothing(stubbed, capsys):
    stubbed.ask(progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "rows, most, cap",
    [(300, None, 128), (300, 50, 32), (300, 64, 64), (20, None, 8), (10**6, None, 8192),
     (10**6, 10**5, 8192)],
)  # fmt: skip
def test_a_batch_is_a_power_of_two_and_at_most_half_of_the_rows(rows, most, cap, stubbed):
    stubbed.task.train = range(rows)
    stubbed.ask(max_batch_size=most, progress=False)
    assert stubbed.searches[0][5] == stubbed.memory[0][1] == cap


def test_one_row_in_memory_is_enough_and_none_is_not(stubbed):
    stubbed.fits = 1
    stubbed.ask(progress=False)
    assert stubbed.task.fits == 1
    stubbed.fits, stubbed.worked = 0, iter([0.0])
    with pytest.raises(BadInput, match="not even the smallest batch fits"):
        stubbed.ask(progress=False)


def test_what_cannot_be_asked_for():
    for wrong, said in (
        (dict(budget=-1), "budget is -1"), (dict(max_batch_size=1), "max_batch_size is 1"),
        (dict(seed=-1), "seed is -1"), (dict(seed=2**32), "seed is 4294967296"),
        (dict(base_lr=0.0), "base_lr is 0.0"), (dict(epochs=0), "epochs is 0"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            bbatch.recommend(net, (TRAIN, HELD), **wrong)


def test_limits_are_kept():
    for most in (32, 5):
        told = bbatch.recommend(
            net, (TRAIN, HELD), epochs=2, budget=6, max_batch_size=most, progress=False, clock=WORK
        )
        assert told.trials["batch_size"].max() <= most and told.default[0] == min(
            32, 2 ** int(math.log2(most))
        )


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
    (tmp_path / "bad.py").write_text(MODULE + "\ny[:] = torch.arange(len(y)) % 2\n")
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
    ([*MINE, "mine:number"], "is of type int; it must be a function without arguments."),
    ([*MINE, "mine:short"], "the whole data has 5 rows; at least 16"),
    ([*MINE, "mine:data", "--loss", "tea"], "--loss 'tea' is no loss"),
    ([*MINE, "mine:data", "--loss", ""], "--loss '' is no loss"),
    ([*MINE, "mine:data", "--optimizer", ""], "optimizer '' is unknown"),
    ([*MINE, "mine:data", "--metric", ""], "--metric '' cannot be read"),
    ([*MINE, "mine:data", "--metric", "mine:nothing"], "has no 'nothing'"),
    (["recommend", "wine", "--device", "tpu"], "device 'tpu' cannot be used"),
    (["recommend", "wine", "--precision", "fp8"], "precision 'fp8' is unknown"),
    (["recommend", "wine", "--max-batch-size", "1"], "max_batch_size is 1"),
    (["recommend", "wine", "--algorithm-2", "--max-batch-size", "8"], "knows neither"),
    ([*MINE, "mine:broken"], "failed .OSError: gone."),
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
