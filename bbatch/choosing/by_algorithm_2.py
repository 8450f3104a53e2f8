"""Algorithm 2 of the paper on the reader's own model and data: `bbatch.select_batch_size`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from .. import published
from ..errors import BadInput
from . import algorithm_2
from .answer import Told
from .fitting import Fit, fit
from .limits import check_limits
from .task import Task
from .training import epoch_seconds


@dataclass(frozen=True, eq=False, repr=False)
class Followed(Told):
    """What Algorithm 2 led to. `trials`: a row a training, columns of `Fit`, with its gap and what was
    decided; `seconds` and `cpu_seconds`: what all of it took."""

    batch_size: int
    lr: float
    warmup_epochs: float
    reasons: tuple[str, ...]
    trials: pd.DataFrame
    seconds: float
    cpu_seconds: float

    def rows(self) -> list[tuple[str, str]]:
        warm = f", warm-up over {self.warmup_epochs} epochs" if self.warmup_epochs else ""
        return [
            ("Algorithm 2", f"batch size {self.batch_size}, learning rate {self.lr:.3g}{warm}"),
            *(("because" if k == 0 else "", reason) for k, reason in enumerate(self.reasons)),
            (
                "took",
                f"{self.seconds:.0f} s, {len(self.trials)} training{'' if len(self.trials) == 1 else 's'}",
            ),
        ]


def select_batch_size(
    model,
    train,
    validation,
    *,
    epochs: int = 20,
    budget: float = 60.0,
    seconds_per_training: float | None = None,
    acceptable: float | None = None,
    base_lr: float | None = None,
    loss: Callable | None = None,
    optimizer="adam",
    device: str = "cpu",
    precision: str = "fp32",
    seed: int = 0,
    progress: bool = True,
) -> Followed:
    """Algorithm 2 of the paper for any model and data (see the module for where it had to be completed).

    `model`, `train`, `validation`, `loss`, `optimizer`: see `task.Task`. `budget`: seconds for the whole
    selection; a training that would go beyond is cut short and decides nothing unless it is the only one.
    `seconds_per_training`: the paper's T, by default without limit. `acceptable`: validation score in percent
    from which larger batches may be tried for speed. `base_lr`: rate at a batch of 32, by default the paper's
    0.001.

    Raises `BadInput` for data or a model that cannot serve, and for a budget too small for one epoch.
    """
    begun, worked = time.perf_counter(), time.process_time()
    check_limits(epochs, budget, seed, {"base_lr": base_lr, "seconds_per_training": seconds_per_training})
    if acceptable is not None and not (isinstance(acceptable, (int, float)) and acceptable <= 100):
        raise BadInput(f"acceptable is {acceptable!r}; it must be a score in percent, at most 100.")
    task = Task(model, train, validation, loss, optimizer, None, device, precision)
    n, base_lr = len(task.train), base_lr or published.value("vi-default-lr")
    first = max(algorithm_2.start(n), task.smallest)
    epoch = epoch_seconds(task, first, deadline=begun + budget)
    if epoch > budget:
        raise BadInput(
            f"a budget of {budget:g} s is too small for one epoch, which takes about {epoch:.2g} s here at B "
            f"= {first}."
        )
    if progress:
        print(
            f"Algorithm 2: about {epochs * epoch:.2g} s for a training of {epochs} epochs at B = {first}; "
            f"one or more of them, {budget:g} s at most.",
            file=sys.stderr,
        )
    with tqdm(total=0, desc="Algorithm 2", unit="epoch", disable=not progress) as bar:

        def train_at(b: int) -> Fit:
            bar.total += epochs
            bar.set_postfix(B=b)
            return fit(
                task,
                b,
                algorithm_2.rate(base_lr, b),
                epochs,
                seed,
                warmup_epochs=algorithm_2.warmup(b, epochs),
                deadline=begun + budget,
                tick=bar.update,
            )

        chosen, trials = algorithm_2.follow(
            train_at,
            n,
            seconds_per_training=seconds_per_training or math.inf,
            acceptable=acceptable,
            smallest=task.smallest,
        )
    pair, rates = algorithm_2.branch(n)
    first_line = (
        f"N = {n} rows: the paper starts from B = {pair[0]} or {pair[1]} with rates from {rates[0]:g} to "
        f"{rates[1]:g}, and bounds B by c√N = {algorithm_2.bound(n):.0f}; this starts at {first}."
    )
    reasons = [
        first_line,
        *(
            f"B = {t.batch_size}: validation {t.validation_score:.2f} %, gap {t.gap:.2f} points, "
            f"{t.seconds:.2g} s; {why}."
            for t, why in trials
        ),
    ]
    return Followed(
        chosen.batch_size,
        chosen.lr,
        chosen.warmup_epochs,
        tuple(reasons),
        pd.DataFrame([vars(t) | {"gap": t.gap, "decision": why} for t, why in trials]),
        time.perf_counter() - begun,
        time.process_time() - worked,
    )
