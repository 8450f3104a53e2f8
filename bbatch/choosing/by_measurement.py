"""A batch size from four measurements of the reader's own model, data and machine: the alternative to Algorithm 2.

1. Time: elapsed seconds of an epoch at each power of two. Beyond the *knee*, the smallest batch size within a quarter
   of the fastest epoch, larger batches hardly save time.
2. Memory: the largest batch whose training step fits (`memory_limit`).
3. Gradient noise: tr(Sigma)/|G|^2 after 1, 2, 4, ... epochs at a batch of 32 (`gradient_noise`). Up to about this many samples a
   larger batch makes a step as much better as it makes it dearer; beyond, samples are wasted (McCandlish et al. 2018).
   The median over training counts: the scale grows while a model learns.
4. Rate: validation loss after short trainings at rates half a decade apart, three seeds each, at the batch size that
   the first three lead to and at an eighth of it. Between the two optima lies the exponent of the scaling rule: 1 is
   linear, 1/2 is the square root, 0 constant. Short trainings favour rates that are somewhat too high for long ones.

The batch size is the largest power of two up to the least of knee, ceiling and noise scale; the rate is the best one
tried at it. Validation data decides, never test data.
"""

from __future__ import annotations

import math
import statistics as middle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
from torch import nn
from tqdm import tqdm

from .. import published
from ..config import DATASETS
from ..statistics import Interval
from .fitting import Fit, fit
from .limits import (
    NEAR,
    best_rate,
    choose,
    knee,
    noise_over_training,
    rate_test,
    reference,
    scaling_exponent,
    throughput,
)
from .memory_limit import Ceiling, memory_ceiling
from .recommendation import Recommendation, check_limits, frame, one_epoch
from .task import Rows, Task

MOST = 8192  # samples in a batch: no model for which this page is meant wants more
SHARES = {
    "memory": 0.25,
    "time": 0.1,
    "noise": 0.2,
    "rates": 0.35,
}  # of the budget, at most; the rest is for scoring


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Recommendation):
    """A recommendation with what was measured.

    `throughput`: batch_size, seconds_per_epoch. `noise`: epoch, scale, low, high (95 %; NaN where the mean gradient
    cannot be told from zero). `knee`, `noise_limit` (None: not measured; infinite: beyond measure), `ceiling`.
    `exponent`: of the rate against the batch size, over seeds.
    """

    throughput: pd.DataFrame
    noise: pd.DataFrame
    knee: int
    noise_limit: float | None
    ceiling: Ceiling
    exponent: Interval


def measure_batch_size(
    model_factory: Callable[[], nn.Module],
    train,
    validation,
    *,
    epochs: int = 20,
    budget: float = 60.0,
    base_lr: float | None = None,
    loss: Callable = nn.functional.cross_entropy,
    optimizer: str | Callable = "adam",
    device: str = "cpu",
    seed: int = 0,
    progress: bool = True,
) -> Measured:
    """A batch size and a rate by measurement (see the module); arguments as of `algorithm_2.select_batch_size`.

    `base_lr`: where the search for a rate begins, at a batch of 32; by default the paper's, for Adam or SGD.
    """
    begun, worked = time.perf_counter(), time.process_time()
    check_limits(epochs, budget, seed, {"base_lr": base_lr})
    task = Task(
        model_factory, Rows(train, "training"), Rows(validation, "validation"), loss, optimizer, device
    )
    expected = min(budget, 10 + 25 * epochs * one_epoch(task, reference(task), budget))
    if progress:
        print(f"Measuring: about {expected:.2g} s, {budget:g} s at most.", file=sys.stderr)
    found = memory_ceiling(task, _cap(task), SHARES["memory"] * budget)
    deadline = begun + budget
    return measure(
        task,
        partial(fit, task, deadline=deadline),
        epochs,
        deadline - time.perf_counter(),
        base_lr,
        seed,
        found,
        started=(begun, worked),
        progress=progress,
    )


