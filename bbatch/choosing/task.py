"""The reader's own model, data, loss, optimizer and metric, checked once, when a :class:`Task` is made of
them."""

from __future__ import annotations

import copy
import inspect
import math
import time
import warnings
from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from .. import published
from ..adapter import FAILURES, Adapter, Result, cut, is_memory, leaves, line, move, wants_model
from ..config import DATASETS, PRECISIONS
from ..data import usable
from ..errors import BadInput, one_of
from .rows import LEAST, Rows

MOMENTUM = 0.9  # of "sgd", Table II
CLOSURES = {"LBFGS"}  # optimizers that want the loss computed anew at their bidding
NAMES = {
    name.lower(): found
    for name, found in vars(torch.optim).items()
    if inspect.isclass(found)
    and issubclass(found, torch.optim.Optimizer)
    and found is not torch.optim.Optimizer
    and name not in CLOSURES
}


class Task:
    """A model to be trained afresh again and again, and the rows to train and to judge it by.

    model       an `nn.Module`, each training of which begins with a copy of its weights as they are; or a
                function (or class) that makes one, each time with other random weights. Submodules that were
                put in eval mode stay so
    loss        see `adapter.Adapter`
    optimizer   the name of one of `torch.optim` ("sgd" with momentum 0.9), a class, or a function of
                (parameters, lr) or (model, lr): it returns an optimizer, or (optimizer, scheduler). The
                scheduler is stepped after each epoch; after each step where the function has a third
                parameter, the number of all steps
    metric      metric(outputs, targets) over all validation rows, or metric(model, batch), a mean over
                batches; the higher the better. Without: accuracy in percent where targets are classes, else
                the loss
    precision   "bf16": under autocast
    clock       what all times and deadlines are counted by

    Raises `BadInput`, before anything trains, for what cannot be served. `notes`: what the reader should
    know.
    """

    def __init__(
        self,
        model,
        train,
        validation,
        loss: Callable | None = None,
        optimizer="adam",
        metric: Callable | None = None,
        device: str = "cpu",
        precision: str = "fp32",
        clock: Callable[[], float] = time.perf_counter,
    ):
        if isinstance(optimizer, str):
            one_of("optimizer", optimizer, NAMES)
        elif not callable(optimizer):
            raise BadInput(
                f"the optimizer is {optimizer!r}; give a name, a class, or a function of (parameters, lr)."
            )
        if metric is not None and not callable(metric):
            raise BadInput(f"the metric is {metric!r}; give a function of (outputs, targets).")
        one_of("precision", precision, PRECISIONS)
        usable(device)
        self.source, self.optimizer, self.metric = model, optimizer, metric
        self.adapter, self.device, self.precision, self.notes = Adapter(loss), device, precision, []
        self.clock = clock
        self.fits = 0  # rows that memory holds while training, where known; larger batches are accumulated
        with torch.random.fork_rng():
            first = self._made()
        weights = [p for p in first.parameters() if p.requires_grad]
        if not weights:
            raise BadInput("the model has no trainable parameters; there is nothing to train.")
        known = (
            p.dtype for p in weights if not isinstance(p, UninitializedTensorMixin) and p.is_floating_point()
        )
        dtype = next(known, torch.float32)
        self.train, self.validation = Rows(train, "training", dtype), Rows(validation, "validation", dtype)
        if self.train.same(self.validation):
            raise BadInput("the validation data is the training data itself; hold some rows out.")
        with torch.random.fork_rng():
            self._check_batches()
            self._check_step()

    def model(self, seed: int) -> nn.Module:
        """A new model in train mode on the device; `seed` decides whatever is random in making it."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = self._made()
            if any(isinstance(p, UninitializedTensorMixin) for p in (*model.parameters(), *model.buffers())):
                with torch.no_grad():  # lazy layers take their shapes from a batch
                    self.run(model.to(self.device), self.train.take(torch.arange(LEAST)))
            return model.to(self.device)

    def _made(self) -> nn.Module:
        try:
            if isinstance(self.source, nn.Module):
                model = _copied(self.source)
            elif callable(self.source):
                model = self.source()
                if isinstance(model, nn.Module) and self._shared(model):
                    model = _copied(model)
            else:
                raise BadInput(
                    f"the model is of type {type(self.source).__name__}; give a torch.nn.Module, or a "
                    "function that makes one."
                )
        except BadInput:
            raise
        except (
            Exception,
            SystemExit,
        ) as error:  # whatever the reader's code raises, this is what it means here
            raise BadInput(
                f"the model cannot be made or copied ({type(error).__name__}: {line(error)}); give a "
                "function that makes a new one."
            ) from error
        if not isinstance(model, nn.Module):
            raise BadInput(
                f"the model function returns a {type(model).__name__}; it must return a torch.nn.Module."
            )
        # A submodule in eval mode was put there on purpose; a whole model in eval mode is what a file holds.
        return model if model.training else model.train()

    def _shared(self, model: nn.Module) -> bool:
        """Whether a model uses the very weights of the first, a backbone made once for all: then it is
        copied."""
        if not hasattr(self, "_first_made"):
            self._first_made = model  # never trained
            return False
        first = {id(p) for p in (*self._first_made.parameters(), *self._first_made.buffers())}
        return any(id(p) in first for p in (*model.parameters(), *model.buffers()))

    def run(self, model: nn.Module, batch) -> Result:
        """One batch through the model, on the device and in the precision of the task."""
        if self.precision == "fp32":
            return self.adapter(model, move(batch, self.device))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return self.adapter(model, move(batch, self.device))

    @cached_property
    def smallest(self) -> int:
        """The smallest batch that the model can be trained on: batch normalization needs two samples."""
        return 2 if any(_normalizes(m) for m in self.model(0).modules()) else 1

    @cached_property
    def accuracy(self) -> bool:
        """Whether an accuracy can be told: whole-number targets [n], outputs [n, classes], two classes or
        more."""
        scores, targets = self._first.scores, self._first.targets
        return (
            isinstance(scores, torch.Tensor)
            and isinstance(targets, torch.Tensor)
            and not targets.is_floating_point()
            and targets.dim() == 1
            and scores.dim() == 2
            and scores.shape[1] > 1
        )

    @property
    def unit(self) -> str:
        """What decides, in words."""
        if self.metric is not None:
            return getattr(self.metric, "__name__", "metric").strip("<>")
        return "% accuracy" if self.accuracy else "loss"

    @property
    def default_rate(self) -> float:
        """The rate at a batch of 32 where none is given: the paper's for Adam and SGD, else PyTorch's."""
        cls = NAMES.get(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer
        if self.optimizer == "sgd":
            p = DATASETS["mnist"].protocol
            return p.base_lr * published.value("vi-base-batch") / p.base_batch
        own = inspect.signature(cls).parameters.get("lr") if inspect.isclass(cls) else None
        usual = own.default if own is not None and isinstance(own.default, float) else None
        return usual or published.value("vi-default-lr")

    def optimizer_of(self, model: nn.Module, lr: float, steps: int = 1) -> tuple:
        """(optimizer, scheduler or None, whether it is stepped at each step) for a model, of `steps` steps in
        all."""
        weights = [p for p in model.parameters() if p.requires_grad]
        if isinstance(self.optimizer, str):
            more = {"momentum": MOMENTUM} if self.optimizer == "sgd" else {}
            sparse = any(getattr(m, "sparse", False) for m in model.modules())
            fused = self.optimizer in ("adam", "adamw", "sgd") and not sparse
            return (
                NAMES[self.optimizer](weights, lr=lr, **more, **({"fused": True} if fused else {})),
                None,
                False,
            )
        if inspect.isclass(self.optimizer):
            return self.optimizer(weights, lr=lr), None, False
        given = model if wants_model(self.optimizer) else weights
        each = _parameters(self.optimizer) > 2
        made = self.optimizer(given, lr, steps) if each else self.optimizer(given, lr)
        made, scheduler = made if isinstance(made, tuple) else (made, None)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            raise BadInput(
                "ReduceLROnPlateau waits for a score after each epoch; give a scheduler that needs none."
            )
        return made, scheduler, each

    def _check_batches(self) -> None:
        """One batch of each kind of rows through the model: what does not fit is named here."""
        for rows in (self.validation, self.train):
            batch = rows.take(torch.arange(LEAST))
            model = self.model(0).eval()
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of shapes, which are judged here
                self._check_classes(rows, batch, model)
                result = self.run(model, batch)
                self._check_numbers(rows, model)
                self._check_shapes(rows, model, result)
                self._check_metric(result, model, batch)
            self._first = result

    def _check_classes(self, rows: Rows, batch, model) -> None:
        """Labels that the default loss cannot take are named, of tensors all, of a data set the first."""
        if self.adapter.loss not in (None, nn.functional.cross_entropy):
            return
        inputs, targets = cut(batch)
        if not isinstance(targets, torch.Tensor) or not isinstance(inputs, torch.Tensor):
            return
        out = Adapter(lambda outputs, targets: torch.zeros(()))(model, move(batch, self.device)).scores
        if out is None:
            return
        whole = cut(rows.tensors)[1] if rows.tensors is not None else targets
        classes = out.shape[1] if out.dim() > 1 else 0
        if targets.is_floating_point() and targets.shape != out.shape or classes < 2:
            raise BadInput(
                f"the {rows.what} targets are {str(targets.dtype).removeprefix('torch.')} of shape "
                f"{tuple(targets.shape)} and the model's outputs of shape {tuple(out.shape)}; classification "
                "needs whole numbers [n] and outputs [n, classes], anything else a loss."
            )
        if not targets.is_floating_point() and targets.dim() != out.dim() - 1:
            raise BadInput(
                f"the {rows.what} targets are of shape {tuple(targets.shape)} and the model's outputs of "
                f"shape {tuple(out.shape)}; classification needs whole numbers [n] and outputs [n, classes]."
            )
        if targets.dim() > 1 and out.shape[:-1] == targets.shape != (len(out), *out.shape[2:]):
            raise BadInput(
                f"the model's outputs are of shape {tuple(out.shape)} and the {rows.what} targets of shape "
                f"{tuple(targets.shape)}: classes come last, where cross-entropy wants them second; give a "
                "loss such as lambda out, y: cross_entropy(out.flatten(0, -2), y.flatten())."
            )
        if not targets.is_floating_point():
            ignored = getattr(self.adapter.loss, "ignore_index", -100)
            known = whole[whole != ignored]
            if len(known) and (known.min() < 0 or known.max() >= classes):
                raise BadInput(
                    f"the {rows.what} labels run from {known.min()} to {known.max()}; the model has "
                    f"{classes} outputs, so 0 to {classes - 1} are allowed."
                )

    def _check_numbers(self, rows: Rows, model) -> None:
        """NaN and infinity in features or targets are refused where they make the loss one: a model or a loss
        may know what to do with them."""
        if rows.tensors is None:
            batch = rows.take(torch.arange(LEAST))
            found = [
                name for name, t in leaves(batch) if t.is_floating_point() and not torch.isfinite(t).all()
            ]
            self._refuse_numbers(rows, model, batch, found, "the first rows")
            return
        bad, found = torch.zeros(len(rows), dtype=torch.bool), []
        for name, t in leaves(rows.tensors):
            if (
                t.is_floating_point()
                and not (fine := torch.isfinite(t.reshape(len(t), -1)).all(1).cpu()).all()
            ):
                bad |= ~fine
                found.append(name)
        if found:
            few = bad.nonzero().flatten()[:LEAST]
            self._refuse_numbers(rows, model, rows.take(few), found, f"{int(bad.sum())} of {len(rows)} rows")

    def _refuse_numbers(self, rows: Rows, model, batch, found: list[str], where: str) -> None:
        if found and not math.isfinite(self.run(model, batch).loss.item()):
            pair = isinstance(batch, (tuple, list)) and len(batch) > 1
            names = {str(len(batch) - 1): "targets"} | ({"0": "features"} if pair and len(batch) == 2 else {})
            words = [names.get(name, name) if pair else name or "features" for name in found]
            raise BadInput(
                f"the {rows.what} data has NaN or infinite {' and '.join(words)} in {where}, and the loss of "
                "those is no number; fill or drop them first."
            )

    def _check_shapes(self, rows: Rows, model, result: Result) -> None:
        """Outputs [n, 1] against targets [n] spread into [n, n] without an error; a sum over the batch grows
        with it. Both show where the loss of a batch is not the mean over its rows."""
        if self.adapter.general or not isinstance(result.targets, torch.Tensor) or result.scores is None:
            return
        out, targets, n = tuple(result.scores.shape), tuple(result.targets.shape), 4
        try:
            each = [self.run(model, rows.take(torch.tensor([k]))).loss.item() for k in range(n)]
        except BadInput:  # a model may need more than one row
            return
        mean, whole = sum(each) / n, self.run(model, rows.take(torch.arange(n))).loss.item()
        if not (math.isfinite(whole) and math.isfinite(mean)) or abs(whole - mean) <= 1e-3 * max(
            abs(mean), 1e-6
        ):
            return
        if {out, targets} == {(LEAST, 1), (LEAST,)}:
            raise BadInput(
                f"the model's outputs are of shape {list(out)} and the {rows.what} targets of "
                f"{list(targets)}, which the loss spreads to every pair of rows; give both the same shape, "
                "such as targets[:, None]."
            )
        if abs(whole / n - mean) <= 1e-3 * abs(mean):
            raise BadInput(
                "the loss is a sum over the batch; it must return the mean, or no rate fits two batch sizes."
            )

    def _check_metric(self, result: Result, model, batch) -> None:
        if self.metric is None:
            return
        if self.adapter.general and not wants_model(self.metric):
            raise BadInput("a metric beside a loss(model, batch) must be a metric(model, batch) too.")
        value = self.measured(model, batch, result)
        if not isinstance(value, float):
            raise BadInput("the metric gives no single number; it must return one, the higher the better.")

    def measured(self, model, batch, result: Result) -> float | None:
        """The metric of one batch, or of all rows put together as one; None where it is no number yet (one
        class)."""
        try:
            if wants_model(self.metric):
                value = self.metric(model, move(batch, self.device))
            else:
                given = result.scores if result.scores is not None else result.outputs
                value = self.metric(given, result.targets)
            return float(value)
        except FAILURES as error:
            if is_memory(error):
                raise
            raise BadInput(
                f"the metric cannot be computed ({type(error).__name__}: {line(error)})."
            ) from error

    def _check_step(self) -> None:
        """One true training step at a rate of almost nothing: gradients that an optimizer cannot take show
        here."""
        model = self.model(0)
        try:
            optimizer, *_ = self.optimizer_of(model, 1e-9)
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(
                f"the optimizer cannot be made ({type(error).__name__}: {line(error)}); give a name, a "
                "class, or a function of (parameters, lr) or (model, lr)."
            ) from error
        if not hasattr(optimizer, "step") or not hasattr(optimizer, "param_groups"):
            raise BadInput(
                f"the optimizer function returns a {type(optimizer).__name__}; it must return an optimizer."
            )
        loss = self.run(model, self.train.take(torch.arange(LEAST))).loss
        if not loss.requires_grad:
            raise BadInput(
                "the loss does not depend on the model's trainable parameters; there is nothing to train."
            )
        try:
            loss.backward()
            if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
                raise BadInput("the optimizer holds none of the parameters that the loss depends on.")
            optimizer.step()
        except BadInput:
            raise
        except FAILURES as error:
            if is_memory(error):
                raise
            kinds = "; give optimizer='sgd', which takes sparse and dense gradients"
            hint = kinds if "sparse" in str(error).lower() else ""
            raise BadInput(
                f"a training step fails with {type(optimizer).__name__} ({type(error).__name__}: "
                f"{line(error)}){hint}."
            ) from error
        if isinstance(self.source, nn.Module):
            self.notes.append("Every training starts from the weights that the model has.")


def _copied(model: nn.Module) -> nn.Module:
    """A copy; buffers of lazy layers, which PyTorch cannot copy, are made anew."""
    lazy = [b for b in model.buffers() if isinstance(b, UninitializedTensorMixin)]
    return copy.deepcopy(model, {id(b): type(b)(device=b.device) for b in lazy})


def _normalizes(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training


def _parameters(function: Callable) -> int:
    """How many positional parameters without a default a function has."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is p.empty for p in found)
