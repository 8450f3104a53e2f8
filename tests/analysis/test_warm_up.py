"""Pairs of runs with and without a warm-up, found among records made up here and among the committed ones."""

import numpy as np
import pytest

from bbatch import metrics
from bbatch.analysis import choices_made, warm_up
from bbatch.config import Run
from bbatch.records.store import Store
from factories import record


def without(b, seed, right, **more):
    return record("mnist", b, seed, right, warmup_epochs=0, **more)


def test_a_pair_differs_in_its_warm_up_alone():
    failed = without(512, 43, 0)
    failed["observed"]["failure"] = "out of memory"
    records = [
        record("mnist", 512, 42, 9900),
        without(512, 42, 980),
        record("mnist", 512, 43, 9910),
        failed,
        record("mnist", 1024, 42, 9880),
        without(1024, 42, 970, precision="bf16"),  # another arithmetic
        record("mnist", 256, 42, 9870),
        without(256, 43, 960),  # another seed
        record("mnist", 512, 44, 9700, base_lr=0.3),
        without(512, 44, 950, base_lr=0.3),  # another rate, in both: none of them is the paper's
        record("cifar10", 1024, 42, 5600),
        record("cifar10", 1024, 42, 7600, warmup_epochs=5),
        record("cifar10", 1024, 42, 9999, warmup_epochs=3),  # not that of Table II: the pair stays one
        *(
            record("cifar10", 1024, 42, n, warmup_epochs=w, precision="bf16")
            for w, n in ((0, 1000), (5, 9000))
        ),
        record("cifar10", 512, 42, 6000, lr_rule="sqrt"),
        record("cifar10", 512, 42, 7000, lr_rule="sqrt", warmup_epochs=5),
    ]
    found = warm_up.warm_up_effect(warm_up.image_pairs(records)).set_index(["dataset", "batch_size"])
    assert list(found.index) == [("cifar10", 1024), ("mnist", 512)]
    cifar, mnist = found.loc[("cifar10", 1024)], found.loc[("mnist", 512)]
    # in 32 bits, of which there are as many as in 16: no seed counts twice
    assert (cifar["without"], cifar["with_it"]) == (56, 76) and cifar["difference"].value == pytest.approx(20)
    assert cifar["difference"].n == 1
    assert mnist["difference"].value == pytest.approx(89.2) and mnist["difference"].n == 1
    assert warm_up.warm_up_effect(warm_up.image_pairs([])).empty


def test_what_is_left_is_paired_by_seed_and_arithmetic():
    warmed = [
        record("cifar10", 512, 42, 7900, clean=40_000, warmup_epochs=5),
        record("cifar10", 512, 43, 7600, clean=39_000, warmup_epochs=5),
    ]
    plain = [record("cifar10", 512, seed, right) for seed, right in ((42, 6000), (43, 1000))]
    base = [
        record("cifar10", 32, 42, 8000, clean=41_000),
        record("cifar10", 32, 43, 7500, clean=38_000),
        record("cifar10", 32, 44, 1000),  # no warmed-up run has its seed
        record("cifar10", 32, 42, 2000, precision="bf16"),  # another arithmetic
        record("cifar10", 64, 42, 3000),  # another batch size
        record("mnist", 32, 42, 9900),
    ]
    found = warm_up.left_to_base(warm_up.image_pairs(warmed + plain), metrics.frame(base + plain))
    [row] = found.itertuples()
    assert (row.dataset, row.batch_size) == ("cifar10", 512)
    assert row.difference.value == pytest.approx((-1 + 1) / 2) and row.difference.n == 2
    assert (row.difference.unit, row.difference.how) == ("points", "paired by seed")
    assert row.difference.about == "CIFAR-10, B = 512 with warm-up and 32 without"
    assert row.difference.high == pytest.approx(12.706 * np.sqrt(2) / np.sqrt(2), rel=1e-3)  # t, one freedom
    assert set(row.difference.ids) == {r["id"] for r in warmed}
    [gap] = warm_up.left_to_base(
        warm_up.image_pairs(warmed + plain), metrics.frame(base + plain), metric="gap"
    ).itertuples()
    assert gap.difference.value == pytest.approx(((80 - 79) - (82 - 80) + (78 - 76) - (76 - 75)) / 2)
    [other] = warm_up.left_to_base(warm_up.image_pairs(warmed + plain), metrics.frame(base), 64).itertuples()
    assert other.difference.value == 79 - 30 and other.difference.n == 1  # seed 42 alone is at 64


