"""`python -m benchmarks.gpu`: the paper's grid of images on one GPU, seeds side by side, within a time limit.

Small batches leave most of the card idle and take longest, so they have a lane of their own beside the large
ones. What is finished at the limit is in the store (BBATCH_STORE); the same command goes on with the rest.
Epoch times of runs that share a card say nothing of batch size: their records say how many shared it.
"""

import argparse
import os
import queue
import threading
import time

# Streams that share a hardware queue wait for each other; 32 queues is CUDA's most, 8 its default.
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
# Two streams may use cuBLAS at once; a workspace for each keeps its results the same from run to run.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

from bbatch import data
from bbatch.config import DATASETS, Run, plan
from bbatch.records.store import Store
from bbatch.sweeping import worker

SMALL = 8  # batch sizes up to here go into the lane for small ones
LARGEST_FIRST = (1024, 512, 256, 128, 64, 32, 16, 8, 1)


def runs(seeds: int) -> list[Run]:
    """The grid, most wanted first: CIFAR-10 seed by seed, with its rules after the first seed; then MNIST."""
    every = range(42, 42 + seeds)
    first = every[:3]

    def cells(dataset, sizes, seeds, **how):
        return [plan(dataset, b, seed, **how) for seed in seeds for b in sizes]

    def rules(sizes, seeds):
        return (
            cells("cifar10", sizes, seeds, lr_rule="constant")
            + cells("cifar10", sizes, seeds, warmup_epochs=5)
            + cells("cifar10", sizes, seeds, lr_rule="sqrt")
        )

    base = DATASETS["mnist"].protocol.base_batch
    return (
        cells("cifar10", LARGEST_FIRST, every[:1])
        + rules((1024, 512), every[:1])
        + cells("cifar10", LARGEST_FIRST, every[1:3])
        + rules((1024, 512, 256), first)
        + cells("mnist", LARGEST_FIRST, every)
        + cells("cifar10", LARGEST_FIRST, every[3:])
        + cells("mnist", (1024, 512, base), first, warmup_epochs=0)
        + cells("mnist", (1024, 512, 128), first, lr_rule="constant")
        + cells("mnist", (1024, 512, 128), first, lr_rule="sqrt")
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="when to stop (default: 3600)")
    parser.add_argument("--seeds", type=int, default=5, help="from 42 on (default: 5)")
    parser.add_argument("--large", type=int, default=4, help="large batches side by side (default: 4)")
    parser.add_argument("--small", type=int, default=10, help="small batches side by side (default: 10)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--least", type=int, default=1, help="smallest batch size (default: 1)")
    parser.add_argument("--datasets", nargs="+", default=["cifar10", "mnist"])
    options = parser.parse_args()
    begun, store = time.monotonic(), Store().prepare()
    wanted = [
        run
        for run in runs(options.seeds)
        if run.dataset in options.datasets and run.batch_size >= options.least
    ]
    fingerprints = {name: data.load(name, options.device).fingerprint for name in options.datasets}
    todo = store.missing(list(dict.fromkeys(wanted)), fingerprints)
    lanes = {"small": queue.SimpleQueue(), "large": queue.SimpleQueue()}
    for run in todo:
        lanes["small" if run.batch_size <= SMALL else "large"].put(run)
    beside = options.large + options.small

    def work(lane):
        while True:
            try:
                run = lane.get_nowait()
            except queue.Empty:
                return
            record = worker.compute(run, store, options.device, fingerprints[run.dataset])
            if record and not record["observed"].get("failure"):
                record["observed"]["side_by_side"] = beside
                store.put(record)
                seconds = time.monotonic() - begun
                what = f"{run.dataset} B = {run.batch_size} seed {run.seed} {run.lr_rule} {run.warmup_epochs}"
                print(f"{seconds:6.0f} s  {what}: {record['final']['test_correct']} right", flush=True)

    threads = [
        threading.Thread(target=work, args=(lanes[name],), daemon=True)
        for name, count in (("small", options.small), ("large", options.large))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads) and time.monotonic() - begun < options.seconds:
        time.sleep(0.2)
    print(
        f"{len(todo) - len(store.missing(todo, fingerprints))} of {len(todo)} runs are finished.", flush=True
    )
    os._exit(0)  # threads in the middle of an epoch have their checkpoints


if __name__ == "__main__":
    main()
