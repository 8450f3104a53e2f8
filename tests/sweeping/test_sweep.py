"""Sweeps: only what is missing, the same bits however they ran, and no loss when killed."""

import json
import multiprocessing
import os
import random
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bbatch import data
from bbatch.config import plan
from bbatch.errors import BadInput, StoreError
from bbatch.files import unseal
from bbatch.records.store import ROOT, Store
from bbatch.sweeping import worker
from bbatch.sweeping.sweep import sweep
from bbatch.trainer import Checkpoint, train

EPOCHS = 20


def small_grid():
    """Runs of both engines on the 1K set: Adam goes through the compiled one, SGD through PyTorch."""
    adam = [plan("synthetic-1k", b, seed, epochs=EPOCHS) for b, seed in ((1, 42), (32, 43))]
    return adam + [
        replace(plan("synthetic-1k", b, 44, epochs=EPOCHS), optimizer="sgd", momentum=0.9) for b in (16, 64)
    ]


def in_process(runs, store, **more):
    with ThreadPoolExecutor(1) as executor:  # any executor serves; this one stays in the process
        return sweep(runs, store, executor=executor, progress=False, **more)


def new_store(folder):
    return Store(folder, folder / "no results")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The store that results where nothing disturbs the sweep."""
    store = new_store(tmp_path_factory.mktemp("undisturbed"))
    assert len(in_process(small_grid(), store)) == 4
    return store


def decided(store):
    """Everything that the configuration decides: records but for what was observed, and the final weights."""
    records = {k: {f: v for f, v in r.items() if f != "observed"} for k, r in store.live().items()}
    weights = {p.name: unseal(p.read_bytes()) for p in store.weights.glob("*.pt")}
    assert None not in weights.values() and {k + ".pt" for k in records} == set(weights)
    return records, weights


def record_files(store):
    return {p.name: p.read_bytes() for p in (store.folder / "records").glob("*.json")}


def test_records_say_what_ran_and_where(undisturbed):
    fingerprint = data.load("synthetic-1k").fingerprint
    records = undisturbed.live()
    assert set(records) == {run.key(fingerprint) for run in small_grid()}
    assert {r["observed"]["engine"] for r in records.values()} == {"compiled", "torch"}
    for r in records.values():
        assert r["data"] == {
            "source": "scikit-learn make_classification",
            "fingerprint": fingerprint,
            "n_test": 200,
        }
        assert set(r["seeds"]) == {"init", "order", "noise"} and r["final"]["diverged_epoch"] is None
        assert all(len(h) == EPOCHS for h in r["history"].values())
        seen = r["observed"]
        assert len(seen["seconds"]) == EPOCHS and all(s > 0 for s in seen["seconds"])
        assert seen["started"] <= seen["finished"] and seen["threads"] == 1 and seen["device"] == "cpu"
        assert {"torch", "numpy", "scikit-learn"} <= set(seen["versions"])
        for private in (str(ROOT), str(Path.home()), socket.gethostname()):
            assert private not in json.dumps(r)
    assert not list(undisturbed.checkpoints.iterdir())


def test_final_weights_are_kept_as_plain_tensors(undisturbed, tmp_path):
    for path in undisturbed.weights.glob("*.pt"):
        (tmp_path / "weights.pt").write_bytes(unseal(path.read_bytes()))
        weights = torch.load(tmp_path / "weights.pt", weights_only=True)
        assert sum(w.numel() for w in weights.values()) == 3_490


def test_what_is_finished_is_not_computed_again(undisturbed):
    before = record_files(undisturbed)
    assert in_process(small_grid(), undisturbed) == []
    assert record_files(undisturbed) == before


def test_only_what_is_missing_is_computed_and_once(tmp_path):
    store, runs = new_store(tmp_path), [plan("synthetic-1k", 256, s, epochs=1) for s in (1, 2, 3)]
    first = in_process(runs[:1], store)
    before = record_files(store)
    then = in_process(runs + runs, store)
    assert len(first) == 1 and len(then) == 2 and set(first + then) == set(store.live())
    assert before.items() < record_files(store).items()


def test_a_damaged_record_is_computed_again(tmp_path):
    store, runs = new_store(tmp_path), [plan("synthetic-1k", 256, s, epochs=1) for s in (1, 2)]
    keys = in_process(runs, store)
    before = decided(store)
    path = store.folder / "records" / f"{keys[0]}.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=f"{keys[0]}.json is set aside"):
        assert in_process(runs, store) == keys[:1]
    assert decided(store) == before


def test_the_progress_bar_counts_the_epochs_of_what_was_missing(tmp_path, capsys):
    """One run of 3 epochs is recorded, one of 4 has 2 saved; 4 + 5 are to be shown, and are reached."""
    runs = [plan("synthetic-1k", 256, s, epochs=e) for s, e in ((1, 3), (2, 4), (3, 5))]
    store = new_store(tmp_path)
    in_process(runs[:1], store)
    samples, checkpoint = data.load("synthetic-1k"), Checkpoint(store.checkpoints, "")
    checkpoint.key = runs[1].key(samples.fingerprint)

    class Stop(Exception):
        pass

    def stopping(epochs_done, state, write=checkpoint.write):
        write(epochs_done, state)
        if epochs_done == 2:
            raise Stop

    checkpoint.write = stopping
    with pytest.raises(Stop):
        train(runs[1], samples, checkpoint=checkpoint)
    capsys.readouterr()
    with ThreadPoolExecutor(1) as executor:
        sweep(runs, store, executor=executor)
    shown = capsys.readouterr().err
    assert "2 runs: 100%" in shown and " 9/9 " in shown and "2 done" in shown
    counts = [int(n) for n in re.findall(r" (\d+)/9 ", shown)]
    assert counts == sorted(counts) and counts[-1] == 9


def test_a_pool_of_processes_gives_the_same_bits(undisturbed, tmp_path):
    store = new_store(tmp_path)
    assert len(sweep(small_grid(), store, jobs=2, progress=False)) == 4
    assert decided(store) == decided(undisturbed)


def epochs_done(store):
    """Epochs that are safe on disk, finished runs included."""
    finished = {p.stem for p in (store.folder / "records").glob("*.json")}
    hand = {}
    for path in store.checkpoints.glob("*.pt"):
        key, epochs, _ = path.name.split(".")
        hand[key] = max(hand.get(key, 0), int(epochs))
    return EPOCHS * len(finished) + sum(e for k, e in hand.items() if k not in finished)


def test_a_killed_sweep_resumes_to_the_same_bits(undisturbed, tmp_path, monkeypatch):
    """SIGKILL at three seeded random moments, then to the end: nothing lost, nothing finished done again."""
    rng, store = random.Random(20), new_store(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # PyTorch is then imported once, not for every process
    total, finished, spent = EPOCHS * len(small_grid()), {}, {}
    for moment in sorted(rng.sample(range(3, total - 5), 3)):
        child = processes.Process(target=in_process, args=(small_grid(), store))
        child.start()
        while epochs_done(store) < moment:
            assert child.is_alive(), "the sweep ended before it could be killed"
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert finished.items() <= record_files(store).items()
        finished = record_files(store)
        for file in store.checkpoints.glob("*.pt"):
            key = file.name.split(".")[0]
            spent[key] = Checkpoint(store.checkpoints, key).read()["history"]["seconds"]
    assert set(store.live()) < set(undisturbed.live())
    in_process(small_grid(), store)
    assert decided(store) == decided(undisturbed)
    assert finished.items() <= record_files(store).items()
    for key, seconds in spent.items():  # epochs that had been saved kept their clock: they were not run again
        assert seconds and store.live()[key]["observed"]["seconds"][: len(seconds)] == seconds
    assert not list(store.checkpoints.glob("*.pt"))


@pytest.mark.parametrize("failure", [None, "out of memory"])
def test_the_checkpoint_of_a_finished_run_does_not_stay(failure, tmp_path):
    """Killed between record and checkpoint: gone with the next sweep, of any runs; a failed run's stays."""
    store, (run, other) = new_store(tmp_path), (plan("synthetic-1k", 256, s, epochs=1) for s in (1, 2))
    (key,) = in_process([run], store)
    record = store.live()[key]
    if failure:
        record |= {"history": {}, "final": {}, "observed": record["observed"] | {"failure": failure}}
    store.put(record)
    left = store.checkpoints / f"{key}.00001.pt"
    left.write_bytes(b"what the killed process had")
    in_process([run], store)
    assert left.exists() == bool(failure)
    left.write_bytes(b"what the killed process had")
    in_process([other], store)
    assert left.exists() == bool(failure) and len(store.live()) == 2


