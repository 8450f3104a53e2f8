"""The reader's model, data, loss, optimizer and metric, checked once as they become a `Task`."""

import copy
import inspect
import time
from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from .. import published
from ..adapter import Adapter, Result, wants_model
from ..bfloat16 import layers_in_bf16
from ..config import PRECISIONS, plan
from ..data import usable
from ..errors import BadInput, one_of
from ..nests import move, told
from .checks import check_batches, check_step, load_torch
from .rows import Rows

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
    know; `loading`: seconds that PyTorch took to load what its first step in a process needs.
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
                f"the optimizer is of type {type(optimizer).__name__}; give a name, a class, or a function "
                "of (parameters, lr): each training makes a new one."
            )
        if metric is not None and not callable(metric):
            raise BadInput(
                f"the metric is of type {type(metric).__name__}; give a function of (outputs, targets)."
            )
        one_of("precision", precision, PRECISIONS)
        usable(device)
        self.source, self.optimizer, self.metric = model, optimizer, metric
        self.adapter, self.device, self.precision, self.notes = Adapter(loss), device, precision, []
        self.clock, self._first_made = clock, None
        self.fits = 0  # rows that memory holds while training, where known; larger batches are accumulated
        with torch.random.fork_rng():
            first = self._made()
        weights = [p for p in first.parameters() if p.requires_grad]
        if not weights:
            raise BadInput("the model has no trainable parameters; there is nothing to train.")
        known = (p for p in weights if not isinstance(p, UninitializedTensorMixin) and p.is_floating_point())
        dtype = next((p.dtype for p in known), torch.float32)
        self.train, self.validation = Rows(train, "training", dtype), Rows(validation, "validation", dtype)
        if self.train.same(self.validation):
            raise BadInput("the validation data is the training data itself; hold some rows out.")
        with torch.random.fork_rng():
            self.first = check_batches(self)
            begun = clock()
            load_torch()
            self.loading = clock() - begun
            check_step(self)

    def model(self, seed: int) -> nn.Module:
        """A new model in train mode on the device; `seed` decides whatever is random in making it."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = self._made()
            if any(isinstance(p, UninitializedTensorMixin) for p in (*model.parameters(), *model.buffers())):
                with torch.no_grad():  # lazy layers take their shapes from a batch
                    self.run(model.to(self.device), self.train.first_batch())
            return model.to(self.device)

    def _made(self) -> nn.Module:
        if isinstance(self.source, nn.Module):
            model = _copied(self.source)
        elif callable(self.source):
            with told("the model cannot be made"):
                model = self.source()
            if not isinstance(model, nn.Module):
                raise BadInput(
                    f"the model function returns a {type(model).__name__}; it must return a torch.nn.Module."
                )
            model = _copied(model) if self._shared(model) else model
        else:
            raise BadInput(
                f"the model is of type {type(self.source).__name__}; give a torch.nn.Module, or a function "
                "that makes one."
            )
        # A submodule in eval mode was put there on purpose; a whole model in eval mode is what a file holds.
        return model if model.training else model.train()

    def _shared(self, model: nn.Module) -> bool:
        """Whether a model uses the first one's very weights (a shared backbone): then it is copied."""
        if self._first_made is None:
            self._first_made = model  # never trained
            return False
        first = {id(p) for p in (*self._first_made.parameters(), *self._first_made.buffers())}
        return any(id(p) in first for p in (*model.parameters(), *model.buffers()))

    def run(self, model: nn.Module, batch) -> Result:
        """One batch through the model, on the device and in the precision of the task."""
        if self.precision == "fp32":
            return self.adapter(model, move(batch, self.device))
        with layers_in_bf16(torch.device(self.device).type):
            return self.adapter(model, move(batch, self.device))

    @cached_property
    def smallest(self) -> int:
        """The smallest batch that the model can be trained on: batch normalization needs two samples."""
        kind = nn.modules.batchnorm._BatchNorm
        return 2 if any(isinstance(m, kind) and m.training for m in self.model(0).modules()) else 1

    @cached_property
    def accuracy(self) -> bool:
        """Whether an accuracy can be told: whole-number targets [n], outputs [n, classes], 2 or more."""
        scores, targets = self.first.scores, self.first.targets
        if not (isinstance(scores, torch.Tensor) and isinstance(targets, torch.Tensor)):
            return False
        labels = not targets.is_floating_point() and targets.dim() == 1
        return labels and scores.dim() == 2 and scores.shape[1] > 1

    @property
    def unit(self) -> str:
        """What decides, in words."""
        if self.metric is not None:
            name = getattr(self.metric, "__name__", "metric")
            return "metric" if name == "<lambda>" else name
        return "% accuracy" if self.accuracy else "loss"

    @property
    def default_rate(self) -> float:
        """The rate at a batch of 32 where none is given: the paper's for Adam and SGD, else PyTorch's."""
        if self.optimizer == "sgd":
            return plan("mnist", int(published.value("vi-base-batch"))).lr
        cls = NAMES[self.optimizer] if isinstance(self.optimizer, str) else self.optimizer
        own = inspect.signature(cls).parameters.get("lr") if inspect.isclass(cls) else None
        usual = own.default if own is not None and isinstance(own.default, float) else None
        return usual or published.value("vi-default-lr")

    def optimizer_of(self, model: nn.Module, lr: float, steps: int = 1) -> tuple:
        """(optimizer, scheduler or None, stepped at each step?) for a model, of `steps` steps in all."""
        weights = [p for p in model.parameters() if p.requires_grad]
        if isinstance(self.optimizer, str):
            more = {"momentum": MOMENTUM} if self.optimizer == "sgd" else {}
            sparse = any(getattr(m, "sparse", False) for m in model.modules())
            if self.optimizer in ("adam", "adamw", "sgd") and not sparse:
                more["fused"] = True
            return NAMES[self.optimizer](weights, lr=lr, **more), None, False
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

    def measured(self, model, batch, result: Result) -> float:
        """The metric of a batch, or of all rows as one. Raises `BadInput` where it gives no single number."""
        with told("the metric cannot be computed"):
            if wants_model(self.metric):
                return float(self.metric(model, move(batch, self.device)))
            given = result.scores if result.scores is not None else result.outputs
            return float(self.metric(given, result.targets))


def _copied(model: nn.Module) -> nn.Module:
    """A copy; buffers of lazy layers, which PyTorch cannot copy, are made anew."""
    lazy = [b for b in model.buffers() if isinstance(b, UninitializedTensorMixin)]
    with told("the model cannot be copied", "give a function that makes a new one"):
        return copy.deepcopy(model, {id(b): type(b)(device=b.device) for b in lazy})


def _parameters(function: Callable) -> int:
    """How many positional parameters without a default a function has."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is p.empty for p in found)
