"""The numbers in the answers, against means by `groupby` and the cells of the paper's tables."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from bbatch import published
from bbatch.claims.questions import QUESTIONS
from bbatch.config import SYNTHETIC

SETS = list(SYNTHETIC)


@pytest.fixture(scope="module")
def said(committed):
    """{question: the numbers of its answer, in order}, and the text."""
    texts = {q.id: q.answer(committed).replace("−", "-") for q in QUESTIONS}
    return {
        id: ([float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", text)], text) for id, text in texts.items()
    }


@pytest.fixture(scope="module")
def mean(committed):
    """mean(data set, batch size, metric): over the seeds of the linear rule."""
    means = (
        committed.runs[committed.runs["lr_rule"] == "linear"]
        .groupby(["dataset", "batch_size"])[["test_acc", "train_acc", "gap", "gap_running"]]
        .mean()
    )
    return lambda d, b, metric="test_acc": means.loc[(d, b), metric]


def printed(dataset, batch_size, column="test_acc"):
    cell = published.results(dataset).set_index("batch_size")[column]
    return float(cell[batch_size])


def holds(numbers, wanted, decimals=2):
    """Whether the wanted numbers, rounded, stand among those of a text, in their order."""
    left = iter(numbers)
    return all(any(math.isclose(x, w, abs_tol=0.51 * 10**-decimals) for x in left) for w in wanted)


def test_accuracies(said, mean, committed):
    rises = [mean(d, 512) - mean(d, 1) for d in SETS]
    trained = [mean("synthetic-1k", b, "train_acc") for b in (1, 32)]
    assert holds(said["smaller"][0], [1, 512, *rises, 1, 10, 50, 0.00003, 1, *trained])
    assert "0.00003 at B = 1" in said["smaller"][1]
    assert holds(said["how-far"][0], [mean(d, 32) - mean(d, 512) for d in SETS])
    assert holds(said["how-far"][0], [printed(d, 32) - printed(d, 512) for d in SETS])
    fall = mean("synthetic-50k", 8) - mean("synthetic-50k", 512)
    assert holds(said["where"][0], [mean("synthetic-1k", 512) - mean("synthetic-1k", 8), fall])
    text_says = published.value("iv-a-1k-b8")
    assert holds(said["values"][0], [text_says, mean("synthetic-1k", 8)], 1)
    last = committed.runs.query("dataset == 'mnist' and lr_rule == 'linear' and batch_size == 1024")
    kept = last[last["test_acc"] > 15]
    gaps = [f(kept[m]) for m in ("gap_running", "gap") for f in (min, max)]
    assert holds(said["mnist-end"][0], [len(last), len(kept), *gaps, printed("mnist", 1024, "gap")])


def test_training(said):
    def slope(frame, metric):
        return np.corrcoef(np.log(frame["batch_size"]), frame[metric])[0, 1]

    tables = published.printed_frame()
    assert holds(said["gap"][0], [slope(tables, "gap_running"), published.value("iv-b-correlation")])
    said_of_r = re.findall(r"([\d.]+) \(([-\d.]+) to ([-\d.]+)\)", said["gap"][1])
    assert len(said_of_r) == 2
    for r, low, high in said_of_r:
        assert float(low) < float(r) < float(high)
    assert holds(said["warm-up"][0], [printed("cifar10", 1024)])
    times = tables.pivot(index="batch_size", columns="dataset", values="epoch_time_s")
    fifty = times["synthetic-50k"]
    assert holds(said["free"][0], [fifty[1], fifty[512]])
    of_1, of_32 = ([times.loc[b, d] / times[d].dropna().iloc[-1] for d in times] for b in (1, 32))
    assert holds(said["epoch-time"][0], [np.nanmin(of_1), np.nanmax(of_1), min(of_32), max(of_32)], 1)


def test_without_scaling(said, committed):
    runs = committed.ablation.query("dataset == 'synthetic-50k' and batch_size == 512")
    wide = runs.pivot_table(index="seed", columns="lr_rule", values="test_acc").dropna()
    lost = (wide["linear"] - wide["constant"]).mean()
    five = published.ablation_frame().set_index(["batch_size", "lr_rule"])["test_acc"]
    theirs = five[512, "linear"] - five[512, "constant"]
    seven = published.printed_frame().query("dataset == 'synthetic-50k'").set_index("batch_size")["test_acc"]
    lower = [seven[b] - a for (b, rule), a in five.items() if rule == "linear"]
    assert holds(said["scaling"][0], [50, 512, lost, theirs, published.value("iv-d-drop"), *lower])


def test_sharpness(said, committed):
    m = committed.measures.query("lr_rule == 'linear' and batch_size in (32, 512)")

    def ratios(measure, split):
        for d in SETS:
            here = m[(m["dataset"] == d) & (m["measure"] == measure) & (m["split"] == split)]
            last = here[here["epoch"] == here["epoch"].max()]
            logs = np.log(last.pivot_table(index="seed", columns="batch_size", values="value").dropna())
            yield math.exp((logs[512] - logs[32]).mean())

    wanted = [r for ball in ("l2", "relative", "linf") for r in ratios(f"sharpness_{ball}", "train")]
    assert holds(said["sharpness"][0], wanted)
    assert holds(said["sharpness"][0], list(ratios("hessian_trace", "train")))


def test_what_is_counted_of_the_paper(said):
    tables = published.printed_frame()
    hours = 50 * tables[tables["dataset"].isin(SETS)]["epoch_time_s"].sum() / 3600
    numbers, text = said["itself"]
    assert numbers[:3] == [tables["dataset"].nunique(), 3, tables["batch_size"].nunique()]
    sizes = tables["batch_size"]
    assert holds(numbers, [math.log10(sizes.max() / sizes.min()), published.value("vii-orders"), hours])
    assert pd.notna(hours) and "of 3 references" in text


def test_cifar10_and_warm_up(said, mean, committed):
    """Single runs by hand, from the records and not from the tables that the answers read."""
    ends = {}
    for r in committed.records.values():
        run = r["run"]
        if run["lr_rule"] == "linear" and run["dataset"] in ("mnist", "cifar10"):
            whole = run["epochs"] == (12 if run["dataset"] == "mnist" else 50) and run["n_train"] >= 50_000
            if whole and r["final"]:
                key = run["dataset"], run["batch_size"], run["seed"], run["warmup_epochs"], run["precision"]
                ends[key] = r["final"]["test_correct"] / 100
    plain = {key[:3]: end for key, end in ends.items() if key[0] == "cifar10" and key[3:] == (0, "fp32")}
    small = [end for (_, b, _), end in plain.items() if b == 64]
    large = {b: [end for (_, size, _), end in plain.items() if size == b] for b in (256, 512, 1024)}
    every = sum(large.values(), [])
    shown = said["degrades"][0]
    assert holds(shown, [len(every), 256, 512, 1024, min(small) - max(every), len(small), 64], 1)
    seeds = (42, 43, 44)
    falls = [plain["cifar10", 8, s] - plain["cifar10", 512, s] for s in seeds]
    assert holds(said["where"][0], [sum(falls) / 3], 0)
    chance = [b for b, found in large.items() if min(found) == 10]
    assert holds(said["chance"][0], [1024, mean("cifar10", 1024), len(large[1024]), 10, *chance])
    pairs = [
        (b, end, ends["mnist", b, seed, 5, precision])
        for (name, b, seed, warm, precision), end in ends.items()
        if name == "mnist" and b >= 256 and not warm and ("mnist", b, seed, 5, precision) in ends
    ]
    sizes = sorted({b for b, *_ in pairs})
    of_size = [[warm for size, _, warm in pairs if size == b] for b in sizes]
    kept = [[warm for warm in of if warm > 12] for of in of_size]
    of_mnist = [max(end for _, end, _ in pairs), min(map(min, kept)), len(pairs)]
    assert list(map(len, of_size)) == [3, 3, 3] and list(map(len, kept)) == [3, 3, 2], (
        "one is lost with it, too"
    )
    without = [sum(plain["cifar10", b, s] for s in seeds) / 3 for b in large]
    warmed = [sum(ends["cifar10", b, s, 5, "fp32"] for s in seeds) / 3 for b in large]
    images = [*large, min(without), max(without), min(warmed), max(warmed), 3]
    assert sizes == [256, 512, 1024]
    assert holds(said["warm-up"][0], [*sizes, *of_mnist, *images, 256, 10], 1)
