"""A batch size from four measurements of the reader's own model, data and machine: the alternative to Algorithm 2.

1. Time: elapsed seconds of an epoch at each power of two. Beyond the *knee*, the smallest batch size within a quarter of
   the fastest epoch, larger batches hardly save time.
2. Memory: the largest batch whose training step fits (`ceiling`).
3. Gradient noise: tr(Sigma)/|G|^2 after 1, 2, 4, ... epochs at a batch of 32 (`noise`). Up to about this many samples a
   larger batch makes a step as much better as it makes it dearer; beyond, samples are wasted (McCandlish et al. 2018). The
   median over training counts: the scale grows while a model learns.
4. Rate: validation loss after short trainings at rates half a decade apart, three seeds each, at the batch size that the
   first three lead to and at an eighth of it. Between the two optima lies the exponent of the scaling rule: 1 is linear,
   1/2 is the square root, 0 constant. Short trainings favour rates that are somewhat too high for long ones.

The batch size is the largest power of two up to the least of knee, ceiling and noise scale; the rate is the best one tried
at it. Validation data decides, never test data.
"""

from __future__ import annotations

import math
import statistics as middle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn
from tqdm.auto import tqdm

from . import published
from .ceiling import Ceiling, memory_ceiling
from .config import DATASETS
from .errors import BadInput
from .figures import COLORS, FAINT, INK, STYLE
from .fitting import Fit, Rows, Task, fit, step_seconds
from .noise import noise_scale
from .selection import Recommendation, check_limits, frame, one_epoch
from .statistics import Interval, mean_interval

MOST = 8192  # samples in a batch: no model for which this page is meant wants more
NEAR = 1.25  # an epoch within a quarter of the fastest is as good as the fastest
HALF_DECADES = (-2, -1, 0, 1, 2)  # rates tried, around the square-root guess; up to two more where the best is at an end
SEEDS = 3
PASSES = 4  # over the batch sizes that are timed
SHARES = {"memory": 0.25, "time": 0.1, "noise": 0.2, "rates": 0.35}  # of the budget, at most; the rest is for scoring
PROBED = 10  # steps that a training is timed by before many of them begin
NOISE_ROWS, NOISE_BATCH, NOISE_BYTES = 1000, 25, 2**29  # rows looked at, in mini-batches; memory for their gradients


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Recommendation):
    """A recommendation with what was measured.

    `throughput`: batch_size, seconds_per_epoch. `noise`: epoch, scale, low, high (95 %; NaN where the mean gradient cannot
    be told from zero). `knee`, `noise_limit` (None: not measured; infinite: beyond measure), `ceiling`. `exponent`: of the rate
    against the batch size, over seeds.
    """

    throughput: pd.DataFrame
    noise: pd.DataFrame
    knee: int
    noise_limit: float | None
    ceiling: Ceiling
    exponent: Interval

    def figure(self) -> Figure:
        """Seconds an epoch against B with the limits; validation loss against the rate at the two batch sizes."""
        with mpl.rc_context(STYLE):
            figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.0))
            left.plot(self.throughput["batch_size"], self.throughput["seconds_per_epoch"], "o-", color=COLORS["synthetic-50k"],
                      label="an epoch")
            if self.noise_limit and self.noise_limit < math.inf:
                left.axvline(self.noise_limit, color=COLORS["cifar10"], linestyle="--", label="noise scale, median")
            left.axvline(self.knee, color=COLORS["mnist"], linestyle=":", linewidth=2, label="knee of the time")
            left.axvline(self.batch_size, color=FAINT, linewidth=9, zorder=0, label="recommended")
            left.set(xscale="log", yscale="log", xlabel="Batch size B (log scale)", ylabel="Seconds an epoch (log scale)",
                     title="Time and limits")
            left.legend(fontsize=9)
            for (b, trials), color in zip(self.trials.groupby("batch_size"), (COLORS["synthetic-1k"], INK)):
                by_rate = trials[trials["decision"] == "rate"].groupby("lr")["validation_loss"].agg(["mean", "min", "max"])
                if len(by_rate):
                    bars = [by_rate["mean"] - by_rate["min"], by_rate["max"] - by_rate["mean"]]
                    right.errorbar(by_rate.index, by_rate["mean"], bars, color=color, marker="o", capsize=3, label=f"B = {b}")
            right.axvline(self.lr, color=FAINT, linewidth=9, zorder=0)
            right.set(xscale="log", yscale="log", xlabel="Learning rate (log scale)", ylabel="Validation loss (log scale)",
                      title="Rates (mean and range over seeds)")
            right.legend(fontsize=9)
        plt.close(figure)
        return figure


