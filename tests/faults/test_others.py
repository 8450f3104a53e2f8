"""Other sweeps at the same store, dead ones' locks, sleep, Ctrl-C, too little memory."""

import ctypes
import os
import random
import re
import resource
import signal
import sys
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Future
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime

import pytest
import torch
from filelock import FileLock

from bbatch import cli, data, trainer
from bbatch.config import plan
from bbatch.metrics import frame
from bbatch.sweeping import worker
from bbatch.sweeping.sweep import sweep
from faults import harness
from faults.harness import store_in


@pytest.mark.parametrize("sweeps", [2, 4])
def test_several_sweeps_over_one_store(sweeps, undisturbed, tmp_path, long):
    runs = harness.grid(long)
    children = [harness.start(harness.work, tmp_path, runs, freeze=False) for _ in range(sweeps)]
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    noted = Counter((run, epoch) for run, epoch, _ in harness.noted(tmp_path))
    assert set(noted.values()) == {1} and len(noted) == sum(r.epochs for r in runs)
    assert len({pid for _, _, pid in harness.noted(tmp_path)}) > 1
    harness.run(harness.work, tmp_path, runs)
    assert harness.decided_files(tmp_path) == undisturbed


def hold(lock, ready):
    held = FileLock(lock)
    held.acquire()
    ready.touch()
    time.sleep(600)
    held.release()


def test_a_lock_left_by_a_dead_process(undisturbed, tmp_path, long):
    runs, store = harness.grid(long), store_in(tmp_path).prepare()
    key = runs[0].key(data.load(runs[0].dataset).fingerprint)
    holder = harness.start(hold, store.locks / key, tmp_path / "ready")
    harness.until((tmp_path / "ready").exists)
    child = harness.start(harness.work, tmp_path, runs)
    harness.until(lambda: len(harness.record_files(tmp_path)) == len(runs) - 1, alive=child.is_alive)
    child.join(0.5)
    # it waits: the holder lives
    assert child.is_alive() and len(harness.record_files(tmp_path)) == len(runs) - 1
    holder.kill()
    child.join(60)
    assert child.exitcode == 0 and (store.locks / key).exists()
    assert harness.decided_files(tmp_path) == undisturbed


def test_sleep_is_seen_in_the_times(tmp_path):
    """Stopped for a second in an epoch: its elapsed time shows it; processor time and result do not."""
    slow = harness.replace(plan("synthetic-1k", 4, 7, epochs=5), optimizer="sgd", momentum=0.9)
    child = harness.start(harness.work, tmp_path, [slow])
    harness.until(lambda: len(harness.noted(tmp_path)) >= 3, alive=child.is_alive)
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(child.pid, signal.SIGCONT)
    child.join()
    harness.run(harness.work, tmp_path / "undisturbed", [slow])
    assert harness.decided_files(tmp_path) == harness.decided_files(tmp_path / "undisturbed")
    observed = next(iter(store_in(tmp_path).live().values()))["observed"]
    lost = [s - c for s, c in zip(observed["seconds"], observed["cpu_seconds"], strict=True)]
    assert max(lost) > 1.2 and sorted(lost)[-2] < max(lost) / 2
    assert max(observed["cpu_seconds"]) < 1.2
    assert frame(store_in(tmp_path).live().values())["disturbed_epochs"][0] >= 1


def jumping(folder, runs):
    """Sweep while the wall clock jumps by hours, forth and back, whenever it is read."""
    rng, now = random.Random(0), time.time
    time.time = lambda: now() + rng.uniform(-9e4, 9e4)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

    worker.datetime = Jumping
    harness.work(folder, runs)


def test_a_clock_that_jumps_moves_no_epoch(undisturbed, tmp_path, long):
    begun = time.monotonic()
    harness.run(jumping, tmp_path, harness.grid(long))
    elapsed = time.monotonic() - begun
    assert harness.decided_files(tmp_path) == undisturbed
    seen = [r["observed"] for r in store_in(tmp_path).live().values()]
    assert all(s >= 0 for o in seen for s in o["seconds"] + o["evaluate_seconds"])
    assert sum(sum(o["seconds"]) + sum(o["evaluate_seconds"]) for o in seen) < elapsed
    assert any(
        abs(datetime.fromisoformat(o["started"]) - datetime.fromisoformat(o["finished"])).seconds > 60
        for o in seen
    )


