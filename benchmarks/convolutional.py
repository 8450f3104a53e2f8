"""Speed of the convolutional networks: on all cores of a machine, and on a GPU."""

import itertools
import multiprocessing
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from bbatch import data
from bbatch.config import DATASETS, Run, plan
from bbatch.engines import engine_for
from bbatch.engines.eager import TorchEngine
from bbatch.recipe import network_of, recipe_of
from bbatch.sweeping.worker import ENVIRONMENT

from .measure import LOADER, OURS, epochs_of, interleaved, labelled, timed
from .rivals import Loop

PLAIN, PLAIN_SPLIT, BF16 = "plain loop, one process", "plain loop, a process for each core", "bbatch, bf16"
IMAGES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def images(name: str, n: int = 2048) -> data.Data:
    """Random images in the form of the named data set: speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 256, (n, *IMAGES[name]), dtype=np.uint8))
    y = torch.from_numpy(rng.integers(0, 10, n))
    stats = {"mnist": data.MNIST_STATS, "cifar10": data.CIFAR10_STATS}[name]
    return data.Data(name, "random numbers", "", x, y, x, y, stats, augment=name == "cifar10")


class Worker:
    """A process with its own threads and environment that runs epochs of a contestant on demand."""

    def __init__(self, kind: str, threads: int, environment: dict):
        self.pipe, theirs = multiprocessing.Pipe()
        kept = dict(os.environ)
        os.environ.update(environment)
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=_serve, args=(kind, threads, theirs), daemon=True)
        self.process.start()
        os.environ.clear()
        os.environ.update(kept)

    def start(self, run: Run) -> None:
        """Begin an epoch of the contestant for `run`."""
        self.pipe.send(run)

    def wait(self) -> float:
        """Wait for the end of the epoch; returns the process's peak memory so far, GB."""
        return self.pipe.recv()


def _serve(kind: str, threads: int, pipe) -> None:
    torch.set_num_threads(threads)
    calls = {}
    while True:
        run = pipe.recv()
        if run not in calls:
            same = (run.dataset, run.batch_size)
            calls = {k: call for k, call in calls.items() if (k.dataset, k.batch_size) == same}
            here = images(run.dataset)
            plain = kind == PLAIN
            calls[run] = (
                Loop(run, here, loader=False)
                if plain
                else epochs_of(TorchEngine(network_of(run), here, recipe_of(run), "cpu"))
            )
        calls[run]()
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def convolutional_steps(sizes: tuple[int, ...], rounds: int, report) -> list[dict]:
    """Microseconds a sample over the whole machine.

    The plain loop in one process that has all threads, and, like ours, in a process of one thread for each
    core. `memory_gb`: the largest process's peak so far.
    """
    cores, rows = os.cpu_count(), []
    # The plain loop has none of the settings that the sweep gives its workers.
    teams = {
        PLAIN: [Worker(PLAIN, cores, {"OMP_NUM_THREADS": str(cores)})],
        PLAIN_SPLIT: [Worker(PLAIN, 1, {"OMP_NUM_THREADS": "1"}) for _ in range(cores)],
        OURS: [Worker(OURS, 1, ENVIRONMENT) for _ in range(cores)],
    }

    def contestant(team: list[Worker], run: Run, peaks: list[float]):
        def cost():
            begun = time.perf_counter()
            for worker in team:
                worker.start(run)
            peaks.extend(worker.wait() for worker in team)
            return 1e6 * (time.perf_counter() - begun) / (run.n_train * len(team))

        return cost

    try:
        for name, size in itertools.product(IMAGES, sizes):
            n = {1: 20}.get(size, size)
            run, low = (plan(name, size, n_train=n, precision=p) for p in ("fp32", "bf16"))
            peaks = {who: [] for who in (*teams, BF16)}
            contestants = {who: contestant(team, run, peaks[who]) for who, team in teams.items()}
            contestants[BF16] = contestant(teams[OURS], low, peaks[BF16])
            found = interleaved(
                contestants, rounds, lambda text, name=name, size=size: report(f"{name}, B = {size}, {text}")
            )
            found = [row | {"memory_gb": max(peaks[row["contestant"]])} for row in found]
            rows += labelled(found, "machine", run, "us a sample, all cores")
    finally:
        for worker in itertools.chain(*teams.values()):
            worker.process.kill()
    return rows


def cuda_steps(name: str, batch_size: int, rounds: int, report, side_by_side: int = 5) -> list[dict]:
    """Microseconds a step and seed on a GPU: a DataLoader loop, eager steps, captured ones, seeds at once."""
    run = plan(name, batch_size, n_train=min(DATASETS[name].n_train, 2048, 200 * batch_size))
    here, steps = images(name), run.steps(0)
    there = here.to("cuda")
    team = [
        epochs_of(engine_for(plan(name, batch_size, s, n_train=run.n_train), there, "cuda"))
        for s in range(side_by_side)
    ]
    pool = ThreadPoolExecutor(side_by_side)
    contestants = {
        LOADER: timed(Loop(run, here, "cuda"), steps),
        f"{OURS}, eager": timed(
            epochs_of(TorchEngine(network_of(run), there, recipe_of(run), "cuda")), steps
        ),
        OURS: timed(epochs_of(engine_for(run, there, "cuda")), steps),
        f"{OURS}, {side_by_side} seeds": timed(
            lambda: list(pool.map(lambda call: call(), team)), steps * side_by_side
        ),
    }
    return labelled(interleaved(contestants, rounds, report), "cuda", run, "us a step and seed")