def test_the_committed_pairs_are_those_found_by_hand():
    records = Store().frozen_records().values()
    right = {}
    for r in records:
        run = Run.from_dict(r["run"])
        if (
            run.dataset == "cifar10"
            and run.lr_rule == "linear"
            and run.epochs == 50
            and run.precision == "fp32"
        ):
            test, train = r["final"]["test_correct"] / 100, r["final"]["train_correct"] / 500
            right[run.batch_size, run.seed, run.warmup_epochs] = np.array([test, train - test])
    by_hand = {key[:2]: n - right[*key[:2], 0] for key, n in right.items() if key[2] == 5}
    choice = choices_made.WARMED
    rows = {b: both for c, _, b, *both in choices_made._warmed(records) if c == choice}
    assert by_hand and set(rows) == {b for b, _ in by_hand}
    for b, (accuracy, gap) in rows.items():
        each = [d for (size, _), d in by_hand.items() if size == b]
        assert [accuracy.mean, gap.mean] == pytest.approx(np.mean(each, axis=0))
        assert accuracy.n == gap.n == len(each)


def test_a_training_is_lost_near_chance_in_spite_of_a_warm_up():
    records = [
        record("mnist", 1024, 42, 1500),
        record("mnist", 1024, 43, 1501),  # more than five points above chance
        record("mnist", 512, 42, 980, precision="bf16"),
        without(512, 42, 980),
        record("mnist", 256, 42, 980, lr_rule="sqrt"),
        record("mnist", 256, 43, 980, epochs=11),
        record("mnist", 256, 44, 980, n_train=6000),
        record("cifar10", 1024, 42, 1000),  # the paper has no warm-up there
        record("cifar10", 1024, 44, 1000, warmup_epochs=5),
        record("synthetic-1k", 512, 42, 100, warmup_epochs=5),
    ]
    records.append(record("mnist", 512, 44, 0))  # ran out of memory: that says nothing of the training
    records[-1] |= {"history": {}, "final": {}}
    records[-1]["observed"]["failure"] = "out of memory"
    found = warm_up.lost_with_it(records)
    expected = [("cifar10", 1024, 44, "fp32"), ("mnist", 512, 42, "bf16"), ("mnist", 1024, 42, "fp32")]
    assert sorted(found.iloc[:, :4].itertuples(index=False, name=None)) == expected
    assert found["test_acc"].tolist().count(15.0) == 1 and warm_up.lost_with_it([]).empty


def test_runs_with_a_warm_up_and_their_twins_lie_apart():
    records = [
        record("mnist", 1024, 42, 9880),
        record("mnist", 512, 43, 9910),
        record("mnist", 512, 42, 9900),
        without(512, 42, 980),
        without(512, 43, 1135),
        without(1024, 42, 970),
        record("cifar10", 1024, 42, 5600),
        record("cifar10", 1024, 42, 7600, warmup_epochs=5),
    ]
    warmed, plain = warm_up.with_and_without(warm_up.image_pairs(records), "mnist")
    assert list(warmed.items()) == [((512, 42), 99.0), ((512, 43), 99.1), ((1024, 42), 98.8)]
    assert list(plain.items()) == [((512, 42), 9.8), ((512, 43), 11.35), ((1024, 42), 9.7)]
