"""Each answer of what it asks, made up: its numbers in order, and that it stops where its words are wrong."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from bbatch import published
from bbatch.analysis import (
    accuracy,
    batch_and_rate,
    critical_batch_size,
    efficiency,
    generalization_gap,
    landscapes,
    learning_rate_rules,
    noise_and_batch_size,
    printed,
    regret,
    sharpness_and_batch_size,
    warm_up,
)
from bbatch.analysis.estimate import Estimate
from bbatch.claims import answers_on_accuracy as on_accuracy
from bbatch.claims import answers_on_geometry as on_geometry
from bbatch.claims import answers_on_training as on_training
from bbatch.config import PUBLISHED, SYNTHETIC

ONE, TEN, FIFTY = SYNTHETIC
INF = float("inf")
OURS = SimpleNamespace(
    runs="ours",
    ablation="ablation",
    measures="measures",
    minima="minima",
    choices="choices",
    warm_up=[1],
    maps="maps",
    circles="circles",
    records={},
    trained={d: f"curves of {d}" for d in PUBLISHED},
)


def of(value, low=None, high=None, n=5, **more):
    low, high = (value if bound is None else bound for bound in (low, high))
    return Estimate(value, n, bounds=(low, high), **more)


def around(value, half, **more):
    return of(value, value - half, value + half, **more)


def frozen(value):
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value if isinstance(value, str | int | float) else "paper"


class Asked:
    """A function whose answers are set; asked for anything else it raises `KeyError`. Tables and evidence of
    the paper are "paper"."""

    def __init__(self, monkeypatch, module, name, answers):
        self.answers = {frozen(asked): answer for asked, answer in answers.items()}
        monkeypatch.setattr(module, name, self)

    def __call__(self, *given, **named):
        return self.answers[frozen([*given, *named.values()])]


@pytest.fixture
def ask(monkeypatch):
    return lambda module, name, answers: Asked(monkeypatch, module, name, answers)


def numbers(text: str) -> list[str]:
    return re.findall(r"−?\d+(?:\.\d+)?", text)


def wrong(answer, asked: Asked, changed: dict):
    """The answer's words do not hold where something else is answered."""
    before = dict(asked.answers)
    asked.answers.update({frozen(key): value for key, value in changed.items()})
    with pytest.raises(AssertionError):
        answer(OURS)
    asked.answers = before


def all_wrong(answer, asked: Asked, cases: dict):
    for key, value in cases.items():
        wrong(answer, asked, {key: value})


def of_mnist(**metrics):
    """Runs of MNIST with these metrics: {batch size: values}, such as `test_acc={32: [99.0]}`."""
    columns = {name: [v for values in cells.values() for v in values] for name, cells in metrics.items()}
    sizes = [b for b, values in next(iter(metrics.values())).items() for _ in values]
    return pd.DataFrame({"dataset": "mnist", "batch_size": sizes} | columns)


def test_smaller(ask):
    key = ("ours", SYNTHETIC)
    rises = [of(-1.25, -2, -0.5), of(-0.5, -0.75, -0.25), of(-0.75, -1, -0.5)]
    ends = ask(accuracy, "from_end_to_end", {key: rises})
    at = {b: ("ours", ONE, b, "train_acc") for b in (1, 32)}
    trained = ask(accuracy, "level", {at[1]: around(90.0, 1), at[32]: around(95.0, 1.5)})
    cifar = ("ours", "cifar10", 32, 1024)
    falls = ask(accuracy, "fall", {cifar: of(30.0)})
    mnist = {32: [99.0, 98.5], 1024: [98.5, 98.75, 11.0]}
    linear = ask(accuracy, "linear", {("ours", "mnist"): of_mnist(test_acc=mnist)})
    ask(on_accuracy, "by_seed", {("ours", "mnist", "test_acc"): pd.DataFrame(columns=[32, 1024])})
    told = "1 512 1.25 0.50 0.75 1 10 50 0.00003 1 90.00 1.00 1 32 95.00 1.50 3 1024 1 0.25 32 10 30 32 1024"
    assert numbers(on_accuracy.smaller(OURS)) == told.split()
    for k in range(3):
        wrong(
            on_accuracy.smaller, ends, {key: [of(-0.5, -1, 0) if i == k else r for i, r in enumerate(rises)]}
        )
    wrong(on_accuracy.smaller, trained, {at[1]: around(92.0, 1.5)})  # ends where the other begins
    wrong(on_accuracy.smaller, falls, {cifar: of(20.0)})
    far = of_mnist(test_acc=mnist | {1024: [98.25, 98.75]})  # half a point below the mean of B = 32
    wrong(on_accuracy.smaller, linear, {("ours", "mnist"): far})
    falls.answers[cifar] = Estimate()
    assert on_accuracy.smaller(OURS).endswith("Some batch sizes of the image sets have no run of ours yet.")
    falls.answers[cifar] = of(30.0)
    ask(on_accuracy, "by_seed", {("ours", "mnist", "test_acc"): pd.DataFrame(columns=[32])})
    assert on_accuracy.smaller(OURS).endswith("Some batch sizes of the image sets have no run of ours yet.")


