"""Interleaved measurements: each contestant runs once a round, so that a busy machine slows all alike.

Every function returns tidy rows: figure, dataset, batch_size, contestant, unit, median, low, high (quartiles
over the rounds), ratio, ratio_low, ratio_high (first contestant over this one in the same round, above 1 is
faster), rounds.
"""

import gc
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from shutil import which

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bbatch import data
from bbatch.config import Run, plan
from bbatch.engines import engine_for
from bbatch.engines.eager import TorchEngine
from bbatch.sweeping.worker import ENVIRONMENT
from bbatch.trainer import train

from .rivals import Compiled, Jax, Loop

LOADER, EAGER, OURS = "DataLoader loop", "bbatch without numba", "bbatch"


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

    Processor time: in one thread what the clock would show on an idle machine, on a busy one the better
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
            contestants[f"JAX, {seeds} seed" if seeds == 1 else f"JAX, {seeds} seeds"] = timed_here(
                jax, jax.steps
            )
        if which("g++"):
            contestants["C++"] = timed_here(Compiled(run, dataset), run.steps(0))
        rows = interleaved(contestants, rounds, report)
        return labelled(rows, "step", run, "us of processor time a step and seed")


def scaling(rounds: int, report) -> list[dict]:
    """Processor seconds of whole runs of the synthetic network as B, N, epochs or seeds grow.

    Evaluation included; the sum over all processes, which a busy machine changes less than the time on the
    clock.
    """
    sizes, samples = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512), (1_250, 5_000, 10_000, 20_000, 40_000)
    cases = [("B", b, plan("synthetic-50k", b, epochs=5), 1) for b in sizes]
    cases += [("N", n, plan("synthetic-50k", 32, epochs=5, n_train=n), 1) for n in samples]
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

        contestants = {f"{what} = {value}": cost(run, seeds) for what, value, run, seeds in cases}
        rows = interleaved(contestants, rounds, report)
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


def labelled(rows: list[dict], figure: str, run: Run, unit: str) -> list[dict]:
    what = {"figure": figure, "dataset": run.dataset, "batch_size": run.batch_size, "unit": unit}
    return [what | row for row in rows]
