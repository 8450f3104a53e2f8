"""One training of the reader's model, at one batch size and learning rate, in plain PyTorch: what it gave, and its
time.

Scores are in percent. Where targets are whole numbers and the model gives a row of outputs for each sample, the score
is the accuracy. For any other loss it is the share of the untrained model's validation loss that training removed, so
that a difference between training and validation score reads alike: in percent of where one began.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import BadInput
from .task import Rows, Task, forward

PIECE = 4096  # rows evaluated at a time: bounds memory, changes nothing


@dataclass(frozen=True)
class Fit:
    """One training. Scores in percent (see the module); `seconds` elapsed and `cpu_seconds` of the training steps
    alone; `curve`: validation score after each whole epoch; `complete`: not cut short by the deadline."""

    batch_size: int
    lr: float
    warmup_epochs: int
    epochs: float
    seed: int
    train_score: float
    validation_score: float
    validation_loss: float
    seconds: float
    cpu_seconds: float
    complete: bool
    diverged: bool
    curve: tuple[float, ...]

    @property
    def gap(self) -> float:
        """Training minus validation score, in points: the paper's Delta with validation data in place of test data."""
        return self.train_score - self.validation_score


def fit(
    task: Task,
    batch_size: int,
    lr: float,
    epochs: float,
    seed: int = 0,
    *,
    warmup_epochs: int = 0,
    deadline: float = math.inf,
    tick: Callable[[], object] = lambda: None,
    watch: Callable[[nn.Module, int], object] | None = None,
) -> Fit:
    """Train a new model for `epochs` passes over the training rows (a fraction trains on a random part of them).

    A new order each epoch; the last, partial batch is used, unless it is a single row of a model that needs two. The
    rate climbs linearly, step by step, over `warmup_epochs`. Training stops where the loss is no number, and at
    `deadline` (of `time.perf_counter`). `tick` is called after each epoch, `watch(model, epochs done)` too.
    """
    model, n = task.model(seed), len(task.train)
    optimizer, generator = task.optimizer_of(model, lr), torch.Generator().manual_seed(seed)
    start_loss, _ = evaluate(task, model, task.validation)
    steps = math.ceil(n / batch_size)
    total, warm = max(1, round(epochs * steps)), warmup_epochs * steps
    seconds = cpu = 0.0
    done, diverged, curve, late = 0, False, [], False
    while done < total and not diverged and not late:
        begun, worked = time.perf_counter(), time.process_time()
        model.train()
        with torch.random.fork_rng():
            torch.manual_seed(seed * 1_000_003 + done + 1)  # dropout's, a stream of its own for each epoch
            for index in torch.randperm(n, generator=generator).split(batch_size)[: total - done]:
                if late := time.perf_counter() > deadline:
                    break
                if warm:
                    for group in optimizer.param_groups:
                        group["lr"] = lr * min(1.0, (done + 1) / warm)
                done += 1
                if len(index) < task.smallest:
                    continue
                loss = _step(task, model, optimizer, index)
        diverged = done > 0 and not math.isfinite(
            loss.item()
        )  # a NaN stays one: asked once an epoch, not at each step
        seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - worked
        if done % steps == 0 and not diverged and not late:
            curve.append(_score(task, evaluate(task, model, task.validation), start_loss))
            if watch:
                watch(model, done // steps)
        tick()
    validation = evaluate(task, model, task.validation)
    return Fit(
        batch_size,
        lr,
        warmup_epochs,
        done / steps,
        seed,
        _score(task, evaluate(task, model, task.train), start_loss),
        _score(task, validation, start_loss),
        validation[0],
        seconds,
        cpu,
        not late,
        diverged,
        tuple(curve),
    )


def _step(task: Task, model: nn.Module, optimizer, index: torch.Tensor) -> torch.Tensor:
    x, y = task.train.take(index)
    optimizer.zero_grad(set_to_none=True)
    loss = task.loss_of(forward(model, x.to(task.device)), y.to(task.device))
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def evaluate(task: Task, model: nn.Module, rows: Rows) -> tuple[float, float | None]:
    """Mean loss and, where it is one, accuracy in percent on all rows, in eval mode."""
    model.eval()
    loss = correct = 0.0
    for index in torch.arange(len(rows)).split(PIECE):
        x, y = rows.take(index)
        out, y = forward(model, x.to(task.device)), y.to(task.device)
        loss += task.loss_of(out, y).item() * len(index)
        if task.accuracy:
            correct += (out.argmax(1) == y).sum().item()
    return loss / len(rows), 100 * correct / len(rows) if task.accuracy else None


def _score(task: Task, judged: tuple[float, float | None], start_loss: float) -> float:
    loss, accuracy = judged
    if accuracy is not None:
        return accuracy
    if not start_loss > 0:
        raise BadInput(
            f"the untrained model's loss is {start_loss:.3g}; a loss that is not above 0 cannot be judged "
            "in percent of where it began."
        )
    return 100 * (1 - loss / start_loss)


def step_seconds(task: Task, batch_size: int, at_least: float = 0.05) -> float:
    """Elapsed seconds of one training step at `batch_size`: the least of five or more, which other work disturbs
    least."""
    model = task.model(0)
    optimizer, n = task.optimizer_of(model, 1e-6), len(task.train)
    model.train()
    took, begun = [], time.perf_counter()
    with torch.random.fork_rng():
        while len(took) < 6 or time.perf_counter() < begun + at_least:
            index = torch.randint(n, (batch_size,))
            at = time.perf_counter()
            _step(task, model, optimizer, index).item()
            took.append(time.perf_counter() - at)
            if took[-1] > 1 and len(took) > 1:
                break
    return min(took[1:])  # the first allocates