def measure_batch_size(model_factory: Callable[[], nn.Module], train, validation, *, epochs: int = 20, budget: float = 60.0,
                       base_lr: float | None = None, loss: Callable = nn.functional.cross_entropy,
                       optimizer: str | Callable = "adam", device: str = "cpu", seed: int = 0,
                       progress: bool = True) -> Measured:
    """A batch size and a rate by measurement (see the module); arguments as of `selection.select_batch_size`.

    `base_lr`: where the search for a rate begins, at a batch of 32; by default the paper's, for Adam or SGD.
    """
    begun, worked = time.perf_counter(), time.process_time()
    check_limits(epochs, budget, seed, {"base_lr": base_lr})
    task = Task(model_factory, Rows(train, "training"), Rows(validation, "validation"), loss, optimizer, device)
    expected = min(budget, 10 + 25 * epochs * one_epoch(task, reference(task), budget))
    if progress:
        print(f"Measuring: about {expected:.2g} s, {budget:g} s at most.", file=sys.stderr)
    found = memory_ceiling(task, _cap(task), SHARES["memory"] * budget)
    deadline = begun + budget
    return measure(task, partial(fit, task, deadline=deadline), epochs, deadline - time.perf_counter(), base_lr, seed, found,
                   started=(begun, worked), progress=progress)


def measure(task: Task, train: Callable[..., Fit], epochs: int, budget: float, base_lr: float | None, seed: int,
            ceiling: Ceiling, *, started: tuple[float, float] | None = None, progress: bool = False) -> Measured:
    """The measurements after that of memory. `train(batch_size, lr, epochs, seed)` serves the trainings for the rate."""
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
    return Measured("Measured", b, lr, 0, reasons(times, at_knee, limit, noise, ceiling, b, lr, exponent, other, short, epochs),
                    frame(fits, ["rate"] * len(fits)), time.perf_counter() - begun, time.process_time() - worked, times, noise,
                    at_knee, limit, ceiling, exponent)


