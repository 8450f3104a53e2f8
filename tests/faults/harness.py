"""What the fault tests share: a small grid, children that may be killed, and what they left behind."""

import json
import multiprocessing
import os
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import pytest

from bbatch.config import Run, plan
from bbatch.engines import compiled, eager
from bbatch.records.store import Store
from bbatch.sweeping.sweep import sweep

TESTS = Path(__file__).resolve().parent.parent
PYTHONPATH = os.pathsep.join([str(TESTS), str(TESTS.parent)])


def _server():
    """A process that has imported and compiled everything and forks the children within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.warm"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHONPATH)
        forkserver.ensure_running()
    return context


_context = cache(_server)
_children: list[multiprocessing.Process] = []


def grid(long: bool = False) -> list[Run]:
    """Runs of both engines on the 1K set: Adam goes through the compiled one, SGD through PyTorch."""
    epochs = 60 if long else 12
    adam = [plan("synthetic-1k", b, seed, epochs=epochs) for b, seed in ((1, 42), (8, 42), (32, 43))]
    return adam + [
        replace(plan("synthetic-1k", b, 44, epochs=epochs), optimizer="sgd", momentum=0.9) for b in (32, 64)
    ]


def store_in(folder: Path) -> Store:
    return Store(folder / "live", folder / "results")


class Here:
    """An executor that runs in this process, one task at a time: the sweep itself is then what is killed."""

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def work(folder: Path, runs: list[Run], freeze: bool = True, **options) -> None:
    """Sweep, noting each epoch begun in `epochs.log`, and freeze."""
    folder.mkdir(exist_ok=True)
    with noting_epochs(folder / "epochs.log"):
        sweep(runs, store_in(folder), progress=False, **{"executor": Here(), **options})
    if freeze:
        store_in(folder).freeze()


@contextmanager
def noting_epochs(log: Path):
    """Append a line (run, epoch, process) to `log` whenever an epoch begins in this process."""
    kept = [(kind, kind.train_epoch) for kind in (eager.TorchEngine, compiled.CompiledEngine)]

    def noting(train_epoch):
        def noted(self, epoch):
            with open(log, "a") as file:
                file.write(json.dumps([name(self), epoch, os.getpid()]) + "\n")
            return train_epoch(self, epoch)

        return noted

    for kind, train_epoch in kept:
        kind.train_epoch = noting(train_epoch)
    try:
        yield
    finally:
        for kind, train_epoch in kept:
            kind.train_epoch = train_epoch


def name(engine: eager.TorchEngine) -> str:
    """Of the run that an engine has in hand: each of `grid` another."""
    recipe = engine.recipe
    return f"{type(engine).__name__} B={recipe.batch_size(0)} seed={recipe.seed}"


def noted(folder: Path) -> list[tuple[str, int, int]]:
    """The epochs begun so far, in order: run, epoch, process."""
    path = folder / "epochs.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(json.loads(line)) for line in lines]


def start(function, *arguments, **options) -> multiprocessing.Process:
    child = _context().Process(target=function, args=arguments, kwargs=options)
    child.start()
    _children.append(child)
    return child


def end_all() -> None:
    """Kill what a failed test left running."""
    while _children:
        child = _children.pop()
        child.kill()
        child.join()


def run(function, *arguments, **options) -> None:
    """Run in a child of its own, to its end."""
    child = start(function, *arguments, **options)
    child.join(300)
    assert child.exitcode == 0, f"{function.__name__} ended with {child.exitcode}"


def until(condition, seconds: float = 120, alive=lambda: True) -> None:
    """Wait until the condition holds; it is an error where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        assert alive() or condition(), "the child ended too early"
        time.sleep(0.001)


def record_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "live" / "records").glob("*.json")}


def decided_files(folder: Path) -> dict[str, bytes]:
    """The frozen files that hold all that the configuration decides (what was observed stands in others)."""
    return {path.name: path.read_bytes() for path in (folder / "results").glob("*.parquet")}


def parts(folder: Path) -> list[Path]:
    """Files half written."""
    return [p for p in folder.rglob("*") if p.name.endswith(".part")]


def children_of(pid):
    """The processes started by `pid`, each of them and what it started in turn."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                with open(f"/proc/{entry.name}/stat") as file:
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found


def workers_of(pid):
    """Those of them that run tasks."""

    def command(child):
        try:
            with open(f"/proc/{child}/cmdline") as file:
                return file.read()
        except OSError:
            return ""

    return [child for child in children_of(pid) if "spawn_main" in command(child)]
