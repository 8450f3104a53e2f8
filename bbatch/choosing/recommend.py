"""One answer for the reader's own model: `bbatch.recommend`."""

import math
import time
from collections.abc import Callable

from tqdm import tqdm

from ..errors import BadInput, positive, whole
from .advice import answer
from .answer import Answer
from .bench import MOST
from .memory_limit import memory_ceiling
from .rows import pair_of
from .search import Search
from .task import Task

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
    """One batch size and learning rate to train `model` on `data` for `epochs` epochs (see `search`).

    model       an `nn.Module`, of which copies are trained, or a function that makes one
    data        (train, validation), each a pair (features, targets) of tensors or arrays, a dict of them, a
                map-style data set or a DataLoader; or one of these alone, of which a fifth is held out
    loss        loss(outputs, targets) or loss(model, batch); None: the model's own `.loss`, else
                cross-entropy
    budget      seconds for all of it but what PyTorch loads at its first step; about seven trainings are
                worth having
    optimizer, metric    see `task.Task`
    base_lr     the default's rate, at B = 32, where the search begins: the paper's for Adam and SGD, else
                PyTorch's
    clock       what counts the budget; `time.process_time`, where other work must not count

    Raises `BadInput`, before anything trains, for what cannot be served.
    """
    begun, worked = clock(), time.process_time()
    whole("number of epochs", epochs, 1)
    whole("seed", seed, 0, 2**32 - 1)
    positive("budget", budget)
    if base_lr is not None:
        positive("base_lr", base_lr)
    if max_batch_size is not None:
        whole("max_batch_size", max_batch_size, 2)
    train, validation = pair_of(data)
    task = Task(model, train, validation, loss, optimizer, metric, device, precision, clock)
    deadline = begun + task.loading + budget
    form = "{desc} |{bar:20}|"
    with tqdm(total=budget, disable=not progress, bar_format=form, leave=False) as bar:

        def tell(text: str) -> None:
            left = max(0.0, min(budget, deadline - clock()))
            bar.n = budget - left
            bar.set_description_str(f"{left:3.0f} s left: {text}")

        tell("memory")
        cap = 2 ** int(math.log2(min(max_batch_size or MOST, MOST, len(task.train) // 2)))
        fits = memory_ceiling(task, cap, MEMORY_SHARE * budget)
        if fits == 0:
            raise BadInput("not even the smallest batch fits in memory while training.")
        task.fits = fits or 0
        search = Search(task, epochs, deadline, base_lr or task.default_rate, seed, cap, tell)
        search.run()
    return answer(search, clock() - begun - task.loading, time.process_time() - worked)
