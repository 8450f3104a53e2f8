"""`recommend` in the terminal: model, data, loss, optimizer and metric by name."""

import importlib
import os
import sys
from collections.abc import Callable

from torch.nn import functional

from ..errors import BadInput
from ..nests import told
from .answer import Told
from .recommend import recommend
from .rows import pair_of
from .selecting import select_batch_size


def recommended(
    problem: dict | None,
    model: str | None = None,
    data: str | None = None,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    metric: str | None = None,
    max_batch_size: int | None = None,
    base_lr: float | None = None,
    by_algorithm_2: bool = False,
    **more,
) -> Told:
    """`recommend`, or `select_batch_size`, of a `problem` (their arguments by name) or of `model` and `data`.

    Names are "module:name", looked for in the working folder too; of a loss also a name of
    `torch.nn.functional`, of an optimizer one of `torch.optim`. Raises `BadInput` for what is not there, or
    fails.
    """
    if bool(problem) == bool(model or data) or bool(model) != bool(data):
        raise BadInput(
            "give either a built-in problem, or both --model module:function and --data module:function."
        )
    given, changed = problem or {}, _means(loss, optimizer, metric)
    if base_lr is not None:
        changed["base_lr"] = base_lr
    if "optimizer" in changed and changed["optimizer"] != given.get("optimizer"):
        given = {name: value for name, value in given.items() if name != "base_lr"}  # it was of the other
    given = given | changed | more
    if model and data:
        given |= {"model": _found(model, "model"), "data": _data(data)}
    if not by_algorithm_2:
        return recommend(max_batch_size=max_batch_size, **given)
    if metric is not None or max_batch_size is not None:
        raise BadInput("Algorithm 2 knows neither a metric nor a largest batch size.")
    train, validation = pair_of(given.pop("data"))
    return select_batch_size(train=train, validation=validation, **given)


def _means(loss: str | None, optimizer: str | None, metric: str | None) -> dict:
    """Loss, optimizer and metric by name; those that are not given are left out."""
    found = {}
    if loss is not None:
        found["loss"] = _found(loss, "loss") if ":" in loss else getattr(functional, loss, None)
        if not callable(found["loss"]):
            raise BadInput(
                f"--loss {loss!r} is no loss of torch.nn.functional; give one, such as mse_loss, or "
                "module:function."
            )
    if optimizer is not None:
        found["optimizer"] = _found(optimizer, "optimizer") if ":" in optimizer else optimizer
    if metric is not None:
        found["metric"] = _found(metric, "metric")
    return found


def _found(text: str, what: str) -> Callable:
    """The function, class or object that "module:name" names."""
    module, colon, name = text.partition(":")
    if not (colon and module and name.isidentifier()):
        raise BadInput(f"--{what} {text!r} cannot be read; write module:function, such as mymodel:make.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with told(f"--{what} {text!r}: module {module!r} cannot be imported"):
        found = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise BadInput(f"--{what} {text!r}: module {module!r} has no {name!r}.")
    if not callable(found):
        raise BadInput(
            f"--{what} {text!r} is of type {type(found).__name__}; it must be a function"
            + (" without arguments." if what in ("model", "data") else ".")
        )
    return found


def _data(text: str):
    """What the reader's function gives for data."""
    function = _found(text, "data")
    with told(f"--data {text!r} failed"):
        return function()
