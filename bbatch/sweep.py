"""The sweep: a list of runs in, the missing ones computed by an executor, one record each in the store."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from dataclasses import asdict
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from . import data, streams
from .config import Run
from .store import ROOT, Store
from .trainer import Checkpoint, train

# Read when a worker starts. One thread a worker: two processes of one thread beat one of two. The MALLOC_ settings
# (glibc only) keep freed activations in the process instead of handing their pages back at every step; 32 MiB is
# the largest threshold that glibc takes.
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "33554432",
                      "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "67108864"}


def compute(run: Run, store: Store, device: str = "cpu") -> str:
    """Train one run, put its record and its final weights in the store, and return the record's id."""
    torch.set_num_threads(1)
    started, where = datetime.now(timezone.utc), environment(device)
    dataset = data.load(run.dataset, device)
    key = run.key(dataset.fingerprint)
    checkpoint = Checkpoint(store.checkpoints, key)
    with threadpool_limits(1):
        outcome = train(run, dataset, device, checkpoint)
    seconds = {k: outcome.history.pop(k) for k in ("seconds", "evaluate_seconds")}
    torch.save(outcome.weights, store.weights / f"{key}.pt")
    store.put({
        "id": key, "run": asdict(run), "seeds": asdict(streams.seeds_of(run.seed)),
        "data": {"source": dataset.source, "fingerprint": dataset.fingerprint, "n_test": len(dataset.test_y)},
        "history": outcome.history, "final": outcome.final,
        "observed": seconds | where | {
            "engine": outcome.engine, "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds")}})
    checkpoint.drop()
    return key


def sweep(runs: list[Run], store: Store, *, jobs: int | None = None, device: str = "cpu",
          executor: Executor | None = None, progress: bool = True) -> list[str]:
    """Compute the runs that the store lacks; returns the ids of those computed, in the order of finishing.

    Any `concurrent.futures.Executor` serves; by default a pool of `jobs` processes of one thread each (as many
    as cores; one on CUDA). What is finished stays finished when the sweep is interrupted.
    """
    store.prepare()
    fingerprints = {name: data.load(name).fingerprint for name in dict.fromkeys(r.dataset for r in runs)}
    todo = sorted(store.missing(list(dict.fromkeys(runs)), fingerprints), key=_cost, reverse=True)
    if not todo:
        return []
    own = executor is None
    if own:
        os.environ.update({k: v for k, v in WORKER_ENVIRONMENT.items() if k not in os.environ})
        executor = ProcessPoolExecutor(jobs or (os.cpu_count() if device == "cpu" else 1), get_context("spawn"))
    keys = {run.key(fingerprints[run.dataset]) for run in todo}
    waiting = {executor.submit(compute, run, store, device): run for run in todo}
    done, epochs = [], 0
    with tqdm(total=sum(run.epochs for run in todo), unit="epoch", disable=not progress, desc=f"{len(todo)} runs",
              mininterval=1 if sys.stderr.isatty() else 10) as bar:  # a log wants a line now and then, not each second
        try:
            while waiting:
                finished, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
                for future in finished:
                    epochs += waiting.pop(future).epochs
                    done.append(future.result())
                bar.set_postfix_str(f"{len(done)} done", refresh=False)
                bar.update(epochs + _epochs_in_hand(store, keys) - bar.n)
        finally:
            if own:
                executor.shutdown(wait=False, cancel_futures=True)
    return done


def _cost(run: Run) -> float:
    """Relative cost of a run, to start the longest first: samples, plus an overhead for each step."""
    return run.epochs * (run.n_train + 4 * run.steps_per_epoch)


def _epochs_in_hand(store: Store, keys: set[str]) -> int:
    """Epochs done by runs still under way, read off the names of their checkpoints."""
    names = (path.name.split(".") for path in store.checkpoints.glob("*.pt"))
    return sum({key: int(epochs) for key, epochs, _ in sorted(names) if key in keys}.values())


def environment(device: str) -> dict:
    """Where a run ran: the processor or accelerator, threads, versions and commit; no host, user or path."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else _processor()
    return {"device": device, "device_name": name, "threads": torch.get_num_threads(), "commit": commit(),
            "python": platform.python_version(), "system": f"{sys.platform} {platform.machine()}",
            "versions": {p: version(p) for p in ("torch", "numpy", "scikit-learn")}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache
def commit() -> str:
    """The commit that the package stood at when this process asked first, with "+" where its code was changed since; "unknown" outside git."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "bbatch") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
