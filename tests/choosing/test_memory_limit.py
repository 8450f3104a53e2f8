"""What fits in memory: an estimate with much to spare, else a process of its own, however it ends."""

import os
import signal
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bbatch.choosing.memory_limit import Ceiling, estimate, memory_ceiling
from bbatch.choosing.task import Task
from factories import HELD, TRAIN, net

LITTLE = 2**26  # bytes that an estimate does not settle


class Crash(nn.Module):
    """Ends its process at a batch of 64 in training."""

    def __init__(self):
        super().__init__()
        self.layer, self.wide = nn.Linear(6, 2), 2**19

    def forward(self, x):
        print("a word on the wrong channel: fits 4096", flush=True)
        if len(x) >= 64 and self.training:
            os.kill(os.getpid(), signal.SIGKILL)
        # what is kept for the backward pass, so that the estimate does not settle it
        return self.layer(x) + 0 * x.repeat(1, self.wide // 6).requires_grad_().square().sum(1, keepdim=True)


class Hungry(Crash):
    """Takes 4 MB a sample."""

    def forward(self, x):
        return self.layer(x) + 0 * x.repeat(1, 2**20 // 6).requires_grad_().square().sum(1, keepdim=True)


@pytest.mark.parametrize("model, allowance, fits", [(Crash, 2**30, {32}), (Hungry, 2**29, {8, 16, 32, 64})])
def test_what_ends_the_child_leaves_the_parent_with_the_answer(model, allowance, fits):
    task = Task(model, TRAIN, HELD)
    found = memory_ceiling(task, 2048, 120, allowance)
    assert found.fits in fits and found.failed == 2 * found.fits and found.why == "the next one failed", found


def test_a_model_that_prints_and_any_data_and_optimizer_are_probed():
    data = tuple({"x": x, "labels": y} for x, y in (TRAIN, HELD))

    class Own(Hungry):
        def forward(self, x, labels):
            print("fits 9999")
            return {"loss": F.cross_entropy(super().forward(x), labels)}

    task = Task(Own, *data, optimizer=lambda model, lr: torch.optim.SGD(model.parameters(), lr))
    assert memory_ceiling(task, 16, 120, 2**28).fits == 16


def test_an_estimate_counts_what_a_forward_pass_keeps():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1000))

        def forward(self, x):
            return (self.w * x[:, :1]).exp()[:, :2]

    each, fixed = estimate(Task(Keeps, TRAIN, HELD))
    # exp keeps its result of 1000 numbers a row, and w its factor; weights, gradients, two moments
    assert 4000 <= each <= 4400 and fixed == 4 * 4000


def test_what_is_small_needs_no_process_and_what_cannot_be_sent_is_estimated():
    import threading

    task = Task(net, TRAIN, HELD)
    assert memory_ceiling(task, 128) == Ceiling(128, None, "by an estimate, with much to spare")
    lock = threading.Lock()
    held = Task(lambda: net() if lock else None, TRAIN, HELD)
    found = memory_ceiling(held, 2**14, allowance=2**20)
    assert (
        256 <= found.fits < 2**14 and found.failed is None and "by an estimate: no other process" in found.why
    )


def test_a_search_that_runs_out_of_time_rules_nothing_out():
    found = memory_ceiling(Task(Hungry, TRAIN, HELD), 2**14, 0.0, 2**28)
    assert found.failed is None and found.why == "the search ran out of time"


class Slow:
    """Takes a minute to be read by another process, as a module may to be imported."""

    def __call__(self):
        return Hungry()

    def __reduce__(self):
        return time.sleep, (60,)


def test_a_process_that_takes_long_to_begin_is_not_waited_for():
    task, begun = Task(Slow(), TRAIN, HELD), time.perf_counter()
    found = memory_ceiling(task, 2**14, 1.0, 2**28)
    assert found.failed is None and found.why == "the search ran out of time"
    assert time.perf_counter() - begun < 30