def command_line(folder, *words):
    """`bbatch` with these words, its output in files, as the leader of a process group, as in a shell."""
    os.setpgid(0, 0)
    # ignored where the tests run in a shell's background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["BBATCH_STORE"] = str(folder / "live")
    with open(folder / "out", "w") as out, open(folder / "err", "w") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)  # that of the workers too
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.main(list(words))
    os._exit(code)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "synthetic-50k", "--batch-size", "1", "--epochs", "40", "--seed", "9", "--json"),
        ("sweep", "synthetic-50k", "--seeds", "1", "--fresh", "--jobs", "1", "--executor", "dask", "--json"),
    ],
    ids=["processes", "dask"],
)
def test_ctrl_c(words, tmp_path, long):
    """To the process group, as a terminal sends it: exit code 130, one sentence, the run in hand on disk."""
    if "dask" in words and not long:
        pytest.skip("in the long form: make faults")
    child = harness.start(command_line, tmp_path, *words)
    store = store_in(tmp_path)
    harness.until(lambda: list(store.checkpoints.glob("*.pt")), alive=child.is_alive)
    os.killpg(child.pid, signal.SIGINT)
    child.join(30)
    said = (tmp_path / "err").read_text()
    sentence = (
        r"(Dask's dashboard: \S+\n)?bbatch: interrupted; 0 of \d runs were finished and recorded; those in "
        r"hand go on .*asked again\.\n"
    )
    assert child.exitcode == 130 and re.fullmatch(sentence, said), said
    assert (tmp_path / "out").read_text() == ""
    path = next(store.checkpoints.glob("*.pt"))
    assert trainer.Checkpoint(store.checkpoints, path.name.split(".")[0]).read()["history"]["seconds"]
    with pytest.raises(ProcessLookupError):  # no worker lives on
        harness.until(lambda: os.killpg(child.pid, 0))


def narrow(folder, runs):
    """Sweep where the process may take some 12 MB more than it has: one of the batches asks for more."""
    torch.set_num_threads(1)
    harness.work(folder / "before", runs[:1], freeze=False)  # everything that is loaded on the way is loaded
    libc = ctypes.CDLL(None)
    # M_TRIM_THRESHOLD, M_TOP_PAD: no reserve that would hide the need
    for option in (-1, -2):
        libc.mallopt(option, 0)
    libc.malloc_trim(0)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 12_000_000, now + 12_000_000))
    harness.work(folder, runs, freeze=False)


def test_a_batch_that_does_not_fit_in_memory(tmp_path):
    small = harness.replace(
        plan("synthetic-50k", 128, 1, epochs=1, n_train=30_000), optimizer="sgd", momentum=0.9
    )
    runs = [small, harness.replace(small, batch_size=30_000), harness.replace(small, seed=2)]
    harness.run(narrow, tmp_path, runs)
    table = frame(store_in(tmp_path).live().values()).set_index(["batch_size", "seed"])
    assert table.loc[(30_000, 1), "failure"] == "out of memory"
    assert table.loc[[(128, 1), (128, 2)], "test_acc"].notna().all() and table["failure"].notna().sum() == 1
    # the failure says something of this machine: it stays
    assert store_in(tmp_path).freeze() == {"synthetic-50k": 2}


def both_are_done(folder):
    runs = [plan("synthetic-1k", 64, seed, epochs=2) for seed in (1, 2)]
    assert len(sweep(runs, store_in(folder), jobs=2, progress=False)) == 2


def deadly(folder):
    """A run that kills its worker each time, as the system does where memory ends, beside another."""
    worker.begin = deadly_begin
    both_are_done(folder)


def deadly_begin():
    train = worker.train

    def or_die(run, *rest):
        if run.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return train(run, *rest)

    worker.train = or_die


class Deadly(harness.Here):
    """The same without processes: an executor that breaks under the run with seed 1."""

    def __init__(self):
        self.begun = super().submit(int)

    def submit(self, function, run, *rest):
        future = super().submit(function, run, *rest) if run.seed != 1 else Future()
        if run.seed == 1:
            future.set_exception(BrokenExecutor("the process ended"))
        return future

    def shutdown(self, **options):
        pass


def deadly_without_processes(folder):
    sys.modules["bbatch.sweeping.sweep"]._Process = Deadly
    both_are_done(folder)


def test_a_run_that_no_worker_survives_is_recorded_and_the_sweep_goes_on(tmp_path, long):
    harness.run(deadly if long else deadly_without_processes, tmp_path)
    table = frame(store_in(tmp_path).live().values()).set_index("seed")
    assert table.loc[1, "failure"] == "worker killed" and table.loc[2, "test_acc"] > 60
