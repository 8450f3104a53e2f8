"""`python -m benchmarks.cluster`: what a run costs beside training, in the sweep's processes and on Dask.

Interleaved: in every round each executor sweeps the same runs, with one worker and with two, into an empty
store. Written to results/benchmarks/cluster.csv: executor, workers, round, runs, elapsed_s (first run begun
to last record in), training_s (sum over runs, by their own clocks), overhead_s (a run's share of elapsed x
workers - training).
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context

import pandas as pd
from tqdm import tqdm

from bbatch.config import plan
from bbatch.records.store import ROOT, Store
from bbatch.sweeping import dask_cluster, worker
from bbatch.sweeping.sweep import sweep
from bbatch.sweeping.worker import environment

FOLDER = ROOT / "results" / "benchmarks"
ROUNDS, RUNS = 5, 16


def once(name: str, workers: int) -> dict:
    """One sweep of `RUNS` equal runs, after a small one that pays for the start of the workers."""
    warm = [plan("synthetic-10k", 64, seed, epochs=1) for seed in range(2 * workers)]
    runs = [plan("synthetic-10k", 8, seed, epochs=20) for seed in range(RUNS)]
    with tempfile.TemporaryDirectory() as folder, _executor(name, workers) as executor:
        store = Store(folder, frozen=None)
        sweep(warm, store, jobs=workers, executor=executor, progress=False)
        begun = time.perf_counter()
        keys = sweep(runs, store, jobs=workers, executor=executor, progress=False)
        elapsed = time.perf_counter() - begun
        observed = [store.get(key)["observed"] for key in keys]
    training = sum(sum(o["seconds"]) + sum(o["evaluate_seconds"]) for o in observed)
    return {
        "executor": name,
        "workers": workers,
        "runs": RUNS,
        "elapsed_s": elapsed,
        "training_s": training,
        "overhead_s": (elapsed * workers - training) / RUNS,
    }


def _executor(name: str, workers: int):
    """Dask's, or a standard pool that lives as long: the sweep's own processes start anew for each sweep."""
    if name == "dask":
        return dask_cluster.executor("dask", workers)
    return ProcessPoolExecutor(workers, get_context("spawn"), worker.begin)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.update(worker.ENVIRONMENT)  # what the sweep's own processes start with
    rows = []
    order = [
        (r, name, workers) for r in range(ROUNDS) for workers in (1, 2) for name in ("processes", "dask")
    ]
    for number, name, workers in tqdm(order, desc="sweeps", mininterval=1 if sys.stderr.isatty() else 10):
        rows.append({"round": number} | once(name, workers))
    pd.DataFrame(rows).round(4).to_csv(FOLDER / "cluster.csv", index=False)
    machine = environment("cpu") | {"date": date.today().isoformat(), "cores": os.cpu_count()}
    (FOLDER / "cluster.json").write_text(json.dumps(machine, indent=1, sort_keys=True) + "\n")
    print(f"Written to {FOLDER}")


if __name__ == "__main__":
    main()
