"""Training of any module on the reader's own data: what the choice of a batch size is made of.

Nothing here knows a data set of the paper. A :class:`Task` is checked once, when it is made; :func:`fit` then trains it at
one batch size and learning rate, in plain PyTorch, and says what that gave.

Scores are in percent. Where targets are whole numbers and the model gives a row of outputs for each sample, the score is
the accuracy. For any other loss it is the share of the untrained model's validation loss that training removed, so that a
difference between training and validation score reads alike: in percent of where one began.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, default_collate

from .config import OPTIMIZERS
from .errors import BadInput, one_of

LEAST = 16  # rows: fewer make no batch worth choosing
MOMENTUM = 0.9  # of SGD, Table II
PIECE = 4096  # rows evaluated at a time: bounds memory, changes nothing


class Rows:
    """Rows of features and targets, by index: a pair of tensors (or arrays), or a map-style data set.

    Raises `BadInput` where there are fewer than `LEAST`, where features and targets differ in number, or where a feature
    is NaN or infinite (of tensors at once, of a data set when a row is taken).
    """

    def __init__(self, source, what: str):
        self.what, self.pair, self.source = what, None, source
        if isinstance(source, TensorDataset):
            source = source.tensors
        if isinstance(source, (tuple, list)) and len(source) == 2:
            self.pair = tuple(_tensor(part, what) for part in source)
            if len(self.pair[0]) != len(self.pair[1]):
                raise BadInput(f"the {what} data has {len(self.pair[0])} rows of features and {len(self.pair[1])} targets; "
                               "give one target for each row.")
        elif not (hasattr(source, "__getitem__") and hasattr(source, "__len__")) or isinstance(source, (str, dict)):
            raise BadInput(f"the {what} data is a {type(source).__name__}; give a pair (features, targets) of tensors, or "
                           "a data set with __getitem__ and __len__.")
        if len(self) < LEAST:
            raise BadInput(f"the {what} data has {len(self)} rows; at least {LEAST} are needed.")
        if self.pair:
            self._finite(self.pair[0])

    def __len__(self) -> int:
        return len(self.pair[0] if self.pair else self.source)

    def take(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [n, ...] and targets [n, ...] of the rows `index`, int64 [n]."""
        if self.pair:
            return self.pair[0][index], self.pair[1][index]
        many = getattr(self.source, "__getitems__", lambda wanted: [self.source[k] for k in wanted])
        try:
            x, y = (_tensor(part, self.what) for part in default_collate(many(index.tolist())))
        except (TypeError, ValueError, RuntimeError) as error:
            raise BadInput(f"the {self.what} data does not give pairs (features, target) that make a batch "
                           f"({_line(error)}).") from error
        self._finite(x)
        return x, y

    def _finite(self, x: torch.Tensor) -> None:
        if x.is_floating_point() and not torch.isfinite(x).all():
            bad = (~torch.isfinite(x.flatten(1))).any(1).sum().item() if x.dim() > 1 else (~torch.isfinite(x)).sum().item()
            raise BadInput(f"the {self.what} data has NaN or infinite features in {bad} of {len(x)} rows; fill or drop "
                           "them first.")


def _tensor(part, what: str) -> torch.Tensor:
    """A tensor of a part of the data; double precision becomes what models have by default."""
    try:
        tensor = torch.as_tensor(np.asarray(part) if not isinstance(part, torch.Tensor) else part)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the {what} data holds what no tensor can ({_line(error)}); give numbers.") from error
    if not tensor.dim():
        raise BadInput(f"the {what} data holds a single number where rows are needed; give tensors of a row a sample.")
    if tensor.dtype == torch.float64:
        return tensor.to(torch.get_default_dtype())
    return tensor.long() if tensor.dtype in (torch.int8, torch.int16, torch.int32) else tensor


