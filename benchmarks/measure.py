"""Interleaved measurements: in every round each contestant runs once, so that a busy machine slows all of
them alike.

Every function returns tidy rows: figure, dataset, batch_size, contestant, unit, median, low, high (quartiles
over the rounds), ratio, ratio_low, ratio_high (first contestant over this one in the same round, above 1 is
faster), rounds.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from shutil import which

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bbatch import data
from bbatch.config import DATASETS, Run, plan
from bbatch.engines import engine_for
from bbatch.engines.eager import TorchEngine
from bbatch.sweeping.worker import ENVIRONMENT
from bbatch.trainer import train

from .rivals import Compiled, Jax, Loop

LOADER, EAGER, OURS = "DataLoader loop", "bbatch without numba", "bbatch"
PLAIN, PLAIN_SPLIT, BF16 = "plain loop, one process", "plain loop, a process for each core", "bbatch, bf16"
IMAGES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def interleaved(
    contestants: dict[str, Callable[[], float]], rounds: int, report: Callable[[str], None]
) -> list[dict]:
    """Call each contestant once a round, each round from another one on, after one round to warm up.

    A contestant returns its cost.
    """
    costs = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        report(f"round {number} of {rounds}")
        for name in names[number % len(names) :] + names[: number % len(names)]:
            gc.collect()
            cost = contestants[name]()
            if number:
                costs[name].append(cost)
    base, rows = costs[names[0]], []
    for name, values in costs.items():
        row = {"contestant": name}
        for what, series in (("", values), ("ratio", [b / v for b, v in zip(base, values, strict=True)])):
            low, median, high = np.percentile(series, (25, 50, 75))
            row |= {what or "median": median, f"{what}_low".strip("_"): low, f"{what}_high".strip("_"): high}
        rows.append(row | {"rounds": rounds})
    return rows


def timed(epoch: Callable[[], object], steps: int, clock=time.perf_counter) -> Callable[[], float]:
    """A contestant: microseconds a step of one call of `epoch`."""

    def cost():
        begun = clock()
        epoch()
        return 1e6 * (clock() - begun) / steps

    return cost


def epochs_of(engine: TorchEngine) -> Callable[[], object]:
    numbers = iter(range(10**9))
    return lambda: engine.train_epoch(next(numbers))


def synthetic_steps(batch_size: int, rounds: int, report) -> list[dict]:
    """Microseconds a step and seed of the synthetic network, one thread; slow loops run a part of the epoch.

    Processor time: in one thread, what the clock would show on an idle machine; on a busy one, the better
    measure.
    """

    def timed_here(epoch, steps):
        return timed(epoch, steps, time.process_time)

    dataset = data.load("synthetic-50k")
    run = plan("synthetic-50k", batch_size)
    short, middling = (
        plan("synthetic-50k", batch_size, n_train=min(run.n_train, steps * batch_size))
        for steps in (300, 5000)
    )
    engines = {EAGER: (TorchEngine, short), OURS: (engine_for, run)}
    with threadpool_limits(1):
        contestants = {LOADER: timed_here(Loop(short, dataset), short.steps(0))}
        for name, (make, which_run) in engines.items():
            contestants[name] = timed_here(epochs_of(make(which_run, dataset, "cpu")), which_run.steps(0))
        for seeds in (1, 10) if find_spec("jax") else ():
            jax = Jax(middling, dataset, seeds)
            contestants[f"JAX, {seeds} seed{'s' * (seeds > 1)}"] = timed_here(jax, jax.steps)
        if which("g++"):
            contestants["C++"] = timed_here(Compiled(run, dataset), run.steps(0))
        return labelled(
            interleaved(contestants, rounds, report), "step", run, "us of processor time a step and seed"
        )


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
            calls = {
                k: v for k, v in calls.items() if k.dataset == run.dataset and k.batch_size == run.batch_size
            }
            here = images(run.dataset)
            calls[run] = (
                Loop(run, here, loader=False)
                if kind == PLAIN
                else epochs_of(TorchEngine.of(run, here, "cpu"))
            )
        calls[run]()
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def convolutional_steps(sizes: tuple[int, ...], rounds: int, report) -> list[dict]:
    """Microseconds a sample of the convolutional networks over the whole machine: the plain loop in one
    process that has all threads, and, like ours, in a process of one thread for each core. `memory_gb`: the
    largest process's peak so far."""
    cores, rows = os.cpu_count(), []
    # the plain loop has none of the settings that the sweep gives its workers
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
            rows += labelled(
                [row | {"memory_gb": max(peaks[row["contestant"]])} for row in found],
                "machine",
                run,
                "us a sample, all cores",
            )
    finally:
        for worker in itertools.chain(*teams.values()):
            worker.process.kill()
    return rows


def scaling(rounds: int, report) -> list[dict]:
    """Processor seconds of whole runs of the synthetic network, evaluation included, as B, N, epochs or seeds
    grow: the sum over all processes, which a busy machine changes less than the time on the clock."""
    cases = [("B", b, plan("synthetic-50k", b, epochs=5), 1) for b in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)]
    cases += [
        ("N", n, plan("synthetic-50k", 32, epochs=5, n_train=n), 1)
        for n in (1_250, 5_000, 10_000, 20_000, 40_000)
    ]
    cases += [("epochs", e, plan("synthetic-10k", 32, epochs=e), 1) for e in (1, 5, 10, 25, 50)]
    cases += [("seeds", s, plan("synthetic-10k", 32, epochs=50), s) for s in (1, 2, 4, 8)]
    kept = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        warm_up = [plan(d, 512, epochs=1) for d in ("synthetic-50k", "synthetic-10k")] * 4  # compile, load
        list(pool.map(_train, warm_up))

        def cost(run, seeds):
            def measure():
                return sum(pool.map(_train, [replace(run, seed=seed) for seed in range(seeds)]))

            return measure

        rows = interleaved(
            {f"{what} = {value}": cost(run, seeds) for what, value, run, seeds in cases}, rounds, report
        )
    os.environ.clear()
    os.environ.update(kept)
    return [
        {
            "varied": what,
            "value": value,
            "dataset": run.dataset,
            "batch_size": run.batch_size,
            "n_train": run.n_train,
            "epochs": run.epochs,
            "seeds": seeds,
            "seconds": row["median"],
            "low": row["low"],
            "high": row["high"],
            "rounds": rounds,
        }
        for (what, value, run, seeds), row in zip(cases, rows, strict=True)
    ]


def _train(run: Run) -> float:
    torch.set_num_threads(1)
    here, begun = data.load(run.dataset), time.process_time()
    with threadpool_limits(1):
        train(run, here)
    return time.process_time() - begun


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
        f"{OURS}, eager": timed(epochs_of(TorchEngine.of(run, there, "cuda")), steps),
        OURS: timed(epochs_of(engine_for(run, there, "cuda")), steps),
        f"{OURS}, {side_by_side} seeds": timed(
            lambda: list(pool.map(lambda call: call(), team)), steps * side_by_side
        ),
    }
    return labelled(interleaved(contestants, rounds, report), "cuda", run, "us a step and seed")


def labelled(rows: list[dict], figure: str, run: Run, unit: str) -> list[dict]:
    what = {"figure": figure, "dataset": run.dataset, "batch_size": run.batch_size, "unit": unit}
    return [what | row for row in rows]