def test_a_diverged_run_is_recorded_and_stops_nothing(tmp_path):
    store = new_store(tmp_path)
    good = [plan("synthetic-1k", 64, seed, epochs=2) for seed in (1, 2)]
    wild = [
        replace(plan("synthetic-1k", 64, 3, epochs=2, base_lr=1e30), optimizer=o) for o in ("adam", "sgd")
    ]
    runs = [good[0], *wild, good[1]]
    assert len(in_process(runs, store)) == 4
    samples = data.load("synthetic-1k")
    records = [store.live()[run.key(samples.fingerprint)] for run in runs]
    assert [r["final"]["diverged_epoch"] for r in records] == [None, 1, 1, None]
    for r in records[1:3]:  # scored as the network of NaNs answers: always class 0
        assert r["final"]["test_correct"] == int((samples.test_y == 0).sum())
        assert len(r["history"]["test_correct"]) == 1
    assert in_process(runs, store) == []  # a diverged run is a finished one
    frozen = Store(store.folder, tmp_path / "results")
    assert frozen.freeze() == {"synthetic-1k": 4} and frozen.freeze() == {}
    assert frozen.frozen_records() == frozen.live()


def test_an_unwritable_store_stops_the_sweep_before_it_starts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written .*BBATCH_STORE"):
        in_process(small_grid(), Store(tmp_path / "file" / "store"))


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_jobs_below_one_is_refused(jobs, tmp_path):
    with pytest.raises(BadInput, match=f"number of jobs is {jobs}; it must be a whole number of at least 1."):
        sweep(small_grid(), new_store(tmp_path), jobs=jobs)


def test_whoever_computes_a_run_knows_the_readers_additions(tmp_path, monkeypatch):
    """A worker of a Dask cluster begins with `compute`, and with nothing else of this package."""
    known = []
    monkeypatch.setattr(worker.extensions, "import_named", lambda: known.append(1))
    run = plan("synthetic-1k", 256, epochs=1, n_train=256)
    monkeypatch.setattr(worker, "_compute", lambda *given: {"known": len(known)})
    assert worker.compute(run, Store(tmp_path, None), "cpu", "f") == {"known": 1}