def test_how_far(ask):
    falls = {
        ("ours", d, 32, 512): e
        for d, e in zip(SYNTHETIC, (around(1.0, 0.9), around(0.5, 0.25), around(-0.25, 0.5)), strict=True)
    }
    theirs = {("paper", d, 32, 512): of(x) for d, x in zip(SYNTHETIC, (1.5, 0.25, -1), strict=True)}
    asked = ask(accuracy, "fall", falls | theirs | {("ours", "cifar10", 32, 512): of(40.0)})
    mnist = of_mnist(test_acc={32: [99.0, 98.5], 512: [98.5, 98.75]})
    ask(accuracy, "linear", {("ours", "mnist"): mnist})
    ask(on_accuracy, "by_seed", {("ours", "mnist", "test_acc"): pd.DataFrame(columns=[32, 512])})
    told = "32 512 1.00 0.90 0.50 0.25 −0.25 0.50 1 10 50 1.50 0.25 −1.00 2 512 0.25 32 10 40 32 512"
    assert numbers(on_accuracy.how_far(OURS)) == told.split()
    all_wrong(
        on_accuracy.how_far, asked, {("ours", TEN, 32, 512): of(0.5, 0, 2), ("paper", ONE, 32, 512): of(2.0)}
    )


def test_where(ask):
    key = ("ours", ((ONE, FIFTY),), 8, 512)
    small = ask(accuracy, "excess", {key: [of(-2.0, -3, -1)]})
    fall = {d: ("ours", d, 8, 512) for d in (ONE, FIFTY, "cifar10")}
    falls = ask(
        accuracy, "fall", {fall[ONE]: of(-1.25), fall[FIFTY]: around(0.5, 0.25), fall["cifar10"]: of(25.0)}
    )
    assert numbers(on_accuracy.where(OURS)) == "8 512 1.25 0.50 0.25 10 25".split()
    wrong(on_accuracy.where, small, {key: [of(-2.0, -3, 0)]})
    all_wrong(on_accuracy.where, falls, {fall[ONE]: of(0.0), fall[FIFTY]: of(0.0), fall["cifar10"]: of(10.0)})


def test_values(ask):
    tables = ("ours", SYNTHETIC, ("test_acc", "train_acc_running"))
    clean = ("ours", SYNTHETIC, ("gap",))
    images = ("ours", ("mnist", "cifar10"), ("test_acc",))
    inside = ask(accuracy, "cells_inside", {tables: (54, 60), clean: (9, 20), images: (9, 16)})
    at = ("ours", ONE, 8)
    level = ask(accuracy, "level", {at: Estimate(95.0, 5, error=0.5, one_run=2.0)})
    # 1.96 · 0.5; the text says 89.5 %
    told = "54 60 95 57 9 16 9 20 89.5 1 8 95.00 0.98".split()
    assert numbers(on_accuracy.values(OURS).replace("IV-A", "")) == told
    all_wrong(on_accuracy.values, inside, {tables: (53, 60), clean: (10, 20)})
    for few in (8, 16):
        wrong(on_accuracy.values, inside, {images: (few, 16)})
    wrong(on_accuracy.values, level, {at: Estimate(95.0, 5, error=0.5, one_run=3.0)})


def test_best(ask):
    def likely(*sizes):
        return Estimate(32.0, among=sizes)

    found = {ONE: (32, 128), TEN: (64,), FIFTY: (8, 64), "mnist": (16, 32)}
    asked = ask(
        critical_batch_size, "outcomes", {("ours", d, "optimal"): likely(*b) for d, b in found.items()}
    )
    text = on_accuracy.best(OURS)
    assert text.endswith(
        "Synthetic 1K: 32 and 128; Synthetic 10K: 64; Synthetic 50K: 8 and 64; MNIST: 16 and 32."
    )
    changed = {ONE: (32,), "mnist": (31, 65), TEN: (16,)}
    all_wrong(on_accuracy.best, asked, {("ours", d, "optimal"): likely(*b) for d, b in changed.items()})


