"""How large a batch fits in memory, found in a process of its own, so that nothing of the reader's is lost when one
does not.

`memory_ceiling` starts `python -m bbatch.choosing.memory_limit`, which trains single steps at doubling batch sizes and prints each
that succeeded. The child may fail in any way, by an exception, a signal or the kernel's hand; what it printed stands.
On Linux it first limits its own address space to what is available and offers itself to the kernel as the first process
to end, so that a machine short of memory does not end another.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from .task import LEAST, Task

SHARE = 0.8  # of the memory available now: the rest is for whatever else the machine does


@dataclass(frozen=True)
class Ceiling:
    """`fits`: the largest batch size that trained a step, 0 for none; `failed`: the first that did not, None where the
    search ended at its cap or its time first; `why`: what ended it, in words."""

    fits: int
    failed: int | None
    why: str


def memory_ceiling(task: Task, cap: int, seconds: float = 20.0, allowance: int | None = None) -> Ceiling:
    """The largest power of two up to `cap` (and `cap` itself) whose step fits in memory: forward, backward, optimizer.

    `seconds`: the child is stopped after this time. `allowance`: bytes that it may take beyond what it begins with, by
    default most of what is available now. A task that cannot be sent to another process is not probed: fits = 0.
    """
    import cloudpickle

    x, y = task.train.take(torch.arange(LEAST))
    try:
        sent = cloudpickle.dumps(
            (task.factory, task.loss, task.optimizer, task.device, x, y, cap, allowance or _available())
        )
    except Exception as error:  # whatever the reader's objects raise when they are written down
        return Ceiling(0, None, f"the model cannot be sent to another process ({type(error).__name__})")
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    child = subprocess.Popen(
        [sys.executable, "-m", "bbatch.choosing.memory_limit"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    )
    late = False
    try:
        printed, _ = child.communicate(sent, timeout=seconds)
    except subprocess.TimeoutExpired:
        late = True
        child.kill()
        printed, _ = child.communicate()
    tried = [line.split() for line in printed.decode().splitlines()]
    fits = max((int(size) for word, size in tried if word == "fits"), default=0)
    trying = max((int(size) for word, size in tried if word == "trying"), default=None)
    if fits == cap:
        return Ceiling(fits, None, "nothing larger was tried")
    return (
        Ceiling(fits, None, "the search ran out of time")
        if late
        else Ceiling(fits, trying, "the next one failed")
    )


def _available() -> int:
    """Bytes that this process may take: of the machine, and of its control group where it has one."""
    free = []
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable"))))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return int(SHARE * min(free)) if free else 0


def _limit(allowance: int) -> None:
    """Bound this process's address space, where the system can."""
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + allowance
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _child() -> None:
    import cloudpickle

    factory, loss, optimizer, device, x, y, cap, allowance = cloudpickle.loads(sys.stdin.buffer.read())
    task = Task.__new__(Task)  # checked already; here every megabyte and millisecond is the model's
    for name, value in (("factory", factory), ("loss", loss), ("optimizer", optimizer), ("device", device)):
        object.__setattr__(task, name, value)
    model = task.model(0)
    stepper = task.optimizer_of(model, 1e-6)
    if allowance and device == "cpu":
        _limit(allowance)
    size = task.smallest
    while True:
        print("trying", size, flush=True)
        index = torch.arange(size) % len(x)
        stepper.zero_grad()
        task.loss(model(x[index].to(device)), y[index].to(device)).backward()
        stepper.step()
        print("fits", size, flush=True)
        if size == cap:
            return
        size = min(2 * size, cap)


if __name__ == "__main__":
    _child()
