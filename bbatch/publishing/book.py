"""The book: notebooks executed where they or what they stand on changed, pages staged, Jupyter Book over all.

    _build/notebooks/   executed notebooks, each beside a stamp of what it was made from; no one else's
    _build/store/       records that the notebooks compute on the way (BBATCH_STORE, where set, goes first)
    _build/source/      what Jupyter Book reads: _config.yml, _toc.yml, book/, the executed notebooks
    _build/html/        the pages

Jupyter's own cache looks at the code cells alone and would keep a page whose records or helper functions
changed; so Jupyter Book executes nothing here and the stamps are ours.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path

import nbformat
import yaml
from filelock import FileLock, Timeout
from tqdm import tqdm

from ..errors import BadInput
from ..pages import picture
from ..repository import ROOT
from ..sweeping import worker
from . import notebooks, provenance

BUILD = ROOT / "_build"
EXECUTED = BUILD / "notebooks"
SOURCE = BUILD / "source"
HTML = BUILD / "html"
LOG = BUILD / "jupyter-book.log"


class BookFailed(RuntimeError):
    """The book could not be built; the message is one sentence for each thing that went wrong."""


def build_book() -> Path:
    """Build the book with the notebooks' default parameters; returns the path of its first page.

    Raises `BookFailed` where a notebook stops or Jupyter Book warns. Pages are then missing or not to be
    trusted.
    """
    try:
        import jupyter_book  # noqa: F401
    except ImportError:
        raise BadInput(
            "jupyter-book is not installed here; `make book` installs it and builds the book."
        ) from None
    os.environ.setdefault("BBATCH_STORE", str(BUILD / "store"))
    BUILD.mkdir(exist_ok=True)
    with _alone():
        executed = execute_all()
        about = provenance.facts()
        stage(executed, about)
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
    print(
        f"Notebooks: {len(todo)} to execute, {len(stamps) - len(todo)} unchanged since the last build.",
        flush=True,
    )
    failures, done, started = [], 0, time.monotonic()
    context, others = get_context("spawn"), active_children()
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), context, _begin, (context.RLock(),)) as pool:
        for path in todo:
            _stamp_file(path).unlink(missing_ok=True)
        # One bar a notebook on a terminal; in a log, where bars pile up, a line as each ends.
        bars = [
            {"desc": path.stem, "position": k} if sys.stderr.isatty() else False
            for k, path in enumerate(todo)
        ]
        waiting = {
            pool.submit(notebooks.execute, path, {}, _executed(path), progress=bar): path
            for path, bar in zip(todo, bars, strict=True)
        }
        try:
            for future in as_completed(waiting):
                path = waiting[future]
                try:
                    future.result()
                    _stamp_file(path).write_text(stamps[path])
                    done += 1
                    tqdm.write(f"  {path.name} executed, {time.monotonic() - started:.0f} s after the start")
                except notebooks.NotebookFailed as error:
                    failures.append(str(error))
                except BrokenProcessPool:
                    failures.append(
                        f"{path.name} stopped because its process died, perhaps for want of memory."
                    )
        except KeyboardInterrupt:
            for process in active_children():
                if process not in others:
                    process.kill()  # its kernel ends with it
            raise KeyboardInterrupt(
                f"{done} of {len(todo)} notebooks were executed and are kept; the same command goes on there."
            ) from None
    if failures:
        raise BookFailed("\n".join(failures))
    return list(stamps)


def _begin(lock) -> None:
    """Once a process that executes notebooks: one lock for all bars, Ctrl-C left to the build."""
    tqdm.set_lock(lock)
    worker.begin()


def stamp(path: Path) -> str:
    """sha256 over all that decides what a notebook shows: itself, the package, the records, the versions."""
    digest = hashlib.sha256(
        f"{sys.version}|{os.environ.get('BBATCH_DATA')}|{os.environ.get('BBATCH_STORE')}".encode()
    )
    package = [
        p
        for pattern in ("*.py", "*/*.py", "paper/*.csv", "pages/verdicts.*", "pages/*.npz")
        for p in sorted((ROOT / "bbatch").glob(pattern))
    ]
    records = sorted(p for p in (ROOT / "results").rglob("*") if p.is_file())
    for part in (path, *package, *records, ROOT / "requirements.txt"):
        digest.update(f"|{part.relative_to(ROOT)}|".encode() + part.read_bytes())
    return digest.hexdigest()


def stage(made: list[Path], about: dict) -> None:
    """Lay out afresh what Jupyter Book reads, so that nothing of an earlier build is left.

    `made` are the committed notebooks; their executed copies take their places. `about`: `provenance.facts`.
    """
    for folder in (SOURCE, HTML, BUILD / ".doctrees", BUILD / "jupyter_execute"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        ROOT / "book",
        SOURCE / "book",
        ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.ipynb"),
    )
    shutil.copy(ROOT / "_toc.yml", SOURCE)
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings = yaml.safe_dump(configuration(settings, about), sort_keys=False, allow_unicode=True)
    (SOURCE / "_config.yml").write_text(settings)
    (SOURCE / "notebooks").mkdir()
    for path in made:
        notebook = nbformat.read(_executed(path), as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                _for_the_page(cell, output)
        if path.parent == notebooks.FOLDER:
            said = (
                f"*This page is the notebook `notebooks/{path.name}`: `make lab` opens it in JupyterLab "
                "([how to run it](../book/how_to)).*"
            )
            notebook.cells.append(nbformat.v4.new_markdown_cell(said, id="opens"))
        nbformat.write(notebook, SOURCE / path.relative_to(ROOT))


def configuration(settings: dict, about: dict) -> dict:
    """_config.yml as Jupyter Book is to read it: with the line at the foot of the pages and, once the address
    of the repository is set, with the buttons that lead there, to Binder and to Colab."""
    html = settings["html"] | {"extra_footer": provenance.footer(about)}
    if not settings["repository"]["url"]:
        return {key: value for key, value in settings.items() if key != "launch_buttons"} | {"html": html}
    return settings | {
        "html": html | {f"use_{what}_button": True for what in ("repository", "issues", "edit_page")}
    }


def _for_the_page(cell, output) -> None:
    """Put an output in the form that MyST-NB renders.

    It warns of plotly's JSON, for JupyterLab alone, even where HTML stands beside it, and takes the
    alternative text of an image from the cell's metadata, where a computed text cannot be: it is moved there
    from the output's.
    """
    if "text/html" in output.get("data", {}):
        output.data.pop("application/vnd.plotly.v1+json", None)
        output.data["text/html"] = picture.without_still(output.data["text/html"])
    for kind, about in output.get("metadata", {}).items():
        if kind.startswith("image/") and "alt" in about:
            cell.metadata.setdefault("mystnb", {}).setdefault("image", {})["alt"] = about["alt"]


def render() -> None:
    """Run Jupyter Book with warnings as errors; its full log is kept in _build/jupyter-book.log."""
    print("Pages: Jupyter Book, every warning an error.", flush=True)
    command = [sys.executable, "-m", "bbatch.publishing.jupyter_book_child", "build", str(SOURCE)]
    command += ["--path-output", str(ROOT), "-W", "-n", "--keep-going"]
    lines = []
    with (
        tqdm(
            total=200, bar_format="{desc:<8} {bar} {percentage:3.0f} %", disable=not sys.stderr.isatty()
        ) as bar,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closed when this process ends, however it does; the child ends then
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        for line in child.stdout:
            lines.append(_plain(line))
            if found := re.match(r"(reading|writing) (?:sources|output)\.\.\. \[ *(\d+)%\]", lines[-1]):
                bar.set_description_str(found[1], refresh=False)
                done = int(found[2]) if found[1] == "reading" else 100 + int(found[2])
                bar.update(done - bar.n)
    LOG.write_text("".join(lines))
    if child.returncode != 0:
        said = [line.rstrip() for line in lines if line.strip(" =\n")]
        why = (
            list(dict.fromkeys(line for line in said if re.search(r"\b(WARNING|ERROR|CRITICAL):", line)))
            or said[-4:]
        )
        raise BookFailed("\n".join([*why, f"Jupyter Book stopped or warned; its whole log is {LOG}."]))


def _plain(line: str) -> str:
    """A line without terminal colours, and with paths as the author of the page knows them."""
    return re.sub(r"\x1b\[[\d;]*m", "", line).replace(f"{SOURCE}{os.sep}", "")


def _fresh(path: Path, value: str) -> bool:
    return (
        _executed(path).is_file() and _stamp_file(path).is_file() and _stamp_file(path).read_text() == value
    )


def _executed(path: Path) -> Path:
    return EXECUTED / path.name


def _stamp_file(path: Path) -> Path:
    return EXECUTED / f"{path.stem}.sha256"