def test_mnist_end(ask, monkeypatch):
    def runs(**changed):
        cells = {
            "test_acc": {32: [99.0], 1024: [98.5, 11.0, 98.25]},
            "train_acc": {32: [99.5], 1024: [99.25, 11.0, 99.125]},
            "gap_running": {32: [0.5], 1024: [0.25, -0.5, 0.125]},
            "gap": {32: [0.5], 1024: [0.75, -0.25, 0.875]},
        }
        return of_mnist(**cells | {name: {32: cells[name][32], 1024: v} for name, v in changed.items()})

    key = ("ours", "mnist")
    asked = ask(on_accuracy, "linear", {key: runs()})
    monkeypatch.setattr(accuracy, "linear", asked)
    told = "3 1024 2 0.125 0.25 0.75 0.875 −0.59 0.25 0.375 32 −0.50".split()  # −0.59: of Table III
    assert numbers(on_accuracy.mnist_end(OURS)) == told
    changes = (
        {"gap_running": [0.0, -0.5, 0.1]},
        {"gap": [0.0, -0.5, 0.1]},
        {"train_acc": [99.5, 11.0, 99.0]},
        {"train_acc": [99.25, 11.0, 99.0]},
        {"test_acc": [98.5, 98.5, 98.25]},
        {"test_acc": [98.5, 11.0, 12.0]},
    )
    for change in changes:
        wrong(on_accuracy.mnist_end, asked, {key: runs(**change)})


def test_degrades(ask):
    def table(**cells):
        return pd.DataFrame({int(b[1:]): values for b, values in cells.items()})

    key = ("ours", "cifar10", "test_acc")
    cells = {"b64": [75.5, 77.0], "b256": [65.25, None], "b512": [50.0, 60.0], "b1024": [40.0, 41.0]}
    asked = ask(on_accuracy, "by_seed", {key: table(**cells)})
    text = on_accuracy.degrades(OURS)
    assert numbers(text) == "5 256 512 1024 10.2 2 64 6".split()
    wrong(on_accuracy.degrades, asked, {key: table(**cells | {"b512": [69.5, 20.0]})})  # by six alone
    for size in cells:
        some = {b: values for b, values in cells.items() if b != size}
        asked.answers[frozen(key)] = table(**some)
        assert "no run of ours yet" in on_accuracy.degrades(OURS)


def test_chance(ask):
    at = {b: ("ours", "cifar10", b, 10) for b in (256, 512, 1024)}
    asked = ask(accuracy, "share_at_most", {at[256]: of(0.0), at[512]: of(0.5), at[1024]: of(0.0)})
    ask(accuracy, "level", {("ours", "cifar10", 1024): of(55.5, n=3)})
    assert numbers(on_accuracy.chance(OURS)) == "1024 55.50 3 10.00 512".split()
    all_wrong(on_accuracy.chance, asked, {at[512]: of(0.0), at[1024]: of(50.0)})
    asked.answers[at[1024]] = Estimate()
    assert on_accuracy.chance(OURS) == "No run of ours at this batch size yet."


def test_gap_grows(ask):
    key = {whose: (whose, "gap_running") for whose in ("paper", "ours")}
    asked = ask(
        generalization_gap,
        "correlation",
        {key["paper"]: of(0.5, -0.25, 0.75, n=42), key["ours"]: of(0.625, -0.375, 0.8, n=43)},
    )
    told = "42 0.50 −0.25 0.75 0.87 43 0.62 −0.38 0.80".split()
    assert numbers(on_training.gap_grows(OURS)) == told
    for off in (of(0.5, -0.25, 0.87), of(0.5, 0.0, 0.75), of(-0.5, -0.75, 0.0)):
        all_wrong(on_training.gap_grows, asked, {k: off for k in key.values()})


def base(d, small, large, to):
    return (OURS.trained[d], d, small, large, to)