def reference(task: Task) -> int:
    """The batch size of the trainings that serve a measurement: 32, or what the rows allow."""
    return min(int(published.value("vi-base-batch")), len(task.train) // 2)


def default_rate(optimizer) -> float:
    """The paper's rate at a batch of 32: Adam's from Algorithm 2; SGD's from MNIST's column of Table II, scaled by Eq. (2)."""
    sgd = DATASETS["mnist"].protocol
    scaled = sgd.base_lr * published.value("vi-base-batch") / sgd.base_batch
    return scaled if optimizer == "sgd" else published.value("vi-default-lr")


def _cap(task: Task) -> int:
    return 2 ** int(math.log2(min(MOST, len(task.train))))


def throughput(task: Task, largest: int, seconds: float) -> pd.DataFrame:
    """Elapsed seconds of an epoch at powers of two up to `largest`: batch_size, seconds_per_epoch.

    Goes up until two doublings in a row have not made an epoch a tenth shorter, or the time is up; then over the same sizes
    again, `PASSES` times in all, and keeps the least of each: other work on the machine comes and goes.
    """
    b = min(max(task.smallest, 4), largest)
    step_seconds(task, b, 0)  # the first step of a process loads half of PyTorch
    deadline, best, idle = time.perf_counter() + seconds, {}, 0

    def epoch_at(size):
        return step_seconds(task, size) * math.ceil(len(task.train) / size)

    while b <= largest and idle < 2 and (len(best) < 2 or time.perf_counter() < deadline):
        took = epoch_at(b)
        idle = idle + 1 if best and took > 0.9 * min(best.values()) else 0
        best[b] = took
        b *= 2
    for size in [*best] * (PASSES - 1):
        if time.perf_counter() < deadline:
            best[size] = min(best[size], epoch_at(size))
    return pd.DataFrame({"batch_size": best.keys(), "seconds_per_epoch": best.values()})


def knee(times: pd.DataFrame) -> int:
    """The smallest batch size whose epoch takes at most `NEAR` times the fastest one."""
    near = times["seconds_per_epoch"] <= NEAR * times["seconds_per_epoch"].min()
    return int(times.loc[near, "batch_size"].min())


def noise_over_training(task: Task, lr: float, epochs: int, seed: int, deadline: float) -> pd.DataFrame:
    """The gradient noise scale after 1, 2, 4, ... epochs of one training at the reference batch size, dropout off.

    Columns: epoch, scale, low, high (samples; 95 % interval). Empty where the model cannot be measured (batch
    normalization, gradients too large to keep, no epoch within the time).
    """
    rows = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(seed))[:NOISE_ROWS]
    x, y = (part.to(task.device) for part in task.train.take(rows))
    size = max(1, min(NOISE_BATCH, len(rows) // 8))
    kept = NOISE_BYTES // (12 * sum(p.numel() for p in task.model(seed).parameters()))  # gradients, in float and double
    x, y, found = x[:kept * size], y[:kept * size], []

    def look(model, epoch):
        if epoch & (epoch - 1) == 0:
            model.eval()
            scale = noise_scale(model, task.loss, x, y, size).scale
            found.append({"epoch": epoch, "scale": scale.mean, "low": scale.low, "high": scale.high})

    try:
        fit(task, reference(task), lr, epochs, seed, deadline=deadline, watch=look)
    except BadInput:  # of `noise_scale`: the task itself has been checked
        pass
    return pd.DataFrame(found, columns=["epoch", "scale", "low", "high"])


def choose(at_knee: int, noise: float | None, fits: int, smallest: int = 1) -> int:
    """The largest power of two up to each limit that is known (`noise` None, `fits` 0: not known)."""
    least = min(at_knee, noise or math.inf, fits or math.inf)
    return max(smallest, 2 ** int(math.log2(max(1, least))))


def rate_test(train: Callable[..., Fit], n: int, guess: dict[int, float], epochs: int, budget: float,
              seed: int, deadline: float) -> tuple[list[Fit], float]:
    """Short trainings over rates half a decade apart, at each batch size; returns them and their length in epochs.

    `guess`: the rate in the middle, by batch size. As many epochs as the budget allows with `SEEDS` seeds; with one
    seed, and less than an epoch, where it allows no more.
    """
    timed = [train(b, lr, min(1.0, PROBED * b / n), seed) for b, lr in guess.items()]
    once = len(HALF_DECADES) * sum(f.seconds / f.epochs for f in timed if f.epochs)
    seeds = SEEDS if budget / (SEEDS * once) >= 1 else 1
    short = min(epochs, budget / (seeds * max(once, 1e-9)))
    short = math.floor(short) if short >= 1 else max(short, 0.02)
    fits = []
    for b in guess:
        tried = dict.fromkeys(HALF_DECADES)
        while (step := next((s for s in tried if tried[s] is None), None)) is not None and time.perf_counter() < deadline:
            some = [train(b, guess[b] * 10 ** (step / 2), short, seed + k) for k in range(seeds)]
            fits += [f for f in some if f.complete]
            tried[step] = float(np.mean([math.inf if f.diverged else f.validation_loss for f in some]))
            if None not in tried.values() and len(tried) < len(HALF_DECADES) + 2:
                best = min(tried, key=tried.get)
                if best in (min(tried), max(tried)):
                    tried[best + (1 if best == max(tried) else -1)] = None
    return fits, short


def best_rate(fits: list[Fit], b: int) -> float | None:
    """The rate with the least mean validation loss at `b`; a rate that diverged under any seed is out."""
    losses = _losses(fits, b)
    return None if losses.empty else float(losses.mean(axis=0).idxmin())


def _losses(fits: list[Fit], b: int) -> pd.DataFrame:
    """Validation losses at one batch size: a row a seed, a column a rate."""
    rows = [(f.seed, f.lr, math.inf if f.diverged or not math.isfinite(f.validation_loss) else f.validation_loss)
            for f in fits if f.batch_size == b]
    return pd.DataFrame(rows, columns=["seed", "lr", "loss"]).pivot(index="seed", columns="lr", values="loss")


def optimum(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """The rate of least loss: the vertex of the parabola in log rate through the best and its neighbours.

    None where the best stands at an end, or beside a training that diverged: the optimum may lie elsewhere.
    """
    k = int(np.argmin(losses))
    if not 0 < k < len(rates) - 1 or not np.isfinite(losses[k - 1:k + 2]).all():
        return None
    a, slope, _ = np.polyfit(np.log(rates[k - 1:k + 2]), losses[k - 1:k + 2], 2)
    return float(math.exp(-slope / (2 * a))) if a > 0 else float(rates[k])


def scaling_exponent(fits: list[Fit], b: int, other: int) -> Interval:
    """d log(best rate) / d log(B) between two batch sizes, with its interval over the seeds that show both optima."""
    here, there = (_losses(fits, size).dropna() for size in (b, other))
    pairs = [tuple(optimum(t.columns.to_numpy(float), t.loc[s].to_numpy(float)) for t in (here, there))
             for s in here.index.intersection(there.index)]
    return mean_interval([math.log(p / q) / math.log(b / other) for p, q in pairs if p and q])


def reasons(times, at_knee, limit, noise, ceiling, b, lr, exponent, other, short, epochs) -> tuple[str, ...]:
    """The four lines: time, memory, noise, rate."""
    fastest = times["seconds_per_epoch"].min()
    time_line = (f"Time: an epoch takes {fastest:.2g} s at its fastest, and from B = {at_knee} on no more than {NEAR:g} times "
                 "that.")
    memory = (f"Memory: B = {ceiling.fits} fits ({ceiling.why})." if ceiling.fits else f"Memory: not known ({ceiling.why}).")
    if limit is None:
        noise_line = "Gradient noise: not measured (batch normalization, too large a model, or too little time)."
    else:
        first, last, typical = (f"{v:.3g} samples" if 0 < v < math.inf else "beyond measure"
                                for v in (noise["scale"].iloc[0], noise["scale"].iloc[-1], limit))
        noise_line = (f"Gradient noise scale: {typical} in the median over training ({first} after epoch 1, {last} after "
                      f"epoch {noise['epoch'].iloc[-1]}); beyond it, larger batches waste samples.")
    if exponent.n:
        rate_line = (f"Rate: {lr:.3g} is the best tried at B = {b} ({short:.3g} of {epochs} epochs); from B = {other} it "
                     f"grows as B to the power {exponent.text(2)} (n = {exponent.n} seeds; 1 linear, 0.5 square root).")
    else:
        rate_line = f"Rate: {lr:.3g} is the best known at B = {b}; too little time, or no optimum in sight, to compare the scaling rules."
    return time_line, memory, noise_line, rate_line
