"""How large a batch fits in memory while training.

Most models need a hundredth of what there is: `estimate` counts what a forward pass keeps for the backward
one, and a generous multiple of it settles the matter. Where it does not, `memory_ceiling` starts `python -m
bbatch.choosing.memory_limit`, a process of its own that trains some steps at doubling batch sizes and reports
each through a pipe of its own, whatever the model prints. It may fail in any way, by an exception, a signal
or the kernel's hand: what it reported stands. On Linux it first limits its own address space and offers
itself to the kernel as the first process to end; on a GPU it leaves a tenth free.
"""

from __future__ import annotations

import math
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import torch

from ..nests import move
from .rows import LEAST
from .task import Task
from .training import Training

SHARE = 0.8  # of the memory available now: the rest is for whatever else the machine does
SPARE = 3.0  # times the estimate: what fits with that much to spare is not tried
IMPORTS = 2.0  # times the seconds of the search: what the process may take before, to import what it needs
# Of training at each size: the second holds the optimizer's state, the third what the allocator keeps.
STEPS = 3


@dataclass(frozen=True)
class Ceiling:
    """`fits`: the largest batch size known to fit, 0 for none; `failed`: the first that did not, None where
    the search ended for another reason, so that nothing larger is ruled out; `why`: what ended it, in
    words."""

    fits: int
    failed: int | None
    why: str


def estimate(task: Task) -> tuple[float, float]:
    """(bytes for each row, bytes whatever the batch) of a training step: what is kept for the backward pass,
    and weights, gradients and the optimizer's state."""
    model, seen = task.model(0), {}
    weights = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}

    def note(tensor: torch.Tensor):
        if tensor.layout is torch.strided and (at := tensor.untyped_storage().data_ptr()) not in weights:
            seen[at] = tensor.untyped_storage().nbytes()
        return tensor

    batch = move(task.train.take(torch.arange(LEAST)), task.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), torch.random.fork_rng():
        task.run(model, batch)
    return sum(seen.values()) / LEAST, 4.0 * sum(p.numel() * p.element_size() for p in model.parameters())


def memory_ceiling(task: Task, cap: int, seconds: float = 20.0, allowance: int | None = None) -> Ceiling:
    """The largest power of two up to `cap` (and `cap` itself) whose training steps fit in memory.

    `seconds`: the search is stopped after this time, which begins when the process is ready. `allowance`:
    bytes that it may take beyond what it begins with, by default most of what is available now. A task that
    cannot be sent to another process is judged by the estimate.
    """
    room = allowance or available(task.device)
    each, fixed = estimate(task)
    guessed = int(max(0.0, room / SPARE - fixed) / max(each, 1.0)) if room else 0
    if guessed >= cap:
        return Ceiling(cap, None, "by an estimate, with much to spare")
    parts = (task.source, task.train.few(), task.adapter.loss, task.optimizer, task.metric)
    try:
        sent = cloudpickle.dumps((*parts, task.device, task.precision, cap, room))
    except Exception as error:  # noqa: BLE001 - whatever the reader's objects raise when they are written down
        why = f"by an estimate: no other process can try it ({type(error).__name__})"
        return Ceiling(_power(guessed), None, why)
    fits, trying, late = _watch(sent, seconds)
    if fits == cap:
        return Ceiling(fits, None, "nothing larger was tried")
    if late:
        return Ceiling(max(fits, _power(guessed)), None, "the search ran out of time")
    return Ceiling(fits, trying, "the next one failed")


def _power(b: int) -> int:
    return 2 ** int(math.log2(b)) if b >= 1 else 0


def _watch(sent: bytes, seconds: float) -> tuple[int, int | None, bool]:
    """What the child reports: largest size that fits, the last one tried, whether time ran out."""
    read, write = os.pipe()
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    with tempfile.TemporaryFile() as given:  # no pipe, which waits for the other side to read
        given.write(sent)
        given.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-m", "bbatch.choosing.memory_limit", str(write)],
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write],
            env=os.environ | {"PYTHONPATH": path},
        )
    os.close(write)
    text, late, deadline = b"", False, time.perf_counter() + IMPORTS * seconds
    with os.fdopen(read, "rb", buffering=0) as reports:
        while not late:
            if not select.select([reports], [], [], max(0.0, deadline - time.perf_counter()))[0]:
                late = True
            elif part := reports.read(4096):
                deadline = deadline if text else time.perf_counter() + seconds  # it is ready
                text += part
            else:
                break
    child.kill()
    child.wait()
    told = [line.split() for line in text.decode().splitlines()]
    fits = max((int(size) for word, size in told if word == "fits"), default=0)
    return fits, max((int(size) for word, size in told if word == "trying"), default=None), late


def available(device: str) -> int:
    """Bytes that a process may take: of the GPU, or of machine and control group. 0: unknown."""
    if torch.device(device).type == "cuda":
        return int(0.9 * torch.cuda.mem_get_info(device)[0])
    free = []
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable"))))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return int(SHARE * min(free)) if free else 0


def _limit(allowance: int, device: str) -> None:
    """Bound this process's memory, where the system can."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if torch.device(device).type == "cuda":
        whole = torch.cuda.mem_get_info(device)[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowance / whole), device)
        return
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + allowance
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


class _Repeated:
    """A few rows, over and over, in the place of as many as are asked for."""

    def __init__(self, rows, length: int):
        self.rows, self.length, self.shuffles = rows, length, False

    def __len__(self) -> int:
        return self.length

    def batches(self, size: int, seed=None, most=None, skip: int = 0):
        while True:
            yield self.rows.take(torch.arange(size) % len(self.rows)), size


def _child(report: int) -> None:
    def tell(word: str, size: int) -> None:
        os.write(report, f"{word} {size}\n".encode())

    source, few, *how, cap, allowance = cloudpickle.loads(sys.stdin.buffer.read())
    task, device = Task(source, few.source, few.few().source, *how), how[-2]
    size = task.smallest
    if allowance:
        _limit(allowance, device)
    tell("ready", 0)
    while True:
        tell("trying", size)
        task.train = _Repeated(few, size)
        Training(task, size, 1e-9, 0, STEPS).advance(STEPS)
        tell("fits", size)
        if size == cap:
            return
        size = min(2 * size, cap)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
