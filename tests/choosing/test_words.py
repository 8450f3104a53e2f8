"""What an answer says of a search, and what the terminal hands on, on searches made up here."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from torch.nn import functional as F

from bbatch import published
from bbatch.choosing import advice, algorithm_2, by_name
from bbatch.choosing.answer import TRIALS, Answer, restored
from bbatch.choosing.judging import Lead
from bbatch.config import DATASETS
from bbatch.errors import BadInput
from factories import MODULE, net

PACE = {8: 4.0, 32: 1.0, 128: 0.25}


def pair(b, lr=0.001, seed=0, rungs=(0, 1, 2), loss=0.5, value=90.0, epochs=18.0):
    at = {r: SimpleNamespace(loss=loss + r, value=value) for r in rungs}
    return SimpleNamespace(
        batch_size=b, lr=lr, seed=seed, judged=at, at=at.get, epochs=epochs, seconds=3.0, cpu_seconds=2.0,
        diverged=False, late=False,
    )  # fmt: skip


def search(*more, leader=None, difference=None, lost=None, duels=2, length=18.0, cut=(), unit="% accuracy"):
    default = pair(32)
    every = [default, *more]
    return SimpleNamespace(
        task=SimpleNamespace(unit=unit, metric=None, fits=0, notes=("a note.",)), default=default,
        leader=leader or default, lost=lost, difference=difference, duels=duels, length=length, epochs=18,
        cut=list(cut), seed=0, reference=32, decided=2, candidates=every, quickest=PACE,
        speed=PACE.__getitem__, warmup=lambda b: int(b >= 128), takes=lambda b, epochs: 2.0 * epochs,
        begun=10.0, deadline=110.0,
        ranked=lambda rung: [c for c in every if c.seed == 0 and c.at(rung)],
    )  # fmt: skip


GAIN = Lead(1.0, 0.5, 1.5, 2, 0.2)


def test_how_sure_an_answer_is():
    best, others = pair(128), [pair(64), pair(16), pair(8, rungs=(0,))]
    assert advice._sure(search(best, leader=best, difference=GAIN)) == "high"
    assert advice._sure(search(best, leader=best, difference=GAIN, duels=1)) == "medium"
    assert advice._sure(search(best, leader=best, difference=GAIN, duels=0)) == "low"
    assert advice._sure(search(best, leader=best, difference=GAIN, length=17.0)) == "low"
    unsure = Lead(1.0, 0.0, 2.0, 2, 0.5)
    assert advice._sure(search(best, leader=best, difference=unsure)) == "medium"
    endless = Lead(math.inf, math.nan, math.nan, 2)
    assert advice._sure(search(best, leader=best, difference=endless)) == "high"
    assert advice._sure(search(best, *others)) == "high" and advice._sure(search(*others)) == "medium"
    assert advice._sure(search(best, *others, length=17.0)) == "medium"
    assert advice._sure(search(best, *others, length=9.0)) == "medium"
    assert advice._sure(search(best, *others, length=8.9)) == "low"
    assert advice._sure(search(others[-1])) == "low", "nothing else came to its end"


@pytest.mark.parametrize(
    "mean, unit, said",
    [
        (1.25, "% accuracy", "+1.2 points of accuracy"),
        (0.123456, "loss", "a loss lower by 0.123"),
        (0.00123456, "loss", "a loss lower by 0.00123"),
        (12.3456, "loss", "a loss lower by 12.35"),
        (0.5, "score", "+0.500 score"),
        (-0.5, "score", "−0.500 score"),
        (0.0, "loss", "a loss lower by 0.00"),
    ],
)
def test_an_amount_in_its_unit(mean, unit, said):
    assert advice._amount(Lead(mean, math.nan, math.nan, 1), unit) == said


def test_what_an_answer_was_chosen_from():
    best = pair(128, 0.004, value=91.26, loss=0.25)
    told = advice._tried(search(pair(8, 0.0005, rungs=(0,)), best, pair(128, 0.004, seed=1), leader=best))
    assert told == (
        "Of 3 pairs tried (B 8 to 128, rates 0.0005 to 0.004), 2 for 18 epochs, it did best: "
        "91.3 % accuracy on the validation rows."
    )
    one_size = pair(32, 0.004)
    told = advice._tried(search(one_size, leader=one_size, unit="loss"))
    assert "(all at B = 32, rates 0.001 to 0.004)" in told and "loss 2.5 on the validation rows" in told
    one_rate = pair(128)
    told = advice._tried(search(one_rate, leader=one_rate))
    assert "(B 32 to 128, rate 0.001)" in told
    alone = advice._tried(search(pair(64, epochs=0.0)))
    assert alone == (
        "B = 32 at 0.001, the default, gives 90.0 % accuracy after 18 epochs; "
        "there was no time for another pair."
    )
    assert advice._tried(search(pair(64), pair(8), pair(8, seed=1))).endswith(
        "; of 2 other pairs tried (B 8 to 64) none was shown to do better."
    )
    assert "of 1 other pair tried" in advice._tried(search(pair(64)))
    own = search(unit="score")
    own.task.metric = "own"
    assert "gives score 90 after" in advice._tried(own)


def test_what_is_said_against_the_default():
    best = pair(128, 0.004)

    def said(**more):
        return advice._against_the_default(search(best, **more))

    assert said(leader=best) == []
    assert said(leader=best, difference=GAIN) == [
        "Against the default, B = 32 at 0.001: +1.0\u00a0±\u00a00.5 points of accuracy, with 2 other seeds."
    ]
    assert said(leader=best, difference=GAIN, duels=0)[0].endswith("with the same seed.")
    assert said(leader=best, difference=GAIN, duels=1)[0].endswith("with 1 other seed.")
    assert said(lost=best, difference=GAIN)[0] == (
        "B = 128 at 0.004 was dropped: against the default, B = 32 at 0.001: +1.0\u00a0±\u00a00.5 points of "
        "accuracy, with 2 other seeds, which is too little to tell."
    )
    worse = Lead(-1.0, -1.5, -0.5, 2, 0.2)
    assert "too little" not in said(lost=best, difference=worse)[0]
    assert "too little" in said(lost=best, difference=Lead(0.0, -1.0, 1.0, 2, 0.5))[0]
    for sign, who in ((1, "the default diverged"), (-1, "128 at 0.004 diverged")):
        for unit in ("% accuracy", "loss", "f1"):
            endless = Lead(sign * math.inf, math.nan, math.nan, 1)
            assert who in said(leader=best, difference=endless, unit=unit)[0]


def test_times_and_limits_are_named():
    slow, fast = pair(8), pair(128)
    assert advice._time(search(slow, leader=slow)) == (
        "An epoch takes 4 s, against 1 s at B = 32; the fastest, B = 128, takes 0.25 s."
    )
    assert advice._time(search(fast, leader=fast)) == "An epoch takes 0.25 s, against 1 s at B = 32."
    near = search()
    near.quickest = {32: 1.0, 64: 0.8}
    near.speed = near.quickest.__getitem__
    assert advice._time(near) == "An epoch takes 1 s."
    near.quickest[64] = 0.79
    assert advice._time(near).endswith("the fastest, B = 64, takes 0.79 s.")
    limited = search(cut=["a", "b", "c", "d"], length=9.0)
    limited.task.fits = 64
    reasons = advice._reasons(limited)
    assert reasons[2:] == (
        "Memory holds 64 rows at a time while training; 128 failed.",
        "The search was cut short by the budget; not tried: a, b, c.",
        "The budget allowed trainings of 9 of 18 epochs.",
        "a note.",
    )
    assert len(advice._reasons(search())) == 3


def test_an_answer_is_put_together_and_a_scheduler_of_the_readers_warms_up_by_itself(monkeypatch):
    best = pair(128, 0.004)
    found = search(best, leader=best, difference=GAIN)
    found.base_lr, found.task.train, found.task.model = 0.001, range(800), lambda seed: seed
    monkeypatch.setattr(advice, "nothing_learned", lambda search: None)
    monkeypatch.setattr(advice, "parts", lambda task, batch_size: (32, batch_size // 32))
    for scheduler, warmup in ((None, 1), ("one", 0)):
        found.task.optimizer_of = lambda *asked, s=scheduler: ("an optimizer", s, False)
        told = advice.answer(found, 12.0, 3.0)
        assert (told.batch_size, told.lr, told.warmup_epochs, told.accumulate) == (128, 0.004, warmup, 4)
    assert (told.sure, told.unit, told.default) == ("high", "% accuracy", (32, 0.001))
    assert (told.difference, told.seconds, told.cpu_seconds) == (GAIN, 12.0, 3.0)
    b = algorithm_2.start(800)
    assert f"would start from B = {b} at {0.001 * b / 32:.3g} (" in told.algorithm_2
    assert told.reasons[-1] == "a note." and told.following.startswith("train with it")

    monkeypatch.setattr(advice, "nothing_learned", lambda search: ("why", "what to do."))
    none = advice.answer(found, 12.0, 3.0)
    assert (none.batch_size, none.lr, none.warmup_epochs, none.accumulate, none.sure) == (
        None,
        None,
        0,
        1,
        "",
    )
    assert (none.reasons, none.following, none.difference) == (("why", "a note."), "what to do.", None)


def test_the_next_step():
    best = pair(32, 0.003)
    assert "train with it; for trainings much longer than 18 epochs try 0.001 too" in advice._following(
        search(leader=best, difference=GAIN)
    )
    assert "second seed" in advice._following(search(leader=best, difference=GAIN, duels=1))
    assert "much longer" in advice._following(search(leader=best, duels=0))
    # seven trainings of 36 s, or half as much again as the 100 s that there were
    assert "about 260 s" in advice._following(search(leader=best, cut=["a"]))
    short = search(leader=best, length=17.0)
    short.takes = lambda b, epochs: 1.0
    assert "about 150 s" in advice._following(short)


def test_a_row_a_training():
    late = pair(128, seed=1, rungs=(0,), loss=0.25, value=80.0)
    never = pair(8, rungs=())
    unmade = pair(16)
    unmade.seconds = 0.0
    found = advice._trials(search(late, never, unmade))
    assert list(found) == TRIALS and found["batch_size"].tolist() == [32, 128, 8]
    assert found["complete"].tolist() == [True, False, False] and found["warmup_epochs"].tolist() == [0, 1, 0]
    assert found["short_loss"].tolist()[:2] == [0.5, 0.25] and found["loss"].tolist()[:2] == [2.5, 0.25]
    assert found["value"].tolist()[:2] == [90.0, 80.0] and found.loc[2, ["loss", "value"]].isna().all()
    times = advice._times(search())
    assert times.values.tolist() == [[8, 4.0], [32, 1.0], [128, 0.25]]


def told(**more):
    trials = pd.DataFrame(
        [(32, 0.001, 0, 3.0, False, 0.5), (32, 0.002, 0, 9.0, True, 0.6), (8, 0.001, 0, 9.0, True, 0.7),
         (8, 0.002, 0, 9.0, True, 0.4), (64, 0.001, 1, 9.0, True, 0.1)],
        columns=["batch_size", "lr", "seed", "epochs", "complete", "loss"],
    )  # fmt: skip
    times = pd.DataFrame({"batch_size": [8], "seconds_per_epoch": [4.0]})
    values = dict(
        batch_size=100, lr=0.01, warmup_epochs=0, accumulate=1, sure="low", unit="loss", difference=None,
        default=(32, 0.001), reasons=("one", "two"), following="next.", trials=trials, times=times,
        algorithm_2="start", seconds=12.4, cpu_seconds=3.0,
    )  # fmt: skip
    return Answer(**values | more)


def test_an_answer_in_lines():
    assert told().headline == "batch size 100, learning rate 0.01"
    assert told(accumulate=3, warmup_epochs=1).headline == (
        "batch size 100 (34 fits: accumulate 3), learning rate 0.01, warm-up over 1 epoch"
    )
    assert told(warmup_epochs=2).headline.endswith("warm-up over 2 epochs")
    rows = told().rows()
    assert rows[:4] == [
        ("answer", told().headline),
        ("how sure", "low"),
        ("because", "one"),
        ("", "two"),
    ] and rows[-1] == ("took", "12 s, 5 trainings")
    none = told(batch_size=None).rows()
    assert none[:2] == [("answer", "no recommendation: one"), ("because", "two")]
    table = told().table()  # of each size whole trainings, of these the least loss; of the first seed alone
    assert table.values.tolist() == [[8, "0.002", "9", "0.4", "4"], [32, "0.002", "9", "0.6", "-"]]
    assert told(trials=told().trials.assign(loss=math.nan)).table() is None
    assert told(trials=told().trials.assign(value=math.nan)).table().equals(table), "the loss is what counts"
    gone = told(trials=told().trials.assign(loss=[0.5, math.nan, 0.7, 0.4, 0.1])).table()
    assert gone.values.tolist()[1] == [32, "0.001", "3", "0.5", "-"], "what diverged has no loss"
    cut_short = told(trials=told().trials.assign(complete=False)).table()
    assert cut_short.values.tolist()[1] == [32, "0.001", "3", "0.5", "-"], (
        "of cut ones the best, not the longest"
    )
    assert told(accumulate=2).headline.startswith("batch size 100 (50 fits: accumulate 2)")


def test_an_answer_says_itself_as_text_and_as_html():
    lines = repr(told()).splitlines()
    assert lines[0] == f"answer       {told().headline}" and lines[7] == ""
    assert [line.split() for line in lines[8:]] == [
        "B best rate epochs validation loss epoch, s".split(),
        ["8", "0.002", "9", "0.4", "4"],
        ["32", "0.002", "9", "0.6", "-"],
    ]
    page = BeautifulSoup(told(sure="<low>")._repr_html_(), "html.parser")
    first, second = page.find_all("table")
    assert [td.text for td in first.find_all("td")] == [text for _, text in told(sure="<low>").rows()]
    assert [th.text for th in second.find_all("th")] == list(told().table()) and "border" not in second.attrs
    none = told(trials=told().trials.assign(loss=math.nan))
    assert len(repr(none).splitlines()) == 7
    assert len(BeautifulSoup(none._repr_html_(), "html.parser").find_all("table")) == 1


def test_an_answer_as_plain_values_and_back():
    trials = pd.DataFrame([dict.fromkeys(TRIALS, 1) | {"loss": math.nan}], columns=TRIALS)
    given = told(trials=trials, difference=Lead(1.5, -math.inf, 2.0, 3, 0.25), lr=0.5)
    values = given.to_dict()
    assert values["trials"] == [dict.fromkeys(TRIALS, 1) | {"loss": None}]
    assert values["times"] == [{"batch_size": 8, "seconds_per_epoch": 4.0}]
    assert values["difference"] == {"mean": 1.5, "low": None, "high": 2.0, "n": 3, "error": 0.25}
    assert values["reasons"] == ["one", "two"] and (values["lr"], values["sure"]) == (0.5, "low")
    back = restored(values)
    assert back.difference == Lead(1.5, None, 2.0, 3, 0.25) and back.reasons == ("one", "two")
    assert back.default == (32, 0.001) and list(back.trials) == TRIALS and back.to_dict() == values
    assert restored(told(trials=trials).to_dict()).difference is None


# In the terminal


@pytest.fixture
def asked(monkeypatch):
    """What `recommend` and `select_batch_size` are called with."""
    calls = {}
    for name in ("recommend", "select_batch_size"):
        monkeypatch.setattr(by_name, name, lambda *a, _name=name, **k: calls.update({_name: (a, k)}) or _name)
    return calls


def test_a_problem_keeps_its_rate_unless_the_optimizer_is_another(asked):
    posed = {"model": net, "data": ((1, 2), (3, 4)), "optimizer": "adam", "base_lr": 0.002, "loss": None}
    by_name.recommended(posed, optimizer="adam", epochs=3)
    assert asked["recommend"] == ((), posed | {"epochs": 3, "max_batch_size": None})
    by_name.recommended(posed, optimizer="sgd", max_batch_size=64)
    given = asked["recommend"][1]
    assert "base_lr" not in given and given["optimizer"] == "sgd" and given["max_batch_size"] == 64
    by_name.recommended(posed, optimizer="sgd", base_lr=0.5)
    assert asked["recommend"][1]["base_lr"] == 0.5
    by_name.recommended(posed, loss="mse_loss")
    assert asked["recommend"][1]["loss"] is F.mse_loss and asked["recommend"][1]["base_lr"] == 0.002
    assert by_name.recommended(dict(posed), by_algorithm_2=True) == "select_batch_size"
    given = asked["select_batch_size"][1]
    assert given["train"] == (1, 2) and given["validation"] == (3, 4) and "data" not in given
    for more in ({"metric": "os:getcwd"}, {"max_batch_size": 8}):
        with pytest.raises(BadInput, match="neither a metric nor a largest"):
            by_name.recommended(dict(posed), by_algorithm_2=True, **more)


def test_model_and_data_are_named_both_or_neither(asked, tmp_path, monkeypatch):
    (tmp_path / "named.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    by_name.recommended(None, "named:make", "named:data", metric="named:make")
    given = asked["recommend"][1]
    assert given["model"].__name__ == "<lambda>" and len(given["data"]) == 2 and callable(given["metric"])
    for problem, model, data in (
        ({}, None, None), ({"a": 1}, "named:make", "named:data"), ({}, "named:make", None),
        ({}, None, "named:data"), ({"a": 1}, "named:make", None),
    ):  # fmt: skip
        with pytest.raises(BadInput, match="give either a built-in problem, or both"):
            by_name.recommended(problem, model, data)


# Algorithm 2


def test_the_table_of_starts():
    table = published.critical()
    logs = [
        math.log(row.critical_batch_size / math.sqrt(DATASETS[row.dataset].n_train))
        for row in table.itertuples()
    ]
    c = math.exp(sum(logs) / len(logs))
    found = algorithm_2.starts([100, 800, 8000, 40_000, 10**6]).set_index("N")
    for size, row in found.iterrows():
        top = row["largest B"]
        assert row["c√N"] == round(c * math.sqrt(size))
        assert top <= c * math.sqrt(size) < 2 * top and row["starts at B"] <= top
        assert row["with rate"] == pytest.approx(0.001 * row["starts at B"] / 32)
        assert row["warm-up in reach"] == ("yes" if top >= 256 else "no")
    assert set(found["warm-up in reach"]) == {"yes", "no"}


@pytest.mark.parametrize(
    "b, epochs, warm", [(255, 50, 0), (256, 50, 5), (256, 9, 4), (512, 1, 0), (512, 10, 5)]
)
def test_warm_up_is_five_epochs_or_half(b, epochs, warm):
    assert algorithm_2.warmup(b, epochs) == warm
