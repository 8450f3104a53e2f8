"""`bbatch recommend`: both ways to choose a batch size, on a built-in problem or on the reader's own model and data."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable

import pandas as pd

from ..errors import BadInput
from ..files import write_whole
from ..records.store import FROZEN
from ..statistics import Interval
from .algorithm_2 import select_batch_size
from .by_measurement import Measured, measure_batch_size
from .memory_limit import Ceiling
from .problems import problem
from .recommendation import TRIALS, Recommendation

EXAMPLE = (
    FROZEN / "selection" / "example.json"
)  # digits, as recorded; `python -m bbatch.choosing.recommend` records it anew


def recommend(
    name: str | None = None,
    model: str | None = None,
    data: str | None = None,
    *,
    epochs: int = 20,
    budget: float = 60.0,
    optimizer: str | None = None,
    progress: bool = True,
) -> list[Recommendation]:
    """What Algorithm 2 and the measurements recommend, each within `budget` seconds.

    Either `name`, one of `problems.PROBLEMS`, which brings its network, optimizer and rate; or `model` and `data`, each
    "module:function", looked for in the working folder too: one makes a new model, the other gives (train, validation),
    each a pair (features, targets) or a map-style data set. Raises `BadInput` for anything else.
    """
    if bool(name) == bool(model or data) or bool(model) != bool(data):
        raise BadInput(
            "give either a built-in problem, or both --model module:function and --data module:function."
        )
    if name:
        p = problem(name)
        task, more = p.task(), {"base_lr": p.base_lr, "optimizer": optimizer or p.optimizer}
        if optimizer and optimizer != p.optimizer:
            del more["base_lr"]
        factory, train, validation = p.network, task.train.source, task.validation.source
    else:
        factory, more = _found(model, "model"), {"optimizer": optimizer or "adam"}
        train, validation = _pair(_found(data, "data"), data)
    common = {"epochs": epochs, "budget": budget, "progress": progress} | more
    return [way(factory, train, validation, **common) for way in (select_batch_size, measure_batch_size)]


def example(compute: bool = False) -> list[Recommendation]:
    """Both recommendations for the digits: as recorded, or measured here and now. Raises `BadInput` without a
    record."""
    if compute:
        return recommend("digits")
    if not EXAMPLE.is_file():
        raise BadInput(f"{EXAMPLE.name} is not recorded; `python -m bbatch.choosing.recommend` records it.")
    return [_restored(values) for values in json.loads(EXAMPLE.read_text())]


def _restored(values: dict) -> Recommendation:
    """A recommendation from what its `to_dict` gave."""
    values = {k: pd.DataFrame(v) if k in ("throughput", "noise") else v for k, v in values.items()}
    values["trials"] = pd.DataFrame(values["trials"], columns=TRIALS)  # there may be none
    values["reasons"] = tuple(values["reasons"])
    if "ceiling" not in values:
        return Recommendation(**values)
    return Measured(
        **values | {"ceiling": Ceiling(**values["ceiling"]), "exponent": Interval(**values["exponent"])}
    )


def _found(text: str, what: str) -> Callable:
    """The function that "module:function" names."""
    module, colon, function = text.partition(":")
    if not (colon and module and function.isidentifier()):
        raise BadInput(f"--{what} {text!r} cannot be read; write module:function, such as mymodel:make.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise BadInput(f"--{what} {text!r}: module {module!r} cannot be imported ({error}).") from error
    except AttributeError as error:
        raise BadInput(f"--{what} {text!r}: module {module!r} has no {function!r}.") from error
    except (Exception, SystemExit) as error:  # whatever the reader's module does when it is imported
        raise BadInput(
            f"--{what} {text!r}: importing {module!r} failed with {type(error).__name__} "
            f"({' '.join(str(error).split()).rstrip('.')})."
        ) from error
    if not callable(found):
        raise BadInput(
            f"--{what} {text!r} is of type {type(found).__name__}; it must be a function without arguments."
        )
    return found


def _pair(function: Callable, text: str) -> tuple:
    try:
        given = function()
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"--data {text!r} failed with {type(error).__name__} ({' '.join(str(error).split())})."
        ) from error
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise BadInput(
            f"--data {text!r} returns a {type(given).__name__}; it must return (train, validation)."
        )
    return given


if __name__ == "__main__":
    EXAMPLE.parent.mkdir(parents=True, exist_ok=True)
    write_whole(
        EXAMPLE, (json.dumps([one.to_dict() for one in example(compute=True)], indent=1) + "\n").encode()
    )
