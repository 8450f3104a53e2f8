"""The book: notebooks executed where they or what they stand on changed, pages staged, Jupyter Book over all.

    _build/notebooks/   executed notebooks, each beside a stamp of what it was made from; no one else's
    _build/store/       records that the notebooks compute on the way (BBATCH_STORE, where set, goes first)
    _build/source/      what Jupyter Book reads: _config.yml, _toc.yml, book/, the executed notebooks
    _build/html/        the pages

Jupyter's own cache looks at the code cells alone and would keep a page whose records or helper functions
changed; so Jupyter Book executes nothing here and the stamps are ours.
"""

import hashlib
import os
import sys
import time
from contextlib import closing
from multiprocessing import active_children
from multiprocessing.pool import ThreadPool
from pathlib import Path

from filelock import FileLock, Timeout
from jupyter_core.utils import ensure_event_loop
from tqdm import tqdm

from ..errors import BadInput
from ..records.store import Store
from ..repository import ROOT
from . import execution, notebooks, provenance
from .forked_kernels import fork_kernels
from .rendering import BUILD, HTML, BookFailed, render, stage

EXECUTED = BUILD / "notebooks"


def build_book() -> Path:
    """Build the book with the notebooks' default parameters; returns the path of its first page.

    Raises `BookFailed` where a notebook stops or Jupyter Book warns. Pages are then missing or not to be
    trusted.
    """
    try:
        import jupyter_book  # noqa: F401
    except ImportError:
        said = "jupyter-book is not installed here; `make book` installs it and builds the book."
        raise BadInput(said) from None
    os.environ.setdefault("BBATCH_STORE", str(BUILD / "store"))
    BUILD.mkdir(exist_ok=True)
    with _alone():
        executed = execute_all()
        about = provenance.facts()
        stage({path: executed_copy(path) for path in executed}, about)
        render()
        provenance.write(HTML, about)
    return HTML / "index.html"


def _alone():
    """The lock of the build folder, once no other build holds it."""
    lock = FileLock(BUILD / ".lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print("Another build is at work in this folder; this one waits for it.", flush=True)
        return lock.acquire()


def pages() -> list[Path]:
    """The committed notebooks that are pages."""
    return [*notebooks.paths(), *sorted((ROOT / "book").glob("*.ipynb"))]


def execute_all() -> list[Path]:
    """Execute the notebook pages whose stamp is out of date, two at once; returns all such pages.

    Raises `BookFailed` where one stops, and `KeyboardInterrupt` with a sentence that says how far they came.
    """
    stamps = {path: stamp(path) for path in pages()}
    todo = [path for path, value in stamps.items() if not _fresh(path, value)]
    same = f"{len(stamps) - len(todo)} unchanged since the last build"
    print(f"Notebooks: {len(todo)} to execute, {same}.", flush=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # no sum on a page depends on how many cores there are
    fork_kernels()
    failures, started, others = [], time.monotonic(), active_children()
    for path in todo:
        _stamp_file(path).unlink(missing_ok=True)
    with execution.without_noise(), ThreadPool(min(2, os.cpu_count() or 1)) as pool:
        try:
            for path, failure in pool.imap_unordered(_execute, enumerate(todo)):
                if failure:
                    failures.append(failure)
                else:
                    _stamp_file(path).write_text(stamps[path])
                    tqdm.write(f"  {path.name} executed, {time.monotonic() - started:.0f} s after the start")
        except KeyboardInterrupt:
            for kernel in active_children():
                if kernel not in others:
                    kernel.kill()
            done = sum(_fresh(path, stamps[path]) for path in todo)
            raise KeyboardInterrupt(
                f"{done} of {len(todo)} notebooks were executed and are kept; the same command goes on there."
            ) from None
    if failures:
        raise BookFailed("\n".join(failures))
    return list(stamps)


def _execute(numbered: tuple[int, Path]) -> tuple[Path, str]:
    """Execute a notebook in a thread; returns its path and why it failed, or nothing."""
    position, path = numbered
    # One bar a notebook on a terminal; in a log, where bars pile up, a line as each ends.
    bar = {"desc": path.stem, "position": position} if sys.stderr.isatty() else False
    try:
        with closing(ensure_event_loop()):  # of this thread, which Jupyter leaves open
            execution.execute(path, {}, executed_copy(path), progress=bar)
    except execution.NotebookFailed as error:
        return path, str(error)
    return path, ""


def stamp(path: Path) -> str:
    """sha256 over all that decides what a notebook shows: itself, the package, the records, the versions."""
    folders = os.environ.get("BBATCH_DATA"), os.environ.get("BBATCH_STORE")
    live = sorted((p.name, p.stat().st_mtime_ns) for p in (Store().folder / "records").glob("*.json"))
    digest = hashlib.sha256(f"{sys.version}|{folders}|{live}".encode())
    patterns = ("*.py", "*/*.py", "paper/*.csv", "pages/verdicts.*", "pages/*.npz")
    package = [p for pattern in patterns for p in sorted((ROOT / "bbatch").glob(pattern))]
    records = sorted(p for p in (ROOT / "results").rglob("*") if p.is_file())
    for part in (path, *package, *records, ROOT / "requirements.txt"):
        digest.update(f"|{part.relative_to(ROOT)}|".encode() + part.read_bytes())
    return digest.hexdigest()


def _fresh(path: Path, value: str) -> bool:
    made = executed_copy(path).is_file() and _stamp_file(path).is_file()
    return made and _stamp_file(path).read_text() == value


def executed_copy(path: Path) -> Path:
    """The executed copy of a page."""
    return EXECUTED / path.name


def _stamp_file(path: Path) -> Path:
    return EXECUTED / f"{path.stem}.sha256"
