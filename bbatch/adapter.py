"""How any model is called with any batch, and its loss: for `choosing` and `geometry` alike.

A batch is a tensor, a packed sequence, or any nest of them: tuples, lists, dicts, dataclasses. What the model
is given:

    batch                          the model is called with       targets
    (inputs, targets)              inputs                         targets
    (a, b, ..., targets)           a, b, ...                      targets
    a dict, a dataclass            its fields by name, or whole   "labels", "label", "targets" or "target"
    a tensor, (tensor,)            the tensor                     none

A dict is given whole to a model with one parameter that has the name of none of its fields. Inputs that are a
tuple or list are laid out as positional arguments, a dict as named ones; nothing is ever stacked.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from .errors import BadInput
from .nests import as_mapping, field, shapes, tensor_of, told

# A first parameter of such a name is given the model itself.
MODEL_NAMES = ("model", "net", "network", "module")
TARGET_NAMES = ("labels", "label", "targets", "target")


@dataclass(frozen=True)
class Result:
    """One batch through the model. `loss`: mean over the batch, a tensor without dimensions. `outputs`: what
    the model returned; None for a loss(model, batch), which keeps it to itself. `targets`: as in the batch,
    or None."""

    loss: torch.Tensor
    outputs: object
    targets: object

    @property
    def scores(self) -> torch.Tensor | None:
        """The tensor among the outputs."""
        return tensor_of(self.outputs)


class Adapter:
    """The loss of a model on a batch, whatever the two look like.

    loss    loss(outputs, targets), the short form: a loss of `torch.nn` is given the tensor among the outputs
            (`.logits`, or the first of a tuple), a function of one's own exactly what the model returned;
            loss(model, batch), the general form, told by the name of its first parameter (`MODEL_NAMES`);
            None: the model's own `.loss` where it gives one, as in Hugging Face's models, else cross-entropy
    """

    def __init__(self, loss: Callable | None = None):
        if loss is not None and not callable(loss):
            raise BadInput(
                f"the loss is of type {type(loss).__name__}; give a function of (outputs, targets), such as "
                "cross_entropy, or of (model, batch)."
            )
        self.loss, self.general = loss, loss is not None and wants_model(loss)

    def __call__(self, model: Callable, batch) -> Result:
        """Raises `BadInput` where model, batch and loss do not fit; running out of memory passes through."""
        if self.general:
            return Result(self._scalar(lambda: self.loss(model, batch)), None, cut(batch)[1])
        inputs, targets = cut(batch)
        named = isinstance(inputs, Mapping)
        whole = as_mapping(batch) if named and not isinstance(batch, (tuple, list)) else None
        if self.loss is None and whole and takes_all(model, whole):
            inputs = whole  # a model with a loss of its own takes its labels with the rest
        failure, hint = f"the model cannot take features of {shapes(inputs)}", ""
        if named:
            failure = f"the model cannot be called with the fields {', '.join(map(str, inputs))} by name"
            hint = "give a loss(model, batch), whose first parameter is called model"
        with told(failure, hint):
            outputs = model(batch) if whole and takes_one(model, inputs) else call(model, inputs)
        if self.loss is None and (own := field(outputs, "loss")) is not None:
            return Result(self._scalar(lambda: own), outputs, targets)
        return Result(self._short(outputs, targets, named), outputs, targets)

    def _short(self, outputs, targets, named: bool) -> torch.Tensor:
        if targets is None:
            raise BadInput(
                "the batches have no targets and the model gives no .loss; give a loss(model, batch), whose "
                "first parameter is called model."
            )
        given, loss = outputs, self.loss or nn.functional.cross_entropy
        if of_torch(loss):
            given = tensor_of(outputs)
            if given is None:
                more = " and no .loss" if named else ""
                raise BadInput(
                    f"the model returns a {type(outputs).__name__} without a tensor of outputs{more}; give a "
                    "loss(outputs, targets) of your own that takes it."
                )
        return self._scalar(lambda: loss(given, targets))

    @staticmethod
    def _scalar(compute: Callable) -> torch.Tensor:
        with told(
            "the loss cannot be computed",
            "model, data and loss must fit one another, and a loss(model, batch) is told by its first "
            "parameter's name, model",
        ):
            value = compute()
        if not isinstance(value, torch.Tensor) or value.dim():
            raise BadInput(
                "the loss gives no single number as a tensor; it must return the mean over the batch."
            )
        return value


def _signature(function: Callable) -> inspect.Signature:
    """Of a function, or of a module's `forward`; one without parameters for what is built in and has none."""
    try:
        return inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return inspect.Signature()


def wants_model(function: Callable) -> bool:
    """Whether the first parameter of a function is called model (or as `MODEL_NAMES` has it)."""
    return next(iter(_signature(function).parameters), "") in MODEL_NAMES


def takes_all(model: Callable, names) -> bool:
    """Whether a model can be called with all these names."""
    try:
        _signature(model).bind(**dict.fromkeys(names))
    except TypeError:
        return False
    return True


def takes_one(model: Callable, names) -> bool:
    """Whether a model has a single parameter, of none of these names: then it takes a batch as a whole."""
    found = _signature(model).parameters.values()
    usual = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(found) == 1 and all(p.kind in usual and p.name not in names for p in found)


def of_torch(loss: Callable) -> bool:
    """Whether a loss is one of PyTorch's own."""
    home = type(loss).__module__ if isinstance(loss, nn.Module) else getattr(loss, "__module__", None)
    return str(home).split(".")[0] == "torch"


def cut(batch) -> tuple[object, object]:
    """Inputs and targets of a batch (see the module); targets None where it has none."""
    if isinstance(batch, (tuple, list)) and not isinstance(batch, PackedSequence):
        if len(batch) == 1:
            return batch[0], None
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    if isinstance(batch, Mapping) or is_dataclass(batch):
        named = as_mapping(batch)
        target = next((name for name in TARGET_NAMES if name in named), None)
        return {k: v for k, v in named.items() if k != target}, named.get(target)
    return batch, None


def call(model: Callable, inputs):
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)) and not isinstance(inputs, PackedSequence):
        return model(*inputs)
    return model(inputs)
