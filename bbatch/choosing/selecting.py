"""Algorithm 2 of the paper, followed for the reader's own model and data."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from .. import published
from ..errors import BadInput, positive, whole
from . import algorithm_2
from .answer import Told, because, how_many, rate_in_words
from .task import Task
from .training import Fit, epoch_seconds, fit


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
        chosen = f"batch size {self.batch_size}, {rate_in_words(self.lr, self.warmup_epochs)}"
        return [
            ("Algorithm 2", chosen),
            *because(self.reasons),
            ("took", f"{self.seconds:.0f} s, {how_many(len(self.trials), 'training')}"),
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
    """Algorithm 2 of the paper for any model and data (see `algorithm_2` for where it had to be completed).

    model, train, validation, loss, optimizer    see `task.Task`
    budget      seconds for the whole selection; a training that would go beyond is cut short and decides
                nothing unless it is the only one
    seconds_per_training    the paper's T, by default without limit
    acceptable  validation score in percent from which larger batches may be tried for speed
    base_lr     rate at a batch of 32, by default the paper's 0.001

    Raises `BadInput` for data or a model that cannot serve, and for a budget too small for one epoch.
    """
    begun, worked = time.perf_counter(), time.process_time()
    whole("number of epochs", epochs, 1)
    whole("seed", seed, 0, 2**32 - 1)
    positive("budget", budget)
    for what, given in (("base_lr", base_lr), ("seconds_per_training", seconds_per_training)):
        if given is not None:
            positive(what, given)
    if acceptable is not None and not (isinstance(acceptable, (int, float)) and acceptable <= 100):
        raise BadInput(f"acceptable is {acceptable!r}; it must be a score in percent, at most 100.")
    task = Task(model, train, validation, loss, optimizer, None, device, precision)
    n, base_lr = len(task.train), base_lr or published.value("vi-default-lr")
    first = max(algorithm_2.start(n), task.smallest)
    epoch = epoch_seconds(task, first, deadline=begun + budget)
    about = f"about {epoch:.2g} s"
    if epoch > budget:
        raise BadInput(
            f"a budget of {budget:g} s is too small for one epoch, which takes {about} at B = {first}."
        )
    if progress:
        print(f"Algorithm 2: {about} an epoch at B = {first}; {budget:g} s at most.", file=sys.stderr)
    with tqdm(total=0, desc="Algorithm 2", unit="epoch", disable=not progress) as bar:

        def train_at(b: int) -> Fit:
            bar.total += epochs
            bar.set_postfix(B=b)
            lr, warm = algorithm_2.rate(base_lr, b), algorithm_2.warmup(b, epochs)
            more = {"deadline": begun + budget, "tick": bar.update}
            return fit(task, b, lr, epochs, seed, warmup_epochs=warm, **more)

        limits = {"seconds_per_training": seconds_per_training or math.inf, "acceptable": acceptable}
        chosen, trials = algorithm_2.follow(train_at, n, smallest=task.smallest, **limits)
    if chosen.diverged:
        raise BadInput(
            f"all trainings diverged ({len(trials)}, the last at B = {trials[-1][0].batch_size}); look at "
            "the loss and the scale of the inputs, or give a lower base_lr."
        )
    if chosen.epochs < 1:
        raise BadInput(
            f"the budget of {budget:g} s ended within the first epoch; give more. An epoch takes {about} at "
            f"B = {first}, after what PyTorch loads at its first step."
        )
    pair, rates = algorithm_2.branch(n)
    reasons = [
        f"N = {n} rows: the paper starts from B = {pair[0]} or {pair[1]} with rates from {rates[0]:g} to "
        f"{rates[1]:g}, and bounds B by c√N = {algorithm_2.bound(n):.0f}; this starts at {first}."
    ]
    for t, why in trials:
        scores = f"validation {t.validation_score:.2f} %, gap {t.gap:.2f} points"
        reasons.append(f"B = {t.batch_size}: {scores}, {t.seconds:.2g} s; {why}.")
    table = pd.DataFrame([vars(t) | {"gap": t.gap, "decision": why} for t, why in trials])
    took = time.perf_counter() - begun, time.process_time() - worked
    return Followed(chosen.batch_size, chosen.lr, chosen.warmup_epochs, tuple(reasons), table, *took)