@dataclass(frozen=True, eq=False)
class Task:
    """A model to be made afresh for each training, and the rows to train and to judge it by.

    `factory`: called without arguments, returns a new, untrained `nn.Module`. `loss(outputs, targets)`: mean over the
    batch, a scalar. `optimizer`: "adam", "sgd" (momentum 0.9), or a function of (parameters, lr).
    """

    factory: Callable[[], nn.Module]
    train: Rows
    validation: Rows
    loss: Callable = nn.functional.cross_entropy
    optimizer: str | Callable = "adam"
    device: str = "cpu"

    def __post_init__(self):
        if not callable(self.optimizer):
            one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not callable(self.loss):
            raise BadInput(f"the loss is {self.loss!r}; give a function of (outputs, targets), such as cross_entropy.")
        if self.train.source is self.validation.source or (
                self.train.pair and self.validation.pair
                and self.train.pair[0].data_ptr() == self.validation.pair[0].data_ptr()):
            raise BadInput("the validation data is the training data itself; hold some rows out.")
        self._check_factory()
        self._check_targets()

    @cached_property
    def accuracy(self) -> bool:
        """Whether the score is an accuracy: whole-number targets [n] and outputs [n, classes]."""
        x, y = self.validation.take(torch.arange(2))
        return not y.is_floating_point() and y.dim() == 1 and _forward(self.model(0).eval(), x.to(self.device)).dim() == 2

    @cached_property
    def smallest(self) -> int:
        """The smallest batch that the model can be trained on: batch normalization needs two samples."""
        return 2 if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model(0).modules()) else 1

    def model(self, seed: int) -> nn.Module:
        """A new model whose initial weights `seed` decides; the caller's own random state is left as it was."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.factory().to(self.device)

    def optimizer_of(self, model: nn.Module, lr: float) -> torch.optim.Optimizer:
        if callable(self.optimizer):
            return self.optimizer(model.parameters(), lr)
        if self.optimizer == "adam":
            return torch.optim.Adam(model.parameters(), lr, fused=True)
        return torch.optim.SGD(model.parameters(), lr, MOMENTUM, fused=True)

    def _check_factory(self) -> None:
        if isinstance(self.factory, nn.Module) or not callable(self.factory):
            raise BadInput(f"the model factory is a {type(self.factory).__name__}; give a function that makes a new model "
                           "each time it is called.")
        try:
            first, second = self.model(0), self.model(1)
        except Exception as error:  # whatever the reader's code raises, this is what it means here
            raise BadInput(f"the model factory failed with {type(error).__name__}: {_line(error)}.") from error
        if not isinstance(first, nn.Module):
            raise BadInput(f"the model factory returns a {type(first).__name__}; it must return a torch.nn.Module.")
        weights = [p for p in first.parameters() if p.requires_grad]
        if not weights:
            raise BadInput("the model factory returns a model without trainable parameters; there is nothing to train.")
        if first is second or {p.data_ptr() for p in weights} & {p.data_ptr() for p in second.parameters()}:
            raise BadInput("the model factory returns the same model twice; it must make a new one each time it is called.")
        counted = [b for n, b in first.named_buffers() if n.endswith("num_batches_tracked")]
        alike = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
        plain = all(len(p.unique()) == 1 for p in weights)  # zeros, say: a start that needs no chance
        if any(b.item() for b in counted) or (alike and not plain):
            raise BadInput("the model factory returns a fitted model, or one of fixed weights: its weights are the same "
                           "under two seeds; it must return an untrained one.")

    def _check_targets(self) -> None:
        for rows in (self.train, self.validation):
            x, y = rows.take(torch.arange(LEAST))
            out = _forward(self.model(0).eval(), x.to(self.device))
            if self.loss is nn.functional.cross_entropy:
                y = rows.pair[1] if rows.pair else y  # of a data set, the first rows
                classes = out.shape[1] if out.dim() > 1 else 0
                if y.is_floating_point() or y.dim() != 1 or classes < 2:
                    raise BadInput(f"the {rows.what} targets are {str(y.dtype).removeprefix('torch.')} of shape "
                                   f"{tuple(y.shape)} and the model's outputs of shape {tuple(out.shape)}; "
                                   "classification needs whole numbers [n] and outputs [n, classes], anything else a loss.")
                if y.min() < 0 or y.max() >= classes:
                    raise BadInput(f"the {rows.what} labels run from {y.min()} to {y.max()}; the model has {classes} "
                                   f"outputs, so 0 to {classes - 1} are allowed.")
            self.loss_of(out, y[:LEAST].to(out.device))

    def loss_of(self, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        try:
            value = self.loss(out, y)
        except Exception as error:
            raise BadInput(f"the loss cannot be computed ({type(error).__name__}: {_line(error)}); labels and outputs must "
                           "fit it.") from error
        if not isinstance(value, torch.Tensor) or value.dim():
            raise BadInput("the loss gives more than one number; it must return the mean over the batch, a scalar.")
        return value


@dataclass(frozen=True)
class Fit:
    """One training. Scores in percent (see the module); `seconds` elapsed and `cpu_seconds` of the training steps alone;
    `curve`: validation score after each whole epoch; `complete`: not cut short by the deadline."""

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


def fit(task: Task, batch_size: int, lr: float, epochs: float, seed: int = 0, *, warmup_epochs: int = 0,
        deadline: float = math.inf, tick: Callable[[], object] = lambda: None,
        watch: Callable[[nn.Module, int], object] | None = None) -> Fit:
    """Train a new model for `epochs` passes over the training rows (a fraction trains on a random part of them).

    A new order each epoch; the last, partial batch is used, unless it is a single row of a model that needs two. The rate
    climbs linearly, step by step, over `warmup_epochs`. Training stops where the loss is no number, and at `deadline`
    (of `time.perf_counter`). `tick` is called after each epoch, `watch(model, epochs done)` too.
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
            for index in torch.randperm(n, generator=generator).split(batch_size)[:total - done]:
                if late := time.perf_counter() > deadline:
                    break
                if warm:
                    for group in optimizer.param_groups:
                        group["lr"] = lr * min(1.0, (done + 1) / warm)
                done += 1
                if len(index) < task.smallest:
                    continue
                loss = _step(task, model, optimizer, index)
        diverged = done > 0 and not math.isfinite(loss.item())  # a NaN stays one: asked once an epoch, not at each step
        seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - worked
        if done % steps == 0 and not diverged and not late:
            curve.append(_score(task, evaluate(task, model, task.validation), start_loss))
            if watch:
                watch(model, done // steps)
        tick()
    validation = evaluate(task, model, task.validation)
    return Fit(batch_size, lr, warmup_epochs, done / steps, seed,
               _score(task, evaluate(task, model, task.train), start_loss), _score(task, validation, start_loss),
               validation[0], seconds, cpu, not late, diverged, tuple(curve))


def _step(task: Task, model: nn.Module, optimizer, index: torch.Tensor) -> torch.Tensor:
    x, y = task.train.take(index)
    optimizer.zero_grad(set_to_none=True)
    loss = task.loss_of(_forward(model, x.to(task.device)), y.to(task.device))
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
        out, y = _forward(model, x.to(task.device)), y.to(task.device)
        loss += task.loss_of(out, y).item() * len(index)
        if task.accuracy:
            correct += (out.argmax(1) == y).sum().item()
    return loss / len(rows), 100 * correct / len(rows) if task.accuracy else None


def _score(task: Task, judged: tuple[float, float | None], start_loss: float) -> float:
    loss, accuracy = judged
    if accuracy is not None:
        return accuracy
    if not start_loss > 0:
        raise BadInput(f"the untrained model's loss is {start_loss:.3g}; a loss that is not above 0 cannot be judged in "
                       "percent of where it began.")
    return 100 * (1 - loss / start_loss)


def step_seconds(task: Task, batch_size: int, at_least: float = 0.05) -> float:
    """Elapsed seconds of one training step at `batch_size`: the least of five or more, which other work disturbs least."""
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


def _forward(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    try:
        out = model(x)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadInput(f"the model cannot take features of shape {tuple(x.shape)} ({_line(error)}).") from error
    if not isinstance(out, torch.Tensor):
        raise BadInput(f"the model returns a {type(out).__name__}; it must return a tensor of outputs.")
    return out


def _line(error: Exception) -> str:
    """The first line of an error, without a full stop."""
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
