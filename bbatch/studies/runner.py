"""Train what a study's table lacks: rows go to a scratch file at once, into the table at the end."""

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from .. import extensions
from ..errors import BadInput, whole
from ..records.store import Store
from . import table
from .trial import Trial, train_trial


class Scratch:
    """Rows of one study that are not in its table yet: a line of JSON each, appended as they come.

    A process killed while it wrote leaves a torn last line; it is passed over, and its trial counts as
    missing.
    """

    def __init__(self, name: str, folder: Path | None = None):
        self.path = (folder or Store().folder) / "studies" / f"{name}.jsonl"

    def rows(self) -> list[dict]:
        found = []
        for line in self.path.read_bytes().split(b"\n") if self.path.is_file() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def add(self, row: dict) -> None:
        with open(self.path, "ab") as file:
            file.write(b"\n" + json.dumps(row, sort_keys=True).encode())  # first: the line before may be torn

    def lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"))


def missing(trials: list[Trial], done: set[str]) -> list[Trial]:
    """The trials whose ids are not among those done, in their order."""
    return [t for t in dict.fromkeys(trials) if t.id(t.data().fingerprint) not in done]


def run(
    name: str,
    trials: list[Trial],
    *,
    jobs: int = 1,
    device: str = "cpu",
    store: Path | None = None,
    results: Path = table.FOLDER,
    progress: bool = True,
) -> int:
    """Train the trials that neither the table nor the scratch file has, then merge; returns their number.

    May be interrupted: what is finished stays, and the next call trains the rest. Raises `BadInput` for
    `jobs` below 1, a device that is not here, or where another process is at this study in the same store.
    """
    whole("number of jobs", jobs, 1)
    scratch = Scratch(name, store)
    try:
        with scratch.lock().acquire(timeout=0):
            todo = missing(trials, {row["id"] for row in table.table_rows(name, results) + scratch.rows()})
            rows = _trained(todo, jobs, device)
            for row in tqdm(rows, name, len(todo), unit="run", disable=not progress, mininterval=10):
                scratch.add(row)
            merge_rows(name, scratch, results)
    except Timeout:
        raise BadInput(f"another process is at the study {name!r} in this store; wait for it.") from None
    return len(todo)


def merge_rows(name: str, scratch: Scratch, results: Path = table.FOLDER) -> int:
    """Write the study's table with the scratch file's rows added; returns the number of rows it then has.

    Of two rows of one id the table's stays.
    """
    both = {row["id"]: row for row in scratch.rows() + table.table_rows(name, results)}
    table.write_table(name, list(both.values()), results)
    return len(both)


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