def test_epoch_time(ask):
    ours = {d: around(x, 0.5) for d, x in zip(SYNTHETIC, (4.0, 8.5, 6.0), strict=True)}
    against = ask(efficiency, "against_base", {base(d, 1, 512, 0): {"epoch": e} for d, e in ours.items()})
    theirs = dict(zip(PUBLISHED, (60.0, 75.0, 90.0, 20.0, 11.0), strict=True))
    from_1 = {("paper", d, 1): of(x) for d, x in theirs.items()}
    from_32 = {("paper", d, 32): of(x / 10) for d, x in theirs.items()}
    asked = ask(efficiency, "printed_speedup", from_1 | from_32)
    told = "11 90 1 1.1 9 32 4 8.5 1".split()
    assert numbers(on_training.epoch_time(OURS)) == told
    wrong(on_training.epoch_time, against, {base(TEN, 1, 512, 0): {"epoch": of(8.5, 7, 10)}})
    wrong(on_training.epoch_time, asked, {("paper", ONE, 1): of(50.0)})


@pytest.fixture
def reached(ask):
    """reached(column, value, half): what `against_base` says to the target of each synthetic set; of MNIST
    four times as much."""
    names = (*SYNTHETIC, "mnist")
    ask(efficiency, "target", {("ours", d): 90.0 + k for k, d in enumerate(names)})

    def put(column, value, half):
        values = [value, value + 1 / 8, value + 2 / 8, 4 * value]
        given = {
            base(d, 32, 512, 90.0 + k): {column: around(v, half)}
            for k, (d, v) in enumerate(zip(names, values, strict=True))
        }
        return ask(efficiency, "against_base", given)

    return put


def test_epochs(reached):
    asked = reached("epochs", 0.5, 0.125)
    told = "512 0.50 0.12 0.62 0.12 0.75 0.12 32 1 10 50 0.016 0.001 2.00 0.12 5 5 12".split()
    assert numbers(on_training.epochs(OURS)) == told
    wrong(on_training.epochs, asked, {base(TEN, 32, 512, 91.0): {"epochs": of(0.5, 0.25, 1)}})
    wrong(on_training.epochs, asked, {base("mnist", 32, 512, 93.0): {"epochs": of(2.0, 1.5, 3)}})


def test_time_left(reached, ask):
    asked = reached("effective", 1.5, 0.25)
    mnist = of(1.25, 1.125, 1.5)
    gains = ask(efficiency, "wall_clock", {("paper", 80, 32): [of(9.0)] * 3 + [mnist, of(9.0)]})
    told = "512 1.50 0.25 1.62 0.25 1.75 0.25 32 1 10 50 1.12 1.50".split()
    assert numbers(on_training.time_left(OURS)) == told
    wrong(on_training.time_left, asked, {base(TEN, 32, 512, 91.0): {"effective": of(1.5, 1, 2)}})
    wrong(on_training.time_left, gains, {("paper", 80, 32): [of(1.5)] * 3 + [of(1.25, 1.125, 2)]})


def test_scaling(ask):
    lost = ask(
        learning_rate_rules,
        "loss_without",
        {("ablation", 512): around(-0.125, 0.25), ("paper", 512): of(8.1)},
    )
    cells = (
        published.learning_rate_ablation().query("lr_rule == 'linear'").set_index("batch_size")["test_acc"]
    )
    more = {32: 1.5, 128: 3.0, 512: 8.25}
    at = {b: ("paper", FIFTY, b) for b in more}
    levels = ask(accuracy, "level", {at[b]: of(cells[b] + x) for b, x in more.items()})
    one, ten = (("maps", "constant", name, 512) for name in (ONE, TEN))
    down, up = ("maps", "linear", ONE, 1), ("maps", "linear", "cifar10", 256)
    rules = {one: of(3.0, 2.0, 4.5), ten: of(0.5, 0.25, 1.0), down: of(5.0, 4.0, 6.5), up: of(20, 7, 50, n=3)}
    maps = ask(batch_and_rate, "lost_by", rules)
    told = "50 512 −0.12 0.25 8.10 7.9 0.50 0.25 1.00 10 3.00 2.00 4.50 1 "
    told += "1 5.00 4.00 6.50 1 256 20.0 7.0 50.0 10 3 1.50 3.00 8.25"
    assert numbers(on_training.scaling(OURS)) == told.split()
    all_wrong(
        on_training.scaling,
        maps,
        {one: of(3.0, 1.0, 4.5), ten: of(0.5, 0.0, 1.0), down: of(5.0, 1.0, 6.5), up: of(20, 1, 50)},
    )
    with pytest.raises(AssertionError, match="there are maps"):
        on_training.scaling(SimpleNamespace(**vars(OURS) | {"maps": []}))
    all_wrong(
        on_training.scaling, lost, {("ablation", 512): around(-0.25, 0.25), ("paper", 512): of(8.1, 0.5, 9)}
    )
    wrong(on_training.scaling, lost, {("ablation", 512): around(0.25, 0.25)})
    wrong(on_training.scaling, levels, {at[128]: of(cells[128] + 0.875)})


