"""What fits in memory: an estimate with much to spare, else a process of its own, however it ends."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bbatch
from bbatch.choosing import memory_limit as module
from bbatch.choosing.memory_limit import estimate, memory_ceiling
from bbatch.choosing.task import Task
from factories import HELD, TRAIN, net


class Crash(nn.Module):
    """Ends its process at a batch of 64 in training."""

    def __init__(self):
        super().__init__()
        self.layer, self.wide = nn.Linear(6, 2), 2**19

    def forward(self, x):
        print("a word on the wrong channel: 4096", flush=True)
        if len(x) >= 64 and self.training:
            os.kill(os.getpid(), signal.SIGKILL)
        # what is kept for the backward pass, so that the estimate does not settle it
        return self.layer(x) + 0 * x.repeat(1, self.wide // 6).requires_grad_().square().sum(1, keepdim=True)


class Hungry(Crash):
    """Takes 4 MB a sample."""

    def forward(self, x):
        return self.layer(x) + 0 * x.repeat(1, 2**20 // 6).requires_grad_().square().sum(1, keepdim=True)


def test_what_ends_the_process_leaves_the_answer_whatever_the_model_prints_and_takes(monkeypatch):
    data = tuple({"x": x, "labels": y} for x, y in (TRAIN, HELD))

    class Own(Crash):
        def forward(self, x, labels):
            return {"loss": F.cross_entropy(super().forward(x), labels)}

    task = Task(Own, *data, optimizer=lambda model, lr: torch.optim.SGD(model.parameters(), lr))
    monkeypatch.setattr(module, "available", lambda device: 2**30)
    assert memory_ceiling(task, 2048, 120) == 32
    assert len(task.train) == 300


def test_memory_that_ends_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "available", lambda device: 2**29)
    assert memory_ceiling(Task(Hungry, TRAIN, HELD), 2048, 120) in (8, 16, 32, 64)


class Picky(Crash):
    """Takes two rows or more, and says so by an error."""

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("two rows are needed")
        return super().forward(x)


def test_an_error_of_another_kind_rules_nothing_out(monkeypatch):
    monkeypatch.setattr(module, "available", lambda device: 2**28)
    assert memory_ceiling(Task(Picky, TRAIN, HELD), 2048, 120) is None


class Slow:
    """Takes a minute to be read by another process, as a module may to be imported."""

    def __call__(self):
        return Crash()

    def __reduce__(self):
        return time.sleep, (60,)


def test_a_process_that_takes_long_to_begin_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "available", lambda device: 2**28)
    task, begun = Task(Slow(), TRAIN, HELD), time.perf_counter()
    assert memory_ceiling(task, 2**14, 1.0) is None
    assert time.perf_counter() - begun < 30


@pytest.fixture
def process(monkeypatch):
    """The process, made up here: it notes `sizes` and ends with `code`; `asked` is what it was given. `room`:
    the memory that there is."""
    made = SimpleNamespace(sizes=[], code=1, asked=None, late=False, room=2**20)

    def run(words, **more):
        made.asked = SimpleNamespace(words=words, **more)
        Path(words[-1]).write_text("".join(f"{size}\n" for size in made.sizes))
        if made.late:
            raise subprocess.TimeoutExpired(words, more["timeout"])
        return SimpleNamespace(returncode=made.code)

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "estimate", lambda task: (1000.0, 4000.0))
    monkeypatch.setattr(module, "available", lambda device: made.room)
    return made


@pytest.mark.parametrize(
    "sizes, code, late, fits",
    [
        ([1, 2, 4, 8], 1, False, 4),
        ([1, 2, 4, 8], -9, False, 4),
        ([2], 1, False, 0),  # not even the first one
        ([], 1, False, None),  # it could not begin
        ([1, 2, 4, 8], 0, False, None),  # all fit
        ([1, 2, 4, 8], 1, True, None),
    ],
)
def test_the_last_size_that_was_begun_is_the_one_that_failed(process, sizes, code, late, fits):
    process.sizes, process.code, process.late = sizes, code, late
    assert memory_ceiling(Task(net, TRAIN, HELD), 2**14, 5.0) == fits
    assert process.asked.timeout == 15.0  # the search, and twice as long to begin


def test_what_fits_with_two_thirds_to_spare_is_not_tried(process):
    """128 rows of 1,000 bytes beside 4,000 are 132,000 bytes: a third of 396,000."""
    task, process.room = Task(net, TRAIN, HELD), 396_000
    assert memory_ceiling(task, 128, 20.0) is None and process.asked is None
    process.room = 395_000
    memory_ceiling(task, 128, 20.0)
    sent, cap, room = cloudpickle.loads(process.asked.input)
    assert (cap, room) == (128, 395_000) and process.asked.words[1:3] == ["-m", module.__name__]
    assert len(sent.train) == len(sent.validation) == 16 and len(task.train) == 300
    assert process.asked.timeout == 60.0
    root, *more = process.asked.env["PYTHONPATH"].split(os.pathsep)
    assert Path(root) == Path(bbatch.__file__).parents[1] and more == [p for p in sys.path if p]


def test_where_memory_is_unknown_it_is_tried_and_what_cannot_be_sent_is_not(process):
    process.room = 0
    memory_ceiling(Task(net, TRAIN, HELD), 128, 20.0)
    assert cloudpickle.loads(process.asked.input)[2] == 0
    process.asked, lock = None, threading.Lock()
    held = Task(lambda: net() if lock else None, TRAIN, HELD)
    assert memory_ceiling(held, 128, 20.0) is None and process.asked is None


@pytest.mark.parametrize("room", [0, 10**9])
def test_the_process_doubles_from_the_smallest_and_notes_each_size_before_it_tries_it(
    room, tmp_path, monkeypatch
):
    """Three steps at each, whose weights stay as they are to nine digits; memory is limited where it is
    known."""
    limits, seen, steps = [], [], []

    class Noted(nn.Sequential):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    class Counted(torch.optim.SGD):
        def step(self, closure=None):
            steps.append((self.param_groups[0]["lr"], self.param_groups[0]["params"][0].grad is not None))

    task = Task(lambda: Noted(nn.BatchNorm1d(6), nn.Linear(6, 2)), TRAIN, HELD, optimizer=Counted)
    task.train = task.train.few()
    given = cloudpickle.dumps(("task", 8, room))
    monkeypatch.setattr(module.cloudpickle, "loads", lambda sent: (task, 8, room))
    monkeypatch.setattr(module.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
    monkeypatch.setattr(module, "_limit", lambda allowance, device: limits.append((allowance, device)))
    seen.clear(), steps.clear()
    module._child(str(tmp_path / "notes"))
    assert (tmp_path / "notes").read_text() == "2\n4\n8\n"  # batch normalization takes no less than two
    assert seen[-9:] == [2, 2, 2, 4, 4, 4, 8, 8, 8] and steps[-9:] == [(1e-9, True)] * 9
    assert limits == ([(room, "cpu")] if room else [])


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


class Files:
    """`Path`, of files that are made up here by name; what is written to them stays in `written`."""

    texts, written = {}, {}

    def __init__(self, *parts):
        self.name = "/".join(parts)

    def __truediv__(self, name):
        return Files(self.name, name)

    def read_text(self):
        if self.name not in self.texts:
            raise FileNotFoundError(self.name)
        return self.texts[self.name]

    def write_text(self, text):
        self.written[self.name] = text


INFO = {"/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    1000 kB\nSwapTotal: 5 kB\n"}
GROUP = {"/sys/fs/cgroup/memory.max": "500000\n", "/sys/fs/cgroup/memory.current": "100000\n"}


@pytest.mark.parametrize(
    "texts, most",
    [
        (INFO, 819_200),  # four fifths of 1,024,000 bytes
        (INFO | GROUP, 320_000),  # of the 400,000 that the control group has left
        (GROUP, 320_000),
        (INFO | GROUP | {"/sys/fs/cgroup/memory.max": "max\n"}, 819_200),
        ({"/proc/meminfo": "MemTotal: 9000 kB\n"}, 0),
        ({}, 0),
    ],
)
def test_four_fifths_of_what_the_machine_or_its_control_group_has_left(texts, most, monkeypatch):
    monkeypatch.setattr(Files, "texts", texts)
    monkeypatch.setattr(module, "Path", Files)
    assert module.available("cpu") == most


def test_of_a_gpu_a_tenth_is_left_free_and_the_process_has_its_share(monkeypatch):
    shares = []
    monkeypatch.setattr(module, "Path", Files)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 8000))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *a: shares.append(a))
    assert module.available("cuda:1") == 900
    module._limit(2000, "cuda:1")
    module._limit(9000, "cuda:1")
    assert shares == [(0.25, "cuda:1"), (1.0, "cuda:1")]


def test_a_process_limits_what_it_has_and_offers_itself_to_the_kernel(monkeypatch):
    import resource

    limits = []
    monkeypatch.setattr(Files, "texts", {"/proc/self/statm": "100 50 3 1 0 9 0\n"})
    monkeypatch.setattr(Files, "written", {})
    monkeypatch.setattr(module, "Path", Files)
    monkeypatch.setattr(resource, "getpagesize", lambda: 4096)
    monkeypatch.setattr(resource, "setrlimit", lambda *a: limits.append(a))
    module._limit(5000, "cpu")
    assert limits == [(resource.RLIMIT_AS, (414_600, 414_600))]
    assert Files.written == {"/proc/self/oom_score_adj": "1000"}
