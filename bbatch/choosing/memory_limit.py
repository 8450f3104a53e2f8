"""How large a batch fits in memory while training.

Most models need a hundredth of what there is: `estimate` counts what a forward pass keeps for the backward
one, and a generous multiple of it settles the matter. Where it does not, `memory_ceiling` starts `python -m
bbatch.choosing.memory_limit`, a process of its own that trains some steps at doubling batch sizes and notes
each in a file before it begins with it. It may fail in any way, by an exception, a signal or the kernel's
hand: what it noted stands. On Linux it first limits its own address space and offers itself to the kernel as
the first process to end; on a GPU it leaves a tenth free. An error that says nothing of memory, such as that
of a model which needs two rows, rules nothing out.
"""

import copy
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import cloudpickle
import torch

from ..nests import is_memory, move
from .checks import check_step
from .rows import LEAST
from .task import Task

SHARE = 0.8  # of the memory available now: the rest is for whatever else the machine does
SPARE = 3.0  # times the estimate: what fits with that much to spare is not tried
IMPORTS = 2.0  # times the seconds of the search: what the process may take besides, to import what it needs
# Of training at each size: the second holds the optimizer's state, the third what the allocator keeps.
STEPS = 3


def estimate(task: Task) -> tuple[float, float]:
    """(bytes for each row, bytes whatever the batch) of a training step: what is kept for the backward pass,
    and weights, gradients and the optimizer's state."""
    model, seen = task.model(0), {}
    weights = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}

    def note(tensor: torch.Tensor):
        if tensor.layout is torch.strided and (at := tensor.untyped_storage().data_ptr()) not in weights:
            seen[at] = tensor.untyped_storage().nbytes()
        return tensor

    batch = move(task.train.first_batch(), task.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), torch.random.fork_rng():
        task.run(model, batch)
    return sum(seen.values()) / LEAST, of_weights(model)


def of_weights(model) -> float:
    """Bytes of a model's weights, of their gradients and of two moments, which an optimizer may keep."""
    return 4.0 * sum(p.numel() * p.element_size() for p in model.parameters())


def memory_ceiling(task: Task, cap: int, seconds: float) -> int | None:
    """The largest power of two whose training steps fit in memory, where twice as many rows, at most `cap`,
    were seen to fail; 0 where none fits. None where nothing is ruled out. After `seconds` it is given up.
    """
    room = available(task.device)
    each, fixed = estimate(task)
    if room and room / SPARE >= cap * each + fixed:
        return None
    small = copy.copy(task)
    small.train = small.validation = task.train.few()
    try:
        sent = cloudpickle.dumps((small, cap, room))
    except Exception:  # noqa: BLE001 - whatever the reader's objects raise when they are written down
        return None
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    with tempfile.NamedTemporaryFile("r") as notes:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "bbatch.choosing.memory_limit", notes.name],
                input=sent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=(IMPORTS + 1) * seconds,
                env=os.environ | {"PYTHONPATH": path},
            )
        except subprocess.TimeoutExpired:
            return None
        begun = [0, *map(int, notes.read().split())]
    return begun[-2] if ended.returncode != 0 and len(begun) > 1 else None


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
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + allowance
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _child(notes: str) -> None:
    task, cap, allowance = cloudpickle.loads(sys.stdin.buffer.read())
    check_step(task)  # what PyTorch loads at a first step is not the batch's
    if allowance:
        _limit(allowance, task.device)
    size = task.smallest
    while size <= cap:
        with open(notes, "a") as file:
            file.write(f"{size}\n")
        try:
            _steps(task, size)
        except Exception as error:  # noqa: BLE001 - whatever the reader's model raises
            if is_memory(error):
                raise
            return
        size *= 2


def _steps(task: Task, size: int) -> None:
    batch, model = task.train.take(torch.arange(size) % len(task.train)), task.model(0)
    optimizer, *_ = task.optimizer_of(model, 1e-9, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        task.run(model, batch).loss.backward()
        optimizer.step()


if __name__ == "__main__":
    _child(sys.argv[1])