def test_warm_up(ask, monkeypatch):
    lost = pd.DataFrame(
        [("mnist", 1024, 42, "bf16", 11.35)],
        columns=["dataset", "batch_size", "seed", "precision", "test_acc"],
    )
    monkeypatch.setattr(warm_up, "lost_with_it", lambda records: lost)

    def effects(**changed):
        synthetic = {
            (ONE, 256): around(-0.25, 1.0), (ONE, 512): around(0.5, 1.0), (ONE, 4096): around(0.0, 1.0),
            (ONE, 1024): around(0.75, 1.0),
            (TEN, 512): around(0.125, 0.5), (TEN, 4096): around(3.0, 0.5), (FIFTY, 4096): around(9.0, 1.0),
        }  # fmt: skip
        rows = {key: (e, 0.0, 0.0) for key, e in synthetic.items()}
        rows["cifar10", 256] = (of(30.0, n=3), 40.25, 70.25)
        rows["cifar10", 1024] = (of(40.0, n=3), 20.25, 60.5)
        rows |= {tuple(key.split("/")[:1]) + (int(key.split("/")[1]),): row for key, row in changed.items()}
        return pd.DataFrame(
            [(*key, *row) for key, row in rows.items()],
            columns=["dataset", "batch_size", "difference", "without", "with_it"],
        )

    def mnist(**changed):
        """Accuracies with a warm-up and without, three seeds each; `changed`: as B512=(98.5, 10.0)."""
        found = {(b, seed): (99.0, 9.5) for b in (256, 512, 1024) for seed in (42, 43, 44)}
        found |= {(512, 43): (98.25, 9.75), (256, 44): (99.0, 11.25), (1024, 42): (11.35, 9.5)}
        found |= {(int(name[1:]), 44): both for name, both in changed.items()}
        table = pd.DataFrame(found.values(), pd.MultiIndex.from_tuples(found, names=["batch_size", "seed"]))
        return table[0], table[1]

    key, twins = ((1,),), ((1,), "mnist")
    asked, pairs = (
        ask(warm_up, name, answers)
        for name, answers in (("warm_up_effect", {key: effects()}), ("with_and_without", {twins: mnist()}))
    )
    told = (
        "256 512 1024 11.25 98.25 9 1024 42 11.35 10 256 1024 20.2 40.2 60.5 70.2 3 256 10 10.00 "
        "256 512 5 −0.25 0.50 1024 4096 3.00 0.50 10 9.00 1.00 50"
    ).split()
    assert numbers(on_training.warm_up(OURS)) == told
    for name, row in {
        f"{TEN}/512": (around(-2.0, 0.5), 0, 0),
        f"{ONE}/256": (around(2.0, 2.0), 0, 0),
        f"{ONE}/1024": (around(2.0, 0.5), 0, 0),
        f"{TEN}/4096": (around(0.5, 0.5), 0, 0),
        f"{FIFTY}/4096": (around(0.5, 0.5), 0, 0),
        "cifar10/1024": (of(20.0, n=3), 20, 40),
    }.items():
        wrong(on_training.warm_up, asked, {key: effects(**{name: row})})
    for changed in ({"B512": (99.0, 12.0)}, {"B256": (98.0, 9.5)}, {"B128": (99.0, 9.5)}):
        wrong(on_training.warm_up, pairs, {twins: mnist(**changed)})
    fewer = tuple(accuracies.drop((512, 44)) for accuracies in mnist())
    wrong(on_training.warm_up, pairs, {twins: fewer})
    for other in (lost.iloc[:0], pd.concat([lost, lost]), lost.assign(precision="fp32")):
        with monkeypatch.context() as patch:
            patch.setattr(warm_up, "lost_with_it", lambda records, other=other: other)
            wrong(on_training.warm_up, asked, {key: effects()})
    wrong(on_training.warm_up, asked, {key: effects(**{"cifar10/1024": (of(40.0, n=2), 20, 60)})})


