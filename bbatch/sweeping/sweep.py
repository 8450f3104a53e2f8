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
    Future,
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
    state = _Sweep(todo, store, fingerprints, device, executor, min(size, len(todo)))
    with tqdm(
        total=sum(run.epochs for run in todo),
        unit="epoch",
        disable=not progress,
        desc=f"{len(todo)} runs",
        mininterval=1 if sys.stderr.isatty() else 10,  # a log wants a line now and then, not each second
    ) as bar:
        try:
            while state.queue or state.busy or state.waiting:
                state.advance()
                bar.set_postfix_str(f"{len(state.done)} done", refresh=False)
                bar.update(min(state.epochs_done(), bar.total) - bar.n)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(state.done)} of {len(todo)} runs were finished and recorded; those in hand go on "
                "from their last finished epoch when the same is asked again."
            ) from None
        finally:
            state.end()
    return state.done


class _Sweep:
    """The runs of one sweep: which wait, which are in hand, which are done."""

    def __init__(
        self,
        todo: list[Run],
        store: Store,
        fingerprints: dict[str, str],
        device: str,
        executor: Executor | None,
        size: int,
    ):
        self.store, self.fingerprints, self.device, self.executor = store, fingerprints, device, executor
        self.queue = deque(todo)
        self.busy: list[Run] = []  # another sweep is at them
        self.waiting: dict[Future, tuple[Run, Executor]] = {}
        self.done: list[str] = []
        self.epochs = 0  # of the runs that are done
        self.deaths: Counter[tuple[Run, int]] = Counter()  # of workers, by the run and its epochs saved
        self.failed_starts = 0  # in a row, of processes that ended before they began
        self.keys = {run: run.key(fingerprints[run.dataset]) for run in todo}
        self.others = multiprocessing.active_children()  # not ours to end
        # Our own processes are executors of one process each: a death breaks the one that had the run, no
        # other.
        self.idle = deque([executor] * len(todo) if executor else (_Process() for _ in range(size)))

    def advance(self) -> None:
        """Give idle workers the next runs, wait a second at most, and take what is finished."""
        while self.queue and self.idle:
            self._submit(self.queue.popleft())
        if self.busy and not self.queue and not self.waiting:
            # Another sweep is at it: nothing is left but to wait.
            self._submit(self.busy.pop(), patient=True)
        finished, _ = wait(self.waiting, timeout=1, return_when=FIRST_COMPLETED)
        for future in finished:
            self._take(future)

    def _submit(self, run: Run, patient: bool = False) -> None:
        slot = self.idle.popleft()
        task = worker.compute, run, self.store, self.device, self.fingerprints[run.dataset], patient
        try:
            future = slot.submit(*task)
        except BrokenExecutor:  # a process of ours that died while it was idle
            if self.executor:
                raise
            slot = _Process()
            future = slot.submit(*task)
        self.waiting[future] = run, slot

    def _take(self, future: Future) -> None:
        """What becomes of a run whose worker has ended with it."""
        run, slot = self.waiting.pop(future)
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
            again = self._goes_on(run, slot)
            slot = self.executor or _Process()
            if again:
                self.queue.appendleft(run)
                return
            record = worker.failed(
                run, data.load(run.dataset), self.device, datetime.now(UTC), "worker killed"
            )
        finally:
            self.idle.append(slot)
        if record is None:
            self.busy.append(run)
            return
        if self.store.get(record["id"]) is None:  # a worker that shares no folder with us
            self.store.put(record)
        self.done.append(record["id"])
        self.failed_starts = 0
        self.epochs += run.epochs

    def _goes_on(self, run: Run, slot: Executor) -> bool:
        """Whether a run is tried again after its worker died. Raises `BadInput` where none begins at all."""
        if self.executor is None and slot.begun.exception():
            self.failed_starts += 1
            if self.failed_starts > STARTS_ALLOWED:
                raise BadInput(
                    f"{STARTS_ALLOWED} processes of the sweep ended before they began; see that memory is "
                    "free and that `python -m bbatch data` works."
                )
            return True
        stage = run, _epochs_saved(self.store).get(self.keys[run], 0)
        self.deaths[stage] += 1
        return self.deaths[stage] <= DEATHS_ALLOWED

    def epochs_done(self) -> int:
        """Epochs of the finished runs and of those in hand."""
        ours = set(self.keys.values())
        return self.epochs + sum(n for key, n in _epochs_saved(self.store).items() if key in ours)

    def end(self) -> None:
        """Let our processes go; where runs are in hand, as after an interruption, end them."""
        for future in self.waiting:
            future.cancel()
        if self.executor is not None:
            return
        for slot in [*self.idle, *(slot for _, slot in self.waiting.values())]:
            slot.shutdown(wait=not self.waiting, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - set(self.others) if self.waiting else ():
            # The checkpoints hold what is done. A process that is stopped ends too.
            process.kill()


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
