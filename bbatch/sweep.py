"""The sweep: a list of runs in, the missing ones computed by an executor, one record each in the store."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ProcessPoolExecutor, wait

from tqdm import tqdm

from . import data, worker
from .config import Run
from .errors import BadInput
from .store import Store

DEATHS_ALLOWED = 2  # times that a run is given to another worker after the one that had it died


def sweep(runs: list[Run], store: Store, *, jobs: int | None = None, device: str = "cpu",
          executor: Executor | None = None, progress: bool = True) -> list[str]:
    """Compute the runs that the store lacks; returns the ids of those computed, in the order of finishing.

    Any `concurrent.futures.Executor` serves; by default a pool of `jobs` processes of one thread each (as many
    as cores; one on CUDA). What is finished stays finished when the sweep is interrupted, and a run in hand goes on
    from its last finished epoch when the sweep is called again. Several sweeps may share one store.

    Raises `BadInput` for `jobs` below 1, `DataMissing` and `StoreError` as the workers meet them.
    """
    if jobs is not None and jobs < 1:
        raise BadInput(f"number of jobs is {jobs}; it must be at least 1.")
    store.prepare()
    fingerprints = {name: data.load(name).fingerprint for name in dict.fromkeys(r.dataset for r in runs)}
    todo = sorted(store.missing(list(dict.fromkeys(runs)), fingerprints), key=_cost, reverse=True)
    if not todo:
        return []
    others = multiprocessing.active_children()  # not ours to end
    size = jobs or (os.cpu_count() if device == "cpu" else 1)
    pool = executor or _pool(size)
    queue, busy, deaths, done, epochs = deque(todo), [], Counter(), [], 0
    waiting: dict = {}
    keys = {run.key(fingerprints[run.dataset]) for run in todo}

    def submit(run: Run, patient: bool = False):
        waiting[pool.submit(worker.compute, run, store, device, fingerprints[run.dataset], patient)] = run

    with tqdm(total=sum(run.epochs for run in todo), unit="epoch", disable=not progress, desc=f"{len(todo)} runs",
              mininterval=1 if sys.stderr.isatty() else 10) as bar:  # a log wants a line now and then, not each second
        try:
            while queue or busy or waiting:
                # Our own pool gets no more than it can hold, so that a death in it touches only the runs in hand.
                while queue and (executor or len(waiting) < size):
                    submit(queue.popleft())
                if busy and not queue and not waiting:
                    submit(busy.pop(), patient=True)  # another sweep is at it: nothing left but to wait for it
                finished, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
                died = False
                for future in finished:
                    run = waiting.pop(future)
                    try:
                        record = future.result()
                    except BrokenExecutor:
                        died = True
                        deaths[run] += 1
                        if deaths[run] <= DEATHS_ALLOWED:
                            queue.append(run)
                        continue
                    if record is None:
                        busy.append(run)
                        continue
                    if not store.has_live(record["id"]):  # a worker that shares no folder with us
                        store.put(record)
                    done.append(record["id"])
                    epochs += run.epochs
                if died and executor is None:
                    for run in waiting.values():
                        queue.append(run)
                    waiting, pool = {}, _pool(size)
                bar.set_postfix_str(f"{len(done)} done", refresh=False)
                bar.update(min(epochs + _epochs_in_hand(store, keys), bar.total) - bar.n)
        finally:
            if executor is None:
                pool.shutdown(wait=not waiting, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - set(others) if waiting else ():
                    process.terminate()  # interrupted: the checkpoints hold what is done
    return done


def _pool(size: int) -> ProcessPoolExecutor:
    os.environ.update({k: v for k, v in worker.ENVIRONMENT.items() if k not in os.environ})
    return ProcessPoolExecutor(size, multiprocessing.get_context("spawn"), worker.begin)


def _cost(run: Run) -> float:
    """Relative cost of a run, to start the longest first: samples, plus an overhead for each step."""
    return run.epochs * (run.n_train + 4 * run.steps_per_epoch)


def _epochs_in_hand(store: Store, keys: set[str]) -> int:
    """Epochs done by runs still under way, read off the names of their checkpoints."""
    names = (path.name.split(".") for path in store.checkpoints.glob("*.pt"))
    return sum({key: int(epochs) for key, epochs, _ in sorted(names) if key in keys}.values())