def measure(
    task: Task,
    train: Callable[..., Fit],
    epochs: int,
    budget: float,
    base_lr: float | None,
    seed: int,
    ceiling: Ceiling,
    *,
    started: tuple[float, float] | None = None,
    progress: bool = False,
) -> Measured:
    """The measurements after that of memory. `train(batch_size, lr, epochs, seed)` serves the trainings for the
    rate."""
    begun, worked = started or (time.perf_counter(), time.process_time())
    deadline, base_lr = time.perf_counter() + budget, base_lr or default_rate(task.optimizer)
    bar = tqdm(total=4, desc="Measuring", unit="part", disable=not progress, initial=1)
    times = throughput(task, ceiling.fits or _cap(task), SHARES["time"] * budget)
    at_knee = knee(times)
    bar.update()
    noise = noise_over_training(task, base_lr, epochs, seed, time.perf_counter() + SHARES["noise"] * budget)
    scales = noise["scale"].where(noise["scale"] > 0, math.inf)  # |G|² not told from 0: noise without limit
    limit = middle.median(scales) if len(noise) else None
    bar.update()
    b = choose(at_knee, limit, ceiling.fits, task.smallest)
    other = max(task.smallest, b // 8) if b > 8 * task.smallest else 8 * b
    guess = {s: base_lr * math.sqrt(s / published.value("vi-base-batch")) for s in (b, other)}
    fits, short = rate_test(train, len(task.train), guess, epochs, SHARES["rates"] * budget, seed, deadline)
    bar.update()
    bar.close()
    lr, exponent = best_rate(fits, b) or base_lr, scaling_exponent(fits, b, other)
    why = reasons(times, at_knee, limit, noise, ceiling, b, lr, exponent, other, short, epochs)
    return Measured(
        "Measured",
        b,
        lr,
        0,
        why,
        frame(fits, ["rate"] * len(fits)),
        time.perf_counter() - begun,
        time.process_time() - worked,
        times,
        noise,
        at_knee,
        limit,
        ceiling,
        exponent,
    )


def default_rate(optimizer) -> float:
    """The paper's rate at a batch of 32: Adam's from Algorithm 2; SGD's from MNIST's column of Table II, scaled by Eq.
    (2)."""
    sgd = DATASETS["mnist"].protocol
    scaled = sgd.base_lr * published.value("vi-base-batch") / sgd.base_batch
    return scaled if optimizer == "sgd" else published.value("vi-default-lr")


def _cap(task: Task) -> int:
    return 2 ** int(math.log2(min(MOST, len(task.train))))


def reasons(times, at_knee, limit, noise, ceiling, b, lr, exponent, other, short, epochs) -> tuple[str, ...]:
    """The four lines: time, memory, noise, rate."""
    fastest = times["seconds_per_epoch"].min()
    time_line = (
        f"Time: an epoch takes {fastest:.2g} s at its fastest, and from B = {at_knee} on no more than "
        f"{NEAR:g} times that."
    )
    memory = (
        f"Memory: B = {ceiling.fits} fits ({ceiling.why})."
        if ceiling.fits
        else f"Memory: not known ({ceiling.why})."
    )
    if limit is None:
        noise_line = (
            "Gradient noise: not measured (batch normalization, too large a model, or too little time)."
        )
    else:
        ends = noise.iloc[sorted({0, len(noise) - 1})].itertuples()
        looks = "; ".join(
            f"{samples(e.scale)} after epoch {e.epoch}"
            + ", of which little is certain" * (e.low <= 0 < e.scale)
            for e in ends
        )
        noise_line = (
            f"Gradient noise scale: {samples(limit)} in the median over training ({looks}); beyond it, larger "
            "batches waste samples."
        )
    if exponent.n:
        rate_line = (
            f"Rate: {lr:.3g} is the best tried at B = {b} ({short:.3g} of {epochs} epochs); from B = {other} it grows "
            f"as B to the power {exponent.text(2)} (n = {exponent.n} seed{'s' * (exponent.n > 1)}; 1 linear, 0.5 "
            "square root)."
        )
    else:
        rate_line = (
            f"Rate: {lr:.3g} is the best known at B = {b}; too little time, or no optimum in sight, to compare the "
            "scaling rules."
        )
    return time_line, memory, noise_line, rate_line


def samples(scale: float) -> str:
    """A number of samples as people read it, to two digits: "4,600 samples", "4.6 million samples"."""
    if not 0 < scale < math.inf:
        return "beyond measure"
    rounded = float(f"{scale:.2g}")
    if rounded < 1:
        return "less than 1 sample"
    return f"{rounded / 1e6:,.12g} million samples" if rounded >= 1e6 else f"{rounded:,.6g} samples"
