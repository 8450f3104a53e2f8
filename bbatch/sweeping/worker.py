"""What one worker does with one run: take its lock, train, record what happened and where."""

import math
import os
import platform
import signal
import sys
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from multiprocessing import parent_process
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from .. import data, extensions, streams
from ..config import Run
from ..errors import DataMissing, StoreError
from ..files import seal, write_whole
from ..nests import is_memory
from ..records.store import Store
from ..repository import cache_folder, commit
from ..trainer import Checkpoint, Outcome, train

# Read when a worker starts. One thread a worker: two processes of one thread beat one of two. The MALLOC_
# settings (glibc only) keep freed activations in the process instead of handing their pages back at every
# step; 32 MiB is the largest threshold that glibc takes.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}


def begin() -> None:
    """Once a worker process of a sweep's own: leave Ctrl-C to the sweep, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow():
        parent_process().join()
        os._exit(1)  # the run in hand has its checkpoint

    threading.Thread(target=follow, daemon=True).start()


def compute(run: Run, store: Store, device: str, fingerprint: str, patient: bool = False) -> dict | None:
    """Train one run and put its record and final weights in the store; returns the record.

    Returns None where another process is at this run, unless `patient`: then it waits for it. A run that does
    not fit in memory is recorded as failed. Where the store's folder cannot be made or written here, as on a
    machine that shares no folder with the sweep, a scratch folder of this machine serves, and the record
    returned is what counts. Raises `DataMissing` where this machine's data differs from the sweep's,
    `StoreError` where no folder can be written, `BadInput` where an addition of the reader's cannot be
    imported here.
    """
    torch.set_num_threads(1)
    extensions.import_named()  # here: a worker of a Dask cluster begins with nothing else of ours
    key = run.key(fingerprint)
    try:
        store.prepare()
    except StoreError:
        store = Store(cache_folder() / "store").prepare()
    try:
        # The system lets go of the lock if the process dies.
        with FileLock(store.locks / key, timeout=-1 if patient else 0):
            store.clear(key)
            return store.get(key) or _compute(run, store, device, fingerprint, key)
    except Timeout:
        return None
    except OSError as error:  # lost since: permission, the disk
        raise StoreError(
            f"{error.filename or store.folder} cannot be used ({error.strerror}); give permission or free "
            "some space, then sweep again."
        ) from error


def _compute(run: Run, store: Store, device: str, fingerprint: str, key: str) -> dict:
    dataset = data.load(run.dataset, device)
    if dataset.fingerprint != fingerprint:
        raise DataMissing(
            f"this worker's {run.dataset} has fingerprint {dataset.fingerprint[:12]}, the sweep's has "
            f"{fingerprint[:12]}; give both the same files."
        )
    started, checkpoint = datetime.now(UTC), Checkpoint(store.checkpoints, key)
    try:
        with threadpool_limits(1):
            outcome = train(run, dataset, device, checkpoint)
    except (MemoryError, RuntimeError) as error:
        if not is_memory(error):
            raise
        outcome = None
    if outcome is None:  # out of the handler, so that the error no longer holds the memory
        record = failed(run, dataset, device, started, "out of memory")
        store.put(record)
        return record
    record = _record(run, dataset, device, started, outcome)
    buffer = BytesIO()
    torch.save(outcome.weights, buffer)
    write_whole(store.weights / f"{key}.pt", seal(buffer.getvalue()), durable=False)
    store.put(record)
    checkpoint.drop()
    return record


def failed(run: Run, dataset: data.Data, device: str, started: datetime, why: str) -> dict:
    """The record of a run that could not be finished on this machine: no history, no scores, the reason."""
    record = _record(run, dataset, device, started, Outcome({}, {}, "", {}))
    record["observed"]["failure"] = why
    return record


def _record(run: Run, dataset: data.Data, device: str, started: datetime, outcome: Outcome) -> dict:
    history = {k: [_finite(v) for v in values] for k, values in outcome.history.items()}
    spent = {k: history.pop(k, []) for k in ("seconds", "cpu_seconds", "evaluate_seconds")}
    return {
        "id": run.key(dataset.fingerprint),
        "run": run.as_dict(),
        "seeds": asdict(streams.seeds_of(run.seed)),
        "data": {"source": dataset.source, "fingerprint": dataset.fingerprint, "n_test": len(dataset.test_y)},
        "history": history,
        "final": {k: _finite(v) for k, v in outcome.final.items()},
        "observed": spent
        | environment(device)
        | {
            "engine": outcome.engine,
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _finite(value):
    """NaN and infinity become None: JSON has no name for them, and NaN does not equal itself."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def environment(device: str) -> dict:
    """Where a run ran: the processor or accelerator, threads, versions and commit; no host, user or path."""
    # No CUDA here: the sweep's GPUs are elsewhere.
    cuda = device.startswith("cuda") and torch.cuda.is_available()
    name = torch.cuda.get_device_name(device) if cuda else _processor()
    return {
        "device": torch.device(device).type,  # the kind: which of several GPUs it was says nothing of a run
        "device_name": name,
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "python": platform.python_version(),
        "system": f"{sys.platform} {platform.machine()}",
        "versions": {p: version(p) for p in ("torch", "numpy", "scikit-learn")} | _numba(),
    }


def _numba() -> dict[str, str]:
    """The version of numba, where it is installed: it decides how the compiled engine rounds."""
    try:
        return {"numba": version("numba")}
    except PackageNotFoundError:
        return {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
