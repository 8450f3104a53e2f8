"""SIGKILL of a sweep, its workers, a notebook's kernel, a freeze: nothing lost, nothing done again."""

import os
import random
import signal
import time
from collections import Counter
from functools import partial

from bbatch.sweeping import worker
from bbatch.sweeping.sweep import sweep
from bbatch.trainer import Checkpoint
from faults import harness


def test_sweep_killed_at_random_moments(undisturbed, tmp_path, long):
    rng, kills, runs = random.Random(8), 50 if long else 4, harness.grid(long)
    total, finished, done = sum(r.epochs for r in runs), {}, 0
    for _ in range(kills):
        child = harness.start(harness.work, tmp_path, runs)
        moment = done + rng.randint(1, max(1, int(1.6 * total / kills)))
        harness.until(
            lambda moment=moment, child=child: len(harness.noted(tmp_path)) >= moment or not child.is_alive()
        )
        time.sleep(rng.uniform(0, 0.005))
        child.kill()
        child.join()
        assert finished.items() <= harness.record_files(tmp_path).items()
        finished, done = harness.record_files(tmp_path), len(harness.noted(tmp_path))
    harness.run(harness.work, tmp_path, runs)
    assert harness.decided_files(tmp_path) == undisturbed
    assert finished.items() <= harness.record_files(tmp_path).items()
    noted = Counter((run, epoch) for run, epoch, _ in harness.noted(tmp_path))
    assert len(noted) == total and sum(noted.values()) <= total + kills  # one epoch of one run for each kill
    assert not harness.parts(tmp_path) and not list(harness.store_in(tmp_path).checkpoints.iterdir())


KEPT = []  # for as long as the process lives


def begin_noting(log):
    worker.begin()
    KEPT.append(harness.noting_epochs(log))
    KEPT[0].__enter__()


def pool(folder, runs):
    """A sweep as the command line makes it: two processes, which note the epochs that they begin."""
    worker.begin = partial(begin_noting, folder / "epochs.log")
    sweep(runs, harness.store_in(folder), jobs=2, progress=False)
    harness.store_in(folder).freeze()


def saved(store):
    """Epoch seconds by key in the checkpoints as they are: what is saved here must not be run again."""
    found = {}
    for path in store.checkpoints.glob("*.pt"):
        key = path.name.split(".")[0]
        if (state := Checkpoint(store.checkpoints, key).read()) is not None:
            found[key] = state["history"]["seconds"]
    return found


def kept(store, seen):
    """Assert that the epochs in `seen` kept their clock readings in the finished records."""
    live = store.live()
    for key, seconds in seen:
        assert live[key]["observed"]["seconds"][: len(seconds)] == seconds


def pool_grid(long):
    return [harness.replace(run, epochs=8 * run.epochs) for run in harness.grid(long)]


def test_workers_and_their_sweep_killed(tmp_path, long):
    """Workers are killed under a sweep, which goes on; then the sweep itself, and its workers end too."""
    rng, runs, store, seen = random.Random(3), pool_grid(long), harness.store_in(tmp_path), []
    killed, finished = 0, {}
    for _ in range(3 if long else 1):
        child = harness.start(pool, tmp_path, runs)
        for _ in range(16 if long else 1):
            harness.until(
                lambda child=child: (
                    not child.is_alive()
                    or harness.workers_of(child.pid)
                    and list(store.checkpoints.glob("*.pt"))
                )
            )
            time.sleep(rng.uniform(0, 0.3))
            for victim in rng.sample(workers, 1) if (workers := harness.workers_of(child.pid)) else ():
                os.kill(victim, signal.SIGKILL)
                killed += 1
        harness.until(lambda child=child: len(harness.workers_of(child.pid)) == 2 or not child.is_alive())
        orphans = harness.workers_of(child.pid)
        killed += len(orphans)
        child.kill()
        child.join()
        harness.until(lambda orphans=orphans: not any(os.path.exists(f"/proc/{pid}") for pid in orphans), 30)
        seen += saved(store).items()
        assert finished.items() <= harness.record_files(tmp_path).items()
        finished = harness.record_files(tmp_path)
    harness.run(harness.work, tmp_path, runs)
    assert finished.items() <= harness.record_files(tmp_path).items()
    begun, total = (
        Counter((run, epoch) for run, epoch, _ in harness.noted(tmp_path)),
        sum(r.epochs for r in runs),
    )
    # one epoch for each process killed
    assert len(begun) == total and killed and sum(begun.values()) <= total + killed
    harness.run(harness.work, tmp_path / "undisturbed", runs)
    assert harness.decided_files(tmp_path) == harness.decided_files(tmp_path / "undisturbed")
    kept(store, seen)
    assert not any(r["observed"].get("failure") for r in store.live().values())


KERNEL = """
from pathlib import Path
from faults import harness
harness.work(Path({folder!r}), harness.grid({long}))
"""


def test_notebook_kernel_killed(undisturbed, tmp_path, long):
    from jupyter_client.manager import start_new_kernel

    rng, runs, kills = random.Random(5), harness.grid(long), 50 if long else 1
    total = sum(run.epochs for run in runs)
    for _ in range(kills):
        manager, client = start_new_kernel(env=os.environ | {"PYTHONPATH": harness.PYTHONPATH})
        try:
            client.execute(KERNEL.format(folder=str(tmp_path), long=long))
            moment = len(harness.noted(tmp_path)) + rng.randint(1, max(1, int(1.6 * total / kills)))
            harness.until(
                lambda moment=moment: (
                    len(harness.noted(tmp_path)) >= moment or harness.decided_files(tmp_path)
                )
            )
            manager.signal_kernel(signal.SIGKILL)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()
    harness.run(harness.work, tmp_path, runs)
    assert harness.decided_files(tmp_path) == undisturbed
    noted = Counter((run, epoch) for run, epoch, _ in harness.noted(tmp_path))
    assert len(noted) == total and sum(noted.values()) <= total + kills


def freeze_to_the(call, folder):
    """Freeze, and die just before the `call`th file is renamed."""
    rename = os.replace

    def counted(*paths):
        nonlocal call
        call -= 1
        if call < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*paths)

    os.replace = counted
    harness.store_in(folder).freeze()


def test_freeze_killed_at_every_step(undisturbed, tmp_path, long):
    """At any moment the committed files are the old ones or become the new ones, never half of each."""
    runs = harness.grid(long)
    harness.run(harness.work, tmp_path, runs[:2])
    harness.run(harness.work, tmp_path, runs, freeze=False)
    observed = tmp_path / "results" / "observed" / "synthetic-1k.parquet"
    sums = tmp_path / "results" / "SHA256SUMS"
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    for call in range(20):
        child = harness.start(freeze_to_the, call, tmp_path)
        child.join()
        if child.exitcode == 0:
            break
        committed = sums.read_bytes() != before[sums]
        assert len(harness.store_in(tmp_path).frozen_records()) == (5 if committed else 2)
        harness.run(freeze, tmp_path)
        assert (
            harness.decided_files(tmp_path) == undisturbed
            and len(harness.store_in(tmp_path).frozen_records()) == 5
        )
        for path, content in before.items():
            path.write_bytes(content)
    assert call == 5 and observed.is_file() and harness.decided_files(tmp_path) == undisturbed


def freeze(folder):
    harness.store_in(folder).freeze()