def test_free(ask, monkeypatch):
    times = {1: 201.0, 512: 2.0}
    monkeypatch.setattr(
        published,
        "results",
        lambda d: {FIFTY: pd.DataFrame(times.items(), columns=["batch_size", "epoch_time_s"])}[d],
    )
    asked = ask(
        efficiency,
        "against_base",
        {base(d, 1, 512, 0): {"epoch": around(4.0 + k, 0.5)} for k, d in enumerate(SYNTHETIC)},
    )
    assert numbers(on_training.free(OURS)) == "50 201.00 1 2.00 512 1 4 6 512 2".split()
    wrong(on_training.free, asked, {base(TEN, 1, 512, 0): {"epoch": of(4.0, 2, 6)}})
    times[1] = 200.0
    wrong(on_training.free, asked, {})


def test_sharper_minima(monkeypatch, ask):
    def ratios(**changed):
        found = {
            (ONE, "sharpness_l2", "train"): of(0.75, 0.5, 1.0),
            (FIFTY, "sharpness_l2", "train"): of(0.9, 0.75, 1.0),
            **{(d, "sharpness_relative", "train"): of(2.0 + k, 1.5, 9) for k, d in enumerate(SYNTHETIC)},
            **{(d, "sharpness_linf", "train"): of(0.5 + k / 8, 0.25, 0.9) for k, d in enumerate(SYNTHETIC)},
            **{(d, "hessian_trace", "train"): of(0.25 + k / 4) for k, d in enumerate(SYNTHETIC)},
            (TEN, "sharpness_filter", "test"): of(0.5, 0.25, 0.75),
        } | changed.pop("of", {})

        def ratio(runs, dataset, small, large, measure, split):
            assert (runs, small, large) == ("minima", 32, 512)
            return found.get((dataset, measure, split), of(1.0625, 1.0, 1.125))

        monkeypatch.setattr(sharpness_and_batch_size, "sharpness_ratio", ratio)

    ratios()
    near, far = ({d: ("circles", d, "train", at) for d in SYNTHETIC} for at in (0.5, 1.0))
    fixed = ("circles", FIFTY, "train", 1.0, "constant")
    walls = {key: of(0.75 + k / 4, 0.5, 1.5) for k, key in enumerate(near.values())}
    walls |= {key: of(1.5 + k / 4, 1.25, 3) for k, key in enumerate(far.values())}
    asked = ask(landscapes, "steeper_walls", walls | {fixed: of(0.5, 0.25, 0.75, n=9)})
    told = (
        "3 512 0.75 1.06 0.90 32 1 10 50 6.9 2.00 3.00 4.00 0.50 0.62 0.75 48 3 95 4 99.9 3 0.25 0.50 0.75 "
        "9 9 1.50 1.75 2.00 0.75 1.00 1.25 50 0.50 0.25"
    ).split()
    assert numbers(on_geometry.sharper_minima(OURS)) == told
    all_wrong(
        on_geometry.sharper_minima,
        asked,
        {
            far[TEN]: of(1.5, 1, 2),
            fixed: of(0.5, 0.25, 1),
            near[ONE]: of(0.75, 0.5, 1),
            near[TEN]: of(2, 1, 3),
        },
    )
    for key, value in {
        (TEN, "sharpness_relative", "train"): of(2.0, 1.0, 3),
        (TEN, "sharpness_linf", "train"): of(0.5, 0.25, 1.0),
        (TEN, "sharpness_l2", "train"): of(2.0, 1.5, 3),
        (TEN, "hessian_trace", "train"): of(1.0),
    }.items():
        ratios(of={key: value})
        with pytest.raises(AssertionError):
            on_geometry.sharper_minima(OURS)


def test_variance_law(ask):
    one = {
        d: ("measures", d, "gradient_variance_one_network", "initialization", "exponent") for d in SYNTHETIC
    }
    own = {d: ("measures", d, "gradient_variance", "convergence", "exponent") for d in SYNTHETIC}
    fits = dict(
        zip([*one.values(), *own.values()], map(of, (-1.0, -0.875, -1.125, -0.5, -2.0, 0.25)), strict=True)
    )
    asked = ask(noise_and_batch_size, "variance_fit", fits)
    assert numbers(on_geometry.variance_law(OURS)) == "−1.00 −0.88 −1.12 −0.50 −2.00 0.25".split()
    for off in (-0.75, -1.25):
        wrong(on_geometry.variance_law, asked, {one[TEN]: of(off)})


