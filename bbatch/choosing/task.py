"""The reader's own model and data: checked once, when a :class:`Task` is made of them, and served batch by batch.

Nothing here knows a data set of the paper, and nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, default_collate

from ..config import OPTIMIZERS
from ..data import usable
from ..errors import BadInput, one_of

LEAST = 16  # rows: fewer make no batch worth choosing
MOMENTUM = 0.9  # of SGD, Table II


class Rows:
    """Rows of features and targets, by index: a pair of tensors (or arrays), or a map-style data set.

    Raises `BadInput` where there are fewer than `LEAST`, where features and targets differ in number, or where a
    feature is NaN or infinite (of tensors at once, of a data set when a row is taken).
    """

    def __init__(self, source, what: str):
        self.what, self.pair, self.source = what, None, source
        if isinstance(source, TensorDataset):
            source = source.tensors
        if isinstance(source, (tuple, list)) and len(source) == 2:
            self.pair = tuple(_tensor(part, what) for part in source)
            if len(self.pair[0]) != len(self.pair[1]):
                raise BadInput(
                    f"the {what} data has {len(self.pair[0])} rows of features and {len(self.pair[1])} "
                    "targets; give one target for each row."
                )
        elif not (hasattr(source, "__getitem__") and hasattr(source, "__len__")) or isinstance(
            source, (str, dict)
        ):
            raise BadInput(
                f"the {what} data is of type {type(source).__name__}; give a pair (features, targets) of "
                "tensors, or a data set with __getitem__ and __len__."
            )
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
            raise BadInput(
                f"the {self.what} data does not give pairs (features, target) that make a batch "
                f"({_line(error)})."
            ) from error
        self._finite(x)
        return x, y

    def _finite(self, x: torch.Tensor) -> None:
        if x.is_floating_point() and not torch.isfinite(x).all():
            bad = (~torch.isfinite(x.reshape(len(x), -1))).any(1).sum().item()
            raise BadInput(
                f"the {self.what} data has NaN or infinite features in {bad} of {len(x)} rows; fill or drop "
                "them first."
            )


def _tensor(part, what: str) -> torch.Tensor:
    """A tensor of a part of the data; double precision becomes what models have by default."""
    try:
        tensor = torch.as_tensor(np.asarray(part) if not isinstance(part, torch.Tensor) else part)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the {what} data holds what no tensor can ({_line(error)}); give numbers.") from error
    if not tensor.dim():
        raise BadInput(
            f"the {what} data holds a single number where rows are needed; give tensors of a row a sample."
        )
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
        usable(self.device)
        if not callable(self.loss):
            raise BadInput(
                f"the loss is {self.loss!r}; give a function of (outputs, targets), such as cross_entropy."
            )
        if self.train.source is self.validation.source or (
            self.train.pair
            and self.validation.pair
            and self.train.pair[0].data_ptr() == self.validation.pair[0].data_ptr()
        ):
            raise BadInput("the validation data is the training data itself; hold some rows out.")
        self._check_factory()
        self._check_targets()

    @cached_property
    def accuracy(self) -> bool:
        """Whether the score is an accuracy: whole-number targets [n] and outputs [n, classes]."""
        x, y = self.validation.take(torch.arange(2))
        whole = not y.is_floating_point() and y.dim() == 1
        return whole and forward(self.model(0).eval(), x.to(self.device)).dim() == 2

    @cached_property
    def smallest(self) -> int:
        """The smallest batch that the model can be trained on: batch normalization needs two samples."""
        return (
            2 if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model(0).modules()) else 1
        )

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
            raise BadInput(
                f"the model factory is of type {type(self.factory).__name__}; give a function that makes a "
                "new model each time it is called."
            )
        try:
            first, second = self.model(0), self.model(1)
        except (
            Exception,
            SystemExit,
        ) as error:  # whatever the reader's code raises, this is what it means here
            raise BadInput(
                f"the model factory failed with {type(error).__name__}: {_line(error)}."
            ) from error
        if not isinstance(first, nn.Module):
            raise BadInput(
                f"the model factory returns a {type(first).__name__}; it must return a torch.nn.Module."
            )
        weights = [p for p in first.parameters() if p.requires_grad]
        if not weights:
            raise BadInput(
                "the model factory returns a model without trainable parameters; there is nothing to train."
            )
        if first is second or {p.data_ptr() for p in weights} & {p.data_ptr() for p in second.parameters()}:
            raise BadInput(
                "the model factory returns the same model twice; it must make a new one each time it is "
                "called."
            )
        counted = [b for n, b in first.named_buffers() if n.endswith("num_batches_tracked")]
        alike = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
        plain = all(len(p.unique()) == 1 for p in weights)  # zeros, say: a start that needs no chance
        if any(b.item() for b in counted) or (alike and not plain):
            raise BadInput(
                "the model factory returns a fitted model, or one of fixed weights: its weights are the "
                "same under two seeds; it must return an untrained one."
            )

    def _check_targets(self) -> None:
        for rows in (self.train, self.validation):
            x, y = rows.take(torch.arange(LEAST))
            out = forward(self.model(0).eval(), x.to(self.device))
            if self.loss is nn.functional.cross_entropy:
                y = rows.pair[1] if rows.pair else y  # of a data set, the first rows
                classes = out.shape[1] if out.dim() > 1 else 0
                if y.is_floating_point() or y.dim() != 1 or classes < 2:
                    raise BadInput(
                        f"the {rows.what} targets are {str(y.dtype).removeprefix('torch.')} of shape "
                        f"{tuple(y.shape)} and the model's outputs of shape {tuple(out.shape)}; "
                        "classification needs whole numbers [n] and outputs [n, classes], anything else a "
                        "loss."
                    )
                if y.min() < 0 or y.max() >= classes:
                    raise BadInput(
                        f"the {rows.what} labels run from {y.min()} to {y.max()}; the model has {classes} "
                        f"outputs, so 0 to {classes - 1} are allowed."
                    )
            self.loss_of(out, y[:LEAST].to(out.device))

    def loss_of(self, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        try:
            value = self.loss(out, y)
        except Exception as error:
            raise BadInput(
                f"the loss cannot be computed ({type(error).__name__}: {_line(error)}); labels and outputs "
                "must fit it."
            ) from error
        if not isinstance(value, torch.Tensor) or value.dim():
            raise BadInput(
                "the loss gives more than one number; it must return the mean over the batch, a scalar."
            )
        return value


def forward(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    try:
        out = model(x)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadInput(
            f"the model cannot take features of shape {tuple(x.shape)} ({_line(error)})."
        ) from error
    if not isinstance(out, torch.Tensor):
        raise BadInput(f"the model returns a {type(out).__name__}; it must return a tensor of outputs.")
    return out


def _line(error: Exception) -> str:
    """The first line of an error, without a full stop."""
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
