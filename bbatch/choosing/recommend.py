"""One answer for the reader's own model: `bbatch.recommend` in Python, `bbatch recommend` in the terminal."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable

import torch
from tqdm import tqdm

from ..errors import BadInput, whole
from ..files import write_whole
from ..records.store import FROZEN
from .advice import answer
from .answer import Answer, restored
from .bench import MOST
from .by_algorithm_2 import Followed, select_batch_size
from .limits import check_limits
from .memory_limit import memory_ceiling
from .problems import problem
from .search import Search
from .splitting import pair_of
from .task import Task

EXAMPLE = (
    FROZEN / "selection" / "example.json"
)  # digits; `python -m bbatch.choosing.recommend` records it anew
MEMORY_SHARE = 0.2  # of the budget, at most, for the search of what fits


def recommend(
    model,
    data,
    loss: Callable | None = None,
    *,
    epochs: int = 20,
    budget: float = 60.0,
    optimizer="adam",
    metric: Callable | None = None,
    base_lr: float | None = None,
    max_batch_size: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    seed: int = 0,
    progress: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Answer:
    """One batch size and learning rate for training `model` on `data` for `epochs` epochs (see `search` for
    how).

    model       an `nn.Module`, of which copies are trained, or a function that makes one
    data        (train, validation), each a pair (features, targets) of tensors or arrays, a dict of them, a
                map-style data set or a DataLoader; or one of these alone, of which a fifth is held out
    loss        loss(outputs, targets) or loss(model, batch); None: the model's own `.loss`, else
                cross-entropy
    budget      seconds for all of it; about seven trainings are worth having
    optimizer, metric    see `task.Task`
    base_lr     the default's rate, at B = 32, where the search begins: the paper's for Adam and SGD, else
                PyTorch's
    clock       what counts the budget; `time.process_time`, where other work must not count

    Raises `BadInput`, before anything trains, for what cannot be served.
    """
    _load_torch()
    begun, worked = clock(), time.process_time()
    check_limits(epochs, budget, seed, {"base_lr": base_lr})
    if max_batch_size is not None:
        whole("max_batch_size", max_batch_size, 2)
    train, validation = pair_of(data)
    task = Task(model, train, validation, loss, optimizer, metric, device, precision, clock)
    deadline = begun + budget
    with Progress(budget, progress, clock) as tell:
        tell("memory")
        cap = 2 ** int(math.log2(min(max_batch_size or MOST, MOST, max(2, len(task.train) // 2))))
        ceiling = memory_ceiling(task, cap, MEMORY_SHARE * budget)
        if ceiling.failed is not None and not ceiling.fits:
            raise BadInput("not even the smallest batch fits in memory while training.")
        task.fits = ceiling.fits if ceiling.failed is not None else 0
        search = Search(task, epochs, deadline, base_lr or task.default_rate, seed, cap, tell)
        search.run()
    return answer(search, ceiling, clock() - begun, time.process_time() - worked)


def _load_torch() -> None:
    """What PyTorch loads at the first step of a process, seconds on a busy machine, is not in the budget."""
    weight = torch.zeros(1, requires_grad=True)
    weight.sum().backward()
    torch.optim.Adam([weight]).step()


class Progress:
    """What is being done and how many seconds of the budget are left, on the error stream; silent where it is
    not wanted."""

    def __init__(self, budget: float, wanted: bool, clock: Callable[[], float]):
        self.budget, self.clock, self.begun = budget, clock, clock()
        form = "{desc} |{bar:20}|"
        self.bar = tqdm(total=budget, disable=not wanted, bar_format=form, leave=False)

    def __enter__(self):
        return self

    def __call__(self, text: str) -> None:
        spent = min(self.budget, self.clock() - self.begun)
        self.bar.n = spent
        self.bar.set_description_str(f"{self.budget - spent:3.0f} s left: {text}")

    def __exit__(self, *_) -> None:
        self.bar.close()


def named(
    name: str | None = None,
    model: str | None = None,
    data: str | None = None,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    metric: str | None = None,
    by_algorithm_2: bool = False,
    **more,
) -> Answer | Followed:
    """`recommend`, or `select_batch_size`, with everything by name, as the terminal has it.

    Either `name`, one of `problems.PROBLEMS`, which brings its network, loss, optimizer and rate; or `model`
    and `data`, each "module:name", looked for in the working folder too. `loss`, `optimizer`, `metric`:
    "module:name", or a name of `torch.nn.functional` or `torch.optim`.
    """
    if bool(name) == bool(model or data) or bool(model) != bool(data):
        raise BadInput(
            "give either a built-in problem, or both --model module:function and --data module:function."
        )
    more |= {
        "optimizer": _found(optimizer, "optimizer") if optimizer and ":" in optimizer else optimizer or "adam"
    }
    more |= {"loss": _loss(loss) if loss else None, "metric": _found(metric, "metric") if metric else None}
    if name:
        p = problem(name)
        task, made = p.task(), p.network
        rows, more["loss"] = (task.train.source, task.validation.source), more["loss"] or p.loss
        usual = p.protocol.optimizer
        if optimizer in (None, usual):
            more |= {"optimizer": usual, "base_lr": more.get("base_lr") or p.base_lr}
    else:
        made, rows = _found(model, "model"), _made(_found(data, "data"), data)
    if not by_algorithm_2:
        return recommend(made, rows, **more)
    if more.pop("metric") or more.pop("max_batch_size", None):
        raise BadInput("Algorithm 2 knows neither a metric nor a largest batch size.")
    return select_batch_size(made, *pair_of(rows), **more)


def _loss(text: str) -> Callable:
    from torch.nn import functional

    if ":" in text:
        return _found(text, "loss")
    found = getattr(functional, text, None)
    if not callable(found):
        raise BadInput(
            f"--loss {text!r} is no loss of torch.nn.functional; give one, such as mse_loss, or "
            "module:function."
        )
    return found


def _found(text: str, what: str) -> Callable:
    """The function, class or object that "module:name" names."""
    module, colon, name = text.partition(":")
    if not (colon and module and name.isidentifier()):
        raise BadInput(f"--{what} {text!r} cannot be read; write module:function, such as mymodel:make.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise BadInput(f"--{what} {text!r}: module {module!r} cannot be imported ({error}).") from error
    except AttributeError as error:
        raise BadInput(f"--{what} {text!r}: module {module!r} has no {name!r}.") from error
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


def _made(function: Callable, text: str):
    """What the reader's function gives for data."""
    try:
        given = function()
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"--data {text!r} failed with {type(error).__name__} ({' '.join(str(error).split())})."
        ) from error
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise BadInput(
            f"--data {text!r} returns a {type(given).__name__}; it must return (train, validation), or one "
            "data set."
        )
    return given


def example(compute: bool = False) -> Answer:
    """The answer for the digits: as recorded, or found here and now. Raises `BadInput` without a record."""
    if compute:
        return named("digits", progress=False)
    if not EXAMPLE.is_file():
        raise BadInput(f"{EXAMPLE.name} is not recorded; `python -m bbatch.choosing.recommend` records it.")
    return restored(json.loads(EXAMPLE.read_text()))


if __name__ == "__main__":
    EXAMPLE.parent.mkdir(parents=True, exist_ok=True)
    write_whole(EXAMPLE, (json.dumps(example(compute=True).to_dict(), indent=1) + "\n").encode())
