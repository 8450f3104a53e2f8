"""The sweep: a list of runs in, the missing ones computed by an executor, one record each in the store."""

import multiprocessing
import os
import sys
from collections import Counter, deque
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
    wait,
)
from datetime import UTC, datetime

from tqdm import tqdm

from .. import data
from ..config import Run
from ..errors import BadInput, whole
from ..records.store import Store
from . import worker

# Times that a run goes on in another worker after the one that had it died in the same epoch.
DEATHS_ALLOWED = 2
STARTS_ALLOWED = 20  # deaths, in a row, of processes that had not come as far as a run


def sweep(
    runs: list[Run],
    store: Store,
    *,
    jobs: int | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    progress: bool = True,
) -> list[str]:
    """Compute the runs that the store lacks; returns the ids of those computed, in the order of finishing.

    Any `concurrent.futures.Executor` serves; by default `jobs` processes of one thread each (as many as
    cores; one on CUDA). What is finished stays finished when the sweep is interrupted, and a run in hand goes
    on from its last finished epoch when the sweep is called again. Several sweeps may share one store: what
    another finishes meanwhile is among the ids returned. A run that its worker does not survive, time after
    time, is recorded as failed.

    Raises `BadInput` for `jobs` below 1, a device that is not here or what is no run, `DataMissing` and
    `StoreError` as the workers meet them, and `KeyboardInterrupt` with a sentence on how far the sweep came.
    """
    size = processes(jobs, device)
    for run in runs:
        if not isinstance(run, Run):
            raise BadInput(
                f"{run!r} is no run; `config.plan` makes one and `profiles.grid` those of a profile."
            )
    if executor is None:
        data.usable(device)
    _drop_checkpoints_of_finished(store.prepare())
    fingerprints = {name: data.load(name).fingerprint for name in dict.fromkeys(r.dataset for r in runs)}
    todo = sorted(store.missing(list(dict.fromkeys(runs)), fingerprints), key=_cost, reverse=True)
    if not todo:
        return []
    others = multiprocessing.active_children()  # not ours to end
    # Our own processes are executors of one process each: a death breaks the one that had the run, no other.
    idle = deque([executor] * len(todo) if executor else (_Process() for _ in range(min(size, len(todo)))))
    queue, busy, deaths, done, epochs = deque(todo), [], Counter(), [], 0
    waiting: dict = {}
    keys = {run: run.key(fingerprints[run.dataset]) for run in todo}
    ours = set(keys.values())

    def submit(run: Run, patient: bool = False):
        slot, task = idle.popleft(), (worker.compute, run, store, device, fingerprints[run.dataset], patient)
        try:
            future = slot.submit(*task)
        except BrokenExecutor:  # a process of ours that died while it was idle
            if executor:
                raise
            slot = _Process()
            future = slot.submit(*task)
        waiting[future] = run, slot

    def after_death(run: Run, slot: Executor) -> dict | None:
        """Queue the run again, or give it up: returns the record that says so."""
        began = executor or not slot.begun.exception()
        stage = (run, _epochs_saved(store).get(keys[run], 0)) if began else None
        deaths[stage] += 1
        if deaths[None] > STARTS_ALLOWED:
            raise BadInput(
                f"{STARTS_ALLOWED} processes of the sweep ended before they began; see that memory is free "
                "and that `python -m bbatch data` works."
            )
        if not began or deaths[stage] <= DEATHS_ALLOWED:
            queue.appendleft(run)
            return None
        return worker.failed(run, data.load(run.dataset), device, datetime.now(UTC), "worker killed")

    with tqdm(
        total=sum(run.epochs for run in todo),
        unit="epoch",
        disable=not progress,
        desc=f"{len(todo)} runs",
        mininterval=1 if sys.stderr.isatty() else 10,  # a log wants a line now and then, not each second
    ) as bar:
        try:
            while queue or busy or waiting:
                while queue and idle:
                    submit(queue.popleft())
                if busy and not queue and not waiting:
                    # Another sweep is at it: nothing is left but to wait.
                    submit(busy.pop(), patient=True)
                finished, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
                for future in finished:
                    run, slot = waiting.pop(future)
                    try:
                        record = future.result()
                    except CancelledError:
                        raise BadInput(
                            "the cluster dropped a run, as when its scheduler ends; what is finished is "
                            "recorded, and the same command goes on from there."
                        ) from None
                    except Exception as error:
                        if not _worker_died(error):
                            raise
                        record = after_death(run, slot)
                        slot = executor or _Process()
                        if record is None:
                            continue
                    finally:
                        idle.append(slot)
                    if record is None:
                        busy.append(run)
                        continue
                    if store.get(record["id"]) is None:  # a worker that shares no folder with us
                        store.put(record)
                    done.append(record["id"])
                    deaths[None] = 0
                    epochs += run.epochs
                bar.set_postfix_str(f"{len(done)} done", refresh=False)
                in_hand = sum(n for key, n in _epochs_saved(store).items() if key in ours)
                bar.update(min(epochs + in_hand, bar.total) - bar.n)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(done)} of {len(todo)} runs were finished and recorded; those in hand go on "
                "from their last finished epoch when the same is asked again."
            ) from None
        finally:
            for future in waiting:
                future.cancel()
            if executor is None:
                for slot in [*idle, *(slot for _, slot in waiting.values())]:
                    slot.shutdown(wait=not waiting, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - set(others) if waiting else ():
                    # Interrupted: the checkpoints hold what is done. A process that is stopped ends too.
                    process.kill()
    return done


def processes(jobs: int | None, device: str) -> int:
    """How many processes a sweep of ours has: `jobs`, else as many as cores, else one on CUDA."""
    if jobs is not None:
        whole("number of jobs", jobs, 1)
    return jobs or (os.cpu_count() if device == "cpu" else 1)


def _worker_died(error: Exception) -> bool:
    """Whether a run ended with the process that had it: as this library says it, or as Dask does, which is
    not imported here."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


class _Process(ProcessPoolExecutor):
    """One process; `begun` is done once it is there, with an exception where it ended before."""

    def __init__(self):
        os.environ.update({k: v for k, v in worker.ENVIRONMENT.items() if k not in os.environ})
        super().__init__(1, multiprocessing.get_context("spawn"), worker.begin)
        self.begun = self.submit(int)


def _cost(run: Run) -> float:
    """Relative cost of a run, to start the longest first: samples, plus an overhead for each step."""
    return run.epochs * (run.n_train + 4 * run.steps(0))


def _drop_checkpoints_of_finished(store: Store) -> None:
    """Remove what a process left that was killed between writing its record and dropping its checkpoint.

    A failed run keeps its checkpoint, for the day when its record is removed to try once more.
    """
    for path in store.checkpoints.glob("*.pt"):
        record = store.get(path.name.split(".")[0])
        if record and not record["observed"].get("failure"):
            path.unlink(missing_ok=True)


def _epochs_saved(store: Store) -> dict[str, int]:
    """Epochs done by runs still under way, read off the names of their checkpoints."""
    names = (path.name.split(".") for path in sorted(store.checkpoints.glob("*.*.pt")))
    return {name[0]: int(name[1]) for name in names if len(name) == 3 and name[1].isdecimal()}