def test_grows_as_root(ask):
    at = {d: ("ours", d, "critical") for d in SYNTHETIC}
    asked = ask(critical_batch_size, "outcomes", {key: of(INF) for key in at.values()})
    none, some = (SimpleNamespace(critical=b) for b in (None, 64))
    papers = ask(
        critical_batch_size, "from_paper", {(d,): none if d in (TEN, "mnist") else some for d in PUBLISHED}
    )
    ask(critical_batch_size, "printed_exponent", {("paper", PUBLISHED): around(0.5, 0.25)})
    cut = ("paper", "problem", "N", "critical")

    def fits(*powers):
        return {cut: ([SimpleNamespace(exponent=SimpleNamespace(mean=p)) for p in powers], None)}

    powers = ask(on_geometry, "power_laws", fits(0.25, 0.75, 0.5))
    text = on_geometry.grows_as_root(OURS)
    assert (
        "does not on Synthetic 10K and MNIST, where" in text and "to the power 0.50\u00a0±\u00a00.25." in text
    )
    assert "as N to the power 0.25 to 0.75, from problem to problem" in text
    wrong(on_geometry.grows_as_root, powers, fits(0.25, 0.5))
    wrong(on_geometry.grows_as_root, powers, fits(0.5, 0.75))
    wrong(on_geometry.grows_as_root, asked, {at[TEN]: of(64.0)})
    wrong(on_geometry.grows_as_root, papers, {(TEN,): some, ("mnist",): some})


def test_algorithm(ask):
    lost = [around(0.5, 0.25), Estimate(), around(1.25, 0.5), Estimate(), Estimate()]
    losses = ask(regret, "lost_by_algorithm_2", {("choices",): lost})
    rates = ask(printed, "branch_rates", {("paper", "small"): [of(0.0005), of(0.002)]})
    fits = ask(printed, "fitting_base_rate", {("paper",): of(0.004)})
    tried = {ONE: 0.5, FIFTY: 1.25, "wine": 0.0, "text": 3.0}

    def regrets(found):
        both = {(name, "Algorithm 2"): value for name, value in found.items()} | {("wine", "always 32"): 9.0}
        return {("choices",): pd.Series(both).rename_axis(["problem", "method"])}

    each = ask(regret, "regrets_by_problem", regrets(tried))
    text = on_geometry.algorithm(OURS).replace("\u00a0", " ")
    assert (
        "On the other 2 problems" in text and "between 0.0 and 3.0 points on average, most on Text." in text
    )
    assert "it loses 0.50 ± 0.25 points on Synthetic 1K, 1.25 ± 0.50 points on Synthetic 50K against" in text
    assert "From its default rate, 0.001, line 9 gives 0.0005 at B = 16, below" in text
    assert text.endswith("prints; from 0.004 all branches would keep to theirs.")
    wrong(on_geometry.algorithm, fits, {("paper",): of(INF * 0)})
    wrong(on_geometry.algorithm, rates, {("paper", "small"): [of(0.001), of(0.002)]})
    for less in ({"text": 2.0}, {"wine": -0.5}):
        wrong(on_geometry.algorithm, each, regrets(tried | less))
    losses.answers[("choices",)] = [Estimate()] * 5
    assert on_geometry.algorithm(OURS) == "Not measured yet."


def test_itself(ask):
    counts = {"data sets": 5, "networks": 3, "batch sizes": 9, "orders": 3.0}
    counted = ask(printed, "counts_itself", {("paper", what): of(float(x)) for what, x in counts.items()})
    spent = ("paper", SYNTHETIC, 3600.0, "hours")
    hours = ask(printed, "budget", {spent: of(0.25)})
    sections = {"iv-e-sharpness-ratio": "IV-F", "iv-f-variance-r2": "IV-G", "iv-d-prerequisite": "IV-D"}
    stands = ask(
        printed, "stands_in", {("paper", id, at): of(float(at == "IV-D")) for id, at in sections.items()}
    )
    told = "5 3 9 3.00 4 2 3 0.25 3".split()
    assert numbers(on_geometry.itself(OURS)) == told
    wrong(on_geometry.itself, counted, {("paper", "orders"): of(3.5)})
    wrong(on_geometry.itself, hours, {spent: of(1.5)})
    wrong(on_geometry.itself, stands, {("paper", id, at): of(1.0) for id, at in sections.items()})
