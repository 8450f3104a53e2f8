"""Train what a study's table lacks. Rows go into the table as they come, and stay when it is stopped."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from .. import extensions
from ..errors import BadInput, whole
from . import table
from .trial import Trial, train_trial

SAVE_EVERY = 60.0  # seconds: a table of thousands of rows is not written anew for each


def run(name: str, trials: list[Trial], *, jobs: int = 1, device: str = "cpu", progress: bool = True) -> int:
    """Train the trials that the study's table lacks; returns their number.

    May be interrupted: what is finished stays, and the next call trains the rest. Raises `BadInput` for
    `jobs` below 1, a device that is not here, or where another process is at this study.
    """
    whole("number of jobs", jobs, 1)
    table.FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(table.FOLDER / f".{name}.lock").acquire(timeout=0):
            found = table.table_rows(name)
            done = {row["id"] for row in found}
            todo = [t for t in dict.fromkeys(trials) if t.id(t.data().fingerprint) not in done]
            if todo:
                bar = {"total": len(todo), "unit": "run", "disable": not progress, "mininterval": 10}
                _add(name, found, tqdm(_trained(todo, jobs, device), name, **bar))
    except Timeout:
        raise BadInput(f"another process is at the study {name!r}; wait for it.") from None
    return len(todo)


def _add(name: str, found: list[dict], rows: Iterator[dict]) -> None:
    """Write the study's table with these rows added, now and then and at the end, however it comes."""
    saved, before = time.monotonic(), len(found)
    try:
        for row in rows:
            found.append(row)
            if time.monotonic() - saved > SAVE_EVERY:
                table.write_table(name, found)
                saved = time.monotonic()
    finally:
        if len(found) > before:
            table.write_table(name, found)


def _trained(todo: list[Trial], jobs: int, device: str) -> Iterator[dict]:
    """The rows of these trials as they are finished; one process trains here, more are started anew."""
    if jobs == 1 or len(todo) < 2:
        _begin()
        yield from (_train(trial, device) for trial in todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin) as pool:
        futures = [pool.submit(_train, trial, device) for trial in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # after an interruption, wait for no trial that has not begun
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Once a process: know the reader's additions, and use one thread."""
    extensions.import_named()
    torch.set_num_threads(1)  # two processes of one thread each beat one of two


def _train(trial: Trial, device: str) -> dict:
    with threadpool_limits(1):
        return train_trial(trial, device)
