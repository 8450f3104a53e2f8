"""`bbatch verify`: what agrees, what does not, and how that is told."""

import json
from copy import deepcopy

import pytest

from bbatch import cli, commands
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.records.store import Store
from bbatch.sweeping import verify
from bbatch.sweeping.sweep import sweep


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A folder of committed records: three short runs, one that diverged."""
    from concurrent.futures import ThreadPoolExecutor

    folder = tmp_path_factory.mktemp("committed")
    store = Store(folder / "live", folder / "results")
    runs = [plan("synthetic-1k", 64, seed, epochs=2) for seed in (1, 2, 3)]
    runs += [plan("synthetic-1k", 64, 4, epochs=2, base_lr=1e30)]
    with ThreadPoolExecutor(1) as executor:
        sweep(runs, store, executor=executor, progress=False)
    store.freeze()
    return folder / "results"


@pytest.fixture
def committed(frozen):
    return Store("nowhere", frozen).frozen_records()


def test_the_choice_is_random_and_reproducible(committed):
    chosen = [r["id"] for r in verify.random_sample(committed, sample=3, seed=5)]
    assert len(set(chosen)) == 3 and chosen == [
        r["id"] for r in verify.random_sample(committed, ["synthetic-1k"], 3, 5)
    ]
    assert (
        len({tuple(r["id"] for r in verify.random_sample(committed, sample=2, seed=s)) for s in range(20)})
        > 3
    )


@pytest.mark.parametrize(
    "given, said",
    [
        ({"sample": 0}, "sample is 0; it must be a whole number from 1 to 4"),
        ({"sample": 5}, "sample is 5; it must be a whole number from 1 to 4"),
        ({"seed": -1}, "seed is -1"),
        ({"datasets": ["mnist"]}, "no record of mnist is committed"),
        ({"datasets": ["minst"]}, "data set 'minst' is unknown"),
    ],
)
def test_a_bad_choice_is_refused(given, said, committed):
    with pytest.raises(BadInput, match=said):
        verify.random_sample(committed, **given)


def test_expected_seconds():
    records = [{"observed": {"seconds": [s, s], "evaluate_seconds": [1.0, 1.0]}} for s in (1, 2, 30)]
    assert verify.seconds_expected(records, 1) == 4 + 6 + 62
    assert verify.seconds_expected(records, 2) == 62  # no run is shared out
    assert verify.seconds_expected([{"observed": {"seconds": [2.0]}}], 1) == 2  # evaluation was not recorded


def changed(record, **final):
    other = deepcopy(record)
    other["final"] |= final
    return other


def test_agreement(committed):
    record = next(r for r in committed.values() if r["final"]["diverged_epoch"] is None)
    right, n = record["final"]["test_correct"], record["data"]["n_test"]
    row = verify.compare_records(record, record)
    assert row["agreement"] == "bit-identical" and row["why"] is None
    assert row["recorded"] == row["here"] == 100 * right / n
    inside = int(row["tolerance"] * n / 100)
    for change, agreement in (
        (1, "within tolerance"),
        (-inside, "within tolerance"),
        (-3 * inside // 2, "differs"),
    ):
        found = verify.compare_records(record, changed(record, test_correct=right + change))
        assert (
            found["agreement"] == agreement and found["why"] == "same hardware, engine and recorded versions"
        )
    assert verify.compare_records(record, changed(record, diverged_epoch=2))["agreement"] == "differs"
    both = [changed(record, diverged_epoch=epoch, test_correct=c) for epoch, c in ((2, right), (1, 10))]
    assert verify.compare_records(*both)["agreement"] == "within tolerance"
    elsewhere = changed(record, test_correct=right + 1)
    elsewhere["observed"] |= {"device_name": "another processor"}
    assert "another processor here" in verify.compare_records(record, elsewhere)["why"]
    failed = deepcopy(record) | {"history": {}, "final": {}}
    failed["observed"] |= {"failure": "out of memory"}
    row = verify.compare_records(record, failed)
    assert row["agreement"] == "failed" and not verify.agree([row])


def test_the_tolerance_is_the_two_sample_binomial_interval(committed):
    """Of differences between pairs of binomial draws, 99.9 % lie inside."""
    import numpy as np

    record = next(iter(committed.values()))
    rng, n, p = np.random.default_rng(1), record["data"]["n_test"], 0.85
    a, b = rng.binomial(n, p, (2, 4000))
    rows = [
        verify.compare_records(
            changed(record, test_correct=int(x), diverged_epoch=None),
            changed(record, test_correct=int(y), diverged_epoch=None),
        )
        for x, y in zip(a, b, strict=True)
    ]
    outside = sum(row["agreement"] == "differs" for row in rows)
    assert 0 < sum(row["agreement"] == "within tolerance" for row in rows) and outside <= 14  # 4 expected


def test_command_line(frozen, monkeypatch, capsys):
    monkeypatch.setattr(commands, "Store", lambda: Store("nowhere", frozen))
    monkeypatch.setattr(verify, "sweep", in_process)
    assert cli.main(["verify", "--sample", "4", "--jobs", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert [row["agreement"] for row in json.loads(said.out)] == ["bit-identical"] * 4
    assert "Training 4 committed runs again, 1 at a time: about" in said.err

    records = Store("nowhere", frozen).frozen_records()
    lying = {k: changed(r, test_correct=r["final"]["test_correct"] - 60) for k, r in records.items()}
    monkeypatch.setattr(Store, "frozen_records", lambda self: lying if self.frozen else {})
    assert cli.main(["verify", "synthetic-1k", "--sample", "4", "--jobs", "1"]) == 1
    assert capsys.readouterr().out.count("differs") >= 3
    assert cli.main(["verify", "--sample", "9"]) == 2
    assert capsys.readouterr().err == "bbatch: sample is 9; it must be a whole number from 1 to 4.\n"
    assert cli.main(["verify", "--jobs", "0"]) == 2
    assert "number of jobs is 0" in capsys.readouterr().err


def test_interrupted_it_promises_nothing(committed, monkeypatch):
    """The sweep's sentence says that runs go on from checkpoints; a check's are gone with its folder."""

    def interrupted(runs, store, **options):
        in_process(runs[:1], store)
        raise KeyboardInterrupt("those in hand go on")

    monkeypatch.setattr(verify, "sweep", interrupted)
    with pytest.raises(
        KeyboardInterrupt,
        match="^1 of 4 runs were trained again and none is kept; the same command begins anew",
    ):
        verify.again(list(committed.values()), jobs=1)


def in_process(runs, store, **options):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        return sweep(runs, store, executor=executor, progress=False)


def test_other_data_are_refused(committed):
    record = deepcopy(next(iter(committed.values())))
    record["data"] |= {"fingerprint": "0" * 64, "source": "other numbers"}
    said = "synthetic-1k here is scikit-learn make_classification .* used other numbers .*BBATCH_DATA"
    with pytest.raises(BadInput, match=said):
        verify.again([record], jobs=1)
